"""The settings of a client, and the flags that all commands that call a model share."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from threadweaver.client import extra_body
from threadweaver.client.credentials import DEFAULT_KEY_PATH, find_base_url
from threadweaver.client.requests import Message, Request
from threadweaver.errors import UserError

DEFAULT_MODEL = "gpt-5"
DEFAULT_WORKERS = 128  # as in the published run
DEFAULT_OUTPUT_LIMIT = 32_768
DEFAULT_TIMEOUT = 900.0  # seconds; a long chain at high effort takes minutes, flex calls up to a quarter of an hour
DEFAULT_LEDGER = Path(__file__).parents[3] / "data" / "ledger.sqlite"


@dataclass(frozen=True)
class Batching:
    """`enqueued_tokens`: how many may wait at the provider at once. `deadline`: seconds until stragglers are called one
    by one. `quiet`: seconds without a new request after which a wave counts as complete. `poll`: seconds between looks
    at a batch.
    """

    max_requests: int = 50_000
    max_bytes: int = 200_000_000
    enqueued_tokens: int = 1_000_000_000
    deadline: float | None = None
    quiet: float = 5.0
    poll: float = 30.0


@dataclass(frozen=True)
class Retrying:
    """`tries` limits the faults of a call, `limited_tries` its refusals for being too fast. Waits double from `first`
    seconds to `longest`, half of each at random, unless the server names the wait.
    """

    tries: int = 8
    limited_tries: int = 60
    first: float = 0.5
    longest: float = 60.0
    down_after: int = 10  # calls in a row that gave up
    longest_asked: float = 600.0  # seconds that a server may ask to wait


@dataclass(frozen=True)
class ClientSettings:
    """`ledger` None: in memory. Prices in USD per million tokens; `max_cost` in USD over the life of the
    ledger. `stream`: replies come as a stream; without it, one that has to is learnt.
    """

    model: str = DEFAULT_MODEL
    base_url: str | None = None
    api: str = "responses"
    workers: int = DEFAULT_WORKERS
    key_path: str | None = None
    extra_body: Mapping[str, Any] = field(default_factory=dict)
    in_cost_per_million: float | None = None
    out_cost_per_million: float | None = None
    ledger: Path | None = DEFAULT_LEDGER
    retry_failed: bool = False
    max_cost: float | None = None
    offline: bool = False
    service_tier: str | None = None
    timeout: float = DEFAULT_TIMEOUT
    output_limit: int = DEFAULT_OUTPUT_LIMIT
    stream: bool = False
    batch: Batching | None = None
    retrying: Retrying = Retrying()
    drain: float = 4.0  # seconds that calls under way are given when the client closes

    def request(self, messages: Iterable[tuple[str, str]], **params: Any) -> Request:
        """Return a request to this model; where `params` (effort, verbosity, max_output_tokens, …) and the extra body
        differ, the extra body counts.
        """
        merged = {"max_output_tokens": self.output_limit, **params, **self.extra_body}
        kept = extra_body.without_nulls(merged, self.api)
        return Request(self.api, self.model, tuple(Message(role, content) for role, content in messages), kept)


def add_ledger_flag(parser: argparse._ActionsContainer) -> None:
    parser.add_argument(
        "--ledger",
        type=Path,
        default=DEFAULT_LEDGER,
        metavar="FILE",
        help="where paid replies are kept (default: data/ledger.sqlite)",
    )


def add_client_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags of every command that may call a model, each with underscores and with hyphens."""
    group = parser.add_argument_group("model client")

    def add(name: str, **options: Any) -> None:
        other = name.replace("-", "_") if "-" in name else name.replace("_", "-")
        group.add_argument(f"--{name}", *({f"--{other}"} - {f"--{name}"}), **options)

    _add_endpoint(add)
    add_ledger_flag(group)
    _add_money(add)
    _add_batch(add)


