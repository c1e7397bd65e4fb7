"""No cap is passed, and what is spent and reserved adds up."""

from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from ledgers import key, record
from threadweaver.ledger import Ledger


async def test_the_cap_is_never_passed(ledger):
    claims = await asyncio.gather(*(ledger.claim(key(f"x{number}"), 30, 100) for number in range(10)))
    states = [claim.state for claim in claims]
    # The rest may fit once these three turn out cheaper.
    assert states.count("mine") == 3 and states.count("wait") == 7
    mine = [claim for claim in claims if claim.state == "mine"]
    for claim, text in zip(mine, ("x0", "x1", "x2"), strict=True):
        await ledger.record(record(text, cost=30), claim.reservation)
    assert (await ledger.claim(key("y"), 30, 100)).state == "cap"
    assert (await ledger.claim(key("y"), 10, 100)).state == "mine"
    assert (await ledger.claim(key("z"), 30, 130)).state == "mine"


@given(st.lists(st.tuples(st.integers(1, 40), st.sampled_from(["paid", "billed", "free", "open"])), max_size=30))
def test_spent_and_reserved_add_up_and_stay_under_the_cap(calls):
    async def play() -> None:
        ledger = Ledger(None)
        spent = reserved = 0
        for number, (amount, end) in enumerate(calls):
            claim = await ledger.claim(key(f"x{number}"), amount, 200)
            assert (claim.state == "mine") is (spent + reserved + amount <= 200)
            if claim.state != "mine":
                continue
            reserved += amount
            if end == "paid":
                await ledger.record(record(f"x{number}", cost=amount // 2), claim.reservation)
                spent, reserved = spent + amount // 2, reserved - amount
            elif end != "open":
                await ledger.release(claim.reservation, key=key(f"x{number}"), billed=end == "billed")
                reserved -= amount * (end == "free")
            seen = await ledger.spending()
            assert (seen.spent, seen.reserved) == (spent, reserved)
        ledger.close()

    asyncio.run(play())


async def test_an_orderly_end_frees_what_was_not_sent(tmp_path):
    ledger = Ledger(tmp_path / "l.sqlite")
    sent = await ledger.claim(key("sent"), 5, None)
    await ledger.claim(key("waiting"), 7, None)
    ledger.in_doubt.add(sent.reservation)
    ledger.close()
    ledger = Ledger(tmp_path / "l.sqlite")
    spending = await ledger.spending()
    assert (spending.reserved, spending.uncertain) == (5, 5)
    ledger.close()
