"""The pool of servers: what they reply, faults, the least busy one, and what happens when one dies."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest
from aiohttp import web

from fake_engine import FakeEngine
from fake_openai import FakeOpenAI
from generating import TOKENIZER, engine, final, generate, project_in
from odd_answers import Odd
from threadweaver.errors import UserError
from threadweaver.generation.engine import Endpoint, Pool, SampleFailed, Sampling, decode, read_choice


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch) -> Path:
    return project_in(tmp_path, monkeypatch)


@pytest.mark.parametrize(
    ("choice", "finish", "text"),
    [
        ({"finish_reason": "length", "token_ids": "ab", "matched_stop": None}, "length", "ab"),
        ({"finish_reason": "stop", "token_ids": "a</Thread>", "matched_stop": "</Thread>"}, "stop", "a</Thread>"),
        ({"finish_reason": "stop", "token_ids": "a</Thread>", "stop_reason": "</Thread>"}, "stop", "a</Thread>"),
        ({"finish_reason": "stop", "token_ids": "a<|im_end|>", "matched_stop": 4083}, "end", "a"),
        ({"finish_reason": "stop", "token_ids": "a<|im_end|>", "stop_reason": None}, "end", "a"),
        ({"finish_reason": "stop", "token_ids": "a", "stop_reason": None}, "end", "a"),
        # no token ids, and a server that cuts the stop string off
        ({"finish_reason": "stop", "text": "a", "matched_stop": "</Thread>"}, "stop", "a</Thread>"),
        # neither name of the stop
        ({"finish_reason": "stop", "text": "a</Thread>"}, "stop", "a</Thread>"),
        ({"finish_reason": "stop", "text": "a"}, "end", "a"),
    ],
)
def test_reading_a_choice(choice, finish, text):
    exact = "token_ids" in choice
    if exact:
        choice = choice | {"token_ids": TOKENIZER.ids(choice["token_ids"])}
    completion = read_choice(choice, TOKENIZER, "</Thread>")
    assert (completion.finish, decode(TOKENIZER, completion.ids), completion.exact) == (finish, text, exact)


@pytest.mark.parametrize(
    "choice",
    [
        {"finish_reason": "abort", "token_ids": [1]},
        {"finish_reason": None, "token_ids": [1]},
        {"finish_reason": "stop", "token_ids": [1], "matched_stop": "NaN happened"},
        {"finish_reason": "stop", "text": "a", "matched_stop": "other"},
        {"finish_reason": "stop", "text": "a", "matched_stop": ["</Thread>"]},
        {"finish_reason": ["stop"], "text": "a"},
        {"finish_reason": "stop", "text": 5},
        {"finish_reason": "stop", "text": "a\ud800"},
        *(
            {"finish_reason": "stop", "token_ids": ids}
            for ids in ([-1], [10**9], [1.0], [True], [None], [[1]], "1", {"1": 1}, 7)
        ),
        {"finish_reason": "stop", "token_ids": [1] * 100},
        None,
        "a",
        [],
    ],
)
def test_a_broken_choice_is_not_a_sample(choice):
    with pytest.raises(SampleFailed):
        read_choice(choice, TOKENIZER, "</Thread>", limit=99)


@pytest.mark.parametrize(
    "choice",
    [{"token_ids": [1] * 9}, {"text": "a " * 40}, {"text": "-" * 5000}, {"text": "a " * 40, "token_ids": [1] * 9}],
)
def test_more_than_was_asked_for_is_not_a_sample(choice):
    with pytest.raises(SampleFailed, match="were asked for"):
        read_choice({"finish_reason": "stop", **choice}, TOKENIZER, None, 8)


def test_an_error_with_status_200_is_one():
    with (
        FakeOpenAI(disguise=Odd("200 an error with a code")) as server,
        pytest.raises(UserError, match="no such model here"),
    ):
        generate(server.url, **{"skip-model-check": True})


def test_passing_faults_are_retried(monkeypatch):
    monkeypatch.setattr(random, "uniform", lambda low, high: 0.01)
    with engine(faults=[500, 503, 0, 429]) as served:
        assert generate(served.url) == 0
    assert len(served.requests) == 4 + 4


def test_a_dead_server_is_left_out_and_reported(capsys):
    with engine() as served:
        assert generate("http://127.0.0.1:9/v1", served.url) == 0
    assert "http://127.0.0.1:9/v1 is left out" in capsys.readouterr().err
    with pytest.raises(UserError, match="no server is left"):
        generate("http://127.0.0.1:9/v1", suffix="none")


def test_several_servers_share_the_work_and_one_may_die(capsys):
    with engine() as served:
        generate(served.url, n=4, branching=True, suffix="whole")
    with engine(a_token=0.001) as one, engine(a_token=0.001, dies_after=15) as two:
        assert generate(one.url, two.url, n=4, branching=True, **{"n-workers": 4}) == 0
    assert one.completed > 15 and two.completed == 15
    assert f"{two.url} is left out" in capsys.readouterr().err
    assert final("few_4") == final("few_4", "_whole"), "the text must not depend on who decodes"


def test_a_sample_takes_the_least_busy_server_and_stays_there():
    async def seats() -> list[str]:
        pool = Pool([Endpoint("http://a/v1"), Endpoint("http://b/v1")], TOKENIZER, Sampling(), timeout=1)
        async with pool.seat() as first, pool.seat() as second:
            pool.endpoints[0].busy += 5
            async with pool.seat() as third:
                return [seat.__self__.endpoint.url for seat in (first, second, third)]

    assert asyncio.run(seats()) == ["http://a/v1", "http://b/v1", "http://b/v1"]


def test_a_request_that_takes_too_long_fails_its_sample(capsys):
    with engine(latency=lambda prompt: 1.0) as served:
        assert generate(served.url, limit=1, timeout=0.2) == 1
    assert "no reply within --timeout 0.2 s" in capsys.readouterr().err


def test_a_server_without_token_ids_is_reported(capsys):
    with engine(token_ids=False) as served:
        assert generate(served.url, branching=True) == 0
    assert "gave no token ids: 4 samples" in capsys.readouterr().out


# ---- what the pool makes of the transport's errors


@pytest.mark.parametrize(
    ("status", "message"),
    [(401, "HTTP 401: .*generation asks servers that need no key"), (404, "HTTP 404: .*--model_name")],
)
def test_a_server_that_nobody_can_ask_ends_the_run(status, message):
    with engine(faults=[status]) as served, pytest.raises(UserError, match=message):
        generate(served.url, **{"n-workers": 1})


def test_no_key_is_sent(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    seen = []

    async def models(self, request):
        seen.append(dict(request.headers))
        return await listed(self, request)

    listed = FakeEngine.models
    monkeypatch.setattr(FakeEngine, "models", models)
    with engine() as served:
        generate(served.url, limit=1)
    assert seen and not any("sk-secret" in str(headers) for headers in seen)


@pytest.mark.parametrize("answer", ["<html>", "[]", '{"data": [{}]}', '{"data": null}'])
def test_an_address_without_a_completions_api_is_refused(monkeypatch, answer):
    async def models(self, request):
        return web.Response(text=answer, content_type="application/json")

    monkeypatch.setattr(FakeEngine, "models", models)
    with engine() as served, pytest.raises(UserError, match="give the address of a completions API"):
        generate(served.url)


@pytest.mark.parametrize("answer", ["<html>", "[]", '{"choices": []}', '{"choices": null}'])
def test_a_reply_that_is_not_a_completion_fails_its_sample(monkeypatch, capsys, answer):
    async def completions(self, request):
        return web.Response(text=answer, content_type="application/json")

    monkeypatch.setattr(FakeEngine, "completions", completions)
    with engine() as served:
        assert generate(served.url, limit=1) == 1
    assert "the server's reply is not a completion" in capsys.readouterr().err


@pytest.mark.parametrize("url", ["nowhere", "http://user:secret@host/v1", "http://host:99999/v1"])
def test_what_is_not_an_address_is_refused(url):
    with pytest.raises(UserError, match="endpoint") as raised:
        generate(url)
    assert "secret" not in str(raised.value)
