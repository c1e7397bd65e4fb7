"""The viewer's texts: pieces, edits in place, formulas, searches and snippets; without a server."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from threadweaver.trajectory import edits
from threadweaver.trajectory.edits import Replacement
from threadweaver.viewer import database, export, formulas, pieces, queries
from viewing import text_of

TEXTS = st.text(alphabet="ab $\\()[]{}*^_\n1.,<>&é\u2028\r", max_size=80)


@given(TEXTS)
@settings(max_examples=150, deadline=None)
def test_pieces_keep_every_character(text):
    assert "".join(map(pieces.source, pieces.split(text))) == text
    rows = pieces.rows(text, 5)
    assert text_of(rows) == text
    assert rows[0][0] == 5 and rows[-1][0] + rows[-1][1] - 1 == 5 + text.count("\n")


@given(
    st.text(alphabet="ab c\n", min_size=12, max_size=60),
    st.lists(st.tuples(st.integers(0, 50), st.integers(1, 6), st.text("xy\n", max_size=4)), max_size=4),
)
@settings(max_examples=150, deadline=None)
def test_edits_in_place_give_both_texts(text, wanted):
    items = [Replacement(text[at : at + size], new) for at, size, new in wanted if text[at : at + size]]
    applied = edits.apply(text.strip() or "a", items)
    changes = pieces.changes(applied.text, applied.edits)
    assert "".join(part for kind, part in changes if kind != "del") == applied.text
    assert "".join(part for kind, part in changes if kind != "ins") == (text.strip() or "a")
    assert text_of(pieces.result_rows(applied.text, applied.edits, 1)) == applied.text


@pytest.mark.parametrize(
    ("text", "formulas"),
    [
        ("costs $5 and $6 more", []),
        ("$x$ and $y$", ["x", "y"]),
        (r"\(a\) \[b\] $$c$$", ["a", "b", "c"]),
        ("$$\na\n$$", ["a"]),
        (r"so \boxed{\frac{1}{2}}.", [r"\boxed{\frac{1}{2}}"]),
        (r"a \$5 b \$6", []),
        (r"\begin{align}a&=b\end{align}", [r"\begin{align}a&=b\end{align}"]),
        ("$ x $", []),
        ("$$$a$$$ b", ["a"]),
        (r"$$\text{if $x$}$$", [r"\text{if $x$}"]),
        ("$5 per $x$, or 5$ and $3 million", ["x"]),
        ("paid $20 (for $n = 2$)", ["n = 2"]),
        ("$$a\n\nb$$", []),
        (
            r"\begin{pmatrix}\begin{pmatrix}1\end{pmatrix}\end{pmatrix}",
            [r"\begin{pmatrix}\begin{pmatrix}1\end{pmatrix}\end{pmatrix}"],
        ),
        (r"\boxed{\text{a {b} \} c}}", [r"\boxed{\text{a {b} \} c}}"]),
        (r"\begin{tabular}{c}x\end{tabular} \begin{gather*}x\end{gather*}", [r"\begin{gather*}x\end{gather*}"]),
    ],
)
def test_formulas_are_found(text, formulas):
    assert [piece["m"] for piece in pieces.split(text) if isinstance(piece, dict) and "m" in piece] == formulas


@pytest.mark.parametrize(
    "unit",
    [
        r"\[",
        r"\(",
        "$",
        "$$ ",
        "$$$ $$ ",
        r"\boxed{",
        r"\begin{align}",
        r"\[ $ \( \boxed{ ** \begin{cases} ",
        "**a",
        "\n\n",
    ],
)
def test_formulas_that_never_end_are_text(unit):
    text = unit * 400
    assert [span.kind for span in formulas.find(text)] in ([], ["bold"] * 133, ["bold"] * 200)
    assert "".join(map(pieces.source, pieces.split(text))) == text


def test_bold_words_hold_formulas():
    assert pieces.split("**Case $x$:** so") == [
        {"b": ["Case ", {"m": "x", "s": "$x$"}, ":"], "s": "**Case $x$:**"},
        " so",
    ]


def test_what_others_made_is_there_with_its_licence():
    vendor = Path(pieces.__file__).parent / "static" / "vendor"
    said = (vendor / "README.md").read_text()
    version = re.search(r'version:"([\d.]+)"', (vendor / "temml.min.js").read_text()).group(1)
    assert f"| {version} |" in said
    assert all(name in said for name in map(str, (path.name for path in vendor.iterdir() if path.name != "README.md")))


@given(st.text(max_size=60))
@settings(max_examples=200, deadline=None)
def test_any_search_is_an_expression_that_fts5_reads(tmp_path_factory, text):
    path = tmp_path_factory.getbasetemp() / "words.sqlite"
    db = database.Database(path)
    if not path.exists():
        db.prepare()
    expression = database.match_expression(text)
    with db.connect() as connection:
        if expression:
            connection.execute("SELECT rowid FROM words WHERE words MATCH ?", (expression,)).fetchall()


def test_a_snippet_shows_the_word_in_its_place():
    assert queries.snippet("one two three", queries.hit_words("TWO")) == ["one ", "two", " three"]
    assert queries.snippet("a two, then one Two three", queries.hit_words("one two"))[1] == "one Two"
    assert queries.snippet("one", queries.hit_words("two")) is None and queries.snippet("one", []) is None


def luminance(colour: str) -> float:
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in channels]
    return sum(share * value for share, value in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_colours_stand_out_from_every_background(theme):
    style = (Path(pieces.__file__).parent / "static" / "base.css").read_text()
    found = re.findall(r"--([\w-]+): light-dark\((#\w{6}), (#\w{6})\)", style)
    colours = {name: luminance(pair[theme]) for name, *pair in found}
    needed = dict.fromkeys(("ink", "soft", "faint", "accent", "good", "bad", "warn"), 4.5) | {"lane": 3}
    for name, least in needed.items():
        for background in ("page", "surface", "sunken", "accent-wash"):
            low, high = sorted((colours[name], colours[background]))
            assert (high + 0.05) / (low + 0.05) >= least, f"{name} on {background}"


def test_no_two_modules_of_the_page_use_one_name():
    """An exported page holds them in one scope."""
    declared = re.compile(r"^(?:export )?(?:async )?(?:const|let|function|class) (\w+)", re.M)
    names = Counter(name for path in export.STATIC.glob("*.js") for name in set(declared.findall(path.read_text())))
    assert [name for name, count in names.items() if count > 1] == []
