"""The gate: who asks, by key or by login, and whether that is enough for what is asked."""

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

#: Views that are for everybody, keys or not: what a page is drawn with before anybody logs in.
OPEN = frozenset({"static", "bootstrap.static"})
#: Where a view keeps what it needs.
NEED = "needed_scope"
#: What a login keeps: a key's id, and a part of its hash, so that another key of that id is none.
LOGIN = "key"


class Gate:
    """Whether what is asked needs a key, and which one was sent.

    :param is_for_all: false where only administration needs one.
    """

    def __init__(self, keys: Keys, *, is_for_all: bool) -> None:
        self.keys = keys
        #: Whether those who only ask need a key.
        self.is_shut = keys.are_set and is_for_all

    def needs_key(self, scope: Scope) -> bool:
        """Tell whether a key is needed."""
        return self.is_shut or scope is Scope.ADMIN

    def is_shut_to(self, view: Callable[..., Any]) -> bool:
        """Tell whether a view is answered only with a key."""
        scope: Scope | None = getattr(view, NEED, Scope.PREDICT)
        return scope is not None and self.needs_key(scope)

    def admitted(self, environ: Mapping[str, Any], model: str) -> Key | None:
        """Return the key that a request brings, if it is enough to ask a model."""
        key = self.keys.find(sent(environ))
        return key if key and key.is_for(Scope.PREDICT) and key.opens(model) else None


def init_app(app: Flask, gate: Gate) -> None:
    """Find out who asks, before it is counted. :func:`admit` is to follow."""
    app.extensions["gate"] = gate
    app.before_request(_recognise)
    app.context_processor(lambda: {"login": g.get("login"), "is_shut": gate.is_shut})


def needs(scope: Scope | None) -> Callable[[View], View]:
    """Mark a view by the scope that it needs; with ``None``, it is for everybody.

    A view without a mark needs :attr:`Scope.PREDICT`.
    """

    def mark(view: View) -> View:
        setattr(view, NEED, scope)
        return view

    return mark


def admit() -> None:
    """Refuse a request that has not the key which its view needs.

    :raises Unauthorized: if it has none, or one that is not known.
    :raises Forbidden: if its key is for something else, or there are no keys.
    """
    scope = _needed()
    if scope is None:
        return
    gate: Gate = current_app.extensions["gate"]
    if scope is Scope.ADMIN and not gate.keys.are_set:
        raise Forbidden(
            "models are loaded and unloaded over HTTP only with a key, and there are none here: "
            "KEYS_FILE names them, and `flask keys new --scope admin` makes one"
        )
    if g.has_wrong_key:
        raise Unauthorized("the key is not known here")
    if not gate.needs_key(scope):
        return
    if g.key is None:
        raise Unauthorized("send a key as `Authorization: Bearer <key>`, or log in at /login")
    _check(g.key, scope, (request.view_args or {}).get("name"))


def visible(models: Iterable[HostedModel]) -> list[HostedModel]:
    """Return those of some models that whoever asks may know of."""
    return [model for model in models if may_know(model.name)]


def may_know(model: str | None = None) -> bool:
    """Tell whether whoever asks may know of a model; without one, of all of them."""
    return not current_app.extensions["gate"].is_shut or (g.key is not None and g.key.opens(model))


def sent(environ: Mapping[str, Any]) -> str:
    """Return the key that a request brings in a header; empty if it brings none."""
    scheme, _, text = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
    # A proxy may leave there what it has asked for itself, such as a password.
    return text.strip() if scheme.lower() == "bearer" else environ.get("HTTP_X_API_KEY", "")


def log_in(key: Key) -> None:
    """Let whoever asks come back without the key, for as long as the cookie lasts."""
    session.clear()
    session.permanent = True
    session[LOGIN] = [key.id, key.sha256[:16]]


def log_out() -> None:
    """Forget who asks."""
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
    # What is nowhere, or has no such method, says so to everybody; OPTIONS tells methods alone.
    if request.endpoint is None or request.endpoint in OPEN or request.method == "OPTIONS":
        return None
    view = current_app.view_functions[request.endpoint]
    return getattr(view, NEED, Scope.PREDICT)


def _check(key: Key, scope: Scope, model: str | None) -> None:
    if not key.is_for(scope):
        raise Forbidden(f"the key {key.name!r} is not for {scope.value}")
    if model is not None and not key.opens(model):
        raise Forbidden(f"the key {key.name!r} is not for the model {model!r:.110}")
    if model is None and scope is not Scope.PREDICT and not key.opens(None):
        raise Forbidden(f"this wants a key for all models, which {key.name!r} is not")
