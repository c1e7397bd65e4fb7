"""Reading outputs and problems: each output belongs to its own problem, and what does not fit is refused."""

from __future__ import annotations

import json

import pyarrow as pa
import pyarrow.parquet as parquet
import pytest

from converting import Run, journal, output
from threadweaver.errors import UserError
from threadweaver.generation import problems
from threadweaver.generation.outputs import read_outputs
from threadweaver.generation.problems import read_problems


def test_splits_count_their_rows_from_their_own_beginning(tmp_path):
    """Five rows in two splits: 0-2 and 3-4. Graded against the rows of split 0, split 1 would be all wrong."""
    run = Run(tmp_path, [(f"problem {k}", str(k)) for k in range(5)])
    first = tmp_path / "some-data_1_split0_of_2.json"
    first.write_text(json.dumps([[output(0)], [output(1)], [output(2)]]))
    second = journal(tmp_path / "some-data_1_split1_of_2.jsonl", [(1, 0, output(4)), (0, 0, output(3))])
    run(jsons=[second, first])
    assert [(row["question"], row["ground_truth"], row["message_idx"]) for row in run.rows()] == [
        (f"problem {k}", str(k), k) for k in range(5)
    ]


def test_a_single_split_keeps_its_name_and_what_is_missing_is_reported(tmp_path, capsys):
    run = Run(tmp_path, [(f"problem {k}", str(k)) for k in range(5)])
    run(jsons=[journal(tmp_path / "some-data_1_split1_of_2.jsonl", [(0, 0, output(3))])])
    assert [row["question"] for row in run.rows("some_data_1_split1_of_2")] == ["problem 3"]
    err = capsys.readouterr().err
    assert "split 0" in err and "4 of 5 problems have no output" in err


def test_a_journal_is_read_whatever_the_order_and_a_half_line_hides_nothing(tmp_path, capsys):
    run = Run(tmp_path, [("p", "1"), ("q", "2")])
    path = journal(
        tmp_path / "some-data_1.jsonl", [(1, 0, output(2)), (0, 1, output(1)), (0, 0, output(1)), (0, 0, "again")]
    )
    lines = path.read_text().split("\n")
    path.write_text("\n".join([lines[0], lines[1][:30], *lines[1:]]) + '{"message_idx": 1, "sam')
    run(jsons=[path])
    assert [(row["message_idx"], row["sample_idx"]) for row in run.rows()] == [(0, 0), (0, 1), (1, 0)]
    lost = {id: reason for id, reason in run.reasons().items() if reason}
    assert set(lost.values()) == {"unreadable_line"} and len(lost) == 2
    assert "line 2 is cut off" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{}", "not a list of lists"),
        ('["a"]', "item 0 is a str"),
        ("[[1]]", "sample 0 of item 0 is a int"),
        ('[["a"], ["b"]]', "problem 1, but the parquet has 1 rows"),
        ('[["a"', "damaged"),
        ("[]", "holds no outputs"),
        ('[["no tags"]]', "no row is left"),
    ],
)
def test_malformed_outputs_are_one_line_errors(tmp_path, content, said):
    run = Run(tmp_path, [("p", "1")])
    run.json.write_text(content)
    with pytest.raises(UserError, match=said) as caught:
        run()
    assert "\n" not in str(caught.value)
    run.json.write_text(json.dumps([[output(1)]]))
    assert run() == 0  # a failed attempt does not block the next one


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"question": ["a"]}, "no column prompt"),
        ({"prompt": ["a"]}, "no column reward_model.ground_truth"),
        ({"prompt": ["a"], "reward_model": [{"style": "rule"}]}, "no column reward_model.ground_truth"),
        ({"prompt": ["a", " "], "reward_model": [{"ground_truth": "1"}] * 2}, "row 1 has an empty prompt"),
        (
            {"prompt": [[{"role": "user", "content": ""}]], "reward_model": [{"ground_truth": "1"}]},
            "row 0 has an empty prompt",
        ),
        (
            {
                "prompt": pa.array([], pa.string()),
                "reward_model": pa.array([], pa.struct([("ground_truth", pa.string())])),
            },
            "no rows",
        ),
    ],
)
def test_malformed_problems_are_refused(tmp_path, columns, said):
    path = tmp_path / "p.parquet"
    parquet.write_table(pa.table(columns), path)
    with pytest.raises(UserError, match=said):
        read_problems(path)


def test_files_that_do_not_belong_together(tmp_path):
    for name in ("a_split0_of_2.json", "a_split0_of_2.jsonl", "a_split1_of_3.json", "b.json"):
        (tmp_path / name).write_text("[]")
    for names, said in (
        (("a_split0_of_2.json", "a_split1_of_3.json"), "splits of one run"),
        (("a_split0_of_2.json", "b.json"), "splits of one run"),
        (("a_split0_of_2.json", "a_split0_of_2.jsonl"), "given twice"),
        (("c.json",), "not found"),
    ):
        with pytest.raises(UserError, match=said):
            read_outputs([tmp_path / name for name in names], 3)


def test_a_conversation_as_json_text_is_read_and_other_text_is_the_question():
    turns = [{"role": "user", "content": "How many?"}]
    assert problems._user_turn(json.dumps(turns)) == problems._user_turn(turns) == "How many?"
    assert problems._user_turn("[{x}] is a set?") == "[{x}] is a set?"


@pytest.mark.parametrize("change", [lambda line: line[:20], lambda line: b"\n" + line, lambda line: b""])
def test_a_journal_that_changes_while_it_is_read_is_noticed(tmp_path, change):
    path = tmp_path / "run_1.jsonl"
    lines = [
        json.dumps({"message_idx": row, "sample_idx": 0, "result": f"text {row}"}).encode() + b"\n" for row in (0, 1)
    ]
    path.write_bytes(b"".join(lines))
    first, second = read_outputs([path], 2).outputs
    assert (first.read().text, second.read().text) == ("text 0", "text 1")
    path.write_bytes(lines[0] + change(lines[1]))
    assert first.read().text == "text 0"
    with pytest.raises(UserError, match=r"run_1\.jsonl"):
        second.read()
    path.write_bytes(lines[1] + lines[0])
    with pytest.raises(UserError, match="was changed while it was read"):
        first.read()
