"""Errors and warnings of this package, to catch or to filter."""


class JudgeError(RuntimeError):
    """A service refuses to answer any request: wrong key, unknown model, or no response.

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

    >>> import warnings
    >>> from sklearn_selreg.exceptions import CacheWarning
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore", CacheWarning)
    ...     # here a model is fitted
    """


class DataWarning(UserWarning):
    """Columns, ids or item data look unintended.

    Check the ids and columns named in the message; set `user_col`, `item_col` and `time_col`, and
    convert ids to one type.

    Examples
    --------
    Turn it into an error:

    >>> import warnings
    >>> from sklearn_selreg.exceptions import DataWarning
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("error", DataWarning)
    ...     # here a model is fitted
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
    >>> from sklearn_selreg.exceptions import JudgmentWarning
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore", JudgmentWarning)
    ...     # here a model is fitted
    """


class BudgetWarning(JudgmentWarning):
    """A judge's budget is, or would be, exhausted before all slates are sent.

    The fit continues with the available answers. Raise `max_requests` or `max_cost`, or reduce
    `max_slates`.

    Examples
    --------
    Fail rather than fit with incomplete answers:

    >>> import warnings
    >>> from sklearn_selreg.exceptions import BudgetWarning
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("error", BudgetWarning)
    ...     # here a model is fitted
    """


class GateWarning(UserWarning):
    """A judge is trusted less, or adds nothing.

    If the gate has too little data to learn from, send more slates (`max_slates`,
    `calibration_share`), or set ``gate=None`` to trust all preferences equally. If it found that
    the judge adds nothing to popularity and the model, inspect the judge's ratings, or remove it.

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
    >>> model = SelectiveLLMRegularizedMF(factors=2, negatives="net")  # but no strengths below
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

    >>> import warnings
    >>> from sklearn_selreg import ModelVersionWarning
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("error", ModelVersionWarning)
    ...     # here a model is loaded
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
