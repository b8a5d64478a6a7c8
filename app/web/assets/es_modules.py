"""ES modules joined into one, so that a page loads all of its scripts by one request.

A bundler would need Node.js, or an unofficial wheel of 35 MB with Bun, on each machine that starts
the service. The scripts in ``static/`` use few forms of import and export, and any other is an
error. Each module becomes a function that returns its exports, called in the order in which a
browser evaluates the modules, without comments on lines of their own. Exports are constants and
functions, so copies of them are equal.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

_IMPORT = re.compile(r'^import (?:\{(?P<names>[^}]*)\} from )?"\./(?P<file>\w+\.js)";$', re.M)
_DECLARATION = re.compile(r"^export (?=(?:async )?(?:function|const|class) (?P<name>\w+))", re.M)
_NAMES = re.compile(r"^export \{(?P<names>[^}]*)\};$", re.M)
#: A comment on lines of its own, which a browser does not need.
_COMMENT = re.compile(r"^[ \t]*//.*\n", re.M)
#: What is left of an import or export in a form other than the above.
_UNSUPPORTED = re.compile(r"^(?:import|export)\b.*|\bimport(?:\(|\.meta).*", re.M)


def join(folder: Path, entries: Iterable[str]) -> str:
    """Return one module with the effects of the entries and all modules that they import.

    :param entries: names of files in the folder, in the order in which a page would load them.
    :raises ValueError: for modules that import each other, a name that is not exported, or an
        import or export in a form that is not supported.
    """
    joined = _Joined(folder)
    for entry in entries:
        joined.add(entry)
    return "".join(joined.texts)


class _Joined:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        #: The modules in the order of evaluation.
        self.texts: list[str] = []
        #: The exports of each module; ``None`` until all modules that it imports are added.
        self._exports: dict[str, list[str] | None] = {}

    def add(self, file: str) -> list[str]:
        """Add a module after those that it imports, unless it is there; return its exports."""
        if file in self._exports:
            exports = self._exports[file]
            if exports is None:
                raise ValueError(f"{file} imports itself through other modules")
            return exports
        self._exports[file] = None
        source = _COMMENT.sub("", (self._folder / file).read_text(encoding="utf-8"))
        # As in a browser, imports take effect before all other code of a file.
        imports = [self._import(file, found) for found in _IMPORT.finditer(source)]
        body = _IMPORT.sub("", source)
        exports = [found["name"] for found in _DECLARATION.finditer(body)]
        exports += [name for found in _NAMES.finditer(body) for name in _split(found["names"])]
        body = _NAMES.sub("", _DECLARATION.sub("", body))
        if unsupported := _UNSUPPORTED.search(body):
            raise ValueError(f"{file}: no supported form of import or export: {unsupported[0]}")
        self.texts.append(
            f"const {_variable(file)} = (() => {{\n{''.join(imports)}{body}\n"
            f"return {{ {', '.join(exports)} }};\n}})();\n"
        )
        self._exports[file] = exports
        return exports

    def _import(self, importer: str, found: re.Match[str]) -> str:
        exports = self.add(found["file"])
        names = _split(found["names"] or "")
        if missing := [name for name in names if name.split()[0] not in exports]:
            raise ValueError(f"{importer}: {found['file']} does not export {', '.join(missing)}")
        if not names:
            return ""
        renamed = ", ".join(name.replace(" as ", ": ") for name in names)
        return f"const {{ {renamed} }} = {_variable(found['file'])};\n"


def _split(names: str) -> list[str]:
    return [name.strip() for name in names.split(",") if name.strip()]


def _variable(file: str) -> str:
    """Return the variable with the exports of a module; ``$`` keeps it apart from other names."""
    return f"${file.removesuffix('.js')}"
