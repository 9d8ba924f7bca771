"""Saved models: a `FittedModel` and other attributes of the estimator, in an archive."""

import json
import os
from contextlib import suppress
from dataclasses import asdict, fields
from pathlib import Path

import numpy as np

from .._data._histories import Histories
from .._data._item_columns import ItemColumns
from .._data._json_ids import id_from_json, id_to_json
from .._data._strengths import KINDS, StrengthScale
from .._data._tables import TIME_KINDS
from .._factorization._finite import check_finite_model
from .._factorization._make import BACKBONES
from .._factorization._preferences import PreferenceLoss
from .._factorization._slate_terms import SlateTerms
from .._tuning._auto import fitted_settings
from .._utils._warn import warn
from ..exceptions import ModelVersionWarning
from ._archive import (
    MATRIX_PARTS,
    expect,
    is_number,
    read_archive,
    strings,
    take,
    take_matrix,
    typed,
    write_archive,
)
from ._fitted import FittedModel
from ._given import GivenFactors
from ._saved_ids import pack_ids, take_ids
from ._saved_parameters import as_python, parameters_to_json, read_parameters
from ._user_table import UserTable

FORMAT = "sklearn_selreg model"
FORMAT_VERSION = 5
READABLE = (4, 5)  # 5 added user features
NOT_SAVED = (
    *("judge_", "gate_", "item_encoder_", "user_encoder_", "_supervision", "_left_behind"),
    *("_found", "_set_since_cloned", "item_cache"),
)
"""Fitted attributes that are not saved; public ones are None in a loaded estimator."""

_DESCRIPTION, _ITEM_COLUMNS = "model.json", "item_columns.json"
_ARRAYS = ("user_factors", "item_factors", "popularity", "periods", "as_of_fit")
_OPTIONAL_ARRAYS = ("own_bias", "user_gram", "user_coefficients")


def check_version(version, current):
    """Warn if a model was saved by another version of the package."""
    if version != current:
        warn(
            f"The model was saved by sklearn_selreg {version}, but this is {current}. Predictions "
            "may differ or fail. Refit the model, or use the original version.",
            ModelVersionWarning,
        )


def save_model(estimator, path, version):
    """Write a fitted model to a file, atomically.

    Parameters
    ----------
    estimator : SelectiveLLMRegularizedMF
    path : str or path-like
    version : str
        Version of the package.

    Raises
    ------
    ValueError
        For ids and parameters that cannot be saved, and for non-finite factors.
    """
    write_archive(path, *pack(estimator, version))


def pack(estimator, version):
    """Return the file content of an estimator: arrays by name, and JSON contents by name."""
    parameters, left_behind = parameters_to_json(estimator)
    about = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "version": version,
        "parameters": parameters,
        "left_behind": sorted({*getattr(estimator, "_left_behind", ()), *left_behind}),
    }
    if not hasattr(estimator, "_fitted"):
        return {}, {_DESCRIPTION: about}
    model = estimator._fitted
    check_finite_model(model.user_factors, model.item_factors)
    arrays, lists = _pack(model)
    names = getattr(estimator, "feature_names_in_", None)
    lists[_DESCRIPTION] = about | {
        "arrays": sorted(arrays),  # detects the loss of optional ones
        **_describe(model),
        "popularity_periods": int(estimator.popularity_periods_),
        "iterations": int(estimator.iterations_),
        "n_features_in": estimator.n_features_in_,
        "feature_names_in": None if names is None else names.tolist(),
        "judge_stats": estimator.judge_stats_,
        "loss_curve": [float(loss) for loss in estimator.loss_curve_],
        "n_iter": int(estimator.n_iter_),
    }
    return arrays, lists


def plain_state(estimator, version):
    """Return the file content as a dict of arrays and text, for formats with few trusted types."""
    arrays, lists = pack(estimator, version)
    arrays = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    return {"arrays": arrays, "json": json.dumps(lists, allow_nan=False)}


def restore_plain_state(estimator, state, version):
    """Restore an estimator from the state returned by `plain_state`, with all checks."""
    arrays, lists = dict(state["arrays"]), json.loads(state["json"])
    is_fitted = "arrays" in typed(lists.get(_DESCRIPTION), dict, _DESCRIPTION)
    build = _build if is_fitted else _build_unfitted
    built, made_by = build(type(estimator), arrays, lists, version)
    estimator.__dict__ = vars(built)
    check_version(made_by, version)


