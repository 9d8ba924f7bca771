"""Vectors and many numeric columns as item features, and other content of item data."""

import datetime
import pickle
import warnings
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
import sklearn
from estimators import make_estimator
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

from sklearn_selreg import AutoItemEncoder
from sklearn_selreg._data._csr import gram
from sklearn_selreg._data._item_table import read_item_data
from sklearn_selreg._data._item_texts import item_texts
from sklearn_selreg._serving._explain import _ridge
from sklearn_selreg.exceptions import DataWarning
from sklearn_selreg.judges import ContentJudge, LLMJudge
from sklearn_selreg.metrics import auc_scorer

N = 60
COLUMNS = {"user_col": "user", "item_col": "item"}


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture(scope="module")
def log():
    rng = np.random.default_rng(0)
    return pd.DataFrame({"user": rng.integers(0, 30, 400), "item": rng.integers(0, N, 400)})


def standardized(numbers):
    """Compute the features of one block by scikit-learn."""
    rows = StandardScaler().fit_transform(np.asarray(numbers, dtype=float))
    return rows / np.sqrt((rows**2).sum(axis=1).mean())


CONTAINERS = {
    "float32 arrays": lambda v: pd.DataFrame({"emb": list(v.astype(np.float32))}),
    "float64 arrays": lambda v: pd.DataFrame({"emb": list(v)}),
    "lists": lambda v: pd.DataFrame({"emb": v.tolist()}),
    "tuples": lambda v: pd.DataFrame({"emb": list(map(tuple, v.tolist()))}),
    "arrays of one row": lambda v: pd.DataFrame({"emb": [row[np.newaxis] for row in v]}),
    "arrays of one column": lambda v: pd.DataFrame({"emb": [row[:, np.newaxis] for row in v]}),
    "object arrays": lambda v: pd.DataFrame({"emb": [row.astype(object) for row in v]}),
    "polars lists": lambda v: pl.DataFrame({"emb": v.tolist()}),
    "polars arrays": lambda v: pl.DataFrame({"emb": v}),
}


@pytest.mark.parametrize("container", CONTAINERS)
def test_vectors_are_one_standardized_block(rng, container):
    vectors = rng.normal(3, [1, 2, 5, 0.1], (N, 4))
    frame = CONTAINERS[container](vectors)
    encoder = AutoItemEncoder()
    features = encoder.fit_transform(frame)
    assert encoder.column_kinds_ == {"emb": "vector"}
    assert isinstance(features, sp.csr_matrix)
    assert features.dtype == np.float32
    np.testing.assert_allclose(features.toarray(), standardized(vectors), atol=1e-5)
    assert encoder.get_feature_names_out().tolist() == [f"emb[{k}]" for k in range(4)]
    for again in (encoder, pickle.loads(pickle.dumps(encoder))):
        np.testing.assert_allclose(again.transform(frame).toarray(), features.toarray())
    assert abs(encoder.transform(frame[3:9]) - features[3:9]).max() < 1e-6


WRITTEN = "vectors written as text: parse them by .map(json.loads)"


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([[1, 2, 3], [2, 4, 5], [1, 3, 4]] * 20, "list"),  # ids of tags
        ([[1, -2, 3], [2, 4, 5], [1, 3, 4]] * 20, "vector"),  # quantized
        ([[1, 0, 1], [0, 0, 1], [1, 1, 0]] * 20, "vector"),  # multi-hot
        ([[0, 0.5], [1, 2]] * 30, "vector"),
        ([np.array([True, False]), np.array([True, True])] * 30, "vector"),
        ([[0.5], [1.5]] * 30, "vector"),
        ([[5], [7]] * 30, "list"),
        ([[0.5, 1.0], [1.5, "a"]] * 30, "list"),
        ([np.ones((2, 2))] * 60, "values of type multi-dimensional array"),
        ([np.array(k / 7) for k in range(60)], "number"),
        ([str([k / 7, 0.5]) for k in range(60)], WRITTEN),
        ([str(np.array([k / 7, 0.5])) for k in range(60)], WRITTEN),
        ([[f"w{k}", f"v{k}"] for k in range(60)], "lists that share no entries"),
        ([[0.5, 1.0], [1.5, 2.0, 3.0]] * 30, "vectors of different lengths"),
        ([["a", "b"], ["b", "c"]] * 30, "list"),
    ],
)
def test_what_is_a_vector(values, kind):
    frame = pd.DataFrame({"x": values, "kind": ["a", "b"] * 30})
    encoder = AutoItemEncoder().fit(frame)
    assert encoder.dropped_.get("x", encoder.column_kinds_["x"]) == kind


