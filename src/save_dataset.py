"""Save the accepted trajectories as a Hugging Face dataset, and tell what became of every sample of the run.

Reads   collected.jsonl (--input), the accepted trajectories (--trajectory-glob) with their traces
Writes  <output>/sample_<k>/train.parquet, <output>/sample_<k>_<R>x/train.parquet, with --val-size also
        <output>/val_<m>/val.parquet; with --units <output>/units_<u>/train.parquet (of rows held out val_units_<v>/val.parquet):
        the training rows as pairs <context, continuation>, one for each request of fork-join generation;
        a card (README.md) in each; beside the collected folder <…>_report.html and .json
Calls   nothing
Exits   0; 2 something to mend, said in one line
Example python src/save_dataset.py --tokenizer data/sample/tokenizer --input data/sample_24samples/collected.jsonl --trajectory-glob 'data/sample_24samples_step5_v1_v1_v1/*.txt' --output dataset/sample_24samples_v111
"""

from __future__ import annotations

import glob
import os
import random
import sys
from collections import Counter
from functools import cached_property
from pathlib import Path

from threadweaver.corpus import chat, training_rows
from threadweaver.corpus.tokenizer import DEFAULT_TOKENIZER, Tokenizer, load_tokenizer, short_name
from threadweaver.errors import UserError
from threadweaver.files import digest, read_jsonl, to_json
from threadweaver.runs import account, statistics
from threadweaver.runs import report as report_page
from threadweaver.runs.command import run_command
from threadweaver.runs.flags import Flags
from threadweaver.runs.folder import StageFolder
from threadweaver.runs.runner import Result, StageReport, Task, run_stage
from threadweaver.runs.summary import exit_code, print_no_calls, print_summary
from threadweaver.samples import Sample, read_collected, sample_key
from threadweaver.stages.traced import Traced, is_lineage_of, read_traced
from threadweaver.trajectory import markup
from threadweaver.trajectory.measures import MAX_BLOCKS

MAX_TOKENS = 40960
"""Training length allowed: what the published trainer's context holds."""


def flags() -> Flags:
    parser = Flags(__doc__)
    parser.add_argument("--input", type=Path, required=True, help="collected.jsonl or its folder")
    parser.add_argument(
        "--trajectory-glob", required=True, help="the accepted trajectories, e.g. 'data/…_step5_…/*.txt'"
    )
    parser.add_argument("--output", type=Path, required=True, help="the dataset's folder")
    parser.add_argument(
        "--tokenizer", "--qwen-model", default=DEFAULT_TOKENIZER, help=f"name or local path ({DEFAULT_TOKENIZER})"
    )
    parser.add_argument(
        "--trajectory-strict", action="store_true", help="stop when a collected sample has no trajectory"
    )
    parser.add_argument("--trajectory-matched-only", action="store_true", help="leave out samples without a trajectory")
    parser.add_argument(
        "--build-chat", action="store_true", default=True, help="add the chat columns (always on; --no-build-chat)"
    )
    parser.add_argument("--no-build-chat", dest="build_chat", action="store_false", help="leave the chat columns out")
    parser.add_argument(
        "--template", choices=("qwen", "deepseek"), default="qwen", help="deepseek adds its columns (qwen)"
    )
    parser.add_argument("--instruction", default=chat.INSTRUCTION, help="put after the question, once")
    parser.add_argument("--max-tokens", type=int, default=MAX_TOKENS, help=f"training length allowed ({MAX_TOKENS})")
    parser.add_argument("--sample-size", type=int, help="save so many rows, drawn at random (all)")
    parser.add_argument("--val-size", type=int, default=0, help="rows held out; no problem stands on both sides (0)")
    parser.add_argument("--repeat", type=int, default=8, help="also save the rows repeated so many times (8)")
    parser.add_argument("--seed", type=int, default=0, help="of --sample-size and --val-size (0)")
    parser.add_argument(
        "--units",
        action="store_true",
        help="also save the rows as pairs <context, continuation>: columns uuid, unit, kind (outlines, thread or end), block, thread, "
        "context, continuation, num_context_tokens, num_continuation_tokens (each tag one token)",
    )
    parser.add_argument(
        "--no-sanitize", action="store_true", help="keep rows whose text holds a special token of the tokenizer"
    )
    parser.add_argument(
        "--review", type=Path, metavar="FILE", help="the viewer's review.jsonl: rows rejected there are left out"
    )
    parser.add_argument("--license", help="licence of the data, for the card (e.g. apache-2.0)")
    parser.add_argument("--source", help="where the chains come from, for the card (the dataset's name)")
    parser.add_common()
    return parser


