"""The APIs of model servers. Each is one class: its path, how it writes a request and how it reads a reply.

To add one, write its class and enter it in `APIS`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass
from typing import Any, ClassVar, NamedTuple, NoReturn

from threadweaver.client.errors import BadReply, BadRequest, ServerFault
from threadweaver.client.usage import Usage
from threadweaver.ledger.entries import MOST_TOKENS

MALFORMED = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError)
"""What reading JSON of an unexpected form may raise."""


@dataclass(frozen=True)
class RawReply:
    """A reply as the server sent it. `status`: ok, truncated, empty, refused; `finish`: the server's own word for how
    it ended. `usage` is None where the server does not count; `tier` is the one that it reports.
    """

    text: str
    status: str
    finish: str
    usage: Usage | None
    tier: str | None
    extra: Mapping[str, Any] | None = None


class Params(NamedTuple):
    """The parameters that each API names in its own way."""

    max_output_tokens: int
    effort: str | None
    verbosity: str | None
    prompt: str | Sequence[int] | None


class Api(ABC):
    """One way to write a request and to read its reply. An API provides `path`, `fields` and `reply`."""

    path: ClassVar[str]

    def body(
        self,
        model: str,
        messages: Sequence[tuple[str, str]],
        params: Mapping[str, Any],
        service_tier: str | None = None,
    ) -> dict[str, Any]:
        """Return the JSON body of a request; a message is a role and a content.

        A parameter that is None is left out; one that is not in `Params` is passed on, merged into what is there.
        """
        rest = {name: value for name, value in params.items() if value is not None}
        known = Params(*(rest.pop(name, None) for name in Params._fields))
        written = [{"role": role, "content": content} for role, content in messages]
        fields = {"model": model, **self.fields(written, known), "service_tier": service_tier or None}
        return _merged({name: value for name, value in fields.items() if value is not None}, rest)

    @abstractmethod
    def fields(self, messages: list[dict[str, str]], params: Params) -> dict[str, Any]:
        """Return the fields of the body in this API's vocabulary; what is None is left out."""

    def read(self, data: Any) -> RawReply:
        """Return the reply in a server's JSON.

        Raises BadReply for JSON that is not a reply, ServerFault or BadRequest for a reply that reports a failure.
        """
        if not isinstance(data, Mapping):
            raise BadReply("the server's reply is not a JSON object", billed=True)
        try:
            return _checked(self.reply(data))
        except MALFORMED as error:
            name = type(self).__name__
            raise BadReply(
                f"the server's reply is not in the form of the {name} API ({error!r})", billed=True
            ) from error

    @abstractmethod
    def reply(self, data: Mapping[str, Any]) -> RawReply:
        """Return the reply in a JSON object; may raise whatever reading an unexpected shape raises."""


class Responses(Api):
    path = "/responses"

    def fields(self, messages: list[dict[str, str]], params: Params) -> dict[str, Any]:
        return {
            "input": messages,
            "max_output_tokens": params.max_output_tokens,
            "reasoning": None if params.effort is None else {"effort": params.effort},
            "text": None if params.verbosity is None else {"verbosity": params.verbosity},
        }

    def reply(self, data: Mapping[str, Any]) -> RawReply:
        state = data.get("status") or "completed"
        if state in ("failed", "cancelled"):
            _raise_failed(data.get("error") or {})
        parts = [part for item in data["output"] if item.get("type") == "message" for part in item.get("content") or ()]
        texts = [part.get("text") or "" for part in parts if part.get("type") == "output_text"]
        refusals = [part.get("refusal") or "" for part in parts if part.get("type") == "refusal"]
        reason = (data.get("incomplete_details") or {}).get("reason") if state == "incomplete" else None
        finish = reason or ("refusal" if refusals else state)
        text = "".join(texts) or "".join(refusals)
        status = _status(text, finish, bool(refusals))
        return RawReply(text, status, finish, _usage(data, "input", "output"), data.get("service_tier"))


