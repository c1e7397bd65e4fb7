"""Load a tokenizer by name or local path; token ids, counts, offsets and the chat template."""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from threadweaver.corpus import token_cache
from threadweaver.errors import UserError, setting

if TYPE_CHECKING:
    import tokenizers

DEFAULT_TOKENIZER = "Qwen/Qwen3-8B"
"""That of the published run's model."""
TEMPLATE_DATE = datetime(2024, 7, 26)
"""Today, for chat templates that ask for it: rows must not differ from day to day, nor from generation. It is the date
that the templates of Llama 3 take where they know none."""


def short_name(name_or_path: str) -> str:
    """Return a tokenizer's name for settings and cards: a hub name as it is, a local folder without its path."""
    path = Path(name_or_path).expanduser()
    return path.resolve().name if path.is_dir() else name_or_path


class Tokens:
    """Cuts texts into tokens; build it with `load_tokens`."""

    def __init__(self, name: str, backend: tokenizers.Tokenizer):
        self.name, self._backend = name, backend

    def ids(self, text: str) -> list[int]:
        return self._backend.encode(text, add_special_tokens=False).ids

    def starts(self, text: str) -> list[int]:
        """Return the character at which each token begins, ascending."""
        return [start for start, _ in self._backend.encode(text, add_special_tokens=False).offsets]

    def count(self, text: str) -> int:
        return len(self.ids(text))


class Tokenizer(Tokens):
    """A Hugging Face tokenizer; build it with `load_tokenizer`."""

    def __init__(self, name: str, hf):
        super().__init__(name, hf.backend_tokenizer)
        self.hf = hf

    def chat(self, messages: Sequence[dict], **options) -> str:
        """Return the chat template's rendering of the messages; raises UserError without a template."""
        if not self.hf.chat_template:
            raise UserError(
                f"the tokenizer {self.name} has no chat template; name another with {setting('--tokenizer', 'TOKENIZER')}"
            )
        return self.hf.apply_chat_template(list(messages), tokenize=False, **options)

    @property
    def has_date(self) -> bool:
        """Whether the chat template asks for today's date, which is always `TEMPLATE_DATE`."""
        return "strftime_now" in str(self.hf.chat_template)

    def with_tags(self, tags: Sequence[str]) -> Tokenizer:
        """Return a copy with each tag as one added token, as trainers set it up."""
        from copy import deepcopy

        hf = deepcopy(self.hf)
        hf.add_tokens([tag for tag in tags if tag not in hf.get_vocab()], special_tokens=False)
        return Tokenizer(self.name, hf)


class _Standing(datetime):
    """A clock that always shows TEMPLATE_DATE."""

    @classmethod
    def now(cls, tz=None):
        return TEMPLATE_DATE


def load_tokenizer(name_or_path: str) -> Tokenizer:
    """Load a tokenizer; raises UserError when it is not available, and never falls back to another one."""
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")  # read at import: it would warn that torch is missing
    from transformers import AutoTokenizer
    from transformers.utils import chat_template_utils

    chat_template_utils.datetime = _Standing  # templates get it as strftime_now
    local = Path(name_or_path).expanduser()
    source = str(local) if local.is_dir() else name_or_path
    try:
        hf = _from_cache_or_hub(AutoTokenizer.from_pretrained, source)
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = str(error).strip().split("\n")[0][:160].rstrip(".")
        raise UserError(
            f"the tokenizer {name_or_path!r} cannot be loaded ({reason}): give a local folder, or a name on the hub "
            f"while it can be reached, with {setting('--tokenizer', 'TOKENIZER')}"
        ) from None
    if not getattr(hf, "is_fast", False):
        raise UserError(f"the tokenizer {name_or_path!r} gives no character offsets: use one with a fast version")
    return Tokenizer(name_or_path, hf)


def load_tokens(name_or_path: str) -> Tokens:
    """Load what cuts texts into tokens: the same as `load_tokenizer` has, in a fraction of the time from the second time
    on. Raises UserError as that does."""
    place = _kept_at(name_or_path)
    if place and (backend := token_cache.read(place)):
        return Tokens(name_or_path, backend)
    loaded = load_tokenizer(name_or_path)
    if place := _kept_at(name_or_path):  # again: it, or more of it, may have come from the hub just now
        token_cache.write(place, loaded.hf.backend_tokenizer)
    return loaded


def _kept_at(name_or_path: str) -> Path | None:
    """Return the file that holds a tokenizer which is on this machine, or will hold it."""
    folder = Path(name_or_path).expanduser()
    if not folder.is_dir():
        from huggingface_hub import errors, try_to_load_from_cache

        try:
            found = try_to_load_from_cache(name_or_path, "tokenizer_config.json")
        except errors.HFValidationError:
            return None
        if not isinstance(found, str):
            return None
        folder = Path(found).parent
    return token_cache.place_of(folder)


def _from_cache_or_hub(from_pretrained, source: str):
    """Load from this machine, else from the hub if its name resolves: otherwise its client would retry for 45 s."""
    try:
        return from_pretrained(source, use_fast=True, local_files_only=True)
    except OSError:
        if Path(source).is_dir() or not _hub_resolves():
            raise
    return from_pretrained(source, use_fast=True)


def _hub_resolves() -> bool:
    from huggingface_hub.constants import ENDPOINT

    if any(os.environ.get(name) for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")):
        return True
    try:
        socket.getaddrinfo(urlsplit(ENDPOINT).hostname, 443)
    except OSError:
        return False
    return True
