"""Tokens and dollars per chain for steps 1, 3 and 4 with the shipped prompts, over collected chains.

Input is counted with the tokenizer, on the requests that the annotator sends. Steps 3 and 4 need blocks: as many and as
long as in the published run, as a plan assumes them. The part that a provider's prefix cache can serve follows OpenAI's
rule (prefixes of at least 1,024 tokens, in steps of 128). It counts what all chains share, what a block shares with the
one before it in its chain, and what step 4 shares with step 3 of the same block: as much as a cache serves if nothing is
evicted in between, so it is an upper bound. Output cannot be counted without a model: the printed assumptions are used.

Example: python tests/bench/prompt_tokens.py --tokenizer Qwen/Qwen3-8B --chains collected.jsonl
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, quantiles

sys.path.insert(0, str(Path(__file__).parents[2] / "src"))

from threadweaver.annotators.llm import PLACEHOLDERS, PROMPTS, prompts
from threadweaver.annotators.llm.annotator import edit_values, outline_values, step_values
from threadweaver.client.prices import price_of
from threadweaver.corpus.tokenizer import load_tokenizer
from threadweaver.runs.progress import progress_bar
from threadweaver.samples import Sample, read_collected
from threadweaver.stages.planning import assumed_questions

CACHE_LEAST, CACHE_STEP = 1024, 128
ENVELOPE = 4  # tokens around a message


@dataclass(frozen=True)
class Assumed:
    """Assumed output tokens: per step line and per block with its evidence in step 1, per thread in steps 3 and 4."""

    chain_tokens_a_step: int = 300
    step_line: int = 25
    block: int = 150
    steps_a_block: int = 5
    edits_a_thread: int = 60
    outline: int = 35

    def annotation(self, chain_tokens: int) -> int:
        """Return the visible tokens of an annotation: half of its steps have substeps."""
        steps = min(60, max(6, chain_tokens // self.chain_tokens_a_step))
        return int(1.5 * steps * self.step_line) + steps // self.steps_a_block * self.block


# the reasoning of a call: medium effort in step 1, low in the others
THINKING = {"steps": 5000, "edits": 800, "outlines": 800}


@dataclass
class Cost:
    calls: int = 0
    input: int = 0
    cached: int = 0
    output: int = 0

    def add(self, input: int, shared: int, output: int) -> None:
        self.calls += 1
        self.input += input + ENVELOPE
        self.cached += shared // CACHE_STEP * CACHE_STEP if shared >= CACHE_LEAST else 0
        self.output += output

    def dollars(self, price) -> float:
        return price.default.of(self.input - self.cached, self.cached, self.output) / 1e6


class Counter:
    """Counts the requests about one chain after the other."""

    def __init__(self, tokenizer):
        self.count = tokenizer.count
        self.prompts = {name: prompts.load(prompts.FOLDER / PROMPTS[name], PLACEHOLDERS[name]) for name in THINKING}
        self.assumed = Assumed()
        (steps,) = self.prompts["steps"].turns
        self.instructions = self.count(steps.partition("{{problem}}")[0])

    def chain(self, sample: Sample) -> dict[str, Cost]:
        """Return question → the cost of its calls."""
        costs = {name: Cost() for name in THINKING}
        request = self.filled("steps", step_values(sample))
        visible = self.assumed.annotation(self.count(sample.thinking))
        costs["steps"].add(self.count(request), self.instructions, visible + THINKING["steps"])
        before = ""
        for edits, outlines in zip(*assumed_questions(sample), strict=True):
            asked, again = self.filled("edits", edit_values(edits)), self.filled("outlines", outline_values(outlines))
            replies = {"edits": self.assumed.edits_a_thread, "outlines": self.assumed.outline}
            for name, text, earlier in (("edits", asked, before), ("outlines", again, asked)):
                output = replies[name] * len(edits.threads) + THINKING[name]
                costs[name].add(self.count(text), self.count(shared_beginning(text, earlier)), output)
            before = asked
        return costs

    def filled(self, name: str, values: Mapping[str, str]) -> str:
        (turn,) = self.prompts[name].fill(values)
        return turn


def shared_beginning(one: str, two: str) -> str:
    differing = (at for at, pair in enumerate(zip(one, two, strict=False)) if pair[0] != pair[1])
    return one[: next(differing, min(len(one), len(two)))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokenizer", required=True, help="name or folder")
    parser.add_argument("--chains", type=Path, required=True, help="collected.jsonl")
    parser.add_argument("--model", default="gpt-5", help="the model whose prices are used (%(default)s)")
    args = parser.parse_args()
    tokenizer, price = load_tokenizer(args.tokenizer), price_of(args.model)
    counter, samples = Counter(tokenizer), list(read_collected(args.chains))
    with progress_bar(len(samples), "chains") as bar:
        counted = []
        for sample in samples:
            counted.append(counter.chain(sample))
            bar.update()
    tokens = mean(tokenizer.count(sample.thinking) for sample in samples)
    print(f"{len(samples)} chains, {tokens:,.0f} tokens each")
    print(f"assumed output: {counter.assumed}, reasoning of a call {THINKING}")
    for name in THINKING:
        report(name, [costs[name] for costs in counted], price)
    everything = [sum(cost.dollars(price) for cost in costs.values()) for costs in counted]
    print(f"all: ${mean(everything):.4f} per chain, ${1000 * mean(everything):,.0f} for 1,000")


def report(name: str, costs: list[Cost], price) -> None:
    dollars = [cost.dollars(price) for cost in costs]
    total, cached = sum(cost.input for cost in costs), sum(cost.cached for cost in costs)
    ninth = quantiles(dollars, n=10)[-1] if len(dollars) > 1 else dollars[0]
    in_alone = mean(Cost(0, cost.input, cost.cached, 0).dollars(price) for cost in costs)
    print(
        f"{PROMPTS[name]}: {mean(cost.calls for cost in costs):.2f} calls per chain, input {total / len(costs):,.0f}, "
        f"{cached / total:.0%} of it cacheable; output {mean(cost.output for cost in costs):,.0f} assumed; "
        f"${mean(dollars):.4f} (input ${in_alone:.4f}; a tenth above ${ninth:.4f})"
    )


if __name__ == "__main__":
    main()
