"""Stage 0: read the chains of a source, grade them, and decide which are collected."""

from __future__ import annotations

import json
from argparse import ArgumentTypeError
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from pathlib import Path

from threadweaver import grading
from threadweaver.corpus.columns import SHORTEST_CHAIN
from threadweaver.corpus.readers import SourceRow
from threadweaver.corpus.reading import Contents, Reading, Trace
from threadweaver.corpus.repetition import DEGENERATE_SHARE, repeated_share
from threadweaver.corpus.shapes import ROLES
from threadweaver.corpus.sources import Source, SourceOptions, first_of, read_contents, sample_of
from threadweaver.files import digest, to_json
from threadweaver.runs.flags import Flags
from threadweaver.runs.pool import Died, in_order
from threadweaver.runs.runner import WORKER_DIED, Result, Task
from threadweaver.runs.shards import Shard
from threadweaver.samples import Sample, Spooled
from threadweaver.stages.collected import ROW, RowsRead
from threadweaver.stages.hygiene import Faults, Hygiene
from threadweaver.stages.reference_checks import ReferenceChecks
from threadweaver.text import unstorable
from threadweaver.trajectory.markup import reserved_tag

MIN_CHARS = SHORTEST_CHAIN
"""A shorter chain is `too_short`: two threads of it could not save the 200 characters that a block must save."""
BATCH = 200
"""Rows that are graded at a time; the first ones decide whether the reference answers can be trusted."""
TRACES = ("first", "best", "all")


@dataclass(frozen=True, slots=True)
class CollectOptions:
    """Which chains of a source are collected; the command's flags have the same names."""

    traces: str = "first"
    keep_wrong: bool = False
    grade: bool = True
    trust_reference: bool = False
    benchmark: tuple[Path, ...] = ()
    dedupe: bool = False
    max_failed: str = "0"
    shard: Shard | None = None
    """The rows that are collected, if they are not all: the rest is read for what needs the whole source."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A chain of the source, or a row in which none can be read.

    `reason` says why it is not collected; "malformed" is a failure, and `detail` says where.
    """

    id: str
    row: int
    source: str
    sample: Sample | None = None
    reason: str | None = None
    detail: str = ""
    facts: Mapping[str, object] = field(default_factory=dict)
    answer: str | None = None
    """The final answer, where it is to be graded."""
    graded: str | None = None
    """The verdict on it, where it takes no algebra."""


# ---- flags


def add_flags(parser: Flags) -> None:
    """Add the flags that say what is read of a source and which of its chains are collected."""
    parser.add_shared("--dataset_path")
    parser.add_shared("--max_samples", default=1000)
    parser.add_shared("--shard")
    parser.add_shared("--keep-wrong")
    add = parser.add_argument
    parser.add_shared("--split")
    add("--subset", help="subset to read, of a dataset that has several")
    add(
        "--map",
        type=_columns,
        default={},
        metavar="ROLE=COLUMN,…",
        help=f"which column is the {', '.join(ROLES)}; a.b[0] reaches inside, nothing after = means that there is none",
    )
    add("--problems", type=Path, metavar="FILE", help="the problems, where the dataset is a folder of chains as .txt")
    add(
        "--traces",
        choices=TRACES,
        default="first",
        help="of a row with several chains: the first that is not marked wrong, the best as graded, or all (first)",
    )
    add("--no-grade", action="store_true", help="do not compare final answers with the reference answers")
    add("--trust-reference", action="store_true", help="continue although most chains disagree with the references")
    parser.add_shared("--benchmark", help="leave out problems of these datasets")
    parser.add_shared("--dedupe")


def _columns(text: str) -> dict[str, str]:
    """Read `problem=a,chain=b[0]`."""
    given = {}
    for part in text.split(","):
        role, found, column = (piece.strip() for piece in part.partition("="))
        if not found or role not in ROLES:
            raise ArgumentTypeError(f"{part.strip()!r} is not one of {', '.join(f'{name}=COLUMN' for name in ROLES)}")
        given[role] = column
    return given


def source_options(args) -> SourceOptions:
    return SourceOptions(args.split, args.subset, args.map, args.problems)


def collect_options(args) -> CollectOptions:
    return CollectOptions(
        args.traces,
        args.keep_wrong,
        not args.no_grade,
        args.trust_reference,
        tuple(args.benchmark),
        args.dedupe,
        "100%" if args.shard else getattr(args, "max_failed", "100%"),  # of shards, judged when they are merged
        args.shard,
    )


# ---- one row


def source_hash(row: SourceRow) -> str:
    """Return the hash of a row, which the account keeps."""
    return digest(json.dumps(row.fields, sort_keys=True, default=str))


