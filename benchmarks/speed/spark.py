"""Spark's ALS and this package: the same lists, the same folded-in users, and a judge on top.

Run ``python benchmarks/speed/spark.py [--interactions 1000000]`` with Java 17 on the path; pyspark
is installed into a separate environment, and runs in local mode. Writes
``benchmarks/results/spark.json``. On MovieLens with its recorded answers, and on synthetic data
with a simulated judge, Spark's ALS is fitted and its factors are imported as in
``docs/given_factors.md``. Then

- users' ten best items are compared with those of ``recommendForUserSubset``,
- users are folded in from their interactions, and compared with Spark's own factors,
- the model is refined with the judge's preferences (`refine`), and held-out items are ranked before
  and after, on MovieLens also by a `fit` of this package with fixed settings (``tuning=None``),
- Spark's workers recommend to all users (``mapInPandas``), compared with `recommend`.
"""

import argparse
import json
import os
import shutil
import sys
import time
import warnings
from importlib.metadata import version
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))  # shared by all benchmarks

import repository  # isort: skip
import environment

RESULTS = repository.RESULTS / "spark.json"
COLUMNS = {"user_col": "user", "item_col": "item"}
N_COMPARED, N_RANKED = 1000, 2000  # users
RANK, SWEEPS, REG, ALPHA = 32, 5, 0.05, 10.0
PACKAGES = ("pyspark==4.3.0", "pandas>=2.2,<3", "pyarrow>=17")


class Laps:
    """Seconds between one step and the next."""

    def __init__(self):
        self.seconds, self._start = {}, time.perf_counter()

    def __call__(self, name):
        self.seconds[name] = round(time.perf_counter() - self._start, 1)
        print(f"{name}: {self.seconds[name]} s", flush=True)
        self._start = time.perf_counter()


def start_spark():
    """Start a session in local mode, restricted to this machine."""
    from pyspark.sql import SparkSession

    os.environ["PYSPARK_PYTHON"] = sys.executable
    settings = {
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.memory": "4g",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.shuffle.partitions": 4,
    }
    builder = SparkSession.builder.master("local[2]")
    for name, value in settings.items():
        builder = builder.config(name, value)
    spark = builder.getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    return spark


def fit(spark, X):
    """Fit Spark's ALS to interactions of equal strength."""
    from pyspark.ml.recommendation import ALS

    als = ALS(
        rank=RANK, maxIter=SWEEPS, regParam=REG, alpha=ALPHA, implicitPrefs=True, seed=0,
        numUserBlocks=4, numItemBlocks=4, userCol="user", itemCol="item", ratingCol="strength",
    )  # fmt: skip
    return als, als.fit(spark.createDataFrame(X[["user", "item"]].assign(strength=1.0)))


def convert(als, als_model, X, **settings):
    """Build a model from Spark's factors."""
    from sklearn_selreg import SelectiveLLMRegularizedMF

    users, items = als_model.userFactors.toPandas(), als_model.itemFactors.toPandas()
    return SelectiveLLMRegularizedMF.from_factors(
        users["id"], items["id"], users["features"], items["features"], interactions=X,
        alpha=als.getAlpha(), base_confidence=1, regularization=als.getRegParam(), count_offset=0,
        **COLUMNS, **settings,
    )  # fmt: skip


