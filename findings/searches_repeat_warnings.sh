#!/usr/bin/env bash
# scikit-learn 1.9.1: a warning that Python shows once per line is shown once per FIT in a search.
#
# Python's default filter shows a warning from the same line only once. In GridSearchCV, it is shown
# for each candidate and fold: scikit-learn changes the filters around each fit, which makes Python
# forget what it has shown. An estimator that warns about a setting repeats itself 3 x 5 times. To warn
# only once, it must remember that itself (ours does: tests/estimator/test_warnings.py).
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet scikit-learn==1.9.1 >/dev/null 2>&1
cat > "$folder/run.py" <<'PY'
import sys
import warnings

import numpy as np
import sklearn
from sklearn.base import BaseEstimator
from sklearn.model_selection import GridSearchCV


class Warns(BaseEstimator):
    def __init__(self, setting=0):
        self.setting = setting

    def fit(self, X, y=None):
        warnings.warn("always the same words", stacklevel=1)
        return self

    def score(self, X, y=None):
        return 0.0


X = np.zeros((20, 1))
if sys.argv[1] == "loop":
    for _ in range(15):
        Warns().fit(X)
else:
    GridSearchCV(Warns(), {"setting": [0, 1, 2]}, cv=5, refit=False).fit(X)
PY
count() { "$folder/env/bin/python" "$folder/run.py" "$1" 2>&1 | grep -c "UserWarning: always the same words" || true; }
loop=$(count loop)
search=$(count search)
echo "scikit-learn $("$folder/env/bin/python" -c 'import sklearn; print(sklearn.__version__)'): 15 fits in a loop show $loop, a search of 15 fits shows $search"
[ "$loop" = 1 ] && [ "$search" = 15 ]
