"""Reviews with judgements of blocks: the file's form, what it refuses, and who reads it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from browser.fixture import Run, leaking
from threadweaver.errors import UserError
from threadweaver.stages.saving import read_review
from threadweaver.trajectory import judgements
from threadweaver.viewer.reviews import Change, Reviews, parse_request
from viewing import Server

BLOCK = {"independent": "no", "worth": "some"}


def put(served: Server, id: str, change: dict) -> int:
    return served.ask(f"/api/review/{id}", method="PUT", body=json.dumps(change))[0]


def test_judgements_are_merged_and_withdrawn_answer_by_answer(tmp_path):
    kept = Reviews(tmp_path / "review.jsonl")
    kept.put("0", "u-0", Change(judged={"2": {"worth": "some"}, "10.1": {"outline": "void"}}))
    kept.put("0", "u-0", Change("reject", judged={"2": {"independent": "no"}, "10.1": {"outline": ""}}))
    [row] = map(json.loads, (tmp_path / "review.jsonl").read_text().splitlines())
    assert row == {"id": "0", "uuid": "u-0", "verdict": "reject", "note": "", "judged": {"2": BLOCK}}
    kept.put("0", "u-0", Change("", judged={"2": {"independent": "", "worth": ""}}))
    assert (tmp_path / "review.jsonl").read_text() == ""


def test_places_are_in_the_order_of_the_text():
    found = judgements.read({"10": BLOCK, "2.1": {"wording": "no"}, "2": BLOCK, "1": {"worth": ""}})
    assert list(found) == ["2", "2.1", "10"]


@pytest.mark.parametrize(
    "judged",
    [
        [],
        "1",
        {"0": BLOCK},
        {"1.2.3": BLOCK},
        {"../1": BLOCK},
        {"1": "yes"},
        {"1": {"independent": "maybe"}},
        {"1": {"beauty": "yes"}},
        {"1.1": {"worth": "some"}},
        {"1": {"worth": ["some"]}},
        {str(at): {} for at in range(1, 2100)},
    ],
)
def test_what_is_no_judgement_is_refused(judged):
    with pytest.raises(ValueError):
        judgements.read(judged)
    with pytest.raises(ValueError):
        parse_request(json.dumps({"judged": judged}).encode())


def test_a_line_with_a_wrong_answer_is_named(tmp_path):
    (tmp_path / "review.jsonl").write_text('{"id": "0", "verdict": "", "judged": {"1": {"worth": "much"}}}\n')
    with pytest.raises(UserError, match="line 1: 'much' is no answer to 'worth' about 1"):
        Reviews(tmp_path / "review.jsonl")


def test_saving_reads_the_verdicts_of_the_same_file(tmp_path):
    with Server(Run(tmp_path).write()) as served:
        assert put(served, "0", {"judged": {"1": BLOCK}}) == put(served, "1", {"verdict": "reject"}) == 200
        assert served.json("/api/list?review=judged")["count"] == 1
        assert served.json("/api/neighbours/0?outcome=ok")["reviewed"] == 1
    assert read_review(next(tmp_path.rglob("review.jsonl"))) == {"fixture-0": "", "fixture-1": "reject"}


def test_the_bench_holds_judgements_against_leaks(tmp_path):
    folder = Run(tmp_path, leaking(), merge=False).write().with_name("fixture_8samples_step4_v1_v1_v1")
    kept = Reviews(folder / "review.jsonl")
    for id, answer in (("0", "no"), ("1", "yes"), ("2", "yes")):
        kept.put(id, f"fixture-{id}", Change(judged={"1": {"independent": answer}}))
    bench = Path(__file__).parent / "bench" / "reviewed.py"
    said = subprocess.run([sys.executable, bench, folder], capture_output=True, text=True, check=True).stdout
    assert "independent  blocks      3: yes 2, no 1" in said
    assert "leaks from 0.3 on: 1 of 1 dependent blocks found, 1 of 2 independent ones flagged" in said
    assert "leaks from 0.6 on: 1 of 1 dependent blocks found, 0 of 2 independent ones flagged" in said
