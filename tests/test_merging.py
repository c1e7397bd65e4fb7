"""Shards that are merged give what the run in one piece gives, byte for byte; sets that are not whole are refused."""

from __future__ import annotations

import asyncio
import json
import shutil
import sqlite3
from pathlib import Path

import pytest

import fake_answers
from fake_openai import FakeOpenAI
from ledgers import key, record
from project import InProcess
from sharding import folders, made, merge, remove, run_shards
from threadweaver.ledger import Ledger, Spending
from threadweaver.ledger.merging import Merged, copy
from threadweaver.ledger.merging import merge as merge_ledger
from threadweaver.runs.folder import StageFolder

COUNT = 12


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> dict[str, bytes]:
    """What the run in one piece makes."""
    project = InProcess(tmp_path_factory.mktemp("whole"))
    done = project.sample_run("--units", count=COUNT)
    assert done.returncode == 0, done.stderr
    return made(project, COUNT)


@pytest.fixture(scope="module")
def three(tmp_path_factory) -> InProcess:
    """A project with three shards. Change a copy of it."""
    project = InProcess(tmp_path_factory.mktemp("three"))
    run_shards(project, 3, COUNT)
    return project


@pytest.mark.parametrize("shards", [1, 2, 8])
def test_merged_shards_are_the_run_in_one_piece_byte_for_byte(tmp_path, whole, shards):
    project = InProcess(tmp_path)
    run_shards(project, shards, COUNT)
    done = merge(project, shards, COUNT, "--units")
    assert (done.returncode, done.stderr) == (0, "")
    assert made(project, COUNT) == whole
    again = merge(project, shards, COUNT, "--units")
    assert again.returncode == 0 and again.stdout.count("nothing to do") == len(folders(COUNT)) + 1


@pytest.mark.parametrize("ledger", ["data/ledger.sqlite", "data/ledger{shard}.sqlite"], ids=["shared", "separate"])
def test_what_a_model_has_annotated_in_shards_is_rebuilt_in_one_piece_from_the_merged_ledger(tmp_path, ledger):
    count, project, settings = 4, InProcess(tmp_path), {"ANNOTATOR": "llm", "LEDGER": ledger}
    with FakeOpenAI(answer=fake_answers.answer) as server:
        assert project.annotate(count=1, last=1, OPENAI_BASE_URL=server.url).returncode == 0  # a trial before
        run_shards(project, 2, count, **settings, OPENAI_BASE_URL=server.url)
        paid, twice = server.stats()["answered"], server.stats()["answered_twice"]
    done = merge(project, 2, count, **settings)
    assert (done.returncode, done.stderr, twice) == (0, "", 0)
    merged, spent = made(project, count), money(project.root / "data/ledger.sqlite")
    assert done.stdout.count("replies of ledger_shard") == (2 if "{shard}" in ledger else 0)
    remove(project, count)
    rebuilt = project.sample_run(count=count, **(settings | {"LEDGER": "data/ledger.sqlite"}), OFFLINE="1")
    assert (rebuilt.returncode, rebuilt.stderr) == (0, "")
    assert f"step1: 0 calls, {count} from the ledger" in rebuilt.stdout
    assert made(project, count) == merged
    assert money(project.root / "data/ledger.sqlite")[1:] == spent[1:]  # the recorded answers cost nothing
    assert spent[0] == paid
    accounted = json.loads(merged[f"data/sample_{count}samples_report.json"])["cost"]
    assert spent[1] == pytest.approx(sum(row["cost_usd"] for row in accounted) * 1e9) and spent[2] == 0


def money(path: Path) -> tuple[int, int, int]:
    """Return the number of replies, what is spent and what is reserved, in nano-dollars."""
    db = sqlite3.connect(path)
    try:
        [(replies,)], [totals] = (
            db.execute(query).fetchall() for query in ("SELECT count(*) FROM replies", "SELECT * FROM totals")
        )
    finally:
        db.close()
    return replies, *totals[:2]


