"""Evaluate two runs of generation side by side: the paper's table of accuracy, format, tokens and speedup.

Reads   the outputs of a sequential run (--sequential) and of a fork-join run (--parallel): a .json, a journal, or the
        splits of a run, and their problems (--polaris-parquet); one of the two is enough
Writes  with --output: evaluation.json, evaluation.txt, evaluation.png
Calls   nothing
Exits   0; 2 something to fix, reported in one line
Example python src/evaluate_trajectories.py --parallel data/sample/sample_1.json --polaris-parquet data/sample/problems.parquet --tokenizer data/sample/tokenizer --output data/evaluation
"""

from __future__ import annotations

from pathlib import Path
from statistics import fmean

from threadweaver.corpus.tokenizer import DEFAULT_TOKENIZER, load_tokenizer
from threadweaver.errors import UserError
from threadweaver.files import read_jsonl, to_pretty_json, write_atomic
from threadweaver.generation import evaluation, evaluation_report
from threadweaver.generation.evaluation import Run
from threadweaver.generation.outputs import read_outputs
from threadweaver.generation.problems import read_problems
from threadweaver.runs.command import run_command
from threadweaver.runs.flags import Flags
from threadweaver.trajectory import markup


def flags() -> Flags:
    parser = Flags(__doc__)
    outputs = {"type": Path, "nargs": "+", "default": [], "metavar": "FILE"}
    parser.add_argument("--sequential", **outputs, help="outputs that were sampled as one sequence")
    parser.add_argument(
        "--parallel", **outputs, help="outputs of the fork-join loop (generate_trajectories --branching)"
    )
    parser.add_shared("--polaris-parquet")
    parser.add_shared("--tokenizer", "--qwen-model", default=DEFAULT_TOKENIZER)
    parser.add_argument(
        "--output", type=Path, metavar="DIR", help="folder of the table as JSON, as text, and as a plot"
    )
    parser.add_shared("--jobs", "--workers")
    return parser


def main(argv: list[str] | None) -> int:
    args = flags().parse_args(argv)
    given = {name: paths for name in ("sequential", "parallel") if (paths := getattr(args, name))}
    if not given:
        raise UserError("give the outputs of a run with --sequential, with --parallel, or with both")
    problems = read_problems(args.polaris_parquet)
    tokenizer = load_tokenizer(args.tokenizer).with_tags(markup.TAGS)
    runs = {}
    for name, paths in given.items():
        outputs = read_outputs(paths, len(problems)).outputs
        runs[name] = Run(name, tuple(evaluation.score(outputs, problems, tokenizer, args.jobs)))
    found = {"runs": {name: evaluation.figures(run) | seconds(given[name]) for name, run in runs.items()}}
    if len(runs) == 2:
        found["comparison"] = evaluation.compare(runs["sequential"], runs["parallel"])
    text = evaluation_report.table(found)
    print(text, end="")
    if args.output:
        write_atomic(args.output / "evaluation.json", to_pretty_json(found))
        write_atomic(args.output / "evaluation.txt", text)
        write_atomic(args.output / "evaluation.png", evaluation_report.plot(found))
        print(f"→ {args.output}/evaluation.json, .txt, .png")
    return 0


def seconds(outputs: list[Path]) -> dict[str, float]:
    """Return the mean seconds of a sample, where generation left its facts beside all of these outputs."""
    facts = [path.with_name(f"{path.stem}.facts.jsonl") for path in outputs]
    if not all(path.is_file() for path in facts):
        return {}
    rows = [record for path in facts for _, record, _ in read_jsonl(path) if isinstance(record, dict)]
    found = {(row.get("message_idx"), row.get("sample_idx")): row.get("seconds") for row in rows}
    times = [time for time in found.values() if isinstance(time, int | float)]
    return {"seconds": fmean(times)} if times else {}


if __name__ == "__main__":
    run_command(main)
