"""Find JSON in a model's reply and read it leniently: in one pass, to a bounded depth, without guessing.

Read although it is not strict: prose and code fences around a value, comments, a trailing comma, no comma between two
objects, keys without quotes, Python's constants, full-width punctuation, strings in curly quotes or, where their end is
unambiguous, in single ones, line breaks inside strings, LaTeX with single backslashes. A value with anything else in it
is broken.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from threadweaver.trajectory.reply_text import UNWRITABLE

MAX_DEPTH = 32
"""A value nested more deeply is broken: no reply that is asked for needs more than five."""

_OPENING = re.compile(r"[\[{]")
_STRING = re.compile(
    r'"(?P<double>(?:[^"\\]|\\.)*+)"'
    r"|'(?P<single>(?:[^'\\\n]|\\.)*+)'(?=\s*+[,:}\]])"
    r"|“(?P<curly>[^“”]*+)”(?=\s*+[,:}\]，：])",
    re.DOTALL,
)
_BLANK = re.compile(r"(?:\s++|(?://|#)[^\n]*+)*+")
_NUMBER = re.compile(r"-?\d{1,300}+(?:\.\d{1,300}+)?(?:[eE][+-]?\d{1,5}+)?(?![\w.])")
_NAME = re.compile(r"[A-Za-z_]\w*+")
_CONSTANTS = {"true": True, "false": False, "null": None, "True": True, "False": False, "None": None}


class RawString(str):
    """The body of a string as the model typed it between the quotes: its escapes are not read yet."""


@dataclass(frozen=True, slots=True)
class Found:
    """An outermost array or object, from `start` to `end`; `value` is None for a broken one that had a key in quotes."""

    start: int
    end: int
    value: list | dict | None


def find_values(text: str) -> Iterator[Found]:
    """Yield the outermost arrays and objects of a text in order, with the broken ones that had a key in quotes.

    Strings are `RawString`s, see `readings`. Takes time linear in the length of the text, whatever it holds.
    """
    at = 0
    while opening := _OPENING.search(text, at):
        parser = _Parser(text, opening.start())
        value = parser.parse()
        if value is not None or parser.keyed:
            yield Found(opening.start(), parser.at, value)
        # a string that began in prose may have swallowed the real beginning
        at = parser.at if value is not None or parser.last_string is None else parser.last_string + 1
        at = max(at, opening.end())


class _Open:
    """A container under way, and what it waits for: a key, a colon, a value, or what follows a value."""

    def __init__(self, mark: str):
        self.value: list | dict = [] if mark == "[" else {}
        self.key = ""
        self.waits = "value" if mark == "[" else "key"

    @property
    def is_list(self) -> bool:
        return isinstance(self.value, list)

    def takes(self, mark: str) -> bool:
        """Whether a value that begins with this mark may come; a comma may be missing between two objects."""
        forgotten = self.is_list and self.waits == "more" and mark == "{" and isinstance(self.value[-1], dict)
        return self.waits == "value" or forgotten

    def ends(self, mark: str) -> bool:
        return self.waits in ("more", "value" if self.is_list else "key") and self.is_list == (mark == "]")

    def put(self, value: object) -> None:
        if self.is_list:
            self.value.append(value)
        else:
            self.value[self.key] = value
        self.waits = "more"

    def put_key(self, key: str) -> None:
        self.key, self.waits = key, "colon"


class _Parser:
    """Parses one array or object; `at` is where it ended, or where it broke. `last_string`: the last token is a string
    that begins there. `keyed`: there was an object's key in quotes, so that
    this is no set or command of LaTeX.
    """

    def __init__(self, text: str, start: int):
        self.text, self.at = text, start
        self.open: list[_Open] = []
        self.last_string: int | None = None
        self.keyed = False

    def parse(self) -> list | dict | None:
        """Return the value, or None if it is broken."""
        while self._skip_blanks():
            mark = self.text[self.at]
            if mark in "]}" and self.open[-1].ends(mark):
                done = self.open.pop().value
                self._advance(1)
                if not self.open:
                    return done
                self.open[-1].put(done)
            elif not (self._punctuation(mark) or self._string() or self._bare()):
                return None
        return None

    def _skip_blanks(self) -> bool:
        """Skip blanks and comments; return whether anything follows."""
        self.at = _BLANK.match(self.text, self.at).end()
        while self.text.startswith("/*", self.at):
            end = self.text.find("*/", self.at)
            self.at = _BLANK.match(self.text, end + 2).end() if end >= 0 else len(self.text)
        return self.at < len(self.text)

    def _advance(self, count: int) -> None:
        self.at += count
        self.last_string = None

    def _punctuation(self, mark: str) -> bool:
        top = self.open[-1] if self.open else None
        if mark in "[{":
            if len(self.open) == MAX_DEPTH or (top and not top.takes(mark)):
                return False
            self.open.append(_Open(mark))
        elif mark in ",，" and top.waits == "more":
            top.waits = "value" if top.is_list else "key"
        elif mark in ":：" and top.waits == "colon":
            top.waits = "value"
            self.keyed = self.keyed or self.last_string is not None
        else:
            return False
        self._advance(1)
        return True

    def _string(self) -> bool:
        top = self.open[-1]
        found = _STRING.match(self.text, self.at) if top.waits in ("key", "value") else None
        if not found:
            return False
        body = _body(found)
        if top.waits == "key":
            top.put_key(body)
        else:
            top.put(body)
        self.last_string, self.at = self.at, found.end()
        return True

    def _bare(self) -> bool:
        """Take a number or a constant, or a key without quotes."""
        top = self.open[-1]
        number, name = _NUMBER.match(self.text, self.at), _NAME.match(self.text, self.at)
        found = number or name
        if not found or (top.waits == "value" and name and name[0] not in _CONSTANTS):
            return False
        if top.waits == "key":
            top.put_key(found[0])
        elif top.waits == "value":
            top.put(_CONSTANTS[name[0]] if name else json.loads(_as_json(number[0])))
        else:
            return False
        self._advance(len(found[0]))
        return True


def _as_json(number: str) -> str:
    """Return a number without the leading zeros that JSON does not allow."""
    return re.sub(r"^(-?)0+(?=\d)", r"\1", number)


def _body(string: re.Match[str]) -> RawString:
    """Return a string's body as it would be typed between double quotes."""
    if string["double"] is not None:
        return RawString(string["double"])
    text = string["single"].replace("\\'", "'") if string["curly"] is None else string["curly"]
    return RawString(re.sub(r'(\\.)|"', lambda match: match[1] or '\\"', text, flags=re.DOTALL))


