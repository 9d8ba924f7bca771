"""Synthetic interactions, whose truth is known."""

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
    r"""Make synthetic interactions, and a judge whose reliability is known.

    Users and items have latent factors. Users come across items by popularity, and take those that
    fit their tastes. A simulated judge rates any slate; how much it knows is a given function of
    the length of the history it is shown and of the popularity of the item, which shows whether a
    gate finds out where the judge is right. Suited for up to tens of millions of interactions.

    Parameters
    ----------
    n_users, n_items, n_interactions : int, default=1000, 500 and 20_000
        Sizes. Each user has at least one interaction and at most half of the items, so
        `n_users <= n_interactions <= n_users * (n_items // 2)`.
    judge_reliability : float in [0, 1] or callable, default=0.8
        Correlation of the judge's beliefs with the truth: 0 is noise, 1 the truth. A function
        `f(history_length, popularity)` of two arrays of the same shape returns an array of such
        numbers: `history_length` is the number of items that the judge is shown, `popularity` the
        number of interactions that the rated item has in `X`. For pickling, or for judging in
        other processes, it must be defined in a module.
    judge_knows : {"tastes", "popularity"}, default="tastes"
        The judge's truth: how well the item fits the user, whatever its popularity; or how popular
        it is in `X`, whoever the user is. The latter adds nothing to what a recommender knows.
    n_factors : int, default=8
        Number of latent factors, 1 to 16.
    taste : float, default=3
        How much tastes matter, >= 0; 0: only popularity does.
    popularity_exponent : float, default=1
        How fast popularity falls with the rank, >= 0; 0: all items are equally popular.
    history_spread : float, default=1
        Standard deviation >= 0 of the logarithm of the numbers of interactions of users.
    item_informativeness : float in [0, 1], default=0.7
        Correlation of the factors described by `item_data` with the true ones.
    user_informativeness : float in [0, 1] or None, default=None
        The same of `user_data`. None: there are none.
    random_state : int, RandomState or None, default=None
        An int gives the same world in each call.
    verbose : int, default=0
        Above 0: a progress bar over the interactions.

    Returns
    -------
    data : Bunch
        With the keys

        X : DataFrame of shape (n_interactions, 3), columns `user`, `item`, `time`, all int64
            All different pairs, sorted by user and time (seconds since 1970; independent of
            everything else). Users are numbered from 0 to `n_users - 1`, items likewise.
        y : ndarray of shape (n_interactions,), float32
            Strengths: all are 1.
        item_data : DataFrame of shape (n_items, 3), columns `item`, `description`, `kind`
            `description` consists of words for the item's factors, `kind` (str) is a word for the
            largest one.
        user_data : DataFrame of shape (n_users, 3), columns `user`, `description`, `kind`
            Likewise of the users; only with `user_informativeness`.
        judge : SimulatedJudge
            Rates any slate of these users and items. It gives the same answers in any copy of it,
            and in any world of the same parameters and int `random_state`.
        reliability : callable
            `reliability(history_length, popularity)`, vectorized: the judge's true reliability.
        utility : callable
            `utility(users, items)`, vectorized: the logarithm of how likely the users are to take
            these items next, up to a constant for each user.
        affinity : callable
            `affinity(users, items)`, vectorized: how well the items fit the users, standard normal
            over the items.
        popularity : ndarray of shape (n_items,), int64
            Number of interactions in X.
        user_factors, item_factors : ndarray of shape (n_users or n_items, n_factors), float32
            The truth; `affinity` is their product.
        DESCR : str
            How the world was made.

    Raises
    ------
    ValueError
        For sizes that do not fit together, and if `judge_reliability` returns anything but numbers
        in [0, 1].

    See Also
    --------
    load_movielens_coldstart : Real interactions and answers of a real LLM.

    Notes
    -----
    With :math:`a_{ui} \sim N(0, 1)` the affinity and :math:`w_i` the chance to come across item i,
    which falls like :math:`(rank + 10)^{-exponent}`, the user's next item is drawn from those not
    taken yet with probability proportional to

    .. math:: w_i \, \sigma(taste \cdot (a_{ui} - 1))

    The judge's rating of item i, with reliability :math:`r` there, is
    :math:`\Phi(r s + \sqrt{1 - r^2} \, e)`, where s is the truth, standard normal over the items,
    and e is noise that depends on the user and the item. Ratings are uniform on [0, 1] whatever the
    reliability is: this judge does not show how sure it is. In a random pair of items with
    reliabilities :math:`r_i` and :math:`r_j` it is right with probability
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

    What the judge says and what is true:

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
            f"which have {n_factors} latent factors, and a simulated judge that knows {judge_knows}"
            ". See the documentation of sklearn_selreg.datasets.make_interactions."
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
            "Each user has at least 1 interaction, and at most half of the items: n_interactions "
            f"must be from {n_users} to {most} for n_users={n_users} and n_items={n_items}; got "
            f"{n_interactions}."
        )
