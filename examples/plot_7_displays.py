"""
Displays of a fitted model
==========================

Three displays in the style of scikit-learn: where the gate trusts the judge, metrics by kind of
user and item, and the objective by sweep.
"""

# %%
# Synthetic data with known truth: this judge knows rare items, but not popular ones.
import numpy as np

from sklearn_selreg import ALS, SelectiveLLMRegularizedMF
from sklearn_selreg.datasets import make_interactions


def knows_rare_items(history_length, popularity):
    return np.where(popularity < 20, 0.9, 0.0)


data = make_interactions(
    1000, 500, 20_000, judge_reliability=knows_rare_items, random_state=0
)
settings = {
    "factors": 16,
    "item_data": data.item_data,
    "user_col": "user",
    "item_col": "item",
    "time_col": "time",
    "backbone": ALS(compute_loss=True),
    "random_state": 0,
}
last = ~data.X.duplicated("user", keep="last")
train, held_out = data.X[~last], data.X[last]
model = SelectiveLLMRegularizedMF(judge=data.judge, **settings).fit(train)

# %%
# Where the gate trusts the judge
# -------------------------------
# :class:`~sklearn_selreg.inspection.GateDisplay` averages the weights of the preferences in cells
# of two context columns. The gate does not know the rule above.
from sklearn_selreg.inspection import GateDisplay

display = GateDisplay.from_estimator(model)

# %%
# Are its probabilities calibrated? The fraction of pairs in which the judge was right, against the
# cross-validated predictions of the gate.
_ = display.plot(kind="calibration")

# %%
# Metrics by regime
# -----------------
# :class:`~sklearn_selreg.inspection.RegimeDisplay` shows several models side by side. With a
# `reference`, it draws paired differences, which show whether a model is better.
from sklearn_selreg.inspection import RegimeDisplay
from sklearn_selreg.metrics import ranking_report

everywhere = SelectiveLLMRegularizedMF(judge=data.judge, gate=None, **settings)
models = {
    "without judge": SelectiveLLMRegularizedMF(**settings).fit(train),
    "with gate": model,
    "believe everything": everywhere.fit(train),
}
reports = {name: ranking_report(m, held_out, train=train) for name, m in models.items()}
_ = RegimeDisplay.from_reports(reports, reference="without judge")

# %%
# The objective
# -------------
# With a judge, the second half of the sweeps is regularized by its preferences. Each sweep lowers
# the objective.
from sklearn_selreg.inspection import LossDisplay

_ = LossDisplay.from_estimator(model)
