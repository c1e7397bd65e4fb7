"""RECIPE.md and the settings files of an export: what is written once in `shipped/`, with the numbers of the rows."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from threadweaver.files import read_text

SHIPPED = Path(__file__).resolve().parent / "shipped"
_PARTS = {
    "trl": ("start", "rows", "length", "trl"),
    "axolotl": ("start", "rows", "length", "axolotl"),
    "llama-factory": ("start", "rows", "length", "llama-factory"),
    "verl": ("start", "rows", "length", "verl"),
    "verl-rl": ("verl-rl",),
    "openrlhf": ("start", "pairs", "length", "openrlhf"),
    "units": ("start", "pairs", "length", "units"),
    "tree": ("start", "tree"),
}


def context_for(longest: int) -> int:
    """Return a round context that holds the longest row and two tokens more, which some trainers set aside."""
    return -(-(longest + 2) // 1024) * 1024


def recipe(name: str, facts: Mapping[str, object]) -> str:
    """Return the text of RECIPE.md for an export."""
    return _filled("".join(read_text(SHIPPED / f"recipe_{part}.md") for part in _PARTS[name]), facts)


def shipped(name: str, facts: Mapping[str, object]) -> str:
    """Return the text of a file that goes with an export."""
    return _filled(read_text(SHIPPED / name), facts)


def _filled(text: str, facts: Mapping[str, object]) -> str:
    for key, value in facts.items():
        text = text.replace(f"{{{{{key}}}}}", str(value))
    return text
