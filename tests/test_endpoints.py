"""Endpoints of other providers: what they refuse is learnt, what they word differently is understood."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from asking import QUICK, ask, ask_all, settings_in
from fake_endpoints import DISGUISES, Disguise, Gemini, Mistral, Ollama, Streaming, Vllm
from fake_openai import FakeOpenAI
from threadweaver.client import Client, Reply, errors, refusals
from threadweaver.client.credentials import NO_KEY
from threadweaver.client.dialect import PLAIN, Dialect, learn
from threadweaver.client.streams import assembled
from threadweaver.client.transport import Transport

TEXTS = [f"q{n}" for n in range(30)]


@pytest.fixture
def settings(tmp_path, monkeypatch):
    return replace(settings_in(tmp_path, monkeypatch), api="chat", retrying=replace(QUICK, limited_tries=30))


# ---- whole runs


@pytest.mark.parametrize("disguise", [Vllm, Mistral, Gemini, Ollama, Streaming])
async def test_every_endpoint_gives_the_same_replies(settings, disguise):
    assert disguise in DISGUISES.values()
    plain = FakeOpenAI()
    with plain, FakeOpenAI(disguise=disguise()) as server:
        expected, _ = await ask_all(replace(settings, base_url=plain.url, ledger=None), TEXTS)
        replies, _ = await ask_all(replace(settings, base_url=server.url), TEXTS)
        assert server.stats()["answered_twice"] == 0
    assert [reply.text for reply in replies] == [reply.text for reply in expected]
    assert [reply.key for reply in replies] == [reply.key for reply in expected]


async def effort_asked(settings, text: str) -> Reply:
    async with Client(settings) as client:
        return await client.ask(ask(settings, text, effort="low", verbosity="low"), label="step1/a")


async def test_what_was_learnt_is_told_once_and_kept_for_later_runs(settings, capfd):
    with FakeOpenAI(disguise=Mistral(), record=True) as server:
        settings = replace(settings, base_url=server.url)
        await effort_asked(settings, "a")
        assert server.stats()["status"] == {"200": 1, "422": 1}
        told = capfd.readouterr().err
        assert told.count("\n") == 1 and "max_completion_tokens is sent as max_tokens" in told
        await effort_asked(settings, "b")
        assert server.stats()["status"] == {"200": 2, "422": 1} and not capfd.readouterr().err
    assert set(server.bodies[-1]) == {"model", "messages", "max_tokens"}


async def test_a_limit_is_not_given_up_under_a_cap(settings):
    class Unlimited(Disguise):
        def refuse(self, api, body):
            named = [name for name in ("max_completion_tokens", "max_tokens") if name in body]
            message = f"Unknown parameter: '{named[0]}'." if named else ""
            return (400, {"error": {"message": message, "param": named[0]}}) if named else None

    with FakeOpenAI(disguise=Unlimited()) as server:
        settings = replace(settings, base_url=server.url)
        (refused,), _ = await ask_all(replace(settings, max_cost=5), ["q"])
        assert isinstance(refused, errors.BadRequest) and "--extra-body" in str(refused)
        (reply,), _ = await ask_all(settings, ["q"])
        assert reply.status == "ok"
        (refused,), _ = await ask_all(replace(settings, max_cost=5), ["another"])
        assert isinstance(refused, errors.BadRequest)


@pytest.mark.parametrize("api", ["chat", "responses"])
async def test_a_stream_can_be_asked_for(settings, api):
    with FakeOpenAI(record=True) as server:
        settings = replace(settings, base_url=server.url, api=api, stream=True)
        (reply,), _ = await ask_all(settings, ["q"])
    assert reply.status == "ok" and server.bodies[0]["stream"] is True


async def test_a_prompt_that_was_cut_is_the_failure_of_its_sample_and_paid_once(settings):
    texts = [f"{n} " + "a long chain of thought " * 200 * n for n in range(3)]
    with FakeOpenAI(disguise=Ollama()) as server:
        settings = replace(settings, base_url=server.url)
        for _ in range(2):
            outcomes, client = await ask_all(settings, texts)
            cut = [isinstance(outcome, errors.PromptCut) for outcome in outcomes]
            assert cut == [False, False, True] and client.total().failed == {"prompt_cut": 1}
            assert "saw 1,024 tokens" in str(outcomes[2]) and "--retry-failed" in str(outcomes[2])
        assert server.stats()["answered"] == 3
        server.disguise = Disguise()
        outcomes, _ = await ask_all(replace(settings, retry_failed=True), texts)
        assert all(isinstance(outcome, Reply) for outcome in outcomes) and server.stats()["answered"] == 4


@pytest.mark.parametrize(
    ("base", "address", "headers"),
    [
        ("http://h/v1", "http://h/v1/chat/completions", {"authorization"}),
        ("http://h/v1/?api-version=1", "http://h/v1/chat/completions?api-version=1", {"authorization", "api-key"}),
        (
            "https://x.openai.azure.com/openai/v1",
            "https://x.openai.azure.com/openai/v1/chat/completions",
            {"authorization"},
        ),
        (
            "https://x.openai.azure.com/openai/deployments/gpt?api-version=2024-10-21",
            "https://x.openai.azure.com/openai/deployments/gpt/chat/completions?api-version=2024-10-21",
            {"api-key"},
        ),
    ],
)
async def test_an_address_with_a_query_and_the_header_of_azure(base, address, headers):
    transport = Transport(base, NO_KEY, timeout=5, connections=1)
    assert str(transport._addresses["/chat/completions"]) == address
    assert {name.lower() for name in transport._headers} & {"authorization", "api-key"} == headers
    assert transport._address("/batches?limit=100").endswith("limit=100")
    await transport.close()


async def test_an_endpoint_without_the_responses_api_names_the_flag(settings):
    with FakeOpenAI(disguise=Vllm()) as server:
        (error,), _ = await ask_all(replace(settings, base_url=server.url, api="responses"), ["q"])
    assert isinstance(error, errors.NoSuchModel) and "--use-chat-completions" in str(error)


async def test_a_long_wait_is_told_and_one_above_the_bound_ends_the_run(settings, capfd):
    class Slow(Disguise):
        def refuse(self, api, body):
            return 429, {"error": {"message": "Please try again in 2m30s"}}

    with FakeOpenAI(disguise=Slow()) as server:
        bounded = replace(settings, base_url=server.url, retrying=replace(QUICK, longest_asked=100))
        (error,), _ = await ask_all(bounded, ["q"])
        assert isinstance(error, errors.WaitTooLong) and "150 s" in str(error) and "--longest-wait" in str(error)


# ---- what a refusal means


def meaning(status, detail, headers=None, path="/chat/completions"):
    return refusals.meaning(status, detail, headers or {}, endpoint="http://h/v1", key_source="file", path=path)


GEMINI = {
    "code": 429,
    "status": "RESOURCE_EXHAUSTED",
    "message": "You exceeded your current quota, please check your plan and billing details.",
}


@pytest.mark.parametrize(
    ("status", "detail", "kind", "wait"),
    [
        (429, {**GEMINI, "details": [{"@type": "x/RetryInfo", "retryDelay": "38s"}]}, errors.RateLimited, 38.0),
        (429, {**GEMINI, "message": f"{GEMINI['message']} Please retry in 1.5s."}, errors.RateLimited, 1.5),
        (
            429,
            {**GEMINI, "message": "Quota exceeded for quota metric 'Requests' and limit 'Requests per minute'"},
            errors.RateLimited,
            None,
        ),
        (
            429,
            {"message": "Requests rate limit exceeded", "type": "rate_limited", "code": "1300"},
            errors.RateLimited,
            None,
        ),
        (
            429,
            {"code": "429", "message": "exceeded token rate limit of your pricing tier. Please retry after 6 seconds."},
            errors.RateLimited,
            6.0,
        ),
        (
            429,
            {"message": "Rate limit reached on tokens per min. Please try again in 6m0.5s."},
            errors.RateLimited,
            360.5,
        ),
        (403, {"message": "You exceeded your current quota: 60 requests per minute"}, errors.RateLimited, None),
        (
            429,
            {"message": "You exceeded your current quota", "code": "insufficient_quota"},
            errors.QuotaExhausted,
            None,
        ),
        (429, {**GEMINI, "message": "Your prepayment credits are depleted."}, errors.QuotaExhausted, None),
        (402, {"message": "Insufficient Balance"}, errors.QuotaExhausted, None),
        (400, {"message": "Your credit balance is too low to access the API"}, errors.QuotaExhausted, None),
        (403, {"code": "Arrearage", "message": "Access denied"}, errors.QuotaExhausted, None),
        (501, {"message": "not implemented"}, errors.NoSuchModel, None),
        (405, "Method Not Allowed", errors.NoSuchModel, None),
    ],
)
def test_a_limit_that_passes_is_never_no_money(status, detail, kind, wait):
    error = meaning(status, detail)
    assert type(error) is kind and getattr(error, "retry_after", None) == wait


@pytest.mark.parametrize(
    ("message", "kind", "hint"),
    [
        ("This model's maximum context length is 4096 tokens", errors.ContextTooLong, "--output-limit"),
        ("the request exceeds the available context size", errors.ContextTooLong, "--output-limit"),
        ("The input token count (9) exceeds the maximum number of tokens allowed (5)", errors.ContextTooLong, "limit"),
        ("prompt is too long: 210000 tokens > 200000 maximum", errors.ContextTooLong, "--output-limit"),
        ("Your request exceeded model token limit: 8192", errors.ContextTooLong, "--output-limit"),
        ("max_tokens must be at least 1, got -5", errors.ContextTooLong, "--output-limit"),
        (
            "max_tokens is too large: 32768. This model supports at most 16384 completion tokens",
            errors.BadRequest,
            "--output",
        ),
        ("Invalid max_tokens value, the valid range of max_tokens is [1, 8192]", errors.BadRequest, "--output-limit"),
        ("the response was flagged by moderation", errors.ContentFilter, ""),
    ],
)
def test_a_request_that_is_too_long_names_the_limit(message, kind, hint):
    error = meaning(400, {"message": message})
    assert type(error) is kind and hint in str(error)


@pytest.mark.parametrize(
    ("data", "status"),
    [
        ({"error": {"message": "m", "code": 404}}, 404),
        ({"error": "no endpoint serves this model"}, 400),
        ({"error": "Unexpected endpoint or method. (POST /v1/responses)"}, 404),
        ({"error": {"message": "overloaded", "type": "overloaded_error"}, "choices": []}, 503),
        ({"choices": [{"error": {"code": 502, "message": "m"}, "finish_reason": "error"}]}, 502),
        ([{"error": {"code": 429, "message": "m"}}], 429),
        ({"object": "error", "message": "rate limit", "code": 50001}, 429),
        ({"base_resp": {"status_code": 1004, "status_msg": "unauthorized"}}, 401),
        ({"success": False, "errors": [{"code": 7009, "message": "Upstream error"}]}, 503),
        ({"detail": "temporarily unavailable"}, 503),
        ({"status": "failed", "error": {"code": "server_error", "message": "m"}, "output": []}, 503),
        ({"status": "failed", "error": None, "output": []}, 503),
        # no errors
        ({"error": None, "choices": [{"message": {"content": "x"}}]}, None),
        ({"error": {}, "output": []}, None),
        ({"error": {"code": None, "message": None}, "choices": [1]}, None),
        ({"choices": [{"message": {"content": "x"}}], "message": "ok"}, None),
        ({"status": "completed", "output": [], "error": None}, None),
        ("text", None),
        (None, None),
    ],
)
def test_an_error_with_status_200_is_found(data, status):
    found = refusals.error_inside(data)
    assert (found and found[0]) == status


# ---- what is learnt

CHAT = {"model": "m", "messages": [], "max_completion_tokens": 9, "reasoning_effort": "low", "verbosity": "low"}
RESPONSES = {
    "model": "m",
    "input": [],
    "max_output_tokens": 9,
    "reasoning": {"effort": "low"},
    "text": {"verbosity": "low"},
}


@pytest.mark.parametrize(
    ("body", "detail", "sent"),
    [
        (
            CHAT,
            {"message": "Unrecognized request argument supplied: reasoning_effort"},
            {"max_completion_tokens", "verbosity"},
        ),
        (
            CHAT,
            {"message": "Unsupported parameter", "param": "verbosity"},
            {"max_completion_tokens", "reasoning_effort"},
        ),
        (
            CHAT,
            {
                "message": "Unsupported value: 'low' is not supported with this model",
                "param": "verbosity",
                "code": "unsupported_value",
            },
            {"max_completion_tokens", "reasoning_effort"},
        ),
        (
            CHAT | {"temperature": 0},
            {
                "message": "Unsupported value: 'temperature' does not support 0 with this model. Only the default (1) is."
            },
            {"max_completion_tokens", "reasoning_effort", "verbosity"},
        ),
        (
            {**CHAT, "max_tokens": 9},
            {"message": "property 'max_completion_tokens' is unsupported"},
            {"max_tokens", "reasoning_effort", "verbosity"},
        ),
        (
            CHAT,
            {"message": "Unsupported parameter: 'max_completion_tokens'. Use 'max_tokens' instead."},
            {"max_tokens", "reasoning_effort", "verbosity"},
        ),
        (
            RESPONSES,
            {"message": "Unsupported parameter: 'reasoning.effort'", "param": "reasoning.effort"},
            {"max_output_tokens", "text"},
        ),
        (
            RESPONSES,
            {"message": "unknown field `verbosity`", "loc": ["body", "text", "verbosity"]},
            {"max_output_tokens", "reasoning"},
        ),
    ],
)
def test_a_parameter_that_is_refused_by_name_is_left_out(body, detail, sent):
    known = learn(PLAIN, body, detail)
    assert set(known.apply(body)) - {"model", "messages", "input"} == sent
    assert Dialect.parse(known.as_json()) == known


@pytest.mark.parametrize(
    "detail",
    [
        {"message": "max_completion_tokens must be less than 8192"},
        {"message": "Invalid value: 'hihg'. Supported values are: 'low' and 'high'", "param": "reasoning_effort"},
        {"message": "the messages hold an unsupported role"},
        {"message": "your text is not allowed here"},
        {"message": "Unsupported response_format", "param": "response_format"},
        "Bad request",
        None,
        [1],
    ],
)
def test_any_other_refusal_teaches_nothing(detail):
    assert learn(PLAIN, CHAT | {"text": {"x": 1}, "response_format": {}}, detail) is None


def test_a_dialect_of_another_form_is_a_plain_one():
    for text in (
        "",
        "{",
        "[]",
        "null",
        '{"left_out": ["messages"], "renamed": {"model": "x"}, "stream": 1}',
        "[" * 9999,
    ):
        assert Dialect.parse(text) == PLAIN


# ---- streams


def events(*items) -> bytes:
    return "".join(f"data: {json.dumps(item)}\n\n" for item in items).encode()


def test_pieces_are_joined_whatever_they_are():
    deltas = [
        {"role": "assistant", "content": "a"},
        {"content": [{"type": "text", "text": "b"}]},
        {"content": "c", "refusal": None},
    ]
    chunks = [{"choices": [{"delta": delta}]} for delta in deltas] + [
        {"choices": [{"delta": {}, "finish_reason": "stop"}]}
    ]
    (choice,) = assembled(events(*chunks, {"choices": [], "usage": {"prompt_tokens": 1}}))["choices"]
    assert [part["text"] for part in choice["message"]["content"]] == ["a", "b", "c"]
    whole = {"type": "response.completed", "response": {"status": "completed", "output": []}}
    assert assembled(events({"type": "response.created"}, whole)) == whole["response"]
    assert assembled(b'data: {"error": "no"}\r\n\r\n') == {"error": "no"}


@pytest.mark.parametrize(
    "content", [b"", b"data: [DONE]\n\n", events({"choices": [{"delta": {"content": "a"}}]}), b"data: {\n\n"]
)
def test_a_stream_that_ends_too_early_is_no_reply(content):
    with pytest.raises(errors.BadReply):
        assembled(content)
