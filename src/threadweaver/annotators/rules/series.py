"""Series: cases, instances and named items worked out one after the other."""

from __future__ import annotations

import re
from collections.abc import Sequence

from threadweaver.annotators.rules.chain import Block, Chain, Span
from threadweaver.annotators.rules.independence import FINAL, first_lean, independent_part, joins_own, leans, works_on
from threadweaver.annotators.rules.shaping import MIN_INFORMATION, accept
from threadweaver.annotators.rules.ways import came_to_something

MAX_THREADS = 12
MAX_MEMBERS = 40  # short ones are put together afterwards
MAX_GAP_LINES = 120  # between two members: farther apart they are of two series
MIN_TRIALS = 4  # "Alternatively, group …" so many times in a row is one series of trials
MAX_TRIAL_UNITS = 2
MAX_OUTLIER = 4  # a member so many times as long as its longest sister has other matter in it

DOUBTS = re.compile(r"^[\s*#\-]*(?:(?:so|but|and|hmm|okay|no)[,.]*\s+){0,2}(?:wait|hold on|hmm)\b", re.IGNORECASE)
"""A paragraph that takes something back."""

_JOINS = re.compile(
    r"^[\s*#\-]*(?:(?:so|thus|therefore|hence|now|okay|ok|alright|and|but|then|finally|also)[,:]?\s+){0,2}"
    r"(?:in total|overall|altogether|(?:adding|summing|combining)\s+(?:up|these|them|all|both|everything"
    r"|the|those)\b"
    r"|in summary|to summari[sz]e|summary|summari[sz]ing|total|the total|in conclusion|putting|comparing"
    r"|all (?:of )?(?:these|three|four|the|cases|calculations|values|conditions|equations)|everything|both"
    r"|only"
    r"|from (?:these|both|all|the above|this|here|case|the)|in (?:both|all|either|any) (?:case|of)|these "
    r"are|those are"
    r"|the (?:only|possible|answer|sum of|final|number of)|we have (?:found|two|three|all|considered|covered)"
    r"|there(?:fore|'s only| are| is only)|wait\b|hold on|but wait|looking (?:at|back)|since (?:both|all"
    r"|none|neither)"
    r"|none of|neither|either way|no matter|which (?:is|means) the|that'?s (?:all|it|the)|next steps?|i "
    r"think|i should|hmm|yes,"
    r"|let me (?:recap|sum|add|check if|double|verify|confirm|think|see if|recheck|re-|go back|reconsider"
    r"|summari[sz]e)"
    r"|let's (?:recap|sum|add|double|verify|confirm|recheck|summari[sz]e|go back|reconsider|now)"
    r"|to (?:verify|confirm|double|recap)|just to|as (?:a check|we)|continu)"
    r"|^[\s*]*(?:now|next)[, ]|^[\s*]*(?:alternatively|another)\b",
    re.IGNORECASE,
)
_JOINT_WORDS = re.compile(
    r"\b(?:total|altogether|overall|all (?:the )?cases|in all|both|combined|only (?:case|possible|solution"
    r"|valid|one)|the answer"
    r"|neither|none of|all of (?:them|these)|each of (?:them|these|the)|the (?:smallest|largest|maximum"
    r"|minimum|only) )\b",
    re.IGNORECASE,
)
_NUMERIC = re.compile(r"-?\d{1,9}(?:\.\d+)?")
_JOINT_CHARS = 160  # of a paragraph, in which such words make it one about all members
_HEADING_CHARS = 80
_WHOLE_MEMBER = 1.5  # times its longest sister, up to which a case is taken whole
_LEAST_OF_SISTER = 0.3
_SECTION = re.compile(r"^\s*(?:---|#{1,4}\s)")
_CLOSES = re.compile(
    r"^[\s*]*(?:so|thus|therefore|hence|which|this (?:gives|means|is)|that (?:gives|means|is)|not|no|yes"
    r"|doesn't|does not|since)\b",
    re.IGNORECASE,
)
# A conclusion about the whole in the middle of a series ends it: what comes later is another story.
_CONCLUDES = re.compile(r"^[\s*]*(?:so|thus|therefore|hence|this (?:gives|means))\b", re.IGNORECASE)
_ENDS_SERIES = re.compile(
    r"^[\s*]*(?:so|thus|therefore|hence)?,?\s*(?:in total|overall|altogether|the (?:final )?answer|(?:the "
    r")?total (?:number|count)|all in all"
    r"|final check|the (?:set of )?(?:all )?solutions (?:are|is)|the solutions? must|we (?:have )?found"
    r"|to summari[sz]e"
    r"|in summary|in conclusion|adding (?:these|them|all|up))\b",
    re.IGNORECASE,
)


