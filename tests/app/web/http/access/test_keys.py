"""API keys: their file, their commands, and what they permit."""

import json
import re
from functools import partial

import pytest

import config
from tests.new_keys import NewKey
from tests.waiting import wait_until

MODELS = """
models:
  - class: tests.models.simple.Echo
  - class: tests.models.simple.Doubler
"""
OWN, ONE, METRICS, ADMIN = (
    NewKey(),
    NewKey(models=["echo"]),
    NewKey("metrics"),
    NewKey("admin"),
)
#: Routes that require no key.
FOR_ALL = {
    "/healthz",
    "/readyz",
    "/login",
    "/docs/problems",
    "/portal/logo",
    "/static/1/theme.js",
    "/v2",
    "/v2/health/live",
    "/v2/health/ready",
}


@pytest.fixture
def client(same_app):
    return same_app(MODELS, KEYS=[OWN, ONE, METRICS, ADMIN]).test_client()


def ask(client, key=None, name="echo", **headers):
    headers = {**(key.headers if key else {}), **headers}
    return client.post(f"/api/models/{name}/predict", json={}, headers=headers)


def test_missing_key_is_explained(client):
    answer = ask(client)

    assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
    assert answer.json["type"] == "/docs/problems#unauthorized"
    assert "Authorization: Bearer <key>" in answer.json["detail"]


@pytest.mark.parametrize(
    "sent",
    [
        "Bearer",
        "Bearer nonsense",
        f"Bearer {NewKey().text}",
        f"Bearer {OWN.text[:-1]}{'A' if OWN.text[-1] != 'A' else 'B'}",
        f"Bearer mh_{OWN.id}_{NewKey().text[16:]}",
        f"Bearer {OWN.entry['sha256']}",
        f"Basic {OWN.text}",
        OWN.text,
    ],
    ids=["none", "nonsense", "new", "one off", "own id", "hash", "as password", "alone"],
)
def test_unknown_key_is_rejected(client, sent):
    answer = client.post("/api/models/echo/predict", json={}, headers={"Authorization": sent})

    assert answer.status_code == 401
    assert OWN.text not in answer.text


@pytest.mark.parametrize("headers", [OWN.headers, {"X-API-Key": OWN.text}])
def test_both_key_headers_work(client, headers):
    assert client.post("/api/models/echo/predict", json={}, headers=headers).status_code == 200


def test_restricted_key_hides_other_models(client):
    doubler = ask(client, ONE, "doubler")
    nothing = ask(client, ONE, "nothing")
    listed = client.get("/api/models", headers=ONE.headers).json["models"]

    assert ask(client, ONE).status_code == 200
    assert (doubler.status_code, nothing.status_code) == (403, 403)
    assert "is not valid for the model 'doubler'" in doubler.json["detail"]
    assert [model["qualified_name"] for model in listed] == ["echo"]


@pytest.mark.parametrize(
    "path", ["/", "/openapi.json", "/readyz", "/models/echo/metadata", "/models/echo/predict"]
)
def test_no_route_names_other_models(client, path):
    assert "doubler" not in client.get(path, headers=ONE.headers).text


@pytest.mark.parametrize(
    ("key", "path", "status"),
    [
        (OWN, "/metrics", 403),
        (METRICS, "/metrics", 200),
        (METRICS, "/api/models", 403),
        (ADMIN, "/metrics", 200),
        (ADMIN, "/api/models", 200),
        (None, "/metrics", 401),
    ],
)
def test_key_is_limited_to_its_scopes(client, key, path, status):
    assert client.get(path, headers=key.headers if key else {}).status_code == status


@pytest.mark.parametrize("action", ["load", "unload"])
def test_loading_requires_admin_key(make_app, action):
    client = make_app(MODELS, KEYS=[OWN, METRICS, ADMIN]).test_client()
    statuses = [
        client.post(f"/api/models/echo/{action}", headers=key.headers if key else {}).status_code
        for key in (None, OWN, METRICS, ADMIN)
    ]

    assert statuses == [401, 403, 403, 200]


@pytest.mark.parametrize("action", ["load", "unload"])
@pytest.mark.parametrize("headers", [{}, OWN.headers, ADMIN.headers])
def test_loading_is_disabled_without_keys(make_app, action, headers):
    """TorchServe and Ray exposed their management APIs without authentication."""
    client = make_app(MODELS).test_client()

    answer = client.post(f"/api/models/echo/{action}", headers=headers)

    assert answer.status_code == 403
    assert "create one with `modelhost keys new --name NAME --scope admin`" in answer.json["detail"]
    assert client.get("/api/models/echo/metadata").json["status"] == "ready"


