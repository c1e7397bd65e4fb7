"""The completions API of a served model: token ids in, token ids out; several servers, the least busy first.

SGLang and vLLM name things differently: which stop was met is `matched_stop` or `stop_reason`, keeping its text is
`no_stop_trim` or `include_stop_str_in_output`; each ignores the other's names, so both are sent.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from threadweaver.client import errors
from threadweaver.client.apis import Completions
from threadweaver.client.credentials import NO_KEY
from threadweaver.client.refusals import error_inside
from threadweaver.client.secrets import shown_url
from threadweaver.client.transport import Transport, raise_file_limit
from threadweaver.corpus.tokenizer import Tokenizer
from threadweaver.errors import UserError
from threadweaver.text import has_half

TRIES = 6
"""For one request, when the server is overloaded or faulty; waits double from 0.5 s."""
MAX_CONNECTIONS = 2048
"""Per server: each is an open file, of which a process may often have 4,096 at most."""
PROBES = (0.2, 1.0, 2.0, 4.0)
"""Seconds between the looks at a server whose connection was lost, before it is left out."""
LONGEST_TOKEN = 128
"""Characters; only runs of blanks and dashes have tokens of this length."""
LOOK_SECONDS = 10.0
"""How long a server may take to say what it serves."""


class SampleFailed(Exception):
    """A sample that could not be generated; its text says why."""


class Refused(SampleFailed):
    """The server will not answer this request, however often it is asked."""


@dataclass(frozen=True, slots=True)
class Completion:
    """What a server decoded: `ids` without the end-of-sequence token, the stop string kept.

    `finish` is `stop` (a stop string was met), `end` (the model ended its turn) or `length`. `exact` is False when the
    server gave no token ids and the text was encoded again.
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
    """Return the text of token ids, with every special token in it."""
    return tokenizer.hf.decode(list(ids), skip_special_tokens=False, clean_up_tokenization_spaces=False)


def read_choice(choice: object, tokenizer: Tokenizer, stop: str | None, limit: int | None = None) -> Completion:
    """Return the completion in one choice of a server's reply. Raises SampleFailed when there is none in it, or more
    than the `limit` of tokens that was asked for."""
    if not isinstance(choice, Mapping):
        raise SampleFailed("the server's reply is not a completion")
    reason = choice.get("finish_reason")
    if reason not in ("stop", "length"):
        raise SampleFailed(f"the server broke off (finish_reason {reason!r:.80})")
    reported = "matched_stop" in choice or "stop_reason" in choice
    met = choice.get("matched_stop", choice.get("stop_reason"))
    if met != stop and met is not None and type(met) is not int:
        raise SampleFailed(f"the server broke off ({met!s:.80})")
    ids, exact = _ids(choice, tokenizer, limit)
    if reason == "length":
        return Completion(tuple(ids), "length", exact)
    if stop is not None and (met == stop or (not reported and stop in (choice.get("text") or ""))):
        if stop not in decode(tokenizer, ids):
            ids += tokenizer.ids(stop)  # a server that cuts the stop string off
        return Completion(tuple(ids), "stop", exact)
    if ids and ids[-1] in tokenizer.hf.all_special_ids:
        ids.pop()
    return Completion(tuple(ids), "end", exact)


def _ids(choice: Mapping, tokenizer: Tokenizer, limit: int | None) -> tuple[list[int], bool]:
    """Return the token ids of a choice, and whether they are the server's own."""
    given, text = choice.get("token_ids"), choice.get("text")
    if not isinstance(text, str | None) or has_half(text or ""):
        raise SampleFailed("the server's reply holds no readable text")
    if given is None:
        if limit is not None and len(text or "") > LONGEST_TOKEN * limit:
            raise SampleFailed(f"the server gave {len(text):,} characters where {limit} tokens were asked for")
        ids = tokenizer.ids(text or "")
        if limit is not None and len(ids) > 2 * limit + 16:  # another way to cut the same text has a few more
            raise SampleFailed(f"the server gave about {len(ids):,} tokens where {limit} were asked for")
        if decode(tokenizer, ids) != (text or ""):
            raise SampleFailed("the server gives no token ids, and its text cannot be encoded again to the same text")
        return ids, False
    if not isinstance(given, list) or not all(type(id) is int and 0 <= id < len(tokenizer.hf) for id in given):
        raise SampleFailed("the server's reply holds token ids that the tokenizer does not have")
    if limit is not None and len(given) > limit:
        raise SampleFailed(f"the server gave {len(given)} tokens where {limit} were asked for")
    return list(given), True


