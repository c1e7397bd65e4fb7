"""The parameters of --extra-body: checked before anything is done, and what `null` leaves out."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any, NoReturn

from threadweaver.client.apis import APIS
from threadweaver.client.bounds import MOST, UNCAPPED
from threadweaver.errors import UserError

OWN = {
    **dict.fromkeys(("model", "service_tier"), "use the flag for it"),
    **dict.fromkeys(("stream", "stream_options"), "use --stream"),
    **dict.fromkeys(("input", "messages", "prompt"), "it is what the request is about"),
}
"""What --extra-body cannot set, and why."""
LIMITS = ("max_output_tokens", "max_completion_tokens", "max_tokens")
_WHOLE = (*LIMITS, "n", "best_of")
DEPTH = 32


def parse(text: str | None, api: str, *, capped: bool) -> Mapping[str, Any]:
    """Return the parameters of a flag. Raises UserError for what cannot be sent, or, where spending is `capped`, for
    what makes the price of a call unknown.
    """
    if not text:
        return {}
    try:
        value = json.loads(text, parse_constant=_no_number)
    except RecursionError:
        raise UserError("--extra-body is nested too deeply") from None
    except ValueError as error:
        raise UserError(
            f"--extra-body is not JSON ({error}): give an object such as '{{\"temperature\": 0}}'"
        ) from error
    if not isinstance(value, dict):
        raise UserError("--extra-body must be a JSON object such as '{\"temperature\": 0}'")
    _check_values(value, DEPTH)
    if reserved := [name for name in OWN if name in value]:
        raise UserError(f"--extra-body cannot set {', '.join(reserved)}: {OWN[reserved[0]]}, or leave it out")
    _check_numbers(value, api)
    if capped and (unknown := [name for name in UNCAPPED if value.get(name)]):
        raise UserError(
            f"--max-cost cannot hold with {', '.join(unknown)} in --extra-body, whose price is not known beforehand: "
            "leave one of them out"
        )
    return value


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number")


def _check_values(value: Any, depth: int) -> None:
    if isinstance(value, float) and not math.isfinite(value):
        raise UserError("--extra-body has a number that is too large")
    if not depth:
        raise UserError("--extra-body is nested too deeply")
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        _check_values(inner, depth - 1)


def _check_numbers(value: Mapping[str, Any], api: str) -> None:
    for name in _WHOLE:
        number = value.get(name)
        if number is None:
            continue
        if isinstance(number, bool) or not isinstance(number, int) or not 0 < number <= MOST:
            raise UserError(f"{name} in --extra-body must be a whole number above 0")
    removed = [
        name for name in LIMITS if name in value and value[name] is None and name in (LIMITS[0], APIS[api].limit)
    ]
    if removed and (api == "responses" or not _other_limit(value)):
        other = "" if api == "responses" else f', or give another: {{"{removed[0]}": null, "max_tokens": 8192}}'
        raise UserError(
            f"--extra-body cannot remove {removed[0]}, without which a reply has no limit: set --output-limit{other}"
        )


def _other_limit(value: Mapping[str, Any]) -> int:
    return max((value[name] for name in LIMITS[1:] if value.get(name)), default=0)


def without_nulls(params: Mapping[str, Any], api: str) -> dict[str, Any]:
    """Return parameters without those that are null. A null under the API's own name of a parameter stays: it removes
    that from the body. Where it is the limit's, another limit takes its place.
    """
    kept = {name: value for name, value in params.items() if value is not None}
    nulls = {name for name, value in params.items() if value is None and name not in ("effort", "verbosity")}
    if not nulls:
        return kept
    limit = APIS[api].limit
    nulls = {limit if name == "max_output_tokens" else name for name in nulls}
    if limit in nulls:
        kept["max_output_tokens"] = _other_limit(params)
    sent = APIS[api].body("", (), kept)
    return kept | {name: None for name in nulls if name in sent}
