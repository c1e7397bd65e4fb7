"""Series of headed parts: which of them are complete, end where their own work ends, and stand on their own."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from threadweaver.annotators.rules.heads import Head, is_section, parallel_titles
from threadweaver.annotators.rules.outlines import propose_outlines
from threadweaver.annotators.rules.parts import Part, parts_of
from threadweaver.grading import settled_at
from threadweaver.independence import Context, Lookup, Passage, leaks_of
from threadweaver.outlines.checks import check_outlines
from threadweaver.trajectory.questions import OutlineQuestion

MIN_SAVED = 200
"""Characters that the threads of a block have beside the longest."""
MIN_MEMBER = 40
MAX_MEMBERS = 10
SUSPECT = 0.5
"""Score of a leak from which two members are not taken for independent: the rules cannot rewrite mathematics."""
_LOOK_BACK = 1500  # characters before a series in which it is announced
_LAST_LONGER = 1.6  # times the longest sibling, up to which the last member may run without a natural end
_LAST_SPARE = 200  # characters
_LEAST_OF_LONGEST = 0.3

# A paragraph that opens so speaks about all members, or about the problem as a whole.
_JOINT = re.compile(
    r"\b(?:in total|overall|altogether|in all|in summary|to summari[sz]e|in conclusion|summary|combin\w+|adding|subtracting|summing|putting (?:it|this|these|all|everything)"
    r"|both (?:cases|methods|options|ways|parts|values|of|equations)|all (?:the )?(?:cases|options|methods|parts|values|of (?:them|these|this))|either case|each (?:case|option)|neither|none of"
    r"|(?:final|correct|the|our) answer|boxed|only (?:\w+ ){0,2}(?:case|option|solution|one|possib\w+|valid|value)|these (?:cases|values|results|options)"
    r"|the solutions? (?:are|is|to)|so far|(?:two|three|four|five) (?:cases|solutions|values|possibilities)|system of|comparing|the (?:smallest|largest|minimum|maximum)(?: value| of)?)\b"
    r"|\A[\W_]{0,6}(?:(?:so|thus|therefore|hence|then|now|the|grand|overall|and)[\s,]{1,3}){0,3}(?:total|sum)s?\b"
    r"|\A[\W_]{0,6}(?:so|sum|result|together)\s?:",
    re.IGNORECASE,
)
_ABOUT_ALL = re.compile(
    r"\b(?:both (?:cases|methods|options|ways|parts)|all (?:the )?(?:cases|options|methods|parts)|(?:final|correct) answer|boxed|overall|altogether|in total)\b",
    re.IGNORECASE,
)
_TURN = re.compile(
    r"[\s*]{0,6}(?:wait|hmm+|hold on|but|however|actually|no[,.]|let (?:me|us|'s)|let['’]s|alternatively|another|now|next|okay|ok|alright|maybe|perhaps|given that|looking"
    r"|to (?:verify|check|confirm|be sure|double)|just to|i (?:should|think|need|can|could)|we (?:need|can|should|also)|what (?:if|about)|first|then|also|similarly|since|this (?:problem|means that the))\b",
    re.IGNORECASE,
)
_UNSURE = re.compile(
    r"[\s*]{0,6}(?:wait|hmm+|hold on|but|however|actually|no[,.]|oops|similarly|also|likewise|another|what (?:if|about))",
    re.IGNORECASE,
)
_CONCLUDED = re.compile(
    r"\A[\W_]{0,6}(?:so|thus|therefore|hence|this|that)\b|\b(?:so|thus|hence|therefore|no solutions?|impossible|contradiction|works|not possible|invalid|which (?:gives|is))\b",
    re.IGNORECASE,
)
_GATHERS = re.compile(
    r"\b(?:conclu\w+|summar\w+|final|answer|total|combin\w+|verif\w+|check\w*|result|overall|together|compar\w+|step|note|given|solution|remark|recap)\b",
    re.IGNORECASE,
)
# Words by which a thread speaks of what a sibling did; the rules cannot tell that they point at the context.
_POINTS_BACK = re.compile(
    r"\b(?:above|previous(?:ly)?|earlier|as (?:in|with|for) (?:the )?(?:case|option|method|part|first|second|last|other)"
    r"|same (?:as|way|result|answer|logic|reasoning|argument|approach|process|method|thing|calculation|idea|value|number)|the same[,.]|both (?:cases|methods|options)|either way"
    r"|(?:the )?other (?:case|option|method|way|one|part)s?|first (?:case|method|option|approach|way|part)|again[,.]? (?:we|the|this|it)|symmetric\w*|by symmetry|similar(?:ly)?|likewise|analogous\w*|so far|matches|agrees|consistent with)\b",
    re.IGNORECASE,
)
_HEADING_WORDS = 60  # characters of a thread in which such a word is taken away by an edit
_ANNOUNCED = re.compile(
    r"\b(two|three|four|five|six|[2-6])\s(?:\w{3,12}\s)?(?:cases|options|methods|approaches|possibilities|scenarios|ways|choices|subcases|configurations)\b",
    re.IGNORECASE,
)
_COUNT = {"two": 2, "three": 3, "four": 4, "five": 5, "six": 6}
KINDS = {"option": "candidates", "choice": "candidates", "letter": "candidates", "candidate": "candidates"}
KINDS |= {"method": "methods", "approach": "methods", "way": "methods", "interpretation": "attempts"}


@dataclass(frozen=True, slots=True)
class Block:
    """Neighbouring members of a series that may run side by side; threads are pairs of part numbers, both included."""

    kind: str
    """cases, methods, quantities or candidates, as in a step annotation."""
    novelty: str
    threads: tuple[tuple[int, int], ...]


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

    def text(self, span: tuple[int, int]) -> str:
        return self.thinking[self.offset(span[0]) : self.starts[self.parts[span[1]].last] - 1]

    def context(self, part: int) -> Context:
        return Context(self.lookup, len(self.problem) + 2 + self.offset(part))


def find_blocks(chain: Chain) -> list[Block]:
    """Return every block of the chain in the order of its first line; blocks may nest."""
    found: list[Block] = []
    for run in sorted(_runs(chain.parts)):
        threads = _threads(chain, run)
        if threads and chain.offset(threads[0][0]) < chain.settled and _stands_alone(chain, threads):
            head = chain.parts[run[0]].head
            block = Block(_kind(head), "new work", tuple(threads))
            if any(_labels(chain, block) <= _labels(chain, other) for other in found):
                block = replace(block, novelty="re-check")
            found.append(block)
    return found


def _labels(chain: Chain, block: Block) -> set[str]:
    return {chain.parts[first].head.label.lower() for first, _ in block.threads}


def _kind(head: Head) -> str:
    noun = head.key.removeprefix("ordinal ").split(" ")[0]
    return KINDS.get(noun, "cases" if head.kind != "title" else "quantities")


def _runs(parts: Sequence[Part]) -> Iterator[list[int]]:
    """Yield the complete runs of parts that open members of one series."""
    open_runs: dict[str, list[int]] = {}
    for number, part in enumerate(parts):
        head = part.head
        if head is None:
            continue
        run = open_runs.get(head.key, [])
        if run and _continues([parts[member].head for member in run], head):
            run.append(number)
            continue
        if _complete([parts[member].head for member in run]):
            yield run
        open_runs[head.key] = [number]
    yield from (run for run in open_runs.values() if _complete([parts[member].head for member in run]))


def _continues(heads: Sequence[Head], head: Head) -> bool:
    if head.kind == "label":
        return heads[-1].place is not None and head.place == heads[-1].place + 1
    if head.kind == "title":
        return parallel_titles([*(other.slot for other in heads), head.slot])
    slots = [other.slot for other in heads]
    return head.slot not in slots and (head.kind == "case" or _even_steps([*slots, head.slot]))


def _even_steps(slots: Sequence[str]) -> bool:
    """Whether values go in even steps: values tried by turns ("7, then 5, then 6") build on one another."""
    try:
        numbers = [float(slot) for slot in slots]
    except ValueError:
        return True
    steps = {round(later - earlier, 6) for earlier, later in pairwise(numbers)}
    return len(steps) == 1 or len(numbers) == 2


def _complete(heads: Sequence[Head]) -> bool:
    """Whether a run has all its members: a labelled one begins with the first, two titles are about things of a kind."""
    if not 2 <= len(heads) <= MAX_MEMBERS or any(_GATHERS.search(head.label) for head in heads):
        return False
    return heads[0].kind != "label" or heads[0].place == 1


def _threads(chain: Chain, run: Sequence[int]) -> list[tuple[int, int]] | None:
    """Return the members of a run as threads, None if one of them has no clear end or little to say."""
    threads = [(first, following - 1) for first, following in pairwise(run)]
    longest = max(len(chain.text(span)) for span in threads)
    end = _last_end(chain, run, longest)
    if end is None:
        return None
    threads.append((run[-1], end))
    sizes = [len(chain.text(span)) for span in threads]
    if min(sizes) < MIN_MEMBER or sum(sizes) - max(sizes) < MIN_SAVED or _more_announced(chain, run):
        return None
    if any(_ABOUT_ALL.search(chain.parts[last].text) for first, last in threads[:-1] if first != last):
        return None
    if chain.parts[run[0]].head.kind not in ("label", "case") and any(
        _TURN.match(chain.parts[number].text) for first, last in threads[:-1] for number in range(first + 1, last + 1)
    ):
        return None  # a value or a title says little about what comes a turn later
    return threads


def _more_announced(chain: Chain, run: Sequence[int]) -> bool:
    """Whether more members were announced than the run has: a peer is outside."""
    before = chain.thinking[max(0, chain.offset(run[0]) - _LOOK_BACK) : chain.offset(run[0])]
    found = _ANNOUNCED.findall(before)
    return bool(found) and (_COUNT.get(found[-1].lower()) or int(found[-1])) > len(run)


def _last_end(chain: Chain, run: Sequence[int], longest: int) -> int | None:
    """Return the part that ends the last member: one that its siblings' shape gives, or before what speaks of all."""
    start, own = run[-1], chain.parts[run[-1]].head
    counts = {following - first for first, following in pairwise(run)}
    if len(counts) == 1 and (own.kind not in ("label", "case") or counts == {1}):
        return _uniform_end(chain, run, counts.pop())
    familiar = {_opening(chain.parts[number].text) for number in range(run[0], start) if number not in run}
    for number in range(start + 1, len(chain.parts)):
        part = chain.parts[number]
        body = len(chain.text((start, number - 1)))
        if part.head and part.head.kind == "label" and _inside(part.head, own):
            continue
        joint = _opening(part.text) not in familiar and (_joint(part.text) or _gathers(chain, run, number))
        if joint or is_section(part.text) or (part.head and _closes(part.head, own)):
            return number - 1 if body >= MIN_MEMBER else None
        if _UNSURE.match(part.text) or (part.head and part.head.kind == "label"):
            return None  # it continues the last member, or begins a further one
        if _TURN.match(part.text) and _opening(part.text) not in familiar:
            ended = body >= _LEAST_OF_LONGEST * longest and _CONCLUDED.search(chain.parts[number - 1].text)
            return number - 1 if ended else None
        if len(chain.text((start, number))) > _LAST_LONGER * longest + _LAST_SPARE:
            return None
    return None


