"""The files of the test estimators, which several modules read."""

import functools

import pytest

from mlmodel import dump
from mlmodel.trust.trial import trial_build
from tests.estimators import built


@pytest.fixture(scope="session")
def case_file(tmp_path_factory):
    """A function from a case to its file, written on first use with its data as a sample.

    For ``"object"``, the file has only what the estimator itself contains.
    """
    folder = tmp_path_factory.mktemp("cases")

    @functools.cache
    def written(name, way="sample"):
        case, path = built(name), folder / f"{name}-{way}.flm"
        sample = case.data if way == "sample" else None
        dump(case.model, path, sample=sample, outputs=case.outputs)
        return path

    return written


@pytest.fixture(scope="module")
def without_trials():
    """Build files without a trial, which takes a quarter of a second: test_estimators.py has it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trial_build._TRIALS, "is_enabled", False)
        yield
