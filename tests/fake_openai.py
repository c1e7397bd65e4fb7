"""A local model server that speaks the Responses, Chat Completions and Completions APIs over real HTTP.

Its answers come from a function `answer(messages, params) -> str`; its faults are drawn from a seed, the
request and how often that request has come, so that a run can be repeated. It counts the requests and the replies:
a request answered twice was paid twice.

By hand:   python tests/fake_openai.py --port 8100 --fault-rate 0.2 --seed 7 --latency 2
then OPENAI_BASE_URL=http://127.0.0.1:8100/v1, and GET /stats for the counts
In tests:  with FakeOpenAI(latency=0.01) as server: … server.url … server.stats()
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import functools
import hashlib
import importlib
import json
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

import fake_faults
from fake_batches import BatchDesk
from fake_endpoints import DISGUISES, Disguise
from fake_limits import TokenBucket, duration

Answer = Callable[[Sequence[Mapping[str, str]], Mapping[str, Any]], str]


def echo(messages: Sequence[Mapping[str, str]], params: Mapping[str, Any]) -> str:
    """The default answer: a digest of the conversation, and the beginning of its last turn."""
    text = json.dumps([[m["role"], m["content"]] for m in messages], ensure_ascii=True)
    digest = hashlib.sha256(text.encode()).hexdigest()[:16]
    last = messages[-1]["content"] if messages else ""
    return f"reply {digest} to: {last[:60]}"


def count_tokens(text: str) -> int:
    """Count four bytes per token, as in English; only that it is deterministic matters here."""
    return len(text.encode("utf-8", "surrogatepass")) // 4 + 1


def conversation(api: str, body: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return the turns of a request of any of the three APIs as role and content."""
    if api == "completions":
        prompt = body.get("prompt", "")
        return [{"role": "user", "content": prompt if isinstance(prompt, str) else " ".join(map(str, prompt))}]
    turns = body["messages"] if api == "chat" else body["input"]
    if isinstance(turns, str):
        turns = [{"role": "user", "content": turns}]
    return [{"role": turn["role"], "content": turn["content"]} for turn in turns]


