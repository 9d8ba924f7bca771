"""Refining factors made elsewhere: judged rows alone are read and moved.

Knows factors, slates and interactions; nothing here takes time or memory in proportion to the
number of users, and of the items one pass makes a Gram matrix.
"""

from dataclasses import replace

import numpy as np
import scipy.sparse as sp

from .._data._csr import count_interactions
from .._factorization._anchoring import item_pull, score_metrics, score_spread, user_pull
from .._factorization._factors import Factors
from .._factorization._proximal import ProximalProblem
from .._factorization._sampled_backbones import PROXIMAL_UNIT
from .._judging._design import Standing
from .._judging._slates import contains
from .._judging._standing import rank_items
from .._judging._supervision import stats_without_opinion, supervise
from .._serving._given import GivenFactors, Replaced
from ._fitting import Trained
from ._located import with_interactions
from ._sweeps import SweepWatch

_SAMPLE = 100_000  # rows by which the spread of factors is measured, at most
_GRAM_CHUNK = 2**16


def shown_standing(items, slates, backbone, located, item_factors):
    """Rank items for users of whom only the history is known that the judge was shown.

    The given factors of these users have seen the hidden interactions. So the users are solved for
    anew by least squares, from what the judge was shown, items fixed. The items' factors have still
    seen the hidden interactions.

    Parameters
    ----------
    items : ndarray of shape (n_slates, n), intp
        Of each slate, among the located items; -1 for none.
    slates : Slates
        Those that calibrate, among the located users and items.
    backbone : ALSBackbone
        With the settings that the factors were made with.
    located : Located
    item_factors : ndarray of shape (n_items, k), float32
        Of all items.

    Returns
    -------
    standing : Standing of shape (n_slates, n)
        As from `cross_fitted_standing`, among the located items; the user's own interactions are
        not counted.
    """
    few = item_factors[located.columns]
    # The items that are in no interaction matter by their Gram matrix alone: as k rows.
    gram = _gram(item_factors) - _gram(few)
    eigenvalues, vectors = np.linalg.eigh(gram)
    rest = (np.sqrt(np.maximum(eigenvalues, 0)) * vectors).T.astype(np.float32)
    shown = sp.hstack([slates.shown, sp.csr_matrix((len(slates), len(rest)))], format="csr")
    confidence = backbone.confidence(shown.astype(np.float32))
    users = backbone.fold_in(confidence, np.concatenate([few, rest]), None)
    matrix = located.interactions.matrix
    rows = np.broadcast_to(slates.users[:, np.newaxis], items.shape)
    popularity = count_interactions(matrix)[items] - contains(matrix, rows, items)
    return Standing(rank_items(items, users, few, slates.shown), popularity)


def train_given(model, answers, located, settings):
    """Let a judge's preferences act on given factors; they are changed in place.

    Parameters
    ----------
    model : FittedModel
        With given factors.
    answers : Answers
    located : Located
        The interactions that the factors were made of.
    settings : TrainingSettings
        `n_refine` is the number of sweeps.

    Returns
    -------
    trained : Trained
    """
    with model.given.as_given():
        model = with_interactions(model, located)
        if answers.judged is None:
            return Trained(model, None, stats_without_opinion(answers), [], 0)
        supervision, weights = _supervise(model, answers, located, settings)
        if not weights.any() or settings.llm_weight == 0:
            return Trained(model, supervision, supervision.stats, [], 0)
        unit = score_unit(model.user_factors, model.item_factors, located)
        factors = Factors(model.user_factors, model.item_factors, None, unit)
        preferences, _ = settings.make_losses(
            supervision,
            weights,
            factors,
            factors,
            None,
            seen=model.matrix,
            weight=settings.llm_weight * PROXIMAL_UNIT,
            margin=settings.margin,
            num_threads=model.backbone.num_threads,
            listed=located.columns,
        )
        losses, n_sweeps = [], settings.n_refine
        with SweepWatch("sweeps", n_sweeps, settings, model.weighted.data, losses=losses) as watch:
            moved = _sweep(model, located, preferences, n_sweeps, watch)
        given = GivenFactors(Replaced.all_by(moved))
    model = replace(model, given=given)
    return Trained(model, supervision, supervision.stats, losses, n_sweeps)


def _supervise(model, answers, located, settings):
    """Return the supervision, in rows and columns of all, and its weights."""
    interactions, matrix = located.interactions, located.interactions.matrix

    def rank(slates):
        users = model.user_factors[located.rows[slates.users]]
        items = model.item_factors[located.columns]
        ranks = rank_items(slates.items, users, items, matrix[slates.users])
        return Standing(ranks, count_interactions(matrix)[slates.items])

    def cross_fit(items, slates):
        return shown_standing(items, slates, model.backbone, located, model.item_factors)

    supervision, weights = supervise(
        answers, interactions, settings.judge, settings.gate, rank, cross_fit
    )
    return replace(supervision, slates=located.place(supervision.slates)), weights


def _sweep(model, located, preferences, n_sweeps, watch):
    """Let preferences act on the rows that are judged, kept near their factors.

    Returns
    -------
    moved : list of tuples (array, rows, values)
        What has moved, and to where; the factors are not changed.
    """
    slates = preferences.slates
    users, user = np.unique(slates.users, return_inverse=True)
    items, item = np.unique(slates.items, return_inverse=True)
    lengths = np.diff(located.interactions.matrix.indptr)
    popularity = count_interactions(located.interactions.matrix)
    user_lengths = lengths[np.searchsorted(located.rows, users)]
    at = np.minimum(np.searchsorted(located.columns, items), len(located.columns) - 1)
    item_popularity = np.where(located.columns[at] == items, popularity[at], 0)
    metrics = score_metrics(*_typical(model.user_factors, model.item_factors, located))
    problem = ProximalProblem(
        model.user_factors[users],
        model.item_factors[items],
        user_weights=user_pull(user_lengths),
        item_weights=item_pull(item_popularity, alone=True),
        user_metric=metrics[0],
        item_metric=metrics[1],
        slates=replace(slates, users=user, items=item.reshape(slates.items.shape)),
        llm_weight=preferences.weight,
        num_threads=model.backbone.num_threads,
    )
    for _ in range(n_sweeps):
        problem.sweep()
        watch(None, problem)
    return [
        (model.user_factors, users, problem.user_factors),
        (model.item_factors, items, problem.item_factors),
    ]


def score_unit(user_factors, item_factors, located):
    """Return the standard deviation of scores, which is the unit of margins of given factors."""
    users, items = _typical(user_factors, item_factors, located)
    return score_spread(users, items, np.ones(len(items), dtype=bool))


def _typical(user_factors, item_factors, located):
    """Return the factors of some users and items with interactions: what scores are like."""
    matrix = located.interactions.matrix
    rows = located.rows[np.diff(matrix.indptr) > 0]
    columns = located.columns[count_interactions(matrix) > 0]
    return user_factors[_sample(rows)], item_factors[_sample(columns)]


def _gram(factors):
    gram = np.zeros((factors.shape[1],) * 2)
    for start in range(0, len(factors), _GRAM_CHUNK):
        part = factors[start : start + _GRAM_CHUNK]
        gram += part.T @ part
    return gram


def _sample(factors):
    return factors[:: 1 + len(factors) // _SAMPLE]
