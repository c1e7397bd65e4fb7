"""Present a trajectory as training sees it, a row, and as inference sends it: the requests of the fork-join loop."""

from __future__ import annotations

from threadweaver.corpus import chat, training_rows, training_units
from threadweaver.errors import UserError
from threadweaver.trajectory import markup
from threadweaver.viewer.documents import Source
from threadweaver.viewer.gauge import Gauge


def units(source: Source, gauge: Gauge) -> dict:
    """Return as JSON the row, the character at which its prompt ends, and the requests in order.

    A request's context is the row's first `shared` characters and then `added`, which the loop writes itself; its
    continuation is the row from `start` to `end`. Without a tokenizer the row has no prompt. `fault` says why there are
    no requests: inference would not build this text.
    """
    if source.text is None:
        return {"row": None, "begin": 0, "rendered": False, "units": [], "fault": "no text"}
    row, begin, fault = source.text, 0, ""
    try:
        if gauge.tokenizer:
            row, begin = _rendered(source, gauge)
    except UserError as error:
        fault = str(error)
    found = {"row": row, "begin": begin, "rendered": begin > 0, "units": [], "fault": fault}
    try:
        pairs = zip(training_units.places(row, begin), training_units.as_text(row, begin), strict=True)
        return found | {"units": [_request(row, place, unit.context) for place, unit in pairs]}
    except (markup.MarkupError, training_units.UnitError) as error:
        return found | {"fault": str(error)}


def _rendered(source: Source, gauge: Gauge) -> tuple[str, int]:
    """Return the row as the chat template renders it, up to the end of the turn, and where its prompt ends."""
    turns = chat.messages(source.problem, source.text, source.output, chat.INSTRUCTION)
    return training_rows.turn_span(chat.render(gauge.tokenizer, turns), turns, gauge.tokenizer)


def _request(row: str, place: training_units.Place, context: str) -> dict:
    shared, known = 0, len(context)  # the longest beginning of the context that the row has too
    while shared < known:
        middle = (shared + known + 1) // 2
        shared, known = (middle, known) if row.startswith(context[:middle]) else (shared, middle - 1)
    return {
        "kind": place.kind,
        "block": place.block,
        "thread": place.thread,
        "shared": shared,
        "added": context[shared:],
        "start": place.start,
        "end": place.end,
    }
