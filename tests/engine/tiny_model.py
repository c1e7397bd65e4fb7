"""A tiny random Qwen3 (hidden 64, 2 layers) on the sample's tokenizer, for engines that run without a GPU.

Runs in the engine's own environment (torch and transformers come with it).
Example python tests/engine/tiny_model.py data/sample/tokenizer data/engine/tiny
"""

from __future__ import annotations

import sys
from pathlib import Path

CONTEXT = 40_960
"""Positions, as Qwen3-8B has them: the published command's context fits."""


def build(tokenizer_path: str, output: Path) -> None:
    import torch
    from transformers import AutoTokenizer, Qwen3Config, Qwen3ForCausalLM

    tokenizer = AutoTokenizer.from_pretrained(tokenizer_path)
    torch.manual_seed(0)
    config = Qwen3Config(
        vocab_size=-(-len(tokenizer) // 64) * 64,
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


if __name__ == "__main__":
    build(sys.argv[1], Path(sys.argv[2]))
