"""Further metrics, against loops, enumeration of all tie orders, and other packages."""

import itertools
from math import log2

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
from sklearn.model_selection import cross_validate

from sklearn_selreg import SelectiveLLMRegularizedMF, metrics
from sklearn_selreg.inspection import RegimeDisplay
from sklearn_selreg.metrics import (
    RankingReport,
    compare_reports,
    ranking_report,
    report_intervals,
    users_needed,
)
from sklearn_selreg.metrics._positions import position_metrics
from sklearn_selreg.model_selection import LeaveLastOut

K = 5
ACCURACY = ("NDCG", "recall", "precision", "hit rate", "MAP", "MRR")
LISTS = ("novelty", "diversity", "popularity lift", "coverage", "Gini")


def of_order(relevant, k, n_relevant):
    """Hit rate, AP and RR of a ranking, given as a list of relevance bools; textbook formulas."""
    hits = [p for p, is_relevant in enumerate(relevant[:k], start=1) if is_relevant]
    precisions = [sum(relevant[:p]) / p for p in hits]
    return [bool(hits), sum(precisions) / min(k, n_relevant), 1 / hits[0] if hits else 0.0]


@pytest.mark.parametrize("seed", range(12))
def test_ties_count_by_the_mean_over_all_orders(seed):
    rng = np.random.default_rng(seed)
    n_users, n_items, k = 4, 7, int(rng.integers(1, 8))
    pairs, expected = [], []
    for user in range(n_users):
        scores = rng.integers(0, 3, n_items)
        relevant = np.zeros(n_items, bool)
        relevant[rng.choice(n_items, int(rng.integers(1, 5)), replace=False)] = True
        groups = [np.flatnonzero(scores == s) for s in sorted(set(scores), reverse=True)]
        orders = itertools.product(*(itertools.permutations(group) for group in groups))
        each = [of_order(relevant[np.concatenate(o)], k, relevant.sum()) for o in orders]
        expected.append(np.mean(each, axis=0))
        for item in np.flatnonzero(relevant):
            above, tied = np.sum(scores > scores[item]), np.sum(scores == scores[item]) - 1
            pairs.append((user, above, tied))
    user, above, tied = np.array(pairs).T
    found = position_metrics(user, above.astype(float), tied.astype(float), n_users, k)
    for column, name in enumerate(("hit rate", "MAP", "MRR")):
        np.testing.assert_allclose(found[name], np.array(expected)[:, column], atol=1e-12)


@pytest.fixture(scope="module")
def world():
    """Interactions with rare, new and unknown items, and scores without ties."""
    rng = np.random.default_rng(5)
    n_users, items = 60, np.arange(40)
    user = np.minimum(rng.geometric(0.05, 500), n_users) - 1
    item = np.minimum(rng.geometric(0.07, 500), 43) - 1  # 40 to 42 are outside the catalog
    table = pd.DataFrame({"user": user, "item": item}).drop_duplicates()
    train, held_out = table[:200], table[200:]
    return {
        "train": train[train["item"] < 40],
        "X": held_out,
        "items": items,
        "scores": rng.normal(size=(n_users, 40)) + 2 / (1 + items),
        "features": rng.integers(0, 3, (40, 6)) * (items[:, None] != 3),  # item 3 has no features
        "country": pd.Series(rng.choice(["DE", "FR", None], n_users), name="country"),
        "shelf": dict(enumerate(rng.choice(["a", "b"], 40))),
    }


@pytest.fixture(scope="module")
def report(world):
    return ranking_report(
        lambda users: world["scores"][users],
        world["X"],
        train=world["train"],
        items=world["items"],
        k=K,
        metrics="all",
        user_segments=world["country"],
        item_segments=world["shelf"],
        item_features=world["features"],
    )


def lists_and_relevant(world):
    """Return each held-out user's ranking and held-out items."""
    train = set(map(tuple, world["train"].to_numpy()))
    held_out = set(map(tuple, world["X"].to_numpy()))
    rankings = {}
    for user in sorted({u for u, _ in held_out}):
        own = {i for u, i in held_out if u == user}
        candidates = [i for i in world["items"] if i in own or (user, i) not in train]
        ordered = sorted(candidates, key=lambda i, user=user: -world["scores"][user, i])
        rankings[user] = ordered, own
    return rankings


def in_row(row, user, item, world, counts, lengths):
    """Whether an interaction belongs to a row of the report."""
    n = counts.get(item, 0)
    return {
        "overall": True,
        "cold": lengths.get(user, 0) < 3,
        "warm": lengths.get(user, 0) >= 3,
        "tail": n <= 3,
        "new": n == 0,
        "country=DE": world["country"][user] == "DE",
        "country=FR": world["country"][user] == "FR",
        "item=a": world["shelf"].get(item) == "a",
        "item=b": world["shelf"].get(item) == "b",
    }[row]


