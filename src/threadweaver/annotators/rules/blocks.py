"""Finds neighbouring passages that are independent of one another; better no block than a wrong one."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import prod

from threadweaver.annotators.rules.heads import Head
from threadweaver.annotators.rules.passages import Unit, units
from threadweaver.dependencies import CERTAIN, DEGENERATE_SHARE, Context, Leak, Lookup, Passage, leaks_of, looping, pair_scores
from threadweaver.markup import TAG_SHAPED

MIN_INFORMATION = 200     # characters of all threads minus the longest, as the extractor asks
MIN_THREAD_CHARS = 90
MIN_BALANCE = 0.22        # of the longest thread's characters, for each thread
MAX_OUTLIER = 4           # a member so many times as long as its longest sister has other matter in it
MAX_THREADS = 12
MAX_THREAD_LINES = 120


@dataclass(frozen=True)
class Span:
    """Units first…last of one thread, both included."""

    first: int
    last: int


@dataclass(frozen=True)
class Block:
    kind: str
    threads: tuple[Span, ...]


@dataclass
class Chain:
    """A chain cut into units, with what each opens; passages of it are read when they are asked for, once."""

    text: str          # the problem, a blank line, the chain
    base: int          # where the chain begins in `text`
    units: list[Unit]
    heads: list[Head | None]
    openings: list[list[str]]   # the first words of each unit, connectives taken off
    _read: dict[int, Passage] = field(default_factory=dict)
    _joined: dict[Span, Passage] = field(default_factory=dict)
    _contexts: dict[int, Context] = field(default_factory=dict)

    @cached_property
    def _lookup(self) -> Lookup:
        return Lookup(self.text)

    def offsets(self, span: Span) -> tuple[int, int]:
        last = self.units[span.last]
        return self.base + self.units[span.first].offset, self.base + last.offset + len(last.text)

    def chars(self, span: Span) -> int:
        start, end = self.offsets(span)
        return end - start

    def passage(self, span: Span) -> Passage:
        if span not in self._joined:
            start, end = self.offsets(span)
            parts = [(self.units[index].offset + self.base - start, self._unit(index)) for index in range(span.first, span.last + 1)]
            self._joined[span] = parts[0][1] if len(parts) == 1 else Passage.join(self.text[start:end], parts)
        return self._joined[span]

    def _unit(self, index: int) -> Passage:
        if index not in self._read:
            self._read[index] = Passage.read(self.units[index].text)
        return self._read[index]

    def context(self, first: int) -> Context:
        """All that stands before the unit `first`, the problem included."""
        if first not in self._contexts:
            self._contexts[first] = Context(self._lookup, self.base + self.units[first].offset)
        return self._contexts[first]


def read_chain(problem: str, thinking: str) -> Chain:
    found = units(thinking)
    return Chain(f"{problem}\n\n{thinking}", len(problem) + 2, found, [unit.head for unit in found],
                 [_TWIN_TOKEN.findall(_OPENERS.sub("", unit.text[:140]))[:8] for unit in found])


# What cannot stand in a thread: the chain's end, or looking back at all of the threads.
_FINAL = re.compile(r"\\boxed|final answer", re.IGNORECASE)
_JOINS = re.compile(
    r"^[\s*#\-]*(?:(?:so|thus|therefore|hence|now|okay|ok|alright|and|but|then|finally|also)[,:]?\s+){0,2}"
    r"(?:in total|overall|altogether|(?:adding|summing|combining)\s+(?:up|these|them|all|both|everything|the|those)\b|in summary|to summari[sz]e|summary|summari[sz]ing|total|the total|in conclusion|putting|comparing|all (?:of )?(?:these|three|four|the|cases|calculations|values|conditions|equations)|everything|both|only|from (?:these|both|all|the above)"
    r"|in (?:both|all|either|any) (?:case|of)|these are|those are|the (?:only|possible|answer|sum of|final|number of)|we have (?:found|two|three|all|considered|covered)|there(?:fore|'s only| are| is only)|wait\b|hold on|but wait|looking (?:at|back)|since (?:both|all|none|neither)|none of|neither|either way|no matter|which (?:is|means) the|that'?s (?:all|it|the)|the answer"
    r"|from (?:this|here|case|the)|let me (?:recap|sum|add|check if|double|verify|confirm|think|see if|recheck|re-|go back|reconsider|summari[sz]e)|let's (?:recap|sum|add|double|verify|confirm|recheck|summari[sz]e|go back|reconsider|now)|to (?:verify|confirm|double|recap)|just to|next steps?|i think|i should|hmm|yes,|as (?:a check|we)|everything|continu)"
    r"|^[\s*]*(?:now|next)[, ]|^[\s*]*(?:alternatively|another)\b",
    re.IGNORECASE)
_HEADING = re.compile(r"^\s*(?:---|#{1,4}\s)")
_CLOSES = re.compile(r"^[\s*]*(?:so|thus|therefore|hence|which|this (?:gives|means|is)|that (?:gives|means|is)|not|no|yes|doesn't|does not|since)\b", re.IGNORECASE)
_JOINT_WORDS = re.compile(r"\b(?:total|altogether|overall|all (?:the )?cases|in all|both|combined|only (?:case|possible|solution|valid|one)|the answer|neither|none of|all of (?:them|these)|each of (?:them|these|the)|the (?:smallest|largest|maximum|minimum|only) )\b", re.IGNORECASE)


def series(chain: Chain) -> list[tuple[str, list[int]]]:
    """Runs of units that open members of one series: (kind, unit indices), in order."""
    open_runs: dict[str, list[int]] = {}
    done: list[tuple[str, list[int]]] = []
    for index, head in enumerate(chain.heads):
        if head is None or head.kind == "method":
            continue
        run = open_runs.get(head.key)
        if run and _continues(chain, run, index):
            run.append(index)
            continue
        if run and len(run) > 1:
            done.append((chain.heads[run[0]].kind, run))
        open_runs[head.key] = [index]
    done += [(chain.heads[run[0]].kind, run) for run in open_runs.values() if len(run) > 1]
    return sorted(done, key=lambda found: found[1][0])


def _continues(chain: Chain, run: list[int], index: int) -> bool:
    slots = {chain.heads[member].slot for member in run}
    last = chain.units[run[-1]]
    return chain.heads[index].slot not in slots and chain.units[index].first - last.last <= MAX_THREAD_LINES


def last_end(chain: Chain, start: int, earlier: Sequence[Span]) -> int | None:
    """The unit that ends a series' last passage: before what joins, or after as much as its sisters have."""
    longest = max(chain.chars(span) for span in earlier)
    most_units = max(span.last - span.first + 1 for span in earlier)
    familiar = {_opening(chain.units[index].text) for span in earlier for index in range(span.first + 1, span.last + 1)}
    closing, own = None, chain.heads[start]
    for index in range(start + 1, len(chain.units)):
        unit, head = chain.units[index], chain.heads[index]
        if _FINAL.search(unit.text) or _HEADING.match(unit.text):
            return index - 1
        if head is not None and (head.kind == "method" or (own is not None and head.key == own.key and head.slot != own.slot)):
            return index - 1
        if _opening(unit.text) not in familiar or _DOUBTS.match(unit.text):
            if _JOINS.match(unit.text) or _JOINT_WORDS.search(unit.text[:160]) or index - start >= most_units:
                return index - 1
        if chain.chars(Span(start, index)) > 1.6 * longest + 200:
            return closing
        if _CLOSES.match(unit.text):
            closing = index
    return None


