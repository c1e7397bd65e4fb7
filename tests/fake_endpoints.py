"""Disguises of the local model server: how other endpoints refuse, stream, think aloud and cut.

A disguise may refuse a request before anything is billed, and gives the reply of the plain server its own form.
By hand: python tests/fake_openai.py --port 8100 --disguise mistral
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from aiohttp import web

Json = dict[str, Any]
NOT_FOUND = 404, {"detail": "Not Found"}
DRAFT = 'Let me see. [{"src": "a draft", "dest": "no reply"}] 1: a draft. S1: a draft (L1-L2)'
"""Thinking that looks like a reply to every prompt."""


class Disguise:
    """A plain server. `seen` counts the requests."""

    def __init__(self) -> None:
        self.seen = 0

    def refuse(self, api: str, body: Mapping[str, Any]) -> tuple[int, Any] | web.StreamResponse | None:
        """Return the status and the JSON of a refusal, or the whole of it; None to answer."""
        return None

    def dress(self, api: str, body: Mapping[str, Any], reply: Json) -> Json | web.StreamResponse:
        """Return a reply in this endpoint's form."""
        return reply


class ChatOnly(Disguise):
    def refuse(self, api: str, body: Mapping[str, Any]) -> tuple[int, Any] | None:
        self.seen += 1
        return None if api == "chat" else NOT_FOUND


class Vllm(ChatOnly):
    """No reasoning parser: the thinking is in the content, without its opening tag, which the template wrote."""

    def dress(self, api: str, body: Mapping[str, Any], reply: Json) -> Json:
        choice = reply["choices"][0]
        choice["message"] |= {
            "content": f"{DRAFT}\n</think>\n\n{choice['message']['content']}",
            "refusal": None,
            "reasoning_content": None,
            "tool_calls": [],
        }
        choice |= {"logprobs": None, "stop_reason": None}
        reply["usage"] |= {"prompt_tokens_details": None, "completion_tokens_details": None}
        return reply | {"prompt_logprobs": None, "kv_transfer_params": None, "service_tier": None}


class Mistral(ChatOnly):
    """Refuses what it does not know, thinks in a part of the content, and limits requests."""

    def refuse(self, api: str, body: Mapping[str, Any]) -> tuple[int, Any] | None:
        if refused := super().refuse(api, body):
            return refused
        unknown = [name for name in ("max_completion_tokens", "reasoning_effort", "verbosity") if name in body]
        if unknown:
            what = {"type": "extra_forbidden", "msg": "Extra inputs are not permitted"}
            detail = [{**what, "loc": ["body", name], "input": body[name]} for name in unknown]
            return 422, {"object": "error", "message": {"detail": detail}, "type": "invalid_request_error"}
        if self.seen % 9 == 5:
            limited = {"message": "Requests rate limit exceeded", "type": "rate_limited", "code": "1300"}
            return 429, {"object": "error", **limited}
        return None

    def dress(self, api: str, body: Mapping[str, Any], reply: Json) -> Json:
        message = reply["choices"][0]["message"]
        thinking = {"type": "thinking", "thinking": [{"type": "text", "text": DRAFT}]}
        message["content"] = [thinking, {"type": "text", "text": message["content"]}]
        return reply


class Gemini(ChatOnly):
    """Errors are lists, and a limit per minute is worded as a quota."""

    def refuse(self, api: str, body: Mapping[str, Any]) -> tuple[int, Any] | None:
        if refused := super().refuse(api, body):
            return refused
        if "verbosity" in body or "reasoning_effort" in body:
            name = "verbosity" if "verbosity" in body else "reasoning_effort"
            said = f'Invalid JSON payload received. Unknown name "{name}": Cannot find field.'
            violation = {
                "@type": "type.googleapis.com/google.rpc.BadRequest",
                "fieldViolations": [{"description": said}],
            }
            return 400, [
                {"error": {"code": 400, "message": said, "status": "INVALID_ARGUMENT", "details": [violation]}}
            ]
        if self.seen % 11 == 7:
            said = (
                "You exceeded your current quota, please check your plan and billing details. \n* Quota exceeded for "
                "metric: generate_content_free_tier_requests, limit: 10\nPlease retry in 0.1s."
            )
            info = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "0.1s"}
            return 429, [{"error": {"code": 429, "message": said, "status": "RESOURCE_EXHAUSTED", "details": [info]}}]
        return None

    def dress(self, api: str, body: Mapping[str, Any], reply: Json) -> Json:
        message = reply["choices"][0]["message"]
        message["extra_content"] = {"google": {"thought_signature": "c2lnbmF0dXJl"}}
        names = ("prompt_tokens", "completion_tokens", "total_tokens")
        return reply | {"usage": {name: reply["usage"][name] for name in names}}


class Ollama(ChatOnly):
    """A prompt above the context is cut without a word; only the count of its tokens shows it."""

    context = 1024

    def dress(self, api: str, body: Mapping[str, Any], reply: Json) -> Json:
        reply["usage"]["prompt_tokens"] = min(self.context, reply["usage"]["prompt_tokens"])
        return reply | {"system_fingerprint": "fp_ollama"}


class Streaming(ChatOnly):
    """Answers only as a stream, in pieces that end anywhere."""

    def refuse(self, api: str, body: Mapping[str, Any]) -> tuple[int, Any] | None:
        if refused := super().refuse(api, body):
            return refused
        said = "This model only supports streaming: parameter.enable_thinking must be false for non-streaming calls"
        error = {"message": said, "type": "invalid_request_error", "code": "invalid_parameter_error"}
        return None if body.get("stream") else (400, {"error": error})

    def dress(self, api: str, body: Mapping[str, Any], reply: Json) -> web.Response:
        choice = reply["choices"][0]
        text = choice["message"]["content"] or ""
        deltas = [{"role": "assistant", "content": None, "reasoning_content": DRAFT}]
        deltas += [{"content": piece} for piece in re.findall(r"(?s).{1,40}", text)]
        chunks = [{"choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas]
        chunks.append({"choices": [{"index": 0, "delta": {}, "finish_reason": choice["finish_reason"]}]})
        if (body.get("stream_options") or {}).get("include_usage"):
            chunks.append({"choices": [], "usage": reply["usage"]})
        same = {"id": reply["id"], "object": "chat.completion.chunk", "model": reply["model"]}
        events = ": keep-alive\n\n" + "".join(f"data: {json.dumps({**same, **chunk})}\n\n" for chunk in chunks)
        return web.Response(text=f"{events}data: [DONE]\n\n", content_type="text/event-stream")


DISGUISES = {"vllm": Vllm, "mistral": Mistral, "gemini": Gemini, "ollama": Ollama, "streaming": Streaming}
