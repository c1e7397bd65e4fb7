"""Sample folders: whole files or none, resume, one owner at a time, and nothing lost or left over."""

from __future__ import annotations

import errno
import json
import multiprocessing
import os
import shutil
from pathlib import Path

import pytest

from threadweaver.errors import UserError
from threadweaver.files import digest, read_jsonl, read_text, write_atomic
from threadweaver.runs.folder import (
    ACCOUNT_FILE,
    LOCK_FILE,
    MANIFEST_FILE,
    SETTINGS_FILE,
    AccountEntry,
    StageFolder,
    read_account,
)
from threadweaver.samples import Sample, list_samples, read_collected, read_sample, sample_key

SETTINGS = {"stage": "test", "input": "../in", "threshold": 200}


def put(folder: StageFolder, id: str, text: str = "text", outcome: str = "ok") -> AccountEntry:
    return folder.put(AccountEntry(id, outcome, source=digest(id)), {f"{id}.txt": text})


def make(path: Path, ids=("0", "1", "2"), settings=SETTINGS, **options) -> None:
    with StageFolder(path, settings, **options) as folder:
        folder.close_account([put(folder, id) for id in ids])


def names(path: Path) -> set[str]:
    return {str(file.relative_to(path)) for file in path.rglob("*") if file.is_file()} - {LOCK_FILE}


# ---- files


def test_a_file_is_written_whole_with_every_character(tmp_path):
    text = "a\r\nb\rc\u2028\x0c\x85 <n> é\n"
    write_atomic(tmp_path / "deep" / "0.txt", text)
    assert (tmp_path / "deep/0.txt").read_bytes() == text.encode()
    assert read_text(tmp_path / "deep/0.txt") == text
    assert (tmp_path / "deep/0.txt").stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("broken", ["replace", "chmod"])
def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch, broken):
    write_atomic(tmp_path / "0.txt", "old")

    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, broken, full)
    with pytest.raises(OSError, match="No space"):
        write_atomic(tmp_path / "0.txt", "new")
    assert names(tmp_path) == {"0.txt"} and (tmp_path / "0.txt").read_text() == "old"


@pytest.mark.parametrize("text", ["", "\n", "\n\n", "a", "a\n", "a\r\n", "a\n\n", "a\u2028", "\ud835"])
def test_exactly_one_final_newline_is_added_and_taken_off(tmp_path, text):
    write_atomic(tmp_path / "0.txt", text + "\n")
    assert read_sample(tmp_path / "0.txt") == text


def test_a_file_that_is_no_text_is_named(tmp_path):
    (tmp_path / "0.txt").write_bytes(b"ab\xff")
    with pytest.raises(UserError, match=r"0\.txt is not UTF-8 \(byte 2\)"):
        read_text(tmp_path / "0.txt")


def test_samples_come_in_the_order_of_their_numbers(tmp_path):
    for name in ("10.txt", "2.txt", "0.txt", "11.txt", "1.txt", ".3.txt.x.part", "notes.md"):
        (tmp_path / name).write_text("")
    (tmp_path / "5.txt").mkdir()
    assert [path.name for path in list_samples(tmp_path)] == ["0.txt", "1.txt", "2.txt", "10.txt", "11.txt"]
    assert list_samples(tmp_path / "2.txt") == [tmp_path / "2.txt"]


@pytest.mark.parametrize(
    ("ids", "ordered"),
    [
        (["b-10", "b-9", "a-11"], ["a-11", "b-9", "b-10"]),
        (["x", "1²2", "1"], ["1", "1²2", "x"]),
        (["", "0"], ["", "0"]),
    ],
)
def test_ids_are_ordered_by_the_numbers_in_them(ids, ordered):
    assert sorted(ids, key=sample_key) == ordered


@pytest.mark.parametrize(
    ("pattern", "says"), [("*.txt", "holds no samples"), ("/abs/*.txt", "no pattern"), ("", "no pattern")]
)
def test_a_folder_without_samples_is_an_error_and_not_a_stage_that_did_nothing(tmp_path, pattern, says):
    with pytest.raises(UserError, match=says):
        list_samples(tmp_path, pattern)
    with pytest.raises(UserError, match="is not there"):
        list_samples(tmp_path / "nowhere", pattern)


