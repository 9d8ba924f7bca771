"""Alignment of judged slates and evidence on their candidates, compared with loops."""

import gzip
import json
from collections import defaultdict
from importlib.resources import files

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

import sklearn_selreg.datasets
from sklearn_selreg._data._interactions import index_interactions
from sklearn_selreg._data._periods import PopularityOverTime
from sklearn_selreg._factorization._als_backbone import ALSBackbone
from sklearn_selreg._judging._design import Standing
from sklearn_selreg._judging._slates import Slates, compare_candidates, place_slates
from sklearn_selreg._judging._standing import cross_fitted_standing, log_rank_worth, rank_items
from sklearn_selreg.datasets import load_movielens_coldstart
from sklearn_selreg.judges import PrecomputedJudge

EVIDENCE = [
    "gap",
    "prior_popularity",
    "prior_model",
    "history_length",
    "popularity_rarer",
    "popularity_commoner",
    "model_uncertainty",
    "agreement",
    "offset",
]
N_USERS, N_ITEMS = 12, 40


def random_world(seed, as_text=False):
    """Interactions, and records on known and unknown users and items, some of them repeated."""
    rng = np.random.default_rng(seed)
    name = (lambda kind, n: f"{kind}{n:03}") if as_text else (lambda kind, n: int(n) + 100)
    liked = {u: rng.permutation(N_ITEMS)[: rng.integers(3, 20)] for u in range(N_USERS)}
    rows = [(name("u", u), name("i", i)) for u in liked for i in liked[u]]
    rows = [rows[n] for n in rng.permutation(len(rows))]
    rows += [(name("u", 0), name("i", i)) for i in range(N_ITEMS)]  # known ids, but strength 0
    strengths = np.append(np.ones(len(rows) - N_ITEMS), np.zeros(N_ITEMS))
    records = []
    for _ in range(60):
        user = rng.integers(N_USERS + 2)  # the last two are unknown
        own = liked.get(user, np.arange(N_ITEMS))
        shown = rng.permutation(own)[: rng.integers(0, 14)]
        if rng.uniform() < 0.2:  # not contained in the fitted rows
            shown = np.append(shown, rng.integers(N_ITEMS + 5))
        candidates = rng.permutation(N_ITEMS + 5)[: rng.integers(1, 13)]  # 5 are unknown
        record = {
            "user": name("u", user),
            "history": [name("i", i) for i in shown],
            "candidates": [name("i", i) for i in candidates],
            "ratings": ratings(rng, len(candidates)),
        }
        records.append(record)
        for _ in range(rng.choice([0, 0, 1, 2])):  # repeated in another order
            order = rng.permutation(len(candidates))
            asked = [record["candidates"][n] for n in order]
            records.append({**record, "candidates": asked, "ratings": ratings(rng, len(asked))})
    X = pd.DataFrame(rows, columns=["user", "item"])
    return index_interactions(X, strengths), records


def ratings(rng, n):
    """Ratings in quarters, so that ties occur; a fifth are missing."""
    return np.where(rng.uniform(size=n) < 0.2, np.nan, rng.integers(0, 5, n) / 4).tolist()


def fitted_items(interactions):
    """Items of each user, as original ids."""
    table = defaultdict(set)
    for row, column in zip(*interactions.matrix.nonzero(), strict=True):
        table[interactions.users[row]].add(interactions.items[column])
    return table


def place_by_loop(interactions, records):
    """Apply the leakage rule record by record."""
    known_users, known_items = set(interactions.users), set(interactions.items)
    fitted = fitted_items(interactions)
    questions, n_unknown, n_outside, n_candidates = {}, 0, 0, 0
    for record in records:
        key = record["user"], tuple(record["history"]), frozenset(record["candidates"])
        rated = dict(zip(record["candidates"], record["ratings"], strict=True))
        questions.setdefault(key, (record["candidates"], []))[1].append(rated)
    kept = []
    for (user, history, _), (candidates, answers) in questions.items():
        if user not in known_users:
            n_unknown += 1
        elif not set(history) <= fitted[user]:
            n_outside += 1
        else:
            n_candidates += sum(item not in known_items for item in candidates)
            relevance = {
                item: -1
                if item in history or item not in known_items
                else int(item in fitted[user])
                for item in candidates
            }
            kept.append((user, history, candidates, answers, relevance))
    kept.sort(key=lambda slate: list(interactions.users).index(slate[0]))
    return kept, (n_unknown, n_outside, n_candidates)