def test_a_merge_that_was_stopped_is_continued(tmp_path, three, whole, monkeypatch):
    project, put, calls = three.copy(tmp_path), StageFolder.put, []

    def stopped(folder, entry, files):
        calls.append(entry.id)
        if len(calls) == 30:
            raise KeyboardInterrupt
        return put(folder, entry, files)

    monkeypatch.setattr(StageFolder, "put", stopped)
    assert merge(project, 3, COUNT, "--units").returncode == 130
    part = project.files("data")
    assert (
        not any(name.endswith(".part") for name in part) and "data/sample_12samples_step2_v1/manifest.json" not in part
    )
    monkeypatch.undo()
    done = merge(project, 3, COUNT, "--units")
    assert done.returncode == 0 and "12 samples (5 done before)" in done.stdout
    assert made(project, COUNT) == whole


def test_samples_that_a_shard_did_again_are_merged_again(tmp_path, three, whole):
    project = three.copy(tmp_path)
    assert merge(project, 3, COUNT, "--units").returncode == 0
    run_shards(project, 3, COUNT, "--overwrite")
    merged = project.root / folders(COUNT)[2]
    (merged / "0.txt").write_text("changed by hand\n")
    assert merge(project, 3, COUNT, "--units").returncode == 0
    assert (merged / "0.txt.changed").read_text() == "changed by hand\n"
    (merged / "0.txt.changed").unlink()
    assert made(project, COUNT) == whole


def shards_of(project: InProcess, step: int) -> list[Path]:
    return [project.root / folders(COUNT, f"_shard{number}of3")[step] for number in range(3)]


def lose(project):
    shutil.rmtree(shards_of(project, 4)[1])


def leave_unfinished(project):
    (shards_of(project, 5)[2] / "manifest.json").unlink()


def swap(project):
    shutil.rmtree(shards_of(project, 3)[0])
    shutil.copytree(shards_of(project, 3)[1], shards_of(project, 3)[0])


def change_setting(project):
    for name in ("settings.json", "manifest.json"):
        path = shards_of(project, 2)[1] / name
        path.write_text(path.read_text().replace('"filter_diff_threshold": 200', '"filter_diff_threshold": 150'))


def change_source(project):
    path = shards_of(project, 0)[1] / "manifest.json"
    manifest = json.loads(path.read_text())
    path.write_text(json.dumps(manifest | {"files": manifest["files"] | {"source.json": "0" * 16}}))


def change_text(project):
    path = shards_of(project, 2)[2] / "2.txt"
    path.write_text(path.read_text() + "more\n")


def change_rows(project):
    path = shards_of(project, 0)[0] / "collected.jsonl"
    path.write_text(path.read_text().replace("the", "teh", 1))


@pytest.mark.parametrize(
    ("spoil", "shards", "says"),
    [
        (lose, 3, "1 of 3 shards are missing (1/3): run them, such as SHARD=1/3 ./run.sh"),
        (None, 4, "4 of 4 shards are missing (0/4, 1/4, 2/4, 3/4; there are shards of 3)"),
        (leave_unfinished, 3, "_shard2of3 is not finished (it has no manifest.json): run step 5"),
        (swap, 3, "_step3_v1_v1_shard0of3 is not shard 0/3 (it holds row 1)"),
        (change_setting, 3, "shards 0/3 and 1/3 are of different runs (filter_diff_threshold: 200 and 150)"),
        (change_source, 3, "shards 0/3 and 1/3 were made of different sources"),
        (change_text, 3, "_step2_v1_shard2of3/2.txt was changed after its shard had ended"),
        (change_rows, 3, "_shard0of3/collected.jsonl was changed after its shard had ended"),
    ],
)
def test_a_set_that_is_not_whole_or_of_one_run_is_refused_in_one_line(tmp_path, three, spoil, shards, says):
    project = three.copy(tmp_path)
    if spoil:
        spoil(project)
    done = merge(project, shards, COUNT)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert says in done.stderr and not (project.root / "dataset").exists()
    if spoil not in (change_text, change_rows):
        assert not (project.root / folders(COUNT)[0]).exists()


