"""Sampling of slates from interactions, with a fixed reference model.

The result depends only on the rows, the item features and the parameters of `SlateSampler`, so a
search over other parameters sends no new prompts.
"""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp

from .._utils._progress import Progress
from ._recipe import RECIPE, CandidateOdds, draw_systematically
from ._reference import N_BEST, ReferenceModel
from ._slates import MAX_HISTORY
from ._standing import without_rows

MAX_SLATES = 2000
"""Default maximum number of slates."""

_SHOWN = (1, 2, 3, 5, 10)  # history lengths shown in calibration slates
_LEAST_INTERACTIONS = 4  # minimum interactions of a user for a calibration slate
_LEAST_CALIBRATION = 30  # calibration slates built even if no interaction was sampled as hidden
_LATER = 40  # interactions after the shown ones that may be hidden
_FOLDS = 8  # maximum number of folds of users eligible for calibration
_MOST_INTERACTIONS = 250_000  # training interactions of the reference model, of random users
_CONTENDERS = 10  # users ranked by uncertainty per slate wanted, at equal history length
_USERS_PER_CHUNK = 256


class ChosenSlate(NamedTuple):
    """A slate as a row and columns of the interaction matrix.

    Attributes
    ----------
    user : int
    history : ndarray of intp
        Items shown, oldest first, at most 10.
    candidates : ndarray of intp
    calibrates : bool
        Whether the candidates hide interactions of the user.
    """

    user: int
    history: np.ndarray
    candidates: np.ndarray
    calibrates: bool


@dataclass(frozen=True, eq=False)
class ChosenSlates:
    """Slates as rows and columns of the interaction matrix, in query order.

    Any prefix is a good selection for a smaller budget.

    Attributes
    ----------
    users : ndarray of shape (n,), intp
    histories : list of n intp arrays
        Items shown, oldest first, at most 10.
    candidates : ndarray of shape (n, size), intp
        Padded with -1.
    calibrates : ndarray of shape (n,), bool
        Whether the candidates hide interactions of the user.
    """

    users: np.ndarray
    histories: list[np.ndarray]
    candidates: np.ndarray
    calibrates: np.ndarray

    def __len__(self) -> int:
        return len(self.users)


def sample_slates(
    interactions,
    features,
    *,
    max_slates=None,
    size=20,
    calibration_fraction=0.3,
    random_state=0,
    num_threads=0,
    verbose=0,
    recipe=RECIPE,
):
    """Sample the slates to query a judge on.

    Two kinds of slates alternate:

    - *Calibration*: the slate shows 1, 2, 3, 5 or 10 of a user's interactions, so that the gate
      learns the judge's accuracy at each history length. At most 4 of the next 40 interactions are
      hidden among new items. Hidden and new items are sampled with the same odds, those of
      supervision slates, by a reference model that does not know the user. Users for whom no
      interaction is sampled are skipped, unless they are needed for a minimum of 30 slates.
    - *Supervision*: of every 20 candidates, about 12 are drawn from the reference model's top 30
      for the user, 3 from its top 100, 2 by popularity, and 3 from the top 20 of the tail (items
      with at most 3 interactions, or the least popular 10 %), all new to the user. Users with short
      histories come first; at equal length, users for whom the model is less certain, i.e. whose
      top items have similar scores.

    The reference model is fitted on at most 250,000 interactions of random users; all users are
    folded in. Apart from one counting pass, the run time does not depend on the size of the data.

    Parameters
    ----------
    interactions : Interactions
    features : csr_matrix of shape (n_items, n_features) or None
    max_slates : int or None, default=None
        Maximum number of slates. If None, one supervision slate for each user with interactions
        plus the corresponding fraction of calibration slates, at most 2,000 in total.
    size : int, default=20
        Candidates per slate; fewer in a small catalog.
    calibration_fraction : float, default=0.3
        Fraction of calibration slates. If too few users have 4 interactions and a sampled hidden
        one, supervision slates take their place.
    random_state : int, default=0
    num_threads : int, default=0
        0 means all cores.
    verbose : int, default=0
        Shows a progress bar if above 0.
    recipe : Recipe
        Mixture of item pools for candidates.

    Returns
    -------
    chosen : ChosenSlates

    Notes
    -----
    Candidates of a supervision slate are selected by the model's scores, whether or not the user
    likes them. Calibration must follow the same rule. If hidden interactions were arbitrary, and
    only the others were among the model's favorites, the model's evidence would look worse than it
    is, and the judge would get credit for the difference (``benchmarks/README.md``).

    Each interaction is hidden with a probability that does not depend on the user's other
    interactions, and which is the same multiple of the item's candidate odds q as for the new items
    of the slate. Whether an item is hidden or new therefore only indicates whether it is liked.
    """
    n_active = np.count_nonzero(np.diff(interactions.matrix.indptr))
    most_turns = N_BEST // size + 1
    if max_slates is None:
        rest = max(1 - calibration_fraction, 1e-9)
        max_slates = min(MAX_SLATES, int(np.ceil(n_active / rest)))
        most_turns = 1
    sampler = _Sampler(interactions, features, size, random_state, num_threads, recipe)
    with Progress("choosing slates", max_slates, unit="slate", verbose=verbose) as progress:
        calibration = sampler.calibration(round(calibration_fraction * max_slates), progress)
        n_supervision = max_slates - len(calibration)
        found = islice(sampler.supervision(n_supervision, most_turns), n_supervision)
        supervision = list(_counted(found, progress))
        progress.finish()  # possibly fewer than requested
    return _interleave(calibration, supervision, size)


