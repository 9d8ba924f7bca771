"""Backbones by name, with their settings checked."""

from dataclasses import fields
from numbers import Integral

import numpy as np

from ._als_backbone import ALSBackbone
from ._sampled_backbones import BPRBackbone, LMFBackbone

BACKBONES = {"als": ALSBackbone, "bpr": BPRBackbone, "lmf": LMFBackbone}


def make_backbone(name, given, further, shared, *, num_threads, seeded):
    """Make a backbone of an estimator's parameters.

    Parameters
    ----------
    name : str
        Of `BACKBONES`.
    given : dict
        `factors`, `regularization`, `alpha` and `iterations`; None: the backbone's default.
    further : dict or None
        `backbone_params`.
    shared : dict
        Settings of one or more backbones, from which it takes its own.
    num_threads : int
        0: all cores.
    seeded : bool
        Whether the result must be the same in each call.

    Raises
    ------
    ValueError, TypeError
        For settings that the backbone does not have, and values out of range.
    """
    kind = BACKBONES[name]
    resolved = dict(kind.defaults)
    for parameter, value in given.items():
        if value is None:
            continue
        if parameter not in resolved:
            raise ValueError(
                f"backbone={name!r} has no {parameter}: leave it at None; got {value!r}."
            )
        resolved[parameter] = value
    further = {} if further is None else further
    if not isinstance(further, dict):
        raise TypeError(
            f"backbone_params must be a dict of settings or None; got a {type(further).__name__}."
        )
    for parameter, value in further.items():
        if parameter not in kind.further:
            hint = " It is a parameter of the estimator itself." if parameter in given else ""
            raise ValueError(
                f"backbone={name!r} has no setting {parameter!r} in backbone_params; it has "
                f"{sorted(kind.further)}.{hint}"
            )
        _check_setting(f"backbone_params[{parameter!r}]", value, *kind.further[parameter])
    names = {field.name for field in fields(kind)}
    threads = {"num_threads": num_threads, "fit_threads": 1 if seeded else num_threads}
    settings = {key: value for key, value in (shared | threads).items() if key in names}
    return kind(**settings, **resolved, **further)


def _check_setting(label, value, kind, low):
    if kind is bool:
        if not isinstance(value, bool):
            raise TypeError(f"{label} must be True or False; got {value!r}.")
        return
    what = "an integer" if kind is Integral else "a number"
    if isinstance(value, bool) or not isinstance(value, kind):
        raise TypeError(f"{label} must be {what}; got {value!r}.")
    if not low <= value < np.inf or value == 0:
        bound = f">= {low}" if low else "> 0"
        raise ValueError(f"{label} must be {what} {bound}; got {value!r}.")
