"""Which questions to ask a judge: knows interactions and a fixed reference model, no judge.

The choice depends on the rows, the item features and the slate parameters alone, so that a search
over the model's other parameters asks nothing new. Each user's draw depends on that user's id and
on the seed, not on who else is there.
"""

import zlib
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from ._als import top_k
from ._backbone import ALSBackbone, with_bias
from ._evidence import without_rows
from ._progress import tqdm
from ._slates import MAX_HISTORY

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
_LATER = 40  # interactions after the shown ones, of which some are hidden
_FOLDS = 2  # of the users who calibrate
_TOP = 100  # supervision candidates come from that many best items of the reference model
_TAIL_SHARE = 0.1  # of the items, the least popular ones
_TAIL_POOL = 5  # candidates from the tail are drawn from that many times as many
_TAIL_COUNT = 3  # interactions up to which an item is in the tail in any case
_MOST_INTERACTIONS = 250_000  # that the reference model is fitted on, of users drawn at random
_CONTENDERS = 10  # users looked at for each that is wanted, among those with equal histories
_USERS_PER_CHUNK = 256
_USERS_PER_TOP = 10_000


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
):
    """Choose what to ask a judge about.

    Two kinds of questions alternate:

    - *Calibration*: 1, 2, 3, 5 or 10 of a user's interactions are shown, so that the gate learns
      what a judge is worth at each length, and at most 4 of the 40 after them are hidden among new
      items. Both the hidden and the new ones are drawn as items are drawn for supervision, from a
      reference model that does not know this user.
    - *Supervision*: of every 20 candidates, 13 are from the 100 best of the reference model for
      this user, 3 are drawn by popularity, and 4 are the best ones of the tail (items with at most
      3 interactions, or the least popular 10 %), all of them new to the user. Users with short
      histories come first, and among equal ones those of whom the model is less sure: whose best
      items it scores closer together.

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
        Share of the questions that calibrate, if there are enough users with 4 interactions.
    random_state : int, default=0
    num_threads : int, default=0
        0: all cores.
    verbose : int, default=0
        Above 0: a progress bar.

    Returns
    -------
    questions : Questions

    Notes
    -----
    In a supervision question an item is a candidate because the model favors it, whether the user
    would like it or not. So must it be in calibration. Were the hidden interactions taken as they
    come, and only the others among the model's favorites, the model's evidence would look worse
    than it is, and the judge would be credited for the difference (``benchmarks/README.md``).
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

    def past(user):
        return history[matrix.indptr[user] : matrix.indptr[user + 1]]

    def generator(user, kind):
        return np.random.default_rng([random_state, kind, seeds[user]])

    def reference(left_out):
        rest = without_rows(matrix, np.append(left_out, _beyond(place, lengths)))
        return _Reference(rest, features, random_state, num_threads)

    progress = tqdm(
        total=n_questions, disable=not verbose, desc="choosing questions", unit="question"
    )
    model = reference(active[:0])
    n_calibration = round(calibration_share * n_questions)
    able = place[lengths[place] >= _LEAST_INTERACTIONS][:n_calibration]
    n_supervision = n_questions - len(able)
    ranked = _rank_users(place, matrix, model, n_supervision)

    calibration = []
    for users in (able[fold::_FOLDS] for fold in range(min(_FOLDS, len(able)))):
        # A model that knew the hidden interactions would have favorites among rare items.
        others = reference(users)
        for start in range(0, len(users), _USERS_PER_CHUNK):
            part = users[start : start + _USERS_PER_CHUNK]
            calibration += _calibration(part, past, others, slate_size, generator)
            progress.update(len(calibration) - progress.n)
    supervision, asked = [], set()
    for turn in range(most_turns):
        wanted = ranked[: n_supervision - len(supervision)]
        for start in range(0, len(wanted), _USERS_PER_CHUNK):
            part = wanted[start : start + _USERS_PER_CHUNK]
            scores = model.scores(matrix[part])
            for question in _supervision(part, scores, past, model, slate_size, generator, turn):
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


def _supervision(users, rows, past, model, slate_size, generator, turn):
    """Make a supervision question for each user, given their rows of scores."""
    for user, scores in zip(users, rows, strict=True):
        liked = past(user)
        random = generator(user, 1 + turn)
        candidates = _draw(scores, liked, model, slate_size, random)
        if len(candidates) > 1:
            yield user, liked[-MAX_HISTORY:], random.permutation(candidates), False


def _draw(scores, taken, model, n_candidates, random):
    """Draw new items for a user: most from the best, some by popularity, some from the tail."""
    new = np.ones(len(scores), dtype=bool)
    new[taken] = False
    n_best, n_popular, n_tail = _shares(n_candidates)
    chosen = random.permutation(_best(scores, new, _TOP))[:n_best]
    new[chosen] = False
    popular = _by_popularity(model.popularity, new, n_popular, random)
    new[popular] = False
    tail = random.permutation(_best(scores, new & model.tail, _TAIL_POOL * n_tail))[:n_tail]
    new[tail] = False
    chosen = np.concatenate([chosen, popular, tail])
    return np.concatenate([chosen, _best(scores, new, n_candidates - len(chosen))])


def _shares(n_candidates):
    """Return how many candidates are from the best, by popularity, and from the tail."""
    n_popular, n_tail = round(n_candidates * 3 / 20), round(n_candidates * 4 / 20)
    return n_candidates - n_popular - n_tail, n_popular, n_tail


def _best(scores, allowed, n_items):
    """Return the allowed items with the highest scores."""
    items = np.flatnonzero(allowed)
    if n_items < len(items):
        items = (
            items[np.argpartition(-scores[items], n_items - 1)[:n_items]] if n_items else items[:0]
        )
    return items[np.argsort(-scores[items], kind="stable")]


def _by_popularity(popularity, allowed, n_items, random):
    """Draw items in proportion to their numbers of interactions."""
    items = np.flatnonzero(allowed & (popularity > 0))
    n_items = min(n_items, len(items))
    weights = popularity[items] / max(popularity[items].sum(), 1)
    return random.choice(items, n_items, replace=False, p=weights) if n_items else items[:0]


def _calibration(users, past, model, slate_size, generator):
    """Make a calibration question for each user, of whom the model knows nothing."""
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
        odds = _inclusion(row, later, liked, model, slate_size)
        # More draws would take nearly all of them, whatever their probabilities.
        n_hidden = int(np.clip(odds.sum() // odds.max(), 1, n_hidden))
        hidden = random.choice(later, n_hidden, replace=False, p=odds / odds.sum())
        others = _draw(row, liked, model, slate_size - n_hidden, random)
        if len(others):
            yield user, seen, random.permutation(np.concatenate([hidden, others])), True


def _inclusion(scores, items, taken, model, n_candidates):
    """Return the probabilities with which `_draw` would draw items, were they new; all > 0."""
    new = np.ones(len(scores), dtype=bool)
    new[taken] = False
    n_best, n_popular, n_tail = _shares(n_candidates)
    share = model.popularity[items] / max(model.popularity.sum(), 1)
    missed = 1 - np.minimum(1, n_popular * share)
    for allowed, eligible, n_pool, n_drawn in (
        (new, True, _TOP, n_best),
        (new & model.tail, model.tail[items], _TAIL_POOL * n_tail, n_tail),
    ):
        pool = _best(scores, allowed, n_pool)
        if len(pool):
            inside = eligible & (scores[items] >= scores[pool[-1]])
            missed = missed * (1 - inside * min(1, n_drawn / len(pool)))
    return np.maximum(1 - missed, 1e-6)


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
