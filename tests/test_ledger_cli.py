"""`src/ledger.py` as a user runs it: nothing valuable is overwritten, and every error is one line."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from ledgers import filled, key, overwrite, record, tiny_disk
from project import ROOT, call
from threadweaver.ledger import Ledger, canonical, entries

COUNT = 20


@pytest.fixture
def folder(tmp_path) -> Path:
    """A ledger with some replies, and nothing else."""
    asyncio.run(filled(tmp_path / "l.sqlite", COUNT))
    return tmp_path


def run(folder: Path, *arguments: str, before: tuple[str, ...] = (), **options) -> subprocess.CompletedProcess[str]:
    """Run it in this process; in one of its own for another user's rights or a real standard input or output."""
    script = str(ROOT / "src" / "ledger.py")
    if not (before or options or any(word.startswith("/dev/std") for word in arguments)):
        return call([script, *arguments], folder)
    captured = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
    return subprocess.run([*before, sys.executable, script, *arguments], cwd=folder, text=True, timeout=600, **captured)


def export(folder: Path, file: str, *, ledger: str = "l.sqlite", **options) -> subprocess.CompletedProcess[str]:
    return run(folder, "export", file, "--ledger", ledger, **options)


def check_one_line(done: subprocess.CompletedProcess[str], *words: str) -> None:
    assert done.returncode == 2, done
    assert done.stderr.count("\n") == 1 and "Traceback" not in done.stderr, done.stderr
    assert all(word in done.stderr for word in words), done.stderr


def replies_in(path: Path) -> int:
    db = sqlite3.connect(path)
    try:
        return db.execute("SELECT count(*) FROM replies").fetchone()[0]
    finally:
        db.close()


# ---- what an export may be written onto


@pytest.mark.parametrize(
    "name", ["l.sqlite", "l.sqlite-wal", "l.sqlite-shm", "l.sqlite-journal", "hard", "soft", "./x/../l.sqlite"]
)
@pytest.mark.parametrize("ledger", ["l.sqlite", "soft"])
def test_the_ledger_is_never_written_over_by_its_export(folder, name, ledger):
    (folder / "x").mkdir()
    os.link(folder / "l.sqlite", folder / "hard")
    (folder / "soft").symlink_to("l.sqlite")
    before = (folder / "l.sqlite").read_bytes()
    check_one_line(export(folder, name, ledger=ledger), name.rpartition("/")[2], "give another FILE")
    assert (folder / "l.sqlite").read_bytes() == before and replies_in(folder / "l.sqlite") == COUNT
    assert sorted(path.name for path in folder.iterdir()) == ["hard", "l.sqlite", "soft", "x"]


def test_the_log_of_a_ledger_in_use_is_not_written_over(folder):
    ledger = Ledger(folder / "l.sqlite")
    asyncio.run(ledger.record(record("late"), 0))
    os.link(folder / "l.sqlite-wal", folder / "log")
    for name in ("log", "l.sqlite-wal", "l.sqlite-shm"):
        check_one_line(export(folder, name, stdin=None), name)  # two processes
    done = export(folder, "out.jsonl", stdin=None)
    assert done.stdout == f"{COUNT + 1} replies → out.jsonl\n", "what is in the log only is exported too"
    ledger.close()


@pytest.mark.parametrize("content", ["a letter\n", "{}\n", '{"key": 1}\n', "{" * 3000, b"SQLite format 3\x00", b"\xff"])
def test_another_file_is_refused_by_name(folder, content):
    path = folder / "precious"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    before = path.read_bytes()
    check_one_line(export(folder, "precious"), "precious", "not a ledger export")
    assert path.read_bytes() == before


def test_another_ledger_is_refused(folder):
    shutil.copy(folder / "l.sqlite", folder / "other.sqlite")
    check_one_line(export(folder, "other.sqlite"), "other.sqlite")
    assert replies_in(folder / "other.sqlite") == COUNT


def test_an_earlier_export_and_an_empty_file_are_written_over(folder):
    (folder / "out.jsonl").touch()
    line = canonical(entries.as_json(record("another"))) + "\n"
    for earlier in ("", line):
        (folder / "out.jsonl").write_text(earlier)
        assert export(folder, "out.jsonl").stdout == f"{COUNT} replies → out.jsonl\n"
        assert (folder / "out.jsonl").read_text().count("\n") == COUNT
    assert sorted(path.name for path in folder.iterdir()) == ["l.sqlite", "out.jsonl"]


def test_a_link_to_an_earlier_export_stays_a_link(folder):
    (folder / "kept").mkdir()
    (folder / "out.jsonl").symlink_to("kept/out.jsonl")
    for _ in range(2):
        assert export(folder, "out.jsonl").returncode == 0
        assert (folder / "out.jsonl").is_symlink() and (folder / "kept/out.jsonl").read_text().count("\n") == COUNT


def test_pipes_are_written_through(folder):
    os.mkfifo(folder / "pipe")
    got: list[str] = []
    reader = threading.Thread(target=lambda: got.append((folder / "pipe").read_text()))
    reader.start()
    assert export(folder, "pipe").returncode == 0
    reader.join(20)
    assert (folder / "pipe").is_fifo()
    export(folder, "out.jsonl")
    piped = export(folder, "/dev/stdout")
    assert got == [piped.stdout] == [(folder / "out.jsonl").read_text()]
    assert piped.stderr == f"{COUNT} replies → /dev/stdout\n"


def test_standard_output_that_is_a_file_is_written_through(folder):
    with open(folder / "out.jsonl", "w+") as file:
        assert export(folder, "/dev/stdout", stdout=file).returncode == 0
        file.seek(0)
        assert file.read().count("\n") == COUNT


# ---- what an export says


