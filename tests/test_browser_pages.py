"""What holds for every page, in a real browser: nobody is shut out, and nothing leaves the house."""

from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser import NEEDS_CHROMIUM, page_paths, serving

pytestmark = NEEDS_CHROMIUM

AXE = (Path(__file__).parent / "vendor" / "axe-core" / "axe.min.js").read_text(encoding="utf-8")
#: What axe-core finds, one line for each rule that is broken.
FOUND = """async () => (await axe.run()).violations.map(
  ({id, nodes}) => `${id}: ${nodes.map(node => node.target.join(" ")).join(", ")}`)"""

NAMES = ["loan", "hostile", "broken", "anything"]
MODELS = {
    "models": [{"class": f"tests.models.forms.{name}"} for name in ("Loan", "Hostile", "Broken")]
    + [{"class": "tests.models.forms.Anything", "load": "lazy"}]
}
ERRORS = ["/nothing", "/models/none/predict", "/fails"]
OPENED = ["/docs#/loan/predict.post.loan"]
PATHS = [*page_paths(NAMES), *ERRORS, *OPENED]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The address of a portal with the models above, and a page that fails."""
    folder = tmp_path_factory.mktemp("site")
    with serving(
        MODELS, folder, lambda app: app.add_url_rule("/fails", view_func=_fail)
    ) as address:
        yield address


def _fail():
    raise RuntimeError("this page fails")


@pytest.mark.parametrize("path", PATHS)
def test_axe_finds_nothing_and_no_page_scrolls_sideways(page, site, path):
    page.emulate_media(color_scheme="light", reduced_motion="reduce")
    see(page, site + path)
    page.evaluate(AXE)

    in_light = page.evaluate(FOUND)
    page.emulate_media(color_scheme="dark", reduced_motion="reduce")
    page.set_viewport_size({"width": 360, "height": 800})
    in_dark = page.evaluate(FOUND)

    assert in_light == in_dark == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


def see(page, address):
    """Open a page, and wait for what its scripts draw."""
    page.goto(address)
    if "/docs" in address and "/problems" not in address:
        page.locator(".opblock").last.wait_for()


@pytest.mark.parametrize("path", ["/", "/models/loan/metadata", "/docs"])
def test_the_first_key_leads_past_the_header(page, site, path):
    see(page, site + path)

    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_in_viewport()
    page.keyboard.press("Enter")

    expect(page.locator("main")).to_be_focused()
