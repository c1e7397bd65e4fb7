"""Batch mode against a real local server: half the price, and nothing finished is ever lost or paid again."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from fake_openai import FakeOpenAI
from threadweaver.client import Client, Reply, errors
from threadweaver.client.settings import Batching, ClientSettings, Retrying
from threadweaver.ledger import Ledger

SRC = str(Path(__file__).parents[1] / "src")
BATCH = Batching(quiet=0.1, poll=0.05)
TEXTS = [f"q{n}" for n in range(20)]


@pytest.fixture
def settings(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))  # where no key file is
    return ClientSettings(
        ledger=tmp_path / "l.sqlite",
        batch=BATCH,
        output_limit=200,
        retrying=Retrying(tries=5, first=0.01, longest=0.05),
    )


async def run(settings: ClientSettings, texts=TEXTS, turns: int = 1) -> tuple[list, Client]:
    """Conversations of some turns, all at once; errors are among the replies."""

    async def talk(client: Client, text: str) -> Reply:
        messages = []
        for turn in range(turns):
            messages.append(("user", f"{text} turn {turn}"))
            reply = await client.ask(settings.request(messages), label=f"step1/{text}")
            messages.append(("assistant", reply.text))
        return reply

    async with Client(settings) as client:
        return await asyncio.wait_for(
            asyncio.gather(*(talk(client, text) for text in texts), return_exceptions=True), 60
        ), client


async def plain(server: FakeOpenAI, tmp_path: Path, turns: int = 1) -> list[str]:
    """The same conversations by ordinary calls, for comparison."""
    settings = ClientSettings(base_url=server.url, ledger=tmp_path / "plain.sqlite", output_limit=200)
    return [reply.text for reply in (await run(settings, turns=turns))[0]]


async def test_turns_are_waves_at_half_the_price(settings, tmp_path, capsys):
    with FakeOpenAI() as server:
        settings = replace(settings, base_url=server.url)
        outcomes, client = await run(settings, turns=3)
        stats = server.stats()
        assert [reply.text for reply in outcomes] == await plain(server, tmp_path, turns=3)
        again, _ = await run(replace(settings, batch=None), turns=3)
        assert all(reply.from_ledger for reply in again)
    assert stats["batches"]["rows"] == [20, 20, 20] and stats["received"] == 0
    assert client.total().cost == pytest.approx(
        (stats["tokens"]["input"] * 1.25 + stats["tokens"]["output"] * 10) / 2e6
    )
    assert capsys.readouterr().err.count("wave") == 3


@pytest.mark.parametrize("desk", [{"expire": [0]}, {"half_fail": [0]}, {"expire": [0], "half_fail": [1]}])
async def test_what_a_broken_batch_finished_is_kept_and_only_the_rest_sent_again(settings, desk):
    with FakeOpenAI(batch=desk) as server:
        outcomes, _ = await run(replace(settings, base_url=server.url))
        stats = server.stats()
    assert all(isinstance(reply, Reply) for reply in outcomes)
    assert (stats["answered"], stats["answered_twice"], stats["batches"]["rows"][:2]) == (20, 0, [20, 10])
    assert stats["received"] == 0


async def test_after_three_batches_a_request_is_called_alone(settings):
    with FakeOpenAI(batch={"expire": range(9)}) as server:
        outcomes, _ = await run(replace(settings, base_url=server.url))
        stats = server.stats()
    assert all(isinstance(reply, Reply) for reply in outcomes)
    assert stats["batches"]["rows"] == [20, 10, 5] and stats["received"] == 3 and stats["answered_twice"] == 0


@pytest.mark.parametrize("limits", [{"max_requests": 6}, {"max_bytes": 2000}])
async def test_files_are_split(settings, limits):
    with FakeOpenAI(
        batch={"max_requests": limits.get("max_requests", 100), "max_bytes": limits.get("max_bytes", 10**6)}
    ) as server:
        outcomes, _ = await run(replace(settings, base_url=server.url, batch=replace(BATCH, **limits)))
        stats = server.stats()
    assert (
        all(isinstance(reply, Reply) for reply in outcomes) and stats["answered"] == sum(stats["batches"]["rows"]) == 20
    )
    assert len(stats["batches"]["rows"]) > 2


async def test_models_and_apis_do_not_share_a_file(settings):
    with FakeOpenAI() as server:
        settings = replace(settings, base_url=server.url)
        async with Client(settings) as client:
            made = [
                replace(settings, model=model, api=api).request([("user", "q")])
                for model in ("gpt-5", "gpt-5-mini")
                for api in ("chat", "responses")
            ]
            await asyncio.gather(*(client.ask(request) for request in made))
        assert server.stats()["batches"]["rows"] == [1, 1, 1, 1]


async def test_enqueued_tokens_stay_under_the_limit(settings):
    texts = [f"{n} " + "word " * 200 for n in range(12)]
    with FakeOpenAI(batch={"delay": 0.2}) as server:
        outcomes, _ = await run(
            replace(settings, base_url=server.url, batch=replace(BATCH, enqueued_tokens=1200)), texts
        )
        stats = server.stats()
    assert all(isinstance(reply, Reply) for reply in outcomes)
    assert len(stats["batches"]["rows"]) >= 4 and stats["batches"]["most_enqueued_tokens"] <= 1200


async def test_a_batch_over_the_account_s_limit_is_sent_in_smaller_parts(settings):
    texts = [f"{n} " + "word " * 4000 for n in range(8)]
    with FakeOpenAI(batch={"enqueued_tokens": 25_000}) as server:
        outcomes, _ = await run(
            replace(settings, base_url=server.url, batch=replace(BATCH, enqueued_tokens=100_000)), texts
        )
        stats = server.stats()
    assert all(isinstance(reply, Reply) for reply in outcomes)
    assert "failed" in stats["batches"]["status"] and stats["received"] == 0 and stats["answered"] == 8


async def test_a_refused_batch_ends_the_run_and_costs_nothing(settings):
    with FakeOpenAI(batch={"reject": [0]}) as server:
        settings = replace(settings, base_url=server.url)
        outcomes, _ = await run(settings)
        assert all(isinstance(error, errors.BatchTrouble) for error in outcomes) and "rejected" in str(outcomes[0])
        ledger = Ledger(settings.ledger)
        spending = await ledger.spending()
        assert (spending.spent, spending.reserved) == (0, 0)
        ledger.close()
        again, _ = await run(settings)
        assert all(isinstance(reply, Reply) for reply in again) and server.stats()["answered_twice"] == 0


async def test_a_row_that_the_server_does_not_accept_fails_alone(settings):
    with FakeOpenAI(context_tokens=100) as server:
        outcomes, _ = await run(replace(settings, base_url=server.url), [*TEXTS, "long " * 200])
        assert server.stats()["batches"]["rows"] == [21] and server.stats()["received"] == 0
    assert all(isinstance(reply, Reply) for reply in outcomes[:-1])
    assert isinstance(outcomes[-1], errors.ContextTooLong)


async def test_a_deadline_turns_stragglers_into_ordinary_calls(settings):
    with FakeOpenAI(batch={"delay": 3}) as server:
        outcomes, _ = await run(replace(settings, base_url=server.url, batch=replace(BATCH, deadline=1.0)))
        stats = server.stats()
    assert all(isinstance(reply, Reply) for reply in outcomes)
    assert stats["batches"]["status"] == ["cancelled"] and stats["answered_twice"] == 0
    # What the batch had done by then is kept; the rest was called.
    assert 0 < stats["received"] < 20 and stats["answered"] == 20


PROGRAM = """
import asyncio, sys
sys.path.insert(0, {src!r})
from pathlib import Path
from threadweaver.client import Client
from threadweaver.client.settings import Batching, ClientSettings
batch = Batching(quiet=0.1, poll=0.05)
settings = ClientSettings(base_url={url!r}, ledger=Path({ledger!r}), batch=batch, output_limit=200)
async def main():
    async with Client(settings) as client:
        requests = [settings.request([("user", f"q{{n}} turn 0")]) for n in range(20)]
        await asyncio.gather(*(client.ask(request, label="step1") for request in requests))
