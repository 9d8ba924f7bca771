import copy
import pickle
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy.sparse import csr_matrix
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression
from sklearn.metrics import ndcg_score, roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from sklearn_selreg.exceptions import DataWarning
from sklearn_selreg.inspection import RegimeDisplay
from sklearn_selreg.metrics import (
    RankingReport,
    _bootstrap,
    _ranks,
    compare_reports,
    ranking_report,
    report_intervals,
    users_needed,
)

REGIMES = ["overall", "cold", "warm", "tail", "new"]


class Factors(BaseEstimator):
    """A minimal fitted factor model."""

    def __init__(self, users, items, user_factors, item_factors):
        self.users, self.items = users, items
        self.user_factors, self.item_factors = user_factors, item_factors

    def fit(self, X, y=None):
        self.users_, self.items_ = np.asarray(self.users), np.asarray(self.items)
        self.user_factors_ = np.asarray(self.user_factors, dtype=np.float32)
        self.item_factors_ = np.asarray(self.item_factors, dtype=np.float32)
        return self


def brute_force(score_of, catalog, X, y, train, cohort, exclude, k):
    """Reference implementation with loops: score_of(user, item) takes ids, tables are lists."""
    fitted, dropped = {tuple(p) for p in train}, {tuple(p) for p in exclude}
    positives = [tuple(p) for p, strength in zip(X, y, strict=True) if strength > 0]
    relevant = set(positives)
    item_count, user_count = {}, {}
    for user, item in fitted:
        item_count[item] = item_count.get(item, 0) + 1
        user_count[user] = user_count.get(user, 0) + 1

    def regimes_of(user, item):
        if cohort is None:
            group = "cold" if user_count.get(user, 0) < 3 else "warm"
        else:
            group = cohort.get(user)
        count = item_count.get(item, 0)
        tail = ["tail"] if count <= 3 else []
        return ["overall", group, *tail, *(["new"] if count == 0 else [])]

    found = {name: {"ndcg": [], "recall": [], "auc": [], "n": 0, "outside": 0} for name in REGIMES}
    for user in {u for u, _ in relevant}:
        own = {i for u, i in relevant if u == user}
        candidates = [i for i in catalog if i in own or (user, i) not in fitted | dropped]
        negatives = [i for i in candidates if i not in own]
        scores = {i: score_of(user, i) for i in candidates}
        ordered = sorted(candidates, key=lambda i: -scores[i])
        # An item's gain and hit: the mean over the positions of its group of tied items.
        gain, hit = {}, {}
        for i in candidates:
            places = [p for p, j in enumerate(ordered) if scores[j] == scores[i]]
            gain[i] = sum(1 / np.log2(p + 2) for p in places if p < k) / len(places)
            hit[i] = sum(p < k for p in places) / len(places)
        for name in REGIMES:
            kind = [i for i in own if name in regimes_of(user, i)]
            if not kind:
                continue
            ideal = sum(1 / np.log2(p + 2) for p in range(min(k, len(kind))))
            found[name]["n"] += len(kind)
            found[name]["outside"] += sum(i not in catalog for i in kind)
            found[name]["ndcg"].append(sum(gain.get(i, 0) for i in kind) / ideal)
            found[name]["recall"].append(sum(hit.get(i, 0) for i in kind) / len(kind))
            for i in kind:
                if i not in scores:
                    found[name]["auc"].append(0)
                elif negatives:
                    beaten = [
                        (scores[i] > scores[j]) + (scores[i] == scores[j]) / 2 for j in negatives
                    ]
                    found[name]["auc"].append(sum(beaten) / len(beaten))
    rows = [
        [
            *(np.mean(f[m]) if f[m] else np.nan for m in ("ndcg", "recall", "auc")),
            len(f["ndcg"]),
            f["n"],
            f["outside"],
        ]
        for f in found.values()
    ]
    columns = [f"NDCG@{k}", f"recall@{k}", "AUC", "users", "interactions", "outside"]
    return pd.DataFrame(rows, index=REGIMES, columns=columns)


