"""What the viewer says a result rests on: the calls about a sample, the leaks between its threads, why it was lost."""

from __future__ import annotations

import json

import pytest

from browser import calls
from browser.fixture import NAME, Run, leaking
from threadweaver.errors import UserError
from threadweaver.runs.folder import AccountEntry, StageFolder
from threadweaver.stages.block_leaks import BlockLeaks
from threadweaver.viewer import app, columns, conversations, evidence, runs, table
from threadweaver.viewer.gauge import Gauge
from viewing import Server


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return Run(tmp_path_factory.mktemp("run")).write()


@pytest.fixture(scope="module")
def server(root):
    with Server(root) as served:
        yield served


def test_every_call_that_an_account_names_is_found_in_the_ledger(server):
    steps, edits = server.json("/api/sample/0/calls")["stages"]
    [talk] = steps["conversations"]
    assert (steps["stage"], talk["about"], talk["missing"]) == ("steps", "", 0)
    assert [(call["verdict"], call["why"], call["seconds"], call["cost"]) for call in talk["calls"]] == [
        ("accepted", None, 1.5, 0.005),
        ("repaired", "out_of_file", 1.5, 0.005),
        ("accepted", None, 1.5, 0.005),
    ]
    assert [talk["about"] for talk in edits["conversations"]] == ["block 1", "block 2"]


@pytest.fixture(scope="module")
def leaky(tmp_path_factory):
    folder = Run(tmp_path_factory.mktemp("leaky"), leaking(), merge=False).write()
    with Server(folder) as served:
        yield served


def values(row: dict) -> dict:
    return dict(zip(table.NAMES, row["values"], strict=True))


def test_leaks_and_worth_are_columns_with_filters_and_sort(leaky):
    rows = leaky.json("/api/list?sort=strongest_leak&dir=desc&strongest_leak=0..")["rows"]
    assert [(row["id"], row["outcome"], values(row)["strongest_leak"]) for row in rows] == [
        ("0", "rejected", 0.75),
        ("1", "ok", 0.475),
        ("2", "ok", 0.0),
    ]
    assert [row["id"] for row in leaky.json("/api/list?strongest_leak=0.5..")["rows"]] == ["0"]
    assert values(rows[2])["saved_tokens"] > 50 and values(rows[2])["after_answer"] == 0


def test_an_earlier_stage_has_the_leaks_that_the_filter_found(root):
    with Server(root.with_name(f"{NAME}_step4_v1_v1_v1")) as served:
        assert values(served.json("/api/list")["rows"][0])["saved_tokens"] > 50
        assert served.json("/api/list?kind=methods")["count"] == 4


def test_kinds_of_blocks_are_filters(server):
    facets = server.json("/api/list")["facets"]
    assert dict(facets["kind"]) == {"cases": 4, "methods": 4} and dict(facets["novelty"])["re-check"] == 4
    assert server.json("/api/list?kind=methods")["count"] == 4
    assert server.json("/api/list?kind=checks")["count"] == 0


@pytest.mark.parametrize("worth", [None, 3, "x", [1], [{"kind": {}, "saved_tokens": "x", "settled": 1e99}]])
def test_columns_of_a_strange_account_are_left_out(worth):
    facts = {"filter": {"worth": worth, "leaks": "many", "strongest_leak": float("inf")}}
    assert set(columns.measures_of(facts)) <= {"saved_tokens", "after_answer"}
    assert all(label == columns.UNNAMED for labels in columns.labels_of(facts).values() for label in labels)


def test_a_turn_holds_what_is_new_and_a_long_text_is_cut(server):
    turns = server.json("/api/sample/0/calls/steps/0")["turns"]
    assert [[item["role"] for item in turn["asked"]] for turn in turns] == [["system", "user"], ["user"], ["user"]]
    assert turns[2]["thinking"]["text"] == "<think>Let me look at L8 again.</think>"
    assert turns[2]["reply"]["text"] == "One block, L4-L10."
    [turn] = server.json("/api/sample/0/calls/rewrite/0")["turns"]
    assert len(turn["reply"]["text"]) == conversations.MESSAGE_LIMIT < turn["reply"]["chars"] == len(calls.LONG)


@pytest.mark.parametrize("path", ["steps/1", "steps/99999", "filter/0", "..%2f/0", "nothing/0"])
def test_a_conversation_that_no_account_names_is_not_found(server, path):
    assert server.ask(f"/api/sample/0/calls/{path}")[0] == 404


@pytest.mark.parametrize(
    "named", [None, 3, "x", [1], [{"keys": "0" * 16}], [{"keys": ["zz" * 8, 5, "0" * 64, "AB" * 8]}], [{"about": {}}]]
)
def test_what_is_no_conversation_in_an_account_is_left_out(named):
    assert all(talk.keys == () for talk in conversations._talks({"ledger": named}))