def test_every_line_of_a_jsonl_is_read_or_named(tmp_path):
    lines = [b'{"a": 1}', b"", b'{"a": ', b"\xff", b"[" * 100_000, b"9" * 5000, b'{"b": "\xe2\x80\xa8"}', b"null"]
    (tmp_path / "x.jsonl").write_bytes(b"\n".join(lines))
    found = list(read_jsonl(tmp_path / "x.jsonl"))
    assert [(number, value) for number, value, _ in found] == [
        (1, {"a": 1}),
        (3, None),
        (4, None),
        (5, None),
        (6, None),
        (7, {"b": "\u2028"}),
        (8, None),
    ]
    assert [bool(fault) for *_, fault in found] == [False, True, True, True, True, False, False]


# ---- collected samples


def collected(path: Path, *rows: dict) -> list[Sample]:
    (path / "collected.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return read_collected(path)


def row(uuid: str, **extra) -> dict:
    return {"uuid": uuid, "problem": "p", "thinking": "t", **extra}


def test_a_sample_comes_back_with_everything_it_had(tmp_path):
    full = row("set-7", solution=["1", 2.5], correctness=False, output="so", difficulty=3, extra_info={"a": [1]})
    (sample,) = collected(tmp_path, full)
    assert (sample.index, sample.solution, sample.correctness, sample.extra) == (
        7,
        ["1", 2.5],
        False,
        {"difficulty": 3, "extra_info": {"a": [1]}},
    )
    assert sample.to_row() == full


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([row("a-0"), {"uuid": "a-1", "problem": "p"}], "line 2"),
        ([row("a-0"), row("a-0")], "a-0 stands twice"),
        ([row("a-1"), row("b-1")], "index 1 stands twice"),
        ([row("a-1"), row("b")], "index 1 stands twice"),
        ([{**row("a-0"), "uuid": 5}], "line 1"),
        ([row("../../out-0")], "line 1"),
        ([{**row("a-0"), "thinking": None}], "line 1"),
        ([["uuid"]], "line 1"),
        ([row("/tmp/x-0")], "line 1"),
    ],
)
def test_samples_that_could_be_mixed_up_are_refused(tmp_path, rows, says):
    with pytest.raises(UserError, match=says):
        collected(tmp_path, *rows)


# ---- the folder of a stage


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


def test_other_inputs_are_refused_by_name(tmp_path):
    make(tmp_path / "out")
    with (
        StageFolder(tmp_path / "out", SETTINGS) as folder,
        pytest.raises(UserError, match=r"other inputs \(1 differs\).*--overwrite"),
    ):
        folder.finished("1", "another hash")


def test_overwrite_makes_it_anew(tmp_path):
    make(tmp_path / "out")
    make(tmp_path / "out", ["0"], {**SETTINGS, "threshold": 5}, overwrite=True)
    assert names(tmp_path / "out") == {"0.txt", SETTINGS_FILE, ACCOUNT_FILE, MANIFEST_FILE}


@pytest.mark.parametrize("stranger", ["notes.txt", "sub/notes.txt", "settings.json"])
@pytest.mark.parametrize("overwrite", [False, True])
def test_a_folder_that_is_not_ours_is_left_alone(tmp_path, stranger, overwrite):
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
    assert (tmp_path / "elsewhere/kept.txt").exists() and not (tmp_path / "out/link").exists()


def test_damaged_settings_are_one_line(tmp_path):
    make(tmp_path / "out")
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


def test_an_interrupted_run_keeps_what_it_did_and_says_it_is_not_done(tmp_path):
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


def test_a_moved_folder_goes_on(tmp_path):
    make(tmp_path / "out")
    shutil.move(tmp_path / "out", tmp_path / "there")
    with StageFolder(tmp_path / "there", SETTINGS) as folder:
        assert folder.finished("0", digest("0"))
