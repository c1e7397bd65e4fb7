"""Mixing an earlier dataset into a new one."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as parquet
import pytest

from bench.damage import load
from project import ROOT
from threadweaver.errors import UserError
from threadweaver.files import to_json
from threadweaver.samples import Sample
from threadweaver.trajectory import markup

TOKENIZER = str(ROOT / "data" / "sample" / "tokenizer")
save = load("save_dataset").main
BLOCK = markup.write_block(["x is 1, and so on.", "x is 2, and so on."], ["Take x = 1.", "Take x = 2."])


def run(name: str, *problems: int, of: str = "") -> Path:
    """A run of these problems up to step 5; the text of a trajectory depends on the problem and on `of`."""
    collected, accepted = Path(name), Path(f"{name}5")
    accepted.mkdir(parents=True)
    collected.mkdir()
    rows = []
    for n in problems:
        thinking = f"We begin with {n}{of}.\n{BLOCK}\nSo it is."
        rows.append(Sample(n, f"{name}-{n}", f"What is {n}?", thinking, str(n), True, f"\\boxed{{{n}}}"))
        (accepted / f"{n}.txt").write_text(thinking + "\n")
    (collected / "collected.jsonl").write_text("".join(to_json(row.to_row()) + "\n" for row in rows))
    return collected


def saved(name: str, *flags: object, tokenizer: str = TOKENIZER) -> Path:
    words = ["--tokenizer", tokenizer, "--input", f"{name}/collected.jsonl", "--trajectory-glob", f"{name}5/*.txt"]
    assert save([*words, "--output", f"dataset/{name}", "--trajectory-matched-only", *map(str, flags)]) == 0
    return Path("dataset") / name


def rows_of(dataset: Path, pattern: str = "sample_?/train.parquet") -> list[dict]:
    [path] = dataset.glob(pattern)
    return parquet.read_table(path).to_pylist()


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_rows_of_an_earlier_dataset_follow_unless_they_are_there_already(capsys):
    run("first", 0, 1)
    run("second", 1, 2)  # 1 has the same text there
    first = saved("first")
    dataset = saved("second", "--mix", first, "--repeat", 2, "--units")
    assert [row["uuid"] for row in rows_of(dataset)] == ["second-1", "second-2", "first-0"]
    assert rows_of(dataset)[2] == rows_of(first)[0]
    assert len(rows_of(dataset, "sample_3_2x/train.parquet")) == 6
    assert {row["uuid"] for row in rows_of(dataset, "units_*/train.parquet")} == {"second-1", "second-2", "first-0"}
    assert "1 rows of first added" in capsys.readouterr().out
    assert "rows from first" in (dataset / "sample_3" / "README.md").read_text()
    saved("second", "--mix", first, "--repeat", 2, "--units")
    assert "nothing to do" in capsys.readouterr().out


def test_a_problem_of_both_is_on_one_side_of_the_validation_split():
    run("first", *range(6))
    run("second", *range(6), of=" again")
    dataset = saved("second", "--mix", saved("first"), "--val-size", 4)
    held = {row["question"] for row in rows_of(dataset, "val_*/val.parquet")}
    trained = {row["question"] for row in rows_of(dataset)}
    assert len(held) == 2 and not held & trained


def test_another_tokenizer_or_no_dataset_is_refused_before_anything_is_written(tmp_path):
    run("first", 0)
    run("second", 1)
    first = saved("first")
    with pytest.raises(UserError, match="not a saved dataset"):
        saved("second", "--mix", "first")
    settings = (first / "settings.json").read_text()
    (first / "settings.json").write_text(settings.replace('"tokenizer": "tokenizer"', '"tokenizer": "other"'))
    with pytest.raises(UserError, match="made for the tokenizer other"):
        saved("second", "--mix", first)
    assert not list(Path("dataset/second").glob("*/*.parquet"))
