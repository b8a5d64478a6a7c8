import logging

import pytest

from app.serving.models.description import Description, check_metadata
from app.serving.models.manager import ModelManager
from app.serving.models.state import State, Status

MODELS = """
models:
  - class: tests.models.odd.Odd
"""


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({"metrics": [1]}, "in its metadata, /metrics must be"),
        ({"params": "x"}, "in its metadata, /params must be"),
        ({"versions": 3}, "in its metadata, /versions must be"),
        ({"versions": [{"package": "numpy"}]}, "in its metadata, /versions/0/packaged"),
        ({"artifacts": ["a"]}, "in its metadata, /artifacts/0 must be an object"),
        ({"artifacts": [{"name": 1, "size_bytes": 2}]}, "/artifacts/0/name must be text"),
        ({"size_bytes": "many"}, "in its metadata, /size_bytes must be"),
    ],
)
def test_invalid_metadata_member_is_ignored(metadata, message, caplog):
    with caplog.at_level(logging.WARNING):
        checked = check_metadata({**metadata, "author": ["someone"]}, "odd")

    assert checked == {"author": ["someone"]}
    assert message in caplog.text


@pytest.mark.parametrize("metadata", [None, [1], "words"])
def test_metadata_must_be_an_object(metadata):
    assert check_metadata(metadata, "odd") == {}


@pytest.mark.parametrize("path", ["/models/odd/metadata", "/api/models/odd/inspect"])
def test_page_tolerates_invalid_metadata(make_app, path):
    assert make_app(MODELS).test_client().get(path).status_code == 200


def test_booster_is_named_as_framework():
    versions = [{"package": "numpy"}, {"package": "lightgbm", "packaged": "4.7.0"}]
    metadata = {"framework": "scikit-learn 1.9.1"}

    assert Description("x", metadata=metadata).framework == "scikit-learn 1.9.1"
    metadata["versions"] = versions
    assert Description("x", metadata=metadata).framework == "LightGBM 4.7.0"


def test_long_reason_is_cut():
    state = State()

    state.change(Status.FAILED, "why", detail="x" * 100_000)

    assert (state.reason, len(state.detail)) == ("why", 2_000)


def test_long_failure_of_example_is_cut(make_app):
    make_app(MODELS)
    model = ModelManager().get("odd")

    model.lifecycle.describe_failure("x" * 100_000)

    assert len(model.about.failing_example) == 2_000
