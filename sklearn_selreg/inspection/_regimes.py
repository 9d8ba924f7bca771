"""Plot of the metrics of several models by regime."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from .._utils._params import name_kind
from ..metrics._bootstrap import report_intervals
from ..metrics._comparison import compare_reports, warn_of_other_catalog
from ..metrics._metrics import parse_column
from ..metrics._report import RankingReport, ranking_report
from ._drawing import (
    COLORS,
    MARKERS,
    innermost,
    legend_above,
    make_axes,
    plain_axes,
    require_matplotlib,
    signed_axis,
)

_REGIME_LABELS = {
    "overall": "all",
    "warm": "warm users",
    "cold": "cold users",
    "tail": "rare items\n(3 users or fewer)",
    "new": "new items\n(no user)",
}


class RegimeDisplay:
    """Plot of metrics with intervals, by kind of user and item, for one or more models.

    Create it with :meth:`from_reports` or :meth:`from_estimator`. All parameters are stored as
    attributes.

    Parameters
    ----------
    estimates : DataFrame of shape (n_models * n_regimes, 3), columns `value`, `low`, `high`
        The index holds the names of model and regime.
    metric : str
        Column of a report, e.g. `"AUC"` or `"NDCG@10"`.
    reference : str or None, default=None
        Model from which `estimates` are differences. If None, they are the metrics themselves.
    confidence_level : float, default=0.95
        Coverage of the intervals.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes of the last plot.
    figure_ : matplotlib Figure
        Figure of the last plot.

    See Also
    --------
    sklearn_selreg.metrics.ranking_report : Computes the reports.
    sklearn_selreg.metrics.compare_reports : Differences as a table.

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

    def __init__(
        self,
        estimates: pd.DataFrame,
        metric: str,
        *,
        reference: str | None = None,
        confidence_level: float = 0.95,
    ):
        self.estimates = estimates
        self.metric = metric
        self.reference = reference
        self.confidence_level = confidence_level

    @classmethod
    def from_reports(
        cls,
        reports: RankingReport | Mapping[str, RankingReport],
        *,
        metric: str = "AUC",
        reference: str | None = None,
        n_bootstrap: int = 2000,
        random_state: int | np.random.RandomState | None = 0,
        confidence_level: float = 0.95,
        regime_labels: Mapping[str, str] | None = None,
        ax: Any = None,
        verbose: int = 0,
    ) -> "RegimeDisplay":
        """Plot the reports of several models side by side.

        Parameters
        ----------
        reports : dict of str to RankingReport, or RankingReport
            Mapping from model names to reports, or a single report.
        metric : str, default="AUC"
            Column of the reports, except for coverage and Gini, which have no intervals.
        reference : str, default=None
            Name of a model. If given, plot the differences of the other models from it, with paired
            intervals, which show whether one is better. If None, plot the metrics themselves.
        n_bootstrap, random_state, confidence_level
            As in `compare_reports`.
        regime_labels, ax
            As in :meth:`plot`.
        verbose : int, default=0
            If positive, show progress bars.

        Returns
        -------
        display : RegimeDisplay

        Raises
        ------
        TypeError
            If a report does not come from `ranking_report`.
        ValueError
            If `metric` or `reference` is unknown, if there is no report, or if reports are not
            comparable.
        ImportError
            If matplotlib is not installed.
        """
        require_matplotlib(cls)
        reports = _check_reports(reports, reference)
        bootstrap = {
            "n_bootstrap": n_bootstrap,
            "random_state": random_state,
            "confidence_level": confidence_level,
            "verbose": verbose,
        }
        estimates = _estimate(reports, metric, reference, bootstrap)
        display = cls(estimates, metric, reference=reference, confidence_level=confidence_level)
        return display.plot(ax=ax, regime_labels=regime_labels)

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: ArrayLike | None = None,
        *,
        train: Any = None,
        cohort: pd.Series | Mapping | None = None,
        exclude: Any = None,
        user_segments: pd.Series | Mapping | None = None,
        item_segments: pd.Series | Mapping | None = None,
        metric: str = "AUC",
        name: str | None = None,
        n_bootstrap: int = 2000,
        random_state: int | np.random.RandomState | None = 0,
        confidence_level: float = 0.95,
        regime_labels: Mapping[str, str] | None = None,
        ax: Any = None,
        verbose: int = 0,
    ) -> "RegimeDisplay":
        """Evaluate a fitted model and plot the result.

        Parameters
        ----------
        estimator : estimator, or Pipeline or search with one
            Fitted model.
        X, y, train, cohort, exclude, user_segments, item_segments
            Held-out and training interactions as in `ranking_report`, which does not need `train`
            if the model keeps its interactions. Segments are additional regimes.
        metric : str, default="AUC"
            Metric of `ranking_report` with any cutoff, e.g. `"NDCG@10"` or `"MRR@5"`.
        name : str, default=None
            Name of the model. If None, its class.
        n_bootstrap, random_state, confidence_level
            As in `compare_reports`.
        regime_labels, ax
            As in :meth:`plot`.
        verbose : int, default=0
            If positive, show progress bars.

        Returns
        -------
        display : RegimeDisplay

        Raises
        ------
        NotFittedError, TypeError, ValueError
            As in `ranking_report`; if `metric` is unknown.
        ImportError
            If matplotlib is not installed.
        """
        require_matplotlib(cls)
        measure, k = parse_column(metric)
        estimator = getattr(estimator, "best_estimator_", estimator)
        report = ranking_report(
            estimator,
            X,
            train=train,
            y=y,
            cohort=cohort,
            exclude=exclude,
            k=10 if k is None else k,
            metrics=(measure,),
            user_segments=user_segments,
            item_segments=item_segments,
            verbose=verbose,
        )
        name = type(innermost(estimator)).__name__ if name is None else name
        return cls.from_reports(
            {name: report},
            metric=metric,
            n_bootstrap=n_bootstrap,
            random_state=random_state,
            confidence_level=confidence_level,
            regime_labels=regime_labels,
            ax=ax,
            verbose=verbose,
        )

    def plot(
        self,
        ax: Any = None,
        *,
        regime_labels: Mapping[str, str] | None = None,
        legend: bool = True,
    ) -> "RegimeDisplay":
        """Plot the estimates.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to plot on. If None, a new figure is created.
        regime_labels : dict of str to str, default=None
            Labels of the regimes, in plotting order; other regimes are omitted. If None, all
            regimes with an estimate, with default labels.
        legend : bool, default=True
            Whether to show the names of the models.

        Returns
        -------
        display : RegimeDisplay
            This instance.

        Raises
        ------
        ValueError
            If `regime_labels` contains an unknown regime.
        ImportError
            If matplotlib is not installed.
        """
        labels = self._regime_labels(regime_labels)
        models = self.estimates.index.unique(0)
        height = 1.6 + len(labels) * (0.45 + 0.18 * len(models))
        self.figure_, ax = make_axes(self, ax, figsize=(6.4, height))
        self.ax_ = ax
        if self.reference is not None:
            ax.axvline(0, color="0.3", linewidth=1)
        step = min(0.28, 0.7 / len(models))
        for number, model in enumerate(models):
            offset = step * (number - (len(models) - 1) / 2)
            self._draw_model(model, list(labels), number, offset)
        ax.set_yticks(range(len(labels)), labels.values())
        ax.set_ylim(len(labels) - 0.5, -0.5)
        plain_axes(ax)
        ax.grid(axis="x", color="0.9")
        interval = f"with {100 * self.confidence_level:g}% intervals"
        if self.reference is None:
            ax.set_xlabel(f"{self.metric}, {interval}")
        else:
            ax.set_xlabel(f'{self.metric} minus that of "{self.reference}", {interval}')
            signed_axis(ax.xaxis)
        if legend:
            legend_above(ax)
        return self

    def _regime_labels(self, labels):
        """Return the labels of the regimes to plot."""
        if labels is None:
            estimated = self.estimates["value"].dropna().index.unique(1)
            segments = {name: name for name in estimated if name not in _REGIME_LABELS}
            names = _REGIME_LABELS | segments
            return {regime: name for regime, name in names.items() if regime in estimated}
        known = self.estimates.index.unique(1)
        unknown = [regime for regime in labels if regime not in known]
        if unknown:
            raise ValueError(
                f"regime_labels must only contain {known.to_list()}; got {unknown[0]!r}."
            )
        return labels

    def _draw_model(self, model, regimes, number, offset):
        """Plot the estimates of a model, `offset` below the center of each regime."""
        rows = self.estimates.loc[model].reindex(regimes)
        value, low, high = rows[["value", "low", "high"]].to_numpy(dtype=float).T
        self.ax_.errorbar(
            value,
            np.arange(len(regimes)) + offset,
            xerr=np.maximum([value - low, high - value], 0),
            linestyle="none",
            color=COLORS[number % len(COLORS)],
            marker=MARKERS[number % len(MARKERS)],
            markersize=6,
            label=str(model),
        )