class Endpoint:
    """One server. `explain` says in words why it is dead; None while its process lives or is not ours."""

    transport: Transport
    """Open while the pool is."""

    def __init__(self, url: str, explain: Callable[[], str | None] = lambda: None):
        self.url = url.rstrip("/")
        self.shown = shown_url(self.url)
        self.explain = explain
        self.busy = 0
        self.gone: str | None = None
        self.model = ""
        self.check: asyncio.Task | None = None

    async def cards(self) -> list[dict] | None:
        """Return the models that the server names; None when it does not answer."""
        try:
            data, _ = await self.transport.call("GET", "/models", timeout=LOOK_SECONDS)
            return [card for card in data["data"] if isinstance(card["id"], str) and card["id"]]
        except errors.BadReply:
            said = "something that is not JSON"
        except errors.ClientError as error:
            if not error.answered:
                return None
            said = error.answered
        except (KeyError, TypeError):
            said = "something that is not a list of models"
        raise UserError(
            f"{self.shown}/models answers {said}: give the address of a completions API, such as "
            "http://127.0.0.1:30000/v1"
        )


class Pool:
    """The servers of one model. A sample takes a seat at the least busy one and keeps it, so that the prefix cache of
    that server serves the contexts that its requests share; when the server dies, the sample moves to another.
    """

    def __init__(
        self,
        endpoints: Sequence[Endpoint],
        tokenizer: Tokenizer,
        sampling: Sampling,
        *,
        timeout: float,
        connections: int = 1024,
        report: Callable[[str], None] | None = None,
    ):
        self.endpoints, self.tokenizer, self.sampling = list(endpoints), tokenizer, sampling
        self.timeout, self.connections = timeout, min(connections, MAX_CONNECTIONS)
        self.report = report or (lambda line: print(line, file=sys.stderr))

    async def __aenter__(self) -> Pool:
        raise_file_limit(self.connections * len(self.endpoints))
        for endpoint in self.endpoints:
            endpoint.transport = Transport(endpoint.url, NO_KEY, timeout=self.timeout, connections=self.connections)
        return self

    async def __aexit__(self, *exception) -> None:
        for endpoint in self.endpoints:
            if endpoint.check:
                endpoint.check.cancel()
            await endpoint.transport.close()

    async def meet(self, model: str, context: int, *, check_model: bool = True) -> None:
        """Ask every server what it serves, and leave out those that do not answer.

        Raises UserError when none answers, or when one serves another model or a shorter context than `context`.
        """
        for endpoint in self.endpoints:
            cards = await endpoint.cards()
            if cards is None:
                self._leave_out(endpoint, endpoint.explain() or "it does not answer")
                continue
            card = next((card for card in cards if _same_model(card["id"], model)), None)
            if card is None and (check_model or not cards):
                names = ", ".join(card["id"] for card in cards) or "nothing"
                raise UserError(
                    f"{endpoint.shown} serves {names}, not {model}: name it with --model_name, or continue with "
                    "--skip-model-check"
                )
            card = card or cards[0]
            endpoint.model = card["id"]
            longest = card.get("max_model_len")
            if isinstance(longest, int) and 0 < longest < context:
                raise UserError(
                    f"{endpoint.shown} has a context of {longest} tokens, less than --max-context-length {context}: "
                    "lower it"
                )
        self._living()

    @asynccontextmanager
    async def seat(self) -> AsyncIterator[Callable]:
        """Take a place at the least busy server: a function that completes one context after another there."""
        place = Seat(self, self.least_busy())
        place.endpoint.busy += 1
        try:
            yield place.complete
        finally:
            place.endpoint.busy -= 1

    def _living(self) -> list[Endpoint]:
        living = [endpoint for endpoint in self.endpoints if endpoint.gone is None]
        if not living:
            reasons = "; ".join(f"{endpoint.shown}: {endpoint.gone}" for endpoint in self.endpoints)
            raise UserError(
                f"no server is left ({reasons}): start one and run the same command again; what is finished is kept"
            )
        return living

    def least_busy(self) -> Endpoint:
        """Raises UserError when no server is left."""
        return min(self._living(), key=lambda endpoint: endpoint.busy)

    def _leave_out(self, endpoint: Endpoint, why: str) -> None:
        endpoint.gone = why
        self.report(f"the server {endpoint.shown} is left out: {why}")

    async def alive(self, endpoint: Endpoint) -> bool:
        """After a lost connection: does the server still answer? Asked once for all requests that lost it."""
        if endpoint.gone is not None:
            return False
        if endpoint.check is None or endpoint.check.done():
            endpoint.check = asyncio.create_task(self._probe(endpoint))
        return await asyncio.shield(endpoint.check)

    async def _probe(self, endpoint: Endpoint) -> bool:
        for wait in PROBES:
            await asyncio.sleep(wait)
            why = endpoint.explain()
            with contextlib.suppress(UserError):  # it answers, but not yet as a completions API
                if why is None and await endpoint.cards() is not None:
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
        """Decode on from the token ids `prompt`. Raises SampleFailed, or UserError when no server is left."""
        tries = 0
        while True:
            endpoint = self.endpoint
            try:
                return await self._ask(endpoint, prompt, max_tokens, stop, seed)
            except errors.ConnectionFault as error:
                if not await self.pool.alive(endpoint):
                    self._move(endpoint)
                    continue
                trouble = error
            except (errors.RateLimited, errors.ServerFault) as error:
                trouble = f"{error} (from {endpoint.shown})"
            tries += 1
            if tries == TRIES:
                raise SampleFailed(f"{trouble} ({TRIES} tries)")
            await asyncio.sleep(0.5 * 2**tries * random.uniform(0.5, 1.0))

    def _move(self, dead: Endpoint) -> None:
        if self.endpoint is dead:  # a sibling thread may have moved already
            self.endpoint = self.pool.least_busy()
            dead.busy -= 1
            self.endpoint.busy += 1

    async def _ask(
        self, endpoint: Endpoint, prompt: Sequence[int], max_tokens: int, stop: str | None, seed: int
    ) -> Completion:
        """Send one request. Its ConnectionFault, RateLimited and ServerFault may pass; the rest is as in `complete`."""
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
        content = json.dumps(body, separators=(",", ":")).encode()
        try:
            data, _ = await endpoint.transport.call("POST", Completions.path, content)
            if inside := error_inside(data):
                raise endpoint.transport.of_status(*inside, {})
            choice = Completions.choice(data)
        except (errors.BadReply, KeyError, IndexError, TypeError):
            raise SampleFailed("the server's reply is not a completion") from None
        except errors.TimedOut:
            raise SampleFailed(f"no reply within --timeout {self.pool.timeout:g} s") from None
        except errors.SampleError as error:
            raise Refused(f"{error} (from {endpoint.shown})") from None
        except errors.Authentication as error:
            raise UserError(
                f"{error.answered} from {endpoint.shown}: generation asks servers that need no key"
            ) from None
        except errors.NoSuchModel as error:
            raise UserError(
                f"{error.answered} from {endpoint.shown}: name the model it serves with --model_name, or its address "
                "with --base-url"
            ) from None
        return read_choice(choice, self.pool.tokenizer, stop, max_tokens)


def _same_model(served: str, asked: str) -> bool:
    """SGLang calls a model by the path or name it was started with, vLLM by its served name."""
    return served == asked or served.rstrip("/").rpartition("/")[2] == asked.rstrip("/").rpartition("/")[2]
