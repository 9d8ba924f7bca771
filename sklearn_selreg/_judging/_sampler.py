"""Which slates to ask a judge about: knows interactions and a fixed reference model, no judge.

The choice depends only on the rows, the item features and the parameters of `SlateSampler`, so that
a search over other parameters asks nothing new.
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
"""Chosen by default, at most."""

_SHOWN = (1, 2, 3, 5, 10)  # lengths of the histories of calibration slates
_LEAST_INTERACTIONS = 4  # of a user who can calibrate
_LEAST_CALIBRATION = 30  # slates that calibrate, also where nothing was to be hidden
_LATER = 40  # interactions after the shown ones, of which some are hidden
_FOLDS = 8  # of the users who can calibrate, at most
_MOST_INTERACTIONS = 250_000  # that the reference model is fitted on, of users drawn at random
_CONTENDERS = 10  # users looked at for each that is wanted, among those with equal histories
_USERS_PER_CHUNK = 256


class ChosenSlate(NamedTuple):
    """A slate in a row and columns of the interaction matrix.

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
    """Slates in rows and columns of the interaction matrix, in the order to ask them.

    Any first part is a good choice for a smaller budget.

    Attributes
    ----------
    users : ndarray of shape (n,), intp
    histories : list of n intp arrays
        Items shown, oldest first, at most 10.
    candidates : ndarray of shape (n, size), intp
        -1 at the end of the rows with fewer.
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
    """Choose what to ask a judge about.

    Two kinds of slates alternate:

    - *Calibration*: 1, 2, 3, 5 or 10 of a user's interactions are shown, so that the gate learns
      what a judge is worth at each length, and some of the 40 after them are hidden among new
      items, at most 4. Both the hidden and the new ones are drawn with the odds of the recipe for
      supervision, by a reference model that does not know this user. Users of whom nothing is drawn
      to be hidden are passed over, except for the first 30 slates if there are no others.
    - *Supervision*: of every 20 candidates, about 12 are drawn from the 30 best of the reference
      model for this user, 3 from the 100 best, 2 by popularity, and 3 from the 20 best ones of the
      tail (items with at most 3 interactions, or the least popular 10 %), all of them new to the
      user. Users with short histories come first, and among equal ones those of whom the model is
      less sure: whose best items it scores closer together.

    The reference model is fitted on at most 250,000 interactions, of users drawn at random; all
    users are folded in. Apart from one counting pass, the run time does not depend on the size of
    the data.

    Parameters
    ----------
    interactions : Interactions
    features : csr_matrix of shape (n_items, n_features) or None
    max_slates : int or None, default=None
        At most. None: one supervision slate for each user with interactions, and as many
        calibration slates as their fraction, 2,000 in total at most.
    size : int, default=20
        Candidates of a slate, fewer if there are not as many.
    calibration_fraction : float, default=0.3
        Fraction of the slates that calibrate, if there are enough users with 4 interactions of whom
        something is drawn to be hidden; else more slates supervise.
    random_state : int, default=0
    num_threads : int, default=0
        0: all cores.
    verbose : int, default=0
        Above 0: a progress bar.
    recipe : Recipe
        Where candidates are drawn from.

    Returns
    -------
    chosen : ChosenSlates

    Notes
    -----
    In a supervision slate an item is a candidate because the model favors it, whether the user
    would like it or not. So must it be in calibration. Were the hidden interactions taken as they
    come, and only the others among the model's favorites, the model's evidence would look worse
    than it is, and the judge would be credited for the difference (``benchmarks/README.md``).

    Each interaction is hidden with a probability that does not depend on the user's others. If the
    odds to be drawn as a candidate are q for an item, they are the same multiple of q for all items
    of a slate, hidden or not: that one of two is hidden says that it is liked, nothing else.
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
        progress.finish()  # there may be fewer than wanted
    return _interleave(calibration, supervision, size)


def _counted(slates, progress):
    for slate in slates:
        progress.update()
        yield slate


