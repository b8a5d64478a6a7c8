"""Cases in which Shapley values are exact, and those that the package shap computes.

``make shap`` writes the values again, in an environment of its own: shap takes seconds to import.
"""

import json
from importlib.metadata import version

import numpy as np

from tests import ROOT

FILE = ROOT / "tests/data/shap/values.json"
#: Numbers that are equal in single and double precision, as a forest compares the former.
GRID = 1 / 8
ROWS = 50


def draw(fields, rows=ROWS):
    numbers = np.random.default_rng(3).normal(size=(rows + 1, fields))
    table = np.round(numbers / GRID) * GRID
    return table[0], table[1:]


def linear(table):
    return table @ [1.5, -2, 0, 0.25, 3] + 4


def curved(table):
    a, b, c, d = table.T
    return 1 / (1 + np.exp(-(a * b + np.sin(c) - a * c * d)))


def forest():
    from sklearn.ensemble import RandomForestRegressor

    _, table = draw(6, rows=300)
    target = table[:, 0] * table[:, 1] + np.abs(table[:, 2]) + table[:, 3] * (table[:, 4] > 0)
    return RandomForestRegressor(20, max_depth=5, random_state=0).fit(table, target)


def main():
    import shap

    def values(explainer, row):
        return np.ravel(explainer.shap_values(row[None])).tolist()

    row, background = draw(5)
    coefficients, intercept = np.array([1.5, -2, 0, 0.25, 3]), 4
    exact = {"linear": values(shap.LinearExplainer((coefficients, intercept), background), row)}
    row, background = draw(6)
    exact["forest"] = values(shap.TreeExplainer(forest(), background), row)
    row, background = draw(4)
    masker = shap.maskers.Independent(background, max_samples=ROWS)
    exact["curved"] = np.ravel(shap.ExactExplainer(curved, masker)(row[None]).values).tolist()
    packages = {name: version(name) for name in ("shap", "scikit-learn", "numpy")}
    FILE.write_text(json.dumps({"packages": packages, "values": exact}, indent=1) + "\n")


if __name__ == "__main__":
    main()
