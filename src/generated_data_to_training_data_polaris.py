"""Convert sampled outputs into training rows: cut, grade, filter, write.

Reads   the outputs (--dataset-json: the final .json, a journal .jsonl, or all splits of a run) and their problems
Writes  <output-dir>/<base>_json/train.jsonl, <base>_1k/train.parquet, <base>_1k_json/train.jsonl, with --repeats R
        also <base>_<R>x_json/train.jsonl; <base>_account/: what became of every sample, and why
Calls   nothing
Exits   0; 2 something to fix, in one line
Example python src/generated_data_to_training_data_polaris.py --dataset-json data/sample/sample_1.json --polaris-parquet data/sample/problems.parquet --tokenizer data/sample/tokenizer --output-dir data/processed
"""

from __future__ import annotations

import hashlib
import re
import sys
import time
from collections import Counter
from collections.abc import Iterable
from functools import partial
from pathlib import Path

from threadweaver.corpus import chat
from threadweaver.corpus.contamination import ENOUGH, NGRAM, Benchmarks
from threadweaver.corpus.thinking import ANSWER_TAGS, TAGS
from threadweaver.corpus.tokenizer import DEFAULT_TOKENIZER, load_tokenizer, short_name
from threadweaver.errors import UserError
from threadweaver.files import atomic_file, write_atomic
from threadweaver.generation import conversion
from threadweaver.generation.outputs import Generated, read_outputs
from threadweaver.generation.problems import Problem, read_problems
from threadweaver.runs.command import run_command, shown_run
from threadweaver.runs.flags import Flags, positive_int
from threadweaver.runs.folder import ACCOUNT_FILE, SETTINGS_FILE, StageFolder
from threadweaver.runs.runner import StageReport
from threadweaver.runs.summary import print_summary
from threadweaver.samples import sample_key

PROCESSED = Path(__file__).resolve().parents[1] / "data" / "processed"
"""Where run.sh looks for a source by its name."""
USUAL_CONTEXT = 40960
"""The published trainer's context in tokens: longer rows are reported."""


def flags() -> Flags:
    parser = Flags(__doc__)
    add = parser.add_argument
    parser.add_shared("--dataset-json")
    parser.add_shared("--polaris-parquet")
    add("--output-dir", type=Path, default=Path("data/processed"), help="the folder to write into (data/processed)")
    parser.add_shared(
        "--instruction",
        default=chat.INSTRUCTION,
        help="text added after the question, once; the one used for generation",
    )
    parser.add_shared("--tokenizer", "--qwen-model", default=DEFAULT_TOKENIZER)
    parser.add_shared(
        "--template",
        choices=conversion.TEMPLATES,
        help="qwen: the chat template's rendering of both turns; deepseek: also R1's format, in columns of its own; "
        "model: the model's generation prompt, then the turn as generated (%(default)s)",
    )
    tags = {"nargs": 2, "action": "append", "default": [], "metavar": ("OPEN", "CLOSE")}
    add(
        "--think-tags",
        **tags,
        help="further tags around the thinking, besides the usual ones (corpus/thinking.py); repeatable",
    )
    add("--answer-tags", **tags, help="further tags around the answer, to be removed; repeatable")
    add("--require-parallel", action="store_true", help="keep only well-formed trajectories with at least one block")
    parser.add_shared("--keep-wrong", help="also keep wrong answers, marked")
    add("--keep-undecided", action="store_true", help="also keep answers that could not be judged, unmarked")
    parser.add_shared("--max-tokens", help="maximum training length in tokens (any)")
    parser.add_shared(
        "--benchmark",
        "--decontaminate",
        help=f"drop problems that contain half of the word n-grams of a benchmark problem, or {ENOUGH} of them",
    )
    add("--ngram", type=positive_int, default=NGRAM, help=f"words per n-gram, for --benchmark ({NGRAM})")
    parser.add_shared("--dedupe")
    add("--per-problem", type=positive_int, metavar="N", help="maximum number of chains per problem (all)")
    add("--per-problem-rule", choices=conversion.RULES, default="first", help="which chains to keep (first)")
    parser.add_shared("--sample-size", default=1000, help="number of rows of <base>_1k, drawn at random (%(default)s)")
    add("--repeats", type=positive_int, help="also write all rows repeated this many times")
    add("--workers", type=positive_int, help="number of grading processes (one per core)")
    parser.add_shared("--seed", help="seed of --sample-size and of --per-problem-rule random (%(default)s)")
    parser.add_shared("--overwrite")
    return parser


