"""Answers as they are kept: the rows of one table of the cache."""

import json
import time
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Answer:
    """An answer as it is kept, with what is known about it beside its key.

    Attributes
    ----------
    ratings : ndarray of float
        In the order asked.
    problem : str or None
        Why ratings are missing.
    max_tokens : int or None
        The length that the answer was allowed.
    model : str or None
        Which model answered, as the service says.
    address : str or None
        Of the service.
    again : bool
        Whether it is only used until there is a better one.
    """

    ratings: np.ndarray
    problem: str | None = None
    max_tokens: int | None = None
    model: str | None = None
    address: str | None = None
    again: bool = False


def find_ratings(connection, keys, settled=False):
    """Return the ratings of some answers, a dict of str to ndarray.

    With `settled` those are left out that are to be asked again.
    """
    rows = connection.execute(
        "SELECT key, ratings FROM answers WHERE key IN (SELECT value FROM json_each(?))"
        + " AND NOT again" * settled,
        (json.dumps(list(keys)),),
    )
    return {key: np.frombuffer(blob, dtype="<f8") for key, blob in rows}


def find_unsettled(connection, keys):
    """Return (key, again, max_tokens) of answers that are to be asked again, or were cut off."""
    return connection.execute(
        "SELECT key, again, max_tokens FROM answers WHERE (again OR problem = 'truncated') "
        "AND key IN (SELECT value FROM json_each(?))",
        (json.dumps(list(keys)),),
    ).fetchall()


def find_failed(connection, judge, problems):
    """Return the keys of a judge's answers with some problems."""
    rows = connection.execute(
        "SELECT key FROM answers WHERE judge = ? AND problem IN (SELECT value FROM json_each(?))",
        (judge, json.dumps(list(problems))),
    )
    return [key for (key,) in rows]


def find_models(connection, keys):
    """Return how many of some answers each model gave, by the name that the service says."""
    return dict(
        connection.execute(
            "SELECT model, COUNT(*) FROM answers WHERE model IS NOT NULL AND "
            "key IN (SELECT value FROM json_each(?)) GROUP BY model ORDER BY model",
            (json.dumps(list(keys)),),
        )
    )


def mark(connection, keys):
    """Mark answers as to be asked again."""
    connection.executemany("UPDATE answers SET again = 1 WHERE key = ?", [(key,) for key in keys])


def insert_answer(connection, key, judge, answer):
    """Write an answer; return 1 if there was none, and 0 if there was.

    One that is to be asked again is replaced, unless it had fewer ratings missing.
    """
    old = connection.execute("SELECT ratings, again FROM answers WHERE key = ?", (key,)).fetchone()
    if old is not None and not old[1]:
        return 0
    ratings = np.array(answer.ratings, dtype="<f8")
    if old is not None:
        before = np.frombuffer(old[0], dtype="<f8")
        if len(before) == len(ratings) and np.isnan(before).sum() < np.isnan(ratings).sum():
            ratings = before
    connection.execute(
        "INSERT OR REPLACE INTO answers VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            *(key, judge, ratings.tobytes(), answer.problem, time.time()),
            *(answer.max_tokens, answer.model, answer.address, int(answer.again)),
        ),
    )
    return int(old is None)
