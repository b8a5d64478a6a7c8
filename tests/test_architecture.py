import ast
import subprocess
import sys
from collections import Counter

import pytest

from tests import ROOT

#: Folder: packages that nothing in it may import.
FORBIDDEN = {
    "mlmodel": {"app", "config", "examples", "flask", "servers", "tests"},
    "app/serving": {"app.web", "config", "examples", "flask", "servers", "tests", "werkzeug"},
    "app/web": {"app.cli", "config", "examples", "openapi", "servers", "tests", "wsgi"},
    "app": {"servers", "tests", "wsgi"},
    "examples": {"app", "config", "flask", "tests"},
}
#: Layer or package: its packages, from the top down. Each imports only those that come after it.
PACKAGES = {
    "mlmodel": (
        "files",
        "frameworks",
        "foreign",
        "declarations",
        "reference",
        "trust",
        "bounded",
        "schema",
    ),
    "mlmodel/frameworks/sklearn": ("onnx", "predict", "schemas"),
    "app/serving": (
        "reload",
        "monitoring",
        "compiling",
        "jobs",
        "explaining",
        "models",
        "isolation",
        "catalog",
        "fetching",
        "prediction_log",
        "remote",
        "tensors",
        "tables",
        "calls",
        "process",
    ),
    "app/web": ("pages", "mcp", "openapi", "api", "assets", "http"),
}
#: Modules in one folder.
MOST_MODULES = 10


def imports(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def within(name, packages):
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def named(path):
    return str(path.relative_to(ROOT))


def violations(folder, forbidden):
    """Return the imports of these names in the modules of a folder, by module."""
    found = {
        named(path): [name for name in imports(path) if within(name, forbidden)]
        for path in sorted((ROOT / folder).rglob("*.py"))
    }
    return {path: names for path, names in found.items() if names}


@pytest.mark.parametrize("folder", FORBIDDEN)
def test_imports_point_down_the_layers(folder):
    assert violations(folder, FORBIDDEN[folder]) == {}


@pytest.mark.parametrize(
    ("layer", "package"),
    [(layer, each) for layer, packages in PACKAGES.items() for each in packages],
)
def test_imports_point_down_the_packages(layer, package):
    packages = PACKAGES[layer]
    prefix = layer.replace("/", ".")
    above = {f"{prefix}.{each}" for each in packages[: packages.index(package)]}

    assert violations(f"{layer}/{package}", above) == {}


@pytest.mark.parametrize("layer", PACKAGES)
def test_every_package_has_its_place(layer):
    found = {path.parent.name for path in (ROOT / layer).glob("*/__init__.py")}

    assert found == set(PACKAGES[layer])


@pytest.mark.parametrize("layer", [*PACKAGES, "app/cli", "servers"])
def test_module_names_are_unique(layer):
    names = Counter(path.stem for path in (ROOT / layer).rglob("*.py") if path.stem != "__init__")

    assert [name for name, count in names.items() if count > 1] == []


@pytest.mark.parametrize("root", ["app", "mlmodel", "servers"])
def test_folders_hold_few_modules(root):
    folders = Counter(
        path.parent for path in (ROOT / root).rglob("*.py") if path.stem != "__init__"
    )

    assert {named(folder): count for folder, count in folders.items() if count > MOST_MODULES} == {}


@pytest.mark.parametrize(
    "package", ["mlmodel", "mlmodel.files.reading", "mlmodel.files.packaged", "mlmodel.frameworks"]
)
def test_frameworks_are_imported_when_first_used(package):
    frameworks = "{'flask', 'joblib', 'keras', 'numpy', 'onnxruntime', 'pandas', 'skops', 'sklearn', 'torch'}"
    program = f"import sys, {package}; print({frameworks} & set(sys.modules))"

    ran = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )

    assert ran.stdout.strip() == "set()"
