"""The viewer's page in a real Chromium: what a reader sees and does. Run by tests/browser/run.sh.

Not named test_*, because it needs a browser: the other tests run without one.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from playwright.sync_api import expect

from browser.chromium import Command
from browser.fixture import Run, add_sample


def ids(page) -> list[str]:
    return page.locator(".row .id").all_inner_texts()


def test_the_list_opens_with_every_sample(page, served):
    page.goto(served.base)
    expect(page.locator(".row")).to_have_count(8)
    expect(page.locator(".figure").first).to_contain_text("8")
    expect(page.locator(".row[data-id='5'] .reason")).to_have_text("looping")
    expect(page.locator(".row[data-id='1'] .answer")).to_have_text("✗")
    assert page.locator(".row[data-id='0'] svg.plan .lane.longest").count() == 2


def test_search_finds_text_and_shows_where(page, served):
    page.goto(served.base)
    expect(page.locator(".row")).to_have_count(8)
    page.keyboard.press("/")
    page.keyboard.type("first guest")
    expect(page.locator(".row")).to_have_count(1)
    assert ids(page) == ["4"]
    expect(page.locator(".row mark")).to_have_text("first guest")
    page.locator("#search").fill("nowhere-to-be-found")
    expect(page.locator(".empty")).to_contain_text("No sample")
    page.get_by_role("button", name="Clear them").click()
    expect(page.locator(".row")).to_have_count(8)


def test_dragging_over_a_histogram_filters(page, served):
    page.goto(served.base)
    bars = page.locator("svg.bars[data-measure='parallel_count']")
    bars.scroll_into_view_if_needed()
    box = bars.bounding_box()
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] * 0.55, middle)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.99, middle, steps=6)
    page.mouse.up()
    expect(page.locator(".row")).to_have_count(5)
    assert "parallel_count=0.5.." in page.url
    expect(page.locator(".histogram.active")).to_have_count(1)
    page.reload()
    expect(page.locator(".row")).to_have_count(5)
    page.locator(".histogram.active .clear").click()
    expect(page.locator(".row")).to_have_count(8)


def test_facets_filter_and_totals_follow(page, served):
    page.goto(served.base)
    page.locator(".facet label", has_text="accepted").click()
    expect(page.locator(".row")).to_have_count(4)
    expect(page.locator(".figure").first).to_contain_text("of 8 samples")
    page.locator(".facet label", has_text="wrong").click()
    expect(page.locator(".row")).to_have_count(1)


def test_the_totals_and_the_bars_say_what_they_show(page, served):
    page.goto(served.base)
    expect(page.locator(".totals .note")).to_contain_text("Means of the 4 that were kept.")
    expect(page.locator(".figure", has_text="calls")).to_contain_text("calls, all stages")
    expect(page.locator(".extent").nth(1)).to_have_text("0.0 % – 35 %")
    bars = page.locator("svg.bars[data-measure='parallel_count']")
    expect(bars.locator("title")).to_contain_text("Number of samples per bar, up to 5")
    counts = served.json("/api/list")["histograms"]["parallel_count"]["all"]
    tall = [float(bars.locator("rect.all").nth(at).get_attribute("height")) for at in range(len(counts))]
    assert tall == pytest.approx([36 * number / max(counts) for number in counts])


def test_sorting_by_a_measure(page, served):
    page.goto(served.base)
    expect(page.locator(".row")).to_have_count(8)
    page.locator(".headings .column", has_text="tokens").click()
    expect(page.locator(".row .id").first).to_have_text("6")


def test_threads_are_side_by_side_and_stack_in_a_narrow_window(page, served):
    page.goto(f"{served.base}/#/sample/0")
    threads = page.locator("#block-1 .thread")
    expect(threads).to_have_count(2)
    expect(page.locator("#block-1 .outline").first).to_contain_text("Plan 1 of thread 1")
    page.wait_for_timeout(200)
    one, two = threads.nth(0).bounding_box(), threads.nth(1).bounding_box()
    assert one["y"] == two["y"] and two["x"] >= one["x"] + one["width"] - 1
    page.set_viewport_size({"width": 700, "height": 900})
    one, two = threads.nth(0).bounding_box(), threads.nth(1).bounding_box()
    assert two["y"] >= one["y"] + one["height"] - 1 and one["x"] == two["x"]
    assert page.evaluate("document.documentElement.scrollWidth") <= 700


def test_the_strip_draws_the_critical_path_to_scale(page, served):
    document = served.json("/api/sample/0")
    page.goto(f"{served.base}/#/sample/0")
    expect(page.locator(".plan.full .lane")).to_have_count(4)
    expect(page.locator(".plan.full .lane.longest")).to_have_count(2)
    threads = [thread for part in document["parts"] if part["kind"] == "block" for thread in part["threads"]]
    total = sum(part["tokens"] for part in document["parts"])
    widths = [float(page.locator(".plan.full .lane").nth(at).get_attribute("width")) for at in range(4)]
    assert widths == pytest.approx([1200 * thread["tokens"] / total for thread in threads], rel=0.01)
    saved = float(page.locator(".plan.full .saved").get_attribute("width"))
    assert saved / 1200 == pytest.approx(document["measures"]["acceleration_ratio"], abs=0.01)
    page.locator(".plan.full .hit").nth(2).click()
    expect(page.locator("#block-2 .thread.target")).to_have_count(1)


def test_mathematics_is_rendered_and_the_source_is_a_key_away(page, served):
    page.goto(f"{served.base}/#/sample/0")
    expect(page.locator("#block-1 math").first).to_be_visible()
    page.keyboard.press("m")
    expect(page.locator("#block-1 math").first).to_be_hidden()
    expect(page.locator("#block-1 .src", has_text="$p = 2$").first).to_be_visible()
    page.keyboard.press("m")


def test_line_numbers_are_those_of_the_chain_and_tags_can_be_shown(page, served):
    page.goto(f"{served.base}/#/sample/0")
    first = page.locator("#block-2 .thread").nth(1).locator(".line").first
    assert first.get_attribute("data-line") == "18"
    expect(page.locator("#block-1 .tag.markup").first).to_be_hidden()
    page.keyboard.press("t")
    expect(page.locator("#block-1 .tag.markup").first).to_have_text("<Parallel>")
    expect(page.locator("#block-1 .tag.markup").first).to_be_visible()
    page.keyboard.press("t")


def test_a_deep_link_opens_its_thread(page, served):
    page.goto(f"{served.base}/#/sample/6/block/2/thread/2")
    target = page.locator("#block-2 .thread.target")
    expect(target).to_have_count(1)
    page.wait_for_timeout(1800)
    strip = page.locator(".strip-holder").bounding_box()
    gap = target.bounding_box()["y"] - (strip["y"] + strip["height"])
    assert 0 <= gap < 30, "just below what covers the window"


def test_copying_gives_the_trajectory_as_it_is_kept(page, served, root):
    page.goto(f"{served.base}/#/sample/0")
    expect(page.locator("#block-1")).to_be_visible()
    page.context.grant_permissions(["clipboard-read", "clipboard-write"], origin=served.base)
    page.keyboard.press("c")
    expect(page.locator("#toast")).to_contain_text("copied")
    assert page.evaluate("navigator.clipboard.readText()") + "\n" == (root / "0.txt").read_text()


def test_the_keyboard_goes_through_the_selection(page, served):
    page.goto(f"{served.base}/#/?outcome=ok")
    expect(page.locator(".row")).to_have_count(4)
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_have_text("fixture-1")
    expect(page.locator(".place")).to_contain_text("2 of 4")
    page.keyboard.press("j")
    expect(page.locator("h1")).to_have_text("fixture-2")
    page.keyboard.press("2")
    expect(page.locator(".way")).to_be_visible()
    page.keyboard.press("1")
    expect(page.locator(".strip")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator(".row")).to_have_count(4)
    page.keyboard.press("?")
    expect(page.locator("#help")).to_be_visible()


def test_dark_and_light_are_kept(page, served):
    page.emulate_media(color_scheme="light")
    page.goto(served.base)
    background = lambda: page.evaluate("getComputedStyle(document.body).backgroundColor")  # noqa: E731
    light = background()
    page.keyboard.press("d")
    dark = background()
    assert sum(map(int, re.findall(r"\d+", dark)[:3])) < 150 < sum(map(int, re.findall(r"\d+", light)[:3]))
    page.reload()
    expect(page.locator(".row").first).to_be_visible()
    assert background() == dark
    page.keyboard.press("d")
    page.emulate_media(color_scheme="dark")
    assert background() == light, "the reader's choice goes before the system's"


def test_stages_show_the_original_beside_the_result_with_every_edit(page, served):
    page.goto(f"{served.base}/#/sample/0/stages")
    expect(page.locator(".station")).to_have_count(6)
    expect(page.locator(".station").nth(1)).to_contain_text("2 calls · 5,120 in, 780 out · $0.0142")
    expect(page.locator(".right del").first).to_have_text("Similarly, $p = 3$")
    expect(page.locator(".right ins").first).to_have_text("$p = 3$")
    expect(page.locator(".left").filter(has_text="Similarly").first).to_be_visible()
    expect(page.locator(".skipped").first).to_contain_text("left out, not found")
    left = page.locator(".left .line[data-first='8']").bounding_box()
    right = page.locator(".right .line[data-first='8']").bounding_box()
    assert left["x"] + left["width"] <= right["x"]


def test_a_step_leads_to_its_lines(page, served):
    page.goto(f"{served.base}/#/sample/0/stages")
    page.locator(".step", has_text="Modulo three").click()
    lit = page.locator(".left .lit")
    expect(lit).to_have_count(3)
    assert [lit.nth(at).get_attribute("data-line") for at in range(3)] == ["14", "15", "16"]
    expect(page.locator(".right .lit")).to_have_count(3)


def test_unused_blocks_are_shown_with_reason_and_evidence(page, served):
    note = next(note for note in served.json("/api/sample/4/stages")["notes"] if note["kind"] == "merged")
    page.goto(f"{served.base}/#/sample/4/stages")
    panel = page.locator(".panel").first
    expect(panel).to_contain_text("dependent")
    expect(panel).to_contain_text("check failed")
    expect(page.locator(".panel", has_text="Evidence")).to_contain_text(f"“{note['what']}”")
    panel.locator(".lines").first.click()
    expect(page.locator(".left .lit").first).to_be_visible()


@pytest.mark.parametrize(
    ("id", "words"), [("5", "rejected: looping"), ("7", "failed: unreadable reply"), ("3", "rejected: no block")]
)
def test_lost_samples_are_there_with_their_reason(page, served, id, words):
    page.goto(f"{served.base}/#/sample/{id}")
    expect(page.locator(".title .chip")).to_contain_text(words)
    expect(page.locator(".trajectory .line").first).to_be_visible()


@pytest.mark.parametrize("view", ["", "/stages"])
def test_a_chain_with_a_script_is_text(page, served, view):
    page.goto(f"{served.base}/#/sample/2{view}")
    expect(page.get_by_text("<script>window.broken = true</script>").first).to_be_visible()
    assert page.locator("main script, main img, main b:has-text('bold')").count() == 0


@pytest.mark.parametrize("view", ["", "/stages"])
def test_a_chain_of_1_mb_does_not_freeze_the_page(page, served, view):
    page.goto(served.base)
    expect(page.locator(".row").first).to_be_visible()
    page.evaluate(
        "window.worst = 0; new PerformanceObserver((list) => list.getEntries().forEach((entry) => (window.worst = Math.max(window.worst, entry.duration)))).observe({ type: 'longtask' })"
    )
    page.goto(f"{served.base}/#/sample/6{view}")
    expect(page.locator("h1")).to_have_text("fixture-6")
    expect(page.locator("main math").first).to_be_visible()
    page.wait_for_timeout(3000)
    page.evaluate("scrollTo(0, document.body.scrollHeight / 2)")
    page.wait_for_timeout(1500)
    worst = page.evaluate("window.worst")
    assert worst < 1500, f"the page stood still for {worst} ms"


def test_a_review_is_kept_over_a_restart(browser, tmp_path):
    folder = Run(tmp_path).write()
    page = browser.new_page()
    with Command(folder) as command:
        page.goto(f"{command.base}/#/sample/1")
        expect(page.locator(".choice.reject")).to_be_visible()
        page.keyboard.press("n")
        page.keyboard.type("depends on case 1")
        page.keyboard.press("Escape")
        expect(page.locator(".review")).to_contain_text("Note ·")
        page.keyboard.press("x")
        expect(page.locator("h1")).to_have_text("fixture-2")
        page.go_back()
        expect(page.locator(".choice.reject")).to_have_attribute("aria-pressed", "true")
        page.goto(f"{command.base}/#/?outcome=ok")
        expect(page.locator(".row")).to_have_count(4)
        expect(page.locator(".row.current .id")).to_have_text("1")
        page.keyboard.press("k")
        page.keyboard.press("a")
        expect(page.locator(".row[data-id='0'] .review-mark")).to_have_text("A")
    assert [json.loads(line)["verdict"] for line in (folder / "review.jsonl").read_text().splitlines()] == [
        "accept",
        "reject",
    ]
    with Command(folder) as command:
        page.goto(f"{command.base}/#/sample/1")
        expect(page.locator(".choice.reject")).to_have_attribute("aria-pressed", "true")
        page.keyboard.press("n")
        expect(page.locator("textarea.note")).to_have_value("depends on case 1")
    page.close()


def test_new_samples_of_a_running_pipeline_appear(browser, tmp_path):
    folder = Run(tmp_path).write()
    page = browser.new_page()
    with Command(folder) as command:
        page.goto(command.base)
        expect(page.locator(".row")).to_have_count(8)
        add_sample(folder, "0", "41")
        expect(page.locator(".row")).to_have_count(9, timeout=20_000)
    page.close()


def test_an_export_works_from_a_file_without_a_server(page, root, tmp_path):
    out = tmp_path / "out.html"
    command = Path(__file__).parents[2] / "src" / "visualize_trajectories.py"
    subprocess.run(
        [sys.executable, str(command), "--root", str(root), "--export", str(out), "--ids", "0,2,4"],
        check=True,
        capture_output=True,
        timeout=60,
    )
    page.goto(out.as_uri())
    expect(page.locator(".row")).to_have_count(3)
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    expect(page.locator("#block-1 math").first).to_be_visible()
    page.keyboard.press("2")
    expect(page.locator(".right del").first).to_be_visible()
    page.goto(f"{out.as_uri()}#/sample/2")
    expect(page.get_by_text("<script>window.broken = true</script>").first).to_be_visible()
