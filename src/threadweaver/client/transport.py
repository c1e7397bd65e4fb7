"""One call over HTTP: the SDK's client on its aiohttp transport, and what its errors mean here.

The SDK makes the headers (key, organisation, project) and the HTTP client, and uploads files. Calls go to
that HTTP client directly: the SDK's own way to it costs 0.83 ms of CPU a call, the HTTP client alone 0.27,
and at 400 calls a second a core has 2.5 ms for each, connection and ledger included.
"""

from __future__ import annotations

import asyncio
import contextlib
import email.utils
import json
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from threadweaver.client import errors
from threadweaver.client.apis import RawReply, read_reply
from threadweaver.client.credentials import Key, scrub
from threadweaver.client.requests import PATHS, Request, body_of

if TYPE_CHECKING:
    import httpx2

CONNECT_SECONDS = 15.0
_TOO_LONG = (
    "context_length_exceeded",
    "context length",
    "context window",
    "maximum context",
    "string_above_max_length",
)
_FILTERED = ("content_filter", "content_policy", "content management policy", "invalid_prompt", "moderation", "flagged")
_NO_MONEY = (
    "insufficient_quota",
    "billing_not_active",
    "billing_hard_limit",
    "exceeded your current quota",
    "insufficient balance",
    "insufficient_balance",
)


