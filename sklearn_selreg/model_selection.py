"""Splitters for recommender evaluation: next items of known users, and new users."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.model_selection import BaseCrossValidator

from ._data._collected import collect
from ._data._ids import encode
from ._data._interactions import index_interactions
from ._data._tables import read_columns
from ._utils._params import check_integer
from ._utils._typing import Column, Table
from ._utils._warn import warn

__all__ = ["ColdStartSplit", "LeaveLastOut"]

_ENOUGH_STEPS = 200  # from row to row of a user: fewer may be sorted by chance
_SORTED_FRACTION = 0.98  # of steps up minus steps down, or the reverse, in sorted rows


class _HistorySplit(BaseCrossValidator):
    """Base of the splitters that look at each user's history.

    A history holds each item once, at the position of its latest interaction, and all rows of a
    user-item pair go to the same part. Rows of strength 0 are not interactions: they stay in the
    training rows, unless other rows of the same pair are held out.
    """

    user_col: Column
    item_col: Column
    time_col: Column | None

    def split(
        self, X: Table, y: ArrayLike | None = None, groups: object = None
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield the rows to train on and those to test on.

        Parameters
        ----------
        X : DataFrame or array of shape (n_samples, n_columns)
            One interaction per row.
        y : array-like of shape (n_samples,), default=None
            Strengths >= 0. If None, all are 1.
        groups : object, default=None
            Ignored.

        Yields
        ------
        train, test : ndarrays of shape (n_train,) and (n_test,), int
            Row numbers, increasing.

        Raises
        ------
        ValueError
            If too few users have enough interactions; for a table as in `fit` of the estimator.
        TypeError
            If `X` is sparse, because its rows are not interactions.
        """
        columns = {"user_col": self.user_col, "item_col": self.item_col}
        X = collect(X, aligned="row numbers", **columns, time_col=self.time_col)
        yield from super().split(X, y, groups)

    def _read(self, X: Table, y: ArrayLike | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return each row's user and recency rank, and its user's number of items.

        Returns
        -------
        user : ndarray of shape (n_samples,), intp
        recency_rank : ndarray of shape (n_samples,), intp
            0 for the user's newest item, 1 for the previous one, ...; -1 for rows of strength 0
            whose pair has no interaction.
        n_items : ndarray of shape (n_samples,), intp
        """
        users, items, times = read_columns(
            X, user_col=self.user_col, item_col=self.item_col, time_col=self.time_col
        )
        table = pd.DataFrame({"user": users, "item": items})
        if times is not None:
            table["time"] = times
        # Negative strengths are netted here; the estimator may reject them (`negatives`).
        interactions = index_interactions(
            table,
            y,
            user_col="user",
            item_col="item",
            time_col=None if times is None else "time",
            negatives="net",
        )
        user = encode(interactions.users, users)
        matrix = interactions.matrix
        lengths = np.diff(matrix.indptr)
        entries = np.repeat(np.arange(len(lengths)), lengths) * matrix.shape[1] + matrix.indices
        item = encode(interactions.items, items)
        if times is None:
            _warn_of_sorted_rows(user, {"item id": item, "strength": y})
        pairs = user * matrix.shape[1] + item
        position = np.minimum(np.searchsorted(entries, pairs), len(entries) - 1)
        is_known = entries[position] == pairs
        recency_rank = np.where(is_known, interactions.recency_rank[position], -1)
        return user, recency_rank, lengths[user]


def _warn_of_sorted_rows(user: np.ndarray, columns: dict[str, Any]) -> None:
    """Warn if the rows of all users are sorted by something other than time."""
    order = np.argsort(user, kind="stable")
    same = np.diff(user[order]) == 0
    for what, values in columns.items():
        if values is None:
            continue
        steps = np.sign(np.diff(np.asarray(values, dtype=np.float64)[order])[same])
        n_steps = np.count_nonzero(steps)
        if n_steps >= _ENOUGH_STEPS and abs(steps.sum()) > _SORTED_FRACTION * n_steps:
            end = "largest" if steps.sum() > 0 else "smallest"
            warn(
                f"Without time_col, the last rows of a user are assumed to be the newest, but the "
                f"rows of each user are sorted by {what}, so the items with the {end} {what} would "
                "be held out. Set time_col or, if times are unknown, shuffle the rows, e.g. by "
                "X.sample(frac=1, random_state=0)."
            )


class LeaveLastOut(_HistorySplit):
    """Hold out the last items of each user.

    A single split that evaluates what users want next: every user with enough items is in both
    parts. Users with `n` items or fewer are only in the training rows.

    Parameters
    ----------
    n : int, default=1
        Number of items to hold out per user, >= 1.
    user_col, item_col : int or str, default=0 and 1
        Columns of `X` that contain the ids: positions, or names if `X` is a table.
    time_col : int, str or None, default=None
        Column by which interactions are ordered. If None, rows are assumed to be in order of time;
        in a file sorted by play counts, the least played items would be held out, with a
        DataWarning. `train_test_split`, `ShuffleSplit` and halving searches do not keep the order.

    Raises
    ------
    ValueError
        If `n` is not an integer >= 1.

    See Also
    --------
    ColdStartSplit : Evaluates recommendations after the first few interactions.

    Notes
    -----
    An item counts once per user, at its latest interaction, and all rows of a user-item pair go to
    the same part. Also known as leave-one-out (n=1) or leave-last-out evaluation. Rows are split by
    time within each user, not globally: a training row of one user may be later than a test row of
    another.

    Examples
    --------
    >>> from sklearn_selreg.model_selection import LeaveLastOut
    >>> X = [["ann", "Up"], ["ann", "Heat"], ["bob", "Up"], ["cat", "Coco"], ["cat", "Up"]]
    >>> for train, test in LeaveLastOut().split(X):
    ...     print(train, test)
    [0 2 3] [1 4]
    """

    def __init__(
        self,
        n: int = 1,
        *,
        user_col: Column = 0,
        item_col: Column = 1,
        time_col: Column | None = None,
    ) -> None:
        check_integer("n", n, 1)
        self.n = n
        self.user_col = user_col
        self.item_col = item_col
        self.time_col = time_col

    def _iter_test_masks(
        self, X: Table, y: ArrayLike | None = None, groups: object = None
    ) -> Iterator[np.ndarray]:
        _, recency_rank, n_items = self._read(X, y)
        test = (recency_rank >= 0) & (recency_rank < self.n) & (n_items > self.n)
        if not test.any():
            raise ValueError(
                f"X must have users with more than n={self.n} items to hold out the last ones; "
                f"got at most {n_items.max()} per user."
            )
        yield test

    def get_n_splits(self, X: object = None, y: object = None, groups: object = None) -> int:
        """Return the number of splits.

        Parameters
        ----------
        X, y, groups : object, default=None
            Ignored.

        Returns
        -------
        n_splits : int
            1.
        """
        return 1


class ColdStartSplit(_HistorySplit):
    """Keep only the first few items of some users for training.

    Evaluates recommendations for new users. In each split, a subset of the users is *cold*: their
    first `k` items are in the training rows, all later ones in the test rows. All other users are
    only in the training rows. Every user with enough items is cold in exactly one split.

    Parameters
    ----------
    k : int, default=2
        Number of items >= 1 that cold users keep. With 1 or 2, they are in the regime `"cold"` of
        the scorers. For users without any items, use scikit-learn's `GroupKFold` with the users as
        groups.
    n_splits : int, default=5
        Number of splits, >= 2. Users are divided into as many subsets, and one is cold in each
        split.
    user_col, item_col : int or str, default=0 and 1
        Columns of `X` that contain the ids: positions, or names if `X` is a table.
    time_col : int, str or None, default=None
        Column by which interactions are ordered. If None, the row order is used, which
        `train_test_split`, `ShuffleSplit` and halving searches do not keep.
    random_state : int, default=0
        Seed >= 0 for the assignment of users to splits. None is not allowed, because searches need
        the same splits each time.

    Raises
    ------
    ValueError
        If `k` or `n_splits` is out of range, or `random_state` is not an integer >= 0.

    See Also
    --------
    LeaveLastOut : Evaluates what users want next.

    Notes
    -----
    An item counts once per user, at its latest interaction, and all rows of a user-item pair go to
    the same part. Users with `k` items or fewer stay in the training rows of all splits.

    Examples
    --------
    >>> from sklearn_selreg.model_selection import ColdStartSplit
    >>> X = [["ann", "Up"], ["ann", "Heat"], ["ann", "Coco"], ["bob", "Up"], ["bob", "Coco"]]
    >>> for train, test in ColdStartSplit(k=1, n_splits=2).split(X):
    ...     print(train, test)
    [0 3 4] [1 2]
    [0 1 2 3] [4]
    """

    def __init__(
        self,
        k: int = 2,
        *,
        n_splits: int = 5,
        user_col: Column = 0,
        item_col: Column = 1,
        time_col: Column | None = None,
        random_state: int = 0,
    ) -> None:
        check_integer("k", k, 1)
        check_integer("n_splits", n_splits, 2)
        same = ", so that a search gets the same splits each time"
        check_integer("random_state", random_state, 0, same)
        self.k = k
        self.n_splits = n_splits
        self.user_col = user_col
        self.item_col = item_col
        self.time_col = time_col
        self.random_state = random_state

    def _iter_test_masks(
        self, X: Table, y: ArrayLike | None = None, groups: object = None
    ) -> Iterator[np.ndarray]:
        user, recency_rank, n_items = self._read(X, y)
        eligible = np.unique(user[n_items > self.k])
        if len(eligible) < self.n_splits:
            raise ValueError(
                f"X must have at least n_splits={self.n_splits} users with more than k={self.k} "
                f"items, one for each split; got {len(eligible)}."
            )
        order = np.random.default_rng(self.random_state).permutation(eligible)
        later = (recency_rank >= 0) & (recency_rank < n_items - self.k)
        for cold in np.array_split(order, self.n_splits):
            yield later & np.isin(user, cold)

    def get_n_splits(self, X: object = None, y: object = None, groups: object = None) -> int:
        """Return the number of splits.

        Parameters
        ----------
        X, y, groups : object, default=None
            Ignored.

        Returns
        -------
        n_splits : int
        """
        return self.n_splits
