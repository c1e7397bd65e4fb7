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
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from threadweaver.annotators import registry as annotators
from threadweaver.annotators.llm.validation import REJECTED
from threadweaver.annotators.protocol import Annotator, Answer, add_up
from threadweaver.outlines.checks import GIVES_AWAY, OutlineFault, check_outlines
from threadweaver.runs.command import run_command
from threadweaver.runs.flags import Flags
from threadweaver.runs.folder import StageFolder
from threadweaver.runs.runner import Result, Task, run_stage
from threadweaver.runs.summary import exit_code, print_summary
from threadweaver.samples import list_samples
from threadweaver.stages import outlining, planning, rewriting
from threadweaver.stages.traced import Traced, read_traced, traced_files, traced_tasks
from threadweaver.trajectory import edits, markup
from threadweaver.trajectory.questions import OutlineQuestion


def flags() -> Flags:
    parser = Flags(__doc__)
    parser.add_argument("--input", type=Path, required=True, help="folder of trajectories, or one <i>.txt")
    parser.add_argument("--output", type=Path, required=True, help="folder of the trajectories with outlines")
    parser.add_argument("--glob", default="*.txt", help="which files of the folder (*.txt)")
    parser.add_argument("--ctx_lines", type=int, help="lines of context before a block that are shown (all)")
    parser.add_argument("--max_samples", type=int, help="only the first so many samples")
    parser.add_argument(
        "--keep-telling",
        action="store_true",
        help="keep also a block of which an outline, asked for once more, still gives away what its thread works out (without "
        "this flag the block goes back in sequence: nobody could have written that outline before the thread); both are counted",
    )
    parser.obsolete("--trace", nargs="?")
    annotators.add_flags(parser, "outlines")
    parser.add_common()
    return parser


def main(argv: list[str] | None) -> int:
    args = flags().parse_args(argv)
    paths = list_samples(args.input, args.glob)[: args.max_samples]
    annotator = annotators.build(args, "outlines")
    if args.plan:
        return planning.tell_stage(
            "step 4", annotator, (outlined(read_traced(path), annotator, args) for path in paths)
        )
    settings = {
        "stage": "outlines",
        "input": os.path.relpath(args.input, args.output),
        "ctx_lines": args.ctx_lines,
        "keep_telling": args.keep_telling,
        **annotator.settings(),
    }

    async def work(task: Task) -> Result:
        return await outlined(task.payload, annotator, args)

    with StageFolder(args.output, settings, overwrite=args.overwrite) as folder:
        report = run_stage(
            traced_tasks(paths),
            work,
            folder,
            total=len(paths),
            title="step 4",
            around=annotator,
            workers=annotators.samples_at_once(args, len(paths)),
            partial=args.max_samples is not None or args.glob != "*.txt",
        )
    print_summary("step 4 (outlines)", report, args.output)
    return exit_code(report, args.max_failed)


async def outlined(sample: Traced, annotator: Annotator, args) -> Result:
    """All blocks of a sample are asked about at once. A block without fit outlines goes back in sequence; a call
    without a reply fails the sample, so that it is asked again."""
    trajectory = markup.parse(sample.text)
    asked = outlining.outline_questions(trajectory, sample.problem, args.ctx_lines)
    if not asked:
        return Result("unchanged", "no_block", traced_files(sample.id, sample.text, sample.record))
    answers = await asyncio.gather(*(annotator.outlines(question) for question in asked))
    facts = add_up(answers)
    if lost := next((answer for answer in answers if answer.value is None and answer.reason not in REJECTED), None):
        return Result("failed", lost.reason, facts=facts)
    found = faults_of(asked, answers)
    back = {
        number: faults[0] for number, faults in found.items() if goes_back(faults, sample.record, args.keep_telling)
    }
    facts["outline_faults"] = dict(
        Counter(fault.code for number in found if number not in back for fault in found[number])
    )
    facts["unused"] = [fault.code for fault in back.values()]
    facts["blocks"] = len(asked) - len(back)
    unfit = next(
        (number for number, faults in found.items() if faults[0].code not in GIVES_AWAY and number not in back), None
    )
    if unfit:
        facts["error"] = f"block {unfit}: {found[unfit][0]}"
        return Result("failed", "poor_outlines", facts=facts)
    text, record = written(trajectory, sample.record, [answer.value for answer in answers], found, back)
    outcome = ("ok", None) if facts["blocks"] else ("unchanged", "no_block")
    return Result(*outcome, traced_files(sample.id, text, record), facts)


Faults = dict[int, list[OutlineFault]]


def faults_of(asked: Sequence[OutlineQuestion], answers: Sequence[Answer]) -> Faults:
    """Number of the block (from 1) -> what is wrong with its outlines, the worst first."""
    found = {}
    for question, answer in zip(asked, answers, strict=True):
        if answer.value is None:
            faults = [OutlineFault(answer.reason, None, str(answer.facts.get("error", "no reply was accepted")))]
        else:
            faults = sorted(check_outlines(answer.value, question), key=lambda fault: fault.code != "gives_result")
        if faults:
            found[question.block + 1] = faults
    return found


def goes_back(faults: Sequence[OutlineFault], record: edits.Lineage | None, keep_telling: bool) -> bool:
    """Whether a block goes back in sequence: nothing announces its threads, or an outline tells what comes of one.

    Words that lean on a sibling are noted and left, as in step 3. Without a lineage nothing can be put back.
    """
    kept = ("leans_on_sibling", "gives_result") if keep_telling else ("leans_on_sibling",)
    return bool(record and record.sha256) and any(fault.code not in kept for fault in faults)


def written(
    trajectory: markup.Trajectory,
    record: edits.Lineage | None,
    outlines: Sequence[Sequence[str] | None],
    found: Faults,
    back: dict[int, OutlineFault],
) -> tuple[str, edits.Lineage | None]:
    """The trajectory with the outlines of the blocks that stay, and its lineage with what was found."""
    if record:
        notes = [
            {"kind": "outline", "block": number, "outline": fault.number, "code": fault.code, "detail": str(fault)}
            for number, faults in found.items()
            for fault in faults
        ]
        record = replace(record, notes=(*record.notes, *notes))
    if record and back:
        why = {number: (fault.code, str(fault)) for number, fault in back.items()}
        text, record = rewriting.sequentialize(trajectory, record, why)
        trajectory = markup.parse(text)
    kept = [texts for number, texts in enumerate(outlines, 1) if number not in back]
    return outlining.insert_outlines(trajectory, kept), record


if __name__ == "__main__":
    run_command(main)