def make_world(seed, strings=False):
    """Tables with repeats, overlaps and unknown ids, and a model with many ties."""
    rng = np.random.default_rng(seed)
    n_users, n_items = int(rng.integers(5, 25)), int(rng.integers(8, 30))

    def table(n, extra_users, extra_items):
        # Squaring gives some users and items many interactions, and others none.
        user = ((n_users + extra_users) * rng.random(n) ** 2).astype(int)
        item = ((n_items + extra_items) * rng.random(n) ** 2).astype(int)
        pairs = np.column_stack([user, item]) * 7
        if strings:
            return np.array([[f"u{u}", f"i{i}"] for u, i in pairs], dtype=object)
        return pairs

    ids = np.arange(max(n_users, n_items)) * 7
    users, items = ids[:n_users], ids[:n_items]
    if strings:
        users = np.array([f"u{u}" for u in users], dtype=object)
        items = np.array([f"i{i}" for i in items], dtype=object)
    # Small integers make sums exact and ties frequent.
    model = Factors(
        users, items, rng.integers(-1, 3, (n_users, 2)), rng.integers(-1, 2, (n_items, 2))
    ).fit(None)
    X = table(5 * n_users, 3, 2)
    return {
        "model": model,
        "X": X,
        "y": rng.integers(0, 3, len(X)),
        "train": table(4 * n_users, 0, 0),
        "exclude": table(3 * n_users, 3, 2),
    }


def score_by_factors(model):
    users, items = model.users_.tolist(), model.items_.tolist()
    mean = model.user_factors_.mean(axis=0)

    def score(user, item):
        x = model.user_factors_[users.index(user)] if user in users else mean
        return x @ model.item_factors_[items.index(item)]

    return score


def tiled(scores):
    return lambda users: np.tile(scores, (len(users), 1))


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("with_cohort", [False, True])
@pytest.mark.parametrize("with_exclude", [False, True])
def test_equals_brute_force(seed, with_cohort, with_exclude):
    world = make_world(seed, strings=seed % 2 == 1)
    model, X, y, train = (world[name] for name in ("model", "X", "y", "train"))
    exclude = world["exclude"] if with_exclude else None
    cohort = None
    if with_cohort:
        labels = np.array(["cold", "warm"])[np.arange(len(model.users_)) % 2]
        cohort = dict(zip(model.users_[2:], labels[2:], strict=True))
    k = 1 + seed % 5
    report = ranking_report(model, X, y=y, train=train, cohort=cohort, exclude=exclude, k=k)
    expected = brute_force(
        score_by_factors(model),
        model.items_.tolist(),
        X.tolist(),
        y,
        train.tolist(),
        cohort,
        [] if exclude is None else exclude.tolist(),
        k,
    )
    pd.testing.assert_frame_equal(pd.DataFrame(report), expected, rtol=1e-6)


def test_equals_scikit_learn_per_user():
    rng = np.random.default_rng(0)
    scores = rng.integers(0, 12, (8, 40)) / 4
    held_out = np.unique(rng.integers(0, [8, 40], (60, 2)), axis=0)
    truth = np.zeros((8, 40), dtype=int)
    truth[tuple(held_out.T)] = 1
    train = np.array([[100, 0]])  # another user: all 40 items are candidates
    report = ranking_report(
        lambda users: scores[users], held_out, train=train, items=np.arange(40), k=10
    )
    auc = [roc_auc_score(t, s) for t, s in zip(truth, scores, strict=True)]
    assert report.loc["overall", "NDCG@10"] == pytest.approx(ndcg_score(truth, scores, k=10))
    assert report.loc["overall", "AUC"] == pytest.approx(np.average(auc, weights=truth.sum(axis=1)))


