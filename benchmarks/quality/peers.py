"""Other recommenders with a common interface: `fit(data, seed, **settings)` -> scores of users."""

import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import scipy.sparse as sp
from implicit.als import AlternatingLeastSquares
from implicit.bpr import BayesianPersonalizedRanking
from implicit.lmf import LogisticMatrixFactorization
from implicit.nearest_neighbours import BM25Recommender, CosineRecommender, TFIDFRecommender

sys.path.insert(0, str(Path(__file__).parents[1]))  # shared by all benchmarks

from internals import PopularityOverTime, index_interactions, popularity_bias

_PERIODS = 8  # our fixed value
NEIGHBORS = {"cosine": CosineRecommender, "tfidf": TFIDFRecommender, "bm25": BM25Recommender}


class Table(NamedTuple):
    """Training interactions as a matrix, and the user ids of its rows."""

    users: np.ndarray
    matrix: sp.csr_matrix


def table(data):
    """Return the training interactions, (n_users, n_items) float32; columns as in `item_data`."""
    users, items = np.unique(data.train["user"]), data.item_data["item"].to_numpy()
    rows = np.searchsorted(users, data.train["user"])
    columns = np.searchsorted(items, data.train["item"])
    entries = np.ones(len(rows), dtype=np.float32), (rows, columns)
    return Table(users, sp.csr_matrix(entries, (len(users), len(items))))


def popularity(data, seed):
    """Score items by their popularity."""
    count = table(data).matrix.getnnz(axis=0).astype(np.float32)
    return lambda users: np.tile(count, (len(users), 1))


def trend_bias(data):
    """Return our time-dependent popularity bias, with an `item_bias` of 1.

    Returns
    -------
    users : ndarray of shape (n_users,)
        Sorted ids.
    gains : ndarray of shape (n_users, n_items), float32
        Bias in the period of each user's latest interaction; columns as in `item_data`.
    """
    if "trend_bias" not in data:
        interactions = index_interactions(
            data.train, user_col="user", item_col="item", time_col="time",
            extra_items=data.item_data["item"].to_numpy(),
        )  # fmt: skip
        trend = PopularityOverTime.of(interactions, _PERIODS)
        described = data.features[np.searchsorted(data.item_data["item"], interactions.items)]
        bias = popularity_bias(trend.counts_by_period(), described).astype(np.float32)
        place = np.searchsorted(interactions.items, data.item_data["item"])
        data["trend_bias"] = interactions.users, trend.user_weights() @ bias[place].T
    return data["trend_bias"]


def popularity_of_the_time(data, seed):
    """Score items by their popularity in the period of the user's latest interaction."""
    users, gains = trend_bias(data)
    return _scorer(users, lambda rows: gains[rows])


def _scorer(users, score_rows):
    return lambda ids: np.asarray(score_rows(np.searchsorted(users, ids)), dtype=np.float32)


def item_knn(data, seed, *, similarity, K):
    """Score items by their similarity to the user's items."""
    users, matrix = table(data)
    model = NEIGHBORS[similarity](K=K, num_threads=1)
    model.fit(matrix, show_progress=False)
    similarities = sp.csr_matrix(model.similarity)
    return _scorer(users, lambda rows: (matrix[rows] @ similarities).toarray())


def ease(data, seed, *, regularization):
    r"""Score by EASE (Steck 2019): a linear item-item model with zero diagonal, in closed form.

    With :math:`P = (X^T X + \lambda I)^{-1}`, the scores are :math:`X - X P / diag(P)`; by the
    Woodbury identity, only an n_users x n_users system is solved.
    """
    users, matrix = table(data)
    gram = (matrix @ matrix.T).toarray().astype(np.float64)
    gram[np.diag_indices_from(gram)] += regularization
    dense = matrix.toarray().astype(np.float64)
    solved = np.linalg.solve(gram, dense)  # X P
    diagonal = (1 - np.einsum("ui,ui->i", dense, solved)) / regularization
    scores = dense - solved / diagonal
    return _scorer(users, lambda rows: scores[rows])


