"""Train the loop's model on rows in token ids: sequential chains, trees, or flat rows of trajectories.

Every mode sees the same things in the same way: batches of about as many tokens, the assistant's turn alone is trained,
Muon for the layers' matrices and AdamW for the rest, with a warm-up and a linear decay to zero. What is counted are
tokens of the rows, with prompts and copies, without padding. A run that was ended continues from its last checkpoint.

Usage   python tests/engine/loop/train.py --mode tree --rows EXPORT/train.parquet --start DIR --output DIR --tokens N
Writes  OUTPUT: the model, its tokenizer, loss.csv, trained.json (written last)
"""

from __future__ import annotations

import argparse
import csv
import json
import random
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "src"))

import numpy as np
import torch

from threadweaver.corpus import chat
from threadweaver.corpus.thinking import TAGS, cut, trim
from threadweaver.corpus.tokenizer import Tokenizer, load_tokenizer
from threadweaver.exports.shipped import tree_reader
from threadweaver.exports.tree import IGNORED
from threadweaver.files import to_pretty_json, write_atomic

BATCH_TOKENS = 1_200
WARM_UP = 0.04
MATRIX_RATE = 4
"""The rate of Muon in those of AdamW: 0.02 beside 5e-3."""
SAVE_SECONDS = 60.0
POOL = 64
"""Rows sorted by length before they are put into batches, so that there is little padding."""


# ---------------------------------------------------------------------------------------------------------------
# rows: columns of a tree export; a row without branches is a tree with a trunk alone


def row_of(ids: Sequence[int], begin: int) -> dict[str, list[int]]:
    """Return a row that is one sequence, trained from `begin` on."""
    columns = {"input_ids": list(ids), "position_ids": list(range(len(ids)))}
    columns["labels"] = [IGNORED] * begin + list(ids[begin:])
    return columns | {"segment_start": [0], "segment_end": [len(ids)], "segment_parent": [-1], "segment_fork": [0]}


def sequential_rows(path: Path, tokenizer: Tokenizer, only: Path | None) -> Iterator[dict]:
    """Yield the chains of a .jsonl as rows: those of problems.py, or those that the pipeline collected. `only` is a tree
    export: of its problems alone."""
    known = {row["uuid"] for row in tree_rows(only)} if only else None
    with open(path, encoding="utf-8") as file:
        for row in map(json.loads, file):
            if known is not None and row["uuid"] not in known:
                continue
            if "response" in row:
                thinking, answer = map(trim, cut(row["response"], TAGS))
            else:
                thinking, answer = row["thinking"], row["output"]
            turns = chat.messages(row["problem"], thinking, answer)
            prompt = tokenizer.ids(tokenizer.chat(turns[:1], add_generation_prompt=True))
            yield row_of(tokenizer.ids(tokenizer.chat(turns).rstrip("\n")), len(prompt))


def tree_rows(path: Path) -> Iterator[dict]:
    import pyarrow.parquet as parquet

    yield from parquet.read_table(path).to_pylist()


def flat_rows(path: Path) -> Iterator[dict]:
    """Yield the trunks of a tree export: the joined text, every token of the turn trained, each after all before it."""
    for row in tree_rows(path):
        begin = next(at for at, label in enumerate(row["labels"]) if label != IGNORED)
        yield row_of(row["input_ids"][: row["segment_end"][0]], begin)


def read_rows(args: argparse.Namespace, tokenizer: Tokenizer) -> list[dict]:
    if args.mode == "sequential":
        return list(sequential_rows(args.rows, tokenizer, args.only))
    return list(tree_rows(args.rows) if args.mode == "tree" else flat_rows(args.rows))


# ---------------------------------------------------------------------------------------------------------------
# batches


