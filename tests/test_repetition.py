"""How much of a chain only repeats itself."""

from __future__ import annotations

import pytest

from threadweaver.corpus.repetition import paragraphs, repeated_share

LOOPS = {
    "no repeats": ("One line of work.\n\nAnother line of work.\n\nA third line of work.", 0.0),
    "half repeats": ("The same long paragraph.\n\nThe same long paragraph.", 0.5),
    "white space aside": ("The  same long paragraph.\n \nThe same\nlong paragraph.", 0.5),
    "short ones may recur": ("No.\n\nNo.\n\nNo.\n\n1 + 2 = 3\n\n1 + 2 = 3", 0.0),
    "empty": ("", 0.0),
    "only blanks": (" \n\n \n", 0.0),
}


@pytest.mark.parametrize("name", LOOPS)
def test_looping_share(name):
    text, share = LOOPS[name]
    assert repeated_share(text) == pytest.approx(share)


def test_a_loop_over_single_newlines_is_found():
    assert repeated_share("\n".join(["Let me check this once more."] * 300)) > 0.9


def test_other_line_ends_do_not_split_paragraphs():
    assert repeated_share("The same long line.\r\rThe same long line.") == 0.0


def test_the_look_at_characters_alone_decides_as_the_paragraphs_do():
    """Of pieces that differ in white space alone, or repeat, in every mixture."""
    pieces = [
        "Same long line of text.",
        "Same  long line of text.",
        "Same\nlong line of text.",
        "No.",
        "a b c d e f g h",
    ]
    pieces += ["Same\u00a0long line of text.", "Samelong line of text.", "Another long line of text.", "  "]
    for first in pieces:
        for second in pieces:
            for between in ("\n\n", "\n \n", "\n" * 45):
                text = f"{first}{between}{second}{between}The last line of them all."
                found = [item for item in paragraphs(text) if len(item) >= 16]
                assert (repeated_share(text) > 0) == (len(set(found)) < len(found)), repr(text)
