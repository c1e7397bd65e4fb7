"""The settings of a folder and those of a stage: which differ, and how that is said."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import takewhile
from pathlib import Path

from threadweaver.files import to_json
from threadweaver.runs.parsers import parser_of
from threadweaver.runs.stages import STAGES

_NAMED, _NAMED_FIRST = 3, ("annotator", "model")
"""How many settings that differ are named, and which of them first."""
_SHOWN = 40
"""Characters of a value that are shown."""


def differing(before: Mapping[str, object], now: Mapping[str, object]) -> dict[str, tuple[object, object]]:
    """Return the settings that differ, with both values; a setting that the folder does not know, because an earlier
    version of the project made it, differs only if it is not what it is by default."""
    keys = sorted({*before, *now}, key=lambda key: (key not in _NAMED_FIRST, key))
    pairs = {key: (before.get(key), now.get(key)) for key in keys if before.get(key) != now.get(key)}
    stage = str(now.get("stage"))
    return {key: pair for key, pair in pairs.items() if key in before or not _is_default(stage, key, pair[1], now)}


def _is_default(stage: str, key: str, value: object, settings: Mapping[str, object]) -> bool:
    """Whether a setting is what it is without a flag; the hash of a prompt goes with its name."""
    if key.endswith("_sha256"):
        named = key.removesuffix("_sha256")
        return _is_default(stage, named, settings.get(named), {})
    if not value or stage not in STAGES:
        return not value
    default = parser_of(STAGES[stage].command).get_default(key)
    return value == (default.name if isinstance(default, Path) else default)


def named(found: Mapping[str, tuple[object, object]]) -> str:
    """Return the settings that differ in short: those that only one side has, and hashes, go with the others."""
    both = {key for key, pair in found.items() if None not in pair}
    own = {key for key in found if not key.endswith("_sha256")}
    keys = [key for key in found if key in (both & own or both or own)]
    more = f" (and {len(keys) - _NAMED} more)" if len(keys) > _NAMED else ""
    parts = [f"{key}: {there} there, {here} now" for key in keys[:_NAMED] for there, here in [_short(*found[key])]]
    return "; ".join(parts) + more


def _short(*values: object) -> list[str]:
    """Return values in short, without what long ones have in common at the beginning."""
    texts = ["none" if value is None else to_json(value) for value in values]
    if max(map(len, texts)) > _SHOWN:
        same = len(list(takewhile(lambda chars: len({*chars}) == 1, zip(*texts, strict=False))))
        texts = ["…" + text[same - 10 :] if same > 20 else text for text in texts]
    return [text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…" for text in texts]
