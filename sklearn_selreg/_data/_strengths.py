"""How strengths of interactions count: as they are, by their logarithm, or not at all."""

from dataclasses import dataclass

import numpy as np

from ._interactions import with_data

KINDS = ("raw", "log", "binary")
COMPRESSED = ("log", "binary")


@dataclass(frozen=True)
class StrengthScale:
    """Turns strengths, summed for each pair, into what `alpha` is multiplied by.

    Attributes
    ----------
    kind : {"raw", "log", "binary"}
        The strengths themselves; ``log(1 + strength)`` relative to its mean; or 1.
    mean : float
        Of ``log(1 + strength)``, where it was fitted; 1 for the other kinds.
    """

    kind: str
    mean: float = 1.0

    @classmethod
    def of(cls, kind, strengths):
        """Make one for the strengths of a fit, (n_pairs,)."""
        if kind != "log" or not len(strengths):
            return cls(kind)
        return cls(kind, float(np.mean(np.log1p(strengths), dtype=np.float64)))

    def apply(self, matrix):
        """Return a CSR matrix of strengths as one of weights, float32; "raw": the same one."""
        if self.kind == "raw":
            return matrix
        if self.kind == "binary":
            weights = np.ones_like(matrix.data)
        else:
            weights = np.log1p(matrix.data) / np.float32(self.mean)
        return with_data(matrix, weights)


def kinds_to_compare(strengths):
    """Return the kinds that differ for some strengths, (n_pairs,): one if all are equal."""
    if not len(strengths) or strengths.min() < strengths.max():
        return ("log", "binary", "raw")
    return ("raw",) if strengths[0] == 1 else ("binary",)
