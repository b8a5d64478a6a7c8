"""Limit the threads and processes of a loaded model, and silence its output.

An estimator keeps the ``n_jobs`` it was fitted with, so a file could start thousands of threads. A
server predicts in several processes and threads at once, so one job for each call is also faster.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

#: Parameters of estimators for the number of threads or processes: those of scikit-learn, CatBoost,
#: and XGBoost's and LightGBM's synonyms.
PARAMETERS = ("n_jobs", "n_threads", "nthread", "nthreads", "num_threads", "thread_count")
#: Parameters for the amount of output, which also apply to predictions.
VERBOSITIES = ("verbose", "verbosity")
#: Attributes in which estimators keep parameters that they pass on.
PASSED_ON = ("_init_params", "_other_params", "kwargs")
#: Methods of CatBoost that use all cores unless each call sets ``thread_count``.
CATBOOST_METHODS = ("predict", "predict_proba", "predict_log_proba")

_PLAIN = (str, bytes, bytearray, int, float, complex, bool, type(None), type)
_CONTAINERS = (list, tuple, set, frozenset)


def limit_jobs(model: Any, n_jobs: int = 1) -> None:
    """Limit a model and all estimators in it to this many threads or processes for a call.

    Also silence their output, which would fill the log with each prediction.

    :param n_jobs: 1 or more; -1 for as many as there are cores.
    """
    seen: set[int] = set()
    parts = [model]
    while parts:
        part = parts.pop()
        if id(part) in seen:
            continue
        seen.add(id(part))
        if isinstance(part, _CONTAINERS):
            found = list(part)
        elif isinstance(part, Mapping):
            found = list(part.values())
        elif _is_array_of_objects(part):
            found = part.ravel().tolist()
        else:
            found = _limited(part, n_jobs)
        parts += [each for each in found if not isinstance(each, _PLAIN)]


def _limited(part: Any, n_jobs: int) -> list[Any]:
    """Set the parameters of an object, and return its members."""
    package = type(part).__module__.partition(".")[0]
    if package == "xgboost" and hasattr(part, "set_param"):
        # The booster in the file has its own number of threads; 0 stands for all cores.
        part.set_param({"nthread": max(n_jobs, 0)})
    members = getattr(part, "__dict__", None)
    if not isinstance(members, dict):
        return []
    _set(members, n_jobs)
    for name in PASSED_ON:
        _set(members.get(name), n_jobs)
    found = list(members.values())
    if package == "catboost":
        for name in CATBOOST_METHODS:
            if hasattr(part, name):
                members[name] = partial(getattr(part, name), thread_count=n_jobs)
    return found


def _set(parameters: Any, n_jobs: int) -> None:
    if not isinstance(parameters, dict):
        return
    for name in PARAMETERS:
        if name in parameters and isinstance(parameters[name], int | None):
            parameters[name] = n_jobs
    for name in VERBOSITIES:
        if isinstance(parameters.get(name), int):
            parameters[name] = min(parameters[name], 0)


def _is_array_of_objects(part: Any) -> bool:
    return type(part).__name__ == "ndarray" and part.dtype == object
