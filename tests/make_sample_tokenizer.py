"""Train the small tokenizer of data/sample/ on the sample's own text: `python tests/make_sample_tokenizer.py`.

A byte-level BPE of 4,096 tokens; the ten markup tags are single added tokens, as trainers set them up; the chat
template keeps the think block of an assistant's turn.
"""

from __future__ import annotations

import json
from pathlib import Path

SAMPLE = Path(__file__).resolve().parent.parent / "data" / "sample"
VOCABULARY = 4096
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
CHAT_TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)


def main() -> None:
    import sys

    sys.path.insert(0, str(SAMPLE.parent.parent / "src"))
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    from threadweaver.trajectory.markup import TAGS

    rows = [json.loads(line) for line in (SAMPLE / "chains.jsonl").read_text().split("\n") if line]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY - len(SPECIAL) - len(TAGS),
        show_progress=False,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
    )
    texts = [row[field] for row in rows for field in ("problem", "thinking", "output")]
    tokenizer.train_from_iterator(texts, trainer)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        clean_up_tokenization_spaces=False,
    )
    fast.add_special_tokens({"additional_special_tokens": SPECIAL})
    fast.add_tokens(list(TAGS))
    fast.chat_template = CHAT_TEMPLATE
    fast.save_pretrained(SAMPLE / "tokenizer")
    print(f"{len(fast)} tokens → {SAMPLE / 'tokenizer'}")


if __name__ == "__main__":
    main()
