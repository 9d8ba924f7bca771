"""Saved models: arrays and JSON in one zip file, without pickle.

A file is not trusted: whatever it holds, reading it runs no code, takes no more memory than a few
times its own size, and gives a checked model or a ValueError. It is an ``.npz`` file (a zip of
``.npy`` arrays) with JSON members. Nothing in it is compressed, so there are no zip bombs.
"""

import json
import math
import os
import tempfile
import zipfile
from contextlib import suppress
from dataclasses import asdict, fields
from pathlib import Path

import numpy as np
import pandas as pd
import scipy.sparse as sp

from .._data._json_ids import KINDS as ID_KINDS
from .._data._json_ids import id_from_json, id_to_json
from .._data._strengths import KINDS, StrengthScale
from .._data._tables import TIME_KINDS
from .._factorization._als import SlateTerms
from .._factorization._finite import check_finite_model
from .._factorization._make import BACKBONES
from .._utils._warn import warn
from ..exceptions import ModelVersionWarning

FORMAT = "sklearn_selreg model"
FORMAT_VERSION = 3
NOT_SAVED = (
    *("judge_", "gate_", "item_encoder_", "_slates", "_standing", "_left_behind"),
    *("_found", "_set_since_cloned", "_coefficients"),
)
"""Fitted attributes that a file does not have; a loaded model has None for the public ones."""

_DESCRIPTION = "model.json"
_MAX_DIMENSIONS = 3
_MATRIX_PARTS = "data", "indices", "indptr"


def check_version(version, current):
    """Warn if a model was made by another version of the package."""
    if version != current:
        warn(
            f"The model was made by sklearn_selreg {version}, and this is {current}. It may "
            "predict otherwise than it did, or fail. Fit it anew, or use that version.",
            ModelVersionWarning,
        )


def save_model(model, path, version):
    """Write a fitted model to a file; it appears when it is complete, or not at all.

    Parameters
    ----------
    model : SelectiveLLMRegularizedMF
    path : str or path-like
    version : str
        Of the package.

    Raises
    ------
    ValueError
        For ids that cannot be stored, and for factors that are not finite.
    """
    check_finite_model(model.user_factors_, model.item_factors_)
    arrays, lists = {}, {}
    for name in ("users", "items"):
        _pack_ids(getattr(model, f"{name}_"), name, arrays, lists)
    for name in ("user_factors_", "item_factors_", "_popularity", "_age", "_periods", "_as_of_fit"):
        arrays[name.strip("_")] = getattr(model, name)
    for name in ("_own_bias", "_times", "_gram"):
        if getattr(model, name) is not None:
            arrays[name.strip("_")] = getattr(model, name)
    matrices = {"matrix": model._matrix}
    if model._features is not None:
        matrices["features"] = model._features
    for name, matrix in matrices.items():
        arrays |= {f"{name}_{part}": getattr(matrix, part) for part in _MATRIX_PARTS}
    pairs = model._pairs
    if pairs is not None:
        parts = {f"pair_{f.name}": getattr(pairs["slates"], f.name) for f in fields(SlateTerms)}
        arrays |= {name: part for name, part in parts.items() if part is not None}
    (backbone,) = (n for n, kind in BACKBONES.items() if type(model._fitted_backbone) is kind)
    names = getattr(model, "feature_names_in_", None)
    parameters, left_behind = _plain_parameters(model)
    description = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "arrays": sorted(arrays),  # some are optional: none may be lost unnoticed
        "version": version,
        "parameters": parameters,
        "left_behind": sorted({*model._left_behind, *left_behind}),
        "backbone": backbone,
        "backbone_settings": {k: _as_python(v) for k, v in asdict(model._fitted_backbone).items()},
        "strengths": asdict(model._scale),
        "popularity_periods": int(model.popularity_periods_),
        "iterations": int(model.iterations_),
        "gain": float(model._gain),
        "time_kind": model._time_kind,
        "time_span": None if model._time_span is None else list(model._time_span),
        "from_factors": model._given is not None,
        "id_names": list(model._id_names),
        "n_features_in": model.n_features_in_,
        "feature_names_in": None if names is None else names.tolist(),
        "feature_names": [str(name) for name in model._feature_names],
        "llm_weight": None if pairs is None else float(pairs["llm_weight"]),
        "judge_stats": model.judge_stats_,
        "loss_curve": [float(loss) for loss in model.loss_curve_],
        "n_iter": int(model.n_iter_),
    }
    lists[_DESCRIPTION] = description
    _write(path, arrays, lists)