def _gathers(chain: Chain, run: Sequence[int], number: int) -> bool:
    """Whether a paragraph after the last heading uses what several members have found."""
    spans = [(first, following - 1) for first, following in pairwise(run)] + [(run[-1], number - 1), (number, number)]
    passages = [Passage.read(chain.text(span)) for span in spans]
    found = leaks_of(chain.context(run[0]), passages, [len(spans) - 1])
    return any(leak.kind == "results" for leak in found)


def _uniform_end(chain: Chain, run: Sequence[int], count: int) -> int | None:
    """Return where the last member ends if it has as many parts as each of the others, and nothing continues it."""
    start, after = run[-1], run[-1] + count
    if after >= len(chain.parts) or _UNSURE.match(chain.parts[after].text) or chain.parts[after].text[:1].islower():
        return None
    tallest = max(part.last - part.first for number in run[:-1] for part in chain.parts[number : number + count])
    if any(part.last - part.first > tallest for part in chain.parts[start:after]):
        return None  # further lines stand below the last item
    if any(part.head or is_section(part.text) or _joint(part.text) for part in chain.parts[start + 1 : after]):
        return None
    return after - 1


def _inside(head: Head, own: Head) -> bool:
    """Whether a heading belongs to a part of the member `own`: case 2.1 of case 2, subcase 1."""
    group = head.slot.replace("-", ".").rpartition(".")[0]
    return (group == own.slot and head.key.split(" ")[0] == own.key.split(" ")[0]) or head.key.startswith(
        "subcase"
    ) > own.key.startswith("subcase")


