"""Errors and warnings of this package, to catch or to filter."""


class JudgeError(RuntimeError):
    """A service refuses requests, e.g. due to a wrong key or an unknown model, or does not respond.

    Examples
    --------
    >>> from sklearn_selreg.judges import AnthropicJudge, JudgeError, Slate
    >>> judge = AnthropicJudge(max_requests=1, cache=None, api_key_env="NO_SUCH_VARIABLE")
    >>> try:
    ...     judge.rate([Slate(7, ["Alien"], ["Aliens", "Heidi"])])
    ... except JudgeError as error:
    ...     print("There is no answer.")
    There is no answer.
    """

    # State of the failed request, which decides how its budget reservation is released.
    sent = True
    billed = False  # services do not charge for refused requests


class CacheError(RuntimeError):
    """A cache file cannot be created or read.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from sklearn_selreg.judges import CacheError, LLMJudge, Slate
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "answers.sqlite")
    ...     _ = path.write_text("something else, and longer than the head of a database " * 9)
    ...     judge = LLMJudge.from_callable(len, name="x", version="1", cache=path)
    ...     try:
    ...         judge.rate([Slate(7, [1], [2])])
    ...     except CacheError as error:
    ...         print("not an SQLite file" in str(error))
    True
    """


class CacheWarning(UserWarning):
    """A problem with a cache file that was repaired, or should be.

    For example, it was deleted while in use, or is readable by other users. The message says what
    to do.

    Examples
    --------
    Ignore it, e.g. for a file that a group shares on purpose:

    >>> import pathlib, tempfile, warnings
    >>> from sklearn_selreg.exceptions import CacheWarning
    >>> from sklearn_selreg.judges import LLMJudge, Slate
    >>> def rate(slate):
    ...     return [0.75] * len(slate.candidates)
    >>> folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
    >>> with folder, warnings.catch_warnings():
    ...     warnings.simplefilter("ignore", CacheWarning)
    ...     path = pathlib.Path(folder.name, "answers.sqlite")
    ...     path.touch(0o660)  # readable by the group
    ...     judge = LLMJudge.from_callable(rate, name="x", version="1", cache=path)
    ...     judge.rate([Slate(7, [1], [2, 3])])
    [array([0.75, 0.75])]
    """


class DataWarning(UserWarning):
    """Columns, ids or item data look unintended.

    Check the ids and columns named in the message; set `user_col`, `item_col` and `time_col`, and
    convert ids to one type.

    Examples
    --------
    Turn it into an error:

    >>> import warnings
    >>> from sklearn_selreg import SelectiveLLMRegularizedMF
    >>> from sklearn_selreg.exceptions import DataWarning
    >>> model = SelectiveLLMRegularizedMF(factors=2, item_data={"7": "SciFi", "8": "Crime"})
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("error", DataWarning)
    ...     try:
    ...         model.fit([["ann", 7], ["bob", 8]])
    ...     except DataWarning as error:
    ...         print(str(error).partition(" (")[0])
    No item id of X is in item_data
    """


class JudgmentWarning(UserWarning):
    """Answers of a judge are missing, do not match the interactions, or are uninformative.

    Compare the ids and histories of recorded answers with the rows passed to `fit`. Query again
    where a service failed. Use a better model if ratings follow the order in which candidates are
    shown, or if querying stopped because the judge is hardly better than chance.

    Examples
    --------
    Ignore it, e.g. in a search with recorded answers, many of which match no fold:

    >>> import warnings
    >>> from sklearn_selreg import SelectiveLLMRegularizedMF
    >>> from sklearn_selreg.exceptions import JudgmentWarning
    >>> from sklearn_selreg.judges import PrecomputedJudge
    >>> judge = PrecomputedJudge([
    ...     {"user": "ann", "history": ["Alien"], "candidates": ["Up", "Heat"], "ratings": [0, 1]},
    ...     {"user": "bob", "history": ["Coco"], "candidates": ["Alien"], "ratings": [1]},
    ... ])
    >>> model = SelectiveLLMRegularizedMF(factors=2, judge=judge, gate=None, random_state=0)
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore", JudgmentWarning)
    ...     model = model.fit([["ann", "Alien"], ["bob", "Heat"], ["bob", "Up"]])
    >>> model.judge_stats_["slates"], model.judge_stats_["slates_used"]
    (2, 1)
    """


