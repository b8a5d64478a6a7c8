"""The virtual environments of the peers, created when first needed."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

FOLDER = Path(__file__).parent
#: Seconds that one installation may take.
INSTALL_SECONDS = 900


class InstallFailed(Exception):
    """A peer could not be installed; the message ends with pip's output."""


def programs(requirements: str | None, log: Callable[[str], None]) -> Path:
    """Return the folder with the programs of an environment.

    :param requirements: the name of a file in requirements/; None for the current environment.
    :raises InstallFailed: if pip fails or takes too long.
    """
    if requirements is None:
        return Path(sys.executable).parent
    pins = FOLDER / "requirements" / f"{requirements}.txt"
    folder = FOLDER / ".envs" / requirements
    installed = folder / "installed"
    expected = f"{hashlib.sha256(pins.read_bytes()).hexdigest()} Python {sys.version}"
    if not installed.exists() or installed.read_text() != expected:
        log(f"Installing {requirements} in {folder} (once, about a minute) ...")
        _run([sys.executable, "-m", "venv", "--clear", str(folder)], requirements)
        pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet"]
        pip += ["--disable-pip-version-check", "--progress-bar=off", "-r", str(pins)]
        _run(pip, requirements)
        installed.write_text(expected)
    return folder / "bin"


def _run(command: list[str], requirements: str) -> None:
    try:
        process = subprocess.run(
            command, capture_output=True, text=True, timeout=INSTALL_SECONDS, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise InstallFailed(
            f"{requirements} was not installed within {INSTALL_SECONDS} seconds"
        ) from error
    if process.returncode:
        raise InstallFailed(f"{requirements} cannot be installed: {process.stderr.strip()[-2000:]}")