def test_restricted_admin_key_loads_own_model(make_app):
    key = NewKey("admin", models=["echo"])
    client = make_app(MODELS, KEYS=[key]).test_client()

    def status(name):
        return client.post(f"/api/models/{name}/unload", headers=key.headers).status_code

    assert (status("echo"), status("doubler")) == (200, 403)
    assert client.get("/metrics", headers=key.headers).status_code == 403


def test_keys_for_admin_leave_predict_public(make_app):
    client = make_app(MODELS, KEYS=[ADMIN], KEYS_FOR="admin").test_client()

    statuses = [
        client.get("/").status_code,
        ask(client).status_code,
        client.get("/metrics").status_code,
        client.post("/api/models/echo/unload").status_code,
        ask(client, NewKey()).status_code,
    ]

    assert statuses == [200, 200, 200, 401, 401]


def test_all_but_public_routes_require_key(client):
    """A new route requires a key by default."""
    rules = client.application.url_map.iter_rules()
    paths = {
        (
            method,
            rule.rule.replace("<digest>/<file>", "1/theme.js")
            .replace("<name>", "echo")
            .replace("<path:artifact>", "a"),
        )
        for rule in rules
        for method in rule.methods & {"GET", "POST"}
    }

    open_ = set()
    for method, path in paths:
        with client.open(path.replace("<endpoint>", "x"), method=method) as answer:
            is_login = answer.headers.get("Location", "").startswith("/login?next=")
            if answer.status_code != 401 and not is_login:
                open_.add((method, path))

    expected = {("GET", path) for path in FOR_ALL} | {("POST", "/logout")}
    assert open_ == expected


def test_readyz_hides_names_without_key(client):
    assert client.get("/readyz").json == {
        "status": "ready",
        "models": {},
        "waits_for": [],
        "mistakes": [],
    }
    assert set(client.get("/readyz", headers=OWN.headers).json["models"]) == {"echo", "doubler"}


def test_openapi_marks_routes_with_key(make_app):
    shut = make_app(MODELS, KEYS=[OWN]).test_client()
    document = shut.get("/openapi.json", headers=OWN.headers).json
    paths = document["paths"]

    predict = paths["/api/models/doubler/predict"]["post"]
    assert predict["security"] == [{"Key": []}, {"KeyHeader": []}]
    assert {"401", "403"} <= predict["responses"].keys()
    assert "security" not in paths["/healthz"]["get"]
    assert document["components"]["securitySchemes"]["Key"]["scheme"] == "bearer"


# Sources of keys


def new_file(path, *keys):
    entries = "".join(f"  - {key}\n" for key in keys)
    path.write_text(f"keys:\n{entries}" if keys else "keys: []\n", encoding="utf-8")
    return path


def test_keys_are_read_from_file(make_app, tmp_path):
    file = new_file(tmp_path / "keys.yaml", ONE)
    client = make_app(MODELS, KEYS_FILE=file, KEYS=[OWN]).test_client()

    assert [ask(client, key).status_code for key in (OWN, ONE, ADMIN)] == [200, 200, 401]


def test_file_without_keys_denies_access(make_app, tmp_path):
    client = make_app(MODELS, KEYS_FILE=new_file(tmp_path / "keys.yaml")).test_client()

    assert ask(client).status_code == 401


def test_removed_key_is_revoked(make_app, tmp_path):
    file = new_file(tmp_path / "keys.yaml", OWN, ONE)
    client = make_app(MODELS, KEYS_FILE=file).test_client()
    before = ask(client, OWN).status_code

    new_file(file, ONE)

    wait_until(lambda: ask(client, OWN).status_code == 401)
    assert (before, ask(client, ONE).status_code) == (200, 200)


@pytest.mark.parametrize("text", ["keys: [", "keys: [{id: x}]", None])
def test_invalid_file_keeps_previous_keys(make_app, tmp_path, caplog, text):
    file = new_file(tmp_path / "keys.yaml", OWN)
    client = make_app(MODELS, KEYS_FILE=file).test_client()

    file.unlink()
    if text is not None:
        file.write_text(text)

    def is_told():
        assert ask(client, OWN).status_code == 200
        return "invalid keys; keeping the previous ones: keys.yaml" in caplog.text

    wait_until(is_told)
    assert ask(client).status_code == 401


