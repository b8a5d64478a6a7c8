"""Every setting, once: its meaning, its unit, and what switches it off.

``APP_SETTINGS`` chooses the class: ``production`` (the default), ``development`` or ``testing``.
An environment variable ``MODELHOST_<NAME>`` overrides a setting; ``HOST``, ``PORT``, ``WORKERS``
and ``THREADS`` do without the prefix as well. Nothing else reads the environment.
"""

from __future__ import annotations

import inspect
import math
import os
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import limits

ROOT = Path(__file__).parent
PREFIX = "MODELHOST_"
#: Settings that are read without the prefix as well.
BARE = frozenset({"HOST", "PORT", "WORKERS", "THREADS"})


class InvalidSetting(Exception):
    """A setting is unknown or has a wrong value; the message names it and what it may be."""


class Production:
    """What a service for others runs with."""

    #: Address on which the server listens. 127.0.0.1 is reached from this machine alone.
    HOST = "127.0.0.1"
    #: TCP port on which the server listens, from 1 to 65535.
    PORT = 8000
    #: Server processes. 0 for one for each core that the server may use, at most 8. Loading and
    #: unloading at run time reach one process only.
    WORKERS = 0
    #: Requests that one process answers at the same time. More than MODEL_THREADS +
    #: MODEL_WAITING, or one slow model keeps all of them.
    THREADS = 64
    #: Seconds for which a new process lets its models answer an example each before it takes
    #: requests. Models that are slower do so beside the requests. 0 asks none.
    WARM_UP_SECONDS = 5.0
    #: The file that names the models; a relative path starts at the project's folder.
    MODELS_FILE = "models.yaml"
    #: Bytes that the body of a request may have.
    MAX_BODY_BYTES = 32_000_000
    #: Levels to which arrays and objects in the body of a request may be nested.
    MAX_DEPTH = 64
    #: Seconds within which a request must have come, and for which an answer may wait for a client
    #: that takes nothing of it. gunicorn keeps to it.
    CLIENT_SECONDS = 60.0
    #: Rows that one request may have.
    MAX_ROWS = 100_000
    #: Calls of one model that run at the same time in one process.
    MODEL_THREADS = 4
    #: Calls of one model that may wait for those that run. 0 lets none wait.
    MODEL_WAITING = 48
    #: Seconds that a call may wait and run. 0 for no limit.
    PREDICT_SECONDS = 30.0
    #: Seconds after which a client that was told "not now" may ask again (Retry-After).
    RETRY_SECONDS = 5
    #: Requests that one address may send to /api, such as "100 per minute". Empty for no limit.
    #: Each process counts for itself.
    RATE_LIMIT = ""
    #: Whether models may be loaded and unloaded over HTTP. Anybody who reaches the server may
    #: then do so; false answers 403.
    MODEL_CONTROL = True
    #: Whether an answer of status 500 tells the model's own error. It is always in the log.
    TELL_MODEL_ERRORS = False
    #: What the portal is called: in its header, in titles, in the OpenAPI document.
    PORTAL_NAME = "Modelhost"
    #: The picture beside the name and in the browser's tab: a .svg, .png, .webp or .jpg file. A
    #: relative path starts at the project's folder.
    PORTAL_LOGO = "static/favicon.svg"
    #: The colour of buttons, links and bars, as #rrggbb. It is made darker or lighter where it
    #: could not be read otherwise.
    PORTAL_COLOUR = "#4a4fc4"
    #: What is logged: DEBUG, INFO, WARNING or ERROR.
    LOG_LEVEL = "INFO"


class Development(Production):
    """What an author of models runs with."""

    TELL_MODEL_ERRORS = True
    LOG_LEVEL = "DEBUG"


class Testing(Production):
    """What the tests run with."""

    MAX_BODY_BYTES = 100_000
    MAX_ROWS = 1_000
    MODEL_THREADS = 2
    MODEL_WAITING = 2
    TELL_MODEL_ERRORS = False
    LOG_LEVEL = "WARNING"


CLASSES: Mapping[str, type[Production]] = {
    "development": Development,
    "production": Production,
    "testing": Testing,
}

