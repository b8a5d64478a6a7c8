"""The versions of packages that a model was packaged with, and those installed now."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import (
    PackageNotFoundError,
    PackagePath,
    files,
    packages_distributions,
    version,
)

from mlmodel.errors import VersionMismatch

#: The member of a file's ``extra`` that holds them.
KEY = "versions"
#: Number of version parts that must agree; Python's patch releases change no behaviour. All parts
#: must agree for other packages.
COMPARED_PARTS = {"python": 2}


@dataclass(frozen=True)
class Version:
    """A package's version then and now. ``running`` is ``None`` if it is not installed."""

    package: str
    packaged: str
    running: str | None

    @property
    def drifted(self) -> bool:
        """Whether the two differ in a way that may change predictions."""
        parts = COMPARED_PARTS.get(self.package)
        return _parts(self.packaged, parts) != _parts(self.running or "", parts)


def installed_versions(packages: Iterable[str]) -> dict[str, str]:
    """Return the versions of Python and of the installed ones of these packages."""
    found = {"python": platform.python_version()}
    for package in packages:
        installed = _get_installed(package)
        if installed is not None:
            found[package] = installed
    return found


def distributions(modules: Iterable[str]) -> set[str]:
    """Return the installed distributions of modules, whose names may differ from the modules'."""
    return {distribution for module in modules for distribution in _owners(module)}


def compare(packaged: Mapping[str, str]) -> list[Version]:
    """Return the packaged and the running version of each package."""
    now = installed_versions(packaged)
    return [Version(package, then, now.get(package)) for package, then in packaged.items()]


def check(packaged: Mapping[str, str]) -> None:
    """Reject a model that was packaged with other versions.

    :raises VersionMismatch: naming each that has drifted.
    """
    drifted = [each for each in compare(packaged) if each.drifted]
    if drifted:
        raise VersionMismatch(
            ", ".join(
                f"{each.package} {each.packaged} (now {each.running or 'not installed'})"
                for each in drifted
            )
        )


def advice(packaged: Mapping[str, str]) -> str:
    """Return advice for a model that fails under other versions; empty if they agree.

    If scikit-learn's version differs, only that is named; else each package except Python.
    """
    drifted = {each.package: each for each in compare(packaged) if each.drifted}
    drifted.pop("python", None)
    if "scikit-learn" in drifted:
        drifted = {"scikit-learn": drifted["scikit-learn"]}
    if not drifted:
        return ""
    then = ", ".join(f"{each.package} {each.packaged}" for each in drifted.values())
    now = ", ".join(each.running or "no " + each.package for each in drifted.values())
    older = ", ".join(each.packaged for each in drifted.values())
    return f"packaged with {then}, this server has {now}: install {older} or package it again"


@cache
def _distributions() -> Mapping[str, Sequence[str]]:
    """Return the distributions of each top-level package. Cached, as reading them is slow."""
    return packages_distributions()


@cache
def _owners(module: str) -> Sequence[str]:
    """Return the distributions that contain a module: several may share its top-level package."""
    candidates = _distributions().get(module.partition(".")[0], [])
    if len(candidates) < 2:  # noqa: PLR2004
        return candidates
    path = module.replace(".", "/")
    having = [
        name for name in candidates if any(_is_below(path, each) for each in files(name) or ())
    ]
    return having or candidates


def _is_below(path: str, file: PackagePath) -> bool:
    return str(file).startswith((f"{path}/", f"{path}."))


@cache
def _get_installed(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _parts(text: str, count: int | None) -> list[str]:
    # A local part such as 2.13.0+cpu names the build, not the release.
    return text.partition("+")[0].split(".")[:count]
