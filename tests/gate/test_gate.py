"""The gate on simulated pairs with known truth, and compared with a recomputation in numpy."""

import pickle
import re
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold
from sklearn.utils.estimator_checks import parametrize_with_checks

from sklearn_selreg import ReliabilityGate
from sklearn_selreg._gate import _trust_model

GAMMA, BETA, EFFECT = 4.0, np.array([0.6, -1.0]), 2.0
COLUMNS = ["gap", "prior_popularity", "prior_model", "rarity", "noise_1", "noise_2"]


# Most checks have too few samples to fit a model, which causes a warning that is ignored here.
@pytest.mark.filterwarnings("ignore:ReliabilityGate got:UserWarning")
@parametrize_with_checks(
    [ReliabilityGate()],
    expected_failed_checks=lambda estimator: {
        "check_sample_weight_equivalence_on_dense_data": "it passes splits as cv, a number here"
    },
)
def test_follows_the_conventions_of_scikit_learn(estimator, check):
    check(estimator)


def simulate(seed=0, n_groups=400, n_pairs=20, gamma=GAMMA, effect=EFFECT):
    """Pairs with trust gamma in the judge, plus `effect` per unit of the first context."""
    rng = np.random.default_rng(seed)
    n = n_groups * n_pairs
    Z = np.column_stack([rng.uniform(0, 1, n), rng.normal(size=(n, 5))])
    log_odds = Z[:, 1:3] @ BETA + (gamma + effect * Z[:, 3]) * Z[:, 0]
    y = (rng.uniform(size=n) < 1 / (1 + np.exp(-log_odds))).astype(int)
    return Z, y, np.repeat(np.arange(n_groups), n_pairs)


@pytest.fixture(scope="module")
def pairs():
    return simulate()


@pytest.fixture(scope="module")
def gate(pairs):
    Z, y, groups = pairs
    return ReliabilityGate().fit(pd.DataFrame(Z, columns=COLUMNS), y, groups=groups)


@pytest.mark.parametrize("select_by", [1, 2000])
def test_what_to_select_is_clear_from_part_of_many_pairs(monkeypatch, gate, pairs, select_by):
    monkeypatch.setattr(_trust_model, "_SELECT_BY", select_by)
    Z, y, groups = pairs
    quick = ReliabilityGate(C=gate.C_).fit(table(Z), y, groups=groups)
    few = select_by == 1  # as many groups as folds, too few to support any column
    if not few:
        assert quick.gap_coef_ == pytest.approx(gate.gap_coef_)  # fitted on all pairs
        assert quick.context_effects_ == pytest.approx(gate.context_effects_)
    assert np.isfinite(quick.transform(table(Z))).all()
    assert quick.log_loss_ != gate.log_loss_
    assert len(quick.cv_predictions_) == len(y)


def table(Z):
    return pd.DataFrame(Z, columns=COLUMNS)


def plain_log_odds(gate, Z, fitted, y):
    """Log-odds of the judge and in total from the documented attributes, and of the prior only.

    The latter are from scikit-learn's regression of the outcomes on only the prior evidence.
    """
    low, high = np.nanmin(fitted, axis=0), np.nanmax(fitted, axis=0)
    largest = np.nanmax(np.abs(fitted), axis=0)
    mean, deviation = np.nanmean(fitted, axis=0), np.nanstd(fitted, axis=0)

    def varying(row):
        evidence = np.nan_to_num(np.clip(row[:3], -largest[:3], largest[:3]))
        context = np.where(np.isnan(row[3:]), mean[3:], np.clip(row[3:], low[3:], high[3:]))
        context = (context - mean[3:]) / deviation[3:]
        return (
            evidence,
            context,
            np.concatenate([evidence[1:], np.outer(evidence[1:], context).ravel()]),
        )

    columns = np.array([varying(row)[2] for row in fitted])
    scale = np.sqrt(np.mean(columns**2, axis=0))
    model = LogisticRegression(C=gate.C_, fit_intercept=False, tol=1e-10, max_iter=1000)
    alone = model.fit(columns / scale, y).coef_[0] / scale
    judge, total, prior = np.empty((3, len(Z)))
    for n, row in enumerate(Z):
        evidence, context, columns = varying(row)
        judge[n] = (gate.gap_coef_ + context @ list(gate.context_effects_.values())) * evidence[0]
        beta = gate.prior_coef_ + gate.prior_effects_ @ context
        total[n] = judge[n] + beta @ evidence[1:]
        prior[n] = columns @ alone
    return judge, total, prior


def test_recovers_known_coefficients(gate):
    assert gate.gap_coef_ == pytest.approx(GAMMA, rel=0.15)
    np.testing.assert_allclose(gate.prior_coef_, BETA, atol=0.15)
    assert list(gate.context_effects_) == COLUMNS[3:]
    assert gate.context_effects_["rarity"] == pytest.approx(EFFECT, rel=0.2)
    assert not gate.is_fallback_


