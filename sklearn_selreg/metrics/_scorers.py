"""Metrics as scorers, for `scoring` in cross-validation and searches."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .._utils._params import check_integer
from .._utils._warn import warn
from ._metrics import METRICS, column_name
from ._regimes import MEANINGS, REGIMES
from ._report import make_report
from ._task import read_task

_NO_LIST = "all lists are empty."
REASONS = {
    **dict.fromkeys(METRICS, _NO_LIST),
    "AUC": "no user has an irrelevant item to compare with.",
    "diversity": "items have no features (set item_data), or no list has two items.",
    "popularity lift": "no user has training interactions.",
}


@dataclass(frozen=True)
class RankingScorer:
    """A metric of `ranking_report` as a scorer, created e.g. by `ndcg_at_k_scorer`.

    Attributes
    ----------
    metric : str
        As in `ranking_report`.
    k : int
    regime : str
        A row of the report.
    """

    metric: str
    k: int
    regime: str

    def __call__(self, estimator: Any, X: Any, y: ArrayLike | None = None) -> float:
        """Score a fitted estimator on held-out interactions.

        Parameters
        ----------
        estimator : estimator or Pipeline
            Fitted, ending in a :class:`~sklearn_selreg.SelectiveLLMRegularizedMF`.
        X : table of shape (n_rows, n_columns)
            Held-out interactions.
        y : array-like of shape (n_rows,), default=None
            Strengths; rows with 0 are not relevant. If None, all rows are relevant.

        Returns
        -------
        score : float
            Larger is better: metrics for which smaller is better are negated. NaN if no row of `X`
            is in the regime.

        Warns
        -----
        DataWarning
            If the score is NaN, or most users or items are unknown, as in :func:`ranking_report`.
        """
        task, score, _ = read_task(estimator, X, y=y)  # no warning: searches also score train rows
        report = make_report(task, score, self.k, metrics=(self.metric,))
        result = float(report.loc[self.regime, column_name(self.metric, self.k)])
        if np.isnan(result) and report.loc[self.regime, "interactions"]:
            warn(f"{self.metric} is NaN: {REASONS[self.metric]}")
        elif np.isnan(result):
            meaning = MEANINGS.get(self.regime)
            warn(
                f"{self.metric} is NaN: no held-out interaction is in the regime {self.regime!r}. "
                + ("" if meaning is None else f"{meaning} ")
                + "Hold out other interactions, e.g. with the splitters of "
                "sklearn_selreg.model_selection, or set regime=None."
            )
        return METRICS[self.metric].sign * result


def ndcg_at_k_scorer(k: int = 10, *, regime: str | None = None) -> RankingScorer:
    """Make a scorer of NDCG@k, for `scoring` in cross-validation and searches.

    The whole catalog `items_` is ranked, except for items that the model was fitted on for the
    user, as in :func:`ranking_report`.

    Parameters
    ----------
    k : int, default=10
        Cutoff, >= 1.
    regime : {"cold", "warm", "tail", "new"} or None, default=None
        Restrict to cold or warm users, who have fewer than 3 or at least 3 training interactions,
        or to interactions with tail or new items, which have at most 3 or no training users. If
        None, use all interactions.

    Returns
    -------
    scorer : callable
        `scorer(estimator, X, y=None)` -> float in [0, 1]; larger is better. NaN, with a warning, if
        no row of `X` is in the regime. It accepts Pipelines and fitted searches, and can be
        pickled.

    Raises
    ------
    ValueError, TypeError
        If `k` or `regime` is invalid.

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
    return make_ranking_scorer("NDCG", k, regime)


def recall_at_k_scorer(k: int = 10, *, regime: str | None = None) -> RankingScorer:
    """Make a scorer of recall@k; see :func:`ndcg_at_k_scorer`.

    Parameters
    ----------
    k : int, default=10
        Cutoff, >= 1.
    regime : {"cold", "warm", "tail", "new"} or None, default=None
        As in :func:`ndcg_at_k_scorer`.

    Returns
    -------
    scorer : callable
        `scorer(estimator, X, y=None)` -> float in [0, 1].

    Raises
    ------
    ValueError, TypeError
        If `k` or `regime` is invalid.

    Examples
    --------
    >>> from sklearn_selreg.metrics import recall_at_k_scorer
    >>> recall_at_k_scorer(20, regime="cold")
    RankingScorer(metric='recall', k=20, regime='cold')
    """
    return make_ranking_scorer("recall", k, regime)


