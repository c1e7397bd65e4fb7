"""Training rows: their columns, splits, bytes and cards, and what a trainer reads of them."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from threadweaver.corpus import chat, training_rows
from threadweaver.corpus.duplicates import normalized_problem
from threadweaver.corpus.tokenizer import Tokenizer
from threadweaver.corpus.training_rows import Row, build_row, split_validation, tables_of
from threadweaver.errors import UserError
from threadweaver.files import write_parquet
from training_samples import REASONING, RESERVED, sample


def row(tokenizer, **changes) -> Row:
    return build_row(sample(**changes), REASONING, "step5/0.txt", tokenizer, instruction=chat.INSTRUCTION)


def parquet_bytes(rows: list[Row], repeat: int = 1) -> bytes:
    out = io.BytesIO()
    write_parquet(out, training_rows.schema(rows[0].columns), tables_of(rows, repeat))
    return out.getvalue()


def sides(rows: list[Row], size: int, seed: int) -> tuple[list[Row], list[Row]]:
    """Return the rows for training and those held out."""
    held_out = split_validation([normalized_problem(str(row.columns["question"])) for row in rows], size, seed)
    return tuple([row for row, held in zip(rows, held_out, strict=True) if held == side] for side in (False, True))


def bare(question: str, n: int = 0) -> Row:
    return Row({"uuid": f"set-{n}", "question": question, "response_reasoning": "x", "correctness": None}, 1)


def test_the_think_block_stays_in_what_trainers_read(tokenizer):
    columns = row(tokenizer).columns
    assert f"<think>\n{REASONING}\n</think>\n" in columns["qwen_text"]
    assert columns["qwen_text"].count(chat.INSTRUCTION) == 1
    assert columns["raw_messages"][1]["content"] == f"<think>\n{REASONING}\n</think>\n\\boxed{{5}}"
    assert columns["num_qwen_tokens"] == tokenizer.count(columns["qwen_text"])


def test_the_columns_of_a_row(tokenizer):
    columns = row(tokenizer).columns
    assert set(columns) == {
        "uuid",
        "question",
        "response_reasoning",
        "response_content",
        "correctness",
        "graded",
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
        assert (
            training_rows.special_token([*texts.values(), reasoning], training_rows.special_tokens(tokenizer)) == found
        )


def test_a_problem_is_on_one_side_however_it_is_written():
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
        train, validation = sides(rows, 2, seed)
        found = {str(side.columns["uuid"]): name for name, part in (("t", train), ("v", validation)) for side in part}
        assert found["set-0"] == found["set-1"] == found["set-2"] and len(found) == 6
        assert len(validation) >= 2 and train


def test_two_problems_that_differ_by_a_sign_are_two():
    assert normalized_problem("2+3") != normalized_problem("2-3")


@given(
    st.lists(st.sampled_from(["a", "A ", "b", "c", "d?"]), min_size=1, max_size=12),
    st.integers(0, 14),
    st.integers(0, 3),
)
def test_the_split_loses_no_row_and_shares_no_problem(questions, size, seed):
    rows = [bare(text, n) for n, text in enumerate(questions)]
    train, validation = sides(rows, size, seed)
    problems = [{normalized_problem(str(item.columns["question"])) for item in part} for part in (train, validation)]
    assert sorted(str(item.columns["uuid"]) for item in train + validation) == sorted(
        str(item.columns["uuid"]) for item in rows
    )
    assert not problems[0] & problems[1] and train
    assert len(validation) >= size or len(problems[0]) == 1
    assert sides(rows, size, seed) == (train, validation)


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
        tables_of(rows, 3),
        training_rows.card("a name: of it", {"rows": 6}, [], None, "somewhere"),
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
    assert not RESERVED & set(loaded.column_names)


def test_no_row_has_a_column_that_trainers_reserve(tokenizer):
    import pyarrow.parquet

    strange = sample(extra={name: "x" for name in RESERVED})
    for deepseek in (False, True):
        found = build_row(strange, REASONING, "s", tokenizer, instruction="", deepseek=deepseek)
        schema = pyarrow.parquet.read_schema(io.BytesIO(parquet_bytes([found])))
        assert not RESERVED & set(schema.names)


def test_the_card_names_the_dataset_and_its_source():
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
    assert "independent implementation" in card and "imported" not in card
    assert "license" not in yaml.safe_load(training_rows.card("x", {}, [], None, "y").split("---")[1])
    asked = training_rows.card("x", {}, [{"stage": "steps", "model": "gpt-5"}], None, "y")
    assert "replies can also have been imported" in asked
    units = training_rows.unit_card("units of it", {"units": 3}, "apache-2.0", "chains of ours")
    assert yaml.safe_load(units.split("---")[1])["license"] == "apache-2.0"
    assert "- Source of the chains: chains of ours\n- Licence: apache-2.0\n" in units


def test_a_template_that_renders_the_question_differently_for_generation_is_refused(tokenizer):
    from copy import deepcopy

    hf = deepcopy(tokenizer.hf)
    hf.chat_template = "{% for message in messages %}[{{ message['content'] }}]{% endfor %}{% if add_generation_prompt %}go:{% endif %}"
    found = row(Tokenizer("odd", hf))
    with pytest.raises(UserError, match="chat template of odd"):
        training_rows.unit_rows(found, Tokenizer("odd", hf))


def test_units_of_many_rows_are_written_group_by_group(monkeypatch, tmp_path):
    import pyarrow.parquet

    monkeypatch.setattr(training_rows, "UNITS_PER_GROUP", 3)
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
    path, again = tmp_path / "units.parquet", tmp_path / "again.parquet"
    count = training_rows.write_unit_rows(path, iter(rows))
    with pyarrow.parquet.ParquetFile(path) as file:
        assert (count, file.num_row_groups, file.read().to_pylist()) == (8, 3, rows)
    training_rows.write_unit_rows(again, iter(rows))
    assert again.read_bytes() == path.read_bytes()


def test_rows_that_were_spooled_go_where_they_belong_in_groups_of_one_size(tokenizer, monkeypatch, tmp_path):
    monkeypatch.setattr(training_rows, "ROWS_PER_GROUP", 3)
    spool = training_rows.Spool(tmp_path / "rows.parquet")
    rows = [row(tokenizer, n=n) for n in range(11)]
    for item in rows:
        spool.add(item.columns)
    spool.close()
    keep = [number % 4 != 1 for number in range(11)]
    kept = [dict(item.columns) for item, wanted in zip(rows, keep, strict=True) if wanted]
    assert list(spool.rows(keep)) == kept and spool.count == 11
    tables = list(spool.tables(keep, 2))
    assert [table.num_rows for table in tables] == [3, 3, 2, 3, 3, 2]
    assert [found for table in tables for found in table.to_pylist()] == kept * 2
    assert list(spool.rows([False] * 11)) == []
