"""What an endpoint accepts other than its API says: parameters it refuses, and replies that it only streams.

It is learnt from a refusal that names what it refuses, and kept in the ledger: no later run learns it again. The key
of a request stays that of the request as it was meant.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from threadweaver.client.refusals import VALUE, fields_of, words_of

LIMITS = {"max_completion_tokens": "max_tokens", "max_tokens": "max_completion_tokens", "max_output_tokens": None}
"""Names of the limit of output tokens, each with the name to try where it is refused."""
_OURS = ("reasoning_effort", "reasoning", "reasoning.effort", "verbosity", "text", "text.verbosity", *LIMITS)
_SAMPLING = (
    *("temperature", "top_p", "top_k", "min_p", "seed", "presence_penalty", "frequency_penalty", "repetition_penalty"),
    *("stream_options", "store", "metadata", "user", "logprobs", "top_logprobs", "parallel_tool_calls"),
)
LEARNT = frozenset((*_OURS, *_SAMPLING))
"""What may be left out. Anything else was asked for with --extra-body and changes what a reply is: it is refused."""
_CORE = ("model", "messages", "input", "prompt", "stream", "service_tier")
_WORDS = ("text", "reasoning", "user", "store", "metadata", "seed")
"""Names that are words of a sentence too: they have to be quoted, or next to a word for a parameter."""
_REFUSED = re.compile(
    r"unsupported|n[o']t support|unknown|unrecogni[sz]ed|unexpected|forbidden|deprecated|incompatible|no such|illegal"
    r"|not (?:be )?(?:permitted|allowed|accepted|available|recognized|valid|implemented|compatible|defined|expected)"
    r"|(?:cannot|can not|can't) be|does(?: not|n't) (?:accept|allow|exist|have|take)|only the default"
    r"|invalid (?:parameter|argument|field|key|option|property)|must be (?:unset|null|omitted|removed)"
)
_TYPES = ("extra_forbidden", "unsupported_parameter", "unknown_parameter", "unsupported_value", "unrecognized")


@dataclass(frozen=True)
class Dialect:
    """`left_out` are names in a body, inner ones with a dot; `renamed` says what a name is sent as."""

    left_out: frozenset[str] = frozenset()
    renamed: Mapping[str, str] = field(default_factory=dict)
    stream: bool = False

    def apply(self, body: dict[str, Any]) -> dict[str, Any]:
        """Return the body as this endpoint accepts it."""
        if self == PLAIN:
            return body
        out = dict(body)
        for name, other in self.renamed.items():
            if name in out:
                out.setdefault(other, out.pop(name))
        if self.stream:
            out["stream"] = True
            if "input" not in out:  # the Responses API always sends the usage
                out["stream_options"] = {"include_usage": True}
        for name in self.left_out:
            _remove(out, name)
        return out

    @property
    def unlimited(self) -> bool:
        """Whether no limit of output tokens is sent."""
        return any(name in self.left_out for name in LIMITS)

    def as_json(self) -> str:
        made = {"left_out": sorted(self.left_out), "renamed": dict(self.renamed), "stream": self.stream}
        return json.dumps(made, sort_keys=True)

    @classmethod
    def parse(cls, text: str) -> Dialect:
        """Return the dialect of a text of `as_json`; a plain one for any other text."""
        try:
            made = json.loads(text)
            left_out = frozenset(name for name in made["left_out"] if name in LEARNT)
            renamed = {name: other for name, other in made["renamed"].items() if LIMITS.get(name) == other}
            return cls(left_out, renamed, made["stream"] is True)
        except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
            return cls()


PLAIN = Dialect()


def learn(dialect: Dialect, body: Mapping[str, Any], detail: Any) -> Dialect | None:
    """Return what is known of an endpoint after it has refused this body; None where the refusal teaches nothing."""
    words = words_of(detail)
    names = list(_refused(body, detail, words))
    known = dialect
    for name in names:
        known = _without(known, name, body, names)
    if not names and not body.get("stream") and re.search(r"stream", words, re.I):
        known = replace(known, stream=True)
    return known if known != dialect else None


def difference(before: Dialect, after: Dialect) -> str:
    """Say in words what was learnt."""
    said = [f"{name} is left out" for name in sorted(after.left_out - before.left_out)]
    said += [f"{name} is sent as {other}" for name, other in after.renamed.items() if name not in before.renamed]
    said += ["replies are streamed"] if after.stream and not before.stream else []
    return ", ".join(said)


def _without(dialect: Dialect, name: str, body: Mapping[str, Any], refused: list[str]) -> Dialect:
    other = LIMITS.get(name)
    if other and other not in body and other not in refused and other not in dialect.renamed:
        return replace(dialect, renamed={**dialect.renamed, name: other})
    return replace(dialect, left_out=dialect.left_out | {name})


def _refused(body: Mapping[str, Any], detail: Any, words: str) -> Iterator[str]:
    """Yield the parameters of a body that a refusal names as unknown, not those whose value it does not like."""
    said = words.lower()
    codes = str(detail)[:4000].lower() if isinstance(detail, Mapping) else ""
    typed = any(name in codes for name in _TYPES)
    if not typed and (VALUE.search(said) or not _REFUSED.search(said)):
        return
    fields = list(fields_of(detail))
    for name in sorted(names_in(body), key=lambda name: -name.count(".")):
        if name in LEARNT and (_in_fields(name, fields) or _in_words(name, words)):
            yield name


def names_in(body: Mapping[str, Any]) -> Iterator[str]:
    """Yield the names of a body's parameters, those of inner objects with a dot; not what the request is about."""
    for name, value in body.items():
        if name not in _CORE:
            yield name
            if isinstance(value, Mapping):
                yield from (f"{name}.{inner}" for inner in value)


def _in_fields(name: str, fields: list[str]) -> bool:
    return any(f".{given}".endswith(f".{name}") for given in fields)


def _in_words(name: str, words: str) -> bool:
    leaf, spelled = name.rpartition(".")[2], re.escape(name)
    if re.search(rf"['\"`‘“]{spelled}['\"`’”]", words):
        return True
    if leaf in _WORDS:
        near = r"(?:parameter|argument|field|property|option|key|input)s?"
        return bool(re.search(rf"{near}\W+(?:supplied\W+)?{spelled}\b(?!\.)|\b{spelled}\W+{near}", words, re.I))
    return bool(re.search(rf"(?<![\w.]){spelled}(?![\w])", words))


def _remove(body: dict[str, Any], name: str) -> None:
    outer, _, inner = name.partition(".")
    if not inner:
        body.pop(outer, None)
    elif isinstance(body.get(outer), Mapping):
        left = {key: value for key, value in body[outer].items() if key != inner}
        body[outer] = left
        if not left:
            del body[outer]
