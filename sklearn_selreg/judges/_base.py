"""Base class of all judges."""

from __future__ import annotations

from abc import ABCMeta, abstractmethod
from collections.abc import Iterable

import numpy as np
from sklearn.base import BaseEstimator

from .._utils._sklearn import DisplayMixin
from ._slate import CostEstimate, Preferences, Slate, check_slates, row_means


class BaseJudge(DisplayMixin, BaseEstimator, metaclass=ABCMeta):
    """Base class of all judges.

    A judge has parameters and can be cloned like any scikit-learn estimator, but it is not fitted:
    it rates slates. To write your own, subclass :class:`LLMJudge`, which caches answers, or
    :class:`LiveJudge` for a paid service.

    See Also
    --------
    AnthropicJudge : Queries Claude.
    OpenAIJudge : Queries GPT or any model behind an OpenAI-compatible API.
    ContentJudge : Compares item texts, without network access.
    PrecomputedJudge : Returns previously recorded answers.

    Examples
    --------
    >>> from sklearn_selreg.judges import AnthropicJudge, BaseJudge, PrecomputedJudge
    >>> issubclass(AnthropicJudge, BaseJudge), issubclass(PrecomputedJudge, BaseJudge)
    (True, True)
    """

    is_recorded: bool = False
    """Whether all answers are known in advance and listed by `judged_slates()`."""
    # Whether the hidden and the other candidates of a calibration slate are drawn by the same
    # procedure, as the estimator does.
    _draws_alike = True
    reads_texts: bool = False
    """Whether the judge relies on item texts; if False, it may know items by their ids."""

    def rate(self, slates: Iterable[Slate]) -> list[np.ndarray]:
        """Rate the candidates of each slate.

        Parameters
        ----------
        slates : iterable of Slate
            Slates to rate.

        Returns
        -------
        ratings : list of ndarray of shape (n_candidates,), float64
            For each slate, one rating in [0, 1] per candidate, averaged over the candidate
            orders; NaN for no opinion.

        Raises
        ------
        TypeError
            If `slates` is not an iterable of :class:`Slate`.
        ValueError
            If the judge returns the wrong number of answers or ratings, or a rating outside
            [0, 1], or if a parameter of the judge is out of range.
        JudgeError
            If the service fails or rejects a request.
        CacheError
            If the cache cannot be read.

        Warns
        -----
        BudgetWarning
            If the budget is exhausted before all slates are rated; the other ratings are NaN.
        JudgmentWarning
            If some slates got no answer or were not recorded.
        """
        return [row_means(answers) for answers in self.answers(slates)]

    @abstractmethod
    def answers(self, slates: Iterable[Slate]) -> list[np.ndarray]:
        """Rate the candidates of each slate, with one column per answer.

        Parameters
        ----------
        slates : iterable of Slate
            Slates to rate.

        Returns
        -------
        answers : list of ndarray of shape (n_candidates, n_answers), float64
            For each slate, ratings in [0, 1] with one column per candidate order; NaN for no
            opinion.

        Raises
        ------
        TypeError, ValueError, JudgeError, CacheError
            See :meth:`rate`.

        Warns
        -----
        BudgetWarning, JudgmentWarning
            See :meth:`rate`.
        """

    def estimate_cost(self, slates: Iterable[Slate]) -> CostEstimate:
        """Estimate the cost of rating slates, without sending a request.

        Parameters
        ----------
        slates : iterable of Slate
            Slates to rate.

        Returns
        -------
        estimate : CostEstimate
            No requests and no cost for judges without a paid service.

        Raises
        ------
        TypeError
            If `slates` is not an iterable of :class:`Slate`.
        """
        n_slates = len(check_slates(slates))
        return CostEstimate(n_slates, n_slates, n_slates, 0, 0, 0, 0.0, 0.0)

    def preferences(self, slates: Iterable[Slate]) -> Preferences:
        """Rate the slates and compare all candidates within each.

        Parameters
        ----------
        slates : iterable of Slate
            Slates to rate.

        Returns
        -------
        preferences : Preferences
            All pairs of candidates within a slate that have different ratings, ordered by slate.
            Candidates without a rating are skipped.

        Raises
        ------
        TypeError, ValueError, JudgeError, CacheError
            See :meth:`rate`.

        Warns
        -----
        BudgetWarning, JudgmentWarning
            See :meth:`rate`.

        Examples
        --------
        >>> from sklearn_selreg.judges import LLMJudge, Slate
        >>> judge = LLMJudge.from_callable(lambda slate: [0.5, 0.75, 0.5], name="x", version="1")
        >>> pairs = judge.preferences([Slate(user=7, history=[], candidates=["a", "b", "c"])])
        >>> pairs.preferred, pairs.other, pairs.gap
        (array([1, 1]), array([0, 2]), array([0.25, 0.25]))
        """
        ratings = self.rate(slates)
        pairs = [np.triu_indices(len(rated), 1) for rated in ratings]
        gaps = [rated[i] - rated[j] for rated, (i, j) in zip(ratings, pairs, strict=True)]
        slate = np.repeat(np.arange(len(gaps)), [len(gap) for gap in gaps])
        gap = np.concatenate([[], *gaps])
        first, second = np.concatenate([np.empty((2, 0), dtype=np.int64), *pairs], axis=1)
        differs = np.abs(gap) > 0  # False if a rating is NaN
        slate, gap, first, second = (part[differs] for part in (slate, gap, first, second))
        return Preferences(
            slate=slate,
            preferred=np.where(gap > 0, first, second),
            other=np.where(gap > 0, second, first),
            gap=np.abs(gap),
        )

    def _title(self):
        """Return the name of the judge in messages."""
        return type(self).__name__

    def _check_parameters(self):
        """Raise if a parameter is invalid, before anything is sent."""

    def _check_ready(self):
        """Raise if the judge cannot answer at all, before slates are selected."""
        self._check_parameters()

    def _budget_left(self):
        """Return the remaining budget by parameter name; costs are in USD."""
        return {}

    def _n_answered(self, slates):
        """Return the number of slates with an answer, including answers without an opinion."""
        return len(slates)
