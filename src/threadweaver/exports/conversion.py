"""Convert the texts of a dataset from one dialect into another, row by row; what cannot be converted has a reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from threadweaver.corpus.readers import SourceRow, dataset_name, read_rows
from threadweaver.corpus.sources import problem_of
from threadweaver.exports import dialects
from threadweaver.exports.dialects.scanning import unwrap
from threadweaver.files import to_json
from threadweaver.trajectory.markup import MarkupError

OURS, THEIRS = "uuid question response_reasoning response_content lost".split(), "uuid question text lost".split()
"""Columns of the rows that are written; `lost` is JSON: what the new dialect cannot say, and how often."""


@dataclass
class Conversion:
    """Converts one dataset; the counts grow while `rows` is consumed."""

    dataset: Path
    column: str
    split: str
    source: str
    target: str
    read: int = 0
    lost: Counter[str] = field(default_factory=Counter)
    refused: list[dict[str, object]] = field(default_factory=list)

    def settings(self) -> dict[str, object]:
        """Return what decides the content of the converted set."""
        return {
            "from": self.source,
            "to": self.target,
            "text_column": self.column,
            "dataset": dataset_name(self.dataset),
        }

    @property
    def columns(self) -> list[str]:
        return OURS if self.target == dialects.OURS else THEIRS

    def rows(self) -> Iterator[dict[str, object]]:
        """Yield the rows that can be converted."""
        name = dataset_name(self.dataset)
        for row in read_rows(self.dataset, split=self.split):
            self.read += 1
            try:
                converted = dialects.convert(self._text(row), self.source, self.target)
            except MarkupError as error:
                self.refused.append({"row": row.index, "reason": error.code, "detail": str(error)})
                continue
            self.lost += converted.lost
            yield self._row(row, name, converted)

    def _text(self, row: SourceRow) -> str:
        text = (row.fields or {}).get(self.column)
        if not isinstance(text, str):
            raise MarkupError("no_text", 0, row.fault or f"no text in the column {self.column!r}")
        answer = row.fields.get("response_content")
        if self.source == dialects.OURS and isinstance(answer, str) and "</think>" not in text:
            return f"<think>\n{text}\n</think>\n{answer}"
        return text

    def _row(self, row: SourceRow, name: str, converted: dialects.Converted) -> dict[str, object]:
        given = row.fields.get("uuid")
        facts = {
            "uuid": given if isinstance(given, str) else f"{name}-{row.index}",
            "question": problem_of(row.fields),
            "lost": to_json(dict(sorted(converted.lost.items()))),
        }
        if self.target != dialects.OURS:
            return facts | {"text": converted.text}
        thinking, answer = unwrap(converted.text, "think")
        return facts | {"response_reasoning": thinking, "response_content": (answer or "").removeprefix("\n")}
