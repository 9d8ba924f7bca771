#!/usr/bin/env bash
# irspack 0.5.2: IALSRecommender accepts `item_features`, but not with the default of their penalty.
#
# `lambda_item_feature` is 0 by default, and training with features then raises "ValueError: Feature
# weight regularization must be positive." Any positive value works. Comparisons with item features
# must pass one (our benchmark uses 1.0) and tune it: there is no default to start from.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet irspack==0.5.2 numpy scipy >/dev/null 2>&1
"$folder/env/bin/python" - <<'PY' 2>/dev/null
import numpy as np
import scipy.sparse as sp
from importlib.metadata import version
from irspack import IALSRecommender

rng = np.random.default_rng(0)
likes = sp.csr_matrix((rng.random((60, 40)) < 0.2).astype(float))
features = sp.csr_matrix((rng.random((40, 5)) < 0.4).astype(float))


def outcome(**settings):
    model = IALSRecommender(
        likes, n_components=8, alpha0=0.1, n_threads=1, item_features=features, **settings
    )
    try:
        model.learn()
    except ValueError as error:
        return f"ValueError: {error}"
    return "trained"


print("irspack", version("irspack"))
found = {"default": outcome(), "lambda_item_feature=1": outcome(lambda_item_feature=1.0)}
for settings, result in found.items():
    print(f"{settings}: {result}")
assert found["default"] == "ValueError: Feature weight regularization must be positive.", found
assert found["lambda_item_feature=1"] == "trained", found
PY
echo "Reproduced."
