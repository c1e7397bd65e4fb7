"""Measure the viewer on many long trajectories: start, index, second start, list requests, memory.

    python tests/bench/viewer.py [--samples 17491] [--chars 35000] [--folder DIR] [--full] [--keep]

Makes a stage-5 folder of synthetic trajectories (with --full also the chains and the collected.jsonl of the run),
starts the real command on it in its own process, and sends HTTP requests. Prints one figure per line next to its
target.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "src")]

from threadweaver.files import to_json
from threadweaver.runs.folder import ACCOUNT_FILE, SETTINGS_FILE, AccountEntry
from threadweaver.samples import Sample
from threadweaver.stages.traced import TRACE
from threadweaver.trajectory import edits, markup
from threadweaver.trajectory.edits import BlockLineage, Lineage, ThreadLineage
from threadweaver.trajectory.measures import measure

COMMAND = ROOT / "src" / "visualize_trajectories.py"
STEMS = "sum product case prime root angle vertex modulo factor bound term number triangle circle integer even odd value".split()
LINKS = "so then because therefore let us now we have the is of and with that which gives hence wait hmm check".split()
SEED = 7


def vocabulary(size: int = 6000) -> list[str]:
    """Return words with the frequencies of chains: a few very frequent, most of them rare."""
    random.seed(SEED)
    made = {
        f"{random.choice(STEMS)}{random.choice(['', 's', 'al', 'ing', 'ed'])}{random.randrange(size // 4) or ''}"
        for _ in range(size)
    }
    return LINKS * 60 + STEMS * 20 + sorted(made)


def line(words: list[str], number: int) -> str:
    text = " ".join(random.choices(words, k=14))
    if number % 3 == 0:
        text += f" $x_{{{number % 9}}}^2 + {random.randrange(999)} = \\frac{{{random.randrange(99)}}}{{y}}$"
    return text[0].upper() + text[1:] + "."


def trajectory(words: list[str], chars: int) -> tuple[str, str, Lineage]:
    """Return a text, its chain and their lineage, with a block of two to four threads in every sixth of the text."""
    parts: list[str] = []
    chain: list[str] = []
    blocks: list[BlockLineage] = []
    number = 1
    while sum(map(len, parts)) < chars:
        plain = [line(words, at) for at in range(22)]
        parts.append("\n".join(plain) + "\n")
        chain += plain
        number += len(plain)
        threads, notes, first = [], [], number
        for _ in range(random.randint(2, 4)):
            body = [line(words, at) for at in range(random.randint(4, 12))]
            threads.append("\n".join(body))
            notes.append(ThreadLineage(number, number + len(body) - 1, "", "\n"))
            chain += body
            number += len(body)
        notes[-1] = ThreadLineage(notes[-1].first, notes[-1].last)
        blocks.append(BlockLineage(first, number - 1, tuple(notes), "cases"))
        parts.append(
            markup.write_block(threads, [f"Plan {at} of {random.choice(words)}" for at in range(len(threads))]) + "\n"
        )
    text, whole = "".join(parts).removesuffix("\n"), "\n".join(chain)
    record = Lineage(0, "", "", "3", True, edits.fingerprint(whole), len(whole), len(chain), tuple(blocks))
    return text, whole, record


def make(parent: Path, samples: int, chars: int, *, full: bool) -> Path:
    """Write the folders and return that of stage 5. The texts come from a pool of 400, each with an individual
    line."""
    words = vocabulary()
    pool = [trajectory(words, chars) for _ in range(min(samples, 400))]
    root, collect = parent / "bench_step5_v1_v1_v1", parent / "bench"
    (root / "trace").mkdir(parents=True)
    if full:
        collect.mkdir()
    accounts: dict[Path, list[str]] = {root: [], collect: []}
    with open(parent / "collected.part", "w", encoding="utf-8") as rows:
        for index in range(samples):
            text, chain, record = pool[index % len(pool)]
            own = f"Sample {index} of {random.choice(words)}{index}: {line(words, index)}"
            text, chain = f"{own}\n{text[text.index(chr(10)) + 1 :]}", f"{own}\n{chain[chain.index(chr(10)) + 1 :]}"
            uuid = f"bench-{index}"
            problem = f"Problem {index}: find the {random.choice(words)} of $x^2 + {index}$."
            _sample(root, index, text, record, uuid, problem, accounts)
            if full:
                (collect / f"{index}.txt").write_text(chain + "\n", encoding="utf-8")
                sample = Sample(index, uuid, problem, chain, "3", index % 3 > 0, "$\\boxed{3}$")
                rows.write(to_json(sample.to_row()) + "\n")
                accounts[collect].append(to_json(asdict(AccountEntry(str(index), "ok", uuid=uuid))))
    _close(root, {"stage": "filter", "input": "../bench", "tokenizer": "none"}, accounts[root])
    if full:
        (parent / "collected.part").rename(collect / "collected.jsonl")
        _close(collect, {"stage": "collect", "input": "../nowhere.jsonl"}, accounts[collect])
    else:
        (parent / "collected.part").unlink()
    return root


def _sample(root: Path, index: int, text: str, record: Lineage, uuid: str, problem: str, accounts: dict) -> None:
    (root / f"{index}.txt").write_text(text + "\n", encoding="utf-8")
    own = replace(record, index=index, uuid=uuid, problem=problem, correctness=index % 3 > 0)
    (root / TRACE / f"{index}.json").write_text(own.to_json(), encoding="utf-8")
    measures = measure(markup.parse(text), range(0, len(text), 3 + index % 3))
    facts = {"measures": asdict(measures), "conserved": True}
    accounts[root].append(to_json(asdict(AccountEntry(str(index), "ok", uuid=uuid, facts=facts))))


def _close(folder: Path, settings: dict, account: list[str]) -> None:
    (folder / SETTINGS_FILE).write_text(json.dumps(settings))
    (folder / ACCOUNT_FILE).write_text("".join(entry + "\n" for entry in account), encoding="utf-8")


class Server:
    """The command as a process; its port is read from its output."""

    def __init__(self, root: Path):
        self.begun = time.perf_counter()
        self.process = subprocess.Popen(
            [sys.executable, str(COMMAND), "--root", str(root), "--port", "0"], stdout=subprocess.PIPE, text=True
        )
        said = self.process.stdout.readline()
        self.base = re.search(r"http://[^/ ]+", said).group()
        self.peak = 0.0

    def ask(self, path: str) -> bytes:
        with urllib.request.urlopen(self.base + path, timeout=60) as answer:
            return answer.read()

    def first_page(self) -> float:
        """Return the seconds from the start of the process to the page, its script and the first reply of the list."""
        for path in ("/", "/static/app.js", "/api/run", "/api/list"):
            self.ask(path)
        return time.perf_counter() - self.begun

    def indexed(self) -> float:
        """Return the seconds from the start of the process to a complete index."""
        while True:
            state = json.loads(self.ask("/api/run"))["index"]
            self.memory()
            if state["complete"]:
                return time.perf_counter() - self.begun
            if state["fault"]:
                raise SystemExit(state["fault"])
            time.sleep(0.05)

    def memory(self) -> float:
        """Return the peak memory of the process, in MB."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        self.peak = int(re.search(r"VmHWM:\s+(\d+)", status).group(1)) / 1024
        return self.peak

    def cpu(self) -> float:
        """Return the CPU seconds used so far: what the times would be on an idle machine."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(timeout=20)


def requests(samples: int) -> Iterator[str]:
    """Return list requests as a reader makes them: sorted, filtered, searched, paged."""
    random.seed(SEED)
    words = vocabulary()
    measures = [
        "total_num_tokens",
        "parallel_ratio",
        "acceleration_ratio",
        "parallel_count",
        "lines",
        "training_length",
    ]
    for at in range(240):
        kind = at % 6
        if kind == 0:
            yield f"/api/list?sort={random.choice(measures)}&dir=desc"
        elif kind == 1:
            yield f"/api/list?total_num_tokens={random.randrange(4000, 9000)}..&sort={random.choice(measures)}"
        elif kind == 2:
            yield f"/api/list?parallel_ratio=0.{random.randrange(10, 50)}..&answer=right&acceleration_ratio=0.1.."
        elif kind == 3:
            yield f"/api/list?q={random.choice(words)}"
        elif kind == 4:
            yield "/api/list?q=" + urllib.parse.quote(" ".join(random.choices(words, k=2)))
        else:
            yield f"/api/list?offset={random.randrange(samples)}&sort={random.choice(measures)}"


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def latencies(server: Server, paths: list[str]) -> list[float]:
    found = []
    for path in paths:
        begun = time.perf_counter()
        server.ask(path)
        found.append(1000 * (time.perf_counter() - begun))
    return found


def report(what: str, value: float, unit: str, aim: float) -> None:
    print(f"{what:52}{value:10.2f} {unit:3} (aim: under {aim:g} {unit}){'' if value < aim else '  MISSED'}", flush=True)


def measure_viewer(root: Path, samples: int) -> None:
    server = Server(root)
    try:
        report("first page, first start", server.first_page(), "s", 1)
        report("  CPU of the server until then", server.cpu(), "s", 1)
        report("index complete, first start", server.indexed(), "s", 60)
        report("  CPU of the server until then", server.cpu(), "s", 60)
        report("memory at its peak, first start", server.memory(), "MB", 300)
    finally:
        server.stop()
    server = Server(root)
    try:
        report("first page, second start", server.first_page(), "s", 1)
        report("index complete, second start", server.indexed(), "s", 2)
        report("  CPU of the server until then", server.cpu(), "s", 2)
        before = server.cpu()
        found = latencies(server, list(requests(samples)))
        report("list requests, median", percentile(found, 0.5), "ms", 150)
        report("list requests, 95th percentile", percentile(found, 0.95), "ms", 150)
        report("list requests, slowest", max(found), "ms", 1000)
        shown = latencies(server, [f"/api/sample/{random.randrange(samples)}" for _ in range(60)])
        report("  CPU of the server per list request", 1000 * (server.cpu() - before) / len(found), "ms", 150)
        report("one trajectory, 95th percentile", percentile(shown, 0.95), "ms", 150)
        ways = latencies(server, [f"/api/sample/{random.randrange(samples)}/stages" for _ in range(40)])
        report("its stages, 95th percentile", percentile(ways, 0.95), "ms", 300)
        for unit in ("sample", "block", "thread"):
            paths = [f"/api/statistics?by={unit}&parallel_ratio=0.{at}.." for at in range(10, 20)]
            report(f"statistics by {unit}, median", percentile(latencies(server, paths), 0.5), "ms", 1000)
        report("memory at its peak, second start", server.memory(), "MB", 300)
    finally:
        server.stop()
    index = sum(path.stat().st_size for path in (root.parent / ".viewer").iterdir())
    print(f"{'index on disk':52}{index / 1e6:10.0f} MB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=17_491)
    parser.add_argument("--chars", type=int, default=35_000)
    parser.add_argument("--folder", type=Path, help="where the data goes (a temporary folder)")
    parser.add_argument("--full", action="store_true", help="with the chains and the collected samples of the run")
    parser.add_argument("--keep", action="store_true", help="keep the data, and reuse it if it exists")
    args = parser.parse_args()
    parent = args.folder or Path(tempfile.mkdtemp(prefix="viewer-bench-"))
    root = parent / "bench_step5_v1_v1_v1"
    if not root.is_dir():
        begun = time.perf_counter()
        make(parent, args.samples, args.chars, full=args.full)
        print(
            f"{args.samples} trajectories of {args.chars} characters made in {time.perf_counter() - begun:.0f} s in {parent}"
        )
    shutil.rmtree(parent / ".viewer", ignore_errors=True)
    try:
        measure_viewer(root, args.samples)
    finally:
        if not args.keep:
            shutil.rmtree(parent)


if __name__ == "__main__":
    main()
