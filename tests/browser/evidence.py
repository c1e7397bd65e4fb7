"""What a result rests on, in the page: the calls about a sample, the leaks between threads, why it was rejected."""

from __future__ import annotations

import subprocess
import sys

import pytest
from playwright.sync_api import expect

from browser.accessibility import AXE, SMALL, violations
from browser.chromium import COMMAND, Command
from browser.fixture import NAME, Run, leaking


def test_the_calls_of_a_stage_are_turns_with_cost_and_verdict(page, served):
    page.goto(f"{served.base}/#/sample/0/stages")
    page.locator(".station").nth(1).get_by_role("button", name="conversation").click()
    talks = page.locator(".talks")
    expect(talks.locator("header .sum").first).to_have_text(
        "3 calls · 7,200 in (3,000 cached), 900 out · $0.0150 · 4.50 s"
    )
    turns = talks.locator(".exchange")
    expect(turns).to_have_count(3)
    page.set_viewport_size({"width": 390, "height": 900})
    box, inner = talks.bounding_box(), turns.nth(1).locator(".reply").bounding_box()
    assert inner["x"] + inner["width"] <= box["x"] + box["width"]
    page.set_viewport_size({"width": 1400, "height": 900})
    expect(turns.locator("header .chip")).to_have_text(
        ["accepted", "repaired by the next call: out of file", "accepted"]
    )
    expect(turns.nth(1).locator(".message")).to_have_count(1)  # what was said before is not repeated
    expect(turns.nth(1).locator(".reply")).to_contain_text("<script>window.broken = true</script>")
    thought = turns.nth(2).locator(".message.thinking")
    expect(thought.locator(".said")).to_have_count(0)
    thought.locator("summary").click()
    expect(thought.locator(".said")).to_have_text("<think>Let me look at L8 again.</think>")
    turns.nth(0).locator(".reply .lines").nth(1).click()
    expect(page.locator(".left .lit").first).to_have_attribute("data-line", "4")


def test_a_long_reply_is_cut_and_opens_at_once(page, served):
    page.goto(f"{served.base}/#/sample/0/stages")
    page.locator(".station").nth(3).get_by_role("button", name="conversation").click()
    page.locator(".talk", has_text="block 1").locator("summary").first.click()
    expect(page.locator(".exchange .reply")).to_contain_text("more characters")
    expect(page.locator(".exchange header .chip")).to_have_text("rejected: unreadable reply")


@pytest.mark.parametrize("id", ["1"])
def test_without_the_ledger_the_text_of_the_stage_is_shown(page, served, id):
    page.goto(f"{served.base}/#/sample/{id}/stages")
    page.locator(".station").nth(1).get_by_role("button", name="conversation").click()
    expect(page.locator(".talks .said")).to_contain_text(f"Mark the steps of fixture-{id}.")
    expect(page.locator(".talks")).to_contain_text("does not name its calls")


@pytest.fixture(scope="module")
def leaky(tmp_path_factory):
    with Command(Run(tmp_path_factory.mktemp("leaky"), leaking(), merge=False).write()) as command:
        yield command


def test_the_worst_leak_is_three_actions_away(page, leaky):
    page.goto(leaky.base)
    page.locator(".headings .column", has_text="leak").click()
    expect(page.locator(".row .id").first).to_have_text("0")
    page.locator(".row").first.click()
    row = page.locator(".leak-row").first
    expect(row).to_have_class("leak-row certain")
    expect(row).to_contain_text("valueT=60.75")
    row.get_by_role("button", name="thread 2").click()
    expect(page.locator(".arc.lit")).to_have_count(1)
    marked = page.evaluate("[...CSS.highlights.get('leak-certain')].map(String)")
    assert marked == ["T = 6", "T = 6"]
    assert page.evaluate("CSS.highlights.get('leak-picked').size") == 2


def test_an_arc_goes_from_the_source_to_the_target(page, leaky):
    page.goto(f"{leaky.base}/#/sample/0")
    for width in (1400, 390):
        page.set_viewport_size({"width": width, "height": 900})
        page.wait_for_timeout(300)
        ends = page.evaluate(
            """() => { const [source, target] = [...CSS.highlights.get('leak-certain')].map((one) => one.getBoundingClientRect());
            const box = document.querySelector('.arc.certain .head').getBoundingClientRect();
            const arc = document.querySelector('.arc.certain').getBoundingClientRect();
            return { gap: Math.abs(box.x + box.width / 2 - target.x - target.width / 2), below: box.y - target.bottom,
              left: Math.abs(arc.left - source.left), wide: document.documentElement.scrollWidth } }"""
        )
        assert ends["gap"] < 3 and -2 <= ends["below"] < 8 and ends["wide"] <= width
    page.keyboard.press("e")
    expect(page.locator(".arc")).to_have_count(0)
    expect(page.locator(".lens").first).to_be_hidden()
    page.keyboard.press("e")


