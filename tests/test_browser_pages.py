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
    + [{"class": "tests.models.forms.Iris", "name": "iris_two"}]
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


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """The address of a portal with 300 models, every thirtieth of which is broken."""
    models = [
        {
            "class": f"tests.models.forms.{'Iris' if number % 30 else 'Broken'}",
            "name": f"model-{number}",
            "tags": ["odd"] if number % 2 else ["even"],
        }
        for number in range(300)
    ]
    with serving({"models": models}, tmp_path_factory.mktemp("many")) as address:
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


def test_the_list_is_searched_while_one_types(page, many):
    page.goto(many)
    expect(page.get_by_role("status")).to_have_text("300 models")

    page.keyboard.press("/")
    page.keyboard.type("#even FAILED")

    expect(page.get_by_role("status")).to_have_text("10 of 300 models")
    expect(page.locator(".model-card:visible")).to_have_count(10)
    assert page.url.endswith("?q=%23even+FAILED")


def test_a_search_that_finds_nothing_says_so(page, many):
    page.goto(f"{many}/?q=nowhere")

    expect(page.get_by_text("No model has all of these words.")).to_be_visible()
    page.get_by_role("searchbox").fill("model-7")
    expect(page.get_by_text("No model has all of these words.")).to_be_hidden()


def test_300_models_are_a_list_that_folds_on_a_phone(page, many):
    page.set_viewport_size({"width": 360, "height": 800})
    page.goto(many)
    page.evaluate(AXE)

    assert page.evaluate(FOUND) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_a_tag_leads_to_the_models_that_have_it(page, many):
    page.goto(many)

    page.get_by_role("link", name="even", exact=True).first.click()

    expect(page.get_by_role("status")).to_have_text("150 of 300 models")


def test_a_models_page_leads_to_its_part_of_the_reference_where_it_can_be_tried(page, site):
    page.goto(f"{site}/models/iris_two/metadata")
    page.get_by_role("link", name="API", exact=True).click()
    expect(page.locator("#operations-tag-iris_two")).to_be_in_viewport()

    page.locator(".opblock", has_text="/api/models/iris_two/predict").get_by_role("button").first.click()
    page.get_by_role("button", name="Execute").click()

    expect(page.locator(".live-responses-table")).to_contain_text('"prediction": "setosa"')
