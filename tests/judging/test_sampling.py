"""Estimated sampling designs of calibration slates, compared with known designs."""

import numpy as np
import pytest

from sklearn_selreg._data._csr import count_interactions
from sklearn_selreg._data._interactions import index_interactions
from sklearn_selreg._judging._design import Standing, estimate_design, pair_weights, recorded_design
from sklearn_selreg._judging._slates import place_slates
from sklearn_selreg.judges import PrecomputedJudge

N_SLATES, N_ITEMS, N_HIDDEN, SIZE = 400, 1200, 8, 20
# Log sampling rate of an item by its rank and popularity.
RECIPES = {
    "uniformly": lambda ranks, popularity: np.zeros(ranks.shape),
    "by popularity": lambda ranks, popularity: np.log(popularity + 1.0),
    "the rare": lambda ranks, popularity: -np.log(popularity + 5.0),
    "favorites": lambda ranks, popularity: -np.log(ranks + 3.0),
    "favorites and anything": lambda ranks, popularity: np.where(ranks <= 100, 0, np.log(0.1)),
    "popular favorites": lambda ranks, popularity: np.log((popularity + 5) / np.sqrt(ranks + 10)),
}


@pytest.fixture(scope="module")
def catalog():
    """Popularity of all items, and their ranks for each slate's user, who likes popular items."""
    rng = np.random.default_rng(0)
    popularity = np.floor(1500 / (rng.permutation(N_ITEMS) + 10)).astype(int)
    scores = 0.7 * np.log1p(popularity) + rng.normal(size=(N_SLATES, N_ITEMS))
    return popularity, 1 + np.argsort(np.argsort(-scores, axis=1), axis=1)


def no_items():
    return Standing(np.empty(0, dtype=int), np.empty(0, dtype=int))


def sample(catalog, hidden, others, supervision=None, n_slates=N_SLATES):
    """Sample slates by recipes, and return the arguments of `estimate_design`.

    An item is liked with a probability that falls with its rank. Items are drawn with replacement,
    so that the recipes are the exact probabilities.
    """
    rng = np.random.default_rng(1)
    popularity, ranks = catalog[0], catalog[1][:n_slates]
    liked = rng.uniform(size=ranks.shape) < 6 / (ranks + 20)

    def drawn(n, among, recipe):
        log_weights = RECIPES[recipe](ranks, np.broadcast_to(popularity, ranks.shape))
        sums = np.cumsum(np.where(among, np.exp(log_weights), 0), axis=1)
        wanted = rng.uniform(size=(n_slates, n)) * sums[:, -1:]
        pairs = zip(sums, wanted, strict=True)
        items = np.array([np.searchsorted(*pair, side="right") for pair in pairs])
        return Standing(np.take_along_axis(ranks, items, axis=1), popularity[items])

    known, unknown = drawn(N_HIDDEN, liked, hidden), drawn(SIZE - N_HIDDEN, ~liked, others)
    candidates = Standing(
        np.hstack([known.ranks, unknown.ranks]), np.hstack([known.popularity, unknown.popularity])
    )
    relevance = np.tile(np.arange(SIZE) < N_HIDDEN, (n_slates, 1)).astype(np.int8)
    everywhere = np.ones((n_slates, SIZE), dtype=bool)
    anything, positives = (drawn(SIZE, of, "uniformly")[everywhere] for of in (~liked, liked))
    supervised = no_items()
    if supervision is not None:
        supervised = drawn(SIZE, ~liked, supervision)[everywhere]
    return candidates, relevance, anything, positives, supervised


def differences(values):
    """Compare differences within slates, since constants per slate do not matter."""
    first, second = np.triu_indices(SIZE, 1)
    return (values[:, first] - values[:, second]).ravel()


def log_probability(recipe, candidates):
    return RECIPES[recipe](candidates.ranks, candidates.popularity)


def root_mean_square(values):
    return np.sqrt(np.mean(values**2))


# Estimated designs


