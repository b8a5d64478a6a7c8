"""How many requests and bytes each page takes, on the first visit and on the next."""

import pytest

from tests.chromium import NEEDS_CHROMIUM, serving

pytestmark = NEEDS_CHROMIUM

#: Page: an element that is there once all is loaded, and kilobytes with gzip. A browser accepts zstd,
#: which takes less, only over HTTPS or from its own machine.
PAGES = {
    "/": ("h1", 90),
    "/models/risk/metadata": ("h1", 90),
    "/models/risk/predict": ("#whatif-chart", 150),
    "/docs": (".opblock", 700),
}
MODELS = {"models": [{"class": "tests.models.answers.Risk"}]}


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The address of a portal with one model."""
    with serving(MODELS, tmp_path_factory.mktemp("site")) as address:
        yield address


@pytest.fixture
def network(page):
    """What the browser reports of its requests, with an empty cache."""
    network = page.context.new_cdp_session(page)
    network.send("Network.enable")
    network.send("Network.clearBrowserCache")
    return network


@pytest.fixture
def visit(page, site, network):
    """A function that opens a page, and returns the bytes of each response from the server."""
    received = []
    network.on("Network.loadingFinished", lambda event: received.append(event["encodedDataLength"]))

    def open_page(path):
        received.clear()
        page.goto(site + path)
        page.locator(PAGES[path][0]).first.wait_for(state="attached")
        page.wait_for_load_state("networkidle")
        return [size for size in received if size]  # 0 is from the cache

    return open_page


@pytest.mark.parametrize(
    ("path", "encoding"), [*((path, "gzip") for path in PAGES), ("/models/risk/predict", "zstd")]
)
def test_page_takes_few_requests_and_bytes(visit, network, path, encoding):
    network.send("Network.setExtraHTTPHeaders", {"headers": {"Accept-Encoding": encoding}})

    first, second = visit(path), visit(path)

    assert len(first) < 12
    assert sum(first) < 1000 * PAGES[path][1]
    assert len(second) <= 2
