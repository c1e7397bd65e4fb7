"""Problems of a benchmark are recognized by their n-grams."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as parquet
import pytest

from converting import Run, output
from threadweaver.corpus import chat
from threadweaver.corpus.contamination import Benchmarks
from threadweaver.generation import conversion
from threadweaver.runs.folder import read_account

PUZZLE = (
    "A farmer has seventeen sheep and all but nine of them run away before dinner. How many sheep are left at the end?"
)

STOCK = "The answer can be written as m/n where m and n are relatively prime positive integers. Find m+n."


@pytest.mark.parametrize(
    ("problem", "hit"),
    [
        (PUZZLE, True),
        (PUZZLE.upper().replace(" ", "  ") + " " + chat.INSTRUCTION, True),
        ("Recall: " + PUZZLE + " Then add four.", True),
        (PUZZLE[:76] + " What is the number of sheep that he still owns?", True),  # the first half
        (f"Two dice are thrown until both show six. {STOCK}", False),
        ("What is 2+2?", True),
        ("What is 2+2? And what is 3+3, added to it?", False),  # shorter than an n-gram: only the whole counts
    ],
)
def test_a_benchmark_problem_is_recognized(problem, hit):
    texts = [
        PUZZLE,
        f"A needle of length one is thrown on a floor with parallel lines at distance two. {STOCK}",
        "what is 2 + 2",
    ]
    found = Benchmarks((str(k), text) for k, text in enumerate(texts)).find(conversion.bare(problem, ""))
    assert bool(found) == hit


def test_decontaminate_names_the_benchmark_and_ignores_the_instruction(tmp_path):
    problems = [(f"{PUZZLE} {chat.INSTRUCTION}", "9"), (f"Add one and two. {chat.INSTRUCTION}", "3")]
    run = Run(tmp_path, problems, [[output(9)], [output(3)]])
    bench = tmp_path / "bench.parquet"
    texts = [f"{text} {chat.INSTRUCTION}" for text in (PUZZLE, "Add five and six.")]
    parquet.write_table(
        pa.table({"prompt": [[{"role": "user", "content": text}] for text in texts]}), bench
    )  # no answers
    run("--decontaminate", str(bench))
    entries = {entry.id: entry for entry in read_account(tmp_path / "out" / "some_data_1_account")}
    assert (entries["0-0"].reason, entries["0-0"].facts["detail"]) == ("contaminated", "bench.parquet, row 0")
    assert entries["1-0"].outcome == "ok"
