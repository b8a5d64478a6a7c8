"""Rules for the calls that the pickle of a model may make.

Each rule takes the arguments of a call, and returns whether a fitted model has such arguments. If
it raises, as it does with a wrong number of arguments, the call is rejected.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Mapping
from datetime import timedelta, timezone
from types import NoneType
from typing import Any

from mlmodel.trust.rules.conversions import (
    LOSSES,
    PLAIN,
    SGD_LOSSES,
    import_object,
    is_distribution,
    is_number_or_boolean,
)

#: The classes of :data:`~mlmodel.trust.rules.conversions.LOSSES`.
_LOSS_CLASSES = (
    "CyAbsoluteError CyExponentialLoss CyHalfBinomialLoss CyHalfGammaLoss CyHalfMultinomialLoss "
    "CyHalfPoissonLoss CyHalfSquaredError CyHalfTweedieLoss CyHalfTweedieLossIdentity CyHuberLoss "
    "CyPinballLoss"
)
_LOSS_NAMES = frozenset(f"{LOSSES}.{name}" for name in _LOSS_CLASSES.split())

_MOST_AXES = 64

#: Allowed values of ``defaultdict.default_factory``.
_FACTORIES = (None, OrderedDict, dict, float, int, list, str)
#: Singletons, each the only instance of its type.
_SINGLE = (None, NotImplemented, Ellipsis)


def is_shape(shape: Any) -> bool:
    """Return whether a value may be the shape of an array; numpy supports no more axes."""
    return (
        type(shape) is tuple
        and len(shape) <= _MOST_AXES
        and all(type(axis) is int and 0 <= axis < 1 << 63 for axis in shape)
    )


def _plain(*arguments: Any) -> bool:
    return all(isinstance(each, PLAIN) or is_number_or_boolean(each) for each in arguments)


def _interval(*ends: Any) -> bool:
    kinds = (import_object("pandas.Timestamp"), import_object("pandas.Timedelta"))
    return all(isinstance(each, kinds) or _plain(each) for each in ends)


def _period(value: Any, freq: Any, ordinal: Any) -> bool:
    is_offset = isinstance(freq, import_object("pandas._libs.tslibs.offsets.BaseOffset"))
    return value is None and (is_offset or type(freq) is str) and type(ordinal) is int


def _class_of(*bases: str) -> Callable[..., bool]:
    """Return the rule for calls whose only argument is a class derived from one of the bases.

    :param bases: the classes with their modules.
    """

    def rule(kind: Any) -> bool:
        return isinstance(kind, type) and issubclass(kind, tuple(map(import_object, bases)))

    return rule


def _bytearray(content: Any, encoding: Any = None) -> bool:
    if type(content) is str:
        return bool(encoding == "latin-1")
    return type(content) is bytes and encoding is None


def _items(items: Any = ()) -> bool:
    return type(items) in (list, tuple, dict)


def _deque(items: Any = (), length: Any = None) -> bool:
    return _items(items) and type(length) in (int, NoneType)


def _datetime(content: Any, zone: Any = None) -> bool:
    return type(content) in (bytes, str) and isinstance(zone, timezone | NoneType)


def _dtype(text: Any, align: Any, copy: Any) -> bool:
    # Without a copy it would be numpy's own dtype object, which all code shares.
    return type(text) is str and len(text) <= 16 and align == 0 and copy == 1  # noqa: PLR2004


def _reconstruct(kind: Any, shape: Any, code: Any) -> bool:
    import numpy as np  # noqa: PLC0415

    return kind is np.ndarray and shape == (0,) and code in (b"b", "b")


def _masked_array(kind: Any, base: Any, shape: Any, code: Any) -> bool:
    import numpy as np  # noqa: PLC0415

    return kind is np.ma.MaskedArray and _reconstruct(base, shape, code)


def _scalar(dtype: Any, content: Any) -> bool:
    import numpy as np  # noqa: PLC0415

    # The bytes of an object would be a pickle within the pickle.
    return (
        isinstance(dtype, np.dtype)
        and not dtype.hasobject
        and type(content) is bytes
        and len(content) == dtype.itemsize
    )


def _buffer(content: Any, dtype: Any, shape: Any, order: Any, axes: Any = None) -> bool:
    import numpy as np  # noqa: PLC0415

    return (
        type(content) in (bytes, bytearray)
        and isinstance(dtype, np.dtype)
        and not dtype.hasobject
        and is_shape(shape)
        and order in ("C", "F", "K")
        and (axes is None or (type(axes) is tuple and sorted(axes) == list(range(len(shape)))))
    )


def _text(storage: Any = None, missing: Any = None) -> bool:
    return _plain(storage) and (_plain(missing) or missing is import_object("pandas.NA"))


def _bits(kind: Any = "MT19937") -> bool:
    return type(kind) is str or _class_of("numpy.random.BitGenerator")(kind)


def _random(bits: Any = "MT19937", constructor: Any = None) -> bool:
    is_bits = type(bits) is str or isinstance(bits, import_object("numpy.random.BitGenerator"))
    known = import_object("numpy.random._pickle.__bit_generator_ctor")
    return is_bits and (constructor is None or constructor is known)


def _seed(kind: Any, checksum: Any, state: Any) -> bool:
    is_seed = kind is import_object("numpy.random.bit_generator.SeedSequence")
    return is_seed and type(checksum) is int and state is None


def _loss(kind: Any, checksum: Any, state: Any) -> bool:
    is_loss = isinstance(kind, type) and f"{kind.__module__}.{kind.__name__}" in _LOSS_NAMES
    return is_loss and type(checksum) is int and (state is None or _plain(*state))


def _arrow_text(state: Any) -> bool:
    """Return whether the parts of a pyarrow array are those of text, within their buffers."""
    import pyarrow as pa  # noqa: PLC0415  only for a file that needs it

    kind, length, missing, offset, buffers, children, dictionary = state
    if kind not in (pa.string(), pa.large_string()) or children or dictionary is not None:
        return False
    # pyarrow builds the array without checks, and then reads where its offsets point.
    pa.Array.from_buffers(kind, length, buffers, missing, offset).validate(full=True)
    return True


def _method(built: Any, name: Any) -> bool:
    # The method is not looked up: such a state is dropped.
    return is_distribution(built) and type(name) is str


def _reconstructor(_kind: Any, base: Any, state: Any) -> bool:
    # The builder checks that the class may be instantiated.
    return (base is object and state is None) or (base in (dict, tuple) and type(state) is base)


def _partial(function: Any) -> bool:
    # The state holds the other arguments of the call.
    return function is import_object("sklearn.utils.validation.check_array")


def _tree(features: Any, classes: Any, outputs: Any) -> bool:
    import numpy as np  # noqa: PLC0415

    # scikit-learn reads that many items of the array without checking its length.
    return (
        type(features) is type(outputs) is int
        and isinstance(classes, np.ndarray)
        and classes.dtype == np.intp
        and classes.shape == (outputs,)
        and 0 < features < 1 << 31
        and outputs > 0
        and bool((classes > 0).all())
        and math.prod((outputs, int(classes.max()))) < 1 << 31
    )


def _index(kind: Any, members: Any) -> bool:
    is_index = isinstance(kind, type) and issubclass(kind, import_object("pandas.Index"))
    return is_index and type(members) is dict and all(type(name) is str for name in members)


def _backed_array(kind: Any, checksum: Any, state: Any) -> bool:
    arrays = import_object("pandas._libs.arrays.NDArrayBacked")
    is_array = isinstance(kind, type) and issubclass(kind, arrays)
    return is_array and type(checksum) is int and state is None


def _block(values: Any, placement: Any, dimensions: Any) -> bool:
    import numpy as np  # noqa: PLC0415

    return (
        isinstance(values, np.ndarray | import_object("pandas.api.extensions.ExtensionArray"))
        and isinstance(placement, slice | np.ndarray)
        and dimensions in (1, 2)
    )


def _blocks(blocks: Any, axes: Any) -> bool:
    index, block = import_object("pandas.Index"), import_object("pandas._libs.internals.Block")
    return _all_are(blocks, block) and _all_are(axes, index)


def _all_are(values: Any, kind: Any) -> bool:
    return type(values) in (list, tuple) and all(isinstance(each, kind) for each in values)


def _rules_for(module: str, names: str, rule: Callable[..., bool]) -> dict[str, Any]:
    return {f"{module}.{name}": rule for name in names.split()}


#: The rule for each call, by the full name of the callable.
CALLS: Mapping[str, Callable[..., bool]] = {
    "_codecs.encode": lambda text, encoding: (
        type(text) is str and encoding in ("latin1", "latin-1")
    ),
    "builtins.bytearray": _bytearray,
    "builtins.bytes": lambda: True,
    "builtins.complex": _plain,
    "builtins.frozenset": _items,
    "builtins.getattr": _method,
    "builtins.list": _items,
    "builtins.range": _plain,
    "builtins.set": _items,
    "builtins.slice": _plain,
    "builtins.type": lambda value: any(value is each for each in _SINGLE),
    "collections.Counter": _items,
    "collections.OrderedDict": _items,
    "collections.defaultdict": lambda factory=None: any(factory is each for each in _FACTORIES),
    "collections.deque": _deque,
    "copyreg._reconstructor": _reconstructor,
    "datetime.date": lambda content: type(content) is bytes,
    "datetime.datetime": _datetime,
    "datetime.time": _datetime,
    "datetime.timedelta": _plain,
    "datetime.timezone": lambda offset, name="": type(offset) is timedelta and type(name) is str,
    "decimal.Decimal": _plain,
    "fractions.Fraction": _plain,
    # The state holds the other arguments of the call.
    "functools.partial": lambda function: (
        function is import_object("sklearn.utils.validation.check_array")
    ),
    "numpy._core.multiarray._reconstruct": _reconstruct,
    "numpy._core.multiarray.scalar": _scalar,
    "numpy._core.numeric._frombuffer": _buffer,
    "numpy.dtype": _dtype,
    "numpy.ma.core._mareconstruct": _masked_array,
    "numpy.random._pickle.__bit_generator_ctor": _bits,
    "numpy.random._pickle.__generator_ctor": _random,
    "numpy.random._pickle.__randomstate_ctor": _random,
    "numpy.random.bit_generator.__pyx_unpickle_SeedSequence": _seed,
    "pandas.Interval": _interval,
    "pandas.Period": _period,
    "pandas.StringDtype": _text,
    "pandas._libs.arrays.__pyx_unpickle_NDArrayBacked": _backed_array,
    "pandas._libs.internals._unpickle_block": _block,
    "pandas._libs.interval.Interval": _interval,
    "pandas._libs.tslibs.nattype._nat_unpickle": _plain,
    "pandas._libs.tslibs.timedeltas._timedelta_unpickle": _plain,
    "pandas._libs.tslibs.timestamps._unpickle_timestamp": _plain,
    "pandas.core.arrays.string_.StringDtype": _text,
    "pandas.core.indexes.base._new_Index": _index,
    "pandas.core.indexes.datetimes._new_DatetimeIndex": _index,
    "pandas.core.indexes.interval._new_IntervalIndex": _index,
    "pandas.core.internals.managers.BlockManager": _blocks,
    "pathlib.PosixPath": _plain,
    "pathlib.WindowsPath": _plain,
    "pyarrow.lib._restore_array": _arrow_text,
    "pyarrow.lib.py_buffer": lambda content: type(content) in (bytes, bytearray),
    "pyarrow.lib.type_for_alias": lambda name: name in ("string", "large_string"),
    "sklearn.metrics._dist_metrics.newObj": _class_of(
        "sklearn.metrics._dist_metrics.DistanceMetric"
    ),
    "sklearn.neighbors._ball_tree.newObj": _class_of(
        "sklearn.neighbors._ball_tree.BinaryTree32", "sklearn.neighbors._ball_tree.BinaryTree64"
    ),
    "sklearn.neighbors._kd_tree.newObj": _class_of(
        "sklearn.neighbors._kd_tree.BinaryTree32", "sklearn.neighbors._kd_tree.BinaryTree64"
    ),
    "sklearn.tree._tree.Tree": _tree,
    **_rules_for(
        "pandas._libs.tslibs.offsets",
        "BusinessDay Day Hour Micro Milli Minute MonthEnd Nano QuarterEnd Second Week YearEnd",
        _plain,
    ),
    **{f"{LOSSES}.__pyx_unpickle_{name}": _loss for name in _LOSS_CLASSES.split()},
    **_rules_for(LOSSES, _LOSS_CLASSES, _plain),
    **_rules_for(
        SGD_LOSSES,
        "EpsilonInsensitive Hinge Huber Log ModifiedHuber SquaredEpsilonInsensitive SquaredHinge "
        "SquaredLoss",
        _plain,
    ),
}

#: Calls whose results are new objects that receive a state. Results of other calls must not receive
#: one: they may be shared, as ``pandas.NaT`` is.
STATEFUL = frozenset(
    """
    copyreg._reconstructor functools.partial numpy._core.multiarray._reconstruct numpy.dtype
    numpy.ma.core._mareconstruct numpy.random._pickle.__bit_generator_ctor
    numpy.random._pickle.__generator_ctor numpy.random._pickle.__randomstate_ctor
    numpy.random.bit_generator.__pyx_unpickle_SeedSequence
    pandas._libs.arrays.__pyx_unpickle_NDArrayBacked sklearn.metrics._dist_metrics.newObj
    sklearn.neighbors._ball_tree.newObj sklearn.neighbors._kd_tree.newObj sklearn.tree._tree.Tree
    """.split()  # noqa: SIM905  they are many
)
