"""Authentication by key or login, and authorization by scope and model."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from flask import Flask, current_app, g, request, session
from werkzeug.exceptions import Forbidden, Unauthorized

from app.serving.models.hosted import HostedModel
from app.web.http.access import origins
from app.web.http.access.keys import Key, Keys, Scope

View = TypeVar("View", bound=Callable[..., Any])

#: Views that never need a key: the login page needs these files.
OPEN = frozenset({"static", "bootstrap.static"})
#: The attribute of a view that holds the scope it requires.
NEED = "needed_scope"
#: The session entry of a login: the key's id and part of its hash, so a new key ends the login.
LOGIN = "key"


class Gate:
    """Decides whether a request needs a key and whether the key that it carries is sufficient.

    :param is_for_all: false if only administration needs a key.
    """

    def __init__(self, keys: Keys, *, is_for_all: bool) -> None:
        self.keys = keys
        #: Whether predictions need a key.
        self.is_shut = keys.are_set and is_for_all

    def needs_key(self, scope: Scope) -> bool:
        """Return whether a scope needs a key."""
        return self.is_shut or scope is Scope.ADMIN

    def is_shut_to(self, view: Callable[..., Any]) -> bool:
        """Return whether a view needs a key."""
        scope: Scope | None = getattr(view, NEED, Scope.PREDICT)
        return scope is not None and self.needs_key(scope)

    def admitted(self, environ: Mapping[str, Any], model: str) -> Key | None:
        """Return the key of a request if it permits predictions of a model, else ``None``."""
        key = self.keys.find(sent(environ))
        return key if key and key.is_for(Scope.PREDICT) and key.opens(model) else None


def init_app(app: Flask, gate: Gate) -> None:
    """Register authentication, which runs before the rate limit; :func:`admit` runs after it."""
    app.extensions["gate"] = gate
    app.before_request(_recognise)
    app.context_processor(lambda: {"login": g.get("login"), "is_shut": gate.is_shut})


def needs(scope: Scope | None) -> Callable[[View], View]:
    """Return a decorator that sets the scope a view requires; ``None`` makes the view public.

    A view without the decorator requires :attr:`Scope.PREDICT`.
    """

    def mark(view: View) -> View:
        setattr(view, NEED, scope)
        return view

    return mark


def admit() -> None:
    """Reject a request without the key that its view requires.

    :raises Unauthorized: if the key is missing or unknown.
    :raises Forbidden: if the key lacks scope or model, or an admin view has no configured keys.
    """
    scope = _needed()
    if scope is None:
        return
    gate: Gate = current_app.extensions["gate"]
    if scope is Scope.ADMIN and not gate.keys.are_set:
        raise Forbidden(
            "loading and unloading models over HTTP requires an API key, and none are configured; "
            "create one with `flask keys new --scope admin` and list it in KEYS_FILE"
        )
    if g.has_wrong_key:
        raise Unauthorized("the API key is unknown")
    if not gate.needs_key(scope):
        return
    if g.key is None:
        raise Unauthorized("send an API key as `Authorization: Bearer <key>`, or log in at /login")
    _check(g.key, scope, (request.view_args or {}).get("name"))


def visible(models: Iterable[HostedModel]) -> list[HostedModel]:
    """Return those of the models that the client may see."""
    return [model for model in models if may_know(model.name)]


def may_know(model: str | None = None) -> bool:
    """Return whether the client may see a model; for ``None``, all models."""
    return not current_app.extensions["gate"].is_shut or (g.key is not None and g.key.opens(model))


def sent(environ: Mapping[str, Any]) -> str:
    """Return the key in a request's headers; empty if there is none."""
    scheme, _, text = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
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


def _recognise() -> None:
    gate: Gate = current_app.extensions["gate"]
    g.key, g.login, g.has_wrong_key = None, None, False
    if not gate.keys.are_set:
        return
    text = sent(request.environ)
    if text:
        g.key = gate.keys.find(text)
        g.has_wrong_key = g.key is None
    elif origins.is_own_page():
        g.key = g.login = _logged_in(gate.keys)


def _logged_in(keys: Keys) -> Key | None:
    kept = session.get(LOGIN)
    if not (isinstance(kept, list) and len(kept) == 2 and all(isinstance(x, str) for x in kept)):  # noqa: PLR2004
        return None
    key = keys.get(kept[0])
    return key if key and hmac.compare_digest(kept[1], key.sha256[:16]) else None


def _needed() -> Scope | None:
    # 404 and 405 need no key, nor does OPTIONS, which only lists the methods.
    if request.endpoint is None or request.endpoint in OPEN or request.method == "OPTIONS":
        return None
    view = current_app.view_functions[request.endpoint]
    return getattr(view, NEED, Scope.PREDICT)


def _check(key: Key, scope: Scope, model: str | None) -> None:
    if not key.is_for(scope):
        raise Forbidden(f"the key {key.name!r} does not have the scope {scope.value!r}")
    if model is not None and not key.opens(model):
        raise Forbidden(f"the key {key.name!r} is not valid for the model {model!r:.110}")
    if model is None and scope is not Scope.PREDICT and not key.opens(None):
        raise Forbidden(f"expected a key for all models; {key.name!r} is restricted to some")
