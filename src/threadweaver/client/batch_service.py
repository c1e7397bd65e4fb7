"""The provider's Batch API: make, find, watch and read batches. A batch has our name for it in its metadata."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from threadweaver.client.apis import RawReply
from threadweaver.client.errors import ClientError
from threadweaver.client.requests import Request
from threadweaver.client.transport import Transport

ENDED = ("completed", "failed", "expired", "cancelled")
LISTED = 1000  # batches of the account to look through for one of ours
NAME = "threadweaver"  # the metadata's field


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
        return made["id"]

    async def find(self, name: str) -> str | None:
        """Return the id of the batch with this name, if a try that seemed to fail did make it."""
        after, seen = "", 0
        while seen < LISTED:
            page, _ = await self.transport.call("GET", f"/batches?limit=100{after}")
            for batch in page["data"]:
                if (batch.get("metadata") or {}).get(NAME) == name:
                    return batch["id"]
            seen += len(page["data"])
            if not page.get("has_more") or not page["data"]:
                return None
            after = f"&after={page['data'][-1]['id']}"
        return None

    async def look(self, remote: str, *, cancel: bool = False) -> Mapping[str, Any]:
        """Return the service's record of a batch; with `cancel`, after asking it to end one that still runs."""
        batch, _ = await self.transport.call("GET", f"/batches/{remote}")
        if cancel and batch["status"] in ("validating", "in_progress"):
            batch, _ = await self.transport.call("POST", f"/batches/{remote}/cancel", b"{}")
        return batch

    async def rows(self, batch: Mapping[str, Any]) -> AsyncIterator[Mapping[str, Any]]:
        """Yield the rows of the output file and the error file."""
        for name in ("output_file_id", "error_file_id"):
            if batch.get(name):
                data, _ = await self.transport.fetch("GET", f"/files/{batch[name]}/content")
                for line in filter(bytes.strip, data.split(b"\n")):
                    yield json.loads(line)

    def read(self, row: Mapping[str, Any], request: Request) -> RawReply | ClientError:
        """Return what a row says of its request."""
        response = row.get("response") or {}
        try:
            if response.get("status_code") == 200:
                return request.wire.read(response["body"])
        except ClientError as error:
            return error
        error = (response.get("body") or {}).get("error") or row.get("error") or {}
        return self.transport.of_status(int(response.get("status_code") or 500), error, {})
