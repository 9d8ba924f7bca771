"""The question to a judge, and the base class of all judges."""

from abc import ABCMeta, abstractmethod
from dataclasses import dataclass

import numpy as np
from sklearn.base import BaseEstimator


@dataclass(frozen=True)
class Slate:
    """One question to a judge: how much would a user like each of some items.

    Sequences are stored as tuples, so slates compare and hash by value.

    Parameters
    ----------
    user : hashable
        Id of the user.
    history : sequence of hashable, length n_history
        Ids of items the user liked, oldest first; may be empty.
    candidates : sequence of hashable, length n_candidates
        Ids of the items to rate, in the order shown; at least one, all different.
    history_texts : sequence of str, length n_history or 0, default=()
        Descriptions of the history's items.
    candidate_texts : sequence of str, length n_candidates or 0, default=()
        Descriptions of the candidates.

    Raises
    ------
    ValueError
        If there is no candidate, if a candidate is listed twice, or if the number of texts is
        neither 0 nor the number of items.

    Examples
    --------
    >>> from sklearn_selreg.judges import Slate
    >>> Slate(user=7, history=["Alien"], candidates=["Aliens", "Heidi"])
    Slate(user=7, history=('Alien',), candidates=('Aliens', 'Heidi'),
          history_texts=(), candidate_texts=())
    """

    user: object
    history: tuple
    candidates: tuple
    history_texts: tuple = ()
    candidate_texts: tuple = ()

    def __post_init__(self):
        for name in ("history", "candidates", "history_texts", "candidate_texts"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        check_candidates(self.candidates)
        for items, texts in (("history", "history_texts"), ("candidates", "candidate_texts")):
            n_items, n_texts = len(getattr(self, items)), len(getattr(self, texts))
            if n_texts not in (0, n_items):
                raise ValueError(
                    f"{texts} must be empty or hold one text for each of the {n_items} items in "
                    f"{items}; got {n_texts} texts."
                )


@dataclass(frozen=True, eq=False)
class Preferences:
    """Pairwise preferences of a judge, one entry a pair.

    Attributes
    ----------
    slate : ndarray of shape (n_pairs,), int64
        Number of the slate the pair is from.
    preferred, other : ndarray of shape (n_pairs,), int64
        Positions, among the slate's candidates, of the item rated higher and of the one rated
        lower.
    gap : ndarray of shape (n_pairs,), float64
        Difference of the two ratings, in (0, 1].
    """

    slate: np.ndarray
    preferred: np.ndarray
    other: np.ndarray
    gap: np.ndarray


class LLMJudge(BaseEstimator, metaclass=ABCMeta):
    """Base class of all judges.

    A judge has parameters and can be cloned, as any scikit-learn estimator, but is not fitted: it
    answers questions. A subclass overrides :meth:`_rate`; think twice before overriding more.

    See Also
    --------
    PrecomputedJudge : Gives answers that were recorded before.

    Examples
    --------
    >>> from sklearn_selreg.judges import LLMJudge, Slate
    >>> class ShortTitles(LLMJudge):
    ...     def _rate(self, slates):
    ...         return [[1 / len(title) for title in slate.candidates] for slate in slates]
    >>> ShortTitles().rate([Slate(user=7, history=[], candidates=["Up", "Heat"])])
    [array([0.5 , 0.25])]
    """

    def rate(self, slates):
        """Rate the candidates of each slate.

        Parameters
        ----------
        slates : iterable of Slate
            The questions.

        Returns
        -------
        ratings : list of ndarray of shape (n_candidates,), float64
            For each slate, one rating in [0, 1] for each candidate; NaN where the judge has no
            opinion.

        Raises
        ------
        TypeError
            If `slates` is not an iterable of :class:`Slate`.
        ValueError
            If the judge's answer has the wrong number of slates or of ratings, or if a rating is
            not a number in [0, 1].
        """
        slates = _check_slates(slates)
        return _check_answers(slates, self._rate(slates))

    def preferences(self, slates):
        """Rate the slates and compare all candidates within each.

        Parameters
        ----------
        slates : iterable of Slate
            The questions.

        Returns
        -------
        preferences : Preferences
            All pairs of candidates of one slate that were rated differently, slate by slate.
            Candidates without a rating are in no pair.

        Raises
        ------
        TypeError, ValueError
            As :meth:`rate`.

        Examples
        --------
        >>> from sklearn_selreg.judges import LLMJudge, Slate
        >>> judge = LLMJudge.from_callable(lambda slate: [0.5, 0.75, 0.5], name="x", version="1")
        >>> pairs = judge.preferences([Slate(user=7, history=[], candidates=["a", "b", "c"])])
        >>> pairs.preferred, pairs.other, pairs.gap
        (array([1, 1]), array([0, 2]), array([0.25, 0.25]))
        """
        ratings = self.rate(slates)
        indptr = np.cumsum([0, *(len(r) for r in ratings)])
        slate, first, second = slate_pairs(indptr)
        flat = np.concatenate([[], *ratings])
        difference = flat[first] - flat[second]
        rated_apart = np.abs(difference) > 0  # not where a rating is NaN
        slate, first, second, difference = (
            a[rated_apart] for a in (slate, first, second, difference)
        )
        start = indptr[slate]
        return Preferences(
            slate=slate,
            preferred=np.where(difference > 0, first, second) - start,
            other=np.where(difference > 0, second, first) - start,
            gap=np.abs(difference),
        )

    @staticmethod
    def from_callable(f, *, name, version):
        """Make a judge of a function.

        Parameters
        ----------
        f : callable
            Takes a :class:`Slate` and returns one rating in [0, 1] for each of its candidates,
            None or NaN for no opinion.
        name, version : str
            What the judge is called, and which version of it this is. A function cannot be
            compared by what it does, so answers of different functions are told apart by these.

        Returns
        -------
        judge : LLMJudge
            A judge with the parameters `f`, `name` and `version`.

        Raises
        ------
        TypeError
            If `f` is not callable, or `name` or `version` is not a string.

        Examples
        --------
        >>> from sklearn_selreg.judges import LLMJudge, Slate
        >>> def likes_sequels(slate):
        ...     return [0.75 if title.endswith("2") else None for title in slate.candidates]
        >>> judge = LLMJudge.from_callable(likes_sequels, name="sequels", version="1")
        >>> judge.rate([Slate(user=7, history=[], candidates=["Cars", "Cars 2"])])
        [array([ nan, 0.75])]
        """
        if not callable(f):
            raise TypeError(f"f must be a function of a Slate; got {f!r}.")
        for parameter, value in (("name", name), ("version", version)):
            if not isinstance(value, str):
                raise TypeError(f"{parameter} must be a string; got {value!r}.")
        return _FunctionJudge(f=f, name=name, version=version)

    @abstractmethod
    def _rate(self, slates):
        """Answer the slates.

        Parameters
        ----------
        slates : list of Slate
            The questions.

        Returns
        -------
        ratings : iterable of array-like of shape (n_candidates,)
            For each slate, one rating in [0, 1] for each candidate; None or NaN for no opinion.
        """


class _FunctionJudge(LLMJudge):
    """Judge made by :meth:`LLMJudge.from_callable`."""

    def __init__(self, f, name, version):
        self.f = f
        self.name = name
        self.version = version

    def _rate(self, slates):
        return [self.f(slate) for slate in slates]


def slate_pairs(indptr):
    """List all pairs of candidates within each slate, without a Python loop.

    Parameters
    ----------
    indptr : ndarray of shape (n_slates + 1,), int
        Candidates of slate s have the numbers `indptr[s]` to `indptr[s + 1] - 1`.

    Returns
    -------
    slate, first, second : ndarray of shape (n_pairs,), int64
        Number of the slate and of the two candidates of each pair; `first < second`, in
        lexicographic order. A slate of k candidates has k (k - 1) / 2 pairs.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_selreg.judges._base import slate_pairs
    >>> slate_pairs(np.array([0, 3, 4, 6]))
    (array([0, 0, 0, 2]), array([0, 0, 1, 4]), array([1, 2, 2, 5]))
    """
    sizes = np.diff(indptr)
    slate = np.repeat(np.arange(len(sizes)), sizes)
    candidate = np.arange(indptr[-1])
    n_after = indptr[1:][slate] - candidate - 1  # candidates after this one in its slate
    first = np.repeat(candidate, n_after)
    run_start = np.repeat(np.cumsum(n_after) - n_after, n_after)
    second = first + 1 + np.arange(len(first)) - run_start
    return slate[first], first, second


def check_candidates(candidates):
    """Raise ValueError if there are no candidates, or if one is listed twice."""
    if not candidates:
        raise ValueError("candidates must hold at least one item; got none.")
    if len(set(candidates)) < len(candidates):
        twice = next(c for i, c in enumerate(candidates) if c in candidates[:i])
        raise ValueError(f"candidates must be all different; got {twice!r} twice.")


def check_ratings(ratings, n_candidates):
    """Check one slate's ratings.

    Parameters
    ----------
    ratings : array-like of shape (n_candidates,)
        Numbers in [0, 1]; None or NaN for no opinion.
    n_candidates : int
        Number of ratings expected.

    Returns
    -------
    ratings : ndarray of shape (n_candidates,), float64
        The same, None replaced by NaN.

    Raises
    ------
    ValueError
        If there are more or fewer ratings, or one is not a number in [0, 1].
    """
    try:
        array = np.array(ratings, dtype=np.float64)
    except (TypeError, ValueError):
        raise ValueError(f"ratings must be a list of numbers in [0, 1]; got {ratings!r}.") from None
    if array.ndim != 1:
        raise ValueError(f"ratings must be a list of numbers in [0, 1]; got {ratings!r}.")
    if len(array) != n_candidates:
        raise ValueError(
            f"ratings must hold one number for each of the {n_candidates} candidates; "
            f"got {len(array)}."
        )
    outside = ~((array >= 0) & (array <= 1) | np.isnan(array))
    if outside.any():
        raise ValueError(f"ratings must be in [0, 1]; got {array[outside][0]}.")
    return array


def _check_slates(slates):
    """Return the slates as a list, after checking that they are slates."""
    if isinstance(slates, Slate):
        raise TypeError("slates must be an iterable of Slate; got a single Slate.")
    slates = list(slates)
    for slate in slates:
        if not isinstance(slate, Slate):
            raise TypeError(f"slates must be an iterable of Slate; got a {type(slate).__name__}.")
    return slates


def _check_answers(slates, answers):
    """Return a judge's answers as a list of arrays, after checking them against the slates."""
    answers = list(answers)
    if len(answers) != len(slates):
        raise ValueError(
            f"The judge must answer each of the {len(slates)} slates; got {len(answers)} answers."
        )
    checked = []
    for number, (slate, answer) in enumerate(zip(slates, answers, strict=True)):
        try:
            checked.append(check_ratings(answer, len(slate.candidates)))
        except ValueError as error:
            raise ValueError(f"Answer to slate {number} (user {slate.user!r}): {error}") from None
    return checked
