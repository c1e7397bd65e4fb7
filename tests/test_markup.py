"""The trajectory markup: what is written, what is read, and every fault with its code."""

from __future__ import annotations

import time

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import strategies
from threadweaver.trajectory import markup
from threadweaver.trajectory.markup import Block, MarkupError, Text, parse, write_block

CANONICAL = """<Parallel>
<Outlines>
<Outline>1: A</Outline>
<Outline>2: B</Outline>
</Outlines>
<Thread>
1: X
</Thread><Thread>
2: Y
</Thread>
</Parallel>"""
BARE = "<Parallel>\n<Thread>\n1: X\n</Thread><Thread>\n2: Y\n</Thread>\n</Parallel>"


def test_the_canonical_form_byte_for_byte():
    assert write_block(["X", "Y"], ["A", "B"]) == CANONICAL
    assert write_block(["X", "Y"]) == BARE
    concluded = BARE.removesuffix("</Parallel>") + "<Conclusion>\nZ\n</Conclusion>\n</Parallel>"
    assert write_block(["X", "Y"], conclusion="Z") == concluded


def test_texts_are_trimmed_and_their_inner_white_space_is_kept():
    assert write_block(["\n X\n\n x \u2028", "\tY"], [" A ", "B\n"]) == CANONICAL.replace("1: X", "1: X\n\n x")


def test_the_reader_tolerates_white_space_and_the_writer_makes_one_form():
    loose = (
        "<Parallel> \n\n <Outlines><Outline> 1 :A </Outline>\n\n<Outline>2:  B</Outline></Outlines>\r\n<Thread>1:X</Thread>\n\n"
        "<Thread>\n\n 02 : Y \n</Thread> </Parallel>"
    )
    (block,) = parse(loose).blocks
    assert markup.canonical(block) == CANONICAL
    assert (block.start, block.end) == (0, len(loose))


def test_offsets_are_exact():
    text = f"Before\n{write_block(['X', 'Y'], ['A', 'B'], 'Z')}\nbetween\n{BARE}"
    trajectory = parse(text)
    first, second = trajectory.blocks
    assert [type(part) for part in trajectory.parts] == [Text, Block, Text, Block]
    assert "".join(text[part.start : part.end] for part in trajectory.parts) == text
    assert text[second.start : second.end] == BARE
    assert text[slice(*first.outlines_span)].startswith("<Outlines>") and text[slice(*first.outlines_span)].endswith(
        "</Outlines>"
    )
    thread = first.threads[1]
    assert text[thread.start : thread.end] == "<Thread>\n2: Y\n</Thread>"
    assert text[thread.inner_start : thread.inner_end] == "\n2: Y\n"
    assert text[first.conclusion.start : first.conclusion.end] == "<Conclusion>\nZ\n</Conclusion>"
    assert len(markup.tag_spans(text[first.start : first.end])) == 14
    assert len(markup.tag_spans(text[second.start : second.end])) == 6


def test_replacing_blocks_leaves_the_text_around_them():
    trajectory = parse(f"\r\n a <n>\n{BARE}\nb\f{BARE}")
    assert trajectory.replace_blocks(["ONE", "TWO"]) == "\r\n a <n>\nONE\nb\fTWO"


@pytest.mark.parametrize(
    "text", ["", "no block", "a <n> b </parallel> <thread> <Thread <Thread > Parallel>", "<think>x</think>"]
)
def test_prose_with_things_shaped_like_tags_is_text(text):
    assert parse(text).blocks == ()
    assert parse(text).parts == ((Text(0, len(text)),) if text else ())


def block_of(threads: str, outlines: str = "", conclusion: str = "") -> str:
    return f"<Parallel>\n{outlines}{threads}\n{conclusion}</Parallel>"


TWO = "<Thread>\n1: X\n</Thread><Thread>\n2: Y\n</Thread>"
FAULTS = [
    ("stray_tag", f"a </Parallel> {BARE}", 2),
    ("stray_tag", f"{BARE}\n<Thread>", len(BARE) + 1),
    ("stray_tag", "<Outlines>", 0),
    ("unbalanced_tag", "ab <Parallel>\n<Thread>\n1: X\n</Thread>", 3),
    ("unbalanced_tag", block_of("<Thread>\n1: X\n</Thread><Thread>\n2: Y"), None),
    ("unbalanced_tag", block_of(TWO, "<Outlines>\n<Outline>1: A</Outline>\n"), None),
    ("unbalanced_tag", block_of(TWO + "<Outlines>\n<Outline>1: A</Outline>\n</Outlines>"), None),
    ("unbalanced_tag", block_of(TWO, conclusion="<Conclusion>\nz\n"), None),
    ("unbalanced_tag", "<Parallel>", 0),
    ("nested", block_of("<Thread>\n1: <Parallel>\n</Thread>"), None),
    ("nested", f"<Parallel>\n{BARE}</Parallel>", None),
    ("stray_text", block_of(TWO.replace("</Thread><Thread>", "</Thread> and <Thread>")), None),
    ("stray_text", block_of(f"lost words {TWO}"), 10),
    ("stray_text", block_of(f"{TWO} lost"), None),
    ("numbering", block_of(TWO.replace("2:", "3:")), None),
    ("numbering", block_of(TWO.replace("2: ", "")), None),
    ("numbering", block_of(TWO, "<Outlines><Outline>2: A</Outline><Outline>1: B</Outline></Outlines>"), None),
    ("numbering", block_of(TWO.replace("1: X", "-1: X")), None),
    ("count_mismatch", block_of(TWO, "<Outlines><Outline>1: A</Outline></Outlines>"), 0),
    ("count_mismatch", block_of(TWO, "<Outlines></Outlines>"), 0),
    ("single_thread", block_of("<Thread>\n1: X\n</Thread>"), 0),
    ("single_thread", "<Parallel></Parallel>", 0),
    ("empty_thread", block_of(TWO.replace("Y", " \u2028 ")), None),
    ("empty_outline", block_of(TWO, "<Outlines><Outline>1: A</Outline><Outline>2: </Outline></Outlines>"), None),
    ("empty_conclusion", block_of(TWO, conclusion="<Conclusion> </Conclusion>"), None),
    ("tag_in_passage", block_of(TWO.replace("Y", "if a<b> then")), None),
    ("tag_in_passage", block_of(TWO.replace("Y", "</parallel>")), None),
    ("tag_in_passage", block_of(TWO, "<Outlines><Outline>1: A</Outline><Outline>2: <n></Outline></Outlines>"), None),
]