@dataclass
class FakeOpenAI:
    """The server. As a context manager it runs in its own thread; `url` ends in /v1.

    `fault_rate` is the share of calls that go wrong in one of `modes`; `keys` are the accepted API keys
    (None: any); `quota` the calls that are answered before insufficient_quota; limits are enforced, and reported in
    headers if `headers`. `disguise` is the endpoint that it behaves as. `scripts` sets faults by hand: a list of modes for the next calls, which take precedence
    over the seed.
    """

    answer: Answer = echo
    latency: float = 0.0
    fault_rate: float = 0.0
    seed: int = 0
    modes: tuple[str, ...] = fake_faults.ALL
    requests_per_second: float | None = None
    burst: float | None = None
    tokens_per_minute: float | None = None
    headers: bool = True
    keys: tuple[str, ...] | None = None
    quota: int | None = None
    reply_bytes: int = 0
    slow_seconds: float = 1.0
    unharmed: Callable[[Sequence[Mapping[str, str]]], bool] | None = (
        None  # conversations whose replies are never damaged
    )
    retry_after: float = 0.2
    context_tokens: int = 10_000_000
    scripts: list[str] = field(default_factory=list)
    record: bool = False
    port: int = 0
    batch: Mapping[str, Any] = field(default_factory=dict)
    disguise: Disguise = field(default_factory=Disguise)

    def __post_init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.seen: Counter[str] = Counter()
        self.paid: Counter[str] = Counter()
        self.damaged: Counter[str] = Counter()  # replies that may have to be asked for again
        self.tokens: Counter[str] = Counter()
        self.by_second: Counter[tuple[int, int]] = Counter()
        self.bodies: list[dict[str, Any]] = []
        self.prefixes: set[bytes] = set()
        self.lock = threading.Lock()  # replies of a plugged-in answer are made in threads
        self.in_flight = 0
        self.on_the_way: dict[str, float] = {}  # request → when its reply was sent; infinity: not yet
        self.began: float | None = None
        self.texts: dict[str, str] = {}
        rate = self.requests_per_second
        self.bucket = TokenBucket(rate, self.burst or max(1.0, rate)) if rate else None
        minute = self.tokens_per_minute
        self.token_bucket = TokenBucket(minute / 60, minute) if minute else None
        self.desk = BatchDesk(self, **self.batch)

    # counting

    def stats(self) -> dict[str, Any]:
        """Return the counts of requests and replies; `answered` are the replies that a provider would have billed."""
        began = self.began or time.monotonic()
        return {
            **{name: self.counts[name] for name in ("received", "answered", "refused", "peak_in_flight")},
            "answered_twice": sum(count - 1 for count in self.paid.values()),
            "distinct_answered": len(self.paid),
            "status": {key[7:]: n for key, n in sorted(self.counts.items()) if key.startswith("status ")},
            "faults": {key[6:]: n for key, n in sorted(self.counts.items()) if key.startswith("fault ")},
            "tokens": dict(self.tokens),
            "seconds": time.monotonic() - began,
            "by_second": sorted([second, status, n] for (second, status), n in self.by_second.items()),
            "batches": self.desk.stats(),
        }

    def count_status(self, status: int) -> None:
        self.counts[f"status {status}"] += 1
        if self.began is not None:
            self.by_second[int(time.monotonic() - self.began), status] += 1

    def bill(self, request_hash: str, usage: Mapping[str, int]) -> None:
        """Record a reply that was made, and so is paid for, whether or not it arrives."""
        with self.lock:
            self.counts["answered"] += 1
            self.paid[request_hash] += 1
            for name, n in usage.items():
                self.tokens[name] += n

    def ages(self) -> dict[str, float]:
        """Return how many seconds ago each reply was sent; below 0, it is still being made. A client killed now may
        not have stored the latest.
        """
        now = time.monotonic()
        return {request: max(-1.0, now - sent) for request, sent in list(self.on_the_way.items())}

    # answering

    def make_reply(self, api: str, body: Mapping[str, Any], request_hash: str, mode: str | None) -> dict[str, Any]:
        """Return the JSON of a billed reply with status 200."""
        turns = conversation(api, body)
        text = self.texts.get(request_hash)
        if text is None:
            text = self.answer(turns, body)
            if self.reply_bytes > len(text):
                text += "." * (self.reply_bytes - len(text))
            if self.answer is not echo:
                self.texts[request_hash] = text
        prompt = "\x1e".join(turn["content"] for turn in turns)
        limit = fake_faults.output_limit(api, body)
        made = fake_faults.shape(text, mode, limit, count_tokens)
        usage = {
            "input": count_tokens(prompt),
            "cached": self.cached_tokens(prompt),
            "output": made.tokens,
            "reasoning": made.reasoning,
        }
        self.bill(request_hash, usage)
        if mode in fake_faults.REPLIES:
            self.damaged[request_hash] += 1
        return fake_faults.envelope(api, str(body.get("model", "")), made, usage, f"r{self.counts['answered']}")

    def cached_tokens(self, prompt: str) -> int:
        """Return the tokens that a provider's prefix cache would hold: from 1,024 tokens on, in steps of 128 (512
        bytes here)."""
        data = prompt.encode("utf-8", "surrogatepass")
        if len(data) < 4096:
            return 0
        if len(self.prefixes) > 200_000:
            self.prefixes.clear()
        known, digest, found = 0, hashlib.sha256(), True
        for end in range(512, len(data) + 1, 512):
            digest.update(data[end - 512 : end])
            if found and (found := digest.digest() in self.prefixes):
                known = end // 4
            self.prefixes.add(digest.digest())
        return known if known >= 1024 else 0

    def limit_headers(self) -> dict[str, str]:
        out: dict[str, str] = {}
        for name, bucket in (("requests", self.bucket), ("tokens", self.token_bucket)):
            if self.headers and bucket:
                bucket.refill()
                out[f"x-ratelimit-limit-{name}"] = str(int(bucket.burst))
                out[f"x-ratelimit-remaining-{name}"] = str(int(bucket.level))
                out[f"x-ratelimit-reset-{name}"] = duration((bucket.burst - bucket.level) / bucket.rate)
        return out

    def error(self, status: int, message: str, code: str | None, headers: Mapping[str, str] = {}) -> web.Response:
        self.count_status(status)
        if status == 429:
            self.counts["refused"] += 1
        kind = {401: "invalid_request_error", 429: "rate_limit_error"}.get(
            status, "server_error" if status >= 500 else "invalid_request_error"
        )
        return web.json_response(
            {"error": {"message": message, "type": kind, "code": code, "param": None}},
            status=status,
            headers=dict(headers),
        )

    def over_limit(self, tokens: int) -> web.Response | None:
        for bucket, amount in ((self.bucket, 1.0), (self.token_bucket, float(tokens))):
            if bucket and not bucket.take(amount):
                wait = bucket.wait(amount)
                extra = (
                    {"retry-after-ms": str(int(wait * 1000) + 1), "retry-after": str(int(wait) + 1)}
                    if self.headers
                    else {}
                )
                return self.error(429, "Rate limit reached", "rate_limit_exceeded", {**self.limit_headers(), **extra})
        return None

    def check_key(self, request: web.Request) -> web.Response | None:
        given = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if self.keys is None or given in self.keys:
            return None
        # the real server shows part of the refused key; a client must not print it
        return self.error(401, f"Incorrect API key provided: {given}.", "invalid_api_key")

    def draw(self, request_hash: str) -> str | None:
        """Return the fault for this attempt at this request, or None."""
        self.seen[request_hash] += 1
        if self.scripts:
            return self.scripts.pop(0) or None
        if not self.fault_rate:
            return None
        dice = random.Random(f"{self.seed}:{request_hash}:{self.seen[request_hash]}")
        return dice.choice(self.modes) if dice.random() < self.fault_rate else None

    async def handle(self, api: str, request: web.Request) -> web.StreamResponse:
        self.began = self.began or time.monotonic()
        self.counts["received"] += 1
        self.in_flight += 1
        self.counts["peak_in_flight"] = max(self.counts["peak_in_flight"], self.in_flight)
        try:
            return await self.respond(api, request, await request.read())
        finally:
            self.in_flight -= 1

    async def respond(self, api: str, request: web.Request, raw: bytes) -> web.StreamResponse:
        if refused := self.check_key(request):
            return refused
        try:
            body = json.loads(raw)
            tokens = sum(count_tokens(turn["content"]) for turn in conversation(api, body))
        except (ValueError, KeyError, TypeError) as error:
            return self.error(400, f"Invalid body: {error!r}", "invalid_body")
        request_hash = request_key(body)
        if self.record:
            self.bodies.append(body)
        if tokens > self.context_tokens:
            return self.error(400, "This model's maximum context length is exceeded", "context_length_exceeded")
        if refused := self.disguise.refuse(api, body):
            if not isinstance(refused, web.StreamResponse):
                refused = web.json_response(refused[1], status=refused[0])
            self.count_status(refused.status)
            return refused
        if self.quota is not None and self.counts["answered"] >= self.quota:
            return self.error(429, "You exceeded your current quota", "insufficient_quota")
        if over := self.over_limit(tokens):
            return over
        mode = self.draw(request_hash)
        if mode in fake_faults.REPLIES and self.unharmed and self.unharmed(conversation(api, body)):
            mode = None
        if mode:
            self.counts[f"fault {mode}"] += 1
        if mode in fake_faults.TRANSPORT:
            return await fake_faults.break_transport(self, mode, request)
        self.on_the_way[request_hash] = float("inf")
        try:
            return await self.reply(api, body, request_hash, mode)
        finally:
            self.on_the_way[request_hash] = time.monotonic()

    async def reply(self, api: str, body: Mapping[str, Any], request_hash: str, mode: str | None) -> web.StreamResponse:
        if self.latency or mode == "slow":
            await asyncio.sleep(self.latency + (self.slow_seconds if mode == "slow" else 0.0))
        if self.answer is echo:
            reply = self.make_reply(api, body, request_hash, mode)
        else:
            reply = await asyncio.to_thread(self.make_reply, api, body, request_hash, mode)
        self.count_status(200)
        made = self.disguise.dress(api, body, reply)
        return made if isinstance(made, web.StreamResponse) else web.json_response(made, headers=self.limit_headers())

    async def send_stats(self, request: web.Request) -> web.Response:
        return web.json_response(self.stats())

    async def send_models(self, request: web.Request) -> web.Response:
        return web.json_response({"object": "list", "data": [{"id": "fake", "object": "model"}]})

    # running

    def application(self) -> web.Application:
        app = web.Application(client_max_size=2**28)
        for path, api in (
            ("/v1/responses", "responses"),
            ("/v1/chat/completions", "chat"),
            ("/v1/completions", "completions"),
        ):
            app.router.add_post(path, functools.partial(self.handle, api))
        app.router.add_get("/stats", self.send_stats)
        app.router.add_get("/v1/models", self.send_models)
        self.desk.add_routes(app)
        return app

    async def serve(self, stop: asyncio.Event, ready: Callable[[], None], host: str = "127.0.0.1") -> None:
        # handler_cancellation: a hanging handler ends when its client goes away
        runner = web.AppRunner(self.application(), handler_cancellation=True, access_log=None, shutdown_timeout=0.2)
        await runner.setup()
        site = web.TCPSite(runner, host, self.port, backlog=4096)
        await site.start()
        self.port = runner.addresses[0][1]
        ready()
        await stop.wait()
        await runner.cleanup()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def __enter__(self) -> FakeOpenAI:
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        ready = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(ready,), daemon=True)
        self._thread.start()
        if not ready.wait(10):
            raise RuntimeError("the fake server did not start")
        return self

    def _run(self, ready: threading.Event) -> None:
        with contextlib.closing(self._loop):
            self._loop.run_until_complete(self.serve(self._stop, ready.set))
            self._loop.run_until_complete(self._loop.shutdown_default_executor())

    def __exit__(self, *exc: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)


