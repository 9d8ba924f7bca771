"""User-item pairs as positions and as numbers."""

import numpy as np

from .._data._ids import encode


def positions_of(matrix):
    """Return the user and item positions of a CSR matrix's entries, in ascending order of users."""
    matrix = matrix.tocoo()
    return matrix.row.astype(np.intp), matrix.col.astype(np.intp)


def counts_by_id(ids, known_ids, counts):
    """Look up the counts of `known_ids` for `ids`; 0 for unknown ids."""
    return np.append(counts, 0)[encode(known_ids, ids)]  # unknown ids are -1: the final 0


def pair_numbers(interactions, users, items):
    """Return user-item interactions as numbers `user * len(items) + item`."""
    user, item = positions_of(interactions.matrix)
    user = encode(users, interactions.users)[user]
    item = encode(items, interactions.items)[item]
    is_known = (user >= 0) & (item >= 0)
    return user[is_known] * len(items) + item[is_known]