def series_blocks(chain: Chain) -> list[Block]:
    """The blocks of every series of the chain; they may overlap."""
    return [block for kind, run in _runs(chain) for block in grown(chain, kind, run)]


def _runs(chain: Chain) -> list[tuple[str, list[int]]]:
    """Runs of units that open members of one series: (kind, unit indices), in order."""
    open_runs: dict[str, list[int]] = {}
    done: list[list[int]] = []
    for index, unit in enumerate(chain.units):
        head = unit.head
        if head is None or head.key == "method":
            continue
        run = open_runs.get(head.key)
        if run and _continues(chain, run, index):
            run.append(index)
            continue
        done += [run] if run else []
        open_runs[head.key] = [index]
    long_enough = [run for run in [*done, *open_runs.values()] if len(run) >= _least_members(chain, run)]
    return sorted(((_kind(chain, run), run) for run in long_enough), key=lambda found: found[1][0])


def _kind(chain: Chain, run: Sequence[int]) -> str:
    """Short trials in a row ("Alternatively, group …") are instances, not ways of their own."""
    kind = chain.units[run[0]].head.kind
    return "instance" if kind == "method" else kind


def _least_members(chain: Chain, run: Sequence[int]) -> int:
    return MIN_TRIALS if chain.units[run[0]].head.kind == "method" else 2


def _continues(chain: Chain, run: Sequence[int], index: int) -> bool:
    slots = [chain.units[member].head.slot for member in run]
    slot = chain.units[index].head.slot
    if chain.opens_way(index) and index - run[-1] > MAX_TRIAL_UNITS:
        return False
    gap = chain.units[index].first - chain.units[run[-1]].last
    return slot not in slots and gap <= MAX_GAP_LINES and not _turns_back(slots, slot)


def _turns_back(slots: Sequence[str], slot: str) -> bool:
    """Whether a series of numbers that had gone one way goes the other: it has begun anew."""
    numbers = [float(text) for text in (*slots[-2:], slot) if _NUMERIC.fullmatch(text)]
    return len(numbers) == 3 and (numbers[1] > numbers[0]) != (numbers[2] > numbers[1])


def grown(chain: Chain, kind: str, run: Sequence[int]) -> list[Block]:
    """Blocks out of one series: as many members in a row as are independent of one another."""
    blocks: list[Block] = []
    start = 0
    while start < len(run) - 1 and chain.chars(Span(run[start], run[-1])) > MIN_INFORMATION:
        threads, used = _grow_from(chain, run, start)
        block = None
        if len(threads) > 1 and _promising(chain, threads):
            block = accept(chain, kind, _finished(chain, _trimmed(chain, threads)))
        blocks += [block] if block else []
        start += max(used, 1) if block else 1
    return blocks


def _promising(chain: Chain, threads: Sequence[Span]) -> bool:
    """Whether there may be enough in these threads for a block, however they are shaped."""
    sizes = chain.sizes(threads)
    return sum(sizes) - max(sizes) > MIN_INFORMATION / 2 and sum(sizes) > MIN_INFORMATION


def _grow_from(chain: Chain, run: Sequence[int], start: int) -> tuple[list[Span], int]:
    """Threads from the member `start` on, and how many members of the run they took."""
    threads = [Span(run[start], run[start + 1] - 1)]
    for position in range(start + 1, min(len(run), start + MAX_MEMBERS)):
        cut = _speaks_of_all(chain, threads[-1])
        if cut is not None:
            threads[-1] = Span(threads[-1].first, cut - 1)
            return threads, position - start
        first = run[position]
        last = (
            run[position + 1] - 1
            if position + 1 < len(run)
            else (last_end(chain, first, threads) or _some_end(chain, first, threads))
        )
        if last is None or (
            chain.chars(Span(first, last)) > MAX_OUTLIER * max(chain.sizes(threads)) and len(threads) > 1
        ):
            return threads, position - start
        span, whole = independent_part(chain, threads, Span(first, last))
        if span is not None:
            threads.append(span)
        if not whole:
            return threads, position - start + (span is not None)
    return threads, min(len(run), start + MAX_MEMBERS) - start


