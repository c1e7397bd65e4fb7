"""Train on an export of trees as its recipe says, with a tiny random Qwen3 on the CPU.

Each row of the export is one pass over the tree of its contexts. Every continuation must have the logits of a plain
causal pass over its own context, as fork-join inference sends it; that is checked, unit by unit, against the units of
the saved dataset.

Threads 2 … n of a block are in the tree twice. As branches they follow the outlines and do not see their siblings;
in the joined context, to which the text after the block attends, the same tokens follow the earlier threads, at
later positions. No mask over a single copy gives both, which is why the training length counts these threads twice.

Usage   python tests/engine/train.py --dataset DIR --export DIR --tokenizer PATH [--rows N] [--tolerance 1e-4]
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

import numpy as np

from threadweaver.corpus import training_rows, training_units
from threadweaver.corpus.tokenizer import Tokenizer, load_tokenizer
from threadweaver.trajectory import markup
from threadweaver.trajectory.measures import measure

STEPS = 2
failures: list[str] = []
Units = list[training_units.Unit[list[int]]]


@dataclass(frozen=True, slots=True)
class Packed:
    """A row of the export, and the units of the same row as they are requested one by one."""

    row: dict
    units: Units

    @property
    def branches(self) -> list[tuple[int, int, int]]:
        """[start, end) of each branch and the token from which it does not see the trunk; the trunk is not one."""
        names = ("segment_start", "segment_end", "segment_fork")
        return list(zip(*(self.row[name] for name in names), strict=True))[1:]

    def spans(self) -> list[tuple[int, int]]:
        """Return [start, end) of each unit's continuation in the row."""
        branches, found = iter(self.branches), []
        for unit in self.units:
            end = next(branches)[1] if unit.thread > 1 else len(unit.context) + len(unit.continuation)
            found.append((end - len(unit.continuation), end))
        return found


# ---------------------------------------------------------------------------------------------------------------
# masks: [i, j] is whether token i attends to token j


def everything_before(packed: Packed, visible: np.ndarray) -> np.ndarray:
    """Wrong: the causal mask of a plain row; a thread sees the siblings that are packed before it."""
    return np.tri(len(visible), dtype=bool)


def threads_once(packed: Packed, visible: np.ndarray) -> np.ndarray:
    """Wrong, although it would save the second copies: the text after a block attends to threads 2 … n as branches,
    each after the outlines and without the threads before it."""
    allowed, trunk = visible.copy(), packed.row["segment_end"][0]
    for (start, end), (first, last, _) in zip(joined_copies(packed.units), packed.branches, strict=True):
        allowed[end:trunk, start:end] = False
        allowed[end:trunk, first:last] = True
    for first, last, fork in packed.branches:
        allowed[first:last] = allowed[fork - 1]
        allowed[first:last, first:last] = np.tri(last - first, dtype=bool)
    return allowed


def joined_copies(units: Units) -> list[tuple[int, int]]:
    """Return, for threads 2 … n, the tokens [start, end) of the trunk in which they are repeated."""
    copies, fork, end = [], 0, 0
    for unit in units:
        if unit.kind == training_units.OUTLINES:
            fork = len(unit.context) + len(unit.continuation)
            end = fork + 1  # a newline
        elif unit.thread:
            start, end = end, end + len(unit.context) - fork - 1 + len(unit.continuation)
            copies += [(start, end)] if unit.thread > 1 else []
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


def packed_logits(model, packed: Packed, allowed: np.ndarray, positions: Sequence[int]):
    """Return the logits [tokens, vocabulary] of one pass over the tree."""
    import torch

    mask = torch.zeros(allowed.shape).masked_fill_(torch.from_numpy(~allowed), torch.finfo(torch.float32).min)
    return model(
        input_ids=torch.tensor([packed.row["input_ids"]]),
        attention_mask=mask[None, None],
        position_ids=torch.tensor([list(positions)]),
        use_cache=False,
    ).logits[0]