def _opening(text: str) -> str:
    """The first two words, numbers apart: what tells a familiar line of a series from a new turn."""
    return " ".join(re.sub(r"[^a-z ]+", " ", text[:60].lower()).split()[:2]) or "#"


def grow(chain: Chain, kind: str, run: Sequence[int]) -> list[Block]:
    """Blocks out of one series: as many members in a row as are independent of one another."""
    blocks: list[Block] = []
    start = 0
    while start < len(run) - 1:
        threads, used = _grow_from(chain, run, start)
        block = accept(chain, kind, _trimmed(chain, threads))
        if block:
            blocks.append(block)
            start += max(used, 1)
        else:
            start += 1
    return blocks


def _trimmed(chain: Chain, threads: list[Span]) -> list[Span]:
    """The last thread ends where its own matter does, even when the series went on after it."""
    if len(threads) > 1:
        last = threads[-1]
        end = last_end(chain, last.first, threads[:-1])
        if end is not None and last.first <= end < last.last:
            threads[-1] = Span(last.first, end)
    return threads


def _grow_from(chain: Chain, run: Sequence[int], start: int) -> tuple[list[Span], int]:
    threads = [Span(run[start], run[start + 1] - 1)]
    for position in range(start + 1, min(len(run), start + MAX_THREADS)):
        first = run[position]
        cut = interrupted(chain, threads[-1])
        if cut is not None:
            threads[-1] = Span(threads[-1].first, cut - 1)
            return threads, position - start
        if position + 1 < len(run):
            last: int | None = run[position + 1] - 1
        else:
            last = last_end(chain, first, threads)
        if last is None:
            return threads, position - start
        if len(threads) > 1 and chain.chars(Span(first, last)) > MAX_OUTLIER * max(chain.chars(span) for span in threads):
            return threads, position - start
        span, whole = independent_part(chain, threads, Span(first, last))
        if span is not None:
            threads.append(span)
        if not whole:
            return threads, position - start + (span is not None)
    return threads, min(len(run), start + MAX_THREADS) - start


