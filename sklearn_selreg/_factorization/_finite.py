"""Factors that are no numbers: found as soon as they are, and told by what made them."""

import numpy as np

from .._data._finite import are_finite

_LARGEST_FACTOR = 1e6  # those of models that rank are about 1
_LARGE = 1e5  # a confidence that hardly any log of interactions means
# Settings that are not between these are named as the cause, the strengths being what they may.
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
    """Raise unless factors are finite, and say which setting they could not bear.

    Parameters
    ----------
    backbone : ALSBackbone or SampledBackbone
        With the settings the factors were made with.
    strengths : ndarray of shape (nnz,), float32
        Summed strengths of the interactions, as they count.
    *arrays : ndarrays
        Factors.
    judged : dict of str to float, default=None
        Further settings, with which a judge's preferences acted.

    Raises
    ------
    ValueError
    """
    if not are_finite(*arrays):
        raise ValueError(explain_not_finite(backbone, strengths, judged))


def check_size(backbone, *arrays):
    """Raise if steps of gradient descent were so large that factors say nothing.

    Parameters
    ----------
    backbone : SampledBackbone
    *arrays : ndarrays
        Factors, finite.

    Raises
    ------
    ValueError
    """
    largest = max(float(np.abs(array).max(initial=0)) for array in arrays)
    if largest > _LARGEST_FACTOR:
        raise ValueError(
            f"The factors are as large as {largest:.0e}, so they have not converged: the steps of "
            f"the fit were too large. Lower learning_rate={backbone.learning_rate:g} of the "
            "backbone."
        )


def explain_not_finite(backbone, strengths, judged=None):
    """Say what factors that are not finite come from, and what to do.

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
            "The factors are not finite (NaN or infinity), as they hardly can be with "
            f"{' and '.join(odd)}. Bring that nearer to the default."
        )
    alpha = getattr(backbone, "alpha", None)
    settings = f"regularization={backbone.regularization:g}"
    if alpha is None:  # BPR, to which strengths do not matter
        return (
            "The factors are not finite (NaN or infinity): the steps of the fit were too large. "
            f"Lower {settings} or learning_rate={backbone.learning_rate:g} of the backbone."
        )
    largest = float(np.max(strengths, initial=0))
    typical = float(np.median(strengths.astype(np.float64))) if len(strengths) else 0.0
    cause = (
        "The factors are not finite (NaN or infinity): the largest strength, repeated rows added "
        f"up, is {largest:g} (the median is {typical:g}), which with alpha={alpha:g} and {settings}"
        " is more than float32 can hold."
    )
    if alpha * largest < _LARGE:
        others = ("regularization", "alpha", "prior_strength", "missing_power", "item_bias")
        given = [
            f"{name}={getattr(backbone, name):g}" for name in others if hasattr(backbone, name)
        ]
        return (
            f"{cause} No strength is large, so it is a setting: bring {', '.join(given)} nearer to "
            "the defaults, regularization not near 0."
        )
    return (
        f"{cause} Compress the strengths, as by strengths='log', or leave out such rows; or lower "
        "alpha, or raise regularization."
    )


def check_finite_model(*arrays):
    """Raise a ValueError unless the factors of a fitted model, or its scores, are finite."""
    if not are_finite(*arrays):
        raise ValueError(
            "The factors of the model are not finite (NaN or infinity), so that its scores mean "
            "nothing. Fit it anew; strengths that are too large are the usual cause."
        )
