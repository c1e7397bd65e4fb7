"""Where a model's answer stands in its output: the last box after the thinking."""

from __future__ import annotations

import re

_THINK_END = "</think>"
# An escaped character (`\{`, `\\`) is passed over; a box opens with its brace.
_TOKENS = re.compile(r"(\\boxed\s*\{)|(\\fbox\s*\{)|\\.|[{}]", re.DOTALL)


def final_answer(text: str) -> str | None:
    r"""The content of the last balanced, non-empty `\boxed{}` after the last `</think>`; None where there is
    none.

    Without a think tag the whole text is searched. "Last" is the box that opens last, so of two nested boxes
    the inner one, as rewards of this field take it. An empty box is passed over: it quotes the instruction.
    `\fbox{}` counts where no `\boxed{}` does. A box without braces (`\boxed 5`) is not read. One pass,
    whatever the text.
    """
    text = text[text.rfind(_THINK_END) + len(_THINK_END) :] if _THINK_END in text else text
    opened: list[tuple[str, int]] = []
    last = {"boxed": (-1, -1), "fbox": (-1, -1)}
    for token in _TOKENS.finditer(text):
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
