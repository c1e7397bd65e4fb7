"""The folder of a stage: settings, account and manifest, one process at a time."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import signal
from pathlib import Path

import pytest

from threadweaver.errors import UserError
from threadweaver.files import digest
from threadweaver.runs.folder import (
    ACCOUNT_FILE,
    LOCK_FILE,
    MANIFEST_FILE,
    SETTINGS_FILE,
    AccountEntry,
    StageFolder,
    read_account,
)

SETTINGS = {"stage": "test", "input": "../in", "threshold": 200}


def put(folder: StageFolder, id: str, text: str = "text", outcome: str = "ok") -> AccountEntry:
    return folder.put(AccountEntry(id, outcome, source=digest(id)), {f"{id}.txt": text})


def make(path: Path, ids=("0", "1", "2"), settings=SETTINGS, **options) -> None:
    with StageFolder(path, settings, **options) as folder:
        folder.close_account([put(folder, id) for id in ids])


def names(path: Path) -> set[str]:
    return {str(file.relative_to(path)) for file in path.rglob("*") if file.is_file()} - {LOCK_FILE}


def test_a_run_leaves_files_account_settings_and_manifest(tmp_path):
    make(tmp_path / "out", ["10", "2"])
    assert names(tmp_path / "out") == {"2.txt", "10.txt", SETTINGS_FILE, ACCOUNT_FILE, MANIFEST_FILE}
    assert [entry.id for entry in read_account(tmp_path / "out")] == ["2", "10"]
    manifest = json.loads((tmp_path / "out" / MANIFEST_FILE).read_text())
    assert manifest["settings"] == SETTINGS and manifest["outcomes"] == {"ok": 2} and manifest["samples"] == 2


def test_the_same_run_gives_the_same_bytes(tmp_path):
    make(tmp_path / "a", ["0", "1"])
    make(tmp_path / "b", ["1", "0"])
    for name in names(tmp_path / "a"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_what_is_done_is_done_and_what_failed_is_done_again(tmp_path):
    with StageFolder(tmp_path / "out", SETTINGS) as folder:
        folder.close_account([put(folder, "0"), put(folder, "1", outcome="failed"), put(folder, "2")])
    (tmp_path / "out/2.txt").write_text("changed by hand")
    with StageFolder(tmp_path / "out", SETTINGS) as folder:
        assert folder.finished("0", digest("0")).id == "0"
        assert folder.finished("1", digest("1")) is None
        assert folder.finished("2", digest("2")) is None
        assert folder.finished("3", digest("3")) is None
        (tmp_path / "out/0.txt").unlink()
        assert folder.finished("0", digest("0")) is None


@pytest.mark.parametrize("tail", [b'{"id":"9","outc', b"\n\n", b"[1]\n", b'{"id":"9"}\n', b"\xff\n"])
def test_a_half_line_of_the_account_hides_nothing(tmp_path, tail):
    with StageFolder(tmp_path / "out", SETTINGS) as folder:
        put(folder, "0")
        put(folder, "1")
    with open(tmp_path / "out" / ACCOUNT_FILE, "ab") as file:
        file.write(tail)
    (tmp_path / "out/.9.txt.abc.part").write_text("half a file")
    with StageFolder(tmp_path / "out", SETTINGS) as folder:
        assert set(folder.done) == {"0", "1"}
        folder.close_account([*folder.done.values(), put(folder, "2")])
    assert [entry.id for entry in read_account(tmp_path / "out")] == ["0", "1", "2"]
    assert names(tmp_path / "out") == {"0.txt", "1.txt", "2.txt", SETTINGS_FILE, ACCOUNT_FILE, MANIFEST_FILE}


def test_other_settings_are_refused_by_name(tmp_path):
    make(tmp_path / "out")
    before = names(tmp_path / "out")
    with (
        pytest.raises(UserError, match=r"threshold: 200 there, 5 now.*--overwrite"),
        StageFolder(tmp_path / "out", {**SETTINGS, "threshold": 5}),
    ):
        pass
    with pytest.raises(UserError, match="model: none there"), StageFolder(tmp_path / "out", {**SETTINGS, "model": "m"}):
        pass
    assert names(tmp_path / "out") == before


MODEL = {"annotator": "llm", "model": "m", "effort": "low", "prompt": "a.txt", "prompt_sha256": "1"}
LONG = "../../data/a_long_name_of_a_source_1000samples_step5_v1"


@pytest.mark.parametrize(
    ("before", "now", "says"),
    [
        ({"annotator": "rules"}, MODEL, 'annotator: "rules" there, "llm" now'),  # the others follow from it
        (MODEL, {**MODEL, "prompt": "b.txt", "prompt_sha256": "2"}, 'prompt: "a.txt" there, "b.txt" now'),
        (MODEL, {**MODEL, "prompt_sha256": "2"}, 'prompt_sha256: "1" there, "2" now'),
        ({"model": "m"}, {"model": "m", "filter": "x"}, 'filter: none there, "x" now'),
        ({"model": "m", "filter": "x"}, {"model": "m"}, 'filter: "x" there, none now'),
        (
            {"a": 1, "b": 1, "c": 1, "d": 1, "model": "x"},
            {"a": 2, "b": 2, "c": 2, "d": 2, "model": "y"},
            'model: "x" there, "y" now; a: 1 there, 2 now; b: 1 there, 2 now (and 2 more)',
        ),
        ({"from": f"{LONG}_v1_v1"}, {"from": f"{LONG}_v1_v2"}, 'from: …p5_v1_v1_v1" there, …p5_v1_v1_v2" now'),
    ],
)
def test_only_what_differs_is_named_and_in_short(tmp_path, monkeypatch, before, now, says):
    monkeypatch.delenv("THREADWEAVER_STARTED_IN", raising=False)
    make(tmp_path / "out", settings={"stage": "test", **before})
    for started_in, way in ((None, "another --output keeps both"), ("/", "INPUT_SUFFIX=_2 keeps both")):
        if started_in:
            monkeypatch.setenv("THREADWEAVER_STARTED_IN", started_in)  # as run.sh does
        with pytest.raises(UserError) as caught, StageFolder(tmp_path / "out", {"stage": "test", **now}):
            pass
        whole = f"{tmp_path}/out was made with other settings: {says}; --overwrite makes it again; {way}"
        assert str(caught.value) == whole


def test_a_setting_that_an_earlier_version_did_not_know_is_no_difference_at_its_default(tmp_path):
    """The defaults are those of the stage's command."""
    before = {"stage": "outlines", "input": "../in", "annotator": "llm", "model": "m"}
    later = {
        "repair_prompt": "repair-prompt_v1.txt",
        "repair_prompt_sha256": "0f",
        "keep_telling": False,
        "extra_body": {},
    }
    make(tmp_path / "out", settings=before)
    with StageFolder(tmp_path / "out", before | later) as folder:
        assert set(folder.done) == {"0", "1", "2"}
    assert json.loads((tmp_path / "out" / SETTINGS_FILE).read_text()) == before | later
    make(tmp_path / "other", settings=before)
    with (
        pytest.raises(UserError, match="other settings: keep_telling: none there, true now; --over"),
        StageFolder(tmp_path / "other", before | later | {"keep_telling": True}),
    ):
        pass