def test_missing_vectors_are_told_by_a_feature(rng):
    vectors = list(rng.normal(size=(N, 3)))
    holes = [4, 9, 11]
    vectors[4], vectors[9], vectors[11] = None, np.nan, np.array([1.0, np.nan, 2])
    frame = pd.DataFrame({"emb": vectors})
    encoder = AutoItemEncoder()
    features = encoder.fit_transform(frame).toarray()
    assert encoder.get_feature_names_out().tolist() == ["emb[0]", "emb[1]", "emb[2]", "emb=missing"]
    assert (features[holes, :3] == 0).all()
    assert np.flatnonzero(features[:, 3]).tolist() == holes
    present = np.delete(np.arange(N), holes)
    expected = StandardScaler().fit_transform(np.stack([vectors[row] for row in present]))
    ratio = features[present, :3] / expected
    np.testing.assert_allclose(ratio, ratio[0, 0], rtol=1e-4)
    assert np.mean((features**2).sum(axis=1)) == pytest.approx(1, rel=1e-5)
    with pytest.raises(ValueError, match=r"'emb' must contain vectors of 3.* got 2"):
        encoder.transform(pd.DataFrame({"emb": [[1.0, 2.0]]}))
    with pytest.raises(ValueError, match=r"'emb' .* finite numbers; got infinity"):
        AutoItemEncoder().fit(pd.DataFrame({"emb": [[1.0, np.inf], [1.0, 2.0]] * 20}))


@pytest.mark.parametrize("shift", [0, 1.7e9])
def test_many_columns_are_as_a_column_of_vectors(rng, shift):
    numbers = rng.normal(size=(N, 40)) + shift
    columns = pd.DataFrame(numbers, columns=[f"e{k}" for k in range(40)])
    encoder = AutoItemEncoder()
    features = encoder.fit_transform(columns).toarray()
    assert set(encoder.column_kinds_.values()) == {"plain number"}
    assert encoder.get_feature_names_out().tolist() == columns.columns.tolist()
    np.testing.assert_allclose(features, standardized(numbers), atol=1e-4)
    if not shift:
        vectors = AutoItemEncoder().fit_transform(pd.DataFrame({"emb": list(numbers)}))
        np.testing.assert_allclose(features, vectors.toarray(), atol=1e-5)


def test_few_columns_are_as_they_were(rng):
    frame = pd.DataFrame(rng.normal(size=(N, 30)), columns=[f"e{k}" for k in range(30)])
    assert set(AutoItemEncoder().fit(frame).column_kinds_.values()) == {"number"}


