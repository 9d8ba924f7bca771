"""The examples of "Factors you have" reproduce lists and users of the libraries."""

import os
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from threadpoolctl import threadpool_limits

PAGE = Path(__file__).parents[2] / "docs" / "given_factors.md"
_, SETUP, *BLOCKS = re.findall(
    r"^```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
)
N_USERS, N_ITEMS, N_GROUPS = 150, 60, 4


@pytest.fixture(scope="module")
def likes():
    """Users who mostly like the items of their group."""
    rng, rows = np.random.default_rng(0), []
    for user in range(N_USERS):
        weight = np.where(np.arange(N_ITEMS) % N_GROUPS == user % N_GROUPS, 4.0, 1.0)
        n = rng.integers(3, 12)
        items = rng.choice(N_ITEMS, n, replace=False, p=weight / weight.sum())
        rows += [(1000 + user, 10 * int(item)) for item in items]
    return pd.DataFrame(rows, columns=["user", "item"])


def code_of(library):
    (code,) = (block for block in BLOCKS if f"from {library}" in block)
    return code


def run(library, likes, **known):
    """Run the example of a library; return its namespace."""
    names = {"likes": likes, **known}
    with threadpool_limits(1, "blas"):
        exec(SETUP, names)
        exec(code_of(library), names)
    return names


def check_scores(given, scores, users, items):
    """Compare lists with a library's scores, (n_users, n_items), with -inf for seen items.

    Scores must match by rank: tied items may be in another order.
    """
    found, _ = given.recommend(users, 10)
    columns = pd.Index(items).get_indexer(found.ravel()).reshape(found.shape)
    best = -np.sort(-scores, axis=1)[:, :10]
    spread = np.ptp(scores[np.isfinite(scores)])
    chosen = np.take_along_axis(scores, columns, axis=1)
    np.testing.assert_allclose(chosen, best, atol=2e-5 * spread)


def without_seen(scores, likes, users, items):
    scores = np.array(scores, dtype=float)
    row, column = (
        pd.Index(ids).get_indexer(likes[name]) for name, ids in (("user", users), ("item", items))
    )
    scores[row, column] = -np.inf
    return scores


def check_users(given, likes, users, factors, rtol=2e-4):
    """Fold users in as new ones, and compare with a library's factors for their likes."""
    new = likes.assign(user=likes["user"] + 10_000)
    folded = given.fold_in(new).user_vectors(np.asarray(users) + 10_000)
    np.testing.assert_allclose(folded, factors, atol=rtol * np.abs(factors).max())


def test_implicit(likes):
    names = run("implicit", likes)
    als, given, matrix, users, items = (
        names[name] for name in ("als", "given", "matrix", "users", "items")
    )
    found, _ = als.recommend(np.arange(len(users)), matrix, N=10)
    ours, _ = given.recommend(users, 10)
    np.testing.assert_array_equal(ours, items.to_numpy()[found])
    solved = als.recalculate_user(np.arange(len(users)), matrix)
    check_users(given, likes, users, solved)


@pytest.mark.parametrize("loss", ["IALSPP", "ORIGINAL"])
@pytest.mark.parametrize("nu", [0.0, 1.0])
def test_irspack_has_a_scale_of_its_own(likes, loss, nu):
    irspack = pytest.importorskip("irspack")
    names = run("irspack", likes)
    given, ials, matrix, users, items = (
        names[name] for name in ("given", "ials", "matrix", "users", "items")
    )
    check_scores(given, ials.get_score_remove_seen(np.arange(len(users))), users, items)
    exact = irspack.IALSRecommender(
        matrix, 16, 0.1, 0.003 if nu else 0.1, nu, loss_type=loss, solver_type="CHOLESKY"
    ).learn()
    scale = 1 + exact.alpha0 if loss == "IALSPP" else 1
    given = names["SelectiveLLMRegularizedMF"].from_factors(
        users, items, scale * exact.get_user_embedding(), exact.get_item_embedding(),
        alpha=1 / exact.alpha0, base_confidence=1, regularization=exact.scaled_reg / exact.alpha0,
        count_offset=exact.alpha0 * len(items) if nu else None,
    )  # fmt: skip
    check_users(given, likes, users, scale * exact.compute_user_embedding(matrix))


def test_lightfm_has_columns_of_biases(likes):
    pytest.importorskip("lightfm")
    names = run("lightfm", likes)
    given, model, users, items = (names[name] for name in ("given", "lightfm", "users", "items"))
    pairs = np.divmod(np.arange(len(users) * len(items)), len(items))
    scores = model.predict(*(part.astype(np.int32) for part in pairs)).reshape(len(users), -1)
    ours = given.user_vectors(users) @ given.item_vectors().T
    np.testing.assert_allclose(ours, scores, atol=1e-4)
    check_scores(given, without_seen(scores, likes, users, items), users, items)


