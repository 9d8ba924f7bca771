#!/usr/bin/env bash
# implicit 0.7.3: precision_at_k does not divide by K, but by min(K, number of held-out items).
#
# A user with one held-out item that is among the top 10 has a precision@10 of 1.0; by the usual
# definition (trec_eval, ranx) it is 0.1. It is not recall either: with more than K held-out items it
# divides by K. In addition, users are weighted by min(K, held-out items): it is the hits of all users
# over the sum of these numbers, not the mean over users. Values of implicit's `precision` therefore
# cannot be compared with those of other packages.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet implicit==0.7.3 numpy scipy >/dev/null 2>&1
OPENBLAS_NUM_THREADS=1 "$folder/env/bin/python" - <<'PY' 2>/dev/null
from importlib.metadata import version

import numpy as np
import scipy.sparse as sp
from implicit.als import AlternatingLeastSquares
from implicit.evaluation import precision_at_k

K, n_items = 10, 40
train = sp.csr_matrix(([1, 1], ([0, 1], [38, 39])), (2, n_items), dtype=np.float32)
# User 0 has one held-out item, user 1 has four; all rank first, by given factors.
held_out = sp.csr_matrix(np.array([[1] + [0] * 39, [0, 1, 1, 1, 1] + [0] * 35], np.float32))
model = AlternatingLeastSquares(2, iterations=1, random_state=0)
model.fit(train, show_progress=False)
model.user_factors = np.eye(2, dtype=np.float32)
model.item_factors = np.ascontiguousarray(held_out.toarray().T + 1e-3)
found = precision_at_k(model, train, held_out, K=K, show_progress=False)
usual = np.mean([1 / K, 4 / K])
print("implicit", version("implicit"))
print(f"precision@{K}: {found}, by the usual definition {usual}")
assert found == (1 + 4) / (1 + 4), found
PY
echo "Reproduced."
