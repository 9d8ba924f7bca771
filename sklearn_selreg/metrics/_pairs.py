"""Pairs of users and items as positions and numbers."""

import numpy as np

from .._data._ids import encode


def positions_of(matrix):
    """Return the user and item positions of a CSR matrix's entries, users ascending."""
    matrix = matrix.tocoo()
    return matrix.row.astype(np.intp), matrix.col.astype(np.intp)


def counts_by_id(ids, known_ids, counts):
    """Look up the counts of `known_ids` for `ids`; unknown ids have 0."""
    return np.append(counts, 0)[encode(known_ids, ids)]  # unknown is -1: the 0 at the end


def pair_numbers(interactions, users, items):
    """Return the interactions of users with items as numbers `user * len(items) + item`."""
    user, item = positions_of(interactions.matrix)
    user = encode(users, interactions.users)[user]
    item = encode(items, interactions.items)[item]
    is_known = (user >= 0) & (item >= 0)
    return user[is_known] * len(items) + item[is_known]
