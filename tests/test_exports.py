"""Exports: the columns of each trainer, one tokenization, loss on what a model decodes, and nothing left out in silence."""

from __future__ import annotations

import json
import re
import subprocess
import threading
from pathlib import Path

import pyarrow.parquet as parquet
import pytest

from bench.damage import load
from project import ROOT
from threadweaver.corpus import chat, training_rows, training_units
from threadweaver.errors import UserError
from threadweaver.exports import folder, recipes, trainers
from threadweaver.exports.shipped import verl_reward
from threadweaver.files import ROWS_PER_GROUP
from threadweaver.trajectory import markup
from training_samples import REASONING, sample

TOKENIZER = ROOT / "data" / "sample" / "tokenizer"
SEIZED = {"prompt", "input_ids", "labels", "attention_mask", "position_ids"}
export = load("export_dataset").main


@pytest.fixture
def saved(tmp_path, tokenizer, monkeypatch) -> Path:
    """A saved dataset of three rows, one held out and copies, as save_dataset.py lays it out."""
    monkeypatch.chdir(tmp_path)
    rows = [
        training_rows.build_row(sample(n), REASONING, f"step5/{n}.txt", tokenizer, instruction=chat.INSTRUCTION)
        for n in range(4)
    ]
    training_rows.write(Path("dataset/sample_3"), training_rows.tables_of(rows[:3]), "")
    training_rows.write(Path("dataset/sample_3_8x"), training_rows.tables_of(rows[:3], 8), "")
    training_rows.write(Path("dataset/val_1"), training_rows.tables_of(rows[3:]), "", split="val")
    Path("dataset/settings.json").write_text(json.dumps({"stage": "save", "license": "mit", "source": "my chains"}))
    return Path("dataset")


def run(name: str, *flags: object, output: str = "", dataset: object = "dataset") -> int:
    words = ("--for", name, "--tokenizer", TOKENIZER, "--dataset", dataset, "--output", output or f"out/{name}", *flags)
    return export([str(word) for word in words])


def rows_of(name: str, split: str = "train") -> list[dict]:
    return parquet.read_table(f"out/{name}/{split}.parquet").to_pylist()


def units_of(row: dict, tokenizer) -> list[training_units.Unit]:
    tagged = tokenizer.with_tags(markup.TAGS)
    return training_units.as_ids(*training_rows.turn_span(row["qwen_text"], row["raw_messages"], tagged), tagged)


def source_rows(split: str = "train") -> list[dict]:
    return parquet.read_table(f"dataset/{'sample_3' if split == 'train' else 'val_1'}/{split}.parquet").to_pylist()


@pytest.mark.parametrize("name", trainers.EXPORTS)
def test_an_export_has_its_columns_its_recipe_and_what_the_recipe_names(name, saved, capsys):
    assert run(name) == 0
    made = Path("out", name)
    assert tuple(parquet.read_schema(made / "train.parquet").names) == trainers.EXPORTS[name].columns
    assert rows_of(name, "val") and "RECIPE.md" in capsys.readouterr().out
    texts = {path.name: path.read_text() for path in made.iterdir() if path.suffix in (".md", ".sh", ".yaml", ".py")}
    assert [file for file, text in texts.items() if re.search(r"\{\{\w+\}\}", text)] == []
    named = set(re.findall(r"[\w-]+\.(?:py|sh|yaml|parquet|json)\b", texts["RECIPE.md"])) - {"save_dataset.py"}
    assert named <= {path.name for path in made.iterdir()}
    assert "license: mit" in texts["README.md"] and "my chains" in texts["README.md"]
    for script in made.glob("*.sh"):
        assert subprocess.run(["bash", "-n", script], capture_output=True).returncode == 0
    if "prepare_model.py" in texts:
        kept = json.loads((made / "tokenizer" / "tokenizer.json").read_text())
        assert set(markup.TAGS) <= {token["content"] for token in kept["added_tokens"]}


