"""Write the folders next to this file with MLflow, and its predictions to predictions.json.

python -m venv .envs/mlflow
.envs/mlflow/bin/pip install -r tests/data/mlflow/requirements.txt
MLFLOW_ALLOW_PICKLE_DESERIALIZATION=true .envs/mlflow/bin/python tests/data/mlflow/write.py
"""

import json
import shutil
from pathlib import Path

import lightgbm
import mlflow.lightgbm
import mlflow.onnx
import mlflow.pyfunc
import mlflow.sklearn
import mlflow.xgboost
import numpy as np
import pandas as pd
import xgboost
from mlflow.models import infer_signature
from skl2onnx import to_onnx
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_iris
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

FOLDER = Path(__file__).parent
predictions = {}


class Doubled(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        return model_input["number"] * 2


def people(count=60):
    places = np.arange(count)
    return pd.DataFrame(
        {
            "age": (20 + places % 45).astype("int32"),
            "income": np.where(places % 7 == 3, np.nan, 1500.5 + 37.0 * places),
            "rate": (0.1 + places / 7).astype("float32"),
            "job": np.array(["clerk", "cook", "nurse"])[places % 3],
            "is_member": places % 2 == 0,
        }
    )


def fitted(model, rows):
    columns = make_column_transformer(
        (OneHotEncoder(sparse_output=False), ["job"]), remainder="passthrough"
    )
    return make_pipeline(columns, model).fit(rows, np.where(rows["age"] > 40, "yes", "no"))


def save(flavor, model, name, rows, *, has_signature=True, **options):
    folder = FOLDER / name
    shutil.rmtree(folder, ignore_errors=True)
    if has_signature:
        options |= {"signature": infer_signature(rows), "input_example": rows[:2]}
    # Inferring the requirements loads the model in another process.
    flavor.save_model(model, folder, pip_requirements=["mlflow"], **options)
    outcome = mlflow.pyfunc.load_model(str(folder)).predict(rows)
    if isinstance(outcome, dict):  # ONNX: every output of the graph
        outcome = next(iter(outcome.values()))
    predictions[name] = np.asarray(outcome).tolist()


def main():
    rows = people()
    trees = fitted(HistGradientBoostingClassifier(max_iter=3, max_depth=2), rows)
    for form in ("pickle", "cloudpickle"):
        options = {"serialization_format": form, "metadata": {"team": "risk"}}
        save(mlflow.sklearn, trees, f"credit-{form}", rows, **options)
    line = fitted(LogisticRegression(max_iter=500), rows.drop(columns="income"))
    save(mlflow.sklearn, line, "credit-skops", rows.drop(columns="income"))

    x, y = load_iris(return_X_y=True, as_frame=True)
    table = x.to_numpy()
    plain = LogisticRegression(max_iter=500).fit(table, y)
    pickled = {"serialization_format": "pickle"}
    save(mlflow.sklearn, plain, "iris-unsigned", table, has_signature=False, **pickled)
    save(mlflow.sklearn, plain, "iris-tensor", table, **pickled)
    save(mlflow.sklearn, plain, "iris-named", x.rename(columns=lambda name: name[:-5]), **pickled)
    booster = xgboost.XGBClassifier(n_estimators=2, max_depth=2).fit(x, y)
    save(mlflow.xgboost, booster, "iris-xgboost", x)
    save(mlflow.xgboost, booster.get_booster(), "iris-xgboost-raw", x)
    boosted = lightgbm.LGBMClassifier(n_estimators=2, max_depth=2, verbose=-1).fit(x, y)
    save(mlflow.lightgbm, boosted, "iris-lightgbm", x)
    save(mlflow.lightgbm, boosted.booster_, "iris-lightgbm-raw", x)
    narrow = table.astype(np.float32)
    graph = to_onnx(plain, narrow[:1], options={"zipmap": False})
    save(mlflow.onnx, graph, "iris-onnx", narrow)
    own = Doubled()
    numbers = pd.DataFrame({"number": [1.5, 2.0]})
    folder = FOLDER / "own-code"
    shutil.rmtree(folder, ignore_errors=True)
    mlflow.pyfunc.save_model(
        folder, python_model=own, signature=infer_signature(numbers), pip_requirements=["mlflow"]
    )
    text = json.dumps(predictions, indent=None, separators=(",", ":"))
    (FOLDER / "predictions.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
