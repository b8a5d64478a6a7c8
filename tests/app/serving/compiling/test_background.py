"""Models that are compiled while they serve."""

import shutil

import pytest
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression

from app.serving.compiling import background
from app.serving.compiling.background import BackgroundCompiler
from app.serving.compiling.compiler import CompilingFailed, compile_model
from app.serving.compiling.graph_cache import Compiled, GraphCache
from mlmodel import dump
from mlmodel.frameworks.sklearn.onnx import selection

FLOWERS, SPECIES = (table[::5] for table in load_iris(return_X_y=True, as_frame=True))
ROWS = FLOWERS.to_dict("records")
#: The results of compilations in this process, by the content of the file.
COMPILED = {}


@pytest.fixture
def cache(tmp_path):
    return GraphCache(tmp_path / "cache")


@pytest.fixture
def compiled_specs(monkeypatch):
    """The entries that were compiled, in this process instead of another."""
    specs = []

    def compile_here(spec, sha256):
        specs.append(spec)
        key = (sha256, selection.LEAST_GAIN)
        if key not in COMPILED:
            model = spec.create()
            model.load()
            COMPILED[key] = Compiled(*model.state.compile())
        return COMPILED[key]

    monkeypatch.setattr(background, "compile_model", compile_here)
    # Otherwise the time of a few calls would decide.
    monkeypatch.setattr(selection, "LEAST_GAIN", 0.0)
    return specs


@pytest.fixture(scope="module")
def forest_file(tmp_path_factory):
    """The packaged file of a small forest."""
    file = tmp_path_factory.mktemp("forest") / "model.flm"
    dump(RandomForestClassifier(3, random_state=0).fit(FLOWERS, SPECIES), file, sample=FLOWERS)
    return file


@pytest.fixture
def serve(make_app, tmp_path, forest_file):
    """A function that serves an estimator, and returns the parts of the application."""
    shutil.copy(forest_file, tmp_path)

    def serve(other=None, **entry):
        if other is not None:
            dump(other.fit(FLOWERS, SPECIES), tmp_path / "model.flm", sample=FLOWERS)
        more = "".join(f", {name}: {value}" for name, value in entry.items())
        app = make_app(f"models: [{{file: {tmp_path}/model.flm, name: it{more}}}]")
        return app.extensions["modelhost"]

    return serve


def compile_models(parts, cache, *, is_default=True):
    """Compile as the thread does; return what the metadata says of the runtime."""
    BackgroundCompiler(parts.manager, cache, is_default=is_default).compile_models()
    return parts.manager.get("it").about.metadata.get("runtime", {})


def test_graph_replaces_native_model(serve, cache, compiled_specs):
    parts = serve()
    hosted = parts.manager.get("it")
    before, runtime = parts.predictor.predict("it", ROWS), hosted.about.runtime

    assert compile_models(parts, cache)["compiled"]

    assert "ONNX" not in runtime
    assert "ONNX Runtime" in hosted.about.runtime
    assert hosted.lifecycle.model.ends_soon
    for old, new in zip(before, parts.predictor.predict("it", ROWS), strict=True):
        assert new["prediction"] == old["prediction"]
        assert new["probabilities"] == pytest.approx(old["probabilities"], abs=1e-12)


def test_other_process_reads_result(serve, cache, compiled_specs):
    compile_models(serve(), cache)

    assert compile_models(serve(), cache)["compiled"]

    assert len(compiled_specs) == 1


def test_changed_file_is_compiled_again(serve, cache, compiled_specs):
    compile_models(serve(), cache)

    compile_models(serve(RandomForestClassifier(4, random_state=1)), cache)

    assert len(compiled_specs) == 2


def test_model_is_compiled_once(serve, cache, compiled_specs):
    parts = serve()
    compiler = BackgroundCompiler(parts.manager, cache, is_default=True)

    compiler.compile_models()
    compiler.compile_models()

    assert len(compiled_specs) == 1


