"""The provider's Batch API: make, find, watch and read batches. A batch has our name for it in its metadata."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from threadweaver.client.apis import MALFORMED, RawReply
from threadweaver.client.errors import BadReply, ClientError
from threadweaver.client.requests import Request
from threadweaver.client.transport import Transport

ENDED = ("completed", "failed", "expired", "cancelled")
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
        """Yield the rows of the output file and the error file, each with the key of its request.

        A line that is not a row is left out: its request then counts as not answered.
        """
        for name in batch.files:
            data, _ = await self.transport.fetch("GET", f"/files/{name}/content")
            for line in filter(bytes.strip, data.split(b"\n")):
                if (row := _row(line)) is not None:
                    yield row["custom_id"], row

    def read(self, row: Mapping[str, Any], request: Request) -> RawReply | ClientError:
        """Return what a row says of its request."""
        try:
            with _reading():
                response = row.get("response") or {}
                if response.get("status_code") == 200:
                    return request.wire.read(response["body"])
                error = (response.get("body") or {}).get("error") or row.get("error") or {}
                return self.transport.of_status(int(response.get("status_code") or 500), error, {})
        except ClientError as error:
            return error


def _batch(data: Any) -> RemoteBatch:
    """Return the batch in the service's JSON. Raises BadReply."""
    with _reading():
        files = tuple(_text(data[name]) for name in ("output_file_id", "error_file_id") if data.get(name))
        faults = (data.get("errors") or {}).get("data") or ()
        return RemoteBatch(
            _text(data["id"]),
            _text(data["status"]),
            int((data.get("request_counts") or {}).get("completed") or 0),
            files,
            tuple((str(error.get("code")), str(error.get("message") or "")) for error in faults),
        )


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
