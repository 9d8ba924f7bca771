"""skore evaluates the estimator by its own score, and by scorers."""

import numpy as np
import pytest
from pages import page_code

from sklearn_selreg.metrics import auc_scorer, recall_at_k_scorer

pytest.importorskip("skore")


@pytest.mark.filterwarnings("ignore")  # of metrics that mean nothing here
def test_the_page_on_tracking(world):
    model = world.model()
    names = {"model": model, "likes": world.train, "held_out": world.test}
    (code,) = (code for code in page_code("tracking.md") if "skore" in code)
    exec(code, names)
    fitted = model.fit(world.train)
    expected = [
        fitted.score(world.test),
        recall_at_k_scorer(10)(fitted, world.test),
        auc_scorer()(fitted, world.test),
    ]
    np.testing.assert_allclose(names["table"], expected)