def test_scores_all_equal_are_worth_chance():
    rng = np.random.default_rng(0)
    items = np.arange(50)
    held_out = np.column_stack([np.arange(200), rng.integers(0, 50, 200)])
    report = ranking_report(
        tiled(np.zeros(50)), held_out, train=np.array([[999, 0]]), items=items, k=10
    )
    chance = np.sum(1 / np.log2(np.arange(2, 12))) / 50
    np.testing.assert_allclose(report.loc["overall", "NDCG@10"], chance)
    np.testing.assert_allclose(report.loc["overall", "recall@10"], 10 / 50)
    np.testing.assert_allclose(report.loc["overall", "AUC"], 0.5)


def test_order_of_the_catalog_is_worth_nothing():
    world = make_world(3)
    train, X = world["train"], world["X"]
    items = world["model"].items_
    popularity = np.array([np.sum(train[:, 1] == i) for i in items])
    order = np.random.default_rng(0).permutation(len(items))
    a = ranking_report(tiled(popularity), X, train=train, items=items)
    b = ranking_report(tiled(popularity[order]), X, train=train, items=items[order])
    pd.testing.assert_frame_equal(a, b)


def test_popularity_is_a_model():
    world = make_world(3)
    train, X = world["train"], world["X"]
    items = [*world["model"].items_, -5]  # and one without interactions
    users_of = [len({user for user, other in train.tolist() if other == i}) for i in items]
    expected = ranking_report(tiled(np.array(users_of)), X, train=train, items=items)
    again = np.repeat(train, 2, axis=0)  # users are counted, not rows
    report = ranking_report("popularity", X, train=again, items=items)
    pd.testing.assert_frame_equal(report, expected)
    with pytest.raises(ValueError, match="train must be given"):
        ranking_report("popularity", X, items=items)
    with pytest.raises(ValueError, match="items"):
        ranking_report("popularity", X, train=train)
    with pytest.raises(TypeError, match="got"):
        ranking_report("novelty", X, train=train, items=items)


@pytest.mark.parametrize("items", [None, [0, 7, 14, 21, -5]])
def test_callable_equals_estimator(items):
    world = make_world(5)
    model, tables = world["model"], {name: world[name] for name in ("X", "y", "train")}
    catalog = model.items_ if items is None else np.array(items)
    score = score_by_factors(model)
    known = set(model.items_.tolist())

    def rescore(users):
        rows = [[score(u, i) if i in known else np.nan for i in catalog] for u in users]
        rows = np.array(rows)
        return np.where(np.isnan(rows), np.nanmin(rows, axis=1, keepdims=True), rows)

    report = ranking_report(model, items=items, **tables)
    by_callable = ranking_report(rescore, items=catalog, **tables)
    pd.testing.assert_frame_equal(report, by_callable)
    assert not np.isin(tables["X"][:, 0], model.users_).all()  # the mean user was used


def test_pipeline_transforms_the_tables():
    world = make_world(6)
    model, X, train, exclude = (world[name] for name in ("model", "X", "train", "exclude"))
    swap = FunctionTransformer(lambda Z: Z[:, ::-1])
    pipe = make_pipeline(swap, model)
    piped = ranking_report(
        pipe, X[:, ::-1], y=world["y"], train=train[:, ::-1], exclude=exclude[:, ::-1]
    )
    report = ranking_report(model, X, y=world["y"], train=train, exclude=exclude)
    pd.testing.assert_frame_equal(piped, report)
    alone = ranking_report(make_pipeline(model), X, y=world["y"], train=train, exclude=exclude)
    pd.testing.assert_frame_equal(alone, report)


@pytest.mark.parametrize("size", [1, 70])
def test_chunks_do_not_matter(monkeypatch, size):
    world = make_world(7)
    tables = {name: world[name] for name in ("X", "y", "train", "exclude")}
    model, other = world["model"], tiled(np.arange(len(world["model"].items_)))
    reports = ranking_report(model, **tables), ranking_report(other, items=model.items_, **tables)
    compared = compare_reports(*reports, n_bootstrap=50)
    for name in ("_SCORES_PER_CHUNK", "_COMPARISONS_PER_BLOCK"):
        monkeypatch.setattr(_ranks, name, size)
    monkeypatch.setattr(_bootstrap, "_WEIGHTS_PER_CHUNK", size)
    again = ranking_report(model, **tables), ranking_report(other, items=model.items_, **tables)
    pd.testing.assert_frame_equal(again[0], reports[0])
    pd.testing.assert_frame_equal(compare_reports(*again, n_bootstrap=50), compared)


