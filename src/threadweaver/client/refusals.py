"""What a server's error means: its words, whether waiting helps, and what the user can do.

Providers word the same refusal in many ways, put it into different places of the JSON, and some send it with status
200. Everything that is decided by their words is decided here.
"""

from __future__ import annotations

import contextlib
import email.utils
import json
import math
import re
import time
from collections.abc import Iterator, Mapping
from typing import Any

from threadweaver.client import errors
from threadweaver.client.rate_limit import parse_duration

LONGEST = 300  # characters of a server's words that are shown
READ = 20_000  # characters of them that are read

_TOO_LONG = re.compile(
    r"context[_ ]length|context window|context size|maximum context|exceed_context|string_above_max_length"
    r"|prompt is too long|(?:input|prompt)[^.]{0,40}(?:too (?:long|large)|exceeds)|reduce the length"
    r"|exceed(?:ed|s)? (?:the |model )*(?:maximum |token )+(?:number|limit|length|context)|maximum number of tokens"
    r"|range of input length|max_tokens must be at least 1\b"
)
_LIMIT = re.compile(r"max(?:imum)?[_ ](?:completion|output|new)?[_ ]?tokens|completion tokens|output tokens")
VALUE = re.compile(
    r"greater than|less than|at most|at least|maximum|minimum|too (?:large|big|small|high|low)|exceed|\brange\b"
    r"|between|out of|larger|integer|[<>]=|positive"
)
"""Words about the value of a parameter, which the endpoint does know."""
_FILTERED = ("content_filter", "content_policy", "content management policy", "invalid_prompt", "moderation", "flagged")
_NO_MONEY = re.compile(
    r"billing_not_active|billing_hard_limit|insufficient[_ ](?:account[_ ])?(?:balance|credits?|funds)|arrear"
    r"|credit balance is too low|(?:credits?|balance)[^.]{0,30}(?:depleted|exhausted|used up)|out of credits"
)
_QUOTA = re.compile(r"insufficient_quota|exceeded your current quota")
_PASSING = re.compile(
    r"\bper[_ -](?:second|minute|hour|day)|per(?:second|minute|hour|day)|rate[_ -]?limit|requests? limit"
    r"|\b[rt]p[msd]\b|throttl|too many requests|resource_exhausted"
)
"""Words of a limit that passes by waiting; "quota" is said of these and of money."""
_WAIT = re.compile(
    r"(?:retry|try again)[^.]{0,20}?\b(?:in|after)\s+(\d+(?:\.\d+)?)\s*(ms|milliseconds?|s|seconds?|m|minutes?|h|hours?)?"
    r"((?:\d+(?:\.\d+)?(?:ms|s|m|h))*)\b"
)
_OVERLOADED = re.compile(
    r"overload|server[_ ]error|internal|unavailable|time[d]?[ _-]?out|try again|temporar|capacity|\bbusy\b|bad gateway"
    r"|upstream|vector_store_timeout"
)
_NO_SUCH = re.compile(r"not[_ ]found|no such|does not exist|unexpected endpoint|unknown (?:url|path|endpoint)")
_UNAUTHORIZED = re.compile(r"unauthori[sz]ed|(?:invalid|incorrect)[_ ](?:api[_ ])?key|authentication")

# ---- a server's words


def detail_of(content: bytes) -> Any:
    """Return what the body of an error holds: the `error` in its JSON, its JSON, or its text."""
    try:
        data = json.loads(content)
    except (ValueError, RecursionError):
        return content[:READ].decode("utf-8", "replace")
    return _unwrapped(data)


def _unwrapped(data: Any) -> Any:
    if isinstance(data, list) and data:  # Gemini's
        data = data[0]
    if isinstance(data, Mapping):
        inner = data.get("error") or data.get("errors")
        inner = inner[0] if isinstance(inner, list) and inner else inner
        return {**data, "message": inner} if isinstance(inner, str) else inner or data
    return data


