"""Read a saved dataset as a trainer of branching models would, with a tiny random Qwen3 on the CPU.

Each row becomes the prefix tree of its units: what units share appears once, threads are branches after the
outlines, the joined text continues along the row. A token attends only to its ancestors and its position is its
depth, so every continuation has the logits of a plain causal pass over its own context; that is checked, unit by
unit.

Threads 2 … n of a block are in the tree twice. As branches they follow the outlines and do not see their siblings;
in the joined context, to which the text after the block attends, the same tokens follow the earlier threads, at
later positions. No mask over a single copy gives both, which is why the training length counts these threads twice.
A branch is trained, the joined copy is context; thread 1 has the same prefix in both and appears once.

Usage   python tests/engine/train.py --dataset DIR --tokenizer PATH [--rows N] [--tolerance 1e-4]
Exits   0 if all checks hold and each of the wrong masks and positions is noticed, else 1 with what did not
"""

from __future__ import annotations

import argparse
import re
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "src"))

from threadweaver.corpus import training_rows, training_units
from threadweaver.corpus.tokenizer import Tokenizer, load_tokenizer
from threadweaver.trajectory import markup
from threadweaver.trajectory.measures import measure

STEPS = 2
failures: list[str] = []


@dataclass(frozen=True, slots=True)
class Tree:
    """Nodes are tokens, each after its parent (-1: none). `paths` holds the nodes of each unit, context and continuation;
    `targets` the trained tokens as (node that predicts, node predicted)."""

    tokens: list[int]
    parents: list[int]
    depths: list[int]
    paths: list[list[int]]
    targets: list[tuple[int, int]]


def tree(found: Sequence[training_units.Unit[list[int]]]) -> Tree:
    """Return the prefix tree of the units of a row. The row itself, the last unit, comes first, so that it is
    contiguous."""
    children: dict[tuple[int, int], int] = {}
    ids, parents, depths, targets = [], [], [], []

    def walk(unit: training_units.Unit[list[int]]) -> list[int]:
        path, node = [], -1
        for depth, id in enumerate(unit.context + unit.continuation):
            if (node, id) not in children:
                children[node, id] = len(ids)
                ids.append(id)
                parents.append(node)
                depths.append(depth)
            node = children[node, id]
            path.append(node)
        return path

    last = walk(found[-1])
    paths = [*map(walk, found[:-1]), last]
    for unit, path in zip(found, paths, strict=True):
        targets += [(path[at - 1], path[at]) for at in range(len(unit.context), len(path))]
    return Tree(ids, parents, depths, paths, targets)


# ---------------------------------------------------------------------------------------------------------------
# masks: [i, j] is whether node i attends to node j


def ancestors(packed: Tree, allowed=None, first: int = 0):
    """Return the mask in which each node from `first` on attends to itself and to what its parent attends to."""
    import torch

    if allowed is None:
        allowed = torch.zeros(len(packed.tokens), len(packed.tokens), dtype=torch.bool)
    for node in range(first, len(packed.tokens)):
        if packed.parents[node] >= 0:
            allowed[node] = allowed[packed.parents[node]]
        allowed[node, node] = True
    return allowed


def everything_before(packed: Tree):
    """Wrong: the causal mask of a plain row; a thread sees the siblings that are packed before it."""
    return ancestors(packed).new_ones(len(packed.tokens), len(packed.tokens)).tril()


def threads_once(packed: Tree, found: Sequence[training_units.Unit[list[int]]]):
    """Wrong, although it would save the second copies: the text after a block attends to threads 2 … n as branches,
    each after the outlines and without the threads before it."""
    allowed, row = ancestors(packed), len(packed.paths[-1])
    for number, start, end in joined_copies(found):
        branch = [node for node in packed.paths[number] if node >= row]
        allowed[end:row, start:end] = False
        allowed[end:row, branch] = True
        allowed[start:end, start:end] |= allowed.new_ones(end - start, end - start).tril()
    return ancestors(packed, allowed, row)


def joined_copies(found: Sequence[training_units.Unit[list[int]]]) -> list[tuple[int, int, int]]:
    """Return, for threads 2 … n, the number of the unit and the tokens [start, end) of the row in which it is
    repeated."""
    copies, fork, end = [], 0, 0
    for number, unit in enumerate(found):
        if unit.kind == training_units.OUTLINES:
            fork = len(unit.context) + len(unit.continuation)
            end = fork + 1  # a newline
        elif unit.thread:
            start, end = end, end + len(unit.context) - fork - 1 + len(unit.continuation)
            copies += [(number, start, end)] if unit.thread > 1 else []
    return copies


# ---------------------------------------------------------------------------------------------------------------
# passes


