"""Settings that are "auto": their fixed values and their tuning.

The estimator's parameters are accessed as attributes.
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
"""Parameters that may be "auto", and their values without tuning; None: the backbone's own."""

OF_ALS = ("missing_power", "recency_power")
"""Those of `FIXED` that are parameters of `ALS`."""

NOT_COMPARED = frozenset(
    [
        *("item_data", "user_data", "judge", "user_col", "item_col", "time_col", "warm_start"),
        *("backbone__compute_loss", "n_jobs", "random_state", "verbose", "tuning"),
    ]
)
"""Parameters that may be set without the intention to compare models."""

_SPAN = 100  # ratio of the largest to the median strength that causes a warning
_CLEARLY = 0.05  # difference in the search criterion that causes a warning


def resolve(given, has_time, fitted=None):
    """Replace "auto" by the values of a previous fit, or else by fixed values.

    Parameters
    ----------
    given : dict of str to object
        The parameters in `FIXED`.
    has_time : bool
        Whether interactions have times; rows may not be in order of time.
    fitted : dict or None
        Settings of a previous fit to resume from.
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
    """Return the settings of a fit as a dict of fitted attributes; None if not applicable."""
    others = {
        "strengths": scale.kind,
        "popularity_periods": n_periods,
        "iterations": iterations,
    }
    return {f"{name}_": others.get(name, getattr(backbone, name, None)) for name in FIXED}


def used_settings(estimator, given):
    """Return the values used for parameters that were "auto" or None, by parameter name.

    Parameters
    ----------
    estimator : SelectiveLLMRegularizedMF
        Fitted estimator.
    given : dict of str to object
        Some of the parameters in `FIXED`.
    """
    used = {}
    for name, value in given.items():
        found = getattr(estimator, f"{name}_")
        if found is not None and (value is None or is_auto(value)):
            used[f"backbone__{name}" if name in OF_ALS else name] = found
    return used


def is_auto(value):
    """Whether a parameter is "auto"; safe for arrays."""
    return isinstance(value, str) and value == "auto"


def free_settings(given, backbone, data):
    """Return the names of the settings to tune; empty if a search is not worthwhile."""
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
    """Tune the free settings and log the result.

    Parameters
    ----------
    given, settings : dict
        The parameters in `FIXED`, and their current values.
    free : set of str
    backbone : ALSBackbone or SampledBackbone
    data : TrainingData
    effort : str
        Key of `EFFORTS`.
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
            "Fewer than %d interactions can be held out, so the fixed settings are used.",
            MIN_HELD_OUT,
        )
        return settings, None
    shown = [
        f"{name}={value:.4g}" if isinstance(value, float) else f"{name}={value!r}"
        for name, value in sorted(found.settings.items())
    ]
    _log.info(
        "Found %s: %d fits ranked %d held-out interactions, in %.1f s of CPU time.",
        ", ".join(shown),
        len(found.trials),
        found.n_held_out,
        found.seconds,
    )
    return settings | found.settings, found


def warn_of_search(found, compared):
    """Warn about problems that a search has revealed.

    Parameters
    ----------
    found : Found
    compared : list of str
        Parameters set by a scikit-learn search.
    """
    best = found.best.result
    if found.floor is not None:
        others = "; ".join(
            f"{what} {result.ndcg:.4f} and {result.auc:.4f}"
            for what, result in zip(("popularity", "plain implicit"), found.floor, strict=False)
        )
        warn(
            "No settings rank held-out interactions as well as simpler models do: NDCG@10 "
            f"{best.ndcg:.4f} and AUC {best.auc:.4f}, compared with {others}. Try "
            "tuning='thorough', or provide item_data. "
            "sklearn_selreg.metrics.compare_baselines compares the fitted model with baselines.",
            ParameterWarning,
        )
    other = found.compressed
    if other is not None and other.result.criterion > best.criterion + _CLEARLY:
        kind = other.settings["strengths"]
        warn(
            "The strengths span orders of magnitude, so the largest ones dominate: with "
            f"strengths='raw', NDCG@10 on held-out interactions is {best.ndcg:.4f}; with "
            f"strengths={kind!r}, it is {other.result.ndcg:.4f}. Set strengths={kind!r} (or "
            "'auto')."
        )
    if compared:
        warn(
            f"{', '.join(compared)} was set on a clone, as searches do, but the 'auto' settings "
            "were tuned again in this fit, so that the compared models also differ in them. Fix "
            "them first: model.fit(X), then model.set_params(**model.found_params()).",
            ParameterWarning,
        )


def warn_of_raw_strengths(strengths):
    """Warn about raw strengths that were not compared with others and vary widely."""
    typical = np.median(strengths)
    if strengths.max() > _SPAN * typical:
        warn(
            f"The strengths span orders of magnitude, from {strengths.min():g} to "
            f"{strengths.max():g} with a median of {typical:g}, and are used unchanged, so the "
            "largest ones dominate. Compress them with strengths='log' (or 'binary')."
        )


def tuning_table(found):
    """Return the compared settings as a DataFrame; see `tuning_` of the estimator."""
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
