"""Recommendation: the best items for users, among the items allowed for each.

Works with factors, positions and ids, independent of how factors were fitted.
"""

import numpy as np
import pandas as pd
import scipy.sparse as sp

from .._data._collected import collect
from .._data._ids import encode
from .._data._requested_ids import (
    as_id_array,
    check_single,
    describe_shape,
    has_tuples,
    message_none_known,
    read_ids,
    warn_of_unknown,
)
from .._data._tables import column_names, read_columns
from .._factorization._finite import check_finite_model
from .._factorization._top_k import top_k
from .._utils._progress import tracked
from ._frames import make_frame

DEFAULT_NAMES = "user", "item"
_USERS_PER_CHUNK = 10_000


def best_items(
    user_rows,
    n_users,
    item_factors,
    n_items,
    *,
    barred,
    candidates=None,
    norms=None,
    num_threads,
    verbose=0,
):
    """Find the best items for users, in chunks.

    Parameters
    ----------
    user_rows : callable
        Returns the factors of a slice of the users, (n, k) float32.
    n_users : int
    item_factors : ndarray of shape (n_all_items, k), float32
    n_items : int
        Length of the lists; may exceed the number of items.
    barred : callable
        Returns the items excluded for a slice of the users, (n, n_all_items) csr_matrix, or None.
    candidates : ndarray of int or None
        Columns of the items to rank, sorted. If None, all items are ranked.
    norms : ndarray of shape (n_all_items,), float32, or None
        Divisors of the scores of the items. If None, 1.
    num_threads : int
    verbose : int, default=0
        If > 0, show a progress bar for several chunks of users.

    Returns
    -------
    columns : ndarray of shape (n_users, n_items), int32
        Best first; padded with -1 for users with too few candidates. `n_items` is at most the
        number of items.
    scores : ndarray of shape (n_users, n_items), float32
        Scores of the items, padded with NaN.
    """
    n_items = min(n_items, len(item_factors))
    columns = np.full((n_users, n_items), -1, dtype=np.int32)
    scores = np.full((n_users, n_items), np.nan, dtype=np.float32)
    if candidates is not None:
        item_factors = item_factors[candidates]
        norms = None if norms is None else norms[candidates]
    k = min(n_items, len(item_factors))
    if not k:
        return columns, scores
    starts = range(0, n_users, _USERS_PER_CHUNK)
    for start in tracked(starts, "recommending", verbose=verbose and len(starts) > 1):
        part = slice(start, min(start + _USERS_PER_CHUNK, n_users))
        seen = barred(part)
        if seen is not None and candidates is not None:
            seen = seen[:, candidates]
        found, scores[part, :k] = top_k(
            user_rows(part), item_factors, k, seen=seen, norms=norms, num_threads=num_threads
        )
        if candidates is not None:
            found = np.where(found < 0, -1, candidates[found])
        columns[part, :k] = found
    return columns, scores


def recommend_rows(model, rows, n_items, *, filter_seen, pairs, candidates, num_threads, verbose):
    """Recommend items to users of a model.

    Parameters
    ----------
    model : FittedModel
    rows : ndarray of shape (n,), int
        Rows of the users; -1 for the mean user.
    n_items : int
    filter_seen : bool
        Whether to exclude a user's own items.
    pairs : csr_matrix of shape (n, n_all_items) or None
        Additional exclusions per user.
    candidates : ndarray of int or None
        Columns of the items to rank. If None, all items are ranked.
    num_threads, verbose : int

    Returns
    -------
    columns, scores : ndarrays
        As from `best_items`.
    """

    def barred(part):
        own = model.seen_by(rows[part]) if filter_seen else None
        if pairs is None:
            return own
        return pairs[part] if own is None else own + pairs[part]

    def user_rows(part):
        factors = model.user_rows(rows[part])
        check_finite_model(factors)
        return factors

    model.check_items_finite()
    return best_items(
        user_rows,
        len(rows),
        model.item_factors,
        n_items,
        barred=barred,
        candidates=candidates,
        num_threads=num_threads,
        verbose=verbose,
    )


