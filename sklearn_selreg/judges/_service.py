"""Replies and errors of services, and their prices in billionths of a dollar."""

import json
import math
from dataclasses import dataclass
from numbers import Real

import numpy as np

from ..exceptions import JudgeError
from ._prompt import parse_ratings

NANO = 1_000_000_000  # costs are counted in billionths of a dollar
_TRANSIENT = {408, 409, 429, *range(500, 600)}
# Exceptions of httpx for connections that were never made, so that nothing was sent.
_NO_CONNECTION = {"ConnectError", "ConnectTimeout", "PoolTimeout"}


class TransientError(Exception):
    """A failure that may pass: worth another attempt.

    Parameters
    ----------
    message : str
    billed : bool
        Whether the service may charge for the request.
    sent : bool
        False if the request surely never left: there was no connection.
    retry_after : float or None
        Seconds to wait, if the service has said so.
    limited : bool
        Whether the service asks for fewer requests.
    """

    def __init__(self, message, *, billed, sent=True, retry_after=None, limited=False):
        super().__init__(message)
        self.billed = billed
        self.sent = sent
        self.retry_after = retry_after
        self.limited = limited


@dataclass(frozen=True)
class Reply:
    """What a service answered to one question.

    Attributes
    ----------
    text : str
    problem : str or None
        "refusal" or "truncated", if it did not finish.
    input_tokens, output_tokens : int or None
        None: the service does not say, or not in numbers.
    pause : float
        Seconds that the service's rate limit asks to wait before the next request.
    """

    text: str
    problem: str | None
    input_tokens: int | None
    output_tokens: int | None
    pause: float = 0.0


def read_tokens(count):
    """Return a number of tokens that a service tells, None for what is no whole number >= 0."""
    if isinstance(count, str) and count.isdecimal():
        return int(count)
    whole = isinstance(count, Real) and not isinstance(count, bool) and 0 <= count < math.inf
    return int(count) if whole and count == int(count) else None


def read_reply(reply, n_candidates):
    """Return the ratings of a reply, and what is wrong with it (None if nothing)."""
    if reply.problem == "refusal":
        return np.full(n_candidates, np.nan), "refusal"
    ratings, problem = parse_ratings(reply.text, n_candidates)
    if problem is not None and reply.problem is not None:
        problem = reply.problem
    return ratings, problem


def transient_or_fatal(status, message, *, retry_after, key, service):
    """Return the exception for a status that is no success.

    Parameters
    ----------
    status : int
    message : str
        Of the server.
    retry_after : float or None
    key : str or None
        Taken out of the message, should the server repeat it.
    service : str
        What to look up, for the user.
    """
    message = as_sentence(hide(message, key))
    if status in _TRANSIENT:
        limited = status in (429, 503, 529)
        return TransientError(
            f"{status}: {message}", billed=False, retry_after=retry_after, limited=limited
        )
    advice = {
        400: "The request is not valid for this model: see `options`, `max_tokens` and `model`.",
        401: f"Is the key right? It comes from {service}.",
        403: "The key may not use this model or service.",
        404: "Is the name of the model right, and base_url?",
    }.get(status, "It would not pass on another attempt.")
    return JudgeError(f"The service answered {status}: {message} {advice}")


def no_connection(error, key):
    """Return the exception for a client's connection error, whose cause tells how far it got."""
    sent = type(error.__cause__).__name__ not in _NO_CONNECTION
    return TransientError(as_sentence(hide(str(error), key)), billed=sent, sent=sent)


def not_sent(message):
    """Return the exception for a request that the client did not even send."""
    failure = JudgeError(message)
    failure.sent = False
    return failure


def no_key(variable, hint=""):
    """Return the exception for a missing key; `hint` is said after it."""
    return not_sent(
        f"There is no key: set the environment variable {variable}, or name another one with "
        f"api_key_env.{hint}"
    )


def hide(message, key):
    """Take a key out of a message."""
    return message.replace(key, "***") if key else message


def as_sentence(message):
    """End a message of a service with a full stop, as more is said after it."""
    message = message.strip()
    return message if message.endswith((".", "!", "?", "。")) else f"{message}."


def retry_after(headers):
    """Return the seconds that the headers ask to wait, None if they do not."""
    for name, unit in (("retry-after-ms", 1e-3), ("retry-after", 1.0)):
        try:
            seconds = float(headers.get(name, "")) * unit
        except ValueError:
            continue
        if 0 <= seconds < 3600:
            return seconds
    return None


def server_message(body):
    """Return the message in an error's body, which may be anything."""
    try:
        error = json.loads(body)["error"]
        return str(error["message"] if isinstance(error, dict) else error)
    except (ValueError, KeyError, TypeError):
        return str(body)[:300]