def test_context_without_effect_gets_exactly_0(gate):
    assert gate.context_effects_["noise_1"] == 0
    assert gate.context_effects_["noise_2"] == 0


def test_trust_is_constant_where_no_context_matters():
    Z, y, groups = simulate(seed=1, effect=0)
    gate = ReliabilityGate().fit(Z, y, groups=groups)
    assert set(gate.context_effects_.values()) == {0.0}
    assert gate.log_loss_["selected"] == gate.log_loss_["constant"]


def test_context_that_lowers_trust_has_a_negative_effect():
    Z, y, groups = simulate(seed=2, effect=-EFFECT)
    gate = ReliabilityGate().fit(table(Z), y, groups=groups)
    assert gate.context_effects_["rarity"] == pytest.approx(-EFFECT, rel=0.2)


def test_each_kind_of_evidence_lowers_the_log_loss(gate):
    loss = gate.log_loss_
    assert loss["selected"] < loss["constant"] < loss["prior"] < np.log(2)


def test_accuracy_is_the_share_of_right_pairs(gate, pairs):
    assert gate.accuracy_ == pytest.approx(pairs[1].mean())


def test_turning_pairs_around_changes_nothing(gate, pairs):
    Z, y, groups = (a.copy() for a in pairs)
    turned = np.random.default_rng(3).uniform(size=len(y)) < 0.5
    Z[turned, :3] *= -1
    y[turned] = 1 - y[turned]
    other = ReliabilityGate().fit(table(Z), y, groups=groups)
    np.testing.assert_allclose(other.gap_coef_, gate.gap_coef_, rtol=1e-6)
    np.testing.assert_allclose(other.prior_coef_, gate.prior_coef_, rtol=1e-6)
    assert other.context_effects_ == pytest.approx(gate.context_effects_, rel=1e-6)
    assert other.accuracy_ == gate.accuracy_
    assert other.log_loss_ == pytest.approx(gate.log_loss_, rel=1e-6)


def test_a_preference_counts_if_each_of_three_log_odds_is_above_the_threshold(gate, pairs):
    Z = simulate(seed=4)[0][:300] * 1.5  # partly beyond the training range
    Z[::7, 3] = Z[1::7, 1] = Z[2::7, 0] = np.nan
    judge, total, prior = plain_log_odds(gate, Z, *pairs[:2])
    three = np.array([judge, total, total - prior])
    smallest = three.min(axis=0)
    weights = gate.transform(table(Z))
    assert weights.shape == (300, 1)
    clear = np.abs(smallest - 0.2) > 1e-4
    expected = np.where(smallest > 0.2, judge, 0)
    np.testing.assert_allclose(weights[clear, 0], expected[clear], rtol=1e-9, atol=1e-12)
    # All cases occur: the preference counts, or any of the three conditions rules it out.
    assert set(three.argmin(axis=0)[expected == 0]) == {0, 1, 2}
    assert np.any(expected > 0)


def test_probabilities_are_those_of_the_total_log_odds(gate, pairs):
    Z = simulate(seed=5)[0][:50]
    total = plain_log_odds(gate, Z, *pairs[:2])[1]
    np.testing.assert_allclose(gate.decision_function(table(Z)), total)
    np.testing.assert_allclose(gate.predict_proba(table(Z))[:, 1], 1 / (1 + np.exp(-total)))
    np.testing.assert_array_equal(gate.predict(table(Z)), total > 0)


def test_a_judge_who_says_what_popularity_says_weighs_nothing():
    Z, _, groups = simulate(seed=9)
    rng = np.random.default_rng(109)
    Z[:, 0] = np.abs(Z[:, 1]) / 4  # prefers the more popular item, in proportion to the difference
    Z[:, 1] = np.abs(Z[:, 1])
    y = rng.uniform(size=len(Z)) < 1 / (1 + np.exp(-Z[:, 1:3] @ [1.5, 1.0]))
    gate = ReliabilityGate().fit(table(Z), y, groups=groups)
    assert np.mean(gate.trust(table(Z)) * Z[:, 0]) > 0.1  # it is right, so it shares the credit
    assert gate.transform(table(Z)).mean() < 0.01


# Sampling of the pairs


