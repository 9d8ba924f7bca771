"""The gate as an estimator of scikit-learn."""

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
    r"""Learn from pairs with a known outcome where, and how far, a judge can be trusted.

    A row is a pair of items, ordered so that the judge prefers the first; its outcome is 1 where
    the judge was right. The evidence for the first item is modeled as

    .. math::

        \operatorname{logit} P(\text{first}) = \beta(context) \cdot prior
        + \gamma(context) \cdot gap + offset

    without an intercept: `prior` is what is known without the judge (differences of popularity and
    of the recommender's ranks), `gap` is how much the judge prefers the first item, and
    :math:`\gamma` measures what the judge adds to what is known already. Both vary linearly with
    context: :math:`\beta` with all of its columns, :math:`\gamma` with those that grouped
    cross-validation supports on top of that. The `offset` is known: it is due to how the pairs
    were drawn, as in case-control studies, and is not part of what is predicted.

    As a transformer the gate gives the weight of each preference: the judge's own log-odds
    :math:`\gamma \cdot gap`, or 0 where the preference should not count. It counts if three numbers
    exceed a threshold: these log-odds; the total ones, so that nothing counts against all evidence
    together; and the total ones minus those of a model of only the prior, so that a judge who
    repeats what popularity says already does not count.

    Parameters
    ----------
    gap_col : int, str or None, default=None
        Column of the gap: a position, or a name in a DataFrame. None: the column named `gap`, in a
        table without names the first one.
    prior_cols : sequence of int or str, or None, default=None
        Columns of the prior evidence; their sign changes when the pair is reversed. None: the
        columns whose names start with `prior`; in a table without names the second and third one,
        if they exist. All other columns are context, which is the same for a pair and its reverse.
    offset_col : int, str or None, default=None
        Column of the offset. None: the column named `offset`, if there is one.
    C : float or None, default=None
        Inverse strength of the L2 penalty on standardized columns. None: chosen from 0.001 to 100
        by cross-validation over groups; with more than 50,000 pairs, over a part of them.
    cv : int, default=5
        Number of cross-validation folds.
    min_pairs : int, default=50
        With fewer pairs, fewer groups than `cv`, or only one outcome, no model is fitted; see
        Notes.
    threshold : float, default=0.2
        Preferences with log-odds up to this threshold, >= 0, get weight 0. 0.2 is a probability of
        0.55 to be right. Many preferences of a judge who is hardly better than chance would do more
        harm than good.
    support : float, default=2.0
        Trust varies with a context column if that improves the cross-validated log-loss by more
        than this many standard errors over groups, >= 0. Smaller values find weaker differences,
        and more spurious ones.

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
        For each context column, the change of :math:`\gamma` per standard deviation: positive
        where larger values raise trust in the judge, negative where they lower it, 0 where the data
        did not support a difference.
    accuracy_ : float
        Fraction of pairs in which the judge was right.
    accuracies_ : dict
        Fraction of pairs whose better item is predicted, cross-validated: `judge` by only the
        judge's preference, `prior` without the judge, `selected` by all evidence. In all three,
        pairs are weighted by `sample_weight` and so that outcomes are as frequent as without the
        offset; hence `judge` differs from `accuracy_`. Empty after the fallback.
    log_loss_ : dict
        Cross-validated log-loss per pair: `prior` without the judge, `constant` with one
        :math:`\gamma`, `selected` with the context columns chosen. Empty after the fallback.
    cv_predictions_ : DataFrame of shape (n_pairs, 3), made at each access
        For the pairs in `fit`: `probability` (float32) that the first item is the better one,
        predicted by a gate fitted without the pair's group; `right` (bool), whether it was; `group`
        (int32). Empty after the fallback.
    C_ : float
        The penalty used.
    adds_ : bool
        Whether the judge lowers the cross-validated log-loss. If not, all weights are 0.
    is_fallback_ : bool
        Whether there were too few pairs to learn from.
    n_features_in_ : int
        Number of columns.
    feature_names_in_ : ndarray of shape (`n_features_in_`,), object
        Their names; only if they are strings.

    Notes
    -----
    All columns are clipped to their range in `fit`: what was learned on short histories is not
    extrapolated to long ones.

    Trust that follows a context column may be an artifact: if the value of the prior depends on
    context but :math:`\beta` could not, :math:`\gamma` would absorb the difference. Hence
    :math:`\beta(context)`, whose coefficients share the penalty of all others.

    Too few pairs, or a judge that was always right or always wrong, cannot be modeled. Then a
    warning is given, and :math:`\gamma` follows from the global accuracy, shrunk by 20 pseudo-pairs
    of which half are wrong; prior evidence and context are not used. If the shrunk accuracy is not
    above one half, all weights are 0.

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
            Two labels; the larger one (1 or True) where the first item was the better one.
        groups : array-like of shape (n_pairs,), default=None
            Pairs of one group (of one user) are not independent; cross-validation keeps them
            together. None: every pair is a group.
        sample_weight : array-like of shape (n_pairs,), default=None
            How much each pair counts relative to the others, >= 0, e.g. by how common such pairs
            are among the preferences to be weighted. Pairs with 0 are ignored. None: 1.

        Returns
        -------
        self : ReliabilityGate

        Raises
        ------
        ValueError
            For columns that do not exist, infinite values, more than two labels, or different
            lengths.

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
            f"ReliabilityGate got {n_pairs} pairs, {self.accuracy_ * n_pairs:.0f} of which the "
            f"judge got right, of {n_groups} users; it needs at least {self.min_pairs} pairs of at "
            f"least {self.cv} users, right and wrong ones. Falling back to its global accuracy, "
            f"shrunk to {shrink_accuracy(self.accuracy_, n_pairs):.2f}. Give it more pairs, e.g. "
            "by a larger max_slates or calibration_fraction of a SlateSampler, or more recorded "
            "slates.",
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
        """What gates fitted without a pair's group predict of it; see above."""
        if not hasattr(self, "_model"):
            raise AttributeError("The gate is not fitted, so it has no cv_predictions_.")
        return pd.DataFrame(self._model.cv_predictions)

    def _evaluate(self, Z):
        """Return trust in each pair's context, and log-odds: the judge's, all, what it adds."""
        check_is_fitted(self)
        Z = validate_data(
            self, _to_pandas(Z), dtype=np.float64, ensure_all_finite="allow-nan", reset=False
        )
        gap, prior, context = self._range.clip(*self._columns.split(Z)[:3])
        return self._model.log_odds(gap, prior, self._range.standardize(context))

    def trust(self, Z: Any) -> np.ndarray:
        r"""Return how far the judge is trusted in the context of each pair.

        Parameters
        ----------
        Z : array-like of shape (n_pairs, n_columns)
            Only the context matters.

        Returns
        -------
        trust : ndarray of shape (n_pairs,), float64
            :math:`\gamma(context)`, log-odds per unit of gap; below 0 where the judge is more
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
            One column if `fit` saw only one outcome.
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
            Of `classes_`.
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
        """Summarize in one sentence what the judge adds to what is known without it.

        Parameters
        ----------
        Z : array-like of shape (n_pairs, n_columns), default=None
            Preferences to be weighted, with the columns of `fit`. None: the sentence does not say
            how many are used, and where.
        n_preferences : int, default=None
            How many preferences `Z` is a sample of. None: `Z` is all of them.

        Returns
        -------
        sentence : str
            On the calibration pairs, those of `fit`: `accuracies_`, and the log-loss with and
            without the judge. On `Z`: the fraction with a weight above 0, and the context column
            whose lower and upper half differ most in weight, if they clearly do.

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
    """Convert frames of other libraries to pandas: not every scikit-learn reads their names."""
    frame = nw.from_native(Z, eager_only=True, pass_through=True)
    if isinstance(Z, pd.DataFrame) or not isinstance(frame, nw.DataFrame):
        return Z
    return pd.DataFrame({name: frame[name].to_numpy() for name in frame.columns})
