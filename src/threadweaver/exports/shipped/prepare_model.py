"""Make the model to start from: the ten tags as tokens, and rows for them in its embeddings.

Usage   python prepare_model.py MODEL OUTPUT      (MODEL: a name on the hub or a folder; OUTPUT: a new folder)

Each new tag begins at the mean of the tokens that spelled it before. The tokenizer is the one of this export, so that
its token ids are those of the rows.
"""

from __future__ import annotations

import sys
from pathlib import Path

TOKENIZER = Path(__file__).resolve().parent / "tokenizer"


def prepare(name: str, output: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    plain, tagged = AutoTokenizer.from_pretrained(name), AutoTokenizer.from_pretrained(TOKENIZER)
    known, wanted = plain.get_vocab(), tagged.get_vocab()
    if any(wanted.get(token) != at for token, at in known.items()):
        sys.exit(f"{name} has another tokenizer than the rows: export them again with --tokenizer {name}")
    model = AutoModelForCausalLM.from_pretrained(name, dtype="auto")
    if len(tagged) > model.get_input_embeddings().num_embeddings:
        model.resize_token_embeddings(len(tagged), pad_to_multiple_of=64)
    tables = {id(part.weight): part.weight for part in (model.get_input_embeddings(), model.get_output_embeddings())}
    with torch.no_grad():
        for tag in sorted(wanted.keys() - known.keys()):
            spelled = plain(tag, add_special_tokens=False)["input_ids"]
            for weight in tables.values():
                weight[wanted[tag]] = weight[spelled].mean(dim=0)
    model.save_pretrained(output)
    tagged.save_pretrained(output)
    print(
        f"{len(wanted.keys() - known.keys())} tags added, {model.get_input_embeddings().num_embeddings} embeddings → {output}"
    )


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    prepare(sys.argv[1], Path(sys.argv[2]))
