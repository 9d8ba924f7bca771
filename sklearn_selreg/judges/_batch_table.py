"""The cache's table of batches in progress."""

import json
import time
import uuid
from contextlib import suppress

from ._cache import GRANTED, Unwritable


class BatchTable:
    """The batches in progress recorded in a cache.

    Parameters
    ----------
    cache : JudgmentCache
    """

    def __init__(self, cache):
        self._cache = cache

    def intend(self, judge, prompts, newest, **limits):
        """Claim prompts, reserve their cost, and record a batch that will be sent.

        Parameters
        ----------
        judge : str
            Hash of the judge's identity.
        prompts : dict of str to (int, int)
            Maximum cost and number of candidates by key.
        newest : str or None
            Newest batch at the service.
        **limits
            See `JudgmentCache.reserve`.

        Returns
        -------
        intent : str or None
            Id of the batch in the cache; None if there is nothing to send.
        granted : dict of str to (int, int)
            The subset of `prompts` to send.
        states : list of str
            State of each prompt; `GRANTED` also for those that exceed the budget.

        Raises
        ------
        Unwritable
        """
        intent, granted = uuid.uuid4().hex, {}
        with self._cache.write() as connection:
            states = [self._cache.state(connection, key) for key in prompts]
            for (key, (cost, size)), state in zip(prompts.items(), states, strict=True):
                if state == GRANTED and self._cache.reserve_in(connection, cost, **limits):
                    granted[key] = cost, size
            if granted:
                connection.execute(
                    "INSERT INTO batches VALUES (?, ?, ?, NULL, ?, ?, ?)",
                    (intent, judge, self._cache.owner, json.dumps(granted), time.time(), newest),
                )
                self._cache.insert_claims(connection, granted, intent)
                self._cache.active.add(intent)
        return intent if granted else None, granted, states

    def sent(self, intent, batch):
        """Record the service's id of a batch; without it, the batch has to be searched for."""
        with suppress(Unwritable), self._cache.write() as connection:
            connection.execute("UPDATE batches SET batch = ? WHERE intent = ?", (batch, intent))

    def end(self, intent, judge, answers=(), counts=(), left=()):
        """Store the answers of a batch and release its other claims, exactly once.

        Parameters
        ----------
        intent, judge : str
        answers : dict of str to Answer
        counts : dict of str to int
            Increments of the totals.
        left : dict of str to int or (int, int)
            Prompts whose results remain to be collected.

        Returns
        -------
        ended : bool
            False if another process has collected the batch; nothing is changed then.

        Raises
        ------
        Unwritable
        """
        with self._cache.write() as connection:
            self._cache.active.discard(intent)
            mine = "FROM batches WHERE intent = ? AND owner = ?"
            row = connection.execute(
                f"SELECT batch, time, newest {mine}", (intent, self._cache.owner)
            ).fetchone()
            if row is None:
                return False
            batch, since, newest = row
            connection.execute(f"DELETE {mine}", (intent, self._cache.owner))
            n_new = sum(
                self._cache.insert(connection, key, judge, answer)
                for key, answer in dict(answers).items()
            )
            self._cache.add(connection, {"answers": n_new, **dict(counts)})
            connection.executemany(
                "DELETE FROM claims WHERE batch = ? AND key NOT IN "
                "(SELECT value FROM json_each(?))",
                [(intent, json.dumps(list(left)))],
            )
            if left:
                connection.execute(
                    "INSERT INTO batches VALUES (?, ?, '', ?, ?, ?, ?)",
                    (intent, judge, batch, json.dumps(left), since, newest),
                )
        return True

    def adopt(self, judge, keys):
        """Take over batches of dead processes that contain any of these keys.

        Returns
        -------
        batches : list of (str, str or None, dict, str or None)
            Intent, id (None if it is unknown whether the batch was sent), prompts, and the newest
            batch before it.

        Raises
        ------
        Unwritable
        """
        adopted = []
        with self._cache.write() as connection:
            rows = connection.execute(
                "SELECT intent, batch, requests, newest, owner, beats FROM batches "
                "LEFT JOIN owners USING (owner) WHERE judge = ?",
                (judge,),
            ).fetchall()
            for intent, batch, prompts, newest, owner, beats in rows:
                lives = beats is not None and owner != self._cache.owner
                prompts = json.loads(prompts)
                if intent in self._cache.active or lives or prompts.keys().isdisjoint(keys):
                    continue
                self._cache.active.add(intent)
                for table, column in (("batches", "intent"), ("claims", "batch")):
                    mine = self._cache.owner, intent
                    connection.execute(f"UPDATE {table} SET owner = ? WHERE {column} = ?", mine)
                adopted.append((intent, batch, prompts, newest))
        return adopted

    def known(self):
        """Return the ids of all batches in progress."""
        with self._cache.read() as connection:
            rows = connection.execute("SELECT batch FROM batches WHERE batch IS NOT NULL")
            return {row[0] for row in rows}
