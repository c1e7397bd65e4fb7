"""Collecting: grades at the door, references that cannot be trusted, several chains a row, clean problems."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from source_rows import CHAIN, jsonl
from source_shapes import openr1
from threadweaver.corpus.duplicates import Seen
from threadweaver.corpus.sources import SourceOptions, open_source
from threadweaver.errors import UserError
from threadweaver.samples import Collected, read_collected
from threadweaver.stages import collecting
from threadweaver.stages.collecting import CollectOptions


def graded(n: int, answer: object, reference: object, **more) -> dict:
    row = {"problem": f"problem {n} of {n * 7}", "thinking": f"{CHAIN}\n\n{n}", "output": rf"It is \boxed{{{answer}}}."}
    return row | {"answer": str(reference)} | more


def found(tmp_path: Path, rows: list[dict], **options) -> list[collecting.Candidate]:
    source = open_source(jsonl(tmp_path / "rows.jsonl", rows))
    return list(collecting.candidates(source, 1000, CollectOptions(**options)))


def reasons(candidates: list[collecting.Candidate]) -> dict[str, str | None]:
    return {candidate.id: candidate.reason for candidate in candidates}


def test_the_own_answer_of_a_chain_is_graded_and_a_mark_counts_more(tmp_path):
    rows = [
        graded(0, 5, 5),
        graded(1, "1/2", r"\frac{1}{2}", correct="yes"),
        graded(2, 6, 5),
        graded(3, 6, 5, correct="yes"),
        graded(4, 5, 5, correct="no"),
        graded(5, 5, ""),
    ]
    candidates = found(tmp_path, rows)
    assert reasons(candidates) == {"0": None, "1": None, "2": "graded_wrong", "3": None, "4": "wrong", "5": None}
    assert [candidate.sample.extra["graded"] for candidate in candidates] == [
        "correct",
        "correct",
        "wrong",
        "wrong",
        "correct",
        "none",
    ]
    assert [candidate.facts.get("disagreement") for candidate in candidates] == [None, None, None, True, None, None]
    assert set(reasons(found(tmp_path, rows, keep_wrong=True)).values()) == {None}
    assert reasons(found(tmp_path, rows, grade=False))["2"] is None


def test_references_that_disagree_with_the_marks_stop_the_run_with_examples(tmp_path):
    rows = [graded(n, n, n + 1, correct=True) for n in range(6)]
    with pytest.raises(UserError, match=r"6 of 6 chains that are marked right disagree.*'1' for '0'.*--map") as caught:
        found(tmp_path, rows)
    assert "\n" not in str(caught.value) and "--trust-reference" in str(caught.value)
    assert len(found(tmp_path, rows, trust_reference=True)) == 6
    assert len(found(tmp_path, rows[:3])) == 3  # three disagreements are disagreements


def test_references_in_prose_stop_the_run(tmp_path):
    prose = "We first look at the smallest case and then see that every other one follows from it by adding terms."
    rows = [{**graded(n, n, 0), "solution": f"{prose} This was {n}."} for n in range(3)]
    for row in rows:
        del row["answer"]
    with pytest.raises(UserError, match="3 of 3 reference answers are sentences"):
        found(tmp_path, rows)


def test_many_wrong_chains_without_marks_are_a_warning(tmp_path, capsys):
    assert len(found(tmp_path, [graded(n, n, n + 1) for n in range(6)])) == 6
    assert "6 of the first 6 chains without a mark are graded wrong" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("traces", "expected"),
    [
        ("first", {"0": None, "1": None}),
        ("best", {"0": None, "1": None}),
        ("all", {"0.0": "wrong", "0": None, "1": None, "1.1": None}),
    ],
)
def test_several_chains_of_a_row(tmp_path, traces, expected):
    candidates = found(tmp_path, [openr1(0), openr1(1)], traces=traces)
    assert reasons(candidates) == expected
    kept = {candidate.id: candidate.sample for candidate in candidates if not candidate.reason}
    assert {id: sample.name for id, sample in kept.items()} == {id: id for id in kept}
    assert {id: sample.extra["trace"] for id, sample in kept.items()} == (
        {"0": 1, "1": 0, "1.1": 1} if traces == "all" else {"0": 1, "1": 0}
    )
    path = tmp_path / "collected.jsonl"
    path.write_text("".join(json.dumps(sample.to_row()) + "\n" for sample in kept.values()))
    again = read_collected(path)
    assert isinstance(again, Collected) and [sample.name for sample in again] == list(kept)
    assert all(again.get(id) == sample for id, sample in kept.items()) and again.get("7") is None


def test_near_duplicates_and_problems_of_benchmarks_are_left_out(tmp_path):
    first = "A box holds 7 red and 9 blue balls, and we draw two of them at random without looking. What is the chance?"
    same = first.replace("without looking", "without any looking")
    other = first.replace("9 blue", "8 blue")
    rows = [graded(n, 5, 5, problem=problem) for n, problem in enumerate([first, same, other, first.upper()])]
    assert reasons(found(tmp_path, rows, dedupe=True)) == {
        "0": None,
        "1": "duplicate_problem",
        "2": None,
        "3": "duplicate_problem",
    }
    exam = jsonl(tmp_path / "exam.jsonl", [{"question": first, "answer": "5"}])
    marked = reasons(found(tmp_path, [graded(0, 5, 5), *rows[:1]], benchmark=(exam,)))
    assert marked == {"0": None, "1": "contaminated"}
    with pytest.raises(UserError, match=r"the benchmark .*none.jsonl cannot be used"):
        found(tmp_path, rows, benchmark=(jsonl(tmp_path / "none.jsonl", [{"a": 1}]),))


def test_problems_with_other_numbers_are_other_problems():
    seen = Seen()
    texts = [f"Find the number of ways to write {n} as a sum of three squares of integers." for n in range(50)]
    assert [seen.add(text, str(n)) for n, text in enumerate(texts)] == [str(n) for n in range(50)]


def test_chains_as_files_of_their_own_need_their_problems(tmp_path):
    folder = tmp_path / "texts"
    folder.mkdir()
    problems = jsonl(
        tmp_path / "problems.jsonl", [{"id": f"p{n}", "question": f"q{n}", "answer": "5"} for n in range(3)]
    )
    for name in ("0", "2"):
        (folder / f"{name}.txt").write_text(CHAIN + "\n")
    with pytest.raises(UserError, match="--problems"):
        open_source(folder)
    source = open_source(folder, SourceOptions(problems=problems))
    samples, _ = collecting.collected(source, 10, CollectOptions())
    assert [(sample.uuid, sample.problem, sample.thinking) for sample in samples] == [
        ("texts-0", "q0", CHAIN),
        ("texts-2", "q2", CHAIN),
    ]
    (folder / "9.txt").write_text(CHAIN)
    with pytest.raises(UserError, match=r"no row of that number for 1 chains.*9.txt"):
        list(open_source(folder, SourceOptions(problems=problems)).rows())


@pytest.mark.parametrize(
    ("files", "says"),
    [
        (["data/cot-00000-of-00001.jsonl", "data/tir-00000-of-00001.jsonl"], "several splits (cot, tir)"),
        (["a/train.jsonl", "b/train.jsonl"], "several subsets (a, b)"),
        (["one.jsonl", "two.jsonl"], "several datasets (one.jsonl, two.jsonl)"),
    ],
)
def test_no_splits_and_no_datasets_are_mixed(tmp_path, files, says):
    for name in files:
        path = tmp_path / "set" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        jsonl(path, [graded(0, 5, 5)])
    with pytest.raises(UserError) as caught:
        open_source(tmp_path / "set")
    assert says in str(caught.value) and "\n" not in str(caught.value)
