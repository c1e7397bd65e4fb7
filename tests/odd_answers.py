"""Answers of a model server that go wrong in one way each, for the tests and the bench that hold every command against
them.

An answer is made of the good reply, so a run can be compared with a whole one. `PAID` answers have status 200: the
model has worked, and nobody may ask for them a second time. `REFUSALS` cost nothing.
"""

from __future__ import annotations

import base64
import copy
import json
from collections.abc import Callable, Mapping
from typing import Any

from aiohttp import web

from fake_endpoints import Disguise, Json, Streaming

KEY = "test-7Kq9-quoted-by-the-server-4Zx2"
"""The key that runs against odd answers have: a server may quote it anywhere."""
DEEP = b"[" * 100_000 + b"]" * 100_000


def raw(content: bytes, content_type: str = "application/json", **more: Any) -> web.Response:
    return web.Response(body=content, headers={"content-type": content_type, **more.pop("headers", {})}, **more)


def usage(change: Callable[[Json], Any]) -> Callable[[str, Json], Json]:
    """Change the usage: in place, or by what is returned."""

    def odd(api: str, reply: Json) -> Json:
        made = change(reply["usage"])
        return reply if made is None else reply | {"usage": made}

    return odd


def counted(value: Any) -> Callable[[str, Json], Json]:
    """Count the output tokens as `value`."""
    return usage(lambda held: held.update({name: value for name in held if name in OUTPUT}))


OUTPUT = ("output_tokens", "completion_tokens")


def unquoted(value: str) -> Callable[[str, Json], web.Response]:
    """Count the output tokens as a number that no encoder writes."""

    def odd(api: str, reply: Json) -> web.Response:
        return raw(json.dumps(counted("@@")(api, reply)).replace('"@@"', value).encode())

    return odd


def top(**fields: Any) -> Callable[[str, Json], Json]:
    return lambda api, reply: reply | fields


def finish(value: Any) -> Callable[[str, Json], Json]:
    """End with this word, in the place that the API has for it."""

    def odd(api: str, reply: Json) -> Json:
        if api == "responses":
            return reply | {"status": "incomplete", "incomplete_details": {"reason": value}}
        reply["choices"][0]["finish_reason"] = value
        return reply

    return odd


def content(change: Callable[[Any], Any]) -> Callable[[str, Json], Json]:
    def odd(api: str, reply: Json) -> Json:
        if api == "responses":
            part = reply["output"][-1]["content"][0]
            part["text"] = change(part.get("text", ""))
        elif api == "chat":
            message = reply["choices"][0]["message"]
            message["content"] = change(message["content"])
        else:
            reply["choices"][0]["text"] = change(reply["choices"][0]["text"])
        return reply

    return odd


def holder(value: Any) -> Callable[[str, Json], Json]:
    """Put something else where the replies are."""
    return lambda api, reply: reply | {"output" if api == "responses" else "choices": value}


def cut(api: str, reply: Json) -> web.Response:
    return raw(json.dumps(reply).encode()[:-40])


def unasked_stream(api: str, reply: Json) -> Json | web.Response:
    return Streaming().dress(api, {"stream_options": {"include_usage": True}}, reply) if api == "chat" else reply


KEPT: Mapping[str, Callable[[str, Json], Any]] = {
    "usage negative": counted(-1_000_000),
    "usage a word": counted("many"),
    "usage with a comma": counted("1,234"),
    "usage a fraction": counted(12.5),
    "usage a boolean": counted(True),
    "usage null": counted(None),
    "usage 1e30": counted(10**30),
    "usage 1e14": counted(10**14),
    "usage 2e9": counted(2 * 10**9),
    "usage above the limit": counted(10**6),
    "usage infinite": unquoted("1e999"),
    "usage not a number": unquoted("NaN"),
    "usage a list": usage(lambda held: [1, 2]),
    "usage a text": usage(lambda held: "12"),
    "usage missing": usage(lambda held: {}),
    "usage details a list": usage(lambda held: held.update({f"{name}_details": [1] for name in OUTPUT})),
    "tier half a character": top(service_tier="\ud800"),
    "tier a list": top(service_tier=["x"]),
    "tier with the key": top(service_tier=f"Bearer {KEY}"),
    "tier unknown": top(service_tier="platinum"),
    "ending half a character": finish("st\ud800"),
    "ending a list": finish(["stop"]),
    "ending a number": finish(1),
    "ending with the key": finish(KEY),
    "text with the key": content(lambda text: f"{text}\nauthorization: Bearer {KEY}"),
    "text NUL": content(lambda text: f"a\0b {text}"),
    "text half a character": content(lambda text: f"{text}\ud83d"),
    "text of 3 MB": content(lambda text: "x" * 3_000_000),
    "a stream that nobody asked for": unasked_stream,
    "a mark before the JSON": lambda api, reply: raw(b"\xef\xbb\xbf" + json.dumps(reply).encode()),
    "UTF-16": lambda api, reply: raw(json.dumps(reply).encode("utf-16")),
    "rate limits not a number": lambda api, reply: limited(reply, "nan", "inf", "1e308"),
    "rate limits without end": lambda api, reply: limited(reply, "1e308", "0", "9999999999h"),
}
"""Paid, with a text that is whole, or at least one that says itself what is wrong with it."""

