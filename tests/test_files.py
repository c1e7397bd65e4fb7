"""Files: atomic, whole, with every character; JSON lines read or named."""

from __future__ import annotations

import errno
import os

import pytest

from threadweaver.errors import UserError
from threadweaver.files import atomic_file, read_jsonl, read_text, write_atomic
from threadweaver.samples import read_sample

SETTINGS = {"stage": "test", "input": "../in", "threshold": 200}


def test_a_file_is_written_whole_with_every_character(tmp_path):
    text = "a\r\nb\rc\u2028\x0c\x85 <n> é\n"
    write_atomic(tmp_path / "deep" / "0.txt", text)
    assert (tmp_path / "deep/0.txt").read_bytes() == text.encode()
    assert read_text(tmp_path / "deep/0.txt") == text


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o027, 0o640), (0o002, 0o664)])
def test_the_mode_of_a_file_follows_the_umask(tmp_path, umask, mode):
    before = os.umask(umask)
    try:
        write_atomic(tmp_path / "0.txt", "text")
    finally:
        os.umask(before)
    assert (tmp_path / "0.txt").stat().st_mode & 0o777 == mode


@pytest.mark.parametrize("broken", ["replace", "fsync"])
def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch, broken):
    write_atomic(tmp_path / "0.txt", "old")

    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, broken, full)
    with pytest.raises(OSError, match="No space"), atomic_file(tmp_path / "0.txt", durable=True) as file:
        file.write(b"new")
    assert {path.name for path in tmp_path.iterdir()} == {"0.txt"} and (tmp_path / "0.txt").read_text() == "old"


@pytest.mark.parametrize("text", ["", "\n", "\n\n", "a", "a\n", "a\r\n", "a\n\n", "a\u2028"])
def test_exactly_one_final_newline_is_added_and_taken_off(tmp_path, text):
    write_atomic(tmp_path / "0.txt", text + "\n")
    assert read_sample(tmp_path / "0.txt") == text


def test_a_file_that_is_not_text_is_named(tmp_path):
    (tmp_path / "0.txt").write_bytes(b"ab\xff")
    with pytest.raises(UserError, match=r"0\.txt is not UTF-8 \(byte 2\)"):
        read_text(tmp_path / "0.txt")


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