def _counted(slates, progress):
    for slate in slates:
        progress.update()
        yield slate


class _Sampler:
    """Generates slates for users in random order."""

    def __init__(self, interactions, features, size, random_state, num_threads, recipe):
        self.matrix, self.features = interactions.matrix, features
        self.size, self.recipe = size, recipe
        self.random_state, self.num_threads = random_state, num_threads
        self.history = interactions.history.astype(np.intp)
        self.lengths = np.diff(self.matrix.indptr)
        users = map(_as_integer, interactions.users.tolist())
        self.seeds = np.array([zlib.crc32(repr(user).encode()) for user in users])
        users = np.argsort(_mix(self.seeds, random_state), kind="stable")
        self.users = users[self.lengths[users] > 0]
        # Users left out of the reference model because of its size limit.
        self.beyond = self.users[np.cumsum(self.lengths[self.users]) > _MOST_INTERACTIONS]

    def past(self, user):
        """Items of a user, oldest first."""
        return self.history[self.matrix.indptr[user] : self.matrix.indptr[user + 1]]

    def generator(self, user, kind):
        return np.random.default_rng([self.random_state, kind, self.seeds[user]])

    def reference(self, left_out=()):
        """Fit a reference model without the given users."""
        left_out = np.append(np.asarray(left_out, dtype=np.intp), self.beyond)
        rest = without_rows(self.matrix, left_out)
        return ReferenceModel(rest, self.features, self.random_state, self.num_threads)

    # -- calibration -----------------------------------------------------------------------------

    def calibration(self, n_wanted, progress):
        """Build calibration slates; those without a sampled hidden item only fill up to 30."""
        found, reserve = [], []
        for slate, was_drawn in self._calibration_of_batches(n_wanted):
            (found if was_drawn else reserve).append(slate)
            progress.update(was_drawn)
            if len(found) == n_wanted:
                break
        least = min(n_wanted, _LEAST_CALIBRATION)
        return found + reserve[: max(least - len(found), 0)]

    def _calibration_of_batches(self, n_wanted):
        eligible = self.users[self.lengths[self.users] >= _LEAST_INTERACTIONS]
        for users in _split(eligible, np.isin(eligible, self.beyond), n_wanted):
            # A model fitted on the hidden interactions would favor them among rare items.
            model = self.reference(users)
            for start in range(0, len(users), _USERS_PER_CHUNK):
                yield from self._calibration(users[start : start + _USERS_PER_CHUNK], model)

    def _calibration(self, users, model):
        """Build a calibration slate for each user; the model must not know the users.

        Each later interaction is hidden independently, with a probability proportional to its
        candidate odds. If some were hidden for every user, they would often have low odds and the
        new items high ones, as if the model's favorites were rarely liked.

        Yields
        ------
        slate : ChosenSlate
        was_drawn : bool
            Whether any interaction was sampled. If not, a single one is drawn by the odds.
        """
        randoms = [self.generator(user, 0) for user in users]
        splits = [
            _split_history(self.past(user), self.size, random)
            for user, random in zip(users, randoms, strict=True)
        ]
        shown = _as_rows([seen for seen, _, _ in splits], len(model.popularity))
        scores = model.scores(shown)
        for user, random, row, (seen, later, n_hidden) in zip(
            users, randoms, scores, splits, strict=True
        ):
            liked = self.past(user)
            # At that time, supervision could have drawn the later interactions as candidates, too.
            odds = CandidateOdds(row, liked[: -len(later)], model, self.recipe)
            hidden = later[random.random(len(later)) < odds.odds[later] / odds.odds.max()]
            was_drawn = len(hidden) > 0
            if not was_drawn:
                hidden = later[draw_systematically(odds.odds[later], 1, random)]
            hidden = random.permutation(hidden)[:n_hidden]
            others = odds.draw(self.size - len(hidden), random, left_out=liked)
            if len(others):
                candidates = random.permutation(np.concatenate([hidden, others]))
                yield ChosenSlate(user, seen, candidates, True), was_drawn

    # -- supervision -----------------------------------------------------------------------------

    def supervision(self, n_wanted: int, most_turns: int) -> Iterator[ChosenSlate]:
        """Generate distinct supervision slates, up to `most_turns` per user."""
        model = self.reference()
        ranked = self._rank_users(model, n_wanted)
        asked: set[tuple] = set()
        for turn in range(most_turns):
            users = ranked[: n_wanted - len(asked)]
            for start in range(0, len(users), _USERS_PER_CHUNK):
                part = users[start : start + _USERS_PER_CHUNK]
                for slate in self._supervision(part, model, turn):
                    same = slate.user, frozenset(slate.candidates.tolist())
                    if same not in asked:  # a small catalog may yield the same candidates again
                        asked.add(same)
                        yield slate

    def _supervision(self, users, model, turn):
        """Build a supervision slate for each user."""
        scores = model.scores(self.matrix[users])
        for user, row in zip(users, scores, strict=True):
            liked, random = self.past(user), self.generator(user, 1 + turn)
            candidates = CandidateOdds(row, liked, model, self.recipe).draw(self.size, random)
            if len(candidates) > 1:
                candidates = random.permutation(candidates)
                yield ChosenSlate(user, liked[-MAX_HISTORY:], candidates, False)

    def _rank_users(self, model, n_wanted):
        """Sort users by history length, and then by the model's uncertainty.

        History lengths of 10 and more are tied. If many more users are tied than needed, only the
        first ones are considered.
        """
        length = np.minimum(self.lengths[self.users], MAX_HISTORY)
        last = np.sort(length)[min(n_wanted, len(length)) - 1] if n_wanted else 0
        equal = np.flatnonzero(length == last)[_CONTENDERS * n_wanted :]
        kept = np.ones(len(length), dtype=bool)
        kept[equal] = False
        kept[length > last] = False
        users = self.users[kept]
        return users[np.lexsort((model.sureness(self.matrix[users]), length[kept]))]


