"""Draw batches of an export through the real data code of a trainer, and compare tokens and loss mask with ours.

    python tests/engine/trainers.py expect --dataset DIR --tokenizer PATH --to FILE     in the project's environment
    python tests/engine/trainers.py start --export DIR --to DIR                         in an environment with transformers
    python tests/engine/trainers.py NAME --export DIR --expected FILE --model DIR       in the trainer's environment

NAME is one of trl, llama-factory, axolotl, verl, verl-rl, openrlhf. `start` checks prepare_model.py, and makes the start model
of the others. What is expected is read off the saved rows themselves: the
tokens of `qwen_text` up to the end token, trained from the prompt's end on; for OpenRLHF the units as they were saved.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

IGNORED = -100
TAGS = [f"<{end}{name}>" for name in ("Parallel", "Outlines", "Outline", "Thread", "Conclusion") for end in ("", "/")]
Pair = tuple[list[int], list[bool]]
"""The tokens of a row, and for each whether it is trained."""


# ---- what is expected


def expect(dataset: Path, tokenizer_path: str, to: Path) -> None:
    """Write the rows and units of a saved dataset as [tokens, number of untrained ones at the beginning]."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "src"))
    import pyarrow.parquet as parquet

    from threadweaver.corpus.tokenizer import load_tokenizer
    from threadweaver.trajectory import markup

    tokenizer = load_tokenizer(tokenizer_path).with_tags(markup.TAGS)
    table = {
        path.parent.name.split("_")[0]: path
        for path in dataset.glob("*_[0-9]*/train.parquet")
        if "x" not in path.parent.name
    }
    rows, units = [], []
    for row in parquet.read_table(table["sample"]).to_pylist():
        prompt = tokenizer.chat(row["raw_messages"][:1], add_generation_prompt=True)
        rows.append([tokenizer.ids(row["qwen_text"].rstrip()), len(tokenizer.ids(prompt))])
    for unit in parquet.read_table(table["units"]).to_pylist():
        context = tokenizer.ids(unit["context"])
        units.append([context + tokenizer.ids(unit["continuation"]), len(context)])
    to.write_text(json.dumps({"rows": rows, "units": units}))


def pairs(expected: Sequence) -> list[Pair]:
    return [(ids, [at >= untrained for at in range(len(ids))]) for ids, untrained in expected]


# ---- the start model


def start(export: Path, to: Path) -> None:
    """Let the export's prepare_model.py add the tags to a tiny random model that has none, and check what it made."""
    sys.path[:0] = [str(export), str(Path(__file__).parent)]
    import torch
    from prepare_model import prepare
    from tiny_model import build
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tagged, plain = export / "tokenizer", to.with_name(f"{to.name}-plain")
    build(str(tagged), plain, without=TAGS)
    prepare(str(plain), to)
    before, after = (AutoModelForCausalLM.from_pretrained(path) for path in (plain, to))
    tokenizer, bare = AutoTokenizer.from_pretrained(to), AutoTokenizer.from_pretrained(plain)
    known = len(bare)
    assert tokenizer.get_vocab() == AutoTokenizer.from_pretrained(tagged).get_vocab() and len(tokenizer) == known + 10
    for old, new in zip(_tables(before), _tables(after), strict=True):
        assert len(old) == known < len(tokenizer) <= len(new) and torch.equal(old, new[:known])
        for tag in TAGS:
            spelled = old[bare(tag, add_special_tokens=False)["input_ids"]].mean(dim=0)
            torch.testing.assert_close(new[tokenizer.convert_tokens_to_ids(tag)], spelled)
    report(
        f"  the start model: {known} tokens and ten tags, {len(_tables(after)[0])} embeddings; the old ones are unchanged"
    )


def _tables(model) -> list:
    return [part.weight.detach() for part in (model.get_input_embeddings(), model.get_output_embeddings())]


# ---- what the trainers read: each returns its rows without padding


def trl(export: Path, model: str) -> list[Pair]:
    """A batch of TRL's SFTTrainer, which then takes two steps."""
    sys.path.insert(0, str(export))
    from train_trl import trainer

    output = str(export.parent / "trl-out")
    made = trainer(model, output, bf16=False, use_cpu=True, max_steps=2, gradient_accumulation_steps=1, logging_steps=1)
    batch = made.data_collator([made.train_dataset[at] for at in range(len(made.train_dataset))])
    made.train()
    losses = [entry["loss"] for entry in made.state.log_history if "loss" in entry]
    report(f"  two steps: losses {losses}")
    assert len(losses) == 2 and all(loss == loss for loss in losses)
    return _of_labels(batch)