def test_many_columns_of_all_kinds(rng):
    flags = rng.random((N, 40)) < 0.2
    frame = pd.DataFrame({f"f{k}": flags[:, k].astype(["?", "i1", "f8"][k % 3]) for k in range(40)})
    frame["nullable"] = pd.array([None, *rng.integers(0, 99, N - 1)], dtype="Int64")
    frame["holes"] = np.where(rng.random(N) < 0.3, np.nan, rng.normal(size=N))
    frame["flag or not"] = pd.array([True, None] * (N // 2), dtype="boolean")
    frame["row"] = np.arange(N)
    frame["same"] = 7.0
    frame["nothing"] = np.nan
    frame["kind"] = rng.choice(["a", "b"], N)
    frame["emb"] = list(rng.normal(size=(N, 3)))
    encoder = AutoItemEncoder()
    features = encoder.fit_transform(frame)
    kinds = encoder.column_kinds_
    assert {kinds[f"f{k}"] for k in range(40)} == {"plain flag"}
    assert kinds["nullable"] == kinds["holes"] == "plain number"
    assert kinds["flag or not"] == "plain flag"
    assert (kinds["kind"], kinds["emb"]) == ("category", "vector")
    assert encoder.dropped_ == {"row": "identifiers", "same": "constant", "nothing": "no values"}
    names = encoder.get_feature_names_out().tolist()
    assert len(names) == len(set(names)) == features.shape[1]
    dense = pd.DataFrame(features.toarray(), columns=names)
    on = dense[[f"f{k}" for k in range(40)]].to_numpy()
    assert ((on > 0) == flags).all()
    assert len(np.unique(on)) == 2
    assert features[:, [names.index(f"f{k}") for k in range(40)]].nnz == flags.sum()
    assert ((dense["holes=missing"] > 0) == frame["holes"].isna()).all()
    assert (dense["holes"][frame["holes"].isna()] == 0).all()
    assert ((dense["nullable=missing"] > 0) == frame["nullable"].isna()).all()
    again = encoder.transform(frame[5:20])
    np.testing.assert_allclose(again.toarray(), features[5:20].toarray(), atol=1e-6)
    with pytest.raises(ValueError, match=r"'holes' .* finite"):
        AutoItemEncoder().fit(frame.assign(holes=[np.inf, *frame["holes"][1:]]))


def test_constant_coordinates_tell_nothing(rng):
    vectors = rng.normal(size=(N, 3))
    vectors[:, 1] = 0.1
    features = AutoItemEncoder().fit_transform(pd.DataFrame({"emb": list(vectors)})).toarray()
    assert (features[:, 1] == 0).all()
    assert np.isfinite(features).all()


@pytest.mark.parametrize("spread", [False, True])
def test_embeddings_place_new_items(spread):
    rng = np.random.default_rng(0)
    n_items, width = 300, 40
    X = pd.DataFrame({"user": rng.integers(0, 200, 3000)})
    X["item"] = [rng.choice(np.arange(user % 4, n_items, 4)) for user in X["user"]]
    embeddings = np.eye(4)[np.arange(n_items) % 4] @ rng.normal(size=(4, width))
    embeddings += 0.1 * rng.normal(size=embeddings.shape)
    items = pd.DataFrame({"item": range(n_items), "other": [f"g{k % 5}" for k in range(n_items)]})
    if spread:
        items = items.join(pd.DataFrame(embeddings).add_prefix("e"))
    else:
        items["emb"] = list(embeddings)
    new = X["item"] >= 240
    model = make_estimator(**COLUMNS, item_data=items, random_state=0, tuning=None)
    model.fit(X[~new])
    assert auc_scorer()(model, X[new]) > 0.75


# Computing with dense features


@pytest.mark.parametrize("width", [20, 40])
@pytest.mark.parametrize("density", [0.1, 0.9])
@pytest.mark.parametrize("weighted", [False, True])
def test_gram_matrices(rng, density, weighted, width):
    matrix = sp.random(500, width, density, format="csr", random_state=0, dtype=np.float32)
    weights = rng.random(500) if weighted else None
    dense = matrix.toarray().astype(float)
    expected = dense.T @ (dense if weights is None else weights[:, None] * dense)
    np.testing.assert_allclose(gram(matrix, weights), expected, rtol=1e-6, atol=1e-9)


def test_dense_and_sparse_features_are_fitted_alike(log, rng):
    # The same numbers, once padded with so many zero features that they count as sparse.
    numbers = rng.normal(size=(N, 40)).astype(np.float32)
    table = pd.DataFrame(numbers, index=range(N))
    settings = {"factors": 4, "iterations": 5, "random_state": 0, "item_data": table}
    dense, sparse = (
        make_estimator(**COLUMNS, **settings, item_encoder=FunctionTransformer(f)).fit(log)
        for f in (None, lambda X: sp.csr_matrix(np.hstack([X, np.zeros((len(X), 160))])))
    )
    np.testing.assert_allclose(dense.item_factors_, sparse.item_factors_, rtol=1e-3, atol=1e-4)
    left, right = (m.explain(3, 5) for m in (dense, sparse))
    np.testing.assert_allclose(left["contribution"], right["contribution"], rtol=1e-3, atol=1e-4)
    weights = rng.random(N)
    by_hand = np.linalg.solve(
        (numbers.T * weights) @ numbers + 8 * np.eye(40),
        (numbers.T * weights) @ dense.item_factors_,
    )
    found = _ridge(sp.csr_matrix(numbers), dense.item_factors_.astype(float), weights)
    np.testing.assert_allclose(found, by_hand, rtol=1e-4, atol=1e-6)


def test_features_with_repeated_small_entries(log):
    def make(X):
        rows = np.repeat(np.arange(len(X)), 300)
        return sp.coo_matrix((np.ones(len(rows), "uint8"), (rows, rows % 2)), (len(X), 2))

    encoder = FunctionTransformer(make)
    table = pd.DataFrame({"x": range(N)})
    model = make_estimator(
        **COLUMNS, factors=2, iterations=2, item_data=table, item_encoder=encoder
    ).fit(log)
    assert set(model._fitted.features.data) == {300.0}


@pytest.mark.parametrize("hole", [None, np.nan])
def test_a_vector_with_a_hole_is_missing(rng, hole):
    vectors = rng.normal(size=(N, 3)).tolist()
    whole = AutoItemEncoder().fit_transform(
        pd.DataFrame({"emb": [*vectors[:7], None, *vectors[8:]]})
    )
    vectors[7][1] = hole
    features = AutoItemEncoder().fit_transform(pd.DataFrame({"emb": vectors}))
    np.testing.assert_allclose(features.toarray(), whole.toarray(), atol=1e-6)


def test_vectors_of_one_number_are_as_plain_numbers(rng):
    numbers = rng.normal(size=(N, 1))
    features = AutoItemEncoder().fit_transform(pd.DataFrame({"emb": numbers.tolist()}))
    np.testing.assert_allclose(features.toarray(), standardized(numbers), atol=1e-5)


@pytest.mark.parametrize("wrong", ["text", ["a", "b", "c"], [0.5, "b", 1.0], [0.5], 0.5])
def test_new_items_without_vectors_are_told_by_column(log, rng, wrong):
    table = pd.DataFrame({"emb": rng.normal(size=(N, 3)).tolist()})
    model = make_estimator(**COLUMNS, tuning=None, factors=2, item_data=table).fit(log)
    new = pd.DataFrame({"emb": [[0.1, 0.2, 0.3], wrong]}, index=[900, 901])
    with pytest.raises(
        ValueError, match=r"Column 'emb'.* vectors of 3 numbers, as in fit; got .*[^ ]"
    ):
        model.fold_in_items(new)


# Ignored columns are reported


def test_columns_that_are_not_read_are_named(log):
    table = pd.DataFrame(
        {
            "kind": [f"kind {k % 3}" for k in range(N)],
            "parts": [{"a": 1}] * N,
            "ragged": [[0.5] * (1 + k % 3) for k in range(N)],
            "unshared": [[f"w{k}", f"v{k}"] for k in range(N)],
            "written": [str([0.5 + k, 1.0]) for k in range(N)],
        }
    )
    model = make_estimator(**COLUMNS, factors=2, iterations=2, item_data=table)
    with pytest.warns(
        DataWarning,
        match=r"'parts' \(values.* dict\), 'ragged' \(vectors of dif.*"
        r"'unshared' \(lists that.*'written' \(vectors written",
    ):
        model.fit(log)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.set_params(item_data=table[["kind"]]).fit(log)


WORDS = [
    "numpy",
    "scipy",
    "pandas",
    "polars",
    "flask",
    "django",
    "fastapi",
    "requests",
    "httpx",
    "aiohttp",
    "pytest",
    "tox",
    "nox",
    "black",
    "ruff",
    "mypy",
    "click",
    "typer",
    "rich",
    "pydantic",
    "attrs",
    "celery",
    "redis",
    "torch",
    "keras",
    "jax",
    "dask",
    "ray",
    "spacy",
    "nltk",
]


def reader():
    return LLMJudge.from_callable(
        lambda slate: np.arange(len(slate.candidates)) / 50,
        name="reader",
        version="1",
        cache=None,
        reads_texts=True,
    )


def shown(item_data, **parameters):
    """Return the texts of all items shown to a judge."""
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"user": rng.integers(0, 40, 600), "item": rng.integers(0, len(WORDS), 600)})
    model = make_estimator(
        **COLUMNS, item_data=item_data, judge=reader(), slates__max_slates=30, **parameters
    )
    return {t for slate in model.plan_judging(X).slates for t in slate.candidate_texts}


