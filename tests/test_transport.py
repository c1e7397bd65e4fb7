"""One HTTP layer: what a status, a header and a lost connection mean."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
from dataclasses import replace

import pytest
from aiohttp import web

from asking import SRC, ask, settings_in
from fake_openai import FakeOpenAI
from threadweaver.client import Client, errors, transport
from threadweaver.client.credentials import NO_KEY
from threadweaver.client.refusals import retry_after
from threadweaver.client.transport import Transport
from threadweaver.errors import UserError


@pytest.fixture
def settings(tmp_path, monkeypatch):
    return settings_in(tmp_path, monkeypatch)


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
            error = (await client.session.transport()).of_status(status, body, {})
    assert type(error) is kind
    assert isinstance(error, UserError) is isinstance(error, errors.RunError)


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


# ---- connections


async def fault_of(url: str, timeout: float = 5.0) -> errors.ClientError:
    """What a request to this address raises."""
    sender = Transport(url, NO_KEY, timeout=timeout, connections=4)
    try:
        with pytest.raises(errors.ClientError) as raised:
            await sender.call("GET", "/models")
    finally:
        await sender.close()
    return raised.value


async def test_a_refused_connection_reached_nobody_and_costs_nothing():
    error = await fault_of("http://127.0.0.1:9/v1")
    assert isinstance(error, errors.ConnectionFault) and (error.reached, error.billed) == (False, False)
    assert "http://127.0.0.1:9/v1" in str(error) and "\n" not in str(error)


async def test_a_connection_that_is_never_accepted_reached_nobody_either(monkeypatch):
    monkeypatch.setattr(transport, "CONNECT_SECONDS", 0.3)
    with socket.socket() as full, contextlib.ExitStack() as stack:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for _ in range(4):  # more than the backlog holds
            caller = stack.enter_context(socket.socket())
            caller.setblocking(False)
            caller.connect_ex(full.getsockname())
        error = await fault_of(f"http://127.0.0.1:{full.getsockname()[1]}/v1")
    assert isinstance(error, errors.ConnectionFault) and (error.reached, error.billed) == (False, False)


@pytest.mark.parametrize(
    ("mode", "kind"), [("reset", errors.ConnectionFault), ("hang", errors.TimedOut), ("not_json", errors.BadReply)]
)
async def test_what_was_lost_behind_the_connection_may_have_been_billed(settings, mode, kind):
    with FakeOpenAI(scripts=[mode]) as server:
        sender = Transport(server.url, NO_KEY, timeout=0.5, connections=4)
        with pytest.raises(kind) as raised:
            await sender.ask(ask(settings, "q"), None)
        await sender.close()
    assert raised.value.billed and not raised.value.answered


async def test_a_bare_error_of_a_socket_is_a_lost_connection(settings, monkeypatch):
    sender = Transport("http://127.0.0.1:9/v1", NO_KEY, timeout=5, connections=4)

    async def broken(*_, **__):
        raise ConnectionResetError(104, "Connection reset by peer")

    monkeypatch.setattr(sender._http, "send", broken)
    with pytest.raises(errors.ConnectionFault, match="reset by peer") as raised:
        await sender.ask(ask(settings, "q"), None)
    await sender.close()
    assert raised.value.reached and raised.value.billed


@pytest.mark.parametrize(
    ("status", "body", "kind", "says"),
    [
        (400, '{"error": {"code": "bad_file"}}', errors.BadRequest, "HTTP 400: Error code: 400 .*bad_file"),
        (400, '{"error": {"message": "too many lines"}}', errors.BadRequest, "HTTP 400: too many lines"),
        (503, "<html>busy</html>", errors.ServerFault, "HTTP 503: busy"),
        (200, "{", errors.BadReply, "not JSON"),
        (200, '{"object": "file"}', errors.BadReply, "names no file"),
        (200, '"file-0"', errors.BadReply, "names no file"),
    ],
)
async def test_what_an_upload_may_be_answered_with(status, body, kind, says):
    async def upload(request):
        await request.read()
        return web.Response(status=status, text=body, content_type="application/json")

    server = FakeOpenAI()
    server.desk.upload = upload
    with server:
        sender = Transport(server.url, NO_KEY, timeout=5, connections=4)
        with pytest.raises(kind, match=says):
            await sender.upload("x.jsonl", b"{}\n")
        await sender.close()


async def test_the_ledger_is_closed_even_if_the_connections_cannot_be(settings, monkeypatch):
    async def broken(self):
        raise OSError("no way")

    with FakeOpenAI() as server, pytest.raises(OSError, match="no way"):
        async with Client(replace(settings, base_url=server.url)) as client:
            sender = await client.session.transport()
            monkeypatch.setattr(Transport, "close", broken)
    monkeypatch.undo()
    await sender.close()
    with pytest.raises(RuntimeError, match="the ledger is closed"):
        await client.ledger.spending()


async def test_an_answered_error_has_the_server_s_words_and_headers(settings):
    with FakeOpenAI(scripts=["429"], retry_after=0.5) as server:
        sender = Transport(server.url, NO_KEY, timeout=5, connections=4)
        with pytest.raises(errors.RateLimited) as raised:
            await sender.ask(ask(settings, "q"), None)
        await sender.close()
    assert raised.value.answered.startswith("HTTP 429: ") and raised.value.retry_after == 0.5
    assert "retry-after" in raised.value.headers and not raised.value.billed


def test_the_limit_of_open_files_is_raised_as_far_as_needed_and_allowed():
    code = (
        "import resource, sys\n"
        f"sys.path.insert(0, {SRC!r})\n"
        "from threadweaver.client.transport import raise_file_limit\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (256, 1000))\n"
        "limits = []\n"
        "for connections in (100, 10, 5000):\n"
        "    raise_file_limit(connections)\n"
        "    limits.append(resource.getrlimit(resource.RLIMIT_NOFILE)[0])\n"
        "print(*limits)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "612 612 1000\n", done.stderr
