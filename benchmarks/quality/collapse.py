"""Collapse of the jointly learned gate: its mean weight during training, compared with ours.

The derivative of the paper's loss with respect to a weight is the hinge, which is never negative:
training can only lower the weights, even where the LLM is right. Ours are learned beforehand from
held-out interactions. The joint gate has its best settings on `valid`; ours has its defaults.
"""

import warnings

import data_sets
import evaluation
import methods
import numpy as np

RATES = (0.001, 0.01, 0.1)


def main(chosen, seeds):
    """Fit the joint gate with several learning rates, and store its mean weights."""
    data = data_sets.load("movielens")
    settings = dict(chosen["joint gate"][1])
    rates = dict.fromkeys((settings.pop("gate_rate"), *RATES))
    curves = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for rate in rates:
            model = methods.joint_gate(data, 0, gate_rate=rate, **settings)
            gate = model.regularizer_
            curves[str(rate)] = {
                "mean weight": np.round(gate.mean_weights, 5).tolist(),
                "coef": dict(
                    zip(("cold", "tail", "uncertainty", "intercept"), gate.coef, strict=True)
                ),
            }
        ours = methods.selective(data, 0).preferences_
    results = {
        "chosen rate": chosen["joint gate"][1]["gate_rate"],
        "joint gate": curves,
        # Log-odds; constant during training.
        "ours": {
            "mean weight": round(float(ours["weight"].mean()), 5),
            "share above 0": round(float((ours["weight"] > 0).mean()), 5),
        },
    }
    evaluation.write("collapse", results, seeds[:1])