def test_tables_of_any_kind_and_repeats():
    world = make_world(8, strings=True)
    model, X, y, train = (world[name] for name in ("model", "X", "y", "train"))
    report = ranking_report(model, X, y=y, train=train)
    cohort = {user: "cold" for user in model.users_[::2]}
    with_cohort = ranking_report(model, X, y=y, train=train, cohort=cohort)
    names = {"user_col": "who", "item_col": "what"}
    for frame in (pd.DataFrame, pl.DataFrame):
        held_out, fitted = (
            frame({"what": table[:, 1].tolist(), "when": 0, "who": table[:, 0].tolist()})
            for table in (np.concatenate([X, X]), np.concatenate([train, train]))
        )
        twice = ranking_report(model, held_out, y=np.concatenate([y, y]), train=fitted, **names)
        pd.testing.assert_frame_equal(twice, report)
        series = ranking_report(
            model, held_out, y=np.tile(y, 2), train=fitted, cohort=pd.Series(cohort), **names
        )
        pd.testing.assert_frame_equal(series, with_cohort)


def test_scores_of_a_callable_are_not_written_to():
    scores = np.asfortranarray(np.random.default_rng(0).random((4, 9)))
    before = scores.copy()
    pairs = np.argwhere(np.eye(4, 9))
    train, items = np.column_stack([np.arange(4), np.arange(4) + 1]), np.arange(9)
    report = ranking_report(lambda users: scores, pairs, train=train, items=items, k=2)
    np.testing.assert_array_equal(scores, before)
    scores.flags.writeable = False
    again = ranking_report(lambda users: scores, pairs, train=train, items=items, k=2)
    pd.testing.assert_frame_equal(again, report)
    rows = np.ascontiguousarray(before)
    again = ranking_report(lambda users: rows, pairs, train=train, items=items, k=2)
    pd.testing.assert_frame_equal(again, report)


def test_nobody_in_a_regime_and_nothing_to_compare_with():
    # Both items are relevant to user 1: without negatives, there is no AUC.
    train = np.array([[8, 0], [8, 1], [9, 0], [9, 1], [7, 0], [7, 1], [6, 0], [6, 1]])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        report = ranking_report(
            tiled(np.zeros(2)), np.array([[1, 0], [1, 1]]), train=train, items=[0, 1], k=2
        )
        compared = compare_reports(report, report, n_bootstrap=10)
    assert report.loc["overall"].to_list()[:2] == [1, 1]
    assert np.isnan(report.loc["overall", "AUC"])
    assert report.loc["new", ["NDCG@2", "recall@2", "AUC"]].isna().all()
    assert report.loc["new", ["users", "interactions"]].to_list() == [0, 0]
    assert compared.loc["new"].isna().all()
    assert compared.loc["overall", "NDCG@2"].to_list() == [0, 0, 0]


def test_all_relevant_items_outside_the_catalog():
    X, train = np.array([[1, 50], [2, 51]]), np.array([[1, 0], [1, 1]])
    report = ranking_report(tiled(np.zeros(3)), X, train=train, items=[0, 1, 2])
    assert report.loc["overall"].to_list() == [0, 0, 0, 2, 2, 2]


def test_details_average_to_the_report():
    world = make_world(9)
    report = ranking_report(world["model"], world["X"], train=world["train"], k=4)
    details = report.details
    assert set(map(tuple, world["X"])) == set(zip(details["user"], details["item"], strict=True))
    for regime in REGIMES[1:]:
        chosen = details[details[regime]]
        assert report.loc[regime, "interactions"] == len(chosen)
        assert report.loc[regime, "users"] == chosen["user"].nunique()
        assert report.loc[regime, "AUC"] == pytest.approx(chosen["auc"].mean())
        recall = chosen.groupby("user")["hit"].mean().mean()
        assert report.loc[regime, "recall@4"] == pytest.approx(recall)


