"""What the client counts and pays: totals, the cap, lost calls, tiers."""

from __future__ import annotations

from dataclasses import replace

import pytest

from asking import ask, ask_all, settings_in
from fake_openai import FakeOpenAI
from threadweaver.client import Client, Reply, Usage, errors
from threadweaver.client.apis import RawReply
from threadweaver.client.prices import price_of
from threadweaver.client.session import Session
from threadweaver.client.settings import ClientSettings
from threadweaver.errors import UserError
from threadweaver.runs import runner


@pytest.fixture
def settings(tmp_path, monkeypatch):
    return settings_in(tmp_path, monkeypatch)


async def test_totals_by_stage_and_sample(settings):
    with FakeOpenAI() as server:
        settings = replace(settings, base_url=server.url)
        async with Client(settings) as client:
            for label in ("step1/a", "step1/b", "step3/a", "step10/a"):
                await client.ask(ask(settings, f"q {label}"), label=label)
            usage = server.stats()["tokens"]
            assert (client.total().paid.input, client.total().paid.output) == (usage["input"], usage["output"])
            assert client.total().cost == pytest.approx((usage["input"] * 1.25 + usage["output"] * 10) / 1e6)
            sent = [client.total(prefix).sent for prefix in ("step1", "step1/a", "step3", "step10", "step")]
            assert sent == [2, 1, 1, 1, 0]


async def test_an_unknown_model_is_counted_in_tokens(settings):
    with FakeOpenAI() as server:
        _, client = await ask_all(replace(settings, base_url=server.url, model="own"), ["q"])
    assert client.total().cost is None and client.total().paid.output > 0 and "no price known" in client.total().line()
    with pytest.raises(UserError, match="--in_cost_per_million"):
        Client(replace(settings, model="own", max_cost=1.0))


async def test_the_cap_holds_and_a_run_with_a_higher_one_continues(settings):
    texts = [f"q{n}" for n in range(60)]
    with FakeOpenAI(latency=0.02) as server:
        settings = replace(settings, base_url=server.url, max_cost=0.006, output_limit=40)
        outcomes, client = await ask_all(settings, texts)
        billed = server.stats()["tokens"]
        assert billed["input"] * 1.25e-6 + billed["output"] * 10e-6 <= 0.006
        refused = [error for error in outcomes if isinstance(error, errors.CapReached)]
        paid = [reply for reply in outcomes if isinstance(reply, Reply)]
        assert len(refused) + len(paid) == 60 and len(refused) > 10 and len(paid) > 15
        # It waits for what calls under way give back: what is left at the end is less than one more call could cost.
        assert 0.006 - sum(reply.cost for reply in paid) < client.session.worst_case(ask(settings, "q59")) / 1e9
        more, _ = await ask_all(replace(settings, max_cost=1.0), texts)
        assert all(isinstance(reply, Reply) for reply in more) and server.stats()["answered_twice"] == 0


async def test_a_lost_call_counts_as_spent(settings):
    with FakeOpenAI(scripts=["reset", "500"]) as server:
        settings = replace(settings, base_url=server.url)
        async with Client(settings) as client:
            await client.ask(ask(settings, "q"))
            spending = await client.ledger.spending()
            # A lost connection may have cost money; an error of the server does not.
            assert spending.uncertain == spending.reserved == client.session.worst_case(ask(settings, "q"))
            assert "up to $" in await client.money_line()


async def test_flex_is_passed_on_and_priced(settings):
    with FakeOpenAI(record=True) as server:
        settings = replace(settings, base_url=server.url, service_tier="flex")
        (reply,), _ = await ask_all(settings, ["q"])
        assert server.bodies[0]["service_tier"] == "flex"
    assert reply.cost == pytest.approx((reply.usage.input * 1.25 + reply.usage.output * 10) / 2e6)


# ---- what is paid in a tier without a price

SETTINGS = ClientSettings(output_limit=100, ledger=None)
REQUEST = SETTINGS.request([("user", "q" * 100)])


def cost_of(usage: Usage | None, tier: str) -> int:
    raw = RawReply("text", "ok", "stop", usage, tier)
    return Session(SETTINGS).entry_of(REQUEST, "step1", raw, tier, 0.0).cost


def test_a_tier_without_a_price_is_settled_at_twice_the_default_price():
    usage = Usage(1000, 400, 100, 50)
    assert cost_of(usage, "priority") == 2 * cost_of(usage, "default") > 0
    assert cost_of(usage, "flex") * 2 == cost_of(usage, "default")


def test_a_reply_without_a_count_is_settled_at_the_worst_case_of_its_tier():
    price = price_of("gpt-5")
    assert cost_of(None, "priority") == price.worst_case(REQUEST, "priority") == 2 * price.worst_case(REQUEST)
    assert cost_of(None, "flex") == price.worst_case(REQUEST)
    assert cost_of(None, "batch") == price.worst_case(REQUEST, "batch")


@pytest.mark.parametrize("tier", ["default", "flex", "batch", "priority", "scale"])
def test_no_reply_costs_more_than_is_reserved_for_any_tier(tier):
    most = Usage(REQUEST.bytes, 0, 100, 0)
    reserved = price_of("gpt-5").worst_case(REQUEST, None)
    assert cost_of(most, tier) <= reserved and cost_of(None, tier) <= reserved


async def test_the_ledger_counts_what_a_dearer_tier_may_have_cost(tmp_path):
    (tmp_path / "key").write_text("k")
    (tmp_path / "key").chmod(0o600)
    with FakeOpenAI() as server:
        settings = ClientSettings(
            base_url=server.url, key_path=str(tmp_path / "key"), ledger=tmp_path / "l.sqlite", service_tier="priority"
        )
        async with Client(settings) as client:
            reply = await client.ask(settings.request([("user", "q")]), label="step1")
            spent = (await client.ledger.spending()).spent
            line = client.total().line()
    assert spent == round(reply.cost * 1e9) == round((reply.usage.input * 1.25 + reply.usage.output * 10) * 2000)
    assert "no price known" not in line


def test_the_reasons_that_the_runner_knows_are_codes_of_the_client():
    assert (errors.CapReached.code, errors.NotInLedger.code) == (runner.CAP_REACHED, runner.NOT_IN_LEDGER)
