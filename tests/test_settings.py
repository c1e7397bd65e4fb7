"""The flags of the client."""

from __future__ import annotations

import argparse

import pytest

from threadweaver.client import add_client_flags, settings_from
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
    ],
)
def test_impossible_flags(flags):
    with pytest.raises(UserError) as raised:
        parse(*flags)
    assert "\n" not in str(raised.value)