@pytest.fixture(scope="module", params=[(0, False), (1, True), (3, True)], ids=str)
def world(request):
    interactions, records = random_world(*request.param)
    slates, dropped = place_slates(PrecomputedJudge(records).judged_slates(), interactions)
    return interactions, records, slates, dropped


# The leakage rule


def test_slates_are_placed_as_by_a_loop_over_the_records(world):
    interactions, records, slates, dropped = world
    kept, counts = place_by_loop(interactions, records)
    assert tuple(dropped.values()) == counts
    assert min(counts) > 0
    assert len(slates) == len(kept) > 10
    assert np.all(np.diff(slates.users) >= 0)
    known = set(interactions.items)
    for s, (user, history, candidates, answers, relevance) in enumerate(kept):
        assert interactions.users[slates.users[s]] == user
        assert set(interactions.items[slates.shown[s].indices]) == set(history)
        n = len(candidates)
        assert np.all(slates.items[s, n:] == -1)
        assert np.all(slates.relevance[s, n:] == -1)
        for place, item in enumerate(candidates):
            assert slates.relevance[s, place] == relevance[item]
            if item in known:
                assert interactions.items[slates.items[s, place]] == item
                found = slates.answers[s, place, : len(answers)]
                np.testing.assert_allclose(found, [rated[item] for rated in answers])
            else:
                assert slates.items[s, place] == -1
    # There are no other ratings.
    assert np.all(np.isnan(slates.answers[slates.items < 0]))
    n_answers = [len(answers) for _, _, _, answers, _ in kept]
    beyond = np.arange(slates.answers.shape[2]) >= np.array(n_answers)[:, np.newaxis]
    assert np.all(np.isnan(slates.answers.transpose(0, 2, 1)[beyond]))


def test_all_kinds_of_candidates_occur(world):
    slates = world[2]
    assert set(np.unique(slates.relevance)) == {-1, 0, 1}
    assert 0 < slates.calibrates.sum() < len(slates)
    for s in range(len(slates)):
        assert slates.calibrates[s] == ({0, 1} <= set(slates.relevance[s].tolist()))


def test_picking_slates_keeps_their_parts_together(world):
    slates = world[2]
    picked = slates[slates.calibrates]
    where = np.flatnonzero(slates.calibrates)
    assert len(picked) == len(where)
    assert picked.calibrates.all()
    for part in ("users", "items", "answers", "relevance"):
        np.testing.assert_array_equal(getattr(picked, part), getattr(slates, part)[where])
    np.testing.assert_array_equal(picked.shown.toarray(), slates.shown.toarray()[where])


def test_a_row_of_strength_0_is_not_fitted():
    X = pd.DataFrame([("a", 1), ("a", 2), ("a", 3)], columns=["user", "item"])
    records = [
        {"user": "a", "history": [1], "candidates": [2, 3], "ratings": [0.5, 1]},
        {"user": "a", "history": [1, 3], "candidates": [2], "ratings": [0.5]},
    ]
    interactions = index_interactions(X, [1, 1, 0])
    slates, dropped = place_slates(PrecomputedJudge(records).judged_slates(), interactions)
    assert slates.relevance.tolist() == [[1, 0]]
    assert dropped["slate whose history is not within the user's fitted rows"] == 1


