import os
import subprocess
import sys
from pathlib import Path

import workers

ROOT = Path(__file__).parents[1]


def test_pools_of_threads_get_one_thread_unless_somebody_said_otherwise():
    environ = {"OMP_NUM_THREADS": "4"}

    workers.limit_threads(environ)

    assert (environ["OMP_NUM_THREADS"], environ["OPENBLAS_NUM_THREADS"]) == ("4", "1")


def test_nothing_calculates_before_the_pools_are_limited():
    libraries = "{'joblib', 'numpy', 'onnxruntime', 'pandas', 'scipy', 'sklearn', 'torch'}"
    program = f"import sys, app, workers, config; print({libraries} & set(sys.modules))"

    ran = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )

    assert ran.stdout.strip() == "set()"


def test_commands_limit_the_pools_too():
    program = "import os, wsgi; print(os.environ['OMP_NUM_THREADS'])"
    environ = {name: text for name, text in os.environ.items() if name != "OMP_NUM_THREADS"}

    ran = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env=environ | {"MODELHOST_MODELS_FILE": os.devnull},
        capture_output=True,
        text=True,
        check=True,
    )

    assert ran.stdout.strip() == "1"


def test_the_colons_of_an_address_are_not_that_of_its_port():
    assert workers.address({"HOST": "::1", "PORT": 80}) == "[::1]:80"
    assert workers.address({"HOST": "127.0.0.1", "PORT": 80}) == "127.0.0.1:80"