def test_the_report_is_as_a_loop_over_users(world, report):
    counts = world["train"]["item"].value_counts().to_dict()
    profiles = world["train"].groupby("user")["item"].apply(list).to_dict()
    lengths = {user: len(own) for user, own in profiles.items()}
    n_train_users, features = len(profiles), world["features"].astype(float)
    assert set(report.index) == {
        *("overall", "cold", "warm", "tail", "new"),
        *("country=DE", "country=FR", "item=a", "item=b"),
    }
    for row in report.index:
        per_user, shown, rec_pop, own_pop, n, outside = [], [], [], [], 0, 0
        for user, (ordered, own) in lists_and_relevant(world).items():
            kind = {i for i in own if in_row(row, user, i, world, counts, lengths)}
            if not kind:
                continue
            n, outside = n + len(kind), outside + sum(i >= 40 for i in kind)
            relevant, top = [i in kind for i in ordered], ordered[:K]
            hit, precision, reciprocal = of_order(relevant, K, len(kind))
            cosines = []
            for i, j in itertools.combinations(top, 2):
                norm = np.linalg.norm(features[i]) * np.linalg.norm(features[j])
                cosines.append(features[i] @ features[j] / norm if norm else 0.0)
            per_user.append(
                {
                    "precision": sum(relevant[:K]) / K,
                    "hit rate": hit,
                    "MAP": precision,
                    "MRR": reciprocal,
                    "novelty": np.mean(
                        [log2(n_train_users / max(counts.get(i, 0), 1)) for i in top]
                    ),
                    "diversity": 1 - np.mean(cosines),
                }
            )
            shown += top
            if user in profiles:
                rec_pop.append(np.mean([counts.get(i, 0) / n_train_users for i in top]))
                own_pop.append(np.mean([counts[i] / n_train_users for i in profiles[user]]))
        for name, mean in pd.DataFrame(per_user).mean().items():
            assert report.loc[row, f"{name}@{K}"] == pytest.approx(mean), (row, name)
        lift = np.mean(rec_pop) / np.mean(own_pop) - 1 if own_pop else np.nan
        assert report.loc[row, f"popularity lift@{K}"] == pytest.approx(lift, nan_ok=True)
        times = np.array([shown.count(i) for i in world["items"]])
        assert report.loc[row, f"coverage@{K}"] == np.mean(times > 0)
        # Alternative definition: the mean of |x_i - x_j| over pairs, divided by twice the mean.
        gap = np.abs(times[:, None] - times).sum() / (40 * 39) / (2 * times.mean())
        assert report.loc[row, f"Gini@{K}"] == pytest.approx(gap)
        assert report.loc[row, ["users", "interactions", "outside"]].to_list() == [
            *(len(per_user), n, outside)
        ]


@pytest.mark.slow
def test_metrics_are_those_of_ranx(world, report):
    ranx = pytest.importorskip("ranx")
    rankings = lists_and_relevant(world)
    qrels = ranx.Qrels({f"u{u}": {f"i{i}": 1 for i in own} for u, (_, own) in rankings.items()})
    run = ranx.Run(
        {
            f"u{u}": {f"i{i}": float(world["scores"][u, i]) for i in ordered}
            for u, (ordered, _) in rankings.items()
        }
    )
    names = {"precision": "precision", "hit_rate": "hit rate", "mrr": "MRR", "recall": "recall"}
    names |= {"ndcg": "NDCG"}
    found = ranx.evaluate(qrels, run, [f"{name}@{K}" for name in names])
    for name, ours in names.items():
        assert report.loc["overall", f"{ours}@{K}"] == pytest.approx(found[f"{name}@{K}"])
    # ranx divides the sum of precisions by the number of relevant items, we by at most k.
    ranx.evaluate(qrels, run, f"map@{K}")
    theirs = run.scores[f"map@{K}"]
    scale = [len(own) / min(K, len(own)) for _, own in rankings.values()]
    by_user = [theirs[f"u{u}"] * s for u, s in zip(rankings, scale, strict=True)]
    assert report.loc["overall", f"MAP@{K}"] == pytest.approx(np.mean(by_user))


def test_map_is_that_of_implicit(world):
    """MAP in implicit has the same denominator; training items are excluded from its ranking."""
    from implicit.als import AlternatingLeastSquares
    from implicit.evaluation import mean_average_precision_at_k

    known = world["X"]["user"].isin(world["train"]["user"])  # implicit has no factors for others
    inside = world["X"][known & (world["X"]["item"] < 40)]
    seen = world["train"].merge(inside, on=["user", "item"])
    inside = pd.concat([inside, seen]).drop_duplicates(keep=False)
    shape = (60, 40)

    def as_matrix(table):
        return sp.csr_matrix((np.ones(len(table)), (table["user"], table["item"])), shape=shape)

    train, test = as_matrix(world["train"]), as_matrix(inside)
    model = AlternatingLeastSquares(8, random_state=0, iterations=3)
    model.fit(train.astype(np.float32), show_progress=False)
    theirs = mean_average_precision_at_k(model, train, test, K=K, show_progress=False)
    ours = ranking_report(
        lambda users: model.user_factors[users] @ model.item_factors.T,
        *(inside,),
        train=world["train"],
        items=world["items"],
        k=K,
        metrics=["MAP"],
    )
    assert ours.loc["overall", f"MAP@{K}"] == pytest.approx(theirs, abs=1e-6)


