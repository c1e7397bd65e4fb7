"""A ledger as JSONL and back: the same bytes, and only what a ledger would write."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from ledgers import key, pay, record, request
from project import ROOT
from threadweaver.errors import UserError
from threadweaver.ledger import Ledger, entries, request_key, transfer


async def test_export_and_import_give_the_same_bytes(ledger, tmp_path):
    for number in range(300):
        await pay(ledger, f"x{number}")
    await ledger.record(
        record("cut", reply="…", status="truncated", verdict="rejected", why="truncated", extra={"a": [1]}), 0
    )
    assert await asyncio.to_thread(transfer.export, ledger, tmp_path / "one.jsonl") == 301
    other = Ledger(tmp_path / "other.sqlite")
    assert await asyncio.to_thread(transfer.load, other, tmp_path / "one.jsonl") == (301, 0)
    assert await asyncio.to_thread(transfer.load, other, tmp_path / "one.jsonl") == (0, 301)
    transfer.export(other, tmp_path / "two.jsonl")
    assert (tmp_path / "one.jsonl").read_bytes() == (tmp_path / "two.jsonl").read_bytes()
    assert (await other.spending()).spent == 0
    (found,) = await other.find(key("cut"))
    assert (found.verdict, found.imported, found.extra) == ("rejected", True, {"a": [1]})
    await other.aclose()


@pytest.mark.parametrize(
    "damage",
    [
        lambda line: line[: len(line) // 2],
        lambda line: line.replace('"x1"', '"y"'),
        lambda line: line.replace('"reply"', '"replied"'),
        lambda line: "[]",
    ],
)
async def test_a_damaged_line_is_named_and_nothing_of_the_file_is_imported(ledger, tmp_path, damage):
    await pay(ledger, "x0")
    await pay(ledger, "x1")
    path = tmp_path / "out.jsonl"
    transfer.export(ledger, path)
    good, bad = sorted(path.read_text().splitlines(), key=lambda line: '"x1"' in line)
    path.write_text(f"{good}\n{damage(bad)}\n")
    other = Ledger(None)
    with pytest.raises(UserError, match="line 2 of"):
        transfer.load(other, path)
    assert not await other.find(key("x0")) and not await other.find(key("x1"))
    other.close()


NONSENSE = {
    "a cost beyond SQLite's integers": {"cost_nano_usd": 10**30},
    "a cost below them": {"cost_nano_usd": -(10**30)},
    "a negative cost": {"cost_nano_usd": -1},
    "a cost in words": {"cost_nano_usd": "abc"},
    "a cost that is true": {"cost_nano_usd": True},
    "a time that is not a number": {"done": float("nan")},
    "a time without end": {"sent": float("inf")},
    "a time of 400 digits": {"done": 10**400},
    "a judgement in words": {"judged": "now", "verdict": "accepted"},
    "negative tokens": {"tokens": {"input": -1, "cached": 0, "output": 1, "reasoning": 0}},
    "more cached tokens than there are": {"tokens": {"input": 1, "cached": 2, "output": 1, "reasoning": 0}},
    "tokens in halves": {"tokens": {"input": 1.5, "cached": 0, "output": 1, "reasoning": 0}},
    "a turn too many": {"turn": 2**63},
    "another verdict": {"verdict": "banana"},
    "a verdict that is a list": {"verdict": ["accepted"]},
    "another status": {"status": "fine"},
    "a reason that is not text": {"why": 7},
    "a stage that no column takes": {"stage": "\ud800"},
    "an extra that is not an object": {"extra": 3},
    "a message that is not text": {"request": {**request("x"), "messages": [["user", {"sha256": "00"}]]}},
    "an API that is not text": {"request": {**request("x"), "api": 3}},
    "params that are not an object": {"request": {**request("x"), "params": []}},
    "an attempt that is true": {"request": {**request("x"), "attempt": True}},
}


@pytest.mark.parametrize("changes", NONSENSE.values(), ids=NONSENSE)
def test_an_entry_that_the_ledger_would_not_write_is_refused(tmp_path, changes):
    good, bad = (entries.as_json(record(text)) for text in ("good", "x"))
    bad |= changes
    bad["key"] = request_key(bad["request"])
    path = tmp_path / "in.jsonl"
    path.write_text(f"{json.dumps(good)}\n{json.dumps(bad)}\n")
    check_refused(path, 2)


@pytest.mark.parametrize("content", [b"[" * 100_000, b"\xff\xfe", b'{"key":' * 5000, b"1e999", b"9" * 5000])
def test_a_line_that_is_not_an_exported_entry_is_refused(tmp_path, content):
    path = tmp_path / "in.jsonl"
    path.write_bytes(content + b"\n")
    check_refused(path, 1)


def test_an_extra_too_deep_for_the_ledger_is_refused(tmp_path):
    text = json.dumps({**entries.as_json(record("x")), "extra": {"deep": 0}})
    path = tmp_path / "in.jsonl"
    for depth in (200, 900, 5000):
        path.write_text(text.replace('{"deep": 0}', '{"deep":' * depth + "0" + "}" * depth) + "\n")
        try:
            assert take_in(path) == (1, 0)
        except UserError:
            check_refused(path, 1)
    check_refused(path, 1)


async def test_an_export_is_on_the_disk_before_it_has_its_name(ledger, tmp_path, monkeypatch):
    path, synced = tmp_path / "out.jsonl", []
    monkeypatch.setattr(os, "fsync", lambda file: synced.append((os.fstat(file).st_size, path.exists())))
    transfer.export(ledger, path)
    await pay(ledger, "x")
    path.unlink()
    transfer.export(ledger, path)
    assert synced == [(0, False), (path.stat().st_size, False)]


def take_in(path: Path) -> tuple[int, int]:
    ledger = Ledger(None)
    try:
        return transfer.load(ledger, path)
    finally:
        ledger.close()


def check_refused(path: Path, line: int) -> None:
    """Check that the file is refused in one line and nothing of it is imported."""
    ledger = Ledger(None)
    with pytest.raises(UserError, match=f"^line {line} of .* is not a ledger entry .*nothing of the file") as raised:
        transfer.load(ledger, path)
    assert "\n" not in str(raised.value)
    assert ledger.thread.call(lambda db: db.execute("SELECT count(*) FROM replies").fetchone(), write=False) == (0,)
    ledger.close()


async def test_import_keeps_existing_replies(ledger, tmp_path):
    await pay(ledger, "x")
    transfer.export(ledger, tmp_path / "out.jsonl")
    other = Ledger(None)
    await other.record(replace(record("x"), reply="its own"), 0)
    transfer.load(other, tmp_path / "out.jsonl")
    assert [found.reply for found in await other.find(key("x"))] == ["its own"]
    other.close()


def test_the_recorded_answers_come_out_as_they_went_in(ledger, tmp_path):
    recorded = ROOT / "data" / "sample" / "recorded.jsonl"
    replies = recorded.read_bytes().count(b"\n")
    assert replies > 100 and transfer.load(ledger, recorded) == (replies, 0)
    assert transfer.export(ledger, tmp_path / "out.jsonl") == replies
    assert (tmp_path / "out.jsonl").read_bytes() == recorded.read_bytes()


def test_what_a_killed_export_left_is_removed_by_the_next_and_what_a_running_one_writes_is_not(ledger, tmp_path):
    path = tmp_path / "out.jsonl"
    for name in (".out.jsonl.0123.part", ".out.jsonl.4567.part", ".another.jsonl.0123.part"):
        (tmp_path / name).write_text("half a line")
    with open(tmp_path / ".out.jsonl.4567.part") as running:
        fcntl.flock(running, fcntl.LOCK_EX)
        transfer.export(ledger, path)
    left = {item.name for item in tmp_path.glob("*.part")} | {item.name for item in tmp_path.glob(".*.part")}
    assert left == {".out.jsonl.4567.part", ".another.jsonl.0123.part"}


async def test_imported_replies_are_no_measurement_for_a_plan(ledger, tmp_path):
    paid = await pay(ledger, "x")
    await asyncio.to_thread(transfer.export, ledger, tmp_path / "one.jsonl")
    other = Ledger(tmp_path / "other.sqlite")
    await asyncio.to_thread(transfer.load, other, tmp_path / "one.jsonl")
    assert [ratio.calls for ratio in await ledger.statistics()] == [1]
    assert await other.statistics() == [] and len(await other.find(paid.base)) == 1
    await pay(other, "y")
    assert [ratio.calls for ratio in await other.statistics()] == [1]
    other.close()
