import gzip
import hashlib
import json
import os
import pickle
import re
import subprocess
import sys
from functools import partial

import joblib
import pandas as pd
import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner
from ruamel.yaml import YAML
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder

from app.cli.commands import serving
from app.cli.completion import OF_MODELS, list_names
from app.cli.groups import COMMANDS as GROUPS
from app.cli.groups import MODELHOST_COMMANDS, LazyCommand, build_modelhost
from app.serving.catalog import catalog
from mlmodel import dump, load
from servers.modelhost import background
from tests import ROOT, attack_pickles
from tests.app.serving.remote.stub_server import stub_server
from tests.estimators import PEOPLE, Ages
from tests.flm_files import content_of, holding
from tests.models import simple

GRAPH = ROOT / "tests" / "data" / "onnx" / "credit.onnx"
DOCS = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
NUMBERS = pd.DataFrame({"x": [0.0, 1.0, 2.0], "y": [3.0, 1.0, 2.0]})
#: Packages that help must not import, because they or what they import take long.
SLOW = {
    "app.factory",
    "app.serving.models",
    "app.web",
    "config",
    "flask",
    "mlmodel",
    "numpy",
    "sklearn",
}
SIMPLE = "models:\n  - class: tests.models.simple.Doubler\n  - class: tests.models.simple.Echo\n"


class CreatesFolder:
    """An object whose pickle creates a folder when it is built."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.fixture
def run(run_command):
    """A function that runs a command with a models.yaml, and returns the result."""
    return partial(run_command, "models", models=SIMPLE)


@pytest.fixture
def linear_file(tmp_path):
    path = tmp_path / "linear.flm"
    dump(LinearRegression().fit(NUMBERS[["x"]], NUMBERS["y"]), path)
    return path


@pytest.fixture
def estimator_file(tmp_path):
    path = tmp_path / "fitted.joblib"
    joblib.dump(LogisticRegression().fit(NUMBERS, ["no", "yes", "yes"]), path)
    return path


@pytest.fixture
def models_file(tmp_path):
    return tmp_path / "models.yaml"


@pytest.fixture
def commands(groups):
    return {name: command.load() for name, command in groups["models"].commands.items()}


def test_commands_are_in_the_docs(commands):
    headings = re.findall(r"^## `([\w-]+)`$", DOCS, re.MULTILINE)

    assert sorted(headings) == sorted({*commands, *MODELHOST_COMMANDS})


def test_modelhost_has_every_command(groups):
    commands = build_modelhost().commands

    assert {*groups["models"].commands, *MODELHOST_COMMANDS, "jobs", "keys", "log"} == {*commands}
    for name in ("jobs", "keys", "log"):
        assert {*groups[name].commands} == {*commands[name].commands}


def test_options_are_in_the_docs(commands):
    own = (build_modelhost().commands[name].load() for name in MODELHOST_COMMANDS)
    options = {
        option
        for command in (*commands.values(), *own)
        for each in command.params
        for option in each.opts
        if option.startswith("--")
    }

    assert {option for option in options if option not in DOCS} == set()


def test_every_command_has_json(commands):
    lacking = {
        name
        for name, command in commands.items()
        if "--json" not in [option for each in command.params for option in each.opts]
    }

    assert lacking == set()


@pytest.mark.parametrize("group", [*GROUPS, "modelhost"])
def test_help_of_groups_is_that_of_commands(groups, group):
    found = {**groups, "modelhost": build_modelhost()}[group].commands.values()

    for command in (each for each in found if isinstance(each, LazyCommand)):
        help_text = command.load().help.partition("\n\n")[0].replace("\n", " ")
        assert command.get_short_help_str() == help_text


COMPLETE = """
from click.shell_completion import ShellComplete
from app.cli.groups import build_modelhost
shell = ShellComplete(build_modelhost(), {}, "modelhost", "_MODELHOST_COMPLETE")
for args, incomplete in [["predict"], ""], [["log", "show"], "wi"], [["check"], "no"]:
    print([(each.value, each.type) for each in shell.get_completions(args, incomplete)])
"""


def test_model_names_are_completed_without_importing_models(tmp_path, monkeypatch):
    models = tmp_path / "models.yaml"
    models.write_text(
        "models:\n  - file: models/wine.pkl.gz\n    version: 2\n"
        "  - class: tests.models.simple.Echo\n  - {class: no.Such, name: named}\n  - class: no.Such"
    )
    monkeypatch.setenv("MODELHOST_MODELS_FILE", str(models))

    ran = imported_by(COMPLETE, "config")

    assert ran.stdout.splitlines() == [
        str([(name, "plain") for name in ("wine", "wine@2", "echo", "named")]),
        str([("wine", "plain"), ("wine@2", "plain")]),
        str([("no", "file")]),
        "imported: []",
    ]


def test_options_are_completed_by_their_command(groups):
    shell = ShellComplete(build_modelhost(), {}, "modelhost", "")

    assert [each.value for each in shell.get_completions(["predict"], "--dec")] == ["--decimal"]
    for path in OF_MODELS:
        [first, *_] = [each for each in LazyCommand("x", path).load().params if is_argument(each)]
        assert first.name in {"model", "name", "names", "targets"}


def is_argument(parameter):
    return parameter.param_type_name == "argument"


def test_help_of_modelhost_imports_no_command():
    """It needs no Flask either, which takes most of the processor time of ``flask --help``."""
    ran = imported_by("from app.cli.groups import build_modelhost\nbuild_modelhost()(['--help'])")

    assert "serve" in ran.stdout
    assert "imported: []" in ran.stdout


@pytest.mark.parametrize("words", [[], *([group, "--help"] for group in GROUPS)], ids=" ".join)
def test_help_imports_no_command(words):
    """Importing all commands costs three times the processor time of the rest."""
    ran = imported_by(f"import flask.cli\nsys.argv[1:] = {words}\nflask.cli.main()", "flask")

    assert (words or ["models"])[0] in ran.stdout + ran.stderr
    assert "imported: []" in ran.stdout


def imported_by(program, *expected):
    """Run a program; at its end, it prints the slow packages that it imported."""
    program = f"""
