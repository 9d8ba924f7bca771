"""A slate in the orders it is asked in, and the keys of its answers."""

import hashlib
import json

import joblib
import numpy as np

from .._data._json_ids import id_to_json
from ._slate import Slate


class Question:
    """A slate in all the orders it is asked in.

    Attributes
    ----------
    asked : list of Slate
    keys : list of str
        SHA-256 of what determines the answer to each.
    links : list of (str, str, str, str)
        Key, and ids as JSON; empty where JSON cannot hold the ids.
    """

    def __init__(self, judge, identity, slate):
        self._orders = judge._orders(slate)
        self.asked = [_reorder(slate, order) for order in self._orders]
        self.keys = [sha256([identity, judge._content(asked)]) for asked in self.asked]
        self.links = []
        for key, asked in zip(self.keys, self.asked, strict=True):
            try:
                ids = (
                    id_to_json(asked.user),
                    [id_to_json(item) for item in asked.history],
                    [id_to_json(item) for item in asked.candidates],
                )
                self.links.append((key, *(json.dumps(part, allow_nan=False) for part in ids)))
            except (TypeError, ValueError):
                pass

    def answers(self, found):
        """Return the answers in the slate's own order, (n_candidates, n_answers)."""
        answers = np.full((len(self.asked[0].candidates), len(self.keys)), np.nan)
        for column, (key, order) in enumerate(zip(self.keys, self._orders, strict=True)):
            if key in found:
                answers[order, column] = found[key]
        return answers


def _reorder(slate, order):
    """Return the slate with its candidates in another order."""
    if (order == np.arange(len(order))).all():
        return slate
    texts = tuple(slate.candidate_texts[i] for i in order) if slate.candidate_texts else ()
    candidates = tuple(slate.candidates[i] for i in order)
    return Slate(slate.user, slate.history, candidates, slate.history_texts, texts)


def plain_scalar(value):
    """Return a scalar of numpy as one of Python."""
    return value.item() if isinstance(value, np.generic) else value


def json_or_hash(value):
    """Return a parameter as JSON data, a hash of it if it is none."""
    try:
        return json.loads(json.dumps(plain_scalar(value)))
    except (TypeError, ValueError):
        try:
            return joblib.hash(value)
        except Exception:  # whatever pickling it may raise
            return repr(value)


def sha256(data):
    """Return the SHA-256 of JSON data as a hex string."""
    text = json.dumps(data, sort_keys=True, separators=(",", ":"))  # ASCII: any unicode is fine
    return hashlib.sha256(text.encode("ascii")).hexdigest()
