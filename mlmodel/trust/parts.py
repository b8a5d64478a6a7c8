"""What a model that is built has in it, judged as if each part of it were in a pickle.

For files whose own reader makes objects of classes that it knows, and gives them any members.
"""

from __future__ import annotations

from collections.abc import Iterable
from types import FunctionType, MethodType
from typing import Any

from mlmodel.errors import Untrusted
from mlmodel.trust import Trust, states

#: Packages whose classes have their states judged: others are there because somebody trusts them.
_JUDGED = ("scipy", "sklearn")
_PLAIN = (str, bytes, bytearray, int, float, complex, type(None), type, FunctionType)


def check(model: Any, trust: Trust) -> None:
    """Refuse a model that has a part in a state that no model gives it.

    :param trust: names of classes whose objects may be in any state.
    :raises Untrusted: with the class of that part.
    """
    if trust == "all":
        return
    # With the objects themselves, so that none of them gives its identity to another.
    seen: dict[int, Any] = {}
    waiting = [model]
    while waiting:
        part = waiting.pop()
        if isinstance(part, _PLAIN) or id(part) in seen:
            continue
        seen[id(part)] = part
        name = f"{type(part).__module__}.{type(part).__qualname__}"
        state = _state(part)
        if name not in trust and not _is_honest(part, state):
            raise Untrusted(
                f"the model has {name} in a state that no model gives it, as one that opens files "
                "that rows name; if you trust it, name it in 'trust', or say 'trust: all'",
                [name],
            )
        waiting.extend(_within(part, state))


def _state(part: Any) -> Any:
    """Return the members of an object, or what a native one would be pickled with, if anything."""
    if hasattr(part, "__dict__"):
        return vars(part)
    if not _is_judged(part):
        return None
    try:
        _called, _arguments, *state = part.__reduce__()
    except TypeError:  # it is never pickled
        return None
    return state[0] if state else None


def _is_judged(part: Any) -> bool:
    return type(part).__module__.partition(".")[0] in _JUDGED


def _is_honest(part: Any, state: Any) -> bool:
    try:
        if _is_judged(part) and state is not None and not states.judge(part, state):
            return False
        return states.is_sound(part)
    # A judge takes apart what it is given; what cannot be taken apart is of no honest file.
    except Exception:
        return False


def _within(part: Any, state: Any) -> Iterable[Any]:
    """Yield what an object holds."""
    if isinstance(part, dict):
        yield from part
        yield from part.values()
    elif isinstance(part, (list, tuple, set, frozenset)):
        yield from part
    elif isinstance(part, MethodType):
        yield part.__self__
    elif getattr(getattr(part, "dtype", None), "kind", "") == "O" and hasattr(part, "flat"):
        yield from part.flat
    if state is not None:
        yield state
