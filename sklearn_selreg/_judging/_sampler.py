"""Which questions to ask a judge: knows interactions and a fixed reference model, no judge.

The choice depends on the rows, the item features and the slate parameters alone, so that a search
over the model's other parameters asks nothing new. Each user's draw depends on that user's id and
on the seed, not on who else is there.
"""

import zlib
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from .._factorization._als import top_k
from .._factorization._als_backbone import ALSBackbone
from .._factorization._factors import with_bias
from .._utils._progress import tqdm
from ._slates import MAX_HISTORY
from ._standing import without_rows

REFERENCE = {
    "factors": 32,
    "regularization": 140.0,
    "alpha": 50.0,
    "iterations": 10,
    "prior_strength": 1.2,
    "item_bias": 0.15,
    "missing_power": 0.5,
    "recency_power": 0.0,
}
"""Settings of the reference model: the estimator's defaults, with fewer factors and sweeps."""

MOST_QUESTIONS = 2000
"""Questions by default, at most."""

_SHOWN = (1, 2, 3, 5, 10)  # lengths of the histories of calibration questions
_LEAST_INTERACTIONS = 4  # of a user who can calibrate
_LEAST_CALIBRATION = 30  # questions that calibrate, also where nothing was to be hidden
_LATER = 40  # interactions after the shown ones, of which some are hidden
_FOLDS = 8  # of the users who can calibrate, at most
_TOP = 100  # best items of a user whose scores tell how sure the reference model is
_TAIL_SHARE = 0.1  # of the items, the least popular ones
_TAIL_POOL = 20  # candidates from the tail are among that many best ones of it
_ANY = 1e-9  # odds of items that no part of the recipe is for: they only fill small catalogs
_TAIL_COUNT = 3  # interactions up to which an item is in the tail in any case
_MOST_INTERACTIONS = 250_000  # that the reference model is fitted on, of users drawn at random
_CONTENDERS = 10  # users looked at for each that is wanted, among those with equal histories
_USERS_PER_CHUNK = 256
_USERS_PER_TOP = 10_000


@dataclass(frozen=True)
class Recipe:
    """Which items the candidates of a question are drawn from, in parts of any unit.

    The parts overlap: an item among the 30 best is among the 100 best, too.

    Attributes
    ----------
    best : tuple of (int, float)
        Numbers of best items of the reference model, and the part drawn from so many, uniformly.
    popular : float
        Part drawn by popularity.
    tail : float
        Part drawn from the 20 best items of the tail, uniformly.
    """

    best: tuple
    popular: float
    tail: float


RECIPE = Recipe(best=((30, 12), (100, 3)), popular=2, tail=3)
"""Of every 20 candidates."""


@dataclass(frozen=True, eq=False)
class Questions:
    """Questions in rows and columns of the interaction matrix, in the order to ask them.

    Any first part is a good choice for a smaller budget.

    Attributes
    ----------
    users : ndarray of shape (n,), intp
    histories : list of n intp arrays
        Items shown, oldest first, at most 10.
    candidates : ndarray of shape (n, slate_size), intp
        -1 at the end of the rows with fewer.
    calibrates : ndarray of shape (n,), bool
        Whether the candidates hide interactions of the user.
    """

    users: np.ndarray
    histories: list
    candidates: np.ndarray
    calibrates: np.ndarray

    def __len__(self):
        return len(self.users)


