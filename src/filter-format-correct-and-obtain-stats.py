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

from threadweaver import corpus, dependencies, edits, grading, lineage, metrics, stage, stats, store, tokens, verify
from threadweaver.errors import UserError


def flags() -> stage.Flags:
    parser = stage.Flags(__doc__)
    parser.add_argument("--input", type=Path, help="folder of trajectories, or one <i>.txt")
    parser.add_argument("--glob", default="*.txt", help="which files of the folder (*.txt)")
    parser.add_argument("--dataset", type=Path, help="instead of --input: a parquet, .jsonl or dataset folder")
    parser.add_argument("--split", default="train", help="of --dataset (train)")
    parser.add_argument("--text_column", default="response_reasoning", help="of --dataset (response_reasoning)")
    parser.add_argument("--output", type=Path, required=True, help="folder of the accepted trajectories")
    parser.add_argument("--tokenizer", default=tokens.DEFAULT, help=f"name or local path ({tokens.DEFAULT})")
    parser.add_argument("--no_require_think_end", action="store_true", help="take a text whose <think> is not closed")
    parser.add_argument(
        "--skip_conclusion_check", action="store_true", help="do not ask for a conclusion in each block"
    )
    parser.add_argument("--keep-sequential", action="store_true", help="accept trajectories without a block too")
    parser.add_argument(
        "--max-leak",
        type=float,
        default=dependencies.CERTAIN,
        metavar="SCORE",
        help=f"reject when a thread leans on a sibling with this score or more ({dependencies.CERTAIN}; 1.1 keeps all)",
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
        return stage.tell_no_calls("step 5")
    if (args.input is None) == (args.dataset is None):
        raise UserError("give either --input (a folder of trajectories) or --dataset")
    source = args.input or args.dataset
    rules = verify.Rules(
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
    paths = store.list_samples(args.input, args.glob) if args.input else []
    pending = lineage.tasks(paths) if args.input else column_tasks(args.dataset, args.text_column, args.split)
    with store.StageFolder(args.output, settings, overwrite=args.overwrite) as folder:
        report = stage.run(pending, judge, folder, total=len(paths), title="step 5", partial=args.glob != "*.txt")
        summary = stats.summarize(report.entries)
        sidecar = args.output / args.sidecar_dirname
        stats.write(sidecar, args.summary_name, summary, report.entries, fresh=report.fresh > 0)
    stage.tell("step 5 (filter)", report, args.output)
    print(stats.table(summary))
    return stage.exit_code(report, args.max_failed)


def column_tasks(dataset: Path, column: str, split: str) -> Iterator[stage.Task]:
    for row in corpus.read_rows(dataset, split=split):
        text = (row.fields or {}).get(column)
        if not isinstance(text, str):
            raise UserError(f"{row.place} has no text in the column {column!r}: name another with --text_column")
        yield stage.Task(str(row.index), store.digest(text), lineage.Traced(str(row.index), text, None))


class Judge:
    """The verdict and the measures of one sample; the tokenizer is loaded when the first is asked for."""

    def __init__(self, args, rules: verify.Rules):
        self.args, self.rules = args, rules
        self.tokenizer_name = tokens.short_name(args.tokenizer)

    @cached_property
    def grader(self) -> grading.Grader:
        return grading.Grader()

    @cached_property
    def tokenizer(self) -> tokens.Tokenizer:
        return tokens.load(self.args.tokenizer)

    def __call__(self, task: stage.Task) -> stage.Result:
        sample: lineage.Traced = task.payload
        verdict = verify.verify(sample.text, sample.record, self.rules)
        if verdict.reason:
            return self.rejected(sample, verdict)
        trajectory = verdict.trajectory
        answer = self.answer(sample.record, trajectory.text)
        if answer.get("answer") == "wrong" and sample.record.correctness is not False:  # False: kept on purpose
            detail = f"{answer['answer_given']} where {sample.record.solution} is right"
            return self.rejected(sample, verify.Verdict("answer_wrong", detail, trajectory, verdict.conserved))
        measures = metrics.measure(trajectory, self.tokenizer.starts(trajectory.text))
        facts = {"measures": asdict(measures), "conserved": verdict.conserved, **answer}
        return stage.Result("ok", None, lineage.files(sample.id, trajectory.text, sample.record), facts)

    def answer(self, record: edits.Record | None, reasoning: str) -> dict:
        """The final answer judged again, and the edits that touched it; nothing where no reference is known."""
        if record is None or record.solution in ("", None, []):
            return {}
        given = verify.final_answer(record, reasoning)
        verdict = self.grader.grade(given, record.solution)
        facts = {"answer": verdict.verdict, "answer_given": given, "answer_how": verdict.how, "answer_rl": verdict.rl}
        touched = verify.edits_of_answer(record, given)
        return facts | ({"answer_edits": touched} if touched else {})

    def rejected(self, sample: lineage.Traced, verdict: verify.Verdict) -> stage.Result:
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
        return stage.Result("rejected", verdict.reason, files, facts)


def shorten(text: str, first: int, last: int) -> str:
    lines = text.split("\n")
    if len(lines) <= first + last:
        return text
    return "\n".join([*lines[:first], f"[… {len(lines) - first - last} lines …]", *lines[len(lines) - last :]])


if __name__ == "__main__":
    stage.command(main)
