"""The files that come with a model, on its page and as downloads."""

import pytest

from app.web.pages import artifacts
from mlmodel import dump
from tests.models.forms import HOSTILE

FILES = {"notes.txt": HOSTILE.encode(), "curve.png": b"\x89PNG", "page.html": b"<script>1</script>"}


@pytest.fixture
def client(make_app, tmp_path):
    """A client of a portal whose model comes with files, two of which it offers."""
    from sklearn.datasets import load_iris
    from sklearn.linear_model import LogisticRegression

    for name, content in FILES.items():
        (tmp_path / name).write_bytes(content)
    flowers = load_iris()
    model = LogisticRegression(max_iter=500).fit(flowers.data, flowers.target)
    dump(model, tmp_path / "iris.flm", artifacts={name: tmp_path / name for name in FILES})
    entry = "{file: iris.flm, artifacts: [notes.txt, curve.png, missing.txt]}"
    return make_app(
        f"models: [{entry}, {{file: iris.flm, name: all, artifacts: all}}]"
    ).test_client()


def test_offered_file_is_sent_as_download(client):
    with client.get("/models/iris/artifacts/notes.txt") as response:
        assert response.data == FILES["notes.txt"]

    assert response.headers["Content-Disposition"] == "attachment; filename=notes.txt"
    assert response.content_type == "text/plain; charset=utf-8"
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert "default-src 'none'" in response.headers["Content-Security-Policy"]


@pytest.mark.parametrize(
    ("name", "kind"), [("curve.png", "image/png"), ("page.html", "application/octet-stream")]
)
def test_unsafe_media_types_are_replaced(client, name, kind):
    with client.get(f"/models/all/artifacts/{name}") as response:
        assert response.content_type == kind


@pytest.mark.parametrize("name", ["page.html", "missing.txt", "nothing", "../models.yaml"])
def test_file_without_offer_is_not_found(client, name):
    response = client.get(f"/models/iris/artifacts/{name}")

    assert response.status_code == 404
    assert "has no artifact" in response.text


def test_page_lists_all_files(client):
    text = client.get("/models/iris/metadata").text

    assert '<img src="/models/iris/artifacts/curve.png" alt="curve.png"' in text
    assert "&lt;script&gt;document" in text
    assert "/artifacts/page.html" not in text
    assert 'page.html <span class="quiet">18 bytes, no download' in text


@pytest.mark.parametrize(
    ("size_bytes", "words"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1500, "1.5 kB"),
        (2_000_000, "2.0 MB"),
        (10**10, "10.0 GB"),
    ],
)
def test_size_is_shown_in_units(size_bytes, words):
    assert artifacts.size(size_bytes) == words
