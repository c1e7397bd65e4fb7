"""Where the API key and the endpoint come from: a file or the environment; a key is never a flag."""

from __future__ import annotations

import os
import re
import select
import stat
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from threadweaver.client.secrets import Key, shown_url
from threadweaver.errors import UserError

DEFAULT_KEY_PATH = "~/.openai_api_key"
OPENAI_URL = "https://api.openai.com/v1"
_KEY = re.compile(r"[A-Za-z0-9._~+/:|@!*-]+=*")  # what a bearer token may be, and some marks that servers add
_HOST = re.compile(r"[A-Za-z0-9._-]+|[0-9A-Fa-f:.]+(?:%[A-Za-z0-9]+)?")
MOST_BYTES = 65_536  # read of a key file: more than any key has
PIPE_SECONDS = 30.0
_warned: set[Path] = set()


NO_KEY = Key("none", "none needed", secret=False)
"""For a server that needs none; the HTTP client demands some value."""


def find_key(key_path: str | None = None, environment: Mapping[str, str] | None = None) -> Key | None:
    """Return the key in the file that is named (`key_path`, else OPENAI_KEY_PATH, else ~/.openai_api_key); where that
    is missing, the one in OPENAI_API_KEY, else None.

    Warns once on stderr about a file that others can read, and about a named file that is missing. Raises UserError for
    a named file that is missing where OPENAI_API_KEY has no key either, and for one that does not hold a key.
    """
    environment = os.environ if environment is None else environment
    named = key_path or environment.get("OPENAI_KEY_PATH")
    path = Path(os.path.expanduser(named or DEFAULT_KEY_PATH))
    try:
        text = _read(path, pipe=bool(named))
    except FileNotFoundError:
        value = environment.get("OPENAI_API_KEY", "").strip()
        if named and not value:
            raise UserError(
                f"the key file {path} was not found: correct --key-path or OPENAI_KEY_PATH, or leave it out to use "
                f"{DEFAULT_KEY_PATH} or OPENAI_API_KEY"
            ) from None
        if named and path not in _warned:
            _warned.add(path)
            print(f"the key file {path} was not found: OPENAI_API_KEY is used", file=sys.stderr)
        return Key(_checked(value, "OPENAI_API_KEY"), "OPENAI_API_KEY") if value else None
    except OSError as error:
        raise UserError(
            f"the key file {path} cannot be read ({error.strerror}): correct its permissions or give another with "
            "--key-path"
        ) from error
    if not text.strip():
        raise UserError(f"the key file {path} is empty: put the API key into it, or remove it and set OPENAI_API_KEY")
    _warn_if_open(path)
    return Key(_checked(text.strip(), str(path)), str(path))


def _read(path: Path, *, pipe: bool) -> str:
    """Read a file or, where `pipe` allows it, a pipe (`--key-path <(pass show openai)`)."""
    mode = path.stat().st_mode
    if stat.S_ISFIFO(mode) and pipe:
        return _read_pipe(path).decode("utf-8", "replace")
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise UserError(f"the key file {path} is not a file: give one with --key-path")
    with open(path, "rb") as file:
        return file.read(MOST_BYTES).decode("utf-8", "replace")


def _read_pipe(path: Path) -> bytes:
    """Read a pipe until its writer closes it, and wait at most PIPE_SECONDS for somebody to write."""
    until = time.monotonic() + PIPE_SECONDS
    read = b""
    with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb", buffering=0) as file:
        wait = select.poll()
        wait.register(file, select.POLLIN)
        while len(read) < MOST_BYTES:
            if not wait.poll(max(0.0, until - time.monotonic()) * 1000):
                raise UserError(
                    f"the key file {path} is a pipe, and no key came through it in {PIPE_SECONDS:g} seconds: write "
                    "into it, or give a file with --key-path"
                )
            part = file.read(MOST_BYTES)
            if not part:
                break
            read += part
    return read


def _checked(value: str, source: str) -> str:
    if not _KEY.fullmatch(value):
        raise UserError(
            f"{source} does not hold one API key: it has white space or characters that no key has (quotes, braces, "
            "…): leave only the bare key in it"
        )
    return value


def _warn_if_open(path: Path) -> None:
    mode = path.stat().st_mode
    if path not in _warned and stat.S_ISREG(mode) and mode & (stat.S_IRWXG | stat.S_IRWXO):
        _warned.add(path)
        print(f"warning: others can read the key file {path}: chmod 600 {path}", file=sys.stderr)


def find_base_url(flag: str | None, environment: Mapping[str, str] | None = None) -> str:
    """Return `flag`, else OPENAI_BASE_URL, else OPENAI_API_BASE, else OpenAI's endpoint. A query is kept: Azure's
    endpoints have `?api-version=…`.

    Raises UserError for what is not a URL.
    """
    environment = os.environ if environment is None else environment
    url = flag or environment.get("OPENAI_BASE_URL") or environment.get("OPENAI_API_BASE") or OPENAI_URL
    url = url.strip().rstrip("/")
    parts = _parts(url)
    if parts is None or parts.scheme not in ("http", "https"):
        raise UserError(f"the endpoint {shown_url(url)} is not a URL like http://127.0.0.1:8000/v1")
    if parts.username is not None or parts.password is not None:
        raise UserError("the endpoint's URL carries a password: put the key into a file or OPENAI_API_KEY instead")
    return url


def _parts(url: str) -> SplitResult | None:
    """Return the parts of a URL that a request can be sent to, else None."""
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").encode("idna").decode("ascii")
        possible = _HOST.fullmatch(host) and parts.port != 0 and url.isprintable() and " " not in url
    except ValueError:  # a bracket that is not closed, an empty label, a port above 65535
        return None
    return parts if possible else None


def needs_key(base_url: str) -> bool:
    """Whether an endpoint is OpenAI's own: other servers may work without a key."""
    return (urlsplit(base_url).hostname or "").endswith("openai.com")


def key_for(base_url: str, key_path: str | None, environment: Mapping[str, str] | None = None) -> Key:
    """Return the key to send; servers other than OpenAI's do not need one. Raises UserError that names the ways out."""
    key = find_key(key_path, environment)
    if key is not None:
        return key
    if needs_key(base_url):
        path = key_path or DEFAULT_KEY_PATH
        raise UserError(
            f"no API key and no endpoint: put a key into {path} or OPENAI_API_KEY (or name a server with "
            "OPENAI_BASE_URL), or annotate without a model: ANNOTATOR=rules"
        )
    return NO_KEY
