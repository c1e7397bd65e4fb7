"""Text at every edge of the program: what a text may hold, how any text is shown, and JSON of bounded depth.

Stored text is UTF-8. Half a character (a lone surrogate, which a JSON escape or a file name can bring) and control
characters are refused as the fault of the sample they are in; what is only shown has them escaped.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping

MAX_DEPTH = 100
"""Levels of JSON. Python's own limit depends on who called; ours is far below it, so that whatever is read can also
be copied and written."""

_TOO_DEEP = f"nested more than {MAX_DEPTH} levels deep"
_HALF = re.compile(r"[\ud800-\udfff]")
# White space that chains have (tab, line feeds, form feed, next line) is none of them.
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f]")
_CONTROL_BYTES = bytes([*range(9), *range(0x0E, 0x20), 0x7F])
_HIGH_CONTROL = re.compile(rb"\xc2[\x80-\x84\x86-\x9f]")
# What moves the cursor, reverses the line or breaks it where a reader of one line does not expect it.
_UNSHOWN = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)


def fault_in(text: str) -> str:
    """Return what no stored text may hold, with its place; empty for a sound text."""
    if has_half(text):
        return _named("half a character", _HALF.search(text))
    return _named("a control character", _CONTROL.search(text)) if has_control(text) else ""


def _named(kind: str, found: re.Match) -> str:
    return f"{kind} (U+{ord(found[0]):04X} at {found.start()})"


def has_half(text: str) -> bool:
    """Return whether half of a UTF-16 pair is in the text: no tokenizer, parquet or UTF-8 file can hold it."""
    try:
        text.encode()  # ten times as fast as a search
    except UnicodeEncodeError:
        return True
    return False


def has_control(text: str) -> bool:
    """Return whether a control character other than white space is in the text."""
    data = text.encode("utf-8", "surrogatepass")
    return len(data.translate(None, _CONTROL_BYTES)) < len(data) or bool(_HIGH_CONTROL.search(data))


def unstorable(value: object) -> str | None:
    """Return the reason code if a text in this JSON value must not be stored: `broken_unicode`, `control_character`."""
    texts = list(_texts(value))
    if any(map(has_half, texts)):
        return "broken_unicode"
    return "control_character" if any(map(has_control, texts)) else None


def _texts(value: object) -> Iterable[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        yield from _texts([*value.keys(), *value.values()])
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _texts(part)


def shown(text: str) -> str:
    """Return a text for a terminal or a page: what it cannot show, or what would change how the rest is shown, is
    escaped. Line feeds and tabs stay."""
    return _UNSHOWN.sub(_escape, text)


def whole(text: str) -> str:
    """Return a text that UTF-8 can hold: half characters are escaped, everything else stays."""
    return _HALF.sub(_escape, text) if has_half(text) else text


def _escape(found: re.Match) -> str:
    code = ord(found[0])
    if 0xDC80 <= code <= 0xDCFF:  # a byte of a file name that is not UTF-8
        return f"\\x{code - 0xDC00:02x}"
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def decode(data: bytes) -> str:
    """Return the text of UTF-8 bytes; raises ValueError naming the first other byte."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8 (byte {error.start})") from None


def parse_json(content: str | bytes) -> object:
    """Return the value of a JSON text; raises ValueError saying what is wrong with it."""
    text = decode(content) if isinstance(content, bytes) else content
    try:
        value = json.loads(text)
    except RecursionError:
        raise ValueError(_TOO_DEEP) from None
    if text.count("[") + text.count("{") > MAX_DEPTH and _is_deep(value):
        raise ValueError(_TOO_DEEP)
    return value


def _is_deep(value: object) -> bool:
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [part for item in level for part in _parts(item)]
    return any(isinstance(item, dict | list) for item in level)


def _parts(value: object) -> Iterable[object]:
    """Return the containers in a container."""
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [part for part in parts if isinstance(part, dict | list)]


def what_is_wrong(error: ValueError) -> str:
    """Return in short why `parse_json` refused a text."""
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg}, line {error.lineno}" if error.lineno > 1 else error.msg
    return str(error).split(":")[0][:80]


def to_json(value: object) -> str:
    """Return compact JSON on one line; text outside ASCII is kept, half characters are written as escapes."""
    return _escaped(json.dumps(value, ensure_ascii=False, separators=(",", ":")))


def to_pretty_json(value: object) -> str:
    """Return JSON for people, one field a line, with a final newline; otherwise as `to_json`."""
    return _escaped(json.dumps(value, ensure_ascii=False, indent=1)) + "\n"


def _escaped(text: str) -> str:
    return _HALF.sub(lambda half: f"\\u{ord(half[0]):04x}", text) if has_half(text) else text
