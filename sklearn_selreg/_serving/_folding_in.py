"""Folding in: users by interactions and features, and items by features, after the fit."""

from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sp

from .._data._histories import lose_strength
from .._data._ids import encode
from .._data._item_features import pick_rows, transform_items
from .._data._item_table import read_item_data
from .._data._periods import latest_positions, period_weights
from .._data._requested_ids import warn_of_unknown
from .._data._time_units import check_times
from .._factorization._als_backbone import ALSBackbone
from .._factorization._factors import Factors
from .._factorization._finite import check_finite_factors
from .._utils._warn import warn
from ._given import GivenFactors
from ._user_table import UserRows

_ADDED = "they are added as new users"


@dataclass(frozen=True, eq=False)
class DescribedUsers:
    """Users and their features.

    Attributes
    ----------
    ids : ndarray of shape (n,)
    features : csr_matrix of shape (n, n_user_features), float32
    """

    ids: np.ndarray
    features: sp.csr_matrix

    def __getitem__(self, which):
        return DescribedUsers(self.ids[which], self.features[which])


def describe_users(model, encoder, user_data, user_name):
    """Read user data passed after the fit; return `DescribedUsers`."""
    check_foldable(model.user_coefficients, encoder, "fold_in", "user")
    table = read_item_data(user_data, user_name, of="user")
    n_features = len(model.user_coefficients)
    return DescribedUsers(table.ids, transform_items(encoder, table, n_features, of="user"))


def check_foldable(features, encoder, method, of):
    """Raise a ValueError if the model cannot place users or items by their features."""
    if features is not None and encoder is not None:
        return
    lacks = f"features: it was fitted without {of}_data"
    if features is None:
        lacks += " or item_encoder." if of == "item" else "."
    else:
        lacks = (
            f"{of}_encoder_ to compute them, because saved files do not include it. Call {method} "
            "before save, or pickle the model."
        )
    raise ValueError(f"{method} places {of}s by their features, but the model has no {lacks}")


def fold_in_users(model, added, known, time_col, described=None):
    """Compute the factors of users from their interactions, items fixed.

    Parameters
    ----------
    model : FittedModel
    added : Interactions
    known : "append", "replace" or None
        Treatment of earlier interactions of known users. If None, they are replaced with a warning.
    time_col : int, str or None
        Time column, for messages.
    described : DescribedUsers or None
        New features of users.

    Returns
    -------
    model : FittedModel
    """
    columns, rows = model.find_items(added.items), model.find_users(added.users)
    new = rows < 0
    _warn_of_new_ids(model, added, columns, new)
    _warn_of_times(model, added, known, time_col)
    more = added.select_items(columns, len(model.items))
    before, after = model.user_table.histories_of(rows), more
    if known == "append":
        _check_appendable(model, added.users, rows)
        after = before.add(more)
    elif known is None:
        lost = lose_strength(before.matrix, after.matrix) | model.is_judged(rows)
        lost |= model.lacks_history(rows)  # given factors cannot be recomputed
        _warn_of_replaced(added.users, lost)
    before = before if known == "append" else None
    weights = _user_periods(model, added, before)
    features = _features(model, rows, added.users, described)
    factors = _solve(model, rows, before, after, weights, features)
    as_of_fit = model.as_of_fit
    if known == "append":  # without new interactions or features, nothing changes
        same = (rows >= 0) & (np.diff(more.matrix.indptr) == 0)
        if described is not None:
            same &= encode(described.ids, added.users) < 0
        factors[same] = model.user_table.factors_of(rows[same])
    elif (replaced := ~new & (rows < len(as_of_fit))).any():
        as_of_fit = as_of_fit.copy()
        as_of_fit[rows[replaced]] = False
    model = replace(
        model,
        as_of_fit=as_of_fit,
        given=model.given and GivenFactors(is_shared=model.given.is_shared),  # rows are replaced
    )
    return _place(model, added.users, rows, factors, after, features)