def test_what_cannot_be_written_or_read_is_named(folder):
    check_one_line(export(folder, "l.sqlite/out.jsonl"), "l.sqlite/out.jsonl cannot be written")
    check_one_line(export(folder, "."), ". is not a file")
    check_one_line(export(folder, "out.jsonl", ledger="none.sqlite"), "none.sqlite not found")
    assert [path.name for path in folder.iterdir()] == ["l.sqlite"]


def test_a_mistyped_folder_is_named_and_not_made(folder):
    check_one_line(export(folder, "dta/out.jsonl"), "/dta of the export was not found", "give another FILE")
    assert [path.name for path in folder.iterdir()] == ["l.sqlite"]


def test_a_full_disk_leaves_nothing_behind_and_the_file_is_named(folder, tmp_path):
    check_one_line(export(folder, "/dev/full"), "/dev/full cannot be written", "No space left")
    disk = tiny_disk(tmp_path)
    if disk is None:
        pytest.skip("needs the right to mount a file system")
    try:
        with open(disk / "filler", "wb", buffering=0) as filler:
            filler.truncate(0)
            os.posix_fallocate(filler.fileno(), 0, 24 * 2**20 - 16 * 1024)
        words = ("disk/out.jsonl cannot be written", "No space left", f"make room in {disk}")
        check_one_line(export(folder, "disk/out.jsonl"), *words)
        assert [path.name for path in disk.iterdir()] == ["filler"]
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def test_nothing_is_exported_from_a_damaged_ledger_and_the_remedy_is_named(folder):
    assert export(folder, "out.jsonl").returncode == 0
    before = (folder / "out.jsonl").read_bytes()
    overwrite(folder / "l.sqlite", 12, 6)
    way = '`sqlite3 l.sqlite ".recover" | sqlite3 new.sqlite`'
    check_one_line(export(folder, "out.jsonl"), "is damaged", "restore a copy", way)
    assert (folder / "out.jsonl").read_bytes() == before
    assert sorted(path.name for path in folder.iterdir()) == ["l.sqlite", "out.jsonl"]


# ---- a ledger that must not be written

MAY_NOT = ("setpriv", "--bounding-set=-dac_override,-dac_read_search")


@pytest.fixture
def locked(folder):
    """A ledger without write permission, and what a command must be run with for that to count."""
    (folder / "l.sqlite").chmod(0o444)
    before = () if os.geteuid() else MAY_NOT
    if before and (not shutil.which("setpriv") or subprocess.run([*before, "true"], capture_output=True).returncode):
        pytest.skip("root may write anything here")
    return folder, before


@pytest.mark.parametrize("folder_mode", [0o755, 0o555])
def test_a_ledger_that_may_not_be_written_is_exported_and_refused_to_writers(locked, folder_mode, tmp_path_factory):
    folder, before = locked
    out = tmp_path_factory.mktemp("out") / "out.jsonl"
    folder.chmod(folder_mode)
    try:
        assert export(folder, str(out), before=before).stdout == f"{COUNT} replies → {out}\n"
        done = run(folder, "import", str(out), "--ledger", "l.sqlite", before=before)
        assert [path.name for path in folder.iterdir()] == ["l.sqlite"]
    finally:
        folder.chmod(0o755)
    check_one_line(done, "l.sqlite cannot be written")


def test_a_log_that_cannot_be_read_is_not_passed_over(locked):
    """Replies that a killed process left only in the log would be missing silently."""
    folder, before = locked
    (folder / "l.sqlite").chmod(0o644)
    program = f"import asyncio, os, ledgers as t\nl = t.Ledger({str(folder / 'l.sqlite')!r})\n"
    program += "asyncio.run(l.record(t.record('late'), 0))\nos._exit(0)"
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT / 'tests'}"}
    subprocess.run([sys.executable, "-c", program], env=environment, check=True, timeout=300)
    (folder / "l.sqlite-shm").unlink()
    for name in ("l.sqlite", "l.sqlite-wal"):
        (folder / name).chmod(0o444)
    folder.chmod(0o555)
    try:
        done = export(folder, "/dev/stdout", before=before)
    finally:
        folder.chmod(0o755)
    check_one_line(done, "l.sqlite-wal", "copy both files")


# ---- what an import takes


def test_an_import_with_a_fault_ends_and_imports_nothing(folder):
    lines = [entries.as_json(record(f"new{number}")) for number in range(600)]
    lines[500]["cost_nano_usd"] = 10**30
    (folder / "in.jsonl").write_text("\n".join(map(json.dumps, lines)))
    done = run(folder, "import", "in.jsonl", "--ledger", "l.sqlite")
    check_one_line(done, "line 501 of in.jsonl is not a ledger entry (its cost_nano_usd")
    assert replies_in(folder / "l.sqlite") == COUNT


def test_an_import_from_a_pipe(folder):
    text = "".join(json.dumps(entries.as_json(record(f"new{number}"))) + "\n" for number in range(3))
    done = run(folder, "import", "/dev/stdin", "--ledger", "l.sqlite", input=text)
    assert done.stdout == "l.sqlite: 3 replies imported\n" and replies_in(folder / "l.sqlite") == COUNT + 3


def test_of_two_replies_to_one_request_the_first_is_imported(folder):
    lines = [entries.as_json(record("twice", reply=reply)) for reply in ("first", "second")]
    (folder / "in.jsonl").write_text("\n".join(map(json.dumps, lines)))
    assert "1 replies imported, 1 known" in run(folder, "import", "in.jsonl", "--ledger", "l.sqlite").stdout
    ledger = Ledger(folder / "l.sqlite", read_only=True)
    assert [found.reply for found in asyncio.run(ledger.find(key("twice")))] == ["first"]
    ledger.close()
