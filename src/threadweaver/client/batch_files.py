"""The files of batch mode: requests that wait, as rows within the service's limits."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from threadweaver.client.dialect import PLAIN, Dialect
from threadweaver.client.requests import Reply, Request
from threadweaver.client.settings import Batching

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


def line_of(request: Request, dialect: Dialect = PLAIN) -> bytes:
    """Return a row of a batch file; results come back by its custom_id, in any order, and never as a stream."""
    body = replace(dialect, stream=False).apply(request.body())
    row = {"custom_id": request.key, "method": "POST", "url": f"/v1{request.wire.path}", "body": body}
    return json.dumps(row, ensure_ascii=True, separators=(",", ":")).encode("ascii") + b"\n"


def split(
    wants: Sequence[Want], limits: Batching, most_tokens: int, dialect_of: Callable[[Request], Dialect]
) -> Iterator[Wave]:
    """Yield files of one API and one model each, within the limits of requests, bytes and tokens."""
    groups: dict[tuple[str, str], list[Want]] = {}
    for want in wants:
        groups.setdefault((want.request.api, want.request.model), []).append(want)
    for group in groups.values():
        wave = Wave()
        for want in group:
            line = line_of(want.request, dialect_of(want.request))
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
