"""Why a model could not be loaded, in words of ours: its own may tell too much."""

from __future__ import annotations

from app.serving.errors import ServingError
from mlmodel.errors import BrokenModel, FlmError


def reason(error: BaseException) -> str:
    """Return what everybody may know of it; the log has the rest."""
    if isinstance(error, BrokenModel):
        return f"{error.summary}; the log says more"
    if isinstance(error, FlmError | ServingError):
        return str(error)
    if isinstance(error, ModuleNotFoundError):
        return f"the module {error.name!r} is not installed"
    if isinstance(error, OSError) and error.strerror:
        return f"a file that it needs cannot be read: {error.strerror}"
    return f"it raised {type(error).__name__} while it was loaded; the log says more"
