"""What would a run of 53,000 chains take on 1, 4 and 64 machines? Measures the cost per chain at some sizes, prints the
measured points beside the line through them, and computes time, money and disk of the whole.

    python tests/bench/scale.py chains/collected.jsonl
    python tests/bench/scale.py chains/collected.jsonl --sizes 50 100 200 --machines 8 --tpm 40e6

Chains are made from given real traces: as long as those of the published run (11,143 tokens on average, 40,960 at most),
from traces of the same length put one after the other. A local server answers every request at once; what a real one
would take is computed from `--latency` and `--speed`, and what a provider's tier allows from `--rpm` and `--tpm`. Each
core of a machine runs one shard, in one process. Tokens out are computed from those in, by the replies that a real model
gave to the same prompts (data/sample/recorded.jsonl); its reasoning tokens, if any, are not among them.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tests")]

import fake_answers
from fake_openai import FakeOpenAI
from project import Project
from threadweaver.client import Usage
from threadweaver.client.prices import price_of
from threadweaver.corpus.readers import read_rows
from threadweaver.corpus.sources import to_sample
from threadweaver.corpus.tokenizer import load_tokenizer
from threadweaver.files import to_json

MEAN_TOKENS, MOST_TOKENS = 11_143, 40_960
READ, MERGED = "reading for others", "merge_shards.py"
AT_THE_END = (MERGED, "save_dataset.py")
"""Commands of the whole, which run once, in one process."""
ASKING = {"gpt.py": "step1", "rewrite-context_v1.py": "step3", "generate-outline_v1.py": "step4"}
MEASURE = """#!{python}
import json, os, sys, time
begun = time.monotonic()
pid = os.spawnv(os.P_NOWAIT, {python!r}, [{python!r}, *sys.argv[1:]])
_, status, used = os.wait4(pid, 0)
words = [word for word in sys.argv[1:] if word.endswith(".py")]
with open({log!r}, "a") as file:
    file.write(json.dumps([os.path.basename(words[0]) if words else "", used.ru_utime + used.ru_stime,
                           used.ru_maxrss / 1024, time.monotonic() - begun]) + "\\n")