@pytest.mark.parametrize("name", ["trl", "axolotl", "verl"])
def test_a_row_is_trained_from_the_end_of_its_prompt_to_its_end_token(name, saved, tokenizer):
    run(name)
    for row, source in zip(rows_of(name), source_rows(), strict=True):
        prompt = tokenizer.chat(source["raw_messages"][:1], add_generation_prompt=True)
        assert row["input_ids"] == tokenizer.ids(source["qwen_text"].rstrip())
        untrained = len(tokenizer.ids(prompt))
        assert row["labels"] == [-100] * untrained + row["input_ids"][untrained:]
        assert row["input_ids"][-1] == tokenizer.hf.eos_token_id
        assert row.get("attention_mask") in (None, [1] * len(row["input_ids"]))
        assert tokenizer.hf.decode(row["input_ids"][untrained:]).startswith("<think>\nWe begin.\n<Parallel>")


@pytest.mark.parametrize("name", ["units", "openrlhf"])
def test_a_unit_is_trained_on_its_continuation(name, saved, tokenizer):
    run(name)
    expected = [unit for row in source_rows() for unit in units_of(row, tokenizer)]
    for row, unit in zip(rows_of(name), expected, strict=True):
        assert row["input_ids"] == unit.context + unit.continuation
        assert row["labels"] == [-100] * len(unit.context) + unit.continuation
        assert row.get("kind", unit.kind) == unit.kind
    last = {tokenizer.hf.decode(row["input_ids"][-1:]) for row in rows_of(name)}
    assert last == {"</Outlines>", "</Thread>", tokenizer.hf.eos_token}


def test_llama_factory_reads_prompt_and_turn_as_they_are_rendered(saved):
    run("llama-factory")
    for row, source in zip(rows_of("llama-factory"), source_rows(), strict=True):
        assert row["context"] + row["continuation"] == source["qwen_text"].rstrip()
        assert row["continuation"].startswith("<think>")
    info = json.loads(Path("out/llama-factory/dataset_info.json").read_text())
    assert info["threadweaver_train"] == {
        "file_name": "train.parquet",
        "formatting": "alpaca",
        "columns": {"prompt": "context", "response": "continuation"},
    }


def test_verl_rl_has_the_problem_and_its_reference_and_leaves_out_rows_without_one(saved, capsys):
    table = parquet.read_table("dataset/sample_3/train.parquet").to_pylist()
    table[1]["ground_truth"] = ""
    folder.write_rows(saved / "sample_3/train.parquet", training_rows.schema(table[0]), table)
    assert run("verl-rl") == 1
    assert "no_ground_truth 1" in capsys.readouterr().out
    [first, _] = rows_of("verl-rl")
    assert first["prompt"] == source_rows()[0]["raw_messages"][:1]
    assert first["reward_model"] == {"ground_truth": "5", "style": "rule"}
    assert (first["data_source"], first["ability"]) == ("dataset", "math")
    [lost] = map(json.loads, Path("out/verl-rl/left_out.jsonl").read_text().splitlines())
    assert (lost["split"], lost["row"], lost["reason"]) == ("train", 1, "no_ground_truth")


def test_the_reward_is_given_in_any_thread_and_a_bomb_ends(monkeypatch):
    found = []

    def score() -> None:
        for answer in (r"\frac12", "3", "9^{9^{9^{9^9}}}", "0.5"):
            found.append(verl_reward.compute_score("d", f"<think>\n</think>\nIt is \\boxed{{{answer}}}.", "1/2"))

    monkeypatch.setattr(verl_reward, "SECONDS", 1.0)
    thread = threading.Thread(target=score)
    thread.start()
    thread.join()
    verl_reward.stop(verl_reward._judge)
    assert found == [1.0, 0.0, 0.0, 1.0]


def test_rows_that_inference_would_not_build_are_left_out_with_their_reason(saved, capsys):
    table = source_rows()
    table[0]["qwen_text"] = table[0]["qwen_text"].replace("</Outlines>\n", "</Outlines>\n\n")
    table[1]["response_reasoning"] = None
    folder.write_rows(saved / "sample_3/train.parquet", training_rows.schema(table[0]), table)
    assert run("tree") == 1
    assert "no_text 1, not_canonical 1" in capsys.readouterr().out
    assert len(rows_of("tree")) == 1 and "left out: no_text | 1" in Path("out/tree/README.md").read_text()
    assert run("tree") == 1 and "as these settings make it" in capsys.readouterr().out


