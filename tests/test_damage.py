"""Damaged replies: one repair turn costs no data, a fix without one costs little, and no text is ever lost."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import fake_answers as answers
from bench.damage import SAMPLE, compare
from fake_damage import WAYS, Asked, dice_of, passages_of, read_recorded
from threadweaver.annotators.llm import validation
from threadweaver.files import read_text
from threadweaver.trajectory import annotation, edits
from threadweaver.trajectory.questions import OutlineQuestion

COUNT = 2
RECORDED = read_recorded(SAMPLE / "recorded.jsonl")
CHAINS = [json.loads(line) for line in read_text(SAMPLE / "chains.jsonl").rstrip("\n").split("\n")]
CODES = ("gap", "overlap", "out_of_file", "out_of_order", "single_thread", "missing_range", "unbalanced_tag")


def replies(kind: str) -> list[tuple[str, str]]:
    """(first message, accepted reply) of this kind, as recorded."""
    asked = [(Asked.read([{"content": first}]), reply) for first, reply in RECORDED.items()]
    return [(item.first, reply) for item, reply in asked if item.kind == kind]


@pytest.mark.parametrize("way", CODES)
def test_a_damaged_outline_has_the_defect_of_its_name_in_every_block(way):
    """Otherwise a measurement with this name would measure something else. (A lone tag may belong to no block.)"""
    reached = 0
    for first, reply in replies("steps"):
        chain = next(row["thinking"] for row in CHAINS if row["problem"] in first)
        damaged = WAYS[way][1](reply, first, dice_of(first))
        if damaged is None:  # it has no block, or none that can have this defect
            continue
        found = annotation.parse(damaged, annotation.lines(chain))
        blocks = {problem.block for problem in found.defects if problem.code == way}
        expected = {
            block.number
            for block in annotation.parse(reply, annotation.lines(chain)).blocks
            if block not in found.blocks
        }
        assert blocks and (blocks >= expected or way == "unbalanced_tag")
        reached += 1
    assert reached >= 8


@pytest.mark.parametrize(
    "way", [way for way, (group, damage) in WAYS.items() if group == "outlines" and callable(damage)]
)
def test_a_damaged_list_of_outlines_is_judged_faulty(way):
    damaged = 0
    for first, reply in replies("outlines"):
        text = WAYS[way][1](reply, first, dice_of(first))
        if text is not None:
            damaged += 1
            assert validation.validate_outlines(question_of(first), text, "").faults
        assert not validation.validate_outlines(question_of(first), reply, "").faults, (
            "the recorded reply stays accepted"
        )
    assert damaged >= 8


def question_of(first: str) -> OutlineQuestion:
    threads = tuple(answers.threads_in(answers.section(first, "threads")))
    asked = tuple(answers.asked_in(first))
    return OutlineQuestion(0, answers.problem_of(first), answers.context_of(first), threads, asked)


@pytest.mark.parametrize(
    ("way", "code"),
    [
        ("edits_src_absent", "not_found"),
        ("edits_src_ambiguous", "ambiguous"),
        ("edits_tag_in_dest", "tag_in_dest"),
        ("edits_control", "control_character"),
        ("edits_half_deleted", "shrinks_thread"),
        ("edits_raw_latex", None),
        ("edits_fenced", None),
        ("edits_unparsable", "unreadable"),
    ],
)
def test_damaged_replacements_are_reported_by_code_or_read_anyway(way, code):
    damaged = 0
    for first, reply in replies("edits"):
        text = WAYS[way][1](reply, first, dice_of(first))
        passages = passages_of(first)
        if text is None:
            continue
        damaged += 1
        try:
            proposed = edits.parse_reply(text, passages)
        except edits.UnreadableReply:
            assert code == "unreadable"
        else:
            found = [edits.apply(passages[number], items) for number, items in proposed.items()]
            assert [item.code for one in found for item in one.skipped] == ([code] if code else [])
            made, meant = sum(len(one.edits) for one in found), edits.parse_reply(reply, passages)
            assert code or made >= sum(map(len, meant.values()))
    assert damaged >= 8


@pytest.fixture(scope="module")
def chains(tmp_path_factory) -> Path:
    """Two chains whose final answer needs no algebra: its processes take a second to start."""
    path = tmp_path_factory.mktemp("chains") / "chains.jsonl"
    rows = [row for row in CHAINS if str(row["solution"]).isdecimal()][:COUNT]
    path.write_text("\n".join(json.dumps(row) for row in rows) + "\n", encoding="utf-8")
    return path


def test_repaired_replies_lose_nothing(chains, tmp_path):
    runs = list(compare(tmp_path, ["overlap", "edits_unparsable"], chains, COUNT, 1, share=0.5, again=0.0))
    plain = runs[0][1]
    assert plain.accepted == plain.read == COUNT and plain.blocks > COUNT
    for way, found, counts in runs[1:]:
        assert counts["damaged"] == counts["repairs"] > 0 and counts["damaged again"] == 0, way
        assert found == plain, way


def test_damage_repeated_by_the_repair_is_fixed_or_costs_its_own_block_but_never_text(chains, tmp_path):
    """Every reply is damaged, and its repair too."""
    fixed = ["out_of_order", "edits_src_absent"]
    runs = compare(tmp_path, [*fixed, "single_thread", "outlines_give_result"], chains, COUNT, 1, share=1.0, again=1.0)
    outcomes = {way: (found, counts) for way, found, counts in runs}
    plain = outcomes[""][0]
    assert all(found.lost == 0 for found, _ in outcomes.values())
    assert all(outcomes[way][0] == plain for way in fixed)
    assert outcomes["single_thread"][0].blocks == 0
    found, counts = outcomes["outlines_give_result"]
    assert found.blocks == plain.blocks - counts["damaged"] < plain.blocks