def _check_reports(reports, reference):
    """Return the reports as a dict; raise if there is nothing to plot."""
    if isinstance(reports, RankingReport):
        reports = {"model": reports}
    if not isinstance(reports, dict):
        raise TypeError(
            f"reports must be a RankingReport or a dict of these; got {name_kind(reports)}."
        )
    if reference is not None and reference not in reports:
        raise ValueError(f"reference must be one of the models {list(reports)}; got {reference!r}.")
    if not set(reports) - {reference}:
        least = "at least one" if reference is None else "at least one besides the reference"
        raise ValueError(f"reports must contain {least}; got none.")
    return reports


def _estimate(reports, metric, reference, bootstrap):
    """Bootstrap a metric of each model, or its difference from the reference."""
    others = {name: report for name, report in reports.items() if name != reference}
    tables, first = {}, next(iter(others.values()))
    for name, report in others.items():
        if reference is None:
            table = report_intervals(report, **bootstrap)
            warn_of_other_catalog(report, first)
        else:
            table = compare_reports(report, reports[reference], **bootstrap)
        if metric not in table.columns.unique(0):
            raise ValueError(
                f"metric must be one of {table.columns.unique(0).to_list()}; got {metric!r}."
            )
        tables[name] = table[metric].set_axis(["value", "low", "high"], axis=1)
    return pd.concat(tables, names=["model", "regime"])
