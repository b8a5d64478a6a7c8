"""Compression of responses that are no style sheets or scripts."""

import gzip

import pytest
import zstandard

from app.web.http import compression
from tests.new_keys import NewKey

GZIP = {"Accept-Encoding": "gzip"}
OWN = NewKey()


@pytest.fixture
def client(same_client):
    """A client of an application that no test here changes."""
    return same_client


@pytest.mark.parametrize("path", ["/", "/models/echo/predict", "/openapi.json", "/metrics"])
def test_response_to_get_is_compressed(client, path):
    zipped = client.get(path, headers=GZIP)
    zstd = client.get(path, headers={"Accept-Encoding": "gzip, zstd"})

    assert (zipped.headers["Content-Encoding"], zipped.headers["Vary"]) == (
        "gzip",
        "Accept-Encoding",
    )
    assert zipped.content_length == len(zipped.data) < len(gzip.decompress(zipped.data))
    assert zstd.headers["Content-Encoding"] == "zstd"
    assert zstandard.ZstdDecompressor().decompress(zstd.data)


@pytest.mark.parametrize(
    "accepted", ["", "identity", "gzip;q=0", "br", "*;q=0", "gzip;q=0.5, identity", "gzip;q=x"]
)
def test_accepted_coding_is_respected(client, accepted):
    response = client.get("/", headers={"Accept-Encoding": accepted})

    assert "Content-Encoding" not in response.headers
    assert response.headers["Vary"] == "Accept-Encoding"
    assert response.text.startswith("<!doctype html>")


def test_head_has_the_headers_of_get(client):
    head, get = (client.open("/docs", method=method, headers=GZIP) for method in ("HEAD", "GET"))

    assert (head.data, head.headers["Content-Encoding"]) == (b"", "gzip")
    assert head.content_length == get.content_length


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/healthz", 200),  # small
        ("/nothing", 404),
        ("/portal/logo", 200),
    ],
)
def test_other_response_is_not_compressed(client, path, status):
    with client.get(path, headers=GZIP) as response:
        assert response.status_code == status
        assert "Content-Encoding" not in response.headers


def test_prediction_is_not_compressed(client):
    rows = [{"x": x} for x in range(1000)]

    response = client.post("/api/models/doubler/predict", json=rows, headers=GZIP)

    assert response.status_code == 200
    assert "Content-Encoding" not in response.headers


def test_response_with_link_text_is_uncompressed(make_app):
    """Its length would tell whoever sends such links what is on the page (BREACH)."""
    client = make_app(KEYS=[OWN]).test_client()
    client.post("/login", data={"key": OWN.text}, headers={"Origin": "http://localhost"})

    plain, searched, wrong = (
        client.get(path, headers=GZIP) for path in ("/", "/?q=guess", "/models/guess/predict")
    )

    assert (plain.status_code, plain.headers["Content-Encoding"]) == (200, "gzip")
    for response, status in ((searched, 200), (wrong, 404)):
        assert (response.status_code, "guess" in response.text) == (status, True)
        assert response.content_length > compression.MIN_BYTES
        assert "Content-Encoding" not in response.headers
