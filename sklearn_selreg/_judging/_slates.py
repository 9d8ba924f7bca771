"""Alignment of judged slates with the fitted interactions: leakage rule and pairwise evidence."""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import scipy.sparse as sp

from .._data._ids import encode
from ._design import log_rank

MAX_HISTORY = 10
"""Longest history shown in calibration slates; longer ones are counted as this length."""

_ROUNDING = 1e-6  # smaller differences of mean ratings are ties


@dataclass(frozen=True, eq=False)
class Slates:
    """Judged slates as rows and columns of the interaction matrix, sorted by user.

    Attributes
    ----------
    users : ndarray of shape (n_slates,), intp
        Row of each slate's user, non-decreasing.
    items : ndarray of shape (n_slates, slate_size), intp
        Column of each candidate; -1 for padding and unknown candidates.
    answers : ndarray of shape (n_slates, slate_size, n_answers), float32
        Ratings in [0, 1]; NaN for missing ratings and padding of slates with fewer answers.
    shown : csr_matrix of shape (n_slates, n_items), float32
        1 for the items in the history shown to the judge.
    relevance : ndarray of shape (n_slates, slate_size), int8
        1 for known positives: candidates in the user's fitted interactions that the judge was not
        shown. 0 for candidates outside of these interactions. -1 for all others (shown, unknown or
        padding).
    """

    users: np.ndarray
    items: np.ndarray
    answers: np.ndarray
    shown: sp.csr_matrix
    relevance: np.ndarray

    @property
    def calibrates(self):
        """Mask of slates that contain both a known positive and another item, (n_slates,)."""
        return (self.relevance == 1).any(axis=1) & (self.relevance == 0).any(axis=1)

    def __getitem__(self, which):
        """Select slates by a mask or an array of positions."""
        return Slates(
            self.users[which],
            self.items[which],
            self.answers[which],
            self.shown[which],
            self.relevance[which],
        )

    def __len__(self):
        return len(self.users)

    def gaps(self):
        """Pairwise rating differences within each slate.

        Returns
        -------
        gaps : ndarray of shape (n_slates, slate_size, slate_size), float32
            Mean of rating i - rating j over the answers that rate both; NaN if none does.
        agreement : ndarray of the same shape, float32
            |mean sign of the difference| over these answers, in [0, 1]; NaN with fewer than two.
        """
        difference = self.answers[:, :, np.newaxis] - self.answers[:, np.newaxis]
        count = np.sum(~np.isnan(difference), axis=-1)
        with np.errstate(invalid="ignore"):  # 0 / 0 intentionally gives NaN
            gaps = np.nansum(difference, axis=-1) / count
            gaps[np.abs(gaps) < _ROUNDING] = 0  # e.g. ratings 0.57 and 0.52 against 0.55 and 0.54
            agreement = np.abs(np.nansum(np.sign(difference), axis=-1)) / count
        return gaps, np.where(count > 1, agreement, np.float32(np.nan))


def example_slates(n_slates=20, size=6):
    """Generate synthetic calibration slates with random ratings."""
    random = np.random.default_rng(0)
    items = random.permuted(np.tile(np.arange(4 * size), (n_slates, 1)), axis=1)[:, :size]
    relevance = np.zeros(items.shape, dtype=np.int8)
    relevance[:, :2] = 1
    return Slates(
        np.arange(n_slates),
        items,
        random.random((*items.shape, 1), dtype=np.float32),
        sp.csr_matrix((n_slates, 4 * size), dtype=np.float32),
        relevance,
    )


def place_slates(judged, interactions):
    """Align judged slates with the fitted interactions and apply the leakage rule.

    A slate is kept if its user was fitted and its history is contained in that user's fitted
    interactions. The fitted interactions, not the record, determine `Slates.relevance`.

    Parameters
    ----------
    judged : JudgedSlates
        Slates and answers in original ids.
    interactions : Interactions
        Interactions that the model is fitted on.

    Returns
    -------
    slates : Slates
        The slates kept.
    dropped : dict of str to int
        Number of slates dropped, and of candidates dropped from kept slates, by reason. The first
        word of a reason is singular.
    """
    matrix = interactions.matrix
    n_items = matrix.shape[1]
    n_slates = len(judged.user)
    user = encode(interactions.users, judged.user)
    history = encode(interactions.items, judged.history)
    history_slate = np.repeat(np.arange(n_slates), np.diff(judged.history_indptr))
    strange = ~contains(matrix, user[history_slate], history)
    outside = np.bincount(history_slate, weights=strange, minlength=n_slates) > 0
    kept = np.flatnonzero((user >= 0) & ~outside)
    kept = kept[np.argsort(user[kept], kind="stable")]

    shown = sp.csr_matrix(
        (np.ones(np.sum(~strange), np.float32), (history_slate[~strange], history[~strange])),
        shape=(n_slates, n_items),
    )[kept]
    shown.data[:] = 1
    sizes = np.diff(judged.indptr)
    place = np.arange(sizes[kept].max(initial=0))
    real = place < sizes[kept, np.newaxis]
    candidate = np.where(real, judged.indptr[kept, np.newaxis] + place, 0)
    items = np.where(real, encode(interactions.items, judged.candidates)[candidate], -1)
    answers = judged.answers[candidate].astype(np.float32)
    answers[items < 0] = np.nan
    rows = np.broadcast_to(np.arange(len(kept))[:, np.newaxis], items.shape)
    fitted = contains(matrix, user[kept][rows], items)
    visible = (items >= 0) & ~contains(shown, rows, items)
    relevance = np.where(visible, fitted, -1).astype(np.int8)
    dropped = {
        "slate of unknown users": int(np.sum(user < 0)),
        "slate whose history is not within the user's fitted rows": int(
            np.sum((user >= 0) & outside)
        ),
        "candidate of unknown items": int(np.sum(real & (items < 0))),
    }
    return Slates(user[kept], items, answers, shown, relevance), dropped


