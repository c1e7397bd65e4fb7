"""Columns of the list that the accounts hold: how strong the leaks of a sample are, and what its blocks are worth."""

from __future__ import annotations

from collections.abc import Mapping

from threadweaver.viewer.scan import is_number

UNNAMED = "not named"
"""The kind of a block whose annotation names none."""
_MOST_LABEL = 40
"""Characters of a kind: the accounts of others may hold anything."""


def measures_of(facts: Mapping[str, Mapping]) -> dict[str, float]:
    """Return measures from the facts of each stage's account; what is not known is left out."""
    found = {}
    filtered = facts.get("filter", {})
    for name in ("strongest_leak", "leaks"):
        if is_number(filtered.get(name)):
            found[name] = filtered[name]
    if worth := _worth(facts):
        found["saved_tokens"] = sum(item["saved_tokens"] for item in worth if is_number(item.get("saved_tokens")))
        found["after_answer"] = sum(item.get("after_answer") is True for item in worth)
        settled = [item["settled"] for item in worth if is_number(item.get("settled"))]
        if settled:
            found["settled"] = sum(settled) / len(settled)
    return found


def labels_of(facts: Mapping[str, Mapping]) -> dict[str, list[str]]:
    """Return the kinds and novelties of a sample's blocks, each once, in the order of the blocks."""
    worth = _worth(facts)
    return {
        name: list(dict.fromkeys(str(item.get(name) or UNNAMED)[:_MOST_LABEL] for item in worth))
        for name in ("kind", "novelty")
        if worth
    }


def _worth(facts: Mapping[str, Mapping]) -> list[Mapping]:
    named = facts.get("filter", {}).get("worth")
    return [item for item in named if isinstance(item, dict)] if isinstance(named, list) else []
