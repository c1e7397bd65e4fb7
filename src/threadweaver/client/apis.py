"""Reading what a server answered: text, how it ended, tokens."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from threadweaver.client.errors import BadReply, BadRequest, ServerFault
from threadweaver.client.requests import Usage

RESULTS_OF_COMPLETIONS = ("matched_stop", "stop_reason", "token_ids", "prompt_token_ids")


@dataclass(frozen=True)
class RawReply:
    """A 200 that is a reply. `usage` is None where the server does not count; `tier` is what it
    says it used.
    """

    text: str
    status: str
    finish: str
    usage: Usage | None
    tier: str | None
    extra: Mapping[str, Any] | None = None


def read_reply(api: str, data: Any) -> RawReply:
    """Raises BadReply for JSON that is no reply, ServerFault and BadRequest for a Responses object that
    failed.
    """
    if not isinstance(data, Mapping):
        raise BadReply("the server's reply is not a JSON object", billed=True)
    try:
        return {"responses": _responses, "chat": _chat, "completions": _completions}[api](data)
    except (KeyError, TypeError, IndexError, AttributeError) as error:
        raise BadReply(f"the server's reply has not the form of the {api} API ({error!r})", billed=True) from error


def _responses(data: Mapping[str, Any]) -> RawReply:
    state = data.get("status") or "completed"
    if state in ("failed", "cancelled"):
        _raise_failed(data.get("error") or {})
    texts, refusals = [], []
    for item in data["output"]:
        if item.get("type") == "message":
            for part in item.get("content") or ():
                if part.get("type") == "output_text":
                    texts.append(part.get("text") or "")
                elif part.get("type") == "refusal":
                    refusals.append(part.get("refusal") or "")
    reason = (data.get("incomplete_details") or {}).get("reason") if state == "incomplete" else None
    finish = reason or ("refusal" if refusals else state)
    text = "".join(texts) or "".join(refusals)
    return RawReply(
        text, _status(text, finish, bool(refusals)), finish, _usage(data, "input", "output"), data.get("service_tier")
    )


def _raise_failed(error: Mapping[str, Any]) -> None:
    code = str(error.get("code") or "failed")
    message = f"the model's answer failed: {code} {error.get('message') or ''}".strip()
    if code in ("server_error", "rate_limit_exceeded", "vector_store_timeout", "failed"):
        raise ServerFault(message)
    raise BadRequest(message)


def _chat(data: Mapping[str, Any]) -> RawReply:
    choice = data["choices"][0]
    message = choice["message"]
    refusal = message.get("refusal")
    text = message.get("content") or refusal or ""
    finish = choice.get("finish_reason") or "stop"
    return RawReply(
        text,
        _status(text, finish, bool(refusal)),
        finish,
        _usage(data, "prompt", "completion"),
        data.get("service_tier"),
    )


def _completions(data: Mapping[str, Any]) -> RawReply:
    choice = data["choices"][0]
    finish = choice.get("finish_reason") or "stop"
    extra = {name: choice[name] for name in RESULTS_OF_COMPLETIONS if choice.get(name) is not None}
    status = "truncated" if finish == "length" else "ok"
    return RawReply(
        choice["text"], status, finish, _usage(data, "prompt", "completion"), data.get("service_tier"), extra or None
    )


def _status(text: str, finish: str, refused: bool) -> str:
    if refused or finish == "content_filter":
        return "refused"
    if finish in ("length", "max_output_tokens", "max_tokens"):
        return "truncated"
    return "ok" if text.strip() else "empty"


def _usage(data: Mapping[str, Any], came_in: str, went_out: str) -> Usage | None:
    """Servers other than OpenAI send null for the details, or nothing at all."""
    usage = data.get("usage")
    if not usage:
        return None

    def count(holder: Any, name: str) -> int:
        return int((holder or {}).get(name) or 0)

    n_in, n_out = count(usage, f"{came_in}_tokens"), count(usage, f"{went_out}_tokens")
    cached = count(usage.get(f"{came_in}_tokens_details"), "cached_tokens")
    reasoning = count(usage.get(f"{went_out}_tokens_details"), "reasoning_tokens")
    return Usage(n_in, min(cached, n_in), n_out, min(reasoning, n_out))