def case_control(seed, selection):
    """Pairs of a liked item and another one, which is sampled by popularity and by the model.

    An item is liked with log-odds of 0.5 popularity + 0.8 model + 3 rating; others are drawn with
    log probability `selection` @ (popularity, model), which is therefore the signed offset.
    """
    rng = np.random.default_rng(seed)
    n_users, n_items = 1500, 300
    popularity = rng.normal(size=n_items)
    rows, right, users = [], [], []
    for user in range(n_users):
        model = rng.normal(size=n_items) + 0.5 * popularity
        rating = rng.uniform(size=n_items)
        liked = rng.uniform(size=n_items) < 1 / (
            1 + np.exp(5.5 - 0.5 * popularity - 0.8 * model - 3 * rating)
        )
        if not liked.any():
            continue
        known = rng.choice(np.flatnonzero(liked))
        log_drawn = selection[0] * popularity + selection[1] * model
        drawn = np.where(liked, 0, np.exp(log_drawn))
        for other in rng.choice(n_items, 6, replace=False, p=drawn / drawn.sum()):
            first, second = (known, other) if rating[known] > rating[other] else (other, known)
            difference = [v[first] - v[second] for v in (rating, popularity, model, -log_drawn)]
            rows.append([*difference, rng.normal(), min(popularity[first], popularity[second])])
            right.append(first == known)
            users.append(user)
    names = ["gap", "prior_popularity", "prior_model", "offset", "noise", "popularity_rarer"]
    return pd.DataFrame(rows, columns=names), np.array(right), np.array(users)


@pytest.mark.slow
@pytest.mark.parametrize("selection", [(0, 0), (1.5, 0), (0, 1.5), (-1, 1)])
def test_with_the_offset_the_truth_is_recovered_however_the_others_were_drawn(selection):
    Z, right, users = case_control(0, np.array(selection, dtype=float))
    gate = ReliabilityGate().fit(Z, right, groups=users)
    assert gate.gap_coef_ == pytest.approx(3.0, abs=0.45)
    np.testing.assert_allclose(gate.prior_coef_, [0.5, 0.8], atol=0.2)
    assert set(gate.context_effects_) == {"noise", "popularity_rarer"}
    assert not any(gate.context_effects_.values())
    blind = ReliabilityGate().fit(Z.drop(columns="offset"), right, groups=users)
    biased = np.abs(blind.prior_coef_ - [0.5, 0.8]).max()
    assert (biased > 0.5) == any(selection)


def test_the_offset_is_left_out_when_weighing(gate, pairs):
    Z, right, users = case_control(1, np.array([0.0, 1.5]))
    gate = ReliabilityGate().fit(Z, right, groups=users)
    for offset in (0.0, 7.0, np.nan):
        other = Z.assign(offset=offset)
        np.testing.assert_array_equal(gate.transform(other), gate.transform(Z))
        np.testing.assert_array_equal(gate.decision_function(other), gate.decision_function(Z))
    # For the pairs as sampled, the offset is part of the log-odds.
    calibration = gate.cv_predictions_
    assert calibration["probability"].mean() == pytest.approx(right.mean(), abs=0.02)
    assert abs(gate.predict_proba(Z)[:, 1].mean() - right.mean()) > 0.05


def test_a_judge_who_is_worse_on_popular_items_is_found_out():
    Z, y, groups = simulate(seed=10, effect=-EFFECT)
    Z[:, 1] += 0.5 * Z[:, 3]
    log_odds = Z[:, 1:3] @ BETA + (GAMMA - EFFECT * Z[:, 3]) * Z[:, 0]
    y = np.random.default_rng(110).uniform(size=len(Z)) < 1 / (1 + np.exp(-log_odds))
    gate = ReliabilityGate().fit(table(Z), y, groups=groups)
    assert gate.context_effects_["rarity"] == pytest.approx(-EFFECT, rel=0.25)


def test_blame_for_a_prior_that_varies_is_not_laid_on_the_judge():
    rng = np.random.default_rng(111)
    Z, _, groups = simulate(seed=11, effect=0)
    Z[:, 1] += 2 * Z[:, 0]  # the judge prefers items favored by the prior
    log_odds = Z[:, 1] * (0.6 - 0.6 * Z[:, 3]) + GAMMA * Z[:, 0]
    y = rng.uniform(size=len(Z)) < 1 / (1 + np.exp(-log_odds))
    gate = ReliabilityGate().fit(table(Z), y, groups=groups)
    assert not any(gate.context_effects_.values())
    assert gate.prior_effects_[0, 0] == pytest.approx(-0.6, abs=0.15)
    assert gate.gap_coef_ == pytest.approx(GAMMA, rel=0.15)


def test_huge_offsets_do_not_diverge():
    Z, y, groups = simulate(seed=12)
    offset = np.where(np.arange(len(Z)) % 2, 40.0, -40.0)
    frame = table(Z).assign(offset=offset)
    gate = ReliabilityGate().fit(frame, y, groups=groups)
    assert np.isfinite(gate.transform(frame)).all()


