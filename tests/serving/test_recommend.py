"""Recommendations and similar items, compared with loops over all scores."""

import datetime
import tracemalloc
import uuid
import warnings
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp

from sklearn_selreg import SelectiveLLMRegularizedMF
from sklearn_selreg._factorization._top_k import top_k

USERS = np.array([f"u{n:02}" for n in range(30)], dtype=object)
ITEMS = 10 * np.arange(25)
SETTINGS = {"factors": 5, "regularization": 2.0, "alpha": 5.0, "iterations": 5, "random_state": 0}
COLUMNS = {"user_col": "who", "item_col": "film"}


@pytest.fixture(scope="module")
def likes():
    liked = np.random.default_rng(0).random((30, 25)) < 0.3
    liked[np.arange(25), np.arange(25)] = True
    users, items = np.nonzero(liked)
    return pd.DataFrame({"film": ITEMS[items], "who": USERS[users]})


@pytest.fixture(scope="module")
def model(likes):
    return SelectiveLLMRegularizedMF(**SETTINGS, **COLUMNS).fit(likes)


def ranking(model, likes, user, *, filter_seen=True, items=ITEMS, excluded=()):
    """Rank items in a loop; return ids and scores."""
    seen = set(likes["film"][likes["who"] == user]) if filter_seen else set()
    rest = [i for i in items if i not in seen and i not in set(excluded)]
    if not rest:
        return [], []
    scores = model.predict(pd.DataFrame({"who": user, "film": rest}))
    order = np.argsort(-scores)
    return np.array(rest)[order].tolist(), scores[order]


def check(found, model, likes, users, n_items, **how):
    """Compare recommendations with loops; values of `how` may be functions of the user."""
    width = min(n_items, len(ITEMS))
    assert found[0].shape == found[1].shape == (len(users), width)
    for user, ids, scores in zip(users, *found, strict=True):
        own = {name: value(user) if callable(value) else value for name, value in how.items()}
        expected, values = ranking(model, likes, user, **own)
        n = min(n_items, len(expected))
        assert ids[:n].tolist() == expected[:n]
        np.testing.assert_allclose(scores[:n], values[:n], atol=1e-5)
        assert all(i is None for i in ids[n:])
        assert np.isnan(scores[n:]).all()


@pytest.mark.parametrize("filter_seen", [True, False])
@pytest.mark.parametrize("n_items", [3, 40])
@pytest.mark.parametrize("to_container", [list, set, np.array, pd.Series, pl.Series])
def test_items_alone_are_ranked(model, likes, filter_seen, n_items, to_container):
    items = [200, 10, 30, 120, 40, 90]
    found = model.recommend(USERS, n_items, filter_seen=filter_seen, items=to_container(items))
    check(found, model, likes, USERS, n_items, filter_seen=filter_seen, items=items)


def test_repeated_items_count_once(model):
    once, twice = (model.recommend(USERS, 5, items=items) for items in ([30, 90], [90, 30, 90]))
    for a, b in zip(once, twice, strict=True):
        np.testing.assert_array_equal(a, b)


def test_items_that_are_unknown_are_left_out_with_a_warning(model, likes):
    with pytest.warns(UserWarning, match=r"2 of 4 items to rank are unknown .*'30'"):
        found = model.recommend(USERS, 3, items=["30", 30, 90, -1])
    check(found, model, likes, USERS, 3, items=[30, 90])


@pytest.mark.parametrize(
    ("items", "message"),
    [
        ([], "items must contain at least one item id, or be None for all items; got none"),
        (
            ["10", "20"],
            r"known id; got 2 unknown ones \(e.g. '10'\). Known ids look like 0",
        ),
        (10, r"items must be a 1-D array of item ids; got 10. Pass a list, \[10\]"),
        ([[10, 20]], r"items must be a 1-D array of item ids; got shape \(1, 2\)"),
    ],
)
def test_items_that_cannot_be_ranked(model, items, message):
    with pytest.raises(ValueError, match=message):
        model.recommend(USERS, items=items)


@pytest.mark.parametrize("filter_seen", [True, False])
@pytest.mark.parametrize("to_container", [list, set, np.array, pd.Series, pl.Series])
@pytest.mark.filterwarnings("ignore:1 of 5 items to exclude are unknown")
def test_excluded_items_are_for_nobody(model, likes, filter_seen, to_container):
    excluded = [0, 10, 50, 240, -7]
    found = model.recommend(USERS, 22, filter_seen=filter_seen, exclude=to_container(excluded))
    check(found, model, likes, USERS, 22, filter_seen=filter_seen, excluded=excluded)
    found = model.recommend(USERS, 4, items=[0, 10, 70, 80, 90], exclude=to_container(excluded))
    check(found, model, likes, USERS, 4, items=[70, 80, 90])


