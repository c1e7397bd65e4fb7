"""Worth: what a block saves, whether its work is new, and dropping what is not."""

from __future__ import annotations

import dataclasses

import pytest

from test_inspection import CHAIN, GOOD, RECORD
from threadweaver.runs import statistics
from threadweaver.runs.folder import AccountEntry
from threadweaver.stages.inspection import Rules, inspect
from threadweaver.stages.traced import Traced
from threadweaver.stages.worth import drop, worths
from threadweaver.trajectory import edits, markup
from threadweaver.trajectory.measures import Measures

OUTLINES = ["Count them directly", "Use the complement"]


def of(text: str, novelty: str = "", output: str = "") -> dict:
    trajectory = markup.parse(text)
    blocks = tuple(
        edits.BlockLineage(1, 1, tuple(edits.ThreadLineage(1, 1) for _ in block.threads), "", "cases", novelty)
        for block in trajectory.blocks
    )
    record = dataclasses.replace(RECORD, blocks=blocks, output=output)
    [found] = worths(trajectory, record, range(len(text)))
    return found


BLOCK = markup.write_block(["a long first thread, so 12", "short: 34"], OUTLINES)


def test_saved_tokens_are_those_beside_the_longest_thread():
    found = of(f"Start.\n{BLOCK}\nEnd.")
    assert (found["kind"], found["novelty"], found["saved_tokens"], found["new"]) == (
        "cases",
        "",
        len("\n2: short: 34\n"),
        True,
    )


@pytest.mark.parametrize(
    ("before", "after_answer"),
    [
        ("The answer is 7.", True),
        ("So \\boxed{7}.", True),
        ("So \\boxed{8}.", False),
        ("So \\boxed{7}. No, \\boxed{9}.", False),
        ("It could be 7.", False),
    ],
)
def test_a_block_is_after_the_answer_once_that_is_stated_for_good(before, after_answer):
    found = of(f"{before}\n{BLOCK}\nSo \\boxed{{7}}.", output="\\boxed{7}")
    assert (found["after_answer"], found["new"]) == (after_answer, not after_answer)


@pytest.mark.parametrize(("before", "share"), [("Nothing.", 0.0), ("Then 12.", 0.5), ("Then 12 and 34.", 1.0)])
def test_settled_is_the_share_of_the_values_that_were_known(before, share):
    assert of(f"{before}\n{BLOCK}\nEnd.")["settled"] == share
    assert of(f"{before}\n{markup.write_block(['x', 'y'], OUTLINES)}\nEnd.")["settled"] is None


@pytest.mark.parametrize("novelty", ["re-check", "restatement"])
def test_a_dropped_block_is_the_chains_own_text_again(novelty):
    record = dataclasses.replace(RECORD, blocks=(dataclasses.replace(RECORD.blocks[0], novelty=novelty),))
    dropped = drop(Traced("0", GOOD, record), ("re-check", "restatement"))
    assert dropped.text == CHAIN and "as above" in dropped.text  # the edit is undone
    assert dropped.lineage.blocks == () and dropped.lineage.unused[-1].code == "dropped"
    assert inspect(dropped.text, dropped.lineage, Rules(keep_sequential=True)).conserved
    assert drop(Traced("0", GOOD, record), ("new work",)).text == GOOD
    assert drop(Traced("0", GOOD, None), (novelty,)).text == GOOD


def test_the_speedup_of_new_work_alone_leaves_out_the_rest():
    measures = dataclasses.asdict(Measures(1000, 600, 0.4, 0.8, 2, 2, 200, 400, 0, 0, 1200))
    block = {
        "kind": "cases",
        "novelty": "new work",
        "saved_tokens": 300,
        "after_answer": False,
        "settled": 0.5,
        "new": True,
    }
    again = {**block, "novelty": "re-check", "saved_tokens": 100, "new": False}
    summary = statistics.summarize([AccountEntry("0", "ok", facts={"measures": measures, "worth": [block, again]})])
    assert summary["speedup"] == pytest.approx(1000 / 600)
    assert summary["speedup_of_new_work"] == pytest.approx(1000 / 700)
    assert summary["worth"]["novelty"]["re-check"] == {"blocks": 1, "saved_tokens": 100}
    assert "1 of 2 blocks are new work" in statistics.table(summary)
