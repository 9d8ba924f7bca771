"""Model of a judge's reliability, learned from pairs with known outcomes.

The log-odds of a pair are linear in four blocks of columns, in this order: the prior evidence,
prior times context, the gap, gap times context. The first three are always in the model; columns
of the last block are selected.
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy.special import expit, logit

from ._logistic import CrossValidation, fit_logistic

_PENALTIES = 10.0 ** np.arange(-3, 3)  # values of C to choose from
_SELECT_BY = 50_000  # approximate maximum number of pairs to select penalty and context columns
_PSEUDO_PAIRS = 20  # pseudo-pairs, half of them wrong, that shrink the accuracy in the fallback


@dataclass(frozen=True, eq=False)
class TrustModel:
    """Coefficients for standardized context, and cross-validated performance.

    Attributes
    ----------
    gap, prior : float, and ndarray of shape (n_prior,)
        Log-odds per unit, in an average context.
    gap_effects, prior_effects : ndarrays of shape (n_context,) and (n_prior, n_context)
        Changes of these per standard deviation of context.
    prior_only : tuple of ndarrays of shape (n_prior,) and (n_prior, n_context)
        `prior` and `prior_effects` of a model without the judge.
    C : float
    accuracies, log_loss : dict of str to float
        Cross-validated; see `ReliabilityGate`. Empty after the fallback.
    cv_predictions : dict of str to ndarray of shape (n_pairs,)
        Columns of `ReliabilityGate.cv_predictions_`.
    is_weighted : bool
        Whether the pairs in `accuracies` have unequal weights.
    """

    gap: float
    gap_effects: np.ndarray
    prior: np.ndarray
    prior_effects: np.ndarray
    prior_only: tuple[np.ndarray, np.ndarray]
    C: float
    accuracies: dict[str, float]
    log_loss: dict[str, float]
    cv_predictions: dict[str, np.ndarray]
    is_weighted: bool

    @property
    def adds(self):
        """Whether the judge lowers the log-loss; True after the fallback."""
        return not self.log_loss or self.log_loss["selected"] < self.log_loss["prior"]

    def log_odds(self, gap, prior, context):
        """Return trust, and log-odds: the judge's, total, and those added to a prior-only model."""
        trust = self.gap + context @ self.gap_effects
        by_prior, without_judge = (
            np.sum(prior * (coef + context @ effects.T), axis=1)
            for coef, effects in ((self.prior, self.prior_effects), self.prior_only)
        )
        total = trust * gap + by_prior
        return trust, trust * gap, total, total - without_judge


def shrink_accuracy(accuracy, n_pairs):
    """Shrink an accuracy toward one half by pseudo-pairs."""
    return (accuracy * n_pairs + _PSEUDO_PAIRS / 2) / (n_pairs + _PSEUDO_PAIRS)


def trust_accuracy(accuracy, gap, n_prior, n_context):
    """Build the fallback model from the judge's shrunk accuracy, for too few pairs."""
    mean_gap = np.abs(gap).mean()
    coef = float(logit(shrink_accuracy(accuracy, len(gap))) / mean_gap) if mean_gap > 0 else 0.0
    no_prior = np.zeros(n_prior), np.zeros((n_prior, n_context))
    return TrustModel(
        max(0.0, coef),
        np.zeros(n_context),
        *no_prior,
        prior_only=no_prior,
        C=np.nan,
        accuracies={},
        log_loss={},
        cv_predictions=_as_columns([], [], []),
        is_weighted=False,
    )


