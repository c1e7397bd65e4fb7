"""The statistics in a real Chromium: axes, the brush, what is saved. Run by tests/browser/run.sh."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from browser.chromium import Command
from browser.fixture import SCRIPT, Run, add_sample
from threadweaver.runs import account, report, statistics


def saved(page, chart, kind: str) -> str:
    with page.expect_download() as started:
        chart.get_by_role("button", name=kind).click()
    return Path(started.value.path()).read_text()


def test_statistics_are_one_key_from_the_list_and_keep_its_filters(page, served):
    page.goto(f"{served.base}/#/?answer=right")
    expect(page.locator(".row")).to_have_count(5)
    page.keyboard.press("s")
    expect(page.locator(".statistics-head")).to_contain_text("5 of 8 samples, of which the 3 that were kept count")
    page.locator(".chips button", has_text="right").click()
    expect(page.locator(".statistics-head")).to_contain_text("4 samples: all of 8 samples")
    page.keyboard.press("/")
    page.keyboard.type("eleven")
    page.keyboard.press("Enter")
    expect(page.locator(".statistics-head")).to_contain_text("5 of 8 samples")
    page.keyboard.press("Escape")
    expect(page.locator(".row")).to_have_count(5)


def test_bars_stand_on_axes_and_are_as_tall_as_their_numbers(page, served):
    item = next(item for item in served.json("/api/statistics")["measures"] if item["name"] == "acceleration_ratio")
    page.goto(f"{served.base}/#/statistics")
    chart = page.locator(".charts .chart", has_text="acceleration ratio")
    expect(chart.locator("figcaption")).to_contain_text(f"mean {round(100 * item['mean'])} %")
    heights = [float(bar.get_attribute("height")) for bar in chart.locator("rect.bar-of").all()]
    numbers = [number for number in item["chosen"] if number]
    assert heights == pytest.approx([number * max(heights) / max(numbers) for number in numbers])
    assert chart.locator("text.name").all_text_contents() == ["samples", "acceleration ratio"]
    labels = [text for text in chart.locator("text").all_text_contents() if text.endswith("%")]
    assert labels == ["5 %", "10 %", "15 %", "20 %", "25 %"]


def test_selecting_points_filters_the_list(page, served):
    page.goto(f"{served.base}/#/statistics?x=parallel_ratio&y=acceleration_ratio")
    chart = page.locator("svg.scatter")
    expect(chart).to_be_visible()
    box = chart.bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.7, box["y"] + 4)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.995, box["y"] + box["height"] * 0.5, steps=4)
    page.mouse.up()
    expect(page.locator(".chips button")).to_have_count(2)
    assert re.search(r"parallel_ratio=[\d.]+\.\.[\d.]+&acceleration_ratio=", page.url)
    page.locator(".crumbs a").click()
    expect(page.locator(".row")).to_have_count(4)
    assert page.locator(".row .id").all_inner_texts() == list("0127")
    page.reload()
    expect(page.locator(".row")).to_have_count(4)


def test_blocks_and_threads_are_counted_too(page, served):
    page.goto(f"{served.base}/#/statistics?outcome=ok")
    page.get_by_role("button", name="By thread").click()
    expect(page.locator(".statistics-head")).to_contain_text("16 threads")
    expect(page.locator(".charts .chart")).to_have_count(2)
    expect(page.locator(".numbers tbody tr").first).to_contain_text("67.12")


def test_a_chart_is_saved_as_svg_and_as_csv(page, served):
    item = next(item for item in served.json("/api/statistics")["measures"] if item["name"] == "total_num_tokens")
    page.goto(f"{served.base}/#/statistics")
    chart = page.locator(".charts .chart").first
    drawn = saved(page, chart, "SVG")
    assert drawn.startswith("<svg") and "class=" not in drawn and re.search(r'<rect[^>]* fill="rgb\(', drawn)
    rows = list(csv.reader(io.StringIO(saved(page, chart, "CSV"))))
    assert rows[0] == ["from", "to", "chosen"] and [int(row[2]) for row in rows[1:]] == item["chosen"]


def test_the_account_page_draws_the_same_bars_and_fits_a_phone(page, served, root, tmp_path):
    written = report.write(account.read(root), tmp_path / "run")
    page.goto(written.as_uri())
    for item in served.json("/api/statistics")["measures"]:
        if item["name"] in statistics.LABELS:
            bars = page.locator(f"svg[aria-label^='histogram of {statistics.LABELS[item['name']]},'] rect title")
            assert [int(text) for text in bars.all_text_contents()] == [number for number in item["chosen"] if number]
    page.set_viewport_size({"width": 390, "height": 900})
    assert page.evaluate("document.documentElement.scrollWidth") == 390


def test_hostile_names_stay_text_in_the_statistics(browser, tmp_path):
    folder = Run(tmp_path).write()
    name = SCRIPT.replace("/", "_")
    add_sample(folder, "0", name)
    page = browser.new_page()
    with Command(folder) as command:
        page.goto(f"{command.base}/#/statistics?outcome={name}&q={name}")
        expect(page.locator(".chips button")).to_have_count(2)
        page.goto(f"{command.base}/#/statistics?x=parallel_ratio&y=acceleration_ratio&a=1")
        expect(page.locator("svg.scatter")).to_be_visible()
        assert page.evaluate("window.broken") is None and page.locator("main script").count() == 0
    page.close()