def load_model(make, path, version):
    """Read a model from a file that need not be trusted.

    Parameters
    ----------
    make : class
        The estimator's.
    path : str or path-like
    version : str
        Of the package.

    Returns
    -------
    model : an instance of `make`

    Raises
    ------
    ValueError
        For a file that is no saved model, is damaged, or was made by a later format.
    OSError
        If it cannot be read.
    """
    with Path(path).open("rb") as file:
        try:
            arrays, lists = _read(file)
            model, made_by = _build(make, arrays, lists, version)
        except Exception as error:  # whatever a file that was tampered with may cause
            raise ValueError(
                f"{os.fspath(path)!r} is no model saved by sklearn_selreg, or it is damaged: "
                f"{error or type(error).__name__}"
            ) from error
    check_version(made_by, version)
    return model


# -- the file --------------------------------------------------------------------------------------


def _write(path, arrays, lists):
    path = Path(path)
    if not path.parent.is_dir():
        raise FileNotFoundError(
            f"There is no directory {os.fspath(path.parent)!r} to save {path.name!r} in: make it "
            "first, as by pathlib.Path.mkdir(parents=True)."
        )
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with (
            os.fdopen(handle, "wb") as file,
            zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive,
        ):
            for name, content in lists.items():
                archive.writestr(name, json.dumps(content, allow_nan=False))
            for name, array in arrays.items():
                with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                    array = np.ascontiguousarray(array)
                    np.lib.format.write_array(member, array, allow_pickle=False)
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(temporary, 0o666 & ~mask)  # as of any new file; mkstemp's are for the owner alone
        os.replace(temporary, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)
        raise


def _read(file):
    """Return the arrays and the JSON contents of a file, by name."""
    size = file.seek(0, os.SEEK_END)
    with zipfile.ZipFile(file) as archive:
        members = archive.infolist()
        names = [member.filename for member in members]
        _expect(len(set(names)) == len(names), "it has two members of one name")
        for member in members:
            stored = member.compress_type == zipfile.ZIP_STORED and not member.flag_bits & 1
            _expect(
                stored and member.file_size == member.compress_size,
                f"{member.filename!r} is compressed or encrypted",
            )
        _expect(sum(member.file_size for member in members) <= size, "its members overlap")
        arrays, lists = {}, {}
        for member in members:
            name, extension = os.path.splitext(member.filename)
            _expect(extension in (".npy", ".json"), f"there is a {member.filename!r} in it")
            if extension == ".json":
                lists[member.filename] = json.loads(archive.read(member))
            else:
                with archive.open(member) as content:
                    arrays[name] = _read_array(content, member.file_size, name)
    return arrays, lists


def _read_array(file, size, name):
    """Read an array of plain numbers, strings or times, of exactly `size` bytes with its header."""
    version = np.lib.format.read_magic(file)
    readers = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    _expect(version in readers, f"array {name!r} has version {version}")
    shape, fortran, dtype = readers[version](file)
    _expect(
        dtype.kind in "biufmMUS" and dtype.names is None and dtype.itemsize > 0 and not fortran,
        f"array {name!r} is {dtype}",
    )
    _expect(len(shape) <= _MAX_DIMENSIONS and all(n >= 0 for n in shape), f"{name!r} is {shape}")
    n_bytes = size - file.tell()
    _expect(
        math.prod(shape) * dtype.itemsize == n_bytes,
        f"array {name!r} of shape {shape} has {n_bytes} bytes",
    )
    content = bytearray(n_bytes)
    _expect(file.readinto(content) == n_bytes and not file.read(1), f"array {name!r} is cut off")
    array = np.frombuffer(content, dtype=dtype).reshape(shape)
    return array.astype(dtype.newbyteorder("="), copy=False)