def similar_rows(item_factors, norms, rows, n_items, *, candidates=None, num_threads, verbose=0):
    """Find the items (or users) with the largest cosine similarity, excluding the query itself.

    Parameters
    ----------
    item_factors : ndarray of shape (n_all_items, k), float32
        Factors without bias columns; a row of zeros has cosine similarity 0.
    norms : ndarray of shape (n_all_items,), float32
        Norms of the rows; 1 for rows of zeros.
    rows : ndarray of shape (n_queries,), int
    n_items, candidates, num_threads, verbose
        As in `best_items`.

    Returns
    -------
    columns, scores : ndarrays of shape (n_queries, n_items)
        As from `best_items`.
    """
    shape = len(rows), len(item_factors)
    entries = np.ones(len(rows), dtype=np.float32), rows, np.arange(len(rows) + 1)
    itself = sp.csr_matrix(entries, shape=shape)
    return best_items(
        lambda part: item_factors[rows[part]] / norms[rows[part], np.newaxis],
        len(rows),
        item_factors,
        n_items,
        barred=lambda part: itself[part],
        candidates=candidates,
        norms=norms,
        num_threads=num_threads,
        verbose=verbose,
    )


def find_candidates(model, items):
    """Find the columns of the items to rank.

    Parameters
    ----------
    model : FittedModel
    items : array-like of shape (n_candidates,) or set
        Ids of the items to rank; may contain duplicates.

    Returns
    -------
    candidates : ndarray of int
        Sorted and unique.

    Raises
    ------
    ValueError
        If `items` is not 1-D, is empty, or contains only unknown ids.

    Warns
    -----
    DataWarning
        If some of the ids are unknown.
    """
    known = model.items
    ids = read_ids(items, "items", known)
    if not len(ids):
        raise ValueError(
            "items must contain at least one item id, or be None for all items; got none."
        )
    columns = model.find_items(ids)
    unknown = ids[columns < 0]
    if len(unknown) == len(ids):
        raise ValueError(message_none_known(ids, known))
    warn_of_unknown("items to rank", unknown, len(ids), known, "they are ignored")
    return np.unique(columns[columns >= 0])


def collect_pairs(table, names, columns):
    """Read the id columns of a query or a stream; see `read_pairs`."""
    ids = {"user_col": columns["user_col"], "item_col": columns["item_col"]}
    return collect(table, user=names[0], item=names[1], **ids)


def read_pairs(table, names, columns, argument):
    """Read a table of users and items.

    Parameters
    ----------
    table : table
        As from `collect_pairs`.
    names : tuple of (str, str)
        Names of the user and item columns in tables of `recommend`. If the table has both, it is
        read by these names, since other columns such as the rank may come first.
    columns : dict
        Column arguments for other tables; empty for an array.
    argument : str
        Name of the argument, for messages.

    Returns
    -------
    users, items : ndarrays of shape (n_pairs,)
    """
    labels = column_names(table)
    if set(names) <= set(labels):
        columns = {"user_col": names[0], "item_col": names[1]}
    if hasattr(table, "columns") and not len(table):
        return np.empty(0, dtype=object), np.empty(0, dtype=object)
    try:
        users, items, _ = read_columns(table, **columns, name=argument)
    except ValueError as error:
        if argument == "X":
            raise
        raise ValueError(f"{argument} is a table and is read like X. {error}") from error
    return users, items


def is_list_table(table, names):
    """Return whether a table comes from `recommend`, given its names of users and items."""
    return {*names, "rank", "score"} <= set(column_names(table))


def read_excluded(exclude, model, users, columns):
    """Read the items that must not be recommended.

    Parameters
    ----------
    exclude : array-like of shape (n,), set, or table of shape (n, n_columns), or None
        Item ids to exclude for all users, or (user, item) pairs.
    model : FittedModel
    users : ndarray of shape (n_users,)
        Ids of the requested users; may contain unknown ids and duplicates.
    columns
        As in `read_pairs`, if `exclude` is a frame.

    Returns
    -------
    everywhere : ndarray of int
        Columns excluded for all users.
    pairs : csr_matrix of shape (n_users, n_all_items), float32, or None
        Items excluded for single users.

    Warns
    -----
    DataWarning
        For unknown items, and for user ids of a type that occurs neither in the model nor in
        `users`.
    """
    nothing = np.empty(0, dtype=np.intp)
    if exclude is None:
        return nothing, None
    known, names = model.items, model.id_names
    exclude = collect_pairs(exclude, names, columns)
    if not hasattr(exclude, "columns"):
        exclude = _as_excluded(exclude, known)
        if exclude.ndim not in (1, 2):
            raise ValueError(
                "exclude must be a 1-D array of item ids, or a table with a user and an item in "
                f"each row; got {describe_shape(exclude)}. To convert a dict of lists to such a "
                "table: pd.Series(exclude).explode().reset_index().to_numpy()."
            )
        if exclude.ndim == 1:
            check_single(exclude, "exclude")
            excluded = model.find_items(exclude)
            _warn_of_not_excluded(exclude[excluded < 0], len(exclude), known)
            return excluded[excluded >= 0], None
        columns = {}
    if not len(exclude):
        return nothing, None
    user_ids, item_ids = read_pairs(exclude, names, columns, "exclude")
    item = model.find_items(item_ids)
    asked, pairs = pair_matrix(user_ids, item, users, len(known))
    _warn_of_not_excluded(item_ids[item < 0], len(item_ids), known)
    warn_of_strangers("exclude", user_ids, asked, model, "their pairs have no effect")
    return nothing, pairs


