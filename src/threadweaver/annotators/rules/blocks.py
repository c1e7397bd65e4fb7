"""Finds neighbouring passages that are independent of one another; better no block than a wrong one."""

from __future__ import annotations

from collections.abc import Sequence

from threadweaver.annotators.rules.chain import Block, Chain
from threadweaver.annotators.rules.counterparts import counterpart_blocks
from threadweaver.annotators.rules.likes import like_blocks
from threadweaver.annotators.rules.methods import method_blocks
from threadweaver.annotators.rules.repeats import repeat_blocks
from threadweaver.annotators.rules.series import series_blocks
from threadweaver.annotators.rules.vetting import vetted
from threadweaver.corpus.repetition import DEGENERATE_SHARE, repeated_share


def find_blocks(problem: str, thinking: str) -> tuple[Chain, list[Block]]:
    """The chain cut into units, and its blocks in order; a chain that only repeats itself has none."""
    chain = Chain.read(problem, thinking)
    if repeated_share(thinking) >= DEGENERATE_SHARE:
        return chain, []
    found = [
        *series_blocks(chain),
        *counterpart_blocks(chain),
        *like_blocks(chain),
        *repeat_blocks(chain),
        *method_blocks(chain),
    ]
    return chain, _choose(chain, [block for each in found if (block := vetted(chain, each))])


def _choose(chain: Chain, candidates: Sequence[Block]) -> list[Block]:
    """Blocks that do not overlap, those that shorten the chain most first."""

    def saved(block: Block) -> int:
        sizes = chain.sizes(block.threads)
        return sum(sizes) - max(sizes)

    taken: list[Block] = []
    for block in sorted(candidates, key=lambda block: (-saved(block), block.threads[0].first)):
        first, last = block.threads[0].first, block.threads[-1].last
        if all(last < other.threads[0].first or first > other.threads[-1].last for other in taken):
            taken.append(block)
    return sorted(taken, key=lambda block: block.threads[0].first)