@pytest.mark.slow
@pytest.mark.parametrize(
    ("hidden", "others"),
    [("uniformly", others) for others in list(RECIPES)[1:]]
    + [("by popularity", "uniformly"), ("by popularity", "favorites"), ("favorites", "the rare")],
)
def test_offsets_are_those_of_a_known_design(catalog, hidden, others):
    candidates, *known = sample(catalog, hidden, others)
    design = estimate_design(candidates, *known)
    assert design.offset.shape == design.commonness.shape == candidates.ranks.shape
    found = differences(design.offset)
    truth = differences(log_probability(hidden, candidates) - log_probability(others, candidates))
    assert np.corrcoef(found, truth)[0, 1] > 0.9
    assert np.polyfit(truth, found, 1)[0] == pytest.approx(1, abs=0.2)
    assert root_mean_square(found - truth) < 0.5 * root_mean_square(truth)


@pytest.mark.slow
@pytest.mark.parametrize("recipe", RECIPES)
def test_candidates_of_one_recipe_have_about_no_offset(catalog, recipe):
    """Spurious designs shrink with the number of slates."""
    chance = []
    for n_slates in (N_SLATES // 4, N_SLATES):
        candidates, *known = sample(catalog, recipe, recipe, n_slates=n_slates)
        found = differences(estimate_design(candidates, *known).offset)
        chance.append(root_mean_square(found))
    assert chance[1] < min(0.5, chance[0])


@pytest.mark.parametrize("supervision", ["uniformly", "by popularity", "the rare", "favorites"])
def test_commonness_is_that_of_a_known_design(catalog, supervision):
    hidden, others = "by popularity", "favorites"
    candidates, *known = sample(catalog, hidden, others, supervision)
    design = estimate_design(candidates, *known)
    found = differences(design.commonness)
    truth = log_probability(supervision, candidates)
    truth = (
        truth - log_probability(hidden, candidates) / 2 - log_probability(others, candidates) / 2
    )
    truth = differences(truth)
    assert np.corrcoef(found, truth)[0, 1] > 0.9
    assert np.polyfit(truth, found, 1)[0] == pytest.approx(1, abs=0.2)


@pytest.mark.slow
def test_what_cannot_be_compared_makes_no_difference(catalog):
    """Without supervision slates or items for comparison, all candidates are equally likely."""
    candidates, relevance, anything, positives, none = sample(catalog, "uniformly", "favorites")
    assert not len(none.ranks)
    assert not estimate_design(candidates, relevance, anything, positives, none).commonness.any()
    both = estimate_design(candidates, relevance, none, none, none)
    assert not both.offset.any()
    one, other = (
        estimate_design(candidates, relevance, anything, compared, none).offset
        for compared in (positives, none)
    )
    assert not np.array_equal(one, other)  # the design of the others is still estimated
    truth = differences(-log_probability("favorites", candidates))
    assert np.corrcoef(differences(other), truth)[0, 1] > 0.9


# Weights


def effective(weights):
    return weights.sum() ** 2 / np.sum(weights**2)


@pytest.mark.parametrize("spread", [0.1, 0.5, 2.0, 30.0])
def test_weights_leave_a_quarter_of_the_pairs_in_effect(spread):
    log_weights = spread * np.random.default_rng(0).normal(size=500) + 7
    weights = pair_weights(log_weights)
    assert weights.mean() == pytest.approx(1)
    assert effective(weights) >= len(weights) / 4
    order = np.argsort(log_weights)
    assert np.all(np.diff(weights[order]) >= 0)
    # They are a power of the untempered weights, with the largest sufficient exponent.
    power, constant = np.polyfit(log_weights, np.log(weights), 1)
    np.testing.assert_allclose(np.log(weights), power * log_weights + constant, atol=1e-9)
    if effective(np.exp(log_weights)) >= len(weights) / 4:
        assert power == pytest.approx(1)
    else:
        assert power < 1
        assert effective(np.exp((power + 0.05) * log_weights)) < len(weights) / 4


def test_pairs_that_are_as_usual_weigh_1():
    assert pair_weights(np.full(30, -900.0)).tolist() == [1.0] * 30
    one = np.array([0.0] * 99 + [800.0])  # would overflow
    assert np.isfinite(pair_weights(one)).all()
    assert effective(pair_weights(one)) >= 25


# Designs of recorded slates


N_USERS = 150


def recorded_world(by_popularity, seed=0):
    """Users with 12 of 200 items, half of them shown; the other candidates are sampled."""
    rng = np.random.default_rng(seed)
    n_items = 200
    weight = 1 / (np.arange(n_items) + 5.0)
    rows, records = [], []
    for user in range(N_USERS):
        own = rng.choice(n_items, 12, replace=False, p=weight / weight.sum())
        rows += [(user, item) for item in own]
        left = np.setdiff1d(np.arange(n_items), own)
        chance = weight[left] if by_popularity else np.ones(len(left))
        others = rng.choice(left, 8, replace=False, p=chance / chance.sum())
        candidates = [*own[6:10], *others]
        rated = rng.uniform(size=12).tolist()
        records.append(
            {"user": user, "history": own[:6], "candidates": candidates, "ratings": rated}
        )
    interactions = index_interactions(np.array(rows), extra_items=np.arange(n_items))
    slates, dropped = place_slates(PrecomputedJudge(records).judged_slates(), interactions)
    assert not any(dropped.values()) and slates.calibrates.all()
    return slates, interactions.matrix


class Ranking:
    """Synthetic ranks of all items for each user; records its arguments."""

    def __init__(self, matrix):
        self._popularity = count_interactions(matrix)
        rng = np.random.default_rng(5)
        self._ranks = 1 + np.argsort(rng.uniform(size=matrix.shape), axis=1)

    def __call__(self, items, slates):
        self.items = items
        ranks = self._ranks[slates.users[:, np.newaxis], items]
        return Standing(ranks, self._popularity[items])


def test_recorded_slates_are_compared_with_what_they_could_have_been_drawn_from():
    slates, matrix = recorded_world(by_popularity=True)
    rank = Ranking(matrix)
    candidates, design = recorded_design(slates, matrix, no_items(), rank)
    expected = rank(slates.items, slates)
    np.testing.assert_array_equal(candidates.ranks, expected.ranks)
    np.testing.assert_array_equal(candidates.popularity, expected.popularity)
    assert design.offset.shape == slates.items.shape
    recorded_design(slates, matrix, no_items(), rank)
    size = slates.items.shape[1]
    asked = rank.items
    np.testing.assert_array_equal(asked[:, :size], slates.items)
    dense = matrix.toarray() > 0
    n_new = 0
    for s, user in enumerate(slates.users):
        hidden = set(np.flatnonzero(dense[user])) - set(slates.shown[s].indices)
        compared = [set(part[part >= 0]) for part in np.split(asked[s, size:], 2)]
        assert compared[1] == hidden and len(hidden) == 6
        assert not dense[user, list(compared[0])].any()
        n_new += len(compared[0])
    assert n_new > 15 * len(slates)


@pytest.mark.parametrize("by_popularity", [True, False])
def test_the_design_of_recorded_slates_is_found(by_popularity):
    """Detects whether the other candidates are popular; hidden items are random positives."""
    slates, matrix = recorded_world(by_popularity)
    candidates, design = recorded_design(slates, matrix, no_items(), Ranking(matrix))
    popularity = np.log1p(candidates.popularity).ravel()
    slope = np.polyfit(popularity, design.offset.ravel(), 1)[0]
    truth = -1.0 if by_popularity else 0.0
    assert slope == pytest.approx(truth, abs=0.25)


def test_designs_do_not_depend_on_the_state_of_numpy():
    slates, matrix = recorded_world(by_popularity=True)
    found = []
    for seed in range(2):
        np.random.seed(seed)  # noqa: NPY002 (the very state meant)
        found.append(recorded_design(slates, matrix, no_items(), Ranking(matrix))[1])
    np.testing.assert_array_equal(found[0].offset, found[1].offset)
