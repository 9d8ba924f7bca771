"""Contract between the estimator and any gate: one finite, non-negative weight per pair."""

import warnings

import numpy as np
from sklearn.base import clone

from ._design import Standing
from ._slates import compare_candidates, example_slates


def checked_weights(gate, evidence):
    """Return the validated weights of a fitted gate, (n_pairs,); they may come as a DataFrame.

    Raises
    ------
    ValueError
        If the gate does not return a single column of finite weights >= 0.
    """
    weights = np.asarray(gate.transform(evidence), dtype=np.float64)
    if weights.shape != (len(evidence), 1):
        raise ValueError(
            f"The gate's transform must return one column for {len(evidence)} pairs; got an array "
            f"of shape {weights.shape} from {gate!r}."
        )
    if not (np.isfinite(weights).all() and (weights >= 0).all()):
        raise ValueError(
            "The gate's transform must return finite weights >= 0; got values from "
            f"{np.min(weights):g} to {np.max(weights):g} from {gate!r}."
        )
    return weights[:, 0]


def try_gate(gate):
    """Fit a clone of a gate on synthetic evidence, to raise errors before money is spent."""
    slates = example_slates()
    standing = Standing(1 + np.argsort(slates.items, axis=1), slates.items % 7)
    pairs = compare_candidates(slates, standing, np.zeros(slates.items.shape))
    right = slates.relevance[pairs.slate, pairs.preferred] == 1
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the evidence is random
        made = clone(gate).fit(pairs.evidence, right, groups=slates.users[pairs.slate])
        checked_weights(made, pairs.evidence)