#: Settings whose numbers have other bounds than "at least 1".
BOUNDS = {
    "CLIENT_SECONDS": (1, 86_400),
    "MODEL_WAITING": (0, None),
    "PORT": (1, 65535),
    "PREDICT_SECONDS": (0, 86_400),
    "WARM_UP_SECONDS": (0, 3600),
    "WORKERS": (0, None),
}
#: Server processes, if nobody says how many. Each takes memory.
MOST_WORKERS = 8
#: What a control group may use of the processors' time, and of how much: in version 2 of Linux'
#: control groups, and in version 1.
QUOTAS = (
    ("/sys/fs/cgroup/cpu.max",),
    ("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "/sys/fs/cgroup/cpu/cpu.cfs_period_us"),
)
NOT_EMPTY = frozenset({"HOST", "MODELS_FILE", "PORTAL_NAME"})
LOGO_ENDINGS = (".jpg", ".png", ".svg", ".webp")
TRUTH = {"true": True, "1": True, "false": False, "0": False}
CHOICES = {"LOG_LEVEL": ("DEBUG", "INFO", "WARNING", "ERROR")}


def settings(environ: Mapping[str, str]) -> dict[str, Any]:
    """Return all settings as the environment wants them.

    :raises InvalidSetting: naming an unknown setting or class, or a wrong value.
    """
    chosen = environ.get("APP_SETTINGS", "production")
    if chosen not in CLASSES:
        raise InvalidSetting(f"APP_SETTINGS must be one of {_listed(CLASSES)}, got {chosen!r}")
    values = defaults(CLASSES[chosen])
    for variable, text in environ.items():
        name = variable.removeprefix(PREFIX)
        if variable == name and name not in BARE:
            continue
        if name not in values:
            raise InvalidSetting(f"{variable} is no setting; the settings are {_listed(values)}")
        values[name] = _value(variable, name, text, type(values[name]))
    values["WORKERS"] = values["WORKERS"] or min(usable_cores(), MOST_WORKERS)
    return values


def defaults(chosen: type[Production] = Production) -> dict[str, Any]:
    """Return the settings of a class, as it is written."""
    return {name: value for name, value in inspect.getmembers(chosen) if name.isupper()}


def usable_cores(quotas: Sequence[Sequence[str]] = QUOTAS) -> int:
    """Return how many cores this process may keep busy, by its affinity and its control group.

    :param quotas: files that say how much of the processors' time, in how much time.
    """
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    else:
        cores = os.cpu_count() or 1
    for files in quotas:
        with suppress(OSError, ValueError):  # no such file, or no limit
            quota, period = " ".join(Path(file).read_text() for file in files).split()
            if int(quota) > 0:
                cores = min(cores, math.ceil(int(quota) / int(period)))
    return max(cores, 1)


def _value(variable: str, name: str, text: str, kind: type) -> Any:
    if kind is bool:
        return _chosen(variable, text.lower(), TRUTH)
    if name in CHOICES:
        return _chosen(variable, text.upper(), {choice: choice for choice in CHOICES[name]})
    if name in FORMATS:
        return FORMATS[name](variable, text)
    if name in NOT_EMPTY and not text:
        raise InvalidSetting(f"{variable} must not be empty")
    if kind is str:
        return text
    return _number(variable, text, kind, *BOUNDS.get(name, (1 if kind is int else 0, None)))


def _rate(variable: str, text: str) -> str:
    try:
        if text:
            limits.parse_many(text)
    except ValueError:
        raise InvalidSetting(
            f"{variable} must be a rate such as '100 per minute', got {text!r}"
        ) from None
    return text


def _colour(variable: str, text: str) -> str:
    if not re.fullmatch(r"#[0-9a-fA-F]{6}", text):
        raise InvalidSetting(f"{variable} must be a colour such as '#4a4fc4', got {text!r}")
    return text


def _logo(variable: str, text: str) -> str:
    if not text.endswith(LOGO_ENDINGS) or not (ROOT / text).is_file():
        raise InvalidSetting(
            f"{variable} must be a file that ends in one of {_listed(LOGO_ENDINGS)}, got {text!r}"
        )
    return text


#: Settings whose text has a form of its own.
FORMATS = {"PORTAL_COLOUR": _colour, "PORTAL_LOGO": _logo, "RATE_LIMIT": _rate}


def _chosen(variable: str, text: str, choices: Mapping[str, Any]) -> Any:
    if text not in choices:
        raise InvalidSetting(f"{variable} must be one of {_listed(choices)}, got {text!r}")
    return choices[text]


def _number(variable: str, text: str, kind: type, low: int, high: int | None) -> Any:
    what = "a whole number" if kind is int else "a number"
    allowed = f"{what} of at least {low}" if high is None else f"{what} from {low} to {high}"
    try:
        number = kind(text)
    except ValueError:
        raise InvalidSetting(f"{variable} must be {allowed}, got {text!r}") from None
    if not low <= number <= (high or float("inf")):
        raise InvalidSetting(f"{variable} must be {allowed}, got {text!r}")
    return number


def _listed(names: Any) -> str:
    return ", ".join(sorted(names))