@pytest.mark.parametrize("with_features", [False, True])
def test_cmfrec_adds_1_to_confidences(likes, with_features):
    cmfrec = pytest.importorskip("cmfrec")
    names = run("cmfrec", likes)
    given, cmf = names["given"], names["cmf"]
    if with_features:
        group = pd.get_dummies(np.arange(N_ITEMS) % N_GROUPS).astype(float).add_prefix("group")
        cmf = cmfrec.CMF_implicit(
            k=8, k_item=2, k_main=3, lambda_=5.0, alpha=10.0, w_main=0.5, use_cg=False,
            verbose=False,
        )  # fmt: skip
        table = likes.rename(columns={"user": "UserId", "item": "ItemId"}).assign(Value=1.0)
        cmf.fit(table, I=group.assign(ItemId=10 * np.arange(N_ITEMS)))
        (call,) = re.findall(r"^given = .*?^\)$", code_of("cmfrec"), re.DOTALL | re.MULTILINE)
        exec(call, names | {"cmf": cmf}, made := {})
        given = made["given"]
    users, own = cmf.user_mapping_, likes.groupby("user")["item"]
    lists = [cmf.topN(user, n=10, exclude=own.get_group(user).to_numpy()) for user in users]
    np.testing.assert_array_equal(given.recommend(users, 10)[0], lists)
    solved = [
        cmf.factors_warm(X_col=(items := own.get_group(user)).to_numpy(), X_val=np.ones(len(items)))
        for user in users
    ]
    check_users(given, likes, users, np.array(solved)[:, cmf.k_user :])


def test_lenskit_solves_for_users_when_it_recommends(likes):
    lenskit = pytest.importorskip("lenskit")
    from lenskit.pipeline import topn_pipeline

    names = run("lenskit", likes)
    given, scorer = names["given"], names["scorer"]
    data = names["from_interactions_df"](likes.copy(), user_col="user", item_col="item")
    pipeline = topn_pipeline(scorer, n=10)
    pipeline.train(data, lenskit.training.TrainingOptions(retrain=False))
    users = scorer.users.ids()
    ours, scores = given.recommend(users, 10)
    for user, items, values in zip(users, ours, scores, strict=True):
        theirs = lenskit.recommend(pipeline, user, 10)
        assert theirs.ids().tolist() == items.tolist()
        np.testing.assert_allclose(theirs.scores(), values, rtol=1e-3)


@pytest.mark.slow
def test_spark_has_a_penalty_by_row(likes, monkeypatch):
    sql = pytest.importorskip("pyspark.sql")
    if shutil.which("java") is None:
        pytest.skip("Spark needs Java 17")
    monkeypatch.setenv("PYSPARK_PYTHON", sys.executable)
    root = str(Path(__file__).parents[2])
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([root, os.environ.get("PYTHONPATH", "")]))
    builder = sql.SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false")
    builder = builder.config("spark.driver.host", "127.0.0.1")
    builder = builder.config("spark.driver.bindAddress", "127.0.0.1")
    spark = builder.config("spark.sql.shuffle.partitions", 2).getOrCreate()
    try:
        names = run("pyspark", likes, spark=spark)
        (udf,) = (block for block in BLOCKS if "mapInPandas" in block)
        exec(udf, names)
        given, als_model = names["given"], names["als_model"]
        theirs = als_model.recommendForAllUsers(10)
        theirs = theirs.selectExpr("user", "recommendations.item AS items").toPandas()
        lists = names["lists"].toPandas().sort_values(["user", "rank"])
    finally:
        spark.stop()
    users = theirs["user"].to_numpy()
    ours, _ = given.recommend(users, 10, filter_seen=False)
    np.testing.assert_array_equal(ours, np.stack(theirs["items"]))
    table = given.recommend(given.users_, 10, as_frame=True).sort_values(["user", "rank"])
    np.testing.assert_array_equal(lists["item"], table["item"])
    check_users(given, likes, users, given.user_vectors(users))


def test_the_normal_equations_of_spark(likes):
    """Compare with the equations of Spark 4.3, with counts, solved in numpy for given items.

    A = Y'Y + sum of alpha r y y', b = sum of (1 + alpha r) y, and regParam times the number of
    ratings above 0 on the diagonal.
    """
    from sklearn_selreg import SelectiveLLMRegularizedMF

    rng = np.random.default_rng(0)
    y, r = rng.normal(0, 0.4, (N_ITEMS, 8)), rng.integers(1, 6, len(likes))
    alpha, reg, users = 2.5, 0.07, likes["user"].unique()
    solved = np.empty((len(users), 8))
    for row, user in enumerate(users):
        own = (likes["user"] == user).to_numpy()
        liked = y[likes["item"][own] // 10]
        system = y.T @ y + alpha * (liked.T * r[own]) @ liked + reg * own.sum() * np.eye(8)
        solved[row] = np.linalg.solve(system, (1 + alpha * r[own]) @ liked)
    spark = pd.DataFrame({"id": users, "features": solved.astype(np.float32).tolist()})
    items = pd.DataFrame({"id": 10 * np.arange(N_ITEMS), "features": y.tolist()})
    given = SelectiveLLMRegularizedMF.from_factors(
        spark["id"], items["id"], spark["features"], items["features"], interactions=likes, y=r,
        alpha=alpha, base_confidence=1, regularization=reg, count_offset=0,
    )  # fmt: skip
    given.fold_in(likes, r, known="replace")
    np.testing.assert_allclose(given.user_factors_, solved, atol=2e-5)
