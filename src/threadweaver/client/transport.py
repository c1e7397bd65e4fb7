"""One server over HTTP: the SDK's client on its aiohttp transport, and what its errors mean here.

The SDK makes the headers (key, organisation, project) and the HTTP client, and uploads files. Calls go to that HTTP
client directly: through the SDK a call costs 0.83 ms of CPU, through the HTTP client alone 0.27, and at 400 calls per
second a core has 2.5 ms for each, connection and ledger included.
"""

from __future__ import annotations

import asyncio
import contextlib
import email.utils
import json
import time
from collections.abc import Mapping
from typing import Any

from threadweaver.client import errors
from threadweaver.client.apis import APIS, RawReply
from threadweaver.client.credentials import Key, scrub
from threadweaver.client.requests import Request

CONNECT_SECONDS = 15.0
UPLOAD_SECONDS = 600.0
OTHER_FILES = 512
"""Open files besides connections: ledger, logs, pipes."""
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
    """One HTTP client for one server: building it costs 50 ms of CPU, 35 of them the TLS context."""

    def __init__(self, base_url: str, key: Key, *, timeout: float, connections: int) -> None:
        import httpx2
        from openai import AsyncOpenAI, DefaultAioHttpClient

        raise_file_limit(connections)
        self.base_url = base_url
        self.key = key
        self.timeout = timeout
        # The default pool keeps 100 connections alive. Retries are ours: the SDK gives up at a Retry-After above 120 s.
        limits = httpx2.Limits(max_connections=connections, max_keepalive_connections=connections)
        wait = httpx2.Timeout(timeout, connect=CONNECT_SECONDS, pool=None)
        self._http = DefaultAioHttpClient(limits=limits, timeout=wait)
        self._sdk = AsyncOpenAI(api_key=key.value, base_url=base_url, max_retries=0, http_client=self._http)
        made = {**self._sdk.default_headers, **self._sdk.auth_headers}
        # Addresses are parsed once, and the SDK's seven headers of telemetry left out: each saves a tenth of a call.
        self._headers = {
            name: value
            for name, value in made.items()
            if isinstance(value, str) and not name.lower().startswith("x-stainless")
        }
        self._addresses = {api.path: httpx2.URL(base_url + api.path) for api in APIS.values()}

    async def close(self) -> None:
        await self._sdk.close()

    async def ask(self, request: Request, service_tier: str | None) -> tuple[RawReply, Mapping[str, str]]:
        """Return the reply and the headers it came with. Raises a ClientError."""
        body = json.dumps(request.body(service_tier), ensure_ascii=True, separators=(",", ":")).encode("ascii")
        data, headers = await self.call("POST", request.wire.path, body)
        return request.wire.read(data), headers

    async def call(
        self, method: str, path: str, body: bytes | None = None, *, timeout: float | None = None
    ) -> tuple[Any, Mapping[str, str]]:
        """Return the JSON and the headers of a 2xx of any endpoint. Raises a ClientError for anything else."""
        content, headers = await self.fetch(method, path, body, timeout=timeout)
        try:
            return json.loads(content), headers
        except (ValueError, RecursionError) as error:
            raise errors.BadReply("the server's reply is not JSON", billed=True) from error

    async def fetch(
        self, method: str, path: str, body: bytes | None = None, *, timeout: float | None = None
    ) -> tuple[bytes, Mapping[str, str]]:
        """Return the content and the headers of a 2xx of any endpoint. Raises a ClientError for anything else.

        `timeout` in seconds, where it is shorter than this transport's own.
        """
        import aiohttp
        import httpx2

        seconds = timeout or self.timeout
        try:
            async with asyncio.timeout(seconds):
                url = self._addresses.get(path) or self.base_url + path
                response = await self._http.request(method, url, content=body, headers=self._headers)
        except TimeoutError as error:
            raise errors.TimedOut(f"no reply within {seconds:g} s", billed=True) from error
        except (httpx2.RequestError, aiohttp.ClientError, OSError) as error:
            raise self.of_connection(error) from error
        if response.is_success:
            return response.content, response.headers
        detail: Any = response.text
        with contextlib.suppress(ValueError):
            detail = response.json()
            detail = detail.get("error", detail) if isinstance(detail, Mapping) else detail
        raise self.of_status(response.status_code, detail, response.headers)

    async def upload(self, name: str, data: bytes) -> str:
        """Upload a file for the Batch API and return its id."""
        import openai

        seconds = max(self.timeout, UPLOAD_SECONDS)
        try:
            made = await self._sdk.files.create(file=(name, data), purpose="batch", timeout=seconds)
        except openai.APIStatusError as error:
            detail = error.body or error.message
            if isinstance(detail, Mapping):
                detail = {**detail, "message": detail.get("message") or f"{error.message} {dict(detail)}"}
            raise self.of_status(error.status_code, detail, error.response.headers) from None
        except openai.APIConnectionError as error:
            raise self.of_connection(error) from error
        except (openai.APIError, ValueError) as error:
            raise errors.BadReply("the server's reply to an upload is not JSON") from error
        if not isinstance(getattr(made, "id", None), str):
            raise errors.BadReply("the server's reply to an upload names no file")
        return made.id

    def of_connection(self, error: BaseException) -> errors.Retryable:
        """Return the error that a lost connection means. The HTTP client calls every one a time-out; its causes
        distinguish them.
        """
        import aiohttp

        cause: BaseException | None = error
        while cause is not None:
            if isinstance(cause, aiohttp.ClientConnectorError):
                why = scrub(cause.strerror or str(cause), self.key)
                return errors.ConnectionFault(f"no connection to {self.base_url}: {why}", reached=False)
            if isinstance(cause, aiohttp.ConnectionTimeoutError):
                why = f"no answer within {CONNECT_SECONDS:g} s"
                return errors.ConnectionFault(f"no connection to {self.base_url}: {why}", reached=False)
            if isinstance(cause, aiohttp.ServerTimeoutError):
                return errors.TimedOut(f"no reply within {self.timeout:g} s", billed=True)
            last, cause = cause, cause.__cause__
        return errors.ConnectionFault(f"the connection was lost: {scrub(str(last), self.key)}", reached=True)

    def of_status(self, status: int, detail: Any, headers: Mapping[str, str]) -> errors.ClientError:
        """Return the error that a status means. Nothing was billed: the server did not answer with a reply."""
        given = detail if isinstance(detail, Mapping) else {}
        said = scrub(str(given.get("message") or detail or "no details"), self.key).replace("\n", " ")[:300]
        error = self._of_status(status, f"HTTP {status}: {said}", given, headers)
        error.answered = f"HTTP {status}: {said}"
        error.headers = headers
        return error

    def _of_status(
        self, status: int, text: str, given: Mapping[str, Any], headers: Mapping[str, str]
    ) -> errors.ClientError:
        marks = f"{given.get('code')} {given.get('type')} {text}".lower()
        if status == 402 or (status in (400, 403, 429) and any(mark in marks for mark in _NO_MONEY)):
            return errors.QuotaExhausted(
                f"the account has no money left ({text}): add credit and run the same command again; everything paid "
                "is kept"
            )
        if status in (401, 403):
            if any(mark in marks for mark in _FILTERED):
                return errors.ContentFilter(text)
            return errors.Authentication(
                f"{self.base_url} refused the API key from {self.key.source} ({text}): put a valid one there and run "
                "the same command again"
            )
        if status == 404:
            return errors.NoSuchModel(
                f"{self.base_url} has no such model or address ({text}): check the model's name and --base-url"
            )
        if status == 429 and "request too large" not in marks:
            return errors.RateLimited(text, retry_after=retry_after(headers))
        if status >= 500 or status in (408, 409, 425):
            return errors.ServerFault(text, retry_after=retry_after(headers))
        if any(mark in marks for mark in _TOO_LONG) or status == 413:
            return errors.ContextTooLong(text)
        return (errors.ContentFilter if any(mark in marks for mark in _FILTERED) else errors.BadRequest)(text)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds of retry-after-ms or Retry-After (seconds or a date); None if neither says anything."""
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
    """Raise the soft limit of open files, usually 1,024, to what so many connections need."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = connections + OTHER_FILES
        if hard != resource.RLIM_INFINITY:
            wanted = min(wanted, hard)
        if soft != resource.RLIM_INFINITY and soft < wanted:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
