"""Judges that rate positions are detected early and reported once; good judges never are."""

import warnings

import numpy as np
import pytest
from scipy.stats import spearmanr

from sklearn_selreg.exceptions import JudgmentWarning
from sklearn_selreg.judges import ContentJudge, LLMJudge, Slate
from sklearn_selreg.judges._positions import (
    FIRST_LOOK,
    PositionBias,
    one_check,
    rank_correlation,
)


def simulate(rng, rate, n_slates=20, size=20, n_orders=2):
    """Return answers in random orders and their reverses; `rate` gets qualities as shown."""
    slates = []
    for _ in range(n_slates):
        quality, order = rng.normal(size=size), rng.permutation(size)
        orders = [order, order[::-1]][:n_orders]
        slates.append([(rate(rng, quality[order]), order) for order in orders])
    return slates


def judge(item=1.0, position=0.0, noise=0.0, digits=None, missing=0.0):
    """Return a rating rule: weights of the item, the position and noise, mapped to [0, 1]."""

    def rate(rng, quality):
        places = np.arange(len(quality)) - (len(quality) - 1) / 2
        places /= places.std()
        score = item * quality + position * places + noise * rng.normal(size=len(quality))
        ratings = 1 / (1 + np.exp(-score))
        ratings = ratings if digits is None else np.round(ratings, digits)
        return np.where(rng.random(len(quality)) < missing, np.nan, ratings)

    return rate


GOOD = {
    "knows": judge(),
    "knows and errs": judge(noise=1),
    "coarse": judge(noise=1, digits=1),
    "half missing": judge(noise=1, missing=0.5),
    "a little for the first": judge(position=-0.3, noise=0.3),
    "noise only": judge(item=0, noise=1),
}


@pytest.mark.slow
@pytest.mark.parametrize("size", [2, 5, 20])
@pytest.mark.parametrize("n_orders", [1, 2])
def test_good_judges_are_hardly_ever_accused(size, n_orders):
    n_seeds, accused = 40, []  # more in benchmarks/judging/positions.py
    for name, rate in GOOD.items():
        for seed in range(n_seeds):
            bias = PositionBias.of(
                simulate(np.random.default_rng(seed), rate, size=size, n_orders=n_orders)
            )
            if bias is not None and bias.is_clear:
                accused.append((name, seed))
    assert not accused


@pytest.mark.parametrize("n_orders", [1, 2])
@pytest.mark.parametrize("size", [5, 20])
def test_judges_of_positions_are_found_out_by_twenty_slates(size, n_orders):
    for rate in (judge(position=2, noise=0.3), judge(item=0, position=-1, digits=1)):
        for seed in range(20):
            bias = PositionBias.of(
                simulate(np.random.default_rng(seed), rate, size=size, n_orders=n_orders)
            )
            assert bias.is_clear


def test_the_figures_are_those_of_scipy():
    slates = simulate(np.random.default_rng(0), judge(position=0.7, noise=0.5, digits=1), 30)
    bias = PositionBias.of(slates)
    with_position = [[spearmanr(r, np.arange(20)).statistic for r, _ in s] for s in slates]
    first, second = (np.array([s[k][0] for s in slates]) for k in (0, 1))
    between = [spearmanr(a, b[::-1]).statistic for a, b in zip(first, second, strict=True)]
    assert bias.n_slates == 30
    assert np.isclose(bias.position.mean, np.mean(with_position))
    assert np.isclose(bias.orders.mean, np.mean(between))
    assert bias.position.low < bias.position.mean < bias.position.high


def test_sorted_lists_do_not_accuse_a_judge_who_is_asked_in_both_directions():
    # If a judge agrees with itself, the mean over an order and its reverse is 0.
    rng = np.random.default_rng(0)
    slates = []
    for _ in range(20):
        quality, order = np.sort(rng.normal(size=20)), np.arange(20)
        slates.append([(quality[o], o) for o in (order, order[::-1])])
    bias = PositionBias.of(slates)
    assert np.isclose(bias.position.mean, 0) and np.isclose(bias.orders.mean, 1)
    assert not bias.is_clear


def test_constant_and_missing_ratings_say_nothing():
    assert np.isnan(rank_correlation(np.full(3, 0.5), np.arange(3)))
    assert np.isnan(rank_correlation(np.full(3, np.nan), np.arange(3)))
    slates = simulate(np.random.default_rng(0), lambda rng, quality: np.full(len(quality), 0.5))
    assert PositionBias.of(slates) is None


def make_slates(n_slates, size=8):
    random = np.random.default_rng(0)
    return [
        Slate(user, [], random.choice(1000, size, replace=False).tolist())
        for user in range(n_slates)
    ]


def by_position(asked=None):
    def rate(slate):
        if asked is not None:
            asked.append(slate.user)
        return np.linspace(0, 1, len(slate.candidates))

    return LLMJudge.from_callable(rate, name=f"position {id(asked)}", version="1")


def told(warned):
    return [str(w.message) for w in warned if issubclass(w.category, JudgmentWarning)]


def test_of_a_function_nobody_knows_whether_lists_are_sorted():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        by_position().rate(make_slates(40))


def test_one_check_speaks_once_and_at_the_twentieth_slate():
    asked = []
    with one_check(), pytest.warns(JudgmentWarning) as warned:
        judge = by_position(asked)
        judge.rate(make_slates(60)[:40])
        judge.rate(make_slates(60))
    (message,) = told(warned)
    assert (
        "rate list positions rather than items" in message
        and f"over {FIRST_LOOK} slates" in message
    )
    assert len(asked) == 60


def test_as_an_error_it_stops_the_asking_and_keeps_the_answers():
    asked, slates = [], make_slates(200)
    judge = by_position(asked)
    with one_check(), warnings.catch_warnings():
        warnings.simplefilter("error", JudgmentWarning)
        with pytest.raises(JudgmentWarning, match="rate list positions rather than items"):
            judge.rate(slates)
    assert len(asked) == FIRST_LOOK
    with one_check(), pytest.warns(JudgmentWarning):
        judge.rate(slates)
    assert len(asked) == 200


def test_few_slates_do_not_suffice():
    with one_check(), warnings.catch_warnings():
        warnings.simplefilter("error")
        by_position().rate(make_slates(FIRST_LOOK - 1))


def test_judges_of_texts_are_not_accused():
    words = ["red", "wine", "white", "tea", "glass", "pot", "beer", "cup"]
    random = np.random.default_rng(0)

    def texts(n):
        return [" ".join(random.choice(words, 3)) for _ in range(n)]

    slates = [Slate(n, [1], range(2, 10), texts(1), texts(8)) for n in range(60)]
    with one_check(), warnings.catch_warnings():
        warnings.simplefilter("error")
        ContentJudge().rate(slates)
