"""What a stage is given: ours is held against its account, somebody else's is taken, an unfinished one is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from threadweaver.errors import SampleFault, UserError
from threadweaver.files import digest
from threadweaver.runs.folder import StageFolder
from threadweaver.runs.given import Given
from threadweaver.runs.records import ACCOUNT_FILE, MANIFEST_FILE, SETTINGS_FILE, AccountEntry, read_account
from threadweaver.samples import Sample
from threadweaver.stages.collected import Row, Rows, row_hash
from threadweaver.stages.traced import new_lineage, traced_names, traced_tasks

STAGE = {"stage": "parallel", "input": "../s1"}


def trace(id: str) -> str:
    return new_lineage(Sample(int(id), f"set-{id}", "p", "line\nline")).to_json()


def made(path: Path, ids: str = "0 1 2") -> Path:
    with StageFolder(path, STAGE) as folder:
        entries = [
            folder.put(
                AccountEntry(id, "ok", uuid=f"set-{id}", source=id),
                {f"{id}.txt": f"text {id}\n", f"trace/{id}.json": trace(id)},
            )
            for id in ids.split()
        ]
        folder.close_account([*entries, folder.put(AccountEntry("7", "failed", "hard"), {})])
    return path


def read(folder: Path, *, accept_edits: bool = False) -> dict[str, str]:
    """Return by sample id its text, or the reason of its fault."""
    given = Given.open(folder, accept_edits=accept_edits)
    return {
        task.id: task.fault.reason if task.fault else task.payload.text
        for task in traced_tasks(given, traced_names(given))
    }


def test_a_whole_stage_is_read_as_it_is(tmp_path):
    assert read(made(tmp_path)) == {"0": "text 0", "1": "text 1", "2": "text 2"}


DAMAGES = {
    "altered": lambda path: path.write_text("another text\n"),
    "a byte": lambda path: path.write_bytes(path.read_bytes().replace(b"e", b"a", 1)),
    "emptied": lambda path: path.write_text(""),
    "missing": lambda path: path.unlink(),
    "not text": lambda path: path.write_bytes(b"\xff\xfe"),
    "a folder": lambda path: (path.unlink(), path.mkdir()),
}


@pytest.mark.parametrize("name", ["1.txt", "trace/1.json"])
@pytest.mark.parametrize("damage", DAMAGES)
def test_what_is_not_what_was_passed_on_fails_its_own_sample(tmp_path, name, damage):
    DAMAGES[damage](made(tmp_path) / name)
    reason = "unreadable" if damage == "a folder" else "altered"
    assert read(tmp_path) == {"0": "text 0", "1": reason, "2": "text 2"}


@pytest.mark.parametrize("name", ["9.txt", "trace/9.json", "7.txt"])
def test_what_no_stage_wrote_is_no_sample(tmp_path, name):
    (made(tmp_path) / name).write_text("{}")
    id = Path(name).stem
    assert read(tmp_path) == {"0": "text 0", "1": "text 1", "2": "text 2", id: "altered"}


def test_changes_by_hand_are_taken_and_named_when_asked_for(tmp_path):
    made(tmp_path)
    (tmp_path / "1.txt").write_text("better\n")
    (tmp_path / "9.txt").write_text("new\n")
    (tmp_path / "2.txt").unlink()
    assert read(tmp_path, accept_edits=True) == {"0": "text 0", "1": "better", "2": "altered", "9": "new"}
    given = Given.open(tmp_path, accept_edits=True)
    edited = {task.id: task.edited for task in traced_tasks(given, traced_names(given))}
    assert (edited["0"], edited["1"], edited["9"]) == ((), ("1.txt",), ("9.txt",))


def test_a_folder_of_others_is_taken_and_reported(tmp_path, capsys):
    (tmp_path / "0.txt").write_text("theirs\n")
    (tmp_path / SETTINGS_FILE).write_text('{"editor.fontSize": 12}')
    assert read(tmp_path) == {"0": "theirs"}
    Given.open(tmp_path).report()
    assert "not a stage's folder" in capsys.readouterr().out
    (tmp_path / "1.txt").write_bytes(b"\xff")
    assert read(tmp_path) == {"0": "theirs", "1": "not_text"}


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        (MANIFEST_FILE, None, "not finished (it has no manifest.json)"),
        (MANIFEST_FILE, "{}", "not finished (manifest.json is damaged)"),
        (MANIFEST_FILE, "[" * 10_000, "not finished (manifest.json is damaged)"),
        (MANIFEST_FILE, '{"settings": 5}', "not finished (manifest.json is damaged)"),
        (ACCOUNT_FILE, None, "has no account.jsonl"),
        (ACCOUNT_FILE, "", "was changed after the stage had ended"),
        (ACCOUNT_FILE, '{"id": "0", "outcome": "ok"}\n', "was changed after the stage had ended"),
        (SETTINGS_FILE, '{"stage": "parallel", "input": "../other"}', "differ"),
    ],
)
def test_a_stage_that_did_not_end_or_was_changed_is_refused_by_name(tmp_path, name, content, says):
    path = made(tmp_path / "s2") / name
    path.unlink() if content is None else path.write_text(content)
    with pytest.raises(UserError) as caught:
        Given.open(tmp_path / "s2")
    assert says in str(caught.value) and "run step 2 (parallel blocks) again" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [None, "", "{", "[]"])
def test_settings_that_are_lost_are_those_of_the_manifest(tmp_path, content):
    path = made(tmp_path) / SETTINGS_FILE
    path.unlink() if content is None else path.write_text(content)
    assert Given.open(tmp_path).before.settings == STAGE


ROWS = [
    {"stage": 5},
    5,
    None,
    [],
    {"id": 5, "outcome": "ok"},
    {"id": "0", "outcome": ["x"]},
    {"id": "0", "outcome": "great"},
    {"id": "0", "outcome": "ok", "files": None},
    {"id": "0", "outcome": "ok", "facts": []},
    {"id": "0", "outcome": "ok", "files": {"0.txt": 5}},
    {"id": "0", "outcome": "ok", "files": {"../../0.txt": "x"}},
    {"id": "0", "outcome": "ok", "files": {"/etc/passwd": "x"}},
    {"id": "0", "outcome": "ok", "files": {"a/../../b": "x"}},
    {"id": "../0", "outcome": "ok"},
    {"id": "0", "outcome": "ok", "colour": "red"},
]


@pytest.mark.parametrize("row", ROWS, ids=repr)
def test_an_account_of_another_form_is_one_line(tmp_path, row):
    (tmp_path / ACCOUNT_FILE).write_text('{"id": "1", "outcome": "ok"}\n' + json.dumps(row) + "\n")
    with pytest.raises(UserError, match=r"account\.jsonl, line 2: .{5,100}: run the stage that wrote it again"):
        read_account(tmp_path)
    with StageFolder(tmp_path / "new", STAGE) as folder:
        folder.put(AccountEntry("1", "ok"), {})
    with open(tmp_path / "new" / ACCOUNT_FILE, "a") as file:
        file.write(json.dumps(row) + "\n")
    with StageFolder(tmp_path / "new", STAGE) as folder:
        assert set(folder.done) == {"1"}


def collected(path: Path) -> list[Sample]:
    samples = [Sample(n, f"set-{n}", f"problem {n}", "line\nline", extra={"half": "\ud835"}) for n in range(3)]
    with StageFolder(path, {"stage": "collect"}) as folder:
        entries = [
            folder.put(AccountEntry(str(item.index), "ok", facts={"row": row_hash(item)}), {}) for item in samples
        ]
        lines = "".join(json.dumps(item.to_row()) + "\n" for item in samples)
        folder.close_account(entries, extra={"collected.jsonl": lines})
    return samples


def rows_of(given: Given) -> dict[str, Row]:
    rows = Rows(given)
    return {id: rows.read(id) for id in rows.ids}


def test_a_row_that_was_changed_lost_or_added_fails_its_own_sample(tmp_path):
    samples = collected(tmp_path)
    given = Given.open(tmp_path)
    assert {id: row.sample for id, row in rows_of(given).items()} == {str(item.index): item for item in samples}
    lines = (tmp_path / "collected.jsonl").read_text().splitlines()
    added = json.dumps(Sample(9, "set-9", "p", "t").to_row())
    changed = [lines[0], lines[2].replace("problem 2", "another"), added]
    (tmp_path / "collected.jsonl").write_text("\n".join(changed) + "\n")
    rows = rows_of(given)
    assert {id: row.fault and row.fault.reason for id, row in rows.items()} == {
        "0": None,
        "1": "altered",
        "2": "altered",
        "9": "altered",
    }
    taken = rows_of(Given.open(tmp_path, accept_edits=True))
    assert taken["2"].sample.problem == "another" and taken["2"].edited and taken["9"].sample
    assert taken["1"].fault.reason == "altered"


def test_a_single_file_is_held_against_the_account_of_its_folder(tmp_path):
    given = Given.open(made(tmp_path) / "1.txt")
    assert given.names() == ["1.txt"] and given.files.text("1.txt", given.known("1")["1.txt"]) == "text 1\n"
    (tmp_path / "1.txt").write_text("another\n")
    with pytest.raises(SampleFault, match=r"1\.txt was changed after that stage had ended"):
        given.files.text("1.txt", given.known("1")["1.txt"])
    assert digest("another\n") != given.known("1")["1.txt"]
