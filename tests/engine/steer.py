"""A proxy in front of a real engine that makes a random model write fork-join text.

Each request gets the regex of the phase that its context is in. `whole` favours the tags' own tokens; without it
the model spells them in pieces, which the engine's window for stop strings misses.
"""

from __future__ import annotations

import re
import threading
from asyncio import new_event_loop, set_event_loop
from collections.abc import Mapping, Sequence

import aiohttp
from aiohttp import web

from threadweaver.corpus.tokenizer import Tokenizer
from threadweaver.generation.engine import decode
from threadweaver.trajectory import markup

BLOCKS = 2
TAG = re.compile("|".join(markup.TAGS))
PROSE = "[a-z ]{20,60}"
OUTLINE = "<Outline>%d: [a-z]{3,12}</Outline>\\n"
BLOCK = f"{PROSE}\\n<Parallel>\\n<Outlines>\\n{OUTLINE % 1}{OUTLINE % 2}({OUTLINE % 3})?</Outlines>"
THREAD = " [a-z ]{20,80}\\n</Thread>"
END = f"{PROSE}\\n</think>\\n\\nThe answer is \\\\boxed\\{{%s\\}}"


class Steer:
    """The proxy, in a thread. `exchanges` holds (prompt ids, returned ids, cached prompt tokens, matched stop).
    `answers` are its answers to known questions; to others it writes a digit."""

    def __init__(self, engine: str, tokenizer: Tokenizer, answers: Mapping[str, str], *, whole: bool):
        self.engine, self.answers, self.whole = engine, answers, whole
        self.tokenizer = tokenizer
        self.tags = [tokenizer.ids(tag)[0] for tag in markup.TAGS]
        self.exchanges: list[tuple[list[int], list[int], int, object]] = []
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def regex(self, prompt: Sequence[int]) -> str:
        text = decode(self.tokenizer, prompt)
        seen = TAG.findall(text)  # tags may be there in pieces
        last, done = (seen[-1] if seen else ""), seen.count("</Parallel>")
        if last == "<Thread>":
            return THREAD
        if last == "</Thread>":
            answer = next((answer for question, answer in self.answers.items() if question in text), "[0-9]")
            return "</Parallel>\\n" + (BLOCK if done + 1 < BLOCKS else END % answer)
        return "<think>\\n" + BLOCK

    async def completions(self, request: web.Request) -> web.Response:
        body = await request.json()
        body["regex"] = self.regex(body["prompt"])
        if self.whole:
            body["logit_bias"] = {str(id): 100 for id in self.tags}
        async with self.session.post(f"{self.engine}/completions", json=body) as reply:
            answer = await reply.json()
        if "choices" in answer:
            choice = answer["choices"][0]
            cached = ((answer.get("usage") or {}).get("prompt_tokens_details") or {}).get("cached_tokens") or 0
            self.exchanges.append((body["prompt"], choice["token_ids"], cached, choice["matched_stop"]))
        return web.json_response(answer, status=reply.status)

    async def models(self, request: web.Request) -> web.Response:
        async with self.session.get(f"{self.engine}/models") as reply:
            return web.json_response(await reply.json(), status=reply.status)

    async def start(self) -> web.AppRunner:
        self.session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(600))
        app = web.Application(client_max_size=64 << 20)
        app.add_routes([web.get("/v1/models", self.models), web.post("/v1/completions", self.completions)])
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.port = site._server.sockets[0].getsockname()[1]
        return runner

    def __enter__(self) -> Steer:
        started = threading.Event()
        self._loop = new_event_loop()

        def serve() -> None:
            set_event_loop(self._loop)
            runner = self._loop.run_until_complete(self.start())
            started.set()
            self._loop.run_forever()
            self._loop.run_until_complete(self.session.close())
            self._loop.run_until_complete(runner.cleanup())

        self._thread = threading.Thread(target=serve, daemon=True)
        self._thread.start()
        started.wait(10)
        return self

    def __exit__(self, *exception) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