def contains(matrix, rows, columns):
    """Mask of positions at which a CSR matrix has an entry; False for negative positions."""
    n_rows, n_columns = matrix.shape
    entry_rows = np.repeat(np.arange(n_rows, dtype=np.int64), np.diff(matrix.indptr))
    wanted = rows.astype(np.int64) * n_columns + columns
    found = np.isin(wanted, entry_rows * n_columns + matrix.indices)
    return found & (rows >= 0) & (columns >= 0)


@dataclass(frozen=True, eq=False)
class Pairs:
    """Pairs of candidates with different ratings, the preferred one first.

    Attributes
    ----------
    slate, preferred, other : ndarrays of shape (n_pairs,), intp
        Index of the slate, and positions of the candidates in it.
    evidence : DataFrame of shape (n_pairs, 9)
        Input of `ReliabilityGate`: `gap`; the prior evidence `prior_popularity` and `prior_model`;
        the context `history_length`, `popularity_rarer`, `popularity_commoner`,
        `model_uncertainty`, `agreement`; the `offset`.
    """

    slate: np.ndarray
    preferred: np.ndarray
    other: np.ndarray
    evidence: pd.DataFrame

    def differences(self, values):
        """Differences of candidates' values, preferred minus other, (n_pairs,)."""
        return values[self.slate, self.preferred] - values[self.slate, self.other]

    def sums(self, values):
        """Return the sums of the values of both candidates, (n_pairs,)."""
        return values[self.slate, self.preferred] + values[self.slate, self.other]


def compare_candidates(slates, standing, offset=None):
    """Form pairs of candidates, with the evidence for the preferred item.

    Parameters
    ----------
    slates : Slates
    standing : Standing of shape (n_slates, slate_size)
        Ranks and popularity of the candidates.
    offset : ndarray of shape (n_slates, slate_size) or None
        `Design.offset`. If given, each pair has a known positive and another item, so its outcome
        is known. If None, pairs consist of items outside of the user's fitted interactions.

    Returns
    -------
    pairs : Pairs
        Evidence columns, all scale-free:

        - `gap`: rating of the preferred item minus that of the other one, in (0, 1].
        - `prior_popularity`: difference of log1p popularity.
        - `prior_model`: log(other + 3) - log(preferred + 3) of the ranks.
        - `history_length`: number of items shown to the judge, at most 10.
        - `popularity_rarer`, `popularity_commoner`: smaller and larger log1p popularity.
        - `model_uncertainty`: 1 / (1 + abs(prior_model)), in (0, 1].
        - `agreement`: agreement of repeated answers, in [0, 1]; NaN for a single answer.
        - `offset`: difference of the offsets; 0 without offsets.
    """
    gaps, agreement = slates.gaps()
    first, second = slates.relevance[:, :, np.newaxis], slates.relevance[:, np.newaxis]
    wanted = first + second == 0 if offset is None else (first + second == 1) & (first != second)
    wanted &= (first >= 0) & (second >= 0)
    with np.errstate(invalid="ignore"):  # a NaN gap (missing rating) forms no pair
        slate, preferred, other = np.nonzero(wanted & (gaps > 0))
    pairs = Pairs(slate, preferred, other, pd.DataFrame())
    log_popularity = np.log1p(standing.popularity)
    p, o = log_popularity[slate, preferred], log_popularity[slate, other]
    model = -pairs.differences(log_rank(standing.ranks))
    length = np.minimum(np.diff(slates.shown.indptr), MAX_HISTORY)
    evidence = pd.DataFrame(
        {
            "gap": gaps[slate, preferred, other],
            "prior_popularity": p - o,
            "prior_model": model,
            "history_length": length[slate],
            "popularity_rarer": np.minimum(p, o),
            "popularity_commoner": np.maximum(p, o),
            "model_uncertainty": 1 / (1 + np.abs(model)),
            "agreement": agreement[slate, preferred, other],
            "offset": 0.0 if offset is None else pairs.differences(offset),
        },
        dtype=np.float64,
    )
    return replace(pairs, evidence=evidence)