PAIRS = [("u03", 10), ("u03", 20), ("u07", 0), ("new", 60), ("else", 70), ("u03", 999)]


@pytest.mark.parametrize("filter_seen", [True, False])
@pytest.mark.parametrize(
    "exclude",
    [
        PAIRS,
        np.array(PAIRS, dtype=object),
        pd.DataFrame(PAIRS, columns=["who", "film"]),
        pl.DataFrame(PAIRS, schema=["who", "film"], orient="row"),
        pd.DataFrame(PAIRS, columns=["who", "film"]).assign(why="x")[["film", "why", "who"]],
    ],
)
@pytest.mark.filterwarnings("ignore:1 of 6 items to exclude are unknown")
def test_excluded_pairs_are_for_their_users(model, likes, filter_seen, exclude):
    users = ["u07", "new", "u03", "u00", "new", "u03"]
    found = model.recommend(users, 25, filter_seen=filter_seen, exclude=exclude)
    check(
        found, model, likes, users, 25, filter_seen=filter_seen,
        excluded=lambda user: [i for u, i in PAIRS if u == user],
    )  # fmt: skip
    found = model.recommend(users, 2, items=[0, 10, 60], filter_seen=False, exclude=exclude)
    check(
        found, model, likes, users, 2, items=[0, 10, 60], filter_seen=False,
        excluded=lambda user: [i for u, i in PAIRS if u == user],
    )  # fmt: skip


@pytest.mark.parametrize(
    "nothing", [None, [], np.empty((0, 2)), pd.DataFrame({"who": [], "film": []}), [("x", 10)]]
)
def test_excluding_nothing(model, nothing):
    for a, b in zip(model.recommend(USERS), model.recommend(USERS, exclude=nothing), strict=True):
        np.testing.assert_array_equal(a, b)


def test_excluding_everything(model):
    ids, scores = model.recommend(["u01"], 2, exclude=ITEMS)
    assert ids.tolist() == [[None, None]]
    assert np.isnan(scores).all()
    assert model.recommend(["u01"], 2, exclude=ITEMS, as_frame=True).shape == (0, 4)


@pytest.mark.parametrize(
    ("exclude", "error", "message"),
    [
        (np.zeros((2, 2, 2)), ValueError, r"exclude must be .* got shape \(2, 2, 2\)"),
        (3, ValueError, r"exclude must be .* got 3. Pass a list, \[3\]"),
        (pd.DataFrame({"a": ["u01"], "b": [10]}), ValueError, "no column for user_col='who'"),
        ([("u01",)], ValueError, "1 feature"),
    ],
)
def test_exclude_that_is_no_table(model, exclude, error, message):
    with pytest.raises(error, match=message):
        model.recommend(USERS, exclude=exclude)


@pytest.mark.parametrize("n_items", [0, -1, 2.0, None, True])
def test_counts_that_are_none(model, n_items):
    for method, ids in ((model.recommend, USERS), (model.similar_items, ITEMS)):
        with pytest.raises(ValueError, match="n_items must be an integer >= 1; got"):
            method(ids, n_items)


def test_users_that_are_no_list(model):
    for users in ("u01", 3, [["u01"]], None):
        with pytest.raises(ValueError, match="users must be a 1-D array of user ids"):
            model.recommend(users)


def test_as_frame_is_tidy(model, likes):
    users = ["u05", "u00", "u05"]
    ids, scores = model.recommend(users, 25)
    table = model.recommend(users, 25, as_frame=True)
    assert table.columns.tolist() == ["who", "rank", "film", "score"]
    real = ids != None  # noqa: E711 (element by element)
    assert len(table) == real.sum() < ids.size
    np.testing.assert_array_equal(table["who"], np.repeat(users, real.sum(axis=1)))
    np.testing.assert_array_equal(table["film"], ids[real].astype(int))
    np.testing.assert_array_equal(table["score"], scores[real])
    np.testing.assert_array_equal(table["rank"], np.nonzero(real)[1] + 1)
    assert table["film"].dtype == ITEMS.dtype
    assert table.merge(likes, on=["who", "film"]).empty  # joinable dtypes, and no seen items


