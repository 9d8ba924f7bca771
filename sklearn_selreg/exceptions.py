"""Errors and warnings of this package: what to catch, and what to filter."""


class JudgeError(RuntimeError):
    """A service refuses to answer at all: a wrong key, an unknown model, no answer from it.

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

    # Of the request that failed; its reservation is given back accordingly.
    sent = True
    billed = False  # services do not charge for what they refuse


class CacheError(RuntimeError):
    """A cache file that cannot be made or read.

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
    """Something is wrong with the file of a cache, which is mended or should be.

    It was deleted while it was in use, or other users may read it: the message says what to do.

    Examples
    --------
    Do not show it, as for a file that a group shares on purpose:

    >>> import warnings
    >>> from sklearn_selreg.exceptions import CacheWarning
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore", CacheWarning)
    ...     # here a model is fitted
    """


class DataWarning(UserWarning):
    """Columns, ids or item data are probably not what was meant.

    Look at the ids and columns that the message names; set `user_col`, `item_col` and `time_col`,
    and convert ids to one type.

    Examples
    --------
    Take it for an error:

    >>> import warnings
    >>> from sklearn_selreg.exceptions import DataWarning
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("error", DataWarning)
    ...     # here a model is fitted
    """


class JudgmentWarning(UserWarning):
    """A judge's answers are missing, do not fit the interactions, or say little of the items.

    Compare the ids and histories of recorded answers with the rows given to `fit`; ask again where
    a service failed; ask a better model where ratings follow the order in which candidates are
    shown, or where asking stopped as the judge is hardly better than chance.

    Examples
    --------
    Do not show it, as in a search with recorded answers, many of which fit no fold:

    >>> import warnings
    >>> from sklearn_selreg.exceptions import JudgmentWarning
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore", JudgmentWarning)
    ...     # here a model is fitted
    """


class BudgetWarning(JudgmentWarning):
    """A judge's budget is, or would be, spent before all slates are asked.

    The fit goes on with the answers there are. Raise `max_requests` or `max_cost`, or ask less
    with a smaller `max_slates`.

    Examples
    --------
    Rather fail than fit with a part of the answers:

    >>> import warnings
    >>> from sklearn_selreg.exceptions import BudgetWarning
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("error", BudgetWarning)
    ...     # here a model is fitted
    """


class GateWarning(UserWarning):
    """A judge is trusted less, or adds nothing.

    Either the gate has too little to learn from: ask more (`max_slates`, `calibration_share`), or
    set ``gate=None`` to trust all preferences alike. Or it has learned that the judge adds nothing
    to popularity and the model: look at the judge's ratings, or leave it out.

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

    A search gives each message once; of its fits in other processes (`n_jobs`) each gives its own.

    Examples
    --------
    >>> import warnings
    >>> from sklearn_selreg import SelectiveLLMRegularizedMF
    >>> from sklearn_selreg.exceptions import ParameterWarning
    >>> model = SelectiveLLMRegularizedMF(factors=2, negatives="net")  # of no strengths
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     _ = model.fit([["ann", "Alien"], ["bob", "Heat"]])
    >>> caught[0].category is ParameterWarning
    True
    """


class ModelVersionWarning(UserWarning):
    """A saved or pickled model was made by another version of the package.

    Examples
    --------
    Take such a model for an error:

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
