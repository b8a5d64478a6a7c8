import json
import pickle

import joblib
import numpy as np
import pytest
import sklearn
import skops.io
from sklearn.linear_model import LinearRegression

from mlmodel import load
from mlmodel.errors import BrokenModel, VersionMismatch
from tests import DATA
from tests.flm_files import holding

FOLDER = DATA / "sklearn"
FILES = sorted(FOLDER.glob("*/*.pkl.z"))


def flat(answer):
    """Return a prediction in the estimator's own type."""
    prediction = answer["prediction"]
    return list(prediction.values()) if isinstance(prediction, dict) else prediction


def gone(tmp_path, release="1.3.2"):
    """Write a pickle of a class that scikit-learn has no more."""
    path = tmp_path / "old.pkl"
    path.write_bytes(
        b"csklearn.linear_model._base\nNoSuchRegression\n)\x81}"
        b"X\x10\0\0\0_sklearn_versionX%c\0\0\0%bsb." % (len(release), release.encode())
    )
    return path


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}-{path.stem[:-4]}")
def test_older_model_predictions_are_unchanged(path):
    told = json.loads((path.parent / "predictions.json").read_text())[path.stem[:-4]]

    answers = load(path).predict_rows(told["rows"])

    predicted = [flat(answer) for answer in answers]
    if isinstance(predicted[0], str):
        assert predicted == told["predict"]
    else:
        wanted = np.reshape(told["predict"], np.shape(predicted))
        np.testing.assert_allclose(predicted, wanted, rtol=1e-9)
    if "probabilities" in told:
        shares = [list(answer["probabilities"].values()) for answer in answers]
        np.testing.assert_allclose(shares, told["probabilities"], rtol=1e-9, atol=1e-12)


def test_trusted_older_model_predicts_unchanged():
    path = FOLDER / "1.3.2" / "tree.pkl.z"
    told = json.loads((path.parent / "predictions.json").read_text())["tree"]

    answers = load(path, trust="all").predict_rows(told["rows"])

    shares = [list(answer["probabilities"].values()) for answer in answers]
    np.testing.assert_allclose(shares, told["probabilities"])


def test_bare_file_has_release(make_app):
    path = FOLDER / "1.3.2" / "ridge.pkl.z"
    client = make_app(f"models: [{{file: {path}}}]").test_client()

    [version] = client.get("/api/models/ridge/metadata").json["versions"]

    assert version == {
        "package": "scikit-learn",
        "packaged": "1.3.2",
        "running": sklearn.__version__,
        "drifted": True,
    }


def test_bare_file_release_mismatch_may_fail(make_app):
    path = FOLDER / "1.3.2" / "ridge.pkl.z"
    with pytest.raises(VersionMismatch, match=r"scikit-learn 1.3.2 \(now "):
        load(path, version_mismatch="error")
    client = make_app(f"models: [{{file: {path}, version_mismatch: error}}]").test_client()

    [model] = client.get("/api/models").json["models"]

    assert model["status"] == "failed"
    assert "scikit-learn 1.3.2 (now " in model["reason"]


def test_build_error_names_both_releases(tmp_path, make_app):
    gone(tmp_path)
    client = make_app("models: [{file: old.pkl}]").test_client()

    [model] = client.get("/api/models").json["models"]

    assert model["status"] == "failed"
    assert (
        f"packaged with scikit-learn 1.3.2, this server has {sklearn.__version__}: "
        "install 1.3.2 or package it again" in model["reason"]
    )


@pytest.mark.parametrize("trust", [(), "all"])
def test_trusted_build_error_names_both_releases(tmp_path, trust):
    with pytest.raises(BrokenModel, match=r"NoSuchRegression.*packaged with scikit-learn 1.3.2, "):
        load(gone(tmp_path), trust=trust).load()


def test_same_release_is_not_named(tmp_path):
    with pytest.raises(BrokenModel) as caught:
        load(gone(tmp_path, sklearn.__version__)).load()

    assert "packaged with" not in str(caught.value)


@pytest.mark.parametrize("protocol", range(6))
def test_release_is_read_from_pickles(tmp_path, protocol):
    model = LinearRegression().fit([[1.0], [2.0]], [1.0, 2.0])
    (tmp_path / "plain").write_bytes(pickle.dumps(model, protocol))
    joblib.dump(model, tmp_path / "joblib", compress=3)

    for name in ("plain", "joblib"):
        [version] = load(tmp_path / name).metadata["versions"]
        assert version["packaged"] == version["running"] == sklearn.__version__


def test_the_release_is_read_from_skops(tmp_path):
    skops.io.dump(LinearRegression().fit([[1.0], [2.0]], [1.0, 2.0]), tmp_path / "m.skops")

    [version] = load(tmp_path / "m.skops").metadata["versions"]

    assert version["packaged"] == sklearn.__version__


def test_package_build_error_names_both_releases(tmp_path):
    path = holding(tmp_path / "m.flm", gone(tmp_path).read_bytes())

    with pytest.raises(BrokenModel, match=r"packaged with scikit-learn 1, this server has 1\.\d"):
        load(path).load()
