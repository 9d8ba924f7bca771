"""Weighted pairwise preferences within slates: data structure, kernel layout and loss."""

from dataclasses import dataclass

import numpy as np

from ._half_sweep import Pairs

_SLATES_PER_CHUNK = 1024  # 5 MB with 20 candidates and 64 factors


@dataclass(frozen=True, eq=False)
class SlateTerms:
    """Weighted pairwise preferences of users within slates.

    Attributes
    ----------
    users : ndarray of shape (n_slates,), int
        Row of each slate's user, non-decreasing.
    items : ndarray of shape (n_slates, slate_size), int
        Columns of the candidates; empty positions hold 0 and have zero weights.
    weights : ndarray of shape (n_slates, slate_size * (slate_size - 1) / 2), float32
        Signed weight of each pair of positions, in the order of
        ``np.triu_indices(slate_size, 1)``: positive if the first candidate is preferred, negative
        if the second one is.
    margins : ndarray of the same shape, float32
        Required score difference of each pair; beyond it the loss of the pair is 0.
    bias : ndarray of shape (n_slates, slate_size), float32, or None
        Biases :math:`b_{ui}` of the candidates' scores. If None, 0.
    """

    users: np.ndarray
    items: np.ndarray
    weights: np.ndarray
    margins: np.ndarray
    bias: np.ndarray | None = None

    @classmethod
    def from_matrices(cls, users, items, weights, margin, bias=None):
        """Construct terms with a common margin from weights in the format of `pack_pairs`."""
        weights = pack_pairs(weights)
        margins = np.broadcast_to(np.float32(margin), weights.shape)
        return cls(users, items, weights, margins, bias)

    def matrices(self, which=slice(None)):
        """Weights of the selected slates, in the format of `pack_pairs`."""
        weights, size = self.weights[which], self.items.shape[1]
        first, second = np.triu_indices(size, 1)
        matrices = np.zeros((len(weights), size, size), dtype=np.float32)
        matrices[:, first, second] = np.maximum(weights, 0)
        matrices[:, second, first] = np.maximum(-weights, 0)
        return matrices

    def margin_matrices(self, which=slice(None)):
        """Margins of the selected slates as symmetric matrices."""
        margins, size = self.margins[which], self.items.shape[1]
        first, second = np.triu_indices(size, 1)
        matrices = np.zeros((len(margins), size, size), dtype=np.float32)
        matrices[:, first, second] = matrices[:, second, first] = margins
        return matrices

    def of_users(self, rows, shares, item_bias):
        """Select the slates of a subset of users and renumber the users.

        Parameters
        ----------
        rows : ndarray of int, sorted
            The users to keep.
        shares : ndarray of shape (n_rows, n_periods), float32
            Their distribution over periods.
        item_bias : ndarray of shape (n_items, n_periods), float32
            Item bias in each period; without a bias, n_periods is 0.
        """
        which = np.isin(self.users, rows)
        users, items, bias = np.searchsorted(rows, self.users[which]), self.items[which], None
        if self.bias is not None:
            bias = np.einsum("sp,sip->si", shares[users], item_bias[items])
        return SlateTerms(users, items, self.weights[which], self.margins[which], bias)

    def weighted(self, which=slice(None)):
        """Mask of the candidates in pairs with non-zero weight, for the selected slates."""
        matrices = self.matrices(which)
        return matrices.any(axis=1) | matrices.any(axis=2)


def pack_pairs(weights):
    """Convert matrices of pair weights to the packed format of `SlateTerms`.

    Parameters
    ----------
    weights : ndarray of shape (n_slates, slate_size, slate_size), float32
        ``weights[s, i, j]`` >= 0 is the weight of "candidate i above candidate j". At most one of
        ``weights[s, i, j]`` and ``weights[s, j, i]`` is non-zero.

    Returns
    -------
    packed : ndarray of shape (n_slates, slate_size * (slate_size - 1) / 2), float32
    """
    first, second = np.triu_indices(weights.shape[1], 1)
    return weights[:, first, second] - weights[:, second, first]


def _by_chunk(n_slates):
    for start in range(0, n_slates, _SLATES_PER_CHUNK):
        yield slice(start, start + _SLATES_PER_CHUNK)


def kernel_terms(slates, weight, n_users, n_items):
    r"""Lay out pairs for the half-sweeps over users and items.

    An item half-sweep moves both items of a pair. With :math:`d` the change of their scores, the
    bound :math:`(d_i - d_j)^2 \le 2 d_i^2 + 2 d_j^2` separates them.

    Parameters
    ----------
    slates : SlateTerms
    weight : float
        Common weight of all pairs.
    n_users, n_items : int

    Returns
    -------
    of_users, of_items : Pairs
    """
    first, second = np.triu_indices(slates.items.shape[1], 1)
    touches = np.zeros((len(first), slates.items.shape[1]), dtype=np.float32)
    touches[np.arange(len(first)), first] = touches[np.arange(len(first)), second] = 1
    curvature = np.empty(slates.items.shape, dtype=np.float32)
    for chunk in _by_chunk(len(curvature)):
        curvature[chunk] = 2 * weight * (np.abs(slates.weights[chunk]) @ touches)
    items = np.ascontiguousarray(slates.items, dtype=np.int32)
    bias = np.zeros(items.shape, np.float32) if slates.bias is None else slates.bias
    pulls, curvature = np.zeros(items.size, np.float32), curvature.ravel()
    of_users = Pairs(
        np.searchsorted(slates.users, np.arange(n_users + 1)),
        items,
        np.ascontiguousarray(slates.weights, dtype=np.float32),
        np.asarray(slates.margins, dtype=np.float32),
        np.ascontiguousarray(bias, dtype=np.float32),
        np.float32(weight),
        pulls,
        curvature,
    )
    at = np.flatnonzero(curvature > 0)
    at = at[np.argsort(items.ravel()[at], kind="stable")]
    ptr = np.searchsorted(items.ravel()[at], np.arange(n_items + 1))
    users = slates.users[at // items.shape[1]].astype(np.int32)
    terms = {"term_ptr": ptr, "term_rows": users, "term_at": at}
    return of_users, Pairs(pulls=pulls, curvature=curvature, **terms)


def pair_loss(slates, weight, x, y):
    """Contribution of the pairs to the objective.

    Parameters
    ----------
    slates : SlateTerms
    weight : float
    x, y : ndarrays of shape (n_users, k) and (n_items, k), float64
    """
    first, second = np.triu_indices(slates.items.shape[1], 1)
    loss = 0.0
    for chunk in _by_chunk(len(slates.users)):
        scores = np.einsum("sk,sik->si", x[slates.users[chunk]], y[slates.items[chunk]])
        if slates.bias is not None:
            scores += slates.bias[chunk]
        weights = slates.weights[chunk]
        differences = np.sign(weights) * (scores[:, first] - scores[:, second])
        hinges = np.maximum(slates.margins[chunk] - differences, 0)
        loss += float(np.sum(np.abs(weights) * hinges**2))
    return weight * loss