class BudgetWarning(JudgmentWarning):
    """A judge's budget is, or would be, exhausted before all prompts are sent.

    The fit continues with the available answers. Raise `max_requests` or `max_cost`, or reduce
    `max_slates`.

    Examples
    --------
    Fail rather than fit with incomplete answers:

    >>> import warnings
    >>> from sklearn_selreg import SelectiveLLMRegularizedMF, SlateSampler
    >>> from sklearn_selreg.exceptions import BudgetWarning
    >>> from sklearn_selreg.judges import AnthropicJudge
    >>> judge = AnthropicJudge(max_requests=1, cache=None)
    >>> model = SelectiveLLMRegularizedMF(judge=judge, slates=SlateSampler(size=2))
    >>> likes = [["ann", "Alien"], ["ann", "Heat"], ["bob", "Up"], ["bob", "Coco"]]
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("error", BudgetWarning)
    ...     try:
    ...         plan = model.plan_judging(likes)  # sends no request
    ...     except BudgetWarning as error:
    ...         print(str(error).partition(",")[0])
    The plan needs 4 requests
    """


class GateWarning(UserWarning):
    """A judge cannot be calibrated, adds nothing, or is implausibly certain.

    If the gate has too little data to learn from, send more slates (`max_slates`,
    `calibration_fraction`). If it found that the judge adds nothing to popularity and the model,
    inspect the judge's ratings, or remove it. If preferences are implausibly certain, make sure
    that the judge knows nothing but what it is shown.

    Examples
    --------
    >>> import warnings
    >>> from sklearn_selreg import ReliabilityGate
    >>> from sklearn_selreg.exceptions import GateWarning
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     gate = ReliabilityGate().fit([[0.2], [0.4]], [True, False])
    >>> caught[0].category is GateWarning
    True
    """


class ParameterWarning(UserWarning):
    """A parameter is ineffective with the current settings, or makes others ineffective.

    Leave it at its default, or change the parameter that the message names.

    In a search, each message is shown once (once per process with `n_jobs`).

    Examples
    --------
    >>> import warnings
    >>> from sklearn_selreg import SelectiveLLMRegularizedMF
    >>> from sklearn_selreg.exceptions import ParameterWarning
    >>> model = SelectiveLLMRegularizedMF(factors=2, negatives="net")  # but y is not given below
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     _ = model.fit([["ann", "Alien"], ["bob", "Heat"]])
    >>> caught[0].category is ParameterWarning
    True
    """


class ModelVersionWarning(UserWarning):
    """A saved or pickled model was created by another version of the package.

    Examples
    --------
    Turn it into an error:

    >>> import copy, warnings
    >>> from sklearn_selreg import ModelVersionWarning, SelectiveLLMRegularizedMF
    >>> model = SelectiveLLMRegularizedMF(factors=2).fit([["ann", "Alien"], ["bob", "Heat"]])
    >>> make, arguments, state = model.__reduce_ex__(5)  # what a pickle contains
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("error", ModelVersionWarning)
    ...     try:
    ...         make(*arguments).__setstate__({**state, "_version": "0.0.1"})
    ...     except ModelVersionWarning as error:
    ...         print("0.0.1" in str(error))
    True
    """


__all__ = [
    "BudgetWarning",
    "CacheError",
    "CacheWarning",
    "DataWarning",
    "GateWarning",
    "JudgeError",
    "JudgmentWarning",
    "ModelVersionWarning",
    "ParameterWarning",
]
