"""What tests in a real browser share: the browser, a portal to look at, and what one does there."""

import json
import shutil
from contextlib import contextmanager
from threading import Thread

import pytest
from playwright.sync_api import sync_playwright
from werkzeug.serving import make_server

from app import create_app
from app.serving.manager import ModelManager

CHROMIUM = shutil.which("chromium")
#: The mark of a file of such tests.
NEEDS_CHROMIUM = pytest.mark.skipif(
    CHROMIUM is None,
    reason="chromium is not installed; with it the pages are tried: apt-get install chromium",
)

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


@contextmanager
def browsing():
    """Open a browser, and give a place for its windows."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser.new_context(locale="en-GB", timezone_id="Asia/Kolkata")
        browser.close()


@contextmanager
def serving(models, folder):
    """Serve these models by the real application, and give the address."""
    file = folder / "models.yaml"
    file.write_text(json.dumps(models), encoding="utf-8")
    app = create_app({"APP_SETTINGS": "testing", "MODELHOST_MODELS_FILE": str(file)})
    app.config["SEND_FILE_MAX_AGE_DEFAULT"] = 3600  # a page has many small files
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


@contextmanager
def watched(window):
    """Fail for what the window's console complains of, and for requests to elsewhere."""
    complaints = []
    window.on("pageerror", lambda error: complaints.append(str(error)))
    window.on("console", lambda message: complaints.append(message.text))
    window.on("request", lambda request: complaints.append(request.url))
    yield
    assert [each for each in complaints if not is_expected(each)] == []


def is_expected(complaint):
    # Chromium reports each answer of status 400 and above, which is what many tests ask for.
    return complaint.startswith(("http://127.0.0.1:", "Failed to load resource", "data:"))


def sent(page):
    """Press Predict, and return the body that was sent, once it is answered."""
    with page.expect_response("**/api/**") as answered:
        page.get_by_role("button", name="Predict").click()
    return answered.value.request.post_data