def learn_trust(gap, prior, context, known, *, C, n_folds, support):
    """Fit the model to calibration pairs; see `ReliabilityGate` for the parameters.

    Parameters
    ----------
    gap : ndarray of shape (n_pairs,)
    prior : ndarray of shape (n_pairs, n_prior)
    context : ndarray of shape (n_pairs, n_context)
        Standardized.
    known : KnownPairs
    C, support : float or None, float
    n_folds : int

    Returns
    -------
    model : TrustModel
    """
    columns, scale = _make_columns(gap, prior, context, known.weights)
    n_prior, n_context = prior.shape[1], context.shape[1]
    n_before = n_prior * (1 + n_context)  # columns without the judge
    held_out = CrossValidation(columns, known, n_folds)
    selected, C, log_loss = _select_columns(_part(held_out), n_before, C, support)

    log_odds, by_prior = (held_out.log_odds(some, C) for some in (selected, selected[:n_before]))
    predictions = {"judge": gap, "prior": by_prior - known.offset}
    predictions["selected"] = log_odds - known.offset
    weights = known.weights_without_offset()

    coef = np.zeros(columns.shape[1])
    coef[selected] = fit_logistic(columns[:, selected], known, C)
    coef /= scale
    without_judge = fit_logistic(columns[:, :n_before], known, C) / scale[:n_before]
    with_judge, prior_only = (
        (found[:n_prior], found[n_prior:n_before].reshape(n_prior, n_context))
        for found in (coef, without_judge)
    )
    return TrustModel(
        float(coef[n_before]),
        coef[n_before + 1 :],
        *with_judge,
        prior_only=prior_only,
        C=C,
        accuracies={
            name: _fraction_correct(predicted, known.right, weights)
            for name, predicted in predictions.items()
        },
        log_loss=log_loss,
        cv_predictions=_as_columns(log_odds, known.right, known.groups),
        is_weighted=bool(np.ptp(weights) > 0),
    )


def _make_columns(gap, prior, context, weights):
    """Compute the scaled columns of the model, and their scales."""
    prior_by_context = (prior[:, :, np.newaxis] * context[:, np.newaxis]).reshape(len(gap), -1)
    columns = np.column_stack([prior, prior_by_context, gap, gap[:, np.newaxis] * context])
    scale = np.sqrt(np.average(columns**2, axis=0, weights=weights))
    scale[scale == 0] = 1
    return columns / scale, scale


def _part(held_out):
    """Restrict cross-validation to a subset of the groups, which suffices for selection."""
    columns, known, n_folds = held_out.columns, held_out.known, held_out.n_folds
    step = max(1, min(-(-len(columns) // _SELECT_BY), (known.groups.max() + 1) // n_folds))
    if step == 1:
        return held_out
    part = known.groups % step == 0
    known = replace(known[part], groups=known.groups[part] // step)
    return CrossValidation(columns[part], known, n_folds)


def _select_columns(held_out, n_before, C, support):
    """Select the penalty and the columns of gap times context.

    Returns
    -------
    selected : list of int
    C : float
    log_loss : dict of str to float
    """
    columns, losses = held_out.columns, held_out.losses
    candidates = [i for i in range(n_before + 1, columns.shape[1]) if columns[:, i].any()]
    base = list(range(n_before + 1))
    by_penalty = {C: losses(base, C) for C in (_PENALTIES if C is None else (C,))}
    C = min(by_penalty, key=lambda C: by_penalty[C].mean())
    groups = held_out.known.groups
    selected, loss = _select_context(
        lambda selected: losses(selected, C), base, by_penalty[C], candidates, groups, support
    )
    log_loss = {"prior": losses(base[:-1], C), "constant": by_penalty[C], "selected": loss}
    return selected, C, {name: float(values.mean()) for name, values in log_loss.items()}


def _select_context(losses, selected, loss, candidates, groups, support):
    """Add columns by forward selection while their improvement is supported by the groups.

    Parameters
    ----------
    losses : callable
        Function of a list of columns that returns the loss of each pair.
    selected, candidates : list of int
        Columns already in the model, and columns that may be added.
    loss : ndarray of shape (n_pairs,)
        Losses with the `selected` columns.
    groups : ndarray of shape (n_pairs,), int
    support : float
        Number of standard errors over groups that the improvement must exceed.

    Returns
    -------
    selected : list of int
    loss : ndarray of shape (n_pairs,)
    """
    remaining = set(candidates)
    while remaining:
        tried = {i: losses([*selected, i]) for i in sorted(remaining)}
        best = min(tried, key=lambda i: tried[i].mean())
        improvement = np.bincount(groups, weights=loss - tried[best])
        if improvement.sum() <= support * np.sqrt(len(improvement)) * improvement.std():
            break
        selected, loss = [*selected, best], tried[best]
        remaining.remove(best)
    return selected, loss


def _fraction_correct(log_odds, right, weights):
    """Fraction of pairs whose outcome is predicted correctly; ties count half."""
    correct = np.where(log_odds == 0, 0.5, (log_odds > 0) == right)
    return float(np.average(correct, weights=weights))


def _as_columns(log_odds, right, groups):
    return {
        "probability": expit(np.asarray(log_odds, dtype=np.float32)),
        "right": np.asarray(right, dtype=bool),
        "group": np.asarray(groups, dtype=np.int32),
    }
