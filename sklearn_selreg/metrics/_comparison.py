"""Paired differences of reports, and intervals by the bootstrap over users."""

from numbers import Real

import numpy as np
from scipy import stats
from sklearn.utils import check_random_state

from .._utils._params import check_integer, name_kind
from .._utils._progress import tqdm
from .._utils._sklearn import InvalidParameterError
from ._models import warn_of_other_catalog
from ._report import REGIMES, make_table, regime_means, user_sums

_WEIGHTS_PER_CHUNK = 2**23  # 64 MB of float64


def compare_reports(a, b, *, n_bootstrap=2000, random_state=0, confidence=0.95, verbose=0):
    """Bootstrap the differences of two reports on the same held-out interactions.

    Parameters
    ----------
    a, b : RankingReport
        Reports of `ranking_report` on the same `X`, `train`, `cohort` and `k`.
    n_bootstrap : int, default=2000
        Number of resamples.
    random_state : int, RandomState instance or None, default=0
        Source of the resamples.
    confidence : float in (0, 1), default=0.95
        Coverage of the intervals.
    verbose : int, default=0
        Above 0: a progress bar over the resamples.

    Returns
    -------
    DataFrame of shape (5, 9)
        One row a regime; columns (metric, `difference` | `low` | `high`): the metric of `a` minus
        that of `b`, and its percentile interval. NaN for an empty regime.

    Raises
    ------
    TypeError
        If `a` or `b` does not come from `ranking_report`.
    ValueError
        If the reports differ in k, in their held-out interactions or in the regimes of these.

    Warns
    -----
    DataWarning
        If they rank different catalogs.

    See Also
    --------
    users_needed : How many users it takes to see a difference.

    Notes
    -----
    The bootstrap is paired: a resample draws users with replacement and takes both models' results
    on them. AUC, an average over interactions, takes all interactions of the users drawn.

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
    _check_bootstrap(n_bootstrap, confidence)
    _check_comparable(a, b)
    sums_a, sums_b = user_sums(a.details, a.k), user_sums(b.details, b.k)

    def difference(weights=None):
        return regime_means(sums_a, weights) - regime_means(sums_b, weights)

    values = _bootstrap(difference, len(sums_a), n_bootstrap, random_state, confidence, verbose)
    return make_table(values, a.k, "difference", "low", "high")


def users_needed(a, b, difference=0.005, *, confidence=0.95, power=0.8):
    r"""Tell how many users it takes to see a difference between two models.

    What cannot be seen with the users there are is no proof that nothing is there. Make the reports
    of users for whom the models can differ, such as those a judge was asked about: where most users
    are ranked alike, both the difference and its spread are close to 0.

    Parameters
    ----------
    a, b : RankingReport
        Reports of `ranking_report` on the same `X`, `train`, `cohort` and `k`.
    difference : float > 0, default=0.005
        Of a metric; what should be seen if it is there.
    confidence : float in (0, 1), default=0.95
        Of the two-sided interval that is to exclude 0.
    power : float in (0, 1), default=0.8
        Probability of seeing the difference if it is there.

    Returns
    -------
    DataFrame of shape (5, 9)
        One row a regime; columns (metric, `error` | `users` | `needed`): the standard error of the
        paired difference `a` minus `b`; the number of users it is of; and how many such users it
        takes (NaN if none of them is ranked differently). NaN for a regime of fewer than two users.

    Raises
    ------
    TypeError
        If `a` or `b` does not come from `ranking_report`.
    ValueError
        If `difference`, `confidence` or `power` is out of range, or if the reports differ in k, in
        their held-out interactions or in the regimes of these.

    Warns
    -----
    DataWarning
        If they rank different catalogs.

    See Also
    --------
    compare_reports : The difference there is, with an interval.

    Notes
    -----
    With the standard deviation :math:`s` of the users' differences, and quantiles :math:`z` of the
    normal distribution, :math:`n = ((z_{(1 + confidence) / 2} + z_{power})\, s / difference)^2`. By
    default the sum of the quantiles is 2.8.

    AUC is an average over interactions, so a user counts by the number of them: :math:`s` is that
    of the first-order change of the average that a user makes.

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
        ("confidence", confidence, 1),
        ("power", power, 1),
    ):
        if not isinstance(value, Real) or not 0 < value < upper:
            above = "above 0" if upper == np.inf else "between 0 and 1"
            raise InvalidParameterError(f"{name} must be a number {above}; got {value!r}.")
    _check_comparable(a, b)
    sums = [user_sums(report.details, report.k) for report in (a, b)]
    n_users = np.count_nonzero(sums[0][:, 1], axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):  # regimes of one user, or none
        change = np.subtract(*(_influence(part) for part in sums))
        deviation = np.sqrt(np.sum(change**2, axis=0) / (n_users - 1))
    deviation[n_users < 2] = np.nan
    error = deviation / np.sqrt(np.maximum(n_users, 1))
    quantiles = stats.norm.ppf((1 + confidence) / 2) + stats.norm.ppf(power)
    needed = np.ceil((quantiles * deviation / difference) ** 2)
    needed[needed == 0] = np.nan  # nobody is ranked differently: no telling
    values = np.stack([error, np.where(n_users < 2, np.nan, n_users), needed], axis=-1)
    return make_table(values, a.k, "error", "users", "needed")


