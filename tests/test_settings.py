"""The flags of the client."""

from __future__ import annotations

import argparse
import json

import pytest

from threadweaver.client import add_client_flags, settings_from
from threadweaver.client.requests import Request
from threadweaver.client.settings import Batching, ClientSettings
from threadweaver.errors import UserError


def parse(*flags: str) -> ClientSettings:
    parser = argparse.ArgumentParser()
    add_client_flags(parser)
    return settings_from(parser.parse_args(flags))


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
        ("--longest-wait", "0"),
        ("--extra-body", '{"x": NaN}'),
        ("--extra-body", '{"x": 1e400}'),
        ("--extra-body", "[" * 5000),
        ("--extra-body", '{"x": ' + "[" * 50 + "]" * 50 + "}"),
        ("--extra-body", '{"prompt": 5}'),
        ("--extra-body", '{"stream": true}'),
        ("--extra-body", '{"max_output_tokens": null}'),
        ("--extra-body", '{"max_output_tokens": "5"}'),
        ("--extra-body", '{"max_output_tokens": -5}'),
        ("--extra-body", '{"max_tokens": 0.5}'),
        ("--extra-body", '{"n": true}'),
        ("--extra-body", '{"n": 0}'),
        ("--use-chat-completions", "--extra-body", '{"max_completion_tokens": null}'),
        ("--max-cost", "1", "--extra-body", '{"tools": [{"type": "web_search"}]}'),
    ],
)
def test_impossible_flags(flags):
    with pytest.raises(UserError) as raised:
        parse(*flags)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("api", "extra", "sent"),
    [
        ("chat", {"reasoning_effort": None}, {"max_completion_tokens": 32768, "verbosity": "high"}),
        ("chat", {"effort": None, "verbosity": None}, {"max_completion_tokens": 32768}),
        (
            "chat",
            {"max_completion_tokens": None, "max_tokens": 9, "reasoning_effort": None, "verbosity": None},
            {"max_tokens": 9},
        ),
        ("chat", {"max_output_tokens": None, "max_tokens": 9, "effort": None, "verbosity": None}, {"max_tokens": 9}),
        ("chat", {"seed": None, "verbosity": None, "effort": None}, {"max_completion_tokens": 32768}),
        ("responses", {"reasoning": None}, {"max_output_tokens": 32768, "text": {"verbosity": "high"}}),
        ("responses", {"text": None, "reasoning": {"effort": None}}, {"max_output_tokens": 32768}),
        (
            "responses",
            {"reasoning": {"summary": "auto"}, "text": {"verbosity": None, "format": {"default": None}}},
            {
                "max_output_tokens": 32768,
                "reasoning": {"effort": "low", "summary": "auto"},
                "text": {"format": {"default": None}},
            },
        ),
    ],
)
def test_null_leaves_a_parameter_out_by_any_of_its_names(api, extra, sent):
    flags = ["--use-chat-completions"] if api == "chat" else []
    request = parse(*flags, "--extra-body", json.dumps(extra)).request([("user", "u")], effort="low", verbosity="high")
    body = request.body()
    assert {name: body[name] for name in body if name not in ("model", "messages", "input")} == sent
    assert Request.parse(request.canonical) == request and request.most_output == (sent.get("max_tokens") or 32768)


@pytest.mark.parametrize(
    ("extra", "most"),
    [
        ({}, 32768),
        ({"max_completion_tokens": 200_000}, 200_000),
        ({"max_tokens": 200_000, "n": 8}, 1_600_000),
        ({"n": 3, "best_of": 5}, 5 * 32768),
        ({"options": {"num_predict": 50_000}}, 50_000),
        ({"max_tokens": 100, "top_k": 50, "seed": 7}, 32768),
        ({"thinking": {"type": "enabled", "budget_tokens": 10_000}}, 42_768),
        ({"generationConfig": [{"maxOutputTokens": "90000", "candidateCount": 2}]}, 180_000),
        ({"num_return_sequences": 2, "max_new_tokens": 1e300}, 2 * 10**9),
    ],
)
def test_what_the_extra_body_asks_for_is_counted(extra, most):
    request = ClientSettings(extra_body=extra).request([("user", "u")])
    assert request.most_output == most
    assert request.most_input >= request.bytes + len(json.dumps(extra)) - 2
