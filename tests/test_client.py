"""The model client against a real local server: what is paid, kept, retried, refused, capped."""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from fake_openai import FakeOpenAI
from threadweaver import client as tw
from threadweaver.client import Client, ClientSettings, Request, Retrying, apis, credentials, errors, prices, requests
from threadweaver.client.rate_limit import Allowance, RateLimiter, parse_duration, read_allowance
from threadweaver.client.settings import Batching
from threadweaver.client.transport import retry_after
from threadweaver.errors import UserError

SRC = str(Path(__file__).parents[1] / "src")
QUICK = Retrying(tries=5, limited_tries=8, first=0.01, longest=0.05)
KEY = "sk-test-0123456789abcdef"


@pytest.fixture
def settings(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))  # where no key file is
    return ClientSettings(ledger=tmp_path / "l.sqlite", workers=64, retrying=QUICK, timeout=5)


def ask(settings: ClientSettings, text: str, **params: object) -> Request:
    return settings.request([("system", "Be brief."), ("user", text)], **params)


async def ask_all(settings: ClientSettings, texts, label: str = "step1") -> tuple[list, Client]:
    """One run: a client that asks all texts at once; errors stand among the replies."""
    async with Client(settings) as client:
        calls = (client.ask(ask(settings, text), label=f"{label}/{text}") for text in texts)
        return await asyncio.gather(*calls, return_exceptions=True), client


async def until(condition) -> None:
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.005)


# paid once


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
        replies_, client = await ask_all(replace(settings, base_url=server.url), ["q"] * 20)
        assert server.stats()["received"] == 1
    assert sum(not reply.from_ledger for reply in replies_) == 1
    assert client.total().paid.output == replies_[0].usage.output


async def test_two_processes_send_a_request_once(settings, tmp_path):
    with FakeOpenAI(latency=0.3) as server:
        program = child_program(server.url, settings.ledger, 12)
        children = [
            subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) for _ in range(2)
        ]
        outputs = [child.communicate(timeout=30)[0] for child in children]
        stats = server.stats()
    assert outputs[0] == outputs[1] and outputs[0].count("reply") == 12
    assert (stats["received"], stats["answered_twice"]) == (12, 0)