def fold_in_described(model, described, added):
    """Place users with new features but no new interactions; they may be known or unknown.

    Parameters
    ----------
    model : FittedModel
        Model with user features.
    described : DescribedUsers
    added : Interactions or None
        Users to skip, as `fold_in_users` has already placed them.

    Returns
    -------
    model : FittedModel
    """
    if described is None:
        raise ValueError("fold_in needs X, user_data or both; got None for both.")
    if added is not None:
        described = described[encode(added.users, described.ids) < 0]
    rows = model.find_users(described.ids)
    before = model.user_table.features_of(rows)
    changes = (rows < 0) | (np.asarray(abs(described.features - before).sum(axis=1)).ravel() > 0)
    if not changes.any():
        if added is None:
            warn(
                f"All {len(rows)} users of user_data are already known with the same features; "
                "nothing changes."
            )
        return model
    rows, described = rows[changes], described[changes]
    model.warn_of_foreign_users("users", described.ids[rows < 0], len(rows), _ADDED)
    n_periods, histories = len(model.periods), model.user_table.histories_of(rows)
    weights = period_weights(np.full(len(rows), n_periods - 1, dtype=np.float32), n_periods)
    if model.bias.shape[1]:
        known = model.user_table.factors_of(rows[rows >= 0])
        weights[rows >= 0] = known[:, model.backbone.factors :]
    factors = _solve(model, rows, histories, histories, weights, described.features)
    return _place(model, described.ids, rows, factors, histories, described.features)


def _features(model, rows, users, described):
    """Return the features of users: new ones if given, else known ones, else none."""
    if described is None:
        return model.user_table.features_of(rows)
    position = encode(described.ids, users)
    new = pick_rows(described.features, position)
    return new + model.user_table.features_of(np.where(position < 0, rows, -1))


def _place(model, users, rows, factors, histories, features):
    """Return the model with replaced rows of users; users of row -1 are appended."""
    table, new = model.user_table, rows < 0
    rows = np.where(new, len(table) - 1 + np.cumsum(new), rows)
    own = UserRows(factors=factors, histories=histories, features=features)
    return replace(model, user_table=table.place(rows, users[new], own))


def _warn_of_new_ids(model, added, columns, new):
    """Warn about unknown items, and new users with ids of a type that no known id has."""
    unknown = columns < 0
    left_out = "their interactions are ignored"
    warn_of_unknown("items", added.items[unknown], len(columns), model.items, left_out)
    model.warn_of_foreign_users("users", added.users[new], len(new), _ADDED)


def _warn_of_times(model, added, known, time_col):
    """Warn about times far from those of the fit, if times matter."""
    told = check_times(model.time_kind, model.time_span, added, time_col)
    by_time = not model.uses_last_period and len(model.periods) > 1
    if told is not None and (by_time or known == "append"):
        warn(told)


def _check_appendable(model, users, rows):
    """Raise a ValueError for users with given factors whose interactions are unknown."""
    blank = model.lacks_history(rows)
    if blank.any():
        raise ValueError(
            "known='append' adds to known interactions, but from_factors was given none for "
            f"{blank.sum()} users of X (e.g. {users[blank].tolist()[0]!r}). Pass their full "
            "history with known='replace'."
        )


def _warn_of_replaced(users, replaced):
    """Warn about lost histories."""
    if replaced.any():
        warn(
            f"{replaced.sum()} of {len(users)} users of X are already known (e.g. "
            f"{users[replaced].tolist()[0]!r}), and X has replaced what the model knew about them. "
            "Interactions that X lacks are lost, as are larger strengths, a judge's preferences "
            "and given factors; the items of lost interactions may be recommended again. Pass "
            "known='append' to add X to the known interactions, or known='replace' to replace them "
            "without this warning."
        )