import sys, atexit
slow = {SLOW - {*expected}}
atexit.register(lambda: print("imported:", sorted(slow & set(sys.modules))))
{program}
"""
    return subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )


def test_flask_finds_commands_without_loading_models(tmp_path):
    path = tmp_path / "models.yaml"
    path.write_text("models: [{class: tests.models.broken.RaisesAtLoad}, {clas: x}]")

    ran = subprocess.run(
        [sys.executable, "-m", "flask", "models", "inspect", ROOT / "models.yaml"],
        cwd=ROOT,
        env=os.environ | {"MODELHOST_MODELS_FILE": str(path)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr.startswith("Error: models.yaml is not a readable model file: it is text")


def test_log_of_commands_is_short(tmp_path):
    path = tmp_path / "models.yaml"
    path.write_text("models: [{class: tests.models.simple.Echo}, {file: nowhere.flm}]")

    ran = subprocess.run(
        [sys.executable, "-m", "flask", "models", "list"],
        cwd=ROOT,
        env=os.environ | {"MODELHOST_MODELS_FILE": str(path)},
        capture_output=True,
        text=True,
        check=False,
    )

    first, *others = ran.stderr.splitlines()
    assert first == "Loading 2 models ..."
    assert [line.partition(" failed: ")[0] for line in others] == ["log: model 'nowhere'"]


def test_flask_routes_loads_the_models(tmp_path):
    path = tmp_path / "models.yaml"
    path.write_text("models: [{clas: x}]")

    ran = subprocess.run(
        [sys.executable, "-m", "flask", "routes"],
        cwd=ROOT,
        env=os.environ | {"MODELHOST_MODELS_FILE": str(path)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert "Modelhost cannot start.\nmodels.yaml, line 1: " in ran.stderr


def test_list_shows_states(run, tmp_path):
    models = (
        f"{SIMPLE}  - file: nowhere.flm\n  - class: tests.models.simple.Counting\n    load: lazy\n"
    )

    listed = run("list", models=models)

    assert listed.stdout.splitlines() == [
        "name      status  version  reason",
        "doubler   ready",
        "echo      ready   2.1",
        "nowhere   failed           a file that it needs cannot be read: No such file or directory: "
        f"{tmp_path}/nowhere.flm",
        "counting  lazy",
    ]


def test_list_equals_json_of_the_api(run, make_app):
    listed = run("list", "--json")

    served = make_app(SIMPLE).test_client().get("/api/models")

    assert json.loads(listed.stdout) == served.json


@pytest.mark.parametrize("command", ["list", "check", "show x", "predict x --input -", "add -"])
def test_mistake_in_models_yaml_is_reported(run, linear_file, command):
    words = [
        linear_file if word == "-" and command == "add -" else word for word in command.split()
    ]

    ran = run(*words, models="models: [{clas: a.B}]")

    assert ran.exit_code == 1
    assert "Error: models.yaml, line 1: models/0/clas is unknown" in ran.stderr


def test_show_writes_metadata_and_fields(run):
    shown = run("show", "doubler")

    assert "qualified_name  doubler\n" in shown.stdout
    assert "row:\n  field  type    required  allowed values" in shown.stdout
    assert "  x      number  yes       from -1e+300 to 1,000" in shown.stdout


def test_show_equals_json_of_the_api(run, make_app):
    shown = json.loads(run("show", "doubler", "--json").stdout)

    client = make_app(SIMPLE).test_client()

    assert shown.items() >= client.get("/api/models/doubler/metadata").json.items()
    assert shown.items() >= client.get("/api/models/doubler/inspect").json.items()


def test_unknown_name_suggests_a_similar_one(run):
    shown = run("show", "dubler")

    assert shown.exit_code == 1
    assert "models.yaml has no model 'dubler'; did you mean 'doubler'?" in shown.stderr


def test_show_loads_only_the_named_model(run, monkeypatch):
    monkeypatch.setattr(simple.Counting, "loads", 0)

    run("show", "doubler", models=f"{SIMPLE}  - class: tests.models.simple.Counting\n")

    assert simple.Counting.loads == 0


def test_check_predicts_example_of_a_file(run, linear_file):
    checked = run("check", linear_file)

    assert checked.exit_code == 0
    assert checked.stdout.startswith("linear: can be served\n")
    assert re.search(r"^  prediction +\{\"prediction\": ", checked.stdout, re.MULTILINE)


def test_check_predicts_example_of_a_remote_model(run):
    with stub_server() as server:
        models = json.dumps({"models": [{"remote": server.url, "name": "far"}]})
        checked = run("check", models=models)

    assert checked.exit_code == 0
    assert checked.stdout.startswith("far: can be served\n")
    assert re.search(r"^  framework +remote server$", checked.stdout, re.MULTILINE)


def test_check_reports_remote_that_is_down(run):
    models = json.dumps({"models": [{"remote": "http://127.0.0.1:1", "name": "far"}]})

    checked = run("check", models=models)

    assert checked.exit_code == 1
    assert "the remote server cannot be reached" in checked.stdout


@pytest.fixture
def numbers_file(tmp_path):
    path = tmp_path / "numbers.flm"
    model = LogisticRegression().fit(NUMBERS, ["no", "yes", "yes"])
    dump(model, path, sample=NUMBERS)
    return path


def test_check_compares_compiled_graph(run, numbers_file):
    checked = run("check", numbers_file, "--runtime", "onnx")

    assert checked.exit_code == 0
    assert re.search(r"^  runtime +ONNX Runtime [0-9.]+$", checked.stdout, re.MULTILINE)
    assert re.search(r"^  compared +[0-9,]+ rows: 4 examples, ", checked.stdout, re.MULTILINE)


def test_check_writes_comparison_as_json(run, numbers_file):
    models = json.dumps({"models": [{"file": str(numbers_file)}]})

    [found] = json.loads(
        run("check", "numbers", "--runtime", "onnx", "--json", models=models).stdout
    )["models"]

    assert found["runtime"]["compiled"]
    assert found["runtime"]["parity"]["probes"]["examples"] == 4


def test_check_warns_if_not_compiled(run, tmp_path):
    dump(Ages().fit(PEOPLE), tmp_path / "ages.flm", sample=PEOPLE[["age", "since"]])

    checked = run(
        *("check", tmp_path / "ages.flm", "--trust", "tests.estimators.Ages", "--runtime", "onnx")
    )

    assert checked.exit_code == 0
    assert re.search(
        r"^  warning +not compiled: its input is not a table", checked.stdout, re.MULTILINE
    )


def test_check_is_exact_json(run):
    [found] = json.loads(run("check", "doubler", "--json").stdout)["models"]

    assert (found["served"], found["example"], found["answer"]) == (True, {"x": 999}, {"y": 1998.0})


def test_check_defaults_to_all_models(run):
    checked = run("check", "--json")

    assert [each["name"] for each in json.loads(checked.stdout)["models"]] == ["doubler", "echo"]
    assert "Checking doubler ...\nChecking echo ...\n" in checked.stderr


@pytest.mark.parametrize(
    ("name", "failure"),
    [
        ("RaisesAtLoad", "loading raised RuntimeError: secret: /etc/weights is gone"),
        (
            "RaisesAtPredict",
            "it does not predict its own example: the model 'raises-at-predict' failed: KeyError",
        ),
        (
            "BreaksItsSchema",
            "it does not predict its own example: the prediction violates the output schema: ",
        ),
    ],
)
def test_unservable_model_fails_the_check(run, name, failure):
    models = f"models: [{{class: tests.models.broken.{name}, examples: [{{}}]}}]"

    checked = run("check", models=models)

    assert checked.exit_code == 1
    assert ": cannot be served\n" in checked.stdout
    assert re.search(rf"^  failure +{failure}", checked.stdout, re.MULTILINE)


def test_check_fails_on_invalid_first_example(run):
    models = "models: [{class: tests.models.simple.Doubler, examples: [{x: a}, {x: 1}]}]"

    checked = run("check", models=models)

    document = json.loads(run("check", "--json", models=models).stdout)["models"][0]
    assert checked.exit_code == 1
    assert document["served"] is True
    assert checked.stdout.startswith("doubler: does not predict its example\n")
    assert 'it does not predict its own example: /x: must be a number, got "a"' in checked.stdout


def test_check_warns_of_null_prediction(run):
    checked = run("check", models="models: [{class: tests.models.declared.ReturnsNothing}]")

    assert checked.exit_code == 0
    assert re.search("^  prediction +null$", checked.stdout, re.MULTILINE)
    text = "predict returned None for the example; does it lack a return?"
    assert re.search(rf"^  warning +{re.escape(text)}$", checked.stdout, re.MULTILINE)


def test_check_does_not_warn_of_null_in_the_schema(run):
    checked = run("check", models="models: [{class: tests.models.declared.MayReturnNothing}]")

    assert re.search("^  prediction +null$", checked.stdout, re.MULTILINE)
    assert "returned None" not in checked.stdout


def test_generated_example_that_fails_is_not_fatal(run):
    checked = run("check", models="models: [{class: tests.models.declared.WrongType}]")

    assert checked.exit_code == 1
    assert checked.stdout.startswith("wrong-type: does not predict its example\n")


def test_check_reports_invalid_examples(run):
    models = "models: [{class: tests.models.simple.Doubler, examples: [{x: 1}, {z: 2}]}]"

    doubts = json.loads(run("check", "--json", models=models).stdout)["models"][0]["doubts"]

    assert doubts == [
        "example 2 violates the input schema: /x is required",
        "example 2 violates the input schema: /z is unknown; valid names: x",
    ]


@pytest.mark.parametrize(
    ("name", "failure"),
    [
        ("TooFew", "predict_rows must return a list of 2 predictions, one for each row, got 1"),
        ("WrongType", "the prediction violates the output schema: the whole: must be a number"),
        ("Nameless", "the class 'Nameless' must define qualified_name"),
    ],
)
def test_check_reports_mistakes_of_a_class(run, name, failure):
    checked = run("check", models=f"models: [{{class: tests.models.declared.{name}}}]")

    assert checked.exit_code == 1
    assert f"{failure}" in checked.stdout


def test_check_reports_failures_once(run, tmp_path):
    (tmp_path / "truncated.flm").write_bytes(b"short")

    ran = run("check", models="models: [{file: truncated.flm}]")

    assert "it is text that begins with" in ran.stdout
    assert "log:" not in ran.stderr


def test_check_warns_of_slow_prediction(run):
    checked = run("check", "doubler", "--json", PREDICT_SECONDS=0.000001)

    [doubt] = json.loads(checked.stdout)["models"][0]["doubts"]
    assert doubt.startswith("the first prediction took 0.0 s; the server's limit is 1e-06 s")


def test_check_rejects_missing_file(run):
    checked = run("check", "nowhere/model.flm")

    assert checked.exit_code == 2
    assert "Error: the file 'nowhere/model.flm' does not exist" in checked.stderr


def test_object_gives_one_prediction(run):
    asked = run("predict", "doubler", "--input", "-", "--json", text='{"x": 2}')

    assert json.loads(asked.stdout) == {"y": 4.0}


def test_table_gives_prediction_per_line(run, tmp_path):
    source = tmp_path / "rows.csv"
    source.write_text("x\n1\n2.5\n")

    asked = run("predict", "doubler", "--input", source)

    assert asked.stdout == "line  y\n2     2\n3     5\n"


@pytest.mark.parametrize(
    ("ending", "text"),
    [
        ("csv", 'line,row,y\n1,"{""x"": 1}",2\n2,"{""x"": 2}",4\n'),
        (
            "json",
            '[\n{"line": 1, "row": {"x": 1}, "prediction": {"y": 2.0}},\n'
            '{"line": 2, "row": {"x": 2}, "prediction": {"y": 4.0}}\n]\n',
        ),
    ],
)
def test_predictions_are_saved_to_a_file(run, tmp_path, ending, text):
    source, output = tmp_path / "rows.ndjson", tmp_path / f"results.{ending}"
    source.write_text('{"x": 1}\n{"x": 2}\n')

    asked = run("predict", "doubler", "--input", source, "--output", output)

    assert (asked.exit_code, asked.stdout) == (0, "")
    assert output.read_text() == text


def test_options_add_columns_to_predictions(run_command):
    rows = '{"income": 30, "term": 36, "note": "x"}'
    models = "models: [{class: tests.models.typical.Lender}]"

    result = run_command(
        "models",
        "predict",
        "lender",
        "--input",
        "-",
        "--explain",
        "--caution",
        "--json",
        models=models,
        text=rows,
    )

    found = json.loads(result.stdout)
    assert found["prediction"] == "default"
    assert re.fullmatch(r"income 30: \+\d\d\.\d points", found["why_1"])
    assert re.fullmatch(r"savings unknown: \+\d\.\d points", found["why_3"])
    assert found["caution"] == ""


def test_predict_explains_the_output_of_an_option(run_command):
    models = "models: [{class: tests.models.typical.Labels}]"
    rows = json.dumps({"income": 30, "term": 36, "note": "x"})
    options = ("predict", "labels", "--input", "-", "--json")

    young, none, wrong = (
        run_command("models", *options, *each, models=models, text=rows)
        for each in (["--explain-output", "young"], ["--explain"], ["--explain-output", "old"])
    )

    assert json.loads(young.stdout)["why_1"].startswith("term 36: +")
    assert "the option --explain-output: /prediction/rich, /prediction/young" in none.stderr
    assert (wrong.exit_code, wrong.stdout) == (1, "")
    assert "--explain-output must be one of /prediction/rich, /prediction/young" in wrong.stderr


def test_submit_names_the_option_of_the_output(run_command, tmp_path):
    models = "models: [{class: tests.models.typical.Labels}]"
    (tmp_path / "rows.csv").write_text("income,term,note\n30,36,x\n")

    options = ("submit", "labels", tmp_path / "rows.csv", "--explain")
    result = run_command("jobs", *options, models=models)

    assert "select one with the option --explain-output: /prediction/rich" in result.stderr


def test_explanations_overwrite_no_member(run_command):
    models = "models: [{class: tests.models.typical.Reasoned}]"
    options = ("--input", "-", "--explain", "--json")

    result = run_command(
        "models", "predict", "reasoned", *options, models=models, text='{"text": "good"}'
    )

    found = json.loads(result.stdout)
    assert (found["model why_1"], found["model why_2"]) == ("its own reason", "another")
    assert (found["why_1"], found["why_2"]) == ("good: +1", "")


def test_own_explanation_is_a_column(run_command):
    models = "models: [{class: tests.models.typical.Own}]"
    row = '{"income": 30, "term": 36, "note": "x"}'

    result = run_command(
        "models", "predict", "own", "--input", "-", "--explain", "--json", models=models, text=row
    )

    assert json.loads(result.stdout)["why"] == {"because": 30}


def test_rows_without_explanation_have_the_reason(run_command):
    models = "models: [{class: tests.models.typical.Mood}, {class: tests.models.typical.Plain}]"
    rows = json.dumps([{"text": "so " * 2001}, {"text": "good"}])
    options = ("--input", "-", "--explain", "--json")

    result = run_command("models", "predict", "mood", *options, models=models, text=rows)
    plain, cautious = (
        run_command(
            "models", "predict", "plain", "--input", "-", option, models=models, text='{"x": 1}'
        )
        for option in ("--explain", "--caution")
    )

    first, second = json.loads(result.stdout)
    assert first["why_1"].startswith("not explained: expected a text of at most 2,000 words")
    assert second["why_1"] == "good: +1"
    assert plain.exit_code == 1
    assert "'plain' cannot be explained: expected a reference profile" in plain.stderr
    assert "'plain' has no reference profile" in cautious.stderr


def test_many_rows_are_predicted_in_chunks(run, tmp_path):
    source = tmp_path / "rows.csv.gz"
    source.write_bytes(gzip.compress(b"x\n" + b"1\n" * 5 + b"big\n"))

    asked = run("predict", "doubler", "--input", source, MAX_ROWS=2)

    assert 'rows.csv.gz, line 7: x must be a number, got "big"\n' in asked.stderr


def test_violations_name_line_and_field(run, tmp_path):
    source, output, problems = (tmp_path / f"{name}.csv" for name in ("rows", "results", "bad"))
    source.write_text("x\n1\n5000\n")
    files = ("--output", output, "--problems", problems)

    asked = run("predict", "doubler", "--input", source, *files)

    assert asked.exit_code == 1
    assert asked.stderr.splitlines()[1:] == [
        "rows.csv, line 3: x must be at most 1000, got 5000",
        f"Wrote 1 prediction to {output}",
        f"Wrote 1 invalid row to {problems}",
        "Error: rows.csv has 1 invalid row of 2",
    ]
    assert output.read_text() == "line,x,y\n2,1,2\n"
    assert (
        problems.read_text()
        == 'line (job),problem (job),x\n3,"x must be at most 1000, got 5000",5000\n'
    )
    asked = run("predict", "doubler", "--input", source, "--output", output, "--json")
    assert json.loads(asked.stdout) == {"output": str(output), "predictions": 1, "invalid": 1}


def test_unknown_columns_are_named_and_ignored(run, tmp_path):
    source = tmp_path / "rows.csv"
    source.write_text(",id,X,target\n0,7,1,yes\n")

    asked = run("predict", "doubler", "--input", source, "--json")

    assert json.loads(asked.stdout) == [{"y": 2.0}]
    assert "rows.csv: columns not used by the model: id, target\n" in asked.stderr


def test_encoding_and_decimal_comma_are_reported(run, tmp_path):
    source = tmp_path / "rows.csv"
    source.write_bytes("sep=;\r\nx;straße\r\n14,5;a\r\n".encode("cp1252"))

    asked = run("predict", "doubler", "--input", source, "--json")

    assert json.loads(asked.stdout) == [{"y": 29.0}]
    assert "rows.csv: read as windows-1252\n" in asked.stderr
    assert "rows.csv: decimal mark is a comma\n" in asked.stderr


def test_ambiguous_decimal_mark_is_reported(run, tmp_path):
    source = tmp_path / "rows.csv"
    source.write_text("x\n1.500\n")

    asked = run("predict", "doubler", "--input", source)
    answered = run("predict", "doubler", "--input", source, "--decimal", ".", "--json")

    assert 'got "1.500". Write 1500, or 1.5 for a decimal\n' in asked.stderr
    assert "rows.csv: the decimal mark is ambiguous; specify it with --decimal" in asked.stderr
    assert json.loads(answered.stdout) == [{"y": 3.0}]


def test_file_without_rows_is_reported(run, tmp_path):
    (tmp_path / "rows.csv").write_text("x\n")

    asked = run("predict", "doubler", "--input", tmp_path / "rows.csv", "--json")

    assert json.loads(asked.stdout) == []
    assert "rows.csv has no rows\n" in asked.stderr


def test_violations_are_exact_json(run):
    asked = run("predict", "doubler", "--input", "-", "--json", text='[{"x": 1}, {"x": "a"}]')

    assert json.loads(asked.stdout) == {
        "predictions": [{"y": 2.0}, None],
        "errors": [{"row": 1, "line": 2, "pointer": "/x", "detail": 'must be a number, got "a"'}],
    }
    assert 'stdin, row 2: x must be a number, got "a"' in asked.stderr


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("rows.csv", b"x\n\xff\xc3\xa4\n", "rows.csv: the file is not UTF-8: see line 2"),
        ("rows.json", b"\xff\n", "rows.json: the file is not UTF-8: see byte 0"),
        ("rows.json", b"{", "rows.json: the file is not JSON"),
        (
            "rows.txt",
            b"",
            "--input must end with one of .csv, .json, .jsonl, .ndjson, .parquet, .tsv, .xlsx "
            "and may be compressed (.gz, .zst), got 'rows.txt'",
        ),
    ],
)
def test_unreadable_table_is_reported(run, tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)

    asked = run("predict", "doubler", "--input", tmp_path / name)

    assert asked.exit_code in {1, 2}
    assert f"Error: {message}" in asked.stderr


def test_failure_shows_the_models_error(run):
    models = "models: [{class: tests.models.broken.RaisesAtPredict}]"

    asked = run("predict", "raises-at-predict", "--input", "-", models=models, text="{}")

    assert asked.exit_code == 1
    assert re.search(r"^the model 'raises-at-predict' failed: \w+: ", asked.stderr, re.MULTILINE)


def test_inspect_builds_nothing(run, tmp_path):
    path, made = tmp_path / "bad.flm", tmp_path / "made"
    dump(LinearRegression().fit([[1.0]], [1.0]), path)
    path.write_bytes(pickle.dumps(CreatesFolder(made)))

    inspected = run("inspect", path)

    assert (inspected.exit_code, made.exists()) == (0, False)
    assert "may run any code: os.mkdir. Do not trust" in inspected.stdout.replace("posix", "os")


def test_inspect_is_exact_json(run, tmp_path):
    path = tmp_path / "xor.flm"
    path.write_bytes(content_of("2.2.2-xor-zstd-p2.flm"))

    found = json.loads(run("inspect", path, "--json").stdout)

    assert found["container"] == "protocol 2"
    assert found["meta"]["framework"]["lib"] == "sklearn"


@pytest.fixture
def deep_file(tmp_path):
    """A file whose metadata can be parsed within Python's recursion limit, but not serialized."""
    path, limit = tmp_path / "deep.flm", sys.getrecursionlimit()
    nested = json.loads("[" * 600 + "]" * 600)
    sys.setrecursionlimit(20_000)
    dump(LinearRegression().fit([[1.0]], [1.0]), path, extra={"nested": nested})
    sys.setrecursionlimit(limit)
    return path


