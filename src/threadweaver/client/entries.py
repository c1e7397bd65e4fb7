"""A reply as the ledger keeps it."""

from __future__ import annotations

import time

from threadweaver.client.apis import RawReply
from threadweaver.client.prices import Price
from threadweaver.client.requests import Request, Usage
from threadweaver.ledger import LedgerEntry


def entry_of(
    price: Price | None, request: Request, stage: str, answer: RawReply, tier: str, sent: float
) -> LedgerEntry:
    """What is truncated, empty or refused is rejected by that alone; completions may end in any way."""
    usage = answer.usage or Usage()
    tier = str(tier)  # a server may say anything
    cost = None
    if price is not None:
        # A server that does not count may have billed anything up to the worst case; a batch is half the price
        # for sure, of another tier only the server's word is known.
        tiers = {tier} if tier == "batch" else {tier, "default"}
        cost = (
            price.cost(usage, tier) if answer.usage else max(price.worst_case(request, possible) for possible in tiers)
        )
    rejected = answer.status if answer.status != "ok" and request.api != "completions" else None
    now = time.time()
    return LedgerEntry(
        key=request.key,
        base=request.at(0).key,
        attempt=request.attempt,
        api=request.api,
        model=request.model,
        stage=stage,
        turn=request.turn,
        request=request.canonical,
        reply=answer.text,
        status=answer.status,
        finish=answer.finish,
        input=usage.input,
        cached=usage.cached,
        output=usage.output,
        reasoning=usage.reasoning,
        cost=cost,
        tier=tier,
        sent=sent,
        done=now,
        extra=answer.extra,
        verdict="rejected" if rejected else None,
        why=rejected,
        judged=now if rejected else None,
    )
