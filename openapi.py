"""Write the OpenAPI document of the models in ``models.yaml`` to ``openapi.yaml``.

python openapi.py            write the file
python openapi.py --check    exit with status 1 if the file is stale
"""

from __future__ import annotations

import argparse
import difflib
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import yaml

import config
from app import create_app
from app.serving.errors import InvalidCatalog
from app.web.http.extension import modelhost
from app.web.openapi.spec import build_spec

FILE = config.ROOT / "openapi.yaml"


def main(arguments: Sequence[str]) -> int:
    """Write or check the file; return the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="exit with 1 if the file is stale")
    parser.add_argument("--file", type=Path, default=FILE, help="the file to write or check")
    options = parser.parse_args(arguments)
    document = _document()
    return _check(options.file, document) if options.check else _write(options.file, document)


def _document() -> str:
    app = create_app(os.environ)
    return yaml.safe_dump(
        build_spec(app, modelhost(app).manager.models()),
        sort_keys=False,
        allow_unicode=True,
        width=100,
    )


def _write(file: Path, document: str) -> int:
    file.write_text(document, encoding="utf-8")
    return _print(f"wrote {file.name}")


def _check(file: Path, document: str) -> int:
    found = file.read_text(encoding="utf-8") if file.exists() else ""
    if found == document:
        return _print(f"{file.name} is up to date")
    changes = difflib.unified_diff(
        found.splitlines(), document.splitlines(), file.name, "new document", lineterm=""
    )
    _print("\n".join([*list(changes)[:40], f"{file.name} is stale; to update it: make openapi"]))
    return 1


def _print(text: str) -> int:
    sys.stdout.write(f"{text}\n")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except (config.InvalidSetting, InvalidCatalog) as error:
        sys.exit(str(error))
