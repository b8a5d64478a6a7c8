"""The list of 300 models, in a real browser."""

import pytest
from playwright.sync_api import expect

from tests.chromium import AXE, FOUND, NEEDS_CHROMIUM, serving

pytestmark = NEEDS_CHROMIUM


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


def test_list_is_filtered_while_typing(page, many):
    page.goto(many)
    expect(page.get_by_role("status")).to_have_text("300 models")

    page.keyboard.press("/")
    page.keyboard.type("#even FAILED")

    expect(page.get_by_role("status")).to_have_text("10 of 300 models")
    expect(page.locator(".model-card:visible")).to_have_count(10)
    assert page.url.endswith("?q=%23even+FAILED")


def test_search_without_matches_is_reported(page, many):
    page.goto(f"{many}/?q=nowhere")

    expect(page.get_by_text("No models match your search.")).to_be_visible()
    page.get_by_role("searchbox").fill("model-7")
    expect(page.get_by_text("No models match your search.")).to_be_hidden()


def test_300_models_fit_on_a_phone(page, many):
    page.set_viewport_size({"width": 360, "height": 800})
    page.goto(many)
    page.evaluate(AXE)

    assert page.evaluate(FOUND) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_tag_links_to_its_models(page, many):
    page.goto(many)

    page.get_by_role("link", name="even", exact=True).first.click()

    expect(page.get_by_role("status")).to_have_text("150 of 300 models")
