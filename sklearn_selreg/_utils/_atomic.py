"""Methods that change an estimator completely or not at all."""

import functools
from collections.abc import Callable
from typing import Concatenate, ParamSpec, TypeVar

_Self = TypeVar("_Self")
_Params = ParamSpec("_Params")
_Result = TypeVar("_Result")


def all_or_nothing(
    method: Callable[Concatenate[_Self, _Params], _Result],
) -> Callable[Concatenate[_Self, _Params], _Result]:
    """Leave an estimator as it was if its method raises, also when it is interrupted.

    Attributes are restored, but not the contents of arrays: the method must not write into these.

    Parameters
    ----------
    method : callable
        Of an estimator.

    Returns
    -------
    method : callable

    Examples
    --------
    >>> class Model:
    ...     @all_or_nothing
    ...     def fit(self, mean):
    ...         self.mean_ = mean
    ...         self.inverse_ = 1 / mean
    >>> model = Model()
    >>> model.fit(4)
    >>> try:
    ...     model.fit(0)
    ... except ZeroDivisionError:
    ...     print(model.mean_)
    4
    """

    @functools.wraps(method)
    def run(self: _Self, *args: _Params.args, **kwargs: _Params.kwargs) -> _Result:
        before = dict(vars(self))
        try:
            return method(self, *args, **kwargs)
        except BaseException:
            vars(self).clear()
            vars(self).update(before)
            raise

    return run
