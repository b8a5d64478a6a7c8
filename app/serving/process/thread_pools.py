"""Limits on the threads of numerical libraries, which read them when they are first imported."""

from __future__ import annotations

from collections.abc import MutableMapping

#: Environment variables that set the number of threads of OpenMP and linear algebra libraries.
VARIABLES = (
    "BLIS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)


def limit(environ: MutableMapping[str, str]) -> None:
    """Limit each thread pool to one thread unless the environment sets another number.

    In a server, larger pools only compete for the cores. Call it before numpy is imported.
    """
    for variable in VARIABLES:
        environ.setdefault(variable, "1")
