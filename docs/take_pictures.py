"""Take the pictures of the docs anew: ``python -m docs.take_pictures``.

Needs Debian's chromium, and the example models (``make examples``).
"""

import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from threading import Thread

from playwright.sync_api import Browser, Page, sync_playwright
from werkzeug.serving import make_server

from app import create_app

FOLDER = Path(__file__).parent / "pictures"
WIDE = (1280, 900)
PHONE = (360, 760)


def main() -> None:
    """Serve the example models, and take each picture."""
    FOLDER.mkdir(exist_ok=True)
    server = make_server("127.0.0.1", 0, create_app({}), threaded=True)
    Thread(target=server.serve_forever, daemon=True).start()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        for name, (path, size, theme, prepare) in PICTURES.items():
            address = f"http://127.0.0.1:{server.server_port}{path}"
            _take(browser, address, FOLDER / name, size, theme, prepare)
            sys.stdout.write(f"{FOLDER / name} is taken.\n")
        browser.close()
    server.shutdown()


def _take(
    browser: Browser,
    address: str,
    file: Path,
    size: tuple[int, int],
    theme: str,
    prepare: Callable[[Page], None],
) -> None:
    page = browser.new_page(
        viewport={"width": size[0], "height": size[1]}, device_scale_factor=1.5, color_scheme=theme
    )
    page.goto(address, wait_until="networkidle")
    prepare(page)
    page.screenshot(path=file)
    page.close()


def _as_it_is(page: Page) -> None:
    page.evaluate("window.scrollTo(0, 0)")


def _answered(page: Page) -> None:
    page.get_by_role("button", name="example 1").click()
    page.get_by_role("button", name="Predict", exact=True).click()
    page.locator(".headline").wait_for()
    page.evaluate("window.scrollTo(0, 0)")


def _searched(page: Page) -> None:
    page.get_by_role("searchbox").fill("in a")


#: Each picture: its page, its size, light or dark, and what is done before it is taken.
PICTURES = {
    "index.png": ("/", WIDE, "light", _as_it_is),
    "search.png": ("/", (1280, 480), "dark", _searched),
    "predict.png": ("/models/loan/predict", (1280, 1130), "light", _answered),
    "phone.png": ("/models/iris/predict", PHONE, "dark", _as_it_is),
    "model.png": ("/models/loan/metadata", WIDE, "light", _as_it_is),
    "reference.png": ("/docs#/loan/predict.post.loan", WIDE, "dark", _as_it_is),
}


if __name__ == "__main__":
    main()
