"""Asking the client against a real local server: paid once, kept, judged, offline."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from asking import KEY, SRC, ask, ask_all, settings_in, until
from fake_openai import FakeOpenAI
from threadweaver.client import Client, Usage, errors
from threadweaver.client.prices import price_of
from threadweaver.errors import UserError


@pytest.fixture
def settings(tmp_path, monkeypatch):
    return settings_in(tmp_path, monkeypatch)


async def test_a_second_run_pays_nothing_and_a_bigger_one_pays_the_rest(settings):
    with FakeOpenAI() as server:
        settings = replace(settings, base_url=server.url)
        first, client = await ask_all(settings, [f"q{n}" for n in range(10)])
        again, _ = await ask_all(settings, [f"q{n}" for n in range(10)])
        more, bigger = await ask_all(settings, [f"q{n}" for n in range(25)])
        stats = server.stats()
    assert [reply.text for reply in first] == [reply.text for reply in again] == [reply.text for reply in more[:10]]
    assert not any(reply.from_ledger for reply in first) and all(reply.from_ledger for reply in again)
    assert stats["answered"] == stats["received"] == 25
    assert (client.total().sent, bigger.total().sent, bigger.total().from_ledger) == (10, 15, 10)


async def test_the_endpoint_tier_and_label_do_not_make_another_request(settings):
    with FakeOpenAI() as server:
        await ask_all(replace(settings, base_url=server.url), ["q"], label="step1")
        other = replace(settings, base_url="http://127.0.0.1:9/v1", service_tier="flex", workers=3)
        (reply,), _ = await ask_all(other, ["q"], label="step4")
    assert reply.from_ledger


async def test_what_changes_the_reply_makes_another_request(settings):
    variants = [{}, {"effort": "low"}, {"verbosity": "low"}, {"max_output_tokens": 9}, {"temperature": 0.5}]
    made = {ask(settings, "q", **params).key for params in variants}
    made |= {
        replace(ask(settings, "q"), attempt=1).key,
        ask(replace(settings, model="other"), "q").key,
        ask(replace(settings, api="chat"), "q").key,
        ask(replace(settings, extra_body={"seed": 1}), "q").key,
    }
    assert len(made) == 9


async def test_the_same_request_at_once_is_sent_once(settings):
    with FakeOpenAI(latency=0.05) as server:
        replies, client = await ask_all(replace(settings, base_url=server.url), ["q"] * 20)
        assert server.stats()["received"] == 1
    assert sum(not reply.from_ledger for reply in replies) == 1
    assert client.total().paid.output == replies[0].usage.output


async def test_two_processes_send_a_request_once(settings, tmp_path):
    with FakeOpenAI(latency=0.3) as server:
        program = child_program(server.url, settings.ledger, 12)
        children = [
            subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) for _ in range(2)
        ]
        outputs = [child.communicate(timeout=300)[0] for child in children]
        stats = server.stats()
    assert outputs[0] == outputs[1] and outputs[0].count("reply") == 12
    assert (stats["received"], stats["answered_twice"]) == (12, 0)


def child_program(url: str, ledger: Path, count: int, *, max_cost: float | None = None) -> str:
    return f"""
import asyncio, sys
sys.path.insert(0, {SRC!r})
from pathlib import Path
from threadweaver.client import Client
from threadweaver.client.settings import ClientSettings, Retrying
settings = ClientSettings(base_url={url!r}, ledger=Path({str(ledger)!r}), workers=8, max_cost={max_cost!r},
                          output_limit=100, retrying=Retrying(first=0.01, longest=0.05))
async def main():
    async with Client(settings) as client:
        calls = (client.ask(settings.request([("user", f"q{{n}}")]), label="step1") for n in range({count}))
        for reply in await asyncio.gather(*calls, return_exceptions=True):
            print(getattr(reply, "text", repr(reply)))