def test_too_deep_metadata_is_reported(run, deep_file):
    inspected = run("inspect", deep_file)

    assert inspected.exit_code == 1
    assert "Error: " in inspected.stderr
    assert "nested too deeply" in inspected.stderr


def test_terminal_escapes_are_not_written(run, tmp_path):
    path = tmp_path / "shell.flm"
    dump(LinearRegression().fit([[1.0]], [1.0]), path, extra={"note": "\x1b[2J\x9b31m"})

    for words in (["inspect", path], ["inspect", path, "--json"]):
        assert "\\u001b[2J\\u009b31m" in run(*words).stdout


def test_package_writes_a_model_file(run, tmp_path, estimator_file):
    out, sample, card = tmp_path / "m.flm", tmp_path / "rows.csv", tmp_path / "card.md"
    NUMBERS.assign(target="no").to_csv(sample, index=False)
    card.write_text("A card.")

    made = run(
        "package", estimator_file, "--out", out, "--sample", sample, "--name", "credit",
        "--description", "Who pays.", "--version", "1.2", "--metric", "auc=0.91",
        "--metric", "grade=good", "--param", "C=[1, 2]", "--artifact", card,
    )  # fmt: skip

    assert made.exit_code == 0, made.stderr
    packaged = load(out)
    assert (packaged.qualified_name, packaged.version) == ("credit", "1.2")
    assert packaged.metadata["metrics"] == {"auc": 0.91, "grade": "good"}
    assert packaged.metadata["params"] == {"C": [1, 2]}
    assert list(packaged.artifacts) == ["card.md"]
    assert list(packaged.input_schema["properties"]) == ["x", "y"]


