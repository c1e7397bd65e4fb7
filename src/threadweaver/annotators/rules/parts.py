"""A chain as parts (paragraphs, cut at headings and at lines that speak of several parts), and where a series of them ends."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from threadweaver.annotators.rules.heads import Head, head_of, rank

_CASES = r"(?:sub)?(?:cases|methods|options|ways|approaches|possibilities|scenarios|candidates)"
_MANY = r"(?:two|three|four|five|six)"
_SO = r"[\W_]{0,6}(?:(?:so|thus|therefore|hence|then|now|and|finally|next|okay|ok)\b[\s,]{1,3}){0,3}"
# A line that opens so speaks of all members: it begins a part of its own.
_GATHERS = re.compile(
    rf"(?i){_SO}(?:in total\b|overall\b|altogether\b|in all\b|in summary\b|to summari[sz]e\b|in conclusion\b|summary\b|combin(?:e|ing)\b|putting (?:it|this|these|all|everything)\b"
    rf"|in each\b|the possible \w+s\b|(?:these|both|all)(?: of)?(?: the| these)? (?:values|equations|numbers|solutions|results|pairs|them)\b)"
)
# A paragraph that opens so does, if no member has one like it.
_COLLECTS = re.compile(
    rf"(?i){_SO}(?:the (?:final )?answer\b|(?:the |grand |overall )?(?:total|sum)s?\b|(?:adding|summing|add|sum) (?:up|these|those|all|them|the results)\b"
    rf"|(?:we |i )(?:now )?have (?:a system|{_MANY} (?:possible )?(?:equations|values|candidates|cases)))"
)
# A passage with such words near its beginning does.
_NAMES_ALL = re.compile(
    rf"(?i)\b(?:(?:both|all|either|each of|none of|neither of|these|{_MANY})(?: of)?(?: the| these)?(?: possible)? {_CASES}|(?:either|each|neither) case|only (?:\w+ ){{0,2}}case"
    r"|boxed|final answer|system of (?:\w+ )?equations|comparing|so far)\b"
)
_NAMES_WITHIN = 160  # characters
_LAST_LONGER = 1.6  # times the longest sibling, up to which the last member may run before something ends it
_LAST_SPARE = 200  # characters
_TURNS_BACK = re.compile(r"(?i)[\s*]{0,6}(?:but )?(?:wait|hmm+|hold on|actually|no[,.]|oops)")
_MOVES_ON = re.compile(r"(?i)[\s*]{0,6}(?:so,? )?(?:now|next)\b")
_CONTINUES = re.compile(
    r"(?i)[\s*]{0,6}(?:(?-i:[a-z])|(?:but|however|similarly|also|likewise|another|what (?:if|about))\b|[$\\(\[=+\d-]"
    r"|(?:this (?:gives|means|is)|that|it|here|which|where|then|since|because)\b)"
)
_VALUE = re.compile(r"\d{2,}")
_ITEM = re.compile(r"\s|[-•*+]\s")


@dataclass(frozen=True, slots=True)
class Part:
    """A paragraph, or the rest of one from a heading line on. Lines count from 1, `last` included."""

    first: int
    last: int
    text: str
    head: Head | None


def names_all(text: str, within: int = _NAMES_WITHIN) -> bool:
    """Whether a passage names several parts near its beginning."""
    return _NAMES_ALL.search(text[:within]) is not None


def collects(text: str) -> bool:
    """Whether a paragraph may open as one that speaks of several parts; an item of a list speaks of its own."""
    return not _ITEM.match(text) and (_COLLECTS.match(text) or _GATHERS.match(text)) is not None


def parts_of(chain: str) -> list[Part]:
    """Return the chain's parts in order; only blank lines lie between them."""
    found: list[Part] = []
    texts: list[str] = []
    first, head = 0, None
    lines = chain.split("\n")
    for number, line in enumerate(lines, 1):
        blank = not line.strip()
        opened = None if blank else head_of(line)
        if texts and (blank or opened or (_GATHERS.match(line) and not _ITEM.match(line))):
            found.append(Part(first, number - 1, "\n".join(texts), head))
            texts = []
        if not blank:
            if not texts:
                first, head = number, opened
            texts.append(line)
    if texts:
        found.append(Part(first, len(lines), "\n".join(texts), head))
    return found


