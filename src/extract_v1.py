"""Stage 2: mark the parallel blocks in the chains.

Reads   <trajectory>/<i>.txt (and its collected.jsonl), <annotations>/<uuid>_reasoning.txt
Writes  <output-dir>/<i>.txt (the trajectory), <output-dir>/trace/<i>.json and .txt (its lineage)
Calls   nothing
Exits   0; 1 too many failed; 2 something to mend, said in one line
Example python src/extract_v1.py -t data/sample_24samples -a data/sample_24samples_step1_v1 -o data/sample_24samples_step2_v1
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from threadweaver.errors import UserError
from threadweaver.files import digest, read_text
from threadweaver.runs.command import run_command
from threadweaver.runs.flags import Flags
from threadweaver.runs.folder import StageFolder
from threadweaver.runs.runner import Result, Task, run_stage
from threadweaver.runs.summary import exit_code, print_no_calls, print_summary
from threadweaver.samples import Sample, list_samples, read_collected, read_sample
from threadweaver.stages import parallel
from threadweaver.stages.traced import new_lineage, traced_files
from threadweaver.trajectory import annotation


def flags() -> Flags:
    parser = Flags(__doc__)
    parser.add_argument("--trajectory", "-t", type=Path, required=True, help="folder of chains, or one <i>.txt")
    parser.add_argument("--annotations", "-a", type=Path, required=True, help="folder of annotations, or one file")
    parser.add_argument("--output-dir", "-o", type=Path, required=True, help="folder of the trajectories")
    parser.add_argument(
        "--filter-diff-threshold",
        type=int,
        default=parallel.FILTER_DIFF_THRESHOLD,
        help="characters a block's threads must hold beside the longest one (200)",
    )
    parser.add_argument("--no-merge-dependent", action="store_true", help="keep threads apart that surely depend")
    parser.add_argument("--dry-run", action="store_true", help="say what would be marked, write nothing")
    parser.obsolete("--encoding")
    parser.add_common()
    return parser


@dataclass(frozen=True, slots=True)
class Pair:
    """A chain and the text of its annotation (None when there is none)."""

    id: str
    sample: Sample
    chain: str
    annotation: str | None


def main(argv: list[str] | None) -> int:
    args = flags().parse_args(argv)
    if args.plan:
        return print_no_calls("step 2")
    pairs = list(read_pairs(args.trajectory, args.annotations))
    if args.dry_run:
        for pair in pairs:
            print(describe(pair, args))
        return 0
    settings = {
        "stage": "parallel",
        "input": os.path.relpath(args.annotations, args.output_dir),
        "chains": os.path.relpath(args.trajectory, args.output_dir),
        "filter_diff_threshold": args.filter_diff_threshold,
        "merge_dependent": not args.no_merge_dependent,
    }

    def work(task: Task) -> Result:
        return mark(task.payload, args)

    with StageFolder(args.output_dir, settings, overwrite=args.overwrite) as folder:
        report = run_stage(map(to_task, pairs), work, folder, total=len(pairs), title="step 2")
    print_summary("step 2 (parallel blocks)", report, args.output_dir)
    return exit_code(report, args.max_failed)


def mark(pair: Pair, args) -> Result:
    if pair.annotation is None:
        return Result("failed", "no_annotation", facts={"error": f"no annotation of {pair.sample.uuid}"})
    found = extracted(pair, args)
    blocks, unused = found.record.blocks, found.record.unused
    facts = {
        "blocks": len(blocks),
        "threads": sum(len(block.threads) for block in blocks),
        "unused": [item.code for item in unused],
        "problems": [note["code"] for note in found.record.notes if note["kind"] == "annotation"],
    }
    files = traced_files(pair.id, found.trajectory, found.record)
    return Result("ok" if blocks else "unchanged", None if blocks else "no_block", files, facts)


def extracted(pair: Pair, args) -> parallel.Extraction:
    return parallel.extract(
        pair.chain,
        annotation.parse(pair.annotation, annotation.lines(pair.chain)),
        new_lineage(pair.sample),
        threshold=args.filter_diff_threshold,
        merge_dependent=not args.no_merge_dependent,
    )


def describe(pair: Pair, args) -> str:
    if pair.annotation is None:
        return f"{pair.id}: no annotation"
    record = extracted(pair, args).record
    spans = ", ".join(f"L{block.first}-L{block.last} ({len(block.threads)} threads)" for block in record.blocks)
    left = ", ".join(item.code for item in record.unused)
    return f"{pair.id}: {spans or 'no block'}" + (f"; not used: {left}" if left else "")


def read_pairs(trajectory: Path, annotations: Path) -> Iterator[Pair]:
    """Every chain with its annotation, joined by the uuid that collected.jsonl gives it."""
    chains = list_samples(trajectory)
    if annotations.is_file() and len(chains) > 1:
        raise UserError(f"{annotations} is one annotation, {trajectory} holds {len(chains)} chains: name one <i>.txt")
    collected = (trajectory.parent if trajectory.is_file() else trajectory) / "collected.jsonl"
    samples = {str(item.index): item for item in read_collected(collected)} if collected.is_file() else {}
    for path in chains:
        chain = read_sample(path)
        sample = samples.get(path.stem)
        if sample and sample.thinking != chain:
            raise UserError(f"{path} is not the chain that {collected} holds: collect anew with --overwrite")
        file = annotations if annotations.is_file() else annotation_of(path.stem, sample, annotations)
        sample = sample or Sample(int(path.stem) if path.stem.isdecimal() else 0, path.stem, "", chain)
        yield Pair(path.stem, sample, chain, read_text(file) if file else None)


def annotation_of(id: str, sample: Sample | None, folder: Path) -> Path | None:
    """The annotation of a chain: by its uuid, or, where that is not known, the only one that ends in its number."""
    if sample:
        exact = folder / f"{sample.uuid}_reasoning.txt"
        return exact if exact.is_file() else None
    found = [path for path in (folder / f"{id}_reasoning.txt", *folder.glob(f"*-{id}_reasoning.txt")) if path.is_file()]
    if len(found) > 1:
        raise UserError(
            f"{folder} holds several annotations for {id} ({found[0].name}, {found[1].name}): remove the wrong one"
        )
    return found[0] if found else None


def to_task(pair: Pair) -> Task:
    source = digest(f"{pair.chain}\n{pair.annotation}\n{pair.sample.problem}\n{pair.sample.output}")
    return Task(pair.id, source, pair, pair.sample.uuid)


if __name__ == "__main__":
    run_command(main)
