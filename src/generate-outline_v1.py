"""Stage 4: write the outlines that announce the threads of each block.

Reads   stage 3: <input>/<i>.txt, <input>/trace/<i>.json
Writes  <output>/<i>.txt, <output>/trace/<i>.json and .txt
Calls   the annotator: with a model, one call a block, all of a sample at once
Exits   0; 1 too many failed; 2 something to mend, said in one line; 130 stopped
Example python src/generate-outline_v1.py --annotator rules --input data/sample_24samples_step3_v1_v1 --output data/sample_24samples_step4_v1_v1_v1
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from threadweaver import annotators, lineage, markup, outline, planning, stage, store


def flags() -> stage.Flags:
    parser = stage.Flags(__doc__)
    parser.add_argument("--input", type=Path, required=True, help="folder of trajectories, or one <i>.txt")
    parser.add_argument("--output", type=Path, required=True, help="folder of the trajectories with outlines")
    parser.add_argument("--glob", default="*.txt", help="which files of the folder (*.txt)")
    parser.add_argument("--ctx_lines", type=int, help="lines of context before a block that are shown (all)")
    parser.add_argument("--max_samples", type=int, help="only the first so many samples")
    parser.obsolete("--trace", nargs="?")
    annotators.add_flags(parser, "outlines")
    parser.add_common()
    return parser


def main(argv: list[str] | None) -> int:
    args = flags().parse_args(argv)
    paths = store.list_samples(args.input, args.glob)[: args.max_samples]
    annotator = annotators.build(args, "outlines")
    if args.plan:
        return planning.tell_stage("step 4", annotator, (outlined(lineage.read(path), annotator, args.ctx_lines) for path in paths))
    settings = {
        "stage": "outlines", "input": os.path.relpath(args.input, args.output), "ctx_lines": args.ctx_lines,
        **annotator.settings(),
    }

    async def work(task: stage.Task) -> stage.Result:
        return await outlined(task.payload, annotator, args.ctx_lines)

    with store.StageFolder(args.output, settings, overwrite=args.overwrite) as folder:
        report = stage.run(
            lineage.tasks(paths), work, folder, total=len(paths), title="step 4", around=annotator,
            workers=annotators.samples_at_once(args, len(paths)),
            partial=args.max_samples is not None or args.glob != "*.txt",
        )
    stage.tell("step 4 (outlines)", report, args.output)
    return stage.exit_code(report, args.max_failed)


async def outlined(sample: lineage.Traced, annotator: annotators.Annotator, context_lines: int | None) -> stage.Result:
    """All blocks of a sample are asked about at once; a reply that was not accepted fails the sample."""
    trajectory = markup.parse(sample.text)
    asked = outline.questions(trajectory, sample.problem, context_lines)
    if not asked:
        return stage.Result("unchanged", "no_block", lineage.files(sample.id, sample.text, sample.record))
    answers = await asyncio.gather(*(annotator.outlines(question) for question in asked))
    facts = annotators.add_up(answers)
    for question, answer in zip(asked, answers, strict=True):
        if answer.value is None:
            return stage.Result("failed", answer.reason, facts=facts)
        if fault := outline.fault(answer.value, len(question.threads)):
            return stage.Result("failed", "poor_outlines", facts={**facts, "error": f"block {question.block + 1}: {fault}"})
    text = outline.insert(trajectory, [answer.value for answer in answers])
    return stage.Result("ok", None, lineage.files(sample.id, text, sample.record), facts)


if __name__ == "__main__":
    stage.command(main)