@pytest.mark.parametrize("fit_on", ["frame", "polars", "array", "sparse", "reserved"])
def test_columns_of_the_frame_are_called_as_in_fit(likes, fit_on):
    X = likes.rename(columns={"who": "reader"}) if fit_on == "frame" else likes
    frame = {"user_col": 1, "item_col": 0}
    expected = ["user", "rank", "item", "score"]
    if fit_on == "frame":
        expected = ["reader", "rank", "film", "score"]
    elif fit_on == "polars":
        X, frame, expected = pl.DataFrame(likes), COLUMNS, ["who", "rank", "film", "score"]
    elif fit_on == "array":
        X = likes.to_numpy()
    elif fit_on == "sparse":
        X, frame = sp.eye_array(6, format="csr"), {}
    else:
        X = likes.rename(columns={"who": "rank"})
    fitted = SelectiveLLMRegularizedMF(**SETTINGS, **frame).fit(X)
    table = fitted.recommend(fitted.users_[:2], 2, as_frame=True)
    assert table.columns.tolist() == expected
    assert len(table) == 4
    similar = fitted.similar_items(fitted.items_[:2], 2, as_frame=True)
    assert similar.columns.tolist() == [expected[2], "rank", "similar", "score"]


def test_frame_of_unknown_users_holds_what_was_asked_for(model):
    with pytest.warns(UserWarning, match=r"2 of 3 users are unknown .* \(e.g. 7\); .* like 'u00'"):
        table = model.recommend(["who?", "u01", 7], 2, as_frame=True)
    assert table["who"].tolist() == ["who?", "who?", "u01", "u01", 7, 7]


def test_no_users(model):
    assert [a.shape for a in model.recommend([], 3, exclude=[("u01", 10)])] == [(0, 3)] * 2
    assert model.recommend([], 3, as_frame=True).shape == (0, 4)


@pytest.mark.slow
def test_many_users_in_little_memory():
    # A full score matrix would take 400 MB, the seen items of all users another 40.
    rng = np.random.default_rng(0)
    n_users, n_items = 100_000, 1000
    seen = sp.csr_matrix(
        (np.ones(n_users * 10, np.float32), rng.integers(n_items, size=n_users * 10),
         np.arange(n_users + 1) * 10), (n_users, n_items),
    )  # fmt: skip
    model = SelectiveLLMRegularizedMF(factors=8, iterations=1, tuning=None, random_state=0).fit(
        seen
    )
    rows = rng.permutation(n_users)
    tracemalloc.start()
    try:
        ids, scores = model.recommend(rows, 10, exclude=[3, 4])
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2 * (ids.nbytes + scores.nbytes) + 30e6
    few = rng.choice(n_users, 40, replace=False)  # from all chunks
    alone, alone_scores = model.recommend(rows[few], 10, exclude=[3, 4])
    np.testing.assert_array_equal(ids[few], alone)
    np.testing.assert_allclose(scores[few], alone_scores, rtol=1e-5)


@pytest.mark.parametrize("n_queries", [1, 99, 100, 101, 250])
def test_top_k_in_batches_of_any_size(n_queries):
    rng = np.random.default_rng(n_queries)
    users, items = rng.normal(size=(n_queries, 4)), rng.normal(size=(30, 4))
    users, items = users.astype(np.float32), items.astype(np.float32)
    seen = sp.random_array((n_queries, 30), density=0.4, format="csr", rng=rng)
    columns, scores = top_k(users, items, 12, seen=seen, num_threads=2)
    table = np.where(seen.toarray() > 0, -np.inf, users @ items.T)
    expected = -np.sort(-table, axis=1)[:, :12]
    np.testing.assert_array_equal(np.isnan(scores), np.isinf(expected))
    np.testing.assert_allclose(np.nan_to_num(scores, nan=-np.inf), expected, rtol=1e-4)
    np.testing.assert_array_equal(columns < 0, np.isnan(scores))


# similar_items