def plain_logits(model, found: Units) -> list:
    """Return, for each unit, the logits [continuation, vocabulary] with which a plain causal pass predicts the
    continuation from the context."""
    import torch

    with torch.no_grad():
        passes = (
            model(input_ids=torch.tensor([unit.context + unit.continuation]), use_cache=False).logits[0]
            for unit in found
        )
        return [logits[len(unit.context) - 1 : -1].clone() for unit, logits in zip(found, passes, strict=True)]


def differences(packed: Packed, logits, plain: Sequence) -> list[float]:
    """Return, for each unit, the largest difference between its logits in the tree and in the plain pass."""
    return [
        float((logits[start - 1 : end - 1] - expected).abs().max())
        for (start, end), expected in zip(packed.spans(), plain, strict=True)
    ]


def loss_of(packed: Packed, logits):
    """Return the mean cross entropy of the row's labels, shifted by one as trainers do."""
    import torch
    from torch.nn.functional import cross_entropy

    return cross_entropy(logits[:-1], torch.tensor(packed.row["labels"])[1:], ignore_index=-100)


# ---------------------------------------------------------------------------------------------------------------
# checks


def check(holds: bool, what: str) -> None:
    print(f"  {'ok' if holds else 'FAILED'}: {what}", flush=True)
    if not holds:
        failures.append(what)


def compare_with_plain_passes(model, rows: Sequence[Packed], visible, tolerance: float) -> None:
    """Compare every unit of every row, with the right mask and positions and with three wrong ones."""
    import torch

    print("logits of each continuation in the tree and in a plain causal pass over its context", flush=True)
    largest = dict.fromkeys(("right", "siblings are seen", "positions of the packed row", "threads stand once"), 0.0)
    wrong_units = dict.fromkeys(largest, 0)
    losses = []
    for packed in rows:
        plain, mask = plain_logits(model, packed.units), visible(packed.row)
        positions = packed.row["position_ids"]
        kinds = {
            "right": (mask, positions),
            "siblings are seen": (everything_before(packed, mask), positions),
            "positions of the packed row": (mask, range(len(positions))),
            "threads stand once": (threads_once(packed, mask), positions),
        }
        for name, (allowed, positions) in kinds.items():
            with torch.no_grad():
                logits = packed_logits(model, packed, allowed, positions)
            apart = differences(packed, logits, plain)
            largest[name] = max(largest[name], *apart)
            wrong_units[name] += sum(one > tolerance for one in apart)
            if name == "right":
                losses.append((float(loss_of(packed, logits)), mean_loss(packed.units, plain)))
    count = sum(len(packed.units) for packed in rows)
    for name, apart in largest.items():
        told = f"{name}: largest difference {apart:.2g}, {wrong_units[name]} of {count} units above {tolerance:g}"
        check(
            wrong_units[name] == 0 if name == "right" else wrong_units[name] > 0,
            told + ("" if name == "right" else " (has to be noticed)"),
        )
    gap = max(abs(left - right) for left, right in losses)
    check(gap < tolerance, f"the loss of the tree is the loss of the units: largest difference {gap:.2g}")


def mean_loss(found: Units, plain: Sequence) -> float:
    import torch
    from torch.nn.functional import cross_entropy

    logits, ids = torch.cat(list(plain)), [id for unit in found for id in unit.continuation]
    return float(cross_entropy(logits, torch.tensor(ids)))


def train(model, rows: Sequence[Packed], visible) -> None:
    """Take optimizer steps over all rows, and compute the loss again."""
    import torch

    print(f"{STEPS} optimizer steps over {len(rows)} rows", flush=True)
    before = [parameter.detach().clone() for parameter in model.parameters()]
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    losses = []
    for step in range(STEPS + 1):
        total = 0.0
        for packed in rows:
            with torch.set_grad_enabled(step < STEPS):
                logits = packed_logits(model, packed, visible(packed.row), packed.row["position_ids"])
                loss = loss_of(packed, logits) / len(rows)
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
    """Return the rows of a saved split; none if it was not saved."""
    found = [path for path in folder.glob("*/train.parquet") if re.fullmatch(name, path.parent.name)]
    return loaded(found[0], folder.parent / "cache") if found else None


