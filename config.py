"""All settings: their meaning, their unit, and the value that disables them.

``APP_SETTINGS`` selects the class: ``production`` (the default), ``development`` or ``testing``.
An environment variable ``MODELHOST_<NAME>`` overrides a setting; ``HOST``, ``PORT``,
``SERVER``, ``WORKERS`` and ``THREADS`` also work without the prefix. Other modules receive
the values; only those that start a server or a command set variables before.
"""

from __future__ import annotations

import inspect
import ipaddress
import math
import os
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent
PREFIX = "MODELHOST_"
#: Settings whose variables also work without the prefix.
UNPREFIXED = frozenset({"HOST", "PORT", "SERVER", "WORKERS", "THREADS"})


class InvalidSetting(Exception):
    """A setting is unknown or has an invalid value; the message names it and the valid values."""


class Production:
    """Settings of a server that other people use."""

    #: Address on which the server listens. 127.0.0.1 accepts connections from this machine only.
    HOST = "127.0.0.1"
    #: TCP port on which the server listens, from 1 to 65535.
    PORT = 8000
    #: Server processes. 0 starts one for each core that the server may use, at most 8.
    WORKERS = 0
    #: What reads and writes HTTP in each process: granian, in Rust, or gthread, gunicorn's own
    #: threads in Python, which take about twice the processor time.
    SERVER = "granian"
    #: Requests that one process handles at the same time with SERVER=gthread. Set it above
    #: MODEL_THREADS + MODEL_WAITING: a slow model occupies that many threads.
    THREADS = 64
    #: Seconds that a new process waits for its models to predict one example each before it accepts
    #: requests. Slower models continue to warm up while it serves. 0 disables the warm-up.
    WARM_UP_SECONDS = 5.0
    #: The file that lists the models. A relative path starts at the project's folder.
    MODELS_FILE = "models.yaml"
    #: Names of the models in MODELS_FILE that this server hosts, such as "loan iris@2", with the
    #: version of an entry that has one. Empty for all models.
    ONLY_MODELS = ""
    #: How to handle pickles in MODELS_FILE without sha256 or trust: check builds them if they pass
    #: the allow-list, isolate puts all of them into one sandboxed process for each process of the
    #: server, refuse makes them failed.
    UNPINNED = "check"
    #: What computes the predictions of a packaged model if its entry has no ``runtime``: auto
    #: replaces scikit-learn by a graph compiled in the background if that is exact and clearly
    #: faster; native never does.
    RUNTIME = "auto"
    #: The folder of compiled graphs and fetched files, which only this user may change. A relative
    #: path starts at the folder of MODELS_FILE.
    CACHE_FOLDER = "~/.cache/modelhost"
    #: Places whose model files need no sha256 in MODELS_FILE, separated by spaces, such as
    #: "https://files.example/models/ s3://models models:/". Empty for none.
    FETCH_FROM = ""
    #: Maximum size of a model file that is fetched from an address, in bytes.
    FETCH_MAX_BYTES = 4_000_000_000
    #: Seconds that fetching a model file may take.
    FETCH_SECONDS = 300.0
    #: The folder of jobs: the files that were sent, and their results. A relative path starts at
    #: the folder of MODELS_FILE.
    JOBS_FOLDER = "jobs"
    #: The database of jobs: empty for SQLite in JOBS_FOLDER, or a URL of SQLAlchemy such as
    #: "postgresql+psycopg://user:password@host/name" for processes on several machines.
    JOBS_DATABASE = ""
    #: Processes of this server that run jobs, at low priority. 0 leaves them to `modelhost work`.
    JOBS_PROCESSES = 1
    #: Maximum size of the file of a job in bytes, also when it is expanded. 0 disables jobs.
    JOBS_MAX_BYTES = 4_000_000_000
    #: Disk space that jobs leave free, in bytes.
    JOBS_FREE_BYTES = 1_000_000_000
    #: Maximum number of unfinished jobs for each key; without keys, all clients together.
    JOBS_PER_KEY = 20
    #: Days after which the results of a finished job are removed.
    JOBS_KEEP_DAYS = 7.0
    #: Seconds between two checks of MODELS_FILE. If it was written since, the models are reloaded,
    #: as with SIGHUP and POST /api/models/reload. 0 does not watch the file.
    WATCH_SECONDS = 0.0
    #: Maximum size of a request body in bytes.
    MAX_BODY_BYTES = 32_000_000
    #: Maximum nesting depth of arrays and objects in a request body.
    MAX_DEPTH = 64
    #: Seconds within which a request must arrive, and for which a response waits for a client that
    #: does not read it. SERVER=granian limits responses, and replaces a process most of whose
    #: threads wait for requests; SERVER=gthread has no such limit.
    CLIENT_SECONDS = 60.0
    #: Maximum number of rows in one request.
    MAX_ROWS = 100_000
    #: Calls of one model that run at the same time in one process.
    MODEL_THREADS = 4
    #: Calls of one model that may wait for running ones. 0 disables waiting.
    MODEL_WAITING = 48
    #: Seconds that a call may wait and run. 0 for no limit.
    PREDICT_SECONDS = 30.0
    #: Seconds that a model may take to load in a reload or in its own process, and the maximum
    #: processor time for building a file and inferring its schemas. 0 for no limit.
    LOAD_SECONDS = 120.0
    #: Crashes within DEATHS_SECONDS after which a model that was running in each of them is failed,
    #: until its entry or file changes or an operator loads it. 0 for no limit.
    DEATHS = 3
    #: Seconds for which a crash counts.
    DEATHS_SECONDS = 600.0
    #: Value of the header Retry-After when a model is not loaded or its queue is full.
    RETRY_SECONDS = 5
    #: The file that lists the API keys by their hashes. The command `keys new` creates a key. A
    #: relative path starts at the project's folder. Empty for no keys: any client may call the
    #: models.
    KEYS_FILE = ""
    #: The same list in the variable itself: "[{id: ..., name: ..., ...}]". Empty for no keys.
    KEYS = ""
    #: What requires a key if there are keys: all, or only what the scope admin allows.
    KEYS_FOR = "all"
    #: Hours for which a user stays logged in after entering a key on the login page.
    LOGIN_HOURS = 12.0
    #: Key that signs logins, of at least 32 characters. Empty to generate one at each start.
    SECRET_KEY = ""
    #: Rate of requests to /api and /v2/models, and of submitted forms, for each key, and for each
    #: address without a key, such as "100 per minute". Empty for no limit.
    RATE_LIMIT = ""
    #: Where requests are counted: empty for each process separately, or an address such as
    #: "redis://localhost:6379" for all processes together.
    RATE_STORAGE = ""
    #: Origins whose pages may call the API, such as "https://a.example https://b.example:8443", or
    #: "*" for all. Empty for no origins.
    CORS_ORIGINS = ""
    #: Host names that the server accepts in the Host header, such as
    #: "models.example .team.example". Empty for any.
    HOST_NAMES = ""
    #: Number of proxies in front of the server, each of which adds to X-Forwarded-For and
    #: X-Forwarded-Proto. 0 ignores these headers.
    TRUSTED_PROXIES = 0
    #: The header in which these proxies name the user, such as "X-Forwarded-User" (oauth2-proxy) or
    #: "Remote-User" (Authelia), for the logs. Only with TRUSTED_PROXIES. Empty for no header.
    USER_HEADER = ""
    #: The folder of the prediction log, for models with ``log`` in their entry. A relative path
    #: starts at the folder of MODELS_FILE.
    PREDICTION_LOG_FOLDER = "prediction-log"
    #: When /readyz returns 200: if any model is available, if all are, or if those of a list of
    #: names are.
    READY_WHEN = "any"
    #: Whether a response of status 500, and the reason of a failed model, include the model's own
    #: error. The log always contains it.
    TELL_MODEL_ERRORS = False
    #: Name of the portal: in the header of each page, in titles, and in the OpenAPI document.
    PORTAL_NAME = "Modelhost"
    #: Picture next to the name and in the browser's tab: a .svg, .png, .webp or .jpg file. A
    #: relative path starts at the project's folder.
    PORTAL_LOGO = "static/favicon.svg"
    #: Colour of buttons, links and bars, as #rrggbb. It is darkened or lightened where it would not
    #: be readable.
    PORTAL_COLOUR = "#4a4fc4"
    #: Minimum level of what is logged: DEBUG, INFO, WARNING or ERROR.
    LOG_LEVEL = "INFO"
    #: Format of the log: json, a line for each event; text, for people; or auto, text in a terminal
    #: and json otherwise.
    LOG_FORMAT = "auto"
    #: Whether each request is logged, at any LOG_LEVEL.
    ACCESS_LOG = True


