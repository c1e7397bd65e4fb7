"""The source's mark and the grader's verdict in stage 5: which of them decides, and how disagreements are counted."""

from __future__ import annotations

from pathlib import Path

import pytest

from threadweaver.runs import account, statistics
from threadweaver.runs.account import Account, StageAccount
from threadweaver.runs.folder import AccountEntry
from threadweaver.runs.runner import Task
from threadweaver.stages.filtering import Filter
from threadweaver.stages.inspection import Rules
from threadweaver.stages.traced import Traced
from threadweaver.trajectory.edits import BlockLineage, Edit, Lineage, ThreadLineage

TEXT = """Two ways.
<Parallel>
<Outlines>
<Outline>1: Count the rows.</Outline>
<Outline>2: Count the columns.</Outline>
</Outlines>
<Thread>
1: There are as many rows as days.
</Thread>
<Thread>
2: There are as many columns as weeks.
</Thread>
</Parallel>
So \\boxed{ANSWER}."""


class Tokens:
    def starts(self, text: str) -> list[int]:
        return list(range(0, len(text), 4))


@pytest.fixture
def judge(grader):
    stage = Filter(Rules(), "none")
    stage.__dict__.update(tokenizer=Tokens(), grader=grader)
    return stage


def result(judge, mark: bool | None, answer: str, output: str = "", edits: tuple[Edit, ...] = ()):
    threads = (ThreadLineage(2, 2, "", "", edits), ThreadLineage(3, 3, "", ""))
    lineage = Lineage(0, "set-0", "p", "56", mark, "", 0, 4, (BlockLineage(2, 3, threads, ""),), output=output)
    return judge(Task("0", "x", Traced("0", TEXT.replace("ANSWER", answer), lineage)))


@pytest.mark.parametrize(
    ("mark", "answer", "outcome", "disagrees"),
    [
        (True, "57", "ok", True),
        (None, "57", "rejected", False),
        (False, "57", "ok", False),
        (True, "56", "ok", False),
        (None, "56", "ok", False),
        (True, r"\text{Ann has } 56 \text{ of them}", "ok", False),
    ],
)
def test_the_mark_of_the_source_outweighs_the_grader(judge, mark, answer, outcome, disagrees):
    found = result(judge, mark, answer)
    assert found.outcome == outcome
    assert found.facts.get("disagreement", False) is disagrees
    assert (found.reason == "answer_wrong") is (outcome == "rejected")


def test_the_mark_does_not_cover_an_answer_that_an_edit_changed(judge):
    edit = Edit(0, r"\boxed{56}", r"\boxed{57}")
    assert result(judge, True, "57", edits=(edit,)).reason == "answer_wrong"
    kept = result(judge, True, "57", output=r"\boxed{58}", edits=(edit,))
    assert (kept.outcome, kept.facts["disagreement"]) == ("ok", True)


def test_the_summary_counts_disagreements(judge):
    found = [result(judge, mark, answer) for mark, answer in [(True, "57"), (True, "56"), (None, "57"), (True, "5")]]
    entries = [AccountEntry(str(n), f.outcome, f.reason, facts=f.facts) for n, f in enumerate(found)]
    summary = statistics.summarize(entries)
    assert (summary["accepted"], summary["disagreements"]) == (3, 2)
    assert summary["answers"] == {"wrong": 2, "correct": 1}


def test_rows_that_are_kept_though_wrong_are_counted_in_summary_and_account(judge):
    found = [result(judge, mark, answer) for mark, answer in [(True, "57"), (False, "57"), (False, "56"), (True, "56")]]
    entries = tuple(AccountEntry(str(n), f.outcome, f.reason, facts=f.facts) for n, f in enumerate(found))
    summary = statistics.summarize(entries)
    assert (summary["accepted"], summary["disagreements"], summary["kept_wrong"]) == (4, 1, 2)
    saved = tuple(AccountEntry(entry.id, "ok" if entry.id != "2" else "rejected") for entry in entries)
    run = Account((StageAccount("filter", Path("5"), {}, entries), StageAccount("save", Path("dataset"), {}, saved)))
    assert account.kept_wrong(run) == {"kept_wrong": ["1"], "disagreement": ["0"]}
    text = account.describe(run)
    assert "1 kept though their source marks them wrong: 1\n" in text
    assert "1 marked right by their source, though graded wrong: 0" in text
