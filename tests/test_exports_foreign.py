"""Data of others: converted, measured by stage 5 and viewed like ours."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as parquet
import pytest

from bench.damage import load
from project import ROOT
from test_dialects import ANSWERED, FLAT, GUIDED, OUTLINED, SPAWNED, SUMMED
from threadweaver.corpus.training_rows import schema
from threadweaver.errors import UserError
from threadweaver.exports.folder import write_rows
from threadweaver.runs.folder import read_account
from threadweaver.runs.given import Given
from threadweaver.stages import refereeing
from threadweaver.stages.traced import traced_names, traced_tasks
from threadweaver.trajectory import markup
from threadweaver.viewer import runs
from viewing import Server, text_of

TOKENIZER = str(ROOT / "data" / "sample" / "tokenizer")
convert, measure = load("convert_dialect").main, load("filter-format-correct-and-obtain-stats").main


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("threadweaver.runs.statistics.histogram", lambda *_, **__: b"")


def given(*texts: str | None, column: str = "text", **others: str) -> Path:
    rows = [{"question": f"What is {n}?", column: text, **others} for n, text in enumerate(texts)]
    write_rows(Path("theirs.parquet"), schema(rows[0]), rows)
    return Path("theirs.parquet")


def converted(source: str, target: str, *flags: str, output: str = "out") -> int:
    words = ("--from", source, "--to", target, "--dataset", "theirs.parquet", "--output", output, *flags)
    return convert(list(words))


def rows_of(output: str) -> list[dict]:
    return parquet.read_table(f"{output}/train.parquet").to_pylist()


def test_multiverse_becomes_rows_that_every_other_command_reads(capsys):
    given(ANSWERED, "a </Path> b", None)
    assert converted("multiverse", "threadweaver") == 0
    out = capsys.readouterr().out
    assert "3 rows: 1 converted" in out and "no_text 1, stray_tag 1" in out and "paths put in sequence 2" in out
    [row] = rows_of("out")
    assert f"<think>\n{row['response_reasoning']}\n</think>\n{row['response_content']}" == FLAT
    assert (row["uuid"], row["question"]) == ("theirs-0", "What is 0?")
    assert json.loads(row["lost"]) == {"conclusions as text": 1, "outlines dropped": 2, "paths put in sequence": 2}
    refused = [json.loads(line) for line in Path("out/refused.jsonl").read_text().splitlines()]
    assert [(one["row"], one["reason"]) for one in refused] == [(1, "stray_tag"), (2, "no_text")]
    card = Path("out/README.md").read_text()
    assert "left out: stray_tag | 1" in card and "path: train.parquet" in card
    assert converted("multiverse", "threadweaver") == 0 and "as these settings" in capsys.readouterr().out


def test_our_own_rows_go_there_with_their_answer_and_come_back():
    ours = FLAT.removeprefix("<think>\n").partition("\n</think>\n")
    given(ours[0], column="response_reasoning", response_content=ours[2], uuid="mine-0")
    assert converted("threadweaver", "multiverse") == 0
    [row] = rows_of("out")
    assert row["text"].startswith("<Think>\nTwo ways.") and row["text"].endswith("</Think>\n\\boxed{5}")
    Path("theirs.parquet").unlink()
    Path("out/train.parquet").rename("theirs.parquet")
    assert converted("multiverse", "threadweaver", output="back") == 0
    [back] = rows_of("back")
    assert (back["response_reasoning"], back["response_content"], back["uuid"]) == (ours[0], ours[2], "mine-0")


def test_a_set_of_which_nothing_can_be_converted_ends_with_one(capsys):
    given(OUTLINED, column="response_reasoning")
    assert converted("threadweaver", "multiverse") == 1
    assert "missing_conclusion 1" in capsys.readouterr().out


def filtered(*flags: str, output: str) -> dict[str, dict]:
    base = ["--tokenizer", TOKENIZER, "--skip_conclusion_check", "--output", output, "--max-failed", "100%"]
    measure([*base, *flags])
    return {entry.id: entry.facts.get("measures") or entry.reason for entry in read_account(Path(output))}


def test_everybodys_data_have_the_same_measures_as_ours(capsys):
    trees = {"multiverse": ANSWERED, "npr": GUIDED, "parallel-r1": SUMMED, "dc-cot": SPAWNED}
    for dialect, text in trees.items():
        given(text)
        assert converted(dialect, "threadweaver", output=dialect) == 0
        found = filtered("--dataset", dialect, "--skip_outlines_check", "--max-leak", "1.1", output=f"{dialect}5")
        assert found["0"]["parallel_count"] == 1, found
    assert "speedup" in capsys.readouterr().out
    given(OUTLINED)
    Path("folder").mkdir()
    Path("folder/0.txt").write_text(OUTLINED + "\n")
    ours = filtered("--input", "folder", output="ours5")
    assert filtered("--dataset", "theirs.parquet", "--text_column", "text", output="theirs5") == ours


def test_the_referee_is_shown_the_problem_and_the_threads_of_anybodys_blocks():
    given(OUTLINED)
    assert (
        filtered("--dataset", "theirs.parquet", "--text_column", "text", output="theirs5")["0"]["parallel_count"] == 1
    )
    given_to_referee = Given.open(Path("theirs5"), accept_edits=False)
    [task] = traced_tasks(given_to_referee, traced_names(given_to_referee))
    asked = refereeing.questions(markup.parse(task.payload.text), task.payload.problem)
    assert [question.problem for question in asked] == ["What is 0?"]
    assert len(asked[0].threads) == 2 and all(asked[0].outlines)


def test_a_set_without_outlines_is_rejected_unless_they_are_not_required():
    given(SUMMED)
    converted("parallel-r1", "threadweaver")
    assert filtered("--dataset", "out", output="strict") == {"0": "missing_outlines"}
    settings = json.loads(Path("strict/settings.json").read_text())
    assert "outlines_required" not in settings


def test_a_row_without_text_is_rejected_and_a_missing_column_is_an_error():
    given(OUTLINED, None)
    assert filtered("--dataset", "theirs.parquet", "--text_column", "text", output="a")["1"] == "empty"
    with pytest.raises(UserError, match=r"no column 'other'.*question, text"):
        filtered("--dataset", "theirs.parquet", "--text_column", "other", output="b")


def test_the_viewer_shows_a_column_of_text():
    given(FLAT, None)
    with Server(Path("theirs.parquet"), text_column="text") as served:
        rows = served.json("/api/list")["rows"]
        assert len(rows) == 2
        document = served.json("/api/sample/0")
        assert text_of(document["problem"]) == "What is 0?"
        assert [part["kind"] for part in document["parts"]].count("block") == 1
    with pytest.raises(UserError, match="not a dataset"):
        runs.find(_folder(), "text")


def _folder() -> Path:
    Path("plain").mkdir()
    Path("plain/0.txt").write_text("a\n")
    return Path("plain")
