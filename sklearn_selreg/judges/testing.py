"""Tests for custom judges."""

import os
import pickle

import joblib
import numpy as np
from joblib.externals.loky import get_reusable_executor
from sklearn.base import clone

from ._base import BaseJudge
from ._cached import CachedJudge
from ._slate import Slate


class JudgeContract:
    """Mixin with tests that every judge should pass.

    In a pytest module, subclass it under a name that begins with ``Test`` and implement
    `make_judge`. The judge rates six short slates, also after cloning and pickling: give a live
    judge its own cache and a small budget.

    Examples
    --------
    >>> from sklearn_selreg.judges import ContentJudge
    >>> from sklearn_selreg.judges.testing import JudgeContract
    >>> class TestContentJudge(JudgeContract):
    ...     def make_judge(self) -> BaseJudge:
    ...         return ContentJudge()
    >>> TestContentJudge().test_rates_each_candidate()
    """

    def make_judge(self) -> BaseJudge:
        """Return the judge to test."""
        raise NotImplementedError("Subclasses of JudgeContract must implement make_judge.")

    def make_slates(self) -> list[Slate]:
        """Return the slates to rate, by default six.

        Returns
        -------
        slates : list of Slate
        """
        titles = ["red wine", "white wine", "beer glass", "wine glass", "tea pot", "green tea"]
        slates = []
        for user in range(6):
            history = [user, (user + 1) % 6]
            candidates = [item for item in range(6) if item not in history][: 2 + user % 3]
            shown = [titles[item] for item in history]
            texts = [titles[item] for item in candidates]
            slates.append(Slate(user, history, candidates, shown, texts))
        return slates

    def test_is_a_judge_with_parameters(self):
        """Parameters are stored unchanged and survive cloning."""
        judge = self.make_judge()
        assert isinstance(judge, BaseJudge)
        copy = clone(judge)
        assert type(copy) is type(judge)
        assert joblib.hash(copy.get_params()) == joblib.hash(judge.get_params())

    def test_rates_each_candidate(self):
        """Each candidate gets one rating in [0, 1] or NaN."""
        slates = self.make_slates()
        ratings = self.make_judge().rate(slates)
        assert len(ratings) == len(slates)
        for slate, rated in zip(slates, ratings, strict=True):
            assert rated.shape == (len(slate.candidates),)
            assert rated.dtype == np.float64
            assert np.all(np.isnan(rated) | ((rated >= 0) & (rated <= 1)))

    def test_has_some_opinion(self):
        """Not all ratings are NaN."""
        assert not np.isnan(np.concatenate(self.make_judge().rate(self.make_slates()))).all()

    def test_gives_the_same_answer_again(self):
        """Answers do not depend on repetition, cloning, or the other slates."""
        judge, slates = self.make_judge(), self.make_slates()
        ratings = judge.rate(slates)
        _assert_same(judge.rate(slates), ratings)
        _assert_same(judge.rate(slates[::-1])[::-1], ratings)
        _assert_same(judge.rate([*slates, *slates])[len(slates) :], ratings)
        _assert_same(clone(judge).rate(slates[:1]), ratings[:1])

    def test_answers_average_to_ratings(self):
        """`rate` returns the mean over the columns of `answers`."""
        judge, slates = self.make_judge(), self.make_slates()
        for answers, ratings in zip(judge.answers(slates), judge.rate(slates), strict=True):
            assert answers.shape[0] == len(ratings)
            known = ~np.isnan(answers).all(axis=1)
            np.testing.assert_allclose(np.nanmean(answers[known], axis=1), ratings[known])

    def test_preferences_follow_the_ratings(self):
        """The preferred candidate of each pair is rated higher, by the gap."""
        judge, slates = self.make_judge(), self.make_slates()
        ratings, pairs = judge.rate(slates), judge.preferences(slates)
        for slate, preferred, other, gap in zip(
            pairs.slate, pairs.preferred, pairs.other, pairs.gap, strict=True
        ):
            assert gap > 0
            assert np.isclose(ratings[slate][preferred] - ratings[slate][other], gap)

    def test_nothing_is_asked_of_nothing(self):
        """No slates, no ratings."""
        assert self.make_judge().rate([]) == []

    def test_rejects_what_is_no_slate(self):
        """Inputs other than slates raise TypeError."""
        for wrong in ([1], self.make_slates()[0]):
            try:
                self.make_judge().rate(wrong)
            except TypeError as error:
                assert "Slate" in str(error)
            else:
                raise AssertionError(f"rate({wrong!r}) should raise TypeError.")

    def test_pickles(self):
        """A judge can be pickled after use, and gives the same answers when unpickled."""
        judge, slates = self.make_judge(), self.make_slates()
        ratings = judge.rate(slates)
        _assert_same(pickle.loads(pickle.dumps(judge)).rate(slates), ratings)

    def test_works_in_several_processes(self):
        """Two concurrent processes get the same answers."""
        judge, slates = self.make_judge(), self.make_slates()
        # Existing workers have outdated environment variables.
        get_reusable_executor().shutdown()
        both = joblib.Parallel(n_jobs=2)(joblib.delayed(judge.rate)(slates) for _ in range(2))
        _assert_same(*both)

    def test_keeps_no_secret(self):
        """No key from the environment is in the parameters, the representation or the pickle."""
        judge = self.make_judge()
        judge.rate(self.make_slates())
        names = [name for name in os.environ if name.endswith(("_KEY", "_TOKEN"))]
        names += [name] if (name := getattr(judge, "api_key_env", None)) else []
        shown = repr(judge), repr(vars(judge)), pickle.dumps(judge).decode("latin-1")
        for secret in filter(None, (os.environ.get(name) for name in names)):
            assert not any(secret in text for text in shown)

    def test_an_export_is_read_by_precomputed_judge(self, tmp_path):
        """Exported answers give the same ratings when read back."""
        from ._precomputed import PrecomputedJudge

        judge, slates = self.make_judge(), self.make_slates()
        if not isinstance(judge, CachedJudge):
            return
        ratings = judge.rate(slates)
        frame = judge.export(tmp_path / "judgments.jsonl")
        _assert_same(PrecomputedJudge(tmp_path / "judgments.jsonl").rate(slates), ratings)
        _assert_same(PrecomputedJudge(frame).rate(slates), ratings)


def _assert_same(some, others):
    for a, b in zip(some, others, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-12)