def _as_integer(user):
    """Convert integral float ids to int, so that they give the same seeds."""
    return int(user) if isinstance(user, float) and user.is_integer() else user


def _mix(seeds, random_state):
    """Hash seeds with the random state, independently of their positions."""
    return np.array([zlib.crc32(b"%d %d" % (random_state, seed)) for seed in seeds.tolist()])


def _split(eligible, is_beyond, n_wanted):
    """Split users eligible for calibration into batches, each left out of one reference model.

    Users beyond the size limit are unknown to all reference models and form a batch of their own.
    """
    fitted, others = eligible[~is_beyond], eligible[is_beyond]
    size = max(-(-n_wanted // 2), -(-len(fitted) // _FOLDS), 1)
    batches = [fitted[start : start + size] for start in range(0, len(fitted), size)]
    return [batch for batch in [*batches, others] if len(batch)] if n_wanted else []


def _split_history(liked, size, random):
    """Split a history into shown and later items; also return the maximum number to hide."""
    n_hidden = int(np.clip(size // 5, 1, min(4, len(liked) // 2)))
    n_shown = int(random.choice([n for n in _SHOWN if n <= len(liked) - n_hidden]))
    n_later = max(n_hidden, min(len(liked) - n_shown, _LATER))
    return liked[-n_later - n_shown : -n_later], liked[-n_later:], n_hidden


def _as_rows(lists, n_items):
    """Convert lists of items to rows of a binary CSR matrix."""
    indptr = np.cumsum([0, *(len(items) for items in lists)])
    indices = np.concatenate([np.empty(0, np.intp), *lists])
    data = np.ones(len(indices), dtype=np.float32)
    matrix = sp.csr_matrix((data, indices, indptr), shape=(len(lists), n_items))
    matrix.sort_indices()
    return matrix


def _interleave(calibration, supervision, size):
    """Interleave the two kinds of slates evenly."""
    slates = calibration + supervision
    position = [
        (np.arange(len(kind)) + 0.5) / max(len(kind), 1) for kind in (calibration, supervision)
    ]
    slates = [slates[n] for n in np.argsort(np.concatenate(position), kind="stable")]
    candidates = np.full((len(slates), size), -1, dtype=np.intp)
    for row, slate in zip(candidates, slates, strict=True):
        row[: len(slate.candidates)] = slate.candidates
    return ChosenSlates(
        users=np.array([slate.user for slate in slates], dtype=np.intp),
        histories=[slate.history for slate in slates],
        candidates=candidates,
        calibrates=np.array([slate.calibrates for slate in slates], dtype=bool),
    )
