"""Turns of a conversation: the instruction appears once, the think block stays."""

from __future__ import annotations

import pytest

from threadweaver.corpus import chat
from threadweaver.corpus.tokenizer import TEMPLATE_DATE
from training_samples import REASONING


@pytest.mark.parametrize(
    "question", ["What is 5?", "What is 5? ", f"What is 5? {chat.INSTRUCTION}", f"What is 5?\n{chat.INSTRUCTION}\n"]
)
def test_the_instruction_appears_exactly_once(question):
    turn = chat.user_turn(question)
    assert turn.count(chat.INSTRUCTION) == 1 and turn.startswith("What is 5?")
    assert chat.user_turn(turn) == turn
    assert chat.user_turn(question, "") == question


@pytest.mark.parametrize("form", ["%d %b %Y", "%Y-%m-%d"])
def test_a_template_that_asks_for_the_date_always_gets_the_same(tokenizer, form):
    assert not tokenizer.has_date
    dated = tokenizer.with_tags([])  # a copy
    dated.hf.chat_template = f"Today: {{{{ strftime_now('{form}') }}}}. {tokenizer.hf.chat_template}"
    assert dated.has_date
    turns = chat.messages("What is 5?", REASONING, "5")
    assert dated.chat(turns) == f"Today: {TEMPLATE_DATE.strftime(form)}. {tokenizer.chat(turns)}"


def test_a_template_that_drops_the_think_block_is_corrected(tokenizer):
    class Forgetful:
        """A template that keeps only the answer, like DeepSeek's."""

        hf = tokenizer.hf

        def chat(self, turns, **options):
            return tokenizer.chat(
                [{**turn, "content": turn["content"].rpartition("</think>")[2].strip()} for turn in turns], **options
            )

    text = chat.render(Forgetful(), chat.messages("What is 5?", REASONING, "5"))
    assert f"<think>\n{REASONING}\n</think>\n5" in text and text.count("<think>") == 1
