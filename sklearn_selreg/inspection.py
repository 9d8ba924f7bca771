"""Pictures of fitted models, in the manner of scikit-learn's `Display` objects."""

from itertools import pairwise

import numpy as np
import pandas as pd
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from ._gate import ReliabilityGate
from ._params import check_integer, name_kind
from ._slates import MAX_HISTORY
from .metrics import (
    RankingReport,
    compare_reports,
    ranking_report,
    report_intervals,
    warn_of_other_catalog,
)

__all__ = ["GateDisplay", "LossDisplay", "RegimeDisplay"]

# Okabe and Ito's palette, which color-blind readers can tell apart, and markers for print.
_COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_MARKERS = "osD^vPX"
_REGIME_LABELS = {
    "overall": "all",
    "warm": "warm users",
    "cold": "cold users",
    "tail": "rare items\n(3 users or fewer)",
    "zero": "new items\n(no user)",
}
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
        _require_matplotlib(cls)
        check_integer("n_bins", n_bins, 1)
        _check_option("kind", kind, ("context", "calibration"))
        _check_option("response", response, _RESPONSES)
        gate, Z = _gate_and_pairs(_innermost(estimator), Z)
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
        _check_option("kind", kind, ("context", "calibration"))
        if kind == "calibration" and (self.calibration is None or not len(self.calibration)):
            raise ValueError(
                "kind='calibration' needs a calibration curve, and there is none: the gate was "
                "fitted on too few pairs (gate.is_fallback_), or this display was made without one."
            )
        if kind == "context" and not self.cells.size:
            raise ValueError("kind='context' averages over pairs, and there is none.")
        self.figure_, self.ax_ = _axes(self, ax, figsize=(6.4, 4.8))
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
            color=_COLORS[0],
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
        _percent(ax.xaxis)
        _percent(ax.yaxis)
        _plain(ax)
        ax.grid(color="0.9")
        ax.set_title("Calibration of the gate", pad=24)  # the legend is below it
        _legend_above(ax)