def main(argv: list[str] | None) -> int:
    args = flags().parse_args(argv)
    problems = read_problems(args.polaris_parquet)
    given = read_outputs(args.dataset_json, len(problems))
    files = Files(args, given.base)
    files.check()
    with StageFolder(files.account, settings(args), overwrite=args.overwrite) as folder:
        if folder.was_complete and files.all_exist():
            print_summary("convert", StageReport(tuple(folder.done.values()), 0, 0.0), args.output_dir)
            return 0
        try:
            report = convert(args, problems, given, files)
        except UserError:
            if not folder.was_complete:  # nothing was written: the next attempt may have other flags
                for name in (SETTINGS_FILE, ACCOUNT_FILE):
                    (files.account / name).unlink(missing_ok=True)
            raise
        folder.close_account(report.entries)
    print_summary("convert", report, args.output_dir)
    files.print_report(report)
    return 0


def convert(args, problems: list[Problem], given: Generated, files: Files) -> StageReport:
    """Filter and write; return what became of every sample."""
    begun = time.monotonic()
    form = conversion.Form(load_tokenizer(args.tokenizer), args.instruction, args.template)
    print_gaps(given, problems)
    sieve = sift(args, problems, given, form)
    entries = sorted(sieve.account(), key=lambda entry: sample_key(entry.id))
    if not sieve.kept:
        counts = Counter(entry.reason for entry in entries).most_common()
        raise UserError(f"no row is left to write ({', '.join(f'{count} {reason}' for reason, count in counts)})")
    files.write(sieve.kept, form)
    return StageReport(tuple(entries), len(entries), time.monotonic() - begun)


def settings(args) -> dict:
    """Return what determines the output: flags, and the inputs by name and content."""
    names = ("instruction", "template", "think_tags", "answer_tags", "require_parallel", "keep_wrong")
    names += ("keep_undecided", "max_tokens", "ngram", "dedupe", "per_problem", "per_problem_rule")
    names += ("sample_size", "repeats", "seed")
    inputs = {"outputs": args.dataset_json, "problems": [args.polaris_parquet], "benchmarks": args.benchmark}
    for path in args.benchmark:
        if not path.is_file():
            raise UserError(f"the benchmark {path} was not found: name another parquet with --benchmark")
    return {
        "stage": "convert",
        "tokenizer": short_name(args.tokenizer),
        **{name: [f"{path.name} {digest(path)}" for path in paths] for name, paths in inputs.items()},
        **{name: getattr(args, name) for name in names},
    }


