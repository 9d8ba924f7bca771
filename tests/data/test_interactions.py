"""Interactions compared with a reference of plain dictionaries, and messages for bad input."""

import datetime
import pickle
import uuid
import warnings
from collections import defaultdict
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp

from sklearn_selreg._data import _interactions
from sklearn_selreg._data._csr import count_interactions
from sklearn_selreg._data._ids import concatenate_ids, encode
from sklearn_selreg._data._interactions import index_interactions, interactions_from_sparse
from sklearn_selreg._data._strengths import read_strengths
from sklearn_selreg._data._tables import read_columns

N_USERS, N_ITEMS = 9, 12


def random_rows(seed, n_rows=150):
    """User, item, time (with ties) and strength (some 0) columns, with many repeated pairs."""
    rng = np.random.default_rng(seed)
    user = rng.integers(-3, N_USERS - 3, n_rows)
    item = rng.integers(0, N_ITEMS, n_rows) ** 2 + 10**12
    time = rng.integers(0, 40, n_rows)
    strength = rng.integers(0, 4, n_rows) / 2
    strength[user == 0] = 0  # a user with only zero strengths
    return user, item, time, strength


def reference(users, items, strengths=None, times=None):
    """Compute sums of pairs and histories by dictionaries and a loop over rows."""
    n_rows = len(users)
    strengths = [1] * n_rows if strengths is None else strengths
    times = [0] * n_rows if times is None else times
    sums, histories = defaultdict(float), defaultdict(list)
    for row in sorted(range(n_rows), key=lambda row: (times[row], row)):
        user, item = users[row], items[row]
        if strengths[row] > 0:
            sums[user, item] += float(strengths[row])
            if item in histories[user]:
                histories[user].remove(item)
            histories[user].append(item)
    return dict(sums), dict(histories)


def as_dicts(interactions):
    """Return the same of an `Interactions`, and check that its arrays are consistent."""
    users, items = interactions.users.tolist(), interactions.items.tolist()
    matrix, age, history = interactions.matrix, interactions.recency_rank, interactions.history
    assert isinstance(matrix, sp.csr_matrix)
    assert matrix.shape == (len(users), len(items))
    assert matrix.dtype == np.float32
    assert matrix.indices.dtype == matrix.indptr.dtype == age.dtype == history.dtype == np.int32
    assert (matrix.data > 0).all()
    unchecked = sp.csr_matrix((matrix.data, matrix.indices, matrix.indptr), shape=matrix.shape)
    assert unchecked.has_canonical_format
    sums, histories = {}, {}
    for u, (start, stop) in enumerate(zip(matrix.indptr[:-1], matrix.indptr[1:], strict=True)):
        columns = matrix.indices[start:stop]
        for i, strength in zip(columns, matrix.data[start:stop], strict=True):
            sums[users[u], items[i]] = strength
        if stop > start:
            histories[users[u]] = [items[i] for i in history[start:stop]]
            newest_first = columns[np.argsort(age[start:stop])]
            np.testing.assert_array_equal(newest_first, history[start:stop][::-1])
            assert sorted(age[start:stop]) == list(range(stop - start))
    return sums, histories


def assert_indexed(interactions, users, items, strengths=None, times=None, extra_items=()):
    """Compare `interactions` with the reference; ids are sortable Python scalars."""
    sums, histories = as_dicts(interactions)
    expected_sums, expected_histories = reference(users, items, strengths, times)
    assert sums == pytest.approx(expected_sums)
    assert histories == expected_histories
    assert interactions.users.tolist() == sorted(set(users))
    assert interactions.items.tolist() == sorted({*items, *extra_items})


def as_list(columns):
    return [list(row) for row in zip(*(c.tolist() for c in columns), strict=True)]


CONTAINERS = {
    "pandas": lambda columns: pd.DataFrame(dict(zip("uit", columns, strict=False))),
    "pandas nullable": lambda c: CONTAINERS["pandas"](c).convert_dtypes(),
    "pandas pyarrow": lambda c: CONTAINERS["pandas"](c).convert_dtypes(dtype_backend="pyarrow"),
    "pandas categorical": lambda c: CONTAINERS["pandas"](c).astype(
        {"u": "category", "i": "category"}
    ),
    "polars": lambda columns: pl.DataFrame(dict(zip("uit", columns, strict=False))),
    "pyarrow": lambda columns: CONTAINERS["polars"](columns).to_arrow(),
    "array": np.column_stack,
    "array, Fortran order": lambda c: np.asfortranarray(np.column_stack(c)),
    "array, swapped bytes": lambda c: np.column_stack(c).astype(np.dtype(np.int64).newbyteorder()),
    "array of objects": lambda columns: np.array(as_list(columns), dtype=object),
    "array of floats": lambda columns: np.column_stack(columns).astype(np.float64),
    "list": as_list,
}


@pytest.fixture(params=CONTAINERS)
def container(request):
    if "pyarrow" in request.param:
        pytest.importorskip("pyarrow")
    return CONTAINERS[request.param]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("with_time", [False, True])
@pytest.mark.parametrize("with_strength", [False, True])
def test_tables_equal_the_reference(container, seed, with_time, with_strength):
    *columns, strength = random_rows(seed)
    y = strength if with_strength else None
    columns = columns if with_time else columns[:2]
    interactions = index_interactions(container(columns), y, time_col=2 if with_time else None)
    user, item, *times = (column.tolist() for column in columns)
    assert_indexed(interactions, user, item, y, *times)


