"""Messages for files that are not models or cannot be served: their kind, and what to do instead.

Every function returns a sentence for the person who named the file.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from pathlib import Path

#: Bytes at the start of a file that identify its kind.
HEAD_BYTES = 1024

DATA = "it contains data, not a model: name the file of the fitted model"
#: First bytes of other files, and their messages.
_OTHERS: Mapping[bytes, str] = {
    b"\x89HDF\r\n\x1a\n": "it is an HDF5 file (.h5), as older Keras writes: load it with Keras and "
    "save it again as .keras",
    b"PAR1": f"it is a Parquet file; {DATA}",
    b"ARROW1": f"it is an Arrow or Feather file; {DATA}",
    b"\x93NUMPY": f"it is a numpy array (.npy); {DATA}",
    b"SQLite format 3": f"it is an SQLite database; {DATA}",
    b"RDX": "it is an R file: export the model from R as ONNX, or fit it again in Python",
    b"GGUF": "it is a language model in GGUF, which Modelhost does not serve",
    b"binf": "it is a model in XGBoost's old binary format: load it with an XGBoost before 3.1 and "
    "save it with save_model('model.json')",
    b"version https://git-lfs": "it is a pointer of Git LFS, not the file: run git lfs pull",
}
TORCH = (
    "it is a PyTorch file (torch.save, TorchScript or torch.export): load it with torch and "
    "package the module with mlmodel.dump(module, 'model.flm')"
)
SAVED_MODEL = (
    "it is a TensorFlow SavedModel: load it with Keras or TensorFlow and save the model as .keras"
)
#: Keys that identify other JSON files, and their messages.
_JSON: Mapping[bytes, str] = {
    b'"oblivious_trees"': "it is a CatBoost model as JSON: save it with save_model('model.cbm') "
    "instead",
    b'"tree_info"': "it is JSON written by LightGBM's dump_model, which LightGBM cannot read: save "
    "the model with save_model('model.txt') instead",
    b'"nbformat"': "it is a notebook: package the model in it with mlmodel.dump",
}
_PMML = (
    "it is PMML, which Modelhost does not serve: fit the model in Python and package it with "
    "mlmodel.dump, or export it as ONNX"
)
KNOWN = (
    "model files are .flm packages, pickles (also by joblib), .skops, .onnx, .keras, and what "
    "save_model of XGBoost, LightGBM and CatBoost writes"
)


def describe_file(content: bytes) -> str:
    """Return the message for a file whose first bytes are not those of a model file."""
    if not content:
        return "the file is empty"
    for first, sentence in _OTHERS.items():
        if content.startswith(first):
            return sentence
    head = content[:HEAD_BYTES]
    if content[4:8] == b"TFL3":
        return "it is a TensorFlow Lite model: save the Keras model it was converted from as .keras"
    if content[8:10] == b'{"' and not any(content[5:8]):
        return "it contains only weights (safetensors): package the whole model"
    if head[:2] in (b"X\n", b"A\n"):
        return _OTHERS[b"RDX"]
    return _unknown_text(head) if _is_text(head) else _unknown_bytes(head)


def describe_json(content: bytes) -> str:
    """Return the message for JSON that is not a model."""
    for key, sentence in _JSON.items():
        if key in content:
            return sentence
    return f"it is JSON, but not an XGBoost model; {KNOWN}"


def describe_archive(names: Collection[str]) -> str:
    """Return the message for a zip archive that is not a model file, by its members' names."""
    if {each.rpartition("/")[2] for each in names} & {"data.pkl", "constants.pkl"}:
        return TORCH
    if "xl/workbook.xml" in names:
        return f"it is a spreadsheet (.xlsx); {DATA}"
    if names and all(each.endswith(".npy") for each in names):
        return f"it is an archive of numpy arrays (.npz); {DATA}"
    shown = ", ".join(sorted(names)[:3])
    return (
        f"it is a zip archive, but not a model file ({shown}): unpack it and name the model's "
        "file in it"
    )


def describe_folder(path: Path, endings: Collection[str]) -> str:
    """Return the message for a folder, with the file in it to name instead.

    :param endings: suffixes of the files that may be models.
    """
    if (path / "saved_model.pb").is_file():
        return SAVED_MODEL
    if (path / "schema.json").is_file() or (path / "config.json").is_file():
        return "it is an unpacked archive: name the file that it came from"
    names = sorted(
        each.name for each in path.iterdir() if each.suffix.lower() in endings and each.is_file()
    )
    if names:
        shown, file = os.path.relpath(path), os.path.relpath(path / names[0])
        return f"{shown!r} is a folder: name the model's file in it, such as {file}"
    return (
        f"{str(path)!r} is a folder without the file 'MLmodel' of MLflow: name the model's file, "
        "or a folder that MLflow wrote"
    )


def _unknown_text(head: bytes) -> str:
    start = head.lstrip(b"\xef\xbb\xbf \r\n\t")
    if start.startswith(b"<"):
        if b"<PMML" in head:
            return _PMML
        if b"<html" in head.lower():
            return "it is a web page, not a model: download the file itself"
        return f"it is XML, not a model; {KNOWN}"
    line = start.partition(b"\n")[0].decode("utf-8", "replace").strip()[:40]
    return f"it is text that begins with {line!r}, not a model; {KNOWN}"


def _unknown_bytes(head: bytes) -> str:
    return f"unknown first bytes '{head[:4].hex(' ')}'; {KNOWN}"


def _is_text(head: bytes) -> bool:
    if b"\0" in head:
        return False
    try:
        # The last character may be truncated.
        head[:-4].decode("utf-8") if len(head) == HEAD_BYTES else head.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
