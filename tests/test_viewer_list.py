"""The viewer's list and statistics: what the index counts, and that it counts as the stages do; without a browser."""

from __future__ import annotations

import contextlib
import random
from dataclasses import replace
from pathlib import Path

import pytest

from browser.fixture import Run
from threadweaver.runs import account, report, statistics
from threadweaver.runs.folder import read_account
from threadweaver.runs.statistics import Bins
from threadweaver.viewer import database
from threadweaver.viewer.selection import Extent, Selection
from threadweaver.viewer.table import NAMES, Query, Row
from viewing import Server


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    return Run(tmp_path_factory.mktemp("run")).write()


@pytest.fixture(scope="module")
def server(root):
    with Server(root) as served:
        yield served


@contextlib.contextmanager
def selected(path: Path, rows: list[Row], query: Query, verdicts=()):
    """Write rows into an index and select from it."""
    index = database.Database(path)
    index.prepare()
    with index.connect() as connection:
        database.add(connection, [database.Item(at, row, "", "", "") for at, row in enumerate(rows, 1)])
        yield Selection(connection, Extent.of(connection), query, dict(verdicts))


PLAIN = Row("0", "", "", "", "ok", "", "unknown", False, (None,) * len(NAMES), "[]")


def test_a_sample_may_have_several_values_of_one_facet(tmp_path):
    labels = [["cases", "checks"], ["cases"], []]
    rows = [replace(PLAIN, id=str(at), labels={"reason": kinds}) for at, kinds in enumerate(labels)]
    query = Query(facets={"reason": frozenset({"checks"})})
    with selected(tmp_path / "x.sqlite", rows, query) as chosen:
        assert chosen.ids() == ["0"] and dict(chosen.facet_counts()["reason"]) == {"cases": 2, "checks": 1}


def test_a_histogram_says_what_lies_beyond_its_last_bin(tmp_path):
    values = [*range(400), 4000]
    rows = [replace(PLAIN, id=str(at), values=(value, *PLAIN.values[1:])) for at, value in enumerate(values)]
    with selected(tmp_path / "x.sqlite", rows, Query()) as chosen:
        bars = chosen.histograms()["total_num_tokens"]
    assert bars["cut"] and bars["edges"][-2] < 500 and bars["edges"][-1] == bars["highest"] == 4000
    assert bars["all"][-1] == sum(value >= bars["edges"][-2] for value in values) and sum(bars["all"]) == 401


def test_the_index_and_the_statistics_of_stage_5_count_alike(tmp_path):
    random.seed(3)
    for values in ([random.lognormvariate(8, 1) for _ in range(300)], [random.randrange(7) for _ in range(90)]):
        rows = [replace(PLAIN, id=str(at), values=(value, *PLAIN.values[1:])) for at, value in enumerate(values)]
        with selected(tmp_path / f"{len(values)}.sqlite", rows, Query()) as chosen:
            bars = chosen.histograms()["total_num_tokens"]
        bins = Bins.of(values)
        assert bars["edges"] == bins.edges and bars["all"] == bins.counts(values) and sum(bars["all"]) == len(values)


def test_totals_of_the_rejected_alone_are_theirs(server):
    totals = server.json("/api/list?outcome=rejected")["totals"]
    assert totals["count"] == totals["measured"] + 1 and totals["kept"] == 0
    assert totals["means"]["parallel_ratio"] is not None


@pytest.mark.parametrize(("query", "count"), [("outcome=ok", 4), ("", 8)])
def test_totals_average_what_was_kept_as_the_stage_does(server, root, query, count):
    totals = server.json(f"/api/list?{query}")["totals"]
    measures = [entry.facts["measures"] for entry in read_account(root) if entry.outcome == "ok"]
    whole, longest = (
        sum(item[name] for item in measures) for name in ("total_num_tokens", "num_tokens_in_the_longest_thread")
    )
    assert totals["count"] == count and totals["kept"] == 4
    assert totals["tokens"] == whole and not totals["estimated"]
    assert totals["means"]["total_num_tokens"] == pytest.approx(whole / 4)
    assert totals["speedup"] == pytest.approx(whole / longest)
    assert totals["means"]["parallel_ratio"] == pytest.approx(sum(item["parallel_ratio"] for item in measures) / 4)


def test_page_account_and_terminal_show_the_same_numbers(server, root):
    """What stage 5 prints and draws, what the account's page draws, and the viewer's statistics."""
    told = statistics.summarize(read_account(root))
    page = {item["name"]: item for item in report.build(account.read(root))["measures"]}
    answer = server.json("/api/statistics?by=sample")
    shown = {item["name"]: item for item in answer["measures"]}
    assert answer["count"] == told["accepted"] == 4
    assert answer["totals"]["speedup"] == pytest.approx(told["speedup"])
    for name in statistics.LABELS:
        assert {key: shown[name][key] for key in told["measures"][name]} == pytest.approx(told["measures"][name])
        assert (shown[name]["edges"], shown[name]["chosen"]) == (page[name]["edges"], page[name]["counts"]), name


def test_blocks_and_threads_have_statistics_of_their_own(server, root):
    measures = [entry.facts["measures"] for entry in read_account(root) if entry.outcome == "ok"]
    blocks, threads = (server.json(f"/api/statistics?by={unit}") for unit in ("block", "thread"))
    assert blocks["count"] == sum(item["parallel_count"] for item in measures) == 8 and threads["count"] == 16
    length = next(item for item in threads["measures"] if item["name"] == "length")
    assert length["mean"] == pytest.approx(sum(item["avg_thread_length"] for item in measures) / 4)
    assert server.json("/api/statistics?by=thread&outcome=ok&parallel_count=5..")["measures"] == []


def test_a_table_of_the_selection_is_safe_in_a_spreadsheet(tmp_path):
    (tmp_path / "=1+1.txt").write_text("text")
    with Server(tmp_path) as served:
        lines = served.ask("/api/table.csv?by=sample")[2].decode().splitlines()
    assert lines[0].startswith("id,uuid,outcome,reason,answer,total_num_tokens") and lines[1].startswith("'=1+1,")


def test_points_are_those_of_the_samples_that_have_both_measures(server):
    answer = server.json("/api/points?x=parallel_ratio&y=acceleration_ratio&parallel_ratio=0.5..&outcome=ok")
    assert [point[0] for point in answer["points"]] == list("0126"), "its own two filters are left to the page"
    for path in ("points?x=id&y=cost", "points", "statistics?by=row", "table.csv?by=row"):
        assert server.ask(f"/api/{path}")[0] == 400