asyncio.run(main())
"""


async def test_killed_in_the_middle_it_pays_twice_only_what_was_in_flight(settings):
    with FakeOpenAI(latency=0.1) as server:
        program = child_program(server.url, settings.ledger, 60, max_cost=1.0)
        child = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.DEVNULL)
        await until(lambda: server.stats()["received"] >= 29)
        child.send_signal(signal.SIGKILL)
        child.wait()
        output = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True).stdout
        stats = server.stats()
    assert output.count("reply") == 60
    # 8 workers: at most 8 calls were in flight.
    assert stats["answered_twice"] <= 8
    billed = price_of("gpt-5").cost(Usage(stats["tokens"]["input"], 0, stats["tokens"]["output"]))
    async with Client(settings) as client:
        spending = await client.ledger.spending()
    # What the server billed was known to the ledger, or counted as spent.
    assert 0 < spending.spent <= billed <= spending.spent + spending.uncertain


async def test_a_call_on_the_wire_is_kept_when_the_asker_is_cancelled(settings):
    with FakeOpenAI(latency=0.5) as server:
        settings = replace(settings, base_url=server.url)
        async with Client(settings) as client:
            task = asyncio.create_task(client.ask(ask(settings, "q")))
            await until(lambda: server.stats()["received"])
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        (reply,), _ = await ask_all(settings, ["q"])
        assert server.stats()["received"] == 1
    assert reply.from_ledger


async def test_closing_waits_no_longer_than_it_says_and_counts_what_it_left(settings):
    with FakeOpenAI(latency=30) as server:
        settings = replace(settings, base_url=server.url, drain=0.3, timeout=60)
        async with Client(settings) as client:
            tasks = [asyncio.create_task(client.ask(ask(settings, f"q{n}"))) for n in range(3)]
            await until(lambda: server.stats()["received"] == 3)
            began = time.monotonic()
        assert time.monotonic() - began < 25
        assert all(
            isinstance(end, asyncio.CancelledError) for end in await asyncio.gather(*tasks, return_exceptions=True)
        )
    async with Client(settings) as client:
        spending = await client.ledger.spending()
        assert spending.uncertain == 3 * client.session.worst_case(ask(settings, "q0"))


@pytest.mark.parametrize("mode", ["truncated", "empty", "refused"])
@pytest.mark.parametrize("api", ["responses", "chat"])
async def test_rejected_replies_are_returned_and_asked_again_only_on_demand(settings, mode, api):
    with FakeOpenAI(scripts=[mode]) as server:
        settings = replace(settings, base_url=server.url, api=api)
        (first,), _ = await ask_all(settings, ["q"])
        (second,), _ = await ask_all(settings, ["q"])
        assert server.stats()["received"] == 1
        (third,), _ = await ask_all(replace(settings, retry_failed=True), ["q"])
        (fourth,), _ = await ask_all(settings, ["q"])
        assert server.stats()["received"] == 2
    assert (
        (first.status, first.verdict, first.why)
        == (mode, "rejected", mode)
        == (second.status, second.verdict, second.why)
    )
    assert (third.status, third.attempt) == ("ok", 1) and fourth.text == third.text


async def test_replies_keep_their_verdicts(settings):
    with FakeOpenAI() as server:
        settings = replace(settings, base_url=server.url)
        async with Client(settings) as client:
            bad, good = [await client.ask(ask(settings, text), label="step3") for text in ("bad", "good")]
            client.judge(bad.key, "rejected", "unparsable", label="step3")
            client.judge(good.key, "repaired", "no_json", label="step3")
            # In the same run a rejected reply is not asked for again, even when failures are retried.
            assert (await client.ask(ask(settings, "bad"))).rejected
            assert client.total("step3").verdicts == {"rejected unparsable": 1, "repaired no_json": 1}
        (seen,), _ = await ask_all(settings, ["bad"])
        assert (seen.rejected, seen.why, server.stats()["received"]) == (True, "unparsable", 2)
        (retried, kept), again = await ask_all(replace(settings, retry_failed=True), ["bad", "good"])
        assert (retried.attempt, kept.attempt, again.total().sent) == (1, 0, 1)


async def test_any_text_reaches_the_server_as_it_is(settings):
    text = 'line\u2028two\r\n\x0c"quoted" \\frac{1}{2} \ud800 ü'
    with FakeOpenAI(record=True, answer=lambda messages, params: messages[-1]["content"]) as server:
        (reply,), _ = await ask_all(replace(settings, base_url=server.url), [text])
        assert server.bodies[0]["input"][1]["content"] == text == reply.text


async def test_offline_answers_from_the_ledger_alone(settings, monkeypatch):
    with FakeOpenAI() as server:
        await ask_all(replace(settings, base_url=server.url), ["paid"])
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    (paid, missing), _ = await ask_all(replace(settings, offline=True), ["paid", "missing"])
    assert paid.from_ledger
    assert (
        isinstance(missing, errors.NotInLedger) and missing.code == "not_in_ledger" and "step1/missing" in str(missing)
    )


async def test_offline_without_a_ledger_names_the_flag(settings):
    with pytest.raises(UserError, match="--ledger"):
        async with Client(replace(settings, offline=True)):
            pass
    assert not settings.ledger.exists()


def test_the_settings_of_a_run_hold_no_key(settings):
    async def describe() -> dict:
        async with Client(settings, environment={"OPENAI_API_KEY": KEY}) as client:
            return client.describe()

    assert KEY not in json.dumps(asyncio.run(describe()))


def test_importing_the_client_loads_no_sdk():
    code = (
        f"import sys; sys.path.insert(0, {SRC!r}); import threadweaver.client; "
        "print([name for name in ('openai', 'httpx2', 'aiohttp', 'tqdm') if name in sys.modules])"
    )
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
    )