def _pack(model):
    """Return the arrays of a model by name, and its JSON contents, such as object ids."""
    arrays, lists = {name: getattr(model, name) for name in _ARRAYS}, {}
    for name in ("users", "items"):
        pack_ids(getattr(model, name), name, arrays, lists)
    for name in _OPTIONAL_ARRAYS:
        if getattr(model, name) is not None:
            arrays[name] = getattr(model, name)
    _pack_item_columns(model.item_columns, arrays, lists)
    histories = model.histories
    arrays["recency_rank"] = histories.recency_rank
    if histories.times is not None:
        arrays["times"] = histories.times
    matrices = {"matrix": histories.matrix}
    if model.features is not None:
        matrices["features"] = model.features
    if model.user_features is not None:
        matrices["user_features"] = model.user_features
    for name, matrix in matrices.items():
        arrays |= {f"{name}_{part}": getattr(matrix, part) for part in MATRIX_PARTS}
    if model.preferences is not None:
        slates = model.preferences.slates
        parts = {f"pair_{f.name}": getattr(slates, f.name) for f in fields(SlateTerms)}
        arrays |= {name: part for name, part in parts.items() if part is not None}
    return arrays, lists


def _pack_item_columns(columns, arrays, lists):
    """Add columns of item data to `arrays` and `lists`, except those JSON cannot represent."""
    kept, values = [], []
    for place, distinct in enumerate(columns.values):
        with suppress(TypeError):
            values.append([id_to_json(value) for value in distinct])
            kept.append(place)
    names = [columns.names[place] for place in kept]
    arrays["item_codes"] = columns.codes[kept]
    lists[_ITEM_COLUMNS] = {"names": names, "values": values}


def _take_item_columns(arrays, lists, n_items):
    about = lists.pop(_ITEM_COLUMNS, None)
    expect(isinstance(about, dict), f"{_ITEM_COLUMNS} is missing")
    names = strings(about["names"], "item columns")
    of_each = typed(about["values"], list, "values of items")
    values = tuple(tuple(map(id_from_json, typed(v, list, "values of items"))) for v in of_each)
    codes = take(arrays, "item_codes", (len(names), n_items), "i4")
    expect(len(values) == len(names) == len(set(names)), "item columns do not match")
    for code, distinct in zip(codes, values, strict=True):
        within = ((code >= -1) & (code < len(distinct))).all()
        expect(within and len(set(distinct)) == len(distinct), "an item column is out of range")
    return ItemColumns(tuple(names), codes, values)


def _describe(model):
    """Return the non-array attributes of a model."""
    (backbone,) = (name for name, kind in BACKBONES.items() if type(model.backbone) is kind)
    return {
        "backbone": backbone,
        "backbone_settings": {k: as_python(v) for k, v in asdict(model.backbone).items()},
        "strengths": asdict(model.scale),
        "uses_last_period": model.uses_last_period,
        "fold_in_scale": float(model.fold_in_scale),
        "time_kind": model.time_kind,
        "time_span": None if model.time_span is None else list(model.time_span),
        "from_factors": model.given is not None,
        "id_names": list(model.id_names),
        "feature_names": [str(name) for name in model.feature_names],
        "user_feature_names": [str(name) for name in model.user_feature_names],
        "preference_weight": None if model.preferences is None else model.preferences.weight,
    }


def load_model(make, path, version):
    """Load a model from an untrusted file.

    Parameters
    ----------
    make : class
        Class of the estimator.
    path : str or path-like
    version : str
        Version of the package.

    Returns
    -------
    estimator : an instance of `make`

    Raises
    ------
    ValueError
        If the file is not a saved model, is damaged, or has a newer format.
    OSError
        If the file cannot be read.
    """
    with Path(path).open("rb") as file:
        try:
            arrays, lists = read_archive(file)
            estimator, made_by = _build(make, arrays, lists, version)
        except Exception as error:  # a manipulated file may cause any error
            raise ValueError(
                f"{os.fspath(path)!r} is not a model saved by sklearn_selreg, or is damaged: "
                f"{error or type(error).__name__}"
            ) from error
    check_version(made_by, version)
    return estimator


