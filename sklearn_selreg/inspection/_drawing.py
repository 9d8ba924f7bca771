"""Helpers shared by all displays."""

from sklearn.pipeline import Pipeline

# Okabe and Ito's color-blind safe palette, and markers that are distinguishable in print.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = "osD^vPX"


def innermost(estimator):
    """Return the estimator inside a search or Pipeline."""
    estimator = getattr(estimator, "best_estimator_", estimator)
    return estimator[-1] if isinstance(estimator, Pipeline) else estimator


def check_option(name, value, options):
    if value not in options:
        raise ValueError(f"{name} must be one of {list(options)}; got {value!r}.")


def require_matplotlib(display):
    """Raise an ImportError with installation instructions if matplotlib is missing."""
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        name = display.__name__ if isinstance(display, type) else type(display).__name__
        raise ImportError(
            f"{name} requires matplotlib. Install it with: pip install matplotlib"
        ) from error


def make_axes(display, ax, figsize):
    """Return the figure and the axes to draw on."""
    require_matplotlib(display)
    if ax is not None:
        return ax.figure, ax
    import matplotlib.pyplot as plt

    return plt.subplots(figsize=figsize, layout="constrained")


def plain_axes(ax):
    """Remove ticks and spines."""
    ax.set_axisbelow(True)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)


def percent_axis(axis):
    from matplotlib.ticker import MaxNLocator, PercentFormatter

    axis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    axis.set_major_formatter(PercentFormatter(1, decimals=0))


def signed_axis(axis):
    from matplotlib.ticker import MaxNLocator

    axis.set_major_locator(MaxNLocator(7, steps=[1, 2, 5, 10]))
    axis.set_major_formatter(lambda x, _: f"{x:+.3g}".replace("0.", ".", 1) if x else "0")


def legend_above(ax):
    """Put the legend above the axes, in as many columns as fit."""
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
