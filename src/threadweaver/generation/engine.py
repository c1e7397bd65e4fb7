"""The completions API of a served model: token ids in, token ids out; several servers, the least busy first.

SGLang and vLLM name things differently: which stop was met is `matched_stop` or `stop_reason`, keeping its
text is `no_stop_trim` or `include_stop_str_in_output`; each ignores the other's names, so both are sent.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from threadweaver.corpus.tokenizer import Tokenizer
from threadweaver.errors import UserError

TRIES = 6
"""Of one request, when the server is overloaded or faulty; waits double from 0.5 s."""
PROBES = (0.2, 1.0, 2.0, 4.0)
"""Seconds between the looks at a server whose connection was lost, before it is left out."""
CONNECT_SECONDS = 10.0
MAX_CONNECTIONS = 2048


class SampleFailed(Exception):
    """A sample that could not be generated; its text says why."""


class Refused(SampleFailed):
    """The server will not answer this request, however often it is asked."""


@dataclass(frozen=True, slots=True)
class Completion:
    """What a server decoded: `ids` without the end-of-sequence token, the stop string kept.

    `finish` is `stop` (a stop string was met), `end` (the model ended its turn) or `length`. `exact` is False
    when the server gave no token ids and the text was encoded again.
    """

    ids: tuple[int, ...]
    finish: str
    exact: bool = True


@dataclass(frozen=True, slots=True)
class Sampling:
    temperature: float = 1.0
    top_p: float = 1.0
    ignore_eos: bool = False


def decode(tokenizer: Tokenizer, ids: Sequence[int]) -> str:
    """The text of token ids, with every special token in it."""
    return tokenizer.hf.decode(list(ids), skip_special_tokens=False, clean_up_tokenization_spaces=False)


def read_choice(choice: Mapping, tokenizer: Tokenizer, stop: str | None) -> Completion:
    """The completion in one choice of a server's reply; raises SampleFailed when there is none in it."""
    reason = choice.get("finish_reason")
    if reason not in ("stop", "length"):
        raise SampleFailed(f"the server broke off (finish_reason {reason!r})")
    told = "matched_stop" in choice or "stop_reason" in choice
    met = choice.get("matched_stop", choice.get("stop_reason"))
    if isinstance(met, str) and met != stop:
        raise SampleFailed(f"the server broke off ({met})")
    given = choice.get("token_ids")
    text = choice.get("text") or ""
    ids = list(given) if given is not None else tokenizer.ids(text)
    if given is None and decode(tokenizer, ids) != text:
        raise SampleFailed("the server gives no token ids, and its text cannot be encoded again to the same text")
    if reason == "length":
        return Completion(tuple(ids), "length", given is not None)
    if stop is not None and (met == stop or (not told and stop in text)):
        if stop not in decode(tokenizer, ids):
            ids += tokenizer.ids(stop)  # a server that cuts the stop string off
        return Completion(tuple(ids), "stop", given is not None)
    if ids and ids[-1] in tokenizer.hf.all_special_ids:
        ids.pop()
    return Completion(tuple(ids), "end", given is not None)


class Endpoint:
    """One server. `explain` says in words why it is dead, or None while its process lives or is not ours."""

    def __init__(self, url: str, explain: Callable[[], str | None] = lambda: None):
        self.url = url.rstrip("/")
        self.explain = explain
        self.busy = 0
        self.gone: str | None = None
        self.model = ""
        self.sdk = None
        self.check: asyncio.Task | None = None


