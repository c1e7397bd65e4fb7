"""Present the evidence about the blocks of one sample: leaks between threads, a referee's findings, worth.

It is asked for once the sample is shown: looking for leaks takes longer than all else.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache

from threadweaver import independence
from threadweaver.independence import CONFIDENT, Leak
from threadweaver.stages import worth
from threadweaver.stages.block_leaks import SUSPECTED, BlockLeaks
from threadweaver.text import parse_json
from threadweaver.trajectory import edits, markup
from threadweaver.trajectory.edits import BlockLineage, ConservationError
from threadweaver.trajectory.findings import BlockFindings, Taken
from threadweaver.viewer import scan
from threadweaver.viewer.documents import Source
from threadweaver.viewer.gauge import Gauge
from threadweaver.viewer.runs import Run

LONGEST = 500_000
"""Characters of a text in which leaks are looked for: a longer one would keep the server busy for seconds."""
MOST_LEAKS = 200
"""Leaks of one block that are sent, the strongest first."""
_SHOWN_FROM = 0.15
"""Score below which a leak is no more than a name that two threads share."""
_BETWEEN = re.compile(r"[\s\\{}$,]*")
"""What may be between the characters of a name as it is written: `x_1` is `x_{1}`, `T=6` is `$T = 6$`."""
_MOST_MARKED = 120
_POINTS_BACK = re.compile(
    r"\b(?:similarly|likewise|again|also|too|another|other|alternatively|instead|as (?:before|above)|previous(?:ly)?"
    r"|earlier|above|so then|but wait|next|now|then|second(?:ly)?|third(?:ly)?|finally|both|same)\b",
    re.I,
)
_NEAR_EDIT = 60
"""Characters around an edit in which the use of a sibling's mathematics counts as its reason."""


def evidence(run: Run, source: Source, gauge: Gauge) -> dict:
    """Return by block its leaks, what a referee found, and what it is worth; empty for a text that cannot be parsed."""
    trajectory = parsed(source.text)
    if trajectory is None or not trajectory.blocks:
        return {"blocks": [], "confident": CONFIDENT, "suspected": SUSPECTED}
    too_long = len(trajectory.text) > LONGEST
    found = [()] * len(trajectory.blocks) if too_long else _leaks(trajectory.text, source.problem)
    judged = _findings(run, source, len(trajectory.blocks))
    valued = _worths(run, source, trajectory, gauge)
    blocks = []
    for number, block in enumerate(trajectory.blocks):
        bodies = [thread.body for thread in block.threads]
        shown = [leak for leak in found[number] if leak.score >= _SHOWN_FROM]
        referee = judged[number] if judged else None
        blocks.append(
            {
                "number": number + 1,
                "leaks": [_leak(leak, bodies) for leak in shown[:MOST_LEAKS]],
                "skipped": too_long,
                "more": max(0, len(shown) - MOST_LEAKS),
                "referee": _referee(referee, bodies) if referee else None,
                "worth": valued[number],
            }
        )
    return {"blocks": blocks, "confident": CONFIDENT, "suspected": SUSPECTED}


def parsed(text: str | None) -> markup.Trajectory | None:
    try:
        return markup.parse(text) if text is not None else None
    except markup.MarkupError:
        return None


@lru_cache(maxsize=32)
def _leaks(text: str, problem: str) -> tuple[tuple[Leak, ...], ...]:
    return BlockLeaks.read(markup.parse(text), problem).blocks


def _leak(leak: Leak, bodies: Sequence[str]) -> dict:
    """Return a leak with its places in the two threads, which are numbered from 1."""
    return {
        "source": leak.source + 1,
        "target": leak.target + 1,
        "kind": leak.kind,
        "what": leak.what[:_MOST_MARKED],
        "score": leak.score,
        "at": span_of(bodies[leak.source], leak.what, leak.defined_at),
        "used": span_of(bodies[leak.target], leak.what, leak.used_at),
    }


def span_of(text: str, what: str, at: int) -> list[int]:
    """Return begin and end of a name that is written at an offset; where it is written otherwise, of the words there."""
    end = at
    for char in what:
        end = _BETWEEN.match(text, end).end()
        if text[end : end + 1].lower() != char.lower():
            rest = re.compile(r"[^\n.;]{1,40}").match(text, at)
            return [at, rest.end() if rest else min(len(text), at + 1)]
        end += 1
        if end - at > _MOST_MARKED:
            break
    return [at, max(end, at + 1)]


def _referee(found: BlockFindings, bodies: Sequence[str]) -> dict:
    takes = [_taken(number, taken, bodies) for number, item in enumerate(found.threads, 1) for taken in item.takes]
    return {
        "independent": found.independent,
        "sensible": found.sensible,
        "worth": found.worth,
        "work": [item.work for item in found.threads],
        "outlines": [item.outline for item in found.threads],
        "takes": takes,
    }


