"""Find in a sample, its raw text in three forms, and its page for others."""

from __future__ import annotations

import json

from playwright.sync_api import expect

from browser.fixture import CASES


def test_a_search_is_stepped_through_with_its_count(page, served):
    page.goto(f"{served.base}/#/sample/0")
    expect(page.locator("main .m.done").first).to_be_visible()
    page.keyboard.press("/")
    page.keyboard.type("prime")
    expect(page.locator("#found button")).to_have_count(2)
    page.keyboard.press("Enter")
    expect(page.locator("#found")).to_contain_text("1 of")
    hits = int(page.locator("#found span").inner_text().split()[-1])
    assert hits > 5
    for key, place in (("n", 2), ("n", 3), ("N", 2), ("N", 1), ("N", hits), ("n", 1)):
        page.keyboard.press(key)
        expect(page.locator("#found")).to_contain_text(f"{place} of {hits}")
        shown = page.evaluate("[...CSS.highlights.get('found')][0].getBoundingClientRect().top")
        assert 0 < shown < 900, "it is in the window"
    page.keyboard.press("/")
    page.keyboard.type("kitchen")
    expect(page.locator("#found")).to_contain_text("not in this sample")
    page.keyboard.press("Escape")
    page.keyboard.press("n")
    expect(page.locator("textarea.note")).to_be_focused()


def test_the_raw_text_is_the_file_and_folds(page, served, root):
    text = (root / "0.txt").read_text().removesuffix("\n")
    page.goto(f"{served.base}/#/sample/0/raw")
    expect(page.locator(".raw > details")).to_have_count(2)
    expect(page.locator(".raw details")).to_have_count(2 + 2 + 4)
    shown = page.evaluate(
        "[...document.querySelectorAll('.raw .line, .raw summary > .sign-tag, .raw .closing > .sign-tag')].map((each) => each.textContent).join('')"
    )
    assert shown.replace("\n", "") == text.replace("\n", "")
    number = text.split("\n").index("<Parallel>") + 1
    before = page.locator(".raw > .passage .line").last
    assert int(page.locator(".raw > details .line").first.get_attribute("data-line")) == number + 2
    assert before.get_attribute("data-line") == str(text.count("\n") + 1)
    page.get_by_role("button", name="Fold all", exact=True).click()
    expect(page.locator(".raw > details .line").first).to_be_hidden()
    assert page.locator(".raw .sign-math").count() > 10
    page.evaluate("navigator.clipboard.writeText = (text) => { window.copied = text; return Promise.resolve(); }")
    page.keyboard.press("c")
    expect(page.locator("#toast")).to_contain_text("copied")
    assert page.evaluate("window.copied") == text


def test_training_and_inference_are_shown_as_the_units_say(page, served):
    units = served.json("/api/sample/0/units")
    row = units["row"]
    continuations = [row[unit["start"] : unit["end"]] for unit in units["units"]]
    contexts = [row[: unit["shared"]] + unit["added"] for unit in units["units"]]
    assert [unit["kind"] for unit in units["units"]] == ["outlines", "thread", "thread"] * 2 + ["end"]
    assert row.startswith(contexts[1]) and contexts[2].endswith("<Thread>\n2:") and "Case 1" not in contexts[2]
    page.goto(f"{served.base}/#/sample/0/raw")
    page.get_by_role("button", name="As inference sends it").click()
    expect(page.locator(".request")).to_have_count(7)
    lines = "[...document.querySelectorAll('.decoded')].map((each) => [...each.querySelectorAll('.line')].map((line) => line.textContent).join('\\n'))"
    assert page.evaluate(lines) == continuations
    page.locator(".request").nth(2).locator("summary").click()
    expect(page.locator(".request").nth(2).locator(".context .line").first).to_contain_text(CASES.split("\n")[0])
    page.evaluate("navigator.clipboard.writeText = (text) => { window.copied = text; return Promise.resolve(); }")
    page.keyboard.press("c")
    expect(page.locator("#toast")).to_contain_text("copied")
    copied = [json.loads(line) for line in page.evaluate("window.copied").splitlines()]
    assert [pair["context"] for pair in copied] == contexts
    page.get_by_role("button", name="As training sees it").click()
    expect(page.locator(".raw")).to_contain_text("the loss is on what follows the prompt")
    expect(page.locator(".raw details").first).to_be_visible()


def test_one_sample_is_exported_and_opens_by_itself(page, served, tmp_path):
    page.goto(f"{served.base}/#/sample/0")
    with page.expect_download() as waiting:
        page.get_by_role("link", name="Export").click()
    assert waiting.value.suggested_filename.endswith("-0.html")
    out = tmp_path / "one.html"
    waiting.value.save_as(out)
    page.goto(out.as_uri())
    expect(page.locator("h1")).to_have_text("fixture-0")
    expect(page.locator("#block-1 math").first).to_be_visible()
    assert page.evaluate("document.fonts.check('16px STIX2')")
    page.keyboard.press("3")
    expect(page.locator(".raw details").first).to_be_visible()
