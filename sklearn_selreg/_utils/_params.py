"""Checks of parameters, including nested ones such as `gate__C`, and phrases for messages."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Integral, Number
from os import PathLike
from typing import Any

from ._sklearn import InvalidParameterError

_READERS = {
    **dict.fromkeys((".parquet", ".pq"), "parquet"),
    **dict.fromkeys((".jsonl", ".jsonl.gz", ".ndjson", ".json"), "json"),
    **dict.fromkeys((".xlsx", ".xls"), "excel"),
    ".feather": "feather",
}


def check_integer(name: str, value: object, least: int, why: str = "") -> None:
    """Raise an error (both ValueError and TypeError) unless a value is an integer >= `least`.

    Parameters
    ----------
    name : str
        Name of the parameter.
    value : object
    least : int
    why : str, default=""
        Reason, appended to the bound in the message.
    """
    if not isinstance(value, Integral) or isinstance(value, bool) or value < least:
        raise InvalidParameterError(f"{name} must be an integer >= {least}{why}; got {value!r}.")


def name_kind(value: object) -> str:
    """Describe the type of an invalid value: "None", "an int", "the class ..."."""
    if isinstance(value, type):
        return f"the class {value.__name__}: pass an instance, {value.__name__}(...)"
    if value is None:
        return "None"
    kind = type(value).__name__
    article = "an" if kind[0] in "AEIOaeio" else "a"
    return f"{article} {kind}"


def how_to_read(path: str | PathLike[str], name: str) -> str:
    """Suggest how to read a file whose path is the parameter `name`: "pd.read_parquet(X)"."""
    file = str(path).lower()
    kind = next((k for end, k in _READERS.items() if file.endswith(end)), "csv")
    lines = ", lines=True" if kind == "json" and not file.endswith(".json") else ""
    return f"pd.read_{kind}({name}{lines})"


def expand_shorthands(
    estimator: object, params: Mapping[str, Any], shorthands: Mapping[str, Mapping[Any, type]]
) -> dict[str, Any]:
    """Replace shorthands by instances if nested parameters are set.

    Parameters
    ----------
    estimator : BaseEstimator
    params : dict of str to object
        As in `set_params`.
    shorthands : dict of str to dict
        For each part, a mapping from shorthands to classes.
    """
    expanded = dict(params)
    for part, makers in shorthands.items():
        current = params.get(part, getattr(estimator, part))
        is_set = any(name.startswith(f"{part}__") for name in params)
        if is_set and isinstance(current, str | None) and current in makers:
            expanded[part] = makers[current]()
    return expanded


def check_nested(
    estimator: object,
    params: Mapping[str, Any],
    instances: Mapping[str, str],
    shorthands: Mapping[str, Mapping[Any, type]],
) -> None:
    """Check that the parent of each nested parameter is an instance that has the parameter.

    Parameters
    ----------
    estimator : BaseEstimator
    params : dict of str to object
        As in `set_params`.
    instances : dict of str to str
        Code that creates an instance, for each parameter that may have nested ones.
    shorthands : dict of str to dict
        As in `expand_shorthands`.

    Raises
    ------
    ValueError
    """
    for name, value in params.items():
        part, delimiter, own_name = name.partition("__")
        if not delimiter or not hasattr(estimator, part):
            continue
        current = params.get(part, getattr(estimator, part))
        if hasattr(current, "get_params") and own_name not in current.get_params():
            _check_of_no_other_kind(name, current, shorthands.get(part, {}))
        if not hasattr(current, "set_params") and part not in instances:
            raise ValueError(
                f"{name}={value!r} sets a parameter of {part}, but {part}={current!r:.80} has no "
                "parameters."
            )
        if not hasattr(current, "set_params"):
            kind = repr(current) if isinstance(current, str | None) else type(current).__name__
            raise ValueError(
                f"{name}={value!r} sets a parameter of {part}, but {part} is {kind}. Pass an "
                f"instance, as in {type(estimator).__name__}({part}={instances[part]}); then "
                f"{name} can be set and searched."
            )


def _check_of_no_other_kind(name, current, kinds):
    """Raise a ValueError for a nested parameter that only another kind of its parent has."""
    part, _, own_name = name.partition("__")
    others = [kind.__name__ for kind in kinds.values() if own_name in kind().get_params()]
    if others:
        raise ValueError(
            f"{name} is a parameter of {' and '.join(others)}, but {part} is {current!r}, which "
            f"has {', '.join(current.get_params())}. Settings tuned for one {part} do not apply "
            f"to another: also set {part} to {others[0]}(), or tune the settings again."
        )


def is_default(value: object, default: object) -> bool:
    """Return whether a parameter has its default; numbers and str may be unpickled copies."""
    return value is default or (isinstance(value, str | Number) and bool(value == default))
