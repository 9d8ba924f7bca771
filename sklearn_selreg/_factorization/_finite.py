"""Detection of non-finite factors, with error messages that name the likely cause."""

import numpy as np

from .._data._finite import are_finite

_LARGEST_FACTOR = 1e6  # factors of useful models are about 1
_LARGE = 1e5  # a confidence that is rarely intended
# Settings outside of these ranges are reported as the cause, whatever the strengths.
_USUAL = {
    "regularization": (1e-9, 1e6),
    "alpha": (0, 1e5),
    "prior_strength": (0, 1e6),
    "missing_power": (0, 10),
    "item_bias": (0, 1e4),
    "learning_rate": (0, 100),
    "llm_weight": (0, 1e6),
    "margin": (0, 1e6),
}


def check_finite_factors(backbone, strengths, *arrays, judged=None):
    """Raise if factors are not finite, with the setting that is the likely cause.

    Parameters
    ----------
    backbone : ALSBackbone or SampledBackbone
        Backbone with the settings of the fit.
    strengths : ndarray of shape (nnz,), float32
        Transformed strengths of the interactions, summed over repeated rows.
    *arrays : ndarrays
        Factors.
    judged : dict of str to float, default=None
        Further settings, of the regularization by preferences.

    Raises
    ------
    ValueError
    """
    if not are_finite(*arrays):
        raise ValueError(explain_not_finite(backbone, strengths, judged))


def check_size(backbone, *arrays):
    """Raise if gradient descent has diverged to huge factors.

    Parameters
    ----------
    backbone : SampledBackbone
    *arrays : ndarrays
        Finite factors.

    Raises
    ------
    ValueError
    """
    largest = max(float(np.abs(array).max(initial=0)) for array in arrays)
    if largest > _LARGEST_FACTOR:
        raise ValueError(
            f"The fit has diverged: factors are as large as {largest:.0e}. Lower "
            f"learning_rate={backbone.learning_rate:g} of the backbone."
        )


def explain_not_finite(backbone, strengths, judged=None):
    """Error message for non-finite factors, with the likely cause and a remedy.

    Parameters
    ----------
    backbone, strengths, judged
        As in `check_finite_factors`.

    Returns
    -------
    message : str
    """
    every = {name: getattr(backbone, name) for name in _USUAL if hasattr(backbone, name)}
    every |= judged or {}
    odd = [f"{n}={v:g}" for n, v in every.items() if not _USUAL[n][0] <= v <= _USUAL[n][1]]
    if odd:
        return (
            "The factors are not finite (NaN or infinity). The likely cause is "
            f"{' and '.join(odd)}: choose values closer to the defaults."
        )
    alpha = getattr(backbone, "alpha", None)
    settings = f"regularization={backbone.regularization:g}"
    if alpha is None:  # BPR, which ignores strengths
        return (
            "The factors are not finite (NaN or infinity) because the fit has diverged. "
            f"Lower {settings} or learning_rate={backbone.learning_rate:g} of the backbone."
        )
    largest = float(np.max(strengths, initial=0))
    typical = float(np.median(strengths.astype(np.float64))) if len(strengths) else 0.0
    cause = (
        "The factors are not finite (NaN or infinity): the largest strength, summed over repeated "
        f"rows, is {largest:g} (median {typical:g}), which with alpha={alpha:g} and {settings} "
        "exceeds the range of float32."
    )
    if alpha * largest < _LARGE:
        others = ("regularization", "alpha", "prior_strength", "missing_power", "item_bias")
        given = [
            f"{name}={getattr(backbone, name):g}" for name in others if hasattr(backbone, name)
        ]
        return (
            f"{cause} No strength is large, so a setting is the cause: choose {', '.join(given)} "
            "closer to the defaults, and regularization not close to 0."
        )
    return (
        f"{cause} Compress the strengths (e.g. strengths='log'), drop such rows, lower alpha, or "
        "raise regularization."
    )


def check_finite_model(*arrays):
    """Raise a ValueError if the factors of a fitted model, or its scores, are not finite."""
    if not are_finite(*arrays):
        raise ValueError(
            "The factors of the model are not finite (NaN or infinity), so its scores are "
            "meaningless. Fit it again; the usual cause is excessively large strengths."
        )