sys.exit(os.waitstatus_to_exitcode(status))
"""


@dataclass
class Point:
    """What was measured at one size: CPU seconds and the memory (MB) of the largest process by command, bytes and files
    by folder, requests and tokens by step."""

    chains: int
    cpu: dict[str, float] = field(default_factory=dict)
    memory: dict[str, float] = field(default_factory=dict)
    size: dict[str, float] = field(default_factory=dict)
    files: dict[str, float] = field(default_factory=dict)
    asked: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))


@dataclass(frozen=True)
class Line:
    """a + b n, by least squares."""

    start: float
    each: float

    @classmethod
    def through(cls, points: Sequence[tuple[float, float]]) -> Line:
        fit = statistics.linear_regression(*zip(*points, strict=True))
        return cls(fit.intercept, fit.slope)

    def __call__(self, n: float) -> float:
        return self.start + self.each * n


# ---- chains


def chains(traces: Path, count: int, tokenizer) -> Iterator[dict]:
    """Yield rows whose chains have the lengths of the traces, scaled to the mean of the published run."""
    samples = [to_sample(row, "traces") for row in read_rows(traces)]
    texts = [sample.thinking for sample in samples]
    lengths = [len(tokenizer.ids(text)) for text in texts]
    characters = sum(map(len, texts)) / sum(lengths)
    most = MOST_TOKENS * 0.85  # texts differ in characters per token
    draw, factor = random.Random(0), 1.0
    for _ in range(20):  # what is cut at most is missing elsewhere
        factor *= MEAN_TOKENS / statistics.mean(min(most, length * factor) for length in lengths)
    order = draw.sample(range(len(samples)), len(samples))
    for number in range(count):
        first = order[number % len(order)]
        wanted = min(most, lengths[first] * factor) * characters
        chain = texts[first]
        while len(chain) < wanted:
            chain += "\n\n" + texts[draw.randrange(len(texts))]
        end = chain.rfind("\n", 0, int(wanted)) if len(chain) > wanted else len(chain)
        sample = samples[first]
        yield {
            "problem": f"{sample.problem} (Variant {number})",
            "thinking": chain[:end],
            "output": sample.output,
            "solution": sample.solution,
            "correctness": True,
        }


# ---- measuring


def measured(scratch: Path, source: Path, count: int, model: str) -> Point:
    """Run the first chains as one shard, merge it and save, and return what each command took."""
    project, point = Project(scratch / str(count)), Point(count)
    log = project.root / "measured.jsonl"
    (wrapper := project.root / "measure").write_text(MEASURE.format(python=sys.executable, log=str(log)))
    wrapper.chmod(0o755)
    with FakeOpenAI(answer=fake_answers.answer) as server:
        settings = {"SRC_NAME": "scale", "NUM_SAMPLES": str(count), "DATASET_PATH": str(source), "MODEL": model}
        settings |= {"TOKENIZER": "data/sample/tokenizer", "OPENAI_BASE_URL": server.url, "JOBS": "1", "WORKERS": "32"}
        settings |= {"PYTHON": str(wrapper), "THREADWEAVER_PYTHON": f"requirements.txt {wrapper}"}
        for part in ({"SHARD": "0/1"}, {"MERGE": "1"}):
            done = project.run("bash", "run.sh", **settings, **part)
            assert done.returncode == 0, done.stderr
        others = ("--dataset_path", str(source), "--max_samples", str(count), "--shard", f"{count + 1}/{count + 2}")
        command = [str(wrapper), "src/collect_trajectories.py", *others, "--output_path", "data/others"]
        subprocess.run(command, cwd=project.root, env=project.environment(), check=True, stdout=subprocess.DEVNULL)
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    for number, (command, cpu, memory, _) in enumerate(lines):
        name = READ if number == len(lines) - 1 else command
        if name not in ("", "check.py"):
            point.cpu[name], point.memory[name] = cpu, memory
    for folder in [*sorted((project.root / "data").glob("scale_*_shard0of1")), project.root / "dataset"]:
        files = [path for path in folder.rglob("*") if path.is_file()]
        name = folder.name.removeprefix(f"scale_{count}samples").removesuffix("_shard0of1").strip("_") or "collected"
        point.size[name], point.files[name] = sum(path.stat().st_size for path in files), len(files)
    point.size["ledger"] = (project.root / "data/ledger.sqlite").stat().st_size
    for step in ASKING.values():
        folder = next((project.root / "data").glob(f"scale_*_{step}_*_shard0of1"))
        for line in (folder / "account.jsonl").read_text().splitlines():
            facts = json.loads(line)["facts"]
            facts["chains"] = 1
            point.asked[step].update(
                {name: facts.get(name) or 0 for name in ("chains", "calls", "tokens_in", "tokens_cached")}
            )
    return point


def tokens_out() -> dict[str, float]:
    """Return the tokens out per token in, by step, of the recorded replies."""
    tokens: dict[str, Counter[str]] = defaultdict(Counter)
    for line in (ROOT / "data/sample/recorded.jsonl").read_text().splitlines():
        entry = json.loads(line)
        tokens[entry["stage"]].update(entry["tokens"])
    return {step: found["output"] / found["input"] for step, found in tokens.items()}


def listing(scratch: Path, count: int) -> float:
    """Return the seconds that reading the names of a folder of so many files takes."""
    folder = scratch / "listed"
    folder.mkdir()
    for number in range(count):
        (folder / f"{number}.txt").touch()
    begun = time.perf_counter()
    assert sum(1 for _ in os.scandir(folder)) == count
    return time.perf_counter() - begun


# ---- the whole


def lines_of(points: Sequence[Point], what: str) -> dict[str, Line]:
    names = [name for name in getattr(points[0], what) if all(name in getattr(point, what) for point in points)]
    return {name: Line.through([(point.chains, getattr(point, what)[name]) for point in points]) for name in names}


def table(points: Sequence[Point], lines: Mapping[str, Line], what: str, unit: float = 1.0) -> None:
    """Print the measured points, each beside the line through all."""
    for name, line in lines.items():
        cells = [(getattr(point, what)[name] / unit, line(point.chains) / unit) for point in points]
        shown = "".join(f"{measured:>11,.2f} ({on_line:,.2f})" for measured, on_line in cells)
        print(f"  {name:<44}{shown}")


@dataclass(frozen=True)
class Asked:
    """Requests and tokens of one step for the whole."""

    calls: float
    tokens_in: float
    cached: float
    tokens_out: float


def asked_of(points: Sequence[Point], count: int, blocks: float) -> dict[str, Asked]:
    """Return what each step asks for `count` chains, from the largest size; steps 3 and 4, that ask once per block, for
    this many blocks of a chain."""
    last, out, whole = points[-1], tokens_out(), {}
    for step, found in last.asked.items():
        proposed = found["calls"] / found["chains"]
        share = count / last.chains * (1 if step == "step1" else blocks / proposed)
        tokens = found["tokens_in"] * share
        whole[step] = Asked(found["calls"] * share, tokens, found["tokens_cached"] * share, tokens * out[step])
        print(f"  {step}: {proposed:.2f} calls per chain measured")
    return whole


def hours(
    machines: int, args: argparse.Namespace, cpu: Mapping[str, Line], asked: Mapping[str, Asked]
) -> dict[str, float]:
    """Return hours by what they are spent on: shards side by side, one per core, then the merge and saving."""
    shards = machines * args.cores
    each = args.chains / shards
    spent = {"reading the whole source": cpu[READ](args.chains)}
    spent["stages without calls"] = sum(
        line(each) for name, line in cpu.items() if name not in (*ASKING, *AT_THE_END, READ)
    )
    flight = min(shards * args.workers, args.slots)
    for command, step in ASKING.items():
        one = asked[step]
        seconds = args.latency + one.tokens_out / max(1, one.calls) / args.speed
        limits = {
            "the client": cpu[command](each),
            "the server": max(one.calls * seconds / flight, seconds),
            "requests a minute": 60 * one.calls / args.rpm,
            "tokens a minute": 60 * (one.tokens_in + one.tokens_out) / args.tpm,
        }
        slowest = max(limits, key=limits.get)
        spent[f"{step}, bound by {slowest}"] = limits[slowest]
    spent["merge and saving"] = sum(cpu[name](args.chains) for name in AT_THE_END)
    return {name: seconds / 3600 for name, seconds in spent.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("traces", type=Path, help="real chains, from which others are made")
    add("--sizes", type=int, nargs="+", default=[20, 60, 120], help="numbers of chains to measure at")
    add("--chains", type=int, default=53_000, help="chains of the whole run")
    add("--machines", type=int, nargs="+", default=[1, 4, 64])
    add("--cores", type=int, default=16, help="cores per machine, each with a shard")
    add("--workers", type=int, default=128, help="calls in flight per shard")
    add("--blocks", type=float, default=6.26, help="blocks per chain that are asked about (published run: 6.26)")
    add("--model", default="gpt-5", help="whose price is taken")
    add("--latency", type=float, default=2.0, help="seconds before a reply begins")
    add("--speed", type=float, default=60.0, help="tokens a second of one reply")
    add("--slots", type=int, default=4096, help="calls that the server takes at a time")
    add("--rpm", type=float, default=10_000, help="requests a minute that the tier allows")
    add("--tpm", type=float, default=30e6, help="tokens a minute that the tier allows")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        scratch, source = Path(folder), Path(folder) / "chains.jsonl"
        tokenizer = load_tokenizer(str(ROOT / "data/sample/tokenizer"))
        made = list(chains(args.traces, max(args.sizes), tokenizer))
        source.write_text("".join(to_json(row) + "\n" for row in made))
        tokens = statistics.mean(len(tokenizer.ids(row["thinking"])) for row in made)
        print(f"{len(made)} chains of {tokens:,.0f} tokens on average, by the sample's tokenizer", flush=True)
        points = [measured(scratch, source, size, args.model) for size in sorted(args.sizes)]
        files = sum(line.each for line in lines_of(points, "files").values())
        listed = listing(scratch, args.chains)
    report(args, points, files, listed)


def report(args: argparse.Namespace, points: Sequence[Point], files: float, listed: float) -> None:
    cpu, memory, size = (lines_of(points, what) for what in ("cpu", "memory", "size"))
    print(f"measured at {', '.join(str(point.chains) for point in points)} chains (and on the line):")
    print(" CPU seconds")
    table(points, cpu, "cpu")
    print(" memory of the largest process, MB")
    table(points, memory, "memory")
    print(" MB on disk")
    table(points, size, "size", 1e6)
    asked = asked_of(points, args.chains, args.blocks)
    price = price_of(args.model)
    money = {
        step: price.cost(Usage(int(a.tokens_in), int(a.cached), int(a.tokens_out), 0), "default") / 1e9
        for step, a in asked.items()
    }
    uncached = sum(
        price.cost(Usage(int(a.tokens_in), 0, int(a.tokens_out), 0), "default") / 1e9 for a in asked.values()
    )
    print(f"{args.chains:,} chains, computed:")
    for step, one in asked.items():
        print(
            f"  {step}: {one.calls:,.0f} calls, {one.tokens_in / 1e6:,.0f} M tokens in ({one.cached / one.tokens_in:.0%} cached), "
            f"{one.tokens_out / 1e6:,.1f} M out: ${money[step]:,.0f}"
        )
    print(f"  together ${sum(money.values()):,.0f} with {args.model}'s price; ${uncached:,.0f} if nothing is cached")
    whole = sum(max(0.0, line.each) * args.chains for line in size.values())
    print(
        f"  disk: {whole / 1e9:,.1f} GB and {files * args.chains / 1e6:,.2f} M files, twice while shards and merge are both kept"
    )
    print(f"  listing a folder of {args.chains:,} files: {listed:.2f} s")
    largest = points[-1]
    print(
        f"  memory: {max(largest.memory.values()):,.0f} MB for the largest process at {largest.chains} chains, so "
        f"{max(largest.memory.values()) * args.cores / 1e3:,.1f} GB on a machine; not computed further, because buffers "
        "fill up first"
    )
    for machines in args.machines:
        free = argparse.Namespace(**{**vars(args), "rpm": math.inf, "tpm": math.inf})
        spent, unlimited = (hours(machines, limits, cpu, asked) for limits in (args, free))
        print(f"  {machines} machines of {args.cores} cores:")
        for title, found in (("within the tier", spent), ("without its limits", unlimited)):
            parts = ", ".join(f"{value:.2f} {name}" for name, value in found.items())
            print(f"    {title}: {sum(found.values()):,.2f} h ({parts})")


if __name__ == "__main__":
    main()
