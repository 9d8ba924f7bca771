"""Made-up worlds of users, items and a judge, of which everything is known."""

from functools import cached_property
from numbers import Integral, Real

import joblib
import numpy as np
import pandas as pd
from scipy.special import expit, ndtr, ndtri
from scipy.stats import rankdata
from sklearn.utils import Bunch, check_random_state

from .._utils._progress import tqdm
from .._utils._sklearn import Interval, StrOptions, validate_params
from ..judges import LLMJudge

_LIKED = 1.0  # affinity at which half of those who come across an item take it
_SHIFT = 10.0  # popularity falls like (rank + shift) ** -exponent
_CHUNK = 2**18  # interactions made at once
_ROUNDS = 8  # of proposals, before the few users left are drawn for exactly
_TABLE = 2**22  # entries of a table of users and items held at once
_N_WORDS = 8  # in a description
_START, _SPAN = 1_640_995_200, 3 * 365 * 86_400  # from 2022 on, for three years, in seconds
_LENGTHS = np.arange(21)  # history lengths by which reliabilities are told apart

# Two poles of each latent factor, with the words that tell of them.
_POLES = (
    ("calm quiet gentle", "wild loud fierce"),
    ("dark gloomy grim", "bright sunny radiant"),
    ("classic vintage historic", "modern futuristic novel"),
    ("funny witty silly", "serious solemn earnest"),
    ("short brief compact", "epic lengthy sprawling"),
    ("simple plain minimal", "ornate intricate lavish"),
    ("urban metropolitan industrial", "rural pastoral rustic"),
    ("romantic tender passionate", "detached cool ironic"),
    ("realistic factual documentary", "fantastic magical surreal"),
    ("fast rapid thrilling", "slow patient meditative"),
    ("sweet mild creamy", "bitter spicy sharp"),
    ("heroic noble brave", "cynical corrupt ruthless"),
    ("childlike playful naive", "mature adult worldly"),
    ("musical melodic lyrical", "silent sparse austere"),
    ("scientific logical technical", "mystical spiritual occult"),
    ("familiar cozy domestic", "exotic foreign remote"),
)