@pytest.mark.parametrize("item_bias", [0.0, 0.5])
@pytest.mark.parametrize("n_items", [4, 24, 30])
def test_similar_items_have_the_largest_cosines(likes, item_bias, n_items):
    model = SelectiveLLMRegularizedMF(item_bias=item_bias, **SETTINGS, **COLUMNS).fit(likes)
    factors = model.item_factors_[:, :5].astype(float)
    cosines = factors @ factors.T / np.outer(*[np.linalg.norm(factors, axis=1)] * 2)
    queries = [70, 0, 70, 240]
    similar, similarities = model.similar_items(queries, n_items)
    assert similar.shape == similarities.shape == (4, min(n_items, 25))
    n = min(n_items, 24)
    for item, found, values in zip(queries, similar, similarities, strict=True):
        row = cosines[item // 10].copy()
        row[item // 10] = -2
        best = np.argsort(-row)[:n]
        assert found[:n].tolist() == ITEMS[best].tolist()
        np.testing.assert_allclose(values[:n], row[best], atol=1e-5)
        assert np.isnan(values[n:]).all()
        assert all(i is None for i in found[n:])


def test_similar_items_as_frame(model):
    similar, similarities = model.similar_items([10, 0], 3)
    table = model.similar_items([10, 0], 3, as_frame=True)
    assert table.columns.tolist() == ["film", "rank", "similar", "score"]
    assert table["film"].tolist() == [10] * 3 + [0] * 3
    np.testing.assert_array_equal(table["similar"], similar.ravel())
    np.testing.assert_array_equal(table["score"], similarities.ravel())


def test_items_without_factors_are_similar_to_none(likes):
    model = SelectiveLLMRegularizedMF(**SETTINGS, **COLUMNS).fit(likes)
    model.item_factors_[7, :5] = 0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        _, similarities = model.similar_items([70], 24)
    assert set(similarities[0].tolist()) == {0.0}


def test_similar_to_unknown_items(model):
    with pytest.raises(
        KeyError, match=r"^2 of 3 item ids are unknown to the model: 'x', 5\. Known"
    ):
        model.similar_items(["x", 10, 5])


@pytest.mark.parametrize("method", ["recommend", "similar_items"])
def test_as_many_as_there_are_take_little_memory(likes, method):
    model = SelectiveLLMRegularizedMF(**COLUMNS, **SETTINGS).fit(likes)
    ask = getattr(model, method)
    ids = USERS[:3] if method == "recommend" else ITEMS[:3]
    tracemalloc.start()
    found, scores = ask(ids, 10**7)
    table = ask(ids, 10**7, as_frame=True)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2**20
    expected, expected_scores = ask(ids, 25)
    np.testing.assert_array_equal(found[:, :25], expected)
    np.testing.assert_array_equal(scores[:, :25], expected_scores)
    assert (found[:, 25:] == None).all()  # noqa: E711
    assert len(table) == np.sum(expected != None)  # noqa: E711


# Ids of all kinds


ID_KINDS = {
    "tuples": lambda k: ("shop", k),
    "UUIDs": lambda k: uuid.UUID(int=k),
    "bytes": lambda k: b"id%02d" % k,
    "dates": lambda k: datetime.date(2020, 1, 1) + datetime.timedelta(days=k),
    "datetimes": lambda k: pd.Timestamp("2020-01-01") + pd.Timedelta(days=k),
    "decimals": Decimal,
}


@pytest.mark.parametrize("container", [list, tuple, "array"])
@pytest.mark.parametrize("kind", ID_KINDS)
def test_ids_of_all_kinds_are_asked_for_as_they_are(kind, container):
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"user": rng.integers(0, 20, 150), "item": rng.integers(0, 12, 150)})
    numbers = SelectiveLLMRegularizedMF(factors=3, iterations=3, random_state=0).fit(X)
    make = ID_KINDS[kind]

    def ids(values):
        column = np.empty(len(values), dtype=object)
        column[:] = [make(int(value)) for value in values]
        return pd.Series(column).infer_objects()

    def given(values):
        values = ids(values)
        return values.to_numpy() if container == "array" else container(values.tolist())

    model = SelectiveLLMRegularizedMF(factors=3, iterations=3, random_state=0)
    model.fit(pd.DataFrame({"user": ids(X["user"]), "item": ids(X["item"])}))

    def same(found, expected):
        for row, other in zip(found.tolist(), expected.tolist(), strict=True):
            wanted = [None if value is None else make(value) for value in other]
            assert [None if v is None else make_plain(v) for v in row] == wanted

    def make_plain(value):  # numpy converts nanoseconds to ints
        return pd.Timestamp(value) if kind == "datetimes" else value

    users, some, out = [3, 7], [1, 2, 5, 8], [2, 8]
    pairs = [(3, 1), (7, 5)]
    same(model.recommend(given(users), 4)[0], numbers.recommend(users, 4)[0])
    same(
        model.recommend(given(users), 5, items=given(some), filter_seen=False)[0],
        numbers.recommend(users, 5, items=some, filter_seen=False)[0],
    )
    same(
        model.recommend(given(users), 12, exclude=given(out))[0],
        numbers.recommend(users, 12, exclude=out)[0],
    )
    for row in (list, tuple):
        same(
            model.recommend(given(users), 12, exclude=[row(map(make, pair)) for pair in pairs])[0],
            numbers.recommend(users, 12, exclude=pairs)[0],
        )
    same(model.similar_items(given(some), 3)[0], numbers.similar_items(some, 3)[0])
    parts, others = model.explain(make(3), make(5)), numbers.explain(3, 5)
    np.testing.assert_allclose(parts["contribution"], others["contribution"], atol=1e-6)
    history = others["kind"] == "history"
    assert parts["source"][history].tolist() == [make(k) for k in others["source"][history]]
