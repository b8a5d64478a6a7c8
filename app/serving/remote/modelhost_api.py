"""A model of another Modelhost, called through its own API: rows and predictions stay as they are.

Tensors would not do: they cannot distinguish a missing member from ``null``, or a list of one value
from the value.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from app.serving.errors import RemoteFailed, RemoteUnavailable
from app.serving.remote.about import About
from app.serving.remote.http_client import HttpClient, RemoteResponse, to_line
from mlmodel.errors import InvalidInput, Violation

#: A pointer into the rows of a request: the index of the row, and the pointer within it.
POINTER = re.compile(r"/([0-9]{1,9})((?:/.*)?)", re.DOTALL)
#: Statuses of a model that the server describes completely; a lazy one loads on its first call.
AVAILABLE = frozenset({"ready", "lazy"})
#: Members of the description, and their types.
MEMBERS = {
    "display_name": str,
    "description": str,
    "version": str,
    "input_schema": Mapping | None,
    "output_schema": Mapping | None,
    "examples": list | None,
    "example_names": list | None,
    "metrics": Mapping | None,
    "params": Mapping | None,
    "extra": Mapping | None,
}


class ModelhostApi:
    """The API of a model on another Modelhost."""

    def __init__(self, client: HttpClient, model: str) -> None:
        self._client = client
        self._path = f"/api/models/{quote(model, safe='@')}"

    def describe(self) -> About:
        """Return the server's description of the model.

        :raises ServingError: if the model is not available, or the response is unusable.
        """
        response = self._client.get(f"{self._path}/metadata")
        if not response.is_ok:
            raise response.build_error()
        found = response.document
        if not isinstance(found, Mapping) or any(
            name in found and not isinstance(found[name], kind) for name, kind in MEMBERS.items()
        ):
            raise RemoteFailed("the remote server describes the model in an unknown form")
        if found.get("status") not in AVAILABLE:
            reason = to_line(str(found.get("reason") or ""))
            message = "the model is not available on the remote server"
            raise RemoteUnavailable(message, text=reason)
        members = {name: found[name] for name in MEMBERS if found.get(name) is not None}
        return About(**members)

    def predict(self, rows: Sequence[Any]) -> list[Any]:
        """Return the predictions for rows.

        :raises InvalidInput: if the server rejects the rows, with its violations.
        :raises ServingError: if the request fails, or the response is unusable.
        """
        body = json.dumps(list(rows), allow_nan=False).encode()
        response = self._client.post(f"{self._path}/predict", body)
        if response.is_ok:
            predictions = response.document
            if isinstance(predictions, list) and len(predictions) == len(rows):
                return predictions
            raise RemoteFailed(
                f"the response of the remote server is not a list of {len(rows)} predictions"
            )
        if response.is_rejection:
            raise InvalidInput(
                response.text, violations=list(_read_violations(response, len(rows)))
            )
        raise response.build_error()


def _read_violations(response: RemoteResponse, count: int) -> list[Violation]:
    """Return the violations of a problem document that point into the rows."""
    errors = response.document.get("errors") if isinstance(response.document, Mapping) else None
    found = []
    for each in errors if isinstance(errors, list) else ():
        pointer, detail = (each.get("pointer"), each.get("detail")) if _is_error(each) else ("", "")
        place = POINTER.fullmatch(pointer)
        if place and int(place[1]) < count:
            found.append(Violation(place[2], detail, int(place[1])))
    return found


def _is_error(item: Any) -> bool:
    return isinstance(item, Mapping) and all(
        isinstance(item.get(key), str) for key in ("pointer", "detail")
    )
