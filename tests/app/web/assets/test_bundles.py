"""Style sheets and scripts as the server sends them."""

import gzip
import re

import pytest
import zstandard

from app.web.assets import bundles
from tests import ROOT

NAMES = sorted([*bundles.FILES, *bundles.MODULES, "colours.css"])


@pytest.fixture
def client(same_client):
    """A client of an application that no test here changes."""
    return same_client


def addresses(client, path="/"):
    """Return the addresses of the assets on a page, by name."""
    found = re.findall(r'"([^"]*/static/\w+/([^"/]+))"', client.get(path).text)
    return {name: address for address, name in found}


def test_page_assets_are_cached_permanently(client):
    address = addresses(client)["base.css"]

    response = client.get(address)

    assert response.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert "--bs-blue" in response.text
    assert (ROOT / "static" / "site.css").read_text() in response.text


def test_changed_content_has_another_address(make_app):
    one, other = (
        addresses(make_app("models: []", PORTAL_COLOUR=colour).test_client())
        for colour in ("#8a0030", "#00308a")
    )

    assert one["base.css"] == other["base.css"]
    assert one["colours.css"] != other["colours.css"]


def test_asset_of_another_version_is_not_cached(client):
    response = client.get("/static/0123456789abcdef/theme.js")

    assert (response.status_code, response.headers["Cache-Control"]) == (200, "no-cache")


@pytest.mark.parametrize("path", ["/static/1/site.css", "/static/theme.js", "/static/1/"])
def test_unknown_asset_is_not_found(client, path):
    assert client.get(path).status_code == 404


@pytest.mark.parametrize("name", NAMES)
def test_asset_is_sent_in_the_accepted_coding(client, name):
    plain = client.get(f"/static/1/{name}")
    zipped = client.get(f"/static/1/{name}", headers={"Accept-Encoding": "gzip, deflate, br"})
    zstd = client.get(f"/static/1/{name}", headers={"Accept-Encoding": "gzip, deflate, br, zstd"})

    assert plain.data == gzip.decompress(zipped.data)
    assert plain.data == zstandard.ZstdDecompressor().decompress(zstd.data)
    assert [each.headers.get("Content-Encoding") for each in (plain, zipped, zstd)] == [
        None,
        "gzip",
        "zstd",
    ]
    assert {each.headers["Vary"] for each in (plain, zipped, zstd)} == {"Accept-Encoding"}
    assert len({each.headers["ETag"] for each in (plain, zipped, zstd)}) == 3


def test_known_asset_is_not_sent_again(client):
    coding = {"Accept-Encoding": "gzip"}
    tag = client.get("/static/1/theme.js", headers=coding).headers["ETag"]

    same = client.get("/static/1/theme.js", headers={**coding, "If-None-Match": tag})
    plain = client.get("/static/1/theme.js", headers={"If-None-Match": tag})

    assert (same.status_code, same.data, plain.status_code) == (304, b"", 200)
    assert (same.headers["ETag"], same.headers["Vary"]) == (tag, "Accept-Encoding")


def test_assets_have_the_proxy_prefix(client):
    page = client.get("/", environ_overrides={"SCRIPT_NAME": "/portal"})

    assert re.search(r'href="/portal/static/\w{16}/base.css"', page.text)


def test_every_style_sheet_is_in_a_bundle():
    used = {path for paths in bundles.FILES.values() for path in paths}
    files = {path.name for path in (ROOT / "static").glob("*.css")}

    assert files <= used