def test_formulas_are_marked_as_a_whole(page, leaky):
    page.goto(f"{leaky.base}/#/sample/1")
    expect(page.locator(".leak-row.suspected")).to_contain_text("a^2+b^2")
    expect(page.locator(".m.leak-mark.suspected")).to_have_count(2)
    expect(page.locator(".lens-line")).to_contain_text("1 leak")


def test_a_block_without_leaks_has_its_worth(page, served):
    page.goto(f"{served.base}/#/sample/0")
    expect(page.locator("#block-1 .lens-line")).to_contain_text("no leak found")
    expect(page.locator("#block-2 .lens-line")).to_contain_text("methods · re-check · saves")


def test_why_a_sample_was_rejected_is_shown_with_the_evidence(page, leaky):
    page.goto(f"{leaky.base}/#/?outcome=rejected&reason=leak")
    page.locator(".row").first.click()
    why = page.locator(".why-lost")
    expect(why).to_contain_text("Step 5 (filter) rejected it: leak")
    why.get_by_role("button", name="Block 1: thread 1 → 2").click()
    expect(page.locator(".arc.lit")).to_have_count(1)


def test_what_kept_the_blocks_of_a_sample_from_being_used_is_named(page, served):
    page.goto(f"{served.base}/#/sample/4")
    expect(page.locator(".why-lost .proof li").first).to_contain_text(
        "Block 1 of the annotation, L3–9, was not used:dependent"
    )


def test_the_line_of_broken_markup_is_shown(page, tmp_path):
    (tmp_path / "0.txt").write_text(
        "\n".join(f"line {at}" for at in range(300)) + "\n<Parallel>\n<Thread>\nnever closed\n"
    )
    with Command(tmp_path) as command:
        page.goto(f"{command.base}/#/sample/0")
        page.get_by_role("button", name="Show line 302").click()
        expect(page.locator(".line.lit")).to_have_attribute("data-line", "302")
        expect(page.locator(".line.lit")).to_be_in_viewport()
        page.goto("about:blank")  # it asks the server for news


def test_a_sample_that_a_later_stage_rejected_is_not_called_accepted(page, root):
    with Command(root.with_name(f"{NAME}_step4_v1_v1_v1")) as command:
        page.goto(f"{command.base}/#/sample/3")
        expect(page.locator(".title .chip")).to_have_text(["passed outlines", "later rejected: no block"])
        expect(page.locator(".why-lost")).to_contain_text("Why it is not in the result")
        page.goto("about:blank")


def test_an_edit_says_why_and_opens_its_call(page, served):
    page.goto(f"{served.base}/#/sample/0/stages")
    change = page.locator(".changes li").first
    expect(change).to_contain_text("Similarly, $p = 3$ → $p = 3$")
    expect(change).to_contain_text("why: words that point back: similarly")
    change.get_by_role("button", name="the call").click()
    expect(page.locator(".talk[open] summary b").first).to_have_text("block 1")
    expect(page.locator(".exchange .reply")).to_be_visible()


def test_an_exported_page_has_the_leaks_and_the_reasons(page, root, tmp_path):
    out = tmp_path / "out.html"
    line = [sys.executable, COMMAND, "--root", root, "--export", out, "--ids", "0,3"]
    subprocess.run(line, check=True, capture_output=True, timeout=60)
    page.goto(f"{out.as_uri()}#/sample/0")
    expect(page.locator("#block-2 .lens-line")).to_contain_text("methods · re-check · saves")
    expect(page.locator(".judge:visible, .choices")).to_have_count(0)
    page.goto(f"{out.as_uri()}#/sample/0/stages")
    expect(page.locator(".changes li").first).to_contain_text("why: words that point back: similarly")
    expect(page.get_by_role("button", name="the call")).to_have_count(0)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_in_the_lens_the_calls_and_the_questions(page, served, leaky, scheme):
    page.emulate_media(color_scheme=scheme)
    for base, address, key in ((leaky.base, "/#/sample/0", "v"), (served.base, "/#/sample/0/stages", "")):
        page.goto(base + address)
        expect(page.locator(".leak-row .scale, .changes .because").first).to_be_visible()
        if key:
            page.keyboard.press(key)
            expect(page.locator(".judge").first).to_be_visible()
        else:
            page.locator(".station").nth(1).get_by_role("button", name="conversation").click()
            expect(page.locator(".exchange")).to_have_count(3)
        found = violations(page, AXE.read_text())
        assert not found, f"{address}: {found}"
        assert page.evaluate(SMALL) == []
        if key:
            page.keyboard.press(key)