class Pool:
    """The servers of one model. A sample takes a seat at the least busy one and keeps it, so that the prefix
    cache of that server serves the contexts that its requests share; when the server dies, it moves to
    another."""

    def __init__(
        self,
        endpoints: Sequence[Endpoint],
        tokenizer: Tokenizer,
        sampling: Sampling,
        *,
        timeout: float,
        connections: int = MAX_CONNECTIONS,
        tell: Callable[[str], None] | None = None,
    ):
        self.endpoints, self.tokenizer, self.sampling = list(endpoints), tokenizer, sampling
        self.timeout, self.connections = timeout, min(connections, MAX_CONNECTIONS)
        self.tell = tell or (lambda line: print(line, file=sys.stderr))

    async def __aenter__(self) -> Pool:
        import httpx2
        from openai import AsyncOpenAI, DefaultAioHttpClient

        from threadweaver.client.transport import raise_file_limit

        raise_file_limit(self.connections * len(self.endpoints))
        for endpoint in self.endpoints:
            limits = httpx2.Limits(max_connections=self.connections, max_keepalive_connections=self.connections)
            wait = httpx2.Timeout(self.timeout, connect=CONNECT_SECONDS, pool=None)
            endpoint.sdk = AsyncOpenAI(
                api_key="none",
                base_url=f"{endpoint.url}/",
                max_retries=0,
                http_client=DefaultAioHttpClient(limits=limits, timeout=wait),
            )
        return self

    async def __aexit__(self, *exception) -> None:
        for endpoint in self.endpoints:
            if endpoint.check:
                endpoint.check.cancel()
            await endpoint.sdk.close()

    async def meet(self, model: str, context: int, *, check_model: bool = True) -> None:
        """Ask every server what it serves, and leave out those that do not answer.

        Raises UserError when none answers, or when one serves another model or a shorter context than
        `context`.
        """
        for endpoint in self.endpoints:
            cards = await self._cards(endpoint)
            if cards is None:
                self._leave_out(endpoint, endpoint.explain() or "it does not answer")
                continue
            card = next((card for card in cards if _same_model(card["id"], model)), None)
            if card is None and (check_model or not cards):
                names = ", ".join(card["id"] for card in cards) or "nothing"
                raise UserError(
                    f"{endpoint.url} serves {names}, not {model}: name it with --model_name, or go on with --skip-model-check"
                )
            card = card or cards[0]
            endpoint.model = card["id"]
            longest = card.get("max_model_len")
            if longest and longest < context:
                raise UserError(
                    f"{endpoint.url} has a context of {longest} tokens, less than --max-context-length {context}: lower it"
                )
        self._living()

    @asynccontextmanager
    async def seat(self) -> AsyncIterator[Callable]:
        """A place at the least busy server: a function that completes one context after another there."""
        place = Seat(self, self._least_busy())
        place.endpoint.busy += 1
        try:
            yield place.complete
        finally:
            place.endpoint.busy -= 1

    def _living(self) -> list[Endpoint]:
        living = [endpoint for endpoint in self.endpoints if endpoint.gone is None]
        if not living:
            reasons = "; ".join(f"{endpoint.url}: {endpoint.gone}" for endpoint in self.endpoints)
            raise UserError(
                f"no server is left ({reasons}): start one and run the same command again; what is finished is kept"
            )
        return living

    def _least_busy(self) -> Endpoint:
        return min(self._living(), key=lambda endpoint: endpoint.busy)

    def _leave_out(self, endpoint: Endpoint, why: str) -> None:
        endpoint.gone = why
        self.tell(f"the server {endpoint.url} is left out: {why}")

    async def _cards(self, endpoint: Endpoint) -> list[dict] | None:
        """The models a server names; None when it does not answer."""
        import openai

        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                return [card.model_dump() for card in (await endpoint.sdk.models.list()).data]
        except openai.APIStatusError as error:
            raise UserError(
                f"{endpoint.url}/models answers HTTP {error.status_code}: give the address of a completions API, "
                "such as http://127.0.0.1:30000/v1"
            ) from None
        except (openai.OpenAIError, TimeoutError, OSError):
            return None

    async def alive(self, endpoint: Endpoint) -> bool:
        """After a lost connection: is the server still there? Asked once for all requests that lost it."""
        if endpoint.gone is not None:
            return False
        if endpoint.check is None or endpoint.check.done():
            endpoint.check = asyncio.create_task(self._probe(endpoint))
        return await asyncio.shield(endpoint.check)

    async def _probe(self, endpoint: Endpoint) -> bool:
        for wait in PROBES:
            await asyncio.sleep(wait)
            why = endpoint.explain()
            if why is None and await self._cards(endpoint) is not None:
                return True
            if why:
                break
        self._leave_out(endpoint, why or "the connection was lost and it does not answer any more")
        return False


