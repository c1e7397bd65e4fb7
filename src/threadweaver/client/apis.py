"""The APIs of model servers. Each is one class: its path, how it writes a request and how it reads a reply.

To add one, write its class and enter it in `APIS`.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, NamedTuple, NoReturn

from threadweaver.client.errors import BadReply, BadRequest, NotAReply, ServerFault, Unreadable
from threadweaver.client.usage import Usage
from threadweaver.corpus import thinking
from threadweaver.ledger.entries import MOST_TOKENS

COMPLETE = frozenset({"stop", "completed", "complete", "end_turn", "stop_sequence", "eos", "eos_token"})
"""How a server says that a reply is whole (compared in lower case). A server that says nothing at all is believed to
send whole replies; any other word, or null, means that it was broken off."""
AT_LIMIT = frozenset({"length", "max_output_tokens", "max_tokens", "model_length"})
REFUSED = frozenset(
    {"content_filter", "refusal", "safety", "recitation", "blocklist", "prohibited_content", "sensitive"}
)
_WORD = re.compile(r"[A-Za-z0-9_.:-]{1,40}")
"""What a finish or a tier may be: a server can send anything, such as the whole of a request's headers."""
_EDGES = "\ufeff\u200b\u2060"
"""Byte-order marks and blanks without width, which some gateways put before a reply."""

MALFORMED = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError)
"""What reading JSON of an unexpected form may raise."""


@dataclass(frozen=True)
class RawReply:
    """A reply as the server sent it. `status`: ok, truncated (at the limit), incomplete, empty, refused; `finish`: the
    server's own word for how it ended. `usage` is None where the server does not count, or counts what cannot be, which
    is a `doubt`; `tier` is the one that it reports. `why`: rejected already, by this code.
    """

    text: str
    status: str
    finish: str
    usage: Usage | None
    tier: str | None
    extra: Mapping[str, Any] | None = None
    doubt: str = ""
    why: str = ""

    @classmethod
    def unreadable(cls, said: str) -> RawReply:
        """Return what is kept of JSON that is not a reply, which may be paid: what was said of it."""
        code = Unreadable.code
        return cls("", "empty", code, None, None, {code: said}, why=code)


class Params(NamedTuple):
    """The parameters that each API names in its own way."""

    max_output_tokens: int
    effort: str | None
    verbosity: str | None
    prompt: str | Sequence[int] | None


class Api(ABC):
    """One way to write a request and to read its reply. An API provides `path`, `fields` and `reply`; `limit` is its
    name for the limit of output tokens.
    """

    path: ClassVar[str]
    limit: ClassVar[str] = "max_tokens"

    def body(
        self,
        model: str,
        messages: Sequence[tuple[str, str]],
        params: Mapping[str, Any],
        service_tier: str | None = None,
    ) -> dict[str, Any]:
        """Return the JSON body of a request; a message is a role and a content.

        A parameter that is not in `Params` is passed on, merged into what is there; one that is None is left out, also
        where the API has its own name for it.
        """
        rest = dict(params)
        known = Params(*(rest.pop(name, None) for name in Params._fields))
        written = [{"role": role, "content": content} for role, content in messages]
        fields = {"model": model, **self.fields(written, known), "service_tier": service_tier or None}
        made = _merged({name: value for name, value in fields.items() if value is not None}, rest)
        return {name: value for name, value in made.items() if value is not None}

    @abstractmethod
    def fields(self, messages: list[dict[str, str]], params: Params) -> dict[str, Any]:
        """Return the fields of the body in this API's vocabulary; what is None is left out."""

    def read(self, data: Any) -> RawReply:
        """Return the reply in a server's JSON.

        Raises BadReply for JSON that is not a reply, ServerFault or BadRequest for a reply that reports a failure.
        """
        try:
            return _checked(self.reply(data), data)
        except MALFORMED as error:
            kind = BadReply if _is_void(data) else NotAReply
            name = type(self).__name__
            raise kind(f"the server's reply is not in the form of the {name} API ({error!r})", billed=True) from error

    @abstractmethod
    def reply(self, data: Mapping[str, Any]) -> RawReply:
        """Return the reply in a JSON object; may raise whatever reading an unexpected shape raises."""

    def status(self, text: str, finish: str, refused: bool) -> str:
        """Return the status of a reply that ended in this way."""
        word = finish.lower()
        if refused or word in REFUSED:
            return "refused"
        if word in AT_LIMIT:
            return "truncated"
        return self.spoken(text, "ok")[1] if word in COMPLETE else "incomplete"

    def spoken(self, text: str, status: str) -> tuple[str, str]:
        """Return what counts of a stored reply, without thinking and the tags around an answer, and its status."""
        reply = thinking.after_thinking(text.lstrip(_EDGES))
        if reply is None:
            return "", "incomplete" if status == "ok" else status
        reply = thinking.unwrap(reply if reply == text else thinking.trim(reply))
        return reply, "empty" if status == "ok" and not reply.strip() else status


