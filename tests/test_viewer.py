"""The viewer's server: what it finds, what it shows of a sample, what it keeps; without a browser."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.request import urlopen

import pytest

from browser.fixture import IMAGE, SCRIPT, STAGES, Run, add_sample
from threadweaver.corpus import training_units
from threadweaver.errors import UserError
from threadweaver.runs.folder import read_account
from threadweaver.samples import read_sample
from threadweaver.viewer import database, pieces, runs
from threadweaver.viewer.reviews import Change, Reviews
from viewing import COMMAND, Server


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    return Run(tmp_path_factory.mktemp("run")).write()


@pytest.fixture(scope="module")
def server(root):
    with Server(root) as served:
        yield served


def test_stopping_it_is_one_word(root):
    command = [sys.executable, COMMAND, "--root", root, "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as viewer:
        address = re.search(r"http://\S+", viewer.stdout.readline())[0]
        with urlopen(address, timeout=300) as page:
            assert page.status == 200
        viewer.send_signal(signal.SIGINT)
        assert viewer.communicate(timeout=300)[1] == "stopped\n" and viewer.returncode == 130


# ---------------------------------------------------------------------------------------------------------------
# the run and the list


@pytest.mark.parametrize("number", range(6))
def test_every_stage_finds_the_whole_run(root, number):
    folder = Run(root.parent).folder(number)
    assert [place.stage for place in runs.find(folder).places] == list(STAGES)


def test_the_list_holds_every_sample_with_its_fate(server):
    page = server.json("/api/list")
    fates = {row["id"]: (row["stage"], row["outcome"], row["reason"]) for row in page["rows"]}
    assert fates == {
        "0": ("filter", "ok", ""),
        "1": ("filter", "ok", ""),
        "2": ("filter", "ok", ""),
        "6": ("filter", "ok", ""),
        "3": ("filter", "rejected", "no_block"),
        "4": ("filter", "rejected", "no_block"),
        "5": ("collect", "rejected", "looping"),
        "7": ("rewrite", "failed", "unreadable_reply"),
    }
    assert [row["id"] for row in page["rows"]] == list("01234567")
    assert page["totals"]["count"] == page["totals"]["of"] == 8


def test_calls_and_cost_of_all_stages_are_added_up(server):
    measures = [item["name"] for item in server.json("/api/run")["measures"]]
    values = dict(zip(measures, server.json("/api/list")["rows"][0]["values"], strict=True))
    assert (values["calls"], round(values["cost"], 4), values["edits"]) == (4, 0.0153, 1)


def test_counts_of_the_account_are_kept_and_others_are_marked_as_estimates(server, root):
    account = {entry.id: entry.facts for entry in read_account(root)}
    rows = {row["id"]: row for row in server.json("/api/list")["rows"]}
    assert not rows["0"]["estimated"] and rows["0"]["values"][0] == account["0"]["measures"]["total_num_tokens"]
    text = (root / "rejected" / "3.txt").read_text().removesuffix("\n")
    assert rows["3"]["estimated"] and rows["3"]["values"][0] == -(-len(text) // 4)
    assert rows["5"]["values"][0] is None
    assert "not tokens" in server.json("/api/run")["tokenizer"]["estimate"]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("outcome=rejected", "345"),
        ("outcome=rejected&outcome=failed", "3457"),
        ("reason=no_block", "34"),
        ("answer=wrong", "1"),
        ("parallel_count=1..", "01267"),
        ("parallel_count=..0", "34"),
        ("total_num_tokens=1000..&outcome=ok", "6"),
        ("q=kitchen", ""),
        ("q=seat+guests", "4"),
        ("q=fixture-7", "7"),
        ("q=%22first+guest+anywhere%22", "4"),
        ("q=%22guest+first+anywhere%22", ""),
        ("q=elev&answer=wrong", "1"),
        ("q=table&sort=lines&dir=desc", "4"),
        ("sort=total_num_tokens&dir=desc&outcome=ok&limit=1", "6"),
    ],
)
def test_search_sort_and_filters(server, query, expected):
    assert "".join(row["id"] for row in server.json(f"/api/list?{query}")["rows"]) == expected


def test_a_histogram_counts_what_passes_the_other_filters(server):
    page = server.json("/api/list?outcome=ok&parallel_count=5..")
    assert page["count"] == 0
    bars = page["histograms"]["parallel_count"]
    assert sum(bars["all"]) == 7 and sum(bars["chosen"]) == 4
    assert dict(page["facets"]["outcome"]) == {"ok": 0, "rejected": 0, "failed": 0}


def test_a_stage_in_between_says_which_of_its_samples_were_lost_later(root):
    with Server(Run(root.parent).folder(2)) as served:
        page = served.json("/api/list")
    later = {row["id"]: row["labels"].get("later", [""])[0] for row in page["rows"]}
    assert later == {
        **dict.fromkeys("0126", "passed step 5"),
        **dict.fromkeys("34", "rejected in step 5"),
        "7": "failed in step 3",
        "5": "",
    }
    assert dict(page["facets"]["later"]) == {"passed step 5": 4, "rejected in step 5": 2, "failed in step 3": 1}


def test_neighbours_follow_the_selection(server):
    around = {"place": 3, "count": 4, "previous": "1", "next": "6", "reviewed": 0, "open": "6"}
    assert server.json("/api/neighbours/2?outcome=ok") == around
    assert server.json("/api/neighbours/3?outcome=ok")["place"] is None


# ---------------------------------------------------------------------------------------------------------------
# one sample


def test_a_trajectory_is_shown_with_the_lines_of_its_chain(server, root):
    document = server.json("/api/sample/0")
    chain = (Run(root.parent).folder(0) / "0.txt").read_text().split("\n")
    shown = {}
    for part in document["parts"]:
        for rows in [part["rows"]] if part["kind"] == "text" else [thread["rows"] for thread in part["threads"]]:
            for number, _, row in rows:
                shown[number] = "".join(map(pieces.source, row))
    edited = {8: chain[7].replace("Similarly, $p = 3$", "$p = 3$")}
    assert {number: text for number, text in shown.items() if text} == {
        number: edited.get(number, line) for number, line in enumerate(chain, 1) if line
    }
    assert document["numbering"] == "chain" and document["verdict"] == {"reason": None, "detail": "", "conserved": True}


def test_tokens_of_the_parts_add_up_to_the_total(server):
    document = server.json("/api/sample/0")
    parts = document["parts"]
    assert sum(part["tokens"] for part in parts) == pytest.approx(document["measures"]["total_num_tokens"], abs=1)
    block = next(part for part in parts if part["kind"] == "block")
    assert [thread["longest"] for thread in block["threads"]].count(True) == 1
    assert len(block["outlines"]) == len(block["threads"]) == 2


def test_the_stages_view_has_steps_edits_reasons_and_calls(server):
    way = server.json("/api/sample/0/stages")
    assert [station["outcome"] for station in way["path"]] == ["ok"] * 6
    assert [station["title"] for station in way["path"]][:2] == ["Collect", "Step 1 (steps)"]
    assert way["path"][1]["facts"]["tokens_in"] == 5120 and way["chats"] == ["steps"]
    assert (way["steps"][1]["number"], way["steps"][1]["first"], way["steps"][1]["last"]) == ("S2"[1:], 4, 6)
    changed = [
        piece
        for part in way["parts"]
        if part["kind"] == "block"
        for piece in part["threads"][1]["rows"][0][2]
        if "del" in piece or "ins" in piece
    ]
    assert changed == [{"del": "Similarly, $p = 3$"}, {"ins": "$p = 3$"}]
    skipped = [
        item["code"] for part in way["parts"] if part["kind"] == "block" for item in part["threads"][1]["skipped"]
    ]
    assert skipped == ["not_found"]
    assert "fixture-0" in server.json("/api/sample/0/chat/steps")["text"]


def test_unused_blocks_have_a_reason_and_evidence(server):
    way = server.json("/api/sample/4/stages")
    assert {item["code"] for item in way["unused"]} == {"dependent", "check_failed"}
    merged = next(note for note in way["notes"] if note["kind"] == "merged")
    assert merged["what"] and merged["lines"] == ["L3-L6", "L7-L9"]


def test_a_sample_that_was_not_collected_is_shown_from_its_source(server):
    document = server.json("/api/sample/5")
    assert document["place"] == "source" and document["text"].startswith("Again and again.")


def test_the_requests_of_a_trajectory_are_its_units(server, root):
    text = read_sample(root / "0.txt")
    found = server.json("/api/sample/0/units")
    assert (found["row"], found["begin"], found["rendered"], found["fault"]) == (text, 0, False, "")
    pairs = [(text[: unit["shared"]] + unit["added"], text[unit["start"] : unit["end"]]) for unit in found["units"]]
    assert pairs == [(unit.context, unit.continuation) for unit in training_units.as_text(text, 0)]
    assert server.json("/api/sample/5/units")["units"][0]["kind"] == "end", "a chain is one request"


def test_a_failed_sample_shows_the_text_of_the_stage_before(server):
    document = server.json("/api/sample/7")
    assert (document["outcome"], document["stage"], document["place"]) == ("failed", "rewrite", "parallel")
    assert any(part["kind"] == "block" for part in document["parts"])


def test_malformed_markup_is_shown_with_its_tags_marked(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "0.txt").write_text("before\n<Parallel>\n<Thread>\n1: x\n")
    with Server(tmp_path / "a") as served:
        document = served.json("/api/sample/0")
        row = served.json("/api/list")["rows"][0]
    assert (row["outcome"], row["reason"]) == ("malformed", "unbalanced_tag")
    assert "unbalanced_tag" in document["fault"]
    assert {"t": "<Parallel>"} in [piece for row in document["parts"][0]["rows"] for piece in row[2]]


# ---------------------------------------------------------------------------------------------------------------
# other roots


def test_a_dataset_is_shown_too(tmp_path, root):
    import pyarrow
    from pyarrow import parquet

    folder = tmp_path / "sample_2"
    folder.mkdir()
    text = read_sample(root / "0.txt")
    rows = {
        "uuid": ["d-0", "d-1"],
        "question": ["Which primes?", "And again?"],
        "response_reasoning": [text, "plain\ntext"],
        "response_content": ["$\\boxed{3}$", ""],
        "correctness": [True, False],
        "ground_truth": ["3", "4"],
    }
    parquet.write_table(pyarrow.table(rows), folder / "train.parquet")
    with Server(folder) as served:
        page = served.json("/api/list?q=primes")
        document = served.json("/api/sample/0")
        assert served.ask("/api/review/1", "PUT", json.dumps({"verdict": "reject"}))[0] == 200
    assert [row["id"] for row in page["rows"]] == ["0"] and page["rows"][0]["answer"] == "right"
    assert document["text"] == text and document["final"] == [{"m": "3", "s": "$3$"}]
    assert os.listdir(folder) == ["train.parquet"], "a dataset's folder holds the dataset alone"
    assert json.loads((tmp_path / "sample_2.review.jsonl").read_text())["uuid"] == "d-1"


def test_a_folder_of_runs_names_one_of_its_stages(tmp_path):
    Run(tmp_path).write()
    with pytest.raises(UserError, match="fixture_8samples_step5_v1_v1_v1"):
        runs.find(tmp_path)


def test_new_samples_appear_and_changed_ones_are_read_again(tmp_path):
    folder = Run(tmp_path).write()
    with Server(folder) as served:
        add_sample(folder, "0", "41")
        (folder / "1.txt").write_text("quite another zebra text\n")
        served.indexer.refresh()
        assert [row["id"] for row in served.json("/api/list?q=zebra")["rows"]] == ["1"]
        assert "41" in [row["id"] for row in served.json("/api/list")["rows"]]
        (folder / "41.txt").unlink()
        served.indexer.refresh()
        assert "41" not in [row["id"] for row in served.json("/api/list")["rows"]]


def test_the_second_start_reads_no_sample_again(tmp_path, monkeypatch):
    folder = Run(tmp_path).write()
    with Server(folder) as served:
        first = served.json("/api/list")["rows"]
    monkeypatch.setattr("threadweaver.viewer.describe.describe", lambda *_: pytest.fail("read again"))
    with Server(folder) as served:
        assert served.json("/api/list")["rows"] == first
        assert not served.indexer.status.fault


def test_a_damaged_index_is_rebuilt(tmp_path):
    folder = Run(tmp_path).write()
    path = database.location(folder)
    path.write_bytes(b"this is not a database" * 1000)
    with Server(folder) as served:
        assert served.json("/api/list")["count"] == 8


def test_the_index_goes_to_a_cache_folder_where_the_data_is_read_only(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / ".viewer").write_text("in the way")
    path = database.location(tmp_path / "data" / "run")
    assert path.parent == tmp_path / "cache" / "threadweaver" and path.name.startswith("run-")


def test_an_index_that_is_removed_is_rebuilt(tmp_path):
    folder = Run(tmp_path).write()
    with Server(folder) as served:
        shutil.rmtree(tmp_path / ".viewer")
        served.indexer.refresh()
        assert served.json("/api/list")["count"] == 8


# ---------------------------------------------------------------------------------------------------------------
# review and export


def test_reviews_are_kept_in_one_file_and_survive_a_restart(tmp_path):
    folder = Run(tmp_path).write()
    with Server(folder) as served:
        for id, verdict, note in (("1", "reject", "depends on case 1"), ("0", "accept", ""), ("2", "reject", "")):
            served.json(f"/api/review/{id}", method="PUT", body=json.dumps({"verdict": verdict, "note": note}))
        served.json("/api/review/2", method="PUT", body=json.dumps({"verdict": "", "note": ""}))
    lines = [json.loads(line) for line in (folder / "review.jsonl").read_text().splitlines()]
    assert lines == [
        {"id": "0", "uuid": "fixture-0", "verdict": "accept", "note": ""},
        {"id": "1", "uuid": "fixture-1", "verdict": "reject", "note": "depends on case 1"},
    ]
    with Server(folder) as served:
        assert served.json("/api/sample/1")["review"] == {
            "verdict": "reject",
            "note": "depends on case 1",
            "judged": {},
        }
        assert [row["id"] for row in served.json("/api/list?review=reject")["rows"]] == ["1"]


def test_reviews_written_at_once_are_all_kept(tmp_path):
    reviews = Reviews(tmp_path / "review.jsonl")
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda at: reviews.put(str(at), f"u-{at}", Change("accept", "")), range(60)))
    assert len(Reviews(tmp_path / "review.jsonl").verdicts()) == 60
    assert os.listdir(tmp_path) == ["review.jsonl"]


def test_two_viewers_of_one_run_keep_each_others_reviews(tmp_path):
    path = tmp_path / "review.jsonl"
    one, other = Reviews(path), Reviews(path)
    one.put("0", "u-0", Change("accept", ""))
    other.put("1", "u-1", Change("reject", "a leak"))
    one.put("2", "u-2", Change("accept", ""))
    other.put("0", "u-0", Change("reject", "on second thoughts"))
    expected = {"0": "reject", "1": "reject", "2": "accept"}
    assert one.verdicts() == other.verdicts() == Reviews(path).verdicts() == expected
    path.write_text(path.read_text() + "half a li")
    before = path.read_text()
    with pytest.raises(UserError, match="line 4"):
        one.put("3", "u-3", Change("accept", ""))
    assert path.read_text() == before and one.verdicts() == expected


def test_a_review_file_that_cannot_be_read_is_not_overwritten(tmp_path):
    (tmp_path / "review.jsonl").write_text('{"id": "0", "verdict": "accept"}\nhalf a li')
    with pytest.raises(UserError, match="line 2"):
        Reviews(tmp_path / "review.jsonl")


def test_an_export_is_one_page_that_asks_for_nothing(root, tmp_path):
    out = tmp_path / "out.html"
    command = [sys.executable, str(COMMAND), "--root", str(root), "--export", str(out), "--ids", "0-2,4"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0 and "4 samples" in done.stdout, done.stderr
    html = out.read_text()
    data = json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', html, re.S).group(1))
    assert list(data["samples"]) == ["0", "1", "2", "4"]
    assert "var temml" in html and "url(data:font/woff2;base64," in html
    assert not re.search(r'\b(?:src|href)="(?!#)', html.split('id="data"')[0]), "it points at another file"
    assert "import " not in html.split('<script type="module">')[1].split("\n")[0]
    assert SCRIPT not in html and IMAGE not in html


# ---------------------------------------------------------------------------------------------------------------
# the command


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--root", "nowhere"], "nowhere not found"),
        (["--root", ".", "--host", "0.0.0.0"], "--let-others-read-and-review"),
        (["--root", ".", "--host", "example.org"], "--let-others-read-and-review"),
        (["--root", ".", "--port", "70000"], "is not a port"),
        (["--root", "src", "--tokenizer", "no/such/tokenizer"], "nothing that can be shown"),
    ],
)
def test_what_a_user_can_fix_is_one_line(arguments, said):
    done = subprocess.run(
        [sys.executable, str(COMMAND), *arguments],
        capture_output=True,
        text=True,
        timeout=300,
        cwd=COMMAND.parent.parent,
    )
    assert done.returncode == 2 and done.stdout == ""
    assert said in done.stderr and done.stderr.count("\n") == 1