asyncio.run(main())
"""


async def test_a_killed_run_s_batch_is_picked_up_with_another_key(settings, monkeypatch):
    with FakeOpenAI(batch={"delay": 2.0}, keys=("old-key", "new-key")) as server:
        program = PROGRAM.format(src=SRC, url=server.url, ledger=str(settings.ledger))
        monkeypatch.setenv("OPENAI_API_KEY", "old-key")
        child = subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.DEVNULL)
        async with asyncio.timeout(60):
            while not server.stats()["batches"]["created"]:
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        child.send_signal(signal.SIGKILL)
        child.wait()
        server.keys = ("new-key",)
        monkeypatch.setenv("OPENAI_API_KEY", "new-key")
        outcomes, _ = await run(replace(settings, base_url=server.url))
        stats = server.stats()
    assert all(isinstance(reply, Reply) for reply in outcomes)
    assert stats["batches"]["rows"] == [20] and (stats["answered"], stats["answered_twice"]) == (20, 0)


async def begin(settings: ClientSettings) -> None:
    """A run that is stopped once its batch is under way."""
    async with Client(settings) as client:
        tasks = [
            asyncio.create_task(client.ask(settings.request([("user", f"{text} turn 0")]), label="step1"))
            for text in TEXTS
        ]
        async with asyncio.timeout(60):
            while not any(entry.remote for entry in await client.ledger.batches()):
                await asyncio.sleep(0.02)
        for task in tasks:
            task.cancel()


async def test_an_ordinary_run_waits_for_a_batch_that_has_its_requests(settings):
    with FakeOpenAI(batch={"delay": 1.0}) as server:
        settings = replace(settings, base_url=server.url)
        await begin(settings)
        outcomes, _ = await run(replace(settings, batch=None), [*TEXTS, "extra"])
        stats = server.stats()
    assert all(isinstance(reply, Reply) for reply in outcomes)
    assert (stats["received"], stats["answered"], stats["answered_twice"]) == (1, 21, 0)


@pytest.mark.parametrize("was_made", [True, False])
async def test_a_run_that_died_while_submitting(settings, was_made):
    with FakeOpenAI(batch={"delay": 0.5}) as server:
        settings = replace(settings, base_url=server.url)
        await begin(settings)
        ledger = Ledger(settings.ledger)
        # As if the process had died before the service's answer came, or before the file was sent.
        ledger.thread.call(lambda db: db.execute("UPDATE batches SET remote = NULL, state = 'submitting'"))
        ledger.close()
        if not was_made:
            server.desk.batches.clear()
        outcomes, _ = await run(settings)
        stats = server.stats()
    assert all(isinstance(reply, Reply) for reply in outcomes)
    assert stats["batches"]["rows"] == [20] and stats["answered_twice"] == 0


async def test_a_key_that_cannot_reach_the_batch_is_reported_and_giving_up_counts_as_spent(settings, monkeypatch):
    with FakeOpenAI(batch={"delay": 60, "orgs": {"mine": "a", "other": "b"}}) as server:
        settings = replace(settings, base_url=server.url)
        monkeypatch.setenv("OPENAI_API_KEY", "mine")
        await begin(settings)
        monkeypatch.setenv("OPENAI_API_KEY", "other")
        outcomes, _ = await run(settings)
        assert all(isinstance(error, errors.BatchTrouble) and "batch_0" in str(error) for error in outcomes)
        given_up, client = await run(replace(settings, batch=replace(BATCH, deadline=0.0)))
        assert all(isinstance(reply, Reply) for reply in given_up)
        ledger = Ledger(settings.ledger)
        spending = await ledger.spending()
        ledger.close()
    first = settings.request([("user", "q0 turn 0")])
    assert spending.uncertain >= 20 * client.price.worst_case(first, "batch") > 0


async def test_the_cap_holds_for_batches(settings):
    with FakeOpenAI() as server:
        outcomes, _ = await run(replace(settings, base_url=server.url, max_cost=0.006))
        tokens = server.stats()["tokens"]
    refused = [error for error in outcomes if isinstance(error, errors.CapReached)]
    assert 0 < len(refused) < 20
    assert (tokens["input"] * 1.25 + tokens["output"] * 10) / 2e6 <= 0.006


async def test_faults_of_the_batch_service_are_survived(settings):
    with FakeOpenAI(fault_rate=0.4, seed=5, modes=("500", "503"), batch={"delay": 0.3}) as server:
        outcomes, _ = await run(replace(settings, base_url=server.url), turns=2)
        stats = server.stats()
    assert all(isinstance(reply, Reply) for reply in outcomes)
    assert stats["answered_twice"] == 0 and sum(stats["faults"].values()) > 0


async def test_a_wave_waits_until_no_more_come(settings):
    with FakeOpenAI() as server:
        settings = replace(settings, base_url=server.url, batch=replace(BATCH, quiet=0.5))
        async with Client(settings) as client:
            tasks = []
            for text in TEXTS[:5]:
                tasks.append(asyncio.create_task(client.ask(settings.request([("user", text)]))))
                await asyncio.sleep(0.1)
            began = time.monotonic()
            await asyncio.gather(*tasks)
            assert time.monotonic() - began < 120
        assert server.stats()["batches"]["rows"] == [5]