def main(argv: list[str] | None) -> int:
    args = flags().parse_args(argv)
    if args.plan:
        return print_no_calls("save")
    if args.units and not args.build_chat:
        raise UserError("--units are made of the chat columns: leave --no-build-chat out")
    samples = {str(sample.index): sample for sample in read_collected(args.input)}
    trajectories = read_trajectories(args, samples)
    saver = Saver(args, samples, trajectories)
    with StageFolder(args.output, saver.settings(), overwrite=args.overwrite) as folder:
        report = run_stage(saver.tasks(), saver, folder, total=len(saver.ids), title="save")
        run = account.read(args.output)
        account.check(run)
        saver.write(report, run)
    print_summary("save", report, args.output)
    page = report_page.write(run, report_stem(args.input))
    tell(run, saver, report)
    print(f"The account as a page:  {account.relative(page)}")
    return exit_code(report, args.max_failed)


def report_stem(collected: Path) -> Path:
    """Beside the run's folders: data/<NAME>_<N>samples_report."""
    folder = collected.parent if collected.is_file() else collected
    return folder.with_name(f"{folder.name}_report")


def read_trajectories(args, samples: dict[str, Sample]) -> dict[str, Traced]:
    """The accepted trajectories by sample number, each held against the chain that it claims to come from."""
    paths = sorted((Path(name) for name in glob.glob(args.trajectory_glob)), key=lambda path: sample_key(path.name))
    if not paths:
        raise UserError(
            f"no trajectory matches {args.trajectory_glob}: nothing was accepted, or name another --trajectory-glob"
        )
    found = {path.stem: read_traced(path) for path in paths}
    for id, traced in found.items():
        sample = samples.get(id)
        if sample is None:
            raise UserError(
                f"the trajectory {id}.txt has no collected sample in {args.input}: they are of different runs"
            )
        if traced.record and traced.record.uuid != sample.uuid:
            raise UserError(
                f"the trajectory {id}.txt is of {traced.record.uuid}, the collected sample is {sample.uuid}"
            )
        if traced.record and not is_lineage_of(traced.record, sample.thinking):
            raise UserError(f"the trajectory {id}.txt was made from another chain than {args.input} holds")
    if args.trajectory_strict and (missing := [id for id in samples if id not in found]):
        raise UserError(
            f"{len(missing)} collected samples have no trajectory (first: {missing[0]}); --trajectory-strict"
        )
    return found


def read_review(path: Path) -> dict[str, str]:
    """uuid -> verdict, as the viewer writes them; raises UserError at a line that is none."""
    if not path.is_file():
        raise UserError(f"the review {path} is not there: name the review.jsonl that the viewer wrote")
    verdicts = {}
    for number, row, fault in read_jsonl(path):
        if not isinstance(row, dict) or "uuid" not in row or "verdict" not in row:
            raise UserError(f"{path}, line {number}: {fault or 'no review (uuid and verdict are needed)'}")
        verdicts[row["uuid"]] = row["verdict"]
    return verdicts


