"""Tables of any library: queries and streams have the same results as tables in memory."""

import datetime as dt
import decimal
import logging

import numpy as np
import pandas as pd
import pytest
from estimators import make_estimator

from sklearn_selreg import AutoItemEncoder
from sklearn_selreg._data._collected import collect
from sklearn_selreg._data._tables import read_columns
from sklearn_selreg.judges import ContentJudge
from sklearn_selreg.metrics import auc_scorer, ranking_report
from sklearn_selreg.model_selection import LeaveLastOut

pa = pytest.importorskip("pyarrow")
pl = pytest.importorskip("polars")


class Capsule:
    """A table of an unknown library that supports the Arrow stream protocol."""

    def __init__(self, table):
        self._table = table

    def __arrow_c_stream__(self, requested_schema=None):
        return self._table.__arrow_c_stream__(requested_schema)


def of_duckdb(table):
    return pytest.importorskip("duckdb").connect().from_arrow(table)


def of_ibis(table):
    pytest.importorskip("duckdb")
    return pytest.importorskip("ibis").memtable(table)


FORMS = {
    "pyarrow": lambda table: table,
    "batch": lambda table: table.combine_chunks().to_batches()[0],
    "reader": lambda table: table.to_reader(),
    "capsule": Capsule,
    "polars": lambda table: pl.from_arrow(table),
    "polars lazy": lambda table: pl.from_arrow(table).lazy(),
    "duckdb": of_duckdb,
    "ibis": of_ibis,
}
QUERIES = ["polars lazy", "duckdb", "ibis"]
UNORDERED = ["duckdb", "ibis"]
STREAMS = ["batch", "reader", "capsule"]

