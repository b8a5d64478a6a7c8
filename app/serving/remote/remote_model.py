"""A model that runs on another server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from app.serving.remote.about import About
from app.serving.remote.http_client import HttpClient
from app.serving.remote.inference_api import InferenceApi
from app.serving.remote.modelhost_api import ModelhostApi
from mlmodel.errors import InvalidModel
from mlmodel.model import MLModel

#: Seconds of a request, unless the entry has a time limit.
SECONDS = 30.0
#: How the server of another Modelhost names itself.
MODELHOST = "modelhost"


@dataclass(frozen=True)
class Remote:
    """Where a model runs.

    :param model: its name there; ``name@version`` for a version.
    :param headers: sent with each request.
    """

    url: str
    model: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


class RemoteModel(MLModel):
    """A model on a server of the Open Inference Protocol, or on another Modelhost.

    Thread safe once it is loaded.

    :param name: its name on this server.
    :param input_schema: the schema of a row, instead of what the server describes.
    :param output_schema: the schema of a prediction, in the same way.
    :param seconds: the time limit of a request; ``None`` for :data:`SECONDS`.
    """

    survives_fork = False
    returns_json = True
    #: The server fills in what its model's schema defines.
    replaces_missing = True

    def __init__(
        self,
        remote: Remote,
        name: str,
        *,
        input_schema: Mapping[str, Any] | None = None,
        output_schema: Mapping[str, Any] | None = None,
        seconds: float | None = None,
    ) -> None:
        self.qualified_name = name
        self._remote = remote
        self._own = About(input_schema=input_schema, output_schema=output_schema)
        self._describe(self._own)
        self._client = HttpClient(
            remote.url, remote.headers, seconds or SECONDS, f"{remote.model} {name}"
        )
        self._api: ModelhostApi | InferenceApi = InferenceApi(self._client, remote.model)

    @property
    def metadata(self) -> Mapping[str, Any]:  # type: ignore[override]
        """The framework of the model: a remote server. Another Modelhost has further facts."""
        facts = {name: getattr(self._about, name) for name in ("metrics", "params", "extra")}
        return {
            "framework": "remote server",
            **{name: fact for name, fact in facts.items() if fact is not None},
        }

    @property
    def schemas_need_load(self) -> bool:
        """Whether only the server has the schemas."""
        return True

    def load(self) -> None:
        """Read the description of the model from its server.

        :raises ServingError: if the server is not available, or does not describe the model.
        """
        about = self._client.get("/v2")
        if not about.is_ok:
            raise about.build_error()
        name = about.document.get("name") if isinstance(about.document, Mapping) else None
        if name == MODELHOST:
            self._api = ModelhostApi(self._client, self._remote.model)
        self._describe(self._api.describe())
        if self.input_schema is None and isinstance(self._api, InferenceApi):
            raise InvalidModel(
                "the remote server describes no inputs; add 'input_schema' to the model's entry"
            )

    def _describe(self, about: About) -> None:
        own, self._about = self._own, about
        self.display_name, self.description = about.display_name, about.description
        self.version, self.example_names = about.version, about.example_names
        self.input_schema, self.examples = about.input_schema, about.examples
        if own.input_schema is not None:
            self.input_schema, self.examples = own.input_schema, ()
        self.output_schema = about.output_schema if own.output_schema is None else own.output_schema

    def predict(self, row: Any) -> Any:
        """Return the prediction for one row."""
        return self.predict_rows([row])[0]

    def predict_rows(self, rows: Sequence[Any]) -> list[Any]:
        """Return the predictions for rows, from one request.

        :raises InvalidInput: if the server rejects the rows.
        :raises ServingError: if the request fails, or the response is unusable.
        """
        if isinstance(self._api, ModelhostApi):
            return self._api.predict(rows)
        return self._api.predict(rows, self.input_schema)

    def unload(self) -> None:
        """Close the connections."""
        self._client.close()
