"""What readers come to do, with as few actions as it may take: a click, a key, a drag or a word typed is one action."""

from __future__ import annotations

from playwright.sync_api import expect


class Reader:
    """Acts on a page and counts the actions."""

    def __init__(self, page, address: str):
        self.page, self.actions = page, 0
        page.goto(address)

    def press(self, key: str) -> None:
        self.page.keyboard.press(key)
        self.actions += 1

    def type(self, words: str) -> None:
        self.page.keyboard.type(words)
        self.actions += 1

    def click(self, found) -> None:
        found.click()
        self.actions += 1

    def drag(self, chart, start: float, end: float) -> None:
        """Drag over a chart, from one share of its width to another."""
        chart.scroll_into_view_if_needed()
        box = chart.bounding_box()
        middle = box["y"] + box["height"] / 2
        self.page.mouse.move(box["x"] + box["width"] * start, middle)
        self.page.mouse.down()
        self.page.mouse.move(box["x"] + box["width"] * end, middle, steps=4)
        self.page.mouse.up()
        self.actions += 1


def test_many_blocks_and_little_speedup(page, served):
    reader = Reader(page, served.base)
    expect(page.locator(".row")).to_have_count(8)
    reader.drag(page.locator("svg.bars[data-measure='parallel_count']"), 0.55, 0.99)
    expect(page.locator(".row")).to_have_count(5)
    reader.drag(page.locator("svg.bars[data-measure='acceleration_ratio']"), 0.01, 0.3)
    expect(page.locator(".row .id")).to_have_text(["6"])
    assert reader.actions == 2


def test_a_word_and_its_hits_one_after_another(page, served):
    reader = Reader(page, served.base)
    expect(page.locator(".row")).to_have_count(8)
    reader.press("/")
    reader.type("eleven")
    expect(page.locator(".row")).to_have_count(5)
    expect(page.locator(".row mark").first).to_have_text("eleven")
    reader.press("Enter")
    reader.press("j")
    reader.press("Enter")
    expect(page.locator(".place")).to_contain_text("1 of 5")
    expect(page.locator("#found")).to_contain_text("1")
    reader.press("n")
    expect(page.locator("#found")).to_contain_text("1 of 1")
    reader.press("j")
    expect(page.locator(".place")).to_contain_text("2 of 5")
    assert reader.actions == 7


def test_the_statistics_of_what_is_listed(page, served):
    reader = Reader(page, f"{served.base}/#/?outcome=ok")
    expect(page.locator(".row")).to_have_count(4)
    reader.press("s")
    expect(page.locator(".charts .chart").first).to_be_visible()
    assert reader.actions == 1


def test_the_same_chain_in_two_runs(page, both):
    reader = Reader(page, both.base)
    reader.click(page.get_by_role("link", name="Compare the two"))
    reader.click(page.locator(".pair").first)
    expect(page.locator(".cell.two > .block-of")).to_have_count(1)
    assert reader.actions == 2


def test_a_link_to_a_thread_is_the_address_after_one_click(page, served):
    reader = Reader(page, f"{served.base}/#/sample/0")
    reader.click(page.locator("#block-2 .thread").nth(1).locator("a.k"))
    expect(page.locator("#block-2 .thread.target a.k")).to_have_text("2")
    address = page.url
    assert address.endswith("#/sample/0/block/2/thread/2")
    page.goto("about:blank")
    page.goto(address)
    expect(page.locator("#block-2 .thread.target a.k")).to_have_text("2")
    assert reader.actions == 1


def test_the_next_block(page, served):
    reader = Reader(page, f"{served.base}/#/sample/0")
    expect(page.locator("#block-2")).to_be_attached()
    for number in ("1", "2"):
        reader.press("]")
        expect(page.locator(".block.target")).to_have_attribute("data-block", number)
    assert reader.actions == 2
