"""The parsers of all commands, taken from their files without running them."""

from __future__ import annotations

import importlib.util
import sys
from functools import cache
from pathlib import Path
from types import ModuleType

COMMANDS = Path(__file__).parents[2]


def parser_of(command: str):
    """Return the parser of a command, a `flags.Flags`; a command is named by its file, such as `gpt.py`."""
    return _module_of(command).flags()


@cache
def _module_of(command: str) -> ModuleType:
    path = COMMANDS / command
    spec = importlib.util.spec_from_file_location(f"command_{path.stem.replace('-', '_')}", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def commands_with(flag: str) -> list[str]:
    """Return the commands that have this flag, in any spelling."""
    return [path.name for path in sorted(COMMANDS.glob("*.py")) if parser_of(path.name).action_of(flag)]