NAMES = {
    "words": WORDS,
    "owner/repo": [f"{word}-team/{word}" for word in WORDS],
    "Capitalized": [word.title() for word in WORDS],
    "dots.and_more": [f"{word}.core_api" for word in WORDS],
}


@pytest.mark.parametrize("names", NAMES)
def test_names_without_spaces_are_shown(names):
    names = NAMES[names]
    table = pd.DataFrame({"name": names, "topic": [f"topic {k % 4}" for k in range(len(names))]})
    assert shown(table) == {f"name: {n}; topic: topic {k % 4}" for k, n in enumerate(names)}
    assert shown(dict(enumerate(names)), item_encoder=None) == {f"text: {name}" for name in names}
    with pytest.raises(ValueError, match=r"'text' .identifiers.*item_encoder=None.*item_text"):
        shown(dict(enumerate(names)))


CODES = {
    "hashes": [f"{number:016x}" for number in np.random.default_rng(0).integers(0, 2**60, 30)],
    "links": [f"https://example.org/{word}" for word in WORDS],
    "part numbers": [f"B{1000 + k}X" for k in range(30)],
    "numbered": [f"item_{k}" for k in range(30)],
    "row numbers": list(range(100, 130)),
}


@pytest.mark.parametrize("codes", CODES)
def test_codes_are_hidden_and_named(codes):
    table = pd.DataFrame({"code": CODES[codes], "topic": [f"topic {k % 4}" for k in range(30)]})
    with pytest.warns(DataWarning, match=r"not shown 'code'.*item_text=\['code', 'topic'\]"):
        assert shown(table) == {f"topic: topic {k}" for k in range(4)}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        named = shown(table, slates__item_text=["code"])
        assert named == {f"code: {code}" for code in CODES[codes]}
    with (
        pytest.warns(DataWarning, match="not shown 'code'"),
        pytest.raises(ValueError, match=r"no text in item_data.*item_text"),
    ):
        shown(table[["code"]], item_encoder=None)


