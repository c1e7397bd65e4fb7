"""Stage 5: keep the trajectories that are well-formed and whole, and measure them.

Reads   stage 4: <input>/<i>.txt and trace/<i>.json; or a column of a dataset (--dataset)
Writes  <output>/<i>.txt and trace/ (accepted), rejected/<i>.txt and .json (with the reason),
        <sidecar>/: the summary as JSON, a histogram of each measure, the highest and lowest trajectories
Calls   nothing
Exits   0; 1 too many failed; 2 something to mend, said in one line
Example python src/filter-format-correct-and-obtain-stats.py --tokenizer data/sample/tokenizer --skip_conclusion_check --input data/sample_24samples_step4_v1_v1_v1 --output data/sample_24samples_step5_v1_v1_v1
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import asdict
from functools import cached_property
from pathlib import Path

from threadweaver import grading, independence
from threadweaver.corpus.readers import read_rows
from threadweaver.corpus.tokenizer import DEFAULT_TOKENIZER, Tokenizer, load_tokenizer, short_name
from threadweaver.errors import UserError
from threadweaver.files import digest
from threadweaver.runs import statistics
from threadweaver.runs.command import run_command
from threadweaver.runs.flags import Flags
from threadweaver.runs.folder import StageFolder
from threadweaver.runs.runner import Result, Task, run_stage
from threadweaver.runs.summary import exit_code, print_no_calls, print_summary
from threadweaver.samples import list_samples
from threadweaver.stages import filtering
from threadweaver.stages.traced import Traced, traced_files, traced_tasks
from threadweaver.trajectory import edits
from threadweaver.trajectory.measures import measure


def flags() -> Flags:
    parser = Flags(__doc__)
    parser.add_argument("--input", type=Path, help="folder of trajectories, or one <i>.txt")
    parser.add_argument("--glob", default="*.txt", help="which files of the folder (*.txt)")
    parser.add_argument("--dataset", type=Path, help="instead of --input: a parquet, .jsonl or dataset folder")
    parser.add_argument("--split", default="train", help="of --dataset (train)")
    parser.add_argument("--text_column", default="response_reasoning", help="of --dataset (response_reasoning)")
    parser.add_argument("--output", type=Path, required=True, help="folder of the accepted trajectories")
    parser.add_argument("--tokenizer", default=DEFAULT_TOKENIZER, help=f"name or local path ({DEFAULT_TOKENIZER})")
    parser.add_argument("--no_require_think_end", action="store_true", help="take a text whose <think> is not closed")
    parser.add_argument(
        "--skip_conclusion_check", action="store_true", help="do not ask for a conclusion in each block"
    )
    parser.add_argument("--keep-sequential", action="store_true", help="accept trajectories without a block too")
    parser.add_argument(
        "--max-leak",
        type=float,
        default=independence.CONFIDENT,
        metavar="SCORE",
        help=f"reject when a thread leans on a sibling with this score or more ({independence.CONFIDENT}; 1.1 keeps all)",
    )
    parser.add_argument("--summary_name", default="summary.json", help="of the summary (summary.json)")
    parser.add_argument("--sidecar_dirname", default="stats", help="of the folder of summary and plots (stats)")
    parser.add_argument(
        "--strip_reasoning", action="store_true", help="shorten rejected texts to their first and last lines"
    )
    parser.add_argument(
        "--keep_first", type=int, default=20, help="lines kept by --strip_reasoning at the beginning (20)"
    )
    parser.add_argument("--keep_last", type=int, default=20, help="and at the end (20)")
    parser.obsolete("--chunk-size", "--executor-type")
    parser.add_common()
    return parser


def main(argv: list[str] | None) -> int:
    args = flags().parse_args(argv)
    if args.plan:
        return print_no_calls("step 5")
    if (args.input is None) == (args.dataset is None):
        raise UserError("give either --input (a folder of trajectories) or --dataset")
    source = args.input or args.dataset
    rules = filtering.Rules(
        not args.skip_conclusion_check, args.keep_sequential, not args.no_require_think_end, args.max_leak
    )
    judge = Judge(args, rules)
    settings = {
        "stage": "filter",
        "input": os.path.relpath(source, args.output),
        "tokenizer": judge.tokenizer_name,
        "text_column": args.text_column if args.dataset else None,
        "split": args.split if args.dataset else None,
        "stripped": [args.keep_first, args.keep_last] if args.strip_reasoning else None,
        **asdict(rules),
    }
    paths = list_samples(args.input, args.glob) if args.input else []
    pending = traced_tasks(paths) if args.input else column_tasks(args.dataset, args.text_column, args.split)
    with StageFolder(args.output, settings, overwrite=args.overwrite) as folder:
        report = run_stage(pending, judge, folder, total=len(paths), title="step 5", partial=args.glob != "*.txt")
        summary = statistics.summarize(report.entries)
        sidecar = args.output / args.sidecar_dirname
        statistics.write(sidecar, args.summary_name, summary, report.entries, fresh=report.fresh > 0)
    print_summary("step 5 (filter)", report, args.output)
    print(statistics.table(summary))
    return exit_code(report, args.max_failed)


def column_tasks(dataset: Path, column: str, split: str) -> Iterator[Task]:
    for row in read_rows(dataset, split=split):
        text = (row.fields or {}).get(column)
        if not isinstance(text, str):
            raise UserError(f"{row.place} has no text in the column {column!r}: name another with --text_column")
        yield Task(str(row.index), digest(text), Traced(str(row.index), text, None))


class Judge:
    """The verdict and the measures of one sample; the tokenizer is loaded when the first is asked for."""

    def __init__(self, args, rules: filtering.Rules):
        self.args, self.rules = args, rules
        self.tokenizer_name = short_name(args.tokenizer)

    @cached_property
    def grader(self) -> grading.Grader:
        return grading.Grader()

    @cached_property
    def tokenizer(self) -> Tokenizer:
        return load_tokenizer(self.args.tokenizer)

    def __call__(self, task: Task) -> Result:
        sample: Traced = task.payload
        verdict = filtering.verify(sample.text, sample.record, self.rules)
        if verdict.reason:
            return self.rejected(sample, verdict)
        trajectory = verdict.trajectory
        answer = self.answer(sample.record, trajectory.text)
        if answer.get("answer") == "wrong" and sample.record.correctness is not False:  # False: kept on purpose
            detail = f"{answer['answer_given']} where {sample.record.solution} is right"
            return self.rejected(sample, filtering.Verdict("answer_wrong", detail, trajectory, verdict.conserved))
        measures = measure(trajectory, self.tokenizer.starts(trajectory.text))
        facts = {"measures": asdict(measures), "conserved": verdict.conserved, **answer}
        return Result("ok", None, traced_files(sample.id, trajectory.text, sample.record), facts)

    def answer(self, record: edits.Lineage | None, reasoning: str) -> dict:
        """The final answer judged again, and the edits that touched it; nothing where no reference is known."""
        if record is None or record.solution in ("", None, []):
            return {}
        given = filtering.final_answer(record, reasoning)
        verdict = self.grader.grade(given, record.solution)
        facts = {"answer": verdict.verdict, "answer_given": given, "answer_how": verdict.how, "answer_rl": verdict.rl}
        touched = filtering.edits_of_answer(record, given)
        return facts | ({"answer_edits": touched} if touched else {})

    def rejected(self, sample: Traced, verdict: filtering.Verdict) -> Result:
        text = sample.text
        if self.args.strip_reasoning:
            text = shorten(text, self.args.keep_first, self.args.keep_last)
        why = {"id": sample.id, "uuid": sample.record.uuid if sample.record else "", "reason": verdict.reason}
        why |= {"detail": verdict.detail}
        files = {
            f"rejected/{sample.id}.txt": text + "\n",
            f"rejected/{sample.id}.json": json.dumps(why, ensure_ascii=False, indent=1) + "\n",
        }
        facts = {"detail": verdict.detail, "conserved": verdict.conserved}
        return Result("rejected", verdict.reason, files, facts)


def shorten(text: str, first: int, last: int) -> str:
    lines = text.split("\n")
    if len(lines) <= first + last:
        return text
    return "\n".join([*lines[:first], f"[… {len(lines) - first - last} lines …]", *lines[len(lines) - last :]])


if __name__ == "__main__":
    run_command(main)
