#!/usr/bin/env bash
# cmfrec 3.5.1.post14: the settings documented as equivalent to `implicit` are not equivalent.
#
# The docstring of CMF_implicit says that to match implicit "the corresponding hyperparameters here
# would be use_cg=True, finalize_chol=False, k=100, lambda_=0.01, niter=15, use_float=True, alpha=1".
# But a like has weight 1 + alpha * value in cmfrec, and alpha * value in implicit 0.7.3. With equal
# items and alpha=1 in both, user factors differ by more than a quarter of the largest one; with
# alpha=2 in implicit they are equal. For likes of value 1, implicit's alpha is cmfrec's plus 1; for
# counts, no alpha of implicit is equivalent to cmfrec's.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat >"$folder/try.py" <<'PY'
import warnings
from importlib.metadata import version

import numpy as np
import scipy.sparse as sp
from cmfrec import CMF_implicit
from implicit.cpu.als import AlternatingLeastSquares

warnings.simplefilter("ignore")
assert "to match those of the package ``implicit``" in CMF_implicit.__doc__

rng = np.random.default_rng(0)
n_users, n_items, n_likes = 500, 200, 12
columns = []
for user in range(n_users):
    weights = np.where(np.arange(n_items) % 5 == user % 5, 4.0, 1.0)
    columns.append(rng.choice(n_items, n_likes, replace=False, p=weights / weights.sum()))
rows = np.repeat(np.arange(n_users), n_likes)
ones = np.ones(len(rows), np.float32)
likes = sp.csr_matrix((ones, (rows, np.concatenate(columns))))

documented = {"use_cg": True, "finalize_chol": False, "lambda_": 0.01, "niter": 15, "alpha": 1.0}
theirs = CMF_implicit(
    k=20, use_float=True, verbose=False, random_state=1, nthreads=1, **documented
).fit(likes.tocoo())
solved = np.array([
    theirs.factors_warm(X_col=likes[user].indices, X_val=likes[user].data)
    for user in range(n_users)
])


def difference(alpha):
    als = AlternatingLeastSquares(factors=20, regularization=0.01, alpha=alpha)
    als.item_factors = theirs.B_.astype(np.float32)
    als.user_factors = np.zeros_like(solved)
    own = als.recalculate_user(np.arange(n_users), likes)
    return np.abs(own - solved).max() / np.abs(solved).max()


print("cmfrec", version("cmfrec"), "alpha=1, implicit", version("implicit"), "largest difference of")
for alpha in (1.0, 2.0):
    print(f"  users at alpha={alpha:g}, relative to the largest factor: {difference(alpha):.1e}")
assert difference(1.0) > 0.1 and difference(2.0) < 1e-5
PY
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet cmfrec==3.5.1.post14 implicit==0.7.3 threadpoolctl==3.6.0 \
    numpy==2.4.6 >/dev/null 2>&1
"$folder/env/bin/python" "$folder/try.py"