def _build(make, arrays, lists, version):
    """Check the content of a file, and build the estimator; also return the saving version."""
    about = lists.pop(_DESCRIPTION, None)
    estimator, left_behind = _take_parameters(make, about, version)
    expect(sorted(arrays) == about["arrays"], f"its arrays are {sorted(arrays)}")
    model = _take_model(arrays, lists, about)
    expect(not arrays and not lists, f"it also contains {[*arrays, *lists]}")
    estimator._assign(_attributes(about, model, left_behind))
    return estimator, about["version"]


def _build_unfitted(make, arrays, lists, version):
    """Do the same for an unfitted estimator."""
    about = lists.pop(_DESCRIPTION)
    expect(not arrays and not lists, f"it also contains {[*arrays, *lists]}")
    estimator, estimator._left_behind = _take_parameters(make, about, version)
    return estimator, about["version"]


def _take_parameters(make, about, version):
    """Build the unfitted estimator; also return the names of parameters not saved."""
    expect(isinstance(about, dict) and about.get("format") == FORMAT, f"no {_DESCRIPTION} in it")
    expect(
        about["format_version"] in READABLE,
        f"it has format {about['format_version']!r}, expected {FORMAT_VERSION}; another version of "
        "the package may be able to read it",
    )
    parameters = read_parameters(about["parameters"])
    if typed(about["version"], str, "version") != version:  # parameters may differ
        parameters = {k: v for k, v in parameters.items() if k in make().get_params(deep=False)}
    estimator = make(**parameters)
    estimator._validate_params()
    left_behind = tuple(strings(about["left_behind"], "left_behind"))
    expect(
        set(left_behind) <= set(estimator.get_params(deep=False)), "left_behind has unknown names"
    )
    return estimator, left_behind


def _attributes(about, model, left_behind):
    """Return the fitted attributes of the estimator."""
    stats = typed(about["judge_stats"], dict, "judge_stats")
    losses = typed(about["loss_curve"], list, "loss_curve")
    expect(all(map(is_number, [*stats.values(), *losses])), "a statistic is not a number")
    n_columns = typed(about["n_features_in"], int, "n_features_in")
    attributes = fitted_settings(
        model.backbone,
        model.scale,
        typed(about["popularity_periods"], int, "popularity_periods"),
        typed(about["iterations"], int, "iterations"),
    ) | {
        "_fitted": model,
        "_supervision": None,
        "_found": None,
        "_left_behind": left_behind,
        "judge_": None,
        "gate_": None,
        "item_encoder_": None,
        "user_encoder_": None,
        "judge_stats_": stats,
        "loss_curve_": losses,
        "n_iter_": typed(about["n_iter"], int, "n_iter"),
        "n_features_in_": n_columns,
    }
    if about["feature_names_in"] is not None:
        names = strings(about["feature_names_in"], "feature_names_in", n_columns)
        attributes["feature_names_in_"] = np.array(names, dtype=object)
    return attributes


def _take_model(arrays, lists, about):
    """Build a checked `FittedModel` from `arrays` and `lists`, which are emptied."""
    users, items = (take_ids(name, arrays, lists) for name in ("users", "items"))
    shape = len(users), len(items)
    backbone, periods = _take_backbone(about), _take_periods(arrays)
    width = backbone.factors
    if arrays["item_factors"].ndim == 2 and arrays["item_factors"].shape[1] != width:
        width += len(periods)
    time_kind, time_span = _take_times(about)
    names = strings(about["feature_names"], "feature_names")
    user_names = strings(about.get("user_feature_names", []), "user_feature_names")
    popularity = take(arrays, "popularity", shape[1:], "i")
    expect((popularity >= 0).all(), "a popularity is negative")
    as_of_fit = take(arrays, "as_of_fit", None, "b1")
    expect(as_of_fit.ndim == 1 and 1 <= len(as_of_fit) <= len(users), "as_of_fit is not a mask")
    fold_in_scale = about["fold_in_scale"]
    expect(is_number(fold_in_scale) and fold_in_scale >= 0, f"fold_in_scale is {fold_in_scale!r}")
    features = gram = own_bias = None
    if "features_data" in arrays:
        features = take_matrix(arrays, "features", (len(items), len(names)))
    if "user_gram" in arrays:
        gram = take(arrays, "user_gram", (backbone.factors, backbone.factors), "f8")
    if "own_bias" in arrays:
        own_bias = take(arrays, "own_bias", shape[1:], "f4")
    user_features = coefficients = None
    if "user_features_data" in arrays:
        user_features = take_matrix(arrays, "user_features", (len(users), len(user_names)))
        size = len(user_names), backbone.factors
        coefficients = take(arrays, "user_coefficients", size, "f4")
    return FittedModel(
        user_table=UserTable(
            ids=users,
            factors=take(arrays, "user_factors", (shape[0], width), "f4"),
            histories=_take_histories(arrays, shape),
            features=user_features,
        ),
        items=items,
        item_factors=take(arrays, "item_factors", (shape[1], width), "f4"),
        popularity=popularity,
        backbone=backbone,
        scale=_take_scale(about),
        periods=periods,
        uses_last_period=typed(about["uses_last_period"], bool, "uses_last_period"),
        id_names=tuple(strings(about["id_names"], "id_names", 2)),
        item_columns=_take_item_columns(arrays, lists, shape[1]),
        time_kind=time_kind,
        time_span=time_span,
        features=features,
        feature_names=np.array(names, dtype=object),
        user_gram=gram,
        own_bias=own_bias,
        fold_in_scale=fold_in_scale,
        preferences=_take_preferences(arrays, about, *shape),
        as_of_fit=as_of_fit,
        user_feature_names=np.array(user_names, dtype=object),
        user_coefficients=coefficients,
        given=GivenFactors() if typed(about["from_factors"], bool, "from_factors") else None,
    )