def last_end(parts: Sequence[Part], run: Sequence[int]) -> int | None:
    """Return the part that ends the last member of a run, None where the structure does not say where that is."""
    start, own = run[-1], parts[run[-1]].head
    spans, inner = list(pairwise(run)), parts[run[0] : start]
    sizes = [len(part.text) for part in parts]
    longest = max(sum(sizes[first:following]) for first, following in spans)
    counts = {following - first for first, following in spans}
    count = counts.pop() if len(counts) == 1 and (len(run) > 2 or counts == {1}) else 0
    names = {parts[number].head.label.lower() for number in run}
    values = {value for first, following in spans if (value := _last_value(parts[first:following]))}
    familiar = {_opening(part.text) for part in inner if part.head is None or part.head.key != own.key}
    moves = any(_MOVES_ON.match(part.text) for part in inner)
    wanders = own.kind == "label" and any(_TURNS_BACK.match(part.text) for part in inner)
    for number in range(start + 1, len(parts)):
        part = parts[number]
        if part.head and part.head.kind == "label" and _depth(part.head) > _depth(own):
            continue  # a part of the last member
        opens = collects(part.text) or rank(part.text) >= (rank(parts[start].text) or 2)
        joint = names_all(part.text) or sum(name in part.text.lower() for name in names) > 1
        joint |= len(values) > 1 and values <= {*_VALUE.findall(part.text)}
        if joint or (opens and _opening(part.text) not in familiar):
            return number - 1
        if part.head and _closes(part.head, own):
            return number - 1 - (number - 1 > start and parts[number - 1].text.rstrip().endswith(":"))
        if number == start + count:
            return number - 1 if _of_one_form(parts, run, count) else None
        if part.head and part.head.key == own.key:
            return None  # a further member
        if _concludes(parts[number - 1].text, own) and _MOVES_ON.match(part.text):
            return number - 1
        if (_TURNS_BACK.match(part.text) and not wanders) or (_MOVES_ON.match(part.text) and not moves):
            return None  # whether it continues the last member is not said
        if sum(sizes[start : number + 1]) > _LAST_LONGER * longest + _LAST_SPARE:
            return None
    return None


def _concludes(text: str, own: Head) -> bool:
    """Whether a part ends with a sentence that concludes for the member by name: "So there is nothing for p = 7."."""
    sentence = re.split(r"(?<=[.!?])\s+(?=[A-Z])|\n", text.strip())[-1]
    named = "".join(own.label.lower().split()) in "".join(sentence.lower().split()) or "this case" in sentence
    return named and re.match(r"(?i)[\W_]{0,6}(?:so|thus|hence|therefore)\b", sentence) is not None


def _last_value(parts: Sequence[Part]) -> str:
    return next((found[-1] for part in reversed(parts) if (found := _VALUE.findall(part.text))), "")


def _opening(text: str) -> str:
    return " ".join(re.match(r"[a-z' ]*", text[:80].strip(" *#>-\n").lower())[0].split()[:3])


def _of_one_form(parts: Sequence[Part], run: Sequence[int], count: int) -> bool:
    """Whether the last member has the form of each of the others, and nothing continues it."""
    own, following = parts[run[-1]], parts[run[-1] + count]
    peer = following.head and following.head.key == own.head.key
    if peer or _TURNS_BACK.match(following.text) or _CONTINUES.match(following.text):
        return False
    heights = [sum(part.last - part.first for part in parts[number : number + count]) for number in run]
    return min(heights[:-1]) <= heights[-1] <= max(heights[:-1])


def _depth(head: Head) -> int:
    return head.slot.count(".") + head.slot.count("-") + head.key.startswith("subcase")


def _closes(head: Head, own: Head) -> bool:
    """Whether a heading begins the next series of the kind of `own`, or the next part above it."""
    return head.kind == "label" and (_depth(head) < _depth(own) or (head.key == own.key and head.place == 1))