def words_of(detail: Any) -> str:
    """Return what an error says, in one line without control characters and tags."""
    if isinstance(detail, Mapping):
        said = next((detail[name] for name in ("message", "detail", "msg", "error") if detail.get(name)), detail)
    else:
        said = detail
    text = said if isinstance(said, str) else "" if said is None else _as_json(said)
    if "<" in text[:200] and (title := re.search(r"<title[^>]*>(.*?)</title>", text[:READ], re.S | re.I)):
        text = f"a web page: {title[1]}"
    text = re.sub(r"<[^<>]{1,200}>", " ", text[:READ])
    return " ".join("".join(c if c.isprintable() else " " for c in text).split()) or "no details"


def _as_json(value: Any) -> str:
    with contextlib.suppress(ValueError, TypeError, RecursionError):
        return json.dumps(value, ensure_ascii=True)[:READ]
    return "no details"


def fields_of(detail: Any, depth: int = 8) -> Iterator[str]:
    """Yield the names that an error gives in fields for names, those of a path joined with dots."""
    if isinstance(detail, Mapping) and depth:
        for name, value in detail.items():
            if name in ("param", "loc", "field", "parameter", "property", "argument"):
                parts = value if isinstance(value, list) else [value]
                yield ".".join(str(part) for part in parts)
            yield from fields_of(value, depth - 1)
    elif isinstance(detail, list) and depth:
        for value in detail[:100]:
            yield from fields_of(value, depth - 1)


# ---- errors with status 200

_REPLY_FIELDS = ("choices", "output", "output_text")


def error_inside(data: Any) -> tuple[int, Any] | None:
    """Return the status and the detail of an error that was sent with status 200; None where there is none."""
    if isinstance(data, list):
        data = next((item for item in data if isinstance(item, Mapping)), None)
    if not isinstance(data, Mapping):
        return None
    error = data.get("error") or data.get("errors") or _of_choice(data)
    if isinstance(error, Mapping) and not any(error.values()):
        error = None
    if not error and data.get("status") in ("failed", "cancelled"):
        error = {"message": f"the answer {data['status']}", "code": data["status"]}
    if not error and not any(name in data for name in _REPLY_FIELDS):
        base = data.get("base_resp")
        said = base.get("status_msg") if isinstance(base, Mapping) else None
        error = said or next((data[name] for name in ("message", "detail", "msg", "error_msg") if data.get(name)), None)
        error = {**data, "message": error} if isinstance(error, str) else error
    if not error or _has_text(data):
        return None
    detail = _unwrapped({"error": error})
    return _status_of(detail), detail


def _of_choice(data: Mapping[str, Any]) -> Any:
    choices = data.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    return choice.get("error") if isinstance(choice, Mapping) else None


def _has_text(data: Mapping[str, Any]) -> bool:
    """Whether there is a whole reply beside what looks like an error."""
    if data.get("status") in ("failed", "cancelled"):
        return False
    choices = data.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    if not isinstance(choice, Mapping) or choice.get("error") or choice.get("finish_reason") == "error":
        return False
    message = choice.get("message")
    return bool(message.get("content") if isinstance(message, Mapping) else choice.get("text"))


def _status_of(detail: Any) -> int:
    """Return the HTTP status that an error without one deserves."""
    given = detail if isinstance(detail, Mapping) else {}
    for name in ("code", "status", "status_code", "http_status"):
        with contextlib.suppress(TypeError, ValueError, OverflowError):
            if 400 <= int(given.get(name)) < 600:
                return int(given[name])
    marks = _marks(given, words_of(detail))
    if _NO_MONEY.search(marks) or _QUOTA.search(marks) or _PASSING.search(marks):
        return 429
    for pattern, status in ((_UNAUTHORIZED, 401), (_NO_SUCH, 404), (_OVERLOADED, 503)):
        if pattern.search(marks):
            return status
    return 503 if str(given.get("code")) == "failed" else 400


# ---- what it means


def _marks(given: Mapping[str, Any], words: str) -> str:
    codes = (given.get(name) for name in ("code", "type", "status"))
    return f"{' '.join(str(code)[:100] for code in codes if code)} {words[:READ]}".lower()