def report_intervals(report, *, n_bootstrap=2000, random_state=0, confidence=0.95, verbose=0):
    """Bootstrap a report over users.

    Parameters and errors are those of `compare_reports`.

    Returns
    -------
    DataFrame of shape (5, 9)
        One row a regime; columns (metric, `value` | `low` | `high`).
    """
    if getattr(report, "details", None) is None:
        raise TypeError(f"report must be one of ranking_report; got {name_kind(report)}.")
    _check_bootstrap(n_bootstrap, confidence)
    sums = user_sums(report.details, report.k)

    def mean(weights=None):
        return regime_means(sums, weights)

    values = _bootstrap(mean, len(sums), n_bootstrap, random_state, confidence, verbose)
    return make_table(values, report.k, "value", "low", "high")


def _check_bootstrap(n_bootstrap, confidence):
    check_integer("n_bootstrap", n_bootstrap, 1)
    if not isinstance(confidence, Real) or not 0 < confidence < 1:
        raise InvalidParameterError(
            f"confidence must be a number between 0 and 1; got {confidence!r}."
        )


def _influence(sums):
    """First-order change of each user to the metrics, times the number of users they are of."""
    counted = sums[:, 1]
    share = np.count_nonzero(counted, axis=0) / counted.sum(axis=0)
    return (sums[:, 0] - regime_means(sums) * counted) * share


def _bootstrap(statistic, n_users, n_bootstrap, random_state, confidence, verbose=0):
    """Compute a statistic of users and its percentile interval.

    Parameters
    ----------
    statistic : callable
        From weights of users, an int array (n_weights, n_users), to (n_weights, n_regimes,
        n_metrics); without an argument to (n_regimes, n_metrics).

    Returns
    -------
    float64 array of shape (n_regimes, n_metrics, 3)
        The statistic, and the low and the high end.
    """
    random_state = check_random_state(random_state)
    chunk = max(1, _WEIGHTS_PER_CHUNK // n_users)
    resampled = []
    starts = range(0, n_bootstrap, chunk)
    for start in tqdm(starts, desc="resamples", disable=not verbose):
        size = min(chunk, n_bootstrap - start)
        weights = random_state.multinomial(n_users, np.full(n_users, 1 / n_users), size=size)
        resampled.append(statistic(weights))
    resampled = np.concatenate(resampled)
    value = statistic()
    low, high = np.full((2, *value.shape), np.nan)
    # A resample without any user of a small regime says nothing about it: NaN, left out.
    known = np.isfinite(resampled).any(axis=0)
    tails = [(1 - confidence) / 2, (1 + confidence) / 2]
    low[known], high[known] = np.nanquantile(resampled[:, known], tails, axis=0)
    return np.stack([value, low, high], axis=-1)


def _check_comparable(a, b):
    """Raise unless both reports are about the same interactions, regimes and cutoff."""
    for name, report in (("a", a), ("b", b)):
        if getattr(report, "details", None) is None:
            raise TypeError(f"{name} must be a report of ranking_report; got {name_kind(report)}.")
    if a.k != b.k:
        raise ValueError(f"The reports must have the same cutoff k; got k={a.k} and k={b.k}.")
    same = ["user", "item", *REGIMES[1:]]
    if not np.array_equal(a.details[same].to_numpy(), b.details[same].to_numpy()):
        raise ValueError(
            "The reports must be about the same held-out interactions and regimes (the same X, "
            "train and cohort); got "
            + " and ".join(
                f"{len(r.details)} interactions of {r.details['user'].nunique()} users"
                for r in (a, b)
            )
            + "."
        )
    warn_of_other_catalog(a, b)