# Dates, prices and scikit-learn's global settings


FAR = {
    "no end": "9999-12-31",
    "a book": "1605-01-16",
    "antiquity": "0033-04-03",
}


@pytest.mark.parametrize("unit", ["us", "s", "object", "datetime", "time zone"])
@pytest.mark.parametrize("far", FAR)
def test_far_dates(unit, far):
    days = [FAR[far] if k % 3 == 0 else f"20{10 + k // 3}-0{1 + k % 9}-11" for k in range(N)]
    if unit in ("us", "s"):
        dates = np.array(days, dtype=f"M8[{unit}]")
    else:
        dates = [datetime.date.fromisoformat(day) for day in days]
        if unit != "object":
            zone = datetime.timezone.utc if unit == "time zone" else None
            midnight = datetime.time(tzinfo=zone)
            dates = [datetime.datetime.combine(day, midnight) for day in dates]
        dates = pd.Series(dates, dtype=object)
    frame = pd.DataFrame({"date": dates})
    encoder = AutoItemEncoder()
    features = encoder.fit_transform(frame)
    assert encoder.column_kinds_ == {"date": "number"}
    knots = [float(name.partition("=")[2]) for name in encoder.get_feature_names_out()]
    year = int(FAR[far][:4])
    assert any(abs(knot - year) < 1.1 for knot in knots)
    same = features[::3].toarray()
    assert (same == same[0]).all()
    texts = item_texts(read_item_data(frame))
    assert texts.tolist() == [f"date: {day}" for day in days]


