"""Pages that require a key, in a real browser."""

import pytest
from playwright.sync_api import expect

from tests.chromium import AXE, FOUND, NEEDS_CHROMIUM, serving
from tests.new_keys import NewKey

pytestmark = NEEDS_CHROMIUM

OWN = NewKey()
MODELS = {"models": [{"class": "tests.models.answers.Risk"}]}
INPUT = "#row=%7B%22amount%22:100,%22kind%22:%22car%22%7D"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The address of a portal that requires a key."""
    with serving(MODELS, tmp_path_factory.mktemp("login"), KEYS=[OWN]) as address:
        yield address


@pytest.fixture
def logged_in(page, site):
    """The predict page, after the login that it led to."""
    page.context.clear_cookies()
    page.goto(f"{site}/models/risk/predict{INPUT}")
    log_in(page, OWN.text)
    page.wait_for_url("**/models/risk/predict*")
    yield page
    page.context.clear_cookies()


def log_in(page, key):
    page.get_by_label("Key").fill(key)
    page.get_by_role("button", name="Log in").click()


def faults(page):
    page.evaluate(AXE)
    found = []
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        found += page.evaluate(FOUND)
    return found


@pytest.mark.fails("401 /login")
def test_login_is_accessible_on_a_phone(page, site):
    page.context.clear_cookies()
    page.set_viewport_size({"width": 360, "height": 800})
    page.goto(site)
    asked = faults(page)
    log_in(page, "mh_wrong")
    expect(page.get_by_role("alert")).to_have_text("Unknown key.")

    assert asked + faults(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_keyboard_login_keeps_linked_input(page, site):
    page.context.clear_cookies()
    page.goto(f"{site}/models/risk/predict{INPUT}")
    expect(page.get_by_label("Key")).to_be_focused()

    page.keyboard.type(OWN.text)
    page.keyboard.press("Enter")

    expect(page.get_by_role("textbox", name="Amount")).to_have_value("100")


def test_form_and_reference_work_after_login(logged_in, site):
    logged_in.get_by_role("button", name="Predict").click()
    logged_in.locator(".headline").wait_for()
    assert faults(logged_in) == []

    logged_in.goto(f"{site}/docs")
    logged_in.locator(".opblock").last.wait_for()
    assert faults(logged_in) == []


CODE = {
    "curl": '-H "Authorization: Bearer $MODELHOST_KEY"',
    "Python": "f\"Bearer {os.environ['MODELHOST_KEY']}\"",
    "JavaScript": "Authorization: `Bearer ${process.env.MODELHOST_KEY}`",
    "R": 'req_auth_bearer_token(Sys.getenv("MODELHOST_KEY"))',
}


def test_code_has_key_placeholder(logged_in):
    logged_in.get_by_role("tab", name="Code").click()
    for language, text in CODE.items():
        logged_in.get_by_text(language, exact=True).click()

        expect(logged_in.locator("#code-text")).to_contain_text(text)


@pytest.mark.fails("401 /api/models/risk/predict")
def test_expired_login_keeps_the_input(logged_in):
    logged_in.context.clear_cookies()
    logged_in.get_by_role("button", name="Predict").click()
    expect(logged_in.get_by_role("alert")).to_contain_text("Your input is kept")

    with logged_in.context.expect_page() as opened:
        logged_in.get_by_role("link", name="log in in another tab").click()
    log_in(opened.value, OWN.text)
    opened.value.get_by_role("heading", name="Models").wait_for()
    opened.value.close()
    logged_in.get_by_role("button", name="Predict").click()

    logged_in.locator(".headline").wait_for()


def test_logging_out_shuts_the_pages(logged_in, site):
    logged_in.get_by_role("button", name="Log out").click()
    expect(logged_in.get_by_label("Key")).to_be_visible()

    logged_in.goto(f"{site}/models/risk/metadata")

    expect(logged_in.get_by_label("Key")).to_be_visible()


def test_logout_removes_stored_predictions(logged_in, site):
    logged_in.get_by_role("button", name="Predict").click()
    logged_in.locator(".headline").wait_for()
    stored = "Object.keys(localStorage).filter(key => key.startsWith('modelhost:'))"
    assert len(logged_in.evaluate(stored)) == 2

    logged_in.goto(site)
    expect(logged_in.locator("#recent a")).to_have_text("Risk")
    logged_in.get_by_role("button", name="Log out").click()
    logged_in.wait_for_url("**/login*")

    assert logged_in.evaluate(stored) == []
