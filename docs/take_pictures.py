"""Take the pictures of the docs anew: ``python -m docs.take_pictures``.

Needs Debian's chromium, and the example models (``make examples``).
"""

import shutil
import sys
from pathlib import Path
from threading import Thread

from playwright.sync_api import sync_playwright
from werkzeug.serving import make_server

from app import create_app

FOLDER = Path(__file__).parent / "pictures"


def main() -> None:
    """Serve the example models, and take a picture of the loan model's page with an answer."""
    server = make_server("127.0.0.1", 0, create_app({}), threaded=True)
    Thread(target=server.serve_forever, daemon=True).start()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        page = browser.new_page(viewport={"width": 1280, "height": 1130}, device_scale_factor=1.5)
        page.goto(f"http://127.0.0.1:{server.server_port}/models/loan/predict")
        page.get_by_role("button", name="example 1").click()
        page.get_by_role("button", name="Predict").click()
        page.get_by_text("Answered in").wait_for()
        page.evaluate("window.scrollTo(0, 0)")
        FOLDER.mkdir(exist_ok=True)
        page.screenshot(path=FOLDER / "predict.png")
        browser.close()
    server.shutdown()
    sys.stdout.write(f"{FOLDER / 'predict.png'} is taken.\n")


if __name__ == "__main__":
    main()
