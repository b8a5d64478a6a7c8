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
import limits.errors
import limits.storage

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
    #: Server processes. 0 for one for each core that the server may use, at most 8.
    WORKERS = 0
    #: Requests that one process answers at the same time. More than MODEL_THREADS +
    #: MODEL_WAITING, or one slow model keeps all of them.
    THREADS = 64
    #: Seconds for which a new process lets its models answer an example each before it takes
    #: requests. Models that are slower do so beside the requests. 0 asks none.
    WARM_UP_SECONDS = 5.0
    #: The file that names the models; a relative path starts at the project's folder.
    MODELS_FILE = "models.yaml"
    #: What becomes of pickles in MODELS_FILE without sha256 or trust: check builds them as far as
    #: the allow-list lets them, isolate puts all of them into one sandboxed process for each
    #: process of the server, refuse fails them.
    UNPINNED = "check"
    #: Seconds between two looks at MODELS_FILE: if it was written since, it is read again, and its
    #: models take the place of those before. 0 looks never: SIGHUP and POST /api/models/reload do
    #: the same.
    WATCH_SECONDS = 0.0
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
    #: Seconds that a model may take to load in a reload, or in its own process, and the most
    #: processor time for building a file and inferring its schemas. 0 for no limit.
    LOAD_SECONDS = 120.0
    #: Crashes within DEATHS_SECONDS after which a model that was running in each of them is failed,
    #: until its entry or file changes or an operator loads it. 0 for no limit.
    DEATHS = 3
    #: Seconds for which a crash is remembered.
    DEATHS_SECONDS = 600.0
    #: Seconds after which a client that was told "not now" may ask again (Retry-After).
    RETRY_SECONDS = 5
    #: The file that names the API keys by their hashes; `flask keys new` makes one. A relative path
    #: starts at the project's folder. Empty for no keys: whoever reaches the server may ask.
    KEYS_FILE = ""
    #: The same as a list in the variable itself: "[{id: ..., name: ..., ...}]". Empty for none.
    KEYS = ""
    #: What needs a key where there are any: all, or only admin (loading and unloading models).
    KEYS_FOR = "all"
    #: Hours for which somebody who has typed a key into the login page stays logged in.
    LOGIN_HOURS = 12.0
    #: What logins are signed with, of at least 32 characters. Empty for one that each start makes.
    SECRET_KEY = ""
    #: Requests to /api, and forms sent, that one key, or one address without one, may send, such
    #: as "100 per minute". Empty for no limit.
    RATE_LIMIT = ""
    #: Where they are counted: empty for each process by itself, or "redis://..." for all together.
    RATE_STORAGE = ""
    #: Origins whose pages may ask here, such as "https://a.example https://b.example:8443", or "*".
    #: Empty for none.
    CORS_ORIGINS = ""
    #: Names by which the server may be asked (Host), such as "models.example .team.example". Empty
    #: for any.
    HOST_NAMES = ""
    #: Proxies in front of the server, each of which adds to X-Forwarded-For and -Proto. 0 believes
    #: none of these headers.
    TRUSTED_PROXIES = 0
    #: When /readyz says ready: if any model answers, if all do, or if those of a list of names do.
    READY_WHEN = "any"
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
    #: How it is logged: json, a line for each event; text, for people; or auto, text in a terminal
    #: and json anywhere else.
    LOG_FORMAT = "auto"
    #: Whether each request is logged, whatever LOG_LEVEL says.
    ACCESS_LOG = True


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
    ACCESS_LOG = False


CLASSES: Mapping[str, type[Production]] = {
    "development": Development,
    "production": Production,
    "testing": Testing,
}

#: Settings whose numbers have other bounds than "at least 1".
BOUNDS = {
    "CLIENT_SECONDS": (1, 86_400),
    "DEATHS": (0, None),
    "DEATHS_SECONDS": (1, 604_800),
    "LOAD_SECONDS": (0, 86_400),
    "LOGIN_HOURS": (0.01, 8760),
    "MODEL_WAITING": (0, None),
    "PORT": (1, 65535),
    "PREDICT_SECONDS": (0, 86_400),
    "TRUSTED_PROXIES": (0, 10),
    "WARM_UP_SECONDS": (0, 3600),
    "WATCH_SECONDS": (0, 3600),
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
CHOICES = {
    "UNPINNED": ("check", "isolate", "refuse"),
    "KEYS_FOR": ("all", "admin"),
    "LOG_FORMAT": ("auto", "json", "text"),
    "LOG_LEVEL": ("DEBUG", "INFO", "WARNING", "ERROR"),
}
#: Characters of a secret that nobody guesses.
SECRET_CHARACTERS = 32
ORIGIN = r"https?://(\[[0-9A-Fa-f:]+\]|[A-Za-z0-9.-]+)(:[0-9]{1,5})?"
#: A host as Werkzeug's host_is_trusted takes it: a name, an address, or all names below one.
HOST_NAME = r"\.?[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*|\[[0-9A-Fa-f:]+\]"


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
        return _choice(variable, text, CHOICES[name])
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


def _storage(variable: str, text: str) -> str:
    try:
        if text:
            limits.storage.storage_from_string(text)
    except (limits.errors.ConfigurationError, ValueError) as error:
        raise InvalidSetting(
            f"{variable} must be empty or an address such as 'redis://localhost:6379', for which "
            f"its package is installed, got {text!r}: {error}"
        ) from None
    return text


def _origins(variable: str, text: str) -> str:
    if text != "*" and not all(re.fullmatch(ORIGIN, each) for each in text.split()):
        raise InvalidSetting(
            f"{variable} must be '*' or origins such as 'https://a.example', with spaces between "
            f"them and no path, got {text!r}"
        )
    return text


def _host_names(variable: str, text: str) -> str:
    if not all(re.fullmatch(HOST_NAME, each) for each in text.split()):
        raise InvalidSetting(
            f"{variable} must be names such as 'models.example', or '.example' for all below it, "
            f"with spaces between them and without ports, got {text!r}"
        )
    return text


def _secret(variable: str, text: str) -> str:
    if text and len(text) < SECRET_CHARACTERS:
        raise InvalidSetting(f"{variable} must have at least {SECRET_CHARACTERS} characters")
    return text


def _readiness(variable: str, text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_.-]+([ ,]+[A-Za-z0-9_.-]+)*", text):
        raise InvalidSetting(f"{variable} must be any, all, or names of models, got {text!r}")
    return text


#: Settings whose text has a form of its own.
FORMATS = {
    "CORS_ORIGINS": _origins,
    "HOST_NAMES": _host_names,
    "PORTAL_COLOUR": _colour,
    "PORTAL_LOGO": _logo,
    "RATE_LIMIT": _rate,
    "RATE_STORAGE": _storage,
    "READY_WHEN": _readiness,
    "SECRET_KEY": _secret,
}


def _choice(variable: str, text: str, choices: Sequence[str]) -> str:
    for choice in choices:
        if text.lower() == choice.lower():
            return choice
    raise InvalidSetting(f"{variable} must be one of {_listed(choices)}, got {text!r}")


def _chosen(variable: str, text: str, choices: Mapping[str, Any]) -> Any:
    if text not in choices:
        raise InvalidSetting(f"{variable} must be one of {_listed(choices)}, got {text!r}")
    return choices[text]


def _number(variable: str, text: str, kind: type, low: float, high: float | None) -> Any:
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
