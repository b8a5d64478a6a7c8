"""Authentication by key or login, and authorization by scope and model."""

from __future__ import annotations

import hmac
import logging
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from email.errors import MessageError
from email.header import decode_header, make_header
from functools import cache, lru_cache
from typing import Any, TypeVar
from urllib.parse import unquote

from flask import Flask, current_app, g, request, session
from werkzeug.exceptions import Forbidden, Unauthorized

from app.serving.models.hosted import HostedModel
from app.web.http.access import origins
from app.web.http.access.keys import Key, Keys, Scope
from app.web.http.extension import modelhost

log = logging.getLogger(__name__)

View = TypeVar("View", bound=Callable[..., Any])

#: The attribute of a view that holds the scope it requires.
SCOPE = "required_scope"
#: The session entry of a login: the key's id and part of its hash, so a new key ends the login.
LOGIN = "key"
#: Characters kept of the user that a trusted proxy names.
MAX_USER_CHARACTERS = 200


class AccessControl:
    """The keys of the server, what requires one, and the user that a trusted proxy names.

    :param is_for_all: false if only administration requires a key.
    :param user_header: the header of trusted proxies with the user; empty for none.
    """

    def __init__(self, keys: Keys, *, is_for_all: bool, user_header: str = "") -> None:
        self.keys = keys
        variable = user_header.upper().replace("-", "_")
        self._user_variable = f"HTTP_{variable}" if variable else ""
        #: Whether predictions require a key.
        self.is_key_required = keys.are_set and is_for_all

    def scope_needs_key(self, scope: Scope) -> bool:
        """Return whether a scope requires a key."""
        return self.is_key_required or scope is Scope.ADMIN

    def view_needs_key(self, view: Callable[..., Any]) -> bool:
        """Return whether a view requires a key."""
        scope = _get_scope(view)
        return scope is not None and self.scope_needs_key(scope)

    def find_key(self, environ: Mapping[str, Any], model: str) -> Key | None:
        """Return the key of a request if it permits predictions of a model, else ``None``."""
        key = self.keys.find(_read_key(environ))
        return key if key and key.has_scope(Scope.PREDICT) and key.is_valid_for(model) else None

    def get_user(self, environ: Mapping[str, Any]) -> str | None:
        """Return the user that a trusted proxy names in a request, on one line, or ``None``."""
        text: str | None = environ.get(self._user_variable)
        if text == "":
            _warn_of_lost_user(self._user_variable)
        return _decode_user(text) if text else None


@lru_cache(maxsize=1024)
def _decode_user(text: str) -> str:
    """Return the user in a header: UTF-8, or ASCII with percent-encoding or encoded words."""
    # WSGI decodes headers as Latin-1 (PEP 3333).
    name = unquote(text.encode("latin-1").decode(errors="replace"))
    with suppress(MessageError, LookupError, UnicodeError):
        name = str(make_header(decode_header(name)))  # RFC 2047
    return "".join(each if each.isprintable() else "?" for each in name[:MAX_USER_CHARACTERS])


@cache
def _warn_of_lost_user(variable: str) -> None:
    """Log, once in each process, that granian returns "" for a value that is not ASCII."""
    log.warning(
        "the value of %s, which USER_HEADER names, is empty or not ASCII: the log has no user for "
        "this request. granian drops such values; let the proxy percent-encode them, or set "
        "SERVER=gthread",
        variable.removeprefix("HTTP_").replace("_", "-").title(),
    )


def init_app(app: Flask) -> None:
    """Register authentication, which runs before the rate limit; :func:`authorize` runs after."""
    control = modelhost(app).access_control
    app.before_request(_authenticate)
    app.context_processor(lambda: {"login": g.get("login"), "is_shut": control.is_key_required})