def test_weights_of_pairs_are_as_copies():
    Z, y, groups = simulate(seed=13, n_groups=200)
    copies = np.random.default_rng(13).integers(1, 4, 200)[groups]
    weighed = ReliabilityGate(C=1.0).fit(Z, y, groups=groups, sample_weight=copies)
    # The penalty is relative to the sum of the weights.
    repeated = ReliabilityGate(C=1.0 / copies.mean()).fit(
        np.repeat(Z, copies, axis=0), np.repeat(y, copies), groups=np.repeat(groups, copies)
    )
    np.testing.assert_allclose(weighed.gap_coef_, repeated.gap_coef_, rtol=0.02)
    np.testing.assert_allclose(weighed.prior_coef_, repeated.prior_coef_, rtol=0.02)
    some = groups < 100
    weighed = ReliabilityGate().fit(Z, y, groups=groups, sample_weight=some)
    left = ReliabilityGate().fit(Z[some], y[some], groups[some])
    assert weighed.gap_coef_ == left.gap_coef_
    assert weighed.accuracy_ == left.accuracy_
    assert weighed.C_ == left.C_


def test_useless_judge_gets_no_trust(gate, pairs):
    Z, y, groups = simulate(seed=6, gamma=0, effect=0)
    useless = ReliabilityGate().fit(table(Z), y, groups=groups)
    assert abs(useless.gap_coef_) < 0.3
    np.testing.assert_allclose(useless.prior_coef_, BETA, atol=0.15)
    assert useless.transform(table(Z)).mean() < 0.05 * gate.transform(table(pairs[0])).mean()


def test_inverted_judge_weighs_nothing():
    Z, y, groups = simulate(seed=7, gamma=-GAMMA, effect=0)
    gate = ReliabilityGate().fit(Z, y, groups=groups)
    assert gate.gap_coef_ == pytest.approx(-GAMMA, rel=0.15)
    assert not gate.transform(Z).any()


def test_nothing_changes_beyond_the_calibrated_range(gate, pairs):
    Z = pairs[0]
    largest = np.abs(Z).max(axis=0)
    edges = np.vstack([np.concatenate([largest[:3], Z[:, 3:].max(axis=0)])] * 6)
    edges[1, 1:3] *= -1
    edges[2, 3:] = Z[:, 3:].min(axis=0)
    beyond = edges + 100 * np.where(edges >= np.median(Z, axis=0), 1, -1)
    assert len(np.unique(gate.decision_function(table(edges)))) >= 3
    np.testing.assert_array_equal(
        gate.decision_function(table(beyond)), gate.decision_function(table(edges))
    )
    np.testing.assert_array_equal(gate.transform(table(beyond)), gate.transform(table(edges)))


def test_missing_context_is_the_average_context(gate, pairs):
    Z = pairs[0][:100].copy()
    average = Z.copy()
    Z[:, 3:] = np.nan
    average[:, 3:] = pairs[0][:, 3:].mean(axis=0)
    np.testing.assert_allclose(gate.transform(table(Z)), gate.transform(table(average)))


def test_missing_values_in_fit():
    Z, y, groups = simulate(seed=8)
    Z[::3, 3] = np.nan  # like the agreement of a single answer
    Z[:, 5] = np.nan
    gate = ReliabilityGate().fit(table(Z), y, groups=groups)
    assert gate.gap_coef_ == pytest.approx(GAMMA, rel=0.2)
    assert gate.context_effects_["rarity"] > EFFECT / 2
    assert gate.context_effects_["noise_2"] == 0
    assert np.isfinite(gate.transform(table(Z))).all()


def test_missing_gap_is_no_preference_and_missing_prior_no_evidence(gate, pairs):
    missing, zero = pairs[0][:50].copy(), pairs[0][:50].copy()
    missing[:25, 0], zero[:25, 0] = np.nan, 0
    missing[25:, 1:3], zero[25:, 1:3] = np.nan, 0
    np.testing.assert_array_equal(gate.transform(table(missing)), gate.transform(table(zero)))
    assert not gate.transform(table(missing))[:25].any()


# Groups


def test_duplicated_pairs_count_once_if_they_are_a_group():
    n_supported = 0
    for seed in range(8):  # weak effects, only some of which are supported
        Z, y, _ = simulate(seed, n_groups=300, n_pairs=1, gamma=2, effect=0.5)
        once = ReliabilityGate(C=1.0, support=1.0).fit(Z, y)
        copies = ReliabilityGate(C=1.0 / 8, support=1.0).fit(
            np.repeat(Z, 8, axis=0), np.repeat(y, 8), groups=np.repeat(np.arange(300), 8)
        )
        assert copies.log_loss_ == pytest.approx(once.log_loss_, rel=1e-6)
        assert copies.gap_coef_ == pytest.approx(once.gap_coef_, rel=1e-6)
        assert copies.context_effects_ == pytest.approx(once.context_effects_, rel=1e-6)
        n_supported += once.context_effects_["x3"] > 0
    assert 0 < n_supported < 8


