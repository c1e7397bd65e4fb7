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
import os
import pickle
import re
import shutil
import sys
import tempfile
import time
from collections import Counter, deque
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from threadweaver import grading
from threadweaver.corpus import chat
from threadweaver.corpus.contamination import ENOUGH, NGRAM, Benchmarks
from threadweaver.corpus.thinking import ANSWER_TAGS, TAGS
from threadweaver.corpus.tokenizer import DEFAULT_TOKENIZER, load_tokenizer, short_name
from threadweaver.corpus.training_rows import special_tokens
from threadweaver.errors import UserError
from threadweaver.files import PARTS, atomic_file
from threadweaver.generation import conversion
from threadweaver.generation.outputs import Generated, read_outputs
from threadweaver.generation.problems import Problem, read_problems
from threadweaver.runs.command import run_command, shown_run
from threadweaver.runs.entries import Entries
from threadweaver.runs.flags import Flags, positive_int
from threadweaver.runs.folder import ACCOUNT_FILE, SETTINGS_FILE, AccountEntry, StageFolder
from threadweaver.runs.pool import Died, in_order
from threadweaver.runs.progress import progress_bar
from threadweaver.runs.runner import WORKER_DIED, StageReport
from threadweaver.runs.summary import print_summary
from threadweaver.samples import sample_key

PROCESSED = Path(__file__).resolve().parents[1] / "data" / "processed"
"""Where run.sh looks for a source by its name."""


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
    parser.add_shared("--jobs", "--workers")
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
        if folder.was_complete and files.all_exist() and not folder.done.values().chosen(("failed",)):
            print_summary("convert", StageReport(folder.done.values(), 0, 0.0), args.output_dir)
            return 0
        try:
            report = convert(args, problems, given, files, folder)
        except UserError:
            if not folder.was_complete:  # nothing was written: the next attempt may have other flags
                for name in (SETTINGS_FILE, ACCOUNT_FILE):
                    (files.account / name).unlink(missing_ok=True)
            raise
    print_summary("convert", report, args.output_dir)
    files.print_report(report)
    return 0


def convert(args, problems: list[Problem], given: Generated, files: Files, folder: StageFolder) -> StageReport:
    """Filter and write; return what became of every sample."""
    begun = time.monotonic()
    files.sweep()
    grading.expect(len(given.outputs), args.jobs)
    form = conversion.Form(load_tokenizer(args.tokenizer), args.instruction, args.template)
    print_gaps(given, problems)
    account = Account(folder)
    with progress_bar(len(given.outputs), "convert") as bar, Kept(files.all) as kept:
        for place in given.unreadable:
            account.add(Path(place).name, conversion.Loss("unreadable_line"))
        for chain in left(args, given, problems, form, account, bar):
            kept.add(chain)
        if not kept.places:
            counts = Counter(entry.reason for entry in folder.done.values()).most_common()
            raise UserError(f"no row is left to write ({', '.join(f'{count} {reason}' for reason, count in counts)})")
        files.write(kept, form)
    entries = Entries(folder.done, sorted(account.ids, key=sample_key))
    folder.close_account(entries)
    return StageReport(Entries(folder.done, entries.ids), len(entries), time.monotonic() - begun)


def left(args, given: Generated, problems: list[Problem], form: conversion.Form, account: Account, bar) -> Iterator:
    """Yield the chains that all filters leave, with the account of every output; choices between chains come last."""
    sifter = conversion.Sifter(
        [*TAGS, *map(tuple, args.think_tags)],
        [*ANSWER_TAGS, *args.answer_tags],
        special_tokens(form.tokenizer),
        form,
        args.require_parallel,
        Benchmarks.of_files(args.benchmark, args.ngram, args.instruction) if args.benchmark else None,
        args.keep_wrong,
        args.keep_undecided,
        args.max_tokens,
    )
    items = ((output, problems[output.row]) for output in given.outputs)

    def fit() -> Iterator[conversion.Chain]:
        for sifted in conversion.sift(items, sifter, args.jobs):
            bar.update()
            if isinstance(sifted.result, conversion.Loss):
                account.add(sifted.id, sifted.result, sifted.facts)
            else:
                yield sifted.result

    chains = fit()
    if args.dedupe:
        chains = account.through(conversion.dedupe, chains)
    if args.per_problem:
        chains = account.through(conversion.at_most(args.per_problem, args.per_problem_rule, args.seed), chains)
    for chain in chains:
        account.add(chain.id, None, chain.facts)
        yield chain


class Account:
    """Notes what becomes of every output."""

    def __init__(self, folder: StageFolder):
        self.folder = folder
        self.ids: list[str] = []

    def add(self, id: str, loss: conversion.Loss | None, facts: Mapping[str, object] = {}) -> None:
        """Note a row or, with a `loss`, why there is none."""
        outcome = "ok" if loss is None else "failed" if loss.reason == WORKER_DIED else "rejected"
        facts = {**facts, **({"detail": loss.detail} if loss and loss.detail else {})}
        self.folder.put(AccountEntry(id, outcome, loss.reason if loss else None, facts=facts), {})
        self.ids.append(id)

    def through(self, step: conversion.Step, chains: Iterator[conversion.Chain]) -> Iterator[conversion.Chain]:
        """Yield the chains that a step leaves; the others are noted."""
        given, seen = deque(), chains
        for result in step(_remembering(seen, given)):
            chain = given.popleft()
            if isinstance(result, conversion.Loss):
                self.add(chain.id, result, chain.facts)
            else:
                yield result


