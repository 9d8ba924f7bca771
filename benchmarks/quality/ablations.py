"""Contribution of each part on MovieLens: one part is changed at a time.

All other settings are fixed (`tuning=None`), so that a change does not affect them. Differences are
relative to the fixed settings, except for the LLM's gain without a part.
"""

import data_sets
import evaluation
from alternatives import AlternativeMF, Hinge, Logistic, RuleGate
from evaluation import columns, differences, evaluate
from internals import CONTEXT, PRIOR
from methods import _ours, no_llm, selective

from sklearn_selreg import SelectiveLLMRegularizedMF

FIXED, NO_LLM = "fixed settings", "no LLM"
# Name -> settings of the estimator.
CHANGES = {
    FIXED: {},
    "no feature prior": {"item_encoder": None},
    "no trend": {"popularity_periods": 1},
    "no item bias": {"item_bias": 0},
    "no calibration: all pairs weigh 1": {"gate": None},
    "no calibration: weight = gap": {"gate": RuleGate("gap")},
    "no uncertainty": {"gate": RuleGate(drop=("prior_model", "model_uncertainty"))},
    "no context": {"gate": RuleGate(drop=tuple(CONTEXT))},
    "no prior evidence": {"gate": RuleGate(drop=tuple(PRIOR))},
    **{f"without {name}": {"gate": RuleGate(drop=(name,))} for name in (*PRIOR, *CONTEXT)},
    "what the LLM adds to the prior does not matter": {"gate": RuleGate("two")},
    "nor do the total log-odds": {"gate": RuleGate("own")},
    "weight: total log-odds": {"gate": RuleGate("total")},
    "weight: probability": {"gate": RuleGate("probability")},
    "weight: 1 if it counts": {"gate": RuleGate("one")},
    "threshold 0": {"gate": RuleGate(threshold=0.0)},
    "margin .1": {"margin": 0.1},
    "margin .2": {"margin": 0.2},
    "margin .8": {"margin": 0.8},
}
# Other margin losses.
LOSSES = {"hinge, not squared": Hinge, "logistic": Logistic}
LOSS_WEIGHT = 0.4  # times llm_weight: slope of the squared hinge at half the margin of .4
WITHOUT = {
    "": {},
    ", no feature prior": {"item_encoder": None},
    ", no trend": {"popularity_periods": 1},
}


def fit(name, seed):
    """Evaluate one change on `test`."""
    data = data_sets.load("movielens")
    if name.startswith(NO_LLM):
        model = no_llm(data, seed, tuning=None, **WITHOUT[name.removeprefix(NO_LLM)])
    elif name in LOSSES:
        weight = SelectiveLLMRegularizedMF().llm_weight * LOSS_WEIGHT
        model = _ours(data, seed, data.judge, AlternativeMF, llm_weight=weight)
        model = model.with_regularizer(LOSSES[name]).fit(data.train)
    else:
        model = selective(data, seed, tuning=None, **CHANGES[name])
    return evaluate(model, data, "test")


def main(seeds, n_jobs):
    """Run all changes, and store the results."""
    data = data_sets.load("movielens")
    names = [*CHANGES, *LOSSES, *(NO_LLM + part for part in WITHOUT)]
    reports = evaluation.by_seed(fit, names, seeds, n_jobs, "ablations")
    against = {
        name: differences(report, reports[FIXED], data)
        for name, report in reports.items()
        if name != FIXED
    }
    gains = {
        "with feature prior": differences(reports[FIXED], reports[NO_LLM], data),
        "without feature prior": differences(
            reports["no feature prior"], reports[f"{NO_LLM}, no feature prior"], data
        ),
        "without trend": differences(reports["no trend"], reports[f"{NO_LLM}, no trend"], data),
    }
    results = {
        "table": {name: columns(report, data) for name, report in reports.items()},
        "against fixed settings": against,
        "gain of the LLM": gains,
    }
    evaluation.write("ablations", results, seeds)
