"""The examples of "Vector indexes" return the same lists as `recommend`."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sklearn_selreg import SelectiveLLMRegularizedMF
from sklearn_selreg.datasets import make_interactions

PAGE = Path(__file__).parents[2] / "docs" / "vector_indexes.md"
BLOCKS = re.findall(
    r"^```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
)


def run(code, names):
    """Run an example; return the value of its last line."""
    statements, _, last = code.strip().rpartition("\n")
    exec(statements, names)
    return eval(last, names)


def test_indexes_find_what_recommend_does():
    pytest.importorskip("usearch")
    likes = make_interactions(60, 100, 600, random_state=0).X[["user", "item"]]
    likes["user"] = likes["user"].replace(
        dict(zip(likes["user"].unique()[:2], ["ann", "bob"], strict=True))
    )
    model = SelectiveLLMRegularizedMF(factors=8, tuning=None, random_state=0).fit(likes)
    names = {"likes": likes, "model": model}
    by_score, seen, by_distance = BLOCKS
    scores = run(by_score, names)
    expected, best = model.recommend(["ann", "bob"], 10, filter_seen=False)
    np.testing.assert_array_equal(model.items_[names["found"].keys], expected)
    np.testing.assert_allclose(scores, best, atol=1e-5)
    unseen = model.items_[run(seen, names).astype(int)]
    assert unseen.tolist() == model.recommend(["ann"], 10)[0][0].tolist()
    assert not set(unseen) & set(likes.loc[likes["user"] == "ann", "item"])
    found = pd.Index(model.items_[run(by_distance, names).keys.ravel()])
    assert len(found.intersection(expected[0])) >= 9
