"""Scorers of list metrics, which do not depend on relevance."""

from ._scorers import RankingScorer, make_ranking_scorer


def novelty_at_k_scorer(k: int = 10, *, regime: str | None = None) -> RankingScorer:
    """Make a scorer of novelty@k in bits; see :func:`ndcg_at_k_scorer`.

    Parameters
    ----------
    k : int, default=10
        Cutoff, >= 1.
    regime : {"cold", "warm", "tail", "new"} or None, default=None
        As in :func:`ndcg_at_k_scorer`.

    Returns
    -------
    scorer : callable
        `scorer(estimator, X, y=None)` -> float >= 0.

    Raises
    ------
    ValueError, TypeError
        If `k` or `regime` is invalid.

    Examples
    --------
    >>> from sklearn_selreg.metrics import novelty_at_k_scorer
    >>> novelty_at_k_scorer(5)
    RankingScorer(metric='novelty', k=5, regime='overall')
    """
    return make_ranking_scorer("novelty", k, regime)


def diversity_at_k_scorer(k: int = 10, *, regime: str | None = None) -> RankingScorer:
    """Make a scorer of diversity@k within lists, from item features; see :func:`ndcg_at_k_scorer`.

    Parameters
    ----------
    k : int, default=10
        Cutoff, >= 1.
    regime : {"cold", "warm", "tail", "new"} or None, default=None
        As in :func:`ndcg_at_k_scorer`.

    Returns
    -------
    scorer : callable
        `scorer(estimator, X, y=None)` -> float in [0, 2].

    Raises
    ------
    ValueError, TypeError
        If `k` or `regime` is invalid.

    Examples
    --------
    >>> from sklearn_selreg.metrics import diversity_at_k_scorer
    >>> diversity_at_k_scorer(5)
    RankingScorer(metric='diversity', k=5, regime='overall')
    """
    return make_ranking_scorer("diversity", k, regime)


def coverage_at_k_scorer(k: int = 10, *, regime: str | None = None) -> RankingScorer:
    """Make a scorer of catalog coverage@k; see :func:`ndcg_at_k_scorer`.

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
    >>> from sklearn_selreg.metrics import coverage_at_k_scorer
    >>> coverage_at_k_scorer(5)
    RankingScorer(metric='coverage', k=5, regime='overall')
    """
    return make_ranking_scorer("coverage", k, regime)


def neg_gini_at_k_scorer(k: int = 10, *, regime: str | None = None) -> RankingScorer:
    """Make a scorer of the negated Gini@k; see :func:`ndcg_at_k_scorer`.

    Parameters
    ----------
    k : int, default=10
        Cutoff, >= 1.
    regime : {"cold", "warm", "tail", "new"} or None, default=None
        As in :func:`ndcg_at_k_scorer`.

    Returns
    -------
    scorer : callable
        `scorer(estimator, X, y=None)` -> float in [-1, 0].

    Raises
    ------
    ValueError, TypeError
        If `k` or `regime` is invalid.

    Examples
    --------
    >>> from sklearn_selreg.metrics import neg_gini_at_k_scorer
    >>> neg_gini_at_k_scorer(5)
    RankingScorer(metric='Gini', k=5, regime='overall')
    """
    return make_ranking_scorer("Gini", k, regime)


def neg_popularity_lift_at_k_scorer(k: int = 10, *, regime: str | None = None) -> RankingScorer:
    """Make a scorer of the negated popularity lift@k; see :func:`ndcg_at_k_scorer`.

    Parameters
    ----------
    k : int, default=10
        Cutoff, >= 1.
    regime : {"cold", "warm", "tail", "new"} or None, default=None
        As in :func:`ndcg_at_k_scorer`.

    Returns
    -------
    scorer : callable
        `scorer(estimator, X, y=None)` -> float <= 1.

    Raises
    ------
    ValueError, TypeError
        If `k` or `regime` is invalid.

    Examples
    --------
    >>> from sklearn_selreg.metrics import neg_popularity_lift_at_k_scorer
    >>> neg_popularity_lift_at_k_scorer(5)
    RankingScorer(metric='popularity lift', k=5, regime='overall')
    """
    return make_ranking_scorer("popularity lift", k, regime)