def test_a_stage_may_refuse_some_settings_only_and_is_done_again_with_others(tmp_path):
    out = tmp_path / "out"
    make(out)
    with StageFolder(out, {**SETTINGS, "threshold": 5}, refusing=("stage", "input")) as folder:
        assert folder.done == {} and names(out) == {SETTINGS_FILE, ACCOUNT_FILE}
        folder.close_account([put(folder, "0", "other text")])
    with (
        pytest.raises(UserError, match=r'input: "\.\./in" there'),
        StageFolder(out, {**SETTINGS, "input": "../x"}, refusing=("stage", "input")),
    ):
        pass


def test_a_first_try_without_a_finished_sample_takes_other_settings(tmp_path):
    out, other = tmp_path / "out", {**SETTINGS, "threshold": 5}
    with StageFolder(out, SETTINGS) as folder:
        put(folder, "0", outcome="failed")
    with StageFolder(out, other) as folder:
        assert folder.done == {} and names(out) == {SETTINGS_FILE, ACCOUNT_FILE}
        put(folder, "0")
    with pytest.raises(UserError, match="threshold: 5 there"), StageFolder(out, SETTINGS):
        pass
    with StageFolder(tmp_path / "empty", SETTINGS):
        pass
    with pytest.raises(UserError, match='stage: "test" there'), StageFolder(tmp_path / "empty", {"stage": "another"}):
        pass