def needs(scope: Scope | None) -> Callable[[View], View]:
    """Return a decorator that sets the scope a view requires; ``None`` makes the view public.

    A view without the decorator requires :attr:`Scope.PREDICT`.
    """

    def mark(view: View) -> View:
        setattr(view, SCOPE, scope)
        return view

    return mark


def authorize() -> None:
    """Reject a request without the key that its view requires.

    :raises Unauthorized: if the key is missing or unknown.
    :raises Forbidden: if the key lacks scope or model, or an admin view has no configured keys.
    """
    scope = _get_required_scope()
    if scope is None:
        return
    control = modelhost().access_control
    if scope is Scope.ADMIN and not control.keys.are_set:
        raise Forbidden(
            "administration over HTTP requires an API key, and none are configured; "
            "create one with `modelhost keys new --name NAME --scope admin`, and list it in the "
            "file that MODELHOST_KEYS_FILE names"
        )
    if g.has_unknown_key:
        raise Unauthorized("the API key is unknown")
    if not control.scope_needs_key(scope):
        return
    if g.key is None:
        raise Unauthorized("send an API key as `Authorization: Bearer <key>`, or log in at /login")
    _check_key(g.key, scope, (request.view_args or {}).get("name"))


def visible(models: Iterable[HostedModel]) -> list[HostedModel]:
    """Return those of the models that the client may see."""
    return [model for model in models if can_see(model.name)]


def can_see(model: str | None = None) -> bool:
    """Return whether the client may see a model; for ``None``, all models."""
    is_public = not modelhost().access_control.is_key_required
    return is_public or (g.key is not None and g.key.is_valid_for(model))


def has_scope(scope: Scope) -> bool:
    """Return whether the client's key has a scope; false without a key."""
    return g.key is not None and g.key.has_scope(scope)


def _read_key(environ: Mapping[str, Any]) -> str:
    """Return the key in a request's headers; empty if there is none."""
    authorization: str = environ.get("HTTP_AUTHORIZATION", "")
    scheme, _, text = authorization.partition(" ")
    # Authorization may hold other credentials, such as a password that a proxy required.
    return text.strip() if scheme.lower() == "bearer" else environ.get("HTTP_X_API_KEY", "")


def log_in(key: Key) -> None:
    """Log in the client with a key, until the cookie expires."""
    session.clear()
    session.permanent = True
    session[LOGIN] = [key.id, key.sha256[:16]]


def log_out() -> None:
    """Log out the client."""
    session.clear()


def _authenticate() -> None:
    keys = modelhost().access_control.keys
    g.key, g.login, g.has_unknown_key = None, None, False
    if not keys.are_set:
        return
    text = _read_key(request.environ)
    if text:
        g.key = keys.find(text)
        g.has_unknown_key = g.key is None
    elif origins.is_own_page():
        g.key = g.login = _find_login(keys)


def _find_login(keys: Keys) -> Key | None:
    match session.get(LOGIN):
        case [str(key_id), str(digest)]:
            key = keys.get(key_id)
            return key if key and hmac.compare_digest(digest, key.sha256[:16]) else None
    return None


def _get_required_scope() -> Scope | None:
    # 404, 405 and OPTIONS, which only lists the methods, need no key.
    if request.endpoint is None or request.method == "OPTIONS":
        return None
    return _get_scope(current_app.view_functions[request.endpoint])


def _get_scope(view: Callable[..., Any]) -> Scope | None:
    scope: Scope | None = getattr(view, SCOPE, Scope.PREDICT)
    return scope


def _check_key(key: Key, scope: Scope, model: str | None) -> None:
    if not key.has_scope(scope):
        raise Forbidden(f"the key {key.name!r} does not have the scope {scope.value!r}")
    if model is not None and not key.is_valid_for(model):
        raise Forbidden(f"the key {key.name!r} is not valid for the model {model!r:.110}")
    if model is None and scope is not Scope.PREDICT and not key.is_valid_for(None):
        raise Forbidden(f"expected a key for all models; {key.name!r} is restricted to some")
