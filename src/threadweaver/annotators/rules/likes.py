"""Passages that open alike: the same words round other numbers, names or counterparts ("tens", "units")."""

from __future__ import annotations

import re
from collections.abc import Sequence

from threadweaver.annotators.rules.chain import Block, Chain, Span
from threadweaver.annotators.rules.series import grown
from threadweaver.annotators.rules.ways import came_to_something

MAX_GAP = 14  # units between two members
_PER_DOUBT = 4  # members for one that doubts
_DOUBTS = re.compile(r"\b(?:wait|hmm+|hold on|maybe|perhaps)\b|^\W*but\b", re.IGNORECASE)

_TURNS = re.compile(
    r"\W*(?:alternatively|another|next,|suppose|let'?s (?:try|move|go)|moving on|proceeding|what about)\b",
    re.IGNORECASE,
)


def like_blocks(chain: Chain) -> list[Block]:
    """The blocks of every run of passages that open alike; they may overlap."""
    return [
        block
        for run in _runs(chain)
        for block in grown(chain, "counterpart", run)
        if _steady(chain, run, block) and all(_comes_to_an_end(chain, span) for span in block.threads)
    ]


def _steady(chain: Chain, run: Sequence[int], block: Block) -> bool:
    """Whether the text goes on without doubts: only a long series may stumble once."""
    first, last = block.threads[0].first, block.threads[-1].last
    doubtful = sum(bool(_DOUBTS.search(unit.text)) for unit in chain.units[first : last + 1])
    return doubtful * _PER_DOUBT <= sum(first <= index <= last for index in run)


def _comes_to_an_end(chain: Chain, span: Span) -> bool:
    """Whether a passage ends with a relation that it came to, and does not turn to something else before."""
    inner = [chain.units[index].text for index in range(span.first + 1, span.last + 1)]
    ends = [chain.units[index].text for index in range(max(span.first, span.last - 1), span.last + 1)]
    return any(map(came_to_something, ends)) and not any(map(_TURNS.match, inner))


def _runs(chain: Chain) -> list[list[int]]:
    open_runs: dict[str, list[int]] = {}
    seen: dict[str, set[str]] = {}
    done: list[list[int]] = []
    for index, unit in enumerate(chain.units):
        found = None if unit.head and unit.head.kind in ("label", "method") else chain.skeleton(index)
        if found is None:
            continue
        key, slot = found
        run = open_runs.get(key)
        if run and index - run[-1] <= MAX_GAP and slot not in seen[key]:
            run.append(index)
            seen[key].add(slot)
            continue
        done += [run] if run else []
        open_runs[key], seen[key] = [index], {slot}
    runs = [run for run in [*done, *open_runs.values()] if len(run) > 1]
    return sorted(runs, key=lambda run: run[0])