# -- the model -------------------------------------------------------------------------------------


def _build(make, arrays, lists, version):
    """Check everything in a file and make the model of it; return also who made it."""
    about = lists.pop(_DESCRIPTION, None)
    _expect(isinstance(about, dict) and about.get("format") == FORMAT, f"no {_DESCRIPTION} in it")
    _expect(
        about["format_version"] == FORMAT_VERSION,
        f"it has format {about['format_version']!r}, expected {FORMAT_VERSION}; another version of "
        "the package may read it",
    )
    _expect(sorted(arrays) == about["arrays"], f"its arrays are {sorted(arrays)}")
    made_by = _typed(about["version"], str, "version")
    parameters = _typed(about["parameters"], dict, "parameters")
    if made_by != version:  # which may have had other ones
        parameters = {k: v for k, v in parameters.items() if k in make().get_params(deep=False)}
    model = make(**parameters)
    model._validate_params()
    backbone = BACKBONES[about["backbone"]](**about["backbone_settings"])
    for field in fields(backbone):
        value = getattr(backbone, field.name)
        whole = field.type is not int or type(value) is int
        right = type(value) is bool if field.type is bool else _is_number(value) and value >= 0
        _expect(right and whole, f"{field.name} is {value!r}")

    model.users_ = _unpack_ids("users", arrays, lists)
    model.items_ = _unpack_ids("items", arrays, lists)
    n_users, n_items = len(model.users_), len(model.items_)
    model._periods = _taken(arrays, "periods", None, "f8")
    _expect(
        model._periods.ndim == 1
        and len(model._periods) > 0
        and np.isfinite(model._periods).all()
        and (np.diff(model._periods) > 0).all(),
        "the periods are not in order",
    )
    model._own_bias = None
    if "own_bias" in arrays:
        model._own_bias = _taken(arrays, "own_bias", (n_items,), "f4")
    model._gain = about["gain"]
    _expect(_is_number(model._gain) and model._gain >= 0, f"gain is {model._gain!r}")
    model._given = () if _typed(about["from_factors"], bool, "from_factors") else None
    model.item_factors_ = _taken(arrays, "item_factors", None, "f4")
    width = model.item_factors_.shape[-1]
    _expect(
        model.item_factors_.shape == (n_items, width)
        and width - backbone.factors in (0, len(model._periods)),
        "the item factors do not fit",
    )
    model.user_factors_ = _taken(arrays, "user_factors", (n_users, width), "f4")
    model._matrix = _taken_matrix(arrays, "matrix", (n_users, n_items))
    _expect((model._matrix.data > 0).all(), "a strength is not above 0")
    _expect(model._matrix.has_canonical_format, "the interactions are not in order")
    model._age = _taken(arrays, "age", (model._matrix.nnz,), "i4")
    length = np.diff(model._matrix.indptr)
    within = (model._age >= 0) & (model._age < np.repeat(length, length))
    _expect(within.all(), "an age is out of range")
    model._times = None
    if "times" in arrays:
        model._times = _taken(arrays, "times", (model._matrix.nnz,), "f8")
    # Files of before these were kept lack them.
    model._time_kind, model._time_span = about.get("time_kind"), about.get("time_span")
    _expect(model._time_kind in (None, *TIME_KINDS), f"time_kind is {model._time_kind!r:.100}")
    if model._time_kind is not None:
        span = _typed(model._time_span, list, "time_span")
        _expect(len(span) == 2 and all(map(_is_number, span)), f"time_span is {span!r:.100}")
        model._time_span = tuple(span)
    model._popularity = _taken(arrays, "popularity", (n_items,), "i")
    _expect((model._popularity >= 0).all(), "a popularity is negative")
    model._as_of_fit = _taken(arrays, "as_of_fit", None, "b1")
    _expect(
        model._as_of_fit.ndim == 1 and 1 <= len(model._as_of_fit) <= n_users, "as_of_fit is no mask"
    )
    names = _strings(about["feature_names"], "feature_names")
    model._feature_names = np.array(names, dtype=object)
    model._features = None
    if "features_data" in arrays:
        model._features = _taken_matrix(arrays, "features", (n_items, len(names)))
    model._gram = None
    if "gram" in arrays:
        model._gram = _taken(arrays, "gram", (backbone.factors, backbone.factors), "f8")
    model._pairs = _taken_pairs(arrays, about, n_users, n_items)
    _expect(not arrays and not lists, f"there are {[*arrays, *lists]} in it")

    scale = _typed(about.get("strengths", {"kind": "raw"}), dict, "strengths")
    _expect(
        scale.get("kind") in KINDS and _is_number(scale.get("mean", 1.0)) and len(scale) <= 2,
        f"strengths are {scale!r:.100}",
    )
    model._remember_settings(
        backbone,
        StrengthScale(**scale),
        _typed(about.get("popularity_periods", len(model._periods)), int, "popularity_periods"),
        _typed(about.get("iterations", backbone.iterations), int, "iterations"),
    )
    model._found = None
    model._id_names = tuple(_strings(about["id_names"], "id_names", 2))
    model.n_features_in_ = _typed(about["n_features_in"], int, "n_features_in")
    if about["feature_names_in"] is not None:
        names = _strings(about["feature_names_in"], "feature_names_in", model.n_features_in_)
        model.feature_names_in_ = np.array(names, dtype=object)
    stats = _typed(about["judge_stats"], dict, "judge_stats")
    losses = _typed(about["loss_curve"], list, "loss_curve")
    _expect(all(map(_is_number, [*stats.values(), *losses])), "a statistic is no number")
    model.judge_stats_, model.loss_curve_ = stats, losses
    model.n_iter_ = _typed(about["n_iter"], int, "n_iter")
    model._left_behind = tuple(_strings(about["left_behind"], "left_behind"))
    _expect(
        set(model._left_behind) <= set(model.get_params(deep=False)), "left_behind names strangers"
    )
    model.judge_ = model.gate_ = model.item_encoder_ = model._slates = None
    return model, made_by


