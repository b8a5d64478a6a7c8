import pickle

import pytest
from sklearn.linear_model import LinearRegression

from app.serving.catalog import catalog, yaml_document
from app.serving.catalog.entry_schema import ENTRY
from app.serving.catalog.model_spec import OWN_MODULES
from app.serving.errors import InvalidCatalog
from app.serving.models.manager import ModelManager
from mlmodel.errors import InvalidModel
from mlmodel.model import MLModel
from tests import DATA, ROOT
from tests.models import broken, foreign, simple


@pytest.fixture
def read(tmp_path):
    def read(text, **environ):
        path = tmp_path / "models.yaml"
        path.write_text(text, encoding="utf-8")
        return catalog.read(path, environ)

    return read


@pytest.fixture
def mistakes_in(read):
    def mistakes_in(text, **environ):
        with pytest.raises(InvalidCatalog) as caught:
            read(text, **environ)
        return str(caught.value).splitlines()

    return mistakes_in


def test_keys_are_documented():
    docs = (ROOT / "docs" / "models-yaml.md").read_text(encoding="utf-8")

    assert [key for key in ENTRY["properties"] if f"\n| `{key}` |" not in docs] == []


def test_entries_become_specs(read, tmp_path):
    [model, packaged] = read(
        """
models:
  - class: examples.iris.IrisModel
    settings: {certainty: 0.5}
  - file: models/credit.flm
    name: credit
    sha256: 9F86D081884C7D659A2FEAA0C55AD015A3BF4F1B2B0B822CD15D6C15B0F00A08
    load: lazy
    input_schema: {type: object}
    examples: [{age: 3}]
"""
    )

    assert (model.class_path, model.settings, model.lazy) == (
        "examples.iris.IrisModel",
        {"certainty": 0.5},
        False,
    )
    assert packaged.file == tmp_path / "models/credit.flm"
    assert (packaged.name, packaged.lazy, packaged.examples) == ("credit", True, ({"age": 3},))
    assert packaged.sha256.startswith("9f86d081")


@pytest.mark.parametrize(
    ("entry", "mistake"),
    [
        ("file: 'https://a.example/x.flm'", "line 2: models/0/file is an address: pin it"),
        ("file: 'C://a/x.flm', check_every: 9", "models/0/check_every is valid only if"),
        (f"file: 's3://a/x', sha256: '{'0' * 64}', check_every: 9", "models/0/check_every has no"),
    ],
)
def test_file_at_an_unknown_place_is_a_mistake(mistakes_in, entry, mistake):
    assert mistake in mistakes_in(f"models:\n  - {{{entry}}}")[0]


def test_class_name_may_be_unicode(read):
    [model] = read("models: [{class: pakét.Größe}]")

    assert model.class_path == "pakét.Größe"


@pytest.mark.parametrize(
    ("entry", "rows"),
    [
        ("file: m.flm", None),
        ("file: m.flm, batch: {max_rows: 8}", 8),
        ("file: m.flm, batch: false", 0),
        ("class: a.B", None),
        ("class: a.B, batch: {max_rows: 8}", 8),
    ],
)
def test_entry_overrides_batch_rows(read, entry, rows):
    [spec] = read(f"models: [{{{entry}}}]")

    assert spec.batch_rows == rows


@pytest.mark.parametrize(
    ("text", "trust"),
    [("all", "all"), ("[a.B, c.D]", ("a.B", "c.D")), ("[skrub.*]", ("skrub.*",))],
    ids=["all", "names", "package"],
)
def test_trust_is_all_or_names(read, text, trust):
    [spec] = read(f"models: [{{file: model.skops, trust: {text}}}]")

    assert spec.trust == trust


def test_headers_of_remote_models_contain_variables(read):
    [spec] = read(
        'models: [{remote: "https://a:8000/v2x/", model: bert@2, headers: {Authorization: "Bearer ${T}"}}]',
        T="secret",
    )

    assert (spec.remote.url, spec.remote.model) == ("https://a:8000/v2x", "bert@2")
    assert spec.remote.headers == {"Authorization": "Bearer secret"}
    assert spec.provisional_name == "bert"
    assert "secret" not in repr(spec)


@pytest.mark.parametrize(
    "address",
    ["a:8000", "ftp://a", "http://user:word@a", "http://a?b", "http://a:99999", "file:///a"],
)
def test_address_of_a_remote_is_checked(mistakes_in, address):
    [mistake] = mistakes_in(f"models:\n  - remote: {address}\n    name: a")

    assert mistake.startswith("models.yaml, line 2: models/0/remote must ")


