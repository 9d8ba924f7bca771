"""Number of users that a comparison needs."""

from numbers import Real

import numpy as np
import pandas as pd
from scipy import stats

from .._utils._sklearn import InvalidParameterError
from ._averages import make_table, regime_means, report_sums, shared_metrics
from ._comparison import check_comparable
from ._report import RankingReport


def users_needed(
    a: RankingReport,
    b: RankingReport,
    difference: float = 0.005,
    *,
    confidence_level: float = 0.95,
    power: float = 0.8,
) -> pd.DataFrame:
    r"""Estimate how many users are needed to detect a difference between two models.

    A difference that is not detected with these users may still exist. Compute the reports on users
    for whom the models can differ (e.g. those whom a judge was asked about): if most users get the
    same ranking, the difference and its spread are both close to 0.

    Parameters
    ----------
    a, b : RankingReport
        Reports returned by `ranking_report` for the same `X`, `train`, `cohort`, segments and `k`.
    difference : float > 0, default=0.005
        Difference in a metric to detect.
    confidence_level : float in (0, 1), default=0.95
        Level of the two-sided interval that should exclude 0.
    power : float in (0, 1), default=0.8
        Probability of detecting the difference if it exists.

    Returns
    -------
    table : DataFrame of shape (n_regimes, 3 * n_metrics)
        Rows as in the reports; columns (metric, `error` | `users` | `needed`): the standard error
        of the paired difference `a` minus `b`; the number of users; and how many such users are
        needed (NaN if all of them get the same ranking). NaN for a regime with fewer than 2 users.

    Raises
    ------
    TypeError
        If `a` or `b` does not come from `ranking_report`.
    ValueError
        If `difference`, `confidence_level` or `power` is out of range; if the reports differ in
        `k`, in their held-out interactions or in the regimes of these.

    Warns
    -----
    DataWarning
        If the reports rank different catalogs.

    See Also
    --------
    compare_reports : The observed difference, with an interval.

    Notes
    -----
    With the standard deviation :math:`s` of the users' differences and quantiles :math:`z` of the
    normal distribution, :math:`n = ((z_{(1 + level) / 2} + z_{power})\, s / difference)^2`. With
    the defaults, the sum of the quantiles is 2.8.

    Since AUC is an average over interactions, users are weighted by their number of interactions:
    :math:`s` is the standard deviation of their first-order influence on the average.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_selreg.metrics import ranking_report, users_needed
    >>> rng = np.random.default_rng(0)
    >>> held_out = np.column_stack([np.arange(500), rng.integers(20, size=500)])
    >>> train = [[0, 0], [1, 1]]
    >>> def report(scores):
    ...     return ranking_report(
    ...         lambda users: scores[users], held_out, train=train, items=np.arange(20)
    ...     )
    >>> scores = rng.random((500, 20))
    >>> a, b = report(scores), report(scores + 0.1 * rng.random((500, 20)))
    >>> table = users_needed(a, b, 0.01)
    >>> table["NDCG@10"].loc["overall", ["users", "needed"]].to_list()
    [500.0, 570.0]
    """
    for name, value, upper in (
        ("difference", difference, np.inf),
        ("confidence_level", confidence_level, 1),
        ("power", power, 1),
    ):
        if not isinstance(value, Real) or not 0 < value < upper:
            above = "above 0" if upper == np.inf else "between 0 and 1"
            raise InvalidParameterError(f"{name} must be a number {above}; got {value!r}.")
    check_comparable(a, b)
    metrics = shared_metrics(a, b)
    sums = [report_sums(report, metrics) for report in (a, b)]
    n_users = np.count_nonzero(sums[0][:, 1], axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):  # regimes with at most one user
        influence = np.subtract(*(_influence(part) for part in sums))
        deviation = np.sqrt(np.sum(influence**2, axis=0) / (n_users - 1))
    deviation[n_users < 2] = np.nan
    error = deviation / np.sqrt(np.maximum(n_users, 1))
    quantiles = stats.norm.ppf((1 + confidence_level) / 2) + stats.norm.ppf(power)
    needed = np.ceil((quantiles * deviation / difference) ** 2)
    needed[needed == 0] = np.nan  # all users get the same ranking
    values = np.stack([error, np.where(n_users < 2, np.nan, n_users), needed], axis=-1)
    return make_table(values, a, metrics, "error", "users", "needed")


def _influence(sums):
    """Return each user's first-order influence on the metrics, times their number of users."""
    counted = sums[:, 1]
    scale = np.count_nonzero(counted, axis=0) / counted.sum(axis=0)
    return (sums[:, 0] - regime_means(sums) * counted) * scale