@pytest.fixture
def two_reports():
    world = make_world(4)
    model, rest = world["model"], {name: world[name] for name in ("X", "y", "train")}
    scores = np.random.default_rng(1).random(len(model.items_))
    return (
        ranking_report(model, k=3, **rest),
        ranking_report(tiled(scores), items=model.items_, k=3, **rest),
    )


@pytest.mark.slow
def test_bootstrap_equals_a_direct_loop(two_reports):
    n_bootstrap, seed, level = 40, 5, 0.8
    compared = compare_reports(
        *two_reports, n_bootstrap=n_bootstrap, random_state=seed, confidence_level=level
    )

    def metrics_of(details, users):
        """Metrics of a resample of users."""
        rows = []
        for regime in REGIMES:
            ndcg, recall, auc = [], [], []
            for user in users:
                own = details[details["user"] == user]
                own = own if regime == "overall" else own[own[regime]]
                if len(own):
                    ideal = sum(1 / np.log2(p + 2) for p in range(min(3, len(own))))
                    ndcg.append(own["gain"].sum() / ideal)
                    recall.append(own["hit"].sum() / len(own))
                    auc.extend(own["auc"])
            rows.append([np.mean(v) if v else np.nan for v in (ndcg, recall, auc)])
        return np.array(rows)

    a, b = (report.details for report in two_reports)
    users = pd.unique(a["user"])
    random_state, of_a, of_b = np.random.RandomState(seed), [], []
    for _ in range(n_bootstrap):
        counts = random_state.multinomial(len(users), np.full(len(users), 1 / len(users)))
        drawn = np.repeat(users, counts)
        of_a.append(metrics_of(a, drawn))
        of_b.append(metrics_of(b, drawn))
    intervals = report_intervals(
        two_reports[0], n_bootstrap=n_bootstrap, random_state=seed, confidence_level=level
    )
    value = two_reports[0]
    difference = value - two_reports[1]
    for table, first, expected, resampled in (
        (compared, "difference", difference, np.subtract(of_a, of_b)),
        (intervals, "value", value, of_a),
    ):
        low, high = np.nanquantile(resampled, [0.1, 0.9], axis=0)
        for column, name in enumerate(["NDCG@3", "recall@3", "AUC"]):
            np.testing.assert_allclose(table[name, first], expected[name], atol=1e-12)
            np.testing.assert_allclose(table[name, "low"], low[:, column], atol=1e-12)
            np.testing.assert_allclose(table[name, "high"], high[:, column], atol=1e-12)


def test_details_are_averaged_by_other_regimes(two_reports):
    report, _ = two_reports
    pd.testing.assert_frame_equal(
        RankingReport.from_details(report.details, report.k, report.catalog), report
    )
    rare = report.details["tail"]
    other = RankingReport.from_details(report.details.assign(new=rare, tail=~rare), report.k)
    pd.testing.assert_series_equal(other.loc["new"], report.loc["tail"], check_names=False)
    assert other.loc["tail", "interactions"] == (~rare).sum()
    assert other.loc["tail", "AUC"] == pytest.approx(report.details.loc[~rare, "auc"].mean())
    assert other.catalog is None


def test_bootstrap_is_paired_and_antisymmetric(two_reports):
    a, b = two_reports
    assert (compare_reports(a, a, n_bootstrap=50) == 0).all(axis=None)
    ab, ba = compare_reports(a, b, n_bootstrap=99), compare_reports(b, a, n_bootstrap=99)
    for metric in ("NDCG@3", "recall@3", "AUC"):
        np.testing.assert_allclose(ab[metric, "low"], -ba[metric, "high"], atol=1e-12)
        assert (ab[metric, "low"] <= ab[metric, "high"]).all()


