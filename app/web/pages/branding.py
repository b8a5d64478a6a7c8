"""The portal's own name, logo and colour."""

from __future__ import annotations

from pathlib import Path

from flask import Blueprint, Flask, Response, current_app, render_template, send_file

from app.web.http import access
from app.web.pages.palette import palettes

blueprint = Blueprint("looks", __name__)

#: Seconds that a browser caches logo and colours.
KEPT_SECONDS = 3600


def init_app(app: Flask) -> None:
    """Register the routes of the portal's logo and colours."""
    app.register_blueprint(blueprint)


@blueprint.get("/portal/logo")
@access.needs(None)
def logo() -> Response:
    """Send the portal's logo."""
    path = Path(current_app.root_path) / current_app.config["PORTAL_LOGO"]
    return send_file(path, max_age=KEPT_SECONDS)


@blueprint.get("/portal/colours.css")
@access.needs(None)
def colours() -> Response:
    """Send the portal's colours as the CSS variables that static/site.css uses."""
    style = render_template("colours.css", palettes=palettes(current_app.config["PORTAL_COLOUR"]))
    return Response(
        style, mimetype="text/css", headers={"Cache-Control": f"max-age={KEPT_SECONDS}"}
    )