def test_ids_are_compared_by_value_not_by_dtype():
    X = pd.DataFrame({"user": [1.0, 1.0], "item": np.array([7, 8], dtype=np.int16)})
    record = {"user": 1, "history": [7], "candidates": [8, "8"], "ratings": [1, 0]}
    slates, dropped = place_slates(
        PrecomputedJudge([record]).judged_slates(), index_interactions(X)
    )
    assert slates.relevance.tolist() == [[1, -1]]
    assert dropped["candidate of unknown items"] == 1


# Ratings to gaps


def test_gaps_and_agreement_are_those_of_a_loop_over_answers(world):
    slates = world[2]
    gaps, agreement = slates.gaps()
    n_slates, size, _ = slates.answers.shape
    assert gaps.shape == agreement.shape == (n_slates, size, size)
    seen = set()
    for s in range(n_slates):
        for i in range(size):
            for j in range(size):
                differences = slates.answers[s, i] - slates.answers[s, j]
                differences = differences[~np.isnan(differences)]
                seen.add(len(differences))
                expected = differences.mean() if len(differences) else np.nan
                np.testing.assert_allclose(gaps[s, i, j], expected, atol=1e-6)
                expected = abs(np.sign(differences).mean()) if len(differences) > 1 else np.nan
                np.testing.assert_allclose(agreement[s, i, j], expected, atol=1e-6)
    assert seen == {0, 1, 2, 3}


def compare_by_loop(slates, standing, offset):
    """Evidence of each pair, by slate and positions."""
    table = {}
    gaps, agreement = slates.gaps()
    n_slates, size = standing.ranks.shape
    for s in range(n_slates):
        for i in range(size):
            for j in range(size):
                kinds = slates.relevance[s, i], slates.relevance[s, j]
                if set(kinds) != ({0} if offset is None else {0, 1}):
                    continue
                if not gaps[s, i, j] > 0:
                    continue
                better = np.log((standing.ranks[s, j] + 3) / (standing.ranks[s, i] + 3))
                p, o = np.log(1 + standing.popularity[s, i]), np.log(1 + standing.popularity[s, j])
                table[s, i, j] = [
                    gaps[s, i, j],
                    p - o,
                    better,
                    min(slates.shown[s].nnz, 10),
                    min(p, o),
                    max(p, o),
                    1 / (1 + abs(better)),
                    agreement[s, i, j],
                    0 if offset is None else offset[s, i] - offset[s, j],
                ]
    return table


@pytest.mark.parametrize("calibration", [True, False])
def test_pairs_and_their_evidence_are_those_of_a_loop(world, calibration):
    slates = world[2]
    rng = np.random.default_rng(0)
    shape = slates.items.shape
    standing = Standing(rng.integers(1, 40, shape), rng.integers(0, 50, shape))
    offset = rng.normal(size=shape) if calibration else None
    pairs = compare_candidates(slates, standing, offset)
    expected = compare_by_loop(slates, standing, offset)
    assert list(pairs.evidence.columns) == EVIDENCE
    assert pairs.evidence.dtypes.eq(np.float64).all()
    places = list(
        zip(pairs.slate.tolist(), pairs.preferred.tolist(), pairs.other.tolist(), strict=True)
    )
    assert len(places) == len(set(places)) > 20
    assert set(places) == set(expected)
    np.testing.assert_allclose(
        pairs.evidence, [expected[place] for place in places], rtol=1e-6, atol=1e-12
    )
    assert pairs.evidence["gap"].between(0, 1, inclusive="right").all()
    assert pairs.evidence["history_length"].max() == 10
    for n, (s, i, j) in enumerate(places):
        assert pairs.differences(standing.ranks)[n] == standing.ranks[s, i] - standing.ranks[s, j]
        assert pairs.sums(standing.ranks)[n] == standing.ranks[s, i] + standing.ranks[s, j]


