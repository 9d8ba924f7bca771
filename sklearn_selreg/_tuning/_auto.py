"""Settings that are "auto": what they stand for where nothing is searched, and the search.

Takes the parameters of the estimator by attribute.
"""

import logging

import numpy as np
import pandas as pd

from .._data._strengths import kinds_to_compare
from .._utils._progress import Progress
from .._utils._warn import warn
from ..exceptions import ParameterWarning
from ._hold_out import MIN_HELD_OUT
from ._search import find_settings

_log = logging.getLogger("sklearn_selreg")

FIXED = {
    "factors": None,
    "regularization": None,
    "alpha": None,
    "iterations": None,
    "prior_strength": 2.5,
    "item_bias": 0.25,
    "missing_power": 0.5,
    "recency_power": 0.65,
    "strengths": "raw",
    "popularity_periods": 8,
}
"""What may be "auto", and its value where nothing is searched; None: the backbone's own."""

OF_ALS = ("missing_power", "recency_power")
"""Those that are parameters of `ALS`."""

NOT_COMPARED = frozenset(
    [
        *("item_data", "user_data", "judge", "user_col", "item_col", "time_col", "warm_start"),
        *("backbone__compute_loss", "n_jobs", "random_state", "verbose", "tuning"),
    ]
)
"""Parameters that are set without comparing models."""

_SPAN = 100  # strengths as many times as large as the median are worth a warning
_CLEARLY = 0.05  # difference of the criterion of a search that is worth a warning


def resolve(given, has_time, fitted=None):
    """Return the settings, those that are "auto" as they were fitted, or fixed.

    Parameters
    ----------
    given : dict of str to object
        The parameters in `FIXED`.
    has_time : bool
        Whether interactions have times; the order of rows need not be that of time.
    fitted : dict or None
        Settings of a fit to go on from.
    """
    settings = {}
    for name, fixed in FIXED.items():
        settings[name] = given[name]
        if is_auto(given[name]):
            settings[name] = fixed if fitted is None else fitted[name]
            if name == "recency_power" and not has_time:
                settings[name] = 0.0
    return settings


def fitted_settings(backbone, scale, n_periods, iterations):
    """Return the settings of a fit as fitted attributes, a dict; None where there is none."""
    others = {
        "strengths": scale.kind,
        "popularity_periods": n_periods,
        "iterations": iterations,
    }
    return {f"{name}_": others.get(name, getattr(backbone, name, None)) for name in FIXED}


def used_settings(estimator, given):
    """Return what a fit used of settings that were left open, "auto" or None, by parameter.

    Parameters
    ----------
    estimator : SelectiveLLMRegularizedMF
        Fitted.
    given : dict of str to object
        Of the parameters in `FIXED`, some.
    """
    used = {}
    for name, value in given.items():
        found = getattr(estimator, f"{name}_")
        if found is not None and (value is None or is_auto(value)):
            used[f"backbone__{name}" if name in OF_ALS else name] = found
    return used


def is_auto(value):
    """Return whether a parameter is "auto"; arrays and the like are not."""
    return isinstance(value, str) and value == "auto"


def free_settings(given, backbone, data):
    """Return the names of the settings to find; none if there is nothing worth a search."""
    interactions = data.interactions
    free = {name for name in backbone.found if is_auto(given[name])}
    if len(kinds_to_compare(interactions.matrix.data)) == 1:
        free -= {"strengths"}
    if interactions.times is None:
        free -= {"recency_power", "popularity_periods"}
    if given["item_bias"] == 0:
        free -= {"popularity_periods"}
    if data.features is None:
        free -= {"prior_strength"}
    return free if free - {"iterations", "popularity_periods"} else set()


