"""Limit the threads and processes of a loaded model, and silence its output.

An estimator keeps the ``n_jobs`` it was fitted with, so a file could start thousands of threads. A
server predicts in several processes and threads at once, so one job for each call is also faster.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from mlmodel.frameworks.sklearn.objects import objects_in

#: Parameters of estimators for the number of threads or processes: those of scikit-learn, CatBoost,
#: and XGBoost's and LightGBM's synonyms.
PARAMETERS = ("n_jobs", "n_threads", "nthread", "nthreads", "num_threads", "thread_count")
#: Parameters for the amount of output, which also apply to predictions.
VERBOSITIES = ("verbose", "verbosity")
#: Attributes in which estimators keep parameters that they pass on.
PASSED_ON = ("_init_params", "_other_params", "kwargs")
#: Methods of CatBoost that use all cores unless each call sets ``thread_count``.
CATBOOST_METHODS = ("predict", "predict_proba", "predict_log_proba")


def limit_jobs(model: Any, n_jobs: int = 1) -> None:
    """Limit a model and all estimators in it to this many threads or processes for a call.

    Also silence their output, which would fill the log with each prediction.

    :param n_jobs: 1 or more; -1 for as many as there are cores.
    """
    for part in objects_in(model):
        package = type(part).__module__.partition(".")[0]
        if package == "xgboost" and hasattr(part, "set_param"):
            # The booster in the file has its own number of threads; 0 stands for all cores.
            part.set_param({"nthread": max(n_jobs, 0)})
        members = part.__dict__
        if not isinstance(members, dict):
            continue
        _set_parameters(members, n_jobs)
        for name in PASSED_ON:
            _set_parameters(members.get(name), n_jobs)
        if package == "catboost":
            for name in CATBOOST_METHODS:
                if hasattr(part, name):
                    members[name] = partial(getattr(part, name), thread_count=n_jobs)


def _set_parameters(parameters: Any, n_jobs: int) -> None:
    if not isinstance(parameters, dict):
        return
    for name in PARAMETERS:
        if name in parameters and isinstance(parameters[name], int | None):
            parameters[name] = n_jobs
    for name in VERBOSITIES:
        if isinstance(parameters.get(name), int):
            parameters[name] = min(parameters[name], 0)