def test_no_pair_is_made_of_slates_without_opinions():
    X = pd.DataFrame([("a", 1), ("a", 2), ("b", 3)], columns=["user", "item"])
    record = {"user": "a", "history": [1], "candidates": [2, 3], "ratings": [None, 0.5]}
    slates, _ = place_slates(PrecomputedJudge([record]).judged_slates(), index_interactions(X))
    standing = Standing(np.ones((1, 2), dtype=int), np.ones((1, 2), dtype=int))
    for offset in (None, np.zeros((1, 2))):
        pairs = compare_candidates(slates, standing, offset)
        assert len(pairs.slate) == 0
        assert pairs.evidence.shape == (0, len(EVIDENCE))


# The model's own evidence


def scored(n_users, n_items, *, levels=None, seed=1):
    """Factors, seen items and scores; factors with few distinct values produce ties."""
    rng = np.random.default_rng(seed)
    users, items = (rng.normal(size=(n, 5)).astype(np.float32) for n in (n_users, n_items))
    if levels is not None:
        users, items = (np.round(levels * f).astype(np.float32) for f in (users, items))
    seen = sp.random(n_users, n_items, 0.3, "csr", np.float32, random_state=rng)
    return users, items, seen, users.astype(np.float64) @ items.T.astype(np.float64)


@pytest.mark.parametrize("levels", [None, 1])
@pytest.mark.parametrize("chunk", [2**22, 100])
def test_ranks_are_those_of_a_loop_over_new_items(monkeypatch, levels, chunk):
    monkeypatch.setattr("sklearn_selreg._judging._standing._CHUNK", chunk)
    users, items, seen, scores = scored(30, 40, levels=levels)
    asked = np.random.default_rng(2).integers(-1, 40, (30, 12))
    ranks = rank_items(asked, users, items, seen)
    assert ranks.shape == asked.shape and np.issubdtype(ranks.dtype, np.integer)
    n_tied = n_seen = 0
    for u, places in enumerate(asked):
        new = [i for i in range(40) if i not in seen[u].indices]
        for place, item in enumerate(places):
            if item == -1:
                continue
            assert ranks[u, place] == 1 + sum(scores[u, i] > scores[u, item] for i in new)
            n_tied += sum(scores[u, i] == scores[u, item] for i in new if i != item) > 0
            n_seen += item not in new
    assert (asked == -1).any() and n_seen > 0
    assert (n_tied > 0) == (levels is not None)
    assert (ranks >= 1).all()  # also in padding, since logarithms are taken


@pytest.mark.parametrize("n_items", [120, 70, 20])
def test_worth_of_a_log_rank_is_the_slope_of_a_line_through_the_50_best(n_items):
    users, items, seen, scores = scored(25, n_items)
    worth = log_rank_worth(users, items, seen, 1)
    n_used = []
    for u in range(25):
        new = np.setdiff1d(np.arange(n_items), seen[u].indices)
        best = np.sort(scores[u, new])[::-1][:50]
        n_used.append(len(best))
        slope, _ = np.polyfit(np.log(np.arange(1, len(best) + 1) + 3), best, 1)
        assert worth[u] == pytest.approx(-slope, rel=1e-4)
    assert (worth > 0).all()
    # All, some or none of them have a full list.
    assert (max(n_used) == 50) == (n_items > 20)
    assert (min(n_used) == 50) == (n_items == 120)


def test_a_single_new_item_tells_nothing_of_what_ranks_are_worth():
    users, items, _, _ = scored(3, 4)
    rows, columns = np.nonzero([[1, 1, 0, 1], [1, 1, 1, 1], [0, 0, 1, 1]])
    seen = sp.csr_matrix((np.ones(len(rows), np.float32), (rows, columns)), (3, 4))
    worth = log_rank_worth(users, items, seen, 1)
    assert worth[:2].tolist() == [0, 0]
    two = np.sort(users[2] @ items[:2].T)
    assert worth[2] == pytest.approx((two[1] - two[0]) / np.log(5 / 4), rel=1e-4)
    assert log_rank_worth(users, items[:1], sp.csr_matrix((3, 1)), 1).tolist() == [0, 0, 0]