def digest(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


def sift(args, problems: list[Problem], given: Generated, form: conversion.Form) -> conversion.Sieve:
    """Apply the filters in turn: cheap ones first, choices between chains last."""
    sieve = conversion.Sieve()
    for place in given.unreadable:
        sieve.lose(Path(place).name, conversion.Loss("unreadable_line"))
    sieve.start(given.outputs, problems, [*TAGS, *map(tuple, args.think_tags)], [*ANSWER_TAGS, *args.answer_tags])
    sieve.apply(conversion.sanitize(form.tokenizer))
    if args.require_parallel:
        sieve.apply(conversion.parallel)
    if args.benchmark:
        named = Benchmarks.of_files(args.benchmark, args.ngram, args.instruction)
        sieve.apply(conversion.decontaminate(named, args.instruction))
    sieve.apply(partial(conversion.judge, workers=args.workers))
    sieve.apply(conversion.pick(keep_wrong=args.keep_wrong, keep_undecided=args.keep_undecided))
    if args.max_tokens:
        sieve.apply(conversion.within(args.max_tokens, form.lengths))
    if args.dedupe:
        sieve.apply(conversion.dedupe)
    if args.per_problem:
        sieve.apply(conversion.at_most(args.per_problem, args.per_problem_rule, args.seed))
    return sieve


class Files:
    """The files that a conversion writes, all named after the outputs' file."""

    def __init__(self, args, base: str):
        self.args, self.base, self.folder = args, base, args.output_dir
        self.account = self.folder / f"{base}_account"
        self.all = self.folder / f"{base}_json" / "train.jsonl"
        self.table = self.folder / f"{base}_1k" / "train.parquet"
        self.drawn = self.folder / f"{base}_1k_json" / "train.jsonl"
        self.repeated = self.folder / f"{base}_{args.repeats}x_json" / "train.jsonl" if args.repeats else None
        self.over = 0
        """Number of rows drawn that are longer than USUAL_CONTEXT."""

    def paths(self) -> list[Path]:
        return [path for path in (self.all, self.table, self.drawn, self.repeated) if path]

    def all_exist(self) -> bool:
        return all(path.is_file() for path in self.paths())

    def check(self) -> None:
        """Refuse to replace files of the same name that another tool wrote."""
        found = [path for path in self.paths() if path.is_file()]
        if found and not self.args.overwrite and not (self.account / SETTINGS_FILE).is_file():
            raise UserError(
                f"{found[0]} was not written by this command: --overwrite replaces it, another --output-dir keeps both"
            )

    def write(self, chains: list[conversion.Chain], form: conversion.Form) -> None:
        drawn = conversion.draw(chains, self.args.sample_size, self.args.seed)
        rows = [form.columns(chain) for chain in drawn]
        self.over = sum(row["num_qwen_tokens"] > USUAL_CONTEXT for row in rows)
        for old in self.folder.glob(f"{self.base}_*x_json/train.jsonl"):
            if re.fullmatch(rf"{re.escape(self.base)}_\d+x_json", old.parent.name):
                old.unlink()
        write_lines(self.all, map(form.line, chains))
        write_atomic(self.table, conversion.parquet_bytes(rows))
        write_lines(self.drawn, map(form.line, drawn))
        if self.repeated:
            write_lines(self.repeated, (form.line(chain) for _ in range(self.args.repeats) for chain in chains))

    def print_report(self, report: StageReport) -> None:
        verdicts = Counter(entry.facts["verdict"] for entry in report.entries if "verdict" in entry.facts)
        parts = ", ".join(f"{verdicts[name]} {name}" for name in ("correct", "wrong", "undecided"))
        print(f"  graded {verdicts.total()}: {parts}")
        kept = report.count("ok")
        drawn = min(kept, self.args.sample_size)
        shown = [(kept, self.all), (drawn, self.table), (drawn, self.drawn)]
        shown += [(kept * self.args.repeats, self.repeated)] if self.repeated else []
        for rows, path in shown:
            print(f"  {rows:>7} rows  {path}")
        if self.over:
            print(f"  {self.over} rows of {self.table} are longer than {USUAL_CONTEXT} tokens: see --max-tokens")
        print(f"  the reason for every loss: {self.account / ACCOUNT_FILE}")
        run = {"SRC_NAME": self.table.parent.name}
        if self.folder.resolve() != PROCESSED:
            run["DATASET_BASE"] = self.folder
        if self.args.tokenizer != DEFAULT_TOKENIZER:
            local = Path(self.args.tokenizer)
            run["TOKENIZER"] = local if local.exists() else self.args.tokenizer
        print(f"Next (with PLAN=1 it only reports what it would cost):  {shown_run(**run, PLAN='1')}")


def write_lines(path: Path, lines: Iterable[str]) -> None:
    """Write line by line, for files larger than memory."""
    with atomic_file(path) as file:
        file.writelines(line.encode() for line in lines)


def print_gaps(given: Generated, problems: list[Problem]) -> None:
    """Warn on stderr of damaged lines, missing splits and problems without an output."""
    for place in given.unreadable:
        print(f"{place} is cut off or damaged and was skipped: its sample is not in the output", file=sys.stderr)
    if given.missing:
        print(f"missing: split {', '.join(map(str, given.missing))} of the run", file=sys.stderr)
    covered = len({output.row for output in given.outputs})
    if covered < len(problems):
        print(f"{len(problems) - covered} of {len(problems)} problems have no output", file=sys.stderr)


if __name__ == "__main__":
    run_command(main)
