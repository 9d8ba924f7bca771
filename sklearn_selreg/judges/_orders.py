"""The prompts of a slate, one per candidate order, and their cache keys."""

import hashlib
import json

import joblib
import numpy as np

from .._data._json_ids import id_to_json
from ._slate import Slate


class SlatePrompts:
    """The prompts of a slate, one per candidate order.

    Attributes
    ----------
    prompts : list of Slate
        The slate in each order.
    keys : list of str
        SHA-256 of everything that determines the answer to each prompt.
    links : list of (str, str, str, str)
        Key and ids as JSON; empty if the ids cannot be represented in JSON.
    """

    def __init__(self, judge, identity, slate):
        self._orders = judge._orders(slate)
        self.prompts = [_reorder(slate, order) for order in self._orders]
        self.keys = [sha256([identity, judge._content(prompt)]) for prompt in self.prompts]
        self.links = []
        for key, prompt in zip(self.keys, self.prompts, strict=True):
            try:
                ids = (
                    id_to_json(prompt.user),
                    [id_to_json(item) for item in prompt.history],
                    [id_to_json(item) for item in prompt.candidates],
                )
                self.links.append((key, *(json.dumps(part, allow_nan=False) for part in ids)))
            except (TypeError, ValueError):
                pass

    def answers(self, found):
        """Return the answers in the order of the slate, of shape (n_candidates, n_answers)."""
        answers = np.full((len(self.prompts[0].candidates), len(self.keys)), np.nan)
        for column, (key, order) in enumerate(zip(self.keys, self._orders, strict=True)):
            if key in found:
                answers[order, column] = found[key]
        return answers

    def shown(self, found):
        """Return, for each order, the ratings as shown and their indices in the slate."""
        return [(found[key], order) for key, order in zip(self.keys, self._orders, strict=True)]


def _reorder(slate, order):
    """Return the slate with its candidates in another order."""
    if (order == np.arange(len(order))).all():
        return slate
    texts = tuple(slate.candidate_texts[i] for i in order) if slate.candidate_texts else ()
    candidates = tuple(slate.candidates[i] for i in order)
    return Slate(slate.user, slate.history, candidates, slate.history_texts, texts)


def slate_content(slate):
    """Return the whole slate as JSON data."""
    return [
        repr(plain_scalar(slate.user)),
        [repr(plain_scalar(item)) for item in slate.history],
        [repr(plain_scalar(item)) for item in slate.candidates],
        slate.history_texts,
        slate.candidate_texts,
    ]


def plain_scalar(value):
    """Convert a NumPy scalar to a Python scalar."""
    return value.item() if isinstance(value, np.generic) else value


def json_or_hash(value):
    """Return the parameter if it is JSON-serializable, else a hash of it."""
    try:
        return json.loads(json.dumps(plain_scalar(value)))
    except (TypeError, ValueError):
        try:
            return joblib.hash(value)
        except Exception:  # pickling may raise anything
            return repr(value)


def sha256(data):
    """Return the SHA-256 of JSON data as a hex string."""
    text = json.dumps(data, sort_keys=True, separators=(",", ":"))  # non-ASCII is escaped
    return hashlib.sha256(text.encode("ascii")).hexdigest()
