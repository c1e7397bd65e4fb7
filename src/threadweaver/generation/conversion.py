"""From sampled outputs to training rows: filter the outputs, then build the rows.

A step of the sieve takes the chains that are left and yields, in the same order, each chain or the reason of its loss.
"""

from __future__ import annotations

import io
import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from threadweaver import grading
from threadweaver.corpus import chat, training_rows
from threadweaver.corpus.contamination import Benchmarks, bare
from threadweaver.corpus.duplicates import Seen
from threadweaver.corpus.thinking import FailedCut, Tags, cut, trim, unwrap
from threadweaver.corpus.tokenizer import Tokenizer
from threadweaver.files import to_json, write_parquet
from threadweaver.generation.outputs import Output
from threadweaver.generation.problems import Problem
from threadweaver.grading import Verdict
from threadweaver.runs.folder import AccountEntry
from threadweaver.text import unstorable
from threadweaver.trajectory import markup
from threadweaver.trajectory.measures import measure

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

    @property
    def id(self) -> str:
        return f"{self.row}-{self.sample}"

    @property
    def final(self) -> str | None:
        """The final answer: that of the thinking where no answer follows it."""
        return grading.final_answer(self.answer or self.thinking)


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


class Sieve:
    """The chains that are left, and what became of the others."""

    def __init__(self) -> None:
        self.kept: list[Chain] = []
        self.entries: list[AccountEntry] = []
        """Those of the chains lost so far."""

    def start(self, outputs: Iterable[Output], problems: Sequence[Problem], *tags: Sequence[Tags]) -> None:
        """Read the outputs; `tags` are the pairs of think tags and of answer tags."""
        for output in outputs:
            result = read(output, problems[output.row], *tags)
            if isinstance(result, Loss):
                self.lose(f"{output.row}-{output.sample}", result)
            else:
                self.kept.append(result)

    def lose(self, id: str, loss: Loss, verdict: Mapping[str, object] | None = None) -> None:
        facts = {**(verdict or {}), **({"detail": loss.detail} if loss.detail else {})}
        self.entries.append(AccountEntry(id, "rejected", loss.reason, facts=facts))

    def apply(self, step: Step) -> None:
        before, self.kept = self.kept, []
        for chain, result in zip(before, step(before), strict=True):
            if isinstance(result, Loss):
                self.lose(chain.id, result, judgement(chain))
            else:
                self.kept.append(result)

    def account(self) -> list[AccountEntry]:
        """Return one entry per output: first the lost ones, then those kept."""
        return self.entries + [AccountEntry(chain.id, "ok", facts=judgement(chain)) for chain in self.kept]


def judgement(chain: Chain) -> dict[str, object]:
    """Return the verdict as facts of an account entry; empty before grading."""
    if chain.verdict is None:
        return {}
    verdict = chain.verdict
    return {"verdict": verdict.verdict, "how": verdict.how, "rl": verdict.rl, "answer": (chain.final or "")[:200]}


def sanitize(tokenizer: Tokenizer) -> Step:
    """Drop texts with a special token of the tokenizer, which would end the turn too early."""

    tokens = training_rows.special_tokens(tokenizer)

    def step(chains: Sequence[Chain]) -> Iterator[Chain | Loss]:
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


def judge(chains: Sequence[Chain], workers: int | None) -> list[Chain]:
    """Return the chains with their verdicts."""
    pairs = [(chain.final, () if chain.reference is None else chain.reference) for chain in chains]
    verdicts = grading.grade_many(pairs, workers)
    return [replace(chain, verdict=verdict) for chain, verdict in zip(chains, verdicts, strict=True)]


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


def dedupe(chains: Sequence[Chain]) -> Iterator[Chain | Loss]:
    """Of problems that are the same but for a few words, keep the first that still has a chain."""
    seen = Seen()
    for chain in chains:
        row = seen.add(chain.problem, str(chain.row))
        yield chain if row == str(chain.row) else Loss("duplicate_problem", f"of row {row}")


def at_most(count: int, rule: str, seed: int) -> Step:
    """Keep at most `count` chains per problem: the first sampled, the shortest (in characters), or a random draw."""

    def step(chains: Sequence[Chain]) -> Iterator[Chain | Loss]:
        groups: dict[int, list[Chain]] = {}
        for chain in chains:
            groups.setdefault(chain.row, []).append(chain)
        best = (_best(group, count, rule, f"{seed}:{row}") for row, group in groups.items())
        chosen = {chain.id for group in best for chain in group}
        return (chain if chain.id in chosen else Loss("over_per_problem") for chain in chains)

    return step


def _best(group: list[Chain], count: int, rule: str, seed: str) -> list[Chain]:
    if rule == "random":
        return random.Random(seed).sample(group, min(count, len(group)))
    if rule == "shortest":
        group = sorted(group, key=lambda chain: (len(chain.thinking) + len(chain.answer), chain.sample))
    return group[:count]


def draw(chains: Sequence[Chain], size: int, seed: int) -> list[Chain]:
    """Return `size` chains drawn at random, in their order, or all if there are no more."""
    if len(chains) <= size:
        return list(chains)
    return [chains[at] for at in sorted(random.Random(seed).sample(range(len(chains)), size))]


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

    def lengths(self, chains: Sequence[Chain]) -> Iterator[int]:
        """Yield the training length of each row in tokens; on all cores, 64 texts at a time."""
        backend = self.tokenizer.hf.backend_tokenizer
        for at in range(0, len(chains), 64):
            texts = [self.text(chain) for chain in chains[at : at + 64]]
            for text, encoding in zip(texts, backend.encode_batch(texts, add_special_tokens=False), strict=True):
                yield _training_length(text, encoding)

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


def _training_length(text: str, encoding) -> int:
    try:
        return measure(markup.parse(text), [start for start, _ in encoding.offsets]).training_length
    except markup.MarkupError:  # tags that do not form blocks are plain text to a trainer
        return len(encoding)


def parquet_bytes(rows: Sequence[Mapping[str, object]]) -> bytes:
    """Return the processed parquet; the same rows give the same bytes. `ground_truth` keeps its own type."""
    import pyarrow as pa

    kinds = {type(row["ground_truth"]) for row in rows} - {type(None)}
    if len(kinds) > 1:  # one column has one type: a list among texts is JSON, which is read as a list again
        rows = [row | {"ground_truth": _as_text(row["ground_truth"])} for row in rows]
    answers = pa.array([row["ground_truth"] for row in rows])
    schema = training_rows.schema(rows[0], ground_truth=answers.type)
    out = io.BytesIO()
    write_parquet(out, schema, [pa.Table.from_pylist(list(rows), schema=schema)])
    return out.getvalue()


def _as_text(value: object) -> str | None:
    return value if isinstance(value, str | None) else to_json(value)