def auc_scorer(*, regime: str | None = None) -> RankingScorer:
    """Make a scorer of AUC: the fraction of negatives that score below a held-out item.

    See :func:`ndcg_at_k_scorer`.

    Parameters
    ----------
    regime : {"cold", "warm", "tail", "new"} or None, default=None
        As in :func:`ndcg_at_k_scorer`.

    Returns
    -------
    scorer : callable
        `scorer(estimator, X, y=None)` -> float in [0, 1].

    Raises
    ------
    ValueError
        If `regime` is invalid.

    Examples
    --------
    >>> from sklearn_selreg.metrics import auc_scorer
    >>> auc_scorer(regime="new").regime
    'new'
    """
    return make_ranking_scorer("AUC", 10, regime)


def precision_at_k_scorer(k: int = 10, *, regime: str | None = None) -> RankingScorer:
    """Make a scorer of precision@k; see :func:`ndcg_at_k_scorer`.

    Parameters
    ----------
    k : int, default=10
        Cutoff, >= 1.
    regime : {"cold", "warm", "tail", "new"} or None, default=None
        As in :func:`ndcg_at_k_scorer`.

    Returns
    -------
    scorer : callable
        `scorer(estimator, X, y=None)` -> float in [0, 1].

    Raises
    ------
    ValueError, TypeError
        If `k` or `regime` is invalid.

    Examples
    --------
    >>> from sklearn_selreg.metrics import precision_at_k_scorer
    >>> precision_at_k_scorer(5)
    RankingScorer(metric='precision', k=5, regime='overall')
    """
    return make_ranking_scorer("precision", k, regime)


def hit_rate_at_k_scorer(k: int = 10, *, regime: str | None = None) -> RankingScorer:
    """Make a scorer of hit rate@k; see :func:`ndcg_at_k_scorer`.

    Parameters
    ----------
    k : int, default=10
        Cutoff, >= 1.
    regime : {"cold", "warm", "tail", "new"} or None, default=None
        As in :func:`ndcg_at_k_scorer`.

    Returns
    -------
    scorer : callable
        `scorer(estimator, X, y=None)` -> float in [0, 1].

    Raises
    ------
    ValueError, TypeError
        If `k` or `regime` is invalid.

    Examples
    --------
    >>> from sklearn_selreg.metrics import hit_rate_at_k_scorer
    >>> hit_rate_at_k_scorer(5)
    RankingScorer(metric='hit rate', k=5, regime='overall')
    """
    return make_ranking_scorer("hit rate", k, regime)


def map_at_k_scorer(k: int = 10, *, regime: str | None = None) -> RankingScorer:
    """Make a scorer of MAP@k; see :func:`ndcg_at_k_scorer`.

    Parameters
    ----------
    k : int, default=10
        Cutoff, >= 1.
    regime : {"cold", "warm", "tail", "new"} or None, default=None
        As in :func:`ndcg_at_k_scorer`.

    Returns
    -------
    scorer : callable
        `scorer(estimator, X, y=None)` -> float in [0, 1].

    Raises
    ------
    ValueError, TypeError
        If `k` or `regime` is invalid.

    Examples
    --------
    >>> from sklearn_selreg.metrics import map_at_k_scorer
    >>> map_at_k_scorer(5)
    RankingScorer(metric='MAP', k=5, regime='overall')
    """
    return make_ranking_scorer("MAP", k, regime)


def mrr_at_k_scorer(k: int = 10, *, regime: str | None = None) -> RankingScorer:
    """Make a scorer of MRR@k; see :func:`ndcg_at_k_scorer`.

    Parameters
    ----------
    k : int, default=10
        Cutoff, >= 1.
    regime : {"cold", "warm", "tail", "new"} or None, default=None
        As in :func:`ndcg_at_k_scorer`.

    Returns
    -------
    scorer : callable
        `scorer(estimator, X, y=None)` -> float in [0, 1].

    Raises
    ------
    ValueError, TypeError
        If `k` or `regime` is invalid.

    Examples
    --------
    >>> from sklearn_selreg.metrics import mrr_at_k_scorer
    >>> mrr_at_k_scorer(5)
    RankingScorer(metric='MRR', k=5, regime='overall')
    """
    return make_ranking_scorer("MRR", k, regime)


def make_ranking_scorer(metric, k, regime):
    """Make a scorer of a metric after checking the arguments; `regime` None means "overall"."""
    check_integer("k", k, 1)
    if regime is not None and regime not in REGIMES[1:]:
        raise ValueError(f"regime must be one of {REGIMES[1:]} or None; got {regime!r}.")
    return RankingScorer(metric, int(k), regime or "overall")