def llama_factory(export: Path, model: str) -> list[Pair]:
    """A batch of LLaMA-Factory, by the export's own settings file."""
    os.environ["DISABLE_VERSION_CHECK"] = "1"
    os.chdir(export)  # the settings name their files relative to it
    import yaml
    from llamafactory.data import SFTDataCollatorWith4DAttentionMask, get_dataset, get_template_and_fix_tokenizer
    from llamafactory.hparams import get_train_args
    from llamafactory.model import load_tokenizer

    given = yaml.safe_load(Path("llama_factory.yaml").read_text())
    given |= {"model_name_or_path": model, "use_cpu": True, "bf16": False, "output_dir": str(export.parent / "lf-out")}
    of_model, of_data, training, _, _ = get_train_args(given | {"report_to": "none", "overwrite_cache": True})
    loaded = load_tokenizer(of_model)
    template = get_template_and_fix_tokenizer(loaded["tokenizer"], of_data)
    rows = get_dataset(template, of_model, of_data, training, stage="sft", **loaded)["train_dataset"]
    collator = SFTDataCollatorWith4DAttentionMask(
        template=template, label_pad_token_id=IGNORED, tokenizer=loaded["tokenizer"], pad_to_multiple_of=8
    )
    return _of_labels(collator([rows[at] for at in range(len(rows))]))


def axolotl(export: Path, model: str) -> list[Pair]:
    """The rows that axolotl prepares, by the export's own settings file."""
    os.environ["AXOLOTL_DO_NOT_TRACK"] = "1"
    os.chdir(export)
    from axolotl.cli.config import load_cfg
    from axolotl.common.datasets import load_datasets
    from transformers import AutoTokenizer, DataCollatorForSeq2Seq

    places = {"dataset_prepared_path": str(export.parent / "ax-prepared"), "output_dir": str(export.parent / "ax-out")}
    rows = load_datasets(cfg=load_cfg("axolotl.yaml", base_model=model, **places)).train_dataset
    names = ("input_ids", "attention_mask", "labels")
    collator = DataCollatorForSeq2Seq(AutoTokenizer.from_pretrained(model), return_tensors="pt")
    return _of_labels(collator([{name: rows[at][name] for name in names} for at in range(len(rows))]))


def verl(export: Path, model: str) -> list[Pair]:
    """A batch of verl's SFT trainer without padding and one with, by the settings of the export's script."""
    import re

    import verl.trainer.sft_trainer as trainer
    from hydra import compose, initialize_config_dir
    from transformers import AutoTokenizer
    from verl.utils.dataset.dataset_utils import DatasetPadMode, SFTTensorCollator

    script = (export / "verl.sh").read_text().replace('"$PWD/', f'"{export}/').replace('"', "")
    settings = re.search(r"settings=\((.*?)\)", script, re.S)[1].split()
    with initialize_config_dir(str(Path(trainer.__file__).parent / "config"), version_base=None):
        config = compose("sft_trainer_engine", overrides=settings)
    tokenizer, found = AutoTokenizer.from_pretrained(model), []
    for mode in ("no_padding", "right"):
        config.data.pad_mode = mode
        rows = trainer.create_sft_dataset(str(export / "train.parquet"), config.data, tokenizer, None)
        batch = SFTTensorCollator(DatasetPadMode(mode))([rows[at] for at in range(len(rows))])
        seen = batch.get("attention_mask")
        lengths = [len(ids) for ids in batch["input_ids"]] if seen is None else seen.sum(dim=1).tolist()
        found.append(
            [
                (
                    batch["input_ids"][at][:length].tolist(),
                    [bool(one) for one in batch["loss_mask"][at][:length].tolist()],
                )
                for at, length in enumerate(lengths)
            ]
        )
    assert found[0] == found[1], "the rows with padding differ from those without"
    return found[0]


def openrlhf(export: Path, model: str) -> list[Pair]:
    """A batch of OpenRLHF's loader with the export's dataset in place of its own. Its mask names the token before."""
    sys.path.insert(0, str(export))
    from types import SimpleNamespace

    from openrlhf.datasets.utils import blending_datasets
    from openrlhf_units import TokenizedPairs
    from transformers import AutoTokenizer

    strategy = SimpleNamespace(print=lambda *_: None, is_rank_0=lambda: True, args=SimpleNamespace(use_ms=False))
    rows = blending_datasets(str(export / "train.parquet"), None, strategy, 42, max_count=10**6)
    dataset = TokenizedPairs(rows, AutoTokenizer.from_pretrained(model), 40_960, strategy, input_template=None)
    ids, seen, loss = dataset.collate_fn([dataset[at] for at in range(len(dataset))])
    assert not (loss * (1 - seen)).any() and not loss[:, -1].any()
    return [
        (ids[at, :length].tolist(), [False, *(bool(one) for one in loss[at, : length - 1].tolist())])
        for at, length in enumerate(seen.sum(dim=1).tolist())
    ]


