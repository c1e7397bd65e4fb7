"""Tokens and dollars per sample for step 1, with the six-turn and the one-turn prompt, over collected chains.

Input is counted with the tokenizer; the part that a provider's prefix cache can serve follows OpenAI's rule
(prefixes of at least 1,024 tokens, in steps of 128: in the first turn the instructions, which all samples share, in
a later turn the whole request of the turn before). Output cannot be counted without a model: the printed
assumptions are used.

Example: python tests/bench/prompt_tokens.py --tokenizer Qwen/Qwen3-8B --chains collected.jsonl
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, quantiles

sys.path.insert(0, str(Path(__file__).parents[2] / "src"))

from threadweaver.annotators.llm import PLACEHOLDERS, prompts
from threadweaver.client.prices import price_of
from threadweaver.corpus.tokenizer import load_tokenizer
from threadweaver.samples import read_collected
from threadweaver.trajectory.annotation import number_lines

CACHE_LEAST, CACHE_STEP = 1024, 128
ENVELOPE = 4  # tokens around each message
SIX, ONE = "step1-prompt_v1.txt", "step1-prompt_v2.txt"


@dataclass(frozen=True)
class Assumed:
    """Assumed output tokens: 25 per step line of the outline, and 150 per block with its verdicts in addition to
    its steps."""

    chain_tokens_a_step: int = 300
    step_line: int = 25
    block: int = 150
    steps_a_block: int = 5
    argued_group: int = 180
    thinking_a_turn: int = 1500
    thinking_one_turn: int = 5000

    def visible(self, chain_tokens: int) -> list[int]:
        """Return the visible tokens of the six turns; the last is also the reply to the one-turn prompt."""
        steps = min(60, max(6, chain_tokens // self.chain_tokens_a_step))
        blocks = steps // self.steps_a_block
        outline = int(1.5 * steps * self.step_line) + blocks * self.block
        return [
            steps * self.step_line,
            steps * self.step_line // 2,
            blocks * self.argued_group,
            blocks * self.argued_group // 2,
            outline - blocks * 50,
            outline,
        ]


@dataclass(frozen=True)
class Cost:
    input: int
    cached: int
    output: int

    def dollars(self, price) -> float:
        return price.default.of(self.input - self.cached, self.cached, self.output) / 1e6


def cacheable(prefix: int) -> int:
    return prefix // CACHE_STEP * CACHE_STEP if prefix >= CACHE_LEAST else 0


def conversation(shared: int, turns: list[int], replies: list[int], thinking: int) -> Cost:
    """Count one sample: `turns` are the tokens that each turn adds to the request, `shared` those that all samples
    begin with."""
    total = cached = before = 0
    size = 0
    for number, (turn, reply) in enumerate(zip(turns, replies, strict=True)):
        size += turn + ENVELOPE
        cached += cacheable(before if number else shared)
        total += size
        before = size
        size += reply + ENVELOPE
    return Cost(total, cached, sum(replies) + thinking * len(turns))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokenizer", required=True, help="name or folder")
    parser.add_argument("--chains", type=Path, required=True, help="collected.jsonl")
    parser.add_argument("--model", default="gpt-5", help="the model whose prices are used (%(default)s)")
    args = parser.parse_args()
    tokenizer, price, assumed = load_tokenizer(args.tokenizer), price_of(args.model), Assumed()
    six, one = (prompts.load(prompts.FOLDER / name, PLACEHOLDERS["steps"]) for name in (SIX, ONE))
    results: dict[str, list[Cost]] = {SIX: [], ONE: []}
    chains, material = [], []
    for sample in read_collected(args.chains):
        chain_tokens = tokenizer.count(sample.thinking)
        values = {"problem": sample.problem, "chain": number_lines(sample.thinking)}
        visible = assumed.visible(chain_tokens)
        for name, prompt, replies, thinking in (
            (SIX, six, visible, assumed.thinking_a_turn),
            (ONE, one, visible[-1:], assumed.thinking_one_turn),
        ):
            shared = tokenizer.count(prompt.turns[0].partition("{{problem}}")[0])
            turns = [tokenizer.count(turn) for turn in prompt.fill(values)]
            results[name].append(conversation(shared, turns, replies, thinking))
        chains.append(chain_tokens)
        material.append(tokenizer.count(values["chain"]))
    print(f"{len(chains)} chains, {mean(chains):,.0f} tokens each, {mean(material):,.0f} with line numbers")
    print(f"assumed output: {assumed}")
    for name, costs in results.items():
        report(name, costs, price)


def report(name: str, costs: list[Cost], price) -> None:
    dollars = [cost.dollars(price) for cost in costs]
    total, cached = sum(cost.input for cost in costs), sum(cost.cached for cost in costs)
    ninth = quantiles(dollars, n=10)[-1] if len(dollars) > 1 else dollars[0]
    in_alone = mean(Cost(cost.input, cost.cached, 0).dollars(price) for cost in costs)
    print(
        f"{name}: input {total / len(costs):,.0f} a sample, {cached / total:.1%} of it cacheable; "
        f"output {mean(cost.output for cost in costs):,.0f} assumed; "
        f"${mean(dollars):.4f} a sample (input ${in_alone:.4f}, a tenth above ${ninth:.4f}), "
        f"${1000 * mean(dollars):,.0f} for 1,000"
    )


if __name__ == "__main__":
    main()