@pytest.mark.parametrize(("code", "text", "offset"), FAULTS, ids=[f"{n}-{fault[0]}" for n, fault in enumerate(FAULTS)])
def test_every_fault_has_its_code_and_place(code, text, offset):
    with pytest.raises(MarkupError) as caught:
        parse(text)
    assert caught.value.code == code
    assert 0 <= caught.value.offset <= len(text)
    if offset is not None:
        assert caught.value.offset == offset


def test_fifty_threads_are_a_block_and_fifty_one_are_not():
    assert len(parse(write_block(["x"] * 50)).blocks[0].threads) == 50
    with pytest.raises(MarkupError, match="too_many_threads"):
        write_block(["x"] * 51)
    many = "".join(f"<Thread>\n{k}: x\n</Thread>" for k in range(1, 52))
    with pytest.raises(MarkupError, match="too_many_threads"):
        parse(block_of(many))


@pytest.mark.parametrize(
    ("code", "arguments"),
    [
        ("single_thread", (["x"],)),
        ("empty_thread", (["x", " \n"],)),
        ("tag_in_passage", (["x", "a <n> b"],)),
        ("tag_in_passage", (["x", "</Thread>"],)),
        ("count_mismatch", (["x", "y"], ["a"])),
        ("empty_outline", (["x", "y"], ["a", ""])),
        ("tag_in_passage", (["x", "y"], ["a", "<b>"])),
        ("empty_conclusion", (["x", "y"], [], " ")),
        ("single_thread", ([],)),
    ],
)
def test_the_writer_refuses_what_the_reader_would(code, arguments):
    with pytest.raises(MarkupError) as caught:
        write_block(*arguments)
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("text", "tag"),
    [
        ("a <n> b", None),
        ("x <Thread> y", "<Thread>"),
        ("a </think> <Outline>", "</think>"),
        ("<thread> Conclusion", None),
    ],
)
def test_reserved_tags(text, tag):
    assert markup.reserved_tag(text) == tag


def test_think_tags_are_reserved_in_chains_only():
    assert markup.reserved_tag("x </think>", think=False) is None
    assert markup.reserved_tag("x </think> <Outline>", think=False) == "<Outline>"


texts = st.lists(st.one_of(strategies.bodies, strategies.chains(6)), min_size=2, max_size=5)


@given(threads=texts, outlines=st.none() | texts, conclusion=st.none() | strategies.bodies, before=strategies.chains(4))
def test_what_is_written_is_read_back(threads, outlines, conclusion, before):
    outlines = (outlines or [])[: len(threads)]
    assume(not outlines or len(outlines) == len(threads))
    assume(not markup.reserved_tag(before, think=False))
    try:
        written = write_block(threads, outlines, conclusion)
    except MarkupError as error:
        assert error.code.startswith(("empty_", "tag_in_passage"))
        return
    trajectory = parse(f"{before}{written}\n{written}")
    for block in trajectory.blocks:
        assert [thread.body for thread in block.threads] == [text.strip() for text in threads]
        assert [outline.body for outline in block.outlines] == [text.strip() for text in outlines]
        assert (block.conclusion and block.conclusion.body) == (conclusion and conclusion.strip())
        assert markup.canonical(block) == written
    assert trajectory.replace_blocks([written, written]) == trajectory.text


_soup = st.lists(
    st.one_of(st.sampled_from(markup.TAGS), st.sampled_from(("1: x", "2: y", "\n", " ", "text"))), max_size=24
)


@given(_soup.map("".join))
def test_any_text_is_read_or_refused_with_a_code(text):
    try:
        trajectory = parse(text)
    except MarkupError as error:
        assert error.code and 0 <= error.offset <= len(text)
    else:
        assert "".join(text[part.start : part.end] for part in trajectory.parts) == text
        again = trajectory.replace_blocks([markup.canonical(block) for block in trajectory.blocks])
        assert [len(block.threads) for block in parse(again).blocks] == [
            len(block.threads) for block in trajectory.blocks
        ]


def test_a_long_trajectory_is_read_quickly():
    lines = "\n".join(f"line {n} with some mathematics $a < b$ and <n>" for n in range(60))
    text = "\n".join([lines, write_block([f"thread {k} " + "word " * 400 + "\nline" * 30 for k in range(3)])] * 130)
    assert text.count("\n") > 20_000
    begun = time.process_time()
    assert len(parse(text).blocks) == 130
    assert time.process_time() - begun < 1