def test_other_metrics_leave_the_usual_ones_as_they_are(world, report):
    usual = ranking_report(
        lambda users: world["scores"][users],
        world["X"],
        train=world["train"],
        items=world["items"],
        k=K,
    )
    assert usual.columns.to_list() == [
        *(f"NDCG@{K}", f"recall@{K}", "AUC", "users", "interactions", "outside")
    ]
    pd.testing.assert_frame_equal(report.loc[usual.index, usual.columns], usual, check_like=False)
    assert usual.lists is None


def test_reports_are_averaged_again_from_details(report):
    again = RankingReport.from_details(
        report.details, report.k, report.catalog, lists=report.lists, metrics="all"
    )
    pd.testing.assert_frame_equal(again, report)
    vip = report.details.assign(vip=report.details["user"] < 10)
    vip = RankingReport.from_details(vip, report.k, metrics=["MRR"])
    own = report.details[report.details["user"] < 10]
    assert vip.loc["vip", "interactions"] == len(own)
    alone = RankingReport.from_details(own, report.k, metrics=["MRR"])
    assert vip.loc["vip", f"MRR@{K}"] == pytest.approx(alone.loc["overall", f"MRR@{K}"])
    with pytest.raises(ValueError, match=r"require the columns 'n_above' and 'n_tied'"):
        RankingReport.from_details(own.drop(columns="n_tied"), report.k, metrics=["MAP"])
    with pytest.raises(ValueError, match="require the attribute `lists`"):
        RankingReport.from_details(own, report.k, report.catalog, metrics=["coverage"])


def test_intervals_are_of_all_metrics_that_are_means(report):
    metrics = [f"{name}@{K}" for name in (*ACCURACY, *LISTS[:3])]
    metrics.insert(len(ACCURACY), "AUC")
    intervals = report_intervals(report, n_bootstrap=200)
    assert intervals.columns.unique(0).to_list() == metrics
    assert intervals.index.to_list() == report.index.to_list()
    for metric in metrics:
        np.testing.assert_allclose(intervals[metric, "value"], report[metric])
        low, value, high = intervals.loc["overall", metric][["low", "value", "high"]]
        assert low < value < high
    same = compare_reports(report, report, n_bootstrap=20)
    assert (same.fillna(0) == 0).all(axis=None)
    assert users_needed(report, report).columns.unique(0).to_list() == metrics
    only = RankingReport.from_details(
        report.details, K, report.catalog, lists=report.lists, metrics=["Gini"]
    )
    with pytest.raises(ValueError, match="no metric that can be bootstrapped"):
        report_intervals(only)


def test_gini_and_coverage_of_the_same_list_for_all(world):
    popular = ranking_report(
        "popularity",
        world["X"],
        train=[[-1, i] for i in range(40) for _ in range(1)] + [[-2, 7]],
        items=world["items"],
        k=1,
        metrics=["coverage", "Gini", "popularity lift", "diversity"],
    )
    assert popular.loc["overall", ["coverage@1", "Gini@1"]].to_list() == [1 / 40, 1]
    assert popular.loc["overall", ["popularity lift@1", "diversity@1"]].isna().all()


@pytest.fixture(scope="module")
def fitted(world):
    described = {i: ["war", "love", "crime"][i % 3] for i in range(40)}
    model = SelectiveLLMRegularizedMF(factors=3, random_state=0, item_data=described, n_jobs=1)
    return model.fit(world["train"])


SCORERS = {
    metrics.precision_at_k_scorer: "precision",
    metrics.hit_rate_at_k_scorer: "hit rate",
    metrics.map_at_k_scorer: "MAP",
    metrics.mrr_at_k_scorer: "MRR",
    metrics.novelty_at_k_scorer: "novelty",
    metrics.diversity_at_k_scorer: "diversity",
    metrics.coverage_at_k_scorer: "coverage",
    metrics.neg_gini_at_k_scorer: "Gini",
    metrics.neg_popularity_lift_at_k_scorer: "popularity lift",
}