def _taken_pairs(arrays, about, n_users, n_items):
    """Take the weighted preferences out of `arrays`, None if there are none."""
    if "pair_users" not in arrays:
        return None
    users = _taken(arrays, "pair_users", None, "i")
    items = _taken(arrays, "pair_items", None, "i")
    _expect(users.ndim == 1 and items.ndim == 2 and len(items) == len(users), "slates do not fit")
    n_pairs = items.shape[1] * (items.shape[1] - 1) // 2
    weights, margins = (
        _taken(arrays, f"pair_{name}", (len(items), n_pairs), "f4")
        for name in ("weights", "margins")
    )
    _expect(np.isfinite(weights).all() and (np.diff(users) >= 0).all(), "slates are not in order")
    bias = None
    if "pair_bias" in arrays:
        bias = _taken(arrays, "pair_bias", items.shape, "f4")
    for positions, n in ((users, n_users), (items, n_items)):
        _expect(((positions >= 0) & (positions < n)).all(), "a slate is out of range")
    weight = about["llm_weight"]
    _expect(_is_number(weight) and weight >= 0, f"llm_weight is {weight!r}")
    return {"slates": SlateTerms(users, items, weights, margins, bias), "llm_weight": weight}


def _taken(arrays, name, shape, kind):
    """Take an array out of `arrays`; None = any shape; `kind` as numpy's, with or without size."""
    _expect(name in arrays, f"there is no array {name!r}")
    array = arrays.pop(name)
    _expect(
        array.dtype.str[1:].startswith(kind) and (shape is None or array.shape == shape),
        f"array {name!r} is {array.dtype} of shape {array.shape}"
        + ("" if shape is None else f", expected {shape}"),
    )
    _expect(array.dtype.kind != "f" or np.isfinite(array).all(), f"array {name!r} is not finite")
    return array


def _taken_matrix(arrays, name, shape):
    """Take a CSR matrix out of `arrays`."""
    data, indices, indptr = (
        _taken(arrays, f"{name}_{part}", None, kind)
        for part, kind in zip(_MATRIX_PARTS, ("f4", "i", "i"), strict=True)
    )
    ordered = (
        indptr.shape == (shape[0] + 1,)
        and data.shape == indices.shape == (indptr[-1],)
        and indptr[0] == 0
        and (np.diff(indptr) >= 0).all()
        and ((indices >= 0) & (indices < shape[1])).all()
    )
    _expect(ordered, f"{name!r} is no sparse matrix of shape {shape}")
    return sp.csr_matrix((data, indices, indptr), shape)


