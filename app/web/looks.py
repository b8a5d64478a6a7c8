"""The portal's own name, logo and colour."""

from __future__ import annotations

from pathlib import Path

from flask import Blueprint, Flask, Response, current_app, render_template, send_file

import config
from app.web.colours import palettes

blueprint = Blueprint("looks", __name__)

#: What a logo may be, and its type.
LOGOS = {
    ".jpg": "image/jpeg",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".webp": "image/webp",
}


def init_app(app: Flask) -> None:
    """Serve the portal's logo and colours.

    :raises InvalidSetting: if the logo is no picture, or is not there.
    """
    logo = _logo(app)
    if logo.suffix not in LOGOS or not logo.is_file():
        endings = ", ".join(LOGOS)
        raise config.InvalidSetting(
            f"MODELHOST_PORTAL_LOGO must be a file that ends in one of {endings}, got {str(logo)!r}"
        )
    app.register_blueprint(blueprint)


@blueprint.get("/portal/logo")
def logo() -> Response:
    """Give the portal's logo."""
    path = _logo(current_app)
    return send_file(path, mimetype=LOGOS[path.suffix], max_age=3600)


@blueprint.get("/portal/colours.css")
def colours() -> Response:
    """Give the portal's colours, by the names that static/site.css draws with."""
    style = render_template("colours.css", palettes=palettes(current_app.config["PORTAL_COLOUR"]))
    return Response(style, mimetype="text/css", headers={"Cache-Control": "max-age=3600"})


def _logo(app: Flask) -> Path:
    return config.ROOT / app.config["PORTAL_LOGO"]
