"""Judges that keep their answers, so that nothing is asked twice."""

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
    """Base class of judges with a cache; a subclass says how prompts are answered, by `_ask`."""

    # Parameters that do not change what the judge answers, and are not part of a prompt's key.
    _not_identity: tuple[str, ...] = ("cache", "verbose")
    _shuffles = False  # whether it shows candidates in random orders of its own
    version: str = ""
    """Which version of its class a judge is: answers of another one are not taken for its own."""

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
        """Return the answers that there are, and the prompts that are to be asked.

        What is no answer to its prompt is taken out; what is to be asked again is in both.
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
        """Return the length that an answer is allowed now, and that of older versions."""
        return 0, 0

    def _check_models(self, cache, keys):
        """Warn if answers that are used come from several models."""

    @abstractmethod
    def _ask(self, cache, todo, look):
        """Answer prompts that were not cached; several processes may do that at once.

        Parameters
        ----------
        cache : JudgmentCache
        todo : dict of str to Slate
            Prompts by their keys.
        look : callable
            To be called now and then with the answers so far; it may warn, so it may raise.

        Returns
        -------
        answers : dict of str to ndarray
        """

    # -- what a prompt is ----------------------------------------------------------------------

    def _prompts(self, slates):
        identity = self._identity_hash()
        return [SlatePrompts(self, identity, slate) for slate in slates]

    def _cache(self):
        identity = type(self), self._identity_hash()
        return open_cache(getattr(self, "cache", None), identity)

    def _identity(self):
        """Return what, apart from the prompt, determines an answer, as JSON data."""
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
        """Return what of a slate the judge sees, as JSON data."""
        return slate_content(slate)

    def _orders(self, slate):
        """Return the orders in which the candidates are shown, a list of int arrays."""
        return [np.arange(len(slate.candidates))]

    # -- what it has cost, and what is known ---------------------------------------------------

    @property
    def stats_(self) -> dict[str, float]:
        """What was asked and spent so far, by all who share the cache.

        Returns
        -------
        stats : dict of str to int or float
            `answers` stored; of live judges also `requests`, `cost` in USD (with what is reserved
            for requests under way), `input_tokens`, `output_tokens`, `retries`, and how many
            answers had a problem, by kind.
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
        """Return all cached answers of this judge, as :class:`PrecomputedJudge` reads them.

        Parameters
        ----------
        path : str or path-like, default=None
            A file to write them to, as JSON Lines, which only its owner may read; None: to none.

        Returns
        -------
        judgments : DataFrame
            One row an answer, with the columns `user`, `history`, `candidates` (in the order
            shown) and `ratings`. In the file ids that JSON has no type for (bytes, dates, UUIDs,
            decimals, tuples) are objects such as ``{"date": "2024-05-01"}``, which
            :class:`PrecomputedJudge` reads; slates with ids of other types are left out.

        Warns
        -----
        JudgmentWarning
            If there are no answers.

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
                f"There is nothing to export: {self._title()} has no answers yet, or of other ids "
                f"than {KINDS}.",
                JudgmentWarning,
            )
        for record in records:
            record["user"] = id_from_json(record["user"])
            for name in ("history", "candidates"):
                record[name] = [id_from_json(item) for item in record[name]]
        return pd.DataFrame(records, columns=["user", "history", "candidates", "ratings"])
