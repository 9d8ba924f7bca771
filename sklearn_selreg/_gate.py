"""The gate: where a judge can be trusted, and how far. Knows tables of evidence only."""

import warnings
from numbers import Integral, Real

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd
from scipy.special import expit, logit
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import check_consistent_length, check_is_fitted, validate_data

from ._gate_learning import (
    PENALTIES,
    KnownPairs,
    cross_fitted_log_odds,
    fit_logistic,
    held_out_log_odds,
    share_right,
    split_in_halves,
)
from ._utils._docs import DocLinkMixin
from ._utils._sklearn import Interval, _check_sample_weight, _fit_context
from ._utils._warn import warn
from .exceptions import GateWarning

_SELECT_BY = 50_000  # pairs by which penalty and context columns are selected, about
_PSEUDO_PAIRS = 20  # half of them wrong, in the accuracy of the fallback
_NOTABLE = 1.2  # ratio of mean weights from which it is said where they are larger
# How evidence of a recommender is called in a summary, and preferences with less and more of it.
_PRIORS = {"prior_popularity": "popularity", "prior_model": "the model"}
_WHERE = {
    "history_length": ("users with short histories", "users with long histories"),
    "popularity_rarer": ("pairs with a rare item", "pairs of popular items"),
    "popularity_commoner": ("pairs of rare items", "pairs with a popular item"),
    "model_uncertainty": ("pairs that the model is sure of", "pairs that the model is unsure of"),
}
_OF_ANSWERS = {"agreement"}  # context of the judge's answers, not of what they are used for


