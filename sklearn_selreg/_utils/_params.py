"""Checks of parameters, including nested ones such as `gate__C`, and words for errors."""

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
    """Raise a ValueError that is also a TypeError unless a value is an integer >= `least`.

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
    """Name the type of an invalid value: "None", "an int", "the class ..."."""
    if isinstance(value, type):
        return f"the class {value.__name__}: make an instance of it, {value.__name__}(...)"
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
    """Replace shorthands by instances where nested parameters are set.

    Parameters
    ----------
    estimator : BaseEstimator
    params : dict of str to object
        As for `set_params`.
    shorthands : dict of str to dict
        For each part, its shorthands and the class that each stands for.
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
    """Raise for a nested parameter whose parent is not an instance, or one of another kind.

    Parameters
    ----------
    estimator : BaseEstimator
    params : dict of str to object
        As for `set_params`.
    instances : dict of str to str
        Code of an instance for each parameter that may have nested ones.
    shorthands : dict of str to dict
        As for `expand_shorthands`.

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
                f"{name}={value!r} sets a parameter of {part}, which has none: it is "
                f"{current!r:.80}."
            )
        if not hasattr(current, "set_params"):
            kind = repr(current) if isinstance(current, str | None) else type(current).__name__
            raise ValueError(
                f"{name}={value!r} sets a parameter of {part}, but {part} is {kind}. Pass an "
                f"instance, as in {type(estimator).__name__}({part}={instances[part]}), then "
                f"{name} can be set and searched."
            )


def _check_of_no_other_kind(name, current, kinds):
    """Raise for a nested parameter that another kind of its parent has."""
    part, _, own_name = name.partition("__")
    others = [kind.__name__ for kind in kinds.values() if own_name in kind().get_params()]
    if others:
        raise ValueError(
            f"{name} is a parameter of {' and '.join(others)}, and {part} is {current!r}, which "
            f"has {', '.join(current.get_params())}. Settings that were found with one {part} do "
            f"not fit another: set {part} to {others[0]}() as well, or let them be found anew."
        )


def is_default(value: object, default: object) -> bool:
    """Return whether a parameter has its default: a number, str or None, perhaps unpickled."""
    return value is default or (isinstance(value, str | Number) and bool(value == default))
