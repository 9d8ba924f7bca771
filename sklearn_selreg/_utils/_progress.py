"""The progress of long operations: shown by a bar, and told to callbacks of a fit.

Callbacks are those of scikit-learn 1.9: they are told of a tree of tasks. Operations open a
`Progress` and need not know whether an estimator is being fitted: `under` says so.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from threading import Lock
from typing import Any, TypeVar

from tqdm import TqdmWarning

with warnings.catch_warnings():
    # In Jupyter without ipywidgets the bar is text; users need no advice to install them.
    warnings.simplefilter("ignore", TqdmWarning)
    from tqdm.auto import tqdm

T = TypeVar("T")


class Task:
    """A task of an estimator's `fit`, of which its callbacks are told.

    Parameters
    ----------
    context : sklearn.callback.CallbackContext
    estimator : estimator
        That is fitted.
    samples : dict of str to callable
        Return `X` and `y`, for callbacks that ask for them.
    """

    def __init__(self, context: Any, estimator: Any, samples: dict[str, Callable[[], Any]]):
        self._context, self._estimator, self._samples = context, estimator, samples
        with under(None):  # what a callback does is no part of the fit
            context.call_on_fit_task_begin(estimator=estimator, **samples)

    def subtask(self, name: str, max_subtasks: int | None = 0) -> Task:
        """Begin a task that is part of this one; `max_subtasks` None: nobody knows how many."""
        context = self._context.subcontext(task_name=name, max_subtasks=max_subtasks)
        return Task(context, self._estimator, self._samples)

    def end(self, fitted: Callable[[], dict[str, Any]] | None = None) -> bool:
        """End the task, and return whether a callback wants its siblings to be left out.

        `fitted` returns the attributes of an estimator that is fitted as far as this.
        """
        with under(None):
            stop = self._context.call_on_fit_task_end(
                estimator=self._estimator, **self._samples, reconstruction_attributes=fitted
            )
        return bool(stop)


_task_of_fit: ContextVar[Task | None] = ContextVar("task_of_fit", default=None)


@contextmanager
def under(task: Task | None) -> Iterator[None]:
    """Make what is done a part of a task; None: of none."""
    token = _task_of_fit.set(task)
    try:
        yield
    finally:
        _task_of_fit.reset(token)


class Progress:
    """Steps of a long operation, a context manager.

    Parameters
    ----------
    name : str
        What is done, such as "choosing slates".
    total : int or None
        Number of steps, at most; None if nobody knows.
    unit : str, default="it"
        What a step is.
    verbose : int, default=0
        Above 0: a bar is shown.
    n_parts : int, default=0
        How many others are part of it, at most: they are what callbacks are told of, not the steps.
    part_of : Progress or None, default=None
        Its bar goes on, too.
    """

    def __init__(
        self,
        name: str,
        total: int | None = None,
        *,
        unit: str = "it",
        verbose: int = 0,
        n_parts: int = 0,
        part_of: Progress | None = None,
    ):
        self._name, self._total, self._unit = name, total, unit
        self._verbose, self._n_parts, self._part_of = verbose, n_parts, part_of
        self._lock = Lock()  # judges are asked by several threads
        self._task: Task | None = None
        self._step: Task | None = None
        self.n = 0  # steps that are done

    def __enter__(self) -> Progress:
        if self._part_of is None:
            parent = _task_of_fit.get()
            self._bar = tqdm(
                total=self._total, desc=self._name, unit=self._unit, disable=not self._verbose
            )
        else:
            parent, self._bar = self._part_of._task, self._part_of._bar
        if parent is not None:
            self._task = parent.subtask(self._name, self._n_parts or self._total)
        return self

    def __exit__(self, error: Any, *details: Any) -> None:
        if self._part_of is None:
            self._bar.close()
        if self._task is not None and error is None:
            if self._step is not None:
                self._step.end()
            self._task.end()

    def begin_step(self) -> None:
        """Say that a step begins; where nobody does, steps are told of when they are done."""
        if self._task is not None and (self._total is None or self.n < self._total):
            self._step = self._task.subtask(self._unit)

    def update(self, n_steps: int = 1, fitted: Callable[[], dict[str, Any]] | None = None) -> bool:
        """Say that steps are done; return whether a callback wants the others to be left out.

        `fitted` returns the attributes of an estimator that is fitted as far as this.
        """
        stop = False
        with self._lock:
            self._bar.update(n_steps)
            if self._task is None:
                self.n += n_steps
                return False
            for _ in range(n_steps):
                stop |= self._end_step(fitted)
                self.n += 1
        return stop

    def _end_step(self, fitted):
        if self._step is None:
            self.begin_step()
        if self._step is None:  # more than were expected
            return False
        step, self._step = self._step, None
        return step.end(fitted)

    def finish(self) -> None:
        """Say that there are no other steps, though there might have been."""
        self._bar.total = self._bar.n

    def note(self, text: str) -> None:
        """Show a text beside the bar, in place of the one before."""
        self._bar.set_postfix_str(text)


def tracked(
    steps: Iterable[T], name: str, total: int | None = None, *, unit: str = "it", verbose: int = 0
) -> Iterator[T]:
    """Iterate, and tell of the progress; `total` None: the length of `steps`."""
    total = len(steps) if total is None else total  # type: ignore[arg-type]
    with Progress(name, total, unit=unit, verbose=verbose) as progress:
        for step in steps:
            yield step
            progress.update()
