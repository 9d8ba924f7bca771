"""Parameters in a file: plain data, and nested estimators with plain parameters."""

import numpy as np

from .._data._item_encoder import AutoItemEncoder
from .._factorization._make import SPECIFICATIONS
from .._gate import ReliabilityGate
from .._judging._slate_sampler import SlateSampler
from ._archive import expect, is_number, typed

_KINDS = *SPECIFICATIONS, SlateSampler, ReliabilityGate, AutoItemEncoder
_PARTS = {kind.__name__: kind for kind in _KINDS}
_NOT_PLAIN = ("judge", "item_data", "user_data")
_MAY_STAY_BEHIND = (*_NOT_PLAIN, "gate", "item_encoder", "random_state")


def parameters_to_json(estimator):
    """Return the parameters that can be saved, and the names of those that cannot."""
    defaults = type(estimator)().get_params(deep=False)
    plain, left_behind = {}, []
    for name, value in estimator.get_params(deep=False).items():
        saved = _part_to_json(value) if type(value) in _KINDS else as_python(value)
        if name in _NOT_PLAIN or not _is_plain(saved):
            if value is not defaults[name]:
                _check_may_stay_behind(estimator, name, value)
                left_behind.append(name)
            saved = defaults[name]
        plain[name] = saved
    return plain, left_behind


def _check_may_stay_behind(estimator, name, value):
    """Raise a ValueError for a parameter that a loaded model cannot do without."""
    known = estimator._parameter_constraints
    if name in _MAY_STAY_BEHIND or name not in known:  # unknown: defined by a subclass
        return
    raise ValueError(
        f"A file cannot hold {name}={value!r:.200}. Only plain data and instances of "
        f"{', '.join(_PARTS)} (no subclasses) can be saved. Pickle the model instead, or set "
        f"{name} to one of these."
    )


def read_parameters(saved):
    """Return the parameters in a file, with their types checked."""
    return {
        name: _part_from_json(value) if isinstance(value, dict) and "part" in value else value
        for name, value in typed(saved, dict, "parameters").items()
    }


def _part_to_json(part):
    settings = {name: as_python(value) for name, value in part.get_params(deep=False).items()}
    return {"part": type(part).__name__, "settings": settings}


def _part_from_json(saved):
    expect(saved["part"] in _PARTS, f"it contains a part {saved['part']!r:.100}")
    part = _PARTS[saved["part"]](**typed(saved["settings"], dict, "settings"))
    if hasattr(part, "_parameter_constraints"):
        part._validate_params()
    return part


def as_python(value):
    """Convert numpy numbers and tuples to JSON types."""
    if isinstance(value, tuple):
        return list(value)
    return value.item() if isinstance(value, np.generic) else value


def _is_plain(value):
    if isinstance(value, list):
        return all(map(_is_plain, value))
    if isinstance(value, dict):
        return all(type(k) is str for k in value) and all(map(_is_plain, value.values()))
    return value is None or type(value) in (bool, int, str) or is_number(value)
