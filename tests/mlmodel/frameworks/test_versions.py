import platform

import pytest

from mlmodel.errors import VersionMismatch
from mlmodel.frameworks import versions

PYTHON = platform.python_version()


def test_the_running_versions_are_those_that_are_installed():
    found = versions.running(["jsonschema", "no-such-package"])

    assert found["python"] == PYTHON
    assert set(found) == {"python", "jsonschema"}


@pytest.mark.parametrize(
    ("packaged", "drifted"),
    [
        ({"python": PYTHON}, False),
        ({"python": PYTHON.rpartition(".")[0] + ".999"}, False),
        ({"python": "3.2.1"}, True),
        (versions.running(["jsonschema"]), False),
        ({"jsonschema": "0.1"}, True),
        ({"jsonschema": versions.running(["jsonschema"])["jsonschema"] + "+local"}, False),
        ({"no-such-package": "1.0"}, True),
    ],
    ids=str,
)
def test_a_version_has_drifted_if_it_may_change_the_answers(packaged, drifted):
    assert any(each.drifted for each in versions.compare(packaged)) is drifted


def test_what_has_drifted_is_named():
    with pytest.raises(VersionMismatch, match=r"jsonschema 0.1 \(now [0-9.]+\), gone 2 \(now not"):
        versions.check({"jsonschema": "0.1", "gone": "2"})


def test_what_has_not_drifted_passes():
    versions.check(versions.running(["jsonschema"]))


@pytest.mark.parametrize(
    ("module", "distribution"),
    [
        ("sklearn.pipeline", {"scikit-learn"}),
        ("imblearn.pipeline", {"imbalanced-learn"}),
        ("builtins", set()),
        ("tests.models", set()),
    ],
)
def test_a_module_is_of_the_distribution_that_brought_it(module, distribution):
    pytest.importorskip(module.partition(".")[0])

    assert versions.distributions([module]) == distribution
