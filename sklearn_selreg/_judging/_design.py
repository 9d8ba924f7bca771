"""How calibration slates were drawn: what must be known to learn from them about other slates.

Knows ranks and popularity of drawn items; nothing of models or judges.

A calibration slate is a case-control sample: its known positives and its other candidates need not
be drawn alike. Where the others are a model's favorites, its favorites seem to be wrong; where they
are popular, popularity seems to speak against an item. In a logistic model this is an offset that
is known (Prentice & Pyke 1979, "Logistic disease incidence models and case-control studies"; for
recommenders it is the correction of sampled softmax, Yi et al. 2019). And calibration slates need
not be like the slates that regularize, so pairs are weighted by how usual they are there
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
"""Added to ranks before their logarithm is taken: the first few places are about alike."""

_PER_SLATE = 20  # items drawn from the catalog, and known positives, that a slate is compared with
_MOST_ROWS = 20_000  # of each of two samples whose densities are compared
_KNOTS = 6  # of log rank, and of log popularity
_LEAST_EFFECTIVE = 0.25  # of the pairs, as many as weights leave at least in effect


@dataclass(frozen=True, eq=False)
class Standing:
    """Where items stand.

    Attributes
    ----------
    ranks : ndarray of int
        Of the items among those new to their slate's user, by the model; 1 is the best.
    popularity : ndarray of int, of the same shape
        Their numbers of interactions.
    """

    ranks: np.ndarray
    popularity: np.ndarray

    def __getitem__(self, which):
        """Return those that an index, slice or mask picks."""
        return Standing(self.ranks[which], self.popularity[which])


class Design(NamedTuple):
    """How the candidates of calibration slates were drawn, relative to other slates.

    Attributes
    ----------
    offset : ndarray of shape (n_slates, slate_size), float64
        Log of how likely a candidate is drawn as a known positive rather than as another item.
    commonness : ndarray of shape (n_slates, slate_size), float64
        Log of how usual a candidate is in supervision slates rather than in these.
    """

    offset: np.ndarray
    commonness: np.ndarray

    @classmethod
    def of_one_recipe(cls, shape):
        """Return the design of slates whose candidates were all drawn alike."""
        return cls(np.zeros(shape), np.zeros(shape))


def recorded_design(slates, matrix, supervision, rank):
    """Rank the candidates of recorded calibration slates, and estimate how they were drawn.

    The other candidates are compared with items drawn at random from all that are new to the user,
    and the hidden ones with all that the judge was not shown of what the user has.

    Parameters
    ----------
    slates : Slates
        Those that calibrate.
    matrix : csr_matrix of shape (n_users, n_items)
        The interactions.
    supervision : Standing of shape (n,)
        Of the candidates of supervision slates.
    rank : callable
        Items of the slates, (n_slates, n), and the slates to a `Standing`.

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
    """Return 20 new items of each slate's user, and the known ones not shown; -1 for none."""
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
    """Estimate how slates were drawn, from where their candidates stand.

    Parameters
    ----------
    candidates : Standing of shape (n_slates, slate_size)
        Of calibration slates.
    relevance : ndarray of shape (n_slates, slate_size)
        As of `Slates`.
    catalog, positives, supervision : Standing of shape (n,)
        Of items drawn at random, of known positives, and of candidates of supervision slates.

    Returns
    -------
    design : Design
    """
    others = _log_density(candidates[relevance == 0], catalog, candidates)
    hidden = _log_density(candidates[relevance == 1], positives, candidates)
    commonness = np.zeros_like(others)
    if len(supervision.ranks):
        # Of a pair one is drawn as the one kind, and one as the other.
        commonness = _log_density(supervision, catalog, candidates) - (others + hidden) / 2
    return Design(hidden - others, commonness)


def _log_density(sample, reference, at):
    """Return the log of the density of one sample relative to another, by logistic regression."""
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
        warnings.simplefilter("ignore", ConvergenceWarning)  # of few rows: it need not be exact
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
    """Return the log of padded ranks, float64."""
    return np.log(ranks + RANK_PAD)


def pair_weights(log_weights):
    r"""Return weights of pairs, tempered until a quarter of the pairs is left in effect.

    Few heavy pairs would say little about many. So of the logarithms of the weights the largest
    multiple up to 1 is taken with which :math:`(\sum w)^2 / \sum w^2`, the effective number of
    pairs (Kish 1965), is at least a quarter of theirs.

    Parameters
    ----------
    log_weights : ndarray of shape (n_pairs,)

    Returns
    -------
    weights : ndarray of shape (n_pairs,), float64
        1 on average.
    """
    for share in np.linspace(1, 0, 21):
        weights = np.exp(share * (log_weights - log_weights.max()))
        if weights.sum() ** 2 >= _LEAST_EFFECTIVE * len(weights) * np.sum(weights**2):
            break
    return weights / weights.mean()
