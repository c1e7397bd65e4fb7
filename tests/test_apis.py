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


def chat(content, finish="stop", **message):
    return {"choices": [{"message": {"role": "assistant", "content": content, **message}, "finish_reason": finish}]}


def responses(*items, **more):
    return {"status": "completed", "output": list(items), **more}


def message(text, **more):
    return {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": text}], **more}


THOUGHT = {"type": "reasoning", "summary": [{"type": "summary_text", "text": "draft"}], "content": None}
PARTS = [{"type": "thinking", "thinking": [{"type": "text", "text": "draft"}]}, {"type": "text", "text": "R"}]
HARMONY = "<|channel|>analysis<|message|>draft<|end|><|start|>assistant<|channel|>final<|message|>R<|return|>"


@pytest.mark.parametrize(
    ("api", "data", "status", "text"),
    [
        # thinking in the content
        ("chat", chat("<think>draft</think>\n\nR"), "ok", "R"),
        ("chat", chat("draft</think>R"), "ok", "R"),
        ("chat", chat("<think>draft"), "incomplete", ""),
        ("chat", chat("<think>draft", "length"), "truncated", ""),
        ("chat", chat("<think>draft</think>"), "empty", ""),
        ("chat", chat("[THINK]draft[/THINK]R"), "ok", "R"),
        ("chat", chat("◁think▷draft◁/think▷R"), "ok", "R"),
        ("chat", chat("<seed:think>draft</seed:think>R"), "ok", "R"),
        (
            "chat",
            chat("<|begin_of_thought|>draft<|end_of_thought|><|begin_of_solution|>R<|end_of_solution|>"),
            "ok",
            "R",
        ),
        ("chat", chat("<think>draft</think><answer>R</answer>"), "ok", "R"),
        ("chat", chat(HARMONY), "ok", "R"),
        ("chat", chat(HARMONY.partition("<|end|>")[0]), "incomplete", ""),
        ("chat", chat("\ufeffR"), "ok", "R"),
        ("responses", responses(message("<think>draft</think>R")), "ok", "R"),
        # thinking beside the content, and content as parts
        ("chat", chat("R", reasoning_content="draft"), "ok", "R"),
        (
            "chat",
            chat("R", reasoning="draft", reasoning_details=[{"type": "reasoning.text", "text": "draft"}]),
            "ok",
            "R",
        ),
        ("chat", chat(None, reasoning_content="draft"), "empty", ""),
        ("chat", chat("", reasoning="draft"), "empty", ""),
        ("chat", chat(PARTS), "ok", "R"),
        ("chat", chat(PARTS[:1]), "empty", ""),
        ("chat", chat([{"type": "text", "text": "R"}, {"type": "text", "text": "S"}]), "ok", "RS"),
        ("chat", chat(["R", "S"]), "ok", "RS"),
        ("chat", chat([]), "empty", ""),
        ("chat", chat({"type": "text", "text": "R"}), "ok", "R"),
        # refusals and tools
        ("chat", chat(None, refusal="No."), "refused", "No."),
        ("chat", chat([{"type": "refusal", "refusal": "No."}]), "refused", "No."),
        ("chat", chat("", "content_filter"), "refused", ""),
        ("chat", chat("R", "SAFETY"), "refused", "R"),
        ("chat", chat(None, "tool_calls", tool_calls=[{"function": {"name": "f"}}]), "incomplete", ""),
        # how it ended
        *(("chat", chat("R", finish), "ok", "R") for finish in ("stop", "STOP", "eos", "eos_token", "end_turn")),
        *(("chat", chat("R", finish), "truncated", "R") for finish in ("length", "MAX_TOKENS", "model_length")),
        *(
            ("chat", chat("R", finish), "incomplete", "R")
            for finish in (
                "abort",
                "error",
                "insufficient_system_resource",
                "tool_calls",
                None,
                "",
                7,
                ["stop"],
                "\ud800",
            )
        ),
        ("chat", {"choices": [{"message": {"content": "R"}}]}, "ok", "R"),
        # items of a response
        ("responses", responses(THOUGHT, message("R")), "ok", "R"),
        ("responses", responses(THOUGHT), "empty", ""),
        ("responses", responses(message("a"), THOUGHT, message("R")), "ok", "a\nR"),
        ("responses", responses(message("a", phase="commentary"), message("R", phase="final_answer")), "ok", "R"),
        ("responses", responses({"type": "function_call", "name": "f"}, 7, None, message("R")), "ok", "R"),
        ("responses", responses({"type": "message", "content": "R"}), "ok", "R"),
        ("responses", responses({"type": "message", "content": None}), "empty", ""),
        ("responses", responses(message("a", role="user"), message("R")), "ok", "R"),
        ("responses", responses(message("R", status="incomplete")), "incomplete", "R"),
        ("responses", responses(message("R"), status="in_progress"), "incomplete", "R"),
        ("responses", responses(message("R"), status=None), "incomplete", "R"),
        ("responses", responses(message("R"), status=["completed"]), "incomplete", "R"),
        ("responses", responses(message("R"), status="incomplete", incomplete_details=["x"]), "incomplete", "R"),
        (
            "responses",
            responses({"type": "message", "content": [{"type": "refusal", "refusal": "No."}]}),
            "refused",
            "No.",
        ),
        # what continues a prompt is not a reply: thinking belongs to it
        (
            "completions",
            {"choices": [{"text": "<think>a</think>b", "finish_reason": "stop"}]},
            "ok",
            "<think>a</think>b",
        ),
    ],
)
def test_what_counts_of_a_reply_and_whether_it_is_whole(api, data, status, text):
    raw = APIS[api].read(data)
    assert (raw.status, APIS[api].spoken(raw.text, raw.status)) == (status, (text, status))


COUNTS = [None, -1, 12.5, "many", "1,234", 10**30, float("inf"), float("nan"), True, [3], {"a": 1}]


@pytest.mark.parametrize("count", COUNTS[1:])
def test_counts_that_cannot_be_are_no_counts_and_the_reply_is_kept(count):
    for usage in ({"prompt_tokens": 5, "completion_tokens": count}, [count], count):
        raw = APIS["chat"].read({**chat("R"), "usage": usage})
        assert (raw.text, raw.status, raw.usage) == ("R", "ok", None)


@pytest.mark.parametrize("details", [None, [1], "x", {"reasoning_tokens": "many"}, {"reasoning_tokens": 10**9}])
def test_details_that_cannot_be_count_nothing(details):
    usage = {"prompt_tokens": 5, "completion_tokens": 7.0, "completion_tokens_details": details}
    raw = APIS["chat"].read({**chat("R"), "usage": usage})
    assert raw.usage == Usage(5, 0, 7, 7 if details == {"reasoning_tokens": 10**9} else 0)


def test_a_tier_is_a_word():
    tiers = [
        APIS["chat"].read({**chat("R"), "service_tier": tier}).tier for tier in (None, "flex", ["x"], "\ud800", "a b")
    ]
    assert tiers == [None, "flex", "other", "other", "other"]


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
