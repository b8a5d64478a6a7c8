"""Retake the pictures of the docs: ``python -m docs.take_pictures``.

Needs Debian's chromium, and the example models (``make examples``).
"""

import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from threading import Thread

from playwright.sync_api import Browser, Page, sync_playwright
from werkzeug.serving import make_server

from app import create_app

FOLDER = Path(__file__).parent / "pictures"


def _as_it_is(page: Page) -> None:
    page.evaluate("window.scrollTo(0, 0)")


def _answered(page: Page) -> None:
    page.get_by_role("button", name="medical, repaid").click()
    page.get_by_role("button", name="Predict", exact=True).click()
    page.locator(".headline").wait_for()
    page.get_by_role("button", name="Why?").click()
    page.wait_for_timeout(3000)
    page.evaluate("window.scrollTo(0, 0)")


def _loaded(page: Page) -> None:
    page.locator(".opblock.is-open").first.wait_for()


def _searched(page: Page) -> None:
    page.get_by_role("searchbox").fill("in a")


@dataclass(frozen=True)
class Picture:
    """One picture: of which page, how large, in light or dark, and what is done before."""

    name: str
    path: str
    width: int = 1280
    height: int = 900
    theme: str = "light"
    prepare: Callable[[Page], None] = _as_it_is


PICTURES = (
    Picture("index.png", "/"),
    Picture("search.png", "/", height=480, theme="dark", prepare=_searched),
    Picture("predict.png", "/models/loan/predict", height=1320, prepare=_answered),
    Picture("phone.png", "/models/iris/predict", 360, 760, theme="dark"),
    Picture("model.png", "/models/loan/metadata"),
    Picture("reference.png", "/docs#/loan/predict.post.loan", theme="dark", prepare=_loaded),
)


def main() -> None:
    """Serve the example models, and take each picture."""
    FOLDER.mkdir(exist_ok=True)
    server = make_server("127.0.0.1", 0, create_app({}), threaded=True)
    Thread(target=server.serve_forever, daemon=True).start()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        for picture in PICTURES:
            _take(browser, f"http://127.0.0.1:{server.server_port}", picture)
        browser.close()
    server.shutdown()


def _take(browser: Browser, site: str, picture: Picture) -> None:
    page = browser.new_page(
        viewport={"width": picture.width, "height": picture.height},
        device_scale_factor=1.5,
        color_scheme=picture.theme,
    )
    page.goto(site + picture.path, wait_until="networkidle")
    picture.prepare(page)
    page.screenshot(path=FOLDER / picture.name)
    page.close()
    sys.stdout.write(f"{FOLDER / picture.name} is taken.\n")


if __name__ == "__main__":
    main()
