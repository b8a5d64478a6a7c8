import ast
import subprocess
import sys

import pytest

from tests import ROOT

#: Folder: packages that nothing in it may import.
FORBIDDEN = {
    "mlmodel": {"app", "config", "examples", "flask", "servers", "tests"},
    "app/serving": {
        "app.web",
        "config",
        "examples",
        "flask",
        "servers",
        "tests",
        "werkzeug",
    },
    "app/web": {"app.cli", "config", "examples", "openapi", "servers", "tests", "wsgi"},
    "examples": {"app", "config", "flask", "tests"},
}

FILES = [(path, folder) for folder in FORBIDDEN for path in sorted((ROOT / folder).rglob("*.py"))]


def imports(nodes):
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def within(name, packages):
    return any(name == package or name.startswith(f"{package}.") for package in packages)


@pytest.mark.parametrize(
    ("path", "folder"), FILES, ids=[str(path.relative_to(ROOT)) for path, _ in FILES]
)
def test_imports_go_only_inward(path, folder):
    names = imports(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))

    assert [name for name in names if within(name, FORBIDDEN[folder])] == []


@pytest.mark.parametrize(
    "package", ["mlmodel", "mlmodel.files.bare", "mlmodel.files.packaged", "mlmodel.frameworks"]
)
def test_a_framework_is_imported_when_it_is_first_used(package):
    frameworks = "{'flask', 'joblib', 'keras', 'numpy', 'onnxruntime', 'pandas', 'skops', 'sklearn', 'torch'}"
    program = f"import sys, {package}; print({frameworks} & set(sys.modules))"

    ran = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )

    assert ran.stdout.strip() == "set()"
