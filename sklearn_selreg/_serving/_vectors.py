"""Vectors for nearest-neighbor indexes."""

import numpy as np


def with_equal_norms(vectors):
    """Append a column so that all vectors have the norm of the longest one.

    Parameters
    ----------
    vectors : ndarray of shape (n, k), float32

    Returns
    -------
    vectors : ndarray of shape (n, k + 1), float32

    References
    ----------
    Bachrach et al. (2014), "Speeding up the Xbox recommender system using a euclidean
    transformation for inner-product spaces".
    """
    squares = np.einsum("nk,nk->n", vectors, vectors, dtype=np.float64)
    missing = np.sqrt(squares.max() - squares)
    return np.column_stack([vectors, missing.astype(np.float32)])


def with_zeros(vectors):
    """Append zeros, which keeps inner products with vectors of `with_equal_norms` unchanged.

    Parameters
    ----------
    vectors : ndarray of shape (n, k), float32

    Returns
    -------
    vectors : ndarray of shape (n, k + 1), float32
    """
    return np.pad(vectors, ((0, 0), (0, 1)))
