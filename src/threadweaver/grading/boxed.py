"""Find a model's answer in its output: the last box."""

from __future__ import annotations

import re

# An escaped character (`\{`, `\\`) is skipped; a box begins with its brace.
_TOKENS = re.compile(r"(\\boxed\s*\{)|(\\fbox\s*\{)|\\.|[{}]", re.DOTALL)


def final_answer(text: str) -> str | None:
    r"""Return the content of the last balanced, non-empty `\boxed{}` of a text without thinking, or None.

    The last box is the one that opens last, so of two nested boxes the
    inner one, as in the rewards of this field. An empty box is skipped: it quotes the instruction. `\fbox{}` counts where
    there is no `\boxed{}`. A box without braces (`\boxed 5`) is not read. Takes one pass over the text, from the first
    box on: what is before it opens no box.
    """
    found = [at for at in (text.find("\\boxed"), text.find("\\fbox")) if at >= 0]
    if not found:
        return None
    first = len(text[: min(found)].rstrip("\\"))  # of several backslashes only the last one may belong to it
    opened: list[tuple[str, int]] = []
    last = {"boxed": (-1, -1), "fbox": (-1, -1)}
    for token in _TOKENS.finditer(text, first):
        if token[1]:
            opened.append(("boxed", token.end()))
        elif token[2]:
            opened.append(("fbox", token.end()))
        elif token[0] == "{":
            opened.append(("", token.end()))
        elif token[0] == "}" and opened:
            kind, start = opened.pop()
            if kind and start > last[kind][0] and text[start : token.start()].strip():
                last[kind] = (start, token.start())
    start, end = last["boxed"] if last["boxed"][0] >= 0 else last["fbox"]
    return text[start:end].strip() if start >= 0 else None
