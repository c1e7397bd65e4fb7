"""Where the key comes from when things are not as they should be: one line, no other key, no waiting."""

from __future__ import annotations

import os
import threading

import pytest

from fake_openai import FakeOpenAI
from threadweaver.client import Client, ClientSettings, credentials, prices
from threadweaver.client.apis import RawReply
from threadweaver.client.entries import entry_of
from threadweaver.client.requests import Usage
from threadweaver.errors import UserError

OTHER = {"OPENAI_API_KEY": "another-key"}


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def test_only_the_default_file_may_be_missing(home):
    assert credentials.find_key(None, OTHER).value == "another-key"
    assert credentials.find_key(None, {}) is None
    for path, environment in ((str(home / "none"), OTHER), (None, {**OTHER, "OPENAI_KEY_PATH": "~/none"})):
        with pytest.raises(UserError, match="none is not there") as raised:
            credentials.find_key(path, environment)
        assert "another-key" not in str(raised.value)


def test_a_named_file_comes_before_the_environment(home):
    (home / "named").write_text("named-key")
    (home / "named").chmod(0o600)
    assert credentials.find_key(None, {**OTHER, "OPENAI_KEY_PATH": "~/named"}).value == "named-key"


@pytest.mark.parametrize(
    "content",
    [
        '{"key": "sk-1"}',
        "{sk-1}",
        '"sk-1"',
        "'sk-1'",
        "OPENAI_API_KEY=sk-1",
        "$KEY",
        "sk-1\tsk-2",
        "sk-1\x00",
        "=",
        "<sk-1>",
    ],
)
def test_what_no_key_looks_like_is_refused_and_not_shown(home, content):
    (home / "key").write_text(content)
    for path, environment in (("~/key", {}), (None, {"OPENAI_API_KEY": content})):
        with pytest.raises(UserError, match="does not hold one API key") as raised:
            credentials.find_key(path, environment)
        assert "sk-" not in str(raised.value)


@pytest.mark.parametrize("value", ["sk-proj-aB_9-x", "eyJhbGci.eyJz.SflK+/w==", "12|abc", "user:pass", "none"])
def test_keys_that_servers_give_out_are_taken(home, value):
    assert credentials.find_key(None, {"OPENAI_API_KEY": f" {value}\n"}).value == value


def test_a_named_pipe_is_read_when_somebody_writes_and_not_waited_for_when_nobody_does(home, monkeypatch):
    os.mkfifo(home / "pipe")
    writer = threading.Thread(target=lambda: (home / "pipe").write_text("piped-key\n"))
    writer.start()
    assert credentials.find_key("~/pipe", {}).value == "piped-key"
    writer.join()
    monkeypatch.setattr(credentials, "PIPE_SECONDS", 0.2)
    with pytest.raises(UserError, match="no key came through it"):
        credentials.find_key("~/pipe", {})


def test_process_substitution(home):
    ours, theirs = os.pipe()
    os.write(theirs, b"piped-key\n")
    os.close(theirs)
    try:
        assert credentials.find_key(f"/dev/fd/{ours}", {}).value == "piped-key"
        with pytest.raises(UserError, match="empty"):
            credentials.find_key(f"/dev/fd/{ours}", {})
    finally:
        os.close(ours)


def test_the_default_file_must_be_a_file(home):
    os.mkfifo(home / ".openai_api_key")
    with pytest.raises(UserError, match="is no file"):
        credentials.find_key(None, OTHER)
    with pytest.raises(UserError, match="is no file"):
        credentials.find_key("/dev/zero", OTHER)
    with pytest.raises(UserError, match="directory"):
        credentials.find_key(str(home), OTHER)


# ---- what is paid in a tier without a price

SETTINGS = ClientSettings(output_limit=100, ledger=None)
REQUEST = SETTINGS.request([("user", "q" * 100)])


def cost_of(usage: Usage | None, tier: str) -> int:
    answer = RawReply("text", "ok", "stop", usage, tier)
    return entry_of(prices.price_of("gpt-5"), REQUEST, "step1", answer, tier, 0.0).cost


def test_a_tier_without_a_price_is_settled_at_twice_the_default_price():
    usage = Usage(1000, 400, 100, 50)
    assert cost_of(usage, "priority") == 2 * cost_of(usage, "default") > 0
    assert cost_of(usage, "flex") * 2 == cost_of(usage, "default")


def test_a_reply_without_a_count_is_settled_at_the_worst_case_of_its_tier():
    price = prices.price_of("gpt-5")
    assert cost_of(None, "priority") == price.worst_case(REQUEST, "priority") == 2 * price.worst_case(REQUEST)
    assert cost_of(None, "flex") == price.worst_case(REQUEST)
    assert cost_of(None, "batch") == price.worst_case(REQUEST, "batch")


@pytest.mark.parametrize("tier", ["default", "flex", "batch", "priority", "scale"])
def test_no_reply_costs_more_than_is_reserved_for_any_tier(tier):
    most = Usage(REQUEST.bytes, 0, 100, 0)
    reserved = prices.price_of("gpt-5").worst_case(REQUEST, None)
    assert cost_of(most, tier) <= reserved and cost_of(None, tier) <= reserved


async def test_the_ledger_counts_what_a_dearer_tier_may_have_cost(tmp_path):
    (tmp_path / "key").write_text("k")
    (tmp_path / "key").chmod(0o600)
    with FakeOpenAI() as server:
        settings = ClientSettings(
            base_url=server.url, key_path=str(tmp_path / "key"), ledger=tmp_path / "l.sqlite", service_tier="priority"
        )
        async with Client(settings) as client:
            reply = await client.ask(settings.request([("user", "q")]), label="step1")
            spent = (await client.ledger.spending()).spent
            told = client.total().line()
    assert spent == round(reply.cost * 1e9) == round((reply.usage.input * 1.25 + reply.usage.output * 10) * 2000)
    assert "no price known" not in told
