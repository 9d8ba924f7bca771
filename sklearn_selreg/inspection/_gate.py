"""Plots of where a gate trusts its judge and of its calibration."""

from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils.validation import check_is_fitted

from .._gate import ReliabilityGate
from .._gate._evidence import CONTEXT
from .._utils._params import check_integer, name_kind
from ._binning import bin_context
from ._drawing import (
    COLORS,
    check_option,
    innermost,
    legend_above,
    make_axes,
    percent_axis,
    plain_axes,
    require_matplotlib,
)

_RESPONSES = {
    "weight": "mean weight of a preference, in log-odds",
    "trust": "mean trust in the judge, in log-odds per unit of gap",
}
# The color scale extends at least to these log-odds, so that low trust looks low.
_LEAST_SCALE = {"weight": 0.5, "trust": 1.0}


class GateDisplay:
    """Plot of where a gate trusts the judge, and of its calibration.

    Create it with :meth:`from_estimator`. All parameters are stored as attributes.

    Parameters
    ----------
    cells : DataFrame of shape (n_rows, n_columns)
        Mean weight or trust by two context columns, with bin labels as index and columns; NaN for
        cells without pairs. Bins without any pair are omitted.
    features : tuple of two str
        Names of the context columns on the horizontal and the vertical axis.
    response : {"weight", "trust"}, default="weight"
        The averaged quantity.
    pairs : DataFrame of shape (n_rows, n_columns) or None, default=None
        Number of pairs in each cell.
    calibration : DataFrame or None, default=None
        One row per bin of the predicted probability: `predicted` and `observed`, means in [0, 1];
        `low` and `high`, a 95 % interval of `observed`; `pairs`, the number of pairs.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes of the last plot.
    figure_ : matplotlib Figure
        Figure of the last plot.

    See Also
    --------
    ReliabilityGate : The gate.

    Examples
    --------
    >>> import matplotlib; matplotlib.use("agg")
    >>> from sklearn_selreg import SelectiveLLMRegularizedMF
    >>> from sklearn_selreg.datasets import make_interactions
    >>> from sklearn_selreg.inspection import GateDisplay
    >>> data = make_interactions(200, 100, 2000, random_state=0)
    >>> model = SelectiveLLMRegularizedMF(judge=data.judge, random_state=0).fit(
    ...     data.X[["user", "item"]]
    ... )
    >>> display = GateDisplay.from_estimator(model)
    >>> display.cells.columns.to_list()[:3]
    ['1', '2', '3']
    >>> display = display.plot(kind="calibration")
    >>> display.ax_.get_ylabel()
    'fraction of correct preferences'
    """

    def __init__(
        self,
        cells: pd.DataFrame,
        features: tuple[str, str],
        *,
        response: str = "weight",
        pairs: pd.DataFrame | None = None,
        calibration: pd.DataFrame | None = None,
    ):
        self.cells = cells
        self.features = features
        self.response = response
        self.pairs = pairs
        self.calibration = calibration

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        Z: pd.DataFrame | None = None,
        *,
        features: tuple[str, str] = ("history_length", "popularity_rarer"),
        response: str = "weight",
        n_bins: int = 10,
        kind: str = "context",
        ax: Any = None,
    ) -> "GateDisplay":
        """Plot the gate of a fitted model.

        Parameters
        ----------
        estimator : SelectiveLLMRegularizedMF, ReliabilityGate, or Pipeline or search with one
            Fitted. A recommender must have been fitted with a judge and a gate.
        Z : DataFrame of shape (n_pairs, n_columns), default=None
            Pairs to average over, with the columns that the gate was fitted on. Required for a
            `ReliabilityGate`; a recommender uses its `preferences_`.
        features : tuple of two str, default=("history_length", "popularity_rarer")
            Context columns for the horizontal and the vertical axis.
        response : {"weight", "trust"}, default="weight"
            Quantity to average over the pairs of a cell: the weight of the preference
            (`gate.transform`), or the trust in its context (`gate.trust`).
        n_bins : int, default=10
            Number of bins of the calibration curve, with equally many pairs each.
        kind : {"context", "calibration"}, default="context"
            Which plot to show; see :meth:`plot`. Both are computed.
        ax : matplotlib Axes, default=None
            Axes to plot on. If None, a new figure is created.

        Returns
        -------
        display : GateDisplay

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        TypeError
            If the estimator is of another type; if `Z` is missing for a `ReliabilityGate`, or given
            for a recommender.
        ValueError
            If the model has no gate, if a feature is not a context column, or if there is nothing
            to plot.
        ImportError
            If matplotlib is not installed.
        """
        require_matplotlib(cls)
        check_integer("n_bins", n_bins, 1)
        check_option("kind", kind, ("context", "calibration"))
        check_option("response", response, _RESPONSES)
        gate, Z = _gate_and_pairs(innermost(estimator), Z)
        if len(features) != 2 or features[0] == features[1]:
            raise ValueError(f"features must be two different columns of Z; got {features!r}.")
        context = Z.columns[gate._columns.context].to_list()
        missing = [name for name in features if name not in context]
        if missing:
            raise ValueError(
                f"features must be context columns of Z, i.e. of {context}; got {missing[0]!r}."
            )
        values = gate.trust(Z) if response == "trust" else np.asarray(gate.transform(Z))[:, 0]
        x, y = (bin_context(Z[name]) for name in features)
        grouped = pd.Series(values, index=Z.index).groupby([y, x], observed=False)
        pairs = grouped.size().unstack()
        used = pairs.any(axis=1), pairs.any(axis=0)
        display = cls(
            grouped.mean().unstack().loc[used],
            (features[0], features[1]),
            response=response,
            pairs=pairs.loc[used],
            calibration=_calibration_curve(gate.cv_predictions_, n_bins),
        )
        return display.plot(kind=kind, ax=ax)

    def plot(self, ax: Any = None, *, kind: str = "context") -> "GateDisplay":
        """Plot trust by context, or calibration.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to plot on. If None, a new figure is created.
        kind : {"context", "calibration"}, default="context"
            - "context": mean weight or trust in each cell, as color and number.
            - "calibration": fraction of correct preferences, among those with a known outcome, by
              predicted probability, with 95 % intervals. Predictions are cross-validated over
              users; intervals account for the dependence of a user's pairs.

        Returns
        -------
        display : GateDisplay
            This instance.

        Raises
        ------
        ValueError
            If `kind` is invalid, if there are no pairs to plot, or if the gate had too few pairs
            for a calibration curve.
        ImportError
            If matplotlib is not installed.
        """
        check_option("kind", kind, ("context", "calibration"))
        if kind == "calibration" and (self.calibration is None or not len(self.calibration)):
            raise ValueError(
                "kind='calibration' requires a calibration curve, but there is none: the gate was "
                "fitted on too few pairs (gate.is_fallback_), or the display was created "
                "without one."
            )
        if kind == "context" and not self.cells.size:
            raise ValueError("kind='context' averages over pairs, but there are no pairs.")
        self.figure_, self.ax_ = make_axes(self, ax, figsize=(6.4, 4.8))
        if kind == "context":
            self._draw_cells(self.ax_)
        else:
            self._draw_calibration(self.ax_)
        return self

    def _draw_cells(self, ax):
        from matplotlib.colors import Normalize, TwoSlopeNorm

        values = self.cells.to_numpy(dtype=float)
        known = values[np.isfinite(values)]
        highest = max(known.max(initial=0), -known.min(initial=0))
        digits = 1 if highest >= 1 else 2
        highest = max(highest, _LEAST_SCALE[self.response])
        if known.min(initial=0) < 0:  # a judge that is wrong more often than right has trust < 0
            cmap, norm = "RdBu", TwoSlopeNorm(0, -1.15 * highest, 1.15 * highest)
        else:
            cmap, norm = "Blues", Normalize(0, 1.15 * highest)
        mesh = ax.pcolormesh(np.ma.masked_invalid(values), cmap=cmap, norm=norm, edgecolor="white")
        for (row, column), value in np.ndenumerate(values):
            if np.isfinite(value):
                color = "white" if abs(value) > 0.7 * highest else "0.2"
                # Adding 0 turns -0.0 into 0.0.
                text = f"{round(value, digits) + 0:.{digits}f}"
                ax.text(column + 0.5, row + 0.5, text, color=color, ha="center", va="center")
        ax.figure.colorbar(mesh, ax=ax).outline.set_visible(False)
        ax.set_xticks(np.arange(values.shape[1]) + 0.5, self.cells.columns)
        ax.set_yticks(np.arange(values.shape[0]) + 0.5, self.cells.index)
        ax.tick_params(length=0)
        ax.spines[:].set_visible(False)
        across, up = (CONTEXT[name].label if name in CONTEXT else name for name in self.features)
        ax.set(title=_RESPONSES[self.response], xlabel=across, ylabel=up)

    def _draw_calibration(self, ax):
        curve = self.calibration
        low = min(curve["predicted"].min(), curve["low"].min(), 0.5)
        high = max(curve["predicted"].max(), curve["high"].max(), 0.5)
        room = 0.06 * (high - low)
        limits = max(0.0, low - room), min(1.0, high + room)
        ax.plot(limits, limits, color="0.5", linestyle="--", linewidth=1.2, label="ideal")
        error = [curve["observed"] - curve["low"], curve["high"] - curve["observed"]]
        ax.errorbar(
            curve["predicted"],
            curve["observed"],
            yerr=np.maximum(error, 0),
            color=COLORS[0],
            marker="o",
            markersize=5,
            linewidth=1.2,
            label="gate, with 95% intervals",
        )
        ax.set(
            xlim=limits,
            ylim=limits,
            aspect="equal",
            xlabel="predicted probability of a correct preference",
            ylabel="fraction of correct preferences",
        )
        percent_axis(ax.xaxis)
        percent_axis(ax.yaxis)
        plain_axes(ax)
        ax.grid(color="0.9")
        ax.set_title("Calibration of the gate", pad=24)  # above the legend
        legend_above(ax)


