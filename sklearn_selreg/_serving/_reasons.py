"""Textual reasons for recommendations: the largest parts of a score, as one sentence."""

import re

import numpy as np

from ._explain import Explainer

_SMALLEST_SHARE = 0.05  # of all positive contributions; smaller ones are not mentioned
_NUMBER = re.compile(r"-?\d+(\.\d+)?")
_JUDGED = ("preference", "item_preference")


def reasons(model, rows, columns, names, n_sources):
    """Explain recommendations in sentences.

    Parameters
    ----------
    model : FittedModel
        Fitted by ALS.
    rows, columns : ndarrays of shape (n_pairs,), int
        Users (-1 for the mean user) and items.
    names : ndarray of shape (n_items,), object
        Titles of the items.
    n_sources : int
        Maximum number of history items, and of features, named in a sentence.

    Returns
    -------
    sentences : ndarray of shape (n_pairs,), object
    """
    explainer = Explainer(model)
    called = {"history": names, "feature": model.feature_names}
    if model.user_coefficients is not None:
        called["user_feature"] = model.user_feature_names
    readable = {kind: readable_features(of) for kind, of in called.items() if kind != "history"}
    sentences = np.full(len(rows), None, dtype=object)
    for pair in np.argsort(rows, kind="stable"):  # a user's parts are computed once
        parts = explainer.parts(rows[pair], columns[pair], by_feature=True)
        found = _largest_parts(parts, readable, n_sources)
        for kind, of_kind in called.items():
            if kind in found:
                found[kind] = [str(of_kind[where]) for where in found[kind]]
        sentences[pair] = _sentence(found, is_new=model.popularity[columns[pair]] == 0)
    return sentences


def readable_features(names):
    """Return a mask of the features that a sentence may name, (n_features,) bool.

    These are values of columns, such as ``genres=Drama``, but not coordinates of vectors or
    punctuation marks. If the encoder has no such features, all are named.
    """
    is_value = np.array(["=" in str(name) and '"' not in str(name) for name in names], dtype=bool)
    return is_value if is_value.any() else np.ones(len(names), dtype=bool)


def _largest_parts(parts, readable, n_sources):
    """Return the positions of the largest contributions to a score by kind, in decreasing order."""
    total = sum(values[values > 0].sum() for _, _, values in parts)
    largest = {}
    for kind, positions, values in parts:
        if kind in _JUDGED:
            kind, values = "judge", np.array([values.sum()])
            positions = np.array([-1])
        elif kind in readable:
            values = np.where(readable[kind][positions], values, 0)
        order = np.argsort(-values, kind="stable")[:n_sources]
        kept = order[values[order] > _SMALLEST_SHARE * total]
        if len(kept):
            largest.setdefault(kind, positions[kept].tolist())
    return largest


def _sentence(found, is_new):
    """Compose a sentence of the reasons; `is_new` if the item has no interactions."""
    clauses = []
    if "history" in found:
        clauses.append(f"they liked {_join(found['history'])}")
    if "user_feature" in found:
        features = ", ".join(_one_number_each(found["user_feature"]))
        clauses.append(f"their {features}" if clauses else f"of their {features}")
    if "mean_user" in found:
        clauses.append("it suits most users")
    if "feature" in found:
        features = ", ".join(_one_number_each(found["feature"]))
        clauses.append(features if clauses else f"of {features}")
    if "judge" in found:
        clauses.append("the judge prefers it")
    if "bias" in found and is_new:
        clauses.append("items like it are popular")
    elif "bias" in found:
        clauses.append("popular" if clauses else "it is popular")
    return f"because {'; '.join(clauses)}" if clauses else "for no single reason"


def _one_number_each(names):
    """Keep one number per column, as the knots of a spline on both sides of a value are similar."""
    columns = [n.partition("=")[0] if _NUMBER.fullmatch(n.rpartition("=")[2]) else n for n in names]
    return [n for place, n in enumerate(names) if columns[place] not in columns[:place]]


def _join(names):
    """Join names as in prose: "A, B and C"."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
