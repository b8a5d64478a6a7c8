"""The application against its OpenAPI document: schemathesis sends requests that the schemas allow
and forbid, and the document must describe each response."""

import pytest
import schemathesis
from hypothesis import HealthCheck, given, seed, settings
from schemathesis import GenerationMode, checks

from app.web.api.bodies import envelopes
from tests.conftest import EXAMPLES

#: No 5xx, and no response that the document does not describe.
CHECKS = [
    checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
]

#: A part of the profile's number of examples, for each operation.
FEW = settings().max_examples // 10

#: Models with nested rows and with more endpoints than predict.
OTHERS = """
models:
  - class: tests.models.simple.Doubler
  - class: tests.models.simple.Household
  - class: tests.models.hostile.Asked
  - class: tests.models.hostile.Told
    settings: {input_schema: {type: object, patternProperties: {"(a+)+$": {type: integer}}}}
"""


@pytest.fixture(params=["examples", "others"])
def document(make_app, request):
    models = {"MODELS_FILE": EXAMPLES} if request.param == "examples" else {"text": OTHERS}
    # Without keys, no operation can unload a model that others call.
    return schemathesis.openapi.from_wsgi("/openapi.json", make_app(**models))


def test_valid_requests_match_the_document(document):
    for operation in operations(document):
        hold(operation, GenerationMode.POSITIVE, [*CHECKS, accepts])


def test_invalid_requests_match_the_document(document):
    for operation in operations(document):
        # The paths for any model accept any body and name.
        if "{name}" not in operation.path and (operation.body or list(operation.query)):
            hold(operation, GenerationMode.NEGATIVE, [*CHECKS, rejects])


def test_undocumented_methods_are_rejected(document):
    for operation in operations(document):
        hold(operation, GenerationMode.POSITIVE, [checks.unsupported_method], examples=1)


def accepts(context, response, case):
    """Check that a valid row is accepted.

    Three kinds of requests are exempt: an inferred schema has no limits, so the model may reject
    large numbers; no schema matches columns with the members of rows; and paths for all models
    have no schema of rows.
    """
    if "{name}" in case.operation.path:
        return None
    if isinstance(case.body, dict) and case.body.keys() >= {"columns", "data"}:
        return None
    refused = response.json()["errors"] if response.status_code == 422 else []
    if refused and all("is too large for this model" in each["detail"] for each in refused):
        return None
    return checks.positive_data_acceptance(context, response, case)


def rejects(context, response, case):
    """Check that an invalid row is rejected, if it is not a body of another server, as ``data``."""
    if isinstance(case.body, dict) and case.body.keys() & envelopes.KEYS.keys():
        return None
    return checks.negative_data_rejection(context, response, case)


def operations(document):
    """Return the operations; of the example models, without those that all portals have."""
    found = [result.ok() for result in document.get_all_operations()]
    if any("/iris/" in each.path for each in found):
        found = [
            each
            for each in found
            if each.path.startswith("/api/models/") and "{name}" not in each.path
        ]
    assert len(found) > 4
    return found


def hold(operation, mode, expectations, examples=FEW):
    @seed(1)
    @settings(max_examples=examples, database=None, suppress_health_check=list(HealthCheck))
    @given(operation.as_strategy(generation_mode=mode))
    def validate(case):
        # schemathesis does not decompress the responses of a WSGI application.
        case.call_and_validate(checks=expectations, headers={"Accept-Encoding": "identity"})

    validate()
