"""Login to the pages: the user enters a key once, then a signed cookie replaces it."""

from __future__ import annotations

from urllib.parse import urlsplit

from flask import (
    Blueprint,
    Flask,
    Request,
    redirect,
    render_template,
    request,
    url_for,
)
from flask.sessions import SecureCookieSessionInterface
from flask.typing import ResponseReturnValue

from app.web.http.access import authorization
from app.web.http.extension import modelhost

blueprint = Blueprint("login", __name__)

#: Maximum characters of the path to which a login redirects.
MAX_CHARACTERS = 2000


class _SessionInterface(SecureCookieSessionInterface):
    """Sessions in a cookie that is ``Secure`` if it was set over HTTPS."""

    def get_cookie_secure(self, app: Flask) -> bool:
        """Return whether browsers may send the cookie only over HTTPS."""
        return request.is_secure


def init_app(app: Flask) -> None:
    """Register the login views and configure the session cookie."""
    app.session_interface = _SessionInterface()
    app.config.update(
        PERMANENT_SESSION_LIFETIME=3600 * app.config["LOGIN_HOURS"],
        SESSION_COOKIE_HTTPONLY=True,
        # Cookies ignore the port: without it, two portals on one host would share a login.
        SESSION_COOKIE_NAME=f"modelhost_{app.config['PORT']}",
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_REFRESH_EACH_REQUEST=False,
    )
    app.register_blueprint(blueprint)


@blueprint.get("/login")
@authorization.needs(None)
def show() -> ResponseReturnValue:
    """Render the login form."""
    if not modelhost().access_control.keys.are_set:
        return redirect(url_for("pages.index"))
    return render_template("login.html", back=_get_target(request.args.get("next")))


@blueprint.post("/login")
@authorization.needs(None)
def log_in() -> ResponseReturnValue:
    """Log in and redirect to the page that required it."""
    key = modelhost().access_control.keys.find(request.form.get("key", "").strip())
    back = _get_target(request.form.get("next"))
    if key is None:
        return render_template("login.html", back=back, is_wrong=True), 401
    authorization.log_in(key)
    return redirect(back, 303)


@blueprint.post("/logout")
@authorization.needs(None)
def log_out() -> ResponseReturnValue:
    """Log out."""
    authorization.log_out()
    return redirect(url_for("login.show"), 303)


def get_login_url(rejected: Request) -> str:
    """Return the URL of the login form, which redirects back to the requested path."""
    return url_for("login.show", next=rejected.full_path.rstrip("?")[:MAX_CHARACTERS])


def _get_target(path: str | None) -> str:
    """Return the path if it leads to this site, else that of the first page."""
    text = path or ""
    # Browsers treat "\\" as "/" and drop line breaks, so both can produce another host.
    is_plain = text.isprintable() and "\\" not in text and text.startswith("/")
    is_here = is_plain and not text.startswith("//") and not urlsplit(text).netloc
    return text if is_here else url_for("pages.index")
