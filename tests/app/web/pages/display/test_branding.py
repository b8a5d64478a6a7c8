"""The name, logo and colour of the portal."""

import pytest

from config import InvalidSetting


def test_portal_name_is_on_every_page(make_app):
    client = make_app("models: []", PORTAL_NAME="Acme <models>").test_client()

    assert "· Acme &lt;models&gt;</title>" in client.get("/").text
    assert client.get("/openapi.json").json["info"]["title"] == "Acme <models>"


def test_the_portal_has_its_own_logo(make_app, tmp_path):
    (tmp_path / "acme.png").write_bytes(b"\x89PNG")
    client = make_app("models: []", PORTAL_LOGO=tmp_path / "acme.png").test_client()

    with client.get("/portal/logo") as response:
        assert (response.data, response.mimetype) == (b"\x89PNG", "image/png")
    assert client.get("/").text.count('"/portal/logo"') == 2


@pytest.mark.parametrize("name", ["config.py", "nowhere.png", "static"])
def test_invalid_logo_stops_the_start(make_app, name):
    with pytest.raises(InvalidSetting, match=r"must be an existing file that ends in one of"):
        make_app("models: []", PORTAL_LOGO=name)


def test_the_portal_has_its_own_colour(make_app):
    client = make_app("models: []", PORTAL_COLOUR="#8a0030").test_client()

    response = client.get("/static/1/colours.css")

    assert response.mimetype == "text/css"
    assert "--button: #8a0030;" in response.text


@pytest.mark.parametrize("colour", ["red", "#fff", "#12345g", "#123456;}"])
def test_invalid_colour_stops_the_start(make_app, colour):
    with pytest.raises(InvalidSetting, match="MODELHOST_PORTAL_COLOUR must be a colour such as"):
        make_app("models: []", PORTAL_COLOUR=colour)