class Development(Production):
    """Settings for the author of a model."""

    TELL_MODEL_ERRORS = True
    LOG_LEVEL = "DEBUG"


class Testing(Production):
    """Settings of the tests."""

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

#: Bounds of numbers. By default, integers are at least 1 and other numbers at least 0.
BOUNDS = {
    "CLIENT_SECONDS": (1, 86_400),
    "DEATHS": (0, None),
    "DEATHS_SECONDS": (1, 604_800),
    "JOBS_FREE_BYTES": (0, None),
    "JOBS_KEEP_DAYS": (0.001, 3650),
    "JOBS_MAX_BYTES": (0, None),
    "JOBS_PROCESSES": (0, 8),
    "FETCH_SECONDS": (1, 86_400),
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
#: The password in a URL.
PASSWORD = re.compile(r"(://[^\s/@:]*:)\S*@")
#: Maximum of the default of WORKERS: each process needs memory.
MAX_WORKERS = 8
#: Files with the processor time that a control group may use, and the period for which that holds:
#: in version 2 and in version 1 of Linux control groups.
QUOTAS = (
    ("/sys/fs/cgroup/cpu.max",),
    ("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "/sys/fs/cgroup/cpu/cpu.cfs_period_us"),
)
NOT_EMPTY = frozenset(
    {"HOST", "JOBS_FOLDER", "MODELS_FILE", "PORTAL_NAME", "PREDICTION_LOG_FOLDER"}
)
LOGO_ENDINGS = (".jpg", ".png", ".svg", ".webp")
TRUTH = {"true": True, "1": True, "false": False, "0": False}
CHOICES = {
    "RUNTIME": ("auto", "native"),
    "UNPINNED": ("check", "isolate", "refuse"),
    "KEYS_FOR": ("all", "admin"),
    "LOG_FORMAT": ("auto", "json", "text"),
    "SERVER": ("granian", "gthread"),
    "LOG_LEVEL": ("DEBUG", "INFO", "WARNING", "ERROR"),
}
#: Minimum length of a secret that cannot be guessed.
SECRET_CHARACTERS = 32
ORIGIN = r"https?://(\[[0-9A-Fa-f:]+\]|[A-Za-z0-9.-]+)(:[0-9]{1,5})?"
#: An address without a user or a query; any file in it may be fetched.
PLACE = r"(https?://[^\s/?#@]+|(s3|gs|az|hf|file)://[^\s/?#]*)(/[^\s?#]*)?|(models|runs):/[^\s?#]*"
#: A host as Werkzeug's host_is_trusted expects it: a name, an address, or all names below one.
HOST_NAME = r"\.?[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*|\[[0-9A-Fa-f:]+\]"


def settings(environ: Mapping[str, str]) -> dict[str, Any]:
    """Return all settings, with the values of the environment.

    :raises InvalidSetting: if a setting or class is unknown, or a value is invalid.
    """
    class_name = _choose("APP_SETTINGS", environ.get("APP_SETTINGS", "production"), CLASSES)
    values = defaults(CLASSES[class_name])
    for variable, text in environ.items():
        name = variable.removeprefix(PREFIX)
        if variable == name and name not in UNPREFIXED:
            continue
        if name not in values:
            raise InvalidSetting(f"unknown setting {variable!r}; valid settings: {_join(values)}")
        values[name] = _parse(variable, name, text, type(values[name]))
    if values["USER_HEADER"] and not values["TRUSTED_PROXIES"]:
        raise InvalidSetting(
            "USER_HEADER requires TRUSTED_PROXIES: without a proxy, any client can send the header"
        )
    values["WORKERS"] = values["WORKERS"] or min(usable_cores(), MAX_WORKERS)
    return values


def get_models_folder(values: Mapping[str, Any]) -> Path:
    """Return the folder of MODELS_FILE."""
    return (ROOT / Path(values["MODELS_FILE"])).parent


def get_folder(values: Mapping[str, Any], name: str) -> Path:
    """Return the folder in a setting whose relative paths start at the folder of MODELS_FILE."""
    return get_models_folder(values) / Path(values[name]).expanduser()


def is_loopback(host: str) -> bool:
    """Return whether only programs on this machine reach an address to listen on."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:  # a host name
        return host == "localhost"


def defaults(settings_class: type[Production] = Production) -> dict[str, Any]:
    """Return the settings of a class, without the environment."""
    return {name: value for name, value in inspect.getmembers(settings_class) if name.isupper()}


def usable_cores(quotas: Sequence[Sequence[str]] = QUOTAS) -> int:
    """Return how many cores this process may use, according to its affinity and control group.

    :param quotas: the files with quota and period of the control group, see :data:`QUOTAS`.
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


def _parse(variable: str, name: str, text: str, kind: type) -> Any:
    if kind is bool:
        return TRUTH[_choose(variable, text.lower(), TRUTH)]
    if name in CHOICES:
        return _choose(variable, text, CHOICES[name])
    if name in FORMATS:
        return FORMATS[name](variable, text)
    if name in NOT_EMPTY and not text:
        raise InvalidSetting(f"{variable} must not be empty")
    if kind is str:
        return text
    return _parse_number(variable, text, kind, *BOUNDS.get(name, (1 if kind is int else 0, None)))


def _check_rate(variable: str, text: str) -> str:
    if not text:
        return text
    # It takes 0.2 seconds, which most servers and commands need not spend.
    import limits  # noqa: PLC0415

    try:
        limits.parse_many(text)
    except ValueError:
        raise InvalidSetting(
            f"{variable} must be a rate such as '100 per minute', got {text!r}"
        ) from None
    return text


def _check_colour(variable: str, text: str) -> str:
    if not re.fullmatch(r"#[0-9a-fA-F]{6}", text):
        raise InvalidSetting(f"{variable} must be a colour such as '#4a4fc4', got {text!r}")
    return text


def _check_logo(variable: str, text: str) -> str:
    if not text.endswith(LOGO_ENDINGS) or not (ROOT / text).is_file():
        raise InvalidSetting(
            f"{variable} must be an existing file that ends in one of {_join(LOGO_ENDINGS)}, "
            f"got {text!r}"
        )
    return text


def _check_storage(variable: str, text: str) -> str:
    if not text:
        return text
    from limits.errors import ConfigurationError  # noqa: PLC0415
    from limits.storage import storage_from_string  # noqa: PLC0415

    try:
        storage_from_string(text)
    except (ConfigurationError, ValueError) as error:
        raise InvalidSetting(
            f"{variable} must be empty or an address such as 'redis://localhost:6379' whose "
            "package is installed, got " + PASSWORD.sub(r"\1***@", f"{text!r}: {error}")
        ) from None
    return text


def _check_database(variable: str, text: str) -> str:
    if not text:
        return text
    from sqlalchemy import create_engine  # noqa: PLC0415  slow, and most servers set no database
    from sqlalchemy.exc import ArgumentError, NoSuchModuleError  # noqa: PLC0415

    try:
        create_engine(text).dispose()
    except (ArgumentError, NoSuchModuleError, ModuleNotFoundError) as error:
        raise InvalidSetting(
            f"{variable} must be empty or a URL of SQLAlchemy such as "
            "'postgresql+psycopg://host/database' whose driver is installed, got "
            + PASSWORD.sub(r"\1***@", f"{text!r}: {error}")
        ) from None
    return text


def _check_origins(variable: str, text: str) -> str:
    expected = "'*' or origins such as 'https://a.example', separated by spaces and without a path"
    return text if text == "*" else _check_each(variable, text, ORIGIN, expected)


def _check_places(variable: str, text: str) -> str:
    expected = (
        "places such as 'https://files.example/models/', 's3://models' or 'models:/', separated by "
        "spaces"
    )
    return _check_each(variable, text, PLACE, expected)


def _check_host_names(variable: str, text: str) -> str:
    expected = (
        "names such as 'models.example', or '.example' for all below it, separated by spaces and "
        "without ports"
    )
    return _check_each(variable, text, HOST_NAME, expected)


def _check_each(variable: str, text: str, pattern: str, expected: str) -> str:
    if not all(re.fullmatch(pattern, each) for each in text.split()):
        raise InvalidSetting(f"{variable} must be {expected}, got {text!r}")
    return text


def _check_secret(variable: str, text: str) -> str:
    if text and len(text) < SECRET_CHARACTERS:
        raise InvalidSetting(
            f"{variable} must have at least {SECRET_CHARACTERS} characters, got {len(text)}"
        )
    return text


def _check_user_header(variable: str, text: str) -> str:
    if not re.fullmatch(r"([A-Za-z0-9]+(-[A-Za-z0-9]+)+)?", text):
        raise InvalidSetting(
            f"{variable} must be the name of a header such as 'X-Forwarded-User', got {text!r}"
        )
    return text


def _check_ready_when(variable: str, text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_.-]+([ ,]+[A-Za-z0-9_.-]+)*", text):
        raise InvalidSetting(
            f"{variable} must be 'any', 'all' or names of models, separated by commas or spaces, "
            f"got {text!r}"
        )
    return text


#: Checks of the settings whose text has a format.
FORMATS = {
    "CORS_ORIGINS": _check_origins,
    "FETCH_FROM": _check_places,
    "HOST_NAMES": _check_host_names,
    "PORTAL_COLOUR": _check_colour,
    "PORTAL_LOGO": _check_logo,
    "RATE_LIMIT": _check_rate,
    "JOBS_DATABASE": _check_database,
    "RATE_STORAGE": _check_storage,
    "READY_WHEN": _check_ready_when,
    "SECRET_KEY": _check_secret,
    "USER_HEADER": _check_user_header,
}


def _choose(variable: str, text: str, choices: Collection[str]) -> str:
    """Return the choice that a text names in any case."""
    for choice in choices:
        if text.lower() == choice.lower():
            return choice
    raise InvalidSetting(f"{variable} must be one of {_join(choices)}, got {text!r}")


def _parse_number(variable: str, text: str, kind: type, low: float, high: float | None) -> Any:
    try:
        number = kind(text)
    except ValueError:
        number = math.nan
    if not low <= number <= (high or math.inf):
        what = "a whole number" if kind is int else "a number"
        bounds = f"of at least {low}" if high is None else f"from {low} to {high}"
        raise InvalidSetting(f"{variable} must be {what} {bounds}, got {text!r}")
    return number


def _join(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))
