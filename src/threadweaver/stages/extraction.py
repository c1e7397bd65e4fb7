"""Turn a chain and its annotation into a trajectory, with a reason for every block that is not used.

Only ranges are taken from the annotation. A block covers whole lines, each line in it belongs to one of its
threads, and only white space at the edges of the threads is removed (and recorded).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate

from threadweaver import independence
from threadweaver.grading import final_answer, settled_at
from threadweaver.stages.choice import OUTLINE, RECHECK_WEIGHT, Candidate, choose, worth_of
from threadweaver.trajectory import markup
from threadweaver.trajectory.annotation import Annotation, BlockNote, Code, Defect, Range, Step, ThreadNote
from threadweaver.trajectory.edits import BlockLineage, Lineage, ThreadLineage, Unused

FILTER_DIFF_THRESHOLD = 200
"""Characters: a block whose threads together save fewer (total minus the longest) is not worth branching for."""

_UNUSABLE = (Code.UNBALANCED_TAG, Code.OVERLAP, Code.OUT_OF_FILE, Code.MISSING_RANGE)


@dataclass(frozen=True, slots=True)
class Extraction:
    trajectory: str
    lineage: Lineage


class _Chain:
    """A chain with the offsets of its lines."""

    def __init__(self, text: str, problem: str):
        self.text = text
        self.known = independence.Lookup(f"{problem}\n\n{text}")
        self.lines = text.split("\n")
        self.starts = [0, *accumulate(len(line) + 1 for line in self.lines)]

    def passage(self, span: Range) -> str:
        """Return the lines of a range without the final newline."""
        return self.text[self.starts[span.first - 1] : self.starts[span.last] - 1]

    def lengths(self, candidate: Candidate) -> list[int]:
        """Return the characters of each thread, without white space at its edges."""
        return [len(self.passage(span).strip()) for span in candidate.ranges]

    def context(self, span: Range) -> independence.Context:
        """Return what a passage may use: the problem and all text before the passage."""
        ahead = len(self.known.text) - len(self.text)
        return independence.Context(self.known, ahead + self.starts[span.first - 1])

    def shrink(self, span: Range) -> Range | None:
        """Return the range without blank lines at its edges, or None if all are blank."""
        filled = [number for number in range(span.first, span.last + 1) if self.lines[number - 1].strip()]
        return Range(filled[0], filled[-1]) if filled else None


def extract(
    chain_text: str,
    annotation: Annotation,
    lineage: Lineage,
    *,
    threshold: int = FILTER_DIFF_THRESHOLD,
    merge_dependent: bool = True,
    recheck_weight: float = RECHECK_WEIGHT,
    min_gain: int = 0,
) -> Extraction:
    """Mark the best of the annotated blocks that can be used; `lineage` describes the sample and is returned with
    them. Its notes name every candidate and why it was chosen or not.

    `threshold` is asked of the characters that a block saves, `min_gain` of what is left of them after its outlines and the
    weight of a re-check; the latter only where the annotation tells the novelty of a block, which the older form does not,
    and where the chain has a block that gains as much.
    """
    chain = _Chain(chain_text, lineage.problem)
    fit: list[Candidate] = []
    unused: list[Unused] = []
    notes = [_defect_note(defect) for defect in annotation.defects]
    settled = settled_at(chain_text, final_answer(lineage.output))
    for block in annotation.blocks:
        for candidate in _candidates(block, annotation.steps, chain, unused):
            if merge_dependent and len(candidate.ranges) <= markup.MAX_THREADS:
                candidate, merged = _merge_dependent(candidate, chain)
                notes += merged
            candidate = _join_short(candidate, chain)
            if reason := _unfit(candidate, chain, threshold):
                unused.append(_unused(block, candidate.ranges, *reason))
            else:
                after = chain.starts[candidate.lines.first - 1] >= settled
                fit.append(_valued(candidate, chain, after, recheck_weight))
    chosen, left = _pick(fit, min_gain)
    notes += [_candidate_note(item, item in chosen, chain) for item in fit]
    text, blocks = _mark_up(chain, chosen)
    unused += left
    return Extraction(text, replace(lineage, blocks=blocks, unused=tuple(unused), notes=(*lineage.notes, *notes)))


def _pick(fit: Sequence[Candidate], min_gain: int) -> tuple[list[Candidate], list[Unused]]:
    """Return the blocks to use, and why the others are not.

    Small ones are used where a chain has no others, if they gain anything: without any block it trains no branching.
    """
    enough = [item for item in fit if not item.novelty or item.value <= 0 or item.value >= 1000 * min_gain]
    compared = enough if any(item.value > 0 for item in enough) else [item for item in fit if item.value > 1000]
    chosen = choose(compared)
    left = [item for item in fit if item not in chosen]
    small = [item for item in left if item not in compared and item not in enough]
    return chosen, [_low_gain(item, min_gain) if item in small else _not_chosen(item, chosen) for item in left]


def _valued(candidate: Candidate, chain: _Chain, after_answer: bool, recheck_weight: float) -> Candidate:
    value = worth_of(
        chain.lengths(candidate), candidate.novelty, after_answer=after_answer, recheck_weight=recheck_weight
    )
    return replace(candidate, value=value)


def _low_gain(item: Candidate, min_gain: int) -> Unused:
    detail = f"{item.value / 1000:g} characters are gained, after its outlines and its weight; {min_gain} are asked for"
    return Unused(item.number, item.lines.first, item.lines.last, "low_gain", detail)


def _not_chosen(item: Candidate, chosen: Sequence[Candidate]) -> Unused:
    rivals = [other for other in chosen if other.lines.overlaps(item.lines)]
    if item.value > 0:
        better = " and ".join(f"block {other.number} ({other.lines})" for other in rivals)
        code, detail = "overlap", f"{better} saves more"
    elif item.novelty == "restatement":
        code, detail = "restatement", "it writes down again what is settled"
    else:
        code, detail = "re-check", "re-checks have no weight"
    return Unused(item.number, item.lines.first, item.lines.last, code, detail)


def _candidate_note(item: Candidate, chosen: bool, chain: _Chain) -> dict:
    lengths = chain.lengths(item)
    return {
        "kind": "candidate",
        "block": item.number,
        "lines": str(item.lines),
        "threads": len(lengths),
        "nature": "; ".join(filter(None, (item.kind, item.novelty))),
        "saved": sum(lengths) - max(lengths),
        "value": item.value / 1000,
        "chosen": chosen,
    }


def _defect_note(defect: Defect) -> dict:
    return {
        "kind": "annotation",
        "code": str(defect.code),
        "block": defect.block,
        "thread": defect.thread,
        "detail": defect.detail,
    }


def _unused(block: BlockNote, ranges: Sequence[Range], code: str, detail: str = "") -> Unused:
    lines = Range(ranges[0].first, ranges[-1].last) if ranges else block.lines
    return Unused(block.number, lines and lines.first, lines and lines.last, code, detail)


def _candidates(block: BlockNote, steps: Sequence[Step], chain: _Chain, unused: list[Unused]) -> list[Candidate]:
    """Return the runs of threads in an annotated block that can be siblings.

    A thread whose check failed depends on a sibling: it stays in the text and separates two runs.
    """
    if fatal := next((defect for defect in block.defects if defect.code in _UNUSABLE), None):
        unused.append(_unused(block, (), str(fatal.code), fatal.detail))
        return []
    threads = [(thread, chain.shrink(thread.lines)) for thread in block.threads]
    filled = [(thread, span) for thread, span in threads if span]
    runs: list[list[Range]] = [[]]
    for thread, span in filled:
        if thread.passed is False:
            runs.append([])
        else:
            runs[-1].append(span)
    kept = [run for run in runs if len(run) >= markup.MIN_THREADS]
    if not kept:
        code = Code.CHECK_FAILED if block.has(Code.CHECK_FAILED) else Code.SINGLE_THREAD
        unused.append(_unused(block, [span for _, span in filled], str(code), "fewer than two threads remain"))
    plans = tuple((span.first, _plan(thread, steps)) for thread, span in filled)
    return [Candidate(block.number, _close_gaps(run), block.reason, block.kind, block.novelty, plans) for run in kept]


def _plan(thread: ThreadNote, steps: Sequence[Step]) -> str:
    """Return what a thread's steps set out to do, without their substeps; where it names none, those in its lines."""
    own = thread.steps or [
        step
        for step in steps
        if step.lines and thread.lines.first <= step.lines.first and step.lines.last <= thread.lines.last
    ]
    named = {step.number: step.description for step in own}
    whole = [text for number, text in named.items() if not any(number.startswith(f"{other}.") for other in named)]
    return "; ".join(filter(None, whole))


