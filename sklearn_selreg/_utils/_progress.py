"""Progress of long operations: progress bars, and notification of callbacks of a fit.

scikit-learn 1.9 notifies callbacks about a tree of tasks. Operations open a `Progress` and need not
know whether they run within a fit, which is set by `under`.
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
    # In Jupyter without ipywidgets the bar is text; suppress the advice to install them.
    warnings.simplefilter("ignore", TqdmWarning)
    from tqdm.auto import tqdm

T = TypeVar("T")


class Task:
    """A task of an estimator's `fit`, reported to its callbacks.

    Parameters
    ----------
    context : sklearn.callback.CallbackContext
    estimator : estimator
        Estimator being fitted.
    samples : dict of str to callable
        Functions that return `X` and `y`, for callbacks that request them.
    """

    def __init__(self, context: Any, estimator: Any, samples: dict[str, Callable[[], Any]]):
        self._context, self._estimator, self._samples = context, estimator, samples
        with under(None):  # work of a callback is not part of the fit
            context.call_on_fit_task_begin(estimator=estimator, **samples)

    def subtask(self, name: str, max_subtasks: int | None = 0) -> Task:
        """Begin a subtask; `max_subtasks` is None if unknown."""
        context = self._context.subcontext(task_name=name, max_subtasks=max_subtasks)
        return Task(context, self._estimator, self._samples)

    def end(self, fitted: Callable[[], dict[str, Any]] | None = None) -> bool:
        """End the task, and return whether a callback requests to skip its remaining siblings.

        `fitted` returns the attributes of the estimator in its current state.
        """
        with under(None):
            stop = self._context.call_on_fit_task_end(
                estimator=self._estimator, **self._samples, reconstruction_attributes=fitted
            )
        return bool(stop)


_task_of_fit: ContextVar[Task | None] = ContextVar("task_of_fit", default=None)


@contextmanager
def under(task: Task | None) -> Iterator[None]:
    """Run the body as part of a task, or outside of any task if None."""
    token = _task_of_fit.set(task)
    try:
        yield
    finally:
        _task_of_fit.reset(token)


class Progress:
    """Progress of a long operation in steps, as a context manager.

    Parameters
    ----------
    name : str
        Name of the operation, e.g. "choosing slates".
    total : int or None
        Maximum number of steps; None if unknown.
    unit : str, default="it"
        Name of a step.
    verbose : int, default=0
        If > 0, show a progress bar.
    n_parts : int, default=0
        Maximum number of operations within this one. If > 0, callbacks are notified about these
        instead of the steps.
    part_of : Progress or None, default=None
        Enclosing operation, whose bar is shared.
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
        self._lock = Lock()  # judges are queried by several threads
        self._task: Task | None = None
        self._step: Task | None = None
        self.n = 0  # steps completed

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
        """Report the beginning of a step; otherwise, steps begin when they are reported done."""
        if self._task is not None and (self._total is None or self.n < self._total):
            self._step = self._task.subtask(self._unit)

    def update(self, n_steps: int = 1, fitted: Callable[[], dict[str, Any]] | None = None) -> bool:
        """Report completed steps; return whether a callback requests to skip the others.

        `fitted` returns the attributes of the estimator in its current state.
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
        if self._step is None:  # more steps than expected
            return False
        step, self._step = self._step, None
        return step.end(fitted)

    def finish(self) -> None:
        """Report that there are no further steps, although `total` allows more."""
        self._bar.total = self._bar.n

    def note(self, text: str) -> None:
        """Show a text next to the bar, replacing the previous one."""
        self._bar.set_postfix_str(text)


def tracked(
    steps: Iterable[T], name: str, total: int | None = None, *, unit: str = "it", verbose: int = 0
) -> Iterator[T]:
    """Iterate and report progress; if `total` is None, it is the length of `steps`."""
    total = len(steps) if total is None else total  # type: ignore[arg-type]
    with Progress(name, total, unit=unit, verbose=verbose) as progress:
        for step in steps:
            yield step
            progress.update()