def warn_of_strangers(argument, user_ids, asked, model, consequence):
    """Warn about users in pairs whose id type occurs neither in the model nor in the request."""
    others = user_ids[asked < 0]
    strangers = others[model.find_users(others) < 0]
    model.warn_of_foreign_users(f"users of {argument}", strangers, len(user_ids), consequence)


def pair_matrix(user_ids, item, users, n_items):
    """Build a matrix of (user, item) pairs.

    Parameters
    ----------
    user_ids, item : ndarrays of shape (n_pairs,)
        User ids, and item columns; -1 for unknown items.
    users : ndarray of shape (n_users,)
        Ids of the rows; may contain duplicates.
    n_items : int

    Returns
    -------
    asked : ndarray of shape (n_pairs,), int
        -1 for pairs whose user is not in `users`.
    pairs : csr_matrix of shape (n_users, n_items), float32
    """
    which, distinct = pd.factorize(_hashed(users), use_na_sentinel=False)
    asked = encode(distinct, user_ids)
    used = (asked >= 0) & (item >= 0)
    entries = np.ones(np.sum(used), dtype=np.float32), (asked[used], item[used])
    return asked, sp.csr_matrix(entries, shape=(len(distinct), n_items))[which]


def _warn_of_not_excluded(unknown, n_ids, known):
    warn_of_unknown("items to exclude", unknown, n_ids, known, "they have no effect")


def _hashed(ids):
    """Return ids in a form that pandas can hash: fixed-width strings as objects."""
    return ids.astype(object) if ids.dtype.kind in "STU" else ids


def _as_excluded(exclude, known):
    """Convert `exclude` to an array or table; if ids are tuples, distinguish them from rows."""
    if not isinstance(exclude, list | tuple | set | frozenset) or not has_tuples(known):
        return as_id_array(exclude, known)
    rows = list(exclude)
    if not rows or not all(isinstance(row, list | tuple) for row in rows):
        return as_id_array(exclude, known)
    if all(isinstance(row, tuple) for row in rows):
        array = as_id_array(rows, known)
        if (encode(known, array) >= 0).any():
            return array
    return pd.DataFrame(rows)


def id_names(X, user_col, item_col):
    """Return the names of the user and item columns of a frame; else "user" and "item"."""
    labels = column_names(X)
    names = [c if isinstance(c, str) else labels[c] for c in (user_col, item_col) if len(labels)]
    if len(names) < 2 or not all(isinstance(name, str) for name in names):
        return DEFAULT_NAMES
    return DEFAULT_NAMES if {"rank", "score"} & set(names) else tuple(names)


def tidy(queries, found, columns, scores, names, library="pandas"):
    """Build a table with one row per query and found item, best first.

    Parameters
    ----------
    queries : ndarray of shape (n_queries,)
        Query ids.
    found : ndarray of shape (n_all_items,)
        Ids of all items.
    columns, scores : ndarrays of shape (n_queries, n_items)
        As from `best_items`; padding is omitted.
    names : tuple of (str, str)
        Column names of the query ids and the found ids.
    library : str, default="pandas"
        As in `make_frame`.

    Returns
    -------
    table : DataFrame or pyarrow.Table
        Columns: the first name, `rank` (from 1), the second name, `score`.
    """
    query, place = np.nonzero(columns >= 0)
    asked = queries[query]
    return make_frame(
        {
            names[0]: pd.Series(asked).infer_objects() if library == "pandas" else asked,
            "rank": place + 1,
            names[1]: found[columns[query, place]],
            "score": scores[query, place],
        },
        library,
    )
