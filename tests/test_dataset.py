"""The training dataset: its columns, its splits, its bytes, and what a trainer reads of it."""

from __future__ import annotations

import io
import json
from pathlib import Path
from runpy import run_path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import project
from threadweaver.corpus import chat, training_rows
from threadweaver.corpus.tokenizer import Tokenizer
from threadweaver.corpus.training_rows import Row, build_row, parquet_bytes, split_validation
from threadweaver.errors import UserError
from threadweaver.files import write_atomic
from threadweaver.samples import Sample
from threadweaver.trajectory import markup
from threadweaver.trajectory.edits import Lineage, fingerprint

SEIZED = {"prompt", "completion", "messages", "conversations", "input_ids"}
REASONING = (
    f"We begin.\n{markup.write_block(['first way', 'second way'], ['directly', 'by the complement'])}\nSo it is 5."
)


def sample(n: int = 0, **changes) -> Sample:
    fields = {
        "index": n,
        "uuid": f"set-{n}",
        "problem": f"What is {n} + 5?",
        "thinking": "We begin.",
        "solution": "5",
        "correctness": True,
        "output": r"\boxed{5}",
    }
    return Sample(**{**fields, **changes})


def row(tokenizer, **changes) -> Row:
    return build_row(sample(**changes), REASONING, "step5/0.txt", tokenizer, instruction=chat.INSTRUCTION)


def bare(question: str, n: int = 0) -> Row:
    return Row({"uuid": f"set-{n}", "question": question, "response_reasoning": "x", "correctness": None}, 1)


# ---- turns


@pytest.mark.parametrize(
    "question", ["What is 5?", "What is 5? ", f"What is 5? {chat.INSTRUCTION}", f"What is 5?\n{chat.INSTRUCTION}\n"]
)
def test_the_instruction_stands_exactly_once(question):
    turn = chat.user_turn(question)
    assert turn.count(chat.INSTRUCTION) == 1 and turn.startswith("What is 5?")
    assert chat.user_turn(turn) == turn
    assert chat.user_turn(question, "") == question


def test_the_think_block_stays_in_what_trainers_read(tokenizer):
    columns = row(tokenizer).columns
    assert f"<think>\n{REASONING}\n</think>\n" in columns["qwen_text"]
    assert columns["qwen_text"].count(chat.INSTRUCTION) == 1
    assert columns["raw_messages"][1]["content"] == f"<think>\n{REASONING}\n</think>\n\\boxed{{5}}"
    assert columns["num_qwen_tokens"] == tokenizer.count(columns["qwen_text"])


def test_a_template_that_drops_the_think_block_is_put_right(tokenizer):
    class Forgetful:
        """A template that keeps the answer alone, as DeepSeek's does."""

        hf = tokenizer.hf

        def chat(self, turns, **options):
            return tokenizer.chat(
                [{**turn, "content": turn["content"].rpartition("</think>")[2].strip()} for turn in turns], **options
            )

    text = chat.render(Forgetful(), chat.messages("What is 5?", REASONING, "5"))
    assert f"<think>\n{REASONING}\n</think>\n5" in text and text.count("<think>") == 1


# ---- rows


def test_the_columns_of_a_row(tokenizer):
    columns = row(tokenizer).columns
    assert set(columns) == {
        "uuid",
        "question",
        "response_reasoning",
        "response_content",
        "correctness",
        "ground_truth",
        "qwen_text",
        "num_qwen_tokens",
        "raw_messages",
        "trajectory_source",
    }
    assert columns["response_reasoning"] == REASONING and columns["trajectory_source"] == "step5/0.txt"
    extra = build_row(sample(), REASONING, "s", tokenizer, instruction="", deepseek=True).columns
    assert set(extra) - set(columns) == {"deepseek_text", "num_deepseek_tokens"} and REASONING in extra["deepseek_text"]
    plain = build_row(sample(), REASONING, "s", None, instruction="").columns
    assert not any(name.startswith(("qwen", "num", "raw")) for name in plain)