class Responses(Api):
    path = "/responses"
    limit = "max_output_tokens"

    def fields(self, messages: list[dict[str, str]], params: Params) -> dict[str, Any]:
        return {
            "input": messages,
            "max_output_tokens": params.max_output_tokens,
            "reasoning": None if params.effort is None else {"effort": params.effort},
            "text": None if params.verbosity is None else {"verbosity": params.verbosity},
        }

    def reply(self, data: Mapping[str, Any]) -> RawReply:
        state = data.get("status", "completed")
        if state in ("failed", "cancelled"):
            _raise_failed(error if isinstance(error := data.get("error"), Mapping) else {})
        messages = _messages(data)
        said = [_said(message) for message in messages]
        details = data.get("incomplete_details") if state == "incomplete" else None
        reason = details.get("reason") if isinstance(details, Mapping) else None
        refused = any(item.refused for item in said)
        cut = next(
            (message["status"] for message in messages if message.get("status", "completed") != "completed"), None
        )
        finish = _word(reason or ("refusal" if refused else cut if state == "completed" and cut else state))
        text = "\n".join(filter(None, (item.text for item in said)))
        status = self.status(text, finish, refused)
        return RawReply(text, status, finish, _usage(data, "input", "output"), _tier(data))


class ChatCompletions(Api):
    path = "/chat/completions"
    limit = "max_completion_tokens"

    def fields(self, messages: list[dict[str, str]], params: Params) -> dict[str, Any]:
        return {
            "messages": messages,
            "max_completion_tokens": params.max_output_tokens,
            "reasoning_effort": params.effort,
            "verbosity": params.verbosity,
        }

    def reply(self, data: Mapping[str, Any]) -> RawReply:
        choice = data["choices"][0]
        said = _said(choice["message"])
        finish = _word(choice.get("finish_reason", "stop"))
        status = self.status(said.text, finish, said.refused)
        return RawReply(said.text, status, finish, _usage(data, "prompt", "completion"), _tier(data))


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
        finish = _word(choice.get("finish_reason", "stop"))
        status = "truncated" if finish in AT_LIMIT else "ok"
        extra = {name: choice[name] for name in self.results if choice.get(name) is not None}
        usage = _usage(data, "prompt", "completion")
        return RawReply(choice["text"], status, finish, usage, _tier(data), extra or None)

    def spoken(self, text: str, status: str) -> tuple[str, str]:
        """Return both as they are: what continues a prompt is all of it wanted."""
        return text, status

    @staticmethod
    def choice(data: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the continuation with all that the server reports of it: token-exact generation reads it itself."""
        return data["choices"][0]


APIS: Mapping[str, Api] = {"responses": Responses(), "chat": ChatCompletions(), "completions": Completions()}
"""By the name that is part of a request, and so of its key in the ledger: a name never changes."""


def _merged(body: dict[str, Any], extra: Mapping[str, Any]) -> dict[str, Any]:
    """Return `body` with `extra` in it, objects into objects: {"text": {"format": …}} keeps the verbosity beside it.
    None removes what is there.
    """
    out = dict(body)
    for name, value in extra.items():
        inner = out.get(name)
        if isinstance(value, Mapping) and isinstance(inner, Mapping):
            value = _merged(inner, value) or None
        if value is None and name in out:
            del out[name]
        else:
            out[name] = value
    return out


def _raise_failed(error: Mapping[str, Any]) -> NoReturn:
    code = str(error.get("code") or "failed")
    message = f"the model's answer failed: {code} {error.get('message') or ''}".strip()
    if code in ("server_error", "rate_limit_exceeded", "vector_store_timeout", "failed"):
        raise ServerFault(message)
    raise BadRequest(message)


def _checked(raw: RawReply, data: Mapping[str, Any]) -> RawReply:
    """Return a reply that the ledger can keep. Raises ValueError for one that it cannot."""
    if not isinstance(raw.text, str) or not isinstance(raw.finish, str):
        raise ValueError("its text or its end is not a text")
    if raw.usage is None and data.get("usage"):
        return replace(raw, doubt="the server's count of tokens cannot be read")
    return raw


def _is_void(data: Any) -> bool:
    """Return whether this is only a frame without a reply, as overloaded servers send it: nothing was paid."""
    frame = isinstance(data, Mapping) and not data.get("usage")
    return frame and any(name in data and not data[name] for name in ("choices", "output"))


class _Said(NamedTuple):
    text: str
    refused: bool


def _said(message: Mapping[str, Any]) -> _Said:
    """Return the text of a message without the thinking beside it; a refusal where there is no text."""
    parts = message.get("content")
    refusals = [message.get("refusal")]
    if isinstance(parts, Sequence) and not isinstance(parts, str):
        refusals += [part.get("refusal") for part in parts if isinstance(part, Mapping)]
    refusal = "\n".join(text for text in refusals if isinstance(text, str) and text)
    return _Said(thinking.read_turn(message).text or refusal, bool(refusal))


def _messages(data: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the assistant's messages of a response: the final ones, where it tells them from its remarks on the way."""
    items = data["output"]
    if not isinstance(items, Sequence) or isinstance(items, str):
        raise TypeError("the output is not a list")
    messages = [
        item
        for item in items
        if isinstance(item, Mapping)
        and item.get("type", "message") == "message"
        and item.get("role", "assistant") == "assistant"
    ]
    return [message for message in messages if message.get("phase") == "final_answer"] or messages


def _word(value: Any) -> str:
    """Return a server's word for something; "none" for null, "other" for what is not a word."""
    if value is None or value == "":
        return "none"
    return value if isinstance(value, str) and _WORD.fullmatch(value) else "other"


def _tier(data: Mapping[str, Any]) -> str | None:
    tier = data.get("service_tier")
    return None if tier is None else _word(tier)


def _usage(data: Mapping[str, Any], came_in: str, went_out: str) -> Usage | None:
    """Return what a server counted, None where it counted nothing or one of its counts cannot be.

    Servers other than OpenAI's send null for the details, or nothing at all.
    """
    usage = data.get("usage")
    if not isinstance(usage, Mapping) or all(usage.get(f"{side}_tokens") is None for side in (came_in, went_out)):
        return None
    n_in, n_out = (_count(usage.get(f"{side}_tokens")) for side in (came_in, went_out))
    if n_in is None or n_out is None:
        return None
    cached, reasoning = (
        _count(details.get(name)) if isinstance(details := usage.get(f"{side}_tokens_details"), Mapping) else 0
        for side, name in ((came_in, "cached_tokens"), (went_out, "reasoning_tokens"))
    )
    return Usage(n_in, min(cached or 0, n_in), n_out, min(reasoning or 0, n_out))


def _count(value: Any) -> int | None:
    """Return a number of tokens, 0 for null; None for what is not one."""
    if value is None:
        return 0
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= MOST_TOKENS:
        return None
    return int(value) if value == int(value) else None