def batches(rows: Sequence[Mapping], seed: int) -> Iterator[list[Mapping]]:
    """Yield batches of rows of about one length, for ever; every row once per epoch."""
    drawn = random.Random(seed)
    order = list(range(len(rows)))
    while True:
        drawn.shuffle(order)
        found: list[list[Mapping]] = []
        for first in range(0, len(order), POOL):
            pool = sorted((rows[at] for at in order[first : first + POOL]), key=lambda row: len(row["input_ids"]))
            while pool:
                longest = len(pool[-1]["input_ids"])
                count = max(1, BATCH_TOKENS // longest)
                found.append(pool[-count:])
                del pool[-count:]
        drawn.shuffle(found)
        yield from found


def inputs_of(rows: Sequence[Mapping], device: str) -> dict[str, torch.Tensor]:
    """Return what the model gets for a batch: with branches the mask of ancestors, otherwise its own causal one."""
    arrays = tree_reader.batch(rows)
    seen, own = arrays.pop("seen"), arrays.pop("own")
    inputs = {name: torch.from_numpy(array).to(device) for name, array in arrays.items()}
    if any(len(row["segment_start"]) > 1 for row in rows):
        at = np.arange(seen.shape[1])
        before, inside = at < seen[:, :, None], (at >= own[:, :, None]) & (at <= at[:, None])
        inputs["attention_mask"] = torch.from_numpy(before | inside)[:, None].to(device)
    return inputs


# ---------------------------------------------------------------------------------------------------------------
# training


@dataclass
class State:
    """How far a run is; saved with model and optimizer."""

    step: int = 0
    tokens: int = 0
    seconds: float = 0.0


class Training:
    def __init__(self, args: argparse.Namespace):
        from transformers import AutoModelForCausalLM

        self.args, self.state = args, State()
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        torch.manual_seed(args.seed)
        self.tokenizer = load_tokenizer(str(args.start))
        self.model = AutoModelForCausalLM.from_pretrained(args.start, dtype=torch.float32).to(self.device)
        self.optimizers = self._optimizers()
        self.checkpoint = args.output / "checkpoint.pt"
        self.losses = args.output / "loss.csv"
        self.log: list[tuple[int, int, float, float]] = []
        if self.checkpoint.is_file():
            self._resume()

    def _optimizers(self) -> list[torch.optim.Optimizer]:
        matrices, rest = [], []
        for name, parameter in self.model.named_parameters():
            (matrices if "proj" in name else rest).append(parameter)
        return [
            torch.optim.Muon(matrices, lr=MATRIX_RATE * self.args.rate, weight_decay=0.1),
            torch.optim.AdamW(rest, lr=self.args.rate, betas=(0.9, 0.95), weight_decay=0.1),
        ]

    def _resume(self) -> None:
        saved = torch.load(self.checkpoint, weights_only=True)
        self.model.load_state_dict(saved["model"])
        for optimizer, state in zip(self.optimizers, saved["optimizers"], strict=True):
            optimizer.load_state_dict(state)
        self.state = State(*saved["state"])
        self.log = [tuple(row) for row in saved["log"]]
        print(f"  continues after step {self.state.step}, {self.state.tokens:,} tokens", flush=True)

    def save(self) -> None:
        state = (self.state.step, self.state.tokens, self.state.seconds)
        part = self.checkpoint.with_suffix(".part")
        saved = {"model": self.model.state_dict(), "optimizers": [each.state_dict() for each in self.optimizers]}
        torch.save(saved | {"state": state, "log": self.log}, part)
        part.replace(self.checkpoint)

    @property
    def progress(self) -> float:
        """The share of the run that is done."""
        return min(1.0, self.state.tokens / self.args.tokens)

    def run(self, rows: Sequence[Mapping]) -> None:
        stream = batches(rows, self.args.seed)
        for _ in range(self.state.step):
            next(stream)
        saved = shown = time.monotonic()
        while self.progress < 1:
            begun = time.monotonic()
            batch = next(stream)
            loss = self.step(batch)
            self.state.step += 1
            self.state.tokens += sum(len(row["input_ids"]) for row in batch)
            now = time.monotonic()
            self.state.seconds += now - begun
            self.log.append((self.state.step, self.state.tokens, round(self.state.seconds, 2), loss))
            if now - shown > 20:
                shown = now
                self.report()
            if now - saved > SAVE_SECONDS:
                saved = now
                self.save()
        self.report()

    def step(self, batch: Sequence[Mapping]) -> float:
        done = self.progress
        share = min(1.0, done / WARM_UP + 0.01) * min(1.0, (1 - done) / (1 - WARM_UP))
        for optimizer, rate in zip(self.optimizers, (MATRIX_RATE * self.args.rate, self.args.rate), strict=True):
            for group in optimizer.param_groups:
                group["lr"] = rate * share
        loss = self.model(**inputs_of(batch, self.device), use_cache=False).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        for optimizer in self.optimizers:
            optimizer.step()
            optimizer.zero_grad()
        return float(loss.detach())

    def report(self) -> None:
        recent = [row[3] for row in self.log[-20:]]
        speed = self.state.tokens / max(1e-9, self.state.seconds)
        left = self.state.seconds * (1 / self.progress - 1)
        print(
            f"  step {self.state.step}: {self.state.tokens:,} tokens, loss {sum(recent) / len(recent):.4f}, "
            f"{speed:,.0f} tokens/s, {left:.0f} s left",
            flush=True,
        )

    def finish(self, rows: int) -> None:
        """Write model, losses and, last, what was done."""
        self.model.save_pretrained(self.args.output)
        self.tokenizer.hf.save_pretrained(self.args.output)
        with open(self.losses, "w", newline="") as file:
            csv.writer(file).writerows([("step", "tokens", "seconds", "loss"), *self.log])
        done = {"mode": self.args.mode, "rows": rows, "steps": self.state.step, "tokens": self.state.tokens}
        done |= {"seconds": round(self.state.seconds, 1), "rate": self.args.rate, "device": self.device}
        done |= {"threads": torch.get_num_threads(), "epochs": round(self.state.tokens / self.tokens_per_epoch, 2)}
        write_atomic(self.args.output / "trained.json", to_pretty_json(done))
        self.checkpoint.unlink(missing_ok=True)

    tokens_per_epoch: int = 1


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mode", choices=("sequential", "tree", "flat"), required=True)
    parser.add_argument("--rows", type=Path, required=True, help="chains (.jsonl), or train.parquet of a tree export")
    parser.add_argument("--only", type=Path, help="a tree export: of the chains, those of its rows alone")
    parser.add_argument("--start", type=Path, required=True, help="the model to start from, with its tokenizer")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--tokens", type=int, required=True, help="tokens to see")
    parser.add_argument(
        "--rate", type=float, default=2e-3, help="highest learning rate of AdamW (2e-3); Muon's is four times that"
    )
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    args.output.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(args.threads)
    training = Training(args)
    rows = read_rows(args, training.tokenizer)
    training.tokens_per_epoch = sum(len(row["input_ids"]) for row in rows)
    print(f"  {len(rows)} rows, {training.tokens_per_epoch:,} tokens per epoch", flush=True)
    training.run(rows)
    training.finish(len(rows))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