# Looking back at the other threads closes a passage; anything else means it stands on them.
_CLOSING_KINDS = ("agreement", "joint result")


def leans(chain: Chain, threads: Sequence[Span], span: Span) -> list[Leak]:
    """The evidence that the passage `span` stands on one of the threads before it."""
    passages = [chain.passage(thread) for thread in (*threads, span)]
    return leaks_of(chain.context(threads[0].first), passages, [len(threads)])


def independent_part(chain: Chain, threads: Sequence[Span], span: Span, bearable: float = 0.75) -> tuple[Span | None, bool]:
    """The passage, less a closing that looks back at the threads before it, and whether it is whole; None: it leans."""
    found = leans(chain, threads, span)
    whole = True
    at = first_lean(found, bearable)
    while at is not None:
        leak = next(leak for leak in found if leak.used_at == at)
        index = unit_at(chain, span, at)
        if leak.kind not in _CLOSING_KINDS or index == span.first or not compares_only(chain, span, index, at):
            return None, False
        span, whole = Span(span.first, index - 1), False
        found = leans(chain, threads, span)
        at = first_lean(found, bearable)
    for index in range(span.first, span.last + 1):
        if _FINAL.search(chain.units[index].text):
            return (Span(span.first, index - 1), False) if index > span.first else (None, False)
    return span, whole


def compares_only(chain: Chain, span: Span, index: int, at: int) -> bool:
    """Whether the unit at which a passage looks back does little else: cutting there loses no step."""
    unit = chain.units[index]
    into = at - (unit.offset - chain.units[span.first].offset)
    kept = chain.chars(Span(span.first, index - 1))
    return (into <= 60 or len(unit.text) <= 170) and kept >= 0.6 * chain.chars(span)


def unit_at(chain: Chain, span: Span, at: int) -> int:
    """The unit that holds offset `at` of the passage."""
    start = chain.units[span.first].offset
    return next(index for index in range(span.last, span.first - 1, -1) if chain.units[index].offset - start <= at)


def first_lean(found: Sequence[Leak], bearable: float = 0.75) -> int | None:
    """Offset of the first evidence that makes a passage dependent; weak pieces count when they add up."""
    certain = [leak.used_at for leak in found if leak.score >= CERTAIN]
    if certain:
        return min(certain)
    if any(score >= bearable for score in pair_scores(found).values()):
        return min(leak.used_at for leak in found if leak.score >= 0.15)
    return None


_LEAD_IN = re.compile(
    r"^.{0,150}:\s*$|^.{0,80}\b(?:another|different|alternative|second|other) (?:\w+ )?(?:way|approach|method|idea|angle|perspective)s?\b.{0,60}$|^.{0,20}\blet me (?:double[- ]?)?(?:check|verify|confirm)\b.{0,50}$",
    re.IGNORECASE)


def with_lead_ins(chain: Chain, threads: Sequence[Span]) -> list[Span]:
    """A closing line of one thread that only announces the next ("Now for the second:") goes to the next."""
    moved = list(threads)
    for position in range(1, len(moved)):
        before, here = moved[position - 1], moved[position]
        last = chain.units[before.last]
        head, own = chain.heads[before.last], chain.heads[here.first]
        opens = head is not None and own is not None and head.key != own.key and len(last.text) <= 80 and "\n" not in last.text
        if before.last > before.first and (opens or _LEAD_IN.match(last.text)):
            moved[position - 1] = Span(before.first, before.last - 1)
            moved[position] = Span(before.last, here.last)
    return moved


