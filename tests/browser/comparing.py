"""Several runs in a real Chromium: the choice, the joined list, one chain in both. Run by tests/browser/run.sh."""

from __future__ import annotations

import csv
import io
import re

import pytest
from playwright.sync_api import expect

from browser.accessibility import AXE, SMALL, violations
from browser.charts import saved


def test_two_runs_are_chosen_and_compared(page, both):
    page.goto(both.base)
    expect(page.locator(".run")).to_have_count(2)
    expect(page.locator(".run .settings").nth(1)).to_have_text("steps: annotator another")
    page.get_by_role("link", name="Compare the two").click()
    expect(page.locator(".pair")).to_have_count(8)
    expect(page.locator(".compare-head")).to_contain_text("1 difference in the settings")
    kept = page.locator(".numbers tr", has_text="kept")
    expect(kept.locator("td")).to_have_text(["4", "2", "−2"])
    expect(page.locator(".pair", has_text="Escaping").locator(".missing")).to_contain_text("not in b/")


def test_filters_and_the_measure_are_in_the_address(page, both):
    page.goto(f"{both.base}/#/compare/0/1")
    page.locator(".facet label", has_text="only in a/").click()
    expect(page.locator(".pair")).to_have_count(2)
    page.locator(".facet label", has_text="only in a/").click()
    page.get_by_label("measure").select_option("blocks")
    page.get_by_label("sorted by").select_option("largest difference")
    expect(page.locator(".pair .id").first).to_have_text("0")
    expect(page.locator(".pair .difference").first).to_have_text("−1")
    assert "measure=parallel_count&sort=size&dir=desc" in page.url
    page.reload()
    expect(page.locator(".pair .difference").first).to_have_text("−1")
    page.locator("#search").fill("seat guests")
    page.locator("#search").press("Enter")
    expect(page.locator(".pair")).to_have_count(1)


def test_one_chain_in_both_is_aligned_by_its_lines(page, both):
    page.goto(f"{both.base}/#/compare/0/1")
    page.locator(".pair").first.click()
    expect(page.locator(".cell.one > .block-of")).to_have_count(2)
    expect(page.locator(".cell.two > .block-of")).to_have_count(1)
    left = page.locator(".cell.one .line[data-line='14']").bounding_box()
    right = page.locator(".cell.two.sequential .line[data-line='14']").bounding_box()
    block = page.locator(".cell.one > .block-of").nth(1).bounding_box()
    assert left["x"] + left["width"] <= right["x"]
    number = "parseFloat(getComputedStyle(document.querySelector('.cell .line[data-line]')).paddingLeft)"
    assert page.evaluate(number) > 30, "line numbers have room"
    assert block["y"] - 12 <= right["y"] <= left["y"], "the same stretch begins at the same height"
    expect(page.locator(".measured").first).to_contain_text("blocks")
    page.keyboard.press("j")
    expect(page.locator("h1")).to_have_text("fixture-1")
    expect(page.locator(".place")).to_contain_text("2 of 8")
    page.keyboard.press("j")
    expect(page.locator(".cell", has_text="does not have the sample")).to_have_count(1)
    page.keyboard.press("Escape")
    expect(page.locator(".pair")).to_have_count(8)


def test_distributions_are_over_each_other(page, both):
    page.goto(f"{both.base}/#/compare/0/1")
    page.get_by_role("button", name="Distributions").click()
    chart = page.locator(".charts .chart").filter(has=page.locator("figcaption b", has_text=re.compile("^blocks$")))
    expect(chart.locator("rect.one")).to_have_count(1)
    expect(chart.locator("rect.two")).to_have_count(2)
    rows = list(csv.reader(io.StringIO(saved(page, chart, "CSV"))))
    assert [row[2:] for row in rows[1:]] == [["0", "1"], ["4", "1"]]


def test_each_run_opens_and_leads_back(page, both):
    page.goto(both.base)
    page.locator(".run .name").nth(1).click()
    expect(page.locator(".row")).to_have_count(6)
    page.keyboard.press("s")
    expect(page.locator("svg.scatter")).to_be_visible()
    page.get_by_role("link", name="All runs").click()
    expect(page.locator(".run")).to_have_count(2)


def test_hostile_texts_and_names_stay_text(page, both):
    page.goto(f"{both.base}/#/pair/0/1?a=2&b=")
    expect(page.get_by_text("<script>window.broken = true</script>").first).to_be_visible()
    page.goto(f"{both.base}/#/compare/0/7")
    expect(page.locator(".empty")).to_contain_text("no such two runs")
    assert page.locator("main script, main img").count() == 0


@pytest.mark.parametrize("address", ["", "#/compare/0/1", "#/compare/0/1?show=charts", "#/pair/0/1?a=0&b=0"])
def test_axe_finds_nothing_and_nothing_overflows(page, both, address):
    for width, scheme in ((1400, "light"), (390, "dark")):
        page.emulate_media(color_scheme=scheme)
        page.set_viewport_size({"width": width, "height": 900})
        page.goto("about:blank")
        page.goto(f"{both.base}/{address}")
        expect(page.locator(".run, .pair, .chart, .cell").first).to_be_visible()
        page.wait_for_timeout(150)
        assert violations(page, AXE.read_text()) == {}, width
        assert page.evaluate(SMALL) == [] and page.evaluate("document.documentElement.scrollWidth") <= width