def test_groups_keep_what_is_known_of_a_user_from_leaking():
    # The judge knows some users better than others. The context is constant within a user and not
    # informative of this, but without groups it identifies the user of a pair.
    supported = []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        groups = np.repeat(np.arange(40), 40)
        Z = np.column_stack([rng.uniform(0, 1, 1600), rng.normal(size=(40, 5))[groups]])
        gamma = 1 + 3 * rng.normal(size=40)[groups]
        y = rng.uniform(size=1600) < 1 / (1 + np.exp(-gamma * Z[:, 0]))
        grouped = ReliabilityGate(prior_cols=[]).fit(Z, y, groups=groups)
        leaking = ReliabilityGate(prior_cols=[]).fit(Z, y)
        assert leaking.log_loss_["selected"] < grouped.log_loss_["selected"]
        effects = [list(g.context_effects_.values()) for g in (grouped, leaking)]
        supported.append(np.count_nonzero(effects, axis=1))
    grouped, leaking = np.mean(supported, axis=0)
    assert grouped < 1 < leaking


def test_groups_are_any_labels(gate, pairs):
    Z, y, groups = pairs
    named = ReliabilityGate().fit(table(Z), y, groups=[f"user {g:04}" for g in groups])
    assert named.gap_coef_ == gate.gap_coef_


# Summary in one sentence


def plain_held_out(columns, y, groups, C):
    """Cross-validated log-odds by scikit-learn's regression, with the folds of the gate."""
    columns = columns / np.sqrt(np.mean(columns**2, axis=0))
    log_odds = np.zeros(len(y))
    for train, test in GroupKFold(5).split(columns, y, groups):
        model = LogisticRegression(C=C, fit_intercept=False, tol=1e-10, max_iter=1000)
        log_odds[test] = columns[test] @ model.fit(columns[train], y[train]).coef_[0]
    return log_odds


def test_accuracies_are_cross_validated_shares_of_right_pairs():
    Z, y, groups = simulate(seed=20, effect=0)
    gate = ReliabilityGate().fit(Z[:, :3], y, groups=groups)
    prior = plain_held_out(Z[:, 1:3], y, groups, gate.C_)
    both = plain_held_out(Z[:, [1, 2, 0]], y, groups, gate.C_)
    assert gate.accuracies_ == pytest.approx(
        {
            "judge": y.mean(),
            "prior": np.mean((prior > 0) == y),
            "selected": np.mean((both > 0) == y),
        },
        abs=2 / len(y),
    )
    assert gate.accuracies_["prior"] < gate.accuracies_["judge"] < gate.accuracies_["selected"]
    predicted = gate.cv_predictions_
    assert gate.accuracies_["selected"] == np.mean(
        (predicted["probability"] > 0.5) == predicted["right"]
    )


def test_accuracies_are_those_of_outcomes_without_the_offset():
    """The same pairs with outcomes as sampled, and with outcomes without sampling bias."""
    Z, natural, groups = simulate(seed=21, gamma=2, effect=0)
    rng = np.random.default_rng(21)
    offset = 3 * rng.normal(size=len(Z)) - 2 * Z[:, 1]
    log_odds = Z[:, 1:3] @ BETA + 2 * Z[:, 0]
    p = 1 / (1 + np.exp(-log_odds - offset))
    drawn = rng.uniform(size=len(Z)) < p
    gate = ReliabilityGate().fit(table(Z).assign(offset=offset), drawn, groups=groups)
    # Weight of each pair there, for either outcome.
    counted = p / (1 + np.exp(offset)) + (1 - p) / (1 + np.exp(-offset))
    fair = ReliabilityGate().fit(table(Z), natural, groups=groups, sample_weight=counted)
    assert gate.accuracies_ == pytest.approx(fair.accuracies_, abs=0.025)
    assert len({round(share, 1) for share in fair.accuracies_.values()}) > 1
    assert gate.accuracy_ < fair.accuracy_ - 0.05


def test_accuracies_by_a_loop():
    Z, right, users = case_control(4, np.array([1.5, 0.0]))
    counts = np.random.default_rng(4).integers(1, 5, len(right))
    gate = ReliabilityGate().fit(Z, right, groups=users, sample_weight=counts)
    log_odds = np.log(1 / gate.cv_predictions_["probability"].astype(float) - 1) * -1
    sums = np.zeros(3)
    for n, row in enumerate(Z.itertuples()):
        # An outcome sampled twice as often counts half as much as the other one.
        towards = row.offset if right[n] else -row.offset
        counted = counts[n] / (1 + np.exp(towards))
        told = (row.gap > 0) == right[n], (log_odds[n] > row.offset) == right[n]
        sums += counted * np.array([*told, 1])
    found = gate.accuracies_["judge"], gate.accuracies_["selected"]
    np.testing.assert_allclose(found, sums[:2] / sums[2], atol=1e-3)


