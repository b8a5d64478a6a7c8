"""A client that openapi-python-client generates from the document, as docs/typed-clients.md does."""

import json
import os
import re
import subprocess
import sys
import textwrap

import pytest

from tests import ROOT
from tests.chromium import serving

DOCS = ROOT / "docs" / "typed-clients.md"
MODELS = {
    "models": [
        {"class": "examples.iris.IrisModel"},
        {"file": str(ROOT / "examples" / "models" / "tickets.flm")},
        {"class": "tests.models.simple.Household"},
        {"class": "tests.models.simple.Explained"},
        {
            "class": "tests.models.simple.Echo",
            "name": "numbers",
            "input_schema": {"enum": [0.0, 1.0]},
        },
        {
            "class": "tests.models.simple.Echo",
            "name": "flags",
            "input_schema": {"enum": [True, False]},
        },
    ]
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("client")


@pytest.fixture(scope="module")
def site(folder):
    with serving(MODELS, folder) as address:
        yield address


@pytest.fixture(scope="module")
def generated(site, folder):
    """What the generator prints; the client is in the folder."""
    generator = os.path.join(os.path.dirname(sys.executable), "openapi-python-client")
    config = folder / "config.json"
    config.write_text(json.dumps({"post_hooks": []}))
    ran = subprocess.run(
        [generator, "generate", "--url", f"{site}/openapi.json", "--config", config],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    return ran.stdout + ran.stderr


def test_generator_skips_nothing(generated):
    assert "WARNING" not in generated
    assert "Warning" not in generated


def test_documented_calls_work(generated, site, folder, capsys, monkeypatch):
    monkeypatch.syspath_prepend(folder / "modelhost-client")
    blocks = re.findall(r"(?:^    .*\n|^\n)+", DOCS.read_text(encoding="utf-8"), re.MULTILINE)
    is_shell = re.compile(r"pip install|curl")
    code = "\n".join(textwrap.dedent(block) for block in blocks if not is_shell.search(block))

    exec(code.replace("http://localhost:8000", site), {})

    printed = capsys.readouterr().out.splitlines()
    assert printed == ["setosa", "billing", "2", "422 /petal_width", "virginica"]
