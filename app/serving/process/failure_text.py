"""Public reasons for a failed load, since the message of the error may reveal too much."""

from __future__ import annotations

from app.serving.errors import ServingError
from mlmodel.errors import BrokenModel, FlmError


def get_failure_text(error: BaseException) -> str:
    """Return the public reason for an error; the log has the details."""
    if isinstance(error, BrokenModel):
        return f"{error.summary}; see the log"
    if isinstance(error, FlmError | ServingError):
        return str(error)
    if isinstance(error, ModuleNotFoundError):
        return f"the module {error.name!r} is not installed"
    if isinstance(error, OSError) and error.strerror:
        return f"a file that it needs cannot be read: {error.strerror}"
    return f"it raised {type(error).__name__} while loading; see the log"
