"""Paired comparison of two reports."""

import numpy as np
import pandas as pd

from .._data._ids import encode
from .._utils._params import name_kind
from .._utils._warn import warn
from ._averages import make_table, regime_means, report_sums, shared_metrics
from ._bootstrap import bootstrap, check_bootstrap
from ._regimes import regime_names
from ._report import RankingReport


def compare_reports(
    a: RankingReport,
    b: RankingReport,
    *,
    n_bootstrap: int = 2000,
    random_state: int | np.random.RandomState | None = 0,
    confidence_level: float = 0.95,
    verbose: int = 0,
) -> pd.DataFrame:
    """Bootstrap the differences between two reports on the same held-out interactions.

    Parameters
    ----------
    a, b : RankingReport
        Reports returned by `ranking_report` for the same `X`, `train`, `cohort`, segments and `k`.
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
    differences : DataFrame of shape (n_regimes, 3 * n_metrics)
        Rows as in the reports; columns (metric, `difference` | `low` | `high`): the metric of `a`
        minus that of `b`, with its percentile interval, for all metrics in both reports except
        coverage and Gini index. NaN for an empty regime.

    Raises
    ------
    TypeError
        If `a` or `b` does not come from `ranking_report`.
    ValueError
        If the reports differ in `k`, in their held-out interactions or in the regimes of these.

    Warns
    -----
    DataWarning
        If the reports rank different catalogs.

    See Also
    --------
    report_intervals : Intervals of one report.
    users_needed : Number of users needed to detect a difference.

    Notes
    -----
    The bootstrap is paired: each resample draws users with replacement and uses the results of both
    models for them. AUC, an average over interactions, uses all interactions of the drawn users.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_selreg.metrics import compare_reports, ranking_report
    >>> rng = np.random.default_rng(0)
    >>> train, held_out = rng.integers(40, size=(200, 2)), rng.integers(40, size=(100, 2))
    >>> def report(scores):
    ...     tiled = lambda users: np.tile(scores, (len(users), 1))
    ...     return ranking_report(tiled, held_out, train=train, items=np.arange(40))
    >>> up, down = report(np.arange(40.0)), report(-np.arange(40.0))
    >>> compare_reports(up, down).loc["overall", "AUC"].index.to_list()
    ['difference', 'low', 'high']
    """
    check_bootstrap(n_bootstrap, confidence_level)
    check_comparable(a, b)
    metrics = shared_metrics(a, b)
    sums_a, sums_b = report_sums(a, metrics), report_sums(b, metrics)

    def difference(weights=None):
        return regime_means(sums_a, weights) - regime_means(sums_b, weights)

    values = bootstrap(
        difference, len(sums_a), n_bootstrap, random_state, confidence_level, verbose
    )
    return make_table(values, a, metrics, "difference", "low", "high")


def check_comparable(a, b):
    """Raise unless both reports have the same interactions, regimes and cutoff."""
    for name, report in (("a", a), ("b", b)):
        if getattr(report, "details", None) is None:
            raise TypeError(f"{name} must come from ranking_report; got {name_kind(report)}.")
    if a.k != b.k:
        raise ValueError(f"The reports must have the same cutoff k; got k={a.k} and k={b.k}.")
    same = ["user", "item", *regime_names(a.details)[1:]]
    if regime_names(a.details) != regime_names(b.details) or not np.array_equal(
        a.details[same].to_numpy(), b.details[same].to_numpy()
    ):
        sizes = " and ".join(
            f"{len(r.details)} interactions of {r.details['user'].nunique()} users" for r in (a, b)
        )
        hint = ""
        if len(a.details) != len(b.details):
            hint = (
                ' A model with negatives="net" drops pairs that were returned: for other reports, '
                "sum the strengths per user and item, in X and train, and drop sums <= 0."
            )
        raise ValueError(
            "The reports must be on the same held-out interactions and regimes (the same X, "
            f"train, cohort and segments); got {sizes}.{hint}"
        )
    warn_of_other_catalog(a, b)


def warn_of_other_catalog(a, b):
    """Warn if two reports rank different items: ranks are higher in a smaller catalog."""
    catalogs = [getattr(report, "catalog", None) for report in (a, b)]
    if any(catalog is None for catalog in catalogs):
        return
    n_missing = [np.sum(encode(*pair) < 0) for pair in (catalogs, catalogs[::-1])]
    if any(n_missing):
        warn(
            f"The reports rank different catalogs of {len(catalogs[0])} and {len(catalogs[1])} "
            f"items, of which {n_missing[1]} and {n_missing[0]} are in only one of them, so their "
            "difference partly reflects the catalogs. Pass the same items= to ranking_report, e.g. "
            "the union."
        )
