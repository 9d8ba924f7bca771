"""Summary of a fitted gate in one sentence."""

import numpy as np

from ._evidence import CONTEXT, OF_ANSWERS, PRIOR

_NOTABLE = 1.2  # ratio of mean weights from which a difference is mentioned


def describe_calibration(n_pairs, prior_names, accuracy, model):
    """Describe the accuracy of the judge.

    Parameters
    ----------
    n_pairs : int
    prior_names : sequence of str
        Columns of the prior evidence.
    accuracy : float
        Unweighted accuracy of the judge, used only after the fallback.
    model : TrustModel

    Returns
    -------
    text : str
    """
    text = f"Of {n_pairs:,} calibration {_plural('pair', n_pairs)}"
    if not model.log_loss:
        return f"{text}, too few or too similar to learn from, the judge is right on " + _percent(
            accuracy
        )
    if model.is_weighted:
        text += ", weighted for how they were drawn,"
    judge, prior, selected = (_percent(model.accuracies[n]) for n in ("judge", "prior", "selected"))
    text += f" the judge is right on {judge}"
    if len(prior_names):
        text += f", {_name_prior(prior_names)} on {prior}, all together on {selected}"
    without, loss = model.log_loss["prior"], model.log_loss["selected"]
    outcome = "" if loss < without else ", no gain"
    return f"{text} (log-loss {loss:.3f} instead of {without:.3f}{outcome})"


def describe_use(weights, n_preferences):
    """Describe which fraction of the preferences has a positive weight."""
    used = _percent(np.mean(weights > 0)) if weights.any() else "none"
    preferences = _plural("preference", n_preferences)
    return f", and it is used for {used} of {n_preferences:,} {preferences}"


def describe_largest_weights(weights, context):
    """Describe the context column whose halves differ most in mean weight; empty if none does.

    Parameters
    ----------
    weights : ndarray of shape (n_pairs,)
    context : dict of str to ndarray of shape (n_pairs,)
    """
    found = []
    for name, values in context.items():
        lower, upper = _split_in_halves(values)
        if name not in OF_ANSWERS and lower.any() and upper.any():
            means = weights[lower].mean(), weights[upper].mean()
            found.append((abs(means[1] - means[0]), name, means))
    _, name, means = max(found, default=(0, "", (0, 0)))
    small, large = sorted(means)
    if large == 0 or large < _NOTABLE * small:
        return ""
    where = f"a low {name}", f"a high {name}"
    if name in CONTEXT:
        where = CONTEXT[name].low, CONTEXT[name].high
    which = where[1] if means[1] > means[0] else where[0]
    return f", most for {which} (mean weight {large:.2f}, else {small:.2f})"


def _split_in_halves(values):
    """Masks of the lower and the upper half of the values, as equal in size as ties allow."""
    is_known = ~np.isnan(values)
    if not is_known.any():
        return is_known, is_known
    median = np.median(values[is_known])
    lower = min(
        (values <= median, values < median), key=lambda part: abs(part.sum() - is_known.sum() / 2)
    )
    return lower, is_known & ~lower


def _name_prior(names):
    if set(names) <= set(PRIOR):
        return " and ".join(PRIOR[name] for name in names)
    return "the prior evidence"


def _plural(noun, number):
    return noun if number == 1 else f"{noun}s"


def _percent(fraction):
    """Format a fraction as a percentage, without rounding to 0 or 100 %."""
    if 0 < fraction < 0.005 or 0.995 < fraction < 1:
        return "less than 1 %" if fraction < 0.5 else "more than 99 %"
    return f"{fraction:.0%}".replace("%", " %")