def _remembering(chains: Iterator[conversion.Chain], given: deque) -> Iterator[conversion.Chain]:
    for chain in chains:
        given.append(chain)
        yield chain


class Kept:
    """The chains that become rows: their lines, in the file of all rows, and themselves in a file beside it."""

    def __init__(self, path: Path):
        self.path = path
        self.places: list[tuple[int, int]] = []
        """Where each chain and its line begin."""
        self.references: list[object] = []

    def __enter__(self) -> Kept:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.lines = open(self.path.with_name(f".{self.path.name}.part"), "wb")
        self.chains = tempfile.TemporaryFile(dir=self.path.parent)
        return self

    def __exit__(self, *exception) -> None:
        try:
            self.chains.close()
            self.lines.close()
        finally:
            Path(self.lines.name).unlink(missing_ok=True)

    def add(self, chain: conversion.Chain) -> None:
        self.places.append((self.chains.tell(), self.lines.tell()))
        self.references.append(chain.reference)
        pickle.dump(replace(chain, line=""), self.chains, pickle.HIGHEST_PROTOCOL)
        self.lines.write(chain.line.encode())

    def close(self) -> None:
        """Move the file of all rows to its place."""
        self.lines.close()
        os.replace(self.lines.name, self.path)

    def drawn(self, numbers: list[int]) -> Iterator[conversion.Chain]:
        for number in numbers:
            self.chains.seek(self.places[number][0])
            yield pickle.load(self.chains)

    def drawn_lines(self, numbers: list[int]) -> Iterator[bytes]:
        with open(self.path, "rb") as lines:
            for number in numbers:
                lines.seek(self.places[number][1])
                yield lines.readline()


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

    def sweep(self) -> None:
        """Remove what a killed run had begun to write."""
        for folder in {path.parent for path in self.paths()}:
            for leftover in folder.glob(PARTS):
                leftover.unlink(missing_ok=True)

    def all_exist(self) -> bool:
        return all(path.is_file() for path in self.paths())

    def check(self) -> None:
        """Refuse to replace files of the same name that another tool wrote."""
        found = [path for path in self.paths() if path.is_file()]
        if found and not self.args.overwrite and not (self.account / SETTINGS_FILE).is_file():
            raise UserError(
                f"{found[0]} was not written by this command: --overwrite replaces it, another --output-dir keeps both"
            )

    def write(self, kept: Kept, form: conversion.Form) -> None:
        drawn = conversion.draw(len(kept.places), self.args.sample_size, self.args.seed)
        for old in self.folder.glob(f"{self.base}_*x_json/train.jsonl"):
            if re.fullmatch(rf"{re.escape(self.base)}_\d+x_json", old.parent.name):
                old.unlink()
        kept.close()
        with closing(in_order(kept.drawn(drawn), form.columns, self.args.jobs)) as answers:
            rows = (_row(chain, answer) for chain, answer in answers)
            self.over = conversion.write_table(self.table, rows, [kept.references[number] for number in drawn])
        with atomic_file(self.drawn) as out:
            out.writelines(kept.drawn_lines(drawn))
        if self.repeated:
            with atomic_file(self.repeated) as out:
                for _ in range(self.args.repeats):
                    with open(self.all, "rb") as lines:
                        shutil.copyfileobj(lines, out)

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
            print(
                f"  {self.over} rows of {self.table} are longer than {conversion.USUAL_CONTEXT} tokens: see --max-tokens"
            )
        print(f"  the reason for every loss: {self.account / ACCOUNT_FILE}")
        run = {"SRC_NAME": self.table.parent.name}
        if self.folder.resolve() != PROCESSED:
            run["DATASET_BASE"] = self.folder
        if self.args.tokenizer != DEFAULT_TOKENIZER:
            local = Path(self.args.tokenizer)
            run["TOKENIZER"] = local if local.exists() else self.args.tokenizer
        print(f"Next (with PLAN=1 it only reports what it would cost):  {shown_run(**run, PLAN='1')}")


def _row(chain: conversion.Chain, answer: Mapping[str, object] | Died) -> Mapping[str, object]:
    if isinstance(answer, Died):
        raise UserError(f"the row of {chain.id} cannot be made: {answer.detail}")
    return answer


def print_gaps(given: Generated, problems: list[Problem]) -> None:
    """Warn on stderr of damaged lines, missing splits and problems without an output."""
    for place in given.unreadable:
        print(f"{place} is cut off or damaged and was skipped: its sample is not in the output", file=sys.stderr)
    if given.missing:
        print(f"missing: split {', '.join(map(str, given.missing))} of the run", file=sys.stderr)
    covered = len(given.outputs.rows())
    if covered < len(problems):
        print(f"{len(problems) - covered} of {len(problems)} problems have no output", file=sys.stderr)


if __name__ == "__main__":
    run_command(main)