def _take_backbone(about):
    backbone = BACKBONES[about["backbone"]](**about["backbone_settings"])
    for field in fields(backbone):
        value = getattr(backbone, field.name)
        if value is None and field.default is None:
            continue
        whole = field.type is not int or type(value) is int
        right = type(value) is bool if field.type is bool else is_number(value) and value >= 0
        expect(right and whole, f"{field.name} is {value!r}")
    return backbone


def _take_periods(arrays):
    periods = take(arrays, "periods", None, "f8")
    in_order = (
        periods.ndim == 1
        and len(periods) > 0
        and np.isfinite(periods).all()
        and (np.diff(periods) > 0).all()
    )
    expect(in_order, "the periods are not increasing")
    return periods


def _take_times(about):
    kind, span = about["time_kind"], about["time_span"]
    expect(kind in (None, *TIME_KINDS), f"time_kind is {kind!r:.100}")
    if kind is None:
        return None, None
    span = typed(span, list, "time_span")
    expect(len(span) == 2 and all(map(is_number, span)), f"time_span is {span!r:.100}")
    return kind, tuple(span)


def _take_scale(about):
    scale = typed(about["strengths"], dict, "strengths")
    expect(
        scale.get("kind") in KINDS and is_number(scale.get("mean", 1.0)) and len(scale) <= 2,
        f"strengths are {scale!r:.100}",
    )
    return StrengthScale(**scale)


def _take_histories(arrays, shape):
    matrix = take_matrix(arrays, "matrix", shape)
    expect((matrix.data > 0).all(), "a strength is not positive")
    expect(matrix.has_canonical_format, "the interactions are not sorted")
    ranks = take(arrays, "recency_rank", (matrix.nnz,), "i4")
    length = np.diff(matrix.indptr)
    within = (ranks >= 0) & (ranks < np.repeat(length, length))
    expect(within.all(), "a recency rank is out of range")
    times = take(arrays, "times", (matrix.nnz,), "f8") if "times" in arrays else None
    return Histories(matrix, ranks, times)


def _take_preferences(arrays, about, n_users, n_items):
    if "pair_users" not in arrays:
        return None
    users = take(arrays, "pair_users", None, "i")
    items = take(arrays, "pair_items", None, "i")
    expect(users.ndim == 1 and items.ndim == 2 and len(items) == len(users), "slates do not match")
    n_pairs = items.shape[1] * (items.shape[1] - 1) // 2
    weights, margins = (
        take(arrays, f"pair_{name}", (len(items), n_pairs), "f4") for name in ("weights", "margins")
    )
    expect(np.isfinite(weights).all() and (np.diff(users) >= 0).all(), "slates are not sorted")
    bias = None
    if "pair_bias" in arrays:
        bias = take(arrays, "pair_bias", items.shape, "f4")
    for positions, n in ((users, n_users), (items, n_items)):
        expect(((positions >= 0) & (positions < n)).all(), "a slate is out of range")
    weight = about["preference_weight"]
    expect(is_number(weight) and weight >= 0, f"preference_weight is {weight!r}")
    return PreferenceLoss(SlateTerms(users, items, weights, margins, bias), weight)