def search(given, settings, free, backbone, data, effort, verbose):
    """Find settings, and say so.

    Parameters
    ----------
    given, settings : dict
        The parameters in `FIXED`, and what they stand for so far.
    free : set of str
    backbone : ALSBackbone or SampledBackbone
    data : TrainingData
    effort : str
        Of `EFFORTS`.
    verbose : int

    Returns
    -------
    settings : dict
    found : Found or None
        None if too few interactions can be held out.
    """
    interactions, features = data.interactions, data.features
    if is_auto(given["strengths"]) and "strengths" not in free:
        settings = settings | {"strengths": kinds_to_compare(interactions.matrix.data)[0]}
    kept = {n: settings[n] for n in ("strengths", "popularity_periods") if n not in free}
    with Progress("settings", unit="fit", verbose=verbose) as progress:
        found = find_settings(
            backbone, kept, free, interactions, features, effort, progress.update,
            user_features=data.user_features,
        )  # fmt: skip
    if found is None:
        _log.info(
            "Fewer than %d interactions can be held out: the settings are the fixed ones.",
            MIN_HELD_OUT,
        )
        return settings, None
    shown = [
        f"{name}={value:.4g}" if isinstance(value, float) else f"{name}={value!r}"
        for name, value in sorted(found.settings.items())
    ]
    _log.info(
        "Found %s: %d fits ranked %d held-out interactions, in %.1f s of processor time.",
        ", ".join(shown),
        len(found.trials),
        found.n_held_out,
        found.seconds,
    )
    return settings | found.settings, found


def warn_of_search(found, compared):
    """Warn of what a search shows to be wrong.

    Parameters
    ----------
    found : Found
    compared : list of str
        Parameters that a search of scikit-learn has set.
    """
    best = found.best.result
    if found.floor is not None:
        others = "; ".join(
            f"{what} {result.ndcg:.4f} and {result.auc:.4f}"
            for what, result in zip(("popularity", "plain implicit"), found.floor, strict=False)
        )
        warn(
            "No settings were found that rank held-out interactions as well as simpler models "
            f"do: NDCG@10 {best.ndcg:.4f} and AUC {best.auc:.4f}, {others}. Try "
            "tuning='thorough', or give item_data; "
            "sklearn_selreg.metrics.compare_baselines compares with simple models.",
            ParameterWarning,
        )
    other = found.compressed
    if other is not None and other.result.criterion > best.criterion + _CLEARLY:
        kind = other.settings["strengths"]
        warn(
            "The strengths span so much that the largest ones drown the others: raw, they rank "
            f"held-out interactions with NDCG@10 {best.ndcg:.4f}, and with strengths={kind!r} "
            f"it is {other.result.ndcg:.4f}. Set strengths={kind!r} (or 'auto')."
        )
    if compared:
        warn(
            f"{', '.join(compared)} of a clone had been set, as by a search, and the settings "
            "that are 'auto' were found again: models that are compared differ in them, too. "
            "Fix them first: model.fit(X), then model.set_params(**model.found_params()).",
            ParameterWarning,
        )


def warn_of_raw_strengths(strengths):
    """Warn of strengths that count raw without comparison, and span orders of magnitude."""
    typical = np.median(strengths)
    if strengths.max() > _SPAN * typical:
        warn(
            f"The strengths span orders of magnitude, from {strengths.min():g} to "
            f"{strengths.max():g} with a median of {typical:g}, and count as they are: the "
            "largest ones drown the others. Compress them by strengths='log' (or 'binary')."
        )


def tuning_table(found):
    """Return the settings that were compared, a DataFrame; see `tuning_` of the estimator."""
    names = [name for name in FIXED if name in found.best.settings]
    rows = [
        {name: trial.settings[name] for name in names}
        | {
            "chosen": trial is found.best,
            "NDCG@10": trial.result.ndcg,
            "AUC": trial.result.auc,
            "AUC rare": trial.result.rare,
            "criterion": trial.result.criterion,
            "seconds": trial.seconds,
        }
        for trial in found.trials
    ]
    return pd.DataFrame(rows).astype({"AUC rare": float})
