"""A judging sheet in the page: blind, by keyboard, one block after the other."""

from __future__ import annotations

import json

from playwright.sync_api import expect

from browser.chromium import Command
from browser.fixture import Run


def test_a_sheet_is_filled_by_keyboard_and_tells_no_origin(page, tmp_path):
    folder = Run(tmp_path).write()
    with Command(folder, "--review-sheet", "3", "--seed", "7") as command:
        assert command.json("/api/run")["kind"] == "sheet"
        page.goto(command.base)
        heading = page.locator("h1")
        expect(heading).to_have_text("Block 1 of 3")
        for number in (1, 2, 3):
            expect(heading).to_have_text(f"Block {number} of 3")
            said = page.locator("body").inner_text().lower()
            assert "fixture" not in said and "accepted" not in said and "leak" not in said
            for key in "iwqho":
                page.keyboard.press(key)
        expect(page.locator(".progress")).to_have_text("3 of 3 answered")
        page.keyboard.press("k")
        expect(heading).to_have_text("Block 2 of 3")
        expect(page.locator("#block-1 > header [aria-pressed=true]")).to_have_text(
            ["yes", "yes", "yes", "high", "good"]
        )
        page.keyboard.press("w")
        expect(page.locator("#block-1 > header .answer-no").nth(1)).to_have_attribute("aria-pressed", "true")
        page.keyboard.press("z")
        page.wait_for_load_state("networkidle")
        page.goto("about:blank")  # it asks the server for news
    kept = [json.loads(line) for line in (folder / "review.jsonl").read_text().splitlines()]
    assert len(kept) == 3 and all(row["uuid"].startswith("fixture-") and not row["verdict"] for row in kept)
    assert all(len(answers) == 5 for row in kept for answers in row["judged"].values())
    assert {answers["wording"] for row in kept for answers in row["judged"].values()} == {"yes"}