LOST: Mapping[str, Callable[[str, Json], Any]] = {
    "content a number": content(lambda text: 7),
    "content an object": content(lambda text: {"a": 1}),
    "no reply": holder([None]),
    "replies an object": holder({"0": {}}),
    "replies a text": holder("x"),
    "an object of the key": lambda api, reply: {f"Bearer {KEY}": 1},
    "a list": lambda api, reply: [1],
    "nested deeply": lambda api, reply: raw(b'{"output":' + DEEP + b',"choices":' + DEEP + b"}"),
    "cut off": cut,
}
"""Paid, and nobody can read it."""


def limited(reply: Json, limit: str, remaining: str, reset: str) -> web.Response:
    names = {"limit": limit, "remaining": remaining, "reset": reset}
    return raw(
        json.dumps(reply).encode(), headers={f"x-ratelimit-{part}-requests": said for part, said in names.items()}
    )


def error(status: int, message: Any, code: Any = "x", **headers: str) -> Callable[[], web.Response]:
    body = {"error": {"message": message, "code": code}}
    return lambda: raw(json.dumps(body).encode(), status=status, headers=headers)


def body(status: int, data: bytes | Any, content_type: str = "application/json", **headers: str) -> Callable:
    made = data if isinstance(data, bytes) else json.dumps(data).encode()
    return lambda: raw(made, content_type, status=status, headers=headers)


AUTH = f"Bearer {KEY}"
LATER = {"code": "rate_limit_exceeded"}
REFUSALS: Mapping[str, Callable[[], web.Response]] = {
    "400 control characters": error(400, "bad \ud83d here \x00\x1b[31m\u202e"),
    "400 a page": body(400, b"<html><title>Oops</title><script>alert(1)</script>" * 90, "text/html"),
    "400 of another charset": body(400, b"abc", "text/plain; charset=rot13"),
    "400 with the key": error(400, f"bad: {AUTH}"),
    "400 with the key in a list": body(400, [{"error": f"bad {AUTH}"}]),
    "400 with the key in pieces": error(400, f"bad {AUTH[:-4]}\n{AUTH[-4:]}"),
    "400 with the key in base64": error(400, f"bad {base64.b64encode(AUTH.encode()).decode()}"),
    "400 nested deeply": body(400, b'{"error":' + DEEP + b"}"),
    "401 with the key": error(401, f"Incorrect API key provided: {AUTH}", "invalid_api_key"),
    "404 with the key": error(404, f"no model for {AUTH}"),
    "413": error(413, "too big"),
    "429 no money with the key": error(429, f"quota of {AUTH}", "insufficient_quota"),
    "429 for a day": error(429, "slow", "rate_limit_exceeded", **{"retry-after": "86400"}),
    "429 for ever": error(429, "slow", "rate_limit_exceeded", **{"retry-after": "inf"}),
    "429 at no date": error(429, "slow", "rate_limit_exceeded", **{"retry-after": "Fri, 31 Feb 99999999 99:99:99 GMT"}),
    "500 with all headers": body(500, f"trace: {{'Authorization': '{AUTH}'}}".encode(), "text/plain"),
    "500 nested deeply": body(500, b'{"error":' + DEEP + b"}"),
    "200 an error as text": body(200, {"error": f"no endpoint for {AUTH}"}),
    "200 an error with a code": body(200, {"error": {"message": "no such model here", "code": 404}}),
    "200 an error to retry": body(200, {"error": {"message": "The engine is overloaded", "code": "overloaded"}}),
    "200 failed with the key": body(200, {"status": "failed", "error": {"code": AUTH, "message": AUTH}, "output": []}),
    "200 a status message": body(200, {"base_resp": {"status_code": 1004, "status_msg": f"login {AUTH}"}}),
    "200 empty": body(200, b""),
    "200 a page": body(200, b"<html><body>Welcome", "text/html"),
    "200 not gzip": body(200, b"notgzip", **{"content-encoding": "gzip"}),
    "307 for ever": lambda: web.Response(status=307, headers={"location": "/v1/chat/completions?again"}),
    "302 elsewhere": lambda: web.Response(status=302, headers={"location": "http://127.0.0.1:9/"}),
}
"""Answered without the model: some pass, most do not."""


class Odd(Disguise):
    """A plain server whose answers are odd in one way: that of the name `answer`, in any table above, or else of the
    name that the last turn of a request ends with.
    """

    def __init__(self, answer: str = "") -> None:
        super().__init__()
        self.answer = answer

    def name(self, request: Mapping[str, Any]) -> str:
        turns = request.get("input") or request.get("messages")
        return self.answer or (turns[-1]["content"].rpartition("odd: ")[2] if turns else "")

    def refuse(self, api: str, request: Mapping[str, Any]) -> web.Response | None:
        refusal = REFUSALS.get(self.name(request))
        return refusal() if refusal else None

    def dress(self, api: str, request: Mapping[str, Any], reply: Json) -> Any:
        change = (KEPT | LOST).get(self.name(request))
        return change(api, copy.deepcopy(reply)) if change else reply