KINDS = {
    "str": lambda k: f"id{k:03d}",
    "bytes": lambda k: f"id{k:03d}".encode(),
    "float": lambda k: k / 8,
    "UUID": lambda k: uuid.UUID(int=k),
    "datetime": lambda k: datetime.datetime(2020, 1, 1) + datetime.timedelta(hours=k),
    "date": lambda k: datetime.date(2020, 1, 1) + datetime.timedelta(days=k),
    "tuple": lambda k: (k // 4, k % 4),
    "bool": lambda k: k % 2 == 0,
    "big int": lambda k: 2**64 + k,
}


@pytest.mark.parametrize("kind", KINDS)
def test_ids_of_any_hashable_kind(kind):
    rng = np.random.default_rng(0)
    user, item = ([KINDS[kind](int(k)) for k in rng.integers(0, 10, 60)] for _ in range(2))
    objects = np.empty((60, 2), dtype=object)
    objects[:, 0], objects[:, 1] = pd.Series(user, dtype=object), pd.Series(item, dtype=object)
    interactions = index_interactions(objects)
    assert_indexed(interactions, user, item)
    positions = encode(interactions.users, objects[:, 0])
    assert interactions.users[positions].tolist() == user
    in_frame = index_interactions(pd.DataFrame({"u": user, "i": item}))
    np.testing.assert_array_equal(in_frame.matrix.toarray(), interactions.matrix.toarray())
    np.testing.assert_array_equal(encode(in_frame.users, objects[:, 0]), positions)


def frame(**columns):
    return pd.DataFrame({name: pd.Series(values) for name, values in columns.items()})


STRINGS = ["b", "a", "b"]


@pytest.mark.parametrize(
    ("X", "dtype"),
    [
        (np.array([[2, 1], [1, 1]], dtype=np.int32), np.int32),
        (np.array([[2, 1], [1, 1]], dtype=np.uint8), np.uint8),
        (np.array([[2, 1], [1, 1]], dtype=">i2"), np.int16),
        (np.array([[0.5, 1], [0.25, 1]], dtype=np.float16), np.float16),
        (np.array([["bob", "a"], ["al", "b"]]), np.dtype("<U3")),
        (np.array([[b"bob", b"a"], [b"al", b"b"]]), np.dtype("S3")),
        (np.array([["bob", 1], ["al", 2]], dtype=object), object),
        (np.array([[5, 1], [3, 2]], dtype="M8[D]"), np.dtype("M8[D]")),
        (np.array([[True, False], [False, True]]), bool),
        ([["bob", 1], ["al", 2]], object),
        ([[7, "bob"], [8, "al"]], np.int64),
        (frame(u=pd.Series([3, 1], dtype="Int64"), i=[1, 2]), np.int64),
        (frame(u=pd.Series([3, 1], dtype="UInt16"), i=[1, 2]), np.uint16),
        (frame(u=STRINGS, i=[1, 2, 3]), object),
        (frame(u=pd.Series(STRINGS, dtype="string"), i=[1, 2, 3]), object),
        (frame(u=pd.Series(STRINGS, dtype="category"), i=[1, 2, 3]), object),
        (frame(u=pd.Series(np.int32([3, 1])).astype("category"), i=[1, 2]), np.int32),
        (pl.DataFrame({"u": [3, 1], "i": [1, 2]}, schema_overrides={"u": pl.UInt32}), np.uint32),
        (pl.DataFrame({"u": STRINGS, "i": [1, 2, 3]}), object),
        (pl.DataFrame({"u": STRINGS, "i": [1, 2, 3]}, {"u": pl.Categorical, "i": int}), object),
        (pl.DataFrame({"u": STRINGS, "i": [1, 2, 3]}, {"u": pl.Enum("ab"), "i": int}), object),
        (pl.DataFrame({"u": [datetime.date(2020, 1, 2)], "i": [1]}), np.dtype("M8[D]")),
    ],
)
def test_ids_keep_their_dtype(X, dtype):
    ids = index_interactions(X).users
    assert ids.dtype == dtype
    assert ids.dtype.isnative
    column = np.unique(read_columns(X)[0])
    np.testing.assert_array_equal(ids, column)
    assert column.dtype == dtype


def test_ids_that_do_not_sort_come_by_first_appearance():
    users = [3, "b", 1, (1, 2), "b", 3, uuid.UUID(int=1)]
    X = pd.DataFrame({"u": pd.Series(users, dtype=object), "i": [5, 5, 5, 4, 4, 4, 4]})
    interactions = index_interactions(X)
    assert interactions.users.tolist() == [3, "b", 1, (1, 2), uuid.UUID(int=1)]
    sums, histories = as_dicts(interactions)
    assert (sums, histories) == reference(users, X["i"].tolist())


def test_repeated_pairs_take_the_place_of_their_latest_interaction():
    X = [["u", "a"], ["u", "b"], ["u", "a"], ["u", "c"], ["u", "b"]]
    interactions = index_interactions(X, [1, 1, 1, 1, 0])  # the last row is not an interaction
    assert interactions.items[interactions.history].tolist() == ["b", "a", "c"]
    assert interactions.matrix.toarray().tolist() == [[2, 1, 1]]
    assert interactions.recency_rank.tolist() == [1, 2, 0]


def test_sums_are_more_exact_than_float32():
    strengths = np.full(300_000, 0.1)
    X = np.zeros((len(strengths), 2), dtype=int)
    total = index_interactions(X, strengths).matrix[0, 0]
    assert total == pytest.approx(float(np.float32(0.1)) * len(strengths), rel=1e-7)


@pytest.mark.parametrize(
    "times",
    [
        np.array([2.5, -1.0, 0.0]),
        np.array([30, 10, 20], dtype="M8[s]"),
        np.array([30, 10, 20], dtype="m8[D]"),
        np.array([3, 1, 2], dtype=object),
        np.array([True, False, False]),
        pd.Series([3, 1, 2], dtype="Int8"),
        pd.to_datetime(pd.Series(["2020-03-01", "2020-01-01", "2020-02-01"])),
        pd.to_datetime(pd.Series(["2020-03-01", "2020-01-01", "2020-02-01"]), utc=True),
        pd.to_datetime(pd.Series(["2020-03-01", "2020-01-01", "2020-02-01"]), utc=True).astype(
            object
        ),
    ],
)
def test_times(times):
    X = pd.DataFrame({"when": times, "u": 0, "i": ["a", "b", "c"]})
    interactions = index_interactions(X, user_col="u", item_col="i", time_col="when")
    assert interactions.items[interactions.history].tolist() == ["b", "c", "a"]


DAYS = [datetime.date(2020, month, 1) for month in (3, 1, 2)]


@pytest.mark.parametrize(
    "times",
    [
        pl.Series([2.5, -1.0, 0.0]),
        pl.Series([3, 1, 2], dtype=pl.UInt8),
        pl.Series(DAYS),
        pl.Series(DAYS).cast(pl.Datetime),
        pl.Series(DAYS).cast(pl.Datetime).dt.replace_time_zone("Asia/Tokyo"),
        pl.Series(DAYS) - DAYS[0],
    ],
)
def test_polars_times(times):
    X = pl.DataFrame({"when": times, "u": [0, 0, 0], "i": ["a", "b", "c"]})
    interactions = index_interactions(X, user_col="u", item_col="i", time_col="when")
    assert interactions.items[interactions.history].tolist() == ["b", "c", "a"]


def test_other_columns_may_hold_anything():
    X = pd.DataFrame({"x": [None, [1]], "u": [1, 2], "y": [np.nan, "?"], "i": [1, 2]})
    for columns in [{"user_col": "u", "item_col": "i"}, {"user_col": 1, "item_col": 3}]:
        users, items, times = read_columns(X, **columns)
        assert users.tolist() == items.tolist() == [1, 2]
        assert times is None


def test_an_int_is_a_position_where_labels_are_ints_too():
    X = pd.DataFrame({1: [10, 11], 0: [20, 21]})
    users, items, _ = read_columns(X)
    assert (users.tolist(), items.tolist()) == ([10, 11], [20, 21])


@pytest.mark.parametrize("make", [pd.DataFrame, pl.DataFrame])
def test_warns_of_columns_left_unused_at_default_positions(make):
    X = make({"rating": [5, 4], "film": [1, 2], "viewer": [1, 2]})
    with pytest.warns(
        UserWarning, match="3 columns; the first two .* 'rating' for users and 'film'"
    ):
        index_interactions(X)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        index_interactions(X, user_col="viewer", item_col="film")
        index_interactions(X, user_col="rating", item_col="film")
        index_interactions(X, time_col=2)
        index_interactions(X.to_numpy(), time_col=2)
        index_interactions(X.to_numpy(), user_col=2)
        index_interactions(X.to_numpy(), usual_width=3)
    for array in (X.to_numpy(), X.to_numpy().tolist()):
        with pytest.warns(UserWarning, match=r"array of shape \(2, 3\).* user in column 0"):
            index_interactions(array)


def test_a_matrix_in_a_frame_is_told_in_few_words():
    wide = pd.DataFrame(np.eye(40))
    with pytest.warns(UserWarning) as told:
        index_interactions(wide)
    text = str(told[0].message)
    assert "user-item matrix" in text and "0, 1, 2, 3, 4 and 35 more" in text
    assert len(text) < 600


@pytest.mark.parametrize("make", CONTAINERS.values(), ids=CONTAINERS)
def test_input_is_not_modified(make):
    if make in (CONTAINERS["pyarrow"], CONTAINERS["pandas pyarrow"]):
        pytest.importorskip("pyarrow")
    *columns, y = random_rows(0)
    X = make(columns)
    if isinstance(X, np.ndarray):
        X.flags.writeable = False
    y.flags.writeable = False
    before = pickle.dumps(X)
    index_interactions(X, y, time_col=2, extra_items=columns[1][::-1])
    assert pickle.dumps(X) == before


# Sparse matrices


def random_matrix(seed):
    dense = np.random.default_rng(seed).random((N_USERS, N_ITEMS))
    matrix = sp.coo_array(np.where(dense > 0.7, dense, 0))
    matrix.data[::7] = 0  # explicit zeros
    return matrix


FORMATS = ["csr", "csc", "coo", "lil", "dok", "bsr", "dia"]


@pytest.mark.parametrize("sparse_type", [sp.csr_array, sp.csr_matrix])
@pytest.mark.parametrize("sparse_format", FORMATS)
def test_sparse_matrices(sparse_type, sparse_format):
    X = sparse_type(random_matrix(0)).asformat(sparse_format)
    before = X.toarray()
    interactions = index_interactions(X)
    as_dicts(interactions)
    np.testing.assert_array_equal(interactions.users, np.arange(N_USERS))
    np.testing.assert_array_equal(interactions.items, np.arange(N_ITEMS))
    np.testing.assert_array_equal(interactions.matrix.toarray(), before.astype(np.float32))
    np.testing.assert_array_equal(interactions.history, interactions.matrix.indices)
    np.testing.assert_array_equal(X.toarray(), before)


def test_unsorted_duplicate_and_read_only_sparse_entries():
    data, indices, indptr = np.array([1, 2, 4, 0]), np.array([2, 0, 2, 1]), np.array([0, 4, 4])
    for array in (data, indices, indptr):
        array.flags.writeable = False
    interactions = index_interactions(sp.csr_matrix((data, indices, indptr), shape=(2, 3)))
    assert interactions.matrix.toarray().tolist() == [[2, 0, 5], [0, 0, 0]]
    assert interactions.history.tolist() == [0, 2]


@pytest.mark.parametrize("seed", range(3))
def test_interactions_from_sparse_round_trip(seed):
    csr = random_matrix(seed)
    X, y = interactions_from_sparse(csr)
    assert (X.dtype, y.dtype) == (np.int64, np.float32)
    assert (y > 0).all()
    dense = np.zeros(csr.shape, dtype=np.float32)
    dense[X[:, 0], X[:, 1]] = y
    np.testing.assert_array_equal(dense, csr.toarray().astype(np.float32))
    from_table, from_matrix = index_interactions(X, y), index_interactions(csr)
    for a, b in zip(as_dicts(from_table), as_dicts(from_matrix), strict=True):
        assert a == b


def test_interactions_from_sparse_wants_sparse():
    with pytest.raises(TypeError, match="ndarray"):
        interactions_from_sparse(np.eye(3))


@pytest.mark.parametrize(
    ("X", "y", "match"),
    [
        (sp.eye_array(3).tocsr(), [1, 1, 1], "y must be None"),
        (-sp.eye_array(3).tocsr(), None, "Negative"),
        (sp.csr_array([[np.nan, 1]]), None, "missing or infinite"),
        (sp.csr_array([[np.inf, 1]]), None, "missing or infinite"),
        (sp.csr_array([[1j, 1]]), None, "Complex"),
        (sp.csr_array((3, 3)), None, "must contain at least one strength > 0"),
        (sp.csr_array((0, 3)), None, r"shape \(0, 3\)"),
        (sp.coo_array([1.0, 2.0]), None, r"\(n_users, n_items\)"),
    ],
)
def test_bad_sparse_matrices(X, y, match):
    with pytest.raises(ValueError, match=match):
        index_interactions(X, y)


def test_read_columns_names_the_way_out_for_sparse():
    with pytest.raises(TypeError, match=r"sparse.*interactions_from_sparse"):
        read_columns(sp.eye_array(3))


# Additional items


@pytest.mark.parametrize("seed", range(3))
def test_extra_items_are_merged(container, seed):
    user, item, *_ = random_rows(seed)
    extra = np.random.default_rng(seed).permutation(np.r_[item[:5], item[:3], 7, 10**13, -1, -1])
    interactions = index_interactions(container([user, item]), extra_items=extra)
    assert_indexed(interactions, user.tolist(), item.tolist(), extra_items=extra.tolist())


def test_extra_items_of_sparse():
    interactions = index_interactions(sp.eye_array(3).tocsr(), extra_items=[5, 1, -1])
    assert interactions.items.tolist() == [-1, 0, 1, 2, 5]
    np.testing.assert_array_equal(interactions.matrix.toarray()[:, 1:4], np.eye(3))


@pytest.mark.parametrize(
    ("ids", "extra", "dtype"),
    [
        (np.array([1, 2], dtype=np.int32), np.array([2], dtype=np.int64), np.int32),
        (np.array([1, 2], dtype=np.uint32), np.array([2, 3]), np.int64),
        (np.array([1, 2**63 + 1], dtype=np.uint64), np.array([1, -3]), object),
        (np.array(["a", "b"]), np.array(["a", "long"]), np.dtype("<U4")),
        (np.array(["a", "b"]), np.array(["a", "long"], dtype=object), object),
        (np.array([1, 2]), np.array([1, "x"], dtype=object), object),
        (np.array([1, 2], dtype="M8[s]"), np.array([1, 86400 * 10**3], dtype="M8[s]"), "M8[s]"),
    ],
)
def test_extra_items_leave_no_id_changed(ids, extra, dtype):
    items = index_interactions(np.column_stack((ids, ids)), extra_items=extra).items
    assert items.dtype == dtype
    assert set(items.tolist()) == {*ids.tolist(), *extra.tolist()}


def test_warns_when_no_item_of_X_is_among_the_extra_items():
    X = np.array([["ann", 1], ["bob", 2]])  # converts the items to strings
    with pytest.warns(UserWarning, match="No item id of X is in item_data.*'1'.* like 3"):
        interactions = index_interactions(X, extra_items=np.array([3, 2, 1]))
    assert interactions.items.tolist() == ["1", "2", 3, 2, 1]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        index_interactions([["ann", 1], ["bob", 4]], extra_items=np.array([3, 2, 1]))


@pytest.mark.parametrize("extra", [np.array([1.0, np.nan]), np.array([1, None]), np.eye(2)])
def test_bad_extra_items(extra):
    with pytest.raises(ValueError, match="item_data"):
        index_interactions([[1, 1]], extra_items=extra)


# Looking up ids


MIXTURE = {
    "int": np.array([1, 2, 3]),
    "uint": np.array([3, 2, 2**64 - 1], dtype=np.uint64),
    "swapped": np.array([3, 1], dtype=">i4"),
    "float": np.array([1.5, 2.0, 1e300]),
    "bool": np.array([True, False]),
    "str": np.array(["1", "2", "b"]),
    "bytes": np.array([b"1", b"b"]),
    "objects": np.array([1, "1", 2.0, "b", uuid.UUID(int=1)], dtype=object),
    "tuples": pd.Series([(1, 2), (3, 4)], dtype=object).to_numpy(),
    "datetime": np.array([1, 2], dtype="M8[D]"),
    "timedelta": np.array([1, 2], dtype="m8[s]"),
    "empty": np.array([], dtype=object),
}


@pytest.mark.parametrize("values", MIXTURE)
@pytest.mark.parametrize("ids", MIXTURE)
def test_encode_any_mixture(ids, values):
    if "float" in {ids, values} and {ids, values} & {"int", "uint", "swapped"}:  # 1.5 and 1e300
        with pytest.raises(
            ValueError, match=r"integers in one table and floats in another.* \(e.g. 1\.5\),"
        ):
            encode(MIXTURE[ids], MIXTURE[values])
        return
    positions = encode(MIXTURE[ids], MIXTURE[values])
    assert positions.dtype == np.intp
    known = {id_: position for position, id_ in enumerate(MIXTURE[ids].tolist())}
    pair = {ids, values}
    if (
        pair == {"datetime", "timedelta"}  # integers, as Python objects
        or ("bool" in pair and pair & {"int", "uint", "swapped", "float"})
    ):
        known = {}
    expected = [known.get(value, -1) for value in MIXTURE[values].tolist()]
    np.testing.assert_array_equal(positions, expected)


WHOLE = {
    "float64": np.array([2.0, 5.0, 2.0**53 - 1]),
    "float32": np.array([2, 5, 2**24 - 1], dtype=np.float32),
    "objects": np.array([2.0, 5.0, 2.0**53 - 1], dtype=object),
    "mixed objects": np.array([2, 5.0, 2**60 + 1], dtype=object),
}
UNSURE = {
    "float64": np.array([2.0, 2.0**53]),
    "float32": np.array([2, 2**24], dtype=np.float32),
    "a fraction": np.array([2.0, 2.5]),
    "objects": np.array([2.0, -(2.0**60)], dtype=object),
    "mixed objects": np.array([2, 2.0**60], dtype=object),
}


@pytest.mark.parametrize("integers", [np.int64, np.uint64, object])
@pytest.mark.parametrize("floats", WHOLE)
def test_whole_floats_are_the_integers_they_stand_for(integers, floats):
    floats = WHOLE[floats]
    ids = np.array([1, 2, int(floats[2]), 5, 2**60], dtype=integers)
    np.testing.assert_array_equal(encode(ids, floats), [1, 3, 2])
    np.testing.assert_array_equal(encode(floats, ids), [-1, 0, 2, 1, -1])
    for joined in (concatenate_ids(ids, floats), concatenate_ids(floats, ids)):
        assert {type(value) for value in joined.tolist()} == {int}
        assert set(joined.tolist()) == {1, 2, int(floats[2]), 5, 2**60}


@pytest.mark.parametrize("floats", UNSURE)
def test_floats_that_may_be_other_integers_are_errors(floats):
    ids = np.array([1, 2, 2**60 + 1])
    for one, other in ((ids, UNSURE[floats]), (UNSURE[floats], ids)):
        for use in (encode, concatenate_ids):
            with pytest.raises(ValueError, match=r"floats in another.*Int64.*dtype=str"):
                use(one, other)


@pytest.mark.parametrize("dtype", [np.float32, np.int16, np.uint8, np.int8, bool])
@pytest.mark.parametrize("container", ["coo_matrix", "coo_array", "csr_matrix", "csc_matrix"])
def test_repeated_entries_of_any_dtype_add_up(dtype, container):
    n = 300
    pairs = np.ones(n, dtype), (np.zeros(n, int), np.zeros(n, int))
    matrix = {
        "coo_matrix": lambda: sp.coo_matrix(pairs, (2, 3)),
        "coo_array": lambda: sp.coo_array(pairs, (2, 3)),
        "csr_matrix": lambda: sp.csr_matrix((pairs[0], pairs[1][1], [0, n, n]), (2, 3)),
        "csc_matrix": lambda: sp.csc_matrix((pairs[0], pairs[1][0], [0, n, n, n]), (2, 3)),
    }[container]()
    X, y = interactions_from_sparse(matrix)
    assert (X.tolist(), y.tolist()) == ([[0, 0]], [300.0])
    assert matrix.dtype == dtype
    assert matrix.nnz == n


# Bad input


def table(**changes):
    return pd.DataFrame({"user": [1, 2, 3], "item": [4, 5, 6], "time": [7, 8, 9]}).assign(**changes)


COLUMNS = {"user_col": "user", "item_col": "item"}
MISSING = {
    "None": [1, None, None],
    "NaN": [1.0, np.nan, np.nan],
    "inf": [1.0, np.inf, -np.inf],
    "inf object": pd.Series(["a", np.inf, -np.inf], dtype=object),
    "NA": pd.Series([1, pd.NA, None], dtype="Int64"),
    "NA object": pd.Series(["a", pd.NA, None], dtype=object),
    "NA string": pd.Series(["a", None, None], dtype="string"),
    "NaT": pd.to_datetime(pd.Series(["2020-01-01", None, None])),
    "category": pd.Series(["a", None, None], dtype="category"),
}


@pytest.mark.parametrize("values", MISSING.values(), ids=MISSING)
@pytest.mark.parametrize("column", ["user", "item", "time"])
def test_missing_and_infinite_ids_and_times(column, values):
    X = table(**{column: values})
    message = (
        f"Column '{column}' of X .{column}_col. must not .* missing .* got 2 .* first in row 1"
    )
    with pytest.raises(ValueError, match=message):
        read_columns(X, **COLUMNS, time_col="time")
    array = X[["user", "item", "time"]].to_numpy(dtype=object)
    with pytest.raises(ValueError, match=f"{column}_col. must not .* missing .* got 2"):
        read_columns(array, time_col=2)


@pytest.mark.parametrize(
    "values", [[1, None, None], ["a", None, None], [1.0, float("nan"), float("inf")]]
)
def test_missing_polars_ids(values):
    X = pl.DataFrame({"user": values, "item": [1, 2, 3]})
    with pytest.raises(
        ValueError, match=r"Column 'user' of X .user_col. must not .* missing .* got 2"
    ):
        read_columns(X)


@pytest.mark.parametrize(
    ("X", "columns", "match"),
    [
        (table(), {"user_col": "viewer"}, r"user_col='viewer'.*\['user', 'item', 'time'\]"),
        (table(), {"user_col": "a", "item_col": "b"}, "user_col='a', item_col='b'"),
        (table(), {"time_col": 3}, r"3 feature\(s\).*minimum of 4.*time_col=3.*'user', 'item'"),
        (table(), {"item_col": 0}, "different columns; got user_col=0, item_col=0"),
        (table(), {"item_col": "user"}, "different columns; got user_col=0, item_col='user'"),
        (table(), {"time_col": "item"}, "different columns"),
        (table(), {"user_col": -1}, "user_col must be a position >= 0; got -1"),
        (np.ones((3, 1)), {}, r"1 feature\(s\)"),
        (np.ones((3, 0)), {}, r"0 feature\(s\) \(shape=\(3, 0\)\) while a minimum of 2"),
        (np.ones((0, 2)), {}, r"0 sample\(s\)"),
        (pl.DataFrame({"u": [], "i": []}), {}, r"0 sample\(s\)"),
        ([], {}, r"0 feature\(s\)"),
        (np.ones(3), {}, r"2-D.*ndarray of shape \(3,\)"),
        (np.ones((3, 2, 2)), {}, r"shape \(3, 2, 2\)"),
        (pd.Series([1, 2]), {}, "Series"),
        (pl.LazyFrame({"u": [1]}), {}, r"X has 1 feature\(s\).* while a minimum of 2"),
        ({"u": [1], "i": [1]}, {}, r"got a dict: pass pd.DataFrame\(X\)"),
        ("likes.csv", {}, r"got a str: .* pd.read_csv\(X\)"),
        (None, {}, "got None: pass the interactions"),
        (table().set_index("user")[["item"]], {}, r"its index \('user'\).*X.reset_index\(\)"),
        (table().set_index(["user", "item"]), {"user_col": "user"}, r"X.reset_index\(\)"),
        (table().set_index(["user", "item"])["time"], {}, r"X.reset_index\(\)"),
        (pd.DataFrame([[1, 2, 3]], columns=["u", "i", "i"]), {}, r"\['i'\] more than once"),
        (np.ones((3, 2)) * 1j, {}, "Complex data not supported"),
    ],
)
def test_bad_tables(X, columns, match):
    with pytest.raises(ValueError, match=match):
        read_columns(X, **columns)


@pytest.mark.parametrize(
    ("X", "columns", "match"),
    [
        (
            np.ones((3, 2)),
            {"user_col": "user"},
            "user_col='user' is a column name, but X is an",
        ),
        (table(), {"user_col": 0.0}, "must be the position .* got 0.0"),
        (table(), {"user_col": None}, "got None"),
        (table(), {"user_col": True}, "got True"),
        (table(time=["x", "y", "z"]), {"time_col": 2}, "'time' .*numbers or datetimes; .*'x'"),
        (np.array([["ann", "a", 1]]), {"time_col": 2}, "Column 2 .*numbers or datetimes"),
        (table(user=[[1], [2], [1]]), COLUMNS, "hashable"),
    ],
)
def test_wrong_types(X, columns, match):
    with pytest.raises(TypeError, match=match):
        index_interactions(X, **columns)


@pytest.mark.parametrize("y", [[0, 0, 0], np.zeros(3), [False] * 3])
def test_no_positive_strength(y):
    with pytest.raises(ValueError, match="must contain at least one strength > 0"):
        index_interactions(table(), y, **COLUMNS)


@pytest.mark.parametrize(
    "y",
    [
        [1, 0, 2.5],
        np.array([1, 0, 2.5], dtype=">f8"),
        np.array([1, 0, 2.5], dtype=object),
        pd.Series([1, 0, 2.5], index=[7, 8, 9]),
        pd.Series([1, 0, 2.5], dtype="Float64"),
        pl.Series([1.0, 0.0, 2.5]),
    ],
)
def test_strengths(y):
    strengths = read_strengths(y, 3)
    assert strengths.dtype == np.float32
    assert strengths.tolist() == [1, 0, 2.5]


def test_no_strengths_are_ones():
    assert read_strengths(None, 2).tolist() == [1, 1]


@pytest.mark.parametrize(
    ("y", "error", "match"),
    [
        ([1, 2], ValueError, r"each of the 3 rows of X; got shape \(2,\)"),
        ([[1], [2], [3]], ValueError, r"1-D .* got shape \(3, 1\)"),
        (pd.DataFrame({"y": [1, 2, 3]}), ValueError, "1-D"),
        (1.0, ValueError, r"shape \(\)"),
        ("likes", ValueError, r"got shape \(\)\. .* y=X\['likes'\]"),
        ([1, -2, -3], ValueError, r"got 2 negative values \(e.g. -2"),
        ([1, np.nan, 1], ValueError, "y must not .* got 1 .* row 1"),
        ([1, None, 1], ValueError, "y must not contain missing .* got 1"),
        (pd.Series([1, None, 1], dtype="Int64"), ValueError, "y must not contain missing .* got 1"),
        (pl.Series([1, None, 1]), ValueError, "y must not contain missing .* got 1"),
        ([1, 1, np.inf], ValueError, "y must not contain missing or infinite .* got 1"),
        ([1, 1, 1e300], ValueError, "range of float32"),
        ([1, 1, 1j], ValueError, "Complex"),
        (["1", "2", "3"], TypeError, "numbers; got text .*'1'"),
        (np.array(["1", 2, 3], dtype=object), TypeError, "numbers; got dtype object"),
        (np.array([1, 2, 3], dtype="M8[s]"), TypeError, "numbers"),
    ],
)
def test_bad_strengths(y, error, match):
    with pytest.raises(error, match=match):
        read_strengths(y, 3)


def test_a_column_as_y_is_told_how_to_take_it_out():
    for y in (np.ones((3, 1)), pd.DataFrame({"y": [1, 2, 3]}), pl.DataFrame({"y": [1, 2, 3]})):
        with pytest.raises(ValueError, match=r"got shape \(3, 1\).* y.iloc\[:, 0\]"):
            read_strengths(y, 3)


def test_decimals_are_numbers():
    y = pd.Series([Decimal("1.50"), Decimal("2.00"), Decimal("0.25")])
    for values in (y, y.to_numpy(), y.tolist(), pl.Series(y.tolist())):
        np.testing.assert_array_equal(read_strengths(values, 3), [1.5, 2, 0.25])
    with pytest.raises(ValueError, match="strengths >= 0"):
        read_strengths(-y, 3)


@pytest.mark.parametrize("other", [2, 2.0, np.int64(2), np.float32(2), True + 1])
def test_decimals_beside_other_numbers_are_numbers(other):
    y = [Decimal("1.50"), other, Decimal("0.25")]
    for values in (y, pd.Series(y, dtype=object)):
        np.testing.assert_array_equal(read_strengths(values, 3), [1.5, 2, 0.25])
    with pytest.raises(TypeError, match="must contain numbers"):
        read_strengths([Decimal("1.50"), "2", 1], 3)


RETURNS = pd.DataFrame(
    [
        ("ann", "bag", 1, 5.0),
        ("ann", "cup", 2, 3.0),
        ("ann", "bag", 3, -2.0),  # partial return: 3 are left, at the time of purchase
        ("ann", "cup", 4, -3.0),  # everything is returned
        ("ann", "hat", 5, 1.0),
        ("bob", "cup", 1, -4.0),  # bought before the log starts
        ("bob", "hat", 6, 2.0),
        ("bob", "bag", 7, 1.5),
        ("bob", "hat", 8, -1.0),
        ("bob", "hat", 9, 0.5),
        ("cat", "cup", 1, -1.0),
    ],
    columns=["user", "item", "time", "y"],
)


@pytest.mark.parametrize("shuffled", [False, True])
@pytest.mark.parametrize("time_col", [None, "time"])
def test_returns_are_taken_off(shuffled, time_col):
    rows = RETURNS
    if shuffled and time_col:
        rows = rows.sample(frac=1, random_state=3)
    columns = {"user_col": "user", "item_col": "item", "time_col": time_col}
    net = index_interactions(rows, rows["y"], **columns, negatives="net")
    sums, histories = as_dicts(net)
    assert sums == {
        ("ann", "bag"): 3, ("ann", "hat"): 1, ("bob", "hat"): 1.5, ("bob", "bag"): 1.5,
    }  # fmt: skip
    assert histories == {"ann": ["bag", "hat"], "bob": ["bag", "hat"]}
    assert (net.users.tolist(), net.items.tolist()) == (
        ["ann", "bob", "cat"],
        ["bag", "cup", "hat"],
    )
    if time_col:
        assert dict(zip(histories["bob"], sorted(net.times[2:]), strict=True)) == {
            "bag": 7,
            "hat": 9,
        }


def test_returns_are_an_error_that_says_how_to_net_them():
    X, y = RETURNS[["user", "item"]], RETURNS["y"]
    with pytest.raises(ValueError, match="returns") as told:
        index_interactions(X, y)
    lines = [line.strip() for line in str(told.value).splitlines() if line.startswith("    ")]
    assert lines[-1].startswith("model.fit(")
    names = {"X": X, "y": y}
    exec("\n".join(lines[:-1]), names)  # run the suggested remedy literally
    one = index_interactions(names["net"][["user", "item"]], names["net"]["y"])
    other = index_interactions(X, y, negatives="net")
    assert as_dicts(one)[0] == as_dicts(other)[0]
    with pytest.raises(ValueError, match=r"pair must have a sum > 0; got no such pair in 2 rows"):
        index_interactions([["a", 1], ["a", 1]], [1, -1], negatives="net")
    with pytest.raises(ValueError, match="range of float32"):
        index_interactions(X, y * 1e300, negatives="net")


@pytest.mark.parametrize("container", [sp.csr_matrix, sp.coo_array])
def test_returns_in_a_sparse_matrix(container):
    X = container(np.array([[5.0, -1, 0], [2, 0, 1]]))
    with pytest.raises(ValueError, match="returns"):
        index_interactions(X)
    net = index_interactions(X, negatives="net").matrix
    np.testing.assert_array_equal(net.toarray(), [[5, 0, 0], [2, 0, 1]])
    twice = sp.coo_matrix(([3, -2, 1, -1], ([0, 0, 1, 1], [1, 1, 0, 0])), (2, 2))
    net = index_interactions(twice, negatives="net").matrix
    np.testing.assert_array_equal(net.toarray(), [[0, 1], [0, 0]])
    assert net.nnz == 1


def test_interactions_are_counted_in_chunks(monkeypatch):
    monkeypatch.setattr(_interactions, "_ENTRIES_PER_CHUNK", 7)
    matrix = sp.random(20, 9, 0.3, format="csr", random_state=0)
    matrix = sp.hstack([matrix, sp.csr_matrix((20, 2))], format="csr")  # without interactions
    np.testing.assert_array_equal(count_interactions(matrix), (matrix.toarray() > 0).sum(axis=0))
    np.testing.assert_array_equal(count_interactions(matrix[:0]), np.zeros(11))


# Advice that can be pasted


@pytest.mark.parametrize("time_col", [None, "date"])
def test_the_advice_on_returns_runs(time_col):
    X = pd.DataFrame({"who": list("aabb"), "what": list("xyxy"), "date": [1, 2, 3, 4]})
    y = np.array([2, -1, -1, 3])
    columns = {"user_col": "who", "item_col": "what", "time_col": time_col}
    with pytest.raises(ValueError, match="got 2 negative values") as error:
        index_interactions(X, y, **columns)
    code = [line[4:] for line in str(error.value).splitlines() if line.startswith("    ")]
    fitted = []

    class Model:
        def fit(self, X, y):
            fitted.append(index_interactions(X, y, **columns))

    exec("\n".join(code), {"X": X, "y": y, "model": Model()})
    expected = index_interactions(X, y, **columns, negatives="net")
    (found,) = fitted
    assert found.users.tolist() == expected.users.tolist()
    np.testing.assert_array_equal(found.matrix.toarray(), expected.matrix.toarray())
    assert (found.times is None) == (time_col is None)


@pytest.mark.parametrize("order", [[1, 0, 2], [2, 1, 0]])
def test_strengths_in_another_order_are_noticed(order):
    X = pd.DataFrame({"user": [1, 2, 3], "item": [4, 5, 6]}, index=[7, 8, 9])
    y = pd.Series([1.0, 2.0, 3.0], index=X.index)
    with pytest.warns(UserWarning, match="paired by position"):
        found = index_interactions(X, y.iloc[order])
    assert found.matrix.data.tolist() == y.iloc[order].tolist()


@pytest.mark.parametrize("index", [[7, 8, 9], [0, 1, 2], [7, 8, 10]])
def test_strengths_in_order_or_of_other_labels_are_taken_by_position(index):
    X = pd.DataFrame({"user": [1, 2, 3], "item": [4, 5, 6]}, index=[7, 8, 9])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = index_interactions(X, pd.Series([1.0, 2.0, 3.0], index=index))
    assert found.matrix.data.tolist() == [1, 2, 3]


@pytest.mark.parametrize(
    "texts",
    [
        pd.Series(["01/12/2010", "31/12/2010"], dtype=object),
        pd.Series(["01/12/2010", "31/12/2010"], dtype="string"),
        pl.Series(["01/12/2010", "31/12/2010"]).to_pandas(),
    ],
)
def test_dates_as_text_name_the_column_and_the_remedy(texts):
    X = pd.DataFrame({"user": [1, 2], "item": [1, 2], "day": texts})
    message = r"Column 'day' of X \(time_col\) .* got text \(e.g. '01/12/2010'\).* dayfirst=True"
    with pytest.raises(TypeError, match=message):
        read_columns(X, time_col="day")


# Rows of a matrix under their ids


@pytest.mark.parametrize(
    ("users", "items"),
    [
        ([42, 7], None),
        (None, ["x", "y", "z"]),
        (["ann", "bob"], ["x", "y", "z"]),
        (np.array([42, 7]), pd.Index(["x", "y", "z"])),
        (pd.Series(["ann", "bob"]), [3, 1, 2]),
    ],
)
def test_interactions_of_named_rows_and_columns(users, items):
    dense = np.array([[0, 2, 0], [1, 0, 3]])
    X, y = interactions_from_sparse(sp.csr_array(dense), users=users, items=items)
    users = [0, 1] if users is None else list(users)
    items = [0, 1, 2] if items is None else list(items)
    assert X.tolist() == [[users[0], items[1]], [users[1], items[0]], [users[1], items[2]]]
    assert y.tolist() == [2, 1, 3]
    found = index_interactions(X, y)
    assert set(found.users.tolist()) == set(users)
    assert set(found.items.tolist()) == set(items)


def test_names_of_the_wrong_number():
    matrix = sp.csr_array(np.ones((2, 3)))
    with pytest.raises(ValueError, match=r"users must have one id for each of the 2 rows"):
        interactions_from_sparse(matrix, users=[1, 2, 3])
    with pytest.raises(ValueError, match=r"items must have one id for each of the 3 columns"):
        interactions_from_sparse(matrix, items=[[1, 2, 3]])


def test_interactions_from_sparse_keeps_the_types_of_ids():
    matrix = sp.csr_array(np.eye(2))
    X, _ = interactions_from_sparse(matrix, users=["ann", 1], items=[("a", 1), ("b", 2)])
    assert X.tolist() == [["ann", ("a", 1)], [1, ("b", 2)]]
    X, _ = interactions_from_sparse(matrix, users=[7, 8], items=(1, 2))
    assert X.dtype == np.int64


def test_times_with_different_zones_are_read_without_a_warning_for_each():
    hours = [datetime.timedelta(hours=k) for k in (0, 2)]
    zones = [datetime.timezone(hour) for hour in hours]
    times = [datetime.datetime(2026, 1, 1, 12 + k, tzinfo=zones[k % 2]) for k in range(4)]
    X = pd.DataFrame(
        {"user": [1, 1, 2, 2], "item": [1, 2, 1, 2], "time": pd.Series(times, dtype=object)}
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = index_interactions(X, user_col="user", item_col="item", time_col="time")
    utc = [time.astimezone(datetime.timezone.utc).hour for time in times]  # 12, 11, 14, 13
    newest = [utc[0] > utc[1], utc[2] > utc[3]]
    assert [bool(rank == 0) for rank in found.recency_rank[::2]] == newest
