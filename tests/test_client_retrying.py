"""What the client does when calls go wrong: retry, wait, give up, end the run."""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import replace

import pytest

from asking import KEY, QUICK, ask, ask_all, settings_in, until
from fake_openai import FakeOpenAI
from threadweaver.client import Client, errors
from threadweaver.errors import UserError


@pytest.fixture
def settings(tmp_path, monkeypatch):
    return settings_in(tmp_path, monkeypatch)


@pytest.mark.parametrize("mode", ["429", "429_bare", "500", "503", "reset", "not_json"])
async def test_passing_faults_are_retried(settings, mode):
    with FakeOpenAI(scripts=[mode, mode], retry_after=0.05) as server:
        (reply,), client = await ask_all(replace(settings, base_url=server.url), ["q"])
        assert server.stats()["received"] == 3
    assert reply.status == "ok"
    assert client.total().retried == 2 and client.total().refused == (2 if mode.startswith("429") else 0)


async def test_a_hanging_call_times_out_and_is_retried(settings):
    with FakeOpenAI(scripts=["hang"]) as server:
        (reply,), _ = await ask_all(replace(settings, base_url=server.url, timeout=0.5), ["q"])
        assert reply.status == "ok" and server.stats()["received"] == 2


async def test_retry_after_is_honoured_to_the_millisecond_and_by_everybody_when_long(settings):
    with FakeOpenAI(scripts=["429"], retry_after=0.7) as server:
        began = time.monotonic()
        await ask_all(replace(settings, base_url=server.url), ["q"])
        assert time.monotonic() - began > 0.7
    with FakeOpenAI(scripts=["429"], retry_after=2.2) as server:
        settings = replace(settings, base_url=server.url)
        async with Client(settings) as client:
            began = time.monotonic()
            first = asyncio.create_task(client.ask(ask(settings, "a")))
            await until(lambda: server.stats()["refused"])
            await asyncio.sleep(0.1)
            await client.ask(ask(settings, "b"))
            assert time.monotonic() - began > 2.2
            await first


async def test_what_gave_up_is_not_stored_and_asked_again_by_the_next_run(settings):
    with FakeOpenAI(scripts=["500"] * QUICK.tries) as server:
        settings = replace(settings, base_url=server.url)
        (error,), client = await ask_all(settings, ["q"])
        assert isinstance(error, errors.GaveUp) and error.code == "server_fault"
        assert client.total().failed == {"server_fault": 1}
        (reply,), _ = await ask_all(settings, ["q"])
        assert reply.status == "ok" and not reply.from_ledger


async def test_a_run_with_a_fifth_of_calls_going_wrong_ends_by_itself(settings):
    modes = ("429", "429_bare", "500", "503", "reset", "not_json", "slow", "truncated", "empty", "refused")
    with FakeOpenAI(fault_rate=0.2, seed=3, modes=modes, retry_after=0.02, slow_seconds=0.2) as server:
        settings = replace(settings, base_url=server.url)
        texts = [f"q{n}" for n in range(150)]
        first, _ = await ask_all(settings, texts)
        billed = server.stats()["answered"]
        second, _ = await ask_all(settings, texts)
        assert server.stats()["answered"] == billed == 150
        assert server.stats()["answered_twice"] == 0
    assert [reply.text for reply in first] == [reply.text for reply in second]
    assert {reply.why for reply in second if reply.rejected} <= {"truncated", "empty", "refused"}


async def test_bad_requests_are_not_retried_and_fail_only_their_sample(settings):
    with FakeOpenAI(context_tokens=50) as server:
        settings = replace(settings, base_url=server.url)
        (bad, good), _ = await ask_all(settings, ["x" * 1000, "short"])
        assert isinstance(bad, errors.ContextTooLong) and good.status == "ok"
        assert server.stats()["received"] == 2


async def test_a_refused_key_stops_the_run_and_stays_secret(settings, monkeypatch, caplog, capfd, tmp_path):
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with FakeOpenAI(keys=("good",), latency=0.01) as server:
        outcomes, _ = await ask_all(replace(settings, base_url=server.url, workers=2), [f"q{n}" for n in range(50)])
        assert server.stats()["received"] <= 4
    assert all(isinstance(error, errors.Authentication) and isinstance(error, UserError) for error in outcomes)
    assert "OPENAI_API_KEY" in str(outcomes[0]) and "\n" not in str(outcomes[0])
    seen = [
        *map(repr, outcomes),
        caplog.text,
        *capfd.readouterr(),
        *(file.read_bytes().decode("latin-1") for file in tmp_path.iterdir()),
    ]
    assert not any(KEY in text for text in seen)


async def test_an_empty_account_stops_the_run_and_keeps_what_was_paid(settings):
    with FakeOpenAI(quota=3) as server:
        settings = replace(settings, base_url=server.url, workers=1)
        outcomes, _ = await ask_all(settings, [f"q{n}" for n in range(20)])
        assert server.stats()["received"] == 4
        assert sum(isinstance(error, errors.QuotaExhausted) for error in outcomes) == 17
        server.quota = None
        again, _ = await ask_all(settings, [f"q{n}" for n in range(20)])
        assert sum(reply.from_ledger for reply in again) == 3


async def test_a_server_that_does_not_exist_is_reported_in_one_line(settings):
    outcomes, _ = await ask_all(replace(settings, base_url="http://127.0.0.1:9/v1"), ["a", "b"])
    assert all(isinstance(error, errors.ServerDown) for error in outcomes)
    assert "127.0.0.1:9" in str(outcomes[0]) and "\n" not in str(outcomes[0])


async def test_a_server_that_dies_stops_the_run(settings):
    with FakeOpenAI(scripts=[""] * 3 + ["503"] * 1000) as server:
        settings = replace(settings, base_url=server.url, workers=4, retrying=replace(QUICK, tries=2, down_after=3))
        outcomes, _ = await ask_all(settings, [f"q{n}" for n in range(40)])
        assert server.stats()["received"] < 30
    assert isinstance(outcomes[-1], errors.ServerDown)