def years(table):
    return pd.DataFrame({"year": table["day"].dt.year})


def lengths(table):
    return pd.DataFrame({"length": table["day"].str.len()})


@pytest.mark.parametrize(
    ("step", "days", "form"),
    [
        (FunctionTransformer(years), "datetime64[ns]", "date"),
        (FunctionTransformer(lengths), object, None),
        (OneHotEncoder(handle_unknown="ignore"), object, None),
    ],
    ids=["dates", "texts", "categories"],
)
def test_sample_dates_follow_the_fitted_type(run, tmp_path, step, days, form):
    texts = pd.DataFrame({"day": ["2024-01-31", "2025-02-28", "2026-03-31", "2026-04-30"]})
    texts.to_csv(tmp_path / "rows.csv", index=False)
    model = make_pipeline(step, LinearRegression()).fit(texts.astype(days), [1, 2, 3, 4])
    joblib.dump(model, tmp_path / "m.joblib")

    made = run(
        "package", tmp_path / "m.joblib", "--out", tmp_path / "m.flm",
        "--sample", tmp_path / "rows.csv",
        *(word for own in (years, lengths) for word in ("--trust", f"tests.app.cli.test_commands.{own.__name__}")),
    )  # fmt: skip

    assert made.exit_code == 0, made.stderr
    packaged = load(tmp_path / "m.flm", trust="all")
    assert packaged.input_schema["properties"]["day"].get("format") == form
    assert packaged.examples[0] == {"day": "2024-01-31"}


