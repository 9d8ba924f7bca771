"""Streams of record batches contain the lists of `recommend`."""

import datetime
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from sklearn_selreg import SelectiveLLMRegularizedMF

pa = pytest.importorskip("pyarrow")
SETTINGS = {"factors": 3, "regularization": 1.0, "alpha": 5.0, "iterations": 3, "random_state": 0}
KINDS = ["tea", "wine", "beer"]


def fit(make_user=str, make_item=int):
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"who": rng.integers(40, size=300), "what": rng.integers(20, size=300)})
    X = pd.DataFrame({"who": X["who"].map(make_user), "what": X["what"].map(make_item)})
    data = pd.DataFrame({"kind": [KINDS[n % 3] for n in range(24)]})
    data.index = pd.Index([make_item(n) for n in range(24)])
    columns = {"user_col": "who", "item_col": "what", "item_data": data}
    return SelectiveLLMRegularizedMF(**SETTINGS, **columns).fit(X)


@pytest.fixture(scope="module")
def model():
    return fit()


@pytest.mark.parametrize("batch_size", [1, 7, 40, 1000])
@pytest.mark.parametrize(
    "rules",
    [
        {},
        {"items": [1, 2, 3]},
        {"filter_seen": False, "exclude": [["3", 1], ["39", 2]]},
        {"max_per_group": {"kind": 1}, "min_new": 1},
        {"per_user_items": {str(n): [n % 20, 21, 22] for n in range(40)}},
    ],
)
def test_the_stream_has_the_lists_of_recommend(model, batch_size, rules):
    users = model.users_[::-1]
    reader = model.recommend_batches(users, 4, batch_size=batch_size, **rules)
    batches = list(reader)
    assert len(batches) == -(-40 // batch_size)
    assert {batch.schema for batch in batches} == {reader.schema}
    assert [field.type for field in reader.schema] == [
        *(pa.string(), pa.int32(), pa.int64(), pa.float32())
    ]
    table = pa.Table.from_batches(batches).to_pandas()
    expected = model.recommend(users, 4, as_frame=True, **rules)
    pd.testing.assert_frame_equal(table, expected, check_dtype=False)


def test_parquet_and_other_readers(model, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    reader = model.recommend_batches(model.users_, 3, batch_size=9)
    with parquet.ParquetWriter(tmp_path / "lists.parquet", reader.schema) as writer:
        for batch in reader:
            writer.write_batch(batch)
    expected = model.recommend(model.users_, 3, as_frame=True)
    found = pd.read_parquet(tmp_path / "lists.parquet")
    pd.testing.assert_frame_equal(found, expected, check_dtype=False)
    polars = pytest.importorskip("polars")
    frame = polars.from_arrow(model.recommend_batches(model.users_, 3, batch_size=9))
    assert frame["what"].to_list() == expected["what"].tolist()


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (int, pa.int64()),
        (lambda n: n + 0.5, pa.float64()),
        (lambda n: datetime.date(2020, 1, 1) + datetime.timedelta(int(n)), pa.date32()),
        (lambda n: b"%d" % n, pa.binary()),
    ],
)
def test_ids_keep_their_types(make, kind):
    model = fit(make, make)
    reader = model.recommend_batches(model.users_, 2)
    assert reader.schema.field("who").type == reader.schema.field("what").type == kind
    assert set(reader.read_all()["who"].to_pylist()) <= set(model.users_.tolist())


def test_a_batch_without_any_list(model):
    allowed = {str(n): [1] for n in range(20, 40)}
    with pytest.warns(UserWarning, match="20 of 40 users have no items in per_user_items"):
        reader = model.recommend_batches(
            [str(n) for n in range(40)], 1, batch_size=20, per_user_items=allowed, filter_seen=False
        )
    assert [batch.num_rows for batch in reader] == [0, 20]


def test_too_few_new_items_are_told_once_at_the_end(model):
    reader = model.recommend_batches(model.users_, 6, batch_size=10, min_new=5)
    with pytest.warns(UserWarning, match="40 of 40 lists have fewer than min_new=5") as caught:
        reader.read_all()
    assert len(caught) == 1


def test_errors_come_at_the_call(model):
    with pytest.raises(ValueError, match="batch_size must be an integer >= 1; got 0"):
        model.recommend_batches(["1"], batch_size=0)
    with pytest.raises(ValueError, match="max_per_group must name a column"):
        model.recommend_batches(["1"], max_per_group={"color": 1})
    with pytest.raises(TypeError, match="unexpected keyword argument 'as_frame'"):
        model.recommend_batches(["1"], as_frame=True)
    mixed = fit(lambda n: n if n % 2 else str(n))
    with pytest.raises(TypeError, match=r"single type supported by Arrow; got .* column 'who'"):
        mixed.recommend_batches(mixed.users_)


@pytest.mark.slow
def test_without_pyarrow_the_message_says_what_to_install():
    code = """
import sys
sys.modules["pyarrow"] = None
from sklearn_selreg import SelectiveLLMRegularizedMF
model = SelectiveLLMRegularizedMF(factors=2, random_state=0).fit([["a", 1], ["b", 2], ["b", 1]])
model.recommend(["a"], 1)
try:
    model.recommend_batches(["a"], 1)
except ImportError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    expected = "recommend_batches needs pyarrow, which is not installed: pip install pyarrow"
    assert done.stdout.startswith(expected), done.stderr
