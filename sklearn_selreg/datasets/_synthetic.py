"""Synthetic interactions with a known ground truth."""

from collections.abc import Callable
from numbers import Integral, Real

import numpy as np
import pandas as pd
from sklearn.utils import Bunch, check_random_state

from .._utils._sklearn import Interval, StrOptions, validate_params
from ._draws import draw_interactions, draw_lengths
from ._item_texts import POLES, describe
from ._simulated_judge import SimulatedJudge
from ._world import World


@validate_params(
    {
        "n_users": [Interval(Integral, 1, None, closed="left")],
        "n_items": [Interval(Integral, 2, None, closed="left")],
        "n_interactions": [Interval(Integral, 1, None, closed="left")],
        "judge_reliability": [Interval(Real, 0, 1, closed="both"), callable],
        "judge_knows": [StrOptions({"tastes", "popularity"})],
        "n_factors": [Interval(Integral, 1, len(POLES), closed="both")],
        "taste": [Interval(Real, 0, None, closed="left")],
        "popularity_exponent": [Interval(Real, 0, None, closed="left")],
        "history_spread": [Interval(Real, 0, None, closed="left")],
        "item_informativeness": [Interval(Real, 0, 1, closed="both")],
        "user_informativeness": [Interval(Real, 0, 1, closed="both"), None],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    },
    prefer_skip_nested_validation=True,
)
def make_interactions(
    n_users: int = 1000,
    n_items: int = 500,
    n_interactions: int = 20_000,
    *,
    judge_reliability: float | Callable = 0.8,
    judge_knows: str = "tastes",
    n_factors: int = 8,
    taste: float = 3.0,
    popularity_exponent: float = 1.0,
    history_spread: float = 1.0,
    item_informativeness: float = 0.7,
    user_informativeness: float | None = None,
    random_state: int | np.random.RandomState | None = None,
    verbose: int = 0,
) -> Bunch:
    r"""Generate synthetic interactions, and a judge with known reliability.

    Users and items have latent factors. Users come across items according to popularity, and accept
    those that match their tastes. A simulated judge rates any slate; its reliability is a given
    function of the length of the history that it is shown and of the popularity of the item, so
    that one can test whether a gate finds out where the judge is right. Suitable for up to tens of
    millions of interactions.

    Parameters
    ----------
    n_users, n_items, n_interactions : int, default=1000, 500 and 20_000
        Sizes. Each user has at least one interaction and at most half of the items, so
        `n_users <= n_interactions <= n_users * (n_items // 2)` is required.
    judge_reliability : float in [0, 1] or callable, default=0.8
        Correlation between the judge's beliefs and the truth, from 0 (noise) to 1 (the truth). A
        function `f(history_length, popularity)` receives two arrays of the same shape and returns
        an array of such numbers: `history_length` is the number of items shown to the judge,
        `popularity` the number of interactions of the rated item in `X`. To pickle the judge or use
        it in other processes, define the function in a module.
    judge_knows : {"tastes", "popularity"}, default="tastes"
        The truth that the judge knows: how well the item matches the user, regardless of its
        popularity; or how popular the item is in `X`, regardless of the user. The latter adds
        nothing to what a recommender knows.
    n_factors : int, default=8
        Number of latent factors, 1 to 16.
    taste : float, default=3
        Importance of tastes, >= 0. If 0, only popularity matters.
    popularity_exponent : float, default=1
        How fast popularity decreases with the rank, >= 0. If 0, all items are equally popular.
    history_spread : float, default=1
        Standard deviation >= 0 of the log number of interactions per user.
    item_informativeness : float in [0, 1], default=0.7
        Correlation between the factors described by `item_data` and the true ones.
    user_informativeness : float in [0, 1] or None, default=None
        The same for `user_data`. If None, no `user_data` is generated.
    random_state : int, RandomState or None, default=None
        Seed of the data. An int gives reproducible results.
    verbose : int, default=0
        If positive, show a progress bar over the interactions.

    Returns
    -------
    data : Bunch
        Dictionary-like object with the keys

        X : DataFrame of shape (n_interactions, 3), columns `user`, `item`, `time`, all int64
            Distinct pairs, sorted by user and time (seconds since 1970; independent of everything
            else). Users are numbered from 0 to `n_users - 1`, items likewise.
        y : ndarray of shape (n_interactions,), float32
            Strengths, all 1.
        item_data : DataFrame of shape (n_items, 3), columns `item`, `description`, `kind`
            `description` consists of words for the item's factors; `kind` (str) is a word for the
            largest one.
        user_data : DataFrame of shape (n_users, 3), columns `user`, `description`, `kind`
            The same for users; only with `user_informativeness`.
        judge : SimulatedJudge
            Rates any slate of these users and items. Copies give the same answers, and so does the
            judge of another call with the same parameters and int `random_state`.
        reliability : callable
            `reliability(history_length, popularity)`, vectorized: the judge's true reliability.
        utility : callable
            `utility(users, items)`, vectorized: log probability that the items are the users' next
            ones, up to a constant per user.
        affinity : callable
            `affinity(users, items)`, vectorized: how well the items match the users, standard
            normal over the items.
        popularity : ndarray of shape (n_items,), int64
            Number of interactions in X.
        user_factors, item_factors : ndarray of shape (n_users or n_items, n_factors), float32
            True factors; `affinity` is their inner product.
        DESCR : str
            How the data were generated.

    Raises
    ------
    ValueError
        If sizes are inconsistent, or if `judge_reliability` returns anything but numbers in [0, 1].

    See Also
    --------
    load_movielens_coldstart : Real interactions, and answers of a real LLM.

    Notes
    -----
    With the affinity :math:`a_{ui} \sim N(0, 1)` and the probability :math:`w_i` of coming across
    item i, which decreases like :math:`(rank + 10)^{-exponent}`, a user's next item is drawn from
    those not yet taken, with probability proportional to

    .. math:: w_i \, \sigma(taste \cdot (a_{ui} - 1))

    The judge's rating of item i, with reliability :math:`r`, is
    :math:`\Phi(r s + \sqrt{1 - r^2} \, e)`, where s is the truth, standard normal over the items,
    and e is noise that depends on the user and the item. Ratings are uniform on [0, 1] for any
    reliability: this judge does not reveal its uncertainty. For a random pair of items with
    reliabilities :math:`r_i` and :math:`r_j`, it is right with probability
    :math:`1/2 + \arcsin((r_i + r_j) / 2) / \pi`.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_selreg.datasets import make_interactions
    >>> def knows_the_popular(history_length, popularity):
    ...     return popularity / (popularity + 50)
    >>> data = make_interactions(judge_reliability=knows_the_popular, random_state=0)
    >>> data.X.shape, data.item_data.columns.to_list()
    ((20000, 3), ['item', 'description', 'kind'])
    >>> data.reliability([1, 10], [0, 150])
    array([0.  , 0.75])

    Compare the judge's ratings with the truth:

    >>> from sklearn_selreg.judges import Slate
    >>> popular = np.argsort(-data.popularity)[:200]
    >>> ratings = data.judge.rate([Slate(user=7, history=[1, 2], candidates=popular)])[0]
    >>> bool(np.corrcoef(ratings, data.affinity(7, popular))[0, 1] > 0.3)
    True
    """
    _check_sizes(n_users, n_items, n_interactions)
    rng = np.random.default_rng(check_random_state(random_state).randint(2**31))
    user_factors = rng.standard_normal((n_users, n_factors), dtype=np.float32)
    user_factors /= np.linalg.norm(user_factors, axis=1, keepdims=True)
    item_factors = rng.standard_normal((n_items, n_factors), dtype=np.float32)
    by_rank = rng.permutation(n_items)
    world = World(user_factors, item_factors, by_rank, float(popularity_exponent), float(taste))
    lengths = draw_lengths(n_users, n_items // 2, n_interactions, history_spread, rng)
    users, items, times = draw_interactions(world, lengths, rng, verbose)
    world.popularity = np.bincount(items, minlength=n_items)
    if not callable(judge_reliability):
        judge_reliability = float(judge_reliability)
    seed = int(rng.integers(2**63))
    judge = SimulatedJudge(world, judge_reliability, knows=judge_knows, seed=seed)
    judge._check_parameters()
    data = Bunch(
        X=pd.DataFrame({"user": users, "item": items, "time": times}, copy=False),
        y=np.ones(n_interactions, dtype=np.float32),
        item_data=describe("item", item_factors, item_informativeness, rng),
        judge=judge,
        reliability=judge.reliability_of,
        utility=world.utility,
        affinity=world.affinity,
        popularity=world.popularity,
        user_factors=user_factors,
        item_factors=item_factors,
        DESCR=(
            f"{n_interactions} simulated interactions of {n_users} users with {n_items} items, "
            f"generated from {n_factors} latent factors, and a simulated judge that knows "
            f"{judge_knows}. See the documentation of sklearn_selreg.datasets.make_interactions."
        ),
    )
    if user_informativeness is not None:
        normal = user_factors * np.sqrt(np.float32(n_factors))
        data.user_data = describe("user", normal, user_informativeness, rng)
    return data


def _check_sizes(n_users, n_items, n_interactions):
    most = n_users * (n_items // 2)
    if not n_users <= n_interactions <= most:
        raise ValueError(
            "Each user has at least 1 interaction and at most half of the items, so n_interactions "
            f"must be between {n_users} and {most} for n_users={n_users} and n_items={n_items}; "
            f"got {n_interactions}."
        )