def test_package_names_untrusted_references(run, tmp_path):
    model = make_pipeline(FunctionTransformer(lengths), LinearRegression())
    joblib.dump(model.fit(pd.DataFrame({"day": ["x", "yy"]}), [1, 2]), tmp_path / "m.joblib")

    refused = run("package", tmp_path / "m.joblib", "--out", tmp_path / "m.flm")
    made = run(
        *("package", tmp_path / "m.joblib", "--out", tmp_path / "m.flm"),
        *("--trust", "tests.app.cli.test_commands.lengths"),
    )

    assert (
        "m.joblib was rejected: the file references names outside the allow-list" in refused.stderr
    )
    assert "trust: [tests.app.cli.test_commands.lengths]" in made.stderr
    assert (
        f"models check {tmp_path / 'm.flm'} --trust tests.app.cli.test_commands.lengths"
        in made.stderr
    )


def test_package_sets_output_and_display_names(run, tmp_path):
    joblib.dump(LinearRegression().fit([[1.0], [2.0]], [[1, 2], [3, 4]]), tmp_path / "m.joblib")

    made = run(
        "package", tmp_path / "m.joblib", "--out", tmp_path / "m.flm", "--display-name", "Two",
        "--output", "low", "--output", "high",
    )  # fmt: skip

    assert made.exit_code == 0, made.stderr
    packaged = load(tmp_path / "m.flm")
    assert packaged.display_name == "Two"
    assert list(packaged.predict({"x0": 1.0})["prediction"]) == ["low", "high"]


def test_check_accepts_bare_file(run, estimator_file):
    assert run("check", estimator_file).exit_code == 0


