"""Parse replacements from a model's reply, with its backslashes single or doubled."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Replacement:
    """What an annotator proposes: `src`, found literally in the passage, becomes `dest`."""

    src: str
    dest: str


class UnreadableReply(ValueError):
    """A reply without a JSON array of {"src", "dest"}; the text says what is missing."""


_STRING = re.compile(r'"((?:[^"\\]|\\.)*)"', re.S)
_COMMAND = re.compile(r"[A-Za-z]+")
# LaTeX commands that begin like a JSON escape. The control characters of \b, \f, \r and \t are never meant in
# mathematics, so every run of two or more letters after those is a command; a newline is common in prose ("\nThe"), so
# the commands in n are listed.
_N_COMMANDS = frozenset(
    "nabla natural ncong ne nearrow neg negthinspace neq newline nexists ngeq ngtr ni nleftarrow nleq nless nmid "
    "nobreak nolimits nonumber normalsize not notag notin nparallel nprec nrightarrow nsim nsubseteq nsucc "
    "nsupseteq nu nwarrow".split()
)
CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff]|\r(?!\n)|\t(?=[a-z])")  # UTF-8 holds no surrogate
# What is left of such a command when its backslash and n were read as a line break. Where the rest is also a word of
# prose ("less", "u"), only white space or an opening bracket before it shows that it was a command.
_PROSE_RESTS = frozenset({"e", "i", "u", "less", "mid", "parallel", "exists"})
_LOST_N = re.compile(
    rf"(?:\n(?:{'|'.join(sorted({name[1:] for name in _N_COMMANDS} - _PROSE_RESTS))})"
    rf"|(?<=[ $({{\[|])\n(?:{'|'.join(sorted(_PROSE_RESTS))}))(?![A-Za-z])"
)
_ARRAY = re.compile(r"\[\s*+[{\]]")
_STRING_OR_BRACKET = re.compile(rf"{_STRING.pattern}|[\[\]]", re.S)


def parse_reply(text: str, passage: str = "") -> list[Replacement]:
    """Return the replacements of a reply: a JSON array, perhaps in a code fence or with prose around it.

    Backslashes of mathematics may be single (`\\frac`, `\\times`, `\\neq`) or doubled. Where both readings are valid
    JSON, the one with more `src` found in `passage` is taken. Raises UnreadableReply.
    """
    arrays = _candidate_arrays(text)
    if not arrays:
        raise UnreadableReply("the reply holds no JSON array")
    fault = "the reply's JSON array cannot be read"
    for raw in arrays:
        try:
            readings = [_replacements(reading) for reading in _readings(raw)]
        except UnreadableReply as error:
            fault = str(error)
            continue
        if readings:
            return max(readings, key=lambda reading: _fit(reading, passage))
    raise UnreadableReply(fault)


def _candidate_arrays(text: str) -> list[str]:
    """Return the balanced […] that contain an object, the longest first, or else the first other one."""
    found, at = [], 0
    while opening := _ARRAY.search(text, at):
        end = _array_end(text, opening.start())
        if end:
            found.append(text[opening.start() : end])
        at = end or opening.end()
    return sorted((raw for raw in found if "{" in raw), key=len, reverse=True) or found[:1]


def _array_end(text: str, start: int) -> int | None:
    """Return where the array that opens at `start` ends; brackets inside its strings do not count."""
    depth = 0
    for match in _STRING_OR_BRACKET.finditer(text, start):
        depth += {"[": 1, "]": -1}.get(match.group(), 0)
        if depth == 0:
            return match.end()
    return None


def _readings(raw: str) -> list[object]:
    """Return the array read as JSON and as JSON with raw LaTeX, in this order."""
    readings = []
    for candidate in dict.fromkeys((raw, _STRING.sub(_double_raw_backslashes, raw))):
        try:
            readings.append(json.loads(candidate, strict=False))
        except json.JSONDecodeError:
            continue
    return readings


def _double_raw_backslashes(match: re.Match[str]) -> str:
    body, out, at = match.group(1), [], 0
    while at < len(body):
        if body[at] != "\\":
            out.append(body[at])
            at += 1
            continue
        follows = body[at + 1 : at + 2]
        if follows in ("\\", '"', "/"):
            out.append(body[at : at + 2])
            at += 2
        else:
            out.append("\\" if _is_json_escape(body, at + 1) else "\\\\")
            at += 1
    return '"' + "".join(out) + '"'


def _is_json_escape(body: str, at: int) -> bool:
    """Return whether a JSON escape follows the backslash, not a LaTeX command."""
    letter = body[at : at + 1]
    if letter == "u":
        return re.fullmatch(r"[0-9a-fA-F]{4}", body[at + 1 : at + 5]) is not None
    if letter not in "bfnrt" or not letter:
        return False
    run = _COMMAND.match(body, at).group()
    return run not in _N_COMMANDS if letter == "n" else len(run) == 1


def _replacements(value: object) -> list[Replacement]:
    if not isinstance(value, list):
        raise UnreadableReply("the reply is not a JSON array")
    result = []
    for number, item in enumerate(value, 1):
        if not isinstance(item, dict) or not all(isinstance(item.get(key), str) for key in ("src", "dest")):
            raise UnreadableReply(f'element {number} is not an object with the strings "src" and "dest"')
        result.append(Replacement(item["src"], item["dest"]))
    return result


def _fit(reading: Sequence[Replacement], passage: str) -> tuple[int, int]:
    found = sum(bool(item.src) and item.src in passage for item in reading)
    texts = [text for item in reading for text in (item.src, item.dest)]
    damage = sum(len(CONTROL.findall(text)) + len(_LOST_N.findall(text)) for text in texts)
    return found, -damage
