"""Fork-join generation against sequential decoding: wall clock of the same trajectories on the same server.

The server is the fake engine of the tests with a fixed time per token, so this measures the loop: how much of the
speedup that the critical path allows remains after its requests, tokenizing and parsing. Trajectories have the
published shape (6 blocks of 2 or 3 threads), scaled down.

Usage   python tests/bench/forkjoin.py [--trajectories 12] [--at-once 4] [--ms-a-token 3] [--thread-tokens 80]
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tests")]

from fake_engine import WORDS, FakeEngine, Script
from threadweaver.corpus.tokenizer import Tokenizer, load_tokenizer
from threadweaver.generation import forkjoin
from threadweaver.generation.engine import Endpoint, Pool, Sampling
from threadweaver.trajectory import markup


def prose(rng: random.Random, words: int) -> str:
    return " ".join(rng.choices(WORDS, k=max(1, words)))


def trajectory(rng: random.Random, thread_words: int) -> str:
    """Return six blocks of 2 or 3 threads (published: 6.26 of 2.58) of very different lengths, with as much text
    between."""
    text = ""
    for _ in range(6):
        threads = [prose(rng, int(thread_words * rng.lognormvariate(-0.3, 0.8))) for _ in range(rng.choice((2, 3, 3)))]
        text += f"{prose(rng, thread_words)}.\n\n{markup.write_block(threads, [prose(rng, 4) for _ in threads])}\n\n"
    return f"<think>\n{text}\n</think>\n\n\\boxed{{7}}"


async def run(url: str, prompts: list[list[int]], tokenizer: Tokenizer, at_once: int, generate) -> tuple[float, list]:
    """Return the seconds for all prompts, and their rollouts."""
    rollouts: list[forkjoin.Rollout] = []
    queue = iter(prompts)

    async def worker(pool: Pool) -> None:
        for prompt in queue:
            async with pool.seat() as complete:
                rollouts.append(await generate(prompt, complete, tokenizer, forkjoin.Limits()))

    async with Pool([Endpoint(url)], tokenizer, Sampling(0.0), timeout=600) as pool:
        await pool.meet("fake/model", 4096)
        begun = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for _ in range(at_once):
                group.create_task(worker(pool))
        return time.perf_counter() - begun, rollouts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trajectories", type=int, default=12)
    parser.add_argument("--at-once", type=int, default=4)
    parser.add_argument("--ms-a-token", type=float, default=3.0)
    parser.add_argument("--thread-tokens", type=int, default=80)
    args = parser.parse_args()
    tokenizer, rng = load_tokenizer(str(ROOT / "data" / "sample" / "tokenizer")), random.Random(0)
    script = Script(tokenizer)
    prompts = [tokenizer.ids(f"problem {number}:") for number in range(args.trajectories)]
    texts = [trajectory(rng, args.thread_tokens) for _ in prompts]
    for prompt, text in zip(prompts, texts, strict=True):
        script.add(prompt, text)
    with FakeEngine(script, tokenizer, a_token=args.ms_a_token / 1000) as engine:
        apart, chains = asyncio.run(run(engine.url, prompts, tokenizer, args.at_once, forkjoin.sequential))
        joined, rollouts = asyncio.run(run(engine.url, prompts, tokenizer, args.at_once, forkjoin.branching))
    assert sorted(rollout.text for rollout in rollouts) == sorted(rollout.text for rollout in chains) == sorted(texts)
    total, longest = sum(len(one.ids) for one in rollouts), sum(one.critical_path for one in rollouts)
    requests = sum(one.requests for one in rollouts) / len(texts)
    print(
        f"{len(texts)} trajectories, {args.at_once} at once; each {total / len(texts):.0f} tokens, "
        f"critical path {longest / len(texts):.0f}, {requests:.0f} requests"
    )
    print(
        f"sequential {apart:.2f} s, fork-join {joined:.2f} s: {apart / joined:.2f}x of {total / longest:.2f}x that the "
        "critical path allows"
    )


if __name__ == "__main__":
    main()