class Saver:
    """Decides on each row, and writes the files when all are decided."""

    def __init__(self, args, samples: dict[str, Sample], trajectories: dict[str, Traced]):
        self.args, self.samples, self.trajectories = args, samples, trajectories
        self.folder = Path(args.trajectory_glob).parent
        self.review = read_review(args.review) if args.review else {}
        self.ids = [id for id in samples if id in trajectories or not args.trajectory_matched_only]
        self.drawn = set(self.ids)
        if args.sample_size is not None and args.sample_size < len(self.ids):
            self.drawn = set(random.Random(args.seed).sample(self.ids, args.sample_size))

    @cached_property
    def tokenizer(self) -> Tokenizer | None:
        return load_tokenizer(self.args.tokenizer) if self.args.build_chat else None

    @cached_property
    def tagged(self) -> Tokenizer:
        """The tokenizer as trainers set it up, with the tags as single tokens."""
        return self.tokenizer.with_tags(markup.TAGS)

    def settings(self) -> dict:
        args = self.args
        names = (
            "template",
            "instruction",
            "max_tokens",
            "sample_size",
            "val_size",
            "repeat",
            "seed",
            "license",
            "source",
        )
        return {
            "stage": "save",
            "input": os.path.relpath(self.folder, args.output),
            "tokenizer": short_name(args.tokenizer),
            "build_chat": args.build_chat,
            "review": digest(to_json(self.review)) if self.review else None,
            "matched_only": args.trajectory_matched_only,
            "sanitize": not args.no_sanitize,
            **{name: getattr(args, name) for name in names},
            **({"units": True} if args.units else {}),
        }

    def tasks(self):
        for id in self.ids:
            sample, traced = self.samples[id], self.trajectories.get(id)
            source = digest(to_json(sample.to_row()) + (traced.text if traced else ""))
            yield Task(id, source, sample, sample.uuid)

    def reasoning(self, id: str) -> tuple[str, str]:
        """What is saved as the reasoning, and where it comes from."""
        traced = self.trajectories.get(id)
        return (traced.text, f"{self.folder.name}/{id}.txt") if traced else (self.samples[id].thinking, "sequential")

    def row(self, id: str) -> training_rows.Row:
        reasoning, source = self.reasoning(id)
        return training_rows.build_row(
            self.samples[id],
            reasoning,
            source,
            self.tokenizer,
            instruction=self.args.instruction,
            deepseek=self.args.template == "deepseek",
        )

    def __call__(self, task: Task) -> Result:
        if self.review.get(task.uuid) == "reject":
            return Result("rejected", "review")
        if task.id not in self.drawn:
            return Result("rejected", "not_drawn")
        if (
            self.tokenizer
            and not self.args.no_sanitize
            and (token := training_rows.special_token(task.payload, self.reasoning(task.id)[0], self.tokenizer))
        ):
            return Result("rejected", "special_token", facts={"detail": token})
        row = self.row(task.id)
        facts = {"training_length": row.training_length}
        if row.training_length > self.args.max_tokens:
            return Result("rejected", "over_max_tokens", facts=facts)
        return Result("ok", facts=facts)

    def write(self, report: StageReport, run: account.Account) -> None:
        """All parquet files and cards; left alone when nothing changed and they are there."""
        kept = [entry.id for entry in report.entries if entry.outcome == "ok"]
        if not kept:
            raise UserError(f"no row is left to save ({dict(Counter(entry.reason for entry in report.entries))})")
        if not report.fresh and self.files(len(kept)):
            return
        rows = [self.row(id) for id in kept]
        train, validation = training_rows.split_validation(rows, self.args.val_size, self.args.seed)
        name = self.args.output.name
        for old in self.args.output.glob("*/*.parquet"):
            old.unlink()
        for prefix, part, split in (("units", train, "train"), ("val_units", validation, "val")):
            if part and self.args.units:
                pairs = (pair for row in part for pair in training_rows.unit_rows(row, self.tagged))
                training_rows.write_units(
                    self.args.output, prefix, pairs, f"{name}, {split}, units", {"rows": len(part)}, split=split
                )
        for folder, part, split, repeat in (
            (f"sample_{len(train)}", train, "train", 1),
            (f"sample_{len(train)}_{self.args.repeat}x", train, "train", self.args.repeat),
            (f"val_{len(validation)}", validation, "val", 1),
        ):
            if part and not (split == "train" and folder.endswith("x") and repeat < 2):
                card = training_rows.card(
                    f"{name}, {split}",
                    self.facts(part, repeat, run),
                    [item.settings for item in run.stages],
                    self.args.license,
                    self.args.source or self.origin(run),
                )
                training_rows.write(self.args.output / folder, part, card, split=split, repeat=repeat)

    def files(self, rows: int) -> bool:
        written = ("sample_*/train.parquet", *(["units_*/train.parquet"] if self.args.units else []))
        return all(any(self.args.output.glob(name)) for name in written)

    def facts(self, rows: list[training_rows.Row], repeat: int, run: account.Account) -> dict:
        counts = {account.STAGES[item.stage]: len(item.passed) for item in run.stages}
        read = {"read": len(run.stages[0].entries)} if run.stages else {}
        return {"rows": len(rows) * repeat, "repeated": repeat, **read, **counts}

    def origin(self, run: account.Account) -> str:
        first = run.stage("collect")
        return str(first.settings["dataset"]) if first else self.args.input.parent.name


def tell(run: account.Account, saver: Saver, report: StageReport) -> None:
    """The funnel, the measures beside the published ones, and what to type next."""
    print("\nWhat became of every sample\n" + account.tell(run, colour=sys.stdout.isatty()))
    filtered = run.stage("filter")
    if filtered:
        saved = {entry.id for entry in report.entries if entry.outcome == "ok"}
        summary = statistics.summarize([entry for entry in filtered.entries if entry.id in saved])
        print("\nThe rows saved, beside the published run\n" + statistics.comparison(summary))
        if over := summary["over_15_blocks"]:
            print(f"  {over} rows have more than {MAX_BLOCKS} blocks: rollouts would be cut there")
    output = account.relative(saver.args.output)
    shown = next(iter(sorted(saver.args.output.glob("sample_*/train.parquet"))), None)
    if shown:
        print(f'\nLoad it:  datasets.load_dataset("parquet", data_files="{account.relative(shown)}")')
    for pairs in sorted(saver.args.output.glob("units_*/train.parquet")):
        print(f"The same as pairs <context, continuation>:  {account.relative(pairs)}")
    viewed = account.relative(filtered.folder) if filtered else output
    print(f"Look at it:  python src/visualize_trajectories.py --root {viewed} --port 8899")


if __name__ == "__main__":
    run_command(main)