def test_check_accepts_packaged_file(run, tmp_path, estimator_file):
    run("package", estimator_file, "--out", tmp_path / "m.flm")

    assert run("check", tmp_path / "m.flm").exit_code == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--metric", "auc"], "must be name=value, got 'auc'"),
        (["--name", "a b"], "Invalid value for '--name': must be 1 to 100 letters"),
        (["--sample", __file__], "--sample must end with one of .csv, .json, .ndjson"),
        (["--out", "no/folder/m.flm"], "--out must be in an existing folder"),
        (["--compression", "rar"], "'rar' is not one of 'bz2', 'lzma', 'zlib', 'zstd'"),
    ],
)
def test_invalid_package_options_are_usage_errors(run, estimator_file, words, message):
    made = run("package", estimator_file, "--out", "never.flm", *words)

    assert made.exit_code == 2
    assert message in made.stderr


def test_non_estimator_cannot_be_packaged(run, tmp_path):
    (tmp_path / "text.joblib").write_text("no pickle")
    joblib.dump({"a": 1}, tmp_path / "dict.joblib")

    text = run("package", tmp_path / "text.joblib", "--out", tmp_path / "m.flm")
    other = run("package", tmp_path / "dict.joblib", "--out", tmp_path / "m.flm")

    assert (
        "Error: text.joblib cannot be packaged: it is text that begins with 'no pickle'"
        in text.stderr
    )
    assert "an object of type dict" in other.stderr
    assert (text.exit_code, other.exit_code) == (1, 1)


def test_missing_module_of_estimator_is_named(run, tmp_path):
    (tmp_path / "far.pkl").write_bytes(b"cnowhere.team\nModel\n.")

    made = run(
        *("package", tmp_path / "far.pkl", "--out", tmp_path / "m.flm"),
        *("--trust", "nowhere.team.Model"),
    )

    assert "the model needs the module 'nowhere', which is not installed" in made.stderr


BEGINNINGS = {
    "comments": "# ours\nmodels:\n  - class: tests.models.simple.Echo  # it\n    name: e\n",
    "blank lines": "models:\n\n  - class:   tests.models.simple.Echo\n",
    "no indent": "models:\n- class: 'tests.models.simple.Echo'\n",
    "wide": "models:\n    -   class: tests.models.simple.Echo\n        settings: {}\n",
    "document": "---\nmodels:\n  - class: tests.models.simple.Echo\n    examples: [1,\n      2]\n",
    "long text": "models:\n  - class: tests.models.simple.Echo\n    examples:\n      - |\n        a\n",
}
ENDS = {"nothing": "", "comment": "# the end\n", "commented": "  # - file: old.flm\n"}


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
@pytest.mark.parametrize("beginning", BEGINNINGS.values(), ids=BEGINNINGS)
def test_add_keeps_all_other_bytes(run, models_file, linear_file, beginning, end):
    added = run("add", linear_file, models=beginning + end)

    text = models_file.read_text()
    assert added.exit_code == 0, added.stderr
    assert text.startswith(beginning)
    assert re.search(f"file: linear.flm\n +sha256: [0-9a-f]{{64}}\n{re.escape(end)}$", text)
    assert catalog.read(models_file, {})[-1].file == linear_file


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("models: []  # none\n", "models:\n  - file: linear.flm  # none\n"),
        (
            "models: [{class: tests.models.simple.Echo},]\n",
            "models: [{class: tests.models.simple.Echo}, {file: linear.flm}]\n",
        ),
        (
            "models:\r\n- class: tests.models.simple.Echo",
            "models:\r\n- class: tests.models.simple.Echo\r\n- file: linear.flm\r\n",
        ),
    ],
    ids=["empty", "in brackets", "of Windows"],
)
def test_add_follows_other_yaml_styles(run, models_file, linear_file, before, after):
    run("add", linear_file, "--no-pin", models=before)

    assert models_file.read_bytes().decode() == after


def test_add_writes_name_and_lazy(run, models_file, linear_file):
    added = run("add", linear_file, "--name", "other", "--lazy", "--json", "--no-pin")

    assert models_file.read_text() == (
        f"{SIMPLE}  - file: linear.flm\n    name: other\n    load: lazy\n"
    )
    assert json.loads(added.stdout) == {
        "models_file": "models.yaml",
        "line": 4,
        "name": "other",
        "entry": {"file": "linear.flm", "name": "other", "load": "lazy"},
    }


@pytest.mark.parametrize("words", [[], ["--pin"]])
def test_add_pins_the_file(run, models_file, linear_file, words):
    run("add", linear_file, *words)

    assert models_file.read_text().endswith(
        f"    sha256: {hashlib.sha256(linear_file.read_bytes()).hexdigest()}\n"
    )


@pytest.mark.parametrize(
    "before",
    [
        "models:\n- file: linear.flm  # ours\n  name: one\n- class: tests.models.simple.Echo\n",
        "models: [{file: linear.flm, name: one}, {class: tests.models.simple.Echo}]\n",
    ],
    ids=["block", "in brackets"],
)
def test_pin_adds_hashes(run, models_file, linear_file, before):
    pinned = run("pin", models=before)
    again = run("pin", models=models_file.read_text())

    [spec, _] = catalog.read(models_file, {})
    assert "pinned one" in pinned.stderr
    assert spec.sha256 == hashlib.sha256(linear_file.read_bytes()).hexdigest()
    assert "Nothing to pin." in again.stderr


def test_pin_adds_hash_of_fetched_file(run, models_file, linear_file):
    entry = f"  - file: 'file://{linear_file}'\n    name: "
    run(
        "pin",
        models=f"models:\n{entry}one\n{entry}two\n    check_every: 60\n",
        FETCH_FROM=f"file://{linear_file.parent}",
        CACHE_FOLDER=linear_file.parent / "cache",
    )

    lines = models_file.read_text().splitlines()
    digest = hashlib.sha256(linear_file.read_bytes()).hexdigest()
    assert lines[2] == f"    sha256: {digest}"
    assert "sha256" not in "".join(lines[3:])


def test_pin_keeps_comments_in_place(run, models_file, linear_file):
    run("pin", models=f"models:\n  - file: {linear_file}  # the digits\n    name: one\n")

    lines = models_file.read_text().splitlines()
    assert lines[1].endswith(f"{linear_file}  # the digits")
    assert lines[2].startswith("    sha256: ")
    assert lines[3] == "    name: one"


