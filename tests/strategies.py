"""Hypothesis strategies of chains, annotations and replacements, shared by the tests."""

from __future__ import annotations

import re

from hypothesis import strategies as st

from threadweaver.trajectory.edits import Replacement

# What has cut, joined or lost lines in pipelines of this kind: characters that str.splitlines() takes for a line's
# end and that strip() takes off, and what is shaped like a tag.
_ODD = (
    "\r",
    "\f",
    "\v",
    "\x1c",
    "\x1d",
    "\x1e",
    "\x85",
    "\u2028",
    "\u2029",
    "\xa0",
    "\u3000",
    "\t",
    "\ufeff",
    "\u200b",
    "\\frac{1}{2}",
    '"',
    "\\",
    "\0",
    "🧵",
    "é",
    "<Thread",
    "< Parallel >",
    "1: ",
    "L1-L2",
)
_TAGS = ("<n>", "</parallel>", "<parallel>", "a<b>c", "Thread>")
_WORDS = (
    "Let x = 5.",
    "Alternatively,",
    "so x is 5",
    "Case 2:",
    "Then",
    "= 7",
    "the value above",
    "we count",
    "and add",
    "ab",
)


@st.composite
def chains(draw, max_lines: int = 24) -> str:
    """A chain as a model may write it: any line may be blank, end in CR or contain what looks like a line end."""
    tags = draw(st.sampled_from((False, False, True)))
    words = st.sampled_from(_WORDS)
    line = st.one_of(
        words,
        words,
        st.lists(words, min_size=1, max_size=4).map(" ".join),
        st.lists(st.one_of(words, st.sampled_from(_ODD + _TAGS if tags else _ODD)), max_size=4).map(" ".join),
        st.sampled_from(("", "  ", "\r")),
    )
    count = draw(st.integers(1, max_lines))
    lines = draw(st.lists(line, min_size=count, max_size=count))
    end = draw(st.sampled_from(("\n", "\n", "\r\n", "\n\n")))
    edges = st.sampled_from(("", "", "\n", " \n", "\u2028", "\f\r\n\n"))
    return draw(edges) + end.join(lines) + draw(edges)


@st.composite
def _ranges(draw, n_lines: int) -> str:
    """A range as an annotator may note it: mostly readable and inside the chain, not always."""
    first = draw(st.integers(0, n_lines + 3))
    last = first + draw(st.integers(-2, 6))
    forms = (
        f"(range: L{first}-L{last})",
        f"[range: L{first}–L{last}]",
        f"(L{first} to L{last})",
        f"(L{first})",
        f"range: L{first}-{last}",
    )
    return draw(st.sampled_from((*forms, *forms, "", "(range: unknown)")))


@st.composite
def orderly(draw, n_lines: int) -> str:
    """An annotation whose blocks follow one another inside the chain; some checks fail, some lines are left out."""
    at, out = draw(st.integers(1, 2)), []
    while at < n_lines:
        out.append("<parallel>[Parallel reason: two ways]")
        for _ in range(draw(st.sampled_from((1, 2, 2, 3, 3, 4)))):
            last = at + draw(st.integers(0, 3))
            verdict = draw(
                st.sampled_from(
                    ("", ", check passed", ", check passed: yes", ", check passed", ", check failed: uses x")
                )
            )
            out += ["<thread>", f"S{at}: a step (L{at}-L{last})", f"</thread> (range: L{at}-L{last}{verdict})"]
            at = last + draw(st.sampled_from((1, 1, 1, 2)))
            if at > n_lines:
                break
        out.append(draw(st.sampled_from(("</parallel>", "</parallel> (range: L1-L3)"))))
        at += draw(st.integers(0, 2))
    return "\n".join(out) + "\n"


@st.composite
def disorderly(draw, n_lines: int) -> str:
    """Lines of an annotation in any order and number: every known defect, and more."""
    kinds = (
        "<parallel>",
        "<thread>",
        "</thread> {}",
        "</parallel> {}",
        "S{n}: text {}",
        "  S{n}.1: text {}",
        "- <Thread>",
        "```",
        "</thread> {}, check failed: no",
        "prose that mentions </parallel> and <thread>",
        "<PARALLEL>[Parallel reason: x]",
        "",
    )
    lines = draw(st.lists(st.sampled_from(kinds), max_size=30))
    return "\n".join(line.format(draw(_ranges(n_lines)), n=draw(st.integers(0, 30))) for line in lines)


@st.composite
def damaged(draw, n_lines: int) -> str:
    """An orderly annotation with lines removed, doubled or swapped, or with ranges that point elsewhere."""
    lines = draw(orderly(n_lines)).split("\n")
    for _ in range(draw(st.integers(1, 4))):
        at, other = draw(st.integers(0, len(lines) - 1)), draw(st.integers(0, len(lines) - 1))
        change = draw(st.sampled_from(("drop", "double", "swap", "cut", "move", "move", "forget", "forget")))
        closing = next((n for n in range(at, len(lines)) if lines[n].startswith("</thread>")), at)
        if change == "drop" and len(lines) > 1:
            del lines[at]
        elif change == "double":
            lines.insert(other, lines[at])
        elif change == "swap":
            lines[at], lines[other] = lines[other], lines[at]
        elif change == "cut":
            lines[at] = lines[at][: draw(st.integers(0, len(lines[at])))]
        else:
            word = f"L{draw(st.integers(0, n_lines + 2))}" if change == "move" else "unknown"
            lines[closing - 1 : closing + 1] = [
                re.sub(r"L\d+", word, line) for line in lines[closing - 1 : closing + 1]
            ]
    return "\n".join(lines)


def annotations(n_lines: int) -> st.SearchStrategy[str]:
    return st.one_of(orderly(n_lines), damaged(n_lines), damaged(n_lines), disorderly(n_lines))


@st.composite
def replacements(draw, passage: str) -> list[Replacement]:
    """Replacements of pieces that occur in the passage (and some that do not) by nothing, white space, text or tags."""
    found = []
    for _ in range(draw(st.integers(0, 4))):
        start = draw(st.integers(0, max(0, len(passage) - 1)))
        src = passage[start : start + draw(st.integers(1, 12))]
        dest = st.one_of(
            st.sampled_from(("", " ", "\n", "<n>", "</Thread>", "2: ", src + " more", "\u2028")),
            st.text("ab \\<>\n", max_size=8),
        )
        found.append(Replacement(draw(st.sampled_from((src, src, src, "nowhere", ""))), draw(dest)))
    return found


bodies = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=40)
"""Any text at all, for a thread or an outline; whether it may stand there is asked of the writer."""
