"""From sampled outputs to training rows: the sieve and the rows.

A step of the sieve takes the chains that are left and gives, in the same order, each chain or why it is lost.
"""

from __future__ import annotations

import io
import random
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from threadweaver import grading
from threadweaver.corpus import chat, training_rows
from threadweaver.corpus.contamination import Benchmarks
from threadweaver.corpus.thinking import Loss, Tags, cut, unwrap
from threadweaver.corpus.tokenizer import Tokenizer
from threadweaver.files import to_json, write_parquet
from threadweaver.generation.outputs import Output
from threadweaver.generation.problems import Problem
from threadweaver.grading import Verdict
from threadweaver.runs.folder import AccountEntry
from threadweaver.samples import Sample
from threadweaver.trajectory import markup
from threadweaver.trajectory.measures import measure

TEMPLATES = ("qwen", "deepseek", "model")
RULES = ("first", "shortest", "random")

_SURROGATE = re.compile(r"[\ud800-\udfff]")
"""Half of a character, from an escape that was cut: no tokenizer or parquet can hold it."""


@dataclass(frozen=True, slots=True)
class Chain:
    """One sample, cut: what is graded is what is saved."""

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
        """The final answer; that of the thinking where nothing was said after it."""
        return grading.final_answer(self.answer or self.thinking)


Step = Callable[[Sequence[Chain]], Iterable[Chain | Loss]]


def read(output: Output, problem: Problem, think_tags: Sequence[Tags], answer_tags: Sequence[Tags]) -> Chain | Loss:
    """The chain of an output, or why there is none."""
    if output.text is None or not output.text.strip():
        return Loss("no_output")
    if _SURROGATE.search(output.text):
        return Loss("broken_unicode")
    found = cut(output.text, think_tags)
    if isinstance(found, Loss):
        return found
    thinking, answer = found
    return Chain(output.row, output.sample, problem.text, thinking, unwrap(answer, answer_tags), problem.reference)


# ---------------------------------------------------------------------------------------------------------------
# the sieve


class Sieve:
    """The chains that are left, and what became of the others."""

    def __init__(self) -> None:
        self.kept: list[Chain] = []
        self.entries: list[AccountEntry] = []
        """Of the chains lost so far."""

    def start(self, outputs: Iterable[Output], problems: Sequence[Problem], *tags: Sequence[Tags]) -> None:
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
        """One entry a sample: the lost and the kept."""
        return self.entries + [AccountEntry(chain.id, "ok", facts=judgement(chain)) for chain in self.kept]


def judgement(chain: Chain) -> dict[str, object]:
    if chain.verdict is None:
        return {}
    verdict = chain.verdict
    return {"verdict": verdict.verdict, "how": verdict.how, "rl": verdict.rl, "answer": (chain.final or "")[:200]}


def sanitize(tokenizer: Tokenizer) -> Step:
    """Drops texts with a special token of the tokenizer, which would end the turn before its end."""

    def step(chains: Sequence[Chain]) -> Iterator[Chain | Loss]:
        for chain in chains:
            sample = Sample(chain.row, chain.id, chain.problem, chain.thinking, output=chain.answer)
            token = training_rows.special_token(sample, chain.thinking, tokenizer)
            yield Loss("special_token", token) if token else chain

    return step


def parallel(chains: Sequence[Chain]) -> Iterator[Chain | Loss]:
    """Keeps well-formed trajectories with a block, in the canonical form (white space around tags alone changes)."""
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
    """Drops the chains of problems that are a benchmark's; each problem is looked up once."""
    found: dict[str, str | None] = {}

    def step(chains: Sequence[Chain]) -> Iterator[Chain | Loss]:
        for chain in chains:
            if chain.problem not in found:
                found[chain.problem] = benchmarks.find(bare(chain.problem, instruction))
            name = found[chain.problem]
            yield Loss("contaminated", name) if name else chain

    return step


def bare(problem: str, instruction: str) -> str:
    """The problem without the instruction, which all problems share."""
    return problem.replace(chat.INSTRUCTION, " ").replace(instruction or chat.INSTRUCTION, " ")


