"""A local completions server that behaves like SGLang, without a model.

Like SGLang it takes token-id prompts, looks for a stop string only in the text of the last (longest stop's
token count + 1) tokens, names the stop in `matched_stop`, cuts it off the text unless `no_stop_trim`, and
answers 400 when prompt and max_tokens exceed its context. What it decodes comes from a model, a function of
(prompt ids, seed):
    Improviser   makes up fork-join text that depends only on the prompt's ids (and, when sampling, the seed)
    Script       knows whole trajectories and continues any context that a fork-join loop should send; any other
                 context is answered with status 400 and the place where it departs

In tests:  with FakeEngine(Improviser(tokenizer), tokenizer) as engine: … engine.url …
By hand:   python tests/fake_engine.py --tokenizer data/sample/tokenizer --port 30000
As a child process it accepts an engine's arguments (`-m sglang.launch_server --model-path … --port …`) and ignores
the rest.
"""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import json
import os
import random
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import tokenizers
from aiohttp import web

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))  # it is also run by path
from threadweaver.corpus.tokenizer import Tokenizer
from threadweaver.trajectory import markup

Model = Callable[[Sequence[int], int | None], Iterator[int]]
WORDS = "so we get that the sum of two squares is even and hence n must be odd 12 35 7 let us check case".split()


class Improviser:
    """Writes text as a trained model could: prose, blocks, an answer; a function of the context alone."""

    def __init__(self, tokenizer: Tokenizer, *, blocks: int = 3, words: tuple[int, int] = (3, 12)):
        self.tokenizer, self.blocks, self.words = tokenizer, blocks, words
        self.ids = {tag: tokenizer.ids(tag)[0] for tag in markup.TAGS}
        self.tags = {id: tag for tag, id in self.ids.items()}
        self.eos = tokenizer.hf.eos_token_id

    def __call__(self, prompt: Sequence[int], seed: int | None) -> Iterator[int]:
        context = list(prompt)
        while True:
            piece = self.tokenizer.ids(self._piece(context, seed))
            yield from piece
            context += piece
            if piece[-1] == self.eos:
                return

    def _piece(self, context: list[int], seed: int | None) -> str:
        rng = random.Random(hashlib.sha256(f"{context}{seed}".encode()).digest())
        last = next((self.tags[id] for id in reversed(context) if id in self.tags), None)
        prose = " ".join(rng.choices(WORDS, k=rng.randint(*self.words)))
        if last == "<Thread>":
            return f" {prose}.\n</Thread>"
        if last in ("</Outlines>", "</Thread>"):
            return self._behind(context, last)
        done = context.count(self.ids["</Parallel>"])
        if done < self.blocks and rng.random() < 0.8:
            threads = rng.randint(2, 4)
            outlines = "\n".join(f"<Outline>{k}: {rng.choice(WORDS)}</Outline>" for k in range(1, threads + 1))
            return f"{prose}.\n\n<Parallel>\n<Outlines>\n{outlines}\n</Outlines>"
        return f"{prose}.\n</think>\n\nThe answer is \\boxed{{{rng.randint(1, 3)}}}.{self.tokenizer.hf.eos_token}"

    def _behind(self, context: list[int], last: str) -> str:
        """Return what a sequential model writes next: the next thread, or the end of the block."""
        block = context[len(context) - 1 - context[::-1].index(self.ids["<Parallel>"]) :]
        done, planned = block.count(self.ids["</Thread>"]), block.count(self.ids["<Outline>"])
        glue = "" if context[-1] == self.tokenizer.ids("\n")[0] else "\n" if done in (0, planned) else ""
        return f"{glue}<Thread>\n{done + 1}:" if done < planned else f"{glue}</Parallel>\n\n"


