import pytest

from app.serving.catalog import catalog
from app.serving.errors import InvalidCatalog, ModelNotFound, ModelUnavailable
from app.serving.models.manager import ModelManager

LIVED = "  - class: tests.models.lives.Lived\n    settings: "
TWO = f"""models:
{LIVED}{{number: 1}}
    name: iris
    version: old
{LIVED}{{number: 2}}
    name: iris
    version: new
    default: true
    aliases: [champion]
"""
ROW = {"id": 1}


def entry(*lines):
    return "\n".join(["  - class: a.B", *(f"    {line}" for line in lines)])


IRIS = ("name: iris", 'version: "1"')


@pytest.mark.parametrize(
    ("entries", "mistake"),
    [
        (
            [IRIS, IRIS],
            "line 7: models/1/version '1' is already a version or alias of 'iris' on line 3",
        ),
        (
            [IRIS, ("name: iris",)],
            "line 6: models/1/name 'iris' is already the name on line 3; give",
        ),
        (
            [("name: iris",), IRIS],
            "line 5: models/1/name 'iris' is already the name on line 3; give",
        ),
        (
            [(*IRIS, "aliases: [best]"), ("name: iris", "version: best")],
            "line 8: models/1/version 'best' is already a version or alias of 'iris' on line 3",
        ),
        (
            [(*IRIS, "aliases: ['1']")],
            "line 5: models/0/aliases/0 '1' is already a version or alias of 'iris' on line 3",
        ),
        (
            [(*IRIS, "default: true"), ("name: iris", "version: b", "default: true")],
            "line 9: models/1/default is already true for 'iris' on line 3",
        ),
        ([("version: a",)], "line 3: models/0/version is valid only together with 'name'"),
        (
            [("name: iris", "default: true")],
            "line 4: models/0/default is valid only together with 'version'",
        ),
        (
            [("name: iris", "aliases: [a]")],
            "line 4: models/0/aliases is valid only together with 'version'",
        ),
        ([("name: iris", "version: 1.0")], "line 4: models/0/version must be text, got 1.0"),
    ],
)
def test_version_mistake_has_line_and_key(tmp_path, entries, mistake):
    path = tmp_path / "models.yaml"
    path.write_text("\n".join(["models:", *(entry(*lines) for lines in entries)]))

    with pytest.raises(InvalidCatalog) as raised:
        catalog.read(path, {})

    assert mistake in str(raised.value)


@pytest.mark.parametrize(
    ("reference", "number"), [("iris", 2), ("iris@old", 1), ("iris@new", 2), ("iris@champion", 2)]
)
def test_version_and_aliases_are_callable(same_app, reference, number):
    predictor = same_app(TWO).extensions["modelhost"].predictor

    assert predictor.predict(reference, [ROW])[0]["number"] == number


def test_first_version_is_default(make_app):
    predictor = make_app(TWO.replace("    default: true\n", "")).extensions["modelhost"].predictor

    assert predictor.predict("iris", [ROW])[0]["number"] == 1


def test_model_version_is_accepted(make_app):
    predictor = make_app(f"models:\n{LIVED}{{number: 7}}").extensions["modelhost"].predictor

    assert predictor.predict("lived@7", [ROW])[0]["number"] == 7
    with pytest.raises(ModelNotFound, match="the model 'lived' has no version or alias '8'"):
        predictor.predict("lived@8", [ROW])


def test_version_routes_match_model_routes(same_app):
    client = same_app(TWO).test_client()

    listed = client.get("/api/models/iris/versions").json["versions"]
    answer = client.post("/api/models/iris/versions/old/predict", json=ROW)
    about = client.get("/api/models/iris/versions/champion/metadata").json

    said = [(each["version"], each["default"], each["aliases"]) for each in listed]
    assert said == [("old", False, []), ("new", True, ["champion"])]
    assert (answer.json["number"], answer.headers["X-Model-Version"]) == (1, "old")
    assert (about["qualified_name"], about["version"]) == ("iris", "new")


def test_unknown_version_is_not_found(same_app):
    answer = same_app(TWO).test_client().post("/api/models/iris/versions/3/predict", json=ROW)

    assert answer.status_code == 404
    assert answer.json["detail"] == "the model 'iris' has no version or alias '3'"


def test_versions_have_own_state_and_path(same_app):
    client = same_app(TWO).test_client()

    models = client.get("/api/models").json["models"]
    paths = client.get("/openapi.json").json["paths"]

    assert [(each["qualified_name"], each["version"]) for each in models] == [("iris", "new")]
    assert client.get("/readyz").json["models"].keys() == {"iris@old", "iris@new"}
    assert {"/api/models/iris/predict", "/api/models/iris/versions/old/predict"} <= paths.keys()


def test_metrics_separate_versions(same_app):
    client = same_app(TWO).test_client()

    client.post("/api/models/iris/versions/old/predict", json=ROW)

    counted = client.get("/metrics").text
    assert 'modelhost_rows_total{endpoint="predict",model="iris@old"}' in counted


def test_unloading_one_version_keeps_others(make_app):
    app = make_app(TWO)

    app.extensions["modelhost"].reloader.unload("iris@old")

    with pytest.raises(ModelUnavailable):
        app.extensions["modelhost"].predictor.predict("iris@old", [ROW])
    assert app.extensions["modelhost"].predictor.predict("iris", [ROW])[0]["number"] == 2


def test_changed_default_keeps_models(make_app, tmp_path):
    app = make_app(TWO)
    before = ModelManager().models()
    text = TWO.replace("    default: true\n    aliases: [champion]\n", "")
    (tmp_path / "models.yaml").write_text(
        text.replace("version: old", "version: old\n    default: true")
    )

    app.extensions["modelhost"].reloader.reload()

    assert ModelManager().models() == before
    assert app.extensions["modelhost"].predictor.predict("iris", [ROW])[0]["number"] == 1


def test_pages_keep_the_selected_version(same_app):
    client = same_app(TWO).test_client()

    page = client.get("/models/iris@old/predict").text

    assert 'href="/models/iris/predict"' in page
    assert "(default, champion)" in page
    assert 'data-action="/api/models/iris@old/predict"' in page


def test_commands_accept_a_version(run_command):
    shown = run_command("models", "show", "iris@old", models=TWO)

    assert "old" in shown.output
