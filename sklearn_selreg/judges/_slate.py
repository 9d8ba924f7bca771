"""Slates, answers and costs: what judges take and give, checked."""

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from .._utils._params import name_kind


@dataclass(frozen=True)
class Slate:
    """A list of candidates for a judge to rate: how much would a user like each of them.

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
    TypeError
        If a sequence is none, or a single string; if a candidate is not hashable.

    Examples
    --------
    >>> from sklearn_selreg.judges import Slate
    >>> Slate(user=7, history=["Alien"], candidates=["Aliens", "Heidi"])
    Slate(user=7, history=('Alien',), candidates=('Aliens', 'Heidi'),
          history_texts=(), candidate_texts=())
    """

    user: Hashable
    history: Sequence[Hashable]
    candidates: Sequence[Hashable]
    history_texts: Sequence[str] = ()
    candidate_texts: Sequence[str] = ()

    def __post_init__(self):
        for name in ("history", "candidates", "history_texts", "candidate_texts"):
            value = getattr(self, name)
            if isinstance(value, str | bytes) or not isinstance(value, Iterable):
                raise TypeError(f"{name} must be a list, one entry an item; got {value!r}.")
            object.__setattr__(self, name, tuple(value))
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

    Examples
    --------
    >>> from sklearn_selreg.judges import ContentJudge, Slate
    >>> slate = Slate(7, [1], [2, 3], ["red wine"], ["white tea", "red wine glass"])
    >>> pairs = ContentJudge().preferences([slate])
    >>> pairs.slate, pairs.preferred, pairs.other
    (array([0]), array([1]), array([0]))
    """

    slate: np.ndarray
    preferred: np.ndarray
    other: np.ndarray
    gap: np.ndarray


@dataclass(frozen=True)
class CostEstimate:
    """What asking some slates would take.

    Attributes
    ----------
    slates : int
        Number of slates.
    prompts : int
        Number of prompts, a prompt being a slate in one order: each slate is asked in several
        orders, equal ones once.
    cached : int
        Prompts that are answered already.
    requests : int
        Requests to a paid service, if none fails.
    input_tokens, output_tokens : int
        Expected numbers of tokens; 0 where nothing is paid.
    cost : float or None
        Expected cost in USD; None if the model's price is not known.
    max_cost : float or None
        What the requests cannot exceed, in USD: a live judge reserves the largest cost of a
        request before it is sent, and gives back what was not used. The judge's budget, its
        parameter `max_cost`, is another number; ``print(plan)`` shows both.

    Examples
    --------
    >>> from sklearn_selreg.judges import AnthropicJudge, Slate
    >>> judge = AnthropicJudge(max_cost=1.0, cache=None)
    >>> estimate = judge.estimate_cost([Slate(7, ["Alien"], ["Aliens", "Heidi"])])
    >>> estimate.prompts, estimate.requests, estimate.cost < estimate.max_cost < 0.01
    (2, 2, True)
    """

    slates: int
    prompts: int
    cached: int
    requests: int
    input_tokens: int
    output_tokens: int
    cost: float | None
    max_cost: float | None


def row_means(answers):
    """Return the mean of each row's numbers, NaN where there is none."""
    count = np.sum(~np.isnan(answers), axis=1)
    with np.errstate(invalid="ignore"):  # 0 / 0 is the NaN wanted
        return np.nansum(answers, axis=1) / count


def check_candidates(candidates):
    """Raise ValueError if there are no candidates, or if one is listed twice."""
    if not candidates:
        raise ValueError("candidates must hold at least one item; got none.")
    try:
        n_different = len(set(candidates))
    except TypeError as error:
        raise TypeError(f"candidates must be hashable ids; got an {error}.") from None
    if n_different < len(candidates):
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
    except OverflowError:
        raise ValueError("ratings must be in [0, 1]; got a number that is far larger.") from None
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


def check_slates(slates: Iterable[Slate]) -> list[Slate]:
    """Return the slates as a list, after checking that they are slates."""
    if isinstance(slates, Slate):
        raise TypeError("slates must be an iterable of Slate; got a single Slate.")
    if not isinstance(slates, Iterable):
        raise TypeError(f"slates must be an iterable of Slate; got {name_kind(slates)}.")
    slates = list(slates)
    for slate in slates:
        if not isinstance(slate, Slate):
            raise TypeError(f"slates must be an iterable of Slate; got {name_kind(slate)}.")
    return slates


def check_iterable(answers):
    """Return what a judge's method `_rate` gave, if it is iterable."""
    if not isinstance(answers, Iterable):
        raise TypeError(
            "_rate of a judge must return a list with the ratings of each slate; got "
            f"{name_kind(answers)}."
        )
    return answers


def checked_answer(slates, answers):
    """Yield a judge's answers as arrays, each checked as it comes."""
    n_answers = 0
    for n_answers, answer in enumerate(check_iterable(answers), start=1):
        if n_answers <= len(slates):
            slate = slates[n_answers - 1]
            try:
                ratings = check_ratings(answer, len(slate.candidates))
            except ValueError as error:
                hint = ""
                if not slate.candidate_texts and not np.size(answer):
                    hint = (
                        " The slate has no texts: candidate_texts is empty, as there is no "
                        "item_data. A judge of texts should say so by reads_texts = True."
                    )
                raise ValueError(
                    f"Answer to slate {n_answers - 1} (user {slate.user!r}): {error}{hint}"
                ) from None
            yield ratings
    if n_answers != len(slates):
        raise ValueError(
            f"The judge must answer each of the {len(slates)} slates; got {n_answers} answers."
        )