def read_row(row: SourceRow, reading: Reading, dataset: str, traces: str) -> list[Candidate]:
    """Return the chains of a row that come into question: one, or with `best` and `all` every one."""
    id, source = str(row.index), source_hash(row)
    try:
        contents = read_contents(row, reading)
    except ValueError as error:
        return [Candidate(id, row.index, source, reason="malformed", detail=f"{row.place}: {error}")]
    chosen = [first_of(contents.traces)] if traces == "first" else contents.traces
    return [_candidate(row, source, contents, trace, dataset) for trace in chosen]


def _candidate(row: SourceRow, source: str, contents: Contents, trace: Trace, dataset: str) -> Candidate:
    if trace.fault:
        detail = f"{row.place}: no chain: {trace.fault}" + (f" ({trace.detail})" if trace.detail else "")
        return Candidate(str(row.index), row.index, source, None, trace.fault, detail, {"trace": trace.number})
    sample = sample_of(row, contents, trace, dataset)
    reason = unfit(sample)
    if reason or sample.solution in ("", None, []) or (answer := final_answer(sample)) is None:
        return Candidate(str(row.index), row.index, source, sample, reason)
    return Candidate(str(row.index), row.index, source, sample, answer=answer)


def unfit(sample: Sample) -> str | None:
    """Return the reason code if a chain must not be collected, whatever it concludes, else None."""
    if reason := unstorable([sample.thinking, sample.problem, sample.output, sample.solution]):
        return reason
    if reserved_tag(sample.thinking) or any(
        reserved_tag(part, think=False) for part in (sample.problem, sample.output)
    ):
        return "contains_markup"
    if len(sample.thinking.strip()) < MIN_CHARS:
        return "too_short"
    if "\n" not in sample.thinking.strip():  # a thread is at least a line: every call for it would be for nothing
        return "one_line"
    if repeated_share(sample.thinking) >= DEGENERATE_SHARE:
        return "looping"
    return None


def final_answer(sample: Sample) -> str | None:
    """Return the boxed answer of the output or, if it has none, of the chain."""
    return grading.final_answer(sample.output) or grading.final_answer(sample.thinking)


# ---- grading


@dataclass(frozen=True, slots=True)
class RowReader:
    """Reads rows, and grades what takes no algebra; for any process."""

    reading: Reading
    dataset: str
    traces: str
    grade: bool

    def __call__(self, row: SourceRow) -> list[Candidate]:
        found = read_row(row, self.reading, self.dataset, self.traces)
        return [self._graded(candidate) if candidate.answer is not None else candidate for candidate in found]

    def _graded(self, candidate: Candidate) -> Candidate:
        verdict = grading.at_once(candidate.answer, candidate.sample.solution, rewards=False) if self.grade else None
        return replace(candidate, graded=verdict.verdict) if verdict else candidate


def grade(rows: Sequence[list[Candidate]], grader: grading.Grader, known: Callable[[Candidate], str | None]) -> list:
    """Return the rows with the verdict on every sample whose form is fit: `graded` in its columns."""
    asked = {
        (row, place): (candidate.answer, candidate.sample.solution)
        for row, candidates in enumerate(rows)
        for place, candidate in enumerate(candidates)
        if candidate.answer is not None and candidate.graded is None and not known(candidate)
    }
    verdicts = dict(zip(asked, grader.grade_many(asked.values()), strict=True))

    def graded(row: int, place: int, candidate: Candidate) -> Candidate:
        if candidate.sample is None:
            return candidate
        verdict = verdicts.get((row, place))
        found = known(candidate) or (verdict.verdict if verdict else candidate.graded) or "none"
        extra = {"graded": found} | dict(candidate.sample.extra)
        return replace(candidate, sample=replace(candidate.sample, extra=extra))

    return [
        [graded(row, place, candidate) for place, candidate in enumerate(candidates)]
        for row, candidates in enumerate(rows)
    ]


def judge(candidate: Candidate, *, keep_wrong: bool) -> Candidate:
    """Return a graded candidate with its reason, if it is marked or graded wrong: a mark counts more than a grade."""
    sample = candidate.sample
    if sample is None:
        return candidate
    graded = sample.extra.get("graded")
    wrong = "wrong" if sample.correctness is False else None
    if sample.correctness is None and graded == "wrong":
        wrong = "graded_wrong"
    disagrees = {"disagreement": True} if sample.correctness and graded == "wrong" else {}
    reason = candidate.reason if keep_wrong or not wrong else wrong
    return replace(candidate, reason=reason, facts={"graded": graded, **disagrees})


def best_of(candidates: Sequence[Candidate]) -> Candidate:
    """Return the chain of a row that can be collected and is graded best; then the marked one, then the first."""

    def rank(candidate: Candidate) -> tuple:
        sample = candidate.sample
        if sample is None:
            return (2,)
        grades = ("correct", "undecided", "none", "wrong")
        return (bool(candidate.reason), grades.index(sample.extra["graded"]), not sample.correctness)

    return min(candidates, key=rank)