ENTRY = OWN.entry


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ([{**ENTRY, "scopes": ["root"]}], 'must be one of "predict", "metrics", "admin"'),
        ([{**ENTRY, "scopes": []}], "KEYS, line 1: 0/scopes "),
        ([{**ENTRY, "models": []}], "KEYS, line 1: 0/models "),
        ([{**ENTRY, "sha256": OWN.text}], "KEYS, line 1: 0/sha256 "),
        ([{**ENTRY, "key": "x"}], "KEYS, line 1: 0/key "),
        ([{"id": OWN.id}], "KEYS, line 1: 0/name is required"),
        ([ENTRY, ENTRY], f"KEYS: id must be unique, got '{OWN.id}' twice"),
        ({}, "KEYS, line 1: the file must be a list, got {}"),
    ],
    ids=["scope", "no scope", "no model", "hash", "unknown", "missing", "twice", "no list"],
)
def test_invalid_keys_prevent_start(make_app, keys, message):
    with pytest.raises(config.InvalidSetting, match=re.escape(message)):
        make_app(MODELS, KEYS=json.dumps(keys))


def test_missing_keys_file_prevents_start(make_app, tmp_path):
    with pytest.raises(config.InvalidSetting, match=r"keys.yaml: the file does not exist"):
        make_app(MODELS, KEYS_FILE=tmp_path / "keys.yaml")


@pytest.mark.parametrize(
    ("settings", "is_told"),
    [
        ({}, False),
        ({"HOST": "::1"}, False),
        ({"HOST": "localhost"}, False),
        ({"HOST": "0.0.0.0"}, True),
        ({"HOST": "portal.example"}, True),
        ({"HOST": "0.0.0.0", "KEYS": [OWN]}, False),
    ],
)
def test_open_server_logs_warning(make_app, caplog, settings, is_told):
    make_app(MODELS, **settings)

    assert ("all clients can call every model" in caplog.text) == is_told


# Commands


@pytest.fixture
def run(run_command):
    """A function that runs a command and returns the result."""
    return partial(run_command, "keys", models=MODELS)


def test_new_key_works_with_its_line(run, make_app, tmp_path):
    out = run(
        "new", "--name", "the ${HOME} team: é", "--scope", "predict", "--model", "echo"
    ).stdout
    key = re.search(r"^key +(mh_\w{12}_[\w-]{43})$", out, re.MULTILINE)[1]
    line = re.search(r"^line +(- .+)$", out, re.MULTILINE)[1]

    file = tmp_path / "keys.yaml"
    file.write_text(f"keys:\n  {line}\n", encoding="utf-8")
    client = make_app(MODELS, KEYS_FILE=file).test_client()

    headers = {"Authorization": f"Bearer {key}"}
    assert client.get("/api/models/echo/metadata", headers=headers).status_code == 200
    assert client.get("/api/models/doubler/metadata", headers=headers).status_code == 403
    assert key not in file.read_text(encoding="utf-8")


def test_new_key_as_json(run):
    told = json.loads(run("new", "--name", "a", "--scope", "admin", "--json").stdout)

    assert told["entry"]["scopes"] == ["admin"]
    assert told["entry"]["id"] in told["key"]


def test_generated_keys_differ(run):
    keys = {json.loads(run("new", "--name", "a", "--json").stdout)["key"] for _ in range(20)}

    assert len(keys) == 20


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "Missing option '--name'"),
        (["--name", ""], "must be 1 to 100 characters on one line"),
        (["--name", "a\nb"], "must be 1 to 100 characters on one line"),
        (["--name", "a", "--scope", "root"], "'root' is not one of"),
        (["--name", "a", "--model", "../x"], "must be 1 to 100 letters"),
    ],
)
def test_invalid_key_options_are_rejected(run, words, message):
    ran = run("new", *words)

    assert ran.exit_code == 2
    assert message in ran.stderr


def test_key_list_omits_hashes(run):
    listed = run("list", KEYS=[ONE, ADMIN])

    assert re.search(rf"{ONE.id} +key of {ONE.id} +predict +echo", listed.stdout)
    assert re.search(rf"{ADMIN.id} +key of {ADMIN.id} +admin +all", listed.stdout)
    assert ONE.entry["sha256"] not in listed.stdout + run("list", "--json", KEYS=[ONE]).stdout


def test_key_list_reports_mistakes(run):
    ran = run("list", KEYS="[{}]")

    assert (ran.exit_code, "KEYS, line 1: 0/id is required" in ran.stderr) == (1, True)


def test_commands_and_options_are_documented(groups):
    docs = (config.ROOT / "docs" / "operations.md").read_text(encoding="utf-8")

    for name, command in groups["keys"].commands.items():
        assert f"modelhost keys {name}" in docs
        options = [option for each in command.load().params for option in each.opts]
        assert [option for option in options if option not in docs] == []