def test_interval_has_the_width_of_the_standard_error():
    rng = np.random.default_rng(0)
    held_out = np.column_stack([np.arange(400), rng.integers(0, 30, 400)])
    train, items, k = np.array([[999, 0]]), np.arange(30), 5
    scores = rng.random((2, 400, 30))
    a, b = (
        ranking_report(lambda users, s=s: s[users], held_out, train=train, items=items, k=k)
        for s in scores
    )
    difference = (a.details["gain"] - b.details["gain"]).to_numpy()
    interval = compare_reports(a, b).loc["overall", "NDCG@5"]
    error = difference.std() / np.sqrt(400)
    assert interval["difference"] == pytest.approx(difference.mean())
    assert interval["high"] - interval["low"] == pytest.approx(2 * 1.96 * error, rel=0.1)


@pytest.fixture(scope="module")
def noisy_reports():
    """Two models, and 600 users with 1 to 4 held-out items."""
    rng = np.random.default_rng(3)
    counts = rng.integers(1, 5, 600)
    users = np.repeat(np.arange(600), counts)
    items = np.concatenate([rng.choice(30, n, replace=False) for n in counts])
    held_out, train = np.column_stack([users, items]), np.array([[999, 0]])
    scores = rng.random((600, 30))
    return tuple(
        ranking_report(lambda u, s=s: s[u], held_out, train=train, items=np.arange(30), k=5)
        for s in (scores, scores + rng.random((600, 30)) / 2)
    )


@pytest.mark.parametrize(("metric", "power"), [("NDCG@5", 0.8), ("AUC", 0.8), ("AUC", 0.5)])
def test_a_difference_is_seen_as_often_as_promised(noisy_reports, metric, power):
    a, b = noisy_reports
    difference = 0.02
    needed = users_needed(a, b, difference, power=power)[metric].loc["overall", "needed"]
    details = a.details.assign(gap=a.details["auc"] - b.details["auc"], n=1)
    if metric == "NDCG@5":
        ideal = np.cumsum(1 / np.log2(np.arange(2, 7)))
        sizes = details.groupby("user")["n"].transform("sum")
        gap = (a.details["gain"] - b.details["gain"]) / ideal[sizes - 1]
        details = details.assign(gap=gap, n=1 / sizes)
    sums = details.groupby("user")[["gap", "n"]].sum().to_numpy()
    sums[:, 0] += (difference - sums[:, 0].sum() / sums[:, 1].sum()) * sums[:, 1]
    # Simulated experiments with the computed number of users: how often is 0 outside the interval?
    rng = np.random.default_rng(0)
    drawn = sums[rng.integers(len(sums), size=(4000, int(needed)))]
    found = drawn[..., 0].sum(axis=1) / drawn[..., 1].sum(axis=1)
    assert np.mean(np.abs(found) > 1.96 * found.std()) == pytest.approx(power, abs=0.03)


def test_standard_error_is_that_of_the_bootstrap(noisy_reports):
    a, b = noisy_reports
    compared, table = compare_reports(a, b), users_needed(a, b)
    for metric in ("NDCG@5", "recall@5", "AUC"):
        width = compared[metric].loc["overall", "high"] - compared[metric].loc["overall", "low"]
        assert width == pytest.approx(2 * 1.96 * table[metric].loc["overall", "error"], rel=0.08)
    assert table["AUC"].loc["overall", "users"] == 600
    assert table.loc["warm", "AUC"].isna().all()  # no users
    expected = (1.96 + 0.8416) ** 2 * table["AUC"]["error"] ** 2 * table["AUC"]["users"] / 0.005**2
    np.testing.assert_allclose(table["AUC"]["needed"], np.ceil(expected), rtol=0.01)
    assert np.isnan(users_needed(a, a)["AUC"].loc["overall", "needed"])


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ({"difference": 0}, "difference must be a number above 0; got 0"),
        ({"difference": "1 %"}, "difference must be a number above 0; got '1 %'"),
        ({"confidence_level": 1}, "confidence_level must be a number between 0 and 1; got 1"),
        ({"power": 80}, "power must be a number between 0 and 1; got 80"),
    ],
)
def test_users_needed_checks_its_arguments(two_reports, argument, message):
    with pytest.raises(ValueError, match=message):
        users_needed(*two_reports, **argument)
    with pytest.raises(TypeError, match="a must come from ranking_report"):
        users_needed(1, two_reports[0])


