"""Warnings before and during judging: position bias, useless judges, rankings, similar texts."""

import warnings

import numpy as np
import pytest
from loopback import rate
from test_live import claude, expected, gpt, keys, make_model, make_slates, n_asked, world

from sklearn_selreg.exceptions import BudgetWarning, DataWarning, GateWarning, JudgmentWarning
from sklearn_selreg.judges import LLMJudge

__all__ = ["keys", "world"]  # fixtures
pytestmark = pytest.mark.slow  # starts servers and processes


# Rankings


def assert_same_order(ranked, rated):
    """Each answer (a column) orders candidates by their ratings, except for ties."""
    first, second = np.nonzero(rated[:, np.newaxis] > rated)
    assert (ranked[first] > ranked[second]).all()


@pytest.mark.parametrize("make", [claude, gpt])
def test_a_ranking_orders_candidates_as_ratings_do(server, make):
    slates = make_slates(10)
    judge = make(server, ask="ranking")
    for ranked, rated in zip(judge.answers(slates), expected(slates), strict=True):
        assert_same_order(ranked, rated)
        np.testing.assert_allclose(np.sort(ranked, axis=0), np.tile(np.arange(4) / 3, (2, 1)).T)
    assert judge.stats_["answers"] == judge.stats_["requests"] == 20


def test_rankings_and_ratings_are_different_answers_of_one_cache(server, tmp_path):
    slates = make_slates(3)
    ratings = claude(server, cache=tmp_path / "c")
    ranking = claude(server, cache=tmp_path / "c", ask="ranking")
    ratings.rate(slates), ranking.rate(slates)
    assert n_asked(server) == 12
    ratings.rate(slates), ranking.rate(slates)
    assert n_asked(server) == 12


@pytest.mark.parametrize("make", [claude, gpt])
def test_rankings_come_in_batches_and_without_schema(server, make):
    slates = make_slates(3)
    if make is gpt:
        server.configure(json_schema=False, prose=True)
    judge = make(server, ask="ranking", **({"batch": True} if make is claude else {}))
    for ranked, rated in zip(judge.answers(slates), expected(slates), strict=True):
        assert_same_order(ranked, rated)


@pytest.mark.parametrize("fault", ["missing", "out_of_range", "truncated", "broken"])
def test_a_bad_ranking_is_asked_for_once_more(server, fault):
    server.configure(script=[fault])
    judge = claude(server, ask="ranking", n_orders=1, concurrency=1)
    (ranked,) = judge.rate(make_slates(1))
    assert not np.isnan(ranked).any()
    assert n_asked(server) == 2


# Positions


@pytest.mark.parametrize("make", [claude, gpt])
def test_a_live_judge_of_positions_is_told_while_it_is_asked(server, make):
    server.configure(by_position=True, delay=0.05)
    judge, slates = make(server, concurrency=4), make_slates(300)
    with warnings.catch_warnings():
        warnings.simplefilter("error", JudgmentWarning)
        with pytest.raises(JudgmentWarning, match=r"1.00 \(1.00 to 1.00\).* is -1.00 "):
            judge.rate(slates)
    n_first = n_asked(server)
    assert 40 <= n_first < 200
    server.configure(delay=0)
    with pytest.warns(JudgmentWarning, match="rate list positions rather than items") as caught:
        judge.rate(slates)
    assert len(caught) == 1
    assert n_asked(server) == 600  # no question is asked twice


def test_a_fit_says_so_once(server, world, tmp_path):
    server.configure(by_position=True)
    model = make_model(world, gpt(server, cache=tmp_path / "c"))
    for stops in (False, True):
        model.set_params(slates__stop_if_useless=stops)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            model.fit(world[0])
        told = [w for w in caught if "rate list positions rather than items" in str(w.message)]
        assert len(told) == 1


def test_a_judge_of_items_is_not_accused(server):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        claude(server).rate(make_slates(100))


# Stopping


def knowing(slate):
    """Rate films by whether they share a word with those in the history."""
    words = {text.split()[1] for text in slate.history_texts}
    return [0.9 if text.split()[1] in words else 0.1 for text in slate.candidate_texts]


def guessing(slate):
    numbers = {str(n): text for n, text in enumerate(slate.candidate_texts)}
    rated = rate({"history": [slate.user, *slate.history_texts], "candidates": numbers})
    return [rating / 99 for rating in rated.values()]


def stopping_model(world, judge, **settings):
    slates = {"slates__max_slates": 150, "slates__calibration_fraction": 0.3, "slates__size": 20}
    return make_model(world, judge, slates__stop_if_useless=True, **slates, **settings)