def compare_lists(spark, als_model, given):
    """Fraction of users with the same ten best items in the same order; number of users."""
    some = given.users_[:: -(-len(given.users_) // N_COMPARED)]
    asked = spark.createDataFrame([(int(user),) for user in some], ["user"])
    theirs = als_model.recommendForUserSubset(asked, 10)
    theirs = theirs.selectExpr("user", "recommendations.item AS items").toPandas()
    ours, _ = given.recommend(theirs["user"], 10, filter_seen=False)
    return float(np.mean((ours == np.stack(theirs["items"])).all(axis=1))), len(theirs)


def compare_users(given, X):
    """Largest difference of folded-in users, relative to Spark's largest factor."""
    own, shift = given.user_vectors(given.users_), int(X["user"].max()) + 1
    ids = given.users_ + shift
    given.fold_in(X[["user", "item"]].assign(user=X["user"] + shift))
    return float(np.abs(given.user_vectors(ids) - own).max() / np.abs(own).max())


def recommend_to_all(spark, als_model, given):
    """Recommend to all users on Spark's workers; return whether the lists equal `recommend`."""
    given.set_params(n_jobs=1, judge=None)
    shared = spark.sparkContext.broadcast(given)

    def recommend(batches):
        for batch in batches:
            yield shared.value.recommend(batch["id"], n_items=10, as_frame=True)

    ids = als_model.userFactors.select("id")
    lists = ids.mapInPandas(recommend, "user long, rank long, item long, score float").toPandas()
    here = given.recommend(given.users_, 10, as_frame=True)
    order = ["user", "rank"]
    ours, theirs = (t.sort_values(order)["item"].to_numpy() for t in (here, lists))
    return bool(np.array_equal(ours, theirs)), len(lists)


def judge_pays(given, X, held_out, fitted=None, **known):
    """Refine; return metrics before and after, and of a fit, with the difference in AUC."""
    from sklearn_selreg.metrics import compare_reports, ranking_report

    held_out = held_out[held_out["item"].isin(given.items_)]
    users = held_out["user"].unique()
    held_out = held_out[held_out["user"].isin(users[:: -(-len(users) // N_RANKED)])]
    kept = {"train": X[["user", "item"]], **known}

    def report(model):
        return ranking_report(model, held_out[["user", "item"]], **kept)

    before = report(given)
    start = time.perf_counter()
    after = report(given.refine())
    difference = compare_reports(after, before).loc["overall", "AUC"]
    result = {
        "seconds to refine and rank": round(time.perf_counter() - start, 1),
        "preferences weighted": given.judge_stats_["pairs_weighted"],
        "AUC after - before": difference.round(4).to_dict(),
    }
    models = {"before": before, "after": after}
    if fitted is not None:
        models["fit"] = report(fitted)
    for name, metrics in models.items():
        result[name] = metrics.loc["overall", ["NDCG@10", "AUC"]].round(4).to_dict()
    return result


def run(spark, name, X, held_out, judge, item_data, fitted=None, **known):
    """Run all parts on one data set."""
    laps = Laps()
    als, als_model = fit(spark, X)
    laps("Spark's fit")
    given = convert(als, als_model, X[["user", "item"]], judge=judge, item_data=item_data)
    laps("converting")
    same, n = compare_lists(spark, als_model, given)
    laps("comparing lists")
    row = {"data": name, "interactions": len(X), "users": len(given.users_)}
    row |= {"items": len(given.items_), "users compared": n, "same lists": same}
    all_same, n_rows = recommend_to_all(spark, als_model, given)
    laps("lists for all by Spark's workers")
    row |= {"rows of lists for all": n_rows, "same for all": all_same}
    row["folded in, relative difference"] = compare_users(
        convert(als, als_model, X[["user", "item"]]), X
    )
    laps("folding in")
    given.set_params(judge=judge, n_jobs=None)
    row["judge"] = judge_pays(given, X, held_out, fitted, **known)
    laps("judge")
    print(row, laps.seconds, flush=True)
    return row | {"seconds": laps.seconds}


def main():
    """Run MovieLens and the synthetic data."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--interactions", type=int, default=1_000_000)
    args = parser.parse_args()
    if shutil.which("java") is None:
        raise SystemExit("Spark requires Java 17; install it, e.g. openjdk-17-jre on Debian.")
    environment.run_with(*PACKAGES)
    warnings.simplefilter("ignore")
    from sklearn_selreg import SelectiveLLMRegularizedMF
    from sklearn_selreg.datasets import load_movielens_coldstart, make_interactions

    spark = start_spark()
    films = load_movielens_coldstart()
    fitted = SelectiveLLMRegularizedMF(
        judge=films.judge, item_data=films.item_data, time_col="time", tuning=None,
        random_state=0, **COLUMNS,
    ).fit(films.train)  # fmt: skip
    known = films.judge, films.item_data, fitted
    rows = [run(spark, "MovieLens", films.train, films.valid, *known, cohort=films.cohort)]
    n = args.interactions
    world = make_interactions(n // 50, 5000, n, random_state=0)
    newest = world.X.groupby("user").tail(1)
    rest = world.X.drop(newest.index)
    newest = newest[newest["user"].isin(rest["user"])]
    judge = world.judge.set_params(cache=None)
    rows.append(run(spark, "synthetic", rest, newest, judge, world.item_data))
    spark.stop()
    result = {"pyspark": version("pyspark"), "runs": rows}
    RESULTS.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