@pytest.mark.parametrize(
    "keep",
    [
        lambda r: pickle.loads(pickle.dumps(r)),
        copy.copy,
        copy.deepcopy,
        lambda r: r.copy(),
        lambda r: r.round(3),
        lambda r: r[["AUC"]],
        lambda r: r.loc[["cold"]],
    ],
    ids=["pickle", "copy", "deepcopy", "frame copy", "round", "column", "row"],
)
def test_report_keeps_its_details(two_reports, keep):
    a, b = two_reports
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        kept = keep(a)
        compared = compare_reports(kept, b, n_bootstrap=20)
    pd.testing.assert_frame_equal(compared, compare_reports(a, b, n_bootstrap=20))


def test_reports_over_different_catalogs_say_so():
    rng = np.random.default_rng(0)
    train, held_out = rng.integers(20, size=(100, 2)), rng.integers(20, size=(50, 2))
    few, many = (
        ranking_report("popularity", held_out, train=train, items=items)
        for items in (np.arange(20), np.arange(5, 100))
    )
    assert few.catalog.tolist() == list(range(20))
    message = "different catalogs of 20 and 95 items, of which 5 and 80 are in only one"
    for use in (
        lambda: compare_reports(few, many, n_bootstrap=2),
        lambda: compare_reports(pickle.loads(pickle.dumps(few)), many.round(3), n_bootstrap=2),
    ):
        with pytest.warns(DataWarning, match=message):
            use()
    for reference in (None, "b"):
        with pytest.warns(DataWarning, match="different catalogs"):
            RegimeDisplay.from_reports(
                {"a": few, "b": many, "c": many}, reference=reference, n_bootstrap=2
            )
    same = ranking_report("popularity", held_out, train=train, items=np.arange(20)[::-1])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        compare_reports(few, same, n_bootstrap=2)
        RegimeDisplay.from_reports({"a": few, "b": same}, n_bootstrap=2)


