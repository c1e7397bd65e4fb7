"""Reviews with judgements of blocks: the file's form, what it refuses, and who reads it."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import uvicorn

from browser.fixture import Run, leaking
from threadweaver.errors import UserError
from threadweaver.stages.saving import read_review
from threadweaver.trajectory import judgements
from threadweaver.viewer import runs, sheet
from threadweaver.viewer.gauge import Gauge
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


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """Two runs of the same chains, as two annotators would make them."""
    return [runs.find(Run(tmp_path_factory.mktemp(name)).write()) for name in ("one", "two")]


def test_a_sheet_is_drawn_by_its_seed_from_all_runs(two):
    drawn = sheet_of(two, 6)
    assert drawn == sheet_of(two, 6)
    assert {run for run, _, _ in drawn} == {0, 1} and len({item[:2] for item in drawn}) == 6
    assert {id for _, id, _ in sheet_of(two, 99)} == {"0", "1", "2", "6"}, "rejected and broken texts are left out"
    assert drawn != sheet_of(two, 6, seed=4)


def sheet_of(found, count, seed=3):
    return [(item.run, item.id, item.number) for item in sheet.draw(found, count, seed)]


def test_answers_of_a_sheet_are_kept_under_the_blocks_own_number(two):
    items = sheet.draw(two, 8, 3)
    at, item = next((at, item) for at, item in enumerate(items, 1) if item.number == 2)
    with serving(sheet.build(two, Gauge(), 8, 3)) as ask:
        shown = ask(f"/api/sheet/{at}")[1]
        assert shown["block"]["number"] == 1 and "reason" in shown["block"] and not shown["block"]["reason"]
        assert ask("/api/sample/0")[0] == ask("/api/list")[0] == ask(f"/api/sheet/{len(items) + 1}")[0] == 404
        change = {"judged": {"1": {"worth": "none"}, "1.2": {"outline": "void"}}}
        assert ask(f"/api/sheet/{at}", change) == (200, {"judged": change["judged"]})
        assert ask(f"/api/sheet/{at}", {"judged": {"2": {"worth": "none"}}})[0] == 400
        assert ask("/api/sheet")[1]["answered"][at - 1] == 1
    kept = Reviews(two[item.run].review_file).judged()
    assert kept == {item.id: {"2": {"worth": "none"}, "2.2": {"outline": "void"}}}


def test_a_folder_without_blocks_has_no_sheet(tmp_path):
    (tmp_path / "0.txt").write_text("no block\n")
    with pytest.raises(UserError, match="no trajectory with a block"):
        sheet.draw([runs.find(tmp_path)], 3, 0)


@contextlib.contextmanager
def serving(application):
    """Yield a function that asks the application: path and, for a PUT, its body; it returns status and JSON."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(application, log_level="critical", access_log=False, ws="none"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()

    def ask(path, body=None):
        connection = http.client.HTTPConnection("127.0.0.1", listener.getsockname()[1], timeout=60)
        with contextlib.closing(connection):
            sent = json.dumps(body).encode() if body else None
            connection.request(
                "PUT" if body else "GET", path, sent, {"content-type": "application/json"} if body else {}
            )
            answer = connection.getresponse()
            text = answer.read()
        return answer.status, json.loads(text) if text.startswith(b"{") else {}

    try:
        yield ask
    finally:
        server.should_exit = True
        thread.join(timeout=10)
        listener.close()