def meaning(
    status: int, detail: Any, headers: Mapping[str, str], *, endpoint: str, key_source: str, path: str = ""
) -> errors.ClientError:
    """Return the error that a status with this detail means; `path` is what was asked for."""
    given = detail if isinstance(detail, Mapping) else {}
    words = words_of(detail)
    marks = _marks(given, words)
    said = f"HTTP {status}: {words[:LONGEST]}"
    wait = _asked_wait(given, words)
    # Not the type of the error: OpenAI's is rate_limit_error for an empty account too.
    passing = wait is not None or _PASSING.search(f"{given.get('status')} {words[:READ]}".lower())
    if (
        status == 402
        or (status in (400, 403, 429) and _NO_MONEY.search(marks))
        or (status in (400, 403, 429) and _QUOTA.search(marks) and not passing)
    ):
        return errors.QuotaExhausted(
            f"the account has no money left ({said}): add credit and run the same command again; everything paid is kept"
        )
    if (status == 429 and "request too large" not in marks) or (status in (400, 403) and _QUOTA.search(marks)):
        given_wait = retry_after(headers)
        return errors.RateLimited(said, retry_after=wait if given_wait is None else given_wait)
    if status in (401, 403):
        if any(mark in marks for mark in _FILTERED):
            return errors.ContentFilter(said)
        return errors.Authentication(
            f"{endpoint} refused the API key from {key_source} ({said}): put a valid one there and run the same "
            "command again"
        )
    if status in (404, 405, 410, 501):
        return errors.NoSuchModel(_no_such(said, marks, endpoint, path))
    if status >= 500 or status in (408, 409, 425):
        return errors.ServerFault(said, retry_after=retry_after(headers))
    return _bad_request(status, said, marks, detail)


def _bad_request(status: int, said: str, marks: str, detail: Any) -> errors.BadRequest:
    if status == 413 or _TOO_LONG.search(marks):
        return errors.ContextTooLong(
            f"{said}: the prompt and the tokens of --output-limit do not fit into the model's context: lower "
            "--output-limit, or serve the model with a longer context"
        )
    kind = errors.ContentFilter if any(mark in marks for mark in _FILTERED) else errors.BadRequest
    hint = ": lower --output-limit" if _LIMIT.search(marks) and VALUE.search(marks) else ""
    error = kind(said + hint)
    error.detail = detail
    return error


def _no_such(said: str, marks: str, endpoint: str, path: str) -> str:
    if path == "/responses" and not re.search(r"\bmodel\b", marks):
        return (
            f"{endpoint} does not have the Responses API ({said}): add --use-chat-completions to use Chat Completions, "
            "or check --base-url"
        )
    other = " (or add --use-chat-completions, if it has no Responses API)" if path == "/responses" else ""
    return f"{endpoint} has no such model or address ({said}): check the model's name and --base-url{other}"


# ---- waits


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds of retry-after-ms or Retry-After (seconds or a date); None if neither says anything."""
    with contextlib.suppress(KeyError, ValueError):
        return _seconds(float(headers["retry-after-ms"]) / 1000)
    text = headers.get("retry-after")
    if text is None:
        return None
    with contextlib.suppress(ValueError):
        return _seconds(float(text))
    with contextlib.suppress(ValueError, OverflowError, TypeError, IndexError, OSError):
        parsed = email.utils.parsedate_tz(text)
        return None if parsed is None else _seconds(email.utils.mktime_tz(parsed) - time.time())
    return None


def _seconds(value: float) -> float | None:
    return None if math.isnan(value) else max(0.0, value)


def _asked_wait(given: Mapping[str, Any], words: str) -> float | None:
    """Return the seconds that the words of an error ask to wait: `retryDelay` of Google's, "try again in 7.5s"."""
    details = given.get("details")
    for item in details if isinstance(details, list) else ():
        if isinstance(item, Mapping) and isinstance(item.get("retryDelay"), str):
            return parse_duration(item["retryDelay"])
    found = _WAIT.search(words.lower())
    if found is None:
        return None
    unit = found[2] or "s"
    short = "ms" if unit.startswith(("ms", "milli")) else unit[0]
    return parse_duration(f"{found[1]}{short}{found[3]}")
