"""Series of headed parts: which of them are complete, end where their own work ends, and stand on their own."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from threadweaver.annotators.rules.heads import NUMERAL, Head, parallel_titles
from threadweaver.annotators.rules.outlines import VERBS, propose_outlines
from threadweaver.annotators.rules.parts import Part, collects, last_end, names_all, parts_of
from threadweaver.grading import settled_at
from threadweaver.independence import Context, Lookup, Passage, leaks_of
from threadweaver.outlines.checks import check_outlines
from threadweaver.trajectory.questions import OutlineQuestion

MIN_SAVED = 200  # characters that the threads of a block have beside the longest
MIN_MEMBER = 60
STUB = 0.1  # share of the longest thread below which another one is a stub
MAX_MEMBERS = 10
SUSPECT = 0.5
"""Score of a leak from which two members are not taken for independent: the rules cannot rewrite mathematics."""
_LOOK_BACK = 1500  # characters before a series in which it is announced
_NEAR = 60  # characters before it that say whether it checks again

_TURN = re.compile(
    r"(?i)[\s*]{0,6}(?:wait|hmm+|hold on|but|however|actually|no[,.]|let['’]?s?\b|alternatively|another|now|next|okay|ok|maybe|perhaps|to (?:verify|check|confirm)|what (?:if|about))\b"
)
_GATHERING_TITLE = re.compile(
    r"(?i)\b(?:conclu\w+|summar\w+|final|answer|total|combin\w+|verif\w+|check\w*|result|overall|together|compar\w+|step|note|given|solution|remark|recap|example|verdict|correct)\b"
)
_RECHECKS = re.compile(r"(?i)\b(?:re-?(?:check|count|comput|calculat|verif|examin)|double-?check|verif|confirm)")
# Words by which a thread speaks of what a sibling did; the rules cannot tell that they point at the context.
_POINTS_BACK = re.compile(
    r"(?i)\b(?:above(?! [\d$\\])|previous(?:ly)?|earlier|as (?:in|with|for) (?:the )?(?:case|option|method|part|first|second|last|other)"
    r"|same (?:as|way|result|answer|logic|reasoning|argument|approach|process|method|thing|calculation|idea|value|number)|the same[,.]|both (?:cases|methods|options)|either way"
    r"|(?:the )?other (?:case|option|method|way|one|part)s?|first (?:case|method|option|approach|way|part)|another|symmetric\w*|by symmetry|similar to|analogous\w*|so far|matches|agrees|consistent with"
    r"|otherwise|remaining|the rest|left ?over|(?:is|are|remains?) left)\b"
)
_ANNOUNCED = re.compile(
    r"(?i)\b(two|three|four|five|six|[2-6])\s(?:\w{3,12}\s)?(?:cases|options|methods|approaches|possibilities|scenarios|ways|choices|subcases|configurations)\b"
)
_ITEM_NUMBER = re.compile(r"[\s*#]{0,6}\(?(\d{1,2})[.)]\s")
_EQUATION = re.compile(r"[\w.)}!]+\s{0,2}[=≡]\s{0,2}[^\s,;=]*[^\s,.;:=$]")
Span = tuple[int, int]


class Block(NamedTuple):
    """Members of a series that may run side by side; threads are pairs of part numbers, both included."""

    kind: str
    threads: tuple[Span, ...]


class Chain:
    """A chain as parts, with what its series are held against."""

    def __init__(self, problem: str, thinking: str):
        self.problem, self.thinking = problem, thinking
        self.parts = parts_of(thinking)
        self.lines = thinking.split("\n")
        self.starts = [0]
        for line in self.lines:
            self.starts.append(self.starts[-1] + len(line) + 1)
        self.lookup = Lookup(f"{problem}\n\n{thinking}")
        self.settled = settled_at(thinking)

    def offset(self, part: int) -> int:
        return self.starts[self.parts[part].first - 1]

    def text(self, span: Span) -> str:
        return self.thinking[self.offset(span[0]) : self.starts[self.parts[span[1]].last] - 1]

    def before(self, part: int) -> str:
        return self.thinking[: self.offset(part)]

    def context(self, part: int) -> Context:
        return Context(self.lookup, len(self.problem) + 2 + self.offset(part))


def find_blocks(chain: Chain) -> list[Block]:
    """Return every block of the chain in the order of its first line; blocks may nest."""
    found: list[Block] = []
    for run in sorted(_runs(chain.parts)):
        if chain.offset(run[0]) >= chain.settled or _peer_outside(chain, run):
            continue
        threads = _threads(chain, run)
        if threads and _stands_alone(chain, threads) and _announced(chain, threads):
            head = chain.parts[run[0]].head
            kind = {"check": "candidates", "use": "methods"}.get(
                VERBS.get(head.key.removeprefix("ordinal ").split(" ")[0], "")
            )
            found.append(Block(kind or ("quantities" if head.kind == "title" else "cases"), tuple(threads)))
    return found


def _runs(parts: Sequence[Part]) -> Iterator[list[int]]:
    """Yield the complete runs of parts that open members of one series."""
    open_runs: dict[str, list[int]] = {}
    for number, part in enumerate(parts):
        head = part.head
        if head is None:
            continue
        run = open_runs.get(head.key, [])
        if not (run and _continues([parts[member].head for member in run], head)):
            if _complete([parts[member].head for member in run]):
                yield run
            while run and not _continues([parts[member].head for member in run], head):
                run = run[1:]
        open_runs[head.key] = [*run, number]
    yield from (run for run in open_runs.values() if _complete([parts[member].head for member in run]))


def _continues(heads: Sequence[Head], head: Head) -> bool:
    if head.kind == "label":
        return heads[-1].place is not None and head.place == heads[-1].place + 1
    if head.kind == "title":
        return parallel_titles([*(other.slot for other in heads), head.slot])
    return head.slot not in [other.slot for other in heads]


def _complete(heads: Sequence[Head]) -> bool:
    """Whether a run has all its members: a labelled one begins with the first, two titles are about things of a kind."""
    gathering = any(_GATHERING_TITLE.search(head.label) for head in heads)
    return 2 <= len(heads) <= MAX_MEMBERS and not gathering and (heads[0].kind != "label" or heads[0].place == 1)


def _peer_outside(chain: Chain, run: Sequence[int]) -> bool:
    """Whether more members were announced than a run has, or one stands before it."""
    parts, first = chain.parts, chain.parts[run[0]]
    item = _ITEM_NUMBER.match(first.text)
    announced = _ANNOUNCED.findall(chain.before(run[0])[-_LOOK_BACK:]) or ["2"]
    if (item and item[1] != "1") or (NUMERAL.get(announced[-1].lower()) or int(announced[-1])) > len(run):
        return True
    if first.head.kind == "label":
        return False  # it begins with the first
    reach = max(following - member for member, following in pairwise(run))
    for number in range(run[0] - 1, max(-1, run[0] - 1 - reach), -1):
        head = parts[number].head
        if head and head.key == first.head.key:
            return first.head.kind != "title" or parallel_titles([head.slot, first.head.slot])
        if collects(parts[number].text) or names_all(parts[number].text):
            return False
    return False


def _threads(chain: Chain, run: Sequence[int]) -> list[Span] | None:
    """Return the members of a run as threads, None if one of them has no clear end or little to say."""
    end = last_end(chain.parts, run)
    if end is None:
        return None
    threads = [*((first, following - 1) for first, following in pairwise(run)), (run[-1], end)]
    sizes = [len(chain.text(span)) for span in threads]
    if min(sizes) < max(MIN_MEMBER, STUB * max(sizes)) or sum(sizes) - max(sizes) < MIN_SAVED:
        return None
    if chain.parts[run[0]].head.kind not in ("label", "case") and any(
        _TURN.match(chain.parts[number].text) for first, last in threads[:-1] for number in range(first + 1, last + 1)
    ):
        return None  # a value or a title says little about what comes a turn later
    return threads


def _stands_alone(chain: Chain, threads: Sequence[Span]) -> bool:
    """Whether no member uses or mentions another one or speaks of all, and some find what was not known."""
    texts = [chain.text(span) for span in threads]
    bodies = [text[chain.parts[first].head.end :] for text, (first, _) in zip(texts, threads, strict=True)]
    if any(map(_POINTS_BACK.search, bodies[1:])) or any(names_all(body, within=len(body)) for body in bodies):
        return False
    before = chain.before(threads[0][0])
    results = [_EQUATION.findall(text)[-1:] for text in texts]
    known = all(found and "".join(found[0].split()) in "".join(before.split()) for found in results)
    if known or _RECHECKS.search(before[-_NEAR:]):
        return False
    passages = [Passage.read(text) for text in texts]
    return not any(leak.score >= SUSPECT for leak in leaks_of(chain.context(threads[0][0]), passages))


def _announced(chain: Chain, threads: Sequence[Span]) -> bool:
    """Whether each member has an outline that announces it, and gives nothing away."""
    texts, before = tuple(chain.text(span) for span in threads), chain.before(threads[0][0])
    outlines = propose_outlines(chain.problem, before, texts)
    question = OutlineQuestion(0, chain.problem, before, texts, tuple(range(1, len(texts) + 1)))
    return bool(outlines) and not check_outlines(outlines, question)
