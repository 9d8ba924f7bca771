"""Metrics as scorers, for searches."""

from dataclasses import dataclass

import numpy as np

from .._utils._params import check_integer
from .._utils._warn import warn
from ._report import MEANINGS, REGIMES, evaluate

# Scorers


@dataclass(frozen=True)
class RankingScorer:
    """A metric of `ranking_report` as a scorer; made by `ndcg_at_k_scorer` and its like.

    Attributes
    ----------
    metric : {"NDCG", "recall", "AUC"}
    k : int
    regime : str
        A row of the report.
    """

    metric: str
    k: int
    regime: str

    def __call__(self, estimator, X, y=None):
        """Score a fitted estimator on held-out interactions.

        Parameters
        ----------
        estimator : estimator or Pipeline
            Fitted; a :class:`~sklearn_selreg.SelectiveLLMRegularizedMF` at the end.
        X : table of shape (n_rows, n_columns)
            Held-out interactions.
        y : array-like of shape (n_rows,), default=None
            Strengths; rows with 0 are not relevant. None: all are.

        Returns
        -------
        score : float
            In [0, 1]; NaN if nothing of `X` is in the regime.

        Warns
        -----
        DataWarning
            If the score is NaN, or most users or items are unknown, as in :func:`ranking_report`.
        """
        report, _ = evaluate(estimator, X, y=y, k=self.k)  # searches score training rows, too
        score = float(report.loc[self.regime, self.metric + f"@{self.k}" * (self.metric != "AUC")])
        if np.isnan(score):
            warn(
                f"{self.metric} is NaN, as nothing held out is in the regime {self.regime!r}. "
                + MEANINGS.get(self.regime, "")
                + " Hold out others, as by the splitters of sklearn_selreg.model_selection, or "
                "take regime=None."
            )
        return score


def ndcg_at_k_scorer(k=10, *, regime=None):
    """Make a scorer of NDCG@k, for `scoring` in cross-validation and searches.

    The fitted model tells which interactions it was fitted on; the whole catalog `items_` without
    those is ranked, as in :func:`ranking_report`.

    Parameters
    ----------
    k : int, default=10
        Cutoff, >= 1.
    regime : {"cold", "warm", "tail", "new"} or None, default=None
        Only users with fewer than 3 training interactions, or with at least 3; only interactions
        with items of at most 3, or of no, training users. None: all.

    Returns
    -------
    scorer : callable
        `scorer(estimator, X, y=None)` -> float in [0, 1], larger is better. NaN, with a warning, if
        nothing of `X` is in the regime. It sees through Pipelines and fitted searches; it can be
        pickled.

    Raises
    ------
    ValueError, TypeError
        For a `k` or a regime other than these.

    Examples
    --------
    >>> from sklearn.model_selection import cross_validate
    >>> from sklearn_selreg import SelectiveLLMRegularizedMF
    >>> from sklearn_selreg.datasets import load_movielens_coldstart
    >>> from sklearn_selreg.metrics import auc_scorer, ndcg_at_k_scorer
    >>> from sklearn_selreg.model_selection import LeaveLastOut
    >>> likes = load_movielens_coldstart().train
    >>> scores = cross_validate(
    ...     SelectiveLLMRegularizedMF(factors=8, iterations=2, random_state=0),
    ...     likes[["user", "item"]],
    ...     cv=LeaveLastOut(),
    ...     scoring={"NDCG": ndcg_at_k_scorer(10), "tail": auc_scorer(regime="tail")},
    ... )
    >>> scores["test_NDCG"].shape
    (1,)
    """
    return _make_scorer("NDCG", k, regime)


def recall_at_k_scorer(k=10, *, regime=None):
    """Make a scorer of recall@k; see :func:`ndcg_at_k_scorer`.

    Parameters
    ----------
    k : int, default=10
        Cutoff, >= 1.
    regime : {"cold", "warm", "tail", "new"} or None, default=None
        Whom and what to look at. None: all.

    Returns
    -------
    scorer : callable
        `scorer(estimator, X, y=None)` -> float in [0, 1].

    Raises
    ------
    ValueError, TypeError
        For a `k` or a regime other than these.

    Examples
    --------
    >>> from sklearn_selreg.metrics import recall_at_k_scorer
    >>> recall_at_k_scorer(20, regime="cold")
    RankingScorer(metric='recall', k=20, regime='cold')
    """
    return _make_scorer("recall", k, regime)


def auc_scorer(*, regime=None):
    """Make a scorer of AUC: the share of other items below a held-out one.

    See :func:`ndcg_at_k_scorer`.

    Parameters
    ----------
    regime : {"cold", "warm", "tail", "new"} or None, default=None
        Whom and what to look at. None: all.

    Returns
    -------
    scorer : callable
        `scorer(estimator, X, y=None)` -> float in [0, 1].

    Raises
    ------
    ValueError
        For a regime other than these.

    Examples
    --------
    >>> from sklearn_selreg.metrics import auc_scorer
    >>> auc_scorer(regime="new").regime
    'new'
    """
    return _make_scorer("AUC", 10, regime)


def _make_scorer(metric, k, regime):
    check_integer("k", k, 1)
    if regime is not None and regime not in REGIMES[1:]:
        raise ValueError(f"regime must be one of {REGIMES[1:]} or None; got {regime!r}.")
    return RankingScorer(metric, int(k), regime or "overall")
