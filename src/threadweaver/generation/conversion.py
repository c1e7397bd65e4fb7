"""From sampled outputs to training rows: filter the outputs, then build the rows.

A step of the sieve takes the chains that are left and yields, in the same order, each chain or the reason of its loss.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from itertools import chain as chain_of
from itertools import groupby
from pathlib import Path

from threadweaver import grading
from threadweaver.corpus import chat, training_rows
from threadweaver.corpus.contamination import Benchmarks, bare
from threadweaver.corpus.duplicates import Seen
from threadweaver.corpus.thinking import FailedCut, Tags, cut, trim, unwrap
from threadweaver.corpus.tokenizer import Tokenizer
from threadweaver.files import atomic_file, row_groups, to_json, write_parquet
from threadweaver.generation.outputs import Output, Unread
from threadweaver.generation.problems import Problem
from threadweaver.grading import Verdict
from threadweaver.runs.pool import Died, in_order
from threadweaver.runs.runner import WORKER_DIED
from threadweaver.text import unstorable
from threadweaver.trajectory import markup
from threadweaver.trajectory.measures import measure

USUAL_CONTEXT = 40960
"""The published trainer's context in tokens: longer rows are reported."""
TEMPLATES = ("qwen", "deepseek", "model")
RULES = ("first", "shortest", "random")


@dataclass(frozen=True, slots=True)
class Loss:
    """Why an output does not become a row: the reason in its account entry, and a detail."""

    reason: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Chain:
    """One output, cut into thinking and answer: what is graded is what is saved."""

    row: int
    sample: int
    problem: str
    thinking: str
    answer: str
    reference: object
    verdict: Verdict | None = None
    line: str = ""
    """Of a chain that passed the sifter: its row in the file of all rows."""
    facts: Mapping[str, object] = field(default_factory=dict)
    """Of the same: its `judgement`."""

    @property
    def id(self) -> str:
        return f"{self.row}-{self.sample}"

    @property
    def final(self) -> str | None:
        """The final answer: that of the thinking where no answer follows it."""
        return grading.final_answer(self.answer or self.thinking)

    @property
    def pair(self) -> tuple[str | None, object]:
        """The final answer and the reference, as they are graded."""
        return self.final, () if self.reference is None else self.reference


Step = Callable[[Sequence[Chain]], Iterable[Chain | Loss]]


def read(output: Output, problem: Problem, think_tags: Sequence[Tags], answer_tags: Sequence[Tags]) -> Chain | Loss:
    """Return the chain of an output, or why there is none."""
    if output.text is None or not output.text.strip():
        return Loss("no_output")
    if reason := unstorable(output.text):
        return Loss(reason)
    found = cut(output.text, think_tags)
    if isinstance(found, FailedCut):
        return Loss(found.reason, found.detail)
    thinking, answer = map(trim, found)
    if not thinking:
        return Loss("no_thinking")
    return Chain(output.row, output.sample, problem.text, thinking, unwrap(answer, answer_tags), problem.reference)


@dataclass(frozen=True, slots=True)
class Sifted:
    """What became of an output so far: a chain, whose verdict may need algebra, or its loss with what was decided."""

    id: str
    result: Chain | Loss
    facts: Mapping[str, object] = field(default_factory=dict)
    """The verdict on a chain that was lost after it was graded."""

    @property
    def open(self) -> bool:
        """Whether the chain has yet to be graded."""
        return isinstance(self.result, Chain) and self.result.verdict is None


@dataclass
class Sifter:
    """Applies to an output all filters that look at one chain alone, the cheap ones first; for any process."""

    think_tags: Sequence[Tags]
    answer_tags: Sequence[Tags]
    special: Sequence[str]
    """Special tokens of the tokenizer, which would end the turn too early."""
    form: Form
    require_parallel: bool = False
    benchmarks: Benchmarks | None = None
    keep_wrong: bool = False
    keep_undecided: bool = False
    max_tokens: int | None = None

    def __post_init__(self) -> None:
        self._before: list[Step] = [sanitize(self.special)]
        self._before += [parallel] if self.require_parallel else []
        self._before += [decontaminate(self.benchmarks, self.form.instruction)] if self.benchmarks else []
        self._after: list[Step] = [pick(keep_wrong=self.keep_wrong, keep_undecided=self.keep_undecided)]
        self._after += [within(self.max_tokens, self.form.lengths)] if self.max_tokens else []

    def __call__(self, item: tuple[Unread, Problem]) -> Sifted:
        unread, problem = item
        output = unread.read()
        id = f"{output.row}-{output.sample}"
        found = _through(self._before, read(output, problem, self.think_tags, self.answer_tags))
        if isinstance(found, Loss):
            return Sifted(id, found)
        verdict = grading.at_once(*found.pair)
        return self.graded(Sifted(id, found), verdict) if verdict else Sifted(id, found)

    def graded(self, sifted: Sifted, verdict: Verdict) -> Sifted:
        """Apply the filters that need the verdict."""
        chain = replace(sifted.result, verdict=verdict)
        found = _through(self._after, chain)
        judged = judgement(chain)
        left = replace(found, line=self.form.line(found), facts=judged) if isinstance(found, Chain) else found
        return Sifted(sifted.id, left, judged)


