"""Transposed interaction matrices."""

import numpy as np
import pytest
import scipy.sparse as sp

from sklearn_selreg._data._csr import transposed


@pytest.mark.parametrize("strengths", ["equal", "different", "none"])
def test_a_transpose_has_equal_strengths_once(strengths):
    rng = np.random.default_rng(0)
    dense = (rng.random((30, 20)) < 0.2) * (
        rng.uniform(1, 5, (30, 20)) if strengths == "different" else 2.5
    )
    if strengths == "none":
        dense[:] = 0
    matrix = sp.csr_matrix(dense, dtype=np.float32)
    found = transposed(matrix)
    np.testing.assert_array_equal(found.toarray(), dense.T.astype(np.float32))
    assert found.has_sorted_indices
    assert found.indices.dtype == np.int32
    if strengths != "none":
        assert (found.data.strides == (0,)) is (strengths == "equal")
    matrix.data[:] = 9
    np.testing.assert_array_equal(found.toarray(), dense.T.astype(np.float32))