class Transport:
    """One HTTP client for a process: building one costs 50 ms of CPU, 35 of them the TLS context."""

    def __init__(self, base_url: str, key: Key, *, timeout: float, connections: int) -> None:
        import httpx2
        from openai import AsyncOpenAI, DefaultAioHttpClient

        raise_file_limit(connections)
        self.base_url = base_url
        self.key = key
        self.timeout = timeout
        # The default pool keeps 100 connections alive. Retries are ours: the SDK gives up at a Retry-After
        # above 120 s.
        limits = httpx2.Limits(max_connections=connections, max_keepalive_connections=connections)
        wait = httpx2.Timeout(timeout, connect=CONNECT_SECONDS, pool=None)
        self.http = DefaultAioHttpClient(limits=limits, timeout=wait)
        self.sdk = AsyncOpenAI(api_key=key.value, base_url=base_url, max_retries=0, http_client=self.http)
        made = {**self.sdk.default_headers, **self.sdk.auth_headers}
        # Addresses are parsed once, and the SDK's seven headers of telemetry left out: a tenth of a call each.
        self._headers = {
            name: value
            for name, value in made.items()
            if isinstance(value, str) and not name.lower().startswith("x-stainless")
        }
        self._addresses = {path: httpx2.URL(base_url + path) for path in PATHS.values()}

    async def close(self) -> None:
        await self.sdk.close()

    async def post(self, request: Request, service_tier: str | None) -> tuple[RawReply, Mapping[str, str]]:
        """The reply and its headers. Raises a ClientError; it carries `headers` where the server answered."""
        body = json.dumps(body_of(request, service_tier), ensure_ascii=True, separators=(",", ":")).encode("ascii")
        response = await self.call("POST", PATHS[request.api], body)
        try:
            data = json.loads(response.content)
        except ValueError as error:
            raise errors.BadReply("the server's reply is not JSON", billed=True) from error
        return read_reply(request.api, data), response.headers

    async def call(self, method: str, path: str, body: bytes | None = None) -> httpx2.Response:
        """The response of any endpoint, a 2xx. Raises a ClientError for anything else."""
        import aiohttp
        import httpx2

        try:
            async with asyncio.timeout(self.timeout):
                url = self._addresses.get(path) or self.base_url + path
                response = await self.http.request(method, url, content=body, headers=self._headers)
        except TimeoutError as error:
            raise errors.TimedOut(f"no reply within {self.timeout:g} s", billed=True) from error
        except (httpx2.RequestError, aiohttp.ClientError) as error:
            raise self.of_connection(error) from error
        if response.is_success:
            return response
        detail: Any = response.text
        with contextlib.suppress(ValueError):
            detail = response.json()
            detail = detail.get("error", detail) if isinstance(detail, Mapping) else detail
        made = self.of_status(response.status_code, detail, str(detail), response.headers)
        made.headers = response.headers
        raise made

    async def upload(self, name: str, data: bytes) -> str:
        """The id of a file for the Batch API."""
        import openai

        try:
            made = await self.sdk.files.create(file=(name, data), purpose="batch", timeout=max(self.timeout, 600))
        except openai.APIStatusError as error:
            raise self.of_status(error.status_code, error.body, error.message, error.response.headers) from None
        except openai.APIConnectionError as error:
            raise self.of_connection(error) from error
        return made.id

    def of_connection(self, error: BaseException) -> errors.Retryable:
        """The transport calls every lost connection a time-out; its causes tell them apart."""
        import aiohttp

        cause: BaseException | None = error
        while cause is not None:
            if isinstance(cause, aiohttp.ClientConnectorError):
                why = scrub(cause.strerror or str(cause), self.key)
                return errors.ConnectionFault(f"no connection to {self.base_url}: {why}", reached=False)
            if isinstance(cause, aiohttp.ServerTimeoutError):
                return errors.TimedOut(f"no reply within {self.timeout:g} s", billed=True)
            last, cause = cause, cause.__cause__
        return errors.ConnectionFault(f"the connection was lost: {scrub(str(last), self.key)}", reached=True)

    def of_status(self, status: int, body: Any, message: str, headers: Mapping[str, str]) -> errors.ClientError:
        """The error that a status means. Nothing was billed: the server did not answer with a reply."""
        detail = body if isinstance(body, Mapping) else {}
        said = scrub(str(detail.get("message") or message), self.key).replace("\n", " ")[:300]
        text = f"HTTP {status}: {said}"
        marks = f"{detail.get('code')} {detail.get('type')} {said}".lower()
        if status == 402 or (status in (400, 403, 429) and any(mark in marks for mark in _NO_MONEY)):
            return errors.QuotaExhausted(
                f"the account has no money left ({text}): add credit and run the same command "
                "again; everything paid is kept"
            )
        if status in (401, 403):
            if any(mark in marks for mark in _FILTERED):
                return errors.ContentFilter(text)
            return errors.Authentication(
                f"{self.base_url} refused the API key from {self.key.source} ({text}): "
                "put a valid one there and run the same command again"
            )
        if status == 404:
            return errors.NoSuchModel(
                f"{self.base_url} knows no such model or address ({text}): check the model's name and --base-url"
            )
        if status == 429 and "request too large" not in marks:
            return errors.RateLimited(text, retry_after=retry_after(headers))
        if status >= 500 or status in (408, 409):
            return errors.ServerFault(text, retry_after=retry_after(headers))
        if any(mark in marks for mark in _TOO_LONG) or status == 413:
            return errors.ContextTooLong(text)
        return (errors.ContentFilter if any(mark in marks for mark in _FILTERED) else errors.BadRequest)(text)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds of retry-after-ms or Retry-After (seconds or a date); None if neither says anything."""
    with contextlib.suppress(KeyError, ValueError):
        return max(0.0, float(headers["retry-after-ms"]) / 1000)
    text = headers.get("retry-after")
    if text is None:
        return None
    with contextlib.suppress(ValueError):
        return max(0.0, float(text))
    parsed = email.utils.parsedate_tz(text)
    return None if parsed is None else max(0.0, email.utils.mktime_tz(parsed) - time.time())


def raise_file_limit(connections: int) -> None:
    """A connection is an open file, and 1,024 of them are the usual soft limit."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = connections + 512
        if hard != resource.RLIM_INFINITY:
            wanted = min(wanted, hard)
        if soft != resource.RLIM_INFINITY and soft < wanted:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
