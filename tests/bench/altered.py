"""Damage every kind of file of a finished run in every way, and look whether a stage crashes or is silently misled.

    python tests/bench/altered.py [--count 4] [--annotator recorded|rules] [--file NAME …] [--way NAME …] [--jobs 2] [--view]

Reads   data/sample: chains, a model's recorded answers
Writes  nothing (a temporary folder)
Calls   the commands of the pipeline in this process
Exits   1 if a damage ends in a traceback, or changes what is made later without a word

Each damage is met twice: the stage that wrote the file runs again before all later ones are made again (`resumed`), and
the later ones are made again from the damaged folder as it is (`used`). A damage is

    healed    the later stages and the dataset are what they were, exit 0
    told      an exit code that is not 0, or a line that names the file or its folder
    SILENT    something else was made, exit 0, and no line says why
    CRASH     a traceback

With `--view` the viewer's index, pages and export are made of each damaged run: a row may be missing, never all.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import random
import shutil
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tests")]

from project import call
from threadweaver.errors import UserError
from threadweaver.viewer import export, runs
from threadweaver.viewer.database import Database
from threadweaver.viewer.gauge import Gauge
from threadweaver.viewer.indexing import Indexer
from threadweaver.viewer.queries import Lists
from threadweaver.viewer.reviews import Reviews
from threadweaver.viewer.table import Query

SAMPLE = ROOT / "data" / "sample"
STAGES = ("c", "s1", "s2", "s3", "s4", "s5", "d")
SIGNS = ("was changed", "is taken as it is", "altered")
"""What a stage says of a file that is not what it should be, where its exit code may be 0."""


def commands(annotator: str, count: int) -> dict[str, list[str]]:
    """Return the command of each stage, by the folder that it writes."""
    asked = ["--annotator", "rules"] if annotator == "rules" else ["--offline", "--ledger", "ledger.sqlite"]
    tokenizer = ["--tokenizer", str(SAMPLE / "tokenizer")]
    return {
        "c": [
            "collect_trajectories.py",
            "--dataset_path",
            "chains.jsonl",
            "--output_path",
            "c",
            "--max_samples",
            str(count),
        ],
        "s1": ["gpt.py", *asked, "--input", "c/collected.jsonl", "--output", "s1"],
        "s2": ["extract_v1.py", "-t", "c", "-a", "s1", "-o", "s2"],
        "s3": ["rewrite-context_v1.py", *asked, "--input", "s2", "--output", "s3"],
        "s4": ["generate-outline_v1.py", *asked, "--input", "s3", "--output", "s4"],
        "s5": [
            "filter-format-correct-and-obtain-stats.py",
            *tokenizer,
            "--input",
            "s4",
            "--output",
            "s5",
            "--skip_conclusion_check",
            "--keep-sequential",
        ],
        "d": [
            "save_dataset.py",
            *tokenizer,
            "--input",
            "c/collected.jsonl",
            "--trajectory-glob",
            "s5/*.txt",
            "--trajectory-matched-only",
            "--repeat",
            "1",
            "--output",
            "d",
        ],
    }


def make_run(folder: Path, annotator: str, count: int) -> None:
    """Make a finished run."""
    folder.mkdir(parents=True)
    shutil.copy(SAMPLE / "chains.jsonl", folder)
    if annotator != "rules":
        load = ["ledger.py", "import", str(SAMPLE / "recorded.jsonl"), "--ledger", "ledger.sqlite"]
        assert call(load, folder).returncode == 0
    for words in commands(annotator, count).values():
        done = call(words, folder)
        assert done.returncode == 0, done.stderr


# ---------------------------------------------------------------------------------------------------------------
# what is damaged, and how


def targets(run: Path) -> dict[str, str]:
    """Return a file of each kind in each folder of a run, by a name for it."""
    found = {}
    for stage in STAGES:
        for name in ("settings.json", "account.jsonl", "manifest.json"):
            found[f"{stage}/{name}"] = f"{stage}/{name}"
    first = sorted((run / "s5").glob("[0-9]*.txt"))[0].stem
    uuid = next(run.glob(f"s1/*-{first}_reasoning.txt")).name.removesuffix("_reasoning.txt")
    for stage in STAGES[2:6]:
        found |= {f"{stage}/trace": f"{stage}/trace/{first}.json", f"{stage}/text": f"{stage}/{first}.txt"}
    found |= {"c/text": f"c/{first}.txt", "c/collected": "c/collected.jsonl", "d/files.json": "d/files.json"}
    found |= {"s1/annotation": f"s1/{uuid}_reasoning.txt", "s1/chat": f"s1/chat/{uuid}_chat.txt"}
    found |= {"s5/summary": "s5/stats/summary.json", "d/parquet": str(_parquet(run).relative_to(run))}
    return {name: path for name, path in found.items() if (run / path).is_file()}


def _parquet(run: Path) -> Path:
    return next(run.glob("d/sample_*/train.parquet"))


def _other_types(data: bytes) -> bytes:
    """Return JSON or JSON lines with every value of another type; of any other text, JSON."""

    def other(value: object, depth: int = 0) -> object:
        if isinstance(value, dict) and depth < 1:
            return {key: other(item, depth + 1) for key, item in value.items()}
        return 5 if isinstance(value, str | dict | list) else {} if value is None else [str(value)]

    try:
        return (json.dumps(other(json.loads(data)))).encode()
    except ValueError:
        pass
    try:
        return b"".join(json.dumps(other(json.loads(line))).encode() + b"\n" for line in data.splitlines())
    except ValueError:
        return b'{"a": 5}\n'


def _one_value(data: bytes) -> bytes:
    """Return JSON or a text with one character or number changed, still well-formed."""
    for old, new in ((b'"ok"', b'"unchanged"'), (b": 1", b": 2"), (b":1", b":2"), (b" is ", b" was "), (b"e", b"a")):
        if old in data:
            return data.replace(old, new, 1)
    return data + b"x"


def _added(data: bytes) -> bytes:
    return data + (b'{"id": "99", "outcome": "ok"}\n' if data[:1] in b"{[" else b"An added line.\n")


WAYS: dict[str, Callable[[bytes], bytes | None]] = {
    "deleted": lambda data: None,
    "emptied": lambda data: b"",
    "halved": lambda data: data[: len(data) // 2],
    "random bytes": lambda data: random.Random(len(data)).randbytes(len(data)),
    "nested": lambda data: b"[" * 10_000 + b"]" * 10_000,
    "other types": _other_types,
    "a line added": _added,
    "one value": _one_value,
}
STRANGERS = ("s2/99.txt", "s4/99.txt", "s5/99.txt", "c/99.txt", "s3/trace/99.json", "s1/stranger_reasoning.txt")
"""Files that no stage wrote, added to a run."""


@dataclass(frozen=True)
class Damage:
    """A file of a run and the way it is damaged; `resumed`: the stage that wrote it runs again first."""

    name: str
    path: str
    way: str
    resumed: bool

    def __str__(self) -> str:
        return f"{self.name:20} {self.way:14} {'resumed' if self.resumed else 'used'}"

    def apply(self, run: Path) -> None:
        path = run / self.path
        if self.way == "added":
            path.write_text("{}" if path.suffix == ".json" else "S1: a step (L1-L2)\n")
            return
        data = WAYS[self.way](path.read_bytes())
        path.unlink() if data is None else path.write_bytes(data)


def damages(run: Path) -> Iterator[Damage]:
    for name, path in targets(run).items():
        for way in WAYS:
            yield Damage(name, path, way, True)
            if not name.startswith("d/"):  # nothing is made from the dataset here
                yield Damage(name, path, way, False)
    for path in STRANGERS:
        yield Damage(path, path, "added", False)


# ---------------------------------------------------------------------------------------------------------------
# what comes of it


@dataclass(frozen=True)
class Verdict:
    kind: str
    detail: str = ""


def contents(run: Path, stages: Sequence[str]) -> dict[str, bytes]:
    """Return what stages made, apart from what was moved aside."""
    paths = (path for stage in stages for path in (run / stage).rglob("*"))
    left_out = (".lock", ".changed")
    return {
        str(path.relative_to(run)): path.read_bytes()
        for path in paths
        if path.is_file() and not path.name.endswith(left_out)
    }


def meet(damage: Damage, clean: Path, scratch: Path, annotator: str, count: int) -> Verdict:
    """Damage a copy of the run, make again what comes after it, and return what the user sees."""
    run = Path(tempfile.mkdtemp(dir=scratch)) / "run"
    shutil.copytree(clean, run)
    owner = damage.name.split("/")[0]
    later = STAGES[STAGES.index(owner) + 1 :]
    for stage in later:
        shutil.rmtree(run / stage)
    damage.apply(run)
    said, codes = "", []
    try:
        for stage in (*([owner] if damage.resumed else []), *later):
            done = call(commands(annotator, count)[stage], run)
            said += done.stdout + done.stderr
            codes.append(done.returncode)
            if done.returncode == 2:
                break
    except Exception:
        return Verdict("CRASH", traceback.format_exc().strip().split("\n")[-1][:160])
    finally:
        made = contents(run, (*([owner] if damage.resumed else []), *later))
        shutil.rmtree(run.parent)
    expected = contents(clean, (*([owner] if damage.resumed else []), *later))
    line = next((line for line in said.split("\n") if any(sign in line for sign in SIGNS)), "")
    if any(codes) or (line and made != expected):
        return Verdict("told", f"{codes} {(line or said.strip().splitlines()[-1])[:160]}")
    if made == expected:
        return Verdict("healed", line[:160])
    differing = sorted(name for name in {*made, *expected} if made.get(name) != expected.get(name))
    return Verdict("SILENT", ", ".join(differing)[:160])


def view(damage: Damage, clean: Path, scratch: Path) -> Verdict:
    """Damage a copy of the run, and look at every sample and stage of it as the viewer does."""
    run = Path(tempfile.mkdtemp(dir=scratch)) / "run"
    shutil.copytree(clean, run)
    damage.apply(run)
    try:
        for root in ("c", "s2", "s5"):
            shown, faults = _views(run / root)
            if faults:
                return Verdict("CRASH", f"{root}: {faults}")
            if shown < len(list((clean / root).glob("[0-9]*.txt"))) - 1:
                return Verdict("SILENT", f"{root}: {shown} samples are shown")
    except UserError as refused:
        return Verdict("told", str(refused)[:160])
    except Exception:
        return Verdict("CRASH", traceback.format_exc().strip().split("\n")[-1][:160])
    finally:
        shutil.rmtree(run.parent)
    return Verdict("shown")


def _views(root: Path) -> tuple[int, str]:
    """Return how many samples the viewer lists, each shown in every way, and the index's fault."""
    run = runs.find(root)
    indexer = Indexer(run, Gauge(), Database(root.parent / f"{root.name}.sqlite"))
    indexer.start()
    while not indexer.status.complete and not indexer.status.fault:
        time.sleep(0.01)
    reviews = Reviews(run.review_file)
    lists = Lists(indexer, reviews)
    ids = lists.ids(Query())
    export.page(run, indexer, reviews, ids)  # with the documents and stages of all
    assert len(lists.ids(Query(text="is"))) <= len(ids)
    indexer.stop()
    return len(ids), indexer.status.fault


