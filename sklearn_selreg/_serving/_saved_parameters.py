"""Parameters in a file: those that are plain data, and parts that are made of such."""

import numpy as np

from .._factorization._specifications import ALS, BPR, LMF
from .._judging._slate_sampler import SlateSampler
from ._archive import expect, is_number, typed

_PARTS = {kind.__name__: kind for kind in (ALS, BPR, LMF, SlateSampler)}
_NOT_PLAIN = ("judge", "item_data", "user_data")


def parameters_to_json(estimator):
    """Return the parameters that can be saved, and the names of those that stay behind."""
    defaults = type(estimator)().get_params(deep=False)
    plain, left_behind = {}, []
    for name, value in estimator.get_params(deep=False).items():
        value = _part_to_json(value) if type(value) in _PARTS.values() else as_python(value)
        if name in _NOT_PLAIN or not _is_plain(value):
            if value is not defaults[name]:
                left_behind.append(name)
            value = defaults[name]
        plain[name] = value
    return plain, left_behind


def read_parameters(saved):
    """Return the parameters that a file holds, checked as far as their kinds go."""
    return {
        name: _part_from_json(value) if isinstance(value, dict) and "part" in value else value
        for name, value in typed(saved, dict, "parameters").items()
    }


def _part_to_json(part):
    settings = {name: as_python(value) for name, value in part.get_params(deep=False).items()}
    return {"part": type(part).__name__, "settings": settings}


def _part_from_json(saved):
    expect(saved["part"] in _PARTS, f"there is a part {saved['part']!r:.100}")
    part = _PARTS[saved["part"]](**typed(saved["settings"], dict, "settings"))
    part._validate_params()
    return part


def as_python(value):
    """Return numpy's numbers and tuples as what JSON has."""
    if isinstance(value, tuple):
        return list(value)
    return value.item() if isinstance(value, np.generic) else value


def _is_plain(value):
    if isinstance(value, list):
        return all(map(_is_plain, value))
    if isinstance(value, dict):
        return all(type(k) is str for k in value) and all(map(_is_plain, value.values()))
    return value is None or type(value) in (bool, int, str) or is_number(value)
