"""Plan what one stage would call and cost, and print plans."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable, Mapping

from threadweaver.annotators.protocol import Annotator
from threadweaver.client import Drawn, Estimate
from threadweaver.ledger import NANO
from threadweaver.runs.summary import print_no_calls


def print_stage_plan(title: str, annotator: Annotator, work: Iterable[Coroutine]) -> int:
    """Print the plan of one stage, whose input exists, and return the exit code; `work` runs the stage on each
    sample."""

    async def count() -> tuple[Drawn, str]:
        async with annotator:
            for sample in work:
                await sample
            drawn = await annotator.drain()
            return drawn, await money_line(annotator, drawn.to_pay)

    if annotator.client is None:
        return print_no_calls(title)
    drawn, money = asyncio.run(count())
    print(f"plan of {title}: nothing is called")
    print(table({title: drawn.to_pay}))
    print(money)
    return 0


async def money_line(annotator: Annotator, planned: Estimate) -> str:
    """Return one line on what is spent, what is under way, and whether the cap leaves enough."""
    client = annotator.client
    line = await client.money_line()
    if client.cap is not None and planned.cost is not None:
        spending = await client.ledger.spending()
        left = (client.cap - spending.spent - spending.reserved) / NANO
        if planned.cost > left:
            line += f": ${left:.2f} are left, and the plan needs ${planned.cost:.2f}"
    if rows := sum(entry.rows for entry in await client.ledger.batches()):
        line += f"; {rows} requests are in batches under way and are counted here as still to be made"
    return line


def table(rows: Mapping[str, Estimate]) -> str:
    """Return one line per stage, with the basis of its figures below it: calls still to be made, with their tokens and
    dollars, and beside them those that the ledger answers for nothing."""
    lines = [f"  {'':<26}{'to call':>9}{'in ledger':>11}{'tokens in':>14}{'cached':>14}{'out':>13}{'USD':>10}"]
    for title, estimate in rows.items():
        usage = estimate.usage
        cost = "no price" if estimate.cost is None else f"{estimate.cost:,.3f}"
        lines.append(
            f"  {title:<26}{estimate.calls:>9,}{estimate.paid:>11,}{usage.input:>14,}{usage.cached:>14,}"
            f"{usage.output:>13,}{cost:>10}"
        )
        lines += [f"    {basis}" for basis in sorted(estimate.basis)] if estimate.calls else []
    return "\n".join(lines)
