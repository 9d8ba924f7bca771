#!/usr/bin/env bash
# scikit-learn 1.9.1: showing a fitted estimator in a notebook computes all its properties, and prints them.
#
# Since 1.9 the HTML display of a fitted estimator has a table of fitted attributes. It reads every name
# that ends in "_", properties included: a table that a property makes at each access is made for the
# display, and what it returns is written into the page, as ids of persons are. So a notebook that ends a
# cell in `model` may take long, and tell what nobody asked for. (Ours lists what is stored, and ids by
# their number: tests/estimator/test_display.py.)
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