def random_model(size: int):
    """Return a tiny Qwen3 in float32. Weights are drawn from a wide range, so that attention is uneven and the
    logits distinguish contexts and positions."""
    import torch
    from transformers import Qwen3Config, Qwen3ForCausalLM

    torch.manual_seed(0)
    config = Qwen3Config(
        vocab_size=-(-size // 64) * 64,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=16,
        max_position_embeddings=65_536,
        initializer_range=0.1,
        tie_word_embeddings=False,
    )
    return Qwen3ForCausalLM(config).eval()


def packed_logits(model, packed: Tree, allowed, positions: Sequence[int]):
    """Return the logits [nodes, vocabulary] of one pass over the tree."""
    import torch

    mask = torch.zeros(allowed.shape).masked_fill_(~allowed, torch.finfo(torch.float32).min)
    return model(
        input_ids=torch.tensor([packed.tokens]),
        attention_mask=mask[None, None],
        position_ids=torch.tensor([list(positions)]),
        use_cache=False,
    ).logits[0]


def plain_logits(model, found: Sequence[training_units.Unit[list[int]]]) -> list:
    """Return, for each unit, the logits [continuation, vocabulary] with which a plain causal pass predicts the
    continuation from the context."""
    import torch

    with torch.no_grad():
        passes = (
            model(input_ids=torch.tensor([unit.context + unit.continuation]), use_cache=False).logits[0]
            for unit in found
        )
        return [logits[len(unit.context) - 1 : -1].clone() for unit, logits in zip(found, passes, strict=True)]


def differences(found: Sequence[training_units.Unit[list[int]]], packed: Tree, logits, plain: Sequence) -> list[float]:
    """Return, for each unit, the largest difference between its logits in the tree and in the plain pass."""
    return [
        float((logits[path[len(unit.context) - 1 : -1]] - expected).abs().max())
        for unit, path, expected in zip(found, packed.paths, plain, strict=True)
    ]


def loss_of(packed: Tree, logits):
    """Return the mean cross entropy of the trained tokens, each counted once."""
    from torch.nn.functional import cross_entropy

    predicting, predicted = zip(*packed.targets, strict=True)
    return cross_entropy(
        logits[list(predicting)], logits.new_tensor([packed.tokens[node] for node in predicted]).long()
    )


# ---------------------------------------------------------------------------------------------------------------
# checks


def check(holds: bool, what: str) -> None:
    print(f"  {'ok' if holds else 'FAILED'}: {what}", flush=True)
    if not holds:
        failures.append(what)


def compare_with_plain_passes(model, rows: Sequence[list[training_units.Unit[list[int]]]], tolerance: float) -> None:
    """Compare every unit of every row, with the right mask and positions and with three wrong ones."""
    import torch

    print("logits of each continuation in the tree and in a plain causal pass over its context", flush=True)
    largest = dict.fromkeys(("right", "siblings are seen", "positions of the packed row", "threads stand once"), 0.0)
    wrong_units = dict.fromkeys(largest, 0)
    losses = []
    for found in rows:
        packed, plain = tree(found), plain_logits(model, found)
        flat = range(len(packed.tokens))
        kinds = {
            "right": (ancestors(packed), packed.depths),
            "siblings are seen": (everything_before(packed), packed.depths),
            "positions of the packed row": (ancestors(packed), flat),
            "threads stand once": (threads_once(packed, found), packed.depths),
        }
        for name, (allowed, positions) in kinds.items():
            with torch.no_grad():
                logits = packed_logits(model, packed, allowed, positions)
            apart = differences(found, packed, logits, plain)
            largest[name] = max(largest[name], *apart)
            wrong_units[name] += sum(one > tolerance for one in apart)
            if name == "right":
                losses.append((float(loss_of(packed, logits)), mean_loss(found, plain)))
    count = sum(map(len, rows))
    for name, apart in largest.items():
        told = f"{name}: largest difference {apart:.2g}, {wrong_units[name]} of {count} units above {tolerance:g}"
        check(
            wrong_units[name] == 0 if name == "right" else wrong_units[name] > 0,
            told + ("" if name == "right" else " (has to be noticed)"),
        )
    gap = max(abs(left - right) for left, right in losses)
    check(gap < tolerance, f"the loss of the tree is the loss of the units: largest difference {gap:.2g}")


def mean_loss(found: Sequence[training_units.Unit[list[int]]], plain: Sequence) -> float:
    import torch
    from torch.nn.functional import cross_entropy

    logits, ids = torch.cat(list(plain)), [id for unit in found for id in unit.continuation]
    return float(cross_entropy(logits, torch.tensor(ids)))


def train(model, rows: Sequence[list[training_units.Unit[list[int]]]]) -> None:
    """Take optimizer steps over all rows, and compute the loss again."""
    import torch

    print(f"{STEPS} optimizer steps over {len(rows)} rows", flush=True)
    before = [parameter.detach().clone() for parameter in model.parameters()]
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    packs, losses = [tree(found) for found in rows], []
    for step in range(STEPS + 1):
        total = 0.0
        for packed in packs:
            with torch.set_grad_enabled(step < STEPS):
                loss = loss_of(packed, packed_logits(model, packed, ancestors(packed), packed.depths)) / len(packs)
            total += float(loss.detach())
            if step < STEPS:
                loss.backward()
        losses.append(total)
        if step < STEPS:
            optimizer.step()
            optimizer.zero_grad()
    told = " → ".join(f"{loss:.4f}" for loss in losses)
    check(all(torch.isfinite(torch.tensor(losses))), f"the loss is finite: {told}")
    check(losses == sorted(losses, reverse=True) and losses[-1] < losses[0], "it falls")
    changed = sum(not torch.equal(old, new) for old, new in zip(before, model.parameters(), strict=True))
    check(changed == len(before), f"{changed} of {len(before)} parameters have changed")


# ---------------------------------------------------------------------------------------------------------------
# data


def saved(folder: Path, name: str):
    """Return the rows of a saved split, as `datasets` loads them; none if it was not saved."""
    from datasets import load_dataset

    found = [path for path in folder.glob("*/train.parquet") if re.fullmatch(name, path.parent.name)]
    return (
        load_dataset("parquet", data_files=str(found[0]), cache_dir=str(folder.parent / "cache"))["train"]
        if found
        else None
    )


def rows_of(folder: Path, tokenizer: Tokenizer, limit: int) -> list[list[training_units.Unit[list[int]]]]:
    """Return the units of the first rows of a dataset, checked against the pairs saved next to it and the training
    length."""
    rows = saved(folder, r"sample_\d+").select(range(limit)) if limit else saved(folder, r"sample_\d+")
    spans = [training_rows.turn_span(row["qwen_text"], row["raw_messages"], tokenizer) for row in rows]
    found = [training_units.as_ids(*span, tokenizer) for span in spans]
    pairs = saved(folder, r"units_\d+")
    if pairs is not None:
        known = {(pair["uuid"], pair["unit"]): pair["context"] + "\0" + pair["continuation"] for pair in pairs}
        built = {
            (row["uuid"], number): f"{unit.context}\0{unit.continuation}"
            for row, span in zip(rows, spans, strict=True)
            for number, unit in enumerate(training_units.as_text(*span))
        }
        check(
            all(known.get(key) == text for key, text in built.items()),
            f"{len(built)} units are the pairs that were saved",
        )
    trees = [tree(one) for one in found]
    counted = sum(measure(markup.parse(text), tokenizer.starts(text)).training_length for text, _ in spans)
    nodes, extra = sum(len(one.tokens) for one in trees), sum(unit.thread > 1 for one in found for unit in one)
    plain = sum(len(one[-1].context) + len(one[-1].continuation) for one in found)
    trained, spoken = (
        sum(len(one.targets) for one in trees),
        sum(len(unit.continuation) for one in found for unit in one),
    )
    print(
        f"{len(found)} rows: {plain} tokens, {nodes} in their trees, training length {counted}; {trained} tokens are trained"
    )
    check(
        nodes == counted - 2 * extra,
        f"a tree is its training length, less <Thread> and a newline that each of {extra} later siblings shares",
    )
    once = all(len(set(one.targets)) == len(one.targets) for one in trees)
    check(once and trained == spoken, "each token that a model decodes is trained, and once")
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", type=Path, required=True, help="a folder that save_dataset.py wrote")
    parser.add_argument("--tokenizer", required=True, help="name or local path; the tags are added to it")
    parser.add_argument("--rows", type=int, default=0, help="number of rows (all)")
    parser.add_argument(
        "--tolerance", type=float, default=1e-4, help="allowed difference between logits of float32 passes (1e-4)"
    )
    args = parser.parse_args()
    begun = time.monotonic()
    tokenizer = load_tokenizer(args.tokenizer).with_tags(markup.TAGS)
    rows = rows_of(args.dataset, tokenizer, args.rows)
    model = random_model(len(tokenizer.hf))
    compare_with_plain_passes(model, rows, args.tolerance)
    train(model, rows)
    print(f"{len(failures)} failed checks, {time.monotonic() - begun:.0f} s")
    return 1 if failures else 0


if __name__ == "__main__":
    raise SystemExit(main())
