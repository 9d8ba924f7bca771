"""Bootstrap over users, and bootstrap intervals of a report."""

from numbers import Real

import numpy as np
import pandas as pd
from sklearn.utils import check_random_state

from .._utils._params import check_integer, name_kind
from .._utils._progress import tracked
from .._utils._sklearn import InvalidParameterError
from ._averages import make_table, regime_means, report_sums, shared_metrics
from ._report import RankingReport

_WEIGHTS_PER_CHUNK = 2**23  # 64 MB of float64


def report_intervals(
    report: RankingReport,
    *,
    n_bootstrap: int = 2000,
    random_state: int | np.random.RandomState | None = 0,
    confidence_level: float = 0.95,
    verbose: int = 0,
) -> pd.DataFrame:
    """Bootstrap confidence intervals of the metrics of a report.

    To compare two models use :func:`compare_reports`: their intervals may overlap even if the
    difference is clear.

    Parameters
    ----------
    report : RankingReport
        Report returned by :func:`ranking_report`.
    n_bootstrap : int, default=2000
        Number of resamples.
    random_state : int, RandomState instance or None, default=0
        Random state of the resampling.
    confidence_level : float in (0, 1), default=0.95
        Coverage of the intervals.
    verbose : int, default=0
        If positive, show a progress bar over the resamples.

    Returns
    -------
    intervals : DataFrame of shape (n_regimes, 3 * n_metrics)
        Rows as in the report; columns (metric, `value` | `low` | `high`): the metric and its
        percentile interval. NaN for an empty regime. Coverage and Gini index are omitted: they
        depend on the number of distinct users, which is smaller in a resample.

    Raises
    ------
    TypeError
        If `report` does not come from `ranking_report`.
    ValueError
        If `n_bootstrap` or `confidence_level` is out of range.

    See Also
    --------
    compare_reports : Intervals of the differences between two reports.

    Notes
    -----
    Each resample draws users with replacement. AUC, an average over interactions, uses all
    interactions of the drawn users.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_selreg.metrics import ranking_report, report_intervals
    >>> rng = np.random.default_rng(0)
    >>> train, held_out = rng.integers(40, size=(200, 2)), rng.integers(40, size=(100, 2))
    >>> report = ranking_report("popularity", held_out, train=train, items=np.arange(40))
    >>> value, low, high = report_intervals(report).loc["overall", "AUC"]
    >>> bool(low < value < high)
    True
    """
    if getattr(report, "details", None) is None:
        raise TypeError(f"report must come from ranking_report; got {name_kind(report)}.")
    check_bootstrap(n_bootstrap, confidence_level)
    metrics = shared_metrics(report)
    sums = report_sums(report, metrics)

    def mean(weights=None):
        return regime_means(sums, weights)

    values = bootstrap(mean, len(sums), n_bootstrap, random_state, confidence_level, verbose)
    return make_table(values, report, metrics, "value", "low", "high")


def check_bootstrap(n_bootstrap, confidence_level):
    """Check the arguments of a bootstrap."""
    check_integer("n_bootstrap", n_bootstrap, 1)
    if not isinstance(confidence_level, Real) or not 0 < confidence_level < 1:
        raise InvalidParameterError(
            f"confidence_level must be a number between 0 and 1; got {confidence_level!r}."
        )


def bootstrap(statistic, n_users, n_bootstrap, random_state, confidence_level, verbose=0):
    """Compute a statistic over users and its percentile interval.

    Parameters
    ----------
    statistic : callable
        Maps integer user weights (n_weights, n_users) to (n_weights, n_regimes, n_metrics). Without
        an argument, it returns (n_regimes, n_metrics).

    Returns
    -------
    float64 array of shape (n_regimes, n_metrics, 3)
        The statistic, and the lower and upper end of the interval.
    """
    random_state = check_random_state(random_state)
    chunk = max(1, _WEIGHTS_PER_CHUNK // n_users)
    resampled = []
    starts = range(0, n_bootstrap, chunk)
    for start in tracked(starts, "resamples", verbose=verbose):
        size = min(chunk, n_bootstrap - start)
        weights = random_state.multinomial(n_users, np.full(n_users, 1 / n_users), size=size)
        resampled.append(statistic(weights))
    resampled = np.concatenate(resampled)
    value = statistic()
    low, high = np.full((2, *value.shape), np.nan)
    # Resamples without users of a small regime give NaN there, which is ignored.
    has_value = np.isfinite(resampled).any(axis=0)
    tails = [(1 - confidence_level) / 2, (1 + confidence_level) / 2]
    low[has_value], high[has_value] = np.nanquantile(resampled[:, has_value], tails, axis=0)
    return np.stack([value, low, high], axis=-1)