def test_other_inputs_are_refused_by_name(tmp_path):
    make(tmp_path / "out")
    with (
        StageFolder(tmp_path / "out", SETTINGS) as folder,
        pytest.raises(UserError, match=r"other inputs \(1 differs\).*--overwrite"),
    ):
        folder.finished("1", "another hash")


def test_overwrite_makes_it_again(tmp_path):
    make(tmp_path / "out")
    make(tmp_path / "out", ["0"], {**SETTINGS, "threshold": 5}, overwrite=True)
    assert names(tmp_path / "out") == {"0.txt", SETTINGS_FILE, ACCOUNT_FILE, MANIFEST_FILE}


@pytest.mark.parametrize("stranger", ["notes.txt", "sub/notes.txt", "settings.json"])
@pytest.mark.parametrize("overwrite", [False, True])
def test_a_folder_of_another_program_is_left_alone(tmp_path, stranger, overwrite):
    (tmp_path / stranger).parent.mkdir(exist_ok=True)
    (tmp_path / stranger).write_text('{"editor.fontSize": 12}')
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(UserError, match="did not write"), StageFolder(tmp_path, SETTINGS, overwrite=overwrite):
        pass
    assert names(tmp_path) == {stranger, "thesis.tex"}


def test_overwrite_follows_no_link_out_of_the_folder(tmp_path):
    make(tmp_path / "out")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/kept.txt").write_text("kept")
    (tmp_path / "out/link").symlink_to(tmp_path / "elsewhere")
    make(tmp_path / "out", overwrite=True)
    assert (tmp_path / "elsewhere/kept.txt").exists() and (tmp_path / "out/link").is_symlink()


@pytest.mark.parametrize("settings", ["{", "[" * 10_000, "", "\udcff", "[]", "{}", None])
def test_damaged_settings_are_taken_from_the_manifest_or_are_one_line(tmp_path, settings):
    make(tmp_path / "out")
    whole = (tmp_path / "out" / SETTINGS_FILE).read_bytes()
    (tmp_path / "out" / SETTINGS_FILE).unlink()
    if settings is not None:
        (tmp_path / "out" / SETTINGS_FILE).write_bytes(settings.encode("utf-8", "surrogateescape"))
    with StageFolder(tmp_path / "out", SETTINGS) as folder:
        assert len(folder.done) == 3
    assert (tmp_path / "out" / SETTINGS_FILE).read_bytes() == whole
    (tmp_path / "out" / MANIFEST_FILE).unlink()
    (tmp_path / "out" / SETTINGS_FILE).write_text("{")
    with pytest.raises(UserError, match=r"settings\.json is damaged"), StageFolder(tmp_path / "out", SETTINGS):
        pass


def test_files_that_a_new_result_does_not_have_are_removed(tmp_path):
    with StageFolder(tmp_path / "out", SETTINGS) as folder:
        first = folder.put(AccountEntry("0", "failed", source="s"), {"0.txt": "x", "rejected/0.txt": "y"})
        folder.close_account([first, put(folder, "1")])
    with StageFolder(tmp_path / "out", SETTINGS) as folder:
        folder.close_account([folder.put(AccountEntry("0", "ok", source="s"), {"0.txt": "x"})])
    assert names(tmp_path / "out") == {"0.txt", SETTINGS_FILE, ACCOUNT_FILE, MANIFEST_FILE}


def test_a_run_over_some_of_the_samples_keeps_the_others(tmp_path):
    make(tmp_path / "out", ["0", "1"])
    with StageFolder(tmp_path / "out", SETTINGS) as folder:
        folder.close_account([put(folder, "2")], partial=True)
    assert [entry.id for entry in read_account(tmp_path / "out")] == ["0", "1", "2"]
    assert {"0.txt", "1.txt", "2.txt"} <= names(tmp_path / "out")


def test_an_interrupted_run_keeps_what_it_did_and_is_not_marked_as_done(tmp_path):
    with pytest.raises(KeyboardInterrupt), StageFolder(tmp_path / "out", SETTINGS) as folder:
        put(folder, "0")
        raise KeyboardInterrupt
    assert not (tmp_path / "out" / MANIFEST_FILE).exists()
    with StageFolder(tmp_path / "out", SETTINGS) as folder:
        assert not folder.was_complete and folder.finished("0", digest("0"))


