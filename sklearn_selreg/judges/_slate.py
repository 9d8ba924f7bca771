"""Input and output types of judges, and their validation."""

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from .._utils._params import name_kind


@dataclass(frozen=True)
class Slate:
    """Candidate items for a judge to rate by how much a user would like them.

    Sequences are stored as tuples, so slates compare and hash by value.

    Parameters
    ----------
    user : hashable
        Id of the user.
    history : sequence of hashable, length n_history
        Ids of items the user liked, oldest first; may be empty.
    candidates : sequence of hashable, length n_candidates
        Ids of the items to rate, in the order shown; at least one, without duplicates.
    history_texts : sequence of str, length n_history or 0, default=()
        Descriptions of the items in the history.
    candidate_texts : sequence of str, length n_candidates or 0, default=()
        Descriptions of the candidates.

    Raises
    ------
    ValueError
        If there are no candidates or duplicate ones, or if the number of texts is neither 0 nor
        the number of items.
    TypeError
        If an argument is not a sequence or is a string, or if a candidate is not hashable.

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
                raise TypeError(f"{name} must be a list with one entry per item; got {value!r}.")
            object.__setattr__(self, name, tuple(value))
        check_candidates(self.candidates)
        for items, texts in (("history", "history_texts"), ("candidates", "candidate_texts")):
            n_items, n_texts = len(getattr(self, items)), len(getattr(self, texts))
            if n_texts not in (0, n_items):
                raise ValueError(
                    f"{texts} must be empty or contain one text for each of the {n_items} items "
                    f"in {items}; got {n_texts} texts."
                )


@dataclass(frozen=True, eq=False)
class Preferences:
    """Pairwise preferences of a judge, one entry per pair.

    Attributes
    ----------
    slate : ndarray of shape (n_pairs,), int64
        Index of the pair's slate.
    preferred, other : ndarray of shape (n_pairs,), int64
        Indices, among the slate's candidates, of the item rated higher and the one rated lower.
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
    """Estimated cost of having slates rated.

    Attributes
    ----------
    slates : int
        Number of slates.
    prompts : int
        Number of distinct prompts. Each slate is sent once per candidate order.
    cached : int
        Prompts already answered.
    requests : int
        Requests to a paid service, assuming that none fails.
    input_tokens, output_tokens : int
        Expected numbers of tokens; 0 where nothing is paid.
    cost : float or None
        Expected cost in USD; None if the model's price is unknown.
    max_cost : float or None
        Upper bound on the cost in USD: a live judge reserves the maximum cost of each request
        before sending it and releases what was not used. This is not the judge's budget, its
        parameter `max_cost`; ``print(plan)`` shows both.

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
    """Return the mean of each row, ignoring NaN; NaN for rows without numbers."""
    count = np.sum(~np.isnan(answers), axis=1)
    with np.errstate(invalid="ignore"):  # 0 / 0 gives the desired NaN
        return np.nansum(answers, axis=1) / count


def check_candidates(candidates):
    """Raise if there are no candidates, or if one is duplicated or not hashable."""
    if not candidates:
        raise ValueError("candidates must contain at least one item; got none.")
    try:
        n_different = len(set(candidates))
    except TypeError as error:
        raise TypeError(f"candidates must be hashable ids; got an {error}.") from None
    if n_different < len(candidates):
        twice = next(c for i, c in enumerate(candidates) if c in candidates[:i])
        raise ValueError(f"candidates must not contain duplicates; got {twice!r} twice.")


def check_ratings(ratings, n_candidates):
    """Validate the ratings of one slate.

    Parameters
    ----------
    ratings : array-like of shape (n_candidates,)
        Numbers in [0, 1]; None or NaN for no opinion.
    n_candidates : int
        Number of ratings expected.

    Returns
    -------
    ratings : ndarray of shape (n_candidates,), float64
        The ratings, with None replaced by NaN.

    Raises
    ------
    ValueError
        If the number of ratings is wrong, or one is not a number in [0, 1].
    """
    try:
        array = np.array(ratings, dtype=np.float64)
    except OverflowError:
        raise ValueError("ratings must be in [0, 1]; got a far larger number.") from None
    except (TypeError, ValueError):
        raise ValueError(f"ratings must be a list of numbers in [0, 1]; got {ratings!r}.") from None
    if array.ndim != 1:
        raise ValueError(f"ratings must be a list of numbers in [0, 1]; got {ratings!r}.")
    if len(array) != n_candidates:
        raise ValueError(
            f"ratings must contain one number for each of the {n_candidates} candidates; "
            f"got {len(array)}."
        )
    outside = ~((array >= 0) & (array <= 1) | np.isnan(array))
    if outside.any():
        raise ValueError(f"ratings must be in [0, 1]; got {array[outside][0]}.")
    return array


def check_slates(slates: Iterable[Slate]) -> list[Slate]:
    """Return the slates as a list, after validation."""
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
    """Return the result of a judge's method `_rate` if it is iterable, else raise TypeError."""
    if not isinstance(answers, Iterable):
        raise TypeError(
            "_rate of a judge must return a list with the ratings of each slate; got "
            f"{name_kind(answers)}."
        )
    return answers


def checked_answer(slates, answers):
    """Yield a judge's answers as arrays, validating each one as it arrives."""
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
                        " The slate has no texts: candidate_texts is empty because item_data was "
                        "not given. A judge that needs texts should set reads_texts = True."
                    )
                raise ValueError(
                    f"Answer to slate {n_answers - 1} (user {slate.user!r}): {error}{hint}"
                ) from None
            yield ratings
    if n_answers != len(slates):
        raise ValueError(
            f"The judge must return one answer for each of the {len(slates)} slates; got "
            f"{n_answers}."
        )