def _gate_and_pairs(estimator, Z):
    """Return a fitted gate, and its pairs as a DataFrame."""
    check_is_fitted(estimator)
    if isinstance(estimator, ReliabilityGate):
        if not isinstance(Z, pd.DataFrame):
            raise TypeError(
                "Z must be a pandas DataFrame of the pairs to average over for a ReliabilityGate; "
                f"got {name_kind(Z)}."
            )
        return estimator, Z
    if Z is not None:
        raise TypeError(
            "Z must only be passed with a ReliabilityGate; a recommender uses its preferences_."
        )
    gate = getattr(estimator, "gate_", None)
    if not isinstance(gate, ReliabilityGate):
        raise ValueError(
            f"This {type(estimator).__name__} has no ReliabilityGate to plot: it was fitted "
            "without a judge, with gate=None or a custom gate, or without slates to calibrate the "
            "gate on; or it was loaded from a file, which does not hold the gate "
            f"(gate_={gate!r})."
        )
    return gate, estimator.preferences_[gate.feature_names_in_.tolist()]


def _calibration_curve(predictions, n_bins):
    """Compare predicted probabilities with outcomes in equally large bins."""
    columns = ["predicted", "observed", "low", "high", "pairs"]
    if not len(predictions):
        return pd.DataFrame(columns=columns, dtype=float)
    ranks = predictions["probability"].rank(method="average", pct=True)
    bins = np.ceil(ranks * n_bins).astype(int)
    rows = []
    for _, pairs in predictions.groupby(bins):
        observed = pairs["right"].mean()
        # Standard error of the mean of clustered observations.
        residual = (pairs["right"] - observed).groupby(pairs["group"]).sum()
        error = 1.96 * np.sqrt(np.sum(residual**2)) / len(pairs)
        low, high = max(0.0, observed - error), min(1.0, observed + error)
        rows.append((pairs["probability"].mean(), observed, low, high, len(pairs)))
    return pd.DataFrame(rows, columns=columns)