def sweep(
    chosen: Sequence[Damage], work: Callable[[Damage], Verdict], jobs: int = 1
) -> Iterator[tuple[Damage, Verdict]]:
    """Yield each damage with what came of it."""
    if jobs == 1:
        yield from ((damage, work(damage)) for damage in chosen)
        return
    with multiprocessing.get_context("spawn").Pool(jobs) as pool:
        yield from zip(chosen, pool.imap(work, chosen), strict=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=4, help="sample chains (4)")
    parser.add_argument("--annotator", choices=("recorded", "rules"), default="recorded")
    parser.add_argument("--file", nargs="*", help="kinds of files, such as s2/trace (all)")
    parser.add_argument("--way", nargs="*", choices=[*WAYS, "added"], help="ways of damage (all)")
    parser.add_argument("--view", action="store_true", help="look at the damaged run with the viewer instead")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--show", action="store_true", help="also show what is said of each damage")
    args = parser.parse_args()
    kinds: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        scratch, clean = Path(folder), Path(folder) / "clean" / "run"  # the source is named after its folder
        make_run(clean, args.annotator, args.count)
        chosen = [
            damage
            for damage in damages(clean)
            if (not args.file or damage.name in args.file) and (not args.way or damage.way in args.way)
        ]
        work = partial(meet, clean=clean, scratch=scratch, annotator=args.annotator, count=args.count)
        if args.view:
            work, chosen = partial(view, clean=clean, scratch=scratch), [item for item in chosen if not item.resumed]
        for damage, verdict in sweep(chosen, work, args.jobs):
            kinds[verdict.kind] += 1
            if args.show or verdict.kind.isupper():
                print(f"{damage}  {verdict.kind}  {verdict.detail}", flush=True)
    print(f"{len(chosen)} damages: {', '.join(f'{count} {kind}' for kind, count in kinds.most_common())}")
    return 1 if kinds["CRASH"] or kinds["SILENT"] else 0


if __name__ == "__main__":
    raise SystemExit(main())