def child_program(url: str, ledger: Path, count: int, *, max_cost: float | None = None) -> str:
    return f"""
import asyncio, sys
sys.path.insert(0, {SRC!r})
from pathlib import Path
from threadweaver.client import Client, ClientSettings, Retrying
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
    billed = prices.price_of("gpt-5").cost(tw.Usage(stats["tokens"]["input"], 0, stats["tokens"]["output"]))
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
        assert time.monotonic() - began < 3
        assert all(
            isinstance(end, asyncio.CancelledError) for end in await asyncio.gather(*tasks, return_exceptions=True)
        )
    async with Client(settings) as client:
        spending = await client.ledger.spending()
        assert spending.uncertain == 3 * client.worst_case(ask(settings, "q0"))


# faults


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
            first = asyncio.create_task(client.ask(ask(settings, "a")))
            await until(lambda: server.stats()["refused"])
            await asyncio.sleep(0.1)
            began = time.monotonic()
            await client.ask(ask(settings, "b"))
            assert time.monotonic() - began > 1.5
            await first


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after-ms": "1500", "retry-after": "9"}, 1.5),
        ({"retry-after": "600"}, 600.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0.0),
        ({"retry-after": "soon"}, None),
        ({}, None),
    ],
)
def test_retry_after_headers(headers, seconds):
    assert retry_after(headers) == seconds


async def test_what_gave_up_is_not_stored_and_asked_again_by_the_next_run(settings):
    with FakeOpenAI(scripts=["500"] * QUICK.tries) as server:
        settings = replace(settings, base_url=server.url)
        (error,), client = await ask_all(settings, ["q"])
        assert isinstance(error, errors.GaveUp) and error.code == "server_fault" and not error.ends_run
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


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, {"message": "no", "code": None}, errors.BadRequest),
        (422, {"message": "no"}, errors.BadRequest),
        (400, {"message": "x", "code": "context_length_exceeded"}, errors.ContextTooLong),
        (400, {"message": "This model's maximum context length is 5 tokens"}, errors.ContextTooLong),
        (413, {"message": "big"}, errors.ContextTooLong),
        (400, {"message": "x", "code": "content_filter"}, errors.ContentFilter),
        (403, {"message": "input flagged by moderation"}, errors.ContentFilter),
        (401, {"message": "bad"}, errors.Authentication),
        (403, {"message": "country not supported"}, errors.Authentication),
        (404, {"message": "no model", "code": "model_not_found"}, errors.NoSuchModel),
        (402, {"message": "pay"}, errors.QuotaExhausted),
        (429, {"message": "x", "code": "insufficient_quota"}, errors.QuotaExhausted),
        (429, {"message": "You exceeded your current quota", "code": None}, errors.QuotaExhausted),
        (429, {"message": "slow down", "code": "rate_limit_exceeded"}, errors.RateLimited),
        (
            429,
            {"message": "Request too large for gpt-5 on tokens per min", "code": "rate_limit_exceeded"},
            errors.BadRequest,
        ),
        (408, {}, errors.ServerFault),
        (409, {}, errors.ServerFault),
        (500, None, errors.ServerFault),
        (503, "text", errors.ServerFault),
        (529, {}, errors.ServerFault),
    ],
)
async def test_what_a_status_means(settings, status, body, kind):
    with FakeOpenAI() as server:
        async with Client(replace(settings, base_url=server.url)) as client:
            error = (await client.transport()).of_status(status, body, "message", {})
    assert type(error) is kind
    assert error.ends_run is isinstance(error, UserError)


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


async def test_a_server_that_is_not_there_is_told_in_one_line(settings):
    outcomes, _ = await ask_all(replace(settings, base_url="http://127.0.0.1:9/v1"), ["a", "b"])
    assert all(isinstance(error, errors.ServerDown) for error in outcomes)
    assert "127.0.0.1:9" in str(outcomes[0]) and "\n" not in str(outcomes[0])


async def test_a_server_that_dies_stops_the_run(settings):
    with FakeOpenAI(scripts=[""] * 3 + ["503"] * 1000) as server:
        settings = replace(settings, base_url=server.url, workers=4, retrying=replace(QUICK, tries=2, down_after=3))
        outcomes, _ = await ask_all(settings, [f"q{n}" for n in range(40)])
        assert server.stats()["received"] < 30
    assert isinstance(outcomes[-1], errors.ServerDown)


# what the model said


@pytest.mark.parametrize("mode", ["truncated", "empty", "refused"])
@pytest.mark.parametrize("api", ["responses", "chat"])
async def test_replies_that_are_none_come_rejected_and_are_asked_again_only_on_demand(settings, mode, api):
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


async def test_judged_replies(settings):
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


RESPONSE = {"output": [{"type": "reasoning"}, {"type": "message", "content": [{"type": "output_text", "text": "hi"}]}]}


@pytest.mark.parametrize(
    ("api", "data", "status", "text", "usage"),
    [
        ("responses", RESPONSE, "ok", "hi", None),
        (
            "responses",
            {
                **RESPONSE,
                "usage": {
                    "input_tokens": 9,
                    "output_tokens": 3,
                    "input_tokens_details": None,
                    "output_tokens_details": None,
                },
            },
            "ok",
            "hi",
            (9, 0, 3, 0),
        ),
        (
            "responses",
            {"status": "incomplete", "incomplete_details": {"reason": "content_filter"}, "output": []},
            "refused",
            "",
            None,
        ),
        (
            "responses",
            {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}, "output": []},
            "truncated",
            "",
            None,
        ),
        ("chat", {"choices": [{"message": {"content": None}, "finish_reason": "stop"}]}, "empty", "", None),
        ("chat", {"choices": [{"message": {"content": " \n"}, "finish_reason": "stop"}]}, "empty", " \n", None),
        ("chat", {"choices": [{"message": {"content": "x"}, "finish_reason": "content_filter"}]}, "refused", "x", None),
        (
            "chat",
            {
                "choices": [{"message": {"content": "x"}, "finish_reason": "length"}],
                "usage": {
                    "prompt_tokens": 5,
                    "completion_tokens": 2,
                    "prompt_tokens_details": {"cached_tokens": 4},
                    "completion_tokens_details": {"reasoning_tokens": 1},
                },
            },
            "truncated",
            "x",
            (5, 4, 2, 1),
        ),
        (
            "completions",
            {"choices": [{"text": "", "finish_reason": "stop", "matched_stop": "</Thread>"}]},
            "ok",
            "",
            None,
        ),
    ],
)
def test_reading_replies(api, data, status, text, usage):
    answer = apis.read_reply(api, data)
    assert (answer.status, answer.text) == (status, text)
    assert answer.usage == (usage and tw.Usage(*usage))
    assert api != "completions" or answer.extra == {"matched_stop": "</Thread>"}


@pytest.mark.parametrize("data", [[], {}, {"choices": []}, {"choices": [{}]}, {"output": None}, "text", None])
@pytest.mark.parametrize("api", ["responses", "chat", "completions"])
def test_what_is_no_reply_is_a_fault_to_retry(api, data):
    with pytest.raises(errors.BadReply):
        apis.read_reply(api, data)


@pytest.mark.parametrize(("code", "kind"), [("server_error", errors.ServerFault), ("invalid_image", errors.BadRequest)])
def test_responses_that_failed(code, kind):
    with pytest.raises(kind):
        apis.read_reply("responses", {"status": "failed", "error": {"code": code, "message": "m"}, "output": []})


# what is sent


def test_bodies_of_the_three_apis():
    params = {
        "max_output_tokens": 7,
        "effort": "low",
        "verbosity": "high",
        "temperature": 0,
        "text": {"format": {"type": "text"}},
    }
    turns = requests.conversation([("system", "s"), ("user", "u")])
    messages = [{"role": "system", "content": "s"}, {"role": "user", "content": "u"}]
    body = requests.body_of(Request("responses", "m", turns, params), "flex")
    assert body == {
        "model": "m",
        "input": messages,
        "max_output_tokens": 7,
        "reasoning": {"effort": "low"},
        "temperature": 0,
        "text": {"verbosity": "high", "format": {"type": "text"}},
        "service_tier": "flex",
    }
    del params["text"]
    assert requests.body_of(Request("chat", "m", turns, params)) == {
        "model": "m",
        "messages": messages,
        "max_completion_tokens": 7,
        "reasoning_effort": "low",
        "verbosity": "high",
        "temperature": 0,
    }
    ids = Request("completions", "m", (), {"max_output_tokens": 7, "prompt": [1, 2], "stop": ["x"]})
    assert requests.body_of(ids) == {"model": "m", "prompt": [1, 2], "max_tokens": 7, "stop": ["x"]}


def test_every_request_sets_a_limit_and_null_leaves_a_parameter_out(settings):
    with pytest.raises(ValueError, match="max_output_tokens"):
        Request("chat", "m", ())
    settings = replace(settings, extra_body={"verbosity": None, "seed": 3})
    assert ask(settings, "q", verbosity="low").params == {"max_output_tokens": settings.output_limit, "seed": 3}


async def test_any_text_reaches_the_server_as_it_is(settings):
    text = 'line\u2028two\r\n\x0c"quoted" \\frac{1}{2} \ud800 ü'
    with FakeOpenAI(record=True, answer=lambda messages, params: messages[-1]["content"]) as server:
        (reply,), _ = await ask_all(replace(settings, base_url=server.url), [text])
        assert server.bodies[0]["input"][1]["content"] == text == reply.text


def test_a_request_comes_back_from_its_canonical_text(settings):
    request = ask(settings, "q", effort="low").at(2)
    assert Request.parse(request.canonical) == request


# money


async def test_totals_by_stage_and_sample(settings):
    with FakeOpenAI() as server:
        settings = replace(settings, base_url=server.url)
        async with Client(settings) as client:
            for label in ("step1/a", "step1/b", "step3/a", "step10/a"):
                await client.ask(ask(settings, f"q {label}"), label=label)
            usage = server.stats()["tokens"]
            assert (client.total().paid.input, client.total().paid.output) == (usage["input"], usage["output"])
            assert client.total().cost == pytest.approx((usage["input"] * 1.25 + usage["output"] * 10) / 1e6)
            assert (client.total("step1").sent, client.total("step1/a").sent, set(client.tallies.stages())) == (
                2,
                1,
                {"step1", "step3", "step10"},
            )


async def test_an_unknown_model_is_counted_in_tokens(settings):
    with FakeOpenAI() as server:
        _, client = await ask_all(replace(settings, base_url=server.url, model="own"), ["q"])
    assert client.total().cost is None and client.total().paid.output > 0 and "no price known" in client.total().line()
    with pytest.raises(UserError, match="--in_cost_per_million"):
        Client(replace(settings, model="own", max_cost=1.0))


async def test_the_cap_holds_and_a_higher_one_goes_on(settings):
    texts = [f"q{n}" for n in range(60)]
    with FakeOpenAI(latency=0.02) as server:
        settings = replace(settings, base_url=server.url, max_cost=0.006, output_limit=40)
        outcomes, client = await ask_all(settings, texts)
        billed = server.stats()["tokens"]
        assert billed["input"] * 1.25e-6 + billed["output"] * 10e-6 <= 0.006
        refused = [error for error in outcomes if isinstance(error, errors.CapReached)]
        paid = [reply for reply in outcomes if isinstance(reply, tw.Reply)]
        assert len(refused) + len(paid) == 60 and len(refused) > 10 and len(paid) > 15
        # It waits for what calls under way give back: what is left at the end is less than one more call could cost.
        assert 0.006 - sum(reply.cost for reply in paid) < client.worst_case(ask(settings, "q59")) / 1e9
        more, _ = await ask_all(replace(settings, max_cost=1.0), texts)
        assert all(isinstance(reply, tw.Reply) for reply in more) and server.stats()["answered_twice"] == 0


async def test_a_lost_call_counts_as_spent(settings):
    with FakeOpenAI(scripts=["reset", "500"]) as server:
        settings = replace(settings, base_url=server.url)
        async with Client(settings) as client:
            await client.ask(ask(settings, "q"))
            spending = await client.ledger.spending()
            # A lost connection may have cost money; an error of the server does not.
            assert spending.uncertain == spending.reserved == client.worst_case(ask(settings, "q"))
            assert "up to $" in await client.money_line()


async def test_flex_is_passed_on_and_priced(settings):
    with FakeOpenAI(record=True) as server:
        settings = replace(settings, base_url=server.url, service_tier="flex")
        (reply,), _ = await ask_all(settings, ["q"])
        assert server.bodies[0]["service_tier"] == "flex"
    assert reply.cost == pytest.approx((reply.usage.input * 1.25 + reply.usage.output * 10) / 2e6)


# offline


async def test_offline_answers_from_the_ledger_alone(settings, monkeypatch):
    with FakeOpenAI() as server:
        await ask_all(replace(settings, base_url=server.url), ["paid"])
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    (paid, missing), _ = await ask_all(replace(settings, offline=True), ["paid", "missing"])
    assert paid.from_ledger
    assert (
        isinstance(missing, errors.NotInLedger) and missing.code == "not_in_ledger" and "step1/missing" in str(missing)
    )


async def test_offline_without_a_ledger_says_so(settings):
    with pytest.raises(UserError, match="--ledger"):
        async with Client(replace(settings, offline=True)):
            pass
    assert not settings.ledger.exists()


# keys and flags


def test_the_key_comes_from_the_file_then_the_environment(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("HOME", str(tmp_path))
    path = tmp_path / "key"
    assert credentials.find_key(None, {}) is None
    assert credentials.find_key(None, {"OPENAI_API_KEY": " k1 "}).value == "k1"
    path.write_text("k2\n")
    path.chmod(0o600)
    found = credentials.find_key(str(path), {"OPENAI_API_KEY": "k1"})
    assert (found.value, found.source) == ("k2", str(path)) and "k2" not in repr(found)
    assert capsys.readouterr().err == ""
    path.chmod(0o644)
    credentials.find_key(str(path), {})
    credentials.find_key(str(path), {})
    assert capsys.readouterr().err.count("chmod 600") == 1


@pytest.mark.parametrize("content", ["", "two words", "line\nline", "käy"])
def test_files_that_hold_no_key(tmp_path, content):
    (tmp_path / "key").write_text(content, encoding="utf-8")
    with pytest.raises(UserError) as raised:
        credentials.find_key(str(tmp_path / "key"), {})
    assert not content or content not in str(raised.value)


def test_without_key_and_endpoint_both_ways_on_are_named(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(UserError, match=r"OPENAI_API_KEY.*ANNOTATOR=rules"):
        credentials.key_for(credentials.OPENAI_URL, None, {})
    assert credentials.key_for("http://127.0.0.1:8000/v1", None, {}).value == "none"


def test_endpoints():
    env = {"OPENAI_BASE_URL": "http://a/v1/", "OPENAI_API_BASE": "http://b/v1"}
    assert credentials.find_base_url("http://c/v1", env) == "http://c/v1"
    assert credentials.find_base_url(None, env) == "http://a/v1"
    assert credentials.find_base_url(None, {"OPENAI_API_BASE": "http://b/v1"}) == "http://b/v1"
    assert credentials.find_base_url(None, {}) == credentials.OPENAI_URL
    for wrong in ("localhost:8000", "ftp://x/v1", "http://user:secret@host/v1"):
        with pytest.raises(UserError) as raised:
            credentials.find_base_url(wrong, {})
        assert "secret" not in str(raised.value)


def parse(*flags: str) -> ClientSettings:
    parser = argparse.ArgumentParser()
    tw.add_client_flags(parser)
    return tw.settings_from(parser.parse_args(flags))


def test_flags_in_both_spellings():
    one = parse(
        "--openai_model",
        "m",
        "--use_chat_completions",
        "--in_cost_per_million",
        "1",
        "--base_url",
        "http://h/v1",
        "--retry_failed",
    )
    two = parse(
        "--openai-model",
        "m",
        "--use-chat-completions",
        "--in-cost-per-million",
        "1",
        "--base-url",
        "http://h/v1",
        "--retry-failed",
    )
    assert one == two and (one.api, one.retry_failed) == ("chat", True)
    assert parse().workers == 128 and parse().model == "gpt-5" and parse().batch is None
    assert parse("--batch", "--batch-deadline", "2").batch == Batching(deadline=7200)
    assert parse("--extra-body", '{"seed": 1}').extra_body == {"seed": 1}


@pytest.mark.parametrize(
    "flags",
    [
        ("--extra-body", "{"),
        ("--extra-body", "[1]"),
        ("--extra-body", '{"model": "x"}'),
        ("--workers", "0"),
        ("--max-cost", "nan"),
        ("--max-cost", "-1"),
        ("--base-url", "nowhere"),
        ("--timeout", "0"),
        ("--offline", "--batch"),
    ],
)
def test_flags_that_cannot_be(flags):
    with pytest.raises(UserError) as raised:
        parse(*flags)
    assert "\n" not in str(raised.value)


def test_importing_the_client_loads_no_sdk():
    code = f"import sys; sys.path.insert(0, {SRC!r}); import threadweaver.client; print([m for m in ('openai', 'aiohttp') if m in sys.modules])"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
    )


# pacing


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("6m0s", 360), ("1s", 1), ("20ms", 0.02), ("1h2m3.5s", 3723.5), ("7", 7), ("soon", None), ("", None)],
)
def test_durations(text, seconds):
    assert parse_duration(text) == seconds


def test_allowances():
    headers = {
        "x-ratelimit-limit-requests": "100",
        "x-ratelimit-remaining-requests": "0",
        "x-ratelimit-reset-requests": "2s",
    }
    assert read_allowance(headers, "requests") == Allowance(100, 0, 2)
    assert read_allowance(headers, "requests").rate == pytest.approx(46)
    assert Allowance(100, 90, 1).rate is None
    assert read_allowance(headers, "tokens") is None


async def test_calls_in_flight_grow_to_the_ceiling_and_no_further(settings):
    with FakeOpenAI(latency=0.4) as server:
        replies_, _ = await ask_all(replace(settings, base_url=server.url, workers=50), [f"q{n}" for n in range(120)])
        assert server.stats()["peak_in_flight"] == 50
    assert all(reply.status == "ok" for reply in replies_)


async def test_overload_cuts_the_calls_in_flight_once_a_round():
    pacer = RateLimiter(100)
    tickets = [await pacer.acquire() for _ in range(30)]
    before = pacer.limit
    for ticket in tickets:
        pacer.overloaded(ticket)
    assert pacer.limit == pytest.approx(0.7 * min(before, 30))
    for ticket in tickets:
        pacer.succeeded(ticket, {}, 10)
        pacer.release(ticket)
    assert pacer.limit < before and pacer.in_flight == 0


async def test_a_refusal_slows_down_and_successes_speed_up():
    now = [100.0]
    pacer = RateLimiter(500, clock=lambda: now[0])
    tickets = [await pacer.acquire() for _ in range(20)]
    pacer.refused(tickets[-1], {}, None)
    slow = pacer.rate
    assert slow is not None
    for _ in range(40):
        for _ in range(int(pacer.rate) + 1):
            now[0] += 1.01 / pacer.rate
            pacer.release(await asyncio.wait_for(pacer.acquire(), 2))
        now[0] += 0.4
    assert pacer.rate > 1.5 * slow


async def test_a_cancelled_wait_gives_its_place_back():
    pacer = RateLimiter(1)
    ticket = await pacer.acquire()
    waiting = asyncio.create_task(pacer.acquire())
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    pacer.release(ticket)
    pacer.release(await asyncio.wait_for(pacer.acquire(), 1))
    assert pacer.in_flight == 0


async def test_a_server_with_limits_is_used_well_and_refuses_little(settings):
    with FakeOpenAI(requests_per_second=100, burst=50, latency=0.05) as server:
        began = time.monotonic()
        replies_, client = await ask_all(replace(settings, base_url=server.url), [f"q{n}" for n in range(500)])
        seconds = time.monotonic() - began
    assert all(reply.status == "ok" for reply in replies_)
    # 450 beyond the burst take 4.5 s at best; a second for the SDK's import, and the machine may be busy.
    assert seconds < 12
    assert client.total().refused < 100


def test_the_settings_of_a_run_hold_no_key(settings):
    async def describe() -> dict:
        async with Client(settings, environment={"OPENAI_API_KEY": KEY}) as client:
            return client.describe()

    assert KEY not in json.dumps(asyncio.run(describe()))