def test_slow_graph_is_not_used(serve, cache, compiled_specs, monkeypatch):
    monkeypatch.setattr(selection, "LEAST_GAIN", 1e9)
    parts = serve(LogisticRegression(max_iter=1000))

    runtime = compile_models(parts, cache)

    assert not runtime["compiled"]
    assert "times as fast" in runtime["reason"]
    assert parts.predictor.predict("it", ROWS[:1])[0]["prediction"] == 0


def test_graph_that_differs_is_not_used(serve, cache, compiled_specs, monkeypatch):
    result = background.compile_model(serve().manager.get("it").spec, "")
    monkeypatch.setattr(background, "compile_model", lambda *_: result)

    runtime = compile_models(serve(RandomForestClassifier(2, random_state=5)), cache)

    assert result.graph is not None
    assert not runtime["compiled"]
    assert "the graph predicts" in runtime["reason"]


def test_failure_leaves_native_model(serve, cache, monkeypatch):
    def fail(spec, sha256):
        raise CompilingFailed("compiling took longer than 600 seconds")

    monkeypatch.setattr(background, "compile_model", fail)
    parts = serve()

    runtime = compile_models(parts, cache)

    assert runtime["reason"] == "compiling took longer than 600 seconds"
    assert runtime["name"].startswith("scikit-learn")
    assert len(parts.predictor.predict("it", ROWS)) == len(ROWS)


@pytest.mark.parametrize("folder", ["~nobody-of-this-name/cache", "/proc/cache"])
def test_unusable_folder_is_logged(serve, caplog, tmp_path, folder):
    background.start(serve().manager, tmp_path, folder, is_default=True)

    assert "models are not compiled" in caplog.text
    assert "see CACHE_FOLDER" in caplog.text


def test_large_file_is_not_compiled(serve, cache, compiled_specs, monkeypatch):
    monkeypatch.setattr(background, "MAX_FILE_BYTES", 10)

    runtime = compile_models(serve(), cache)

    assert "more than 10 bytes" in runtime["reason"]
    assert compiled_specs == []


@pytest.mark.parametrize(
    ("entry", "is_default"),
    [({}, False), ({"runtime": "native"}, True), ({"n_jobs": 2}, True)],
)
def test_model_stays_native_if_required(serve, cache, entry, is_default):
    assert compile_models(serve(**entry), cache, is_default=is_default) == {}


def test_entry_overrides_setting(serve, cache, compiled_specs):
    assert compile_models(serve(runtime="auto"), cache, is_default=False)["compiled"]


def test_model_unloaded_meanwhile_stays_unloaded(serve, cache, monkeypatch, tmp_path):
    parts = serve()
    hosted = parts.manager.get("it")
    model = hosted.lifecycle.model
    result = Compiled(*model.state.compile())

    def unload_first(*_):
        hosted.lifecycle.unload()
        (tmp_path / "model.flm").unlink()
        return result

    monkeypatch.setattr(background, "compile_model", unload_first)

    compile_models(parts, cache)

    assert model.state.predictor is None
    assert hosted.status == "unloaded"


def test_full_disk_does_not_lose_the_graph(serve, cache, compiled_specs, monkeypatch, caplog):
    def fail(*_):
        raise OSError("No space left on device")

    monkeypatch.setattr(cache, "write", fail)
    monkeypatch.setattr(selection, "LEAST_GAIN", 0.0)

    assert compile_models(serve(), cache)["compiled"]
    assert "is not stored: No space left on device" in caplog.text


def test_replaced_file_is_not_compiled(serve):
    spec = serve().manager.get("it").spec

    with pytest.raises(CompilingFailed, match="it exited with status 1"):
        compile_model(spec, "0" * 64)


def test_class_is_not_compiled(make_app, cache, compiled_specs):
    app = make_app("models: [{class: examples.iris.IrisModel, name: it}]")

    assert compile_models(app.extensions["modelhost"], cache) == {}


def test_unloaded_model_is_compiled_after_loading(serve, cache, compiled_specs):
    parts = serve()
    parts.manager.get("it").lifecycle.unload()
    compile_models(parts, cache)
    parts.manager.get("it").lifecycle.load()

    assert compile_models(parts, cache)["compiled"]
