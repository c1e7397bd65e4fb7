"""How fast the client calls."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace

import pytest

from asking import ask_all, settings_in
from fake_openai import FakeOpenAI
from threadweaver.client.rate_limit import Allowance, RateLimiter, parse_duration, read_allowance


@pytest.fixture
def settings(tmp_path, monkeypatch):
    return settings_in(tmp_path, monkeypatch)


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
        replies, _ = await ask_all(replace(settings, base_url=server.url, workers=50), [f"q{n}" for n in range(120)])
        assert server.stats()["peak_in_flight"] == 50
    assert all(reply.status == "ok" for reply in replies)


async def test_overload_cuts_the_calls_in_flight_once_a_round():
    limiter = RateLimiter(100)
    tickets = [await limiter.acquire() for _ in range(30)]
    before = limiter.limit
    for ticket in tickets:
        limiter.overloaded(ticket)
    assert limiter.limit == pytest.approx(0.7 * min(before, 30))
    for ticket in tickets:
        limiter.succeeded(ticket, {}, 10)
        limiter.release(ticket)
    assert limiter.limit < before and limiter.in_flight == 0


async def test_a_refusal_slows_down_and_successes_speed_up():
    now = [100.0]
    limiter = RateLimiter(500, clock=lambda: now[0])
    tickets = [await limiter.acquire() for _ in range(20)]
    limiter.refused(tickets[-1], {}, None)
    slow = limiter.rate
    assert slow is not None
    for _ in range(40):
        for _ in range(int(limiter.rate) + 1):
            now[0] += 1.01 / limiter.rate
            limiter.release(await asyncio.wait_for(limiter.acquire(), 2))
        now[0] += 0.4
    assert limiter.rate > 1.5 * slow


async def test_a_cancelled_wait_gives_its_place_back():
    limiter = RateLimiter(1)
    ticket = await limiter.acquire()
    waiting = asyncio.create_task(limiter.acquire())
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    limiter.release(ticket)
    limiter.release(await asyncio.wait_for(limiter.acquire(), 1))
    assert limiter.in_flight == 0


async def test_a_server_with_limits_is_used_well_and_refuses_little(settings):
    with FakeOpenAI(requests_per_second=100, burst=50, latency=0.05) as server:
        began = time.monotonic()
        replies, client = await ask_all(replace(settings, base_url=server.url), [f"q{n}" for n in range(500)])
        seconds = time.monotonic() - began
    assert all(reply.status == "ok" for reply in replies)
    # 450 beyond the burst take 4.5 s at best; a second for the SDK's import, and the machine may be busy.
    assert seconds < 60
    assert client.total().refused < 100