def test_a_dataset_without_chat_columns_is_rendered_as_one_with_them(saved):
    run("trl")
    plain = [
        {key: row[key] for key in ("uuid", "question", "response_reasoning", "response_content")}
        for row in source_rows()
    ]
    folder.write_rows(Path("plain/train.parquet"), training_rows.schema(plain[0]), plain)
    assert run("trl", output="out/plain", dataset="plain") == 0
    assert rows_of("plain") == rows_of("trl")


def test_datasets_loads_an_export_by_its_folder(saved):
    from datasets import load_dataset

    run("trl")
    loaded = load_dataset("out/trl", cache_dir="cache")
    assert {split: len(rows) for split, rows in loaded.items()} == {"train": 3, "validation": 1}
    assert loaded["train"].column_names == ["input_ids", "labels"]


def test_rows_are_written_a_group_at_a_time(tmp_path):
    """The generator is never more than one group ahead of what has been handed to the file."""
    import pyarrow as pa

    drawn, handed = [0], []

    def rows():
        for n in range(3 * ROWS_PER_GROUP):
            drawn[0] += 1
            yield {"a": n}

    def spy(out, schema, tables):
        for table in tables:
            handed.append((table.num_rows, drawn[0]))
        return sum(count for count, _ in handed)

    original, folder.write_parquet = folder.write_parquet, spy
    try:
        assert folder.write_rows(tmp_path / "a", pa.schema([("a", "int64")]), rows()) == 3 * ROWS_PER_GROUP
    finally:
        folder.write_parquet = original
    size = ROWS_PER_GROUP
    assert handed == [(size, size), (size, 2 * size), (size, 3 * size)]


# ---- what is refused


@pytest.mark.parametrize(
    ("dataset", "says"),
    [
        ("nowhere", "is not a saved dataset"),
        ("empty", "is not a saved dataset"),
        ("other", "has no column response_reasoning"),
    ],
)
def test_what_is_not_a_saved_dataset_is_refused(dataset, says, saved):
    Path("empty").mkdir()
    folder.write_rows(Path("other/train.parquet"), training_rows.schema(["question"]), [{"question": "a"}])
    with pytest.raises(UserError, match=says):
        run("trl", dataset=dataset)


def test_another_tokenizer_than_that_of_the_dataset_is_refused(saved):
    table = source_rows()
    table[0]["num_qwen_tokens"] += 1
    folder.write_rows(saved / "sample_3/train.parquet", training_rows.schema(table[0]), table)
    with pytest.raises(UserError, match="another tokenizer"):
        run("trl")


def test_a_folder_is_replaced_only_if_an_export_wrote_it_and_only_when_asked(saved, capsys):
    with pytest.raises(UserError, match="did not write"):
        run("trl", "--overwrite", output="dataset")
    run("trl", output="out/one")
    before = {path.name: path.stat().st_mtime_ns for path in Path("out/one").iterdir()}
    assert run("trl", output="out/one") == 0 and "as these settings make it" in capsys.readouterr().out
    assert {path.name: path.stat().st_mtime_ns for path in Path("out/one").iterdir()} == before
    with pytest.raises(UserError, match="other settings"):
        run("units", output="out/one")
    assert run("units", "--overwrite", output="out/one") == 0
    assert "kind" in parquet.read_schema("out/one/train.parquet").names
    Path("out/one/README.md").unlink()  # a run that was cut short
    assert run("trl", output="out/one") == 0


def test_columns_that_trainers_seize_are_in_exports_only():
    written = {
        *training_rows.UNIT_COLUMNS,
        *training_rows.build_row(sample(), REASONING, "", None, instruction="").columns,
    }
    assert written & SEIZED == set()


def test_the_context_holds_the_longest_row():
    assert [recipes.context_for(length) for length in (1, 1022, 1023, 40_000)] == [1024, 1024, 2048, 40_960]