class _Sampler:
    """Draws slates for users in a random order."""

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
        # Those who are too many for the reference model.
        self.beyond = self.users[np.cumsum(self.lengths[self.users]) > _MOST_INTERACTIONS]

    def past(self, user):
        """Return the items of a user, oldest first."""
        return self.history[self.matrix.indptr[user] : self.matrix.indptr[user + 1]]

    def generator(self, user, kind):
        return np.random.default_rng([self.random_state, kind, self.seeds[user]])

    def reference(self, left_out=()):
        """Return a reference model that knows nothing of some users."""
        left_out = np.append(np.asarray(left_out, dtype=np.intp), self.beyond)
        rest = without_rows(self.matrix, left_out)
        return ReferenceModel(rest, self.features, self.random_state, self.num_threads)

    # -- calibration -----------------------------------------------------------------------------

    def calibration(self, n_wanted, progress):
        """Return calibration slates; those where nothing was to be hidden only fill up to 30."""
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
            # A model that knew the hidden interactions would have favorites among rare items.
            model = self.reference(users)
            for start in range(0, len(users), _USERS_PER_CHUNK):
                yield from self._calibration(users[start : start + _USERS_PER_CHUNK], model)

    def _calibration(self, users, model):
        """Make a calibration slate for each user, of whom the model knows nothing.

        Each of the later interactions is hidden with a probability in proportion to its odds to be
        a candidate, whatever the others are. Were some hidden for each user, they would often have
        low odds, and the new items high ones: as if what the model favors were rarely liked.

        Yields
        ------
        slate : ChosenSlate
        was_drawn : bool
            Whether anything was to be hidden; else one interaction was, drawn by the odds.
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
            # Had the user come then, supervision would draw from what is liked later, too.
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
        """Make distinct supervision slates, of each user up to `most_turns`."""
        model = self.reference()
        ranked = self._rank_users(model, n_wanted)
        asked: set[tuple] = set()
        for turn in range(most_turns):
            users = ranked[: n_wanted - len(asked)]
            for start in range(0, len(users), _USERS_PER_CHUNK):
                part = users[start : start + _USERS_PER_CHUNK]
                for slate in self._supervision(part, model, turn):
                    same = slate.user, frozenset(slate.candidates.tolist())
                    if same not in asked:  # a small catalog has no other candidates
                        asked.add(same)
                        yield slate

    def _supervision(self, users, model, turn):
        """Make a supervision slate for each user."""
        scores = model.scores(self.matrix[users])
        for user, row in zip(users, scores, strict=True):
            liked, random = self.past(user), self.generator(user, 1 + turn)
            candidates = CandidateOdds(row, liked, model, self.recipe).draw(self.size, random)
            if len(candidates) > 1:
                candidates = random.permutation(candidates)
                yield ChosenSlate(user, liked[-MAX_HISTORY:], candidates, False)

    def _rank_users(self, model, n_wanted):
        """Return users by history length, and among equal ones by how unsure the model is.

        Those with 10 interactions or more count as equal. Where many more are equal than are
        wanted, only the first ones are looked at.
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
    """Return 1 for 1.0: ids that were read as floats are the same users, who are asked the same."""
    return int(user) if isinstance(user, float) and user.is_integer() else user


def _mix(seeds, random_state):
    """Return other numbers for each seed, the same wherever they stand."""
    return np.array([zlib.crc32(b"%d %d" % (random_state, seed)) for seed in seeds.tolist()])


def _split(eligible, is_beyond, n_wanted):
    """Divide users who can calibrate into batches; a reference model may know the other ones.

    Of those beyond, no reference model knows anything.
    """
    fitted, others = eligible[~is_beyond], eligible[is_beyond]
    size = max(-(-n_wanted // 2), -(-len(fitted) // _FOLDS), 1)
    batches = [fitted[start : start + size] for start in range(0, len(fitted), size)]
    return [batch for batch in [*batches, others] if len(batch)] if n_wanted else []


def _split_history(liked, size, random):
    """Return the items that are shown, those after them, and how many of these may be hidden."""
    n_hidden = int(np.clip(size // 5, 1, min(4, len(liked) // 2)))
    n_shown = int(random.choice([n for n in _SHOWN if n <= len(liked) - n_hidden]))
    n_later = max(n_hidden, min(len(liked) - n_shown, _LATER))
    return liked[-n_later - n_shown : -n_later], liked[-n_later:], n_hidden


def _as_rows(lists, n_items):
    """Return lists of items as rows of a binary CSR matrix."""
    indptr = np.cumsum([0, *(len(items) for items in lists)])
    indices = np.concatenate([np.empty(0, np.intp), *lists])
    data = np.ones(len(indices), dtype=np.float32)
    matrix = sp.csr_matrix((data, indices, indptr), shape=(len(lists), n_items))
    matrix.sort_indices()
    return matrix


def _interleave(calibration, supervision, size):
    """Put the two kinds into one order, evenly mixed."""
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