@pytest.mark.parametrize(
    ("solution", "kept"), [("5", "5"), (5, "5"), (["5", "five"], '["5","five"]'), (2.5, "2.5"), ("", "")]
)
def test_the_reference_answer_is_a_text(tokenizer, solution, kept):
    assert row(tokenizer, solution=solution).columns["ground_truth"] == kept


def test_the_training_length_counts_what_the_trainer_sees(tokenizer):
    found = row(tokenizer)
    second = tokenizer.count("\n2: second way\n") + 2
    assert found.training_length == found.columns["num_qwen_tokens"] + second  # each tag is one token here


@pytest.mark.parametrize("field", ["problem", "reasoning", "output"])
def test_a_special_token_in_a_text_is_found(tokenizer, field):
    token = tokenizer.hf.eos_token
    for text, found in ((f"text {token} text", token), ("text <n> </think> <Thread> text", None)):
        texts = {"problem": "", "reasoning": "", "output": "", field: text}
        reasoning = texts.pop("reasoning")
        assert training_rows.special_token(sample(**texts), reasoning, tokenizer) == found


# ---- validation


def test_a_problem_stands_on_one_side_however_it_is_written():
    texts = [
        "What is 2+3?",
        f"What is 2+3? {chat.INSTRUCTION}",
        "what  is\n2+3",
        "What is 2-3?",
        "What is 23?",
        "Another one",
    ]
    rows = [bare(text, n) for n, text in enumerate(texts)]
    for seed in range(8):
        train, validation = split_validation(rows, 2, seed)
        sides = {str(side.columns["uuid"]): name for name, part in (("t", train), ("v", validation)) for side in part}
        assert sides["set-0"] == sides["set-1"] == sides["set-2"] and len(sides) == 6
        assert len(validation) >= 2 and train


def test_two_problems_that_differ_by_a_sign_are_two():
    assert training_rows.normalized_problem("2+3") != training_rows.normalized_problem("2-3")


@given(
    st.lists(st.sampled_from(["a", "A ", "b", "c", "d?"]), min_size=1, max_size=12),
    st.integers(0, 14),
    st.integers(0, 3),
)
def test_the_split_loses_no_row_and_shares_no_problem(questions, size, seed):
    rows = [bare(text, n) for n, text in enumerate(questions)]
    train, validation = split_validation(rows, size, seed)
    problems = [
        {training_rows.normalized_problem(str(item.columns["question"])) for item in part}
        for part in (train, validation)
    ]
    assert sorted(str(item.columns["uuid"]) for item in train + validation) == sorted(
        str(item.columns["uuid"]) for item in rows
    )
    assert not problems[0] & problems[1] and train
    assert len(validation) >= size or len(problems[0]) == 1
    assert split_validation(rows, size, seed) == (train, validation)


# ---- files


def test_the_same_rows_are_the_same_bytes(tokenizer):
    rows = [row(tokenizer, n=n) for n in range(5)]
    assert parquet_bytes(rows) == parquet_bytes(rows)
    assert parquet_bytes(rows, 3) == parquet_bytes(rows, 3) != parquet_bytes(rows)


@pytest.mark.parametrize("correctness", [True, False, None])
def test_a_trainer_loads_the_rows_character_for_character(tokenizer, tmp_path, correctness):
    from datasets import load_dataset

    odd = sample(problem="a\r\nb\u2028c\x0c", output="é 🧵\n\n", correctness=correctness)
    rows = [build_row(odd, REASONING, "s", tokenizer, instruction=""), row(tokenizer)]
    training_rows.write(
        tmp_path / "sample_2_3x",
        rows,
        training_rows.card("a name: of it", {"rows": 6}, [], None, "somewhere"),
        repeat=3,
    )
    assert {path.name for path in (tmp_path / "sample_2_3x").iterdir()} == {"train.parquet", "README.md"}
    loaded = load_dataset(
        "parquet", data_files=str(tmp_path / "sample_2_3x/train.parquet"), cache_dir=str(tmp_path / "cache")
    )["train"]
    assert loaded.num_rows == 6 and loaded["uuid"] == ["set-0"] * 6
    first = loaded[0]
    assert (first["question"], first["response_content"], first["correctness"]) == (
        odd.problem,
        odd.output,
        correctness,
    )
    assert first["response_reasoning"] == REASONING and first["raw_messages"] == rows[0].columns["raw_messages"]
    assert not SEIZED & set(loaded.column_names)


