"""Saving the dataset: folders named by their rows, splits, units next to the rows, and what is refused."""

from __future__ import annotations

import errno
import json
from pathlib import Path
from runpy import run_path

import pyarrow.parquet as parquet
import pytest

import project
from threadweaver.errors import UserError
from threadweaver.files import write_atomic
from threadweaver.trajectory.edits import Lineage, fingerprint
from training_samples import REASONING, RESERVED, sample


@pytest.fixture(scope="module")
def command():
    return run_path(str(project.ROOT / "src" / "save_dataset.py"))["main"]


@pytest.fixture
def save(command, tmp_path, monkeypatch):
    """The command in a folder of six collected chains, of which five were accepted and two are on one problem."""
    monkeypatch.chdir(tmp_path)
    samples = [sample(n, problem=f"What is {max(n, 1)} + 5?") for n in range(6)]
    write_atomic(Path("in/collected.jsonl"), "".join(json.dumps(item.to_row()) + "\n" for item in samples))
    for item in samples[:5]:
        write_atomic(Path(f"step5/{item.index}.txt"), REASONING + "\n")

    def run(name: str, *flags: str) -> int:
        return command(
            [
                "--input",
                "in/collected.jsonl",
                "--trajectory-glob",
                "step5/*.txt",
                "--tokenizer",
                str(project.ROOT / "data/sample/tokenizer"),
                "--trajectory-matched-only",
                "--build-chat",
                "--output",
                f"dataset/{name}",
                *flags,
            ]
        )

    return run


def tables(name: str) -> dict:
    import pyarrow.parquet

    return {path.parent.name: pyarrow.parquet.read_table(path) for path in Path("dataset", name).rglob("*.parquet")}


def test_saving_names_folders_by_the_rows_really_saved(save, capsys):
    assert save("plain") == 0
    assert {name: table.num_rows for name, table in tables("plain").items()} == {"sample_5": 5, "sample_5_8x": 40}
    before = {path: path.read_bytes() for path in Path("dataset").rglob("*") if path.is_file()}
    assert save("plain") == 0
    assert "nothing to do" in capsys.readouterr().out
    assert before == {path: path.read_bytes() for path in Path("dataset").rglob("*") if path.is_file()}


def test_validation_and_repeats_are_saved_apart(save):
    assert save("split", "--val-size", "2", "--repeat", "3", "--seed", "4") == 0
    parts = tables("split")
    (validation,) = [name for name in parts if name.startswith("val_")]
    (train,) = [name for name in parts if name.startswith("sample_") and not name.endswith("x")]
    assert parts[f"{train}_3x"].num_rows == 3 * parts[train].num_rows
    assert parts[train].num_rows + parts[validation].num_rows == 5
    assert not set(parts[train]["question"].to_pylist()) & set(parts[validation]["question"].to_pylist())


def test_rows_too_long_for_the_trainer_are_set_aside_and_counted(save, capsys):
    with pytest.raises(UserError, match="no row is left to save"):
        save("short", "--max-tokens", "10")
    write_atomic(Path("step5/4.txt"), REASONING.replace("So it is 5.", "So it is 5. " * 200) + "\n")
    assert save("some", "--max-tokens", "300") == 0
    assert "1 rejected: over_max_tokens (4)" in capsys.readouterr().out
    assert tables("some")["sample_4"].num_rows == 4


@pytest.mark.parametrize(
    ("lineage", "says"),
    [
        (Lineage(0, "other-0", "", "", None, fingerprint("We begin."), 9, 1), "belongs to other-0"),
        (Lineage(0, "set-0", "", "", None, fingerprint("Something else."), 9, 1), "another chain"),
    ],
)
def test_a_trajectory_is_never_joined_to_another_question(save, lineage, says):
    write_atomic(Path("step5/trace/0.json"), lineage.to_json())
    with pytest.raises(UserError, match=says):
        save("never")
    assert tables("never") == {}


def test_a_trajectory_without_a_sample_or_the_other_way_round_is_reported(save):
    with pytest.raises(UserError, match="1 collected samples have no trajectory"):
        save("strict", "--trajectory-strict")
    write_atomic(Path("step5/77.txt"), REASONING + "\n")
    with pytest.raises(UserError, match=r"77\.txt has no collected sample"):
        save("stranger")


def contents(name: str) -> dict[str, bytes]:
    return {
        str(path.relative_to(f"dataset/{name}")): path.read_bytes()
        for path in Path("dataset", name).rglob("*")
        if path.is_file()
    }


def test_units_are_saved_next_to_the_rows_and_do_not_change_them(save, capsys):
    assert save("plain") == 0 and save("paired", "--units") == 0
    plain, paired = contents("plain"), contents("paired")
    assert set(paired) - set(plain) - {".lock"} == {
        "units_20/train.parquet",
        "units_20/README.md",
    }  # 5 rows of 2 threads
    rows = [name for name in plain if name.endswith(".parquet")] + ["account.jsonl"]
    assert len(rows) == 3 and all(plain[name] == paired[name] for name in rows)
    assert save("paired", "--units") == 0
    assert "nothing to do" in capsys.readouterr().out
    assert contents("paired") == paired
    assert save("paired", "--units", "--overwrite") == 0
    assert contents("paired") == paired