def _through(steps: Sequence[Step], found: Chain | Loss) -> Chain | Loss:
    for step in steps:
        if isinstance(found, Loss):
            return found
        [found] = step([found])
    return found


def sift(items: Iterable[tuple[Unread, Problem]], sifter: Sifter, jobs: int) -> Iterator[Sifted]:
    """Yield what becomes of every output, in order, worked on by at most `jobs` processes; algebra has its own."""
    with grading.Grader(jobs) as grader, closing(in_order(items, sifter, jobs)) as answers:
        found = (_died(item, answer) if isinstance(answer, Died) else answer for item, answer in answers)
        for sifted, verdict in grader.grade_each(found, _pair):
            yield sifter.graded(sifted, verdict) if verdict else sifted


def _pair(sifted: Sifted) -> tuple[str | None, object] | None:
    return sifted.result.pair if sifted.open else None


def _died(item: tuple[Unread, Problem], died: Died) -> Sifted:
    return Sifted(f"{item[0].row}-{item[0].sample}", Loss(WORKER_DIED, died.detail))


def judgement(chain: Chain) -> dict[str, object]:
    """Return the verdict as facts of an account entry; empty before grading."""
    if chain.verdict is None:
        return {}
    verdict = chain.verdict
    return {"verdict": verdict.verdict, "how": verdict.how, "rl": verdict.rl, "answer": (chain.final or "")[:200]}


def sanitize(tokens: Sequence[str]) -> Step:
    """Drop texts with one of these tokens."""

    def step(chains: Iterable[Chain]) -> Iterator[Chain | Loss]:
        for chain in chains:
            token = training_rows.special_token((chain.problem, chain.thinking, chain.answer), tokens)
            yield Loss("special_token", token) if token else chain

    return step


def parallel(chains: Sequence[Chain]) -> Iterator[Chain | Loss]:
    """Keep well-formed trajectories with a block, in the canonical form (only white space around tags changes)."""
    for chain in chains:
        if any(markup.reserved_tag(text) for text in (chain.problem, chain.answer)):
            yield Loss("contains_markup", "a markup tag in the problem or in the answer")
            continue
        try:
            trajectory = markup.parse(chain.thinking)
            text = trajectory.replace_blocks([markup.canonical(block) for block in trajectory.blocks])
        except markup.MarkupError as error:
            yield Loss(error.code, str(error))
            continue
        yield replace(chain, thinking=text) if trajectory.blocks else Loss("no_block")


def decontaminate(benchmarks: Benchmarks, instruction: str) -> Step:
    """Drop the chains of problems that are a benchmark's; each problem is looked up once."""
    found: dict[str, str | None] = {}

    def step(chains: Sequence[Chain]) -> Iterator[Chain | Loss]:
        for chain in chains:
            if chain.problem not in found:
                found[chain.problem] = benchmarks.find(bare(chain.problem, instruction))
            name = found[chain.problem]
            yield Loss("contaminated", name) if name else chain

    return step


def pick(*, keep_wrong: bool, keep_undecided: bool) -> Step:
    """Keep correct chains, and wrong or undecided ones if asked for."""

    def step(chains: Sequence[Chain]) -> Iterator[Chain | Loss]:
        for chain in chains:
            if chain.verdict.verdict == "undecided" and not keep_undecided:
                yield Loss("no_reference" if chain.reference is None else "undecided")
            elif chain.verdict.verdict == "wrong" and not keep_wrong:
                yield Loss("no_answer" if chain.final is None else "wrong")
            else:
                yield chain

    return step


def within(limit: int, length: Callable[[Sequence[Chain]], Iterable[int]]) -> Step:
    """Drop rows whose training length, in tokens, is above the limit."""

    def step(chains: Sequence[Chain]) -> Iterator[Chain | Loss]:
        for chain, tokens in zip(chains, length(chains), strict=True):
            yield Loss("over_max_tokens", f"{tokens} tokens") if tokens > limit else chain

    return step


