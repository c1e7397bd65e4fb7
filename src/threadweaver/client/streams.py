"""Replies that come as a stream of server-sent events, put together into what the API sends in one piece."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from threadweaver.client.errors import BadReply

END = b"data: [DONE]\n\n"
_ENDS = ("response.completed", "response.incomplete", "response.failed", "response.cancelled")


def is_stream(content: bytes, content_type: str) -> bool:
    """Whether this is a stream: some servers send one as another type, some send JSON though a stream was asked for."""
    begin = content[:64].lstrip()
    return begin.startswith((b"data:", b"event:", b"id:", b":")) or (
        "event-stream" in content_type and not begin.startswith((b"{", b"["))
    )


def assembled(content: bytes) -> Any:
    """Return the reply of a stream as JSON of the API. Raises BadReply for a stream that ended too early."""
    choice, message = _Joined(), _Joined()
    rest: dict[str, Any] = {}
    for event in _events(content):
        if event is None:  # [DONE]
            break
        if event.get("type") in _ENDS and isinstance(event.get("response"), Mapping):
            return event["response"]
        if error := _error_of(event):
            return {"error": error}
        rest |= {name: value for name, value in event.items() if name != "choices" and value is not None}
        choices = event.get("choices")
        first = choices[0] if isinstance(choices, list) and choices else None
        if not isinstance(first, Mapping):
            continue
        delta = first.get("delta") or first.get("message")
        if isinstance(delta, Mapping):
            message.add(delta)
        choice.add({name: first[name] for name in first if name not in ("delta", "message")})
    made = choice.made()
    if made.get("finish_reason") is None and not made.get("error"):
        raise BadReply("the stream ended before the reply was complete", billed=True)
    if message.values or "text" not in made:
        made["message"] = {"role": "assistant", **message.made()}
    return {**rest, "choices": [made]}


def _error_of(event: Mapping[str, Any]) -> Any:
    if event.get("error"):
        return event["error"]
    return dict(event) if event.get("type") == "error" else None


def _events(content: bytes) -> Iterator[Mapping[str, Any] | None]:
    """Yield the JSON of each event, None for the end. Raises BadReply for what is not JSON."""
    text = content.decode("utf-8", "replace").replace("\r\n", "\n").replace("\r", "\n")
    for block in text.split("\n\n"):
        lines = (line[5:].removeprefix(" ") for line in block.split("\n") if line.startswith("data:"))
        data = "\n".join(lines).strip()
        if not data:
            continue
        if data == "[DONE]":
            yield None
            return
        try:
            event = json.loads(data)
        except (ValueError, RecursionError) as error:
            raise BadReply("an event of the server's stream is not JSON", billed=True) from error
        if isinstance(event, Mapping):
            yield event


_ONCE = ("role", "index", "finish_reason", "type", "id")


class _Joined:
    """The pieces of an object: texts are joined, lists extended, and of anything else the last value counts."""

    def __init__(self) -> None:
        self.values: dict[str, list[Any]] = {}

    def add(self, part: Mapping[str, Any]) -> None:
        for name, value in part.items():
            if value is not None:
                self.values.setdefault(name, []).append(value)

    def made(self) -> dict[str, Any]:
        return {name: _joined(name, values) for name, values in self.values.items()}


def _joined(name: str, values: list[Any]) -> Any:
    if name not in _ONCE and any(isinstance(value, list) for value in values):
        return [part for value in values for part in _as_parts(value)]
    if name not in _ONCE and all(isinstance(value, str) for value in values):
        return "".join(values)
    return values[-1]


def _as_parts(value: Any) -> list[Any]:
    if isinstance(value, list):
        return value
    return [{"type": "text", "text": value}] if isinstance(value, str) and value else []
