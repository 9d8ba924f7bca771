"""Returns and dislikes: negative strengths, in every method that takes strengths."""

import warnings

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from estimators import make_estimator
from scipy.sparse import csr_matrix
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_val_score

from sklearn_selreg.exceptions import ParameterWarning
from sklearn_selreg.judges import LLMJudge
from sklearn_selreg.metrics import auc_scorer, compare_reports, ranking_report
from sklearn_selreg.model_selection import ColdStartSplit, LeaveLastOut

COLUMNS = {"user_col": "user", "item_col": "item"}


@pytest.fixture(scope="module")
def orders():
    """Purchases, some of which are returned later."""
    rng = np.random.default_rng(0)
    bought = pd.DataFrame({"user": rng.integers(0, 30, 500), "item": rng.integers(0, 20, 500)})
    bought["quantity"] = rng.integers(1, 4, 500)
    back = bought.sample(120, random_state=1)
    back["quantity"] = -np.minimum(back["quantity"], rng.integers(1, 4, 120))
    return pd.concat([bought, back], ignore_index=True)


@pytest.fixture(scope="module")
def netted(orders):
    """The netted pairs by pandas: those with something left, at their last purchase."""
    left = orders.groupby(["user", "item"])["quantity"].transform("sum")
    last = orders[orders["quantity"] > 0].drop_duplicates(["user", "item"], keep="last")
    last = last.assign(quantity=left[last.index])
    return last[last["quantity"] > 0]


def model(**parameters):
    settings = {"factors": 4, "iterations": 3, "random_state": 0, "negatives": "net"}
    return make_estimator(**COLUMNS, **settings | parameters)


def test_a_fit_is_as_of_netted_rows(orders, netted):
    found = model().fit(orders[["user", "item"]], orders["quantity"])
    expected = model(negatives="error").fit(netted[["user", "item"]], netted["quantity"])
    np.testing.assert_allclose(found.user_factors_, expected.user_factors_, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found.item_factors_, expected.item_factors_, rtol=1e-5, atol=1e-6)
    with pytest.raises(ValueError, match='negatives="net"'):
        model(negatives="error").fit(orders[["user", "item"]], orders["quantity"])
    with pytest.raises(ValueError, match="'negatives' parameter"):
        model(negatives="drop").fit(orders[["user", "item"]], orders["quantity"])


def test_all_that_takes_strengths_nets_them(orders, netted):
    X, y = orders[["user", "item"]], orders["quantity"]
    fitted = model().fit(X, y)
    relevant = netted[["user", "item"]]
    assert fitted.score(X, y) == fitted.score(relevant)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about evaluating on training rows
        one = ranking_report(fitted, X, y=y, train=relevant[:5])
        other = ranking_report(fitted, relevant, train=relevant[:5])
    pd.testing.assert_frame_equal(pd.DataFrame(one), pd.DataFrame(other))
    assert auc_scorer()(fitted, X, y) == auc_scorer()(fitted, relevant)
    folded = clone(fitted).fit(X, y).fold_in(X.assign(user=X["user"] + 100), y)
    assert (folded._fitted.matrix[30:] != folded._fitted.matrix[:30]).nnz == 0
    dense = sp.coo_matrix((y, (X["user"], X["item"])))
    matrix = model().fit(dense)._fitted.matrix
    assert (matrix != fitted._fitted.matrix).nnz == 0


def test_searches_and_splitters(orders):
    X, y = orders[["user", "item"]], orders["quantity"]
    search = GridSearchCV(model(), {"alpha": [1, 10]}, cv=LeaveLastOut(**COLUMNS)).fit(X, y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    scores = cross_val_score(model(), X, y, cv=ColdStartSplit(n_splits=2, **COLUMNS))
    assert np.isfinite(scores).all()


def test_judges_are_shown_what_was_kept(orders, netted):
    judge = LLMJudge.from_callable(
        lambda slate: np.arange(len(slate.candidates)) / 20, name="x", version="1", cache=None,
        reads_texts=False,
    )  # fmt: skip
    plan = model(judge=judge, slates__size=5).plan_judging(
        orders[["user", "item"]], orders["quantity"]
    )
    kept = set(netted[["user", "item"]].itertuples(index=False, name=None))
    shown = {(slate.user, item) for slate in plan.slates for item in slate.history}
    assert shown
    assert shown <= kept


def test_netting_without_strengths_warns(orders):
    X = orders[["user", "item"]]
    with pytest.warns(ParameterWarning, match=r"negatives='net'.*quantities as y"):
        model().fit(X)
    matrix = csr_matrix(np.eye(5))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model().fit(X, np.ones(len(X))).score(X[:50])
        model().fit(matrix)
        model(negatives="error").fit(X)


def test_the_remedy_has_the_names_of_the_columns(orders):
    frame = orders.rename(columns={"user": "customer", "item": "sku"})
    for columns in ({"user_col": "customer", "item_col": "sku"}, {"user_col": 0, "item_col": 1}):
        shop = model(negatives="error").set_params(**columns)
        with pytest.raises(ValueError, match="may be returns: set negatives") as error:
            shop.fit(frame[["customer", "sku"]], frame["quantity"])
        code = [line for line in str(error.value).splitlines() if line.startswith("    ")]
        names = {"X": frame[["customer", "sku"]], "y": frame["quantity"], "model": shop}
        exec("\n".join(line.strip() for line in code), names)
        expected = model().set_params(**columns).fit(names["X"], names["y"])
        assert (shop._fitted.matrix != expected._fitted.matrix).nnz == 0


def test_reports_of_popularity_on_netted_rows_are_comparable(orders, netted):
    X, y = orders[["user", "item"]], orders["quantity"]
    later = orders.sample(200, random_state=2)
    fitted = model().fit(X, y)
    how = {"train": netted[["user", "item"]], "items": fitted.items_, **COLUMNS}
    for other in ("popularity", lambda users: np.zeros((len(users), len(fitted.items_)))):
        with pytest.raises(ValueError, match=r"got \d+ negative values\. Sum y per user and item"):
            ranking_report(other, later[["user", "item"]], later["quantity"], **how)
    left = later.groupby(["user", "item"], as_index=False)["quantity"].sum()
    left = left[left["quantity"] > 0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # training interactions
        own = ranking_report(fitted, later[["user", "item"]], later["quantity"])
        popular = ranking_report("popularity", left[["user", "item"]], **how)
        bought = later.loc[later["quantity"] > 0, ["user", "item"]]
        naive = ranking_report("popularity", bought, **how)
    with pytest.raises(ValueError, match=r'interactions of .* negatives="net" drops pairs'):
        compare_reports(own, naive)
    assert own.loc["overall", "interactions"] == len(left)
    differences = compare_reports(own, popular, n_bootstrap=10)
    expected = own.loc["overall", "AUC"] - popular.loc["overall", "AUC"]
    assert differences.loc["overall", ("AUC", "difference")] == pytest.approx(expected)