def backbone(**settings):
    defaults = {
        "factors": 4,
        "regularization": 1.0,
        "alpha": 5.0,
        "iterations": 4,
        "prior_strength": 1.0,
        "item_bias": 0.1,
        "missing_power": 0.5,
        "recency_power": 0.0,
        "num_threads": 1,
    }
    return ALSBackbone(**(defaults | settings))


def calibration_world(changed=None):
    """Slates of 20 users with 2 of their items and 3 others; user `changed` has other items."""
    rng = np.random.default_rng(5)
    X, records = [], []
    for user in range(30):
        items = rng.permutation(40)
        n = rng.integers(6, 12)
        shown, hidden, others, rest = np.split(items[: n + 3], [3, 5, 8])
        if user < 20:
            candidates = [*hidden, *others]
            rated = rng.uniform(size=5).tolist()
            record = {"user": user, "history": shown, "candidates": candidates, "ratings": rated}
            records.append(record)
        own = [*shown, *hidden, *rest]
        if user == changed:  # all but the shown history differs, and one candidate is swapped
            own = [*shown, hidden[0], others[0], *items[-15:]]
        X += [(user, item) for item in own]
    interactions = index_interactions(np.array(X), extra_items=np.arange(40))
    slates, dropped = place_slates(PrecomputedJudge(records).judged_slates(), interactions)
    assert not any(dropped.values())
    assert slates.calibrates.all()
    return slates, interactions.matrix


def cross_fit(slates, matrix, model=None, items=None):
    """Rank the candidates of the slates, or the given items of each slate."""
    model = backbone() if model is None else model
    items = slates.items if items is None else np.tile(items, (len(slates), 1))
    start = model.start(*matrix.shape, np.random.default_rng(0))
    trend = PopularityOverTime(matrix, np.zeros(1), None, at="user")
    return cross_fitted_standing(items, slates, model, trend, None, start)


@pytest.mark.parametrize("user", [0, 7, 19])
def test_a_users_evidence_does_not_know_what_was_hidden_from_the_judge(user):
    slates = calibration_world()[0]
    one, other = (
        cross_fit(*calibration_world(changed), items=np.arange(40)) for changed in (None, user)
    )
    own = slates.users == user
    np.testing.assert_array_equal(other.ranks[own], one.ranks[own])
    np.testing.assert_array_equal(other.popularity[own], one.popularity[own])
    # Models of other folds know the user's other interactions.
    fold = np.unique(slates.users, return_inverse=True)[1] % 4
    elsewhere = fold != fold[own][0]
    assert np.all(np.any(other.ranks[elsewhere] != one.ranks[elsewhere], axis=1))


def test_popularity_leaves_out_all_users_of_the_fold():
    slates, matrix = calibration_world()
    popularity = cross_fit(slates, matrix).popularity
    dense = matrix.toarray() > 0
    for s, user in enumerate(slates.users):
        others = [u for u in range(30) if u >= 20 or u % 4 != user % 4]
        np.testing.assert_array_equal(popularity[s], dense[others].sum(axis=0)[slates.items[s]])


def test_cross_fitted_ranks_are_those_of_models_fitted_without_the_fold():
    slates, matrix = calibration_world()
    model = backbone(item_bias=0, missing_power=0, iterations=3)
    ranks = cross_fit(slates, matrix, model, np.arange(40)).ranks
    start = model.start(*matrix.shape, np.random.default_rng(0))
    for fold in range(4):
        left_out = (np.arange(30) % 4 == fold) & (np.arange(30) < 20)
        rest = matrix.toarray()
        rest[left_out] = 0
        problem = model.problem(type(matrix)(rest), None, start)
        for _ in range(3):
            problem.sweep()
        items = problem.item_factors.astype(np.float64)
        for s in np.flatnonzero(left_out[slates.users]):
            shown = slates.shown[s].toarray()[0]
            weight = 1.0 + 4.0 * shown  # confidence: alpha = 5
            left = (items * weight[:, np.newaxis]).T @ items + np.eye(4)
            scores = items @ np.linalg.solve(left, 5.0 * items.T @ shown)
            above = scores[shown == 0] - scores[:, np.newaxis]
            # The order of scores that are equal up to rounding is undetermined here.
            assert np.all(ranks[s] >= 1 + np.sum(above > 1e-4, axis=1))
            assert np.all(ranks[s] <= 1 + np.sum(above > -1e-4, axis=1))
            assert np.mean(np.sum(np.abs(above) < 1e-4, axis=1)) < 1.5  # an item, and itself


