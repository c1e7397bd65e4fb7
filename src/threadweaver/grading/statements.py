r"""Where a text states its final answer: `\boxed{20}`, "the answer is 20", a line "Final Answer" before it."""

from __future__ import annotations

import re

from threadweaver.grading.boxed import final_answer

_STATED = re.compile(
    r"\\boxed\s{0,3}\{|\b(?:final answer|answer)\b[\s*]{0,4}(?:is|are|should be|would be|must be|will be|:|=)[\s:*$({]{0,8}",
    re.IGNORECASE,
)
# A line of its own before the answer, which then stands alone in a line.
_HEADED = re.compile(
    r"^[ \t#*]{0,8}final answer[ \t:*]{0,6}\n\s{0,4}(?P<alone>[^\n]{1,60})$", re.IGNORECASE | re.MULTILINE
)
_REACH = 60  # characters after "the answer is" in which the answer begins
_WRAPPING = re.compile(r"\\[()\[\]]|\\(?:text|mathrm|left|right|displaystyle|[,;!: ])|[\s${}*]")


def statements(text: str) -> list[tuple[int, str]]:
    """Return the offset of each statement of an answer, and what it states, without blanks and marks."""
    found = []
    for match in _STATED.finditer(text):
        if match[0].startswith("\\"):
            stated = _first_box(text, match.end())
        else:
            stated = text[match.end() : match.end() + _REACH].split("\n")[0]
            stated = "" if "\\boxed" in stated else stated  # the box is the statement
        if stated and stated.strip():
            found.append((match.start(), _bare(stated)))
    return found


def settled_at(text: str, answer: str | None = None) -> int:
    """Return where the final answer is first stated for good: no other answer is stated from there on.

    `answer` is the final answer, by default that of the text; the text's length is returned where it is never stated.
    """
    headed = {
        match.start(): _bare(match["alone"]) for match in _HEADED.finditer(text) if "\\boxed" not in match["alone"]
    }
    found = sorted([*statements(text), *headed.items()])
    wanted = _bare(answer or final_answer(text) or (found[-1][1] if found else ""))
    settled = len(text)
    for offset, stated in reversed(found):
        if _same(stated, wanted):
            settled = offset
        elif offset not in headed:  # what stands below a heading may be the answer in words
            break
    return settled


def _first_box(text: str, start: int) -> str | None:
    depth = 1
    for at in range(start, min(len(text), start + 300)):
        depth += (text[at] == "{") - (text[at] == "}")
        if depth == 0:
            return text[start:at]
    return None


def _bare(text: str) -> str:
    return _WRAPPING.sub("", text).strip(".,;:").lower()


def _same(stated: str, wanted: str) -> bool:
    """Whether a statement begins with the answer, which no digit or letter continues."""
    if not wanted:
        return False
    after = stated[len(wanted) :]
    return stated.startswith(wanted) and not (after[:1].isdigit() or (after[:1] == "." and after[1:2].isdigit()))