@pytest.mark.parametrize("text", ["models: []", "models:", "", "# none yet"])
def test_catalog_may_be_empty(read, text):
    assert read(text) == []


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        ("[]", "models.yaml, line 1: the file must be an object, got []"),
        (
            "models: [{file: m.pkl, trust: ['skrub*']}]",
            "models.yaml, line 1: models/0/trust must contain names, or patterns such as 'skrub.*', got 'skrub*'",
        ),
        ("model: []", "models.yaml, line 1: model is unknown; did you mean 'models'?"),
        ("models: {a: 1}", 'models.yaml, line 1: models must be a list, got {"a": 1}'),
        (
            "models:\n  - clas: a.B",
            "models.yaml, line 2: models/0/clas is unknown; did you mean 'class'?",
        ),
        (
            "models:\n  - name: x",
            "models.yaml, line 2: models/0 must have one of 'class', 'file' and 'remote', got none of them",
        ),
        (
            "models:\n  - class: a.B\n    file: c",
            "models.yaml, line 2: models/0 must have one of 'class', 'file' and 'remote', got 'class' and 'file'",
        ),
        (
            "models:\n  - remote: http://a",
            "models.yaml, line 2: models/0/remote needs 'model', the model's name on that server, or 'name'",
        ),
        (
            "models:\n  - remote: http://a\n    name: a\n    batch: false",
            "models.yaml, line 4: models/0/batch is not valid together with 'remote'; configure it on that server",
        ),
        (
            "models:\n  - class: a.B\n    headers: {a: b}",
            "models.yaml, line 3: models/0/headers is valid only together with 'remote'",
        ),
        (
            "models:\n  - class: a.B\n    load: late",
            'models.yaml, line 3: models/0/load must be one of "start", "lazy", "worker", got "late"',
        ),
        (
            "models:\n  - class: a.B\n    log: {rows: 2}",
            "models.yaml, line 3: models/0/log/rows must be at most 1, got 2",
        ),
        (
            "models:\n  - class: a.B\n    isolate: {memory: 5MB}",
            "models.yaml, line 3: models/0/isolate/memory must be a size of at least 64MB, such as "
            "'2GB' or '500MB', got '5MB'",
        ),
        (
            "models:\n  - class: a.B\n    time_limit: 0",
            "models.yaml, line 3: models/0/time_limit must be more than 0, got 0",
        ),
        (
            "models:\n  - class: a.B\n    name: 5",
            "models.yaml, line 3: models/0/name must be text, got 5",
        ),
        (
            "models:\n  - class: a.B\n    sha256: ffff",
            'models.yaml, line 3: models/0/sha256 must match the pattern ^[0-9a-fA-F]{64}$, got "ffff"',
        ),
        (
            "models:\n  - file: c\n    settings: {}",
            "models.yaml, line 3: models/0/settings is valid only together with 'class'",
        ),
        (
            "models:\n  - file: c\n    decorators: []",
            "models.yaml, line 3: models/0/decorators is valid only together with 'class'",
        ),
        (
            "models:\n  - class: a.B\n    decorators:\n      - c.D\n      - clas: c.D",
            "models.yaml, line 5: models/0/decorators/1/clas is unknown; did you mean 'class'?",
        ),
        (
            "models:\n  - class: a.B\n    decorators: [c]",
            "models.yaml, line 3: models/0/decorators/0 must be a dotted path such as tip.Tip, "
            'got "c"',
        ),
        (
            "models:\n  - remote: 127.0.0.1:9184",
            "models.yaml, line 2: models/0/remote must be an address such as http://host:8000, "
            'got "127.0.0.1:9184"',
        ),
        (
            "models:\n  - file: model.pkl\n    trust: some",
            "models.yaml, line 3: models/0/trust must be 'all' or a list of names, got 'some'",
        ),
        (
            "models:\n  - class: a.B\n    trust: all",
            "models.yaml, line 3: models/0/trust is valid only together with 'file'",
        ),
        (
            "models:\n  - class: a.B\n    input_schema: {type: nmber}",
            'models.yaml, line 3: models/0/input_schema is not a JSON Schema: at /type, must be one of "array", "boolean", "integer", "null", "number", "object", "string", got "nmber"',
        ),
        (
            "models:\n  - class: a.B\n    name: x\n  - class: a.C\n    name: x",
            "models.yaml, line 5: models/1/name 'x' is already the name on line 3; "
            "give each entry a 'version' or another 'name'",
        ),
        (
            "models:\n  - class: a.B\n    class: a.C",
            "models.yaml, line 3: models/0/class is a duplicate of the key on line 2",
        ),
        (
            "models: [{class: a.B, settings: {? [a] : 1}}]",
            "models.yaml, line 1: models/0/settings has a key that is not text",
        ),
        (
            "models: [{class: a.B, settings: {a: !!int abc}}]",
            "models.yaml, line 1: models/0/settings/a must be a valid int, got 'abc'",
        ),
        (
            "models: [{class: a.B, settings: {a: .nan}}]",
            "models.yaml, line 1: models/0/settings/a must be a finite number, got nan",
        ),
        (
            "models: [{class: a.B, settings: {a: !!binary YQ==}}]",
            "models.yaml, line 1: models/0/settings/a must be a JSON value, got bytes",
        ),
        (
            "models:\n  - class: a.B\n    version_mismatch: warn",
            "models.yaml, line 3: models/0/version_mismatch is valid only together with 'file'",
        ),
        (
            "models:\n  - class: a.B\n    runtime: onnx",
            "models.yaml, line 3: models/0/runtime is valid only together with 'file'",
        ),
        (
            "models:\n  - file: a.flm\n    runtime: sklearn",
            'models.yaml, line 3: models/0/runtime must be one of "native", "onnx", "auto", got "sklearn"',
        ),
        (
            "models: [",
            "models.yaml, line 1: the file is not valid YAML: expected the node content, but found '<stream end>'",
        ),
        (
            "models: !!python/name:os.system x",
            "models.yaml, line 1: the file is not valid YAML: could not determine a constructor for the tag 'tag:yaml.org,2002:python/name:os.system'",
        ),
        (
            "models: &a [*a]",
            "models.yaml: the file has an alias that contains itself",
        ),
    ],
)
def test_mistake_has_line_and_key(mistakes_in, text, mistake):
    assert mistake in mistakes_in(text)