class Seat:
    """A sample's place at a server."""

    def __init__(self, pool: Pool, endpoint: Endpoint):
        self.pool, self.endpoint = pool, endpoint

    async def complete(
        self, prompt: Sequence[int], *, max_tokens: int, stop: str | None = None, seed: int = 0
    ) -> Completion:
        """Decode on from the token ids `prompt`; raises SampleFailed, or UserError when no server is left."""
        tries = 0
        while True:
            endpoint = self.endpoint
            try:
                return await self._ask(endpoint, prompt, max_tokens, stop, seed)
            except _Lost as lost:
                if not await self.pool.alive(endpoint):
                    self._move(endpoint)
                    continue
                trouble = lost
            except _Busy as busy:
                trouble = busy
            tries += 1
            if tries == TRIES:
                raise SampleFailed(f"{trouble} ({TRIES} tries)")
            await asyncio.sleep(0.5 * 2**tries * random.uniform(0.5, 1.0))

    def _move(self, dead: Endpoint) -> None:
        if self.endpoint is dead:  # a sibling thread may have moved already
            self.endpoint = self.pool._least_busy()
            dead.busy -= 1
            self.endpoint.busy += 1

    async def _ask(
        self, endpoint: Endpoint, prompt: Sequence[int], max_tokens: int, stop: str | None, seed: int
    ) -> Completion:
        import openai
        from httpx2 import Response

        sampling = self.pool.sampling
        body = {
            "model": endpoint.model,
            "prompt": list(prompt),
            "max_tokens": max_tokens,
            "seed": seed,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "ignore_eos": sampling.ignore_eos,
            "return_token_ids": True,
            "skip_special_tokens": False,
            "no_stop_trim": True,
            "include_stop_str_in_output": True,
        } | ({"stop": [stop]} if stop else {})
        # completions.create walks through the prompt id by id: 45 us of the event loop each, 2 s for a full context
        content = json.dumps(body, separators=(",", ":")).encode()
        options = {"headers": {"Content-Type": "application/json"}}
        try:
            async with asyncio.timeout(self.pool.timeout):
                reply = await endpoint.sdk.post("/completions", cast_to=Response, content=content, options=options)
        except (TimeoutError, openai.APITimeoutError) as error:
            if _connected(error):
                raise SampleFailed(f"no reply within --timeout {self.pool.timeout:g} s") from None
            raise _Lost("no connection") from None
        except openai.APIStatusError as error:
            raise _of_status(endpoint, error) from None
        except (openai.APIConnectionError, OSError) as error:
            raise _Lost(f"the connection was lost ({error.__cause__ or error})") from None
        return read_choice(_choice(reply.content), self.pool.tokenizer, stop)


def _choice(content: bytes) -> Mapping:
    try:
        return json.loads(content)["choices"][0]
    except (ValueError, KeyError, IndexError, TypeError):
        raise SampleFailed("the server's reply is no completion") from None


class _Lost(Exception):
    """No connection, or one that broke."""


class _Busy(Exception):
    """A fault that may pass."""


def _connected(error: Exception) -> bool:
    """Whether a time-out was one of waiting for the reply; the SDK calls every lost connection a time-out
    too."""
    import aiohttp

    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, aiohttp.ClientConnectionError) and not isinstance(cause, aiohttp.ServerTimeoutError):
            return False
        cause = cause.__cause__
    return True


def _of_status(endpoint: Endpoint, error) -> Exception:
    said = f"HTTP {error.status_code} from {endpoint.url}: {str(error.message)[:200]}".replace("\n", " ")
    if error.status_code in (401, 403):
        return UserError(f"{said}: generation asks servers that need no key")
    if error.status_code == 404:
        return UserError(f"{said}: name the model it serves with --model_name, or its address with --base-url")
    if error.status_code in (408, 409, 425, 429) or error.status_code >= 500:
        return _Busy(said)
    return Refused(said)


def _same_model(served: str, asked: str) -> bool:
    """SGLang calls a model by the path or name it was started with, vLLM by its served name."""
    return served == asked or served.rstrip("/").rpartition("/")[2] == asked.rstrip("/").rpartition("/")[2]