DAYS = [dt.date(2020, 1, 1), dt.date(2021, 2, 3), dt.date(1999, 12, 31)]
IDS = {  # Arrow array of three ids, and the expected numpy array
    "int64": (pa.array([2**53 + 1, 2**53 + 2, -5]), np.array([2**53 + 1, 2**53 + 2, -5])),
    "uint64": (pa.array([2**63 + 1, 2, 3], pa.uint64()), np.array([2**63 + 1, 2, 3], np.uint64)),
    "int8": (pa.array([1, -2, 3], pa.int8()), np.array([1, -2, 3], np.int8)),
    "str": (pa.array(["ann", "", "b\u00fc"]), np.array(["ann", "", "b\u00fc"], object)),
    "category": (
        pa.array(["x", "y", "x"]).dictionary_encode(),
        np.array(["x", "y", "x"], object),
    ),
    "date": (pa.array(DAYS), np.array(DAYS, "M8[D]")),
    "time": (
        pa.array([1, 2, 10**15], pa.timestamp("us")),
        np.array([1, 2, 10**15], "M8[us]"),
    ),
    "bytes": (pa.array([b"a", b"\xff", b""]), np.array([b"a", b"\xff", b""], object)),
    "decimal": (
        pa.array([decimal.Decimal("1.50"), decimal.Decimal("2.00"), decimal.Decimal("-3.25")]),
        np.array([decimal.Decimal(n) for n in ("1.50", "2.00", "-3.25")], object),
    ),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", IDS)
def test_ids_keep_their_dtype(form, kind):
    ids, expected = IDS[kind]
    table = pa.table({"other": [None, 1, 2], "id": ids, "n": [7, 8, 9], "at": [7, 8, 9]})
    columns = {"user_col": "n", "item_col": "id", "time_col": "at"}
    users, found, times = read_columns(FORMS[form](table), **columns)
    assert found.dtype == expected.dtype
    assert found.tolist() == expected.tolist()
    assert (users.dtype, users.tolist(), times.tolist()) == (np.int64, [7, 8, 9], [7, 8, 9])


# -- fits ------------------------------------------------------------------------------------------


def make_log(seed=0, n=120):
    rng = np.random.default_rng(seed)
    users, items = rng.integers(0, 12, n), 2**53 + 1 + rng.integers(0, 9, n)
    return pa.table(
        {
            "device": pa.array([None, "tv"] * (n // 2)),
            "user": [f"u{user:02}" for user in users],
            "when": pa.array(rng.permutation(n), pa.timestamp("s")),
            "item": items,
        }
    )


def make_items():
    return pa.table(
        {
            "genre": [["crime", "drama", None][n % 3] for n in range(11)],
            "year": pa.array([None if n == 3 else 1990 + n for n in range(11)], pa.int32()),
            "item": [2**53 + 1 + n for n in range(11)],
        }
    )


COLUMNS = {"user_col": "user", "item_col": "item"}


def make_model(**settings):
    settings = COLUMNS | {"time_col": "when"} | settings
    return make_estimator(factors=3, iterations=3, tuning=None, random_state=0, **settings)


@pytest.fixture(scope="module")
def in_pandas():
    log, items = make_log().to_pandas(), make_items().to_pandas()
    return make_model(item_data=items).fit(log)


def assert_same(one, other):
    for name in ("users_", "items_", "user_factors_", "item_factors_", "feature_names_in_"):
        mine, others = getattr(one, name), getattr(other, name)
        assert mine.dtype == others.dtype
        np.testing.assert_array_equal(mine, others)
    assert one.n_features_in_ == other.n_features_in_ == 4


@pytest.mark.parametrize("form", FORMS)
def test_a_fit_is_the_same_whatever_the_table_is(form, in_pandas):
    model = make_model(item_data=FORMS[form](make_items())).fit(FORMS[form](make_log()))
    assert_same(model, in_pandas)
    assert len(model.items_) == 11  # two are only in item_data
    by_position = make_model(
        user_col=1, item_col=3, time_col=2, item_data=FORMS[form](make_items())
    )
    assert_same(by_position.fit(FORMS[form](make_log())), in_pandas)
    held_out = make_log(1, 20)
    assert model.score(FORMS[form](held_out)) == in_pandas.score(held_out.to_pandas())
    later = model.fold_in(FORMS[form](held_out), known="append")
    again = make_model(item_data=make_items().to_pandas()).fit(make_log().to_pandas())
    assert_same(later, again.fold_in(held_out.to_pandas(), known="append"))


@pytest.mark.parametrize("form", FORMS)
def test_dates_of_items_are_found_in_item_data(form):
    likes = pa.table({"user": [1, 1, 2], "item": DAYS})
    items = pa.table({"item": [*DAYS, dt.date(2000, 1, 1)], "kind": ["a", "b", "a", "b"]})
    settings = {"time_col": None, "item_data": FORMS[form](items)}
    model = make_model(**settings).fit(FORMS[form](likes))
    assert model.items_.tolist() == sorted([*DAYS, dt.date(2000, 1, 1)])


@pytest.mark.parametrize("form", [*QUERIES, *STREAMS])
def test_what_is_collected_is_said_once(form, caplog):
    caplog.set_level(logging.INFO, "sklearn_selreg")
    make_model(item_data=FORMS[form](make_items())).fit(FORMS[form](make_log()))
    said = [record.getMessage() for record in caplog.records]
    said = [message for message in said if message.startswith("Collected")]
    assert len(said) == 2
    assert said[0].startswith("Collected 120 rows of the columns 'user', 'item', 'when' from a")
    assert said[1].startswith("Collected 11 rows of all columns from a")


def test_columns_that_are_not_needed_are_not_computed(in_pandas):
    def fail(values):
        raise AssertionError("is not needed")

    reads = []

    def count(values):
        reads.append(1)
        return values

    query = pl.from_arrow(make_log()).lazy()
    # polars would panic if it computed the column.
    query = query.with_columns(
        device=pl.col("device").map_batches(fail, return_dtype=pl.String),
        item=pl.col("item").map_batches(count, return_dtype=pl.Int64),
    )
    with pytest.raises(Exception, match="is not needed"):
        query.collect()
    reads.clear()
    model = make_model(item_data=make_items()).fit(query)
    assert_same(model, in_pandas)
    assert reads == [1]
    duckdb = pytest.importorskip("duckdb")
    connection = duckdb.connect()
    connection.register("log", make_log())
    failing = connection.sql('select error(device) as device, user, "when", item from log')
    assert_same(make_model(item_data=make_items()).fit(failing), in_pandas)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("column", ["user", "item", "when"])
def test_missing_values_are_the_errors_that_they_are_in_pandas(form, column):
    log = make_log(n=6)
    holey = log.column(column).to_pylist()
    holey[4] = None
    position = log.schema.get_field_index(column)
    log = log.set_column(position, column, pa.array(holey, log.schema.field(column).type))
    with pytest.raises(ValueError, match="missing") as in_memory:
        make_model().fit(log.to_pandas())
    with pytest.raises(ValueError, match="missing") as error:
        make_model().fit(FORMS[form](log))
    assert str(error.value) == str(in_memory.value)
    items = make_items()
    holey = [None, *items.column("item").to_pylist()[1:]]
    items = items.set_column(2, "item", pa.array(holey))
    with pytest.raises(ValueError, match="item ids of item_data must not be missing"):
        make_model(item_data=FORMS[form](items)).fit(make_log())


@pytest.mark.parametrize("form", FORMS)
def test_columns_that_do_not_exist_are_told_as_in_pandas(form):
    for settings in ({"user_col": "who"}, {"user_col": 9}):
        with pytest.raises(ValueError) as in_memory:
            make_model(**settings).fit(make_log().to_pandas())
        with pytest.raises(ValueError) as error:
            make_model(**settings).fit(FORMS[form](make_log()))
        assert str(error.value) == str(in_memory.value)
    with pytest.raises(ValueError, match="needs a column of item ids named 'item'"):
        nameless = make_items().rename_columns(["genre", "year", "id"])
        make_model(item_data=FORMS[form](nameless)).fit(make_log())


# -- arguments aligned with rows -------------------------------------------------------------------


@pytest.mark.parametrize("form", UNORDERED)
def test_nothing_can_belong_to_rows_without_order(form, in_pandas):
    query, y = FORMS[form](make_log()), np.ones(120)
    message = "y must belong to the rows of X, but those of an? (duckdb|ibis) "
    for method in ("fit", "score", "fold_in"):
        with pytest.raises(ValueError, match=message):
            getattr(make_model().fit(make_log()), method)(query, y)
    with pytest.raises(ValueError, match="scores must belong"):
        in_pandas.predict(query)
    with pytest.raises(ValueError, match="row numbers must belong"):
        next(LeaveLastOut(**COLUMNS, time_col="when").split(query))


@pytest.mark.parametrize("form", [form for form in FORMS if form not in UNORDERED])
def test_rows_in_order_may_have_strengths_and_scores(form, in_pandas):
    log, y = make_log(), np.arange(120) % 4
    one = make_model(item_data=make_items()).fit(FORMS[form](log), y)
    assert_same(one, make_model(item_data=make_items()).fit(log.to_pandas(), y))
    scores = in_pandas.predict(FORMS[form](log))
    np.testing.assert_array_equal(scores, in_pandas.predict(log.to_pandas()))
    splitter = LeaveLastOut(**COLUMNS, time_col="when")
    ((train, test),) = splitter.split(FORMS[form](log))
    ((expected, others),) = splitter.split(log.to_pandas())
    np.testing.assert_array_equal(train, expected)
    np.testing.assert_array_equal(test, others)


def test_a_stream_that_was_read_is_told():
    reader = make_log().to_reader()
    make_model().fit(reader)
    with pytest.raises(ValueError, match=r"RecordBatchReader\. A stream can be read only once"):
        make_model().fit(reader)


@pytest.mark.parametrize("form", FORMS)
def test_metrics_and_exclusions_read_them_too(form, in_pandas):
    train, later = make_log(), make_log(1, 60)
    fitted = set(zip(train["user"].to_pylist(), train["item"].to_pylist(), strict=True))
    pairs = zip(later["user"].to_pylist(), later["item"].to_pylist(), strict=True)
    held_out = later.filter([pair not in fitted for pair in pairs])
    report = ranking_report(
        in_pandas, FORMS[form](held_out), train=FORMS[form](train), exclude=FORMS[form](held_out)
    )
    in_memory = held_out.to_pandas()
    expected = ranking_report(in_pandas, in_memory, train=train.to_pandas(), exclude=in_memory)
    pd.testing.assert_frame_equal(report, expected)
    assert auc_scorer()(in_pandas, FORMS[form](held_out)) == auc_scorer()(in_pandas, in_memory)
    users = in_pandas.users_
    found = in_pandas.recommend(users, exclude=FORMS[form](held_out))[0]
    np.testing.assert_array_equal(found, in_pandas.recommend(users, exclude=in_memory)[0])


@pytest.mark.parametrize("form", FORMS)
def test_user_data_and_lists_read_them_too(form, in_pandas):
    log, users = make_log(), [f"u{n:02}" for n in range(15)]
    about = pa.table({"age": list(range(20, 35)), "user": users})
    model = make_model(user_data=FORMS[form](about)).fit(FORMS[form](log))
    expected = make_model(user_data=about.to_pandas()).fit(log.to_pandas())
    assert_same(model, expected)
    assert len(model.users_) == 15  # three are only in user_data
    new = pa.table({"user": ["new"], "age": [33]})
    vectors = [m.fold_in(user_data=t).user_vectors(["new"]) for m, t in (
        (model, FORMS[form](new)), (expected, new.to_pandas()))]  # fmt: skip
    np.testing.assert_array_equal(*vectors)
    allowed = log.slice(0, 40)
    lists = [
        in_pandas.recommend(users[:5], 3, per_user_items=table, filter_seen=False)[0]
        for table in (FORMS[form](allowed), allowed.to_pandas())
    ]
    np.testing.assert_array_equal(*lists)
    reasons = [
        in_pandas.explain_lists(table).sort_values(["user", "item"], ignore_index=True)
        for table in (FORMS[form](allowed), allowed.to_pandas())
    ]
    pd.testing.assert_frame_equal(*reasons)


@pytest.mark.parametrize("form", FORMS)
def test_interactions_of_given_factors_may_be_any_table(form, in_pandas):
    ids = in_pandas.users_, in_pandas.items_, in_pandas.user_factors_, in_pandas.item_factors_
    given, expected = (
        type(in_pandas).from_factors(*ids, interactions=table, tuning=None, **COLUMNS)
        for table in (FORMS[form](make_log()), make_log().to_pandas())
    )
    assert_same(given, expected)
    users = in_pandas.users_
    np.testing.assert_array_equal(given.recommend(users)[0], expected.recommend(users)[0])


@pytest.mark.parametrize("form", FORMS)
def test_the_item_encoder_reads_them_too(form):
    items = make_items().select(["genre", "year"])
    encoder = AutoItemEncoder().fit(FORMS[form](items))
    made = encoder.transform(FORMS[form](items))
    expected = AutoItemEncoder().fit_transform(items.to_pandas())
    np.testing.assert_allclose(made.toarray(), expected.toarray(), rtol=1e-6)


@pytest.mark.parametrize("form", [*QUERIES, *STREAMS])
def test_what_was_collected_has_rows(form):
    table = collect(FORMS[form](make_log()), user_col="user", item_col=3)
    assert (len(table), table.shape) == (120, (120, 4))
    some = table[np.array([5, 2])]
    assert some.shape == (2, 4)
    assert collect(some) is some
    everything = {name: table.column(n).to_list() for n, name in enumerate(table.columns) if n & 1}
    order = np.lexsort((everything["item"], everything["user"]))
    expected = make_log().sort_by([("user", "ascending"), ("item", "ascending")])
    assert np.array(everything["item"])[order].tolist() == expected["item"].to_pylist()


@pytest.mark.parametrize("form", [*QUERIES, *STREAMS])
def test_judging_is_planned_for_them_and_their_parts(form):
    settings = {"judge": ContentJudge(), "slates__size": 3, "slates__max_slates": 8}
    model = make_model(item_data=make_items(), **settings)
    for cv in (None, 2):
        planned = model.plan_judging(FORMS[form](make_log()), cv=cv).slates
        expected = model.plan_judging(make_log().to_pandas(), cv=cv).slates
        assert planned == expected
        assert planned


def test_tables_in_memory_stay_what_they_are():
    frame = make_log().to_pandas()
    series = frame["user"]
    for table in (frame, series, frame.to_numpy(), [["a", 1]], pl.from_pandas(series), None, {}):
        assert collect(table, user_col=0) is table


def test_callbacks_score_what_was_collected():
    callbacks = pytest.importorskip("sklearn.callback")
    monitor = callbacks.ScoringMonitor(scoring={"AUC": auc_scorer()})
    query = pl.from_arrow(make_log()).lazy()
    model = make_model().set_callbacks(monitor).fit(query)
    rows = [row["AUC"] for row in monitor.get_logs().data if row["task_name"] == "fit"]
    assert rows == [auc_scorer()(model, make_log())]


# -- returned tables -------------------------------------------------------------------------------

LIBRARIES = {"pandas": pd.DataFrame, "polars": pl.DataFrame, "pyarrow": pa.Table}


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("kind", [kind for kind in IDS if kind != "category"])
def test_recommendations_come_in_any_library(library, kind):
    ids, _ = IDS[kind]
    likes = pa.table({"user": [1, 1, 2, 3], "item": ids.take(pa.array([0, 1, 0, 2]))})
    model = make_model(time_col=None).fit(likes)
    expected = model.recommend([2, 3], 2, as_frame=True)
    table = model.recommend([2, 3], 2, as_frame=library)
    assert type(table) is LIBRARIES[library]
    names = list(table.columns) if library != "pyarrow" else table.column_names
    assert names == ["user", "rank", "item", "score"]
    found, ranks, scores = (np.asarray(table[name]) for name in ("item", "rank", "score"))
    assert ranks.tolist() == expected["rank"].tolist()
    np.testing.assert_array_equal(scores, expected["score"])
    assert pd.Series(found).astype(expected["item"].dtype).equals(expected["item"])
    if library != "pandas":  # as in the table that went in
        schema = (table.to_arrow() if library == "polars" else table).schema
        assert schema.field("user").type == pa.int64()
        came, went = schema.field("item").type, ids.type
        views = {pa.string(): "string", pa.binary(): "binary"}
        assert came == went or views.get(went, "decimal") in str(came)
    similar = model.similar_items(model.items_[:1], as_frame=library)
    assert type(similar) is LIBRARIES[library]
    similar = model.similar_users([2, 3], as_frame=library)
    assert type(similar) is LIBRARIES[library]
    few = {
        "max_per_group": None,
        "min_new": 0,
        "per_user_items": dict.fromkeys([2, 3], model.items_),
    }
    assert type(model.recommend([2, 3], 2, as_frame=library, **few)) is LIBRARIES[library]


def test_as_frame_is_checked(in_pandas):
    assert isinstance(in_pandas.recommend(["u01"], as_frame=np.True_), pd.DataFrame)
    assert len(in_pandas.recommend(["u01"], as_frame=np.False_)) == 2
    for value in ("arrow", 1, None, pl):
        for method in (in_pandas.recommend, in_pandas.similar_items, in_pandas.similar_users):
            with pytest.raises(ValueError, match="as_frame must be True, False or one of 'pandas'"):
                method(in_pandas.users_[:1], as_frame=value)
    mixed = make_model(time_col=None, user_col=0, item_col=1).fit([["ann", 1], [2, 2], ["ann", 3]])
    assert len(mixed.recommend(["ann", 2], as_frame=True))
    for library in ("polars", "pyarrow"):
        with pytest.raises(ValueError, match=rf"{library} does not support ids of types"):
            mixed.recommend(["ann", 2], as_frame=library)
