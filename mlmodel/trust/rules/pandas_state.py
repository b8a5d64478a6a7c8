"""pandas frames and series, which encoders keep as tables of what they have learned.

Attribute lookup on them also finds labels, and they have methods that other estimators would call
with rows: ``frame.transform(rows)`` calls the methods that the rows name.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from mlmodel.trust.rules.tree_nodes import is_a

#: Members of the state of a frame or series.
_MEMBERS = frozenset({"_flags", "_metadata", "_mgr", "_name", "_typ", "attrs"})


def is_allowed(_built: Any, state: Any) -> bool:
    """Return whether a state is that of a frame or series: its blocks, and its name."""
    from pandas.core.internals import managers  # noqa: PLC0415  only for a file that needs it

    return (
        type(state) is dict
        and set(state) <= _MEMBERS
        and isinstance(state["_mgr"], managers.BlockManager | managers.SingleBlockManager)
        and set(state["_flags"]) == {"allows_duplicate_labels"}
        and state["_metadata"] in ([], ["_name"], ["name"])
        and state["attrs"] == {}
    )


def is_series(_built: Any, state: Any) -> bool:
    """Return whether a state is that of a series: one block, with a label for each value."""
    import pandas as pd  # noqa: PLC0415

    [_axes, _values, _items, versions] = state
    [labels], [block] = versions["0.14.1"]["axes"], versions["0.14.1"]["blocks"]
    values = block["values"]
    array = pd.api.extensions.ExtensionArray
    return (
        isinstance(labels, pd.Index)
        and hasattr(values, "dtype")
        and (isinstance(values, array) or getattr(values, "ndim", 0) == 1)
        and len(values) == len(labels)
        and isinstance(block["mgr_locs"], slice)
        and block["mgr_locs"] == slice(0, len(labels), 1)
    )


def is_sound(built: Any, methods: Collection[str]) -> bool:
    """Return whether no label of a frame or series replaces an attribute that Python looks up.

    Disables the methods by which an estimator would be called. Other objects are always sound.
    """
    if not is_a(built, "pandas.core.generic.NDFrame"):
        return True
    for name in methods:
        if hasattr(type(built), name):
            object.__setattr__(built, name, None)
    return not any(
        type(label) is str and label.startswith("__") for axis in built.axes for label in axis
    )