class ChatCompletions(Api):
    path = "/chat/completions"

    def fields(self, messages: list[dict[str, str]], params: Params) -> dict[str, Any]:
        return {
            "messages": messages,
            "max_completion_tokens": params.max_output_tokens,
            "reasoning_effort": params.effort,
            "verbosity": params.verbosity,
        }

    def reply(self, data: Mapping[str, Any]) -> RawReply:
        choice = data["choices"][0]
        message = choice["message"]
        refusal = message.get("refusal")
        text = message.get("content") or refusal or ""
        finish = choice.get("finish_reason") or "stop"
        status = _status(text, finish, bool(refusal))
        return RawReply(text, status, finish, _usage(data, "prompt", "completion"), data.get("service_tier"))


class Completions(Api):
    """A prompt, as text or token ids, is continued; without one, the messages' contents are the prompt. A reply may
    end in any way, and be empty."""

    path = "/completions"
    results: ClassVar = ("matched_stop", "stop_reason", "token_ids", "prompt_token_ids")
    """Fields of a choice that servers of this API add and that are kept with the reply."""

    def fields(self, messages: list[dict[str, str]], params: Params) -> dict[str, Any]:
        text = "".join(message["content"] for message in messages) if params.prompt is None else params.prompt
        return {"prompt": text, "max_tokens": params.max_output_tokens}

    def reply(self, data: Mapping[str, Any]) -> RawReply:
        choice = self.choice(data)
        finish = choice.get("finish_reason") or "stop"
        status = "truncated" if finish == "length" else "ok"
        extra = {name: choice[name] for name in self.results if choice.get(name) is not None}
        usage = _usage(data, "prompt", "completion")
        return RawReply(choice["text"], status, finish, usage, data.get("service_tier"), extra or None)

    @staticmethod
    def choice(data: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the continuation with all that the server reports of it: token-exact generation reads it itself."""
        return data["choices"][0]


APIS: Mapping[str, Api] = {"responses": Responses(), "chat": ChatCompletions(), "completions": Completions()}
"""By the name that is part of a request, and so of its key in the ledger: a name never changes."""


def _merged(body: dict[str, Any], extra: Mapping[str, Any]) -> dict[str, Any]:
    """Return `body` with `extra` in it, objects into objects: {"text": {"format": …}} keeps the verbosity beside it."""
    out = dict(body)
    for name, value in extra.items():
        both = isinstance(value, Mapping) and isinstance(out.get(name), Mapping)
        out[name] = _merged(out[name], value) if both else value
    return out


def _raise_failed(error: Mapping[str, Any]) -> NoReturn:
    code = str(error.get("code") or "failed")
    message = f"the model's answer failed: {code} {error.get('message') or ''}".strip()
    if code in ("server_error", "rate_limit_exceeded", "vector_store_timeout", "failed"):
        raise ServerFault(message)
    raise BadRequest(message)


def _checked(raw: RawReply) -> RawReply:
    """Return a reply that the ledger can keep. Raises ValueError for one that it cannot."""
    counts = () if raw.usage is None else astuple(raw.usage)
    if not isinstance(raw.text, str) or not isinstance(raw.finish, str):
        raise ValueError("its text or its end is not a text")
    f"{raw.finish} {raw.tier}".encode()  # SQLite accepts no lone surrogates here
    if not all(0 <= count <= MOST_TOKENS for count in counts):
        raise ValueError("its tokens are not counted")
    return raw


def _status(text: str, finish: str, refused: bool) -> str:
    if refused or finish == "content_filter":
        return "refused"
    if finish in ("length", "max_output_tokens", "max_tokens"):
        return "truncated"
    return "ok" if text.strip() else "empty"


def _usage(data: Mapping[str, Any], came_in: str, went_out: str) -> Usage | None:
    """Servers other than OpenAI's send null for the details, or nothing at all."""
    usage = data.get("usage")
    if not usage:
        return None

    def count(holder: Any, name: str) -> int:
        return int((holder or {}).get(name) or 0)

    n_in, n_out = count(usage, f"{came_in}_tokens"), count(usage, f"{went_out}_tokens")
    cached = count(usage.get(f"{came_in}_tokens_details"), "cached_tokens")
    reasoning = count(usage.get(f"{went_out}_tokens_details"), "reasoning_tokens")
    return Usage(n_in, min(cached, n_in), n_out, min(reasoning, n_out))
