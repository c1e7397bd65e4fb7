"""Export a saved dataset for one trainer: rows streamed from parquet to parquet, with card, recipe and tokenizer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from threadweaver.corpus.tokenizer import Tokenizer, short_name
from threadweaver.exports import cards, folder, recipes, rows, trainers, tree
from threadweaver.files import read_json, write_atomic
from threadweaver.trajectory import markup

LEFT_OUT = "left_out.jsonl"


@dataclass
class Exporter:
    """Exports one dataset; the counts grow while rows are written."""

    dataset: Path
    export: trainers.Export
    plain: Tokenizer
    output: Path
    read: int = 0
    trained: int = 0
    lengths: list[int] = field(default_factory=list)
    left_out: list[dict[str, object]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.splits = rows.find(self.dataset)
        self.tagged = self.plain.with_tags(markup.TAGS)
        self.saved = _settings_of(self.dataset)

    def settings(self) -> dict[str, object]:
        """Return what decides the content of the folder."""
        digests = {split: folder.file_digest(path) for split, path in self.splits.items()}
        return {"for": self.export.name, "tokenizer": short_name(self.plain.name), "rows": digests}

    def write(self) -> int:
        """Write the folder, its card last, and return the number of rows; 0 if none could be exported."""
        schema, written = trainers.schema(self.export), {}
        for split, path in self.splits.items():
            written[split] = folder.write_rows(self.output / f"{split}.parquet", schema, self.rows(split, path))
        if self.left_out:
            folder.write_lines(self.output / LEFT_OUT, self.left_out)
        if not written["train"]:
            return 0
        self._write_files()
        counts = {f"rows, {split}": count for split, count in written.items()}
        counts |= {
            "tokens": sum(self.lengths),
            "tokens that are trained": self.trained,
            "longest row": max(self.lengths),
        }
        card = cards.card(
            f"{self.dataset.name}, for {self.export.name}",
            self._about(),
            {key: value for key, value in counts.items() if value},
            splits=[split for split, count in written.items() if count],
            licence=self.saved.get("license"),
            left_out=Counter(str(row["reason"]) for row in self.left_out),
        )
        write_atomic(self.output / folder.CARD, card)
        return sum(written.values())

    def rows(self, split: str, path: Path) -> Iterator[trainers.Row]:
        """Yield the rows of one split in the form of the export."""
        for row in rows.read(path):
            if self.read == 0:
                rows.check_tokenizer(row.fields, self.plain)
            self.read += 1
            try:
                encoded = rows.encode(self.dataset.name, row.fields, self.tagged)
                made = list(self.export.rows(encoded))
            except rows.Unfit as error:
                self.left_out.append({"split": split, "row": row.index, "reason": error.code, "detail": str(error)})
                continue
            for columns, length in made:
                self.lengths.append(length)
                self.trained += sum(label != tree.IGNORED for label in columns.get("labels", ()))
                yield {name: columns[name] for name in self.export.columns}

    def _write_files(self) -> None:
        longest = max(self.lengths)
        facts = {
            "title": self.export.title,
            "rows": f"{len(self.lengths):,}",
            "longest": f"{longest:,}",
            "context": recipes.context_for(longest),
        }
        write_atomic(self.output / "RECIPE.md", recipes.recipe(self.export.name, facts))
        for name in self.export.shipped:
            write_atomic(self.output / name, recipes.shipped(name, facts))
        if self.export.name == "llama-factory":
            files = {split: f"{split}.parquet" for split in self.splits}
            write_atomic(self.output / "dataset_info.json", trainers.dataset_info(files))
        if self.export.shipped[0] == trainers.MODEL:
            self.tagged.hf.save_pretrained(self.output / "tokenizer")

    def _about(self) -> str:
        source = self.saved.get("source")
        lines = [f"{self.export.title[0].upper()}{self.export.title[1:]}; `RECIPE.md` says how to train on them."]
        lines += [f"Made from the dataset `{self.dataset.name}`" + (f" (chains: {source})." if source else ".")]
        return " ".join(lines)


def _settings_of(dataset: Path) -> dict:
    """Return the settings of a saved dataset, of which `dataset` may be one folder or file; empty if it has none."""
    for place in (dataset, dataset.parent, dataset.parent.parent):
        if (place / "settings.json").is_file():
            found = read_json(place / "settings.json")
            return found if isinstance(found, dict) and found.get("stage") == "save" else {}
    return {}
