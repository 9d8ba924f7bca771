"""Available metrics: their names, and what each is computed from."""

from typing import NamedTuple

from .._utils._params import name_kind


class Metric(NamedTuple):
    """Properties of a metric.

    Attributes
    ----------
    name : str
    source : {"items", "positions", "lists", "all lists"}
        What it is computed from: results per held-out item; positions of all held-out items of a
        user; each user's list; all lists together.
    has_cutoff : bool
        Whether it is computed on the top k.
    sign : {1, -1}
        1 if larger values are better.
    """

    name: str
    source: str
    has_cutoff: bool = True
    sign: int = 1


METRICS = {
    metric.name: metric
    for metric in (
        Metric("NDCG", "items"),
        Metric("recall", "items"),
        Metric("precision", "items"),
        Metric("hit rate", "positions"),
        Metric("MAP", "positions"),
        Metric("MRR", "positions"),
        Metric("AUC", "items", has_cutoff=False),
        Metric("novelty", "lists"),
        Metric("diversity", "lists"),
        Metric("popularity lift", "lists", sign=-1),
        Metric("coverage", "all lists"),
        Metric("Gini", "all lists", sign=-1),
    )
}
DEFAULT = ("NDCG", "recall", "AUC")


def check_metrics(metrics):
    """Return the requested metric names in column order; "all" selects all metrics."""
    if isinstance(metrics, str):
        metrics = METRICS if metrics == "all" else (metrics,)
    try:
        wanted = set(metrics)
    except TypeError:
        raise TypeError(
            f"metrics must be 'all' or a list of names; got {name_kind(metrics)}."
        ) from None
    unknown = sorted(wanted - set(METRICS), key=str)
    if unknown or not wanted:
        got = repr(unknown[0]) if unknown else "none"
        raise ValueError(f"metrics must be 'all' or a subset of {list(METRICS)}; got {got}.")
    return tuple(name for name in METRICS if name in wanted)


def column_name(name, k):
    """Return the column name of a metric, e.g. "NDCG@10" or "AUC"."""
    return f"{name}@{k}" if METRICS[name].has_cutoff else name


def parse_column(column):
    """Return the name and cutoff (None if it has none) of a metric's column, or raise."""
    name, at, k = str(column).partition("@")
    known = name in METRICS and METRICS[name].has_cutoff == bool(at)
    if not known or (at and not (k.isdecimal() and int(k) > 0)):
        names = ", ".join(repr(column_name(n, 10)) for n in METRICS)
        raise ValueError(f"metric must be e.g. one of {names}; got {column!r}.")
    return name, int(k) if at else None


def has_sums(name):
    """Whether a metric is a ratio of sums over users, so that it can be bootstrapped."""
    return METRICS[name].source != "all lists"


def of_lists(names):
    """Whether any of the metrics is computed from lists."""
    return any(METRICS[name].source in ("lists", "all lists") for name in names)