def test_items_are_ranked_alike_whatever_else_is_asked():
    slates, matrix = calibration_world()
    every, some = cross_fit(slates, matrix, items=np.arange(40)), cross_fit(slates, matrix)
    for of_all, of_some in ((every.ranks, some.ranks), (every.popularity, some.popularity)):
        assert of_some.shape == slates.items.shape
        np.testing.assert_array_equal(np.take_along_axis(of_all, slates.items, axis=1), of_some)


def test_cross_fit_of_a_single_user_knows_nothing():
    X = np.array([(0, item) for item in range(6)])
    record = {"user": 0, "history": [0, 1], "candidates": [2, 3, 9], "ratings": [1, 0.5, 0]}
    interactions = index_interactions(X, extra_items=np.arange(10))
    slates, _ = place_slates(PrecomputedJudge([record]).judged_slates(), interactions)
    standing = cross_fit(slates, interactions.matrix)
    assert standing.ranks.tolist() == [[1, 1, 1]]
    assert not standing.popularity.any()


# Recorded judgments on MovieLens


@pytest.fixture(scope="module")
def movielens():
    data = load_movielens_coldstart()
    interactions = index_interactions(
        data.train[["user", "item"]], extra_items=data.item_data["item"].to_numpy()
    )
    return interactions, *place_slates(data.judge.judged_slates(), interactions)


def test_movielens_slates_are_all_used(movielens):
    _, slates, dropped = movielens
    assert not any(dropped.values())
    # 659 s, 659 n and 274 c slates; rs repeats s, and rc repeats c except for 35 additional ones.
    assert len(slates) == 659 + 659 + 309
    assert slates.calibrates.sum() == 309


def test_movielens_positives_are_those_hidden_from_the_judge(movielens):
    interactions, slates, _ = movielens
    path = files(sklearn_selreg.datasets) / "data" / "movielens_judgments.jsonl.gz"
    with path.open("rb") as file, gzip.open(file, "rt") as lines:
        records = [json.loads(line) for line in lines]
    hidden = {}
    for record in records:
        key = record["user"], tuple(sorted(record["history"])), frozenset(record["candidates"])
        positives = set(record.get("hidden_positives", []))
        assert (record["kind"] == "calibration") == bool(positives)
        hidden[key] = positives
    assert len(hidden) == len(slates)
    for s in range(len(slates)):
        history = tuple(sorted(interactions.items[slates.shown[s].indices].tolist()))
        items = interactions.items[slates.items[s]]
        real = slates.items[s] >= 0
        key = interactions.users[slates.users[s]], history, frozenset(items[real].tolist())
        assert set(items[slates.relevance[s] == 1]) == hidden[key]
        assert np.all(slates.relevance[s, real] >= 0)  # no candidate is in the history of its slate


def test_mean_ratings_that_differ_by_rounding_only_are_no_preference():
    # A judge that rates by position, in an order and its reverse, has means of one half.
    size = 10
    places = 1 - np.arange(size) / (size - 1)
    answers = np.stack([places, places[::-1]], axis=-1)[np.newaxis].astype(np.float32)
    slates = Slates(
        np.zeros(1, int),
        np.arange(size)[np.newaxis],
        answers,
        sp.csr_matrix((1, size), dtype=np.float32),
        np.zeros((1, size), np.int8),
    )
    gaps, agreement = slates.gaps()
    assert (gaps == 0).all()
    assert (agreement == 0)[~np.eye(size, dtype=bool)[np.newaxis]].all()
