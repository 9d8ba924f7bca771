"""Checks of parameters, also of parameters of parameters, such as `gate__C`."""

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
    """Raise an error that is a ValueError and a TypeError unless a value is an integer >= `least`.

    Parameters
    ----------
    name : str
        Of the parameter.
    value : object
    least : int
    why : str, default=""
        Said of it.
    """
    if not isinstance(value, Integral) or isinstance(value, bool) or value < least:
        raise InvalidParameterError(f"{name} must be an integer >= {least}{why}; got {value!r}.")


def name_kind(value: object) -> str:
    """Name what was given instead of what was wanted: "None", "an int", "the class ..."."""
    if isinstance(value, type):
        return f"the class {value.__name__}: make an instance of it, {value.__name__}(...)"
    kind = type(value).__name__
    return "None" if value is None else f"{'an' if kind[0] in 'AEIOaeio' else 'a'} {kind}"


def how_to_read(path: str | PathLike[str], name: str) -> str:
    """Tell what reads a file, whose path is a parameter called `name`: "pd.read_parquet(X)"."""
    file = str(path).lower()
    kind = next((k for end, k in _READERS.items() if file.endswith(end)), "csv")
    lines = ", lines=True" if kind == "json" and not file.endswith(".json") else ""
    return f"pd.read_{kind}({name}{lines})"


def expand_shorthands(
    estimator: object, params: Mapping[str, Any], shorthands: Mapping[str, Mapping[Any, type]]
) -> dict[str, Any]:
    """Return parameters for `set_params` in which parts that get parameters are instances.

    Parameters
    ----------
    estimator : BaseEstimator
    params : dict of str to object
        As for `set_params`.
    shorthands : dict of str to dict
        For each part, what stands for an instance of which class.
    """
    expanded = dict(params)
    for part, makers in shorthands.items():
        current = params.get(part, getattr(estimator, part))
        is_set = any(name.startswith(f"{part}__") for name in params)
        if is_set and isinstance(current, str | None) and current in makers:
            expanded[part] = makers[current]()
    return expanded


def check_nested(
    estimator: object, params: Mapping[str, Any], instances: Mapping[str, str]
) -> None:
    """Raise for a parameter of a part that is no instance, and say what to pass.

    Parameters
    ----------
    estimator : BaseEstimator
    params : dict of str to object
        As for `set_params`.
    instances : dict of str to str
        For each part that may have parameters, how an instance of it is made.

    Raises
    ------
    ValueError
    """
    for name, value in params.items():
        part, delimiter, _ = name.partition("__")
        if not delimiter or part not in instances:
            continue
        current = params.get(part, getattr(estimator, part))
        if not hasattr(current, "set_params"):
            kind = repr(current) if isinstance(current, str | None) else type(current).__name__
            raise ValueError(
                f"{name}={value!r} sets a parameter of {part}, but {part} is {kind}. Pass an "
                f"instance, as in {type(estimator).__name__}({part}={instances[part]}), then "
                f"{name} can be set and searched."
            )


def is_default(value: object, default: object) -> bool:
    """Tell whether a parameter has its default, a number, str or None (a copy, if unpickled)."""
    return value is default or (isinstance(value, str | Number) and bool(value == default))
