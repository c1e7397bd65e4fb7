"""A tiny random Qwen3 (hidden 64, 2 layers) on the sample's tokenizer, for engines that run without a GPU.

Runs in the engine's own environment (torch and transformers come with it).
Example python tests/engine/tiny_model.py data/sample/tokenizer data/engine/tiny
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

CONTEXT = 40_960
"""Positions, as Qwen3-8B has them: the published command's context fits."""


def build(tokenizer_path: str, output: Path, without: Sequence[str] = ()) -> None:
    """Write model and tokenizer; `without` names the last added tokens, which are left out of both."""
    import torch
    from transformers import AutoTokenizer, Qwen3Config, Qwen3ForCausalLM

    tokenizer = AutoTokenizer.from_pretrained(
        _less(Path(tokenizer_path), without, output) if without else tokenizer_path
    )
    torch.manual_seed(0)
    config = Qwen3Config(
        vocab_size=len(tokenizer) if without else -(-len(tokenizer) // 64) * 64,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=32,
        max_position_embeddings=CONTEXT,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        tie_word_embeddings=False,
    )
    model = Qwen3ForCausalLM(config).to(torch.bfloat16)
    # random logits are nearly equal: greedy decoding is steadier, and its text more varied, if they differ more
    with torch.no_grad():
        model.lm_head.weight.mul_(8)
    model.save_pretrained(output)
    tokenizer.save_pretrained(output)


def _less(tokenizer: Path, without: Sequence[str], output: Path) -> Path:
    """Return a copy of a tokenizer without some of its added tokens."""
    shutil.copytree(tokenizer, output, dirs_exist_ok=True)
    file = output / "tokenizer.json"
    core = json.loads(file.read_text())
    core["added_tokens"] = [token for token in core["added_tokens"] if token["content"] not in without]
    file.write_text(json.dumps(core))
    return output


if __name__ == "__main__":
    build(sys.argv[1], Path(sys.argv[2]))
