import numpy as np
import pytest

from sklearn_selreg import SelectiveLLMRegularizedMF
from sklearn_selreg._data._interactions import index_interactions
from sklearn_selreg._judging import _sampler
from sklearn_selreg._judging._recipe import RECIPE, CandidateOdds, Recipe, _inclusion
from sklearn_selreg._judging._sampler import _Sampler, sample_slates
from sklearn_selreg.datasets import load_movielens_coldstart
from sklearn_selreg.exceptions import JudgmentWarning
from sklearn_selreg.judges import LLMJudge


def make_interactions(n_users=80, n_items=200, seed=0, longest=30):
    random = np.random.default_rng(seed)
    weights = 1 / np.arange(1, n_items + 1)
    rows = [
        (f"u{user}", item)
        for user in range(n_users)
        for item in random.choice(
            n_items, 1 + user % longest, replace=False, p=weights / weights.sum()
        )
    ]
    return index_interactions(np.array(rows, dtype=object), extra_items=np.arange(n_items))


def fitted(interactions, user):
    indptr = interactions.matrix.indptr
    return interactions.history[indptr[user] : indptr[user + 1]].tolist()


@pytest.fixture(scope="module")
def interactions():
    return make_interactions()


@pytest.fixture(scope="module")
def questions(interactions):
    return sample_slates(interactions, None, max_slates=100)


def test_supervision_shows_the_last_items_and_asks_about_new_ones(interactions, questions):
    for n in np.flatnonzero(~questions.calibrates):
        liked = fitted(interactions, questions.users[n])
        assert questions.histories[n].tolist() == liked[-10:]
        assert not set(questions.candidates[n]) & set(liked)


def test_calibration_hides_what_follows_the_history(interactions, questions):
    lengths = set()
    for n in np.flatnonzero(questions.calibrates):
        liked, shown = fitted(interactions, questions.users[n]), questions.histories[n].tolist()
        hidden = set(questions.candidates[n]) & set(liked)
        start = liked.index(shown[0])
        assert liked[start : start + len(shown)] == shown
        assert hidden <= set(liked[start + len(shown) :])
        assert 1 <= len(hidden) <= 4
        lengths.add(len(shown))
    assert lengths == {1, 2, 3, 5, 10}


