"""What the estimator asks of a gate, its own or any other: one finite weight for each pair.

Knows evidence, and transformers that weigh it.
"""

import warnings

import numpy as np
from sklearn.base import clone

from ._design import Standing
from ._slates import compare_candidates, example_slates


def checked_weights(gate, evidence):
    """Return a fitted gate's weights of pairs, (n_pairs,); it may give them as a frame.

    Raises
    ------
    ValueError
        For anything but one column of finite weights >= 0.
    """
    weights = np.asarray(gate.transform(evidence), dtype=np.float64)
    if weights.shape != (len(evidence), 1):
        raise ValueError(
            f"The gate's transform must give one column for {len(evidence)} pairs; got an array "
            f"of shape {weights.shape} from {gate!r}."
        )
    if not (np.isfinite(weights).all() and (weights >= 0).all()):
        raise ValueError(
            "The gate's transform must give finite weights >= 0; got values from "
            f"{np.min(weights):g} to {np.max(weights):g} from {gate!r}."
        )
    return weights[:, 0]


def try_gate(gate):
    """Fit a copy of a gate on made-up evidence: what cannot work raises before money is spent."""
    slates = example_slates()
    standing = Standing(1 + np.argsort(slates.items, axis=1), slates.items % 7)
    pairs = compare_candidates(slates, standing, np.zeros(slates.items.shape))
    right = slates.relevance[pairs.slate, pairs.preferred] == 1
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of evidence that means nothing
        made = clone(gate).fit(pairs.evidence, right, groups=slates.users[pairs.slate])
        checked_weights(made, pairs.evidence)
