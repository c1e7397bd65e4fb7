"""How each API writes a request and reads a reply."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from asking import ask, ask_all, settings_in
from fake_openai import FakeOpenAI
from threadweaver.client import Usage, errors
from threadweaver.client.apis import APIS, Api, RawReply
from threadweaver.client.requests import Request
from threadweaver.ledger import Ledger, transfer


@pytest.fixture
def settings(tmp_path, monkeypatch):
    return settings_in(tmp_path, monkeypatch)


def test_bodies_of_the_three_apis():
    params = {
        "max_output_tokens": 7,
        "effort": "low",
        "verbosity": "high",
        "temperature": 0,
        "text": {"format": {"type": "text"}},
    }
    turns = (("system", "s"), ("user", "u"))
    messages = [{"role": "system", "content": "s"}, {"role": "user", "content": "u"}]
    body = Request("responses", "m", turns, params).body("flex")
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
    assert Request("chat", "m", turns, params).body() == {
        "model": "m",
        "messages": messages,
        "max_completion_tokens": 7,
        "reasoning_effort": "low",
        "verbosity": "high",
        "temperature": 0,
    }
    ids = Request("completions", "m", (), {"max_output_tokens": 7, "prompt": [1, 2], "stop": ["x"]})
    assert ids.body() == {"model": "m", "prompt": [1, 2], "max_tokens": 7, "stop": ["x"]}


def test_every_request_sets_a_limit_and_null_leaves_a_parameter_out(settings):
    with pytest.raises(ValueError, match="max_output_tokens"):
        Request("chat", "m", ())
    settings = replace(settings, extra_body={"verbosity": None, "seed": 3})
    assert ask(settings, "q", verbosity="low").params == {"max_output_tokens": settings.output_limit, "seed": 3}


def test_a_request_is_parsed_from_its_canonical_text(settings):
    request = ask(settings, "q", effort="low").at(2)
    assert Request.parse(request.canonical) == request


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
    raw = APIS[api].read(data)
    assert (raw.status, raw.text) == (status, text)
    assert raw.usage == (usage and Usage(*usage))
    assert api != "completions" or raw.extra == {"matched_stop": "</Thread>"}


@pytest.mark.parametrize("data", [[], {}, {"choices": []}, {"choices": [{}]}, {"output": None}, "text", None])
@pytest.mark.parametrize("api", ["responses", "chat", "completions"])
def test_what_is_not_a_reply_is_a_fault_to_retry(api, data):
    with pytest.raises(errors.BadReply):
        APIS[api].read(data)


@pytest.mark.parametrize(("code", "kind"), [("server_error", errors.ServerFault), ("invalid_image", errors.BadRequest)])
def test_responses_that_failed(code, kind):
    with pytest.raises(kind):
        APIS["responses"].read({"status": "failed", "error": {"code": code, "message": "m"}, "output": []})


class Plain(Api):
    """An API as a user may add it: another path, other names."""

    path = "/chat/completions"

    def fields(self, messages, params):
        return {"messages": messages, "max_completion_tokens": params.max_output_tokens, "depth": params.effort}

    def reply(self, data):
        return RawReply(data["choices"][0]["message"]["content"].upper(), "ok", "stop", None, None)


async def test_a_new_api_is_one_class_and_its_entry(settings, tmp_path, monkeypatch):
    monkeypatch.setitem(APIS, "plain", Plain())
    with FakeOpenAI(record=True, answer=lambda messages, params: "words") as server:
        settings = replace(settings, base_url=server.url, api="plain")
        (first,), _ = await ask_all(settings, ["q"])
        (again,), _ = await ask_all(settings, ["q"])
        assert server.bodies[0]["max_completion_tokens"] == settings.output_limit and len(server.bodies) == 1
        await asyncio.to_thread(hand_over, settings.ledger, tmp_path / "other.sqlite", tmp_path / "paid.jsonl")
        (handed_over,), _ = await ask_all(replace(settings, ledger=tmp_path / "other.sqlite", offline=True), ["q"])
    assert first.text == again.text == handed_over.text == "WORDS" and again.from_ledger and handed_over.from_ledger


def hand_over(paid: Path, other: Path, file: Path) -> None:
    """Bring the replies of one ledger into another, by way of a file."""
    for path, move in ((paid, transfer.export), (other, transfer.load)):
        ledger = Ledger(path)
        move(ledger, file)
        ledger.close()


def test_a_name_that_is_not_an_api_is_refused(settings):
    with pytest.raises(ValueError, match="none of responses, chat, completions"):
        ask(replace(settings, api="letters"), "q")
