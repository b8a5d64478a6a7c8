"""``.skops`` files, built by skops and checked like pickles.

A file names the skops loader that builds each of its types, and each loader has its own allowed
names. The model that skops has built is then pickled and rebuilt like any other, so that names,
calls and states are checked in one place.
"""

from __future__ import annotations

import io
import json
import pickle
import re
import zipfile
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

from mlmodel.bounded.compression import check_archive
from mlmodel.errors import BrokenModel
from mlmodel.trust import Trust, builder
from mlmodel.trust.allowlist import AllowList, unexpected_use, untrusted_names
from mlmodel.trust.rules import conversions
from mlmodel.trust.rules import names as allowed
from mlmodel.trust.rules.names import full_names
from mlmodel.trust.scan import sklearn_release

_Read = TypeVar("_Read")

#: The first bytes of a ``.skops`` file. No pickle that can be built starts with them.
MAGIC = b"PK\x03\x04"

#: Loaders that build one fixed class, or a value, and ignore the name in the file.
_FIXED = frozenset(
    """
    BytearrayNode BytesNode CachedNode DTypeNode DefaultDictNode JsonNode MaskedArrayNode
    PartialNode SliceNode SparseMatrixNode
    """.split()  # noqa: SIM905  they are many
)
_RANDOM = ("numpy.random.mtrand.RandomState", "numpy.random._generator.Generator")
#: Loaders that call the named class to build a value, with the names that each may call.
_CALLING: Mapping[str, frozenset[str]] = {
    "ConstructorFromReduceNode": full_names(
        {
            "builtins": "complex range",
            "datetime": "date datetime time timedelta timezone",
            "decimal": "Decimal",
            "fractions": "Fraction",
            "zoneinfo": "ZoneInfo",
        }
    ),
    "DictNode": full_names(
        {"builtins": "dict", "collections": "OrderedDict", "sklearn.utils._bunch": "Bunch"}
    ),
    "ListNode": frozenset({"builtins.list"}),
    "NdArrayNode": frozenset(name for name in allowed.TYPES if name.startswith("numpy.")),
    "RandomGeneratorNode": frozenset(_RANDOM),
    "RandomStateNode": frozenset(_RANDOM),
    "SetNode": full_names({"builtins": "frozenset set"}),
    "TreeNode": frozenset({"sklearn.tree._tree.Tree"}),
    "TupleNode": frozenset({"builtins.tuple", *allowed.NAMED_TUPLES}),
}
#: Modules of the losses that ``LossNode`` calls with numbers.
_LOSS_MODULES = (conversions.LOSSES, conversions.SGD_LOSSES)
#: Types that skops converts the keys of a dict to.
_KEYS = full_names({"builtins": "bool float int str"}) | {
    name for name in allowed.TYPES if re.fullmatch(r"numpy\.((u?int|float)\d+|str_|bool_?)", name)
}


def check(content: bytes, trust: Trust) -> None:
    """Reject a file with names that are neither allowed nor trusted. Builds nothing.

    :raises Untrusted: with those names, or if the file uses a loader in a way that skops does not.
    :raises FlmError: as :func:`types` does.
    """
    if trust == "all":
        return
    types(content)
    allow_list, unknown = AllowList(trust), set()
    ids: dict[Any, tuple[str, str]] = {}
    for node in _read(lambda: list(_nodes(_schema(content)))):
        full, loader = _title(node), node["__loader__"]
        if not allow_list.is_trusted(full) and not _may_load(loader, full, allow_list):
            unknown.add(full)
        is_first = ids.setdefault(node.get("__id__"), (full, loader)) == (full, loader)
        # skops reuses the first node with an id, and ignores later ones.
        if node.get("__id__") and loader != "CachedNode" and not is_first:
            raise unexpected_use("the file has two objects with the same id")
        if loader == "DictNode" and not _is_plain_dict(node):
            raise unexpected_use("the file contains a dict with unexpected keys")
    if unknown:
        raise untrusted_names(unknown)


def names(content: bytes) -> tuple[str, ...]:
    """Return all names in a file.

    :raises BrokenModel: if it is not a skops file.
    """
    return _read(lambda: tuple(sorted({_title(node) for node in _nodes(_schema(content))})))


def types(content: bytes) -> tuple[str, ...]:
    """Return the types in a file that skops itself does not trust.

    :raises InvalidFile: if it expands too far, or has a name outside its folder.
    :raises BrokenModel: if it is not a skops file.
    """
    from skops import io as skops  # noqa: PLC0415  large

    check_archive(content, "a skops file")
    return _read(lambda: tuple(skops.get_untrusted_types(data=content)))


def release(content: bytes) -> str | None:
    """Return the scikit-learn release that wrote a file, if its schema names one.

    :raises InvalidFile: as :func:`types` does.
    :raises BrokenModel: if it is not a skops file.
    """
    check_archive(content, "a skops file")
    return _read(lambda: sklearn_release(_member(content)))


def build(content: bytes, trust: Trust) -> Any:
    """Return the model in a file, built by skops and, unless all is trusted, from its pickle.

    :raises Untrusted: if it needs a name that is neither allowed nor trusted.
    :raises Exception: any error of skops, pickle or the classes.
    """
    from skops import io as skops  # noqa: PLC0415

    check(content, trust)
    model = skops.loads(content, trusted=list(types(content)))
    return model if trust == "all" else builder.build(pickle.dumps(model), trust)


def _may_load(loader: str, full: str, allow_list: AllowList) -> bool:
    """Return whether a skops loader may build the object of a name."""
    if loader in _FIXED:
        return True
    if loader in _CALLING:
        return full in _CALLING[loader]
    module, _, name = full.rpartition(".")
    if loader == "LossNode":
        return module in _LOSS_MODULES and allow_list.allows(module, name)
    if loader == "ObjectNode":
        # ObjectNode sets the state from the file, which a distribution must not receive.
        return allow_list.allows(module, name) and (
            conversions.find(full) is None or module.startswith("joblib.")
        )
    return loader in ("FunctionNode", "TypeNode") and allow_list.allows(module, name)


def _member(content: bytes) -> bytes:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return archive.read("schema.json")


def _schema(content: bytes) -> Mapping[str, Any]:
    schema = json.loads(_member(content))
    if schema["protocol"] < 1:
        raise ValueError("it was written by a release of skops that is too old")
    return dict(schema)


def _nodes(value: Any) -> Iterator[Mapping[str, Any]]:
    """Yield all parts of a schema that skops may read as objects."""
    waiting = [value]
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            if "__loader__" in part:
                yield part
            waiting.extend(part.values())
        elif isinstance(part, list):
            waiting.extend(part)


def _title(node: Mapping[str, Any]) -> str:
    full = f"{node['__module__']}.{node['__class__']}"
    return f"{full}.{node['content']['func']}" if node["__loader__"] == "MethodNode" else full


def _is_plain_dict(node: Mapping[str, Any]) -> bool:
    return not any(key.startswith("__") and key.endswith("__") for key in node["content"]) and all(
        _title(kind) in _KEYS or kind["__loader__"] == "CachedNode"
        for kind in node["key_types"]["content"]
    )


def _read(read: Callable[[], _Read]) -> _Read:
    try:
        return read()
    except Exception as error:
        raise BrokenModel(f"it is not a skops file ({type(error).__name__})", str(error)) from error