def test_rejected_file_is_not_pinned(run, models_file, tmp_path):
    (tmp_path / "hostile.pkl").write_bytes(
        attack_pickles.CASES["popped again"](tmp_path / "marker")
    )

    pinned = run("pin", models="models:\n  - file: hostile.pkl\n")

    assert "not pinned: hostile: " in pinned.stderr
    assert "sha256" not in models_file.read_text()


@pytest.mark.parametrize(
    "words", [["--pin"], ["--trust", "all"], ["--trust", "os.mkdir"]], ids=" ".join
)
def test_adding_untrusted_file_needs_trust(run, models_file, tmp_path, words):
    path = tmp_path / "hostile.pkl"
    path.write_bytes(attack_pickles.CASES["popped again"](tmp_path / "marker"))

    refused = run("add", path)
    added = run("add", path, *words)

    assert (
        "Error: hostile.pkl cannot be served: the file references names of Python's standard "
        "library outside the allow-list, which may run any code: os.mkdir." in refused.stderr
    )
    assert added.exit_code == 0, added.stderr
    assert catalog.read(models_file, {})[-1].file == path
    assert not (tmp_path / "marker").exists()


@pytest.mark.parametrize("ending", [".flm", ".pkl", ".joblib"])
def test_inspect_lists_references_of_a_pickle(run, tmp_path, ending):
    content = attack_pickles.CASES["popped again"](tmp_path / "marker")
    path = tmp_path / f"m{ending}"
    path.write_bytes(content)
    if ending == ".flm":
        holding(path, content)

    found = json.loads(run("inspect", path, "--json").stdout)

    assert found["names"] == ["os.mkdir", "sklearn.linear_model._logistic.LogisticRegression"]
    assert found["untrusted"] == ["os.mkdir"]
    assert "may run any code: os.mkdir. Do not trust" in found["refusal"]
    assert re.search("not allowed +os.mkdir\n", run("inspect", path).stdout)
    assert not (tmp_path / "marker").exists()


@pytest.mark.parametrize("ending", [".flm", ".pkl", ".joblib", ".skops", ".onnx", ".keras", ""])
@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0",
        b"\0" * 5000,
        b"\xff" * 5000,
        b"PK\3\4",
        b"\0\0\0\2" + b"\xff" * 60,
        b"\x80\4" + b"(" * 9999,
    ],
    ids=["nothing", "null", "nulls", "ones", "zip", "lengths", "marks"],
)
def test_inspect_survives_any_content(run, tmp_path, ending, content):
    (tmp_path / f"m{ending}").write_bytes(content)

    found = run("inspect", tmp_path / f"m{ending}")

    assert found.exit_code in (0, 1)
    assert "Traceback" not in found.stderr
    assert found.exit_code == 0 or found.stderr.startswith("Error: ")


@pytest.mark.parametrize("ending", [".flm", ".pkl", ".skops"])
def test_inspect_rejects_pipes_and_devices(run, tmp_path, ending):
    os.mkfifo(tmp_path / f"pipe{ending}")
    (tmp_path / f"zero{ending}").symlink_to("/dev/zero")
    (tmp_path / f"loop{ending}").symlink_to(tmp_path / f"loop{ending}")
    (tmp_path / f"folder{ending}").mkdir()

    pipe, zero, loop, folder = (
        run("inspect", tmp_path / f"{name}{ending}").stderr
        for name in ("pipe", "zero", "loop", "folder")
    )

    assert pipe.endswith(
        f"pipe{ending} is not a readable model file: it is not a regular file but a device or a "
        "pipe\n"
    )
    assert "it is not a regular file" in zero
    assert "does not exist" in loop
    assert f"/folder{ending}' is a folder without the file 'MLmodel'" in folder


def test_inspect_rejects_file_larger_than_memory(run, tmp_path):
    with (tmp_path / "huge.pkl").open("wb") as stream:
        stream.truncate(1 << 42)

    assert (
        "4,398,046,511,104 bytes, more than the memory of the machine"
        in run("inspect", tmp_path / "huge.pkl").stderr
    )


def test_check_applies_trust_to_files(run, tmp_path):
    path = tmp_path / "m.pkl"
    path.write_bytes(attack_pickles.CASES["popped again"](tmp_path / "marker"))

    refused = run("check", path)
    run("check", path, "--trust", "os.mkdir")

    assert "may run any code: os.mkdir. Do not trust" in refused.stdout
    assert (refused.exit_code, (tmp_path / "marker").exists()) == (1, True)


def test_add_rejects_invalid_path(run, models_file, linear_file):
    linear_file.rename(linear_file.with_name("ab:c.flm"))

    added = run("add", linear_file.with_name("ab:c.flm"))

    assert (
        "Error: models.yaml, line 4: models/2/file must be a local path or an address "
        in added.stderr
    )
    assert models_file.read_text() == SIMPLE


def test_add_follows_link_of_models_yaml(run, tmp_path, models_file, linear_file):
    (tmp_path / "elsewhere").mkdir()
    real = tmp_path / "elsewhere" / "models.yaml"
    real.write_text(SIMPLE)
    models_file.symlink_to(real)

    added = run("add", linear_file, "--no-pin")

    assert (added.exit_code, models_file.is_symlink()) == (0, True)
    assert real.read_text() == f"{SIMPLE}  - file: linear.flm\n"


def test_add_quotes_special_characters(run, models_file, linear_file):
    path = linear_file.rename(linear_file.with_name("a: ${b} # c.flm"))

    added = run("add", path, "--name", "odd")

    assert added.exit_code == 0, added.stderr
    assert catalog.read(models_file, {})[-1].file == path


@pytest.mark.parametrize(
    ("models", "words", "message"),
    [
        (
            "models: [{file: ./linear.flm}]",
            [],
            "models.yaml already contains linear.flm, on line 1",
        ),
        (
            SIMPLE,
            ["--name", "echo"],
            "models.yaml already has a model 'echo', on line 3; set another",
        ),
        (SIMPLE, ["--name", "a/b"], "Invalid value for '--name': must be 1 to 100 letters"),
    ],
)
def test_add_rejects_duplicates(run, linear_file, models, words, message):
    added = run("add", linear_file, *words, models=models)

    assert added.exit_code > 0
    assert message in added.stderr


def test_add_rejects_broken_file(run, models_file, linear_file):
    linear_file.write_bytes(linear_file.read_bytes()[:-5])

    added = run("add", linear_file)

    assert added.exit_code == 1
    assert "Error: linear.flm cannot be served: " in added.stderr
    assert models_file.read_text() == SIMPLE


def write_settings(folder, **settings):
    folder.mkdir(parents=True, exist_ok=True)
    settings = {"implementation": "mlserver_sklearn.SKLearnModel", **settings}
    (folder / "model-settings.json").write_text(json.dumps(settings), encoding="utf-8")