def test_all_mistakes_are_reported(mistakes_in):
    text = "models:\n  - clas: a.B\n  - class: a.B\n    load: 3\n"

    assert [line.split(":")[0] for line in mistakes_in(text)] == [
        "models.yaml, line 2",
        "models.yaml, line 4",
    ]


def test_missing_file_is_a_mistake(tmp_path):
    with pytest.raises(InvalidCatalog, match=r"nothing.yaml: the file does not exist"):
        catalog.read(tmp_path / "nothing.yaml", {})


def test_variables_are_replaced(read):
    lines = ["url: ${HOST}/x", "port: ${PORT}", "text: '${PORT}'"]
    settings = "".join(f"\n      {line}" for line in lines)
    [spec] = read(f"models:\n  - class: a.B\n    settings:{settings}", HOST="db", PORT="8000")

    assert spec.settings == {"url": "db/x", "port": 8000, "text": "8000"}


def test_doubled_dollar_escapes_variable(read):
    [spec] = read("models: [{class: a.B, settings: {a: '$${HOST}'}}]")

    assert spec.settings == {"a": "${HOST}"}


def test_unset_variable_is_a_mistake(mistakes_in):
    text = "models:\n  - class: a.B\n    settings: {key: '${TOKEN}'}"

    assert mistakes_in(text) == [
        "models.yaml, line 3: models/0/settings/key needs the environment variable TOKEN, "
        "which is not set"
    ]


def test_yaml_values_become_json(read):
    [spec] = read("models: [{class: a.B, settings: {a: no, b: 2026-01-31, c: 1e3, d: true}}]")

    assert spec.settings == {"a": "no", "b": "2026-01-31", "c": 1000.0, "d": True}


def test_class_receives_its_settings(read):
    [spec] = read("models: [{class: tests.models.simple.Greeter, settings: {greeting: Hi}}]")

    assert spec.create().predict({}) == "Hi"


def test_decorator_settings_are_optional(read):
    [spec] = read("models: [{class: a.B, decorators: [c.D, {class: c.E, settings: {f: 1}}]}]")

    assert [(each.class_path, each.settings) for each in spec.decorators] == [
        ("c.D", {}),
        ("c.E", {"f": 1}),
    ]


def test_foreign_class_becomes_mlmodel(read):
    entry = "{class: tests.models.foreign.Settled, settings: {factor: 3}}"
    [spec] = read(f"models: [{entry}]")

    model = spec.create()

    assert isinstance(model, MLModel)
    assert (model.version, model.predict(2)) == ("3.1", 6)