def _add_endpoint(add: Callable[..., None]) -> None:
    add("openai_model", default=DEFAULT_MODEL, metavar="NAME", help="model to call (default: %(default)s)")
    add("workers", type=int, default=DEFAULT_WORKERS, metavar="N", help="most calls in flight (default: %(default)s)")
    add("use_chat_completions", action="store_true", help="Chat Completions instead of the Responses API")
    add("base-url", metavar="URL", help="endpoint (default: OPENAI_BASE_URL, OPENAI_API_BASE, else OpenAI)")
    add("key-path", metavar="FILE", help=f"file with the API key (default: {DEFAULT_KEY_PATH}, else OPENAI_API_KEY)")
    add("extra-body", metavar="JSON", help="more parameters of every request, as a JSON object; null removes one")
    add(
        "output-limit",
        type=int,
        default=DEFAULT_OUTPUT_LIMIT,
        metavar="N",
        help="most output tokens of a reply (default: %(default)s)",
    )
    add("stream", action="store_true", help="replies as a stream; endpoints that only stream are found out anyway")
    add(
        "longest-wait",
        type=float,
        default=Retrying.longest_asked,
        metavar="S",
        help="seconds that a server may ask to wait before the run ends instead (default: %(default)g)",
    )
    add("timeout", type=float, default=DEFAULT_TIMEOUT, metavar="S", help="seconds for one call (default: %(default)g)")


def _add_money(add: Callable[..., None]) -> None:
    add("in_cost_per_million", type=float, metavar="USD", help="price of input tokens, over data/prices.json")
    add("out_cost_per_million", type=float, metavar="USD", help="price of output tokens, over data/prices.json")
    add("retry-failed", action="store_true", help="ask again where an earlier run's reply was not accepted")
    add(
        "max-cost",
        type=dollars,
        metavar="USD",
        help="limit of the ledger's total spending, never exceeded; 20/8: an eighth of 20, for one of 8 ledgers",
    )
    add("offline", action="store_true", help="answer from the ledger alone")
    add("service-tier", metavar="TIER", help="sent with every request and priced: flex, default, …")


def _add_batch(add: Callable[..., None]) -> None:
    add("batch", action="store_true", help="use the Batch API: half the price, within 24 hours")
    add(
        "batch-deadline",
        type=float,
        metavar="HOURS",
        help="after this time, call what a batch has not answered one by one",
    )
    add(
        "batch-tokens",
        type=int,
        default=Batching.enqueued_tokens,
        metavar="N",
        help="most tokens waiting in batches at once",
    )
    add(
        "batch-poll",
        type=float,
        default=Batching.poll,
        metavar="S",
        help="seconds between two requests for a batch's state (default: %(default)g)",
    )
    add(
        "batch-quiet",
        type=float,
        default=Batching.quiet,
        metavar="S",
        help="seconds without a new request after which a wave is sent (default: %(default)g)",
    )


def dollars(text: str) -> float:
    """Read an amount, or one part of it: `20/8` is a part of 20 such that 8 of them are no more than that."""
    whole, found, parts = text.partition("/")
    amount = float(whole)
    if not found or not math.isfinite(amount):
        return amount
    if not parts.isdecimal() or int(parts) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not an amount, nor a part of one such as 20/8")
    return math.floor(amount * 1e9 / int(parts)) / 1e9


def settings_from(args: argparse.Namespace) -> ClientSettings:
    """Return the settings of parsed flags. Raises UserError for values that cannot be used."""
    for name in ("workers", "output_limit", "timeout", "longest_wait", "batch_tokens", "batch_poll", "batch_quiet"):
        if not getattr(args, name) > 0:
            raise UserError(f"--{name.replace('_', '-')} must be above 0")
    for name in ("max_cost", "in_cost_per_million", "out_cost_per_million", "batch_deadline"):
        value = getattr(args, name)
        if value is not None and not (math.isfinite(value) and value >= 0):
            raise UserError(f"--{name.replace('_', '-')} must be a number of at least 0")
    if args.offline and args.batch:
        raise UserError("--offline sends nothing, so --batch has no meaning with it: leave one out")
    deadline = None if args.batch_deadline is None else args.batch_deadline * 3600
    batch = (
        Batching(enqueued_tokens=args.batch_tokens, deadline=deadline, poll=args.batch_poll, quiet=args.batch_quiet)
        if args.batch
        else None
    )
    if not args.offline:
        find_base_url(args.base_url)
    api = "chat" if args.use_chat_completions else "responses"
    return ClientSettings(
        model=args.openai_model,
        base_url=args.base_url,
        api=api,
        workers=args.workers,
        key_path=args.key_path,
        extra_body=extra_body.parse(args.extra_body, api, capped=args.max_cost is not None),
        in_cost_per_million=args.in_cost_per_million,
        out_cost_per_million=args.out_cost_per_million,
        ledger=args.ledger,
        retry_failed=args.retry_failed,
        max_cost=args.max_cost,
        offline=args.offline,
        service_tier=args.service_tier,
        timeout=args.timeout,
        output_limit=args.output_limit,
        stream=args.stream,
        batch=batch,
        retrying=Retrying(longest_asked=args.longest_wait),
    )
