"""Plot of the objective after each sweep."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from ._drawing import COLORS, MARKERS, innermost, make_axes, plain_axes, require_matplotlib


class LossDisplay:
    """Plot of the objective after each sweep.

    Create it with :meth:`from_estimator`. All parameters are stored as attributes.

    Parameters
    ----------
    loss_curve : array-like of shape (n_sweeps,)
        Objective after each sweep.
    first_sweep : int, default=1
        Sweep number of the first entry.
    name : str or None, default=None
        Name of the model.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes of the last plot.
    figure_ : matplotlib Figure
        Figure of the last plot.

    Examples
    --------
    >>> import matplotlib; matplotlib.use("agg")
    >>> from sklearn_selreg import ALS, SelectiveLLMRegularizedMF
    >>> from sklearn_selreg.datasets import make_interactions
    >>> from sklearn_selreg.inspection import LossDisplay
    >>> X = make_interactions(200, 100, 2000, random_state=0).X[["user", "item"]]
    >>> settings = {"backbone": ALS(compute_loss=True), "random_state": 0}
    >>> model = SelectiveLLMRegularizedMF(**settings).fit(X)
    >>> display = LossDisplay.from_estimator(model, name="without judge")
    >>> display.ax_.get_xlabel()
    'sweep'

    Another model in the same axes:

    >>> other = SelectiveLLMRegularizedMF(factors=8, **settings).fit(X)
    >>> display = LossDisplay.from_estimator(other, name="8 factors", ax=display.ax_)
    """

    def __init__(
        self, loss_curve: Sequence[float], *, first_sweep: int = 1, name: str | None = None
    ):
        self.loss_curve = loss_curve
        self.first_sweep = first_sweep
        self.name = name

    @classmethod
    def from_estimator(
        cls, estimator: Any, *, name: str | None = None, ax: Any = None, **line: Any
    ) -> "LossDisplay":
        """Plot the loss curve of a fitted model.

        Parameters
        ----------
        estimator : SelectiveLLMRegularizedMF, or Pipeline or search with one
            Fitted with `compute_loss=True` in its backbone, e.g. `ALS(compute_loss=True)`.
        name : str, default=None
            Name of the model in the legend. If None, there is no legend.
        ax : matplotlib Axes, default=None
            Axes to plot on. If None, a new figure is created.
        **line : dict
            Keyword arguments of matplotlib's `plot`.

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
            If matplotlib is not installed.
        """
        require_matplotlib(cls)
        estimator = innermost(estimator)
        check_is_fitted(estimator)
        curve = getattr(estimator, "loss_curve_", None)
        if curve is None or not len(curve):
            raise ValueError(
                f"This {type(estimator).__name__} has no loss curve. Fit it with compute_loss=True "
                "in its backbone, e.g. backbone=ALS(compute_loss=True)."
            )
        first = getattr(estimator, "n_iter_", len(curve)) - len(curve) + 1
        return cls(list(curve), first_sweep=first, name=name).plot(ax=ax, **line)

    def plot(self, ax: Any = None, **line: Any) -> "LossDisplay":
        """Plot the loss curve.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to plot on. If None, a new figure is created.
        **line : dict
            Keyword arguments of matplotlib's `plot`.

        Returns
        -------
        display : LossDisplay
            This instance.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        self.figure_, ax = make_axes(self, ax, figsize=(6.4, 4.0))
        self.ax_ = ax
        number = len(ax.lines)
        style = {
            "color": COLORS[number % len(COLORS)],
            "marker": MARKERS[number % len(MARKERS)],
            "markersize": 5,
            "label": self.name,
        }
        sweeps = self.first_sweep + np.arange(len(self.loss_curve))
        ax.plot(sweeps, self.loss_curve, **(style | line))
        from matplotlib.ticker import MaxNLocator

        ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        ax.ticklabel_format(axis="y", scilimits=(-3, 4), useMathText=True, useOffset=False)
        plain_axes(ax)
        ax.grid(color="0.9")
        ax.set(xlabel="sweep", ylabel="objective (lower is better)")
        if self.name is not None:
            ax.legend(frameon=False)
        return self