def choose_questions(
    interactions,
    features,
    *,
    n_questions=None,
    slate_size=20,
    calibration_share=0.3,
    random_state=0,
    num_threads=0,
    verbose=0,
    recipe=RECIPE,
):
    """Choose what to ask a judge about.

    Two kinds of questions alternate:

    - *Calibration*: 1, 2, 3, 5 or 10 of a user's interactions are shown, so that the gate learns
      what a judge is worth at each length, and some of the 40 after them are hidden among new
      items, at most 4. Both the hidden and the new ones are drawn with the odds of the recipe for
      supervision, by a reference model that does not know this user. Users of whom nothing is drawn
      to be hidden are passed over, but for the first 30 questions if there are no others.
    - *Supervision*: of every 20 candidates, about 12 are drawn from the 30 best of the reference
      model for this user, 3 from the 100 best, 2 by popularity, and 3 from the 20 best ones of the
      tail (items with at most 3 interactions, or the least popular 10 %), all of them new to the
      user. Users with short histories come first, and among equal ones those of whom the model is
      less sure: whose best items it scores closer together.

    The reference model is fitted on at most 250,000 interactions, of users drawn at random; all
    users are folded in. So the time this takes does not grow with the data, but for counting.

    Parameters
    ----------
    interactions : Interactions
    features : csr_matrix of shape (n_items, n_features) or None
    n_questions : int or None, default=None
        At most. None: one supervision question for each user with interactions, and as many
        calibration questions as their share, 2,000 in total at most.
    slate_size : int, default=20
        Candidates of a question, fewer if there are not as many.
    calibration_share : float, default=0.3
        Share of the questions that calibrate, if there are enough users with 4 interactions of whom
        something is drawn to be hidden; else more questions supervise.
    random_state : int, default=0
    num_threads : int, default=0
        0: all cores.
    verbose : int, default=0
        Above 0: a progress bar.
    recipe : Recipe
        Where candidates are drawn from.

    Returns
    -------
    questions : Questions

    Notes
    -----
    In a supervision question an item is a candidate because the model favors it, whether the user
    would like it or not. So must it be in calibration. Were the hidden interactions taken as they
    come, and only the others among the model's favorites, the model's evidence would look worse
    than it is, and the judge would be credited for the difference (``benchmarks/README.md``).

    Each interaction is hidden with a probability that does not depend on the user's others. If the
    odds to be drawn as a candidate are q for an item, they are the same multiple of q for all items
    of a question, hidden or not: that one of two is hidden says that it is liked, nothing else.
    """
    matrix = interactions.matrix
    history = interactions.history.astype(np.intp)
    lengths = np.diff(matrix.indptr)
    active = np.flatnonzero(lengths)
    most_turns = _TOP // slate_size + 1
    if n_questions is None:
        rest = max(1 - calibration_share, 1e-9)
        n_questions = min(MOST_QUESTIONS, int(np.ceil(len(active) / rest)))
        most_turns = 1
    seeds = np.array([zlib.crc32(repr(user).encode()) for user in interactions.users.tolist()])
    place = np.argsort(_mixed(seeds, random_state), kind="stable")  # users in a random order
    place = place[lengths[place] > 0]
    beyond = _beyond(place, lengths)

    def past(user):
        return history[matrix.indptr[user] : matrix.indptr[user + 1]]

    def generator(user, kind):
        return np.random.default_rng([random_state, kind, seeds[user]])

    def reference(left_out):
        rest = without_rows(matrix, np.append(left_out, beyond))
        return _Reference(rest, features, random_state, num_threads)

    progress = tqdm(
        total=n_questions, disable=not verbose, desc="choosing questions", unit="question"
    )
    n_calibration = round(calibration_share * n_questions)
    able = place[lengths[place] >= _LEAST_INTERACTIONS]
    calibration, reserve = [], []
    for users in _batches(able, np.isin(able, beyond), n_calibration):
        # A model that knew the hidden interactions would have favorites among rare items.
        others = reference(users)
        for start in range(0, len(users), _USERS_PER_CHUNK):
            part = users[start : start + _USERS_PER_CHUNK]
            for question, drawn in _calibration(part, past, others, recipe, slate_size, generator):
                (calibration if drawn else reserve).append(question)
            calibration = calibration[:n_calibration]
            progress.update(len(calibration) - progress.n)
            if len(calibration) == n_calibration:
                break
        if len(calibration) == n_calibration:
            break
    least = min(n_calibration, _LEAST_CALIBRATION)
    calibration += reserve[: max(least - len(calibration), 0)]
    model = reference(active[:0])
    n_supervision = n_questions - len(calibration)
    ranked = _rank_users(place, matrix, model, n_supervision)
    supervision, asked = [], set()
    for turn in range(most_turns):
        wanted = ranked[: n_supervision - len(supervision)]
        for start in range(0, len(wanted), _USERS_PER_CHUNK):
            part = wanted[start : start + _USERS_PER_CHUNK]
            made = _supervision(
                part, model.scores(matrix[part]), past, model, recipe, slate_size, generator, turn
            )
            for question in made:
                same = question[0], frozenset(question[2].tolist())
                if same not in asked:  # a small catalog has no other candidates
                    asked.add(same)
                    supervision.append(question)
                    progress.update()
    progress.total = progress.n  # there may be fewer than wanted
    progress.close()
    return _interleave(calibration, supervision, slate_size)


def _mixed(seeds, random_state):
    """Return other numbers for each seed, the same wherever they stand."""
    return np.array([zlib.crc32(b"%d %d" % (random_state, seed)) for seed in seeds.tolist()])


def _beyond(place, lengths):
    """Return the users, in a given order, that are too many for the reference model."""
    return place[np.cumsum(lengths[place]) > _MOST_INTERACTIONS]


