"""The provider's Batch API: make, find, watch and read batches. A batch has our name for it in its metadata."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from threadweaver.client.apis import MALFORMED, RawReply
from threadweaver.client.errors import BadReply, ClientError
from threadweaver.client.refusals import words_of
from threadweaver.client.requests import Request
from threadweaver.client.transport import Transport

ENDED = ("completed", "failed", "expired", "cancelled")
UNDER_WAY = ("validating", "in_progress", "finalizing", "cancelling")
MOST_BYTES = 2**32  # of a file of results
LISTED = 1000  # batches of the account to look through for one of ours
NAME = "threadweaver"  # the metadata's field


@dataclass(frozen=True)
class RemoteBatch:
    """What the service reports of a batch. `files` are the ids of its output and error files; `faults` are the codes
    and messages of a failed validation.
    """

    id: str
    status: str
    completed: int
    files: tuple[str, ...]
    faults: tuple[tuple[str, str], ...]


class BatchService:
    """Every method raises a ClientError where the service does not answer as it should."""

    def __init__(self, transport: Transport) -> None:
        self.transport = transport

    async def create(self, name: str, endpoint: str, lines: Sequence[bytes]) -> str:
        """Upload a file and make a batch of it. Return the service's id of the batch."""
        body = {
            "input_file_id": await self.transport.upload(f"{name}.jsonl", b"".join(lines)),
            "endpoint": endpoint,
            "completion_window": "24h",
            "metadata": {NAME: name},
        }
        made, _ = await self.transport.call("POST", "/batches", json.dumps(body).encode("ascii"))
        with _reading():
            return _text(made["id"])

    async def find(self, name: str) -> str | None:
        """Return the id of the batch with this name, if a try that seemed to fail did make it."""
        after, seen = "", 0
        while seen < LISTED:
            page, _ = await self.transport.call("GET", f"/batches?limit=100{after}")
            with _reading():
                for batch in page["data"]:
                    if (batch.get("metadata") or {}).get(NAME) == name:
                        return _text(batch["id"])
                seen += len(page["data"])
                if not page.get("has_more") or not page["data"]:
                    return None
                after = f"&after={page['data'][-1]['id']}"
        return None

    async def look(self, remote: str, *, cancel: bool = False) -> RemoteBatch:
        """Return what the service reports of a batch; with `cancel`, after asking it to end one that still runs."""
        batch = _batch((await self.transport.call("GET", f"/batches/{remote}"))[0])
        if cancel and batch.status in ("validating", "in_progress"):
            batch = _batch((await self.transport.call("POST", f"/batches/{remote}/cancel", b"{}"))[0])
        return batch

    async def rows(self, batch: RemoteBatch) -> AsyncIterator[tuple[str, Mapping[str, Any]]]:
        """Yield the rows of the output file and the error file, each with the key of its request; an empty key and an
        empty row for a line that is not one.
        """
        for name in batch.files:
            data, _ = await self.transport.fetch("GET", f"/files/{name}/content", most=MOST_BYTES)
            for line in filter(bytes.strip, data.split(b"\n")):
                row = _row(line)
                yield (row["custom_id"], row) if row is not None else ("", {})

    def read(self, row: Mapping[str, Any], request: Request) -> RawReply | ClientError:
        """Return what a row says of its request; what cannot be read may be paid, and is a reply of its own."""
        response = row.get("response")
        status = response.get("status_code") if isinstance(response, Mapping) else None
        try:
            if response is None and row.get("error"):  # not worked on
                return self.transport.of_status(500, row.get("error") or {}, {})
            if isinstance(status, int) and status != 200:
                body = response.get("body")
                inner = body.get("error") if isinstance(body, Mapping) else None
                return self.transport.of_status(status, inner or body or row.get("error") or {}, {})
            with _reading():
                return self.transport.read(response["body"], request)
        except BadReply as error:
            return RawReply.unreadable(str(error))
        except ClientError as error:
            return error


def _batch(data: Any) -> RemoteBatch:
    """Return the batch in the service's JSON. Raises BadReply."""
    with _reading():
        files = tuple(_text(data[name]) for name in ("output_file_id", "error_file_id") if data.get(name))
        status = _text(data["status"])
        if status not in (*ENDED, *UNDER_WAY):
            raise ValueError(f"status {status!r:.50}")
        counts = data.get("request_counts")
        completed = counts.get("completed") if isinstance(counts, Mapping) else None
        completed = completed if isinstance(completed, int) and not isinstance(completed, bool) else 0
        if completed > 0 and status in ENDED and not files:
            raise ValueError(f"{completed} requests completed, and no file of results")
        return RemoteBatch(_text(data["id"]), status, completed, files, tuple(_faults(data.get("errors"))))


def _faults(errors: Any) -> Iterator[tuple[str, str]]:
    """Yield the codes and messages of a failed validation."""
    found = errors.get("data") if isinstance(errors, Mapping) else errors
    for error in found if isinstance(found, list) else [found] if found else ():
        given = error if isinstance(error, Mapping) else {"message": error}
        yield str(given.get("code") or ""), words_of(given)


def _row(line: bytes) -> Mapping[str, Any] | None:
    """Return the row of a line, None where it is not one."""
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return row if isinstance(row, Mapping) and isinstance(row.get("custom_id"), str) else None


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r:.50} is not a text")
    return value


@contextlib.contextmanager
def _reading() -> Iterator[None]:
    """Raise BadReply for what goes wrong in the block, which reads the service's JSON."""
    try:
        yield
    except MALFORMED as error:
        raise BadReply(f"the reply is not in the form of the Batch API ({error!r:.200})") from error
