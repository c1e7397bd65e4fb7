"""The account of a run: every sample is somewhere, or the command reports which stage lost it."""

from __future__ import annotations

import shutil
from dataclasses import asdict
from pathlib import Path

import pytest

from threadweaver.errors import UserError
from threadweaver.runs import account, report
from threadweaver.runs.folder import StageFolder
from threadweaver.runs.records import ACCOUNT_FILE, MANIFEST_FILE, AccountEntry
from threadweaver.trajectory.measures import Measures

STAGES = ("collect", "steps", "parallel", "rewrite", "outlines", "filter", "save")


def make(root: Path, stage: str, previous: str | None, entries: list[AccountEntry]) -> Path:
    settings = {"stage": stage, "input": f"../{previous}" if previous else "../source.jsonl"}
    with StageFolder(root / stage, settings) as folder:
        folder.close_account([folder.put(entry, {}) for entry in entries])
    return root / stage


def a_run(root: Path, **changes: list[AccountEntry]) -> Path:
    """Ten rows; 1 is wrong, 2 fails in step 1, 3 has no block and is rejected at the end, 4 is not drawn."""
    losses = {
        "collect": {1: ("rejected", "wrong")},
        "steps": {2: ("failed", "refused")},
        "filter": {3: ("rejected", "no_block")},
        "save": {4: ("rejected", "not_drawn")},
    }
    ids, previous = list(range(12)), None
    for stage in STAGES:
        lost = losses.get(stage, {})
        facts = {
            "parallel": {"blocks": 2, "threads": 5, "unused": ["overlap"]},
            "rewrite": {"edits": 1, "edited_characters": 7},
        }.get(stage, {})
        entries = [
            AccountEntry(
                str(n), *lost.get(n, ("unchanged" if stage == "parallel" and n == 3 else "ok", None)), facts=facts
            )
            for n in ids
        ]
        folder = make(root, stage, previous, changes.get(stage, entries))
        ids, previous = [n for n in ids if n not in lost], stage
    return folder


def test_the_whole_run_is_found_from_its_last_folder(tmp_path):
    run = account.read(a_run(tmp_path))
    assert [stage.stage for stage in run.stages] == list(STAGES)
    assert [len(stage.passed) for stage in run.stages] == [11, 10, 10, 10, 10, 9, 8]
    account.check(run)


def test_the_numbers_in_the_funnel_add_up(tmp_path):
    run = account.read(a_run(tmp_path))
    text, shown = account.funnel(run), account.funnel(run, colour=True)
    counts = [int(line.split()[-1]) for line in text.split("\n") if "-1 " not in line]
    assert counts == [12, 11, 10, 10, 9, 10, 10, 9, 8]
    assert "█" not in text and shown.count("█\x1b") == len(counts)  # bars are for a terminal
    for loss in ("-1  wrong (1)", "-1  refused (2)", "-1  no_block (3)", "-1  not_drawn (4)"):
        assert loss in text


def test_totals_of_blocks_and_edits(tmp_path):
    total = account.totals(account.read(a_run(tmp_path)))
    assert (total["blocks"], total["threads"], total["blocks_not_used"]) == (20, 50, {"overlap": 10})
    assert (total["edits"], total["edited_characters"]) == (10, 70)


def test_what_the_blocks_of_accepted_trajectories_are_worth_is_reported(tmp_path):
    def entry(id: int, outcome: str, *novelties: str) -> AccountEntry:
        measures = Measures(1000, 800, 0.2, 0.5, 2, 2, 100, 250, 40, 0, 1300)
        worth = [
            {"kind": "cases", "novelty": novelty, "saved_tokens": 100, "after_answer": novelty == "restatement",
             "settled": None, "new": novelty == "new work"}
            for novelty in novelties
        ]  # fmt: skip
        reason = None if outcome == "ok" else "no_block"
        return AccountEntry(str(id), outcome, reason, facts={"measures": asdict(measures), "worth": worth})

    ids = [0, 3, *range(4, 12)]
    entries = [entry(n, "rejected" if n == 3 else "ok", "new work", "restatement") for n in ids]
    run = account.read(a_run(tmp_path, filter=entries))
    worth = account.totals(run)["worth"]
    assert worth == {
        "blocks new work": 9,
        "blocks restatement": 9,
        "after the answer": 9,
        "saved tokens": 1800,
        "speedup of new work alone": round(1000 / 900, 3),
    }
    assert "worth: blocks new work 9, blocks restatement 9, after the answer 9, saved tokens 1,800, speedup" in (
        account.describe(run)
    )
    assert "saved tokens 1,800" in report.render(report.build(run))