def verl_rl(export: Path, model: str, expected: Sequence) -> int:
    """verl's prompts and its reward, by the command of the recipe: the prompts are those of fine-tuning, in tokens, and
    the reward is called as verl's reward loop calls it, outside the main thread."""
    import re
    import threading

    import verl.trainer.main_ppo as trainer
    from hydra import compose, initialize_config_dir
    from transformers import AutoTokenizer
    from verl.trainer.ppo.reward import get_custom_reward_fn
    from verl.utils.dataset.rl_dataset import RLHFDataset

    [command] = re.findall(r"main_ppo (.*?)```", (export / "RECIPE.md").read_text(), re.S)
    words = command.replace("\\\n", " ").replace('"$PWD/', f'"{export}/').replace('"', "").split()
    settings = [word for word in words if not word.endswith("…")]
    with initialize_config_dir(str(Path(trainer.__file__).parent / "config"), version_base=None):
        config = compose("ppo_trainer", overrides=settings)
    tokenizer = AutoTokenizer.from_pretrained(model)
    rows = RLHFDataset(str(export / config.data.train_files), tokenizer, config.data)
    prompts = [
        tokenizer.apply_chat_template(row["prompt"], add_generation_prompt=True)["input_ids"] for row in rows.dataframe
    ]
    alike = sum(ids[:untrained] in prompts for ids, untrained in expected)
    reward, scores = get_custom_reward_fn(config), []

    def score() -> None:
        for row in rows.dataframe:
            reference = row["reward_model"]["ground_truth"]
            for answer in (f"<think>\n</think>\n\\boxed{{{reference}}}", "<think>\n</think>\n\\boxed{no number}"):
                scores.append(reward(row["data_source"], answer, reference, row["extra_info"]))

    thread = threading.Thread(target=score)
    thread.start()
    thread.join()
    report(f"  {len(rows)} prompts, those of {alike} of {len(expected)} rows equal in tokens")
    report(f"  rewards of the reference and of another answer: {sorted(set(scores[::2]))}, {sorted(set(scores[1::2]))}")
    return 0 if alike == len(expected) and set(scores[::2]) == {1.0} and set(scores[1::2]) == {0.0} else 1


def _of_labels(batch) -> list[Pair]:
    """Return the rows of a padded batch of input_ids, attention_mask and labels; padding must not be trained."""
    seen = batch["attention_mask"]
    assert (batch["labels"][seen == 0] == IGNORED).all()
    rows = []
    for at, length in enumerate(seen.sum(dim=1).tolist()):
        ids, labels = batch["input_ids"][at, :length].tolist(), batch["labels"][at, :length].tolist()
        assert all(label in (id, IGNORED) for id, label in zip(ids, labels, strict=True))
        rows.append((ids, [label != IGNORED for label in labels]))
    return rows


TRAINERS: dict[str, Callable[[Path, str], list[Pair]]] = {
    "trl": trl,
    "llama-factory": llama_factory,
    "axolotl": axolotl,
    "verl": verl,
    "openrlhf": openrlhf,
}


# ---- the comparison


def compare(found: list[Pair], expected: list[Pair], model: str) -> int:
    """Return 0 if all rows are equal, in whatever order, and hold the thinking where it is trained; else 1."""
    from transformers import AutoTokenizer

    missing = [pair for pair in expected if pair not in found]
    report(f"  {len(found)} rows, {len(expected) - len(missing)} of {len(expected)} equal in tokens and loss mask")
    tokenizer = AutoTokenizer.from_pretrained(model)
    thinking = 0
    for ids, trained in found:
        text = tokenizer.decode([id for id, one in zip(ids, trained, strict=True) if one])
        thinking += "<think>" in tokenizer.decode(ids) and "</think>" in text
    report(f"  {thinking} rows hold a whole thinking, and its end is trained")
    return 0 if len(found) == len(expected) and not missing and thinking else 1


def report(line: str) -> None:
    """Print a line where trainers.sh wants it: trainers print whole rows to the standard output."""
    try:
        os.write(3, f"{line}\n".encode())
    except OSError:
        print(line)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("expect", "start", *TRAINERS, "verl-rl"))
    parser.add_argument("--dataset", type=Path, help="the folder that save_dataset.py --units wrote")
    parser.add_argument("--tokenizer", help="name or local path")
    parser.add_argument("--to", type=Path, help="the file of what is expected, or the folder of the start model")
    parser.add_argument("--export", type=Path, help="the folder that export_dataset.py wrote")
    parser.add_argument("--expected", type=Path)
    parser.add_argument("--model", help="folder of the start model, its tokenizer with the tags")
    args = parser.parse_args()
    if args.what == "expect":
        expect(args.dataset, args.tokenizer, args.to)
        return 0
    if args.what == "start":
        start(args.export.resolve(), args.to)
        return 0
    expected = json.loads(args.expected.read_text())["units" if args.what == "openrlhf" else "rows"]
    if args.what == "verl-rl":
        code = verl_rl(args.export.resolve(), args.model, expected)
    else:
        code = compare(TRAINERS[args.what](args.export.resolve(), args.model), pairs(expected), args.model)
    sys.stdout.flush()
    os._exit(code)  # axolotl leaves a thread that never ends


if __name__ == "__main__":
    raise SystemExit(main())
