"""Sampling design of calibration slates: corrections needed to generalize to other slates.

A calibration slate is a case-control sample: its known positives and its other candidates may come
from different distributions. If the others are a model's favorites, the model seems wrong; if they
are popular, popularity seems to be negative evidence. In a logistic model this bias is a known
offset (Prentice & Pyke 1979, "Logistic disease incidence models and case-control studies"; for
recommenders, the correction of sampled softmax in Yi et al. 2019). Calibration slates may also
differ from the slates that regularize, so pairs are weighted by their relative frequency there
(Shimodaira 2000, "Improving predictive inference under covariate shift").
"""

import warnings
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, SplineTransformer

RANK_PAD = 3.0
"""Added to ranks before taking the logarithm, since the first few positions are about equal."""

_PER_SLATE = 20  # catalog items, and known positives, drawn for comparison with each slate
_MOST_ROWS = 20_000  # maximum size of each sample in a density ratio estimate
_KNOTS = 6  # spline knots in log rank and in log popularity
_LEAST_EFFECTIVE = 0.25  # minimum effective sample size, as a fraction of the pairs


@dataclass(frozen=True, eq=False)
class Standing:
    """Model ranks and popularity of items.

    Attributes
    ----------
    ranks : ndarray of int
        Model rank of each item among those new to its slate's user; 1 is the best.
    popularity : ndarray of int, of the same shape
        Number of interactions of each item.
    """

    ranks: np.ndarray
    popularity: np.ndarray

    def __getitem__(self, which):
        """Select by an index, slice or mask."""
        return Standing(self.ranks[which], self.popularity[which])


class Design(NamedTuple):
    """Sampling design of the candidates of calibration slates, relative to supervision slates.

    Attributes
    ----------
    offset : ndarray of shape (n_slates, slate_size), float64
        Log ratio of a candidate's sampling rates as a known positive and as another item.
    commonness : ndarray of shape (n_slates, slate_size), float64
        Log ratio of a candidate's densities in supervision and in calibration slates.
    """

    offset: np.ndarray
    commonness: np.ndarray

    @classmethod
    def of_one_recipe(cls, shape):
        """Design of slates whose candidates all come from the same distribution."""
        return cls(np.zeros(shape), np.zeros(shape))


def recorded_design(slates, matrix, supervision, rank):
    """Rank the candidates of recorded calibration slates, and estimate their sampling design.

    Known positives are compared with a sample of all positives of the user that were not shown to
    the judge, the other candidates with a uniform sample of the items new to the user.

    Parameters
    ----------
    slates : Slates
        Calibration slates.
    matrix : csr_matrix of shape (n_users, n_items)
        Interactions.
    supervision : Standing of shape (n,)
        Ranks and popularity of the candidates of supervision slates.
    rank : callable
        Function of items, (n_slates, n), and slates that returns a `Standing`.

    Returns
    -------
    candidates : Standing of shape (n_slates, slate_size)
    design : Design
    """
    catalog, positives = _draw_comparison(slates, matrix)
    first = slates.items.shape[1]
    second = first + catalog.shape[1]
    found = rank(np.hstack([slates.items, catalog, positives]), slates)
    candidates = found[:, :first]
    design = estimate_design(
        candidates,
        slates.relevance,
        found[:, first:second][catalog >= 0],
        found[:, second:][positives >= 0],
        supervision,
    )
    return candidates, design


def _draw_comparison(slates, matrix):
    """Draw up to 20 new items and 20 positives not shown for each slate, padded with -1."""
    random = np.random.default_rng(0)
    catalog = np.full((len(slates), _PER_SLATE), -1, dtype=np.intp)
    positives = catalog.copy()
    for row, user in enumerate(slates.users):
        known = matrix.indices[matrix.indptr[user] : matrix.indptr[user + 1]]
        drawn = random.integers(matrix.shape[1], size=_PER_SLATE)
        drawn = drawn[~np.isin(drawn, known)]
        shown = slates.shown.indices[slates.shown.indptr[row] : slates.shown.indptr[row + 1]]
        later = random.permutation(np.setdiff1d(known, shown))[:_PER_SLATE]
        catalog[row, : len(drawn)] = drawn
        positives[row, : len(later)] = later
    return catalog, positives


def estimate_design(candidates, relevance, catalog, positives, supervision):
    """Estimate the sampling design of slates from the ranks and popularity of their candidates.

    Parameters
    ----------
    candidates : Standing of shape (n_slates, slate_size)
        Candidates of calibration slates.
    relevance : ndarray of shape (n_slates, slate_size)
        `Slates.relevance`.
    catalog, positives, supervision : Standing of shape (n,)
        Random items, known positives, and candidates of supervision slates.

    Returns
    -------
    design : Design
    """
    others = _log_density(candidates[relevance == 0], catalog, candidates)
    hidden = _log_density(candidates[relevance == 1], positives, candidates)
    commonness = np.zeros_like(others)
    if len(supervision.ranks):
        # A pair has one candidate of each kind.
        commonness = _log_density(supervision, catalog, candidates) - (others + hidden) / 2
    return Design(hidden - others, commonness)


def _log_density(sample, reference, at):
    """Log density ratio of two samples, estimated by logistic regression."""
    if not len(sample.ranks) or not len(reference.ranks):
        return np.zeros(at.ranks.shape)
    both = [_thinned(part) for part in (sample, reference)]
    model = make_pipeline(
        SplineTransformer(_KNOTS, degree=1, extrapolation="constant", include_bias=False),
        PolynomialFeatures(2, interaction_only=True, include_bias=False),
        LogisticRegression(solver="newton-cholesky", max_iter=200),
    )
    sizes = [len(part.ranks) for part in both]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # with few rows; need not be exact
        model.fit(np.vstack([_columns(part) for part in both]), np.repeat([1, 0], sizes))
    log_odds = model.decision_function(_columns(at)).reshape(at.ranks.shape)
    return log_odds - np.log(sizes[0] / sizes[1])


def _thinned(sample):
    return sample[:: 1 + len(sample.ranks) // _MOST_ROWS]


def _columns(standing):
    return np.column_stack(
        [log_rank(standing.ranks.ravel()), np.log1p(standing.popularity.ravel())]
    )


def log_rank(ranks):
    """Logarithm of padded ranks, float64."""
    return np.log(ranks + RANK_PAD)


def pair_weights(log_weights):
    r"""Return importance weights of pairs, tempered to a minimum effective sample size.

    The log-weights are multiplied by the largest factor up to 1 with which the effective sample
    size :math:`(\sum w)^2 / \sum w^2` (Kish 1965) is at least a quarter of the number of pairs.
    Otherwise a few heavy pairs would dominate.

    Parameters
    ----------
    log_weights : ndarray of shape (n_pairs,)

    Returns
    -------
    weights : ndarray of shape (n_pairs,), float64
        Normalized to mean 1.
    """
    for share in np.linspace(1, 0, 21):
        weights = np.exp(share * (log_weights - log_weights.max()))
        if weights.sum() ** 2 >= _LEAST_EFFECTIVE * len(weights) * np.sum(weights**2):
            break
    return weights / weights.mean()