def _hold(path: Path, held, release) -> None:
    with StageFolder(path, SETTINGS) as folder:
        put(folder, "0")
        held.set()
        release.wait(20)
        folder.close_account([put(folder, "1")])


def test_one_process_at_a_time(tmp_path):
    context = multiprocessing.get_context("spawn")
    held, release = context.Event(), context.Event()
    holder = context.Process(target=_hold, args=(tmp_path / "out", held, release))
    holder.start()
    try:
        assert held.wait(20)
        for overwrite in (False, True):
            with (
                pytest.raises(UserError, match=f"process {holder.pid}"),
                StageFolder(tmp_path / "out", SETTINGS, overwrite=overwrite),
            ):
                pass
        assert (tmp_path / "out/0.txt").is_file()
    finally:
        release.set()
        holder.join(20)
    assert holder.exitcode == 0
    with StageFolder(tmp_path / "out", SETTINGS) as folder:
        assert folder.was_complete


def test_a_killed_holder_blocks_nobody(tmp_path):
    context = multiprocessing.get_context("spawn")
    held, release = context.Event(), context.Event()
    holder = context.Process(target=_hold, args=(tmp_path / "out", held, release))
    holder.start()
    assert held.wait(20)
    holder.kill()
    holder.join(20)
    with StageFolder(tmp_path / "out", SETTINGS) as folder:
        assert set(folder.done) == {"0"}


def test_a_moved_folder_can_be_continued(tmp_path):
    make(tmp_path / "out")
    shutil.move(tmp_path / "out", tmp_path / "there")
    with StageFolder(tmp_path / "there", SETTINGS) as folder:
        assert folder.finished("0", digest("0"))


def test_a_stopped_holder_is_named_as_such(tmp_path):
    context = multiprocessing.get_context("spawn")
    held, release = context.Event(), context.Event()
    holder = context.Process(target=_hold, args=(tmp_path / "out", held, release))
    holder.start()
    try:
        assert held.wait(60)
        os.kill(holder.pid, signal.SIGSTOP)
        os.waitid(os.P_PID, holder.pid, os.WSTOPPED | os.WNOWAIT)
        with pytest.raises(UserError, match=f"process {holder.pid}, which is stopped: `kill -CONT {holder.pid}`"):
            make(tmp_path / "out")
    finally:
        os.kill(holder.pid, signal.SIGCONT)
        release.set()
        holder.join(60)


# ---- what people made


def resumed(path: Path, text: str = "text", **options) -> StageFolder:
    """Run the stage again over three samples, as a runner does."""
    with StageFolder(path, SETTINGS, **options) as folder:
        entries = [folder.finished(id, digest(id)) or put(folder, id, text) for id in ("0", "1", "2")]
        folder.close_account(entries)
    return folder


def test_a_file_that_was_changed_by_hand_is_moved_aside_and_reported(tmp_path, capsys):
    make(tmp_path)
    for change in ("by hand", "by another hand"):
        (tmp_path / "1.txt").write_text(change)
        resumed(tmp_path)
        assert (tmp_path / "1.txt").read_text() == "text"
        assert "1.txt was changed since this stage wrote it" in capsys.readouterr().out
    assert (tmp_path / "1.txt.changed").read_text() == "by hand"
    assert (tmp_path / "1.txt.changed_2").read_text() == "by another hand"
    (tmp_path / "1.txt").write_text("")  # nobody made this
    assert resumed(tmp_path).notices == [] and (tmp_path / "1.txt").read_text() == "text"


def test_changes_by_hand_are_taken_into_the_account_when_asked_for(tmp_path):
    make(tmp_path)
    (tmp_path / "1.txt").write_text("by hand")
    (tmp_path / "2.txt").unlink()
    resumed(tmp_path, accept_edits=True)
    entries = {entry.id: entry for entry in read_account(tmp_path)}
    assert (tmp_path / "1.txt").read_text() == "by hand" and (tmp_path / "2.txt").read_text() == "text"
    assert entries["1"].files == {"1.txt": digest("by hand")} and entries["1"].facts == {"edited": ["1.txt"]}
    assert resumed(tmp_path).notices == [] and (tmp_path / "1.txt").read_text() == "by hand"


