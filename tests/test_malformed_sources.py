"""Sources that are malformed or can be read in two ways: `collect` says so in one line and writes nothing."""

from __future__ import annotations

import gzip
from collections.abc import Callable

import pytest

import project
from source_rows import CHAIN
from source_shapes import openr1
from test_source_shapes import ODD, REFUSED, lines, to_parquet, zstd

GOOD = [openr1(n) for n in range(4)]
PLAIN = {"problem": "p", "thinking": CHAIN, "output": "o", "correct": True}


FILES: dict[str, Callable[[], dict[str, bytes]]] = {
    "an empty file": lambda: {"rows.jsonl": b""},
    "blank lines alone": lambda: {"rows.jsonl": b"\n\n  \n"},
    "half a line at the end": lambda: {"rows.jsonl": lines(GOOD)[:-30]},
    "a line that is an array": lambda: {"rows.jsonl": b"[1, 2]\n" + lines(GOOD)},
    "an array that never ends": lambda: {"rows.json": b"[" + lines(GOOD[:1])},
    "an object of columns": lambda: {"rows.json": b'{"problem": ["p", "q"], "thinking": ["a", "b"]}'},
    "packed and cut": lambda: {"rows.jsonl.gz": gzip.compress(lines(GOOD))[:-40]},
    "packed with zstandard and cut": lambda: {"rows.jsonl.zst": zstd(lines(GOOD))[:-40]},
    "not packed at all": lambda: {"rows.jsonl.gz": lines(GOOD)},
    "a parquet file that is cut": lambda: {"rows.parquet": to_parquet(GOOD)[:-100]},
    "a parquet file that is text": lambda: {"rows.parquet": lines(GOOD)},
    "a table without a header": lambda: {"rows.csv": b"5,6\n7,8\n"},
    "a table of other kinds": lambda: {"rows.csv": b"problem,thinking\n\xff\xfe,\x00\n"},
    "an ending that nobody knows": lambda: {"rows.docx": lines(GOOD)},
    "two sets in a folder": lambda: {"here/rows.jsonl": lines(GOOD), "here/others.parquet": to_parquet([PLAIN])},
    "a folder of other things": lambda: {"here/notes.md": b"# Notes\n"},
    "chains as files, without problems": lambda: {"here/0.txt": CHAIN.encode(), "here/1.txt": CHAIN.encode()},
}


def of_rows(row: dict) -> Callable[[], dict[str, bytes]]:
    return lambda: {"rows.jsonl": lines([row] * 3)}


for name, (row, _) in REFUSED.items():
    if "mapping" not in name:
        FILES[name] = of_rows(row)
for name, (changed, _) in ODD.items():
    # JSON has neither bytes nor dates; a column of structs is not taken for the output at all
    if name not in ("bytes", "a date", "an output that is a struct"):
        FILES[f"every row with {name}"] = of_rows(PLAIN | changed)


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> project.InProcess:
    return project.InProcess(tmp_path_factory.mktemp("project"))


@pytest.mark.parametrize("name", FILES)
def test_one_line_and_nothing_written(place, name):
    root = place.root / "source" / "".join(name.split())
    for path, content in FILES[name]().items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content)
    [given] = root.iterdir() if len(list(root.iterdir())) == 1 else [root]
    before = {path for path in place.root.rglob("*")}
    done = place.call("src/collect_trajectories.py", "--dataset_path", str(given), "--output_path", "data/out")
    assert done.returncode == 2, (done.stdout, done.stderr)
    assert done.stderr.count("\n") == 1 and "Traceback" not in done.stderr, done.stderr
    assert name.startswith(("an ending", "a folder")) or str(root) in done.stderr
    assert {path for path in place.root.rglob("*")} == before


def test_there_are_twenty_of_them():
    assert len(FILES) >= 20


@pytest.mark.parametrize("rows", [GOOD, [PLAIN] * 3], ids=["of OpenR1", "plain"])
def test_without_the_fault_the_rows_are_taken(place, rows):
    path = place.root / "rows.jsonl"
    path.write_bytes(lines(rows))
    flags = ("--dataset_path", str(path), "--output_path", "data/taken", "--no-grade", "--overwrite")
    done = place.call("src/collect_trajectories.py", *flags)
    assert done.returncode == 0, done.stderr
