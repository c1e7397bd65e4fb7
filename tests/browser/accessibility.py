"""The page by axe-core's rules, in both themes and at two widths; the size of what is clicked; what moves the text."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest
from playwright.sync_api import expect

from threadweaver.runs import account, report

AXE = Path(find_spec("axe_playwright_python").origin).with_name("axe.min.js")
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
VIEWS = {
    "list": ("/#/", ".row"),
    "trajectory": ("/#/sample/0", ".plan.full"),
    "stages": ("/#/sample/4/stages", ".compared .line"),
    "statistics": ("/#/statistics", ".chart"),
    "threads": ("/#/statistics?by=thread&outcome=ok", ".chart"),
    "raw": ("/#/sample/0/raw", ".raw details"),
    "lost": ("/#/sample/7", ".fault, .chip"),
}


@pytest.fixture(scope="module")
def axe() -> str:
    return AXE.read_text()


def violations(page, axe: str) -> dict[str, list[str]]:
    page.evaluate(axe)
    found = page.evaluate("tags => axe.run(document, { runOnly: tags })", TAGS)["violations"]
    return {
        rule["id"]: [f"{node['target'][-1]} {node['failureSummary'].splitlines()[1].strip()}" for node in rule["nodes"]]
        for rule in found
    }


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("view", VIEWS)
def test_axe_finds_nothing(page, served, axe, view, scheme):
    address, shown = VIEWS[view]
    page.emulate_media(color_scheme=scheme)
    for width in (1400, 390):
        page.set_viewport_size({"width": width, "height": 900})
        page.goto("about:blank")
        page.goto(served.base + address)
        expect(page.locator(shown).first).to_be_visible()
        page.wait_for_timeout(150)
        found = [f"{rule}: {where}" for rule, places in violations(page, axe).items() for where in places]
        assert not found, f"{width} px\n" + "\n".join(found[:12])


SMALL = """() => [...document.querySelectorAll("a, button, input, select, summary, textarea, [role=button]")]
  .filter((one) => one.checkVisibility() && !one.closest("svg, .passage, .offscreen") && !one.matches(".skip"))
  .filter((one) => { const { width, height } = one.getBoundingClientRect(); return width && (width < 24 || height < 24); })
  .map((one) => `${one.localName}.${one.className} ${one.textContent.slice(0, 20)}`)"""


@pytest.mark.parametrize("view", VIEWS)
def test_what_is_clicked_has_24_pixels(page, served, view):
    address, shown = VIEWS[view]
    for width in (1400, 390):
        page.set_viewport_size({"width": width, "height": 900})
        page.goto(served.base + address)
        expect(page.locator(shown).first).to_be_visible()
        assert page.evaluate(SMALL) == [], f"{width} px"
        assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("address", ["/#/sample/0", "/#/sample/0/block/2/thread/2", "/#/sample/0/stages", "/#/"])
def test_nothing_moves_after_it_was_shown(page, served, address):
    page.add_init_script(
        "window.moved = 0; new PerformanceObserver((list) => list.getEntries().forEach((entry) => (window.moved += entry.value))).observe({ type: 'layout-shift', buffered: true })"
    )
    for width in (1400, 390):
        page.set_viewport_size({"width": width, "height": 900})
        page.goto("about:blank")
        page.goto(served.base + address)
        expect(page.locator("main .m.done").first).to_be_visible()
        page.wait_for_timeout(400)
        assert page.evaluate("window.moved") < 0.02, f"{width} px"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_of_the_account_fits_a_telephone_and_passes_axe(page, root, axe, scheme, tmp_path):
    written = report.write(account.read(root), tmp_path / "run")
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": 390, "height": 900})
    page.goto(written.as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert violations(page, axe) == {}