def _user_periods(model, added, before):
    """Period weights of users: the period of the newest interaction, else the last period."""
    times = added.times
    if times is not None:
        times = np.where(added.matrix.data > 0, times, -np.inf)
    where = latest_positions(added.matrix, times, model.periods)
    if before is not None:
        where = np.maximum(where, latest_positions(before.matrix, before.times, model.periods))
    last = len(model.periods) - 1
    if model.uses_last_period:
        where[:] = last
    return period_weights(np.where(where < 0, np.float32(last), where), last + 1)


def _prior(model, features):
    """Prior means of users given their features, (n, factors) float32, or None."""
    return None if features is None else features @ model.user_coefficients


def _solve(model, rows, before, after, weights, features):
    """Solve for the factors of users with the interactions `after`.

    Parameters
    ----------
    model : FittedModel
    rows : ndarray of shape (n,), int
        Rows of the users; -1 for new users.
    before : Histories or None
        Previous interactions, if `after` extends them.
    after : Histories
    weights : ndarray of shape (n, n_periods), float32
    features : csr_matrix of shape (n, n_user_features), float32, or None
    """
    prior = _prior(model, features)
    backbone, weigh = model.backbone, model.scale.apply
    fixed = Factors(None, model.item_factors[:, : backbone.factors], None, gain=model.fold_in_scale)
    matrix = weigh(after.matrix)
    cache = model.item_cache
    factors = backbone.solve_users(
        matrix, fixed, model.popularity, after.recency_rank, prior=prior, cache=cache
    )
    by_equations = isinstance(backbone, ALSBackbone) and model.given is None
    if before is not None and not by_equations:
        moved = np.flatnonzero((rows >= 0) & (np.diff(before.matrix.indptr) > 0))
        old = before[moved]
        solved = backbone.solve_users(
            weigh(old.matrix), fixed, model.popularity, old.recency_rank,
            prior=_prior(model, _features(model, rows[moved], None, None)), cache=cache,
        )  # fmt: skip
        factors[moved] += model.user_table.factors_of(rows[moved])[:, : backbone.factors] - solved
    elif before is not None:
        _solve_judged(model, rows, after, weights, factors, prior)
    check_finite_factors(backbone, matrix.data, factors)
    if model.bias.shape[1]:
        factors = np.hstack([factors, weights])
    nobody = np.diff(after.matrix.indptr) == 0
    if features is not None:
        nobody &= np.diff(features.indptr) == 0
    if nobody.any():
        factors[nobody] = model.mean_user
    return factors


def _solve_judged(model, rows, after, weights, factors, prior):
    """Refine the factors of users affected by a judge's preferences, in place."""
    judged = np.flatnonzero(model.is_judged(rows))
    judged = judged[np.argsort(rows[judged])]
    if not len(judged):
        return
    slates = model.preferences.slates.of_users(rows[judged], weights[judged], model.bias)
    some = after[judged]
    factors[judged] = model.backbone.solve_judged(
        model.scale.apply(some.matrix),
        some.recency_rank,
        factors[judged],
        model.item_factors[:, : model.backbone.factors],
        model.popularity,
        replace(model.preferences, slates=slates),
        None if prior is None else prior[judged],
    )


def fold_in_new_items(model, ids, features, columns):
    """Place items without interactions by their features, users fixed.

    Parameters
    ----------
    model : FittedModel
        Model with item features.
    ids : ndarray of shape (n_new,)
    features : csr_matrix of shape (n_new, n_features), float32
    columns : ItemColumns
        Item data of the new items.

    Returns
    -------
    model : FittedModel
    """
    items, bias, own_bias = model.backbone.place_items(
        features,
        model.features,
        model.user_gram,
        model.plain_factors[1],
        model.bias,
        model.own_bias,
        model.popularity,
    )
    check_finite_factors(model.backbone, model.weighted.data, items, bias)
    return model.with_items(ids, np.hstack([items, bias]), own_bias, features, columns)
