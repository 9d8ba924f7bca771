"""What looks at each sweep of a fit, or epoch of a backbone."""

import logging

from .._factorization._factors import Watch
from .._factorization._finite import explain_not_finite
from .._utils._progress import Progress

_log = logging.getLogger("sklearn_selreg")


class SweepWatch(Watch):
    """Shows the progress of a loop, ends it where a callback says so, and keeps the loss.

    A context manager.

    Parameters
    ----------
    name : str
        What the sweeps are, for callbacks.
    n_sweeps : int
        How many there are, at most.
    settings : TrainingSettings
    strengths : ndarray of shape (nnz,)
        For the message if factors are not finite.
    sweeps : Progress or None, default=None
        All sweeps of the fit; None: these are all.
    losses : list of float or None, default=None
        Where losses are kept, with `compute_loss`.
    train_to : callable or None, default=None
        From the `Factors` after so many sweeps, and their number, to what training would give if
        they were the last ones. None: they cannot be: no callback ends them.

    Attributes
    ----------
    ended_after : int or None
        The sweep after which a callback ended them.
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
        """Raise if factors are not finite; keep the loss."""
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
            _log.info("A callback ended the %s after %d of %d.", self._name, n_done, self._n_sweeps)
            return True
        self._progress.begin_step()
        return False

    def _fitted(self, factors, n_done):
        describe = self._settings.attributes_of
        if self._train_to is None or describe is None:
            return None
        return lambda: describe(self._train_to(factors(), n_done))
