"""Logging in to the pages: the key is typed once, and a signed cookie stands for it."""

from __future__ import annotations

from urllib.parse import urlsplit

from flask import (
    Blueprint,
    Flask,
    Request,
    current_app,
    redirect,
    render_template,
    request,
    url_for,
)
from flask.sessions import SecureCookieSessionInterface
from flask.typing import ResponseReturnValue

from app.web.http.access import gate

blueprint = Blueprint("login", __name__)

#: Characters of an address to which a login leads back.
MOST = 2000


class _Cookie(SecureCookieSessionInterface):
    """A cookie that keeps to HTTPS if it was made there."""

    def get_cookie_secure(self, app: Flask) -> bool:
        """Tell whether a browser may send it over HTTPS alone."""
        return request.is_secure


def init_app(app: Flask) -> None:
    """Serve the login."""
    app.session_interface = _Cookie()
    app.config.update(
        PERMANENT_SESSION_LIFETIME=3600 * app.config["LOGIN_HOURS"],
        SESSION_COOKIE_HTTPONLY=True,
        # Two portals on one host, which a cookie does not tell apart by their ports.
        SESSION_COOKIE_NAME=f"modelhost_{app.config['PORT']}",
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_REFRESH_EACH_REQUEST=False,
    )
    app.register_blueprint(blueprint)


@blueprint.get("/login")
@gate.needs(None)
def show() -> ResponseReturnValue:
    """Show the form for a key."""
    if not current_app.extensions["gate"].keys.are_set:
        return redirect(url_for("pages.index"))
    return render_template("login.html", back=_back(request.args.get("next")))


@blueprint.post("/login")
@gate.needs(None)
def log_in() -> ResponseReturnValue:
    """Log in, and lead back to the page that wanted it."""
    key = current_app.extensions["gate"].keys.find(request.form.get("key", "").strip())
    back = _back(request.form.get("next"))
    if key is None:
        return render_template("login.html", back=back, is_wrong=True), 401
    gate.log_in(key)
    return redirect(back, 303)


@blueprint.post("/logout")
@gate.needs(None)
def log_out() -> ResponseReturnValue:
    """Log out."""
    gate.log_out()
    return redirect(url_for("login.show"), 303)


def address(asked: Request) -> str:
    """Return where to log in, so as to come back to what was asked."""
    return url_for("login.show", next=asked.full_path.rstrip("?")[:MOST])


def _back(wanted: str | None) -> str:
    """Return the path on this site that is wanted; the first page for anything else."""
    text = wanted or ""
    # A browser takes "\\" for "/", and leaves line breaks out, so that they make another host.
    is_plain = text.isprintable() and "\\" not in text and text.startswith("/")
    is_here = is_plain and not text.startswith("//") and not urlsplit(text).netloc
    return text if is_here else url_for("pages.index")