def _batches(able, is_beyond, n_wanted):
    """Divide users who can calibrate into batches; a reference model may know the other ones.

    Of those beyond, no reference model knows anything.
    """
    fitted, others = able[~is_beyond], able[is_beyond]
    size = max(-(-n_wanted // 2), -(-len(fitted) // _FOLDS), 1)
    batches = [fitted[start : start + size] for start in range(0, len(fitted), size)]
    return [batch for batch in [*batches, others] if len(batch)] if n_wanted else []


def _rank_users(place, matrix, model, n_wanted):
    """Return users by history length, and among equal ones by how unsure the model is.

    Those with 10 interactions or more count as equal. Where many more are equal than are wanted,
    only the first ones of `place` are looked at.
    """
    length = np.minimum(np.diff(matrix.indptr)[place], MAX_HISTORY)
    last = np.sort(length)[min(n_wanted, len(length)) - 1] if n_wanted else 0
    equal = np.flatnonzero(length == last)[_CONTENDERS * n_wanted :]
    kept = np.delete(np.arange(len(place)), np.append(equal, np.flatnonzero(length > last)))
    users = place[kept]
    return users[np.lexsort((model.sureness(matrix[users]), length[kept]))]


class _Reference:
    """The reference model: items fitted, users folded in."""

    def __init__(self, matrix, features, random_state, num_threads):
        self.popularity = matrix.getnnz(axis=0)
        self._num_threads = num_threads
        self._backbone = ALSBackbone(**REFERENCE, num_threads=num_threads)
        start = self._backbone.start(*matrix.shape, np.random.default_rng(random_state))
        problem = self._backbone.problem(matrix, features, start)
        for _ in range(self._backbone.iterations):
            problem.sweep()
        self._items = problem.item_factors
        self._bias = self._backbone.bias(self.popularity[:, np.newaxis], features)
        n_tail = int(np.ceil(_TAIL_SHARE * matrix.shape[1]))
        rank = np.argsort(np.argsort(self.popularity, kind="stable"), kind="stable")
        self.tail = (self.popularity <= _TAIL_COUNT) | (rank < n_tail)

    def _factors(self, matrix):
        confidence = self._backbone.confidence(matrix)
        users = self._backbone.fold_in(confidence, self._items, self.popularity)
        return with_bias(users, self._items, self._bias)

    def scores(self, matrix):
        """Return the scores of all items for users with some interactions, (n_users, n_items)."""
        users, items = self._factors(matrix)
        return users @ items.T

    def sureness(self, matrix):
        """Return how far apart the scores of each user's best new items are, (n_users,)."""
        spread = np.zeros(matrix.shape[0])
        for start in range(0, len(spread), _USERS_PER_TOP):
            part = matrix[start : start + _USERS_PER_TOP]
            n_best = min(_TOP, matrix.shape[1])
            _, best = top_k(*self._factors(part), n_best, seen=part, num_threads=self._num_threads)
            known = ~np.isnan(best).all(axis=1)
            spread[start : start + _USERS_PER_TOP][known] = np.nanstd(best[known], axis=1)
        return spread


def _supervision(users, rows, past, model, recipe, slate_size, generator, turn):
    """Make a supervision question for each user, given their rows of scores."""
    for user, scores in zip(users, rows, strict=True):
        liked = past(user)
        random = generator(user, 1 + turn)
        candidates = _Odds(scores, liked, model, recipe).draw(slate_size, random)
        if len(candidates) > 1:
            yield user, liked[-MAX_HISTORY:], random.permutation(candidates), False


class _Odds:
    """How likely each item is to be a candidate for a user, up to a factor.

    Parameters
    ----------
    scores : ndarray of shape (n_items,)
    taken : ndarray of intp
        Items that are not drawn.
    model : _Reference
    recipe : Recipe

    Attributes
    ----------
    odds : ndarray of shape (n_items,), float64
        0 for those taken.
    """

    def __init__(self, scores, taken, model, recipe):
        allowed = np.ones(len(scores), dtype=bool)
        allowed[taken] = False
        pools = [(_best(scores, allowed & model.tail, _TAIL_POOL), recipe.tail)]
        pools += [(_best(scores, allowed, depth), part) for depth, part in recipe.best]
        popularity = np.where(allowed, model.popularity, 0)
        self.odds = recipe.popular * popularity / max(popularity.sum(), 1) + _ANY * allowed
        self._pools, rest = [], allowed
        for pool, part in pools:
            self.odds[pool] += part / max(len(pool), 1)
            self._pools.append(pool[rest[pool]])
            rest[pool] = False
        self._rest = np.flatnonzero(rest)

    def draw(self, n_items, random, left_out=()):
        """Draw items, about as many from each part of the recipe as it says."""
        order = np.concatenate([*map(random.permutation, self._pools), self._rest])
        if len(left_out):
            order = order[~np.isin(order, left_out)]
        return order[_systematic(self.odds[order], min(n_items, len(order)), random)]


def _systematic(odds, n_drawn, random):
    """Draw different places, with the probabilities of `_inclusion`: at equal steps of their sum.

    Of neighbors as many are drawn as their probabilities sum to, rounded up or down.
    """
    steps = random.random() + np.arange(n_drawn)
    found = np.searchsorted(np.cumsum(_inclusion(odds, n_drawn)), steps, side="right")
    return np.minimum(found, len(odds) - 1)


def _inclusion(odds, n_drawn):
    """Return the probabilities of being drawn: in proportion to the odds, but 1 at most."""
    probabilities = n_drawn * odds / max(odds.sum(), 1e-300)
    while (probabilities > 1).any():
        sure = probabilities >= 1
        probabilities[sure] = 1
        left = n_drawn - sure.sum()
        probabilities[~sure] *= left / max(probabilities[~sure].sum(), 1e-300)
    return probabilities


def _best(scores, allowed, n_items):
    """Return the allowed items with the highest scores."""
    items = np.flatnonzero(allowed)
    if n_items < len(items):
        items = (
            items[np.argpartition(-scores[items], n_items - 1)[:n_items]] if n_items else items[:0]
        )
    return items[np.argsort(-scores[items], kind="stable")]


def _calibration(users, past, model, recipe, slate_size, generator):
    """Make a calibration question for each user, of whom the model knows nothing.

    Each of the later interactions is hidden with a probability in proportion to its odds to be a
    candidate, whatever the others are. Were some hidden for each user, they would often have low
    odds, and the new items high ones: as if what the model favors were rarely liked.

    Yields
    ------
    question : tuple
    drawn : bool
        Whether anything was to be hidden; else one interaction was, drawn by the odds.
    """
    randoms = [generator(user, 0) for user in users]
    splits = []
    for user, random in zip(users, randoms, strict=True):
        liked = past(user)
        n_hidden = int(np.clip(slate_size // 5, 1, min(4, len(liked) // 2)))
        lengths = [n for n in _SHOWN if n <= len(liked) - n_hidden]
        n_shown = int(random.choice(lengths))
        n_later = max(n_hidden, min(len(liked) - n_shown, _LATER))
        splits.append((liked[-n_later - n_shown : -n_later], liked[-n_later:], n_hidden))
    shown = _rows([seen for seen, _, _ in splits], len(model.popularity))
    scores = model.scores(shown)
    for user, random, row, (seen, later, n_hidden) in zip(
        users, randoms, scores, splits, strict=True
    ):
        liked = past(user)
        # Had the user come then, supervision would draw from what is liked later, too.
        odds = _Odds(row, liked[: -len(later)], model, recipe)
        hidden = later[random.random(len(later)) < odds.odds[later] / odds.odds.max()]
        drawn = len(hidden) > 0
        if not drawn:
            hidden = later[_systematic(odds.odds[later], 1, random)]
        hidden = random.permutation(hidden)[:n_hidden]
        others = odds.draw(slate_size - len(hidden), random, left_out=liked)
        if len(others):
            candidates = random.permutation(np.concatenate([hidden, others]))
            yield (user, seen, candidates, True), drawn


def _rows(lists, n_items):
    """Return lists of items as rows of a binary CSR matrix."""
    indptr = np.cumsum([0, *(len(items) for items in lists)])
    indices = np.concatenate([np.empty(0, np.intp), *lists])
    data = np.ones(len(indices), dtype=np.float32)
    matrix = sp.csr_matrix((data, indices, indptr), shape=(len(lists), n_items))
    matrix.sort_indices()
    return matrix


def _interleave(calibration, supervision, slate_size):
    """Put the two kinds into one order, evenly mixed."""
    questions = calibration + supervision
    place = [
        (np.arange(len(kind)) + 0.5) / max(len(kind), 1) for kind in (calibration, supervision)
    ]
    order = np.argsort(np.concatenate(place), kind="stable")
    candidates = np.full((len(questions), slate_size), -1, dtype=np.intp)
    for row, number in enumerate(order):
        items = questions[number][2]
        candidates[row, : len(items)] = items
    return Questions(
        users=np.array([questions[n][0] for n in order], dtype=np.intp),
        histories=[questions[n][1] for n in order],
        candidates=candidates,
        calibrates=np.array([questions[n][3] for n in order], dtype=bool),
    )