def share(number):
    return f"{100 * number:.0f} %"


def test_the_summary_says_what_is_known():
    names = ["gap", "prior_popularity", "prior_model", "history_length", "popularity_rarer"]
    Z, y, groups = simulate(effect=-EFFECT)
    frame = pd.DataFrame(Z[:, :5], columns=names)
    gate = ReliabilityGate().fit(frame, y, groups=groups)
    by, loss = gate.accuracies_, gate.log_loss_
    found = (
        f"Of 8,000 calibration pairs the judge is right on {share(by['judge'])}, popularity and "
        f"the model on {share(by['prior'])}, all together on {share(by['selected'])} (log-loss "
        f"{loss['selected']:.3f} instead of {loss['prior']:.3f})"
    )
    assert gate.summary() == found + "."
    some = frame[:1001]
    weights = gate.transform(some)[:, 0]
    short = (some["history_length"] <= some["history_length"].median()).to_numpy()
    more = (
        f", and it is used for {share(np.mean(weights > 0))} of 1,001 preferences, most for users "
        f"with short histories (mean weight {weights[short].mean():.2f}, else "
        f"{weights[~short].mean():.2f})."
    )
    assert gate.summary(some) == found + more
    assert gate.summary(some, n_preferences=5000) == found + more.replace("1,001", "5,000")
    turned = frame.assign(history_length=-frame["history_length"])
    other = ReliabilityGate().fit(turned, y, groups=groups)
    assert "most for users with long histories" in other.summary(turned[:1001])


def test_the_summary_knows_no_names_of_other_columns(gate, pairs):
    Z, y, groups = pairs
    assert "most for a high rarity (" in gate.summary(table(Z))
    nameless = ReliabilityGate().fit(Z, y, groups=groups)
    assert ", the prior evidence on " in nameless.summary()
    assert "most for a high x3 (" in nameless.summary(Z)
    missing = Z.copy()
    missing[:, 3:] = np.nan
    assert gate.summary(table(missing)).endswith("of 8,000 preferences.")
    alone = ReliabilityGate().fit(Z[:, :1], y, groups=groups)
    assert re.fullmatch(
        r"Of 8,000 calibration pairs the judge is right on \d\d % \(log-loss [^,]*\)\.",
        alone.summary(),
    )


def test_the_summary_does_not_round_to_all_or_nothing():
    Z, y, groups = simulate()
    gate = ReliabilityGate().fit(table(Z), y, groups=groups)
    used = gate.transform(table(Z))[:, 0] > 0
    few = np.concatenate([np.flatnonzero(~used)[:999], np.flatnonzero(used)[:1]])
    assert "used for less than 1 % of 1,000 preferences" in gate.summary(table(Z[few]))
    many = np.concatenate([np.flatnonzero(~used)[:1], np.flatnonzero(used)[:999]])
    assert "used for more than 99 % of 1,000 preferences" in gate.summary(table(Z[many]))
    assert "used for none of 999 preferences." in gate.summary(table(Z[few[:-1]]))
    assert "used for 100 % of 1 preference." in gate.summary(table(Z[few[-1:]]))


def test_the_summary_of_a_useless_judge_says_so():
    found = []
    for seed in range(20, 26):
        Z, y, groups = simulate(seed=seed, gamma=0, effect=0)
        gate = ReliabilityGate().fit(Z, y, groups=groups)
        adds = gate.log_loss_["selected"] < gate.log_loss_["prior"]
        assert (", no gain)" in gate.summary()) != adds
        found.append(adds)
    assert not all(found)


def test_the_summary_tells_of_weights_and_of_too_few_pairs():
    Z, right, users = case_control(5, np.array([0.0, 1.5]))
    gate = ReliabilityGate().fit(Z, right, groups=users)
    assert "pairs, weighted for how they were drawn, the judge" in gate.summary()
    with pytest.warns(UserWarning, match="Falling back"):
        few = ReliabilityGate().fit(np.ones((20, 1)), np.arange(20) < 15)
    assert few.accuracies_ == {}
    assert few.summary(np.ones((3, 1))) == (
        "Of 20 calibration pairs, too few or too similar to learn from, the judge is right on "
        "75 %, and it is used for 100 % of 3 preferences."
    )
    with pytest.raises(NotFittedError):
        ReliabilityGate().summary()


# Fallback