def judge(chains: Sequence[Chain], workers: int | None) -> list[Chain]:
    """The chains with their verdicts."""
    pairs = [(chain.final, () if chain.reference is None else chain.reference) for chain in chains]
    verdicts = grading.grade_many(pairs, workers)
    return [replace(chain, verdict=verdict) for chain, verdict in zip(chains, verdicts, strict=True)]


def pick(*, keep_wrong: bool, keep_undecided: bool) -> Step:
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
    """Drops rows whose training length is above the limit."""

    def step(chains: Sequence[Chain]) -> Iterator[Chain | Loss]:
        for chain, tokens in zip(chains, length(chains), strict=True):
            yield Loss("over_max_tokens", f"{tokens} tokens") if tokens > limit else chain

    return step


def dedupe(chains: Sequence[Chain]) -> Iterator[Chain | Loss]:
    """Of problems that are equal after normalization, keeps the first that still has a chain."""
    first: dict[str, int] = {}
    for chain in chains:
        row = first.setdefault(training_rows.normalized_problem(chain.problem), chain.row)
        yield chain if row == chain.row else Loss("duplicate_problem", f"of row {row}")


def at_most(count: int, rule: str, seed: int) -> Step:
    """Keeps so many chains a problem: the first sampled, the shortest (in characters), or a random draw."""

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
    """`size` chains drawn at random, in their order; all where there are no more."""
    if len(chains) <= size:
        return list(chains)
    return [chains[at] for at in sorted(random.Random(seed).sample(range(len(chains)), size))]


# ---------------------------------------------------------------------------------------------------------------
# rows


@dataclass(frozen=True, slots=True)
class Form:
    """How rows are written: the instruction behind the question, and whose template makes the text."""

    tokenizer: Tokenizer
    instruction: str = chat.INSTRUCTION
    template: str = "qwen"

    def turns(self, chain: Chain) -> list[dict[str, str]]:
        return chat.messages(chain.problem, chain.thinking, chain.answer, self.instruction)

    def line(self, chain: Chain) -> str:
        return to_json({"messages": self.turns(chain)}) + "\n"

    def text(self, chain: Chain) -> str:
        """The template's rendering, think block kept; with `model`, prompt and turn as generation had them."""
        render = chat.render_generated if self.template == "model" else chat.render
        return render(self.tokenizer, self.turns(chain))

    def lengths(self, chains: Sequence[Chain]) -> Iterator[int]:
        """Training length of each row in tokens; on all cores, 64 texts at a time."""
        backend = self.tokenizer.hf.backend_tokenizer
        for at in range(0, len(chains), 64):
            texts = [self.text(chain) for chain in chains[at : at + 64]]
            for text, encoding in zip(texts, backend.encode_batch(texts, add_special_tokens=False), strict=True):
                yield _training_length(text, encoding)

    def columns(self, chain: Chain) -> dict[str, object]:
        """The row of the processed parquet."""
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
    if "<Parallel>" not in text:
        return len(encoding)
    try:
        return measure(markup.parse(text), [start for start, _ in encoding.offsets]).training_length
    except markup.MarkupError:  # tags that are no blocks: plain text to a trainer
        return len(encoding)


def parquet_bytes(rows: Sequence[Mapping[str, object]]) -> bytes:
    """The processed parquet, the same bytes for the same rows. `ground_truth` keeps the type it came with."""
    import pyarrow as pa

    turn = pa.struct([("role", pa.string()), ("content", pa.string())])
    kinds = {"raw_messages": pa.list_(turn)}
    kinds |= dict.fromkeys(("correctness", "correct", "correct_rl"), pa.bool_())
    kinds |= dict.fromkeys(("num_qwen_tokens", "num_deepseek_tokens", "message_idx", "sample_idx"), pa.int64())
    kinds["ground_truth"] = pa.array([row["ground_truth"] for row in rows]).type
    schema = pa.schema([(name, kinds.get(name, pa.string())) for name in rows[0]])
    out = io.BytesIO()
    write_parquet(out, schema, [pa.Table.from_pylist(list(rows), schema=schema)])
    return out.getvalue()