@validate_params(
    {
        "n_users": [Interval(Integral, 1, None, closed="left")],
        "n_items": [Interval(Integral, 2, None, closed="left")],
        "n_interactions": [Interval(Integral, 1, None, closed="left")],
        "judge_reliability": [Interval(Real, 0, 1, closed="both"), callable],
        "judge_knows": [StrOptions({"tastes", "popularity"})],
        "n_factors": [Interval(Integral, 1, len(_POLES), closed="both")],
        "taste": [Interval(Real, 0, None, closed="left")],
        "popularity_exponent": [Interval(Real, 0, None, closed="left")],
        "history_spread": [Interval(Real, 0, None, closed="left")],
        "item_informativeness": [Interval(Real, 0, 1, closed="both")],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    },
    prefer_skip_nested_validation=True,
)
def make_interactions(
    n_users=1000,
    n_items=500,
    n_interactions=20_000,
    *,
    judge_reliability=0.8,
    judge_knows="tastes",
    n_factors=8,
    taste=3.0,
    popularity_exponent=1.0,
    history_spread=1.0,
    item_informativeness=0.7,
    random_state=None,
    verbose=0,
):
    r"""Make a world of users and items, and a judge whose reliability is known.

    Users and items have latent factors. Users come across items by popularity, and take those that
    fit their tastes. A simulated judge rates any slate; how much it knows is a given function of
    the length of the history it is shown and of the popularity of the item. So it can be checked
    whether a gate finds out where the judge is right. Made for up to tens of millions of
    interactions.

    Parameters
    ----------
    n_users, n_items, n_interactions : int, default=1000, 500 and 20_000
        Sizes. Each user has at least one interaction and at most half of the items, so
        `n_users <= n_interactions <= n_users * (n_items // 2)`.
    judge_reliability : float in [0, 1] or callable, default=0.8
        Correlation of what the judge believes with the truth: 0 is noise, 1 the truth. A function
        `f(history_length, popularity)` of two arrays of the same shape returns an array of such
        numbers: `history_length` is the number of items that the judge is shown, `popularity` the
        number of interactions that the rated item has in `X`. For pickling, or for judging in
        other processes, it must be defined in a module.
    judge_knows : {"tastes", "popularity"}, default="tastes"
        What the judge's truth is: how well the item fits the user, whatever its popularity; or how
        popular it is in `X`, whoever the user is. The latter adds nothing to what a recommender
        knows.
    n_factors : int, default=8
        Number of latent factors, 1 to 16.
    taste : float, default=3
        How much tastes matter, >= 0; 0: popularity alone does.
    popularity_exponent : float, default=1
        How fast popularity falls with the rank, >= 0; 0: all items are equally popular.
    history_spread : float, default=1
        Standard deviation >= 0 of the logarithm of the numbers of interactions of users.
    item_informativeness : float in [0, 1], default=0.7
        Correlation of the factors that `item_data` tells of with the true ones.
    random_state : int, RandomState or None, default=None
        An int makes the same world in each call.
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
            `description` is made of words that tell of the item's factors, `kind` (str) is the
            factor that is most marked.
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
    if not n_users <= n_interactions <= n_users * (n_items // 2):
        raise ValueError(
            "Each user has at least 1 interaction, and at most half of the items: n_interactions "
            f"must be from {n_users} to {n_users * (n_items // 2)} for n_users={n_users} and "
            f"n_items={n_items}; got {n_interactions}."
        )
    if not callable(judge_reliability):
        judge_reliability = float(judge_reliability)
    rng = np.random.default_rng(check_random_state(random_state).randint(2**31))
    user_factors = rng.standard_normal((n_users, n_factors), dtype=np.float32)
    user_factors /= np.linalg.norm(user_factors, axis=1, keepdims=True)
    item_factors = rng.standard_normal((n_items, n_factors), dtype=np.float32)
    world = _World(
        user_factors,
        item_factors,
        rng.permutation(n_items),
        float(popularity_exponent),
        float(taste),
    )
    lengths = _draw_lengths(n_users, n_items // 2, n_interactions, history_spread, rng)
    users, items, times = _draw_interactions(world, lengths, rng, verbose)
    world.popularity = np.bincount(items, minlength=n_items)
    judge = SimulatedJudge(
        world, judge_reliability, knows=judge_knows, seed=int(rng.integers(2**63))
    )
    judge._check_parameters()
    return Bunch(
        X=pd.DataFrame({"user": users, "item": items, "time": times}, copy=False),
        y=np.ones(n_interactions, dtype=np.float32),
        item_data=_describe(item_factors, item_informativeness, rng),
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


class _World:
    """What is true: tastes, and the popularity of items.

    Immutable once it is made: copies are the same object, so that cloning a judge costs nothing.

    Parameters
    ----------
    user_factors : ndarray of shape (n_users, n_factors), float32
        Of norm 1.
    item_factors : ndarray of shape (n_items, n_factors), float32
        Standard normal.
    by_rank : ndarray of shape (n_items,), int64
        Items, the most popular one first.
    exponent, taste : float
    """

    def __init__(self, user_factors, item_factors, by_rank, exponent, taste):
        self.user_factors = user_factors
        self.item_factors = item_factors
        self.by_rank = by_rank
        self.exponent = exponent
        self.taste = taste

    def __deepcopy__(self, memo):
        return self

    def __repr__(self):
        return f"<world of {len(self.user_factors)} users and {len(self.item_factors)} items>"

    @cached_property
    def fingerprint(self):
        """A hash of all that is true."""
        return joblib.hash(
            [self.user_factors, self.item_factors, self.popularity, self.exponent, self.taste]
        )

    def affinity(self, users, items):
        """Return how well items fit users, float64; both are broadcast."""
        users, items = np.broadcast_arrays(users, items)
        return np.einsum(
            "...k,...k->...", self.user_factors[users], self.item_factors[items], dtype=np.float64
        )

    def utility(self, users, items):
        """Return the log-probability of taking items, up to a constant; both are broadcast."""
        chance = self.taste * (self.affinity(users, items) - _LIKED)
        return self._log_weights[items] - np.logaddexp(0, -chance)

    def _cumulated(self, rank):
        """Integrate popularity up to a rank."""
        if self.exponent == 1:
            return np.log(rank + _SHIFT)
        power = 1 - self.exponent
        return (rank + _SHIFT) ** power / power

    def come_across(self, uniform):
        """Turn uniform numbers in [0, 1) into items, drawn by popularity."""
        n_items = len(self.by_rank)
        first, last = self._cumulated(np.array([0.0, n_items]))
        place = first + uniform * (last - first)
        if self.exponent == 1:
            rank = np.exp(place)
        else:
            power = 1 - self.exponent
            rank = (place * power) ** (1 / power)
        return self.by_rank[np.clip((rank - _SHIFT).astype(np.int64), 0, n_items - 1)]

    @cached_property
    def _log_weights(self):
        weights = np.empty(len(self.by_rank))
        weights[self.by_rank] = np.diff(self._cumulated(np.arange(len(weights) + 1.0)))
        return np.log(weights / weights.sum())

    @cached_property
    def normal_popularity(self):
        """Popularity by rank as a standard normal variable, (n_items,) float64."""
        return ndtri((rankdata(self.popularity) - 0.5) / len(self.popularity))


def _draw_lengths(n_users, most, total, spread, rng):
    """Draw numbers of interactions from 1 to `most` with the given total, log-normal."""
    raw = np.exp(spread * rng.standard_normal(n_users))

    def scaled(log_scale):
        return np.clip(np.exp(log_scale) * raw, 1, most)

    low, high = -np.log(raw.max()), np.log(most / raw.min())
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if scaled(middle).sum() < total else (low, middle)
    exact = scaled(high)
    lengths = np.floor(exact).astype(np.int64)
    # Largest remainders, then whoever has room.
    missing = total - lengths.sum()
    order = np.argsort(lengths - exact + 2.0 * (lengths >= most), kind="stable")
    lengths[order[:missing]] += 1
    return lengths


def _draw_interactions(world, lengths, rng, verbose):
    """Draw different items for each user, one after the other.

    Returns
    -------
    users, items, times : ndarray of shape (n_interactions,), int64
        Sorted by user and time.
    """
    total = lengths.sum()
    users = np.repeat(np.arange(len(lengths)), lengths)
    items, times = np.empty((2, total), dtype=np.int64)
    stop = np.cumsum(lengths)
    starts = np.flatnonzero(np.diff((stop - lengths) // _CHUNK, prepend=-1))
    progress = tqdm(total=total, disable=not verbose, desc="drawing", unit="interaction")
    for first, last in zip(starts, [*starts[1:], len(lengths)], strict=True):
        part = slice(stop[first] - lengths[first], stop[last - 1])
        user, items[part] = _draw_for(world, np.arange(first, last), lengths[first:last], rng)
        moment = rng.integers(_SPAN, size=len(user))
        times[part] = np.sort(user * _SPAN + moment) % _SPAN + _START
        progress.update(len(user))
    progress.close()
    return users, items, times


def _draw_for(world, users, lengths, rng):
    """Draw `lengths` items for some users, in random order.

    Items proposed by popularity are taken with the probability that the user likes them; those the
    user has already are passed over. That is successive sampling without replacement.

    Returns
    -------
    user, item : ndarray of shape (lengths.sum(),), int64
        Positions in `users`, ascending, and items.
    """
    n_items = len(world.by_rank)
    taken = np.empty(0, dtype=np.int64)  # user * n_items + item, in the order drawn for each user
    needed = lengths
    for turn in range(_ROUNDS):
        if not needed.any():
            break
        n_proposed = np.minimum((4 << turn) * needed, _TABLE // len(users) + 4 * needed)
        user = np.repeat(np.arange(len(users)), n_proposed * (needed > 0))
        item = world.come_across(rng.random(len(user)))
        affinity = np.einsum("nk,nk->n", world.user_factors[users[user]], world.item_factors[item])
        liked = rng.random(len(user), dtype=np.float32) < expit(world.taste * (affinity - _LIKED))
        drawn = np.concatenate([taken, user[liked] * n_items + item[liked]])
        _, when = np.unique(drawn, return_index=True)
        taken = drawn[np.sort(when)]
        taken = taken[np.argsort(taken // n_items, kind="stable")]
        count = np.bincount(taken // n_items, minlength=len(users))
        place = np.arange(len(taken)) - np.repeat(np.cumsum(count) - count, count)
        taken = taken[place < np.repeat(lengths, count)]
        needed = lengths - np.minimum(count, lengths)
    left = np.flatnonzero(needed)
    size = max(1, _TABLE // n_items)
    for rows in np.split(left, range(size, len(left), size)):
        # Adding Gumbel noise and taking the largest is the same as drawing one after the other.
        score = world.utility(users[rows, np.newaxis], np.arange(n_items))
        score += rng.gumbel(size=score.shape)
        place = np.searchsorted(rows, taken // n_items).clip(max=max(len(rows) - 1, 0))
        own = rows[place] == taken // n_items if len(rows) else np.zeros(len(taken), dtype=bool)
        score[place[own], taken[own] % n_items] = -np.inf
        best = np.argsort(-score, axis=1)
        row = np.repeat(np.arange(len(rows)), needed[rows])
        count = needed[rows]
        rank = np.arange(len(row)) - np.repeat(np.cumsum(count) - count, count)
        taken = np.concatenate([taken, rows[row] * n_items + best[row, rank]])
    user = taken // n_items
    order = np.lexsort((rng.random(len(taken)), user))
    return user[order], taken[order] % n_items


def _describe(item_factors, informativeness, rng):
    """Make item data that tells of the factors.

    Returns
    -------
    item_data : DataFrame of shape (n_items, 3)
    """
    n_items, n_factors = item_factors.shape
    noise = rng.standard_normal(item_factors.shape)
    told = informativeness * item_factors + np.sqrt(1 - informativeness**2) * noise
    poles = np.concatenate([-told, told], axis=1)
    cumulated = np.cumsum(np.exp(1.5 * poles), axis=1)
    words = np.array([pole.split() for side in zip(*_POLES, strict=True) for pole in side])
    words = np.concatenate([words[:n_factors], words[len(_POLES) :][:n_factors]])
    text = np.empty((n_items, _N_WORDS), dtype=object)
    for place in range(_N_WORDS):
        pole = (rng.random((n_items, 1)) * cumulated[:, -1:] > cumulated).sum(axis=1)
        text[:, place] = words[pole, rng.integers(words.shape[1], size=n_items)]
    return pd.DataFrame(
        {
            "item": np.arange(n_items),
            "description": [" ".join(row) for row in text],
            "kind": words[poles.argmax(axis=1), 0].astype(object),
        }
    )


class SimulatedJudge(LLMJudge):
    """Judge in a world of :func:`~sklearn_selreg.datasets.make_interactions`.

    Parameters
    ----------
    world : object
        What is true, as `make_interactions` makes it.
    reliability : float or callable
        See `judge_reliability` of `make_interactions`.
    knows : {"tastes", "popularity"}, default="tastes"
        See `judge_knows` of `make_interactions`.
    seed : int, default=0
        Of the judge's errors, >= 0.
    cache : "default", path or None, default=None
        Where answers are kept: a file in the user's cache directory, another file, or memory.

    See Also
    --------
    sklearn_selreg.datasets.make_interactions : Makes it, and has the formulas.

    Notes
    -----
    It knows users and items by their ids, and has no opinion (NaN) on those that are not of its
    world. Of the history it minds the length alone.

    Examples
    --------
    >>> from sklearn_selreg.datasets import make_interactions
    >>> judge = make_interactions(random_state=0).judge
    >>> judge.set_params(reliability=0.0).reliability_of([1, 2], [3, 4])
    array([0., 0.])
    """

    def __init__(self, world, reliability, knows="tastes", seed=0, cache=None):
        self.world = world
        self.reliability = reliability
        self.knows = knows
        self.seed = seed
        self.cache = cache

    def reliability_of(self, history_length, popularity):
        """Return the correlation of what the judge believes with what is true.

        Parameters
        ----------
        history_length : array-like of int
            Number of items shown.
        popularity : array-like of int
            Number of interactions of the rated item; broadcast with `history_length`.

        Returns
        -------
        reliability : ndarray, float64
            In [0, 1].

        Raises
        ------
        ValueError
            If the parameter `reliability` gives anything else.
        """
        length, popularity = np.broadcast_arrays(history_length, popularity)
        if not callable(self.reliability):
            reliability = np.full(length.shape, self.reliability, dtype=np.float64)
        else:
            reliability = np.asarray(self.reliability(length, popularity), dtype=np.float64)
        if reliability.shape != length.shape or not ((reliability >= 0) & (reliability <= 1)).all():
            raise ValueError(
                "A judge's reliability must be a number in [0, 1], or a function that returns one "
                f"for each of its arguments (arrays of shape {length.shape} here); got "
                f"{reliability!r}."
            )
        return reliability

    def _check_parameters(self):
        if self.knows not in ("tastes", "popularity"):
            raise ValueError(f'knows must be "tastes" or "popularity"; got {self.knows!r}.')
        self._table()

    def _table(self):
        """Evaluate the reliability where it matters."""
        popularity = np.unique(self.world.popularity)
        return self.reliability_of(_LENGTHS[:, np.newaxis], popularity)

    def _identity(self):
        # Functions are told apart by their values.
        return {
            "judge": "simulated",
            "world": self.world.fingerprint,
            "reliability": joblib.hash(self._table()),
            "knows": self.knows,
            "seed": self.seed,
        }

    def _rate(self, slates):
        world = self.world
        sizes = [len(slate.candidates) for slate in slates]
        users = np.repeat(_positions([s.user for s in slates], len(world.user_factors)), sizes)
        items = [item for slate in slates for item in slate.candidates]
        items = _positions(items, len(world.item_factors))
        lengths = np.repeat([len(slate.history) for slate in slates], sizes)
        if self.knows == "tastes":
            truth = world.affinity(users, items)
        else:
            truth = world.normal_popularity[items]
        reliability = self.reliability_of(lengths, world.popularity[items])
        error = _normal_hash(self.seed, users, items)
        ratings = ndtr(reliability * truth + np.sqrt(1 - reliability**2) * error)
        ratings[(users < 0) | (items < 0)] = np.nan
        return np.split(ratings, np.cumsum(sizes)[:-1])


def _positions(ids, n):
    """Return ids as an int array, -1 for what is none."""
    known = [isinstance(i, Integral) and not isinstance(i, bool) and 0 <= i < n for i in ids]
    return np.array([i if ok else -1 for i, ok in zip(ids, known, strict=True)], dtype=np.int64)


def _normal_hash(seed, users, items):
    """Return a standard normal number for each user and item, the same in any company.

    The mixer is that of SplitMix64 (Steele, Lea & Flood 2014).
    """
    mixed = np.full(len(users), seed, dtype=np.uint64)
    for ids in (users, items):
        mixed = mixed + ids.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        mixed ^= mixed >> np.uint64(31)
    return ndtri(((mixed >> np.uint64(11)).astype(np.float64) + 0.5) / 2**53)
