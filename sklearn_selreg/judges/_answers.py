"""Stored answers: rows of the cache's `answers` table."""

import json
import time
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Answer:
    """A stored answer.

    Attributes
    ----------
    ratings : ndarray of float
        Ratings in the order shown.
    problem : str or None
        Why ratings are missing.
    max_tokens : int or None
        Token limit of the answer.
    model : str or None
        Model that answered, as reported by the service.
    address : str or None
        Address of the service.
    again : bool
        Whether the answer is provisional: used until a better one arrives.
    """

    ratings: np.ndarray
    problem: str | None = None
    max_tokens: int | None = None
    model: str | None = None
    address: str | None = None
    again: bool = False


def find_ratings(connection, keys, settled=False):
    """Return the ratings by key, without provisional answers if `settled`."""
    rows = connection.execute(
        "SELECT key, ratings FROM answers WHERE key IN (SELECT value FROM json_each(?))"
        + " AND NOT again" * settled,
        (json.dumps(list(keys)),),
    )
    return {key: np.frombuffer(blob, dtype="<f8") for key, blob in rows}


def find_unsettled(connection, keys):
    """Return (key, again, max_tokens) of provisional and truncated answers."""
    return connection.execute(
        "SELECT key, again, max_tokens FROM answers WHERE (again OR problem = 'truncated') "
        "AND key IN (SELECT value FROM json_each(?))",
        (json.dumps(list(keys)),),
    ).fetchall()


def find_failed(connection, judge, problems):
    """Return the keys of a judge's answers with one of the problems."""
    rows = connection.execute(
        "SELECT key FROM answers WHERE judge = ? AND problem IN (SELECT value FROM json_each(?))",
        (judge, json.dumps(list(problems))),
    )
    return [key for (key,) in rows]


def find_models(connection, keys):
    """Count the answers per model, as reported by the service."""
    return dict(
        connection.execute(
            "SELECT model, COUNT(*) FROM answers WHERE model IS NOT NULL AND "
            "key IN (SELECT value FROM json_each(?)) GROUP BY model ORDER BY model",
            (json.dumps(list(keys)),),
        )
    )


def mark(connection, keys):
    """Mark answers as provisional, so that their prompts are sent again."""
    connection.executemany("UPDATE answers SET again = 1 WHERE key = ?", [(key,) for key in keys])


def insert_answer(connection, key, judge, answer):
    """Write an answer; return 1 if the key is new, else 0.

    A provisional answer is replaced, but keeps its ratings if fewer of them are missing.
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