class RegimeDisplay:
    """Metrics by kind of user and item, with intervals, of one or several models.

    Make it by :meth:`from_reports` or :meth:`from_estimator`. All parameters are stored as
    attributes.

    Parameters
    ----------
    estimates : DataFrame of shape (n_models * n_regimes, 3), columns `value`, `low`, `high`
        The index holds the names of model and regime.
    metric : str
        Such as `"AUC"` or `"NDCG@10"`.
    reference : str or None, default=None
        The model from which `estimates` are differences; None: they are the metrics themselves.
    confidence : float, default=0.95
        Coverage of the intervals.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes last drawn on.
    figure_ : matplotlib Figure
        Its figure.

    See Also
    --------
    sklearn_selreg.metrics.ranking_report : Makes the reports.
    sklearn_selreg.metrics.compare_reports : The differences, as a table.

    Examples
    --------
    >>> import matplotlib; matplotlib.use("agg")
    >>> import numpy as np
    >>> from sklearn_selreg import SelectiveLLMRegularizedMF
    >>> from sklearn_selreg.datasets import make_interactions
    >>> from sklearn_selreg.inspection import RegimeDisplay
    >>> from sklearn_selreg.metrics import ranking_report
    >>> data = make_interactions(200, 100, 2000, random_state=0)
    >>> X = data.X[["user", "item"]].sample(frac=1, random_state=0)
    >>> train, held_out = X[:1600], X[1600:]
    >>> models = {
    ...     f"{factors} factors": SelectiveLLMRegularizedMF(factors, random_state=0).fit(train)
    ...     for factors in (4, 32)
    ... }
    >>> reports = {
    ...     name: ranking_report(model, held_out, train=train) for name, model in models.items()
    ... }
    >>> display = RegimeDisplay.from_reports(reports, metric="AUC")
    >>> display.estimates.shape
    (10, 3)
    """

    def __init__(self, estimates, metric, *, reference=None, confidence=0.95):
        self.estimates = estimates
        self.metric = metric
        self.reference = reference
        self.confidence = confidence

    @classmethod
    def from_reports(
        cls,
        reports,
        *,
        metric="AUC",
        reference=None,
        n_bootstrap=2000,
        random_state=0,
        confidence=0.95,
        regime_labels=None,
        ax=None,
        verbose=0,
    ):
        """Draw the reports of several models side by side.

        Parameters
        ----------
        reports : dict of str to RankingReport, or RankingReport
            Name of each model and its report.
        metric : str, default="AUC"
            A column of the reports.
        reference : str, default=None
            The name of a model: draw the differences of the others from it, with paired intervals.
            That is what tells whether one is better. None: draw the metrics themselves.
        n_bootstrap, random_state, confidence
            As in `compare_reports`.
        regime_labels, ax
            As in :meth:`plot`.
        verbose : int, default=0
            Above 0: progress bars.

        Returns
        -------
        display : RegimeDisplay

        Raises
        ------
        TypeError
            If a report is of another kind.
        ValueError
            For an unknown metric or reference, no report, and reports that cannot be compared.
        ImportError
            Without matplotlib.
        """
        _require_matplotlib(cls)
        if isinstance(reports, RankingReport):
            reports = {"model": reports}
        if not isinstance(reports, dict):
            raise TypeError(
                "reports must be a RankingReport or a dict of names to such; got "
                f"{name_kind(reports)}."
            )
        others = {name: report for name, report in reports.items() if name != reference}
        if reference is not None and reference not in reports:
            raise ValueError(
                f"reference must be one of the models {list(reports)}; got {reference!r}."
            )
        if not others:
            raise ValueError(
                f"reports must hold at least one{' besides the reference' if reference else ''}; "
                "got none."
            )
        bootstrap = {
            "n_bootstrap": n_bootstrap,
            "random_state": random_state,
            "confidence": confidence,
            "verbose": verbose,
        }
        tables, first = {}, next(iter(others.values()))
        for name, report in others.items():
            if reference is None:
                table = report_intervals(report, **bootstrap)
                warn_of_other_catalog(report, first)
            else:
                table = compare_reports(report, reports[reference], **bootstrap)
            if metric not in table.columns.levels[0]:
                raise ValueError(
                    f"metric must be one of {table.columns.unique(0).to_list()}; got {metric!r}."
                )
            tables[name] = table[metric].set_axis(["value", "low", "high"], axis=1)
        estimates = pd.concat(tables, names=["model", "regime"])
        display = cls(estimates, metric, reference=reference, confidence=confidence)
        return display.plot(ax=ax, regime_labels=regime_labels)

    @classmethod
    def from_estimator(
        cls,
        estimator,
        X,
        *,
        train=None,
        y=None,
        cohort=None,
        exclude=None,
        metric="AUC",
        name=None,
        n_bootstrap=2000,
        random_state=0,
        confidence=0.95,
        regime_labels=None,
        ax=None,
        verbose=0,
    ):
        """Evaluate a fitted model and draw the result.

        Parameters
        ----------
        estimator : estimator, or Pipeline or search with one
            Fitted.
        X, train, y, cohort, exclude
            Held-out and training interactions; see `ranking_report`, which needs no `train` for a
            model that remembers its interactions.
        metric : str, default="AUC"
            `"AUC"`, `"NDCG@10"` or `"recall@10"`.
        name : str, default=None
            Of the model. None: its class.
        n_bootstrap, random_state, confidence
            As in `compare_reports`.
        regime_labels, ax
            As in :meth:`plot`.
        verbose : int, default=0
            Above 0: progress bars.

        Returns
        -------
        display : RegimeDisplay

        Raises
        ------
        NotFittedError, TypeError, ValueError
            As `ranking_report`, and for an unknown metric.
        ImportError
            Without matplotlib.
        """
        _require_matplotlib(cls)
        _check_option("metric", metric, ("AUC", "NDCG@10", "recall@10"))
        estimator = getattr(estimator, "best_estimator_", estimator)
        report = ranking_report(
            estimator,
            X,
            train=train,
            y=y,
            cohort=cohort,
            exclude=exclude,
            k=10,
            verbose=verbose,
        )
        name = type(_innermost(estimator)).__name__ if name is None else name
        return cls.from_reports(
            {name: report},
            metric=metric,
            n_bootstrap=n_bootstrap,
            random_state=random_state,
            confidence=confidence,
            regime_labels=regime_labels,
            ax=ax,
            verbose=verbose,
        )

    def plot(self, ax=None, *, regime_labels=None, legend=True):
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None: a new figure.
        regime_labels : dict of str to str, default=None
            What to call regimes, and in which order to draw them; those it does not name are left
            out. None: all of which there is an estimate, in the words of this package.
        legend : bool, default=True
            Whether to name the models.

        Returns
        -------
        display : RegimeDisplay
            Itself.

        Raises
        ------
        ValueError
            If `regime_labels` names an unknown regime.
        ImportError
            Without matplotlib.
        """
        known = self.estimates.index.unique(1)
        if regime_labels is None:
            there = set(self.estimates["value"].dropna().index.unique(1))
            labels = {regime: name for regime, name in _REGIME_LABELS.items() if regime in there}
        else:
            labels = regime_labels
        unknown = [regime for regime in labels if regime not in known]
        if unknown:
            raise ValueError(f"regime_labels must name {known.to_list()}; got {unknown[0]!r}.")
        models = self.estimates.index.unique(0)
        height = 1.6 + len(labels) * (0.45 + 0.18 * len(models))
        self.figure_, ax = _axes(self, ax, figsize=(6.4, height))
        self.ax_ = ax
        if self.reference is not None:
            ax.axvline(0, color="0.3", linewidth=1)
        step = min(0.28, 0.7 / len(models))
        for number, model in enumerate(models):
            rows = self.estimates.loc[model].reindex(list(labels))
            value, low, high = rows[["value", "low", "high"]].to_numpy(dtype=float).T
            ax.errorbar(
                value,
                np.arange(len(labels)) + step * (number - (len(models) - 1) / 2),
                xerr=np.maximum([value - low, high - value], 0),
                linestyle="none",
                color=_COLORS[number % len(_COLORS)],
                marker=_MARKERS[number % len(_MARKERS)],
                markersize=6,
                label=str(model),
            )
        ax.set_yticks(range(len(labels)), labels.values())
        ax.set_ylim(len(labels) - 0.5, -0.5)
        _plain(ax)
        ax.grid(axis="x", color="0.9")
        interval = f"with {100 * self.confidence:g}% intervals"
        if self.reference is None:
            ax.set_xlabel(f"{self.metric}, {interval}")
        else:
            ax.set_xlabel(f'{self.metric} minus that of "{self.reference}", {interval}')
            _signed(ax.xaxis)
        if legend:
            _legend_above(ax)
        return self


class LossDisplay:
    """The objective after each sweep.

    Make it by :meth:`from_estimator`. All parameters are stored as attributes.

    Parameters
    ----------
    loss_curve : array-like of shape (n_sweeps,)
        The objective after each sweep.
    first_sweep : int, default=1
        Number of the sweep that the first entry belongs to.
    name : str or None, default=None
        Of the model.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes last drawn on.
    figure_ : matplotlib Figure
        Its figure.

    Examples
    --------
    >>> import matplotlib; matplotlib.use("agg")
    >>> from sklearn_selreg import SelectiveLLMRegularizedMF
    >>> from sklearn_selreg.datasets import make_interactions
    >>> from sklearn_selreg.inspection import LossDisplay
    >>> X = make_interactions(200, 100, 2000, random_state=0).X[["user", "item"]]
    >>> model = SelectiveLLMRegularizedMF(compute_loss=True, random_state=0).fit(X)
    >>> display = LossDisplay.from_estimator(model, name="without judge")
    >>> display.ax_.get_xlabel()
    'sweep'

    Another model in the same picture:

    >>> other = SelectiveLLMRegularizedMF(factors=8, compute_loss=True, random_state=0).fit(X)
    >>> display = LossDisplay.from_estimator(other, name="8 factors", ax=display.ax_)
    """

    def __init__(self, loss_curve, *, first_sweep=1, name=None):
        self.loss_curve = loss_curve
        self.first_sweep = first_sweep
        self.name = name

    @classmethod
    def from_estimator(cls, estimator, *, name=None, ax=None, **line):
        """Draw the loss curve of a fitted model.

        Parameters
        ----------
        estimator : SelectiveLLMRegularizedMF, or Pipeline or search with one
            Fitted with `compute_loss=True`.
        name : str, default=None
            What to call the model in a legend. None: no legend.
        ax : matplotlib Axes, default=None
            Where to draw; None: a new figure.
        **line
            Settings of matplotlib's `plot`.

        Returns
        -------
        display : LossDisplay

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If it has no loss curve.
        ImportError
            Without matplotlib.
        """
        _require_matplotlib(cls)
        estimator = _innermost(estimator)
        check_is_fitted(estimator)
        curve = getattr(estimator, "loss_curve_", None)
        if curve is None or not len(curve):
            raise ValueError(
                f"This {type(estimator).__name__} has no loss curve: fit it with compute_loss=True."
            )
        first = getattr(estimator, "n_iter_", len(curve)) - len(curve) + 1
        return cls(list(curve), first_sweep=first, name=name).plot(ax=ax, **line)

    def plot(self, ax=None, **line):
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None: a new figure.
        **line
            Settings of matplotlib's `plot`.

        Returns
        -------
        display : LossDisplay
            Itself.

        Raises
        ------
        ImportError
            Without matplotlib.
        """
        self.figure_, ax = _axes(self, ax, figsize=(6.4, 4.0))
        self.ax_ = ax
        number = len(ax.lines)
        style = {
            "color": _COLORS[number % len(_COLORS)],
            "marker": _MARKERS[number % len(_MARKERS)],
            "markersize": 5,
            "label": self.name,
        }
        sweeps = self.first_sweep + np.arange(len(self.loss_curve))
        ax.plot(sweeps, self.loss_curve, **(style | line))
        from matplotlib.ticker import MaxNLocator

        ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        ax.ticklabel_format(axis="y", scilimits=(-3, 4), useMathText=True, useOffset=False)
        _plain(ax)
        ax.grid(color="0.9")
        ax.set(xlabel="sweep", ylabel="objective (lower is better)")
        if self.name is not None:
            ax.legend(frameon=False)
        return self


