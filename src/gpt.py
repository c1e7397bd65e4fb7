"""Stage 1: extract steps, with their line ranges and the groups that may run in parallel.

Reads   collected.jsonl (or its folder, or one <i>.txt)
Writes  <output>/<uuid>_reasoning.txt (the annotated steps), <chat>/<uuid>_chat.txt (the conversation)
Calls   the annotator: with a model, one conversation a sample
Exits   0; 1 too many failed; 2 something to mend, said in one line; 130 stopped
Example python src/gpt.py --annotator rules --input data/sample_24samples --output data/sample_24samples_step1_v1
"""

from __future__ import annotations

import os
from pathlib import Path

from threadweaver import annotators, planning, stage, store


def flags() -> stage.Flags:
    parser = stage.Flags(__doc__)
    parser.add_argument("--input", type=Path, required=True, help="collected.jsonl, its folder, or one chain as .txt")
    parser.add_argument("--output", type=Path, required=True, help="folder of the annotations")
    parser.add_argument("--chat", type=Path, help="folder of the conversations (<output>/chat)")
    parser.add_argument("--start_idx", type=int, default=0, help="position of the first sample to do (0)")
    parser.add_argument("--end_idx", type=int, help="position after the last sample to do (all)")
    parser.obsolete("--skip_existing", nargs=0)
    annotators.add_flags(parser, "steps")
    parser.add_common()
    return parser


def main(argv: list[str] | None) -> int:
    args = flags().parse_args(argv)
    samples = read_samples(args.input)[args.start_idx : args.end_idx]
    annotator = annotators.build(args, "steps")
    if args.plan:
        return planning.tell_stage("step 1", annotator, map(annotator.steps, samples))
    chat = os.path.relpath(args.chat or args.output / "chat", args.output)
    settings = {"stage": "steps", "input": os.path.relpath(args.input, args.output), **annotator.settings()}

    async def work(task: stage.Task) -> stage.Result:
        answer = await annotator.steps(task.payload)
        files = {f"{chat}/{task.uuid}_chat.txt": answer.chat} if answer.chat else {}
        if answer.value is None:
            return stage.Result("failed", answer.reason, files, answer.facts)
        return stage.Result("ok", None, {f"{task.uuid}_reasoning.txt": answer.value, **files}, answer.facts)

    with store.StageFolder(args.output, settings, overwrite=args.overwrite) as folder:
        report = stage.run(
            map(to_task, samples),
            work,
            folder,
            total=len(samples),
            title="step 1",
            around=annotator,
            workers=annotators.samples_at_once(args, len(samples)),
            partial=bool(args.start_idx) or args.end_idx is not None,
        )
    stage.tell("step 1 (steps)", report, args.output)
    return stage.exit_code(report, args.max_failed)


def read_samples(path: Path) -> list[store.Sample]:
    """The collected samples; a single `<i>.txt` gets its problem from the collected.jsonl beside it, if there is one."""
    if path.suffix != ".txt":
        return store.read_collected(path)
    beside = path.parent / "collected.jsonl"
    known = (
        [sample for sample in store.read_collected(beside) if str(sample.index) == path.stem]
        if beside.is_file()
        else []
    )
    return known or [store.Sample(0, path.stem, "", store.read_sample(path))]


def to_task(sample: store.Sample) -> stage.Task:
    return stage.Task(str(sample.index), store.digest(sample.problem + "\n" + sample.thinking), sample, sample.uuid)


if __name__ == "__main__":
    stage.command(main)