@pytest.mark.parametrize("make", SCORERS, ids=lambda make: make.__name__)
def test_scorers_are_those_of_the_report(world, fitted, make):
    found = ranking_report(fitted, world["X"], k=4, metrics="all")
    sign = -1 if make.__name__.startswith("neg_") else 1
    for regime in (None, "warm"):
        expected = sign * found.loc[regime or "overall", f"{SCORERS[make]}@4"]
        assert make(4, regime=regime)(fitted, world["X"]) == pytest.approx(expected)


def test_scorers_serve_cross_validation(world, fitted):
    scoring = {make.__name__: make() for make in SCORERS}
    result = cross_validate(fitted, world["train"], cv=LeaveLastOut(), scoring=scoring)
    assert all(np.isfinite(result[f"test_{name}"]).all() for name in scoring)


def test_diversity_needs_features(world):
    plain = SelectiveLLMRegularizedMF(factors=3, random_state=0).fit(world["train"])
    with pytest.warns(UserWarning, match="diversity is NaN: items have no features"):
        assert np.isnan(metrics.diversity_at_k_scorer()(plain, world["X"]))


@pytest.mark.parametrize("metric", ["MRR@3", "hit rate@7", "novelty@5", "AUC"])
def test_the_display_takes_any_metric(world, fitted, metric):
    pytest.importorskip("matplotlib").use("agg")
    display = RegimeDisplay.from_estimator(
        fitted, world["X"], metric=metric, n_bootstrap=20, user_segments=world["country"]
    )
    k = int(metric.partition("@")[2] or 10)
    found = ranking_report(fitted, world["X"], k=k, metrics="all", user_segments=world["country"])
    np.testing.assert_allclose(display.estimates["value"], found[metric])
    labels = [label.get_text() for label in display.ax_.get_yticklabels()]
    assert labels[-2:] == ["country=DE", "country=FR"]


def test_segments_of_users_and_items_with_the_same_name_are_apart(world):
    country, values = world["country"].rename("kind"), ["DE", "FR"]
    shelf = pd.Series(world["shelf"], name="kind").map(dict(zip("ab", values, strict=True)))
    how = {"k": 3, "train": world["train"], "items": world["items"]}
    both = ranking_report(
        "popularity", world["X"], user_segments=country, item_segments=shelf, **how
    )
    of_users = ranking_report("popularity", world["X"], user_segments=country, **how)
    of_items = ranking_report("popularity", world["X"], item_segments=shelf, **how)
    for value in values:
        for of, alone in (("user", of_users), ("item", of_items)):
            pd.testing.assert_series_equal(
                both.loc[f"{of} kind={value}"], alone.loc[f"kind={value}"], check_names=False
            )


def test_segments_1_and_text_1_are_apart(world):
    users = pd.unique(world["X"]["user"])
    segments = {user: [1, "1"][n % 2] for n, user in enumerate(users)}
    report = ranking_report(
        "popularity", world["X"], train=world["train"], items=world["items"], user_segments=segments
    )
    n_users = report["users"]
    assert n_users["user=1"] == (len(users) + 1) // 2
    assert n_users["user='1'"] == len(users) // 2


@pytest.mark.parametrize(
    "arguments, error, message",
    [
        ({"metrics": ["RMSE"]}, ValueError, r"metrics must be 'all' or a subset of .*got 'RMSE'"),
        ({"metrics": []}, ValueError, "got none"),
        ({"metrics": 3}, TypeError, "metrics must be 'all' or a list of names; got an int"),
        ({"user_segments": [1]}, TypeError, "user_segments must be a pandas Series or a dict"),
        ({"item_segments": pl.Series(["a"])}, TypeError, r"got a Series. Pass .* dict\(zip"),
        (
            {"user_segments": {"x": 1}},
            ValueError,
            r"user_segments must contain some of the .* got 1 other ids \(e.g. 'x'\). Pass the ids "
            r"as the index, e.g. users.set_index\('user'\)",
        ),
        (
            {"item_segments": {1: "a", 2: ["b", "c"]}},
            ValueError,
            r"item_segments must have a single value per id.* got \['b', 'c'\]",
        ),
        (
            {"item_segments": pd.Series(["a", "b"], index=[1, 1])},
            ValueError,
            "item_segments must contain each id once; got 1",
        ),
        ({"item_features": np.ones((3, 2))}, ValueError, r"row for each of the 40 .*\(3, 2\)"),
    ],
)
def test_bad_arguments_are_named(world, arguments, error, message):
    with pytest.raises(error, match=message):
        ranking_report(
            "popularity", world["X"], train=world["train"], items=world["items"], **arguments
        )


@pytest.mark.parametrize("metric", ["RMSE", "AUC@3", "MRR", "MRR@0", "MRR@x"])
def test_columns_of_metrics_are_checked(fitted, world, metric):
    pytest.importorskip("matplotlib")
    with pytest.raises(ValueError, match=f"metric must be e.g. one of .*got '{metric}'"):
        RegimeDisplay.from_estimator(fitted, world["X"], metric=metric)
