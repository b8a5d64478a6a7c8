"""The portal's own name, logo and colour."""

from __future__ import annotations

from pathlib import Path

from flask import Blueprint, Flask, Response, current_app, send_file

from app.web.assets import bundles
from app.web.http import access
from app.web.pages.display.palette import palettes

blueprint = Blueprint("looks", __name__)

#: Seconds that a browser caches the logo.
KEPT_SECONDS = 3600


def init_app(app: Flask) -> None:
    """Register the route of the portal's logo, and add its colours for static/site.css."""
    app.register_blueprint(blueprint)
    template = app.jinja_env.get_template("colours.css")
    style = template.render(palettes=palettes(app.config["PORTAL_COLOUR"]))
    bundles.assets(app).add("colours.css", style)


@blueprint.get("/portal/logo")
@access.needs(None)
def logo() -> Response:
    """Send the portal's logo."""
    path = Path(current_app.root_path) / current_app.config["PORTAL_LOGO"]
    return send_file(path, max_age=KEPT_SECONDS)
