"""Monitoring of the sweeps of a fit and the epochs of a backbone."""

import logging

from .._factorization._factors import Watch
from .._factorization._finite import explain_not_finite
from .._utils._progress import Progress

_log = logging.getLogger("sklearn_selreg")


class SweepWatch(Watch):
    """Context manager that shows progress, records the loss, and lets callbacks stop the loop.

    Parameters
    ----------
    name : str
        Name of the loop, for callbacks.
    n_sweeps : int
        Maximum number of sweeps.
    settings : TrainingSettings
    strengths : ndarray of shape (nnz,)
        Strengths of the interactions, for the message on non-finite factors.
    sweeps : Progress or None, default=None
        Progress of all sweeps of the fit. If None, this loop is the whole fit.
    losses : list of float or None, default=None
        List to which losses are appended with `compute_loss`.
    train_to : callable or None, default=None
        Function of the current `Factors` and the number of sweeps that returns the `Trained` model
        if the loop stops there. If None, callbacks cannot stop the loop.

    Attributes
    ----------
    ended_after : int or None
        Number of sweeps after which a callback stopped the loop.
    """

    def __init__(
        self, name, n_sweeps, settings, strengths, *, sweeps=None, losses=None, train_to=None
    ):
        self._name, self._n_sweeps = name, n_sweeps
        self._settings, self._strengths = settings, strengths
        self._progress = Progress(
            name, n_sweeps, unit="sweep", verbose=settings.verbose, part_of=sweeps
        )
        self._losses, self._train_to = losses, train_to
        self.ended_after = None

    def __enter__(self):
        self._progress.__enter__()
        self._progress.begin_step()
        return self

    def __exit__(self, *error):
        self._progress.__exit__(*error)

    def check(self, problem):
        """Raise if factors are not finite; record the loss."""
        if not problem.is_finite:
            settings = self._settings
            raise ValueError(
                explain_not_finite(settings.backbone, self._strengths, settings.preference_settings)
            )
        if self._losses is not None and self._settings.compute_loss:
            self._losses.append(problem.loss())
            self._progress.note(f"loss={self._losses[-1]:.6g}")

    def __call__(self, factors, problem=None):
        if problem is not None:
            self.check(problem)
        n_done = self._progress.n + 1
        stop = self._progress.update(fitted=self._fitted(factors, n_done))
        if stop and self._train_to is not None:
            self.ended_after = n_done
            _log.info(
                "A callback stopped the %s after %d of %d.", self._name, n_done, self._n_sweeps
            )
            return True
        self._progress.begin_step()
        return False

    def _fitted(self, factors, n_done):
        describe = self._settings.attributes_of
        if self._train_to is None or describe is None:
            return None
        return lambda: describe(self._train_to(factors(), n_done))
