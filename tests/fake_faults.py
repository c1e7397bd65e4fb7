"""Faults of the local model server: in the transport, and in the model's replies."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aiohttp import web

if TYPE_CHECKING:
    from fake_openai import FakeOpenAI

TRANSPORT = ("429", "429_bare", "500", "503", "reset", "hang", "not_json")
REPLIES = ("truncated", "empty", "refused", "raw_latex", "code_fence", "missing_number", "extra_prose")
ALL = (*TRANSPORT, "slow", *REPLIES)


async def break_transport(server: FakeOpenAI, mode: str, request: web.Request) -> web.StreamResponse:
    """Cause one of the faults in `TRANSPORT`: the model does not reply, and nothing is billed."""
    if mode == "429":
        wait = {"retry-after-ms": str(int(server.retry_after * 1000)), "retry-after": str(int(server.retry_after) + 1)}
        return server.error(429, "Rate limit reached", "rate_limit_exceeded", wait)
    if mode == "429_bare":
        return server.error(429, "Too many requests", None)
    if mode in ("500", "503"):
        return server.error(int(mode), "The server had an error", "server_error")
    if mode == "not_json":
        server.count_status(200)
        return web.Response(text="<html><body>Bad gateway", content_type="text/html")
    if mode == "hang":
        await asyncio.sleep(3600)
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


@dataclass(frozen=True)
class Made:
    """A reply of the model: its text, how it ended, and its tokens (`reasoning` is part of `tokens`)."""

    text: str
    finish: str  # "stop", "length", "refusal"
    tokens: int
    reasoning: int = 8


def shape(text: str, mode: str | None, limit: int | None, count: Callable[[str], int]) -> Made:
    """Return the answer after the fault of this mode; truncated at `limit` output tokens in any mode."""
    finish = "stop"
    if mode == "truncated":
        text, finish = text[: len(text) // 2], "length"
    elif mode == "empty":
        text = ""
    elif mode == "refused":
        text, finish = "I'm sorry, I can't help with that.", "refusal"
    elif mode == "raw_latex":
        text = text.replace("\\\\", "\\")
    elif mode == "code_fence":
        text = f"```json\n{text}\n```"
    elif mode == "missing_number":
        text = re.sub(r"\d+", "", text, count=1)
    elif mode == "extra_prose":
        text = f"Sure, here it is:\n\n{text}\n\nLet me know if you need more."
    tokens = count(text) + 8
    if limit is not None and tokens > limit:
        text, finish, tokens = text[: max(0, limit - 8) * 4], "length", limit
    return Made(text, finish, tokens, min(8, tokens))


def output_limit(api: str, body: Mapping[str, Any]) -> int | None:
    names = {"responses": ("max_output_tokens",), "chat": ("max_completion_tokens", "max_tokens")}.get(
        api, ("max_tokens",)
    )
    for name in names:
        if body.get(name) is not None:
            return int(body[name])
    return None


def envelope(api: str, model: str, made: Made, usage: Mapping[str, int], ident: str) -> dict[str, Any]:
    """Return the reply as JSON of the API."""
    return {"responses": _responses, "chat": _chat, "completions": _completions}[api](model, made, usage, ident)


def _responses(model: str, made: Made, usage: Mapping[str, int], ident: str) -> dict[str, Any]:
    kind = (
        {"type": "refusal", "refusal": made.text}
        if made.finish == "refusal"
        else {"type": "output_text", "text": made.text, "annotations": []}
    )
    message = {"type": "message", "id": f"msg_{ident}", "role": "assistant", "status": "completed", "content": [kind]}
    cut = made.finish == "length"
    return {
        "id": f"resp_{ident}",
        "object": "response",
        "model": model,
        "status": "incomplete" if cut else "completed",
        "incomplete_details": {"reason": "max_output_tokens"} if cut else None,
        "error": None,
        "output": [{"type": "reasoning", "id": f"rs_{ident}", "summary": []}, message],
        "usage": {
            "input_tokens": usage["input"],
            "input_tokens_details": {"cached_tokens": usage["cached"]},
            "output_tokens": usage["output"],
            "output_tokens_details": {"reasoning_tokens": usage["reasoning"]},
            "total_tokens": usage["input"] + usage["output"],
        },
    }


def _chat(model: str, made: Made, usage: Mapping[str, int], ident: str) -> dict[str, Any]:
    refused = made.finish == "refusal"
    message = {
        "role": "assistant",
        "content": None if refused else made.text,
        "refusal": made.text if refused else None,
    }
    return {
        "id": f"chatcmpl-{ident}",
        "object": "chat.completion",
        "model": model,
        "choices": [{"index": 0, "message": message, "finish_reason": "stop" if refused else made.finish}],
        "usage": {
            "prompt_tokens": usage["input"],
            "completion_tokens": usage["output"],
            "total_tokens": usage["input"] + usage["output"],
            "prompt_tokens_details": {"cached_tokens": usage["cached"]},
            "completion_tokens_details": {"reasoning_tokens": usage["reasoning"]},
        },
    }


def _completions(model: str, made: Made, usage: Mapping[str, int], ident: str) -> dict[str, Any]:
    # as SGLang and vLLM answer: null where OpenAI has details
    return {
        "id": f"cmpl-{ident}",
        "object": "text_completion",
        "model": model,
        "choices": [{"index": 0, "text": made.text, "finish_reason": made.finish, "matched_stop": None}],
        "usage": {
            "prompt_tokens": usage["input"],
            "completion_tokens": usage["output"],
            "total_tokens": usage["input"] + usage["output"],
            "prompt_tokens_details": None,
            "completion_tokens_details": None,
        },
    }
