"""SECURITY.md refers to existing tests only."""

import re

import pytest

from config import ROOT

PROMISES = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
NAMED = sorted(set(re.findall(r"\btest_\w+", PROMISES)))


@pytest.fixture(scope="module")
def known():
    """The names of all tests, and of their files."""
    files = list((ROOT / "tests").rglob("test_*.py"))
    sources = (file.read_text(encoding="utf-8") for file in files)
    functions = {
        name for source in sources for name in re.findall(r"^def (test_\w+)", source, re.M)
    }
    return functions | {file.stem for file in files}


@pytest.mark.parametrize("name", NAMED)
def test_every_promise_has_its_test(known, name):
    assert name in known