def _closes(head: Head, own: Head) -> bool:
    """Whether a heading ends the series of `own`: another series of its kind begins, or the next case above it."""
    if head.key == own.key:
        return True
    if own.key.startswith("subcase") and head.key.startswith("case"):
        return True
    group = own.slot.replace("-", ".").rpartition(".")[0]
    above = head.key.split(" ")[0] == own.key.split(" ")[0] and "." not in head.slot
    return above and group.isdigit() and head.place == int(group) + 1


def _opening(text: str) -> str:
    return text[:40].strip(" *#>-\n").partition(" ")[0].strip(",.:").lower()


def _joint(text: str) -> bool:
    return _JOINT.search(text[:200]) is not None


def _stands_alone(chain: Chain, threads: Sequence[tuple[int, int]]) -> bool:
    """Whether no member uses or mentions another one, and each has an outline that announces it."""
    texts = [chain.text(span) for span in threads]
    if any(_POINTS_BACK.search(text, _HEADING_WORDS) for text in texts[1:]) or _joint(chain.parts[threads[-1][0]].text):
        return False
    context = chain.context(threads[0][0])
    passages = [Passage.read(text) for text in texts]
    if any(leak.score >= SUSPECT for leak in leaks_of(context, passages)):
        return False
    before = chain.thinking[: chain.offset(threads[0][0])]
    outlines = propose_outlines(chain.problem, before, texts)
    question = OutlineQuestion(0, chain.problem, before, tuple(texts), tuple(range(1, len(texts) + 1)))
    return bool(outlines) and not check_outlines(outlines, question)
