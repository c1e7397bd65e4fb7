"""Reading source datasets: every form they come in, in order and character for character."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from source_rows import CHAIN, chat, jsonl, processed, row
from threadweaver.corpus.readers import dataset_name, read_rows
from threadweaver.corpus.sources import to_sample
from threadweaver.errors import UserError
from threadweaver.stages.collecting import unfit


def parquet(path: Path, rows: list[dict]) -> Path:
    import pyarrow
    import pyarrow.parquet

    path.parent.mkdir(parents=True, exist_ok=True)
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    return path


def saved(path: Path, rows: list[dict]) -> Path:
    from datasets import Dataset

    Dataset.from_list(rows).save_to_disk(str(path))
    return path


def saved_splits(path: Path, rows: list[dict]) -> Path:
    from datasets import Dataset, DatasetDict

    DatasetDict({"test": Dataset.from_list(rows[:1]), "train": Dataset.from_list(rows)}).save_to_disk(str(path))
    return path


def shards(path: Path, rows: list[dict]) -> Path:
    """A folder of parquet files whose names sort 10 before 2, beside those of another split."""
    for number, item in zip((1, 2, 10), rows, strict=True):
        parquet(path / "data" / f"train-{number}.parquet", [item])
    parquet(path / "data" / "test-0.parquet", [row(99)])
    return path


def split_folders(path: Path, rows: list[dict]) -> Path:
    parquet(path / "train" / "0000.parquet", rows)
    parquet(path / "test" / "0000.parquet", [row(99)])
    return path


FORMS = {
    "jsonl": (jsonl, "x.jsonl", row),
    "jsonl, processed": (jsonl, "x.jsonl", processed),
    "jsonl, chat": (jsonl, "x.jsonl", chat),
    "parquet": (parquet, "x.parquet", row),
    "parquet, processed": (parquet, "x.parquet", processed),
    "parquet, chat": (parquet, "x.parquet", chat),
    "arrow folder": (saved, "x", processed),
    "dataset dict": (saved_splits, "x", processed),
    "parquet shards": (shards, "x", processed),
    "folders of splits": (split_folders, "x", row),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_samples_in_the_order_of_the_source(tmp_path, form):
    write, name, make = FORMS[form]
    path = write(tmp_path / name, [make(n) for n in range(3)])
    samples = [to_sample(item, "x") for item in read_rows(path)]
    assert [sample.uuid for sample in samples] == ["x-0", "x-1", "x-2"]
    for n, sample in enumerate(samples):
        assert (sample.problem, sample.solution, sample.correctness) == (f"problem {n}", str(n), True)
        assert sample.thinking == f"{CHAIN}\n\nThis was {n}." and sample.output == f"It is {n}."
        assert unfit(sample) is None
    assert [item.index for item in read_rows(path, 2)] == [0, 1]


@pytest.mark.parametrize("text", ["a\r\nb", "\n a \n\n", "a\u2028b\x0c", "x <n> y", "  a"])
@pytest.mark.parametrize("write", [jsonl, parquet])
def test_chains_are_read_character_for_character(tmp_path, text, write):
    path = write(tmp_path / f"x.{write.__name__}", [row(0, thinking=text)])
    assert to_sample(next(read_rows(path)), "x").thinking == text


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("a/b/polaris_1k.jsonl", "polaris_1k"),
        ("sets/mine/train.parquet", "mine"),
        ("sets/sample/chains.jsonl", "sample"),
        ("sets/my set (2)", "my_set_2_"),
        ("x/data.v2", "data.v2"),
    ],
)
def test_the_name_of_a_dataset(tmp_path, path, name):
    target = tmp_path / path
    target.parent.mkdir(parents=True)
    target.touch() if target.suffix in (".jsonl", ".parquet") else target.mkdir()
    assert dataset_name(target) == name


def test_a_line_that_is_not_json_is_named_by_its_number(tmp_path):
    path = tmp_path / "x.jsonl"
    path.write_text(f'{json.dumps(row(0))}\n\n{json.dumps(row(1))[:-9]}\n[1, 2]\n"text"\n')
    found = list(read_rows(path))
    assert [item.fields is None for item in found] == [False, True, True, True]
    assert [item.place for item in found[1:]] == [f"{path}, line {n}" for n in (3, 4, 5)]
    for item in found[1:]:
        with pytest.raises(ValueError, match=r"."):
            to_sample(item, "x")


@pytest.mark.parametrize("name", ["nowhere", "nowhere.jsonl", "empty", "notes.doc", "broken.parquet", "damaged"])
def test_a_path_that_is_not_a_dataset_is_a_one_line_error(tmp_path, name):
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.doc").write_text("a,b\n")
    (tmp_path / "broken.parquet").write_text("PAR1")
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged/dataset_dict.json").write_text("{")
    with pytest.raises(UserError) as caught:
        list(read_rows(tmp_path / name))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("indent", [None, 1])
def test_a_json_array_is_read_as_its_items(tmp_path, indent):
    path = tmp_path / "rows.json"
    path.write_text(json.dumps([row(0), 5, row(1)], indent=indent))
    found = list(read_rows(path))
    assert [item.fields for item in found] == [row(0), None, row(1)]
    assert found[1].place.endswith("rows.json, item 1") and found[1].fault == "not a JSON object"


@pytest.mark.parametrize("text", ['[{"problem": "p", ', "[1,]", "[" * 100_000, "[1] x"])
def test_a_damaged_array_is_one_line_that_asks_nobody_to_remove_a_dataset(tmp_path, text):
    path = tmp_path / "rows.json"
    path.write_text(text)
    with pytest.raises(UserError, match=r"rows.json cannot be read as a JSON array .*: fix it") as caught:
        list(read_rows(path))
    assert "remove" not in str(caught.value) and "\n" not in str(caught.value)
