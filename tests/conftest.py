"""Shared fixtures: applications with test models."""

import gc
import os
from collections import Counter
from functools import partial
from importlib import import_module

import pytest
from click.testing import CliRunner
from hypothesis import settings
from werkzeug.routing import Rule

from app import create_app
from app.cli.groups import build_groups, build_modelhost
from app.serving.models.manager import ModelManager
from app.serving.process import thread_pools
from mlmodel.trust.trial import trial_server
from tests import DATA
from tests.chromium import browsing, keep_picture, leave, watched
from tests.postgresql import serving_postgresql

# Collecting tests creates a million objects that stay. See `_libraries_are_not_collected`.
gc.disable()

# As in a server: several tests run at once, and their pools of threads would fight for the cores.
thread_pools.limit(os.environ)

# Examples may take long on a busy machine. Speed is tested by CPU time.
settings.register_profile("modelhost", deadline=None, max_examples=100)
# `make test ARGS=--hypothesis-profile=thorough` looks for rarer faults.
settings.register_profile("thorough", deadline=None, max_examples=2000)
settings.load_profile("modelhost")

MODELS = DATA / "models.yaml"
#: The example models, independent of the models.yaml in the repository.
EXAMPLES = DATA / "examples.yaml"


#: Size in bytes from which a parameter gets a short id.
LONG_BYTES = 19
#: Folders of tests that wait for servers, browsers and other processes.
WAITING = {"browser", "isolation", "openapi", "security", "servers"}
#: Modules that most tests import, with some hundred thousand objects.
LIBRARIES = ("openpyxl", "pandas", "sklearn.ensemble", "sklearn.linear_model", "sklearn.pipeline")


@pytest.fixture(scope="session", autouse=True)
def _libraries_are_not_collected():
    """Leave libraries out of garbage collections, of which each application makes one."""
    for library in LIBRARIES:
        import_module(library)
    gc.collect()
    gc.freeze()
    gc.enable()


@pytest.fixture(scope="session", autouse=True)
def _url_builders_are_compiled_once():
    """Share what werkzeug compiles for each rule: half of the time to create an application."""
    compile_builder, builders = Rule._compile_builder, {}

    def compile_once(rule, append_unknown=True):
        key = (rule.rule, rule.merge_slashes, repr(rule.defaults), append_unknown)
        if key not in builders:
            builders[key] = compile_builder(rule, append_unknown)
        return builders[key]

    Rule._compile_builder = compile_once
    yield
    Rule._compile_builder = compile_builder


@pytest.fixture(scope="session", autouse=True)
def _trial_server_stays():
    """Keep the process that builds files first, which exits when idle: starting it takes seconds."""
    program = trial_server._PROGRAM
    trial_server._PROGRAM = program.replace("serve()", "IDLE_SECONDS = 3600; trial_server.serve()")
    yield
    trial_server._PROGRAM = program


def environ_of(folder, text=None, **settings):
    """Return environment variables for the text of a models.yaml, with settings."""
    path = MODELS
    if text is not None:
        path = folder / "models.yaml"
        path.write_text(text, encoding="utf-8")
    environ = {f"MODELHOST_{name}": str(value) for name, value in settings.items()}
    folders = {
        "MODELHOST_JOBS_FOLDER": str(folder / "jobs"),
        "MODELHOST_PREDICTION_LOG_FOLDER": str(folder / "prediction-log"),
    }
    own = {"APP_SETTINGS": "testing", "MODELHOST_MODELS_FILE": str(path)}
    return own | folders | environ


@pytest.fixture
def make_environ(tmp_path):
    """A function from the text of a models.yaml, and settings, to environment variables."""
    return partial(environ_of, tmp_path)


@pytest.fixture
def make_app(make_environ):
    """A function from the text of a models.yaml, and settings, to an application."""

    def make(text=None, before_fork=False, **settings):
        return create_app(make_environ(text, **settings), before_fork=before_fork)

    yield make
    ModelManager().close()


@pytest.fixture(scope="module")
def same_app(tmp_path_factory):
    """Like `make_app`, but tests in a row share an application: change nothing in it."""
    wanted = app = models = None

    def make(text=None, **settings):
        nonlocal wanted, app, models
        # A process has one set of models, and another application replaces it.
        if (text, settings) != wanted or ModelManager().models() != models:
            environ = environ_of(tmp_path_factory.mktemp("same"), text, **settings)
            wanted, app = (text, settings), create_app(environ)
            models = ModelManager().models()
        return app

    yield make
    ModelManager().close()


@pytest.fixture
def same_client(same_app):
    """A client of a shared application with the models of tests/data/models.yaml."""
    return same_app().test_client()


@pytest.fixture
def app(make_app):
    """An application with the models of tests/data/models.yaml."""
    return make_app()


@pytest.fixture
def client(app):
    return app.test_client()


@pytest.fixture
def groups():
    """The groups of commands by name."""
    return {group.name: group for group in [*build_groups(), build_modelhost()]}


@pytest.fixture
def run_command(groups, make_environ):
    """A function that runs a command with a models.yaml, and returns the result."""

    def run(group, *words, models=None, text=None, **settings):
        environ = make_environ(models, **settings)
        return CliRunner().invoke(groups[group], [*map(str, words)], input=text, env=environ)

    yield run
    ModelManager().close()


@pytest.fixture(scope="session")
def postgresql():
    """A server of PostgreSQL, which is always running."""
    with serving_postgresql() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def jobs_database(request):
    """The setting JOBS_DATABASE for each kind of database."""
    is_default = request.param == "sqlite"
    return "" if is_default else request.getfixturevalue("postgresql").create_database()


@pytest.fixture
def example_app(make_app):
    """An application with the example models, as a newcomer sees it."""
    return make_app(MODELS_FILE=EXAMPLES)


@pytest.fixture
def manager(app):
    return ModelManager()


@pytest.fixture(scope="module")
def context():
    """A real browser."""
    with browsing() as context:
        yield context


def pytest_collection_modifyitems(items):
    """Run long files first: the last one decides when a run in several processes ends."""
    sizes = Counter(item.path for item in items)
    items.sort(
        key=lambda item: (
            not WAITING.intersection(item.path.parts),
            -sizes[item.path],
            item.path,
        )
    )


def pytest_make_parametrize_id(val, argname):
    """Name long bytes by their parameter: archives have the time in them, and names must not."""
    return argname if isinstance(val, bytes) and len(val) > LONG_BYTES else None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """Take a picture of the page on which a test fails, while it is open."""
    report = yield
    window = getattr(item, "funcargs", {}).get("page")
    if report.when == "call" and report.failed and window and not window.is_closed():
        keep_picture(window, item.nodeid)
    return report


@pytest.fixture(scope="module")
def window(context):
    """A function that returns the module's window: opening one costs three times a page."""
    windows = []

    def get():
        if not windows or windows[-1].is_closed():
            windows.append(context.new_page())
        return windows[-1]

    return get


@pytest.fixture
def page(window, request):
    """The module's window as if it were new, see :func:`tests.chromium.watched`."""
    page = window()
    with watched(page, request.node):
        yield page
        leave(page)