def loaded(path: Path, cache: Path):
    """Return the rows of a parquet file, as `datasets` loads them."""
    from datasets import load_dataset

    return load_dataset("parquet", data_files=str(path), cache_dir=str(cache))["train"]


def rows_of(folder: Path, export: Path, tokenizer: Tokenizer, limit: int) -> list[Packed]:
    """Return the first rows of an export with their units, checked against the pairs saved next to the dataset and the
    training length."""
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
    exported = {row["uuid"]: row for row in loaded(export / "train.parquet", folder.parent / "cache")}
    packed = [Packed(exported[row["uuid"]], units) for row, units in zip(rows, found, strict=True)]
    counted = sum(measure(markup.parse(text), tokenizer.starts(text)).training_length for text, _ in spans)
    tokens, extra = sum(len(one.row["input_ids"]) for one in packed), sum(len(one.branches) for one in packed)
    plain = sum(len(units[-1].context) + len(units[-1].continuation) for units in found)
    trained = sum(label != -100 for one in packed for label in one.row["labels"])
    print(
        f"{len(found)} rows: {plain} tokens, {tokens} in their trees, training length {counted}; {trained} tokens are trained"
    )
    check(
        tokens == counted - 2 * extra,
        f"a tree is its training length, less <Thread> and a newline that each of {extra} later siblings shares",
    )
    spoken = sum(len(unit.continuation) for units in found for unit in units)
    spans_trained = all(
        one.row["labels"][start:end] == unit.continuation
        for one in packed
        for (start, end), unit in zip(one.spans(), one.units, strict=True)
    )
    check(spans_trained and trained == spoken, "each token that a model decodes is trained, and once")
    return packed


def check_flex_attention(model, packed: Packed, reader, tolerance: float) -> None:
    """Compare a pass with the recipe's mask for flex attention with one over the mask as an array."""
    import torch
    from torch.nn.attention.flex_attention import create_block_mask

    inputs = {name: torch.from_numpy(array) for name, array in reader.batch([packed.row]).items()}
    seen, own = inputs.pop("seen"), inputs.pop("own")

    def visible(b, h, q, kv):
        return (kv < seen[b, q]) | ((kv >= own[b, q]) & (kv <= q))

    size = inputs["input_ids"].shape[1]
    with torch.no_grad():
        expected = packed_logits(model, packed, reader.visible(packed.row), packed.row["position_ids"])
        model.set_attn_implementation("flex_attention")
        mask = create_block_mask(visible, B=1, H=None, Q_LEN=size, KV_LEN=size, device="cpu")
        output = model(**inputs, attention_mask=mask, use_cache=False)
    model.set_attn_implementation("sdpa")
    apart = float((output.logits[0] - expected).abs().max())
    gap = abs(float(output.loss) - float(loss_of(packed, expected)))
    check(max(apart, gap) < tolerance, f"flex attention as in the recipe: logits {apart:.2g} and loss {gap:.2g} apart")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", type=Path, required=True, help="a folder that save_dataset.py wrote")
    parser.add_argument("--export", type=Path, required=True, help="its export for `tree`")
    parser.add_argument("--tokenizer", required=True, help="name or local path; the tags are added to it")
    parser.add_argument("--rows", type=int, default=0, help="number of rows (all)")
    parser.add_argument(
        "--tolerance", type=float, default=1e-4, help="allowed difference between logits of float32 passes (1e-4)"
    )
    args = parser.parse_args()
    begun = time.monotonic()
    tokenizer = load_tokenizer(args.tokenizer).with_tags(markup.TAGS)
    sys.path.insert(0, str(args.export))
    import tree_reader  # the one in the export

    rows = rows_of(args.dataset, args.export, tokenizer, args.rows)
    model = random_model(len(tokenizer.hf))
    compare_with_plain_passes(model, rows, tree_reader.visible, args.tolerance)
    check_flex_attention(model, min(rows, key=lambda packed: len(packed.row["labels"])), tree_reader, args.tolerance)
    train(model, rows, tree_reader.visible)
    print(f"{len(failures)} failed checks, {time.monotonic() - begun:.0f} s")
    return 1 if failures else 0


if __name__ == "__main__":
    raise SystemExit(main())
