"""What is asked and what comes back: requests with their keys, and how each API writes them."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from threadweaver.ledger import LedgerEntry, canonical, key_of

PATHS = {"responses": "/responses", "chat": "/chat/completions", "completions": "/completions"}


class Message(NamedTuple):
    role: str
    content: str


@dataclass(frozen=True)
class Request:
    """One call, described by what decides its reply and nothing else.

    `params` uses one vocabulary for all APIs: `max_output_tokens` (demanded), `effort`, `verbosity`; any
    other name goes to the server as it is. For `completions`, `params["prompt"]` (text or token ids) may
    stand in for messages. Not part of it: the endpoint (the same model elsewhere is the same request: use
    another ledger for another model of the same name), the service tier, the key, file and stage names.
    `attempt` tells a new try of a rejected reply from the first one, and is not sent.
    """

    api: str
    model: str
    messages: tuple[Message, ...]
    params: Mapping[str, Any] = field(default_factory=dict, hash=False)
    attempt: int = 0

    def __post_init__(self) -> None:
        if self.api not in PATHS:
            raise ValueError(f"api {self.api!r} is none of {', '.join(PATHS)}")
        if not isinstance(self.params.get("max_output_tokens"), int):
            raise ValueError("a request must set max_output_tokens")

    @property
    def described(self) -> dict[str, Any]:
        return {
            "api": self.api,
            "model": self.model,
            "params": dict(self.params),
            "attempt": self.attempt,
            "messages": [[message[0], message[1]] for message in self.messages],
        }

    @functools.cached_property
    def canonical(self) -> str:
        return canonical(self.described)

    @functools.cached_property
    def key(self) -> str:
        """sha256 in hex of the canonical JSON."""
        return key_of(self.canonical)

    @property
    def turn(self) -> int:
        """1 for the first turn of a conversation, 2 for the next."""
        return 1 + sum(message[0] == "assistant" for message in self.messages)

    @functools.cached_property
    def bytes(self) -> int:
        """UTF-8 bytes of what the model is shown; a byte-level tokenizer makes no more tokens of it than
        that.
        """
        prompt = self.params.get("prompt")
        extra = len(prompt.encode("utf-8", "surrogatepass")) if isinstance(prompt, str) else len(prompt or ())
        return extra + sum(len(message[1].encode("utf-8", "surrogatepass")) for message in self.messages)

    def at(self, attempt: int) -> Request:
        return self if attempt == self.attempt else replace(self, attempt=attempt)

    @classmethod
    def parse(cls, text: str) -> Request:
        """From canonical JSON."""
        import json

        made = json.loads(text)
        messages = tuple(Message(*message) for message in made["messages"])
        return cls(made["api"], made["model"], messages, made["params"], made["attempt"])


def conversation(turns: Iterable[tuple[str, str]]) -> tuple[Message, ...]:
    return tuple(Message(role, content) for role, content in turns)


@dataclass(frozen=True)
class Usage:
    """Tokens. `cached` is part of `input`, `reasoning` is part of `output`."""

    input: int = 0
    cached: int = 0
    output: int = 0
    reasoning: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.input + other.input,
            self.cached + other.cached,
            self.output + other.output,
            self.reasoning + other.reasoning,
        )


@dataclass(frozen=True)
class Reply:
    """A reply as the model gave it. `status`: ok, truncated, empty, refused.

    `verdict` and `why` are what an earlier judgement said (None: not judged yet); a reply that is not ok
    comes rejected with its status as the reason. `cost` in USD (None: no price known). `extra` has what
    only a Completions server says: the stop string that matched, and token ids if they were asked for.
    """

    text: str
    status: str
    usage: Usage
    cost: float | None
    from_ledger: bool
    finish: str
    key: str = ""
    attempt: int = 0
    verdict: str | None = None
    why: str | None = None
    extra: Mapping[str, Any] | None = None

    @property
    def rejected(self) -> bool:
        return self.verdict == "rejected"


def reply_of(record: LedgerEntry, *, from_ledger: bool) -> Reply:
    usage = Usage(record.input, record.cached, record.output, record.reasoning)
    cost = None if record.cost is None else record.cost / 1e9
    return Reply(
        record.reply,
        record.status,
        usage,
        cost,
        from_ledger,
        record.finish,
        record.key,
        record.attempt,
        record.verdict,
        record.why,
        record.extra,
    )


def body_of(request: Request, service_tier: str | None = None) -> dict[str, Any]:
    """The JSON that the API wants. A parameter that is None is left out (`--extra-body '{"verbosity":
    null}'`).
    """
    rest = {name: value for name, value in request.params.items() if value is not None}
    limit, effort, verbosity = (rest.pop("max_output_tokens"), rest.pop("effort", None), rest.pop("verbosity", None))
    prompt = rest.pop("prompt", None)
    messages = [{"role": message[0], "content": message[1]} for message in request.messages]
    body: dict[str, Any] = {"model": request.model}
    if request.api == "responses":
        body |= {"input": messages, "max_output_tokens": limit}
        if effort is not None:
            body["reasoning"] = {"effort": effort}
        if verbosity is not None:
            body["text"] = {"verbosity": verbosity}
    elif request.api == "chat":
        body |= {"messages": messages, "max_completion_tokens": limit}
        body |= {
            name: value for name, value in (("reasoning_effort", effort), ("verbosity", verbosity)) if value is not None
        }
    else:
        body |= {
            "prompt": prompt if prompt is not None else "".join(m[1] for m in request.messages),
            "max_tokens": limit,
        }
    if service_tier:
        body["service_tier"] = service_tier
    return _merged(body, rest)


def _merged(body: dict[str, Any], extra: Mapping[str, Any]) -> dict[str, Any]:
    """`extra` over `body`, objects into objects: {"text": {"format": …}} keeps the verbosity beside it."""
    out = dict(body)
    for name, value in extra.items():
        both = isinstance(value, Mapping) and isinstance(out.get(name), Mapping)
        out[name] = _merged(out[name], value) if both else value
    return out
