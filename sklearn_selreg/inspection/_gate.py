"""Pictures of fitted models, in the manner of scikit-learn's `Display` objects."""

from itertools import pairwise

import numpy as np
import pandas as pd
from sklearn.utils.validation import check_is_fitted

from .._gate import ReliabilityGate
from .._judging._slates import MAX_HISTORY
from .._utils._params import check_integer, name_kind
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

_CONTEXT_LABELS = {
    "history_length": "items in the user's history",
    "popularity_rarer": "users of the rarer item of the two",
    "popularity_commoner": "users of the more common item of the two",
    "model_uncertainty": "uncertainty of the model (1: undecided)",
    "agreement": "agreement of the judge with itself (1: full)",
}
_RESPONSES = {
    "weight": "mean weight of a preference, in log-odds",
    "trust": "mean trust in the judge, in log-odds per unit of gap",
}
# Log-odds up to which the colors reach at least: what is hardly trusted is to look so.
_LEAST_SCALE = {"weight": 0.5, "trust": 1.0}
_MOST_BINS = 8


class GateDisplay:
    """Where a gate trusts the judge, and whether its probabilities can be believed.

    Make it by :meth:`from_estimator`. All parameters are stored as attributes.

    Parameters
    ----------
    cells : DataFrame of shape (n_rows, n_columns)
        Mean weight or trust by two columns of the context: names of bins in index and columns; NaN
        where there is no pair. Bins without any pair are left out.
    features : tuple of two str
        What the columns and the rows of `cells` are.
    response : {"weight", "trust"}, default="weight"
        What is averaged.
    pairs : DataFrame of shape (n_rows, n_columns) or None, default=None
        Number of pairs in each cell.
    calibration : DataFrame or None, default=None
        One row a bin of the predicted probability: `predicted` and `observed`, means in [0, 1];
        `low` and `high`, a 95 % interval of `observed`; `pairs`, their number.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes last drawn on.
    figure_ : matplotlib Figure
        Its figure.

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
    'share of preferences that are right'
    """

    def __init__(self, cells, features, *, response="weight", pairs=None, calibration=None):
        self.cells = cells
        self.features = features
        self.response = response
        self.pairs = pairs
        self.calibration = calibration

    @classmethod
    def from_estimator(
        cls,
        estimator,
        Z=None,
        *,
        features=("history_length", "popularity_rarer"),
        response="weight",
        n_bins=10,
        kind="context",
        ax=None,
    ):
        """Draw the gate of a fitted model.

        Parameters
        ----------
        estimator : SelectiveLLMRegularizedMF, ReliabilityGate, or Pipeline or search with one
            Fitted. A recommender must have been fitted with a judge and a gate.
        Z : DataFrame of shape (n_pairs, n_columns), default=None
            The pairs to average over, with the columns that the gate was fitted on. Needed for a
            `ReliabilityGate`; a recommender has its own, `judgments_`.
        features : tuple of two str, default=("history_length", "popularity_rarer")
            Columns of the context, for the horizontal and the vertical axis.
        response : {"weight", "trust"}, default="weight"
            What is averaged over the pairs of a cell: the weight of the preference
            (`gate.transform`), or the trust in its context (`gate.trust`).
        n_bins : int, default=10
            Number of bins of the calibration curve, of equally many pairs each.
        kind : {"context", "calibration"}, default="context"
            What is drawn; see :meth:`plot`. Both are computed.
        ax : matplotlib Axes, default=None
            Where to draw; None: a new figure.

        Returns
        -------
        display : GateDisplay

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        TypeError
            If it is of another kind, if a `ReliabilityGate` is given without `Z`, or a recommender
            with it.
        ValueError
            If the model has no gate, if a column is not of its context, or if there is nothing to
            draw.
        ImportError
            Without matplotlib.
        """
        require_matplotlib(cls)
        check_integer("n_bins", n_bins, 1)
        check_option("kind", kind, ("context", "calibration"))
        check_option("response", response, _RESPONSES)
        gate, Z = _gate_and_pairs(innermost(estimator), Z)
        if len(features) != 2 or features[0] == features[1]:
            raise ValueError(f"features must be two different columns of Z; got {features!r}.")
        context = Z.columns[gate._context_columns].to_list()
        missing = [name for name in features if name not in context]
        if missing:
            raise ValueError(
                f"features must name columns of Z that are context, {context}; got {missing[0]!r}."
            )
        values = gate.trust(Z) if response == "trust" else np.asarray(gate.transform(Z))[:, 0]
        x, y = (_bin(Z[name]) for name in features)
        grouped = pd.Series(values, index=Z.index).groupby([y, x], observed=False)
        pairs = grouped.size().unstack()
        used = pairs.any(axis=1), pairs.any(axis=0)
        display = cls(
            grouped.mean().unstack().loc[used],
            tuple(features),
            response=response,
            pairs=pairs.loc[used],
            calibration=_calibration_curve(gate.cv_predictions_, n_bins),
        )
        return display.plot(kind=kind, ax=ax)

    def plot(self, ax=None, *, kind="context"):
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None: a new figure.
        kind : {"context", "calibration"}, default="context"
            - "context": mean weight or trust in each cell, as color and number.
            - "calibration": of the preferences whose outcome is known, the share that is right, by
              the probability that the gate predicts for them, with 95 % intervals. Predictions are
              those of cross-validation over users; intervals allow for the dependence of the pairs
              of a user.

        Returns
        -------
        display : GateDisplay
            Itself.

        Raises
        ------
        ValueError
            For another kind, if there is no pair to draw, and if the gate had too few pairs for a
            calibration curve.
        ImportError
            Without matplotlib.
        """
        check_option("kind", kind, ("context", "calibration"))
        if kind == "calibration" and (self.calibration is None or not len(self.calibration)):
            raise ValueError(
                "kind='calibration' needs a calibration curve, and there is none: the gate was "
                "fitted on too few pairs (gate.is_fallback_), or this display was made without one."
            )
        if kind == "context" and not self.cells.size:
            raise ValueError("kind='context' averages over pairs, and there is none.")
        self.figure_, self.ax_ = make_axes(self, ax, figsize=(6.4, 4.8))
        (self._draw_cells if kind == "context" else self._draw_calibration)(self.ax_)
        return self

    def _draw_cells(self, ax):
        from matplotlib.colors import Normalize, TwoSlopeNorm

        values = self.cells.to_numpy(dtype=float)
        known = values[np.isfinite(values)]
        highest = max(known.max(initial=0), -known.min(initial=0))
        digits = 1 if highest >= 1 else 2
        highest = max(highest, _LEAST_SCALE[self.response])
        if known.min(initial=0) < 0:  # trust in a judge that is rather wrong than right
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
        across, up = (_CONTEXT_LABELS.get(name, name) for name in self.features)
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
            xlabel="predicted probability that a preference is right",
            ylabel="share of preferences that are right",
        )
        percent_axis(ax.xaxis)
        percent_axis(ax.yaxis)
        plain_axes(ax)
        ax.grid(color="0.9")
        ax.set_title("Calibration of the gate", pad=24)  # the legend is below it
        legend_above(ax)


def _gate_and_pairs(estimator, Z):
    """Return a fitted gate, and pairs as a DataFrame."""
    check_is_fitted(estimator)
    if isinstance(estimator, ReliabilityGate):
        if not isinstance(Z, pd.DataFrame):
            raise TypeError(
                "For a ReliabilityGate, Z must be a pandas DataFrame of the pairs to average over; "
                f"got {name_kind(Z)}."
            )
        return estimator, Z
    if Z is not None:
        raise TypeError("Z is for a ReliabilityGate; a recommender has its own pairs, judgments_.")
    gate = getattr(estimator, "gate_", None)
    if not isinstance(gate, ReliabilityGate):
        raise ValueError(
            f"This {type(estimator).__name__} has no ReliabilityGate to draw: it was fitted "
            "without judge, with gate=None or a gate of another kind, or without any slate to "
            f"calibrate one; or it was loaded from a file, which has none. Its gate_ is {gate!r}."
        )
    return gate, estimator.judgments_[gate.feature_names_in_.tolist()]


def _bin(column):
    """Put a column of the evidence into few bins with readable names.

    Returns
    -------
    bins : Series, categorical and ordered
    """
    if column.name in ("popularity_rarer", "popularity_commoner"):
        counts = np.expm1(column).round()
        # Bins of counts: 0, 1 and then up to the next power of this number.
        for base in (2, 3, 4, 10):
            edges = [0, *(base**n for n in range(_MOST_BINS - 1))]
            if (counts >= edges[-1]).mean() < 0.2:
                break
        return _cut_counts(counts, edges)
    if column.name == "history_length":
        return _cut_counts(column, (0, 1, 2, 3, 4, 5, 6, MAX_HISTORY))
    known = column.dropna()
    distinct = np.unique(known)
    if len(distinct) <= _MOST_BINS:
        return pd.cut(
            column,
            [*distinct, np.inf],
            right=False,
            labels=[f"{value:.4g}" for value in distinct],
        )
    inner = np.quantile(known, [0.2, 0.4, 0.6, 0.8])
    digits = 1 - int(np.floor(np.log10(distinct[-1] - distinct[0])))
    lowest, highest = (
        op(x * 10.0**digits) / 10.0**digits
        for op, x in ((np.floor, distinct[0]), (np.ceil, distinct[-1]))
    )
    edges = np.unique([lowest, *inner.round(digits), highest])
    names = [f"{a:.{max(digits, 0)}f} to {b:.{max(digits, 0)}f}" for a, b in pairwise(edges)]
    return pd.cut(column, edges, include_lowest=True, labels=names)


def _cut_counts(counts, edges):
    """Put whole numbers into named bins, from each edge up to the next one; the last is open."""
    names = [str(a) if b == a + 1 else f"{a} to {b - 1}" for a, b in pairwise(edges)]
    names.append(f"{edges[-1]}+")
    return pd.cut(counts.round(), [*edges, np.inf], right=False, labels=names)


def _calibration_curve(predictions, n_bins):
    """Compare predicted probabilities with outcomes, in bins of equally many pairs."""
    columns = ["predicted", "observed", "low", "high", "pairs"]
    if not len(predictions):
        return pd.DataFrame(columns=columns, dtype=float)
    ranks = predictions["probability"].rank(method="average", pct=True)
    bins = np.ceil(ranks * n_bins).astype(int)
    rows = []
    for _, some in predictions.groupby(bins):
        observed = some["right"].mean()
        # Standard error of a mean of clustered observations.
        residual = (some["right"] - observed).groupby(some["group"]).sum()
        error = 1.96 * np.sqrt(np.sum(residual**2)) / len(some)
        low, high = max(0.0, observed - error), min(1.0, observed + error)
        rows.append((some["probability"].mean(), observed, low, high, len(some)))
    return pd.DataFrame(rows, columns=columns)
