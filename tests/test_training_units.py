"""Training units: their contexts, their cuts, and the bytes at which inference would depart from the text."""

from __future__ import annotations

import itertools
import re

import pytest

from threadweaver.corpus.tokenizer import Tokenizer
from threadweaver.corpus.training_units import Contexts, UnitError, as_ids, as_text, places
from threadweaver.trajectory import markup

PROMPT = "<|im_start|>user\nHow many?<|im_end|>\n<|im_start|>assistant\n"
FIRST = """<Parallel>
<Outlines>
<Outline>1: by cases</Outline>
<Outline>2: the rest</Outline>
</Outlines>
<Thread>
1: Count 3.
</Thread><Thread>
2: 4 + 5 = 9
</Thread>
</Parallel>"""
SECOND = """<Parallel>
<Outlines>
<Outline>1: x</Outline>
<Outline>2: y</Outline>
<Outline>3: z</Outline>
</Outlines>
<Thread>
1: x = 1
</Thread><Thread>
2: two
lines
</Thread><Thread>
3: Größe
</Thread>
<Conclusion>
All agree.
</Conclusion>
</Parallel>"""
ROW = f"{PROMPT}<think>\nTwo ways.\n{FIRST}\nCheck:\n{SECOND}\nGood.\n</think>\n\n12<|im_end|>"
BEGIN = len(PROMPT)


def spoken(kind: str) -> list[tuple[str, str]]:
    return [(unit.context, unit.continuation) for unit in as_text(ROW, BEGIN) if unit.kind == kind]


def test_the_units_of_a_trajectory_byte_for_byte():
    one = f"{PROMPT}<think>\nTwo ways.\n<Parallel>\n<Outlines>\n<Outline>1: by cases</Outline>\n<Outline>2: the rest</Outline>\n</Outlines>"
    assert spoken("outlines")[0] == (PROMPT, one.removeprefix(PROMPT))
    assert spoken("thread")[:2] == [
        (f"{one}\n<Thread>\n1:", " Count 3.\n</Thread>"),
        (f"{one}\n<Thread>\n2:", " 4 + 5 = 9\n</Thread>"),
    ]
    joined = f"{one}\n<Thread>\n1: Count 3.\n</Thread><Thread>\n2: 4 + 5 = 9\n</Thread>\n"
    context, text = spoken("outlines")[1]
    assert context == joined
    assert text.startswith("</Parallel>\nCheck:\n<Parallel>\n<Outlines>") and text.endswith("</Outlines>")
    [(context, text)] = spoken("end")
    assert context + text == ROW
    assert text == "<Conclusion>\nAll agree.\n</Conclusion>\n</Parallel>\nGood.\n</think>\n\n12<|im_end|>"


def test_units_are_numbered_in_the_order_of_the_text():
    numbers = [(unit.kind, unit.block, unit.thread) for unit in as_text(ROW, BEGIN)]
    assert numbers == [
        ("outlines", 1, 0),
        ("thread", 1, 1),
        ("thread", 1, 2),
        ("outlines", 2, 0),
        ("thread", 2, 1),
        ("thread", 2, 2),
        ("thread", 2, 3),
        ("end", 0, 0),
    ]


def test_a_chain_without_blocks_is_one_unit():
    [unit] = as_text(f"{PROMPT}just a chain", BEGIN)
    assert (unit.kind, unit.context, unit.continuation) == ("end", PROMPT, "just a chain")


def test_a_sibling_is_in_no_context_of_another_and_in_all_later_ones():
    for unit in as_text(ROW, BEGIN):
        if unit.kind == "thread":
            assert unit.context.endswith(f"</Outlines>\n<Thread>\n{unit.thread}:")
        seen = "Count 3." in unit.context, "4 + 5 = 9" in unit.context
        assert seen == ((False, False) if unit.block == 1 else (True, True))


def test_continuations_and_what_the_loop_writes_are_the_row_and_nothing_is_left_over():
    found = places(ROW, BEGIN)
    assert [place.start for place in found] == sorted(place.start for place in found)
    between = [ROW[left.end : right.start] for left, right in itertools.pairwise(found)]
    assert (found[0].start, found[-1].end) == (BEGIN, len(ROW))
    assert between == ["\n<Thread>\n1:", "<Thread>\n2:", "\n", "\n<Thread>\n1:", "<Thread>\n2:", "<Thread>\n3:", "\n"]


# ---- bytes


def bodies(text: str) -> list[tuple[int, int]]:
    """[start, end) of each outline, thread and conclusion, without the white space around it."""
    return [
        match.span(1) for match in re.finditer(r"(?:<(?:Outline|Thread)>\n?\d: |<Conclusion>\n)(.*?)\n?</", text, re.S)
    ]


@pytest.mark.parametrize("block", [FIRST, SECOND], ids=["plain", "with a conclusion"])
def test_every_byte_outside_the_texts_counts(block):
    """White space put in or a byte left out anywhere in a block, but inside a text, is noticed."""
    inside = {at for start, end in bodies(block) for at in range(start, end)}
    edges = {start for start, _ in bodies(block)}
    assert len(bodies(block)) == len(re.findall("<(?:Outline|Thread|Conclusion)>", block))
    unnoticed = []
    for at in range(1, len(block)):
        changed = [block[:at] + space + block[at:] for space in "\n " if at not in inside or at in edges]
        changed += [block[:at] + block[at + 1 :]] if at not in inside else []
        for text in changed:
            try:
                places(f"{PROMPT}a\n{text}\nb", BEGIN)
            except markup.MarkupError:
                continue
            unnoticed.append(text)
    assert unnoticed == []
    assert len(places(f"{PROMPT}a\n{block}\nb", BEGIN)) > 3