def request_key(body: Mapping[str, Any]) -> str:
    """Return what identifies a request: everything except the service tier, which changes the price but not the
    reply.
    """
    kept = {name: value for name, value in body.items() if name != "service_tier"}
    return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()


def load_answer(spec: str) -> Answer:
    """Import `module:function`, from where the server is started."""
    module, _, name = spec.partition(":")
    return getattr(importlib.import_module(module), name)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8100)
    parser.add_argument("--latency", type=float, default=0.0, help="seconds before a reply")
    parser.add_argument("--fault-rate", type=float, default=0.0, help="share of calls that go wrong")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--modes", default=",".join(fake_faults.ALL), help="fault modes to draw from")
    parser.add_argument("--requests-per-second", type=float)
    parser.add_argument("--burst", type=float, help="requests that may come at once within that limit")
    parser.add_argument("--tokens-per-minute", type=float)
    parser.add_argument("--no-headers", action="store_true", help="enforce limits without reporting them")
    parser.add_argument("--key", action="append", help="accept only this API key (again for more)")
    parser.add_argument("--quota", type=int, help="replies before insufficient_quota")
    parser.add_argument("--reply-bytes", type=int, default=0, help="pad the default answer")
    parser.add_argument("--disguise", choices=DISGUISES, help="behave as another endpoint")
    parser.add_argument("--answer", default="", help="module:function(messages, params) -> str")
    args = parser.parse_args()
    server = FakeOpenAI(
        answer=load_answer(args.answer) if args.answer else echo,
        latency=args.latency,
        fault_rate=args.fault_rate,
        seed=args.seed,
        modes=tuple(args.modes.split(",")),
        requests_per_second=args.requests_per_second,
        burst=args.burst,
        tokens_per_minute=args.tokens_per_minute,
        headers=not args.no_headers,
        keys=tuple(args.key) if args.key else None,
        quota=args.quota,
        reply_bytes=args.reply_bytes,
        port=args.port,
        disguise=DISGUISES.get(args.disguise, Disguise)(),
    )
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(server.serve(asyncio.Event(), lambda: print(f"serving on {server.url}", flush=True), args.host))


if __name__ == "__main__":
    main()
