#!/usr/bin/env bash
# scikit-learn 1.9.1: ScoringMonitor rejects two of the documented types of `scoring`.
#
# "None, the estimator's default evaluation criterion is used" and "a callable that returns a single
# value" both raise "TypeError: 'float' object is not iterable" during fit: only a scorer under a name,
# given by the monitor or by the user, returns the expected dict. Our documentation and examples
# therefore always pass a dict, {"NDCG@10": scorer}, also for the estimator's own `score`.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet scikit-learn==1.9.1 >/dev/null 2>&1
"$folder/env/bin/python" -W ignore - <<'PY'
import numpy as np
import sklearn
from sklearn.callback import ScoringMonitor
from sklearn.linear_model import LogisticRegression

X = np.arange(20.0)[:, np.newaxis]
y = X[:, 0] > 9


def own_score(estimator, X, y):
    return estimator.score(X, y)


def outcome(scoring):
    monitor = ScoringMonitor(scoring=scoring)
    try:
        LogisticRegression(max_iter=3).set_callbacks(monitor).fit(X, y)
    except TypeError as error:
        return f"TypeError: {error}"
    return f"{len(monitor.get_logs().data)} scores"


print("scikit-learn", sklearn.__version__)
ways = {
    "None": None,
    "a callable": own_score,
    "a string": "accuracy",
    "a dict of a callable": {"own": own_score},
}
found = {name: outcome(scoring) for name, scoring in ways.items()}
for name, result in found.items():
    print(f"scoring is {name}: {result}")
wrong = "TypeError: 'float' object is not iterable"
assert found["None"] == found["a callable"] == wrong, found
assert found["a string"] == found["a dict of a callable"], found
assert found["a string"].endswith(" scores"), found
PY
echo "Reproduced."
