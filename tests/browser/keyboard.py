"""Reviewing and reading by keyboard, at the speed of a reader's fingers and faster."""

from __future__ import annotations

import json

import pytest
from playwright.sync_api import expect

from browser.chromium import Command
from browser.fixture import Run, add_sample

SAMPLES = 24


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """A run with many samples, none reviewed."""
    folder = Run(tmp_path_factory.mktemp("many")).write()
    for at in range(SAMPLES):
        add_sample(folder, "0", str(40 + at))
    return folder


@pytest.fixture
def reviewing(many):
    (many / "review.jsonl").unlink(missing_ok=True)
    with Command(many) as served:
        yield served


def kept(folder) -> dict[str, str]:
    rows = map(json.loads, (folder / "review.jsonl").read_text().splitlines())
    return {row["id"]: row["verdict"] for row in rows}


def ids(page) -> list[str]:
    return page.locator(".row .id").all_inner_texts()


VERDICTS = ["accept", "reject"] * 5


@pytest.mark.parametrize("pause", [0, 60, 120])
def test_ten_rows_are_judged_in_the_list(reviewing, many, page, pause):
    page.goto(reviewing.base)
    expect(page.locator(".row")).to_have_count(8 + SAMPLES)
    before = ids(page)
    for verdict in VERDICTS:
        page.keyboard.press("j")
        page.wait_for_timeout(pause)
        page.keyboard.press("a" if verdict == "accept" else "x")
        page.wait_for_timeout(pause)
    expect(page.locator(".review-mark.accept")).to_have_count(5)
    expect(page.locator(".review-mark.reject")).to_have_count(5)
    assert ids(page) == before, "no row is drawn twice"
    page.wait_for_load_state("networkidle")
    page.reload()
    expect(page.locator(".review-mark.reject")).to_have_count(5)
    assert kept(many) == dict(zip(before, VERDICTS, strict=False))


@pytest.mark.parametrize("pause", [0, 60, 120])
def test_ten_samples_are_judged_while_reading(reviewing, many, page, pause):
    page.goto(reviewing.base)
    expect(page.locator(".row")).to_have_count(8 + SAMPLES)
    order = ids(page)
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    for verdict in VERDICTS:  # the next sample opens by itself
        page.keyboard.press("a" if verdict == "accept" else "x")
        page.wait_for_timeout(pause)
    expect(page.locator(".place")).to_contain_text("11 of", timeout=20_000)
    expect(page.locator(".progress")).to_have_text(f"10 of {8 + SAMPLES} reviewed")
    page.keyboard.press("Escape")
    expect(page.locator(".row.current .id")).to_have_text(order[10])
    assert kept(many) == dict(zip(order, VERDICTS, strict=False))


def test_the_last_change_is_undone_where_it_was_made(reviewing, many, page):
    page.goto(f"{reviewing.base}/#/sample/1")
    expect(page.locator(".choice.reject")).to_be_visible()
    for key in "axaz":
        page.keyboard.press(key)
    expect(page.locator("h1")).to_have_text("fixture-3")
    expect(page.locator(".choice.accept")).to_have_attribute("aria-pressed", "false")
    page.keyboard.press("z")
    expect(page.locator("h1")).to_have_text("fixture-2")
    page.wait_for_load_state("networkidle")
    assert kept(many) == {"1": "accept"}


def test_what_has_a_verdict_is_passed_over(reviewing, many, page):
    page.goto(f"{reviewing.base}/#/sample/0?outcome=ok&outcome=rejected")
    expect(page.locator("h1")).to_have_text("fixture-0")
    for key, name in (("a", "fixture-1"), ("k", "fixture-0"), ("x", "fixture-1"), ("x", "fixture-2")):
        page.keyboard.press(key)
        expect(page.locator("h1")).to_have_text(name)
    page.get_by_role("button", name="then next", exact=True).click()
    page.keyboard.press("a")
    expect(page.locator(".choice.accept")).to_have_attribute("aria-pressed", "true")
    expect(page.locator("h1")).to_have_text("fixture-2")
    page.get_by_role("button", name="then next", exact=True).click()


