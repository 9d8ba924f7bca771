"""CSR operations that scipy lacks, or implements by copying the whole matrix."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

_ENTRIES_PER_CHUNK = 2**17
_ROWS_PER_CHUNK = 2**14
# A matrix with at least this many columns, and this fraction of nonzeros, is treated as dense.
_WIDE, _DENSE = 32, 0.3


def with_data(matrix: sp.csr_matrix, data: np.ndarray) -> sp.csr_matrix:
    """Return a CSR matrix with other data that shares the sparsity structure of `matrix`."""
    return sp.csr_matrix((data, matrix.indices, matrix.indptr), matrix.shape)


def transposed(matrix: sp.csr_matrix) -> sp.csr_matrix:
    """Return the transpose of a CSR matrix as a read-only CSR matrix.

    If all entries are equal (interactions without strengths), only one value is stored.
    """
    if not matrix.nnz or matrix.data.min() < matrix.data.max():
        return matrix.T.tocsr()
    made = with_data(matrix, np.ones(matrix.nnz, dtype=bool)).T.tocsr()
    return with_data(made, np.broadcast_to(matrix.data[:1].copy(), matrix.nnz))


def entry_rows(matrix: sp.csr_matrix) -> np.ndarray:
    """Row of each entry, (nnz,) intp."""
    return np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))


def select_rows(matrix: sp.csr_matrix, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find the entries of the given rows; a row of -1 is empty.

    Returns
    -------
    entries : ndarray of shape (n_entries,), int
        Positions in ``matrix.data``.
    indptr : ndarray of shape (n_rows + 1,), int
    """
    lengths = np.where(rows >= 0, matrix.indptr[rows + 1] - matrix.indptr[rows], 0)
    indptr = np.append(0, np.cumsum(lengths))
    first = np.repeat(matrix.indptr[rows] - indptr[:-1], lengths)
    return first + np.arange(indptr[-1]), indptr


def find_entries(matrix: sp.csr_matrix, part: sp.csr_matrix) -> np.ndarray:
    """Find the entries of `part` in `matrix`.

    Parameters
    ----------
    matrix, part : csr_matrix of the same shape
        `matrix` is canonical, and contains all entries of `part`.

    Returns
    -------
    entries : ndarray of shape (part.nnz,), intp
        Positions in ``matrix.data``.
    """
    of_matrix, of_part = (entry_rows(m) * np.int64(m.shape[1]) + m.indices for m in (matrix, part))
    return np.searchsorted(of_matrix, of_part)


def count_interactions(matrix: sp.csr_matrix) -> np.ndarray:
    """Count the interactions of each item, (n_items,) intp; scipy's `getnnz` copies the matrix."""
    counts = np.zeros(matrix.shape[1], dtype=np.intp)
    for start in range(0, matrix.nnz, _ENTRIES_PER_CHUNK):
        chunk = matrix.indices[start : start + _ENTRIES_PER_CHUNK]
        counts += np.bincount(chunk, minlength=len(counts))
    return counts


def is_dense(matrix: sp.csr_matrix) -> bool:
    """Return whether a CSR matrix is wide and full enough that dense computation is faster."""
    n_rows, n_columns = matrix.shape
    return n_columns >= _WIDE and matrix.nnz > _DENSE * n_rows * n_columns


def gram(matrix: sp.csr_matrix, weights: np.ndarray | None = None) -> np.ndarray:
    """Return F' diag(w) F of a CSR matrix F as a dense array.

    Parameters
    ----------
    matrix : csr_matrix of shape (n, m)
    weights : ndarray of shape (n,), default=None
        If None, all weights are 1.

    Returns
    -------
    ndarray of shape (m, m), float64
    """
    if not is_dense(matrix):
        wide = matrix.astype(np.float64)
        weighted = wide if weights is None else sp.diags_array(weights) @ wide
        return np.asarray((wide.T @ weighted).todense())
    total = np.zeros((matrix.shape[1],) * 2)
    for rows in row_chunks(matrix.shape[0]):
        part = matrix[rows].toarray().astype(np.float64)
        total += part.T @ (part if weights is None else weights[rows, np.newaxis] * part)
    return total


def filled_csr(values: np.ndarray) -> sp.csr_matrix:
    """Return an array as a CSR matrix that shares its memory and stores zeros explicitly."""
    n_rows, n_columns = values.shape
    largest = max(values.size, n_columns)
    dtype = np.int32 if largest <= np.iinfo(np.int32).max else np.int64
    indices = np.empty((n_rows, n_columns), dtype=dtype)
    indices[:] = np.arange(n_columns)
    indptr = np.arange(0, values.size + 1, n_columns, dtype=dtype)
    matrix = sp.csr_matrix(values.shape, dtype=values.dtype)
    matrix.data, matrix.indices, matrix.indptr = values.reshape(-1), indices.reshape(-1), indptr
    matrix.has_canonical_format = True
    return matrix


def row_chunks(n_rows: int) -> list[slice]:
    """Split rows into slices for chunked processing."""
    return [slice(start, start + _ROWS_PER_CHUNK) for start in range(0, n_rows, _ROWS_PER_CHUNK)]
