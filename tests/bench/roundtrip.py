"""Drive every trajectory of a folder through the fork-join loop: does inference request what training sees, token
by token?

    python tests/bench/roundtrip.py data/sample_24samples_step5_v1_v1_v1 --tokenizer data/sample/tokenizer

Each `<i>.txt` is rendered as it is saved (question and answer from its trace), split into its units, and driven
through the loop by a model that knows only these units. Exits with 1 if one does not come out the same.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "src"))

from tqdm import tqdm

from scripted import Trip, round_trip
from threadweaver.corpus import chat, training_rows
from threadweaver.corpus.tokenizer import Tokenizer, load_tokenizer
from threadweaver.samples import list_samples
from threadweaver.stages.traced import read_traced
from threadweaver.trajectory import markup


def trip(path: Path, tokenizer: Tokenizer) -> Trip:
    traced = read_traced(path)
    output = traced.lineage.output if traced.lineage else ""
    turns = chat.messages(traced.problem, traced.text, output)
    return round_trip(*training_rows.turn_span(chat.render(tokenizer, turns), turns, tokenizer), tokenizer)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="trajectories, <i>.txt with or without trace/<i>.json")
    parser.add_argument("--tokenizer", required=True, help="name or local path; the tags are added to it")
    args = parser.parse_args()
    tokenizer = load_tokenizer(args.tokenizer).with_tags(markup.TAGS)
    begun, done, bad = time.perf_counter(), [], 0
    for path in tqdm(list_samples(args.folder), unit=" trajectories", disable=None, leave=False):
        done.append(trip(path, tokenizer))
        bad += bool(done[-1].faults)
        for fault in done[-1].faults:
            tqdm.write(f"{path.name}: {fault}")
    print(
        f"{len(done)} trajectories, {sum(one.units for one in done)} units, {sum(one.requests for one in done)} requests, "
        f"{bad} mismatches, {time.perf_counter() - begun:.1f} s"
    )
    return 1 if bad or not done else 0


if __name__ == "__main__":
    raise SystemExit(main())