def _factorized(model, data):
    users, matrix = table(data)
    model.fit(matrix, show_progress=False)
    return _scorer(users, lambda rows: model.user_factors[rows] @ model.item_factors.T)


def als(data, seed, **settings):
    """Fit `implicit`'s own ALS."""
    return _factorized(AlternatingLeastSquares(random_state=seed, num_threads=1, **settings), data)


def bpr(data, seed, **settings):
    """Fit `implicit`'s BPR."""
    model = BayesianPersonalizedRanking(random_state=seed, num_threads=1, **settings)
    return _factorized(model, data)


def lmf(data, seed, **settings):
    """Fit `implicit`'s logistic matrix factorization."""
    model = LogisticMatrixFactorization(random_state=seed, num_threads=1, **settings)
    return _factorized(model, data)


def lightfm(data, seed, *, epochs, features=False, **settings):
    """Fit LightFM, optionally with item features in addition to an identity feature per item."""
    from lightfm import LightFM

    users, matrix = table(data)
    described = None
    if features:
        described = sp.hstack([sp.identity(matrix.shape[1]), data.features], format="csr")
    model = LightFM(random_state=seed, **settings)
    model.fit(matrix.tocoo(), item_features=described, epochs=epochs, num_threads=1)
    item_bias, items = model.get_item_representations(described)
    _, factors = model.get_user_representations()  # user biases do not affect rankings
    return _scorer(users, lambda rows: factors[rows] @ items.T + item_bias)


def lightfm_with_features(data, seed, **settings):
    """Fit LightFM with item features."""
    return lightfm(data, seed, features=True, **settings)


def cmfrec(data, seed, **settings):
    """Fit cmfrec's collective factorization of interactions and item features."""
    from cmfrec import CMF_implicit

    users, matrix = table(data)
    model = CMF_implicit(nthreads=1, random_state=seed, verbose=False, use_float=True, **settings)
    model.fit(matrix.tocoo(), I=data.features.tocoo())
    items = model.B_
    # Factors of items without interactions come from their features only.
    if len(items) < matrix.shape[1]:
        raise RuntimeError(f"cmfrec returned {len(items)} of {matrix.shape[1]} items.")
    return _scorer(users, lambda rows: model.A_[rows] @ items.T)


def irspack(data, seed, **settings):
    """Fit irspack's implicit ALS, whose item factors are regularized toward item features."""
    from irspack import IALSRecommender

    users, matrix = table(data)
    model = IALSRecommender(
        matrix.astype(np.float64), item_features=data.features.astype(np.float64), n_threads=1,
        random_seed=seed, **settings,
    )  # fmt: skip
    model.learn()
    return _scorer(users, model.get_score)


def llm_as_recommender(data, seed):
    """Rank judged candidates by the LLM's ratings, and all other items below, by popularity.

    Users have few rated candidates, which were selected by other recommenders: this is not a
    comparable recommender, but shows what the answers by themselves are worth.
    """
    questions = data.judge.judged_slates()
    asked = np.repeat(questions.user, np.diff(questions.indptr))
    rated = pd.DataFrame({"user": asked, "item": questions.candidates, "r": questions.ratings})
    mean = rated.groupby(["user", "item"])["r"].mean().dropna().reset_index()
    items = data.item_data["item"].to_numpy()
    place = np.searchsorted(items, mean["item"])
    count = table(data).matrix.getnnz(axis=0)
    below = (count / (count.max() + 1)).astype(np.float32)

    def score(users):
        scores = np.tile(below, (len(users), 1))
        row = pd.Index(users).get_indexer(mean["user"])
        known = row >= 0
        scores[row[known], place[known]] = 1 + mean["r"].to_numpy(np.float32)[known]
        return scores

    return score
