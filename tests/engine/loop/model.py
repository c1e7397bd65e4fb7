"""The loop's model: Qwen3's architecture at the size that two cores can train, and a tokenizer of the problems' language.

Usage   python tests/engine/loop/model.py CHAINS.jsonl OUTPUT
Writes  OUTPUT: config, random weights, tokenizer
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "src"))

from threadweaver.corpus.chat import user_turn
from threadweaver.trajectory import markup

VOCABULARY = 640
"""Tokens, the tags included: the language has some 200 words."""
SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
CHAT_TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
"""Qwen's form, which keeps the think block of an assistant's turn."""
PIECES = r" ?\d{1,2}| ?[A-Za-z']+| ?[^\sA-Za-z\d]+|\s"
"""What no token runs across: numbers of up to two digits, words, marks."""
CONTEXT = 2048
SHAPE = {"hidden_size": 96, "intermediate_size": 256, "num_hidden_layers": 4, "num_attention_heads": 4}
SHAPE |= {"num_key_value_heads": 2, "head_dim": 32, "rope_theta": 10_000.0}


def texts(chains: Path, count: int = 5000) -> Iterator[str]:
    """Yield the turns of the first chains, as they are trained on."""
    with open(chains, encoding="utf-8") as file:
        for row in map(json.loads, islice(file, count)):
            yield user_turn(row["problem"])
            yield row["response"]


def make_tokenizer(chains: Path):
    """Return a byte-level BPE in which a number of up to two digits is a token, and each tag an added one."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PIECES), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    core.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY - len(SPECIAL) - len(markup.TAGS),
        show_progress=False,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
    )
    core.train_from_iterator(texts(chains), trainer)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=core, eos_token="<|im_end|>", pad_token="<|endoftext|>", clean_up_tokenization_spaces=False
    )
    fast.add_special_tokens({"additional_special_tokens": list(SPECIAL)})
    fast.add_tokens(list(markup.TAGS))
    fast.chat_template = CHAT_TEMPLATE
    return fast


def make_model(tokenizer):
    """Return a model with random weights, in float32."""
    import torch
    from transformers import Qwen3Config, Qwen3ForCausalLM

    torch.manual_seed(0)
    config = Qwen3Config(
        vocab_size=-(-len(tokenizer) // 64) * 64,
        max_position_embeddings=CONTEXT,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        tie_word_embeddings=True,
        **SHAPE,
    )
    return Qwen3ForCausalLM(config)


def main() -> None:
    chains, output = Path(sys.argv[1]), Path(sys.argv[2])
    tokenizer = make_tokenizer(chains)
    model = make_model(tokenizer)
    tokenizer.save_pretrained(output)
    model.save_pretrained(output)
    count = sum(parameter.numel() for parameter in model.parameters())
    print(f"{count:,} weights, {len(tokenizer)} tokens → {output}")


if __name__ == "__main__":
    main()
