"""Judged slates as seen by the fitted interactions: the leakage rule, and evidence on pairs.

Knows slates, positions and scores; nothing of how scores are made.
"""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import scipy.sparse as sp

from .._data._ids import encode
from ._design import log_rank

MAX_HISTORY = 10
"""History lengths above this one count as this one: calibration slates do not show more."""

_ROUNDING = 1e-6  # differences of mean ratings that are none


@dataclass(frozen=True, eq=False)
class Slates:
    """Judged slates in rows and columns of the interaction matrix, sorted by user.

    Attributes
    ----------
    users : ndarray of shape (n_slates,), intp
        Row of each slate's user, not decreasing.
    items : ndarray of shape (n_slates, slate_size), intp
        Column of each candidate; -1 where a slate has fewer, or the candidate is unknown.
    answers : ndarray of shape (n_slates, slate_size, n_answers), float32
        Ratings in [0, 1]; NaN for no opinion and where a slate was answered less often.
    shown : csr_matrix of shape (n_slates, n_items), float32
        1 for the items in the history shown to the judge.
    relevance : ndarray of shape (n_slates, slate_size), int8
        1 for a candidate the user was fitted on and the judge was not shown; 0 for one the user
        was not fitted on; -1 for all others (shown, or no candidate).
    """

    users: np.ndarray
    items: np.ndarray
    answers: np.ndarray
    shown: sp.csr_matrix
    relevance: np.ndarray

    @property
    def calibrates(self):
        """Whether a slate holds both a known positive and another item, (n_slates,) bool."""
        return (self.relevance == 1).any(axis=1) & (self.relevance == 0).any(axis=1)

    def __getitem__(self, which):
        """Return the slates that a mask or an array of positions picks."""
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
        """Return by how much each candidate is rated above each other one.

        Returns
        -------
        gaps : ndarray of shape (n_slates, slate_size, slate_size), float32
            Mean over the answers that rate both of rating i - rating j; NaN where none does.
        agreement : ndarray of the same shape, float32
            |mean sign of the difference| over those answers, in [0, 1]; NaN with fewer than two.
        """
        difference = self.answers[:, :, np.newaxis] - self.answers[:, np.newaxis]
        count = np.sum(~np.isnan(difference), axis=-1)
        with np.errstate(invalid="ignore"):  # 0 / 0 is the NaN wanted
            gaps = np.nansum(difference, axis=-1) / count
            gaps[np.abs(gaps) < _ROUNDING] = 0  # as .57 and .52 against .55 and .54
            agreement = np.abs(np.nansum(np.sign(difference), axis=-1)) / count
        return gaps, np.where(count > 1, agreement, np.float32(np.nan))


def example_slates(n_slates=20, size=6):
    """Return slates of made-up users and ratings that calibrate."""
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
    """Find judged slates in the fitted interactions, and apply the leakage rule.

    A slate is kept if its user was fitted, and its history lies within that user's fitted
    interactions. What a candidate is (`Slates.relevance`) is said by the fitted interactions, not
    by the record.

    Parameters
    ----------
    judged : JudgedSlates
        Questions and answers in raw ids.
    interactions : Interactions
        What the model is fitted on.

    Returns
    -------
    slates : Slates
        Those kept.
    dropped : dict of str to int
        How many slates were dropped, and how many candidates of kept slates, by reason; the
        first word is singular.
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
    """Return where a CSR matrix has an entry, bool; negative positions have none."""
    n_rows, n_columns = matrix.shape
    entry_rows = np.repeat(np.arange(n_rows, dtype=np.int64), np.diff(matrix.indptr))
    wanted = rows.astype(np.int64) * n_columns + columns
    found = np.isin(wanted, entry_rows * n_columns + matrix.indices)
    return found & (rows >= 0) & (columns >= 0)


@dataclass(frozen=True, eq=False)
class Pairs:
    """Pairs of candidates that the judge rated differently, the preferred one first.

    Attributes
    ----------
    slate, preferred, other : ndarrays of shape (n_pairs,), intp
        Number of the slate and places of the candidates in it.
    evidence : DataFrame of shape (n_pairs, 9)
        What `ReliabilityGate` is fitted on and applied to: `gap`; the prior evidence
        `prior_popularity` and `prior_model`; the context `history_length`, `popularity_rarer`,
        `popularity_commoner`, `model_uncertainty`, `agreement`; the `offset`.
    """

    slate: np.ndarray
    preferred: np.ndarray
    other: np.ndarray
    evidence: pd.DataFrame

    def differences(self, values):
        """Return by how much values of candidates are larger for the preferred one, (n_pairs,)."""
        return values[self.slate, self.preferred] - values[self.slate, self.other]

    def sums(self, values):
        """Return the sums of values of both candidates, (n_pairs,)."""
        return values[self.slate, self.preferred] + values[self.slate, self.other]


def compare_candidates(slates, standing, offset=None):
    """Make the pairs of slates, with the evidence for or against the preferred item.

    Parameters
    ----------
    slates : Slates
    standing : Standing of shape (n_slates, slate_size)
        Of the candidates, as the model knew them.
    offset : ndarray of shape (n_slates, slate_size) or None
        That of `Design`: pairs of a known positive and another item are made, whose outcome is
        known. None: pairs of items the user was not fitted on.

    Returns
    -------
    pairs : Pairs
        Evidence columns, all scale-free:

        - `gap`: rating of the preferred item minus that of the other one, in (0, 1].
        - `prior_popularity`: difference of log1p popularity.
        - `prior_model`: log(other + 3) - log(preferred + 3) of the ranks.
        - `history_length`: items shown to the judge, at most 10.
        - `popularity_rarer`, `popularity_commoner`: log1p popularity of the two.
        - `model_uncertainty`: 1 / (1 + abs(prior_model)), in (0, 1].
        - `agreement`: of repeated answers, in [0, 1]; NaN where asked once.
        - `offset`: difference of the offsets; without them 0.
    """
    gaps, agreement = slates.gaps()
    first, second = slates.relevance[:, :, np.newaxis], slates.relevance[:, np.newaxis]
    wanted = first + second == 0 if offset is None else (first + second == 1) & (first != second)
    wanted &= (first >= 0) & (second >= 0)
    with np.errstate(invalid="ignore"):  # NaN: no opinion, no pair
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