class ReliabilityGate(DocLinkMixin, ClassifierMixin, TransformerMixin, BaseEstimator):
    r"""Learn from pairs with a known outcome where, and how far, a judge can be trusted.

    A row is a pair of items, oriented so that the judge prefers the first; its outcome is 1 where
    the judge was right. The evidence for the first item is modeled as

    .. math::

        \operatorname{logit} P(\text{first}) = \beta(context) \cdot prior
        + \gamma(context) \cdot gap + offset

    without an intercept: `prior` is what is known without the judge (differences of popularity and
    of the recommender's ranks), `gap` by how much the judge prefers the first item. So
    :math:`\gamma` measures what the judge adds to what is known already. Both vary linearly with
    context: :math:`\beta` with all of its columns, :math:`\gamma` with those that grouped
    cross-validation supports on top of that. The `offset` is known: it is what pairs show because
    of how they were drawn, as in case-control studies, and not part of what is predicted.

    As a transformer the gate gives the weight of each preference: the judge's own log-odds
    :math:`\gamma \cdot gap`, or 0 where the preference should not count. It counts if three numbers
    exceed a threshold: these log-odds; the total ones, so that nothing counts where all evidence
    together speaks against it; and the total ones less those of a model of the prior alone, so that
    a judge who says what popularity says already does not count.

    Parameters
    ----------
    gap_col : int, str or None, default=None
        Column of the gap: a position, or a name in a DataFrame. None: the column named `gap`, in a
        table without names the first one.
    prior_cols : sequence of int or str, or None, default=None
        Columns of the prior evidence; they change their sign when the pair is turned around.
        None: the columns whose names start with `prior`, in a table without names the second and
        third one, if there are such.
        All other columns are context, which is the same for a pair and its reverse.
    offset_col : int, str or None, default=None
        Column of the offset. None: the column named `offset`, if there is one.
    C : float or None, default=None
        Inverse strength of the L2 penalty on standardized columns. None: chosen from 0.001 to 100
        by cross-validation over groups; with more than 50,000 pairs, over a part of them.
    cv : int, default=5
        Number of folds of the cross-validation.
    min_pairs : int, default=50
        With fewer pairs than this, fewer groups than `cv`, or outcomes that are all alike, no model
        is fitted; see Notes.
    threshold : float, default=0.2
        Log-odds >= 0 that a preference must exceed to count. 0.2 is a probability of 0.55 to be
        right. Many preferences of a judge who is hardly better than chance would do more harm than
        good.
    support : float, default=2.0
        Trust varies with a context column if that gains more in cross-validated log-loss than this
        many of the gain's standard errors over groups, >= 0. Smaller values find weaker
        differences, and more that are not there.

    Attributes
    ----------
    classes_ : ndarray
        The outcomes, wrong and right.
    gap_coef_ : float
        :math:`\gamma` in an average context: log-odds per unit of gap.
    prior_coef_ : ndarray of shape (n_prior,)
        :math:`\beta` in an average context: log-odds per unit of prior evidence.
    prior_effects_ : ndarray of shape (n_prior, n_context)
        Change of :math:`\beta` per standard deviation of each context column.
    context_effects_ : dict of str to float
        For each context column, the change of :math:`\gamma` per standard deviation of it:
        positive where more of it raises trust in the judge, negative where it lowers trust, 0
        where the data did not support any difference.
    accuracy_ : float
        Share of pairs in which the judge was right.
    accuracies_ : dict
        Share of pairs in which the better item is told, cross-validated: `judge` by the judge's
        preference alone, `prior` without the judge, `selected` by all evidence. For all three pairs
        are weighted so that their outcomes are as without the offset, besides by `sample_weight`;
        so `judge` is not `accuracy_`. Empty after the fallback.
    log_loss_ : dict
        Cross-validated log-loss per pair: `prior` without the judge, `constant` with one
        :math:`\gamma`, `selected` with the context columns chosen. Empty after the fallback.
    cv_predictions_ : DataFrame of shape (n_pairs, 3)
        Of the pairs in `fit`: `probability` (float32) that the first item is the better one, as
        predicted by a gate fitted without the pair's group; `right` (bool), whether it was; `group`
        (int32). Empty after the fallback.
    C_ : float
        The penalty used.
    adds_ : bool
        Whether the judge lowers the cross-validated log-loss. If not, every preference weighs 0.
    is_fallback_ : bool
        Whether there was too little to learn from.
    n_features_in_ : int
        Number of columns.
    feature_names_in_ : ndarray of shape (`n_features_in_`,), object
        Their names; only if they are strings.

    Notes
    -----
    All columns are clipped to the range they had in `fit`: what was learned on short histories is
    not extrapolated to long ones.

    Trust that follows a context column may be an artifact: if the prior is worth more or less in
    some context, and may not vary with it, :math:`\gamma` takes the blame. Hence
    :math:`\beta(context)`, whose coefficients share the penalty of all others.

    Too few pairs, or a judge that was always right or always wrong, cannot be modeled. Then a
    warning is given, and :math:`\gamma` is made of the global accuracy, shrunk to no trust by 20
    pseudo-pairs of which half are wrong; prior evidence and context are not used. If the shrunk
    accuracy is not above one half, every weight is 0.

    See Also
    --------
    SelectiveLLMRegularizedMF : The recommender whose preferences are weighted by this gate.
    sklearn_selreg.inspection.GateDisplay : Draws where the judge is trusted, and the calibration.

    References
    ----------
    Yang & Shi, "S-LLMR", arXiv 2512.21526, learn their gate jointly with the recommender. Here it
    is calibrated on held-out interactions instead. The offset is that of Prentice & Pyke (1979),
    "Logistic disease incidence models and case-control studies", Biometrika 66, 403-411.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_selreg import ReliabilityGate
    >>> rng = np.random.default_rng(0)
    >>> gap = rng.uniform(0, 1, 500)
    >>> right = rng.uniform(size=500) < 1 / (1 + np.exp(-3 * gap))
    >>> gate = ReliabilityGate().fit(gap[:, np.newaxis], right)
    >>> bool(2 < gate.gap_coef_ < 4)
    True
    >>> gate.transform([[0.0], [0.5]]).shape
    (2, 1)
    """

    _parameter_constraints: dict = {  # noqa: RUF012 (scikit-learn's own protocol)
        "gap_col": [Integral, str, None],
        "prior_cols": ["array-like", None],
        "offset_col": [Integral, str, None],
        "C": [Interval(Real, 0, None, closed="neither"), None],
        "cv": [Interval(Integral, 2, None, closed="left")],
        "min_pairs": [Interval(Integral, 1, None, closed="left")],
        "threshold": [Interval(Real, 0, None, closed="left")],
        "support": [Interval(Real, 0, None, closed="left")],
    }

    def __init__(
        self,
        gap_col=None,
        prior_cols=None,
        offset_col=None,
        C=None,
        cv=5,
        min_pairs=50,
        threshold=0.2,
        support=2.0,
    ):
        self.gap_col = gap_col
        self.prior_cols = prior_cols
        self.offset_col = offset_col
        self.C = C
        self.cv = cv
        self.min_pairs = min_pairs
        self.threshold = threshold
        self.support = support

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, Z, y, groups=None, sample_weight=None):
        """Fit the gate on pairs with known outcome.

        Parameters
        ----------
        Z : array-like of shape (n_pairs, n_columns)
            Gap, prior evidence, offset and context, in the columns `gap_col`, `prior_cols`,
            `offset_col` and all others. A missing gap (NaN) is no preference, missing evidence or
            offset none, and missing context the average one.
        y : array-like of shape (n_pairs,)
            Two labels; the larger one (1 or True) where the first item was the better one.
        groups : array-like of shape (n_pairs,), default=None
            Pairs of one group (of one user) are not independent; cross-validation keeps them
            together. None: every pair is a group.
        sample_weight : array-like of shape (n_pairs,), default=None
            How much each pair counts relative to the others, >= 0, as by how usual it is where
            preferences are to be weighed. Pairs with 0 are left out. None: 1.

        Returns
        -------
        self : ReliabilityGate

        Raises
        ------
        ValueError
            For columns that do not exist, infinite values, more than two labels, or lengths that
            differ.

        Warns
        -----
        GateWarning
            When the fallback is used; see Notes.
        """
        Z, y = validate_data(
            self, _to_pandas(Z), y, dtype=np.float64, ensure_all_finite="allow-nan"
        )
        check_classification_targets(y)
        if type_of_target(y) == "multiclass":
            raise ValueError(
                "Only binary classification is supported. The type of the target is multiclass: "
                f"{len(np.unique(y))} outcomes of a pair were given, expected 2."
            )
        groups = np.arange(len(y)) if groups is None else np.asarray(groups)
        check_consistent_length(Z, groups)
        weights = _check_sample_weight(sample_weight, Z, dtype=np.float64, ensure_non_negative=True)
        there = weights > 0
        Z, y, weights = Z[there], y[there], weights[there]
        _, groups = np.unique(groups[there], return_inverse=True)
        self._find_columns()
        self.classes_ = np.unique(y)
        right = y == (self.classes_[-1] if len(self.classes_) == 2 else 1)
        gap, prior, context, offset = self._split(Z)
        self._n_pairs = len(gap)
        self.accuracy_ = float(np.mean(np.where(gap < 0, ~right, right)))
        self._largest = np.abs(np.column_stack([gap, prior])).max(axis=0)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "(Mean of empty|All-NaN|Degrees)", RuntimeWarning)
            self._context_range = np.nanmin(context, axis=0), np.nanmax(context, axis=0)
            self._context_mean = np.nan_to_num(np.nanmean(context, axis=0))
            deviation = np.nan_to_num(np.nanstd(context, axis=0))
        self._context_scale = np.where(deviation > 0, deviation, 1)
        self.is_fallback_ = (
            len(y) < self.min_pairs or groups.max() + 1 < self.cv or len(self.classes_) < 2
        )
        if self.is_fallback_:
            self._fit_fallback(gap, groups.max() + 1)
        else:
            weights = weights / weights.mean()
            known = KnownPairs(right, offset, weights, groups)
            self._fit_model(gap, prior, self._scaled(context), known)
        return self

    def _fit_fallback(self, gap, n_groups):
        n_pairs = len(gap)
        n_right = self.accuracy_ * n_pairs
        shrunk = (n_right + _PSEUDO_PAIRS / 2) / (n_pairs + _PSEUDO_PAIRS)
        warn(
            f"ReliabilityGate got {n_pairs} pairs, {n_right:.0f} of which the judge got right, of "
            f"{n_groups} users; it needs at least {self.min_pairs} pairs of at least {self.cv} "
            "users, right and wrong ones. Falling back to its global accuracy, shrunk to "
            f"{shrunk:.2f}. Give it more pairs, as by a larger max_slates or calibration_share of "
            "the recommender, or more recorded slates.",
            GateWarning,
        )
        mean_gap = np.abs(gap).mean()
        self.gap_coef_ = max(0.0, float(logit(shrunk) / mean_gap)) if mean_gap > 0 else 0.0
        self.prior_coef_ = np.zeros(len(self._prior_columns))
        self.prior_effects_ = np.zeros((len(self._prior_columns), len(self._context_columns)))
        self._prior_alone = self.prior_coef_, self.prior_effects_
        self._context_coef = np.zeros(len(self._context_columns))
        self.log_loss_, self.accuracies_, self.adds_ = {}, {}, True
        self.cv_predictions_ = cross_fitted_log_odds([], [], [])
        self.C_ = np.nan
        self._name_effects()

    def _fit_model(self, gap, prior, context, known):
        n_prior, n_context, offset = prior.shape[1], context.shape[1], known.offset
        varying = (prior[:, :, np.newaxis] * context[:, np.newaxis]).reshape(len(gap), -1)
        columns = np.column_stack([prior, varying, gap, gap[:, np.newaxis] * context])
        scale = np.sqrt(np.average(columns**2, axis=0, weights=known.weights))
        scale[scale == 0] = 1
        columns = columns / scale
        n_before = n_prior + varying.shape[1]
        # What to select is clear from part of the groups.
        groups = known.groups
        step = max(1, min(-(-len(gap) // _SELECT_BY), (groups.max() + 1) // self.cv))
        part = groups % step == 0
        some, some_columns = known[part], columns[part]

        def losses(selected, C):
            log_odds = held_out_log_odds(some_columns[:, selected], some, C, self.cv)
            return some.weights * np.logaddexp(0, np.where(some.right, -log_odds, log_odds))

        selected = list(range(n_before + 1))
        by_penalty = {C: losses(selected, C) for C in (PENALTIES if self.C is None else (self.C,))}
        self.C_ = min(by_penalty, key=lambda C: by_penalty[C].mean())
        loss = by_penalty[self.C_]
        without = losses(selected[:-1], self.C_)
        self.log_loss_ = {"prior": float(without.mean()), "constant": float(loss.mean())}
        left = [i for i in range(n_before + 1, columns.shape[1]) if columns[:, i].any()]
        while left:
            tried = {i: losses([*selected, i], self.C_) for i in left}
            best = min(left, key=lambda i: tried[i].mean())
            gain = np.bincount(some.groups // step, weights=loss - tried[best])
            if gain.sum() <= self.support * np.sqrt(len(gain)) * gain.std():
                break
            selected.append(best)
            left.remove(best)
            loss = tried[best]
        self.log_loss_["selected"] = float(loss.mean())
        self.adds_ = self.log_loss_["selected"] < self.log_loss_["prior"]
        log_odds = held_out_log_odds(columns[:, selected], known, self.C_, self.cv)
        self.cv_predictions_ = cross_fitted_log_odds(log_odds, known.right, groups)
        by_prior = held_out_log_odds(columns[:, :n_before], known, self.C_, self.cv)
        told = {"judge": gap, "prior": by_prior - offset, "selected": log_odds - offset}
        counting = known.weights_without_offset()
        self._is_weighted = bool(np.ptp(counting) > 0)
        self.accuracies_ = {by: share_right(told[by], known.right, counting) for by in told}
        coef = np.zeros(columns.shape[1])
        coef[selected] = fit_logistic(columns[:, selected], known, self.C_)
        coef /= scale
        alone = fit_logistic(columns[:, :n_before], known, self.C_) / scale[:n_before]
        (self.prior_coef_, self.prior_effects_), self._prior_alone = (
            (of[:n_prior], of[n_prior:n_before].reshape(n_prior, n_context)) for of in (coef, alone)
        )
        self.gap_coef_ = float(coef[n_before])
        self._context_coef = coef[n_before + 1 :]
        self._name_effects()

    def _scaled(self, context):
        """Return context in standard deviations from the average; what is missing is average."""
        return (np.nan_to_num(context, nan=self._context_mean) - self._context_mean) / (
            self._context_scale
        )

    def _name_effects(self):
        names = getattr(self, "feature_names_in_", None)
        labels = [f"x{i}" if names is None else str(names[i]) for i in self._context_columns]
        self.context_effects_ = dict(zip(labels, map(float, self._context_coef), strict=True))

    def _find_columns(self):
        names = list(getattr(self, "feature_names_in_", []))

        def position(column, parameter):
            if isinstance(column, str) and column not in names:
                raise ValueError(
                    f"{parameter} must be among the columns of Z, "
                    f"{names or 'which have no names'}; got {column!r}."
                )
            place = names.index(column) if isinstance(column, str) else column
            if not 0 <= place < self.n_features_in_:
                raise ValueError(
                    f"{parameter} must be among the {self.n_features_in_} columns of Z, at "
                    f"positions from 0; got {column!r}."
                )
            return place

        named = "gap" in names
        gap = self.gap_col if self.gap_col is not None else "gap" if named else 0
        prior = self.prior_cols
        if prior is None and named:
            prior = [name for name in names if name.startswith("prior")]
        elif prior is None:
            prior = [i for i in (1, 2) if i < self.n_features_in_ and i != gap]
        self._gap_column = position(gap, "gap_col")
        self._prior_columns = [position(column, "prior_cols") for column in prior]
        if self._gap_column in self._prior_columns:
            raise ValueError(
                f"gap_col must not be among prior_cols; got gap_col={gap!r}, prior_cols={prior!r}."
            )
        offset = self.offset_col
        if offset is None and "offset" in names:
            offset = "offset"
        self._offset_column = None if offset is None else position(offset, "offset_col")
        used = {self._gap_column, *self._prior_columns}
        if self._offset_column in used:
            raise ValueError(
                "offset_col must be neither gap_col nor among prior_cols; got "
                f"offset_col={offset!r}, gap_col={gap!r}, prior_cols={prior!r}."
            )
        used.add(self._offset_column)
        self._context_columns = [i for i in range(self.n_features_in_) if i not in used]

    def _split(self, Z):
        gap, prior = np.nan_to_num(Z[:, self._gap_column]), np.nan_to_num(Z[:, self._prior_columns])
        offset = np.zeros(len(Z))
        if self._offset_column is not None:
            offset = np.nan_to_num(Z[:, self._offset_column])
        return gap, prior, Z[:, self._context_columns], offset

    def _evaluate(self, Z):
        """Return trust in each pair's context, and log-odds: the judge's, all, what it adds."""
        check_is_fitted(self)
        Z = validate_data(
            self, _to_pandas(Z), dtype=np.float64, ensure_all_finite="allow-nan", reset=False
        )
        gap, prior, context, _ = self._split(Z)
        gap = np.clip(gap, -self._largest[0], self._largest[0])
        prior = np.clip(prior, -self._largest[1:], self._largest[1:])
        context = self._scaled(np.clip(context, *self._context_range))
        trust = self.gap_coef_ + context @ self._context_coef
        by_prior, alone = (
            np.sum(prior * (coef + context @ effects.T), axis=1)
            for coef, effects in ((self.prior_coef_, self.prior_effects_), self._prior_alone)
        )
        total = trust * gap + by_prior
        return trust, trust * gap, total, total - alone

    def trust(self, Z):
        r"""Return how far the judge is trusted in the context of each pair.

        Parameters
        ----------
        Z : array-like of shape (n_pairs, n_columns)
            Only the context makes a difference.

        Returns
        -------
        trust : ndarray of shape (n_pairs,), float64
            :math:`\gamma(context)`, log-odds per unit of gap; below 0 where the judge is rather
            wrong than right.
        """
        return self._evaluate(Z)[0]

    def decision_function(self, Z):
        """Return the total log-odds that the first item of each pair is the better one.

        They are those of pairs that come as they are: the offset is left out.

        Parameters
        ----------
        Z : array-like of shape (n_pairs, n_columns)
            With the columns that it had in `fit`.

        Returns
        -------
        log_odds : ndarray of shape (n_pairs,), float64
        """
        return self._evaluate(Z)[2]

    def predict_proba(self, Z):
        """Return the probability that the judge's preference is wrong, and that it is right.

        Parameters
        ----------
        Z : array-like of shape (n_pairs, n_columns)
            With the columns that it had in `fit`.

        Returns
        -------
        probabilities : ndarray of shape (n_pairs, 2), float64
            One column if `fit` saw a single outcome.
        """
        right = expit(self.decision_function(Z))
        if len(self.classes_) == 1:
            return np.ones((len(right), 1))
        return np.column_stack([1 - right, right])

    def predict(self, Z):
        """Return the more probable outcome of each pair.

        Parameters
        ----------
        Z : array-like of shape (n_pairs, n_columns)
            With the columns that it had in `fit`.

        Returns
        -------
        outcomes : ndarray of shape (n_pairs,)
            Of `classes_`.
        """
        check_is_fitted(self)
        return self.classes_[self.predict_proba(Z).argmax(axis=1)]

    def transform(self, Z):
        """Return the weight of each preference.

        Parameters
        ----------
        Z : array-like of shape (n_pairs, n_columns)
            With the columns that it had in `fit`.

        Returns
        -------
        weights : ndarray of shape (n_pairs, 1), float64
            The judge's log-odds; 0 where its preference should not count.
        """
        _, log_odds, total, added = self._evaluate(Z)
        counts = np.minimum(np.minimum(log_odds, total), added) > self.threshold
        return np.where(counts & self.adds_, log_odds, 0.0)[:, np.newaxis]

    def summary(self, Z=None, *, n_preferences=None):
        """Return in one sentence what the judge adds to what is known without it.

        Parameters
        ----------
        Z : array-like of shape (n_pairs, n_columns), default=None
            Preferences to be weighed, with the columns that they had in `fit`. None: it is not said
            how many are used, and where.
        n_preferences : int, default=None
            How many preferences `Z` is a sample of. None: there are no others.

        Returns
        -------
        sentence : str
            Of the calibration pairs, those of `fit`: the shares in `accuracies_`, and the log-loss
            with and without the judge. Of `Z`: the share that weighs more than 0, and the context
            column by whose lower and upper half weights differ most, if they clearly do.

        Examples
        --------
        >>> import numpy as np
        >>> from sklearn_selreg import ReliabilityGate
        >>> rng = np.random.default_rng(0)
        >>> gap = rng.uniform(0, 1, 500)[:, np.newaxis]
        >>> gate = ReliabilityGate().fit(gap, rng.uniform(size=500) < 0.5 + gap[:, 0] / 2)
        >>> print(gate.summary(gap))
        Of 500 calibration pairs the judge is right on 76 % (log-loss 0.457 instead of 0.693), and
        it is used for 94 % of 500 preferences.
        """
        check_is_fitted(self)
        found = [f"Of {self._n_pairs:,} calibration pair{'s' * (self._n_pairs != 1)}"]
        if self.is_fallback_:
            found.append(", too few or too similar to learn from,")
        elif self._is_weighted:
            found.append(", weighted for how they were drawn,")
        right = _percent(self.accuracies_.get("judge", self.accuracy_))
        found.append(f" the judge is right on {right}")
        if not self.is_fallback_:
            if self._prior_columns:
                shares = (_percent(self.accuracies_[by]) for by in ("prior", "selected"))
                found.append(", {} on {}, all together on {}".format(self._prior_name(), *shares))
            without, loss = self.log_loss_["prior"], self.log_loss_["selected"]
            found.append(f" (log-loss {loss:.3f} instead of {without:.3f}")
            found.append(")" if loss < without else ", no gain)")
        if Z is not None:
            Z = _to_pandas(Z)
            weights = np.asarray(self.transform(Z))[:, 0]
            n = len(weights) if n_preferences is None else n_preferences
            used = _percent(np.mean(weights > 0)) if weights.any() else "none"
            found.append(f", and it is used for {used} of {n:,} preference{'s' * (n != 1)}")
            found.append(self._where_weights_are_larger(np.asarray(Z, dtype=np.float64), weights))
        return "".join(found) + "."

    def _note(self):
        return self.summary() if hasattr(self, "accuracies_") else ""

    def _prior_name(self):
        names = getattr(self, "feature_names_in_", None)
        if names is None or not set(names[self._prior_columns]) <= set(_PRIORS):
            return "the prior evidence"
        return " and ".join(_PRIORS[name] for name in names[self._prior_columns])

    def _where_weights_are_larger(self, Z, weights):
        """Say by which half of a context column weights differ most; nothing if by none."""
        found = []
        for name, column in zip(self.context_effects_, self._context_columns, strict=True):
            lower, upper = split_in_halves(Z[:, column])
            if name not in _OF_ANSWERS and lower.any() and upper.any():
                means = weights[lower].mean(), weights[upper].mean()
                found.append((abs(means[1] - means[0]), name, means))
        _, name, means = max(found, default=(0, "", (0, 0)))
        small, large = sorted(means)
        if large == 0 or large < _NOTABLE * small:
            return ""
        place = _WHERE.get(name, (f"a low {name}", f"a high {name}"))[int(means[1] > means[0])]
        return f", most for {place} (mean weight {large:.2f}, else {small:.2f})"

    def get_feature_names_out(self, input_features=None):
        """Return the name of the column that `transform` gives.

        Parameters
        ----------
        input_features : array-like of str or None, default=None
            Ignored.

        Returns
        -------
        names : ndarray of shape (1,), object
        """
        check_is_fitted(self)
        return np.array(["weight"], dtype=object)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = False
        tags.input_tags.allow_nan = True
        return tags


def _to_pandas(Z):
    """Turn frames of other libraries, whose names not every scikit-learn reads, into pandas."""
    frame = nw.from_native(Z, eager_only=True, pass_through=True)
    if isinstance(Z, pd.DataFrame) or not isinstance(frame, nw.DataFrame):
        return Z
    return pd.DataFrame({name: frame[name].to_numpy() for name in frame.columns})


def _percent(share):
    """Write a share; what is not all or nothing is not rounded to it."""
    if 0 < share < 0.005 or 0.995 < share < 1:
        return "less than 1 %" if share < 0.5 else "more than 99 %"
    return f"{share:.0%}".replace("%", " %")
