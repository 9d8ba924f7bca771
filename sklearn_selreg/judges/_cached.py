"""Base class of judges that cache their answers."""

from __future__ import annotations

import json
import os
from abc import abstractmethod
from collections.abc import Iterable

import numpy as np
import pandas as pd

from .._data._json_ids import KINDS, id_from_json
from .._utils._warn import warn
from ..exceptions import JudgmentWarning
from ._base import BaseJudge
from ._cache import NANO, open_cache
from ._cache_file import private_opener
from ._orders import SlatePrompts, json_or_hash, sha256, slate_content
from ._positions import looker
from ._slate import CostEstimate, Slate, check_slates


class CachedJudge(BaseJudge):
    """Base class of judges with a cache; a subclass answers prompts in `_ask`."""

    # Parameters that do not affect answers and are not part of cache keys.
    _not_identity: tuple[str, ...] = ("cache", "verbose")
    _shuffles = False  # whether the judge shuffles candidates itself
    version: str = ""
    """Version of the judge's class; answers of other versions are not reused."""

    def answers(self, slates: Iterable[Slate]) -> list[np.ndarray]:  # documented by the base class
        slates = check_slates(slates)
        if not slates:
            return []
        self._check_parameters()
        cache = self._cache()
        asked = self._prompts(slates)
        cache.link([row for prompts in asked for row in prompts.links])
        todo = {
            key: prompt
            for prompts in asked
            for key, prompt in zip(prompts.keys, prompts.prompts, strict=True)
        }
        found, todo = self._divide(cache, todo)
        look = looker(self, asked, dict(found))
        if todo:
            found |= self._ask(cache, todo, look)
        cache.tell()
        self._check_models(cache, found)
        look(found, is_last=True)
        return [prompts.answers(found) for prompts in asked]

    def _divide(self, cache, prompts, will_ask=True):
        """Return the cached answers and the prompts to send; provisional answers are in both.

        Answers with a wrong number of ratings are deleted.
        """
        found = cache.get(prompts)
        wrong = [key for key in found if len(found[key]) != len(prompts[key].candidates)]
        if wrong:
            cache.forget(wrong)
        found = {key: ratings for key, ratings in found.items() if key not in wrong}
        limits = {key: self._limits_of(prompts[key]) for key in found}
        again = cache.to_ask_again(found, limits, mark_longer=will_ask)
        return found, {k: p for k, p in prompts.items() if k not in found or k in again}

    def _limits_of(self, prompt):
        """Return the token limit of an answer, now and in older versions."""
        return 0, 0

    def _check_models(self, cache, keys):
        """Warn if the answers come from several models."""

    @abstractmethod
    def _ask(self, cache, todo, look):
        """Answer prompts that are not cached; several processes may do so concurrently.

        Parameters
        ----------
        cache : JudgmentCache
        todo : dict of str to Slate
            Prompts by key.
        look : callable
            Call this periodically with the answers so far. It may warn and therefore raise.

        Returns
        -------
        answers : dict of str to ndarray
        """

    # -- prompts -------------------------------------------------------------------------------

    def _prompts(self, slates):
        identity = self._identity_hash()
        return [SlatePrompts(self, identity, slate) for slate in slates]

    def _cache(self):
        identity = type(self), self._identity_hash()
        return open_cache(getattr(self, "cache", None), identity)

    def _identity(self):
        """Return everything apart from the prompt that determines an answer, as JSON data."""
        parameters = self.get_params(deep=False)
        return {
            **({"version": self.version} if self.version else {}),
            "judge": f"{type(self).__module__}.{type(self).__qualname__}",
            **{
                name: json_or_hash(value)
                for name, value in sorted(parameters.items())
                if name not in self._not_identity
            },
        }

    def _identity_hash(self):
        return sha256(self._identity())

    def _content(self, slate):
        """Return the parts of a slate that the judge uses, as JSON data."""
        return slate_content(slate)

    def _orders(self, slate):
        """Return the candidate orders, a list of int arrays."""
        return [np.arange(len(slate.candidates))]

    # -- statistics, costs and export ----------------------------------------------------------

    @property
    def stats_(self) -> dict[str, float]:
        """Totals of answers and spending over all users of the cache.

        Returns
        -------
        stats : dict of str to int or float
            Number of stored `answers`. For live judges also `requests`, `cost` in USD (including
            reservations for requests in flight), `input_tokens`, `output_tokens`, `retries`, and
            the number of answers with each kind of problem.
        """
        totals = self._cache().totals()
        if "cost" in totals:
            totals["cost"] /= NANO
        return totals

    def estimate_cost(self, slates: Iterable[Slate]) -> CostEstimate:  # as the base class
        slates = check_slates(slates)
        self._check_parameters()
        prompts = {
            key: prompt
            for asked in self._prompts(slates)
            for key, prompt in zip(asked.keys, asked.prompts, strict=True)
        }
        _, todo = self._divide(self._cache(), prompts, will_ask=False)
        return self._estimate(len(slates), len(prompts), list(todo.values()))

    def _estimate(self, n_slates, n_prompts, todo):
        return CostEstimate(n_slates, n_prompts, n_prompts - len(todo), 0, 0, 0, 0.0, 0.0)

    def _n_answered(self, slates):
        asked = self._prompts(slates)
        found = self._cache().get({key for prompts in asked for key in prompts.keys})
        return sum(not found.keys().isdisjoint(prompts.keys) for prompts in asked)

    def export(self, path: str | os.PathLike | None = None) -> pd.DataFrame:
        """Return all cached answers of this judge, in the format of :class:`PrecomputedJudge`.

        Parameters
        ----------
        path : str or path-like, default=None
            JSON Lines file to write the answers to, readable by its owner only. If None, no file
            is written.

        Returns
        -------
        judgments : DataFrame
            One row per answer, with the columns `user`, `history`, `candidates` (in the order
            shown) and `ratings`. In the file, ids without a JSON type (bytes, dates, UUIDs,
            decimals, tuples) are objects like ``{"date": "2024-05-01"}``, which
            :class:`PrecomputedJudge` reads. Slates with ids of other types are omitted.

        Warns
        -----
        JudgmentWarning
            If there are no answers to export.

        Examples
        --------
        >>> from sklearn_selreg.judges import ContentJudge, PrecomputedJudge, Slate
        >>> slate = Slate(7, [1], [2, 3], ["red wine"], ["white wine", "red wine glass"])
        >>> judge = ContentJudge()
        >>> bool(judge.rate([slate])[0][1] == PrecomputedJudge(judge.export()).rate([slate])[0][1])
        True
        """
        records = [
            {
                "user": json.loads(user),
                "history": json.loads(history),
                "candidates": json.loads(candidates),
                "ratings": [None if np.isnan(rating) else rating for rating in ratings.tolist()],
            }
            for user, history, candidates, ratings in self._cache().export(self._identity_hash())
        ]
        if path is not None:
            with open(path, "w", encoding="utf-8", opener=private_opener) as file:
                file.writelines(json.dumps(record) + "\n" for record in records)
        if not records:
            warn(
                f"There is nothing to export: {self._title()} has no cached answers, or only for "
                f"ids of other types than {KINDS}.",
                JudgmentWarning,
            )
        for record in records:
            record["user"] = id_from_json(record["user"])
            for name in ("history", "candidates"):
                record[name] = [id_from_json(item) for item in record[name]]
        return pd.DataFrame(records, columns=["user", "history", "candidates", "ratings"])
