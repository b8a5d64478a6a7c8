import re
from pathlib import Path

import pytest

import config


def test_app_settings_selects_the_class():
    assert config.settings({})["TELL_MODEL_ERRORS"] is False
    assert config.settings({"APP_SETTINGS": "development"})["TELL_MODEL_ERRORS"] is True


def test_environment_overrides_a_setting():
    settings = config.settings(
        {"PORT": "9000", "MODELHOST_ACCESS_LOG": "false", "MODELHOST_PREDICT_SECONDS": "1.5"}
    )

    assert (settings["PORT"], settings["ACCESS_LOG"], settings["PREDICT_SECONDS"]) == (
        9000,
        False,
        1.5,
    )


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        (
            {"APP_SETTINGS": "prod"},
            "APP_SETTINGS must be one of development, production, testing, got 'prod'",
        ),
        ({"PORT": "abc"}, "PORT must be a whole number from 1 to 65535, got 'abc'"),
        ({"PORT": "0"}, "PORT must be a whole number from 1 to 65535, got '0'"),
        ({"HOST": ""}, "HOST must not be empty"),
        ({"WORKERS": "-1"}, "WORKERS must be a whole number of at least 0, got '-1'"),
        ({"MODELHOST_PREDICT_SECONDS": "nan"}, "must be a number from 0 to 86400, got 'nan'"),
        (
            {"MODELHOST_ACCESS_LOG": "maybe"},
            "MODELHOST_ACCESS_LOG must be one of 0, 1, false, true, got 'maybe'",
        ),
        (
            {"MODELHOST_JOBS_DATABASE": "nonsense://me:sec@ret@host"},
            "MODELHOST_JOBS_DATABASE must be empty or a URL of SQLAlchemy such as "
            "'postgresql+psycopg://host/database' whose driver is installed, got "
            "'nonsense://me:***@host': Can't load plugin: sqlalchemy.dialects:nonsense",
        ),
        (
            {"MODELHOST_LOG_LEVEL": "LOUD"},
            "MODELHOST_LOG_LEVEL must be one of DEBUG, ERROR, INFO, WARNING, got 'LOUD'",
        ),
        (
            {"MODELHOST_RATE_LIMIT": "often"},
            "MODELHOST_RATE_LIMIT must be a rate such as '100 per minute', got 'often'",
        ),
        ({"MODELHOST_USER_HEADER": "Remote-User"}, "USER_HEADER requires TRUSTED_PROXIES"),
        (
            {"MODELHOST_USER_HEADER": "Remote User"},
            "MODELHOST_USER_HEADER must be the name of a header such as 'X-Forwarded-User'",
        ),
        ({"MODELHOST_PROT": "1"}, "unknown setting 'MODELHOST_PROT'; valid settings: ACCESS_LOG, "),
        (
            {"MODELHOST_KEYS_FOR": "some"},
            "MODELHOST_KEYS_FOR must be one of admin, all, got 'some'",
        ),
        (
            {"MODELHOST_RATE_STORAGE": "nowhere://me:secret@host"},
            "package is installed, got 'nowhere://me:***@host'",
        ),
        (
            {"MODELHOST_CORS_ORIGINS": "https://a.example/"},
            "MODELHOST_CORS_ORIGINS must be '*' or origins such as 'https://a.example'",
        ),
        (
            {"MODELHOST_SECRET_KEY": "short"},
            "MODELHOST_SECRET_KEY must have at least 32 characters, got 5",
        ),
        (
            {"MODELHOST_READY_WHEN": "a; b"},
            "MODELHOST_READY_WHEN must be 'any', 'all' or names of models, separated by commas or spaces, got 'a; b'",
        ),
        (
            {"MODELHOST_TRUSTED_PROXIES": "-1"},
            "MODELHOST_TRUSTED_PROXIES must be a whole number from 0 to 10, got '-1'",
        ),
    ],
)
def test_invalid_setting_names_valid_values(environ, message):
    with pytest.raises(config.InvalidSetting, match=re.escape(message)):
        config.settings(environ)


def test_workers_default_to_cores():
    cores = config.usable_cores()

    assert config.settings({})["WORKERS"] == min(cores, config.MAX_WORKERS)
    assert config.settings({"WORKERS": "3"})["WORKERS"] == 3


@pytest.mark.parametrize(
    ("texts", "cores"),
    [
        (["max 100000"], None),
        (["50000 100000"], 1),
        (["100000", "100000"], 1),
        (["-1", "100000"], None),
        (["nonsense"], None),
        ([], None),
    ],
    ids=["no-limit", "half-a-core", "version-1", "version-1-no-limit", "nonsense", "none"],
)
def test_control_group_limits_cores(tmp_path, texts, cores):
    files = [tmp_path / str(index) for index, _ in enumerate(texts)]
    for file, text in zip(files, texts, strict=True):
        file.write_text(f"{text}\n")

    unlimited = config.usable_cores(quotas=[])

    assert config.usable_cores(quotas=[map(str, files)]) == (cores or unlimited)


def test_other_variables_are_ignored():
    assert config.settings({"PATH": "/bin", "MAX_ROWS": "3"}) == config.settings({})


@pytest.mark.parametrize("name", config.settings({}))
def test_every_setting_is_documented(name):
    source = Path(config.__file__).read_text(encoding="utf-8")
    docs = (config.ROOT / "docs" / "settings.md").read_text(encoding="utf-8")

    assert re.search(rf"    #: .+\n(    #: .+\n)*    {name} = ", source)
    assert f"### `{name}`" in docs