def _close_gaps(ranges: Sequence[Range]) -> tuple[Range, ...]:
    """Give lines that no thread covers to the thread before them."""
    following = [span.first - 1 for span in ranges[1:]] + [ranges[-1].last]
    return tuple(Range(span.first, last) for span, last in zip(ranges, following, strict=True))


def _merge_dependent(candidate: Candidate, chain: _Chain) -> tuple[Candidate, list[dict]]:
    """Merge threads when one certainly uses what another introduces, including everything between them."""
    notes: list[dict] = []
    ranges = list(candidate.ranges)
    passages = [independence.Passage.read(chain.passage(span)) for span in ranges]
    context = chain.context(ranges[0])
    while len(ranges) > 1:
        found = independence.leaks_of(context, passages)
        leak = next((leak for leak in found if leak.certain), None)
        if leak is None:
            break
        low, high = sorted((leak.source, leak.target))
        notes.append(
            {
                "kind": "merged",
                "block": candidate.number,
                "lines": [str(ranges[low]), str(ranges[high])],
                "evidence": leak.kind,
                "what": leak.what,
            }
        )
        merged = Range(ranges[low].first, ranges[high].last)
        ranges[low : high + 1] = [merged]
        passages[low : high + 1] = [independence.Passage.read(chain.passage(merged))]
    return replace(candidate, ranges=tuple(ranges)), notes