@pytest.mark.parametrize(
    ("n_pairs", "n_right", "n_groups"), [(30, 24, 30), (60, 60, 60), (400, 300, 1), (80, 80, 2)]
)
def test_fallback_shrinks_the_accuracy(n_pairs, n_right, n_groups):
    rng = np.random.default_rng(0)
    Z = np.column_stack([rng.uniform(0.1, 1, n_pairs), rng.normal(size=(n_pairs, 3))])
    y = np.arange(n_pairs) < n_right
    with pytest.warns(UserWarning, match=f"got {n_pairs} pairs .* {n_right} of which .* right"):
        gate = ReliabilityGate().fit(Z, y, groups=np.arange(n_pairs) % n_groups)
    assert gate.is_fallback_
    assert gate.log_loss_ == {}
    assert gate.accuracy_ == n_right / n_pairs
    shrunk = (n_right + 10) / (n_pairs + 20)
    average = np.array([[Z[:, 0].mean(), 5.0, -5.0, 5.0]])  # only the gap is used
    log_odds = np.log(shrunk / (1 - shrunk))
    gate.set_params(threshold=0)
    np.testing.assert_allclose(gate.transform(average), [[log_odds]])
    # Weights are proportional to the gap, up to the largest training gap.
    np.testing.assert_allclose(gate.transform(average * 0.5), [[log_odds / 2]])
    np.testing.assert_allclose(
        gate.transform([[9.0, 0, 0, 0]]), [[log_odds * Z[:, 0].max() / Z[:, 0].mean()]]
    )


@pytest.mark.parametrize("n_right", [0, 5, 10])
def test_fallback_trusts_nobody_who_is_wrong_as_often_as_right(n_right):
    Z = np.random.default_rng(0).uniform(size=(20, 4))
    with pytest.warns(UserWarning, match="Falling back"):
        gate = ReliabilityGate().fit(Z, np.arange(20) < n_right)
    assert gate.gap_coef_ == 0
    assert not gate.transform(Z).any()


def test_always_wrong_on_many_pairs_weighs_nothing():
    Z, y, groups = simulate(seed=1)
    with pytest.warns(UserWarning, match="0 of which the judge got right"):
        gate = ReliabilityGate().fit(Z, np.zeros_like(y), groups=groups)
    assert not gate.transform(Z).any()


def test_more_evidence_comes_nearer_to_the_accuracy():
    coefs = []
    for n in (4, 16, 64, 4096):
        with pytest.warns(UserWarning, match="Falling back"):
            gate = ReliabilityGate(min_pairs=10_000).fit(np.ones((n, 1)), np.arange(n) < 0.75 * n)
        coefs.append(gate.gap_coef_)
    assert 0 < coefs[0] < coefs[1] < coefs[2] < coefs[3] < np.log(3)
    assert coefs[3] == pytest.approx(np.log(3), rel=0.01)


def test_a_judge_without_preferences_weighs_nothing():
    with pytest.warns(UserWarning, match="Falling back"):
        gate = ReliabilityGate().fit(np.zeros((10, 3)), np.ones(10))
    assert not gate.transform(np.ones((5, 3))).any()


