"""What looks at each sweep of a fit."""

from .._factorization._finite import explain_not_finite
from .._utils._progress import tqdm


class SweepWatcher:
    """Shows progress, stops where factors are not finite, and keeps the loss.

    Parameters
    ----------
    settings : TrainingSettings
    strengths : ndarray of shape (nnz,)
        For the message.
    n_sweeps : int

    Attributes
    ----------
    losses : list of float
        After each sweep that `watch_last` was shown, with `compute_loss`.
    """

    def __init__(self, settings, strengths, n_sweeps):
        self._settings, self._strengths = settings, strengths
        self._progress = tqdm(total=n_sweeps, disable=not settings.verbose, desc="sweeps")
        self.losses = []

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self._progress.total = self._progress.n  # few users make fewer fits
        self._progress.close()

    def watch(self, problem):
        """Look at the problem after a sweep."""
        self._progress.update()
        if not problem.is_finite:
            settings = self._settings
            raise ValueError(
                explain_not_finite(settings.backbone, self._strengths, settings.preference_settings)
            )

    def watch_last(self, problem):
        """Look at the problem after one of the last sweeps, whose losses are kept."""
        self.watch(problem)
        if self._settings.compute_loss:
            self.losses.append(problem.loss())
            self._progress.set_postfix(loss=f"{self.losses[-1]:.6g}")
