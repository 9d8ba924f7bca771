"""Backbones as the factorization has them, made of those that users set."""

from dataclasses import fields

from ._als_backbone import ALSBackbone
from ._sampled_backbones import BPRBackbone, LMFBackbone
from ._specifications import ALS, BPR, LMF

BACKBONES = {"als": ALSBackbone, "bpr": BPRBackbone, "lmf": LMFBackbone}
SPECIFICATIONS = {ALS: "als", BPR: "bpr", LMF: "lmf"}
_GIVEN = ("factors", "regularization", "alpha", "iterations")


def name_of(specification):
    """Return the name of a backbone, or of a subclass of it."""
    return next(name for made, name in SPECIFICATIONS.items() if isinstance(specification, made))


def make_backbone(specification, settings, *, num_threads, seeded):
    """Make a backbone.

    Parameters
    ----------
    specification : ALS, BPR or LMF
    settings : dict
        `factors`, `regularization`, `alpha` and `iterations`, of which None is the backbone's
        default; and further ones, from which a backbone takes its own.
    num_threads : int
        0: all cores.
    seeded : bool
        Whether the result must be the same in each call.

    Raises
    ------
    ValueError
        For settings that the backbone does not have.
    """
    name = name_of(specification)
    kind = BACKBONES[name]
    resolved = dict(kind.defaults)
    for parameter in _GIVEN:
        value = settings[parameter]
        if value is None:
            continue
        if parameter not in resolved:
            raise ValueError(
                f"backbone={name!r} has no {parameter}: leave it at None; got {value!r}."
            )
        resolved[parameter] = value
    names = {field.name for field in fields(kind)}
    threads = {"num_threads": num_threads, "fit_threads": 1 if seeded else num_threads}
    available = specification.get_params(deep=False) | settings | threads | resolved
    return kind(**{key: value for key, value in available.items() if key in names})
