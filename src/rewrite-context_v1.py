"""Stage 3: rewrite the threads so that none leans on a sibling, with as few changes as will do.

Reads   stage 2: <input>/<i>.txt, <input>/trace/<i>.json
Writes  <output>/<i>.txt, <output>/trace/<i>.json and .txt (with every edit)
Calls   the annotator: with a model, one call for each thread but the first of its block, all of a sample at once
Exits   0; 1 too many failed; 2 something to mend, said in one line; 130 stopped
Example python src/rewrite-context_v1.py --annotator rules --input data/sample_24samples_step2_v1 --output data/sample_24samples_step3_v1_v1
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from threadweaver import independence
from threadweaver.annotators import registry as annotators
from threadweaver.annotators.llm.validation import REJECTED
from threadweaver.annotators.protocol import Annotator, add_up
from threadweaver.runs.command import run_command
from threadweaver.runs.flags import Flags
from threadweaver.runs.folder import StageFolder
from threadweaver.runs.runner import Result, Task, run_stage
from threadweaver.runs.summary import exit_code, print_summary
from threadweaver.samples import list_samples
from threadweaver.stages import planning, rewriting
from threadweaver.stages.traced import Traced, bare_lineage, read_traced, traced_files, traced_tasks
from threadweaver.trajectory import edits, markup


def flags() -> Flags:
    parser = Flags(__doc__)
    parser.add_argument("--input", type=Path, required=True, help="folder of trajectories, or one <i>.txt")
    parser.add_argument("--output", type=Path, required=True, help="folder of the rewritten trajectories")
    parser.add_argument("--glob", default="*.txt", help="which files of the folder (*.txt)")
    parser.add_argument(
        "--rewrite",
        choices=("all", "suspected"),
        default="all",
        help="ask about every thread but the first of its block, or about those that seem to lean on a sibling (all)",
    )
    parser.add_argument(
        "--max-leak",
        type=float,
        default=independence.CONFIDENT,
        metavar="SCORE",
        help="put a block back in sequence when, after the rewriting, a thread still uses a sibling's mathematics with this score "
        f"or more ({independence.CONFIDENT}; 1.1 keeps all)",
    )
    parser.obsolete("--trace", nargs="?")
    annotators.add_flags(parser, "edits")
    parser.add_common()
    return parser


def main(argv: list[str] | None) -> int:
    args = flags().parse_args(argv)
    paths = list_samples(args.input, args.glob)
    annotator = annotators.build(args, "edits")
    if args.plan:
        return planning.tell_stage(
            "step 3", annotator, (rewritten(read_traced(path), annotator, args) for path in paths)
        )
    settings = {
        "stage": "rewrite",
        "input": os.path.relpath(args.input, args.output),
        "rewrite": args.rewrite,
        "max_leak": args.max_leak,
        **annotator.settings(),
    }

    async def work(task: Task) -> Result:
        return await rewritten(task.payload, annotator, args)

    with StageFolder(args.output, settings, overwrite=args.overwrite) as folder:
        report = run_stage(
            traced_tasks(paths),
            work,
            folder,
            total=len(paths),
            title="step 3",
            around=annotator,
            workers=annotators.samples_at_once(args, len(paths)),
            partial=args.glob != "*.txt",
        )
    print_summary("step 3 (rewriting)", report, args.output)
    return exit_code(report, args.max_failed)


async def rewritten(sample: Traced, annotator: Annotator, args) -> Result:
    """All threads of a sample are asked about at once. A thread whose reply cannot be used stays as it is, or, where
    it seems to lean on a sibling, takes its block back in sequence; a call without a reply fails the sample."""
    trajectory = markup.parse(sample.text)
    record = sample.record or bare_lineage(trajectory.blocks, sample.id)
    asked = rewriting.edit_questions(trajectory, record.problem, only_suspected=args.rewrite == "suspected")
    answers = await asyncio.gather(*(annotator.edits(question) for question in asked))
    facts = add_up(answers)
    if lost := next((answer for answer in answers if answer.value is None and answer.reason not in REJECTED), None):
        return Result("failed", lost.reason, facts=facts)
    pairs = [(question, answer.value or []) for question, answer in zip(asked, answers, strict=True)]
    refused = {(q.block, q.thread): a.reason for q, a in zip(asked, answers, strict=True) if a.value is None}
    text, record = rewriting.apply_answers(trajectory, record, pairs)
    facts |= {
        "edits": sum(len(thread.edits) for block in record.blocks for thread in block.threads),
        "edited_characters": rewriting.edited_characters(record),
        "left_out": [item.code for block in record.blocks for thread in block.threads for item in thread.skipped],
        "leaks_before": len(rewriting.leaks(trajectory, record.problem, args.max_leak)),
    }
    text, record = without_refused(text, record, trajectory, refused)
    facts["not_rewritten"] = len(refused)
    text, record = rewriting.sequentialize_leaking(text, record, args.max_leak)
    facts["leaks_after"] = len(rewriting.leaks(markup.parse(text), record.problem, args.max_leak))
    facts["blocks"] = len(record.blocks)
    reason = None if facts["edits"] else "nothing_to_change" if trajectory.blocks else "no_block"
    return Result("unchanged" if reason else "ok", reason, traced_files(sample.id, text, record), facts)


def without_refused(
    text: str, record: edits.Lineage, before: markup.Trajectory, refused: Mapping[tuple[int, int], str]
) -> tuple[str, edits.Lineage]:
    """The trajectory without the blocks of which a thread seems to lean on a sibling and could not be rewritten."""
    notes = [
        {"kind": "not_rewritten", "block": b + 1, "thread": t + 1, "code": code} for (b, t), code in refused.items()
    ]
    record = replace(record, notes=(*record.notes, *notes))
    suspected = (
        {(q.block, q.thread) for q in rewriting.edit_questions(before, record.problem, only_suspected=True)}
        if refused
        else set()
    )
    back = {
        b + 1: (code, f"thread {t + 1} leans on a sibling and was not rewritten")
        for (b, t), code in refused.items()
        if (b, t) in suspected
    }
    return rewriting.sequentialize(markup.parse(text), record, back) if back and record.sha256 else (text, record)


if __name__ == "__main__":
    run_command(main)