def test_blocks_and_threads_are_judged_by_keyboard(reviewing, many, page):
    page.goto(f"{reviewing.base}/#/sample/0")
    expect(page.locator("#block-1 .lens-line")).to_contain_text("saves")
    page.keyboard.press("v")
    for key in "iwwqho":  # wording twice: no
        page.keyboard.press(key)
    expect(page.locator(".judged-now")).to_have_id("block-2")  # by itself, once all five are answered
    for key in "}i}oo":
        page.keyboard.press(key)
    expect(page.locator("#block-2 [data-thread='2'].judged-now")).to_have_count(1)
    page.get_by_role("group", name="worth, block 2", exact=True).get_by_role("button", name="some").click()
    page.wait_for_load_state("networkidle")
    wanted = {
        "1": {"independent": "yes", "wording": "no", "sensible": "yes", "worth": "high", "outline": "good"},
        "2": {"worth": "some"},
        "2.1": {"independent": "yes"},
        "2.2": {"outline": "tells"},
    }
    [row] = map(json.loads, (many / "review.jsonl").read_text().splitlines())
    assert row == {"id": "0", "uuid": "fixture-0", "verdict": "", "note": "", "judged": wanted}
    page.keyboard.press("z")
    page.keyboard.press("z")
    expect(page.locator("#block-2 [data-thread='2'] [aria-pressed=true]")).to_have_text("good")
    page.reload()
    expect(page.locator("#block-1 > header .judge [aria-pressed=true]")).to_have_text(
        ["yes", "no", "yes", "high", "good"]
    )
    page.keyboard.press("v")
    expect(page.locator(".judge").first).to_be_hidden()
    page.keyboard.press("Escape")
    expect(page.locator(".row[data-id='0'] .review-mark")).to_have_text("J")


def test_a_verdict_keeps_the_note_of_the_sample(reviewing, many, page):
    page.goto(f"{reviewing.base}/#/sample/1")
    expect(page.locator(".choice.reject")).to_be_visible()
    page.keyboard.press("n")
    page.keyboard.type("read in a jam")
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    expect(page.locator(".row.current .review-mark")).to_have_text("N")
    page.keyboard.press("x")
    page.keyboard.press("Enter")
    expect(page.locator(".choice.reject")).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("n")
    expect(page.locator("textarea.note")).to_have_value("read in a jam")


def test_the_current_row_has_the_focus(reviewing, many, page):
    page.goto(reviewing.base)
    expect(page.locator(".row")).to_have_count(8 + SAMPLES)
    page.keyboard.press("j")
    page.keyboard.press("j")
    assert page.evaluate("document.activeElement.matches('.row.current')")
    page.keyboard.press("Tab")
    expect(page.locator(".row.current")).to_have_attribute("data-at", "2")


def test_the_list_is_found_as_it_was_left(reviewing, many, page):
    page.goto(f"{reviewing.base}/#/?sort=lines")
    expect(page.locator(".row")).to_have_count(8 + SAMPLES)
    for _ in range(20):
        page.keyboard.press("j")
    row = page.locator(".row.current")
    name, before = row.get_attribute("data-id"), page.evaluate("scrollY")
    assert before > 100
    for back in (lambda: page.keyboard.press("Escape"), page.go_back):
        row.click()
        expect(page.locator(".sample h1")).to_be_visible()
        back()
        expect(page.locator(".row")).to_have_count(8 + SAMPLES)
        assert row.get_attribute("data-id") == name
        assert abs(page.evaluate("scrollY") - before) < 4


def test_brackets_go_through_the_blocks_and_back(page, served):
    page.set_viewport_size({"width": 1400, "height": 420})
    page.goto(f"{served.base}/#/sample/0")
    expect(page.locator("#block-2")).to_be_attached()
    for key, block in (("]", 1), ("]", 2), ("]", 2), ("[", 1), ("[", 1), ("]", 2)):
        page.keyboard.press(key)
        expect(page.locator(".block.target")).to_have_id(f"block-{block}")
        page.wait_for_timeout(60)
    strip = page.locator(".strip-holder").bounding_box()
    gap = page.locator("#block-2").bounding_box()["y"] - strip["y"] - strip["height"]
    assert gap >= 0, "not under the plan"


def test_a_search_typed_while_reading_stays_in_the_sample(page, served):
    page.goto(f"{served.base}/#/sample/4")
    expect(page.locator("h1")).to_have_text("fixture-4")
    page.keyboard.press("/")
    page.keyboard.type("guest")
    page.wait_for_timeout(400)
    expect(page.locator("h1")).to_have_text("fixture-4")
    assert page.evaluate("CSS.highlights.get('search').size") > 1
    page.keyboard.press("Shift+Enter")
    expect(page.locator(".row")).to_have_count(1)


def test_enter_on_the_plan_goes_to_the_block(page, served):
    page.goto(f"{served.base}/#/sample/0")
    for key, number in (("Enter", 2), ("Space", 1)):
        page.locator(".plan.full .part[tabindex]").nth(number - 1).focus()
        page.keyboard.press(key)
        expect(page.locator(".block.target")).to_have_id(f"block-{number}")