def _unfit(chain: Chain, span: Span) -> bool:
    """The final answer, or something shaped like a tag, cannot stand in a thread."""
    text = chain.text[slice(*chain.offsets(span))]
    return bool(_FINAL.search(text)) or bool(TAG_SHAPED.search(text))


def independent(chain: Chain, threads: Sequence[Span]) -> bool:
    """No thread certainly leans on another, in the final cut."""
    return all(first_lean(leans(chain, threads[:position], threads[position])) is None for position in range(1, len(threads)))


SMALL_THREAD_CHARS = 160
MAX_GROUPS = 4


def grouped(chain: Chain, threads: Sequence[Span]) -> list[Span]:
    """Many short members of a series become a few threads of several members each, of balanced length."""
    sizes = [chain.chars(span) for span in threads]
    if len(threads) < 4 or min(sizes) >= SMALL_THREAD_CHARS:
        return list(threads)
    count = max(2, min(MAX_GROUPS, sum(sizes) // (2 * SMALL_THREAD_CHARS), len(threads) // 2))
    groups: list[Span] = []
    filled, first = 0, 0
    for position, size in enumerate(sizes):
        filled += size
        if filled >= sum(sizes) * (len(groups) + 1) / count - size / 3 and len(groups) < count - 1:
            groups.append(Span(threads[first].first, threads[position].last))
            first = position + 1
    if first < len(threads):
        groups.append(Span(threads[first].first, threads[-1].last))
    return groups


def accept(chain: Chain, kind: str, threads: Sequence[Span]) -> Block | None:
    """A block of these threads if they have substance and balance, less members at the end if need be."""
    kept = with_lead_ins(chain, threads)
    if kind != "method":
        kept = grouped(chain, kept)
    while len(kept) >= 2:
        sizes = [chain.chars(span) for span in kept]
        total = sum(sizes)
        if total - max(sizes) >= MIN_INFORMATION and min(sizes) >= max(MIN_THREAD_CHARS, MIN_BALANCE * max(sizes)):
            if kept[-1].last < len(chain.units) - 1 and not any(_unfit(chain, span) for span in kept) and independent(chain, kept):
                return Block(kind, tuple(kept))
        kept.pop()
    return None


_LIKEWISE = re.compile(r"^[\s*\-•]*(?:(?:and|now|then|next)[, ]+)?(?:similarly|likewise|analogously|in the same (?:way|manner)|by the same (?:logic|reasoning|method))\b[,:]?\s*", re.IGNORECASE)
_PLAIN_TOKEN = re.compile(r"[A-Za-z]{2,}|[^\sA-Za-z]|[A-Za-z]")
MIN_LIKENESS = 0.3


def counterparts(chain: Chain) -> list[Block]:
    """"Similarly, …": a passage that does for another object what the passage before it did for the first."""
    found: list[Block] = []
    taken = -1
    for index in range(1, len(chain.units)):
        if index <= taken or chain.heads[index] is not None and chain.heads[index].kind == "method":
            continue
        start = counterpart_of(chain, index, taken + 1)
        if start is None:
            continue
        threads, following = [Span(start, index - 1)], index
        while following is not None and len(threads) < MAX_THREADS:
            end = last_end(chain, following, threads[-1:])
            if end is None:
                break
            span, _ = independent_part(chain, threads, Span(following, end), MAX_METHOD_LEAN)
            if span is None:
                break
            threads.append(span)
            after = span.last + 1
            following = after if after < len(chain.units) and counterpart_of(chain, after, threads[-1].first) == threads[-1].first else None
        block = accept(chain, "counterpart", threads)
        if block and comparable(chain, block.threads):
            found.append(block)
            taken = block.threads[-1].last
    return found


def comparable(chain: Chain, threads: Sequence[Span]) -> bool:
    """Counterparts do the same work, so they are of like length, and short: a long one has other matter in it."""
    sizes = [chain.chars(span) for span in threads]
    return max(sizes) <= 3 * min(sizes) and max(sizes) <= 2000


MIN_TWIN_LIKENESS = 0.6


def counterpart_of(chain: Chain, index: int, floor: int) -> int | None:
    """The unit, at most 12 before, whose opening is most like that of the unit at `index`."""
    text = chain.units[index].text
    if not _LIKEWISE.match(text):
        return twin_of(chain, index, floor)
    words = _opening_words(_LIKEWISE.sub("", text))
    best, best_score = None, MIN_LIKENESS
    for candidate in range(index - 1, max(floor, index - 12) - 1, -1):
        other = _opening_words(_OPENERS.sub("", chain.units[candidate].text))
        shared = len(words & other) / max(1, min(len(words), len(other)))
        if shared > best_score + 1e-9 and len(words & other) >= 2:
            best, best_score = candidate, shared
    return best


def twin_of(chain: Chain, index: int, floor: int) -> int | None:
    """The unit whose opening says the same of another object, without a word like "similarly"."""
    tokens = chain.openings[index]
    if len(tokens) < 4 or tokens[0].lower() in _NO_TWIN:
        return None
    for candidate in range(index - 1, max(floor, index - MAX_TWIN_UNITS) - 1, -1):
        other = chain.openings[candidate]
        if len(other) < 4 or tokens[0] != other[0] or tokens == other:
            continue
        pairs = list(zip(tokens, other))
        same = [one for one, two in pairs if one == two]
        words = [word for word in same if len(word) > 2 and word.isalpha() and word.lower() not in _THIN]
        if _MISPLACED.search(chain.units[index - 1].text) or any(_MISPLACED.search(chain.units[inner].text) for inner in range(max(candidate, index - 2), index)):
            continue
        if len(same) >= MIN_TWIN_LIKENESS * len(pairs) and words and all(_slot(one) and _slot(two) for one, two in pairs if one != two) and tokens[:5] != other[:5]:
            return candidate
    return None


MAX_TWIN_UNITS = 8
# Openings that begin any kind of sentence, and the second ones of pairs: the series begins elsewhere.
_NO_TWIN = frozenset("if let consider so but wait since then therefore thus hence because right rhs denominator second sum total result answer we i it this that yes no".split())
_MISPLACED = re.compile(r":\s*$|^\s*\d{1,2}\.\s|^\W*(?:next|now|then|for)\b.{0,36}$", re.IGNORECASE)
_TWIN_TOKEN = re.compile(r"[A-Za-z]+|\\[A-Za-z]+|\d+(?:[.,]\d+)*")
_THIN = frozenset("the for and now let consider since then that this with wait but from have are was were which when where what there".split())
_SLOT_WORDS = frozenset(
    """first second third fourth fifth last left right top bottom upper lower one two three four five six odd even smaller larger
    bigger big small horizontal vertical row column rows columns numerator denominator positive negative zero maximum minimum
    base height length width red blue green white black yellow heads tails units tens hundreds thousands inner outer real
    imaginary north south east west monday tuesday wednesday thursday friday lhs rhs sine cosine""".split())


def _slot(token: str) -> bool:
    """Whether a token names an object (a number, a symbol, a name, one of a pair) and not an action."""
    return token[0].isdigit() or token[0] == "\\" or len(token) == 1 or token[0].isupper() or token.lower() in _SLOT_WORDS


_OPENERS = re.compile(r"^[\s*\-•]*(?:(?:okay|ok|so|now|and|next|then|first|starting with|let's see|hence|thus|therefore|for example|but)[,.:]*\s+){0,3}", re.IGNORECASE)


def _opening_words(text: str) -> set[str]:
    return {token.lower() for token in _PLAIN_TOKEN.findall(text[:110]) if len(token) > 2}


# What ends a way of its own: a look back, a new doubt, a conclusion about the whole.
_METHOD_ENDS = re.compile(
    r"^[\s*#\-]*(?:(?:so|thus|therefore|hence|okay|ok|but|and|hmm|well|yes|now)[,.]*\s+){0,2}(?:wait|hold on|in (?:either|both|any) (?:case|way)|either way|both|overall|in conclusion|in summary|to summari[sz]e|after (?:all|consider)"
    r"|i(?:'m| am) (?:confident|pretty|fairly|now|convinced|sure)|i think (?:that's|the answer|it's|i)|given (?:all|that both)|no matter|regardless|the answer|it (?:seems|all)|that (?:seems|confirms|matches|also)|this (?:confirms|matches|also|agrees)|which (?:matches|confirms)|everything|all (?:methods|approaches|three|of)"
    r"|let me (?:recap|double|verify|confirm|check|summari[sz]e|go back|just|recheck|think again|re-)|let's (?:verify|double|confirm|check|recap|go back|recheck)|just to|to (?:make sure|be sure|double|verify|confirm)|going back|as (?:before|above)|same)"
    r"|^\s*---|^\s*#{1,4}\s|^\s*\*\*",
    re.IGNORECASE)
_STARTS = re.compile(
    r"^[\s*#]*(?:(?:okay|ok|alright|now|hmm|well|wait|but)[,.]*\s+){0,2}(?:first\b|let me\b|let's\b|let us\b|one (?:way|approach|method|idea)|maybe\b|perhaps\b|i (?:know|need|can|should|could|remember|recall|want|might)\b|to (?:find|solve|get|start|compute|determine|begin|count|tackle|do)\b"
    r"|we (?:can|need|know|could|want)\b|given\b|starting\b|the problem\b|consider\b|suppose\b|alternatively\b|another\b|method\b|approach\b|step 1\b|looking\b|what if\b|my (?:first|initial))",
    re.IGNORECASE)
_LEADS_ON = re.compile(r"[:,]\s*$")
MAX_METHOD_CHARS = 4500
MIN_METHOD_CHARS = 220
MAX_METHOD_LEAN = 0.55     # weak evidence, all taken together, that two ways may share


def alternatives(chain: Chain) -> list[Block]:
    """Ways of their own, one after the other: what came before an "Alternatively", and what it opens."""
    found: list[Block] = []
    heads = [index for index, head in enumerate(chain.heads) if head is not None and head.kind == "method"]
    taken = -1
    for head in heads:
        if head <= taken or _REPAIRS.search(chain.units[head].text[:170]) or not way_closes(chain, head - 1):
            continue
        last = method_end(chain, head)
        if last is None or chain.chars(Span(head, last)) < MIN_METHOD_CHARS:
            continue
        first = first_way(chain, Span(head, last), taken + 1)
        if first is None:
            continue
        threads = [first]
        opened = head
        while opened is not None and len(threads) < MAX_THREADS:
            end = method_end(chain, opened)
            if end is None or chain.chars(Span(opened, end)) < MIN_METHOD_CHARS:
                break
            span, whole = independent_part(chain, threads, Span(opened, end), MAX_METHOD_LEAN)
            if span is None:
                break
            threads.append(span)
            following = chain.heads[end + 1] if whole and end + 1 < len(chain.units) else None
            opened = end + 1 if following is not None and following.kind == "method" else None
        block = accept(chain, "method", threads)
        if block and is_choice(chain, block.threads):
            found.append(block)
            taken = block.threads[-1].last
    return found


# "Alternatively, maybe I misunderstood the formula" is no way of its own: it mends the one before.
_REPAIRS = re.compile(r"\b(?:mis(?:took|understood|interpret\w*|read|remember\w*|appl\w+|calculat\w+)|mistaken?|wrong|incorrect\w*|error|typo|over(?:look|count|think|complicat)\w*|the formula|this formula|the expression|that expression|fix|adjust|correct it)\b|^\W*alternatively,?\s+(?:[\\$(\d]|\w\s*[=(^])", re.IGNORECASE)

# A way that broke off or came to something: its last paragraph says so.
_CLOSED = re.compile(
    r"^[\s*]*(?:so|thus|therefore|hence|which|this (?:gives|means|confirms|is))\b|\b(?:confirm|correct|works|holds|match|answer|impossible|no solution|not helpful|helpful|complicated|messy|stuck|not sure|unclear|dead end"
    r"|does(?:n't| not) (?:help|work|seem|make)|contradict|consistent|valid|indeed|difficult|hard|tedious|not (?:possible|allowed|useful|straightforward))\w*\b",
    re.IGNORECASE)
_DOUBTS = re.compile(r"^[\s*#\-]*(?:(?:so|but|and|hmm|okay|no)[,.]*\s+){0,2}(?:wait|hold on|hmm)\b", re.IGNORECASE)


def way_closes(chain: Chain, index: int) -> bool:
    """Whether the text up to this unit came to something or broke off, an announcement of the next aside."""
    while index > 0 and _LEAD_IN.match(chain.units[index].text):
        index -= 1
    return index >= 0 and bool(_CLOSED.search(chain.units[index].text[-300:]))


def is_choice(chain: Chain, threads: Sequence[Span]) -> bool:
    """Whether these are ways beside one another, each with an end, and not one way told on."""
    return (all(settles(chain, span) for span in threads) and same_end(chain, threads)
            and not any(renumbers(chain, span) for span in threads[1:]) and not goes_on(chain, threads))


def method_end(chain: Chain, head: int) -> int | None:
    """The last unit of the way that `head` opens; None where no natural end is near."""
    for index in range(head + 1, len(chain.units)):
        unit, opens, before = chain.units[index], chain.heads[index], chain.units[index - 1].text
        if opens is not None and opens.kind == "method":
            return index - 1
        if _FINAL.search(unit.text) or _METHOD_ENDS.match(unit.text):
            if not _DOUBTS.match(unit.text) or (_CLOSED.search(before[-240:]) and not _LEADS_ON.search(before)):
                return None if _LEADS_ON.search(before) else index - 1
        if chain.chars(Span(head, index)) > MAX_METHOD_CHARS:
            return None
    return None


_RELATIONS = re.compile(r"[=≈≡≥≤]|\\(?:approx|equiv|implies|geq?|leq?|Rightarrow)\b|⇒|\bis \d|\bequals\b")
_INTENDS = re.compile(r"\b(?:let me|let's|let us|i'll|going to|want to|should i|what if|i wonder|i need to|we need to|we can|i can)\b|\?\s*$|[:,]\s*$", re.IGNORECASE)
_GUESSES = re.compile(r"\b(?:maybe|perhaps|might|could|would)\b", re.IGNORECASE)
_CONCLUDES = re.compile(r"^\W*(?:so|thus|therefore|hence|which)\b", re.IGNORECASE)
# A parting doubt or an announcement says nothing of what came before it.
_PARTING = re.compile(r"\b(?:let me|let's|wait|is there|maybe there|just to|to (?:be sure|confirm|verify|make sure)|is that (?:correct|right)|i (?:just )?want to make sure|not sure)\b", re.IGNORECASE)
_BREAKS_OFF = re.compile(r"\b(?:not (?:helpful|sure|useful|possible|straightforward|enough|clear|necessary|working|working out)|doesn't (?:help|work|seem|make|match)|does not|dead end|complicated|messy|stuck|tedious|contradict\w*|impossible|can't|cannot|no solution|overcomplicat\w*|not work)\b", re.IGNORECASE)
_SENTENCE = re.compile(r"(?<=[.!?])\s+|\n+")


def settles(chain: Chain, span: Span) -> bool:
    """Whether a way does some work and comes to something, or says that it breaks off."""
    start, end = chain.offsets(span)
    text = chain.text[start:end]
    if len(_RELATIONS.findall(text)) < 2:
        return False
    closing = closing_sentence(text)
    if _BREAKS_OFF.search(closing):
        return True
    return not _INTENDS.search(closing) and (bool(_CONCLUDES.match(closing)) or not _GUESSES.search(closing))


def closing_sentence(text: str) -> str:
    """The last sentence of a passage that says something of its matter."""
    sentences = [sentence for sentence in _SENTENCE.split(text[-900:].strip()) if sentence.strip()]
    for _ in range(2):
        if len(sentences) > 1 and _PARTING.search(sentences[-1]) and not _BREAKS_OFF.search(sentences[-1]):
            sentences.pop()
    return sentences[-1]


def same_end(chain: Chain, threads: Sequence[Span]) -> bool:
    """Ways to one end do not come to different values: then the later one has gone on where the first had stopped."""
    texts = [chain.text[slice(*chain.offsets(span))] for span in threads]
    closings = [closing_sentence(text) for text in texts]
    if any(_BREAKS_OFF.search(closing) for closing in closings):
        return True
    ends = [numbers[-1] if (numbers := _FIGURE.findall(closing)) else None for closing in closings]
    return all(
        one is None or two is None or one in _FIGURE.findall(text_two) or two in _FIGURE.findall(text_one)
        for one, two, text_one, text_two in zip(ends, ends[1:], texts, texts[1:]))


def renumbers(chain: Chain, span: Span) -> bool:
    """Whether a passage goes on with a list that began before it."""
    text = chain.text[slice(*chain.offsets(span))]
    numbers = [int(number) for number in _ITEM_NUMBER.findall(text)]
    return bool(numbers) and numbers[0] > 1


_FIGURE = re.compile(r"\d+(?:[.,/]\d+)*")
_ITEM_NUMBER = re.compile(r"^\s*(\d{1,2})\.\s", re.MULTILINE)


def first_way(chain: Chain, second: Span, floor: int) -> Span | None:
    """The passage before `second` that is a beside of it: the longest that it leans on in nothing."""
    size = chain.chars(second)
    starts = []
    for index in range(second.first - 1, floor - 1, -1):
        chars = chain.chars(Span(index, second.first - 1))
        if chars > min(MAX_METHOD_CHARS, 4 * size):
            break
        if chars >= max(MIN_METHOD_CHARS, 0.3 * size) and starts_afresh(chain, index):
            starts.append(index)
        opens = chain.heads[index]
        if opens is not None and opens.kind == "method":
            starts = [index] if starts and starts[-1] == index else starts
            break
    for index in sorted(starts):
        span = Span(index, second.first - 1)
        if first_lean([leak for leak in leans(chain, [span], second) if leak.kind not in _CLOSING_KINDS], MAX_METHOD_LEAN) is None:
            return span
    return None


def starts_afresh(chain: Chain, index: int) -> bool:
    unit = chain.units[index]
    return bool(_STARTS.match(unit.text)) and (index == 0 or not _LEADS_ON.search(chain.units[index - 1].text))


def goes_on(chain: Chain, threads: Sequence[Span]) -> bool:
    """Whether the text after the block works on with what its last thread alone has introduced."""
    last = threads[-1]
    after = Span(last.last + 1, min(last.last + 3, len(chain.units) - 1))
    if after.first >= len(chain.units):
        return True
    found = leans(chain, threads, after)
    shared = {leak.what for leak in found if leak.source < len(threads) - 1}
    scores = [1 - leak.score for leak in found
              if leak.kind in ("symbol", "number", "value") and leak.source == len(threads) - 1 and leak.what not in shared]
    return 1 - prod(scores) >= CERTAIN


# A conclusion about the whole in the middle of a series ends it: what comes later is another story.
_ENDS_SERIES = re.compile(r"^[\s*]*(?:so|thus|therefore|hence)?,?\s*(?:in total|overall|altogether|the (?:final )?answer|the total number|all in all|final check|the (?:set of )?(?:all )?solutions (?:are|is)|the solutions? must|we (?:have )?found|to summari[sz]e|in summary|in conclusion|adding (?:these|them|all|up))\b", re.IGNORECASE)


def interrupted(chain: Chain, span: Span) -> int | None:
    """The unit of a passage that speaks about the whole, if one does."""
    for index in range(span.first + 1, span.last + 1):
        if _ENDS_SERIES.match(chain.units[index].text):
            return index
    return None


def find_blocks(problem: str, thinking: str) -> tuple[Chain, list[Block]]:
    chain = read_chain(problem, thinking)
    if looping(thinking) >= DEGENERATE_SHARE:
        return chain, []
    candidates: list[Block] = []
    for kind, run in series(chain):
        candidates += grow(chain, kind, run)
    candidates += counterparts(chain)
    candidates += alternatives(chain)
    return chain, choose(chain, candidates)


def choose(chain: Chain, candidates: Sequence[Block]) -> list[Block]:
    """Blocks that do not overlap, the ones that save most first."""
    def saved(block: Block) -> int:
        sizes = [chain.chars(span) for span in block.threads]
        return sum(sizes) - max(sizes)

    taken: list[Block] = []
    for block in sorted(candidates, key=lambda b: (-saved(b), b.threads[0].first)):
        first, last = block.threads[0].first, block.threads[-1].last
        if all(last < other.threads[0].first or first > other.threads[-1].last for other in taken):
            taken.append(block)
    return sorted(taken, key=lambda b: b.threads[0].first)