def test_enough_pairs_need_no_fallback():
    Z, y, _ = simulate(n_groups=50, n_pairs=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        gate = ReliabilityGate().fit(Z, y)
    assert not gate.is_fallback_
    with pytest.warns(UserWarning, match="at least 51 pairs"):
        assert ReliabilityGate(min_pairs=51).fit(Z, y).is_fallback_
    with pytest.warns(UserWarning, match=r"got 50 pairs.* of 4 users.* at least 5 users"):
        assert ReliabilityGate().fit(Z, y, groups=np.arange(50) % 4).is_fallback_


# Columns


def test_columns_by_name_and_by_position_are_the_same_model(gate, pairs):
    Z, y, groups = pairs
    order = [3, 2, 4, 0, 1, 5]  # named columns may be in any order
    named = ReliabilityGate().fit(table(Z).iloc[:, order], y, groups=groups)
    by_position = ReliabilityGate(gap_col=3, prior_cols=[4, 1]).fit(Z[:, order], y, groups=groups)
    by_name = ReliabilityGate(gap_col="a", prior_cols=["b", "c"]).fit(
        pd.DataFrame(Z, columns=list("abcdef")), y, groups=groups
    )
    default = ReliabilityGate().fit(Z, y, groups=groups)
    expected = gate.transform(table(Z))
    for fitted, X in (
        (named, table(Z).iloc[:, order]),
        (by_position, Z[:, order]),
        (by_name, pd.DataFrame(Z, columns=list("abcdef"))),
        (default, Z),
    ):
        np.testing.assert_allclose(fitted.transform(X), expected, rtol=1e-6, atol=1e-12)
    assert list(by_position.context_effects_) == ["x0", "x2", "x5"]
    assert list(by_name.context_effects_) == ["d", "e", "f"]
    np.testing.assert_allclose(named.prior_coef_, gate.prior_coef_[::-1], rtol=1e-6)


def test_polars_frames_are_understood(gate, pairs):
    Z, y, groups = pairs
    frame = pl.DataFrame(Z, schema=COLUMNS)
    fitted = ReliabilityGate().fit(frame, pl.Series(y), groups=pl.Series(groups))
    assert fitted.context_effects_ == gate.context_effects_
    np.testing.assert_array_equal(fitted.transform(frame), gate.transform(table(Z)))


def test_gap_alone_is_enough():
    Z, y, groups = simulate(seed=3, effect=0)
    gate = ReliabilityGate().fit(Z[:, :1], y, groups=groups)
    assert gate.prior_coef_.shape == (0,)
    assert gate.context_effects_ == {}
    assert gate.log_loss_["prior"] == pytest.approx(np.log(2))
    assert 0 < gate.gap_coef_ < GAMMA  # omitted columns make the outcomes noisier


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"gap_col": "margin"}, "gap_col must be among the columns of Z, ['gap', 'prior_pop"),
        (
            {"prior_cols": ["gap", "rarity"]},
            "gap_col must not be among prior_cols; got gap_col='gap'",
        ),
        ({"prior_cols": ["rare"]}, "; got 'rare'"),
        ({"offset_col": "gap"}, "offset_col must be neither gap_col nor among prior_cols; got"),
        ({"offset_col": "rare"}, "offset_col must be among the columns of Z"),
        ({"gap_col": 6}, "one of the 6 columns of Z, from 0 to 5; got 6"),
        ({"gap_col": -1}, "one of the 6 columns of Z, from 0 to 5; got -1"),
        ({"C": 0.0}, "'C' parameter of ReliabilityGate must be a float in the range (0.0, inf)"),
        ({"cv": 1}, "'cv' parameter of ReliabilityGate must be an int in the range [2, inf)"),
        ({"support": -1}, "'support' parameter of ReliabilityGate must be a float in the range"),
        ({"min_pairs": 0}, "'min_pairs' parameter of ReliabilityGate must be an int in the range"),
    ],
)
def test_wrong_parameters_are_named(parameters, message, pairs):
    Z, y, groups = pairs
    with pytest.raises(ValueError, match=re.escape(message)):
        ReliabilityGate(**parameters).fit(table(Z), y, groups=groups)


def test_names_of_columns_of_an_array_are_refused(pairs):
    with pytest.raises(ValueError, match="columns of Z, which have no names; got 'gap'"):
        ReliabilityGate(gap_col="gap").fit(pairs[0], pairs[1])


def test_wrong_tables_are_refused(gate, pairs):
    Z, y, groups = pairs
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        ReliabilityGate().fit(Z, y[:-1])
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        ReliabilityGate().fit(Z, y, groups=groups[:-1])
    with pytest.raises(ValueError, match="infinity"):
        ReliabilityGate().fit(np.where(Z > 3, np.inf, Z), y)
    with pytest.raises(ValueError, match="3 outcomes of a pair were given, expected 2"):
        ReliabilityGate().fit(Z, np.arange(len(y)) % 3)
    with pytest.raises(ValueError, match="feature names should match"):
        gate.transform(table(Z)[COLUMNS[::-1]])
    with pytest.raises(NotFittedError):
        ReliabilityGate().transform(Z)


# Compatibility with scikit-learn


def test_transform_names_its_column_and_its_frame(gate, pairs):
    assert gate.get_feature_names_out().tolist() == ["weight"]
    framed = clone(gate).set_output(transform="pandas").fit(table(pairs[0]), *pairs[1:])
    weights = framed.transform(table(pairs[0]))
    assert list(weights.columns) == ["weight"]
    np.testing.assert_array_equal(weights.to_numpy(), gate.transform(table(pairs[0])))


def test_clone_and_pickle(gate, pairs):
    unfitted = clone(
        ReliabilityGate(gap_col=1, prior_cols=[0], C=2.0, cv=3, min_pairs=7, threshold=0)
    )
    assert unfitted.get_params() == {
        "gap_col": 1,
        "prior_cols": [0],
        "C": 2.0,
        "cv": 3,
        "min_pairs": 7,
        "threshold": 0,
        "support": 2.0,
        "offset_col": None,
    }
    restored = pickle.loads(pickle.dumps(gate))
    np.testing.assert_array_equal(
        restored.transform(table(pairs[0])), gate.transform(table(pairs[0]))
    )


def test_refitting_forgets(gate, pairs):
    other = simulate(seed=11, gamma=1, effect=0)
    refitted = clone(gate).fit(other[0][:, :2], other[1]).fit(table(pairs[0]), *pairs[1:])
    assert refitted.context_effects_ == gate.context_effects_
    assert refitted.gap_coef_ == gate.gap_coef_
