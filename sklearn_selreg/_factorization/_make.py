"""Construction of internal backbones from public specifications."""

from dataclasses import fields

from ._als_backbone import ALSBackbone
from ._sampled_backbones import BPRBackbone, LMFBackbone
from ._specifications import ALS, BPR, LMF

BACKBONES = {"als": ALSBackbone, "bpr": BPRBackbone, "lmf": LMFBackbone}
SPECIFICATIONS = {ALS: "als", BPR: "bpr", LMF: "lmf"}
_GIVEN = ("factors", "regularization", "alpha", "iterations")


def name_of(specification):
    """Name of a backbone specification; subclasses share the name of their base."""
    return next(name for made, name in SPECIFICATIONS.items() if isinstance(specification, made))


def make_backbone(specification, settings, *, num_threads, seeded):
    """Construct a backbone.

    Parameters
    ----------
    specification : ALS, BPR or LMF
    settings : dict
        `factors`, `regularization`, `alpha` and `iterations`, where None means the backbone's
        default, and further settings, of which a backbone takes those it has.
    num_threads : int
        0 means all cores.
    seeded : bool
        Whether results must be reproducible.

    Raises
    ------
    ValueError
        If a setting is given that the backbone does not have.
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
                f"backbone={name!r} has no parameter {parameter}, which must be None; "
                f"got {value!r}."
            )
        resolved[parameter] = value
    names = {field.name for field in fields(kind)}
    threads = {"num_threads": num_threads, "fit_threads": 1 if seeded else num_threads}
    available = specification.get_params(deep=False) | settings | threads | resolved
    return kind(**{key: value for key, value in available.items() if key in names})