def function(f, asked):
    def judge(slate):
        asked.append(slate)
        return f(slate)

    return LLMJudge.from_callable(judge, name=f"{f.__name__} {id(asked)}", version="1")


def test_a_guessing_judge_is_stopped_and_a_later_fit_asks_the_rest(world):
    asked = []
    model = stopping_model(world, function(guessing, asked))
    plan = model.plan_judging(world[0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", GateWarning)
        with pytest.warns(JudgmentWarning, match="stop_if_useless.* of the pairs .*95 %") as caught:
            model.fit(world[0])
    assert len(caught) == 1
    assert len(asked) == 30 < len(plan.slates)
    assert model.judge_stats_["slates"] == 30
    assert "(stop_if_useless)" in model.judge_summary_
    # They are the first calibration slates, in the order of the plan.
    likes = world[0].groupby("user")["film"].agg(set)
    calibrating = [s for s in plan.slates if likes[s.user] & set(s.candidates)]
    assert set(asked) == set(calibrating[:30])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", GateWarning)
        model.set_params(slates__stop_if_useless=False).fit(world[0])
    assert len(asked) == len(set(asked)) == len(plan.slates)
    assert "(stop_if_useless)" not in model.judge_summary_


def test_a_judge_with_equal_ratings_has_a_summary(world):
    def equal(slate):
        return [0.5] * len(slate.candidates)

    model = stopping_model(world, function(equal, []))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(world[0])
    assert model.gate_ is None
    assert "could not be checked" in model.judge_summary_
    assert "(stop_if_useless)" in model.judge_summary_


def test_a_judge_without_opinions_is_stopped(world):
    asked = []
    model = stopping_model(world, function(lambda slate: [np.nan] * len(slate.candidates), asked))
    with pytest.warns(JudgmentWarning) as caught:
        model.fit(world[0])
    assert any("no ratings for any of them" in str(warning.message) for warning in caught)
    assert len(asked) == 30


def test_a_knowing_judge_is_asked_all_and_the_model_is_the_same(world):
    asked = []
    model = stopping_model(world, function(knowing, asked))
    with warnings.catch_warnings():
        warnings.simplefilter("error", JudgmentWarning)
        warnings.simplefilter("ignore", GateWarning)  # it is always right
        model.fit(world[0])
        factors = model.user_factors_
        model.set_params(slates__stop_if_useless=False).fit(world[0])
    assert len(asked) == len(set(asked)) == len(model.plan_judging(world[0]).slates)
    np.testing.assert_array_equal(model.user_factors_, factors)


def test_a_stopped_fit_pays_nothing_twice_and_stays_within_the_budget(server, world, tmp_path):
    model = stopping_model(world, claude(server, cache=tmp_path / "c", max_requests=100_000))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(world[0])
        assert n_asked(server) == 60
        model.set_params(slates__stop_if_useless=False).fit(world[0])
        assert n_asked(server) == 300
    few = claude(server, cache=tmp_path / "d", max_requests=50)
    model = stopping_model(world, few)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(world[0])
    assert sum(issubclass(w.category, BudgetWarning) for w in caught) <= 1
    assert n_asked(server) == 350


# Texts that begin alike


def test_texts_that_are_cut_to_the_same_are_told_before_anything_is_asked(server, world):
    likes, films = world
    page = "<html><head>" + "<meta name='shop'>" * 20 + "</head><body>"
    films = films.assign(title=page + films["title"])
    with pytest.warns(DataWarning, match="cannot distinguish .* after the first 300 ") as caught:
        make_model((likes, films), claude(server)).plan_judging(likes)
    (message,) = {str(w.message) for w in caught}
    n_used = likes["film"].nunique()
    assert f"{n_used} of the {n_used} items" in message
    assert "title: <html><head><meta name=" in message and "item_text" in message
    needed = int(message.rpartition("differ after ")[2].split()[0])
    assert needed >= len("title: " + page)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        judge = claude(server, max_item_chars=needed + 1)
        make_model((likes, films), judge).plan_judging(likes)
        make_model(world, claude(server)).plan_judging(likes)
        # Identical texts are not caused by truncation.
        same = films.assign(title=world[1]["title"].str.split().str[0] + page)
        make_model((likes, same), claude(server)).plan_judging(likes)
    assert n_asked(server) == 0


def test_a_few_texts_that_begin_alike_are_not_told(server, world):
    likes, films = world
    titles = films["title"].tolist()
    titles[:3] = [f"{'long ' * 80}{n}" for n in range(3)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        make_model((likes, films.assign(title=titles)), claude(server)).plan_judging(likes)
