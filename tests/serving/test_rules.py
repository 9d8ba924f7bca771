"""Allowed items, quotas and minimum numbers of new items, compared with all possible lists."""

import itertools
import warnings
from collections import Counter

import numpy as np
import pandas as pd
import polars as pl
import pytest

from sklearn_selreg import SelectiveLLMRegularizedMF
from sklearn_selreg._factorization._choose import choose

N_USERS, N_KNOWN, N_ITEMS = 25, 12, 18  # items from N_KNOWN on are new
SETTINGS = {"factors": 4, "regularization": 1.0, "alpha": 5.0, "iterations": 5, "random_state": 0}
ITEM_DATA = pd.DataFrame(
    {
        "category": [["tea", "wine", None, "beer"][n % 4] for n in range(N_ITEMS)],
        "brand": [["tea", "wine", None, "beer"][n % 4] or "none" for n in range(N_ITEMS)],
        "price": [[1.5, 9.0, np.nan][n % 3] for n in range(N_ITEMS)],
        "tags": [["a"], ["b", "a"]] * (N_ITEMS // 2),
    },
    index=10 * np.arange(N_ITEMS),
)
ITEM_DATA["brand"] += (np.arange(N_ITEMS) // 9).astype(str)  # each brand has a single category
ITEMS = ITEM_DATA.index.to_numpy()
ROW = {item: n for n, item in enumerate(ITEMS)}


@pytest.fixture(scope="module")
def likes():
    rng = np.random.default_rng(0)
    liked = rng.random((N_USERS, N_KNOWN)) < 0.25
    liked[np.arange(N_KNOWN), np.arange(N_KNOWN)] = True
    users, items = np.nonzero(liked)
    return pd.DataFrame({"user": [f"u{u:02}" for u in users], "item": ITEMS[items]})


@pytest.fixture(scope="module")
def model(likes):
    return SelectiveLLMRegularizedMF(**SETTINGS, item_data=ITEM_DATA).fit(likes)


def best_list(scores, candidates, n, groups=(), quotas=(), min_new=0):
    """Find the longest list with the highest sum of scores, by brute force."""
    best = None
    groups = [[None if pd.isna(value) else value for value in group] for group in groups]
    for size in range(min(n, len(candidates)), -1, -1):
        for chosen in itertools.combinations(candidates, size):
            counts = [Counter(group[i] for i in chosen if group[i]) for group in groups]
            if any(max(c.values(), default=0) > q for c, q in zip(counts, quotas, strict=True)):
                continue
            n_new = min(sum(i >= N_KNOWN for i in chosen), min_new)
            value = (n_new, sum(scores[i] for i in chosen))
            if best is None or value > best[0]:
                best = value, sorted(chosen, key=lambda i: -scores[i])
        if best is not None:
            return best[1]
    return []


def check(model, likes, found, users, n, *, groups=(), quotas=(), min_new=0, allowed=None):
    for user, ids, scores in zip(users, *found, strict=True):
        seen = set(likes["item"][likes["user"] == user])
        may = ITEMS if allowed is None else allowed.get(user, [])
        candidates = [ROW[i] for i in may if i not in seen]
        values = model.predict(pd.DataFrame({"user": user, "item": ITEMS}))
        expected = best_list(values, candidates, n, groups, quotas, min_new)
        assert [ROW[i] for i in ids if i is not None] == expected, user
        np.testing.assert_allclose(scores[: len(expected)], values[expected], atol=1e-5)
        assert np.isnan(scores[len(expected) :]).all()


USERS = [f"u{u:02}" for u in range(0, N_USERS, 5)] + ["stranger"]


@pytest.mark.parametrize(
    "quotas", [{}, {"category": 1}, {"category": 2}, {"price": 2}, {"brand": 1, "category": 2}]
)
@pytest.mark.parametrize("min_new", [0, 2])
def test_lists_are_the_best_that_keep_to_the_rules(model, likes, quotas, min_new):
    found = model.recommend(USERS, 5, max_per_group=quotas, min_new=min_new)
    groups = [ITEM_DATA[name].tolist() for name in quotas]
    check(model, likes, found, USERS, 5, groups=groups, quotas=quotas.values(), min_new=min_new)


def test_groups_that_cross_keep_to_their_quotas(model):
    quotas = {"category": 1, "price": 2}
    table = model.recommend(USERS, 6, max_per_group=quotas, min_new=1, as_frame=True)
    for _, own in table.groupby("user"):
        described = ITEM_DATA.loc[own["item"]]
        for name, quota in quotas.items():
            assert described[name].value_counts().max() <= quota
        assert (own["item"] >= ITEMS[N_KNOWN]).sum() >= 1
        assert own["score"].is_monotonic_decreasing


@pytest.mark.parametrize("container", ["dict", "frame", "polars", "array", "list"])
def test_users_get_only_what_is_listed_for_them(model, likes, container):
    rng = np.random.default_rng(1)
    allowed = {user: rng.choice(ITEMS, 8, replace=False).tolist() for user in USERS}
    pairs = [(user, item) for user, items in allowed.items() for item in items]
    frame = pd.DataFrame(pairs, columns=["user", "item"])
    given = {
        "dict": allowed | {"someone else": [10]},
        "frame": frame,
        "polars": pl.DataFrame(pairs, schema=["user", "item"], orient="row"),
        "array": frame.to_numpy(dtype=object),
        "list": pairs,
    }[container]
    found = model.recommend(USERS, 4, per_user_items=given)
    check(model, likes, found, USERS, 4, allowed=allowed)
    found = model.recommend(USERS, 4, per_user_items=given, items=ITEMS[:15], exclude=[30])
    allowed = {u: [i for i in own if i < 150 and i != 30] for u, own in allowed.items()}
    check(model, likes, found, USERS, 4, allowed=allowed)


def test_all_rules_together(model, likes):
    rng = np.random.default_rng(2)
    allowed = {user: set(rng.choice(ITEMS, 14, replace=False).tolist()) for user in USERS}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = model.recommend(
            USERS, 5, per_user_items=allowed, max_per_group={"category": 2}, min_new=3
        )
    group = [ITEM_DATA["category"].tolist()]
    check(model, likes, found, USERS, 5, groups=group, quotas=[2], min_new=3, allowed=allowed)


def test_users_without_items_get_nothing_and_a_warning(model):
    with pytest.warns(UserWarning, match=r"1 of 2 users have no items in per_user_items"):
        ids, scores = model.recommend(["u01", "u02"], 3, per_user_items={"u01": [170, 160]})
    assert [i for i in ids[0] if i is not None] != []
    assert all(i is None for i in ids[1])
    assert np.isnan(scores[1]).all()
    with pytest.warns(
        UserWarning, match=r"1 of 2 items of per_user_items are unknown.*they are ignored"
    ):
        ids, _ = model.recommend(["u01"], 1, per_user_items={"u01": [170, -1]})
    assert ids.tolist() == [[170]]


def test_too_few_new_items_are_told(model, likes):
    with pytest.warns(UserWarning, match=r"6 of 6 lists have fewer than min_new=3 new items"):
        table = model.recommend(USERS, 4, min_new=3, items=ITEMS[:14], as_frame=True)
    new = table[table["item"] >= ITEMS[N_KNOWN]]
    assert new.groupby("user").size().to_list() == [2] * 6


def test_folded_in_items_have_groups_and_are_new(model, likes):
    fresh = SelectiveLLMRegularizedMF(**SETTINGS, item_data=ITEM_DATA).fit(likes)
    more = ITEM_DATA.iloc[:3].assign(category=["cider", "tea", None]).set_index(pd.Index([1, 2, 3]))
    fresh.fold_in_items(more)
    columns = fresh._fitted.item_columns
    values = pd.Series(columns.values[0])[columns.codes[0][columns.codes[0] >= 0]]
    assert values.tolist() == [*ITEM_DATA["category"].dropna(), "cider", "tea"]
    assert columns.codes[0][-1] == columns.codes[0][2] == -1
    only = fresh.recommend(["u01"], 3, items=[1, 2, 3, 0], min_new=3)[0]
    assert set(only[0]) == {1, 2, 3}


def test_rules_survive_a_file(model, tmp_path):
    model.save(tmp_path / "m")
    loaded = SelectiveLLMRegularizedMF.load(tmp_path / "m")
    how = {"max_per_group": {"category": 1, "price": 2}, "min_new": 2, "as_frame": True}
    pd.testing.assert_frame_equal(
        loaded.recommend(USERS, 6, **how), model.recommend(USERS, 6, **how)
    )


@pytest.mark.parametrize("seed", range(40))
def test_nested_groups_have_no_better_list(seed):
    """Brands within categories, random scores and minima, compared with all possible lists."""
    rng = np.random.default_rng(seed)
    n_items, n, min_new = 10, int(rng.integers(1, 6)), int(rng.integers(0, 4))
    brand = rng.integers(0, 5, n_items)
    groups = np.array([brand, brand // 2], dtype=np.int32)
    groups[:, rng.random(n_items) < 0.15] = -1
    quotas = np.array([rng.integers(1, 3), rng.integers(1, 4)])
    is_new = rng.random(n_items) < 0.4
    scores = rng.normal(size=n_items).astype(np.float32)
    order = np.argsort(-scores)
    new = order[is_new[order]]
    padded = np.append(new, -1)[None].astype(np.int32)
    chosen, values, decided, n_new = choose(
        order[None].astype(np.int32), scores[order][None], True, padded, scores[padded], True,
        is_new, groups, quotas, n, min(min_new, n),
    )  # fmt: skip
    best = None
    for size in range(n + 1):
        for some in map(list, itertools.combinations(range(n_items), size)):
            counts = [Counter(group[some][group[some] >= 0].tolist()) for group in groups]
            if all(max(c.values(), default=0) <= q for c, q in zip(counts, quotas, strict=True)):
                value = size, min(is_new[some].sum(), min_new), scores[some].sum()
                best = value if best is None else max(best, value)
    found = chosen[0][chosen[0] >= 0]
    assert decided.all()
    assert (len(found), min(n_new[0], min_new)) == best[:2]
    assert values[0][: len(found)].sum() == pytest.approx(best[2], abs=1e-5)
    np.testing.assert_array_equal(values[0][: len(found)], scores[found])


@pytest.mark.parametrize("seed", range(60))
def test_shelves_are_filled_where_groups_cross(seed):
    """At least as many new items as a greedy pass over new items, and nearly the maximum."""
    rng = np.random.default_rng(seed)
    n_items, n, min_new = 10, 4, int(rng.integers(1, 4))
    groups = rng.integers(0, 4, (2, n_items)).astype(np.int32)
    groups[rng.random(groups.shape) < 0.1] = -1
    quotas = np.array([1, rng.integers(1, 3)])
    is_new = rng.random(n_items) < 0.4
    scores = (rng.normal(size=n_items) - 2 * is_new).astype(np.float32)
    order = np.argsort(-scores)
    padded = np.append(order[is_new[order]], -1)[None].astype(np.int32)
    chosen, values, decided, n_new = choose(
        order[None].astype(np.int32), scores[order][None], True, padded, scores[padded], True,
        is_new, groups, quotas, n, min_new,
    )  # fmt: skip

    def fits(some):
        counts = [Counter(group[some][group[some] >= 0].tolist()) for group in groups]
        return all(max(c.values(), default=0) <= q for c, q in zip(counts, quotas, strict=True))

    greedy = []
    for item in order[is_new[order]]:
        greedy += [item] if fits([*greedy, item]) else []
    found = chosen[0][chosen[0] >= 0]
    assert decided.all()
    assert fits(found)
    assert len(set(found)) == len(found)
    assert n_new[0] == is_new[found].sum() >= min(len(greedy), min_new)
    assert (np.diff(values[0][: len(found)]) <= 0).all()
    np.testing.assert_array_equal(values[0][: len(found)], scores[found])
    others = [i for i in range(n_items) if i not in set(found)]
    assert len(found) == n or not any(fits([*found, i]) for i in others)


def test_a_quota_that_keeps_new_items_out_is_named(model):
    with pytest.warns(
        UserWarning, match=r"min_new=6 new .*the quotas of max_per_group. Raise the quo"
    ):
        model.recommend(USERS, 6, min_new=6, max_per_group={"category": 1})


@pytest.mark.parametrize("n_kinds", [1, 2])
@pytest.mark.parametrize("seed", range(20))
def test_short_rankings_are_found_too_short(seed, n_kinds):
    """Lists decided from any part of the rankings equal those from the full rankings."""
    rng = np.random.default_rng(seed)
    n_items, n, min_new = 30, 4, 2
    is_new = rng.random(n_items) < 0.3
    groups = rng.integers(-1, 4, (n_kinds, n_items)).astype(np.int32)
    scores = rng.normal(size=(6, n_items)).astype(np.float32)

    def ranked(depth, mask):
        order = np.argsort(-np.where(mask, scores, -np.inf), axis=1)[:, : min(depth, mask.sum())]
        return order.astype(np.int32), np.take_along_axis(scores, order, axis=1)

    def lists(depth):
        everything = np.ones(n_items, bool)
        return choose(
            *ranked(depth, everything), depth >= n_items, *ranked(depth, is_new),
            depth >= is_new.sum(), is_new, groups, np.ones(n_kinds, int), n, min_new,
        )  # fmt: skip

    whole = lists(n_items)
    assert whole[2].all()
    for depth in range(1, n_items):
        chosen, _, decided, _ = lists(depth)
        np.testing.assert_array_equal(chosen[decided], whole[0][decided])


def test_deep_rankings_are_made_where_quotas_ask_for_them():
    """All except the last items share a category, so lists are short until the end is reached."""
    rng = np.random.default_rng(0)
    n_items = 3000
    data = {i: {"kind": "a" if i < n_items - 4 else f"b{i}"} for i in range(n_items)}
    factors = np.abs(rng.normal(size=(n_items, 2))) + 1
    factors[-4:] = 1e-3
    model = SelectiveLLMRegularizedMF.from_factors(
        np.arange(50), np.arange(n_items), np.ones((50, 2)), factors, item_data=data
    )
    ids, _ = model.recommend(np.arange(50), 5, max_per_group={"kind": 1}, filter_seen=False)
    best = np.argmax(factors.sum(axis=1))
    assert (ids[:, 0] == best).all()
    assert all(set(own[1:]) == set(range(n_items - 4, n_items)) for own in ids)


@pytest.mark.parametrize(
    ("how", "error", "message"),
    [
        ({"max_per_group": ["category"]}, TypeError, "max_per_group must map .* got a list"),
        ({"max_per_group": {"category": 0}}, ValueError, r"max_per_group\['category'\] must be"),
        (
            {"max_per_group": {"color": 1}},
            ValueError,
            r"max_per_group must name a column .*got 'color'. Available columns: \['category', 'b",
        ),
        ({"max_per_group": {"tags": 1}}, ValueError, "other than lists and vectors; got 'tags'"),
        ({"min_new": -1}, ValueError, "min_new must be an integer >= 0"),
        ({"min_new": 11}, ValueError, "min_new must be at most n_items.* got 11 > 10"),
        ({"per_user_items": [1, 2]}, ValueError, "must be a dict of allowed items by user"),
        ({"per_user_items": {"u01": 10}}, ValueError, "a list, array or set of item ids .* 10 for"),
    ],
)
def test_bad_rules_are_named(model, how, error, message):
    with pytest.raises(error, match=message):
        model.recommend(["u01"], **how)


def test_given_factors_have_groups_if_it_is_clear_which_items_are_meant():
    items, ones = [1, 2, 0], np.ones((3, 1))
    frame = pd.DataFrame({"item": items, "kind": ["a", "a", "b"]})  # the index is 0 to 2
    for item_data, item_col in (
        (frame, "item"),
        (pl.from_pandas(frame), "item"),
        (frame.set_index("item")["kind"], 1),
        (dict(zip(items, [{"kind": k} for k in "aab"], strict=True)), 1),
    ):
        model = SelectiveLLMRegularizedMF.from_factors(
            ["u"], items, ones[:1], ones, item_data=item_data, item_col=item_col
        )
        found = model.recommend(["u"], 3, max_per_group={"kind": 1}, filter_seen=False)[0][0]
        assert set(found[:2]) in ({1, 0}, {2, 0}), item_data
        assert found[2] is None
    for item_data in (frame, pl.from_pandas(frame)):
        model = SelectiveLLMRegularizedMF.from_factors(
            ["u"], items, ones[:1], ones, item_data=item_data
        )
        with pytest.raises(ValueError, match="No columns are available"):
            model.recommend(["u"], 3, max_per_group={"kind": 1})


def test_models_that_know_too_little(likes):
    plain = SelectiveLLMRegularizedMF(**SETTINGS).fit(likes)
    with pytest.raises(ValueError, match="No columns are available"):
        plain.recommend(["u01"], max_per_group={"category": 1})
    given = SelectiveLLMRegularizedMF.from_factors(["a"], [1, 2], np.ones((1, 2)), np.ones((2, 2)))
    with pytest.raises(ValueError, match="knows of no interactions at all"):
        given.recommend(["a"], min_new=1)