def test_a_damaged_ledger_is_said_so_and_the_page_goes_on(root, tmp_path):
    (tmp_path / "bad.sqlite").write_bytes(b"no database at all" * 100)
    with Server(root, ledger=tmp_path / "bad.sqlite") as served:
        found = served.json("/api/sample/0/calls")
    assert found["stages"][0]["conversations"][0]["missing"] == 3
    assert any("bad.sqlite" in note for note in found["notes"])


def test_a_ledger_that_is_named_has_to_exist(root, tmp_path):
    with pytest.raises(UserError, match="name another --ledger"):
        app.build(runs.find(root), Gauge(), ledger=tmp_path / "none.sqlite")


def test_a_leak_has_its_places_in_both_threads(leaky):
    [block] = leaky.json("/api/sample/0/evidence")["blocks"]
    [part] = [part for part in leaky.json("/api/sample/0")["parts"] if part["kind"] == "block"]
    strongest = block["leaks"][0]
    assert (strongest["source"], strongest["target"], strongest["kind"], strongest["score"]) == (1, 2, "value", 0.75)
    source, target = part["threads"][0]["text"], part["threads"][1]["text"]
    assert source[slice(*strongest["at"])] == target[slice(*strongest["used"])] == "T = 6"
    assert block["worth"]["saved_tokens"] > 10 and block["worth"]["new"]


@pytest.mark.parametrize(
    ("text", "what", "at", "marked"),
    [
        ("so $T = 6$ here", "T=6", 4, "T = 6"),
        ("and $x_{1}$ too", "x_1", 5, "x_{1"),
        ("the same again. Then", "(4)", 4, "same again"),
        ("end", "end of it", 3, ""),
    ],
)
def test_a_name_is_marked_as_it_is_written(text, what, at, marked):
    assert text[slice(*evidence.span_of(text, what, at))] == marked


def test_opening_a_sample_looks_for_no_leaks(root, monkeypatch):
    monkeypatch.setattr(BlockLeaks, "read", lambda *of: pytest.fail("leaks were looked for"))
    with Server(root) as served:
        assert served.json("/api/sample/0")["verdict"]["conserved"] is True
        served.json("/api/sample/0/stages")


def test_an_edit_has_its_reasons(server):
    [why] = server.json("/api/sample/0/edits")["1.2"]
    assert why == ["words that point back: similarly"]
    assert server.json("/api/sample/3/edits") == server.json("/api/sample/5/edits") == {}


def test_a_referees_findings_are_shown_where_they_are_quoted(tmp_path):
    folder = Run(tmp_path).write()
    settings = {"stage": "referee", "input": f"../{NAME}_step4_v1_v1_v1"}
    taken = {"sibling": 1, "quote": "this case gives one solution", "rests_on": "this case gives nothing"}
    threads = [{"takes": [], "work": "new", "outline": "good"}, {"takes": [taken], "work": "new", "outline": "tells"}]
    block = {"threads": threads, "sensible": True, "worth": "some"}
    with StageFolder(tmp_path / f"{NAME}_referee_v1_v1_v1", settings) as made:
        found = json.dumps({"text": "", "blocks": [block, None]}).replace("this case gives one", "This case gives one")
        made.close_account([made.put(AccountEntry("0", "ok"), {"0.json": found})])
    with Server(folder.with_name(f"{NAME}_step4_v1_v1_v1")) as served:
        blocks = served.json("/api/sample/0/evidence")["blocks"]
        text = next(part for part in served.json("/api/sample/0")["parts"] if part["kind"] == "block")["threads"]
    [shown] = blocks[0]["referee"]["takes"]
    assert blocks[1]["referee"] is None and not blocks[0]["referee"]["independent"]
    assert (shown["source"], shown["target"], shown["kind"]) == (1, 2, "content")
    assert text[1]["text"][slice(*shown["used"])] == "This case gives one solution"
    assert text[0]["text"][slice(*shown["at"])] == "this case gives nothing"


@pytest.mark.parametrize(
    ("id", "loss"),
    [
        ("7", ("rewrite", "failed", "unreadable_reply", "the reply held no JSON array")),
        ("5", ("collect", "rejected", "looping", "")),
        ("3", ("filter", "rejected", "no_block", "nothing runs in parallel")),
    ],
)
def test_a_lost_sample_has_its_reason_from_the_account(server, id, loss):
    found = server.json(f"/api/sample/{id}")["loss"]
    assert (found["stage"], found["outcome"], found["reason"], found["detail"]) == loss and not found["later"]


def test_a_sample_that_a_later_stage_lost_says_so(root):
    with Server(root.with_name(f"{NAME}_step4_v1_v1_v1")) as served:
        assert served.json("/api/sample/3")["loss"]["later"] and served.json("/api/sample/0")["loss"] is None


def test_broken_markup_names_its_line(tmp_path):
    (tmp_path / "0.txt").write_text("one\ntwo\n<Parallel>\nthree\n")
    with Server(tmp_path) as served:
        document = served.json("/api/sample/0")
        assert (document["fault_line"], document["outcome"]) == (3, "malformed")
        assert served.json("/api/sample/0/evidence")["blocks"] == []
