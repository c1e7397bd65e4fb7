"""Text at the edges: what is stored, what is refused, what is shown, and how deep JSON may be nested."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from threadweaver.errors import UserError
from threadweaver.files import read_json, read_jsonl, read_text, to_json, write_atomic
from threadweaver.text import (
    MAX_DEPTH,
    decode,
    fault_in,
    has_control,
    has_half,
    parse_json,
    shown,
    to_pretty_json,
    unstorable,
    what_is_wrong,
    whole,
)

ANY = st.text(
    st.one_of(
        st.characters(),
        st.characters(categories=["Cs", "Cc", "Cf", "Zl", "Zp"]),
        st.sampled_from("\0\x07\x1b\x7f\x85\u200f\u202e\u2028\ufeff\ud83d\ude00\udcff"),
    ),
    max_size=40,
)
LEAVES = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), ANY)
VALUES = st.recursive(LEAVES, lambda inner: st.lists(inner) | st.dictionaries(ANY, inner), max_leaves=20)
KEPT = "\t\n\x0b\x0c\r\x85"
"""Control characters that are white space of chains."""


@given(ANY)
def test_a_text_is_sound_or_named_with_its_place(text):
    categories = [(unicodedata.category(char), char) for char in text]
    half = any(category == "Cs" for category, _ in categories)
    control = any(category == "Cc" and char not in KEPT for category, char in categories)
    assert (has_half(text), has_control(text)) == (half, control)
    assert bool(fault_in(text)) == (half or control)
    assert unstorable([{"a": text}]) == ("broken_unicode" if half else "control_character" if control else None)
    assert unstorable({text: 1}) == unstorable(text)


@given(ANY)
def test_what_is_shown_moves_no_cursor_and_fits_any_terminal(text):
    seen = shown(text)
    assert not [char for char in seen if unicodedata.category(char) in ("Cs", "Zl", "Zp") or char in "\u202e\u200f"]
    assert not [char for char in seen if unicodedata.category(char) == "Cc" and char not in "\t\n"]
    assert shown(seen) == seen
    assert seen.encode().decode() == seen
    assert whole(text).encode().decode() == whole(text)
    assert (whole(text) == text) == (not has_half(text))


def test_a_byte_of_a_file_name_is_shown_as_that_byte():
    assert shown(b"a\xff\x1b[31m\n".decode("utf-8", "surrogateescape")) == "a\\xff\\x1b[31m\n"
    assert shown("\ud83d\u202e") == "\\ud83d\\u202e"


@given(VALUES)
def test_json_is_utf8_and_comes_back(value):
    for text in (to_json(value), to_pretty_json(value)):
        data = text.encode()
        assert parse_json(data) == json.loads(text) == json.loads(json.dumps(value))


@given(st.binary(max_size=30))
def test_bytes_are_text_or_named(data):
    try:
        text = decode(data)
    except ValueError as error:
        assert "not UTF-8 (byte " in str(error)
        with pytest.raises(ValueError):
            parse_json(data)
    else:
        assert text.encode() == data


@given(ANY)
def test_a_file_holds_the_text_or_is_not_written(tmp_path_factory, text):
    path = tmp_path_factory.getbasetemp() / "text" / "0.txt"
    path.unlink(missing_ok=True)
    try:
        write_atomic(path, text)
    except UnicodeEncodeError:
        assert has_half(text) and not path.exists() and list(path.parent.iterdir()) == []
    else:
        assert read_text(path) == text
    write_atomic(path, whole(text))
    assert read_text(path) == whole(text)


@pytest.mark.parametrize("opened", ["[", '{"a":', '[{"a":'])
@pytest.mark.parametrize("frames", [0, 300])
def test_depth_is_bounded_whoever_reads(opened, frames):
    """At the same depth wherever the reader is called from: Python's own limit counts its callers."""
    closed = "".join("]" if char == "[" else "}" for char in reversed(opened) if char in "[{")
    levels = len(closed)

    def read(text: str, frames: int) -> object:
        return read(text, frames - 1) if frames else parse_json(text)

    most = MAX_DEPTH // levels
    assert read(opened * most + "1" + closed * most, frames)
    for times in (most + 1, 500, 10_000):
        with pytest.raises(ValueError, match="nested more than 100 levels deep"):
            read(opened * times + "1" + closed * times, frames)
    assert parse_json(json.dumps("[{" * 5000)) == "[{" * 5000


DAMAGED = [b"", b"{", b"\xff", b"[" * 10_000, b'{"a":' * 10_000, b"9" * 5000, b"nul", b'{"a": 1}}', b'"\xed\xa0\xbd"']


@pytest.mark.parametrize("data", DAMAGED, ids=lambda data: repr(data[:8]))
def test_damaged_json_is_one_line(tmp_path: Path, data):
    (tmp_path / "x.json").write_bytes(data)
    with pytest.raises(UserError, match=r"x\.json is damaged \(.{3,90}\): remove it and run again") as caught:
        read_json(tmp_path / "x.json")
    assert "\n" not in str(caught.value)
    found = list(read_jsonl(tmp_path / "x.json"))
    assert [(value, bool(wrong)) for _, value, wrong in found] == [(None, True)] * bool(data)
    with pytest.raises(ValueError) as refused:
        parse_json(data)
    assert 3 < len(what_is_wrong(refused.value)) < 100