def test_from_mlserver_adds_names_versions_and_files(run, tmp_path, models_file, estimator_file):
    folder = tmp_path / "repository"
    write_settings(folder / "churn" / "1", name="churn", parameters={"version": "1"})
    estimator_file.rename(folder / "churn" / "1" / "model.joblib")
    parameters = {"version": "2", "uri": "../1/model.joblib"}
    write_settings(folder / "churn" / "2", name="churn", parameters=parameters)

    added = run("from-mlserver", folder, "--json")

    assert added.exit_code == 1
    first, second = json.loads(added.stdout)
    assert first["entry"]["file"] == "repository/churn/1/model.joblib"
    assert (first["name"], first["entry"]["version"]) == ("churn", "1")
    assert len(first["entry"]["sha256"]) == 64
    assert "models.yaml already contains model.joblib, on line 4" in second["reason"]
    assert "Verifying model.joblib" in added.stderr
    assert catalog.read(models_file, {})[-1].version == "1"


def test_from_mlserver_adds_several_versions(run, tmp_path, models_file):
    for version in ("1", "2"):
        write_settings(tmp_path / "all" / version, name="linear", parameters={"version": version})
        copy = tmp_path / "all" / version / "model.pkl"
        copy.write_bytes(pickle.dumps(LinearRegression().fit(NUMBERS[["x"]], NUMBERS["y"])))

    added = run("from-mlserver", tmp_path / "all")

    assert added.exit_code == 0, added.stderr
    assert [each.version for each in catalog.read(models_file, {})[-2:]] == ["1", "2"]


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"implementation": "models.Custom"}, "implementation must be one of mlserver_sklearn"),
        ({"implementation": None}, "implementation must be text, got None"),
        ({"name": "a b"}, "name must be 1 to 100 letters"),
        ({"parameters": {"uri": "missing.joblib"}}, "missing.joblib does not exist"),
        ({"parameters": {"uri": "s3://bucket/model"}}, "parameters.uri must be a local path"),
        ({"parameters": []}, ""),
        ({"parameters": 1}, "parameters must be an object, got 1"),
    ],
)
def test_from_mlserver_reports_what_it_cannot_add(run, tmp_path, models_file, settings, reason):
    write_settings(tmp_path / "all" / "one", **settings)

    added = run("from-mlserver", tmp_path / "all")

    assert added.exit_code == 1
    assert reason in added.stdout
    assert "not added" in added.stdout
    assert models_file.read_text() == SIMPLE


def test_from_mlserver_needs_settings(run, tmp_path):
    added = run("from-mlserver", tmp_path)

    assert added.exit_code == 1
    assert "contains no model-settings.json" in added.stderr


def test_add_leaves_no_temporary_file(run, tmp_path, linear_file):
    run("add", linear_file)

    assert sorted(path.name for path in tmp_path.iterdir()) == ["linear.flm", "models.yaml"]


def test_ray_configuration_has_marked_entries(run_command, tmp_path):
    entries = [
        "{file: a.flm, name: big, version: '2', ray: {num_replicas: 3, num_gpus: 1}}",
        "{file: b.flm, name: small}",
    ]
    models = "models:\n" + "".join(f"  - {each}\n" for each in entries)

    result = run_command(
        "modelhost", "ray", "--address", "http://ray:8000/", models=models, MODEL_THREADS=4
    )

    [application] = YAML(typ="safe").load(result.stdout)["applications"]
    assert (
        "#   - {remote: http://ray:8000/big-2, model: big@2, name: big, version: 2}"
        in result.stdout
    )
    assert (application["route_prefix"], application["args"]["model"]) == ("/big-2", "big@2")
    assert application["deployments"] == [
        {
            "name": "Model",
            "num_replicas": 3,
            "max_ongoing_requests": 16,
            "ray_actor_options": {"num_cpus": 1, "num_gpus": 1},
        }
    ]


def test_ray_configuration_needs_a_marked_entry(run_command):
    result = run_command("modelhost", "ray", models=SIMPLE)

    assert result.exit_code == 1
    assert "has no entry with 'ray'" in result.stderr


def test_serve_rejects_files_of_one_name(tmp_path):
    files = [tmp_path / folder / "line.flm" for folder in "ab"]
    for file in files:
        file.parent.mkdir()
        dump(LinearRegression().fit(NUMBERS[["x"]], NUMBERS["y"]), file)

    ran = CliRunner().invoke(build_modelhost(), ["serve", *map(str, files)])

    assert ran.exit_code == 1
    assert f"{files[0]} and {files[1]} have the same name 'line': rename a file" in ran.stderr


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"name": "bad name!"}, ValueError, "name must be 1 to 100 letters, digits"),
        (
            {"name": NUMBERS},
            TypeError,
            "'name' must be a text, got a DataFrame; rows are 'sample='",
        ),
        ({"sample": NUMBERS}, TypeError, "'sample' is for a fitted estimator"),
        ({"trust": "all"}, TypeError, "'trust' is for the path of a model file"),
        ({"port": 99999}, ValueError, "'port' must be 1 to 65535, got 99999"),
    ],
)
def test_background_server_rejects_arguments_before_it_starts(arguments, error, message):
    with pytest.raises(error, match=message):
        background.serve(simple.Echo, **arguments)


@pytest.mark.parametrize("address", ["https://a.example/credit.flm", "models:/credit@champion"])
def test_background_server_rejects_an_address(address):
    with pytest.raises(ValueError, match=f"got the address '{address}': run 'modelhost serve"):
        background.serve(address)


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("::1", "[::1]"),
        ("0.0.0.0", "127.0.0.1"),
        ("::", "[::1]"),
    ],
)
def test_browser_opens_an_address_of_this_machine(host, expected):
    assert serving.get_browser_host(host) == expected


@pytest.mark.parametrize(
    ("entry", "name"),
    [
        ({"file": "https://a.example/credit2.flm?sig=abc"}, "credit2"),
        ({"file": "models:/churn@champion"}, "churn"),
        ({"file": "dia betes.joblib"}, "dia-betes"),
        ({"remote": "http://host:8000", "model": "wine@2"}, "wine"),
    ],
)
def test_completion_names_a_model_like_the_server(entry, name, tmp_path, monkeypatch):
    (tmp_path / "models.yaml").write_text(json.dumps({"models": [entry]}))
    monkeypatch.setenv("MODELHOST_MODELS_FILE", str(tmp_path / "models.yaml"))

    assert list(list_names()) == [name]
