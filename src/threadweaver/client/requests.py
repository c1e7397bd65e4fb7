"""What is asked and what comes back: requests with their keys, and replies."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from threadweaver.client import bounds, errors
from threadweaver.client.apis import APIS, Api, Params
from threadweaver.client.usage import Usage
from threadweaver.ledger import LedgerEntry, canonical, key_of


class Message(NamedTuple):
    role: str
    content: str


@dataclass(frozen=True)
class Request:
    """One call, described by what decides its reply and nothing else.

    `api` is a name in `APIS`. `params` uses one vocabulary for all APIs: `max_output_tokens` (required), `effort`,
    `verbosity`; any other name goes to the server as it is. For `completions`, `params["prompt"]` (text or token ids)
    may replace the messages. Not part of a request: the endpoint (the same model elsewhere is the same request: use
    another ledger for another model of the same name), the service tier, the key, file and stage names. `attempt`
    distinguishes a new try after a rejected reply from the first one, and is not sent.
    """

    api: str
    model: str
    messages: tuple[Message, ...]
    params: Mapping[str, Any] = field(default_factory=dict, hash=False)
    attempt: int = 0

    def __post_init__(self) -> None:
        if self.api not in APIS:
            raise ValueError(f"api {self.api!r} is none of {', '.join(APIS)}")
        if not isinstance(self.params.get("max_output_tokens"), int):
            raise ValueError("a request must set max_output_tokens")

    @property
    def described(self) -> dict[str, Any]:
        return {
            "api": self.api,
            "model": self.model,
            "params": dict(self.params),
            "attempt": self.attempt,
            "messages": [[role, content] for role, content in self.messages],
        }

    @functools.cached_property
    def canonical(self) -> str:
        return canonical(self.described)

    @functools.cached_property
    def key(self) -> str:
        """sha256 in hex of the canonical JSON."""
        return key_of(self.canonical)

    @property
    def wire(self) -> Api:
        """How this request is written and its reply is read."""
        return APIS[self.api]

    def body(self, service_tier: str | None = None) -> dict[str, Any]:
        """Return the JSON that is sent."""
        return self.wire.body(self.model, self.messages, self.params, service_tier)

    @property
    def turn(self) -> int:
        """1 for the first turn of a conversation, 2 for the next."""
        return 1 + sum(role == "assistant" for role, _ in self.messages)

    @functools.cached_property
    def bytes(self) -> int:
        """UTF-8 bytes of what the model is shown; a byte-level tokenizer makes at most as many tokens of it."""
        prompt = self.params.get("prompt")
        extra = len(prompt.encode("utf-8", "surrogatepass")) if isinstance(prompt, str) else len(prompt or ())
        return extra + sum(len(content.encode("utf-8", "surrogatepass")) for _, content in self.messages)

    @functools.cached_property
    def characters(self) -> int:
        """Characters of what the model is shown, as far as it is text."""
        prompt = self.params.get("prompt")
        return (len(prompt) if isinstance(prompt, str) else 0) + sum(len(content) for _, content in self.messages)

    @functools.cached_property
    def most_input(self) -> int:
        """The most tokens that a byte-level tokenizer makes of it."""
        return self.bytes + bounds.ENVELOPE_TOKENS + 8 * len(self.messages) + bounds.size_of(self._passed_on)

    @functools.cached_property
    def most_output(self) -> int:
        """The most output tokens that its parameters allow."""
        return bounds.most_output({"max_output_tokens": self.params["max_output_tokens"], **self._passed_on})

    @functools.cached_property
    def _passed_on(self) -> Mapping[str, Any]:
        return {name: value for name, value in self.params.items() if name not in Params._fields}

    def at(self, attempt: int) -> Request:
        return self if attempt == self.attempt else replace(self, attempt=attempt)

    @classmethod
    def parse(cls, text: str) -> Request:
        """Return the request of a canonical JSON."""
        made = json.loads(text)
        messages = tuple(Message(*message) for message in made["messages"])
        return cls(made["api"], made["model"], messages, made["params"], made["attempt"])


@dataclass(frozen=True)
class Reply:
    """What counts of a model's reply: no thinking. `status`: ok, truncated, incomplete, empty, refused.

    `verdict` and `why` are what an earlier judgement said (None: not judged yet); a reply that is not ok comes rejected
    with its status as the reason. `cost` in USD (None: no price known). `extra` has what only a Completions server
    reports: the stop string that matched, and token ids if they were asked for.
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
    recorded: bool = False
    """It was imported: somebody else's run paid for it, or nobody did."""

    @property
    def rejected(self) -> bool:
        return self.verdict == "rejected"


def fault_of(reply: Reply) -> errors.SampleError | None:
    """Return why nobody should read a reply that is paid and stored; None for one that can be read."""
    if reply.why == errors.PromptCut.code:
        return errors.PromptCut(
            f"the server saw {reply.usage.input:,} tokens of a longer prompt: raise its context (num_ctx of Ollama) and "
            "run again with --retry-failed"
        )
    if reply.why == errors.Unreadable.code:
        said = (reply.extra or {}).get("unreadable", "the server's reply cannot be read")
        return errors.Unreadable(f"{said} (it may be paid; --retry-failed asks again)")
    return None


def reply_of(entry: LedgerEntry, *, from_ledger: bool) -> Reply:
    """Return the reply of an entry; the ledger holds it as it came, thinking included."""
    text, status = APIS[entry.api].spoken(entry.reply, entry.status)
    return Reply(
        text,
        status,
        Usage(entry.input, entry.cached, entry.output, entry.reasoning),
        None if entry.cost is None else entry.cost / 1e9,
        from_ledger,
        entry.finish,
        entry.key,
        entry.attempt,
        entry.verdict,
        entry.why,
        entry.extra,
        entry.imported,
    )