@pytest.mark.parametrize("complete", [True, False])
def test_overwrite_keeps_what_no_stage_wrote(tmp_path, capsys, complete):
    make(tmp_path)
    if not complete:
        (tmp_path / MANIFEST_FILE).unlink()
        (tmp_path / "9.txt").write_text("of a run that was killed")
    kept = {"review.jsonl": "an hour of reading", "notes.md": "notes", "papers/one.pdf": "pdf", "0.txt.changed": "old"}
    for name, text in kept.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    make(tmp_path, ["0"], {**SETTINGS, "threshold": 5}, overwrite=True)
    assert {name: (tmp_path / name).read_text() for name in kept} == kept
    assert names(tmp_path) == {*kept, "0.txt", SETTINGS_FILE, ACCOUNT_FILE, MANIFEST_FILE}
    assert "kept what no stage wrote: 0.txt.changed, notes.md, papers, review.jsonl" in capsys.readouterr().out


def test_an_account_that_was_changed_is_not_believed(tmp_path, capsys):
    make(tmp_path)
    clean = {name: (tmp_path / name).read_bytes() for name in names(tmp_path)}
    path = tmp_path / ACCOUNT_FILE
    path.write_text(path.read_text().replace('"ok"', '"unchanged"'))
    with StageFolder(tmp_path, SETTINGS) as folder:
        assert [folder.finished(id, digest(id)) for id in "012"] == [None] * 3
        folder.close_account([put(folder, id) for id in "012"])
    assert "was changed after the stage had ended: every sample is done again" in capsys.readouterr().out
    assert {name: (tmp_path / name).read_bytes() for name in names(tmp_path)} == clean


def test_nothing_outside_the_folder_is_removed(tmp_path):
    (tmp_path / "precious.txt").write_text("kept")
    (tmp_path / "else").mkdir()
    (tmp_path / "else/0.txt").write_text("kept")
    out = tmp_path / "out"
    with StageFolder(out, SETTINGS) as folder:
        folder.put(AccountEntry("0", "ok", source="s"), {"0.txt": "x", "link/0.txt": "y"})
    shutil.rmtree(out / "link")
    (out / "link").symlink_to(tmp_path / "else")
    with open(out / ACCOUNT_FILE, "a") as file:
        file.write('{"id":"1","outcome":"ok","files":{"../precious.txt":"x"}}\n')
    with StageFolder(out, SETTINGS) as folder:
        folder.close_account([])
    assert (tmp_path / "precious.txt").exists() and (tmp_path / "else/0.txt").exists()


def test_a_file_outside_the_folder_is_written_and_not_named(tmp_path):
    with StageFolder(tmp_path / "out", SETTINGS) as folder:
        folder.close_account([folder.put(AccountEntry("0", "ok"), {"0.txt": "x", "../chats/0.txt": "y"})])
    assert (tmp_path / "chats/0.txt").read_text() == "y"
    assert list(read_account(tmp_path / "out")[0].files) == ["0.txt"]


def test_of_a_sample_whose_name_is_too_long_nothing_is_left(tmp_path):
    with StageFolder(tmp_path / "out", SETTINGS) as folder:
        put(folder, "0")
        with pytest.raises(OSError, match="too long"):
            folder.put(AccountEntry("1", "ok"), {"1.txt": "x", f"trace/{'n' * 300}.txt": "y", "trace/1.json": "z"})
        assert sorted(path.name for path in folder.path.rglob("*.txt")) == ["0.txt"]
        assert not list(folder.path.rglob("*.part")) and not (folder.path / "trace/1.json").exists()


def test_only_the_begun_files_of_samples_are_swept_and_behind_links_too(tmp_path):
    with StageFolder(tmp_path / "out", SETTINGS) as folder:
        (tmp_path / "else").mkdir()
        (folder.path / "trace").symlink_to(tmp_path / "else")
        folder.files.parts({"0.txt": "x", "trace/0.json": "y"})
        (folder.path / ".rows.part").write_text("in use")
        folder.files.sweep()
        assert names(folder.path) - {SETTINGS_FILE, ACCOUNT_FILE} == {".rows.part"} and not list(
            (tmp_path / "else").iterdir()
        )
