"""Refinement of factors from another library, which reads and modifies only judged rows.

Time and memory do not depend on the number of users; the items are read once, for a Gram matrix.
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

_SAMPLE = 100_000  # maximum number of rows to estimate the spread of factors
_GRAM_CHUNK = 2**16


def shown_standing(items, slates, backbone, located, item_factors):
    """Rank items for users represented only by the history shown to the judge.

    The given factors of these users were fitted on the hidden interactions. The users are therefore
    solved for again by least squares with fixed items, from the history shown to the judge. The
    item factors still contain information on the hidden interactions.

    Parameters
    ----------
    items : ndarray of shape (n_slates, n), intp
        Items of each slate as positions among the located ones, padded with -1.
    slates : Slates
        Calibration slates, as positions among the located users and items.
    backbone : ALSBackbone
        Backbone with the settings the factors were fitted with.
    located : Located
    item_factors : ndarray of shape (n_items, k), float32
        Factors of all items.

    Returns
    -------
    standing : Standing of shape (n_slates, n)
        As from `cross_fitted_standing`, but among the located items; popularity excludes the user's
        own interactions.
    """
    few = item_factors[located.columns]
    # Items without located interactions matter only by their Gram matrix, so k rows replace them.
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
    """Refine given factors in place by a judge's preferences.

    Parameters
    ----------
    model : FittedModel
        Model with given factors.
    answers : Answers
    located : Located
        Interactions that the factors were fitted on.
    settings : TrainingSettings
        `n_refine` is the number of sweeps.

    Returns
    -------
    trained : Trained
    """
    if model.given.is_shared:
        model = _with_own_arrays(model)
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
    # Whatever was computed on demand from the factors is outdated.
    model = replace(model, given=given, user_table=replace(model.user_table), item_cache={})
    return Trained(model, supervision, supervision.stats, losses, n_sweeps)


def _with_own_arrays(model):
    """Copy the factors of a model that shares them with a copy of it."""
    users, items = model.user_factors.copy(), model.item_factors.copy()
    given = model.given.of_copies([(model.user_factors, users), (model.item_factors, items)])
    table = replace(model.user_table.whole, factors=users)
    return replace(model, user_table=table, item_factors=items, given=given, item_cache={})


def _supervise(model, answers, located, settings):
    """Return the supervision, as positions among all users and items, and its weights."""
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
    """Refine the judged rows by preferences, anchored at the given factors.

    Returns
    -------
    moved : list of tuples (array, rows, values)
        Rows of the factors to replace, and their new values; the factors are not modified.
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
    """Return the standard deviation of scores, the unit of margins for given factors."""
    users, items = _typical(user_factors, item_factors, located)
    return score_spread(users, items, np.ones(len(items), dtype=bool))


def _typical(user_factors, item_factors, located):
    """Sample factors of users and items with interactions, to estimate the spread of scores."""
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
