"""What a passage continues: an equation that a sibling began, several results of siblings in one expression."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from threadweaver.independence.context import Context
from threadweaver.independence.evidence import Leak
from threadweaver.independence.formulas import scan_formulas
from threadweaver.independence.passage import Passage

_MID_FORMULA = 0.85  # it begins with a relation sign: the left side is in the passage before
_OPEN_END = 0.8
_LAST_EQUATION = 0.75
_GATHERED = 0.8
_FIRST_LINES = 2
_LINE = 200  # characters of a line that count as its beginning or its end
_TAIL = 300  # characters at the end of a passage in which its result is
_MIN_SIDE = 6  # characters

_BEGINS_INSIDE = re.compile(
    r"(?:\$\$?|\\\[|\\\(|\\begin\{\w+\*?\})?[ \t&]{0,8}"
    r"(?:=(?![=>])|≈|≤|≥|≡|\\(?:implies|Rightarrow|approx|leq?|geq?|equiv|iff)(?![A-Za-z])|⇒|=>|[+*/×·](?=\s?[\w\\({]))"
)
_BULLET = re.compile(r"[*+] ")
_ENDS_OPEN = re.compile(r"(?:[=+×·≈]|\\implies|\\cdot|\\times|⇒)[ \t]{0,8}(?:\\[\])]|\$\$?)?$")
_OPERAND = r"(?:\d{1,9}(?:\.\d{1,9})?(?:/\d{1,9})?|\\[dt]?frac\{\d{1,9}\}\{\d{1,9}\})"
_SIGN = r"[ \t$]{0,3}(?:\+|\*|×|·|\\cdot|\\times)[ \t$]{0,3}"
_EXPRESSION = re.compile(rf"(?<![\w.^]){_OPERAND}(?:{_SIGN}{_OPERAND}){{1,20}}+(?![\w^]|{_SIGN})")
_OPERANDS = re.compile(_OPERAND)
_FRACTION = re.compile(r"\\[dt]?frac\{(\d+)\}\{(\d+)\}")
_RESULT = re.compile(
    rf"(?:=|≈|\\boxed\{{|\b(?:is|are|gives?|get|have|equals|yields?|leaves?|total(?:s|ing)?)[ \t]+(?:exactly |only )?)"
    rf"[ \t$*\\({{]{{0,6}}({_OPERAND})(?![\w^]|[.,/]\d|{_SIGN})"
)


def continued_equation(context: Context, passages: Sequence[Passage], target: int) -> Iterator[Leak]:
    """Find an equation of the sibling just before that the passage continues in its first lines."""
    before, passage = passages[target - 1].text, passages[target]
    end, start = before.rstrip()[-_LINE:], passage.text[:_LINE].lstrip(" \t\n>#-")
    where = max(0, len(before.rstrip()) - 1)
    if found := _BEGINS_INSIDE.match(start):
        if not _BULLET.match(start):
            yield Leak(target - 1, target, "equation", found[0].strip(), where, 0, _MID_FORMULA)
    elif found := _ENDS_OPEN.search(end):
        yield Leak(target - 1, target, "equation", found[0].strip(), where, 0, _OPEN_END)
    else:
        yield from _last_equation(context, passages, target)


def _last_equation(context: Context, passages: Sequence[Passage], target: int) -> Iterator[Leak]:
    """Find a side of the equation that a sibling ends on in the first lines of a passage, unknown to the context."""
    before, passage = passages[target - 1].text.rstrip(), passages[target]
    offset = max(before.rfind("\n") + 1, len(before) - _LINE)
    last = {find.name: find for find in scan_formulas(before[offset:]) if len(find.name) >= _MIN_SIDE}
    if not last or "\n" not in before.strip():
        return  # its only line is its beginning too: both start from the same
    for find in scan_formulas(_first_lines(passage.text)):
        known = last.get(find.name)
        if known and not context.holds(("expression", find.name), find.raw) and find.offset <= passage.opening_end:
            yield Leak(target - 1, target, "equation", find.name, offset + known.offset, find.offset, _LAST_EQUATION)
            return


def _first_lines(text: str) -> str:
    lines = [line[:_LINE] for line in text[: 10 * _LINE].split("\n")]
    filled = [number for number, line in enumerate(lines) if line.strip()][:_FIRST_LINES]
    return "\n".join(lines[: filled[-1] + 1]) if filled else ""


def gathered_results(context: Context, passages: Sequence[Passage], target: int) -> Iterator[Leak]:
    """Find sums and products whose operands are the last results of several earlier siblings."""
    results = [_last_result(passage.text) for passage in passages[:target]]
    text = passages[target].text
    for match in _EXPRESSION.finditer(text):
        operands = [_plain(number) for number in _OPERANDS.findall(match[0])]
        used = _assigned(operands, results)
        # two single digits meet by chance, and so does what the passage itself or the context speaks of
        if len(used) < 2 or len(used) < len(operands) or (len(used) == 2 and max(map(len, operands)) == 1):
            continue
        if any(_stands(number, text, match.start()) or _known(context, number) for number in set(operands)):
            continue
        for source, number in used:
            yield Leak(
                source, target, "results", f"{number} in {match[0]}", results[source][1], match.start(), _GATHERED
            )
        return


def _assigned(operands: Sequence[str], results: Sequence[tuple[str, int] | None]) -> list[tuple[int, str]]:
    """Return the siblings, each once, whose results are these operands."""
    free, used = list(operands), []
    for source, result in enumerate(results):
        if result and result[0] in free:
            free.remove(result[0])
            used.append((source, result[0]))
    return used


def _last_result(text: str) -> tuple[str, int] | None:
    """Return the number that a passage ends on, and its offset."""
    offset = max(0, len(text) - _TAIL)
    found = list(_RESULT.finditer(text, offset))
    return (_plain(found[-1][1]), found[-1].start(1)) if found else None


def _plain(number: str) -> str:
    return _FRACTION.sub(r"\1/\2", number)


def _stands(number: str, text: str, end: int) -> bool:
    return re.compile(rf"(?<![\d.]){re.escape(number)}(?!\d|\.\d)").search(text, 0, end) is not None


def _known(context: Context, number: str) -> bool:
    """Whether the context holds a number of two digits or more; single digits are in every text."""
    return len(number) > 1 and context.holds(("number", number), number)
