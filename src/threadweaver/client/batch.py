"""Batch mode: the same requests through the Batch API, at half the price and within a day.

Requests are gathered until no new one comes for a while: a wave, such as one turn of all conversations. A wave is
split into files, each file is a batch, and its rows are in the ledger before it is sent: when a run was stopped, the
next one picks the batch up, with another key too. What a batch answered is kept however it ended; the rest goes into
the next wave, and after `TRIES` of them, or past the deadline, is called one by one.
"""

from __future__ import annotations

import asyncio
import sys
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from threadweaver.client import errors
from threadweaver.client.apis import RawReply
from threadweaver.client.batch_files import Want, Wave, line_of, split
from threadweaver.client.batch_service import ENDED, BatchService, RemoteBatch
from threadweaver.client.requests import Reply, Request, reply_of
from threadweaver.client.session import Session
from threadweaver.client.settings import Batching
from threadweaver.client.usage import stage_of
from threadweaver.ledger import BatchEntry, BatchRow, LedgerEntry

TRIES = 3  # batches that a request may be in before it is called alone
FIRST_LOOK = 0.5  # seconds until the first look at a batch; doubles up to `poll`
FAULTS = 20  # looks at a batch that may fail in a row


class Batcher:
    """One per client. `obtain` and `attach` wait for a reply; one task gathers, submits, looks and collects. `used`:
    any request was waited for here.
    """

    def __init__(self, session: Session) -> None:
        self.session = session
        self.settings = session.settings.batch or Batching()
        self.used = False
        self.waves = 0
        self._wants: dict[str, Want] = {}
        self._fresh: list[str] = []
        self._last_new = 0.0
        self._running: dict[str, BatchEntry] = {}
        self._done: dict[str, tuple[int, int]] = {}  # batch -> rows answered, rows
        self._attached: set[str] = set()
        self._pause, self._next_look = FIRST_LOOK, 0.0
        self._faults = 0
        self._read_again: set[str] = set()
        self._tokens = self.settings.enqueued_tokens
        self._task: asyncio.Task[None] | None = None

    # waiting for a reply

    async def obtain(self, request: Request, label: str) -> Reply | None:
        """Return the reply by way of a batch; None where the request is to be called alone."""
        if self.settings.deadline == 0:  # whatever a batch would hold is late before it is sent
            return None
        return await self._wait(Want(request, label, asyncio.get_running_loop().create_future()))

    async def attach(self, request: Request, label: str, batch: str) -> Reply | None:
        """Return the reply to a request that is in a batch already; None where the batch gives none."""
        self._attached.add(batch)
        return await self._wait(Want(request, label, asyncio.get_running_loop().create_future(), batch=batch))

    async def _wait(self, want: Want) -> Reply | None:
        self.used = True
        key = want.request.key
        self._wants[key] = want
        if not want.batch:
            self._requeue(want)
        if self._task is None:
            self._task = asyncio.create_task(self._run())
            self._task.add_done_callback(self._fail_all)
        try:
            return await want.future
        finally:
            self._wants.pop(key, None)

    def stop(self) -> list[asyncio.Task[Any]]:
        if self._task is None:
            return []
        self._task.cancel()
        return [self._task]

    def line(self) -> str:
        """One line for people: which wave, how many batches, how far."""
        done, rows = (sum(pair[i] for pair in self._done.values()) for i in (0, 1))
        return f"wave {self.waves}: {len(self._running)} batches running, {done} of {rows} requests answered"

    # the one task

    async def _run(self) -> None:
        await self._adopt()
        while True:
            now = time.monotonic()
            await self._find_attached()
            if self._fresh and now - self._last_new >= self.settings.quiet:
                await self._submit_wave()
            if self._running and now >= self._next_look:
                for entry in list(self._running.values()):
                    await self._look(entry)
                self._pause = min(self.settings.poll, self._pause * 2)
                self._next_look = time.monotonic() + self._pause
            await asyncio.sleep(min(1.0, max(0.01, min(self.settings.quiet, self.settings.poll) / 4)))

    def _fail_all(self, task: asyncio.Task[None]) -> None:
        """Whatever the task died of, answer all who wait with it."""
        self._task = None
        error = None if task.cancelled() else task.exception()
        if isinstance(error, errors.RunError):
            self.session.fatal(error)
        for want in list(self._wants.values()):
            if error is None:
                want.future.cancel()
            elif not want.future.done():
                want.future.set_exception(error)

    async def _service(self) -> BatchService:
        return BatchService(await self.session.transport())

    def _requeue(self, want: Want) -> None:
        self._fresh.append(want.request.key)
        self._last_new = time.monotonic()

    async def _find_attached(self) -> None:
        """Look after the batches of other runs that hold our requests; of one that has just ended, ask these again."""
        attached, self._attached = self._attached, set()
        for batch in attached:
            await self._check_known(batch)
            if batch not in self._running:
                for want in [want for want in self._wants.values() if want.batch == batch]:
                    self._resolve(want, None)

    async def _adopt(self) -> None:
        """Take over what an earlier run left: batches that run, and those that it was sending, found or sent again."""
        transport = await self.session.transport()
        for entry in await self.session.ledger.batches():
            if entry.base_url != transport.base_url:
                continue
            if entry.remote is not None:
                self._running[entry.local] = entry
            elif entry.ours:
                requests = await self.session.ledger.batch_requests(entry.local)
                adopted = [Request.parse(text) for text, _ in requests.values()]
                lines = [line_of(request, self.session.dialect(request)) for request in adopted]
                await self._send(entry, lines, known=False)

    # sending

    async def _submit_wave(self) -> None:
        keys, self._fresh = dict.fromkeys(self._fresh), []
        wants = [self._wants[key] for key in keys if key in self._wants]
        sent = 0
        for wave in split(wants, self.settings, self._tokens, self.session.dialect):
            if self._enqueued() + wave.tokens > self._tokens and self._running:
                for want in wave.wants:  # not now: when a batch has ended
                    self._fresh.append(want.request.key)
                continue
            sent += await self._submit(wave)
        if sent:
            self.waves += 1
            self._pause, self._next_look = FIRST_LOOK, time.monotonic() + FIRST_LOOK
            from tqdm import tqdm

            tqdm.write(f"batch {self.line()}, {sent} sent", file=sys.stderr)

    def _enqueued(self) -> int:
        return sum(entry.tokens for entry in self._running.values())

    async def _submit(self, wave: Wave) -> int:
        """Enter a file's rows into the ledger, then send those that nobody else has. Return how many."""
        transport = await self.session.transport()
        request = wave.wants[0].request
        entry = BatchEntry(
            uuid.uuid4().hex,
            None,
            transport.base_url,
            f"/v1{request.wire.path}",
            "submitting",
            len(wave.wants),
            wave.tokens,
            time.time(),
            True,
        )
        rows = [
            BatchRow(
                want.request.key,
                want.request.canonical,
                stage_of(want.label),
                want.request.turn,
                self.session.worst_case(want.request, "batch"),
            )
            for want in wave.wants
        ]
        claims = await self.session.ledger.open_batch(entry, rows, self.session.cap)
        lines = []
        for want, line, claim in zip(wave.wants, wave.lines, claims, strict=True):
            if claim.state == "mine":
                want.batch, want.tries = entry.local, want.tries + 1
                self.session.tallies.of(want.label).sent += 1
                lines.append(line)
            elif claim.state == "stored" and claim.entry is not None:
                self._resolve(want, reply_of(claim.entry, from_ledger=True))
            elif claim.state == "batch":
                want.batch = claim.batch
                self._attached.add(claim.batch)
            elif claim.state == "theirs":
                self._resolve(want, None)  # as an ordinary call it waits for the other process's reply
            else:
                self._resolve(want, self.session.cap_error(want.request))
        if lines:
            await self._send(replace(entry, rows=len(lines)), lines, known=True)
        return len(lines)

    async def _check_known(self, batch: str) -> None:
        """Take over a batch that another process has made since. Raises BatchTrouble for one at another endpoint."""
        if batch in self._running:
            return
        for entry in await self.session.ledger.batches():
            if entry.local == batch and entry.remote is not None:
                if entry.base_url != (await self.session.transport()).base_url:
                    raise errors.BatchTrouble(
                        f"batch {entry.remote} of this ledger runs at {entry.base_url}: use that "
                        "endpoint, or another --ledger"
                    )
                self._running[entry.local] = entry

    async def _send(self, entry: BatchEntry, lines: Sequence[bytes], *, known: bool) -> None:
        """Make a batch of these lines; `known` False: an earlier try may have made it already."""
        service = await self._service()
        for tries in range(self.session.settings.retrying.tries):
            try:
                remote = None if known else await service.find(entry.local)
                if remote is None:
                    known = False
                    remote = await service.create(entry.local, entry.endpoint, lines)
                await self.session.ledger.batch_started(entry.local, remote)
                self._running[entry.local] = replace(entry, remote=remote, state="running")
                self._done[entry.local] = (0, entry.rows)
                return
            except errors.BadRequest as error:
                await self.session.ledger.collect(entry.local, [])
                raise errors.BatchTrouble(f"the service refused a batch ({error}): nothing of it is paid") from error
            except errors.Retryable as error:
                self.session.mind_wait(error)
                await asyncio.sleep(self.session.backoff(tries, error.retry_after))
                last = error
        raise errors.ServerDown(f"the batch service does not answer ({last}): run the same command again to continue")

    # looking and collecting

    async def _look(self, entry: BatchEntry) -> None:
        """Look at a batch: keep its progress, and finish it when it has ended or is past the deadline."""
        late = self.settings.deadline is not None and time.time() - entry.created > self.settings.deadline
        try:
            batch = await (await self._service()).look(entry.remote, cancel=late)
            self._done[entry.local] = (batch.completed, entry.rows)
            if batch.status in ENDED:
                await self._finish(entry, batch, late)
            self._faults = 0
        except errors.Retryable as error:
            self._faults += 1
            if self._faults >= FAULTS:
                raise errors.ServerDown(
                    f"the batch service does not answer ({error}): run the same command again; the "
                    "batches are recorded and continue"
                ) from error
        except errors.NoSuchModel as error:
            if not late:
                raise errors.BatchTrouble(
                    f"batch {entry.remote} with {entry.rows} requests cannot be reached with this key "
                    f"({error}): use a key of the account that made it, or give it up with "
                    "--batch-deadline 0 (it then counts as spent)"
                ) from error
            await self._end(entry, [], {}, billed=True, alone=True)

    async def _finish(self, entry: BatchEntry, batch: RemoteBatch, late: bool) -> None:
        """Store what the batch answered; what it did not answer is asked again, or fails for good.

        Raises BadReply, once, where a part of the results cannot be read: a transfer may have been cut.
        """
        if batch.status == "failed":
            self._refused(batch)
            for want in self._wants.values():
                want.tries -= want.batch == entry.local  # it was not worked on
        requests = await self.session.ledger.batch_requests(entry.local)
        outcomes = await self._outcomes(entry, batch, requests)
        replies = []
        for key, outcome in outcomes.items():
            if isinstance(outcome, RawReply):
                text, stage = requests[key]
                replies.append(self.session.entry_of(Request.parse(text), stage, outcome, "batch", entry.created))
        failures = {key: outcome for key, outcome in outcomes.items() if isinstance(outcome, errors.ClientError)}
        await self._end(entry, replies, failures, billed=False, alone=late)

    async def _outcomes(
        self, entry: BatchEntry, batch: RemoteBatch, requests: Mapping[str, tuple[str, str]]
    ) -> dict[str, RawReply | errors.ClientError]:
        """Return what the results say of each request. Where lines cannot be read, the requests without a result were
        answered by these, and paid: they are not asked again.
        """
        service = await self._service()
        outcomes: dict[str, RawReply | errors.ClientError] = {}
        broken = 0
        async for key, row in service.rows(batch):
            broken += not row
            if key in requests and key not in outcomes:
                outcomes[key] = service.read(row, Request.parse(requests[key][0]))
        unreadable = any(isinstance(outcome, RawReply) and outcome.why for outcome in outcomes.values())
        missing = len(outcomes) + broken < batch.completed
        if (broken or unreadable or missing) and entry.local not in self._read_again:
            self._read_again.add(entry.local)
            raise errors.BadReply(f"the results of batch {entry.remote} cannot be read in full")
        if broken or missing:
            lost = RawReply.unreadable("its line in the results of a batch is missing or cannot be read")
            outcomes |= {key: lost for key in requests if key not in outcomes}
        return outcomes

    def _refused(self, batch: RemoteBatch) -> None:
        """Handle a batch that failed validation: too much at once is sent again later in smaller parts; anything else
        ends the run.
        """
        if any(code == "token_limit_exceeded" for code, _ in batch.faults):
            self._tokens = max(10_000, self._tokens // 2)
            return
        why = "; ".join(f"{code} {message}".strip() for code, message in batch.faults[:3]) or "no reason given"
        self.session.fatal(
            errors.BatchTrouble(
                f"the service refused batch {batch.id} ({self.session.scrub(why)}): correct that and run the "
                "same command again; nothing of it is paid"
            )
        )

    async def _end(
        self,
        entry: BatchEntry,
        replies: Sequence[LedgerEntry],
        failures: Mapping[str, errors.ClientError],
        *,
        billed: bool,
        alone: bool,
    ) -> None:
        used = {key: self.session.dialect(want.request) for key, want in self._wants.items()}
        collected = await self.session.ledger.collect(entry.local, replies, billed=billed)
        stored = {reply.key: reply for reply in collected}
        self._running.pop(entry.local, None)
        self._done[entry.local] = (len(replies), entry.rows)
        for error in failures.values():
            if isinstance(error, errors.RunError):
                self.session.fatal(error)
        for key, want in list(self._wants.items()):
            if want.batch != entry.local:
                continue
            want.batch = ""
            failure = failures.get(key)
            if key in stored:
                await self.session.confirm(want.request, used[key])
                self._resolve(want, reply_of(stored[key], from_ledger=False))
            elif self.session.ended is not None:
                self._resolve(want, self.session.ended)
            elif isinstance(failure, errors.BadRequest) and self.session.learn(want.request, used[key], failure):
                self._requeue(want)
            elif isinstance(failure, errors.SampleError):
                self._resolve(want, failure)
            elif alone or want.tries >= TRIES:
                self._resolve(want, None)
            else:
                self._requeue(want)

    def _resolve(self, want: Want, outcome: Reply | Exception | None) -> None:
        if want.future.done():
            return
        if isinstance(outcome, Exception):
            want.future.set_exception(outcome)
        else:
            want.future.set_result(outcome)
