"""Histories: parts equal the result of indexing only these interactions."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from sklearn_selreg._data._csr import entry_rows, find_entries, select_rows
from sklearn_selreg._data._interactions import index_interactions

N_USERS, N_ITEMS = 12, 9


@pytest.fixture(params=[None, "time"])
def histories(request):
    rng = np.random.default_rng(5)
    table = pd.DataFrame(
        {
            "user": np.r_[np.arange(N_USERS), rng.integers(0, N_USERS, 60)],
            "item": np.r_[np.arange(N_USERS) % N_ITEMS, rng.integers(0, N_ITEMS, 60)],
        }
    )
    table["time"] = rng.permutation(len(table)).astype(float)
    return index_interactions(table, user_col="user", item_col="item", time_col=request.param)


def newest_first(histories):
    """Return the items of each user with strength and time, in rank order."""
    matrix = histories.matrix
    found = []
    for start, stop in zip(matrix.indptr, matrix.indptr[1:], strict=False):
        assert sorted(histories.recency_rank[start:stop]) == list(range(stop - start))
        assert (np.diff(matrix.indices[start:stop]) > 0).all()
        entries = start + np.argsort(histories.recency_rank[start:stop])
        times = [None] * (stop - start) if histories.times is None else histories.times[entries]
        parts = matrix.indices[entries], matrix.data[entries], times
        found.append(list(zip(*parts, strict=True)))
    return found


def test_some_entries_keep_their_order(histories):
    kept = np.random.default_rng(0).random(histories.matrix.nnz) < 0.5
    pairs = set(
        zip(entry_rows(histories.matrix)[kept], histories.matrix.indices[kept], strict=True)
    )
    expected = [
        [entry for entry in entries if (user, entry[0]) in pairs]
        for user, entries in enumerate(newest_first(histories))
    ]
    assert newest_first(histories.select_entries(kept)) == expected


def test_items_of_another_catalog_are_in_its_columns(histories):
    columns = np.array([4, -1, 0, 2, -1, 7, 6, 1, -1])
    expected = [
        [(columns[item], *rest) for item, *rest in entries if columns[item] >= 0]
        for entries in newest_first(histories)
    ]
    selected = histories.select_items(columns, 10)
    assert selected.matrix.shape == (N_USERS, 10) and selected.matrix.dtype == np.float32
    assert newest_first(selected) == expected


def test_rows_are_picked_repeated_and_stacked(histories):
    rows = np.array([3, -1, 0, 3])
    known = newest_first(histories)
    picked = histories[rows]
    assert newest_first(picked) == [known[3], [], known[0], known[3]]
    assert newest_first(picked.stack(histories)) == newest_first(picked) + known


def test_histories_are_the_oldest_first(histories):
    matrix = histories.matrix
    found = np.split(histories.history, matrix.indptr[1:-1])
    expected = [[item for item, *_ in entries[::-1]] for entries in newest_first(histories)]
    assert [part.tolist() for part in found] == expected


def test_entries_of_a_part_are_found_in_the_whole():
    rng = np.random.default_rng(0)
    whole = sp.csr_matrix(rng.random((8, 11)) * (rng.random((8, 11)) < 0.5))
    part = whole.copy()
    part.data[::3] = 0
    part.eliminate_zeros()
    np.testing.assert_array_equal(whole.data[find_entries(whole, part)], part.data)
    entries, indptr = select_rows(whole, np.array([5, -1, 2]))
    assert indptr[2] == indptr[1]
    expected = np.concatenate([whole[5].data, whole[2].data])
    np.testing.assert_array_equal(whole.data[entries], expected)
