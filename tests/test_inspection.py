"""The inspection of stage 5: every fault by its code, and only complete trajectories are accepted."""

from __future__ import annotations

import dataclasses

import pytest

from threadweaver.stages.inspection import Rules, inspect
from threadweaver.trajectory import markup
from threadweaver.trajectory.edits import BlockLineage, Edit, Lineage, ThreadLineage, fingerprint

OUTLINES = ["Count them directly", "Use the complement"]
GOOD = f"We begin.\n{markup.write_block(['first way', 'second way'], OUTLINES)}\nDone, with <n> in the text."
CHAIN = "We begin.\nfirst way\n\nsecond way, as above\nDone, with <n> in the text."
RECORD = Lineage(
    0,
    "set-0",
    "",
    "",
    None,
    fingerprint(CHAIN),
    len(CHAIN),
    5,
    (BlockLineage(2, 4, (ThreadLineage(2, 3, "", "\n\n"), ThreadLineage(4, 4, edits=(Edit(10, ", as above", ""),)))),),
)


def reason(text: str, record: Lineage | None = None, **rules) -> str | None:
    return inspect(text, record, Rules(**rules)).reason


def test_a_good_trajectory_is_accepted_and_its_chain_is_conserved():
    found = inspect(GOOD, RECORD, Rules())
    assert (found.reason, found.conserved, found.trajectory.text) == (None, True, GOOD)


def test_without_a_lineage_conservation_is_unknown():
    assert inspect(GOOD, None, Rules()).conserved is None
    assert inspect(GOOD, dataclasses.replace(RECORD, sha256=""), Rules()).conserved is None


def test_what_is_accepted_has_the_canonical_form():
    loose = GOOD.replace("</Thread><Thread>", "</Thread>\n\n <Thread>").replace("1: ", " 1:  ")
    assert inspect(loose, RECORD, Rules()).trajectory.text == GOOD


REJECTED = {
    "empty": ["", " \n\u2028"],
    "no_block": [CHAIN],
    "missing_outlines": [f"a\n{markup.write_block(['x', 'y'])}"],
    "poor_outlines": [
        markup.write_block(["x", "y"], ["Outline 1", "Outline 2"]),
        markup.write_block(["x", "y"], ["same plan", "Same plan."]),
        markup.write_block(["x", "y"], ["a plan of it", "…"]),
    ],
    "single_thread": [
        GOOD.replace("<Thread>\n2: second way\n</Thread>", "").replace("<Outline>2: Use the complement</Outline>\n", "")
    ],
    "count_mismatch": [GOOD.replace("<Outline>2: Use the complement</Outline>\n", "")],
    "unbalanced_tag": [
        GOOD[: GOOD.index("second")],
        GOOD.replace("</Parallel>", ""),
        GOOD[: GOOD.index("</Outlines>")],
    ],
    "stray_tag": [f"{GOOD}</Thread>", f"<Outlines>{GOOD}"],
    "stray_text": [GOOD.replace("</Thread><Thread>", "</Thread> lost <Thread>")],
    "tag_in_passage": [GOOD.replace("first way", "first <n> way")],
    "numbering": [GOOD.replace("2: second", "3: second")],
    "empty_thread": [GOOD.replace("first way", "")],
    "nested": [GOOD.replace("first way", "<Parallel>")],
    "unclosed_think": [f"<think>\n{GOOD}", f"[THINK]\n{GOOD}"],
    "control_character": [f"{GOOD}\0"],
    "broken_unicode": [f"{GOOD}\ud83d"],
    "ambiguous_cut": [f"<think>\n{GOOD}\n</think>\nand\n</think>\nend"],
}


@pytest.mark.parametrize(("code", "text"), [(code, text) for code, texts in REJECTED.items() for text in texts])
def test_every_fault_is_rejected_under_its_own_name(code, text):
    assert reason(text) == code


@pytest.mark.parametrize(
    "text",
    [
        GOOD.replace("We begin.", "We began."),
        GOOD.replace("first way", "one way"),
        GOOD + "\n",
        GOOD.replace("second way", "second"),
        f"{GOOD}\n{markup.write_block(['x', 'y'], OUTLINES)}",
        CHAIN,
    ],
)
def test_a_trajectory_that_does_not_give_its_chain_back_is_rejected(text):
    found = inspect(text, RECORD, Rules())
    assert (found.reason, found.conserved) == ("text_lost", False)


def test_sequential_trajectories_are_kept_when_asked_for():
    record = dataclasses.replace(RECORD, blocks=())
    assert reason(CHAIN, record) == "no_block"
    assert reason(CHAIN, record, keep_sequential=True) is None


def test_conclusions_are_asked_for_only_when_required():
    concluded = markup.write_block(["x", "y"], OUTLINES, "so z")
    assert reason(GOOD, conclusion_required=True) == "missing_conclusion"
    assert reason(concluded, conclusion_required=True) is None
    assert reason(concluded) is None


def test_of_a_text_with_think_tags_the_part_between_them_is_inspected():
    found = inspect(f"<think>\n{GOOD}\n</think>\nThe answer is 5.", None, Rules())
    assert found.trajectory.text == GOOD and found.reason is None
    assert reason(f"<think>\n{GOOD}", think_end_required=False) is None


def test_a_thread_that_certainly_depends_on_its_sibling_is_rejected_unless_allowed():
    text = f"We begin.\n{markup.write_block(['Let $Q_7 = 4913$.', 'By what we found above, $Q_7 + 2$ is 4915.'], OUTLINES)}"
    assert reason(text) == "leak"
    assert reason(text, max_leak=1.1) is None
    assert inspect(text, None, Rules()).leaks.facts()["strongest_leak"] >= 0.6
    assert inspect(text, None, Rules(max_leak=None)).leaks is None
