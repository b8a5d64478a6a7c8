"""An estimator that records the processes in which it is called."""

import os
from pathlib import Path

from sklearn.base import BaseEstimator, RegressorMixin


class Recording(RegressorMixin, BaseEstimator):
    """An estimator that writes the process of each prediction to a file."""

    def __init__(self, file=""):
        self.file = file

    def fit(self, X, y):  # noqa: N803
        self.n_features_in_ = X.shape[1]
        return self

    def predict(self, X):  # noqa: N803
        with Path(self.file).open("a") as stream:
            stream.write(f"{os.getpid()}\n")
        return [float(len(X))] * len(X)
