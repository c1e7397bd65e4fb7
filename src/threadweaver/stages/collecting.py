"""Which chains are fit to be collected."""

from __future__ import annotations

import re

from threadweaver.corpus.repetition import DEGENERATE_SHARE, looping
from threadweaver.files import to_json
from threadweaver.samples import Sample
from threadweaver.trajectory.markup import reserved_tag

MIN_CHARS = 400
"""A shorter chain is `too_short`: two threads of it could not save the 200 characters a block has to."""
_SURROGATE = re.compile(r"[\ud800-\udfff]")
"""Half of a character, from an escape that was cut: no file, tokenizer or parquet can hold it."""


def unfit(sample: Sample, *, keep_wrong: bool) -> str | None:
    """The code of why a chain is not collected, or None."""
    if sample.correctness is False and not keep_wrong:
        return "wrong"
    if _SURROGATE.search(to_json([sample.thinking, sample.problem, sample.output, sample.solution])):
        return "broken_unicode"
    if reserved_tag(sample.thinking) or any(
        reserved_tag(text, think=False) for text in (sample.problem, sample.output)
    ):
        return "contains_markup"
    if len(sample.thinking.strip()) < MIN_CHARS:
        return "too_short"
    if looping(sample.thinking) >= DEGENERATE_SHARE:
        return "looping"
    return None