# ---- escapes

_COMMAND = re.compile(r"[A-Za-z]+")
# LaTeX commands that begin like a JSON escape. The control characters of \b, \f, \r and \t are never meant in
# mathematics, so every run of two or more letters after those is a command; a newline is common in prose ("\nThe"), so
# the commands in n are listed.
_N_COMMANDS = frozenset(
    "nabla natural ncong ne nearrow neg negthinspace neq newline nexists ngeq ngtr ni nleftarrow nleq nless nmid "
    "nobreak nolimits nonumber normalsize not notag notin nparallel nprec nrightarrow nsim nsubseteq nsucc "
    "nsupseteq nu nwarrow".split()
)
CONTROL = re.compile(rf"{UNWRITABLE.pattern}|\r(?!\n)|\t(?=[a-z])")
"""What no text may hold, and what else decoding LaTeX as escapes leaves behind."""
# What is left of such a command when its backslash and n were read as a line break. Where the rest is also a word of
# prose ("less", "u"), only white space or an opening bracket before it shows that it was a command.
_PROSE_RESTS = frozenset({"e", "i", "u", "less", "mid", "parallel", "exists"})
_LOST_N = re.compile(
    rf"(?:\n(?:{'|'.join(sorted({name[1:] for name in _N_COMMANDS} - _PROSE_RESTS))})"
    rf"|(?<=[ $({{\[|])\n(?:{'|'.join(sorted(_PROSE_RESTS))}))(?![A-Za-z])"
)


def readings(value: object) -> list:
    """Return a found value read as JSON and as JSON with raw LaTeX, in this order; a reading may be impossible, and the
    two may be the same."""
    read = []
    for decode in (_decode, _decode_latex):
        try:
            read.append(_mapped(value, decode))
        except json.JSONDecodeError:
            continue
    return read


def damage(text: str) -> int:
    """Count what looks like LaTeX that was decoded as an escape."""
    return len(CONTROL.findall(text)) + len(_LOST_N.findall(text))


def _mapped(value: object, decode: Callable[[str], str]) -> object:
    """Return a value with its strings decoded; its depth is bounded."""
    if isinstance(value, RawString):
        return decode(value)
    if isinstance(value, list):
        return [_mapped(item, decode) for item in value]
    if isinstance(value, dict):
        return {_mapped(key, decode): _mapped(item, decode) for key, item in value.items()}
    return value


def _decode(body: str) -> str:
    return json.loads(f'"{body}"', strict=False)


def _decode_latex(body: str) -> str:
    return _decode(_double_raw_backslashes(body))


def _double_raw_backslashes(body: str) -> str:
    out, at = [], 0
    while at < len(body):
        found = body.find("\\", at)
        if found < 0:
            out.append(body[at:])
            break
        out.append(body[at:found])
        follows = body[found + 1 : found + 2]
        if follows in ("\\", '"', "/"):
            out.append(body[found : found + 2])
            at = found + 2
        else:
            out.append("\\" if _is_json_escape(body, found + 1) else "\\\\")
            at = found + 1
    return "".join(out)


def _is_json_escape(body: str, at: int) -> bool:
    """Return whether a JSON escape follows the backslash, not a LaTeX command."""
    letter = body[at : at + 1]
    if letter == "u":
        return re.fullmatch(r"[0-9a-fA-F]{4}", body[at + 1 : at + 5]) is not None
    if letter not in "bfnrt" or not letter:
        return False
    run = _COMMAND.match(body, at).group()
    return run not in _N_COMMANDS if letter == "n" else len(run) == 1