def _some_end(chain: Chain, start: int, earlier: Sequence[Span]) -> int | None:
    """Where no natural end shows: after as many units as the longest sister has; a guess to be vetted."""
    last = start + max(span.last - span.first for span in earlier)
    return last if last < len(chain.units) - 1 else None


def _speaks_of_all(chain: Chain, span: Span) -> int | None:
    """The unit of a passage that speaks about the whole, if one does."""
    return next(
        (
            index
            for index in range(span.first + 1, span.last + 1)
            if _ENDS_SERIES.match(chain.units[index].text)
            and not joins_own(chain.text_of(span), chain.units[index].offset - chain.units[span.first].offset)
        ),
        None,
    )


def _trimmed(chain: Chain, threads: list[Span]) -> list[Span]:
    """The last thread ends where its own matter does, even when the series went on after it."""
    last = threads[-1]
    own, after = chain.head(last.first), chain.head(last.last + 1)
    next_case = own and after and own.kind == "label" and own.key == after.key and own.slot != after.slot
    if next_case and chain.chars(last) <= _WHOLE_MEMBER * max(chain.sizes(threads[:-1])):
        return threads  # up to the next case all is its own
    end = last_end(chain, last.first, threads[:-1])
    if end is not None and last.first <= end < last.last:
        return [*threads[:-1], Span(last.first, end)]
    return threads


def _finished(chain: Chain, threads: list[Span]) -> list[Span]:
    """The last thread with a conclusion of its own; without it where the text works on with its symbols."""
    last = threads[-1]
    following = last.last + 1
    if following < len(chain.units) and _concludes_one(chain, threads, following):
        threads = [*threads[:-1], Span(last.first, following)]
    return threads[:-1] if works_on(chain, threads, ("symbol",)) else threads


def _concludes_one(chain: Chain, threads: Sequence[Span], index: int) -> bool:
    unit = chain.units[index]
    if unit.head is not None or FINAL.search(unit.text) or _joins(unit.text) or not _CONCLUDES.match(unit.text):
        return False
    return first_lean(leans(chain, threads[:-1], Span(index, index))) is None


def last_end(chain: Chain, start: int, earlier: Sequence[Span]) -> int | None:
    """The unit that ends a series' last passage: before what joins, or after as much as its sisters have."""
    longest, shortest = max(chain.sizes(earlier)), min(chain.sizes(earlier))
    most_units = max(span.last - span.first + 1 for span in earlier)
    familiar = {
        _first_words(chain.units[index].text) for span in earlier for index in range(span.first + 1, span.last + 1)
    }
    closing, own = None, chain.head(start)
    headed = own is not None or chain.units[start].text.rstrip().endswith(":")
    for index in range(start + 1, len(chain.units)):
        unit = chain.units[index]
        other_member = unit.head and own and unit.head.key == own.key and unit.head.slot != own.slot
        if other_member or chain.opens_way(index) or FINAL.search(unit.text) or _SECTION.match(unit.text):
            return index - 1
        new_turn = _first_words(unit.text) not in familiar or DOUBTS.match(unit.text)
        begun = chain.chars(Span(start, index - 1))
        if headed and begun <= _HEADING_CHARS and begun < _LEAST_OF_SISTER * shortest:
            continue  # as yet there is no more than its heading
        if new_turn and (index - start >= most_units or _joins(unit.text)):
            # A doubt right after a paragraph that came to nothing: the passage goes on beyond it.
            broken = DOUBTS.match(unit.text) and not came_to_something(chain.units[index - 1].text)
            return None if broken and not _CLOSES.match(chain.units[index - 1].text) else index - 1
        if chain.chars(Span(start, index)) > 1.6 * longest + 200:
            return closing
        if _CLOSES.match(unit.text):
            closing = index
    return None


def _joins(text: str) -> bool:
    return bool(_JOINS.match(text) or _JOINT_WORDS.search(text[:_JOINT_CHARS]))


def _first_words(text: str) -> str:
    """The first two words, numbers apart: what tells a familiar line of a series from a new turn."""
    return " ".join(re.sub(r"[^a-z ]+", " ", text[:60].lower()).split()[:2]) or "#"