class Script:
    """Knows trajectories by their prompts: `script[prompt ids] = trajectory ids`, the end-of-sequence token
    included."""

    def __init__(self, tokenizer: Tokenizer):
        self.tokenizer = tokenizer
        self.next: dict[tuple[int, ...], tuple[int, ...]] = {}
        self.whole: list[tuple[int, ...]] = []

    def add(self, prompt: Sequence[int], text: str) -> None:
        """Learn what follows every context that occurs when `text` is decoded in parallel."""
        prompt, encode = tuple(prompt), self.tokenizer.ids
        self.whole.append(prompt)
        ids = (*encode(text), self.tokenizer.hf.eos_token_id)
        self.next[prompt] = ids
        for block in markup.parse(text).blocks:
            shared = encode(text[: block.outlines_span[1]])
            for k, thread in enumerate(block.threads, 1):
                opening = (*prompt, *shared, *encode(f"\n<Thread>\n{k}:"))
                done = len(encode(text[: thread.start])) + len(encode(f"<Thread>\n{k}:"))
                self.next[opening] = ids[done:]
            joined = len(encode(text[: block.threads[-1].end])) + 1
            self.next[*prompt, *ids[:joined]] = ids[joined:]
            self.next[*prompt, *ids[: joined + 1]] = ids[joined + 1 :]  # the loop may close the block itself

    def __call__(self, prompt: Sequence[int], seed: int | None) -> Iterator[int]:
        found = self.next.get(tuple(prompt))
        if found is None:
            near = max((_common(known, prompt) for known in self.next), default=0)
            raise web.HTTPBadRequest(text=f"unknown context of {len(prompt)} ids, which departs at {near}")
        return iter(found)


def _common(left: Sequence[int], right: Sequence[int]) -> int:
    return next((at for at, (a, b) in enumerate(zip(left, right, strict=False)) if a != b), min(len(left), len(right)))


class FakeEngine:
    """The server, in its own thread. A request takes `latency(prompt)` seconds, and `a_token` per token; `faults`
    are statuses for the next requests (0: break the connection); `dies_after` N completions it breaks every
    connection and does not answer any more; after `exits_after` it ends its process."""

    def __init__(
        self,
        model: Model,
        tokenizer: Tokenizer,
        *,
        name: str = "fake/model",
        context: int = 40_960,
        latency: Callable[[Sequence[int]], float] = lambda prompt: 0.0,
        a_token: float = 0.0,
        faults: Sequence[int] = (),
        dies_after: int | None = None,
        exits_after: int | None = None,
        token_ids: bool = True,
        port: int = 0,
    ):
        self.model, self.tokenizer, self.name, self.context = model, tokenizer, name, context
        self.latency, self.a_token, self.faults = latency, a_token, list(faults)
        self.dies_after, self.exits_after, self.token_ids, self.port = (dies_after, exits_after, token_ids, port)
        self.requests: list[dict] = []
        self.completed = self.under_way = self.most_under_way = 0
        self.dead = False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def __enter__(self) -> FakeEngine:
        started = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._serve, args=(started,), daemon=True)
        self._thread.start()
        assert started.wait(10), "the fake engine did not start"
        return self

    def __exit__(self, *exception) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def _serve(self, started: threading.Event) -> None:
        loop = self._loop
        asyncio.set_event_loop(loop)
        runner = loop.run_until_complete(self.start())
        started.set()
        loop.run_forever()
        loop.run_until_complete(runner.cleanup())
        loop.close()

    async def start(self) -> web.AppRunner:
        app = web.Application(client_max_size=64 << 20)
        app.add_routes(
            [
                web.get("/health", self.health),
                web.get("/v1/models", self.models),
                web.get("/get_model_info", self.info),
                web.post("/v1/completions", self.completions),
            ]
        )
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", self.port, backlog=1024)
        await site.start()
        self.port = site._server.sockets[0].getsockname()[1]
        return runner

    async def health(self, request: web.Request) -> web.Response:
        self._hang_up(request)
        return web.Response(text="")

    async def models(self, request: web.Request) -> web.Response:
        self._hang_up(request)
        card = {"id": self.name, "object": "model", "created": 0, "owned_by": "fake", "max_model_len": self.context}
        return web.json_response({"object": "list", "data": [card]})

    async def info(self, request: web.Request) -> web.Response:
        self._hang_up(request)
        return web.json_response({"model_path": self.name, "is_generation": True})

    def _hang_up(self, request: web.Request) -> None:
        if self.dead:
            request.transport.abort()
            raise web.HTTPServiceUnavailable

    async def completions(self, request: web.Request) -> web.Response:
        self._hang_up(request)
        body = await request.json()
        self.requests.append(body)
        if self.faults and (fault := self.faults.pop(0)) != 200:
            if not fault:
                request.transport.abort()
            return web.json_response({"error": {"message": f"fault {fault}"}}, status=fault or 500)
        prompt, room = body["prompt"], body.get("max_tokens", 16)
        if not isinstance(prompt, list):
            return web.json_response({"error": {"message": "token ids, please"}}, status=400)
        if len(prompt) + room > self.context:
            return web.json_response({"error": {"message": "exceeds the model's maximum context length"}}, status=400)
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            choice = self.decode(body)
            await asyncio.sleep(self.latency(prompt) + self.a_token * len(choice["token_ids"]))
        finally:
            self.under_way -= 1
        self._hang_up(request)
        if self.completed == self.exits_after:
            print("RuntimeError: out of memory", flush=True)
            os._exit(7)
        self.completed += 1
        if self.completed == self.dies_after:
            self.dead = True
        if not self.token_ids or not body.get("return_token_ids"):
            del choice["token_ids"]
        return web.json_response(
            {"id": "c", "object": "text_completion", "created": 0, "model": body["model"], "choices": [choice]}
        )

    def decode(self, body: dict) -> dict:
        """Return one choice, finished as by SGLang: by a stop string, else the end of the turn, else the length."""
        stops = body.get("stop") or []
        stops = [stops] if isinstance(stops, str) else stops
        window = max((len(self.tokenizer.ids(stop)) for stop in stops), default=0) + 1
        eos, ids, reason, met = self.tokenizer.hf.eos_token_id, [], "length", None
        seed = body.get("seed") if body.get("temperature", 1.0) > 0 else None
        for id in self.model(body["prompt"], seed):
            ids.append(id)
            tail = self.text(ids[-window:]) if stops else ""
            met = next((stop for stop in stops if stop in tail), None)
            if met is not None or (id == eos and not body.get("ignore_eos")):
                reason, met = "stop", met or id
                break
            if len(ids) >= body.get("max_tokens", 16):
                break
        text = self.text(ids, skip_special_tokens=body.get("skip_special_tokens", True))
        if isinstance(met, str):
            at = text.find(met)
            text = text[: at + len(met)] if body.get("no_stop_trim") else text[:at]
        elif met is not None and not body.get("no_stop_trim"):
            text = self.text(ids[:-1])
        return {
            "index": 0,
            "text": text,
            "finish_reason": reason,
            "matched_stop": met,
            "logprobs": None,
            "token_ids": ids,
        }

    def text(self, ids: Sequence[int], skip_special_tokens: bool = False) -> str:
        return self.tokenizer.hf.decode(list(ids), skip_special_tokens=skip_special_tokens)


