#!/usr/bin/env bash
# scikit-learn 1.9.1: the notebook display of a fitted estimator computes and prints all properties.
#
# Since 1.9, the HTML display of a fitted estimator has a table of fitted attributes. It reads every
# name that ends in "_", including properties: a table that is computed on access is computed for the
# display, and its content, e.g. ids of persons, is written into the page. A notebook cell that ends in
# `model` may therefore take long and reveal data unintentionally. (Ours shows stored attributes only,
# and the number of ids: tests/estimator/test_display.py.)
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet scikit-learn==1.9.1 >/dev/null 2>&1
cat > "$folder/run.py" <<'PY'
import sklearn
from sklearn.base import BaseEstimator

computed = []


class Recommender(BaseEstimator):
    def fit(self, X, y=None):
        self.n_users_ = len(X)
        self._users = list(X)
        return self

    @property
    def users_(self):
        computed.append("users_")  # imagine a query, or a table of a million rows
        return self._users


model = Recommender().fit(["ann.lee", "bob.ray"])
repr(model)
assert computed == []
html = model._repr_html_()
shown = "ann.lee" in html
print(f"scikit-learn {sklearn.__version__}: computed for the display: {computed}; ids shown: {shown}")
raise SystemExit(0 if computed and shown else 1)
PY
"$folder/env/bin/python" "$folder/run.py"