def test_no_row_ever_has_a_column_that_trainers_seize(tokenizer):
    import pyarrow.parquet

    strange = sample(extra={name: "x" for name in SEIZED})
    for deepseek in (False, True):
        found = build_row(strange, REASONING, "s", tokenizer, instruction="", deepseek=deepseek)
        schema = pyarrow.parquet.read_schema(io.BytesIO(parquet_bytes([found])))
        assert not SEIZED & set(schema.names)


def test_the_card_says_what_it_is_and_from_what():
    import yaml

    card = training_rows.card(
        "set: one, train",
        {"rows": 5, "accepted": 6},
        [{"stage": "parallel", "filter_diff_threshold": 200}],
        "apache-2.0",
        "chains of ours",
    )
    front = yaml.safe_load(card.split("---")[1])
    assert front["license"] == "apache-2.0" and front["pretty_name"] == "set: one, train"
    for piece in ("chains of ours", "| rows | 5 |", '"filter_diff_threshold":200', "apache-2.0"):
        assert piece in card
    assert "license" not in yaml.safe_load(training_rows.card("x", {}, [], None, "y").split("---")[1])


# ---- the command


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
    assert "over_max_tokens 1 (4)" in capsys.readouterr().out
    assert tables("some")["sample_4"].num_rows == 4


@pytest.mark.parametrize(
    ("record", "says"),
    [
        (Lineage(0, "other-0", "", "", None, fingerprint("We begin."), 9, 1), "is of other-0"),
        (Lineage(0, "set-0", "", "", None, fingerprint("Something else."), 9, 1), "another chain"),
    ],
)
def test_a_trajectory_is_never_joined_to_another_question(save, record, says):
    write_atomic(Path("step5/trace/0.json"), record.to_json())
    with pytest.raises(UserError, match=says):
        save("never")
    assert tables("never") == {}


def test_a_trajectory_without_a_sample_or_the_other_way_round_is_said(save):
    with pytest.raises(UserError, match="1 collected samples have no trajectory"):
        save("strict", "--trajectory-strict")
    write_atomic(Path("step5/77.txt"), REASONING + "\n")
    with pytest.raises(UserError, match=r"77\.txt has no collected sample"):
        save("stranger")


# ---- units


def contents(name: str) -> dict[str, bytes]:
    return {
        str(path.relative_to(f"dataset/{name}")): path.read_bytes()
        for path in Path("dataset", name).rglob("*")
        if path.is_file()
    }


def test_units_are_saved_beside_the_rows_and_change_nothing_of_them(save, capsys):
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


def test_the_columns_of_units_are_none_that_trainers_seize(save, tokenizer):
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
    assert not SEIZED & set(table.column_names)
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


def test_a_template_that_renders_the_question_otherwise_for_generating_is_refused(tokenizer):
    from copy import deepcopy

    hf = deepcopy(tokenizer.hf)
    hf.chat_template = "{% for message in messages %}[{{ message['content'] }}]{% endfor %}{% if add_generation_prompt %}go:{% endif %}"
    found = row(Tokenizer("odd", hf))
    with pytest.raises(UserError, match="chat template of odd"):
        training_rows.unit_rows(found, Tokenizer("odd", hf))


def test_units_of_many_rows_are_written_group_by_group(monkeypatch):
    import pyarrow.parquet

    monkeypatch.setattr(training_rows, "ROWS_PER_GROUP", 3)
    rows = [
        {
            "uuid": f"set-{n}",
            "unit": n,
            "kind": "end",
            "block": 0,
            "thread": 0,
            "context": "c" * n,
            "continuation": "x",
            "num_context_tokens": n,
            "num_continuation_tokens": 1,
        }
        for n in range(8)
    ]
    data, count = training_rows.unit_parquet_bytes(iter(rows))
    file = pyarrow.parquet.ParquetFile(io.BytesIO(data))
    assert (count, file.num_row_groups, file.read().to_pylist()) == (8, 3, rows)
    assert training_rows.unit_parquet_bytes(iter(rows))[0] == data
