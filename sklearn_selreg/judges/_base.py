"""What all judges have in common: ratings of slates, and preferences."""

from __future__ import annotations

from abc import ABCMeta, abstractmethod
from collections.abc import Iterable

import numpy as np
from sklearn.base import BaseEstimator

from .._utils._sklearn import DisplayMixin
from ._slate import CostEstimate, Preferences, Slate, check_slates, row_means


class BaseJudge(DisplayMixin, BaseEstimator, metaclass=ABCMeta):
    """Base class of all judges.

    A judge has parameters and can be cloned, as any scikit-learn estimator, but is not fitted: it
    rates slates. Derive judges of your own from :class:`LLMJudge`, which keeps their answers, and
    judges that ask a paid service from :class:`LiveJudge`.

    See Also
    --------
    AnthropicJudge : Asks Claude.
    OpenAIJudge : Asks GPT, or any model behind an API of that kind.
    ContentJudge : Compares texts, without network.
    PrecomputedJudge : Gives answers that were recorded before.

    Examples
    --------
    >>> from sklearn_selreg.judges import AnthropicJudge, BaseJudge, PrecomputedJudge
    >>> issubclass(AnthropicJudge, BaseJudge), issubclass(PrecomputedJudge, BaseJudge)
    (True, True)
    """

    is_recorded: bool = False
    """Whether all of its answers are known, and listed by `judged_slates()`."""
    # Whether the hidden and the other candidates of a calibration slate are drawn alike, as by the
    # estimator that asks.
    _draws_alike = True
    reads_texts: bool = False
    """Whether the judge goes by the items' texts; False: it may know items by their ids."""

    def rate(self, slates: Iterable[Slate]) -> list[np.ndarray]:
        """Rate the candidates of each slate.

        Parameters
        ----------
        slates : iterable of Slate
            What to rate.

        Returns
        -------
        ratings : list of ndarray of shape (n_candidates,), float64
            For each slate, one rating in [0, 1] for each candidate, averaged over the orders it
            was asked in; NaN where the judge has no opinion.

        Raises
        ------
        TypeError
            If `slates` is not an iterable of :class:`Slate`.
        ValueError
            If the judge's answer has the wrong number of slates or of ratings, or if a rating is
            not a number in [0, 1]; for parameters of the judge out of range.
        JudgeError
            If its service refuses to answer.
        CacheError
            If its cache cannot be read.

        Warns
        -----
        BudgetWarning
            If its budget is spent before all slates are rated; there is no opinion on the rest.
        JudgmentWarning
            If some slates got no answer, or were not recorded.
        """
        return [row_means(answers) for answers in self.answers(slates)]

    @abstractmethod
    def answers(self, slates: Iterable[Slate]) -> list[np.ndarray]:
        """Rate the candidates of each slate, each answer as a column of its own.

        Parameters
        ----------
        slates : iterable of Slate
            What to rate.

        Returns
        -------
        answers : list of ndarray of shape (n_candidates, n_answers), float64
            For each slate the ratings in [0, 1], one column for each order that the candidates
            were shown in; NaN for no opinion.

        Raises
        ------
        TypeError, ValueError, JudgeError, CacheError
            As :meth:`rate`.

        Warns
        -----
        BudgetWarning, JudgmentWarning
            As :meth:`rate`.
        """

    def estimate_cost(self, slates: Iterable[Slate]) -> CostEstimate:
        """Estimate what asking slates would take. Asks nothing.

        Parameters
        ----------
        slates : iterable of Slate
            What to rate.

        Returns
        -------
        estimate : CostEstimate
            Of this judge: no requests, and no cost.

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
            What to rate.

        Returns
        -------
        preferences : Preferences
            All pairs of candidates of one slate that were rated differently, slate by slate.
            Candidates without a rating are in no pair.

        Raises
        ------
        TypeError, ValueError, JudgeError, CacheError
            As :meth:`rate`.

        Warns
        -----
        BudgetWarning, JudgmentWarning
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
        pairs = [np.triu_indices(len(rated), 1) for rated in ratings]
        gaps = [rated[i] - rated[j] for rated, (i, j) in zip(ratings, pairs, strict=True)]
        slate = np.repeat(np.arange(len(gaps)), [len(gap) for gap in gaps])
        gap = np.concatenate([[], *gaps])
        first, second = np.concatenate([np.empty((2, 0), dtype=np.int64), *pairs], axis=1)
        differs = np.abs(gap) > 0  # not where a rating is NaN
        slate, gap, first, second = (part[differs] for part in (slate, gap, first, second))
        return Preferences(
            slate=slate,
            preferred=np.where(gap > 0, first, second),
            other=np.where(gap > 0, second, first),
            gap=np.abs(gap),
        )

    def _title(self):
        """Return what messages call it."""
        return type(self).__name__

    def _check_parameters(self):
        """Raise for parameters out of range, before anything is asked."""

    def _check_ready(self):
        """Raise if it could not answer anything, before the work of choosing what to ask."""
        self._check_parameters()

    def _budget_left(self):
        """Return what is left, by the name of the parameter that limits it; USD for costs."""
        return {}

    def _n_answered(self, slates):
        """Return how many slates have an answer, if only that there is no opinion."""
        return len(slates)