def test_far_times_of_interactions(log):
    when = np.array("1605-01-01", dtype="M8[s]") + np.arange(len(log)) * np.timedelta64(30, "D")
    model = make_estimator(**COLUMNS, factors=2, iterations=2, time_col="when")
    model.fit(log.assign(when=when))
    objects = pd.Series(when.astype(object), dtype=object)
    other = make_estimator(**COLUMNS, factors=2, iterations=2, time_col="when")
    other.fit(log.assign(when=objects))
    np.testing.assert_array_equal(
        model._fitted.histories.recency_rank, other._fitted.histories.recency_rank
    )


def with_comma(written):
    return written.translate(str.maketrans(",.", ".,"))


@pytest.mark.parametrize(
    "write",
    [
        "{:,.2f}".format,
        "${:,.2f}".format,
        "{:,.2f} €".format,
        lambda x: f"£ {x:,.2f}",
        "{:.2f}".format,  # as with dtype=str
        "US${:,.2f}".format,
        "EUR {:.2f}".format,
        "{:.2f}%".format,
        "{:.2f} USD".format,
        lambda x: with_comma(f"{x:,.2f}"),
        lambda x: with_comma(f"{x:.2f} €"),
    ],
)
def test_prices_are_numbers(rng, write):
    prices = np.round(rng.lognormal(6, 2, N), 2)
    prices[0] = 1023.5
    written = pd.DataFrame({"price": [write(price) for price in prices]})
    encoder = AutoItemEncoder()
    features = encoder.fit_transform(written)
    assert encoder.column_kinds_ == {"price": "number"}
    expected = AutoItemEncoder().fit_transform(pd.DataFrame({"price": prices}))
    np.testing.assert_allclose(features.toarray(), expected.toarray(), atol=1e-6)
    assert item_texts(read_item_data(written))[0] == f"price: {write(1023.5)}"
    # The number format cannot be inferred from a single row; it is known from fit.
    for row in (0, 1):
        again = encoder.transform(written[row : row + 1]).toarray()
        np.testing.assert_allclose(again, expected[row : row + 1].toarray(), atol=1e-6)


