"""Turns of a conversation: the instruction, the assistant's turn, and the rendering that trainers read."""

from __future__ import annotations

from threadweaver.corpus.thinking import opened_by
from threadweaver.corpus.tokenizer import Tokenizer

INSTRUCTION = r"Let's think step by step and output the final answer within \boxed{}."

_DEEPSEEK_TEXT = "<｜begin▁of▁sentence｜><｜User｜>{user}<｜Assistant｜>{assistant}<｜end▁of▁sentence｜>"


def user_turn(question: str, instruction: str = INSTRUCTION) -> str:
    """Return the question followed by a space and the instruction, unless it already ends with the instruction."""
    if not instruction or question.rstrip().endswith(instruction.strip()):
        return question
    return f"{question} {instruction}"


def assistant_turn(reasoning: str, answer: str) -> str:
    return f"<think>\n{reasoning}\n</think>\n{answer}"


def messages(question: str, reasoning: str, answer: str, instruction: str = INSTRUCTION) -> list[dict[str, str]]:
    return [
        {"role": "user", "content": user_turn(question, instruction)},
        {"role": "assistant", "content": assistant_turn(reasoning, answer)},
    ]


def render(tokenizer: Tokenizer, turns: list[dict[str, str]]) -> str:
    """Return the chat template's rendering of question and answer, with the think block.

    Where the template strips the block from the assistant's turn (DeepSeek's does), the turn is written as generated.
    """
    text = tokenizer.chat(turns)
    reasoning = turns[-1]["content"].rpartition("</think>")[0].removeprefix("<think>").strip()
    if text.rpartition("</think>")[0].rstrip().endswith(reasoning):
        return text
    return render_generated(tokenizer, turns)


def render_generated(tokenizer: Tokenizer, turns: list[dict[str, str]]) -> str:
    """Return the template's prompt for the question, the assistant's turn as generation leaves it, and the end token."""
    prompt = tokenizer.chat(turns[:-1], add_generation_prompt=True)
    prompt = prompt.removesuffix(opened_by(prompt))  # newer templates open the block, and so does the turn
    return f"{prompt}{turns[-1]['content']}{tokenizer.hf.eos_token or ''}"


def render_deepseek(turns: list[dict[str, str]]) -> str:
    """Return DeepSeek-R1's format with the think block that its own template would drop."""
    return _DEEPSEEK_TEXT.format(user=turns[0]["content"], assistant=turns[1]["content"])
