"""The viewer's mathematics in a real Chromium: constructs by their MathML trees and boxes, money, hostile formulas."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from browser.chromium import Command

TREE = """element => {
  const tree = (node) => node.children.length
    ? `${node.localName}[${[...node.children].map(tree).join(" ")}]` : `${node.localName}:${node.textContent}`;
  return [...element.querySelectorAll(":scope > .tex > math")].map((math) => [...math.children].map(tree)).join(" | ");
}"""
SQUARE = "mtable[mtr[mtd[mn:1] mtd[mn:2]] mtr[mtd[mn:3] mtd[mn:4]]]"
LONG = r"$a_1 + a_2 + a_3 + a_4 = b_1 + b_2$"
CONSTRUCTS = {
    r"$\binom62$": "mrow[mo:( mfrac[mn:6 mn:2] mo:)]",
    r"$\dbinom{n}{k}$": "mstyle[mrow[mo:( mfrac[mi:n mi:k] mo:)]]",
    r"$\boxed{\frac12}$": "mrow[mfrac[mn:1 mn:2]]",
    r"\boxed{42}": "mrow[mn:42]",
    r"\[\begin{aligned} a &= b \\ &= c \end{aligned}\]": "mtable[mtr[mtd[mi:a] mtd[mrow[mo:= mi:b]]] "
    "mtr[mtd[mrow:] mtd[mrow[mo:= mi:c]]]]",
    r"\begin{gather} x \\ y \end{gather}": "mtable[mtr[mtd[mi:x]] mtr[mtd[mi:y]]]",
    r"\begin{align} a &= b \end{align}": "mtable[mtr[mtd[mi:a] mtd[mrow[mo:= mi:b]]]]",
    r"\begin{cases} 1 & x > 0 \\ -22 & \text{else} \end{cases}": "mrow[mo:{ mtable[mtr[mtd[mn:1] "
    "mtd[mrow[mi:x mo:> mn:0]]] mtr[mtd[mrow[mo:− mn:22]] mtd[mtext:else]]] mo:]",
    r"$\begin{pmatrix} 1 & 2 \\ 3 & 4 \end{pmatrix}$": f"mrow[mo:( {SQUARE} mo:)]",
    r"$$\begin{array}{c|c} 1 & 2 \\ \hline 3 & 4 \end{array}$$": SQUARE,
    r"$\overline{AB}$": "menclose[mrow[mi:A mi:B]]",
    r"$A \setminus B$": "mrow[mi:A mo:∖ mi:B]",
    r"$\cancel{x}$": "menclose[mi:x mrow:]",
    r"$\textcolor{red}{x}$": "mrow[mi:x]",
    r"$$$a + b$$$": "mrow[mi:a mo:+ mi:b]",
    r"$$\text{if $x$}$$": "mrow[mtext:if\xa0 mi:x]",
    r"\(x = -1\)": "mrow[mi:x mo:= mo:− mn:1]",
    LONG: "mrow[msub[mi:a mn:1] mo:+ msub[mi:a mn:2] mo:+ msub[mi:a mn:3] mo:+ msub[mi:a mn:4] mo:=] | "
    "mrow[msub[mi:b mn:1] mo:+ msub[mi:b mn:2]]",
    "**Case $p$.**": "mi:p",
}
PROSE = """It costs $5 and then $6 more, or $5 per $x$, and $3 million for $y$; a \\$7 fee.
Words and $x^2$, words and $(n+1)^2$. Words ($\\sqrt{2}$); the $n$-th word: $a$, $b$, $c$, $d$, $e$, $f$, $g$, $h$.
"""
HOSTILE = (
    r"$\href{javascript:alert(1)}{x}$",
    r"$\text{<script>window.broken = true</script>}$",
    r"$\includegraphics{http://203.0.113.9/x.png}$",
    r"$\class{row}{x}$",
    r"$\label{view} x \ref{view}$",
    r"$\def\a{\a\a}\a$",
    "$" + "{" * 300 + "x" + "}" * 300 + "$",
    "$" + r"\frac{1}{" * 59 + "x" + "}" * 59 + "$",
    "$$" + "(" * 3900 + "$$",
    "$$" + "x" * 5000 + "$$",
    r"$\frac{1}{$",
    r"$\unknown{x}$",
    r"\[ \begin{aligned} a &= b",
    r"$\gdef\frac{broken} x$",
    r"$\rule{9999em}{9999em}$",
)

THREADS = range(1, 6)
FIVE = "\n".join(
    (
        "<Parallel>\n<Outlines>",
        *(f"<Outline>{k}: Case ${k}$.</Outline>" for k in THREADS),
        "</Outlines>",
        "".join(f"<Thread>\n{k}: Here $x = {k}$.\n</Thread>" for k in THREADS),
        "</Parallel>",
    )
)


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    """A viewer of the constructs, one a line; prose with money; hostile formulas, one a line; five threads far down."""
    folder = tmp_path_factory.mktemp("mathematics") / "texts"
    folder.mkdir()
    far = "\n".join([*(f"Line {number}." for number in range(1, 1300)), FIVE])
    texts = ("\n".join(CONSTRUCTS), PROSE, "\n".join((*HOSTILE, r"At the end: $\frac12$.")), far)
    for at, text in enumerate(texts):
        (folder / f"{at}.txt").write_text(text + "\n")
    with Command(folder) as served:
        yield served


def boxes(page, line: str, sign: str) -> list[dict]:
    """Return the boxes of the elements that a selector finds in the line with this source."""
    found = page.locator(".line").nth(list(CONSTRUCTS).index(line)).locator(sign)
    return [element.bounding_box() for element in found.all()]


def test_each_construct_becomes_its_tree(page, shown):
    page.goto(f"{shown.base}/#/sample/0")
    expect(page.locator(".trajectory .m.done")).to_have_count(len(CONSTRUCTS))
    assert page.evaluate("document.fonts.check('16px STIX2')"), "the font is that of the page"
    lines = page.locator(".trajectory .line").all()
    assert {line: element.locator(".m").evaluate(TREE) for line, element in zip(CONSTRUCTS, lines, strict=True)} == (
        CONSTRUCTS
    )


def test_brackets_frames_rules_and_strokes_have_the_size_of_what_they_hold(page, shown):
    page.goto(f"{shown.base}/#/sample/0")
    expect(page.locator(".trajectory .m.done")).to_have_count(len(CONSTRUCTS))
    for line, inner in ((r"$\binom62$", "mfrac"), (r"$\begin{pmatrix} 1 & 2 \\ 3 & 4 \end{pmatrix}$", "mtable")):
        opening, closing = boxes(page, line, "mo")
        held = boxes(page, line, inner)[0]
        assert opening["height"] == closing["height"] > 0.85 * held["height"]
        assert opening["x"] < held["x"] and closing["x"] + closing["width"] > held["x"] + held["width"]
    style = """(line, sign, name) => getComputedStyle(document.querySelectorAll(".trajectory .line")[line].querySelector(sign))[name]"""
    of = {line: at for at, line in enumerate(CONSTRUCTS)}

    def computed(line: str, sign: str, name: str) -> str:
        return page.evaluate(f"([line, sign, name]) => ({style})(line, sign, name)", [of[line], sign, name])

    assert computed(r"\boxed{42}", "math mrow", "borderTopWidth") == "1px"
    assert float(computed(r"$\overline{AB}$", "menclose", "borderTopWidth")[:-2]) > 0.5
    array = r"$$\begin{array}{c|c} 1 & 2 \\ \hline 3 & 4 \end{array}$$"
    assert float(computed(array, "mtd", "borderRightWidth")[:-2]) > 0.5
    assert computed(r"$\textcolor{red}{x}$", "mi", "color") != computed(r"$\overline{AB}$", "mi", "color")
    stroke = boxes(page, r"$\cancel{x}$", ".tml-cancel")[0]
    assert stroke["width"] > 5 and stroke["height"] > 5
    cases = r"\begin{cases} 1 & x > 0 \\ -22 & \text{else} \end{cases}"
    one, minus = boxes(page, cases, "mtd:first-child > *")
    assert abs(one["x"] - minus["x"]) < 0.5, "cases begin at the left"


def test_money_stays_money(page, shown):
    page.goto(f"{shown.base}/#/sample/1")
    expect(page.locator(".trajectory .m.done")).to_have_count(14)
    line = page.locator(".line").first
    assert line.locator(".m .src").all_text_contents() == ["$x$", "$y$"]
    expect(line).to_contain_text("costs $5 and then $6 more, or $5 per")


def test_what_follows_a_formula_without_a_space_stays_in_its_line(page, shown):
    page.goto(f"{shown.base}/#/sample/1")
    expect(page.locator(".trajectory .m.done")).to_have_count(14)
    for width in range(330, 700, 30):
        page.set_viewport_size({"width": width, "height": 700})
        torn = """() => [...document.querySelectorAll(".glued")].filter((one) => {
          const rects = [...one.childNodes].map((node) => { const range = new Range(); range.selectNode(node); return range.getBoundingClientRect(); });
          const first = rects.find((rect) => rect.height);
          return rects.some((rect) => rect.height && (rect.top > first.bottom || rect.bottom < first.top));
        }).map((one) => one.textContent)"""
        assert page.evaluate(torn) == [], f"torn at {width} px"


def test_a_hostile_formula_is_shown_as_source_and_the_page_lives(page, shown):
    page.goto(f"{shown.base}/#/sample/2")
    expect(page.locator(".line").last.locator("mfrac")).to_be_visible()
    lines = page.locator(".trajectory .line")
    drawn = {0: False, 2: False, 3: False, 5: False, 6: False, 8: False, 10: False, 11: False, 13: True}
    for at, done in drawn.items():
        expect(lines.nth(at).locator(".m.done")).to_have_count(int(done))
        expect(lines.nth(at).locator(".m .src")).to_have_text(HOSTILE[at])
    assert page.locator(".trajectory :is(a, script, img)").count() == 0
    assert page.evaluate("document.querySelectorAll('#view').length") == 1
    assert page.evaluate("document.documentElement.scrollWidth") <= 1400


def test_a_formula_is_drawn_without_moving_the_text(page, shown):
    page.add_init_script(
        "window.shifted = 0; new PerformanceObserver((list) => list.getEntries().forEach((entry) => (window.shifted += entry.value))).observe({ type: 'layout-shift', buffered: true })"
    )
    page.goto(f"{shown.base}/#/sample/0")
    expect(page.locator(".trajectory .m.done")).to_have_count(len(CONSTRUCTS))
    page.wait_for_timeout(500)
    assert page.evaluate("window.shifted") < 0.02


def test_every_thread_is_in_the_window_and_numbers_do_not_touch_the_text(page, shown):
    page.goto(f"{shown.base}/#/sample/3")
    threads = page.locator("#block-1 .thread")
    expect(threads).to_have_count(5)
    for width in (1400, 900):
        page.set_viewport_size({"width": width, "height": 900})
        rights = [box["x"] + box["width"] for box in (one.bounding_box() for one in threads.all())]
        assert max(rights) <= width, "none is cut off"
    assert page.locator(".line").nth(1200).get_attribute("data-line") == "1201"
    gap = """line => {
      const range = new Range();
      range.selectNodeContents(line);
      const number = getComputedStyle(line, "::before");
      const digits = new OffscreenCanvas(1, 1).getContext("2d");
      digits.font = number.font;
      const wide = digits.measureText(line.dataset.line).width;
      return [parseFloat(number.width) - wide, range.getBoundingClientRect().left - line.getBoundingClientRect().left - parseFloat(number.width)];
    }"""
    room, space = page.locator(".line").nth(1200).evaluate(gap)
    assert room >= 0 and space >= 6