def _plain_parameters(model):
    """Return the parameters that are plain data, and the names of those that stay behind."""
    defaults = type(model)().get_params(deep=False)
    plain, left_behind = {}, []
    for name, value in model.get_params(deep=False).items():
        value = _as_python(value)
        if name in ("judge", "item_data") or not _is_plain(value):
            if value is not defaults[name]:
                left_behind.append(name)
            value = defaults[name]
        plain[name] = value
    return plain, left_behind


def _as_python(value):
    """Return numpy's numbers and tuples as what JSON has."""
    if isinstance(value, tuple):
        return list(value)
    return value.item() if isinstance(value, np.generic) else value


def _is_plain(value):
    if isinstance(value, list):
        return all(map(_is_plain, value))
    if isinstance(value, dict):
        return all(type(k) is str for k in value) and all(map(_is_plain, value.values()))
    return value is None or type(value) in (bool, int, str) or _is_number(value)


# -- ids -------------------------------------------------------------------------------------------


def _pack_ids(ids, name, arrays, lists):
    """Put ids into `arrays` if their dtype can be there, else into `lists`."""
    if ids.dtype.kind in "biufmMUS":
        arrays[name] = ids
        return
    if ids.dtype.kind not in "OT":
        raise ValueError(
            f"{name}_ has dtype {ids.dtype}, which cannot be saved; pickle the model instead."
        )
    kind = "object" if ids.dtype.kind == "O" else "StringDType"
    packed = [_pack_id(value, name) for value in ids.tolist()]
    lists[f"{name}.json"] = {"dtype": kind, "ids": packed}


def _pack_id(value, name):
    try:
        if _holds_numpy_time(value):  # it would be another type when it is read
            raise TypeError
        return id_to_json(value)
    except TypeError as error:
        raise ValueError(
            f"{name}_ holds {value!r}, a {type(value).__name__}. Ids that can be saved are "
            f"{ID_KINDS}; pickle the model instead."
        ) from error


def _holds_numpy_time(value):
    if isinstance(value, tuple):
        return any(map(_holds_numpy_time, value))
    return isinstance(value, np.datetime64)


def _unpack_ids(name, arrays, lists):
    """Take ids out of `arrays` or `lists`."""
    if name in arrays:
        ids = _taken(arrays, name, None, "")
    else:
        _expect(f"{name}.json" in lists, f"there are no {name}")
        content = lists.pop(f"{name}.json")
        values = [id_from_json(value) for value in _typed(content["ids"], list, name)]
        if content["dtype"] == "StringDType":
            ids = np.array(_strings(values, name), dtype=np.dtypes.StringDType())
        else:
            _expect(content["dtype"] == "object", f"{name} are {content['dtype']}")
            ids = np.fromiter(values, dtype=object, count=len(values))  # of tuples no matrix
    _expect(ids.ndim == 1 and len(ids) > 0, f"{name} have shape {ids.shape}")
    hashed = ids.astype(object) if ids.dtype.kind in "UST" else ids
    _expect(not pd.isna(hashed).any(), f"{name} hold missing ids")
    distinct = pd.Index(hashed, dtype=hashed.dtype, tupleize_cols=False).is_unique
    _expect(distinct, f"{name} hold an id twice")
    return ids


# -- checks ----------------------------------------------------------------------------------------


def _expect(condition, message):
    if not condition:
        raise ValueError(message)


def _typed(value, kind, name):
    _expect(type(value) is kind, f"{name} is a {type(value).__name__}")
    return value


def _is_number(value):
    return type(value) in (bool, int, float) and math.isfinite(value)


def _strings(values, name, length=None):
    _expect(
        isinstance(values, list)
        and all(isinstance(value, str) for value in values)
        and length in (None, len(values)),
        f"{name} are {values!r:.100}",
    )
    return values
