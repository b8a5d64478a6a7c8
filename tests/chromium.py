"""Shared parts of the browser tests: the browser, a portal, and common actions."""

import json
import re
import shutil
from contextlib import contextmanager, suppress
from fnmatch import fnmatch
from threading import Thread
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Error, expect, sync_playwright
from werkzeug.serving import make_server

from app import create_app
from app.serving.models.manager import ModelManager
from tests import ROOT

CHROMIUM = shutil.which("chromium")
#: The folder for screenshots of failed tests.
PICTURES = ROOT / "tests" / "pictures"
#: The marks of a module with browser tests.
NEEDS_CHROMIUM = pytest.mark.skipif(
    CHROMIUM is None,
    reason="chromium is not installed; with it the pages are tried: apt-get install chromium",
)

AXE = (ROOT / "tests" / "vendor" / "axe-core" / "axe.min.js").read_text(encoding="utf-8")
#: Returns the violations that axe-core finds, one line per rule.
FOUND = """async () => (await axe.run({resultTypes: ["violations"]})).violations.map(
  ({id, nodes}) => `${id}: ${nodes.map(node => node.target.join(" ")).join(", ")}`)"""

#: A quiet browser: no sandbox, as tests may run as root, and no talk with its maker.
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

# As for actions: many milliseconds, for machines that are slow, or busy with other tests.
expect.set_options(timeout=30_000)


@contextmanager
def browsing():
    """Open a browser, and give a place for its windows."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser.new_context(locale="en-GB", timezone_id="Asia/Kolkata")
        browser.close()


@contextmanager
def serving(models, folder, amend=lambda app: None, **settings):
    """Serve these models by the real application, and give the address.

    ``amend`` may add to the application before it serves.
    """
    file = folder / "models.yaml"
    file.write_text(json.dumps(models), encoding="utf-8")
    environ = {f"MODELHOST_{name}": str(value) for name, value in settings.items()}
    environ |= {"APP_SETTINGS": "testing", "MODELHOST_MODELS_FILE": str(file)}
    app = create_app(environ)
    amend(app)
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        ModelManager().close()


def page_paths(names):
    """Return the addresses of all pages, with the pages of these models."""
    app = create_app({"MODELHOST_MODELS_FILE": "tests/data/no_models.yaml"})
    rules = [rule for rule in app.url_map.iter_rules() if rule.endpoint.startswith("pages.")]
    # "pages.model" redirects to another page.
    paths = [
        rule.rule for rule in rules if "GET" in rule.methods and rule.endpoint != "pages.model"
    ]
    wanted = {path.replace("<name>", name): None for path in paths for name in names}
    return list(wanted)


@contextmanager
def watched(window, node):
    """Fail on console errors, and on requests to other hosts.

    ``pytest.mark.fails`` on a test or a module lists the responses that may fail, each as
    ``"422 /api/*"``: the status, or Chromium's name for an error, and the path.
    """
    expected = [each for mark in node.iter_markers("fails") for each in mark.args]
    complaints = []
    origins = []
    window.on("pageerror", lambda error: complaints.append(str(error)))
    window.on("console", lambda message: complaints.append(complaint(message)))
    window.on("request", lambda request: origins.append(origin(request.url)))
    yield
    unexpected = [each for each in complaints if not any(fnmatch(each, one) for one in expected)]
    elsewhere = set(origins) - {"data://", *origins[:1]}
    assert not unexpected, unexpected
    assert not elsewhere, elsewhere


def leave(page):
    """Undo what a test changed in a window, and open a page of its site that has no script.

    A page of another site would take a new process.
    """
    if page.is_closed():
        return
    page.unroute_all()
    page.set_viewport_size({"width": 1280, "height": 720})
    page.emulate_media(color_scheme="light", reduced_motion="no-preference", forced_colors="none")
    if page.url.startswith("http"):
        page.goto(f"{origin(page.url)}/portal/logo")
        page.evaluate("sessionStorage.clear()")


def keep_picture(window, name):
    """Take a picture of a window on which the test of that name failed, if it lets us."""
    file = PICTURES / f"{re.sub(r'[^A-Za-z0-9]+', '-', name).strip('-')}.png"
    with suppress(Error):
        window.screenshot(path=file, timeout=5_000)


def complaint(message):
    """Return a console message; for a failed response, the reason and the path."""
    failed = re.match(r"Failed to load resource: .*?(\d{3}|net::\w+)", message.text)
    return f"{failed[1]} {urlsplit(message.location['url']).path}" if failed else message.text


def origin(address):
    """Return the scheme and the host of an address."""
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc}"


def settle(page):
    """Wait until the page has handled what was typed, and drawn it.

    A click is lost if its target moves between the press and the release of the button.
    """
    page.evaluate(
        "new Promise((done) => setTimeout(() => requestAnimationFrame(() => setTimeout(done))))"
    )


def sent(page):
    """Press Predict, wait for the response, and return the request body."""
    settle(page)
    # The What if panel, which follows the form, requests partial responses.
    with page.expect_response(re.compile("/api/(?!.*partial=)")) as answered:
        page.get_by_role("button", name="Predict").click()
    settle(page)
    return answered.value.request.post_data