def test_reports_that_do_not_compare():
    world = make_world(4)
    model, X, y, train = (world[name] for name in ("model", "X", "y", "train"))
    report = ranking_report(model, X, y=y, train=train)
    with pytest.raises(ValueError, match="k=10 and k=3"):
        compare_reports(report, ranking_report(model, X, y=y, train=train, k=3))
    with pytest.raises(ValueError, match="same held-out interactions"):
        compare_reports(report, ranking_report(model, X[1:], y=y[:-1], train=train))
    cohort = dict.fromkeys(model.users_.tolist(), "cold")
    with pytest.raises(ValueError, match="same held-out interactions and regimes"):
        compare_reports(report, ranking_report(model, X, y=y, train=train, cohort=cohort))
    with pytest.raises(TypeError, match=r"b must come from.*got a DataFrame"):
        compare_reports(report, pd.DataFrame(report))
    with pytest.raises(TypeError, match=r"a must come from.*got a float"):
        compare_reports(0.5, report)
    with pytest.raises(ValueError, match="n_bootstrap"):
        compare_reports(report, report, n_bootstrap=0)
    with pytest.raises(ValueError, match="confidence_level"):
        compare_reports(report, report, confidence_level=95)
    with pytest.raises(ValueError, match="confidence_level"):
        report_intervals(report, confidence_level=95)
    with pytest.raises(TypeError, match=r"report must come from ranking_report; got a DataFrame"):
        report_intervals(pd.DataFrame(report))


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        ({"k": 0}, ValueError, "k must be an integer >= 1; got 0"),
        ({"model": None}, TypeError, "function from user ids to scores; got None"),
        ({"model": tiled(np.zeros(3))}, ValueError, "items is required"),
        ({"model": LinearRegression()}, NotFittedError, "LinearRegression lacks"),
        ({"model": tiled(np.zeros(4)), "items": [0, 7, 14]}, ValueError, r"shape .*3\) .*4\)"),
        (
            {"model": tiled([0, np.nan]), "items": [0, 7]},
            ValueError,
            "finite scores; got NaN or inf",
        ),
        (
            {"model": tiled([0, -np.inf]), "items": [0, 7]},
            ValueError,
            "finite scores; got NaN or inf",
        ),
        ({"model": tiled(["a", "b"]), "items": [0, 7]}, ValueError, "must return numbers"),
        ({"items": [0, 7, 7]}, ValueError, "got 3 ids, of which 2"),
        ({"items": []}, ValueError, "at least one"),
        (
            {"items": ["a", "b"]},
            ValueError,
            r"model knows \(e\.g\. 0\); got 2 unknown ids \(e\.g\. 'a'\)",
        ),
        ({"cohort": {0: "hot"}}, ValueError, "hot"),
        ({"cohort": {0: 3}}, ValueError, r"got \[3\]"),
        (
            {"exclude": [1]},
            ValueError,
            "exclude must be a table of the same form as X. X has 1 feature",
        ),
        (
            {"train": [[1, None]]},
            ValueError,
            "train must be a table of the same form as X. Column 1 of train",
        ),
        (
            {"train": "x.csv"},
            ValueError,
            "train must be a table of the same form as X. X must be a Data",
        ),
        (
            {"model": "popularity", "items": [0], "train": None},
            ValueError,
            "'popularity' does not keep them",
        ),
        (
            {"cohort": {"nobody": "cold"}},
            ValueError,
            "e.g. 0.; got 1 other ids .e.g. 'nobody.*set_index",
        ),
        ({"cohort": pd.Series("cold", index=[0, 0])}, ValueError, "more than once"),
    ],
)
def test_bad_input(change, error, match):
    world = make_world(2)
    arguments = {name: world[name] for name in ("model", "X", "train")} | change
    with pytest.raises(error, match=match):
        ranking_report(**arguments)


def test_nothing_relevant():
    world = make_world(2)
    with pytest.raises(ValueError, match="y must contain at least one strength > 0"):
        ranking_report(
            world["model"], world["X"], y=np.zeros(len(world["X"])), train=world["train"]
        )


def test_sparse_matrix_is_for_train_alone():
    train = np.array([[0, 0], [0, 1], [0, 2], [1, 0], [2, 3]])
    X, scores = np.array([[0, 3], [1, 1], [1, 2]]), tiled(np.arange(4)[::-1])
    matrix = csr_matrix((np.ones(len(train)), train.T))
    report = ranking_report(scores, X, train=train, items=range(4), k=2)
    pd.testing.assert_frame_equal(
        ranking_report(scores, X, train=matrix, items=range(4), k=2), report
    )
    with pytest.raises(TypeError, match="interactions_from_sparse"):
        ranking_report(scores, matrix, train=matrix, items=range(4))


def test_progress_is_shown_on_demand(capsys):
    held_out = np.array([[0, 1], [1, 2]])

    def model(users):
        return np.tile(np.arange(4.0), (len(users), 1))

    settings = {"train": np.array([[0, 0], [1, 0]]), "items": np.arange(4)}
    quiet = ranking_report(model, held_out, **settings)
    assert "ranking" not in capsys.readouterr().err
    shown = ranking_report(model, held_out, verbose=1, **settings)
    assert "ranking: 100%" in capsys.readouterr().err
    pd.testing.assert_frame_equal(quiet, shown)
    compare_reports(quiet, shown, n_bootstrap=10, verbose=1)
    assert "resamples: 100%" in capsys.readouterr().err