def dedupe(chains: Iterable[Chain]) -> Iterator[Chain | Loss]:
    """Of problems that are the same but for a few words, keep the first that still has a chain."""
    seen = Seen()
    for chain in chains:
        row = seen.add(chain.problem, str(chain.row))
        yield chain if row == str(chain.row) else Loss("duplicate_problem", f"of row {row}")


def at_most(count: int, rule: str, seed: int) -> Step:
    """Keep at most `count` chains per problem: the first sampled, the shortest (in characters), or a random draw."""

    def step(chains: Iterable[Chain]) -> Iterator[Chain | Loss]:
        for row, group in groupby(chains, key=lambda chain: chain.row):
            found = list(group)
            chosen = {chain.id for chain in _best(found, count, rule, f"{seed}:{row}")}
            yield from (chain if chain.id in chosen else Loss("over_per_problem") for chain in found)

    return step


def _best(group: list[Chain], count: int, rule: str, seed: str) -> list[Chain]:
    if rule == "random":
        return random.Random(seed).sample(group, min(count, len(group)))
    if rule == "shortest":
        group = sorted(group, key=lambda chain: (len(chain.thinking) + len(chain.answer), chain.sample))
    return group[:count]


def draw(count: int, size: int, seed: int) -> list[int]:
    """Return the places of `size` of `count` chains drawn at random, in order, or of all if there are no more."""
    return list(range(count)) if count <= size else sorted(random.Random(seed).sample(range(count), size))


@dataclass(frozen=True, slots=True)
class Form:
    """How rows are written: the instruction after the question, and the template (one of TEMPLATES) of the text."""

    tokenizer: Tokenizer
    instruction: str = chat.INSTRUCTION
    template: str = "qwen"

    def turns(self, chain: Chain) -> list[dict[str, str]]:
        return chat.messages(chain.problem, chain.thinking, chain.answer, self.instruction)

    def line(self, chain: Chain) -> str:
        return to_json({"messages": self.turns(chain)}) + "\n"

    def text(self, chain: Chain) -> str:
        """Return the template's rendering with the think block; with `model`, prompt and turn as in generation."""
        render = chat.render_generated if self.template == "model" else chat.render
        return render(self.tokenizer, self.turns(chain))

    def lengths(self, chains: Iterable[Chain]) -> Iterator[int]:
        """Yield the training length of each row in tokens."""
        for chain in chains:
            text = self.text(chain)
            yield _training_length(text, self.tokenizer.starts(text))

    def columns(self, chain: Chain) -> dict[str, object]:
        """Return the row of the processed parquet."""
        text, turns = self.text(chain), self.turns(chain)
        row = {
            "question": chain.problem,
            "response_reasoning": chain.thinking,
            "response_content": chain.answer,
            "qwen_text": text,
            "num_qwen_tokens": self.tokenizer.count(text),
        }
        if self.template == "deepseek":
            rendered = chat.render_deepseek(turns)
            row |= {"deepseek_text": rendered, "num_deepseek_tokens": self.tokenizer.count(rendered)}
        correct = None if chain.verdict.verdict == "undecided" else chain.verdict.correct
        return row | {
            "raw_messages": turns,
            "ground_truth": chain.reference,
            "correctness": correct,
            "correct": correct,
            "correct_rl": chain.verdict.rl,
            "message_idx": chain.row,
            "sample_idx": chain.sample,
        }


def _training_length(text: str, starts: Sequence[int]) -> int:
    try:
        return measure(markup.parse(text), starts).training_length
    except markup.MarkupError:  # tags that do not form blocks are plain text to a trainer
        return len(starts)


def write_table(path: Path, rows: Iterable[Mapping[str, object]], references: Sequence[object]) -> int:
    """Write the processed parquet in row groups; return how many rows are longer than USUAL_CONTEXT tokens.

    `references` are those of all rows. `ground_truth` keeps their type; one column has one type: a list among texts
    becomes JSON, which is read as a list again.
    """
    import pyarrow as pa

    mixed = len({type(answer) for answer in references} - {type(None)}) > 1
    kind = pa.array([_as_text(answer) if mixed else answer for answer in references]).type
    rows, over = iter(rows), 0
    first = next(rows)
    schema = training_rows.schema(first, ground_truth=kind)

    def each() -> Iterator[Mapping[str, object]]:
        nonlocal over
        for row in chain_of([first], rows):
            over += row["num_qwen_tokens"] > USUAL_CONTEXT
            yield row | {"ground_truth": _as_text(row["ground_truth"])} if mixed else row

    with atomic_file(path) as out:
        write_parquet(out, schema, row_groups(each(), schema))
    return over


def _as_text(value: object) -> str | None:
    return value if isinstance(value, str | None) else to_json(value)