@pytest.mark.parametrize(
    ("ids", "says"),
    [
        ([0, 3, 4, 5, 6, 7, 8, 9, 10], "missing: 11"),
        ([*range(3, 12), 0, 99], "unexpected: 99"),
        ([*range(3, 12), 0, 1], "unexpected: 1"),
        ([], "missing: 0"),
    ],
)
def test_a_stage_that_holds_other_samples_is_named(tmp_path, ids, says):
    run = account.read(a_run(tmp_path, rewrite=[AccountEntry(str(n), "ok") for n in ids]))
    with pytest.raises(UserError, match=says) as caught:
        account.check(run)
    assert "rewrite" in str(caught.value) and "\n" not in str(caught.value)


def test_a_sample_that_failed_before_may_not_come_back(tmp_path):
    everyone = [AccountEntry(str(n), "ok") for n in range(12)]
    with pytest.raises(UserError, match="unexpected: 1"):
        account.check(account.read(a_run(tmp_path, steps=everyone)))


@pytest.mark.parametrize("manifest", [None, "{}", "[]", "5", "[" * 10_000, "{"])
def test_a_stage_that_is_not_done_is_refused_by_name(tmp_path, manifest):
    last = a_run(tmp_path)
    (tmp_path / "outlines" / MANIFEST_FILE).unlink()
    if manifest is not None:
        (tmp_path / "outlines" / MANIFEST_FILE).write_text(manifest)
    with pytest.raises(UserError, match=r"outlines is not finished .*run step 4 \(outlines\) again"):
        account.read(last)


def test_a_missing_stage_ends_the_account(tmp_path):
    last = a_run(tmp_path)
    shutil.rmtree(tmp_path / "outlines")
    assert [stage.stage for stage in account.read(last).stages] == ["filter", "save"]


def test_an_account_that_was_changed_is_refused(tmp_path):
    last = a_run(tmp_path)
    path = tmp_path / "rewrite" / ACCOUNT_FILE
    path.write_text(path.read_text().replace('"ok"', '"unchanged"', 1))
    with pytest.raises(UserError, match=r"rewrite/account\.jsonl was changed after the stage had ended"):
        account.read(last)


def test_a_folder_of_another_program_is_not_a_stage(tmp_path):
    (tmp_path / MANIFEST_FILE).write_text('{"name": "a web page"}')
    assert account.read(tmp_path).stages == ()
    assert account.read(tmp_path / "nowhere").stages == ()


def test_folders_that_name_each_other_do_not_cause_an_endless_loop(tmp_path):
    make(tmp_path, "rewrite", "outlines", [])
    make(tmp_path, "outlines", "rewrite", [])
    assert len(account.read(tmp_path / "outlines").stages) <= 2


def test_an_empty_run_is_reported_without_a_division_by_zero(tmp_path):
    assert "collected" in account.funnel(account.read(make(tmp_path, "collect", None, [])))


def test_uses_of_a_siblings_mathematics_are_reported(tmp_path):
    entry = AccountEntry("0", "ok", facts={"edits": 1, "leaks_before": 7, "leaks_after": 2})
    run = account.Account((account.StageAccount("rewrite", tmp_path, {"stage": "rewrite"}, (entry,)),))
    assert "mathematics used 7 times before and 2 times after rewriting" in account.describe(run)