class Catalog:
    """Minimal reference model for sampling candidates."""

    popularity = np.random.default_rng(0).permutation(np.arange(400) // 4)
    tail = popularity <= 3
    user = np.random.default_rng(1).normal(size=400) + popularity / 50

    def scores(self, matrix):
        """Give all users the same scores."""
        return np.tile(self.user, (matrix.shape[0], 1))


def assert_drawn(times, probabilities, n_draws):
    """Check that frequencies match probabilities within their standard errors."""
    error = np.sqrt(probabilities * (1 - probabilities) / n_draws)
    assert (np.abs(times / n_draws - probabilities) <= 4.5 * error + 3 / n_draws).all()


@pytest.mark.parametrize("n_drawn", [1, 5, 16, 20, 300, 395])
def test_items_are_drawn_as_their_odds_are(n_drawn):
    random = np.random.default_rng(1)
    liked = np.arange(5)
    odds = CandidateOdds(Catalog.user, liked, Catalog, RECIPE)
    times, n_draws = np.zeros(400), 1500
    for _ in range(n_draws):
        drawn = odds.draw(n_drawn, random)
        assert len(set(drawn)) == n_drawn
        times[drawn] += 1
    assert times[liked].sum() == 0
    expected = _inclusion(odds.odds, n_drawn)
    assert expected.sum() == pytest.approx(n_drawn)
    assert_drawn(times, expected, n_draws)


def test_hidden_items_are_like_the_others_where_likes_are_random():
    random = np.random.default_rng(3)
    liked = [random.permutation(400)[: 20 + user % 20] for user in range(2000)]
    rows = [(user, item) for user, items in enumerate(liked) for item in items]
    interactions = index_interactions(np.array(rows), extra_items=np.arange(400))
    sampler = _Sampler(interactions, None, 20, 4, 1, RECIPE)
    made = sampler._calibration(np.arange(2000), Catalog())
    rank = np.argsort(np.argsort(-Catalog.user))
    facts = np.column_stack([rank < 10, rank < 30, rank < 100, Catalog.tail, Catalog.popularity])
    differences = []
    for (user, _, candidates, _), drawn in made:
        hidden = np.isin(candidates, liked[user])
        asked = facts[candidates]
        if drawn:
            difference = asked[hidden].mean(axis=0) - asked[~hidden].mean(axis=0)
            # All pairs of a hidden and another item have the same weight.
            differences.append(hidden.sum() * np.sum(~hidden) * difference)
    differences = np.array(differences)
    assert len(differences) > 1000
    error = differences.std(axis=0) / np.sqrt(len(differences))
    assert (np.abs(differences.mean(axis=0)) < 4 * error).all()


def test_something_is_hidden_even_if_the_model_knows_nothing():
    rows = [[f"u{user}", f"{user}-{n}"] for user in range(40) for n in range(6)]
    interactions = index_interactions(np.array(rows, dtype=object))
    chosen = sample_slates(interactions, None, max_slates=100, size=10)
    assert chosen.calibrates.sum() == 30


def test_most_candidates_are_at_the_top():
    random = np.random.default_rng(1)
    best = np.argsort(-Catalog.user)
    odds = CandidateOdds(Catalog.user, [], Catalog, RECIPE)
    parts = np.isin(np.arange(400), best[:30]), np.isin(np.arange(400), best[30:100]), Catalog.tail
    draws = [odds.draw(20, random) for _ in range(500)]
    counts = np.array([[part[drawn].sum() for part in parts] for drawn in draws])
    assert (counts.min(axis=0) >= [11, 1, 3]).all()
    assert (counts.mean(axis=0) >= [12, 2, 3]).all()
    assert (np.ptp(counts, axis=0) <= 4).all()  # all slates have a similar composition
    deep = CandidateOdds(Catalog.user, [], Catalog, Recipe(best=((100, 1),), popular=0, tail=0))
    assert np.isin(deep.draw(100, random), best[:100]).all()


def test_calibration_does_not_know_what_it_hides():
    # Each user likes items that no one else does, so only a model fitted on them could favor them.
    rows = [[f"u{user}", f"{user}-{n}"] for user in range(40) for n in range(6)]
    rows += [[f"u{user}", f"common{n}"] for user in range(40) for n in range(user % 20)]
    interactions = index_interactions(np.array(rows, dtype=object))
    popularity = interactions.matrix.getnnz(axis=0)
    chosen = sample_slates(interactions, None, max_slates=100, size=10)
    hidden = np.concatenate(
        [
            popularity[[c for c in chosen.candidates[n] if c in fitted(interactions, user)]]
            for n, user in enumerate(chosen.users)
            if chosen.calibrates[n] and np.diff(interactions.matrix.indptr)[user] > 12
        ]
    )
    assert (hidden > 1).mean() > 0.8


@pytest.mark.slow
def test_positions_say_nothing_of_what_was_hidden(interactions):
    many = sample_slates(make_interactions(600), None, max_slates=1500, calibration_fraction=0.35)
    places = [
        np.flatnonzero(np.isin(many.candidates[n], fitted(make_interactions(600), many.users[n])))
        for n in np.flatnonzero(many.calibrates)[:40]
    ]
    assert abs(np.mean(np.concatenate(places)) - 9.5) < 2


def test_candidates_are_distinct_and_fill_the_slate(questions):
    assert questions.candidates.shape == (100, 20)
    assert all(len(set(row)) == 20 and row.min() >= 0 for row in questions.candidates)


def test_both_kinds_are_mixed_evenly(questions):
    assert questions.calibrates.sum() == 30
    for stop in (10, 20, 50):
        assert abs(questions.calibrates[:stop].sum() - 0.3 * stop) <= 1


def test_short_histories_come_first(interactions, questions):
    n_liked = np.diff(interactions.matrix.indptr)[questions.users[~questions.calibrates]]
    assert (np.diff(np.minimum(n_liked, 10)) >= 0).all()
    few = sample_slates(interactions, None, max_slates=20, calibration_fraction=0)
    lengths = np.diff(interactions.matrix.indptr)
    assert lengths[few.users].max() <= np.sort(lengths)[20]


def test_rare_items_are_asked_about(interactions, questions):
    popularity = interactions.matrix.getnnz(axis=0)
    rare = popularity[questions.candidates[~questions.calibrates]] <= 3
    assert (rare.sum(axis=1) >= 3).all()


def test_no_question_is_asked_twice(interactions):
    many = sample_slates(interactions, None, max_slates=300)
    asked = [
        (user, *history, *sorted(row))
        for user, history, row in zip(many.users, many.histories, many.candidates, strict=True)
    ]
    assert len(set(asked)) == len(asked) > 200


def test_the_choice_is_fixed_by_rows_and_seed(interactions, questions):
    again = sample_slates(interactions, None, max_slates=100, num_threads=1)
    np.testing.assert_array_equal(again.users, questions.users)
    np.testing.assert_array_equal(again.candidates, questions.candidates)
    other = sample_slates(interactions, None, max_slates=100, random_state=1)
    assert (other.candidates != questions.candidates).any()


def test_by_default_each_user_is_asked_about_once(interactions):
    chosen = sample_slates(interactions, None)
    assert sorted(chosen.users[~chosen.calibrates]) == list(range(80))
    assert chosen.calibrates.sum() == round(0.3 * np.ceil(80 / 0.7))


@pytest.mark.parametrize("slate_size", [2, 3, 5, 20])
def test_small_worlds(slate_size):
    rows = [["a", 1], ["a", 2], ["b", 1], ["b", 3], ["b", 4], ["b", 5], ["c", 6]]
    interactions = index_interactions(np.array(rows, dtype=object))
    chosen = sample_slates(interactions, None, size=slate_size)
    assert chosen.candidates.shape[1] == slate_size
    assert len(chosen) >= 3
    for n, row in enumerate(chosen.candidates):
        asked = row[row >= 0]
        assert len(set(asked)) == len(asked) >= 2
        assert not set(asked) & set(chosen.histories[n])


def test_a_reference_model_of_some_users_will_do(monkeypatch, interactions, questions):
    monkeypatch.setattr(_sampler, "_MOST_INTERACTIONS", interactions.matrix.nnz // 3)
    monkeypatch.setattr(_sampler, "_CONTENDERS", 1)
    few = sample_slates(interactions, None, max_slates=30)
    lengths = np.diff(interactions.matrix.indptr)
    shortest = np.sort(lengths)[np.sum(~few.calibrates) - 1]
    assert lengths[few.users[~few.calibrates]].max() == shortest
    assert len(set(few.users[~few.calibrates])) == np.sum(~few.calibrates) == 21
    popularity = interactions.matrix.getnnz(axis=0)
    everywhere = popularity[questions.candidates[~questions.calibrates]].mean()
    assert popularity[few.candidates[~few.calibrates]].mean() > 0.7 * everywhere
    assert all(len(set(row)) == 20 for row in few.candidates)


def test_nothing_left_to_ask():
    rows = [[user, item] for user in "ab" for item in range(3)]
    interactions = index_interactions(np.array(rows, dtype=object))
    assert len(sample_slates(interactions, None)) == 0


def test_movielens_is_asked_about_cold_users_first():
    data = load_movielens_coldstart()
    interactions = index_interactions(data.train, user_col="user", item_col="item", time_col="time")
    chosen = sample_slates(interactions, None, max_slates=200, calibration_fraction=0)
    cold = data.cohort.set_index("user")["cohort"] if hasattr(data.cohort, "set_index") else None
    users = interactions.users[chosen.users]
    cohort = dict(data.cohort) if cold is None else cold.to_dict()
    assert np.mean([cohort[user] == "cold" for user in users]) > 0.9


def test_a_judge_that_nothing_can_be_asked_about_is_named():
    full = np.array([(user, item) for user in range(20) for item in range(10)])
    judge = LLMJudge.from_callable(lambda slate: [], name="unasked", version="1")
    model = SelectiveLLMRegularizedMF(factors=2, tuning=None, judge=judge)
    with pytest.warns(JudgmentWarning, match="No slate could be built"):
        assert model.fit(full).judge_stats_["slates"] == 0


def test_ids_that_are_read_as_floats_are_asked_the_same():
    rows = np.column_stack([np.arange(600) % 60, np.arange(600) % 37])
    whole, floats = (index_interactions(table) for table in (rows, rows.astype(float)))
    one, two = (sample_slates(table, None, max_slates=30) for table in (whole, floats))
    np.testing.assert_array_equal(one.users, two.users)
    np.testing.assert_array_equal(one.candidates, two.candidates)