def name_all(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Return the chains of a row under their own names: the first that is kept has that of the row, `<i>`; `<i>.<t>`."""
    if len(candidates) == 1:
        return list(candidates)
    first = next((candidate for candidate in candidates if not candidate.reason), None)
    return [candidate if candidate is first else _renamed(candidate) for candidate in candidates]


def _renamed(candidate: Candidate) -> Candidate:
    sample = candidate.sample
    if sample is None:
        return replace(candidate, id=f"{candidate.row}.{candidate.facts['trace']}")
    further = f".{sample.extra['trace']}"
    return replace(candidate, id=f"{candidate.id}{further}", sample=replace(sample, uuid=sample.uuid + further))


# ---- a source


def candidates(
    source: Source,
    limit: int,
    options: CollectOptions,
    known: Callable[[Candidate], str | None] = lambda _: None,
    every: RowsRead | None = None,
    jobs: int = 1,
) -> Iterator[Candidate]:
    """Yield the candidates of the first rows, decided. `known` gives the grade of an earlier run, `every` is given the
    hash of each row; at most `jobs` processes read and grade.

    Raises UserError for more malformed rows than are allowed, and when the reference answers cannot be trusted. Only a
    batch of rows is in memory. Of a shard, all rows are read, and its own are yielded.
    """
    hygiene = Hygiene(options)
    checks = ReferenceChecks(source.path, options.trust_reference) if options.grade else None
    faults = Faults(options.max_failed, limit, BATCH)
    reader = RowReader(source.reading, source.name, options.traces, options.grade)
    with grading.Grader(rewards=False) as grader, closing(in_order(source.rows(limit), reader, jobs)) as answers:
        rows = (_died(row, found) if isinstance(found, Died) else found for row, found in answers)
        while read := list(islice(rows, BATCH)):
            faults.add(read, rows)
            if every:
                every.add(found[0].source for found in read)
            if options.grade:
                read = grade(read, grader, partial(grade_known, options, known, checked=checks.done or checks.trusted))
                checks.add([candidate for found in read for candidate in found])
            else:
                read = grade(read, grader, lambda _: "none")
            for found in read:
                judged = [judge(candidate, keep_wrong=options.keep_wrong) for candidate in found]
                judged = [best_of(judged)] if options.traces == "best" else judged
                kept = hygiene(judged)
                if options.shard is None or options.shard.takes(found[0].row):
                    yield from name_all(kept)
    faults.close()


def _died(row: SourceRow, died: Died) -> list[Candidate]:
    return [Candidate(str(row.index), row.index, "", reason=WORKER_DIED, detail=f"{row.place}: {died.detail}")]


def grade_known(
    options: CollectOptions, known: Callable[[Candidate], str | None], candidate: Candidate, *, checked: bool
) -> str | None:
    """Return the grade that need not be asked for: that of an earlier run or, for a row of another shard, "none".

    A grade of another shard's row matters for the checks of the references, until they are `checked`, and with
    `--dedupe` where it decides whether the chain is collected: of two equal problems the first such one is.
    """
    sample, others = candidate.sample, options.shard and not options.shard.takes(candidate.row)
    decides = options.dedupe and sample is not None and sample.correctness is None and not options.keep_wrong
    return "none" if others and checked and not decides else known(candidate)


# ---- as a stage


def to_task(candidate: Candidate) -> Task:
    """Return the task of a candidate: its payload is the candidate and, if it is collected, its row as JSON."""
    sample = candidate.sample
    line = to_json(sample.to_row()) if sample and not candidate.reason else ""
    return Task(candidate.id, candidate.source, (candidate, line), sample.uuid if sample else "")


def collect(task: Task) -> Result:
    """Return what becomes of a candidate."""
    candidate, line = task.payload
    if candidate.reason in ("malformed", WORKER_DIED):
        return Result("failed", candidate.reason, facts={"error": candidate.detail})
    facts = {**candidate.facts, **({"detail": candidate.detail} if candidate.detail else {})}
    if candidate.reason:
        return Result("rejected", candidate.reason, facts=facts)
    sample = candidate.sample
    facts |= {"chars": len(sample.thinking), "lines": sample.thinking.count("\n") + 1, ROW: digest(line)}
    return Result("ok", files={f"{sample.name}.txt": sample.thinking + "\n"}, facts=facts, value=sample)


def collected(source: Source, limit: int, options: CollectOptions, jobs: int = 1) -> tuple[Spooled, Counter[str]]:
    """Return the samples that would be collected, and how many chains would not, by reason."""
    samples, lost = Spooled(), Counter()
    for candidate in candidates(source, limit, options, jobs=jobs):
        if candidate.reason:
            lost[candidate.reason] += 1
        else:
            samples.append(candidate.sample)
    return samples, lost
