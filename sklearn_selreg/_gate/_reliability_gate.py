"""The gate as a scikit-learn estimator."""

from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.special import expit
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import check_consistent_length, check_is_fitted, validate_data

from .._utils._display import Sentence
from .._utils._public import public
from .._utils._sklearn import (
    INTEGER,
    DisplayMixin,
    Interval,
    _check_sample_weight,
    _fit_context,
)
from .._utils._warn import warn
from ..exceptions import GateWarning
from ._columns import find_columns
from ._logistic import KnownPairs
from ._summary import describe_calibration, describe_largest_weights, describe_use
from ._training_range import TrainingRange
from ._trust_model import learn_trust, shrink_accuracy, trust_accuracy


@public
class ReliabilityGate(DisplayMixin, ClassifierMixin, TransformerMixin, BaseEstimator):
    r"""Learn from pairs with known outcomes where, and how far, a judge can be trusted.

    A row is a pair of items, ordered so that the judge prefers the first; its outcome is 1 if the
    judge was right. The evidence for the first item is modeled as

    .. math::

        \operatorname{logit} P(\text{first}) = \beta(context) \cdot prior
        + \gamma(context) \cdot gap + offset

    without an intercept: `prior` is the evidence without the judge (differences of popularity and
    of the recommender's ranks), `gap` is how strongly the judge prefers the first item, and
    :math:`\gamma` measures what the judge adds to the prior evidence. Both coefficients vary
    linearly with context: :math:`\beta` with all context columns, :math:`\gamma` only with those
    that grouped cross-validation supports in addition. The `offset` is known: as in case-control
    studies, it results from the sampling of the pairs, and is not part of the predictions.

    As a transformer, the gate returns the weight of each preference: the judge's own log-odds
    :math:`\gamma \cdot gap`, or 0 if the preference should not count. It counts if three numbers
    exceed a threshold: these log-odds; the total log-odds, so that no preference counts against
    the combined evidence; and the total log-odds minus those of a model of only the prior, so that
    a judge that merely repeats popularity does not count.

    Parameters
    ----------
    gap_col : int, str or None, default=None
        Column of the gap: a position, or a name in a DataFrame. If None, the column named `gap`, or
        the first column of a table without names.
    prior_cols : sequence of int or str, or None, default=None
        Columns of the prior evidence, whose sign changes if the pair is reversed. If None, the
        columns whose names start with `prior`, or the second and third column (if they exist) of a
        table without names. All other columns are context, which is the same for a pair and its
        reverse.
    offset_col : int, str or None, default=None
        Column of the offset. If None, the column named `offset`, if it exists.
    C : float or None, default=None
        Inverse strength of the L2 penalty on standardized columns. If None, selected from 0.001 to
        100 by cross-validation over groups; with more than 50,000 pairs, over a subset of them.
    cv : int, default=5
        Number of cross-validation folds.
    min_pairs : int, default=50
        With fewer pairs, fewer groups than `cv`, or only one outcome, no model is fitted; see
        Notes.
    threshold : float, default=0.2
        Preferences with log-odds up to this threshold, >= 0, get weight 0. Log-odds of 0.2
        correspond to a probability of 0.55 of being right. Many preferences of a judge hardly
        better than chance would do more harm than good.
    support : float, default=2.0
        Trust varies with a context column if this improves the cross-validated log-loss by more
        than this many standard errors over groups, >= 0. Smaller values find weaker differences,
        but also more spurious ones.

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
        For each context column, the change of :math:`\gamma` per standard deviation: positive if
        larger values raise trust in the judge, negative if they lower it, 0 if the data do not
        support a difference.
    accuracy_ : float
        Fraction of pairs in which the judge was right.
    accuracies_ : dict
        Cross-validated fraction of pairs whose better item is predicted: `judge` by the judge's
        preference only, `prior` without the judge, `selected` by all evidence. Pairs are weighted
        by `sample_weight`, and to correct for the offset; hence `judge` differs from `accuracy_`.
        Empty after the fallback.
    log_loss_ : dict
        Cross-validated log-loss per pair: `prior` without the judge, `constant` with a constant
        :math:`\gamma`, `selected` with the selected context columns. Empty after the fallback.
    cv_predictions_ : DataFrame of shape (n_pairs, 3), built at each access
        For the pairs in `fit`: `probability` (float32) that the first item is the better one,
        predicted by a gate fitted without the pair's group; `right` (bool), whether it was; `group`
        (int32). Empty after the fallback.
    C_ : float
        The penalty used.
    adds_ : bool
        Whether the judge lowers the cross-validated log-loss. If not, all weights are 0.
    is_fallback_ : bool
        Whether the pairs were too few or too similar to learn from.
    n_features_in_ : int
        Number of columns.
    feature_names_in_ : ndarray of shape (`n_features_in_`,), object
        Column names, if all are strings.

    Notes
    -----
    All columns are clipped to their range in `fit`, so that results for short histories are not
    extrapolated to long ones.

    If the value of the prior depended on context but :math:`\beta` did not, :math:`\gamma` would
    absorb the difference, and trust would spuriously vary with context. Hence
    :math:`\beta(context)`, whose coefficients share the penalty of all others.

    Too few pairs, or a judge that was always right or always wrong, cannot be modeled. As a
    fallback, with a warning, :math:`\gamma` is derived from the global accuracy, shrunk by 20
    pseudo-pairs of which half are wrong; prior evidence and context are not used. If the shrunk
    accuracy does not exceed one half, all weights are 0.

    See Also
    --------
    SelectiveLLMRegularizedMF : The recommender whose preferences are weighted by this gate.
    sklearn_selreg.inspection.GateDisplay : Plots where the judge is trusted, and the calibration.

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
        "gap_col": [INTEGER, str, None],
        "prior_cols": ["array-like", None],
        "offset_col": [INTEGER, str, None],
        "C": [Interval(Real, 0, None, closed="neither"), None],
        "cv": [Interval(Integral, 2, None, closed="left")],
        "min_pairs": [Interval(Integral, 1, None, closed="left")],
        "threshold": [Interval(Real, 0, None, closed="left")],
        "support": [Interval(Real, 0, None, closed="left")],
    }

    def __init__(
        self,
        gap_col: int | str | None = None,
        prior_cols: Sequence[int | str] | None = None,
        offset_col: int | str | None = None,
        C: float | None = None,
        cv: int = 5,
        min_pairs: int = 50,
        threshold: float = 0.2,
        support: float = 2.0,
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
    def fit(
        self,
        Z: Any,
        y: Any,
        groups: Any = None,
        sample_weight: Any = None,
    ) -> "ReliabilityGate":
        """Fit the gate on pairs with known outcome.

        Parameters
        ----------
        Z : array-like of shape (n_pairs, n_columns)
            Gap, prior evidence, offset and context, in the columns `gap_col`, `prior_cols`,
            `offset_col` and all others. NaN in the gap means "no preference"; NaN in prior evidence
            or offset counts as 0, NaN in context as the training mean.
        y : array-like of shape (n_pairs,)
            Binary labels; the larger one (1 or True) if the first item is the better one.
        groups : array-like of shape (n_pairs,), default=None
            Groups of dependent pairs, e.g. the user of each pair. Cross-validation does not split
            groups. If None, every pair is a group.
        sample_weight : array-like of shape (n_pairs,), default=None
            Relative weight of each pair, >= 0, e.g. the frequency of such pairs among the
            preferences to be weighted. Pairs with weight 0 are ignored. If None, 1.

        Returns
        -------
        self : ReliabilityGate

        Raises
        ------
        ValueError
            For missing columns, infinite values, more than two labels, or inconsistent lengths.

        Warns
        -----
        GateWarning
            If the fallback is used; see Notes.
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
        counts = weights > 0
        Z, y, weights = Z[counts], y[counts], weights[counts]
        _, groups = np.unique(groups[counts], return_inverse=True)
        names = list(getattr(self, "feature_names_in_", []))
        self._columns = find_columns(
            names, self.n_features_in_, self.gap_col, self.prior_cols, self.offset_col
        )
        self.classes_ = np.unique(y)
        right = y == (self.classes_[-1] if len(self.classes_) == 2 else 1)
        gap, prior, context, offset = self._columns.split(Z)
        self._n_pairs = len(gap)
        self._range = TrainingRange.of(gap, prior, context)
        self.accuracy_ = float(np.mean(np.where(gap < 0, ~right, right)))
        n_groups = groups.max() + 1
        self.is_fallback_ = len(y) < self.min_pairs or n_groups < self.cv or len(self.classes_) < 2
        if self.is_fallback_:
            self._warn_of_fallback(n_groups)
            self._remember(trust_accuracy(self.accuracy_, gap, prior.shape[1], context.shape[1]))
            return self
        known = KnownPairs(right, offset, weights / weights.mean(), groups)
        context = self._range.standardize(context)
        settings = {"C": self.C, "n_folds": self.cv, "support": self.support}
        self._remember(learn_trust(gap, prior, context, known, **settings))
        return self

    def _warn_of_fallback(self, n_groups):
        n_pairs = self._n_pairs
        warn(
            f"ReliabilityGate got {n_pairs} pairs of {n_groups} users, "
            f"{self.accuracy_ * n_pairs:.0f} of which the judge got right; it requires at least "
            f"{self.min_pairs} pairs of at least {self.cv} users, both right and wrong ones. "
            "Falling back to the judge's global accuracy, shrunk to "
            f"{shrink_accuracy(self.accuracy_, n_pairs):.2f}. Provide more pairs, e.g. by a larger "
            "max_slates or calibration_fraction of SlateSampler, or by more recorded slates.",
            GateWarning,
        )

    def _remember(self, model):
        """Set the fitted attributes from a `TrustModel`."""
        self._model = model
        self.gap_coef_, self.prior_coef_ = model.gap, model.prior
        self.prior_effects_ = model.prior_effects
        names = getattr(self, "feature_names_in_", None)
        labels = [f"x{i}" if names is None else str(names[i]) for i in self._columns.context]
        self.context_effects_ = dict(zip(labels, map(float, model.gap_effects), strict=True))
        self.log_loss_, self.accuracies_ = model.log_loss, model.accuracies
        self.C_, self.adds_ = model.C, model.adds

    @property
    def cv_predictions_(self) -> pd.DataFrame:
        """Out-of-group predictions for the calibration pairs; see the class docstring."""
        if not hasattr(self, "_model"):
            raise AttributeError("The gate is not fitted, so it has no cv_predictions_.")
        return pd.DataFrame(self._model.cv_predictions)

    def _evaluate(self, Z):
        """Return trust in each pair's context, and log-odds: the judge's, total, and added."""
        check_is_fitted(self)
        Z = validate_data(
            self, _to_pandas(Z), dtype=np.float64, ensure_all_finite="allow-nan", reset=False
        )
        gap, prior, context = self._range.clip(*self._columns.split(Z)[:3])
        return self._model.log_odds(gap, prior, self._range.standardize(context))

    def trust(self, Z: Any) -> np.ndarray:
        r"""Return the trust in the judge in the context of each pair.

        Parameters
        ----------
        Z : array-like of shape (n_pairs, n_columns)
            Only the context matters.

        Returns
        -------
        trust : ndarray of shape (n_pairs,), float64
            :math:`\gamma(context)`, log-odds per unit of gap; negative where the judge is more
            often wrong than right.
        """
        return self._evaluate(Z)[0]

    def decision_function(self, Z: Any) -> np.ndarray:
        """Return the total log-odds that the first item of each pair is the better one.

        The offset is not included.

        Parameters
        ----------
        Z : array-like of shape (n_pairs, n_columns)
            With the columns of `fit`.

        Returns
        -------
        log_odds : ndarray of shape (n_pairs,), float64
        """
        return self._evaluate(Z)[2]

    def predict_proba(self, Z: Any) -> np.ndarray:
        """Return the probabilities that the judge's preference is wrong and that it is right.

        Parameters
        ----------
        Z : array-like of shape (n_pairs, n_columns)
            With the columns of `fit`.

        Returns
        -------
        probabilities : ndarray of shape (n_pairs, 2), float64
            A single column if `fit` saw only one outcome.
        """
        right = expit(self.decision_function(Z))
        if len(self.classes_) == 1:
            return np.ones((len(right), 1))
        return np.column_stack([1 - right, right])

    def predict(self, Z: Any) -> np.ndarray:
        """Return the more probable outcome of each pair.

        Parameters
        ----------
        Z : array-like of shape (n_pairs, n_columns)
            With the columns of `fit`.

        Returns
        -------
        outcomes : ndarray of shape (n_pairs,)
            Elements of `classes_`.
        """
        check_is_fitted(self)
        return self.classes_[self.predict_proba(Z).argmax(axis=1)]

    def transform(self, Z: Any) -> np.ndarray:
        """Return the weight of each preference.

        Parameters
        ----------
        Z : array-like of shape (n_pairs, n_columns)
            With the columns of `fit`.

        Returns
        -------
        weights : ndarray of shape (n_pairs, 1), float64
            The judge's log-odds; 0 where its preference should not count.
        """
        _, log_odds, total, added = self._evaluate(Z)
        counts = np.minimum(np.minimum(log_odds, total), added) > self.threshold
        return np.where(counts & self.adds_, log_odds, 0.0)[:, np.newaxis]

    def summary(self, Z: Any = None, *, n_preferences: int | None = None) -> str:
        """Summarize in one sentence what the judge adds to the prior evidence.

        Parameters
        ----------
        Z : array-like of shape (n_pairs, n_columns), default=None
            Preferences to be weighted, with the columns of `fit`. If None, the sentence does not
            mention how many are used, and where.
        n_preferences : int, default=None
            Number of preferences of which `Z` is a sample. If None, `Z` contains all of them.

        Returns
        -------
        sentence : str
            On the calibration pairs (those of `fit`): `accuracies_`, and the log-loss with and
            without the judge. On `Z`: the fraction with positive weight, and the context column
            whose lower and upper half differ most in weight, if the difference is clear.

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
        names = getattr(self, "feature_names_in_", np.arange(self.n_features_in_).astype(str))
        text = describe_calibration(
            self._n_pairs, names[self._columns.prior], self.accuracy_, self._model
        )
        if Z is not None:
            Z = _to_pandas(Z)
            weights = np.asarray(self.transform(Z))[:, 0]
            text += describe_use(weights, len(weights) if n_preferences is None else n_preferences)
            columns = np.asarray(Z, dtype=np.float64)[:, self._columns.context].T
            context = dict(zip(self.context_effects_, columns, strict=True))
            text += describe_largest_weights(weights, context)
        return Sentence(f"{text}.")

    def _note(self):
        return self.summary() if hasattr(self, "accuracies_") else ""

    def get_feature_names_out(self, input_features: ArrayLike | None = None) -> np.ndarray:
        """Return the name of the column that `transform` returns.

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
    """Convert other DataFrames to pandas: older scikit-learn versions ignore their names."""
    frame = nw.from_native(Z, eager_only=True, pass_through=True)
    if isinstance(Z, pd.DataFrame) or not isinstance(frame, nw.DataFrame):
        return Z
    return pd.DataFrame({name: frame[name].to_numpy() for name in frame.columns})