def _taken(number: int, taken: Taken, bodies: Sequence[str]) -> dict:
    sibling = bodies[taken.sibling - 1] if 0 < taken.sibling <= len(bodies) else ""
    return {
        "source": taken.sibling,
        "target": number,
        "kind": "wording" if taken.wording else "content",
        "what": taken.quote,
        "rests_on": taken.rests_on,
        "at": _find(sibling, taken.rests_on),
        "used": _find(bodies[number - 1], taken.quote),
    }


def _find(text: str, quote: str) -> list[int] | None:
    """Return where a quote is; line breaks and runs of blanks count as one blank."""
    words = quote.split()
    found = re.search(r"\s+".join(map(re.escape, words)), text) if words else None
    return list(found.span()) if found else None


def _findings(run: Run, source: Source, blocks: int) -> list[BlockFindings | None] | None:
    """Return the referee's findings about each block of the text that is shown; None where none are known.

    The referee saw the text before blocks were put back in sequence; what its lineage has lost since is left out.
    """
    place = run.place("referee")
    path = place.file(f"{source.row.id}.json") if place else None
    try:
        data = parse_json(path.read_bytes()) if path else {}
        found = [None if block is None else BlockFindings.from_json(block) for block in data.get("blocks", [])]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    for code in ("referee", "dropped"):
        if len(found) > blocks and source.lineage:
            back = {item.number for item in source.lineage.unused if item.code == code}
            found = [item for number, item in enumerate(found, 1) if number not in back]
    return found if len(found) == blocks else None


def _worths(run: Run, source: Source, trajectory: markup.Trajectory, gauge: Gauge) -> list[dict]:
    """Return the worth of each block from stage 5's account, or measured now."""
    place = run.place("filter")
    known = scan.facts_of(place, source.row.id).get("worth") if place else None
    if isinstance(known, list) and len(known) == len(trajectory.blocks) and all(isinstance(one, dict) for one in known):
        return [{name: one.get(name) for name in _WORTH} for one in known]
    lineage = source.lineage if source.lineage and len(source.lineage.blocks) == len(trajectory.blocks) else None
    found = worth.worths(trajectory, lineage, gauge.starts(trajectory.text))
    return [{**one, "estimated": not gauge.exact} for one in found]


_WORTH = ("kind", "novelty", "saved_tokens", "after_answer", "settled", "new")


def reasons_of_edits(source: Source) -> dict[str, list[list[str]]]:
    """Return by `block.thread` (from 1), for each edit of more than white space, what is known of why it was made.

    Known is a sibling's mathematics in the words that were replaced, or near them, and words that point back.
    """
    trajectory, lineage = parsed(source.text), source.lineage
    if trajectory is None or lineage is None or len(lineage.blocks) != len(trajectory.blocks):
        return {}
    if len(trajectory.text) > LONGEST:
        return {}
    found = {}
    for number, (block, origin) in enumerate(zip(trajectory.blocks, lineage.blocks, strict=True), 1):
        if not any(thread.edits for thread in origin.threads) or len(block.threads) != len(origin.threads):
            continue
        before = _before_edits(block, origin)
        context = trajectory.text[: block.start]
        leaks = _block_leaks(f"{source.problem}\n\n{context}", tuple(before))
        for k, thread in enumerate(origin.threads, 1):
            own = [leak for leak in leaks if leak.target == k - 1 and leak.score >= _SHOWN_FROM]
            seen = [edit for edit in thread.edits if edit.src.strip() or edit.dest.strip()]
            found[f"{number}.{k}"] = [list(_each_reason(edit, before[k - 1], own)) for edit in seen]
    return found


@lru_cache(maxsize=64)
def _block_leaks(context: str, bodies: tuple[str, ...]) -> list[Leak]:
    return independence.leaks(context, bodies)


def _before_edits(block: markup.Block, origin: BlockLineage) -> list[str]:
    try:
        pairs = zip(block.threads, origin.threads, strict=True)
        return [edits.undo(thread.body, lineage.edits) for thread, lineage in pairs]
    except ConservationError:
        return [thread.body for thread in block.threads]


def _each_reason(edit: edits.Edit, before: str, leaks: Sequence[Leak]) -> Iterator[str]:
    at = before.find(edit.src)
    low, high = (at, at + len(edit.src)) if at >= 0 else (edit.offset, edit.offset + len(edit.src))
    for leak in leaks:
        if low - _NEAR_EDIT <= leak.used_at < high + _NEAR_EDIT:
            where = "" if low <= leak.used_at < high else ", near by"
            yield f"thread {leak.source + 1} introduces {leak.what} ({leak.kind}, score {leak.score:.2f}{where})"
    removed = {word.lower() for word in _POINTS_BACK.findall(edit.src)}
    removed -= {word.lower() for word in _POINTS_BACK.findall(edit.dest)}
    if removed:
        yield f"words that point back: {', '.join(sorted(removed))}"