def _join_short(candidate: Candidate, chain: _Chain) -> Candidate:
    """Join each thread that is shorter than an outline to the shorter of its neighbours."""
    ranges = list(candidate.ranges)
    lengths = chain.lengths(candidate)
    while len(ranges) > markup.MIN_THREADS and min(lengths) < OUTLINE:
        at = lengths.index(min(lengths))
        left = at == len(ranges) - 1 or (at > 0 and lengths[at - 1] <= lengths[at + 1])
        low = at - 1 if left else at
        ranges[low : low + 2] = [Range(ranges[low].first, ranges[low + 1].last)]
        lengths[low : low + 2] = [len(chain.passage(ranges[low]).strip())]
    return replace(candidate, ranges=tuple(ranges))


def _unfit(candidate: Candidate, chain: _Chain, threshold: int) -> tuple[str, str] | None:
    """Return why a candidate cannot be a block or is not worth one, as code and detail; None if it is fit."""
    passages = [chain.passage(span).strip() for span in candidate.ranges]
    if len(passages) < markup.MIN_THREADS:
        return "dependent", "its threads use each other's results"
    if len(passages) > markup.MAX_THREADS:
        return "too_many_threads", f"{len(passages)} threads"
    for passage in passages:
        if shaped := markup.TAG_SHAPED.search(passage):
            return "tag_in_passage", shaped.group()
    lengths = [len(passage) for passage in passages]
    saved = sum(lengths) - max(lengths)
    if saved < threshold:
        return "low_information", f"{saved} characters beside the longest thread"
    return None


def _mark_up(chain: _Chain, candidates: Sequence[Candidate]) -> tuple[str, tuple[BlockLineage, ...]]:
    out, lineages, cursor = [], [], 0
    for candidate in candidates:
        first, last = candidate.ranges[0].first, candidate.ranges[-1].last
        start, end = chain.starts[first - 1], chain.starts[last] - 1
        # a thread's passage runs up to the next one's, so that the newline between them is recorded with it
        stops = [chain.starts[span.first - 1] for span in candidate.ranges[1:]] + [end]
        threads, notes = [], []
        for span, stop in zip(candidate.ranges, stops, strict=True):
            raw = chain.text[chain.starts[span.first - 1] : stop]
            body = raw.strip()
            lead = len(raw) - len(raw.lstrip())
            threads.append(body)
            ends = raw[:lead], raw[lead + len(body) :]
            notes.append(ThreadLineage(span.first, span.last, *ends, plan=candidate.plan(span)))
        out += [chain.text[cursor:start], markup.write_block(threads)]
        lineages.append(BlockLineage(first, last, tuple(notes), candidate.reason, candidate.kind, candidate.novelty))
        cursor = end
    return "".join([*out, chain.text[cursor:]]), tuple(lineages)