class Light:
    """The part of a tokenizer that the fake engine needs: a child process need not wait for transformers."""

    def __init__(self, folder: str):
        self.hf = self
        self.backend = tokenizers.Tokenizer.from_file(f"{folder}/tokenizer.json")
        self.eos_token = json.loads((Path(folder) / "tokenizer_config.json").read_text())["eos_token"]
        self.eos_token_id = self.backend.token_to_id(self.eos_token)

    def ids(self, text: str) -> list[int]:
        return self.backend.encode(text, add_special_tokens=False).ids

    def decode(self, ids: list[int], skip_special_tokens: bool = False) -> str:
        return self.backend.decode(ids, skip_special_tokens=skip_special_tokens)


def main(argv: list[str]) -> None:
    """Run as a child process in place of an engine. FAKE_ENGINE_FAULT: `exit` ends it with an error, `hang` never
    gets ready, `dies` ends it after 2 completions, `missing` reports that the package is not installed."""
    if argv[:1] == ["-c"]:  # asks whether the package is installed
        raise SystemExit(os.environ.get("FAKE_ENGINE_FAULT") == "missing")
    options = dict(itertools.pairwise(argv))
    fault = os.environ.get("FAKE_ENGINE_FAULT", "")
    print(f"fake engine: {' '.join(argv)}", flush=True)
    if fault == "exit":
        print("loading weights", flush=True)
        raise SystemExit("RuntimeError: no kernel image is available")
    if fault == "hang":
        time.sleep(600)
    model = options.get("--model-path") or options.get("--model") or options.get("--tokenizer", "")
    tokenizer = Light(options.get("--tokenizer") or model)
    engine = FakeEngine(
        Improviser(tokenizer),
        tokenizer,
        name=model,
        port=int(options.get("--port", 30000)),
        context=int(options.get("--context-length") or options.get("--max-model-len") or 40_960),
        exits_after=2 if fault == "dies" else None,
    )

    async def forever() -> None:
        await engine.start()
        print(f"ready on port {engine.port}", flush=True)
        await asyncio.Event().wait()

    asyncio.run(forever())


if __name__ == "__main__":
    main(sys.argv[1:])
