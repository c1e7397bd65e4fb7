"""The files of batch mode: requests as rows, within its limits, and rows of results as replies or errors."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from threadweaver.client.apis import RawReply
from threadweaver.client.errors import ClientError
from threadweaver.client.requests import Reply, Request
from threadweaver.client.settings import Batching
from threadweaver.client.transport import Transport

BYTES_PER_TOKEN = 3  # on the safe side for text with formulas; real chains have 3.3


@dataclass
class Want:
    """A request that somebody waits for. `future` gets its reply, or None: call it alone."""

    request: Request
    label: str
    future: asyncio.Future[Reply | None]
    tries: int = 0
    batch: str = ""


@dataclass
class Wave:
    """The rows of one file."""

    wants: list[Want] = field(default_factory=list)
    lines: list[bytes] = field(default_factory=list)
    bytes: int = 0
    tokens: int = 0


def line_of(request: Request) -> bytes:
    """Return a row of a batch file; results come back by its custom_id, in any order."""
    row = {"custom_id": request.key, "method": "POST", "url": f"/v1{request.wire.path}", "body": request.body()}
    return json.dumps(row, ensure_ascii=True, separators=(",", ":")).encode("ascii") + b"\n"


def split(wants: Sequence[Want], limits: Batching, most_tokens: int) -> Iterator[Wave]:
    """Yield files of one API and one model each, within the limits of requests, bytes and tokens."""
    groups: dict[tuple[str, str], list[Want]] = {}
    for want in wants:
        groups.setdefault((want.request.api, want.request.model), []).append(want)
    for group in groups.values():
        wave = Wave()
        for want in group:
            line = line_of(want.request)
            tokens = want.request.bytes // BYTES_PER_TOKEN + 1
            full = (
                len(wave.wants) >= limits.max_requests
                or wave.bytes + len(line) > limits.max_bytes
                or wave.tokens + tokens > most_tokens
            )
            if wave.wants and full:
                yield wave
                wave = Wave()
            wave.wants.append(want)
            wave.lines.append(line)
            wave.bytes += len(line)
            wave.tokens += tokens
        if wave.wants:
            yield wave


def read_row(row: Mapping[str, Any], request: Request, transport: Transport) -> RawReply | ClientError:
    """Return what a row of an output or error file says of its request."""
    response = row.get("response") or {}
    try:
        if response.get("status_code") == 200:
            return request.wire.read(response["body"])
    except ClientError as error:
        return error
    error = (response.get("body") or {}).get("error") or row.get("error") or {}
    return transport.of_status(int(response.get("status_code") or 500), error, {})