def test_failures_are_judged_by_the_whole(tmp_path):
    project = InProcess(tmp_path)
    good = (tmp_path / "data/sample/chains.jsonl").read_text().splitlines()[:3]
    (tmp_path / "bad.jsonl").write_text("\n".join([good[0], good[1][:-20], good[2]]) + "\n")
    for number in range(2):
        assert project.sample_run(count=3, SHARD=f"{number}/2", DATASET_PATH="bad.jsonl").returncode == 0
    refused = merge(project, 2, 3)
    assert refused.returncode == 2
    assert "bad.jsonl, line 2" in refused.stderr and "(1 malformed of 3)" in refused.stderr
    assert merge(project, 2, 3, MAX_FAILED="1").returncode == 0
    merged = made(project, 3)
    remove(project, 3)
    assert project.sample_run(count=3, MAX_FAILED="1", DATASET_PATH="bad.jsonl").returncode == 0
    assert made(project, 3) == merged


# ---- ledgers


async def pay(ledger: Ledger, text: str, cost: int, sent: float) -> None:
    claim = await ledger.claim(key(text), cost + 1, None)
    await ledger.record(record(text, cost=cost, sent=sent), claim.reservation)


async def test_merging_ledgers_counts_every_dollar_once(tmp_path):
    first, second = Ledger(tmp_path / "first"), Ledger(tmp_path / "second")
    await pay(first, "a", 1, 1.0)
    await pay(first, "asked by both", 10, 2.0)
    await pay(second, "asked by both", 20, 3.0)
    await second.record(record("imported", cost=1000, imported=True), 0)
    lost = await second.claim(key("no reply"), 300, None)
    await second.release(lost.reservation, key=key("no reply"), billed=True)
    for ledger in (first, second):
        await ledger.aclose()
    merged = Ledger(tmp_path / "merged")
    assert await asyncio.to_thread(merge_ledger, merged, tmp_path / "first") == Merged(2, 0, 11, 0)
    assert await asyncio.to_thread(merge_ledger, merged, tmp_path / "second") == Merged(1, 1, 20, 300)
    assert await merged.spending() == Spending(31, 300, 300)
    for name, known in (("first", 2), ("second", 2)):
        assert await asyncio.to_thread(merge_ledger, merged, tmp_path / name) == Merged(0, known, 0, 0)
    (kept,) = await merged.find(key("asked by both"))
    assert (kept.cost, kept.imported) == (10, False)
    await merged.aclose()


async def test_a_copied_ledger_holds_what_was_paid_and_has_spent_nothing(tmp_path):
    paid = Ledger(tmp_path / "paid")
    await pay(paid, "a", 1, 1.0)
    await paid.aclose()
    ledger = Ledger(tmp_path / "ledger")
    for expected in ((1, 0), (0, 1)):
        assert await asyncio.to_thread(copy, ledger, tmp_path / "paid") == expected
    (found,) = await ledger.find(key("a"))
    assert (found.imported, found.cost, await ledger.spending()) == (False, 1, Spending(0, 0, 0))
    await pay(ledger, "b", 2, 2.0)
    await ledger.aclose()
    paid = Ledger(tmp_path / "paid")
    assert await asyncio.to_thread(merge_ledger, paid, tmp_path / "ledger") == Merged(1, 1, 2, 0)
    assert await paid.spending() == Spending(3, 0, 0)
    await paid.aclose()


def test_ledgers_that_some_shards_lack_are_named(tmp_path, three):
    project = three.copy(tmp_path)
    Ledger(project.root / "data/ledger_shard1of3.sqlite").close()
    done = merge(project, 3, COUNT)
    assert (
        done.returncode == 2 and "2 of 3 ledgers of the shards are missing (data/ledger_shard0of3.sqlite" in done.stderr
    )