# What is drawn


def _innermost(estimator):
    """Return the last step of the best estimator."""
    estimator = getattr(estimator, "best_estimator_", estimator)
    return estimator[-1] if isinstance(estimator, Pipeline) else estimator


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


def _check_option(name, value, options):
    if value not in options:
        raise ValueError(f"{name} must be one of {list(options)}; got {value!r}.")


# How it is drawn


def _require_matplotlib(display):
    """Raise ImportError, saying what to install, if there is no matplotlib."""
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        name = display.__name__ if isinstance(display, type) else type(display).__name__
        raise ImportError(
            f"{name} needs matplotlib; install it by: pip install matplotlib"
        ) from error


def _axes(display, ax, figsize):
    """Return the figure and the axes to draw on."""
    _require_matplotlib(display)
    if ax is not None:
        return ax.figure, ax
    import matplotlib.pyplot as plt

    return plt.subplots(figsize=figsize, layout="constrained")


def _plain(ax):
    """Take away what is not needed."""
    ax.set_axisbelow(True)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)


def _percent(axis):
    from matplotlib.ticker import MaxNLocator, PercentFormatter

    axis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    axis.set_major_formatter(PercentFormatter(1, decimals=0))


def _signed(axis):
    from matplotlib.ticker import MaxNLocator

    axis.set_major_locator(MaxNLocator(7, steps=[1, 2, 5, 10]))
    axis.set_major_formatter(lambda x, _: f"{x:+.3g}".replace("0.", ".", 1) if x else "0")


def _legend_above(ax):
    """Put the legend above the axes, in as many columns as have room there."""
    handles, names = ax.get_legend_handles_labels()
    widest = max(map(len, names)) + 6
    ax.legend(
        handles,
        names,
        loc="lower left",
        bbox_to_anchor=(0, 1),
        ncols=max(1, min(len(names), 60 // widest)),
        frameon=False,
        borderaxespad=0.3,
        handletextpad=0.4,
    )
