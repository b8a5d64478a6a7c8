"""Style sheets and scripts, each sent under a URL with the hash of its content.

Browsers store such a response permanently: a changed file has another URL. Each process reads
a file when a page first needs it, and compresses it once.
"""

from __future__ import annotations

import hashlib
from importlib.metadata import distribution
from pathlib import Path
from typing import cast

from flask import Blueprint, Flask, Response, abort, current_app, request, url_for

from app.web.assets import es_modules
from app.web.http import access, compression

blueprint = Blueprint("assets", __name__)

#: Modules of ``static/`` that a page loads, with all that they import, as one.
MODULES = {
    "docs.js": ("docs.js",),
    "health.js": ("health.js",),
    "jobs.js": ("jobs.js",),
    "login.js": ("login.js",),
    "models.js": ("models.js",),
    "predict.js": ("whatif.js", "scenarios.js", "file.js", "code.js", "predict.js"),
}
#: Other files that a page loads as one. Those of Bootstrap are in the package Bootstrap-Flask.
FILES = {
    "base.css": ("bootstrap:css/bootstrap.min.css", "site.css"),
    # Without Popper, which only menus and tooltips need.
    "bootstrap.js": ("bootstrap:js/bootstrap.min.js",),
    "docs.css": ("vendor/swagger-ui/swagger-ui.css", "reference.css"),
    "form.css": ("form.css",),
    "health.css": ("vendor/uplot/uPlot.min.css", "health.css"),
    "jobs.css": ("job.css",),
    "listing.css": ("listing.css",),
    "model.css": ("model.css",),
    "predict.css": (
        "form.css",
        "vendor/uplot/uPlot.min.css",
        "answer.css",
        "job.css",
        "predict.css",
    ),
    "swagger-ui.js": ("vendor/swagger-ui/swagger-ui-bundle.js",),
    "theme.js": ("theme.js",),
    "uplot.js": ("vendor/uplot/uPlot.iife.min.js",),
}
#: Cache-Control of a URL with the hash of the content, and of one with another hash: during a
#: deployment, a process may receive requests from pages of another version.
IMMUTABLE, NO_CACHE = "public, max-age=31536000, immutable", "no-cache"
TYPES = {".css": "text/css", ".js": "text/javascript"}
#: The name in ``app.extensions``.
_NAME = "modelhost.assets"


class Asset:
    """The content of a style sheet or script, and the hash that is in its URL."""

    def __init__(self, content: bytes) -> None:
        self.digest = hashlib.sha256(content).hexdigest()[:16]
        self._encoded: dict[str | None, bytes] = {None: content}

    def encode(self, encoding: str | None) -> bytes:
        """Return the content in a content coding; ``None`` for none."""
        if encoding is not None and encoding not in self._encoded:
            self._encoded[encoding] = compression.compress(
                self._encoded[None], encoding, compression.STORED_ZSTD_LEVEL
            )
        return self._encoded[encoding]


class Assets:
    """All style sheets and scripts by name. Thread safe: at worst, two threads build the same.

    :param folder: the project's ``static/``.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._assets: dict[str, Asset] = {}

    def add(self, name: str, text: str) -> None:
        """Add a style sheet or script that is no file."""
        self._assets[name] = Asset(text.encode())

    def find(self, name: str) -> Asset | None:
        """Return an asset, or ``None`` if there is none of that name."""
        if name not in self._assets:
            if name in MODULES:
                self.add(name, es_modules.join(self._folder, MODULES[name]))
            elif name in FILES:
                # A comment or statement at the end of a file must not swallow the next one.
                self.add(name, "\n".join(map(self._read, FILES[name])))
        return self._assets.get(name)

    def _read(self, path: str) -> str:
        package, _, inner = path.rpartition(":")
        folder = _get_bootstrap_folder() if package else self._folder
        return (folder / inner).read_text(encoding="utf-8")


def init_app(app: Flask) -> None:
    """Register the route, and ``asset(name)`` for templates, which returns a URL."""
    app.extensions[_NAME] = Assets(Path(app.root_path) / "static")
    app.register_blueprint(blueprint)
    app.add_template_global(_get_url, "asset")


def assets(app: Flask = current_app) -> Assets:
    """Return the assets of an application; without an argument, of the current one."""
    return cast("Assets", app.extensions[_NAME])


@blueprint.get("/static/<digest>/<file>")
@access.needs(None)
def send(digest: str, file: str) -> Response:
    """Send a style sheet or script."""
    asset = assets().find(file)
    if asset is None:
        abort(404)
    encoding = compression.choose_encoding()
    response = Response(asset.encode(encoding), mimetype=TYPES[Path(file).suffix])
    response.vary.add("Accept-Encoding")
    response.set_etag(f"{asset.digest}-{encoding or compression.IDENTITY}")
    if encoding:
        response.content_encoding = encoding
    response.headers["Cache-Control"] = IMMUTABLE if digest == asset.digest else NO_CACHE
    return response.make_conditional(request)


def _get_url(name: str) -> str:
    asset = assets().find(name)
    if asset is None:
        raise LookupError(f"there is no asset {name!r}")
    return url_for("assets.send", digest=asset.digest, file=name)


def _get_bootstrap_folder() -> Path:
    # Its extension for Flask would only add a second route for these files.
    folder = distribution("bootstrap-flask").locate_file("flask_bootstrap/static/bootstrap5")
    return Path(str(folder))