def test_the_fault_is_named_with_its_place():
    text = f"a\n{FIRST.replace('3.', '3.' + chr(10))}\nb"
    with pytest.raises(markup.MarkupError, match="where '</Thread>") as caught:
        places(PROMPT + text, BEGIN)
    assert (caught.value.code, caught.value.offset) == ("not_canonical", text.index("\n</Thread>"))


@pytest.mark.parametrize(
    ("turn", "code"),
    [
        (f"a\n{FIRST} b", "not_canonical"),
        (f"a\n{re.sub('<Outlines>.*</Outlines>.', '', FIRST, flags=re.S)}\nb", "missing_outlines"),
        ("a <Thread> b", "stray_tag"),
    ],
)
def test_what_inference_would_not_build_has_no_units(turn, code):
    with pytest.raises(markup.MarkupError) as caught:
        as_text(PROMPT + turn, BEGIN)
    assert caught.value.code == code


@pytest.mark.parametrize("method", ["opening", "thread", "joined"])
@pytest.mark.parametrize("byte", ["\n", " "])
def test_a_byte_more_in_what_the_loop_writes_is_noticed(monkeypatch, method, byte):
    right = getattr(Contexts, method)
    monkeypatch.setattr(Contexts, method, lambda self, *args: right(self, *args) + self.encode(byte))
    with pytest.raises(markup.MarkupError, match="not_canonical"):
        as_text(ROW, BEGIN)


# ---- token ids


def test_units_in_token_ids_are_cut_out_of_the_row(tokenizer):
    found = as_ids(ROW, BEGIN, tokenizer)
    row = tokenizer.ids(ROW)
    assert found[-1].context + found[-1].continuation == row
    for text, ids in zip(as_text(ROW, BEGIN), found, strict=True):
        assert tokenizer.ids(text.context) == ids.context
        assert tokenizer.ids(text.continuation) == ids.continuation
        assert tokenizer.ids(text.context + text.continuation) == ids.context + ids.continuation
        assert (text.kind, text.block, text.thread) == (ids.kind, ids.block, ids.thread)


def test_thread_one_and_the_joined_context_are_the_row_to_the_last_token(tokenizer):
    row = tokenizer.ids(ROW)
    for unit in as_ids(ROW, BEGIN, tokenizer):
        both = unit.context + unit.continuation
        assert (both == row[: len(both)]) == (unit.thread <= 1)


def letters(*joined: str) -> Tokenizer:
    """A tokenizer of single characters and the tags; each of `joined` is two characters that it makes one token."""
    from tokenizers import Tokenizer as Core
    from tokenizers import models
    from transformers import PreTrainedTokenizerFast

    names = [chr(code) for code in (10, *range(32, 127), 246, 223)] + list(joined)
    core = Core(models.BPE(vocab={name: id for id, name in enumerate(names)}, merges=[tuple(pair) for pair in joined]))
    return Tokenizer("letters", PreTrainedTokenizerFast(tokenizer_object=core)).with_tags(markup.TAGS)


@pytest.mark.parametrize("joined", [(), ("ab",), ("\n1",)])
def test_a_tokenizer_that_joins_nothing_across_a_cut_is_accepted(joined):
    found = as_ids(ROW, BEGIN, letters(*joined))
    assert len(found) == 8 and found[-1].context + found[-1].continuation == letters(*joined).ids(ROW)


@pytest.mark.parametrize(("joined", "says"), [(": ", "runs across"), ("\n<", "runs across")])
def test_a_tokenizer_that_joins_across_a_cut_is_refused(joined, says):
    with pytest.raises(UnitError, match=says):
        as_ids(ROW, BEGIN, letters(joined))


def test_a_prompt_with_other_tokens_on_its_own_is_refused():
    """A normalizer, a dummy prefix or a special token may depend on where the text ends."""

    class Late(Tokenizer):
        def ids(self, text):
            return super().ids(text) + ([0] if text == PROMPT else [])

    with pytest.raises(UnitError, match="the prompt alone"):
        as_ids(ROW, BEGIN, Late("late", letters().hf))


def test_the_loop_and_the_units_have_their_contexts_from_one_place(tokenizer):
    ids, text = Contexts(tokenizer.ids), Contexts(str)
    begun = "a</Outlines>"
    completions = [" x\n</Thread>", " y\n</Thread>"]
    spelled = [tokenizer.ids(one) for one in completions]
    for name, of_text, of_ids in (
        ("thread", text.thread(begun, 7), ids.thread(tokenizer.ids(begun), 7)),
        ("joined", text.joined(begun, completions), ids.joined(tokenizer.ids(begun), spelled)),
        ("closed", text.closed(begun), ids.closed(tokenizer.ids(begun))),
    ):
        assert tokenizer.ids(of_text) == of_ids, name
    assert text.thread(begun, 7) == "a</Outlines>\n<Thread>\n7:"
    assert text.joined(begun, completions) == "a</Outlines>\n<Thread>\n1: x\n</Thread><Thread>\n2: y\n</Thread>\n"


def test_a_token_id_unit_keeps_its_kind():
    assert {unit.kind for unit in as_text(ROW, BEGIN)} == {"outlines", "thread", "end"}
