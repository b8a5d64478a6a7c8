import platform

import pytest

from mlmodel.errors import VersionMismatch
from mlmodel.frameworks import versions

PYTHON = platform.python_version()


def test_running_versions_are_installed_versions():
    found = versions.installed_versions(["jsonschema", "no-such-package"])

    assert found["python"] == PYTHON
    assert set(found) == {"python", "jsonschema"}


@pytest.mark.parametrize(
    ("packaged", "drifted"),
    [
        ({"python": PYTHON}, False),
        ({"python": PYTHON.rpartition(".")[0] + ".999"}, False),
        ({"python": "3.2.1"}, True),
        (versions.installed_versions(["jsonschema"]), False),
        ({"jsonschema": "0.1"}, True),
        (
            {"jsonschema": versions.installed_versions(["jsonschema"])["jsonschema"] + "+local"},
            False,
        ),
        ({"no-such-package": "1.0"}, True),
    ],
    ids=str,
)
def test_drift_ignores_harmless_differences(packaged, drifted):
    assert any(each.drifted for each in versions.compare(packaged)) is drifted


def test_drifted_packages_are_named():
    with pytest.raises(VersionMismatch, match=r"jsonschema 0.1 \(now [0-9.]+\), gone 2 \(now not"):
        versions.check({"jsonschema": "0.1", "gone": "2"})


def test_equal_versions_pass():
    versions.check(versions.installed_versions(["jsonschema"]))


@pytest.mark.parametrize(
    ("module", "distribution"),
    [
        ("sklearn.pipeline", {"scikit-learn"}),
        ("imblearn.pipeline", {"imbalanced-learn"}),
        ("builtins", set()),
        ("tests.models", set()),
    ],
)
def test_module_belongs_to_its_distribution(module, distribution):
    pytest.importorskip(module.partition(".")[0])

    assert versions.distributions([module]) == distribution