def test_a_units_folder_that_was_removed_is_written_again(save):
    assert save("again", "--units") == 0
    before = contents("again")
    Path("dataset/again/units_20/train.parquet").unlink()
    assert save("again", "--units") == 0
    assert contents("again") == before


def test_no_unit_has_a_column_that_trainers_reserve(save, tokenizer):
    assert save("pairs", "--units") == 0
    table = tables("pairs")["units_20"]
    assert table.column_names == [
        "uuid",
        "unit",
        "kind",
        "block",
        "thread",
        "context",
        "continuation",
        "num_context_tokens",
        "num_continuation_tokens",
    ]
    assert not RESERVED & set(table.column_names)
    rows = table.to_pylist()
    assert [(row["uuid"], row["unit"], row["kind"], row["block"], row["thread"]) for row in rows[:5]] == [
        ("set-0", 0, "outlines", 1, 0),
        ("set-0", 1, "thread", 1, 1),
        ("set-0", 2, "thread", 1, 2),
        ("set-0", 3, "end", 0, 0),
        ("set-1", 0, "outlines", 1, 0),
    ]
    assert rows[3]["continuation"] == "</Parallel>\nSo it is 5.\n</think>\n\\boxed{5}<|im_end|>"
    assert tables("pairs")["sample_5"]["qwen_text"][0].as_py() == rows[3]["context"] + rows[3]["continuation"] + "\n"
    for row in rows:
        lengths = tokenizer.count(row["context"]), tokenizer.count(row["continuation"])
        assert lengths == (row["num_context_tokens"], row["num_continuation_tokens"])


def test_units_of_the_rows_held_out_are_saved_apart(save):
    assert save("held", "--units", "--val-size", "2", "--seed", "4") == 0
    parts = tables("held")
    [train], [validation] = ([name for name in parts if name.startswith(kind)] for kind in ("units_", "val_units_"))
    assert train == f"units_{parts[train].num_rows}" and validation == f"val_units_{parts[validation].num_rows}"
    assert parts[train].num_rows + parts[validation].num_rows == 20
    assert not set(parts[train]["uuid"].to_pylist()) & set(parts[validation]["uuid"].to_pylist())


def test_a_trajectory_that_inference_would_not_build_stops_the_units(save):
    write_atomic(Path("step5/3.txt"), REASONING.replace("</Thread><Thread>", "</Thread>\n<Thread>") + "\n")
    with pytest.raises(
        UserError, match=r"no units can be made of set-3 \(not_canonical at character \d+: .*stage 5"
    ) as caught:
        save("bent", "--units")
    assert "\n" not in str(caught.value)
    assert save("kept") == 0
    assert tables("kept")["sample_5"].num_rows == 5


def test_units_need_the_chat_columns(save):
    with pytest.raises(UserError, match="leave --no-build-chat out"):
        save("bare", "--units", "--no-build-chat")


def test_other_settings_make_the_dataset_that_is_asked_for_and_nothing_of_the_other_stays(save):
    assert save("set") == 0 and save("set", "--repeat", "2", "--license", "mit") == 0
    again = contents("set")
    assert b'license: "mit"' in again["README.md"] and b'license: "mit"' in again["sample_5_2x/README.md"]
    assert save("set", "--repeat", "2", "--license", "mit", "--overwrite") == 0
    assert contents("set") == again
    assert save("set", "--val-size", "2", "--seed", "4", "--max-tokens", "300") == 0
    assert set(tables("set")) == {"sample_2", "sample_2_8x", "val_3"}


def test_a_dataset_is_never_made_over_one_of_other_trajectories(save):
    assert save("set") == 0
    Path("step5").rename("other")
    with pytest.raises(UserError, match=r'step5" there, .*other" now'):
        save("set", "--trajectory-glob", "other/*.txt", "--repeat", "2")


def test_loading_the_folder_gives_one_set_and_a_name_another_one(save, monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    import datasets

    assert save("all", "--val-size", "2", "--seed", "4", "--units") == 0
    path, cache = str(Path("dataset/all").resolve()), str(tmp_path / "cache")
    assert datasets.get_dataset_config_names(path) == ["sample", "repeated", "val", "units", "val_units"]
    held = {name: table.num_rows for name, table in tables("all").items()}
    for config, split, folder in (
        (None, "train", "sample_2"),
        ("repeated", "train", "sample_2_8x"),
        ("val", "validation", "val_3"),
        ("units", "train", "units_8"),
        ("val_units", "validation", "val_units_12"),
    ):
        loaded = datasets.load_dataset(path, config, cache_dir=cache)
        assert {name: rows.num_rows for name, rows in loaded.items()} == {split: held[folder]}, config
    assert sorted(loaded["validation"].column_names) == sorted(tables("all")["val_units_12"].column_names)


def test_a_disk_that_is_full_while_rows_are_written_is_one_error_and_leaves_no_rows(save, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched, pytest.raises(OSError, match="No space left"):
        patched.setattr(parquet.ParquetWriter, "write_table", full)
        save("out")
    assert not list(Path("dataset/out").rglob("*.part"))
    assert save("out") == 0
