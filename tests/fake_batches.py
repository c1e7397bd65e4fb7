"""The Files and Batches endpoints of the local model server, with expiry, partial failure and limits.

A batch is processed evenly in `delay` seconds; what a GET or a cancel sees is computed from the clock.
Batches are counted from 0 in the order they are made: `expire` names those that expire half done, `half_fail`
those in which every other row answers 500, `reject` those that fail validation.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aiohttp import web

if TYPE_CHECKING:
    from fake_openai import FakeOpenAI

APIS = {"/v1/responses": "responses", "/v1/chat/completions": "chat", "/v1/completions": "completions"}
EXPIRED = {
    "code": "batch_expired",
    "message": "This request could not be executed before the completion window expired.",
}


@dataclass
class Batch:
    ident: str
    org: str
    endpoint: str
    input_file: str
    rows: list[dict[str, Any]]
    metadata: Mapping[str, str]
    number: int
    tokens: int
    status: str = "in_progress"
    began: float = field(default_factory=time.monotonic)
    output_file: str | None = None
    error_file: str | None = None
    errors: Any = None
    done: int = 0
    failed: int = 0


@dataclass
class BatchDesk:
    server: FakeOpenAI
    delay: float = 0.0
    expire: Collection[int] = ()
    half_fail: Collection[int] = ()
    reject: Collection[int] = ()
    max_requests: int = 50_000
    max_bytes: int = 200 * 2**20
    enqueued_tokens: int | None = None
    orgs: Mapping[str, str] = field(default_factory=dict)  # API key -> who owns what it makes; one for all by default

    def __post_init__(self) -> None:
        self.files: dict[str, tuple[str, bytes]] = {}
        self.batches: dict[str, Batch] = {}
        self.lock = asyncio.Lock()

    def stats(self) -> dict[str, Any]:
        return {
            "created": len(self.batches),
            "rows": [len(batch.rows) for batch in self.batches.values()],
            "status": [batch.status for batch in self.batches.values()],
            "failed_rows": [batch.failed for batch in self.batches.values()],
            "most_enqueued_tokens": self.server.counts["most_enqueued_tokens"],
        }

    def add_routes(self, app: web.Application) -> None:
        app.router.add_post("/v1/files", self.upload)
        app.router.add_get("/v1/files/{id}/content", self.content)
        app.router.add_post("/v1/batches", self.create)
        app.router.add_get("/v1/batches", self.listing)
        app.router.add_get("/v1/batches/{id}", self.status)
        app.router.add_post("/v1/batches/{id}/cancel", self.cancel)

    def org(self, request: web.Request) -> str:
        return self.orgs.get(request.headers.get("Authorization", "").removeprefix("Bearer "), "default")

    def trouble(self, request: web.Request) -> web.Response | None:
        """Return a refused key, or a transport fault drawn for this call."""
        if refused := self.server.check_key(request):
            return refused
        call = f"{request.method} {request.path}"
        mode = self.server.draw(call) if self.server.fault_rate and not self.server.scripts else None
        if mode in ("500", "503"):
            self.server.counts[f"fault {mode}"] += 1
            return self.server.error(int(mode), "The server had an error", "server_error")
        return None

    async def upload(self, request: web.Request) -> web.Response:
        form = await request.post()
        if bad := self.trouble(request):
            return bad
        data = form["file"].file.read()
        if len(data) > self.max_bytes or form["purpose"] != "batch":
            return self.server.error(400, "file too large or wrong purpose", "invalid_file")
        ident = f"file-{len(self.files)}"
        self.files[ident] = (self.org(request), data)
        return web.json_response({"id": ident, "object": "file", "bytes": len(data), "purpose": "batch"})

    async def content(self, request: web.Request) -> web.Response:
        if bad := self.trouble(request):
            return bad
        org, data = self.files.get(request.match_info["id"], ("", b""))
        if org != self.org(request):
            return self.server.error(404, "No such File object", None)
        return web.Response(body=data, content_type="application/octet-stream")

    async def create(self, request: web.Request) -> web.Response:
        body = await request.json()
        if bad := self.trouble(request):
            return bad
        org, data = self.files.get(body["input_file_id"], ("", b""))
        if org != self.org(request):
            return self.server.error(404, "No such File object", None)
        rows = [json.loads(line) for line in data.decode().split("\n") if line]
        number = len(self.batches)
        batch = Batch(
            f"batch_{number}",
            org,
            body["endpoint"],
            body["input_file_id"],
            rows,
            body.get("metadata") or {},
            number,
            len(data) // 4,
        )
        if why := self.invalid(batch):
            batch.status, batch.errors = "failed", {"object": "list", "data": [why]}
        self.batches[batch.ident] = batch
        enqueued = sum(other.tokens for other in self.batches.values() if other.status == "in_progress")
        self.server.counts["most_enqueued_tokens"] = max(self.server.counts["most_enqueued_tokens"], enqueued)
        return web.json_response(self.shown(batch))

    def invalid(self, batch: Batch) -> dict[str, Any] | None:
        """Return what the validation of the real service would find, as an entry of `errors.data`."""
        ids = [row["custom_id"] for row in batch.rows]
        enqueued = sum(b.tokens for b in self.batches.values() if b.status == "in_progress" and b.org == batch.org)
        if batch.number in self.reject:
            return {"code": "invalid_request", "message": "rejected", "line": None}
        if not ids or len(ids) > self.max_requests or len(set(ids)) != len(ids):
            return {"code": "invalid_file", "message": "no rows, too many rows or a custom_id twice", "line": None}
        if any(row["url"] != batch.endpoint or row["method"] != "POST" for row in batch.rows):
            return {"code": "mismatched_url", "message": "a row is for another endpoint", "line": None}
        if self.enqueued_tokens is not None and enqueued + batch.tokens > self.enqueued_tokens:
            return {"code": "token_limit_exceeded", "message": "Enqueued token limit reached", "line": None}
        return None

    async def advance(self, batch: Batch) -> None:
        """Advance a running batch to the current time: its replies are made and billed when they are due."""
        share = (time.monotonic() - batch.began) / self.delay if self.delay else 1.0
        if batch.number in self.expire and share >= 0.5:
            await self.finish(batch, len(batch.rows) // 2, "expired")
        elif share >= 1:
            await self.finish(batch, len(batch.rows), "completed")
        elif batch.status == "in_progress":
            batch.done = int(share * len(batch.rows))

    async def finish(self, batch: Batch, upto: int, status: str) -> None:
        async with self.lock:
            if batch.status != "in_progress":
                return
            good, bad = await asyncio.to_thread(self.work, batch, upto, status)
            # results come in any order
            random.Random(batch.number).shuffle(good)
            for name, lines in (("output", good), ("error", bad)):
                if lines:
                    ident = f"file-{len(self.files)}"
                    self.files[ident] = (batch.org, "".join(json.dumps(line) + "\n" for line in lines).encode())
                    setattr(batch, f"{name}_file", ident)
            batch.done, batch.failed, batch.status = len(good), len(bad), status

    def work(self, batch: Batch, upto: int, status: str) -> tuple[list[Any], list[Any]]:
        from fake_openai import conversation, count_tokens, request_key

        good, bad = [], []
        for at, row in enumerate(batch.rows):
            line = {"id": f"{batch.ident}_{at}", "custom_id": row["custom_id"], "response": None, "error": None}
            if at >= upto:
                line["error"] = EXPIRED if status == "expired" else {"code": "batch_cancelled", "message": "cancelled"}
                bad.append(line)
            elif (
                sum(count_tokens(turn["content"]) for turn in conversation(APIS[batch.endpoint], row["body"]))
                > self.server.context_tokens
            ):
                error = {
                    "error": {"message": "too long", "type": "invalid_request_error", "code": "context_length_exceeded"}
                }
                bad.append({**line, "response": {"status_code": 400, "request_id": "x", "body": error}})
            elif batch.number in self.half_fail and at % 2:
                error = {"error": {"message": "The server had an error", "type": "server_error", "code": None}}
                bad.append({**line, "response": {"status_code": 500, "request_id": "x", "body": error}})
            else:
                body = self.server.make_reply(APIS[batch.endpoint], row["body"], request_key(row["body"]), None)
                good.append({**line, "response": {"status_code": 200, "request_id": "x", "body": body}})
        return good, bad

    def shown(self, batch: Batch) -> dict[str, Any]:
        return {
            "id": batch.ident,
            "object": "batch",
            "endpoint": batch.endpoint,
            "status": batch.status,
            "errors": batch.errors,
            "input_file_id": batch.input_file,
            "completion_window": "24h",
            "output_file_id": batch.output_file,
            "error_file_id": batch.error_file,
            "created_at": int(time.time()),
            "metadata": dict(batch.metadata),
            "request_counts": {"total": len(batch.rows), "completed": batch.done, "failed": batch.failed},
        }

    async def find(self, request: web.Request) -> Batch | None:
        batch = self.batches.get(request.match_info["id"])
        return batch if batch and batch.org == self.org(request) else None

    async def status(self, request: web.Request) -> web.Response:
        if bad := self.trouble(request):
            return bad
        batch = await self.find(request)
        if batch is None:
            return self.server.error(404, "No batch found", None)
        await self.advance(batch)
        return web.json_response(self.shown(batch))

    async def listing(self, request: web.Request) -> web.Response:
        if bad := self.trouble(request):
            return bad
        mine = [b for b in self.batches.values() if b.org == self.org(request)][::-1]
        after = request.query.get("after")
        start = 1 + next((i for i, b in enumerate(mine) if b.ident == after), -1) if after else 0
        page = mine[start : start + int(request.query.get("limit", 20))]
        return web.json_response(
            {
                "object": "list",
                "data": [self.shown(batch) for batch in page],
                "first_id": page[0].ident if page else None,
                "last_id": page[-1].ident if page else None,
                "has_more": start + len(page) < len(mine),
            }
        )

    async def cancel(self, request: web.Request) -> web.Response:
        if bad := self.trouble(request):
            return bad
        batch = await self.find(request)
        if batch is None:
            return self.server.error(404, "No batch found", None)
        await self.advance(batch)
        if batch.status == "in_progress":
            await self.finish(batch, batch.done, "cancelled")
        return web.json_response(self.shown(batch))
