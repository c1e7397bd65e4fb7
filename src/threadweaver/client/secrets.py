"""Keep secrets out of what is printed and stored: the API key, and passwords and keys inside URLs."""

from __future__ import annotations

import base64
import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import quote

HIDDEN = "[key]"
_KEY_SHAPED = re.compile(r"\b(?:sk|rk|pk|sess|gsk|hf|xai|AIza)[-_][A-Za-z0-9_*\-.]{8,}|\bAIza[A-Za-z0-9_\-]{20,}")
_PASSWORD = re.compile(r"(?P<before>\w://|^)[^\s\"'<>]*@")
_QUERY = re.compile(r"(?P<name>[?&][\w.\-]+=)(?P<value>[^&\s\"'<>#]+)")
OPEN_NAMES = ("api-version", "limit", "after")
"""Names in a URL's query whose values are not secret."""
PIECE = 10  # characters of a key that give it away: a server that shows the last four shows less


@dataclass(frozen=True)
class Key:
    """`secret` False: a word for servers that need no key."""

    value: str = field(repr=False)
    source: str = ""
    secret: bool = True


def scrub(text: str, key: Key | None = None) -> str:
    """Return a message without the key, its parts and its encodings, and without anything shaped like a key or a
    password in a URL: servers quote what they refuse.
    """
    if key is not None and key.secret:
        for secret in _forms(key.value):
            text = _without(text, secret)
    return shown_url(_KEY_SHAPED.sub(HIDDEN, text))


def scrub_reply(text: str, key: Key) -> str:
    """Return a model's text without the key. A key that may be a word of the text (`test`, `EMPTY`) stays."""
    value = key.value
    if not key.secret or value not in text:
        return text
    mixed = len(value) >= 5 and any(map(str.isdigit, value)) and any(map(str.isalpha, value))
    return _whole(value).sub(HIDDEN, text) if mixed or len(value) >= 16 else text


def shown_url(text: str) -> str:
    """Return a URL, or a text with URLs in it, without passwords, the values of queries and control characters."""
    text = text if text.isprintable() else "".join(char if char.isprintable() else "?" for char in text)
    text = _PASSWORD.sub(r"\g<before>[…]@", text) if "@" in text else text
    return _QUERY.sub(_hide_value, text) if "=" in text else text


def _hide_value(found: re.Match[str]) -> str:
    return found[0] if found["name"][1:-1].lower() in OPEN_NAMES else f"{found['name']}[…]"


@functools.lru_cache(maxsize=16)
def _forms(value: str) -> tuple[str, ...]:
    """Return the key as servers may quote it: as it is, with escapes of JSON and URLs, in base64 at any offset."""
    made = [value, value.replace("/", "\\/"), quote(value, safe="")]
    if len(value) >= PIECE:
        raw = value.encode()
        for before, mixed in enumerate((0, 2, 3)):  # characters that hold bits of what precedes the key
            made.append(base64.b64encode(b"\0" * before + raw).decode().rstrip("=")[mixed:-1])
    return tuple(dict.fromkeys(made))


def _without(text: str, secret: str) -> str:
    """Return the text without the secret and without its parts of `PIECE` characters or more."""
    if len(secret) < PIECE:
        return _whole(secret).sub(HIDDEN, text)
    shown: list[str] = []
    end = 0
    for start, stop in _spans(text, secret):
        shown += [text[end:start], HIDDEN]
        end = stop
    return "".join([*shown, text[end:]])


def _spans(text: str, secret: str) -> Iterator[tuple[int, int]]:
    """Yield where parts of the secret are in the text, those that touch as one."""
    parts = {secret[at : at + PIECE] for at in range(len(secret) - PIECE + 1)}
    begun = end = -1
    for at in range(len(text) - PIECE + 1):
        if text[at : at + PIECE] in parts:
            if at > end:
                if begun >= 0:
                    yield begun, end
                begun = at
            end = at + PIECE
    if begun >= 0:
        yield begun, end


@functools.lru_cache(maxsize=16)
def _whole(value: str) -> re.Pattern[str]:
    """Match a value that is not a part of a longer word."""
    return re.compile(rf"(?<![A-Za-z0-9]){re.escape(value)}(?![A-Za-z0-9])")
