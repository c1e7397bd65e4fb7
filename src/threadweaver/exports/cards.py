"""The cards of exports and converted sets: what they hold, where it comes from, and what was left out."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping

from threadweaver.exports.conversion import Conversion


def card(
    name: str,
    about: str,
    counts: Mapping[str, object],
    *,
    splits: Iterable[str] = ("train",),
    licence: str | None = None,
    left_out: Mapping[str, int] | None = None,
) -> str:
    """Return a card whose head makes `datasets.load_dataset` read these splits and nothing else of the folder."""
    head = ["---", f"pretty_name: {json.dumps(name)}", *([f"license: {licence}"] if licence else [])]
    head += ["configs:", "- config_name: default", "  data_files:"]
    for split in splits:
        head += [f"  - split: {'validation' if split == 'val' else split}", f"    path: {split}.parquet"]
    rows = [f"| {key} | {value} |" for key, value in counts.items()]
    rows += [f"| left out: {reason} | {count} |" for reason, count in sorted((left_out or {}).items())]
    table = "\n".join(["| count | |", "|---|---|", *rows])
    return "\n".join([*head, "---", "", f"# {name}", "", about, "", table, ""])


def of_conversion(name: str, conversion: Conversion, written: int) -> str:
    """Return the card of a converted set."""
    about = (
        f"Converted from the dialect `{conversion.source}` into `{conversion.target}`. The column `lost` of a row counts "
        "what the new dialect cannot say; `refused.jsonl` holds the rows left out, with the reason."
    )
    counts = {"rows read": conversion.read, "rows": written}
    counts |= {f"lost: {what}": count for what, count in sorted(conversion.lost.items())}
    return card(name, about, counts, left_out=Counter(str(row["reason"]) for row in conversion.refused))
