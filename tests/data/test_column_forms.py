"""Tables passed after the fit: values keep their meaning across dtypes."""

import datetime
import pickle

import numpy as np
import pandas as pd
import pytest

from sklearn_selreg import AutoItemEncoder
from sklearn_selreg.exceptions import DataWarning

N = 60


def make_table():
    days = pd.to_timedelta(np.arange(N) * 50, unit="D")
    born = (pd.Timestamp("1960-01-01") + days).to_series(index=range(N))
    price = 10 + 7.25 * np.arange(N)
    return pd.DataFrame(
        {
            "born": born.mask(np.arange(N) % 7 == 0),
            "income": np.where(np.arange(N) % 5 == 0, np.nan, 1000.5 + 3 * np.arange(N)),
            "price": [f"{p:,.2f} €".translate(str.maketrans(",.", ".,")) for p in price],
            "vip": np.arange(N) % 2 == 0,
            "club": np.arange(N) % 3 // 2,
            "tags": [["a", "b"], ["b"], ["c"]] * (N // 3),
            "genres": ["a|b", "b|c", "c"] * (N // 3),
            "country": ["DE", "FR", None] * (N // 3),
            "band": pd.cut(np.arange(N), [-1, 20, 40, N]),
        }
    )


@pytest.fixture(scope="module")
def encoder():
    return AutoItemEncoder(min_count=2).fit(make_table())


def features_of(encoder, table):
    features = encoder.transform(table).toarray()
    names = encoder.get_feature_names_out()
    return [dict(zip(names[row != 0], row[row != 0], strict=True)) for row in features]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("column", "convert"),
    [
        ("born", lambda v: v.dt.strftime("%Y-%m-%d")),
        ("born", lambda v: v.dt.strftime("%Y-%m-%dT%H:%M:%SZ")),
        ("born", lambda v: v.dt.tz_localize("UTC")),
        ("born", lambda v: pd.Series([None if pd.isna(x) else x.date() for x in v], dtype=object)),
        ("income", lambda v: v.map(str).where(v.notna())),
        ("income", lambda v: v.astype(object).where(v.notna(), pd.NaT)),
        ("income", lambda v: v.astype("Float64")),
        ("price", lambda v: pd.Series(10 + 7.25 * np.arange(N))),
        ("vip", lambda v: v.astype(int)),
        ("vip", lambda v: v.astype(str)),
        ("vip", lambda v: v.astype("boolean")),
        ("club", lambda v: v.astype(bool)),
        ("club", lambda v: v.astype(str)),
        ("club", lambda v: v.astype(float)),
        ("genres", lambda v: v.str.split("|")),
        ("band", lambda v: v.astype(str)),
        ("band", lambda v: v.astype(object)),
    ],
)
def test_values_of_another_type_count_alike(encoder, column, convert):
    table = make_table()
    expected = encoder.transform(table).toarray()
    found = encoder.transform(table.assign(**{column: convert(table[column])})).toarray()
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    ("column", "value", "was"),
    [
        ("born", "3 May 1990", "dates"),
        ("born", 1990, "dates"),
        ("income", "12,50", "numbers"),
        ("income", "1.250,00", "numbers"),
        ("income", "30 years", "numbers"),
        ("income", pd.Timestamp("1990-01-01"), "numbers"),
        ("price", "12.50", "numbers with decimal separator ','"),
        ("vip", "yes", "booleans"),
        ("vip", 2, "booleans"),
        ("tags", "a|b", "lists"),
        ("country", ["DE", "FR"], "texts"),
        ("band", 12, "intervals"),
    ],
)
def test_what_cannot_be_read_is_missing_and_told(encoder, column, value, was):
    row = make_table().iloc[[1]]
    missing = features_of(encoder, row.assign(**{column: [None]}))
    with pytest.warns(DataWarning, match=f"'{column}' contained {was}.* missing. Convert"):
        found = features_of(encoder, row.assign(**{column: [value]}))
    assert found == missing


@pytest.mark.parametrize("nothing", [None, np.nan, pd.NaT, "nat column", " "])
def test_a_missing_date_or_number_is_missing(encoder, nothing):
    table = make_table().iloc[[1]]
    for column in ("born", "income"):
        empty = pd.to_datetime([None]) if nothing == "nat column" else [nothing]
        (found,) = features_of(encoder, table.assign(**{column: empty}))
        assert [name for name in found if name.startswith(column)] == [f"{column}=missing"]


def test_a_row_does_not_depend_on_others(encoder):
    table = make_table().astype(object)
    table.loc[3, "born"] = "1977-05-04"
    table.loc[4, "born"] = datetime.date(1977, 5, 4)
    table.loc[5, "income"] = "1012.25"
    table.loc[6, "vip"] = 1
    table.loc[8, "club"] = True
    table.loc[9, "country"] = 7.0
    together = encoder.transform(table).toarray()
    alone = [encoder.transform(table.iloc[[row]]).toarray()[0] for row in range(N)]
    np.testing.assert_array_equal(together, alone)


def test_intervals_are_categories(encoder):
    assert encoder.column_kinds_["band"] == "category"
    names = [n for n in encoder.get_feature_names_out() if n.startswith("band")]
    assert names == ["band=(-1, 20]", "band=(20, 40]", "band=(40, 60]"]


def test_forms_are_pickled(encoder):
    table = make_table().assign(born=make_table()["born"].dt.strftime("%Y-%m-%d"))
    again = pickle.loads(pickle.dumps(encoder))
    np.testing.assert_array_equal(
        again.transform(table).toarray(), encoder.transform(table).toarray()
    )


@pytest.mark.filterwarnings("error")
def test_few_written_numbers_are_categories_of_numbers():
    written = ["4,50 €", "1.020,00 €", "12,25 €"] * 20
    encoder = AutoItemEncoder().fit(pd.DataFrame({"price": written}))
    assert encoder.column_kinds_ == {"price": "category"}
    found = encoder.transform(pd.DataFrame({"price": [4.5, 1020, 12.25] * 20}))
    expected = encoder.transform(pd.DataFrame({"price": written}))
    np.testing.assert_array_equal(found.toarray(), expected.toarray())
    assert expected.nnz == 60