@pytest.mark.parametrize(
    ("model_class", "message"),
    [
        (broken.NotAModel, "expected a class derived from mlmodel.MLModel, or .*, got 'NotAModel'"),
        (broken.NoPredict, "'NoPredict' must define predict"),
        (
            foreign.Estimator,
            "expected 'Estimator' to have one of these attributes: qualified_name, display_name",
        ),
        (
            foreign.Settled,
            "'Settled' does not accept its settings: missing a required .*: 'factor'",
        ),
        (
            simple.Greeter,
            "'Greeter' does not accept its settings: missing a required argument: 'greeting'",
        ),
    ],
)
def test_class_without_model_interface_is_rejected(read, model_class, message):
    [spec] = read(f"models: [{{class: {model_class.__module__}.{model_class.__name__}}}]")

    with pytest.raises(InvalidModel, match=message):
        spec.create()


def test_missing_class_is_rejected(read):
    [spec] = read("models: [{class: tests.models.simple.Nobody}]")

    with pytest.raises(InvalidModel, match=r"module 'tests.models.simple' has no class 'Nobody'"):
        spec.create()


@pytest.mark.parametrize("module", OWN_MODULES)
def test_class_in_module_of_modelhost_is_rejected(read, module):
    [spec] = read(f"models: [{{class: {module}.Tip}}]")

    with pytest.raises(InvalidModel, match=f"{module!r} is Modelhost's own: give your module"):
        spec.create()


def test_tags_are_single_words(read, mistakes_in):
    [model] = read("models: [{class: a.B, tags: [credit, team-a]}]")

    assert model.tags == ("credit", "team-a")
    assert "models/0/tags/0" in mistakes_in("models: [{class: a.B, tags: [two words]}]")[-1]


@pytest.mark.parametrize(
    ("isolate", "found"),
    [
        ("true", (True, 0, None)),
        ("false", (False, 0, None)),
        ("{}", (True, 0, None)),
        ("{memory: 1.5GB, load_seconds: 5}", (True, 1_500_000_000, 5)),
    ],
)
def test_isolation_limits_are_read(read, isolate, found):
    [spec] = read(f"models: [{{class: a.B, isolate: {isolate}, time_limit: 2.5}}]")

    assert (spec.is_isolated, spec.memory_bytes, spec.load_seconds) == found
    assert spec.time_limit == 2.5


def test_exponential_aliases_are_rejected(mistakes_in):
    text = "x0: &x0 [1, 2]\n" + "".join(
        f"x{at}: &x{at} [{', '.join([f'*x{at - 1}'] * 9)}]\n" for at in range(1, 12)
    )

    [mistake] = mistakes_in(text)

    assert "has more than 100,000 values, counting each alias" in mistake


def test_file_size_is_bounded_in_bytes(mistakes_in):
    text = "# " + "é" * (yaml_document.MAX_BYTES // 2)

    assert mistakes_in(text) == ["models.yaml: the file has more than 1,000,000 bytes"]


@pytest.mark.parametrize(
    ("unpinned", "found"),
    [("check", (False, False)), ("isolate", (True, False)), ("refuse", (False, True))],
)
def test_unpinned_pickles_are_restricted(tmp_path, unpinned, found):
    (tmp_path / "model.pkl").write_bytes(pickle.dumps([1]))
    path = tmp_path / "models.yaml"
    path.write_text("models: [{file: model.pkl}, {file: model.pkl, name: known, trust: all}]")

    [unknown, known] = catalog.read(path, {}, unpinned=unpinned)

    assert (unknown.is_sandboxed, unknown.is_refused) == found
    assert (known.is_isolated, known.is_refused) == (False, False)


def test_unpinned_pickle_of_mlflow_is_restricted(tmp_path):
    path = tmp_path / "models.yaml"
    path.write_text(f"models: [{{file: {DATA / 'mlflow' / 'credit-pickle'}}}]")

    [spec] = catalog.read(path, {}, unpinned="refuse")

    assert spec.is_refused


def test_unpinned_pickles_share_a_process(tmp_path):
    (tmp_path / "model.pkl").write_bytes(pickle.dumps([1]))
    path = tmp_path / "models.yaml"
    path.write_text("models: [{file: model.pkl}, {file: model.pkl, name: own, isolate: true}]")

    specs = catalog.read(path, {}, unpinned="isolate")

    assert [spec.shares_process for spec in specs] == [True, False]


def test_rejected_pickle_names_pin_command(make_app, tmp_path):
    (tmp_path / "model.pkl").write_bytes(pickle.dumps(LinearRegression().fit([[1]], [1])))

    make_app("models: [{file: model.pkl}]", UNPINNED="refuse")

    [model] = ModelManager().models()
    assert model.reason.startswith(
        "the file is a pickle without 'sha256' or 'trust', and UNPINNED is"
    )