@pytest.mark.parametrize(
    "values",
    [
        [f"{k},{k + 1}" for k in range(N)],  # lists of two
        [f"0{k:04d}" for k in range(N)],  # codes
        [f"1,02{k}" if k % 2 else "many" for k in range(N)],
        [f"12,34,{k:03d}" for k in range(N)],
        [f"{k},{k + 1}0" for k in range(N)],  # not a decimal comma
        [f"{100 + k % 9},{200 + k % 7}" for k in range(N)],  # lists of codes
        [["107", "114,145,116", "107,138"][k % 3] for k in range(N)],
        [f"00{k % 9},10{k % 7}" for k in range(N)],
    ],
)
@pytest.mark.filterwarnings("ignore:Column 'x' looks like numbers")  # they could be
def test_texts_that_are_no_prices(values):
    frame = pd.DataFrame({"x": values, "kind": ["a", "b"] * (N // 2)})
    assert AutoItemEncoder().fit(frame).column_kinds_["x"] != "number"


def test_lists_of_codes_of_three_digits_have_a_feature_each(rng):
    drawn = [rng.choice([107, 114, 116, 138, 145, 201], 1 + k % 3, replace=False) for k in range(N)]
    frame = pd.DataFrame({"codes": [",".join(map(str, codes)) for codes in drawn]})
    encoder = AutoItemEncoder()
    features = encoder.fit_transform(frame).toarray()
    assert encoder.column_kinds_ == {"codes": "list"}
    names = encoder.get_feature_names_out().tolist()
    assert names == [f"codes={code}" for code in (107, 114, 116, 138, 145, 201)]
    has = np.array([[int(name[6:]) in codes for name in names] for codes in drawn])
    np.testing.assert_array_equal(features > 0, has)


@pytest.mark.parametrize("low", [1_000, 100_000])
def test_whole_numbers_with_thousands_are_no_lists(rng, low):
    frame = pd.DataFrame({"x": [f"{n:,}" for n in rng.integers(low, 999_999, 2000)]})
    assert AutoItemEncoder().fit(frame).column_kinds_ == {"x": "number"}


@pytest.mark.parametrize("output", ["default", "pandas", "polars"])
def test_global_transform_output_changes_nothing(log, output):
    table = pd.DataFrame(
        {
            "kind": [f"kind {k % 3}" for k in range(N)],
            "size": np.linspace(0, 1, N) ** 2,
            "emb": list(np.random.default_rng(0).normal(size=(N, 3))),
        }
    )
    texts = pd.DataFrame({"kind": [f"kind {k % 3} of {WORDS[k % 30]}" for k in range(N)]})
    settings = {"factors": 3, "iterations": 2, "random_state": 0}
    judged = settings | {"slates__max_slates": 40, "slates__size": 6, "iterations": 4}
    models = {
        "auto": lambda: make_estimator(**COLUMNS, **settings, item_data=table),
        "one-hot": lambda: make_estimator(
            **COLUMNS, **settings, item_data=table[["kind"]], item_encoder=OneHotEncoder()
        ),
        "judge": lambda: make_estimator(
            **COLUMNS, **judged, item_data=texts, judge=ContentJudge(), gate=None
        ),
        "bpr": lambda: make_estimator(**COLUMNS, **settings, item_data=table, backbone="bpr"),
    }
    for make in models.values():
        expected = make().fit(log)
        with sklearn.config_context(transform_output=output):
            model = make().fit(log)
            assert sp.issparse(AutoItemEncoder().fit(table).transform(table))
            if model.judge is not None:
                pd.testing.assert_frame_equal(model.preferences_, expected.preferences_)
            else:
                new = table[:2].set_axis([100, 101])
                model.fold_in_items(new[list(model.item_encoder_.feature_names_in_)])
        np.testing.assert_array_equal(model.user_factors_, expected.user_factors_)


MANY = {
    "objects": lambda v: v.astype(object),
    "decimals": lambda v: np.vectorize(lambda x: Decimal(repr(float(x))), otypes="O")(v),
}


@pytest.mark.parametrize("kind", MANY)
def test_many_numbers_as_objects_are_as_numbers(rng, kind):
    values = rng.normal(size=(N, 200))
    frame = pd.DataFrame(values).add_prefix("x")
    objects = pd.DataFrame(MANY[kind](values)).add_prefix("x")
    assert set(objects.dtypes.map(str)) == {"object"}
    for width, expected in ((200, "plain number"), (3, "number")):
        numbers, others = AutoItemEncoder(), AutoItemEncoder()
        features = numbers.fit_transform(frame.iloc[:, :width])
        again = others.fit_transform(objects.iloc[:, :width])
        assert set(others.column_kinds_.values()) == {expected}
        np.testing.assert_allclose(again.toarray(), features.toarray(), atol=1e-6)
        row = objects.iloc[3:4, :width]
        np.testing.assert_allclose(others.transform(row).toarray(), again[3:4].toarray(), atol=1e-6)


def test_many_dates_are_plain_numbers(rng):
    days = rng.integers(0, 20_000, (N, 40))
    frame = pd.DataFrame(days.astype("M8[D]").astype("M8[s]")).add_prefix("x")
    frame.iloc[4, 7] = pd.NaT
    encoder = AutoItemEncoder()
    features = encoder.fit_transform(frame).toarray()
    assert set(encoder.column_kinds_.values()) == {"plain number"}
    whole = [column for column in range(40) if column != 7]
    ratio = features[:, whole] / StandardScaler().fit_transform(days[:, whole])
    np.testing.assert_allclose(ratio, ratio[0, 0], rtol=1e-3)
    assert features[4, 7] == 0
    assert encoder.get_feature_names_out()[-1] == "x7=missing"
    np.testing.assert_allclose(encoder.transform(frame[4:6]).toarray(), features[4:6], atol=1e-6)
    few = AutoItemEncoder().fit(frame.iloc[:, :3])
    assert set(few.column_kinds_.values()) == {"number"}


# Decimal commas


@pytest.mark.parametrize("whole", [False, True])
def test_prices_with_decimal_commas_are_numbers(whole):
    prices = [round(0.95 + 7.35 * (k % 17), 2) for k in range(N)]
    written = [f"{price:.2f}".replace(".", ",") for price in prices]
    if whole:  # some without cents
        prices[::4] = [int(price) for price in prices[::4]]
        written[::4] = [str(price) for price in prices[::4]]
    frame = pd.DataFrame({"price": written})
    encoder = AutoItemEncoder().fit(frame)
    assert encoder.column_kinds_ == {"price": "number"}
    expected = AutoItemEncoder().fit_transform(pd.DataFrame({"price": prices}))
    np.testing.assert_allclose(encoder.transform(frame).toarray(), expected.toarray(), atol=1e-6)


def test_prices_among_other_texts_are_noticed():
    written = ["4,50", "12,50", "1,50", "12,95", "on request, 50"] * (N // 5)
    with pytest.warns(UserWarning, match="'price' looks like numbers with decimal commas"):
        AutoItemEncoder().fit(pd.DataFrame({"price": written}))


def test_lists_of_codes_are_neither_prices_nor_noticed():
    written = [["28,12", "12,80,28", "80,12", "28,80"][k % 4] for k in range(N)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        encoder = AutoItemEncoder().fit(pd.DataFrame({"codes": written}))
    assert encoder.column_kinds_ == {"codes": "list"}


@pytest.mark.parametrize("form", ["%Y-%m-%d", "%d.%m.%Y", "%m/%d/%y %H:%M", "%Y-%m-%dT%H:%M:%S"])
@pytest.mark.parametrize("n_rows", [60, 1000])
def test_dates_written_as_text_are_reported(form, n_rows):
    days = np.random.default_rng(0).permutation(3000)[:n_rows]
    dates = pd.Timestamp("2010-01-01") + pd.to_timedelta(days, "D")
    frame = pd.DataFrame({"kind": ["a", "b"] * (n_rows // 2), "released": dates.strftime(form)})
    with pytest.warns(UserWarning, match="'released' looks like dates, .*to_datetime.*dayfirst"):
        AutoItemEncoder().fit(frame)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        AutoItemEncoder().fit(frame.assign(released=dates))


@pytest.mark.parametrize("n_rows", [60, 1000])
def test_decimal_commas_that_could_be_codes_are_reported(n_rows):
    rating = np.random.default_rng(0).uniform(10, 99, n_rows)
    texts = [f"{x:.2f}".replace(".", ",") for x in rating]
    frame = pd.DataFrame({"kind": ["a", "b"] * (n_rows // 2), "rating": texts})
    with pytest.warns(UserWarning, match="'rating' looks like numbers with decimal commas"):
        AutoItemEncoder().fit(frame)
