"""Damages valid ``.flm`` files in many ways, and loads each.

``python -m tests.fuzz_files 2000`` prints what became of them, how long the slowest took, and how
much memory the process came to need. Half of them are damaged as they lie in their files, half in
the pickle within, which is then packaged again: most of what hits a file, hits its checksums.
"""

import functools
import gc
import json
import logging
import pickle
import random
import resource
import sys
import tempfile
import time
import warnings
from collections import Counter
from pathlib import Path

from mlmodel import dump, load
from mlmodel.errors import FlmError
from tests.flm_files import holding

SEED = 20261121


@functools.cache
def models():
    import numpy as np
    from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestClassifier
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVC

    points = np.random.default_rng(1).normal(size=(40, 3))
    side = np.where(points[:, 0] > 0, "yes", "no")
    texts = ["pays on time", "late and rude", "never late", "rude"] * 10
    return [
        make_pipeline(StandardScaler(), LogisticRegression()).fit(points, side),
        RandomForestClassifier(3, random_state=0).fit(points, side),
        KNeighborsClassifier(algorithm="kd_tree").fit(points, side),
        HistGradientBoostingRegressor(max_iter=3).fit(points, points[:, 0]),
        SVC().fit(points, side),
        make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(texts, side),
    ]


def files(folder):
    """Valid files: with artifacts, in each compression, in both protocols."""
    note = Path(folder, "note.txt")
    note.write_text("a note\n" * 50)
    for at, model in enumerate(models()):
        codec, protocol = ("zstd", "bz2", "lzma", "zlib")[at % 4], 1 + at % 2
        path = Path(folder, f"{at}.flm")
        dump(model, path, codec, protocol=protocol, artifacts={"note.txt": note})
        yield path.read_bytes()


def flip(content, at, end, chance):
    for each in range(at, end):
        content[each] ^= 1 << chance.randrange(8)


def write(content, at, end, chance):
    content[at:end] = chance.randbytes(end - at)


def insert(content, at, end, chance):
    content[at:at] = chance.randbytes(chance.choice([1, 4, 100]))


def cut(content, at, end, chance):
    del content[max(at, len(content) // 2) :]


def drop(content, at, end, chance):
    del content[at:end]


def repeat(content, at, end, chance):
    content[at:at] = content[at : at + chance.randrange(1000)]


def raise_length(content, at, end, chance):
    content[at:end] = b"\xff" * (end - at)


def damaged(content, chance):
    """Return bytes with one or more changes."""
    content = bytearray(content)
    for _ in range(chance.choice([1, 1, 1, 2, 3])):
        at = chance.randrange(len(content) + 1)
        end = min(at + chance.choice([1, 1, 1, 2, 8, 64]), len(content))
        harm = chance.choice([flip, flip, flip, write, insert, cut, drop, repeat, raise_length])
        harm(content, at, end, chance)
    return bytes(content)


def mutations(count, folder, seed=SEED):
    chance = random.Random(seed)
    valid = list(files(folder))
    pickles = [pickle.dumps(model, 4) for model in models()]
    for at in range(count):
        path = Path(folder, "mutated.flm")
        if at % 2:
            path.write_bytes(damaged(chance.choice(valid), chance))
        else:
            holding(path, damaged(chance.choice(pickles), chance))
        yield path


def outcome(path):
    """Return the result for a file: ``loaded``, or the name of the error."""
    model = None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = load(path)
            model.load()
            return "loaded"
    except FlmError as error:
        return type(error).__name__
    finally:
        if model is not None:
            model.unload()


def run(count, seed=SEED):
    """Load damaged files, and return the results with seconds and bytes."""
    outcomes, seconds = Counter(), []
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as temporary:
        before, tempfile.tempdir = tempfile.tempdir, temporary
        try:
            paths = mutations(count, folder, seed)
            first = next(paths)
            outcomes[outcome(first)] += 1  # libraries are imported by it
            start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            for path in paths:
                started = time.perf_counter()
                outcomes[outcome(path)] += 1
                seconds.append(time.perf_counter() - started)
            gc.collect()
            left = [each.name for each in Path(temporary).rglob("*")]
        finally:
            tempfile.tempdir = before
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - start
    return {"outcomes": dict(outcomes), "seconds": seconds, "grown_kb": grown, "left": left}


def main(count):
    logging.disable(logging.CRITICAL)
    found = run(count)
    seconds = sorted(found.pop("seconds"))
    slow = {"slowest_s": seconds[-3:], "median_s": seconds[len(seconds) // 2]}
    sys.stdout.write(json.dumps({**found, **slow}, indent=2) + "\n")


if __name__ == "__main__":
    main(int(sys.argv[1]))
