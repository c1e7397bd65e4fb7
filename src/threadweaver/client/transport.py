"""One server over HTTP: the SDK's client on its aiohttp transport, and what its errors mean here.

The SDK makes the headers (key, organisation, project) and the HTTP client, and uploads files. Calls go to that HTTP
client directly: through the SDK a call costs 0.83 ms of CPU, through the HTTP client alone 0.27, and at 400 calls per
second a core has 2.5 ms for each, connection and ledger included.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl, urlsplit, urlunsplit

from threadweaver.client import errors, refusals, streams
from threadweaver.client.apis import APIS, RawReply
from threadweaver.client.dialect import PLAIN, Dialect, names_in
from threadweaver.client.requests import Request
from threadweaver.client.secrets import Key, scrub, scrub_reply, shown_url

CONNECT_SECONDS = 15.0
UPLOAD_SECONDS = 600.0
OTHER_FILES = 512
"""Open files besides connections: ledger, logs, pipes."""
MOST_BYTES = 64 * 2**20
"""Of a reply; the longest that a model makes has a few."""
AZURE = (".azure.com", ".azure-api.net")


class Transport:
    """One HTTP client for one server: building it costs 50 ms of CPU, 35 of them the TLS context."""

    def __init__(self, base_url: str, key: Key, *, timeout: float, connections: int) -> None:
        import httpx2
        from openai import AsyncOpenAI, DefaultAioHttpClient

        raise_file_limit(connections)
        self._parts = urlsplit(base_url)
        self.base_url = shown_url(scrub(base_url, key))  # as it may be printed and stored
        self.key = key
        self.timeout = timeout
        # The default pool keeps 100 connections alive. Retries are ours: the SDK gives up at a Retry-After above 120 s.
        limits = httpx2.Limits(max_connections=connections, max_keepalive_connections=connections)
        wait = httpx2.Timeout(timeout, connect=CONNECT_SECONDS, pool=None)
        self._http = DefaultAioHttpClient(limits=limits, timeout=wait)
        self._sdk = AsyncOpenAI(
            api_key=key.value,
            base_url=urlunsplit(self._parts._replace(query="", fragment="")),
            default_query=dict(parse_qsl(self._parts.query)),
            max_retries=0,
            http_client=self._http,
        )
        made = {**self._sdk.default_headers, **self._auth()}
        # Addresses are parsed once, and the SDK's seven headers of telemetry left out: each saves a tenth of a call.
        self._headers = {
            name: value
            for name, value in made.items()
            if isinstance(value, str) and not name.lower().startswith("x-stainless")
        }
        self._addresses = {api.path: httpx2.URL(self._address(api.path)) for api in APIS.values()}

    def _auth(self) -> dict[str, str]:
        """Return the headers with the key. Azure's endpoints with an `api-version` take it in a header of their own;
        what looks like one of them elsewhere, a gateway, may take either.
        """
        azure = (self._parts.hostname or "").endswith(AZURE)
        if "api-version" not in self._parts.query:
            return self._sdk.auth_headers
        return {"api-key": self.key.value, **({} if azure else self._sdk.auth_headers)}

    def _address(self, path: str) -> str:
        """Return where to send a call: the path goes before the query of the base URL."""
        path, _, query = path.partition("?")
        query = "&".join(part for part in (self._parts.query, query) if part)
        return urlunsplit(self._parts._replace(path=self._parts.path.rstrip("/") + path, query=query, fragment=""))

    async def close(self) -> None:
        await self._sdk.close()

    # calls

    async def ask(
        self, request: Request, service_tier: str | None, dialect: Dialect = PLAIN
    ) -> tuple[RawReply, Mapping[str, str]]:
        """Return the reply and the headers it came with. Raises a ClientError."""
        body = dialect.apply(request.body(service_tier))
        content = json.dumps(body, ensure_ascii=True, separators=(",", ":")).encode("ascii")
        try:
            data, headers = await self.call("POST", request.wire.path, content)
            return self.read(data, request, headers), headers
        except errors.BadRequest as error:
            self._name_parameters(error, body)
            raise

    def _name_parameters(self, error: errors.BadRequest, body: Mapping[str, Any]) -> None:
        """Add to a refusal what was sent, and how to leave it out."""
        names = [name for name in names_in(body) if "." not in name]
        if type(error) is errors.BadRequest and names:
            error.args = (f"{error} (sent: {', '.join(names)}; --extra-body '{{\"NAME\": null}}' leaves one out)",)

    def read(self, data: Any, request: Request, headers: Mapping[str, str] = {}) -> RawReply:
        """Return the reply in a server's JSON, without secrets. Raises a ClientError, also for an error that was sent
        with status 200.
        """
        if inside := refusals.error_inside(data):
            error = self.of_status(*inside, headers, request.wire.path)
            usage = data.get("usage") if isinstance(data, Mapping) else None
            error.billed = isinstance(usage, Mapping) and any(usage.values())
            raise error
        try:
            raw = request.wire.read(data)
        except errors.ClientError as error:
            error.args = (f"{scrub(str(error), self.key)}: {self._shown(data)}",)
            raise
        return self._clean(raw)

    async def call(
        self, method: str, path: str, body: bytes | None = None, *, timeout: float | None = None
    ) -> tuple[Any, Mapping[str, str]]:
        """Return the JSON and the headers of a 2xx of any endpoint; a stream as the JSON of the whole reply. Raises a
        ClientError for anything else.
        """
        content, headers = await self.fetch(method, path, body, timeout=timeout)
        if streams.is_stream(content, headers.get("content-type", "")):
            return streams.assembled(content), headers
        try:
            return json.loads(content), headers
        except (ValueError, RecursionError) as error:
            begun = content[:64].lstrip()[:1] in (b"{", b"[")  # a reply, which may be paid
            kind, what = (errors.NotAReply, "JSON that cannot be read") if begun else (errors.BadReply, "not JSON")
            shown = self._shown(content[: refusals.READ].decode("utf-8", "replace"))
            raise kind(f"the server's reply is {what}: {shown}", billed=True) from error

    async def fetch(
        self, method: str, path: str, body: bytes | None = None, *, timeout: float | None = None, most: int = MOST_BYTES
    ) -> tuple[bytes, Mapping[str, str]]:
        """Return the content and the headers of a 2xx of any endpoint. Raises a ClientError for anything else.

        `timeout` in seconds, where it is shorter than this transport's own; `most` bytes are read.
        """
        import aiohttp
        import httpx2

        seconds = timeout or self.timeout
        url = self._addresses.get(path) or self._address(path)
        try:
            async with (
                asyncio.timeout(seconds),
                self._http.stream(method, url, content=body, headers=self._headers) as response,
            ):
                content = await _content(response, most)
        except TimeoutError as error:
            raise errors.TimedOut(f"no reply within {seconds:g} s", billed=True) from error
        except (httpx2.RequestError, aiohttp.ClientError, OSError) as error:
            raise self.of_connection(error) from error
        if response.is_success:
            return content, response.headers
        raise self.of_status(response.status_code, refusals.detail_of(content), response.headers, path)

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
            raise self.of_status(error.status_code, detail, error.response.headers, "/files") from None
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

    def of_status(self, status: int, detail: Any, headers: Mapping[str, str], path: str = "") -> errors.ClientError:
        """Return the error that a status means. Nothing was billed: the server did not answer with a reply."""
        error = refusals.meaning(status, detail, headers, endpoint=self.base_url, key_source=self.key.source, path=path)
        error.args = (scrub(str(error), self.key), *error.args[1:])
        error.answered = f"HTTP {status}: {self._shown(detail)}"
        error.headers = headers
        return error

    # secrets

    def _shown(self, detail: Any) -> str:
        return scrub(refusals.words_of(detail), self.key)[: refusals.LONGEST]

    def _clean(self, raw: RawReply) -> RawReply:
        """Return a reply without the key, wherever the server quotes it."""
        if not self.key.secret:
            return raw
        finish, tier = scrub(raw.finish, self.key), raw.tier and scrub(raw.tier, self.key)
        text = scrub_reply(raw.text, self.key)
        if (text, finish, tier) == (raw.text, raw.finish, raw.tier):
            return raw
        return replace(raw, text=text, finish=finish, tier=tier)


async def _content(response: Any, most: int) -> bytes:
    """Return the body of a response. Raises BadReply for one above `most` bytes; a stream is read up to its end mark."""
    parts, size = [], 0
    async for part in response.aiter_bytes():
        parts.append(part)
        size += len(part)
        if size > most:
            raise errors.BadReply(f"the server's reply has more than {most >> 20} MB", billed=True)
        if part.endswith(streams.END):
            break
    return parts[0] if len(parts) == 1 else b"".join(parts)


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
