"""What a result rests on, in the page: the calls about a sample, the leaks between threads, why it was rejected."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect


def test_the_calls_of_a_stage_are_turns_with_cost_and_verdict(page, served):
    page.goto(f"{served.base}/#/sample/0/stages")
    page.locator(".station").nth(1).get_by_role("button", name="conversation").click()
    talks = page.locator(".talks")
    expect(talks.locator("header .sum").first).to_have_text(
        "3 calls · 7,200 in (3,000 cached), 900 out · $0.0150 · 4.50 s"
    )
    turns = talks.locator(".exchange")
    expect(turns).to_have_count(3)
    expect(turns.locator("header .chip")).to_have_text(
        ["accepted", "repaired by the next call: out of file", "accepted"]
    )
    expect(turns.nth(1).locator(".message")).to_have_count(1), "what was said before is not repeated"
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
    page.locator(".talk", has_text="block 1, thread 2").locator("summary").first.click()
    expect(page.locator(".exchange .reply")).to_contain_text("more characters")
    expect(page.locator(".exchange header .chip")).to_have_text("rejected: unreadable reply")


@pytest.mark.parametrize("id", ["1"])
def test_without_the_ledger_the_text_of_the_stage_is_shown(page, served, id):
    page.goto(f"{served.base}/#/sample/{id}/stages")
    page.locator(".station").nth(1).get_by_role("button", name="conversation").click()
    expect(page.locator(".talks .said")).to_contain_text(f"Mark the steps of fixture-{id}.")
    expect(page.locator(".talks")).to_contain_text("does not name its calls")
