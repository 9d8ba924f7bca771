"""Replies and errors of services, in one form."""

import json
import math
import zlib
from dataclasses import dataclass
from importlib import import_module
from numbers import Real

import numpy as np

from ..exceptions import JudgeError

_TRANSIENT = {408, 409, 429, *range(500, 600)}
_LONGEST_BODY = 16 << 20  # bytes; an answer has a few hundred
_LONGEST_RESULTS = 1 << 30  # bytes; of a batch
_LONGEST_MESSAGE = 2_000  # characters
# Exceptions of httpx for connections that were never made, so that nothing was sent.
_NO_CONNECTION = {"ConnectError", "ConnectTimeout", "PoolTimeout"}


class TransientError(Exception):
    """A failure of a service that may pass: worth another attempt.

    A method `_send` of a :class:`LiveJudge` raises it.

    Parameters
    ----------
    message : str
        What went wrong. It may be shown and logged, so it must not hold a key.
    billed : bool
        Whether the service may charge for the request.
    sent : bool, default=True
        False if the request surely never left: there was no connection.
    retry_after : float or None, default=None
        Seconds to wait, if the service has said so.
    limited : bool, default=False
        Whether the service asks for fewer requests.
    refused_form : bool, default=False
        Whether the service has refused the form of the request only, and the next one will have
        another: it is sent at once, and is no further attempt.

    Examples
    --------
    >>> from sklearn_selreg.judges import TransientError
    >>> raise TransientError("503: Not available.", billed=False, retry_after=2.0)
    Traceback (most recent call last):
    sklearn_selreg.judges...TransientError: 503: Not available.
    """

    def __init__(
        self,
        message: str,
        *,
        billed: bool,
        sent: bool = True,
        retry_after: float | None = None,
        limited: bool = False,
        refused_form: bool = False,
    ):
        super().__init__(message)
        self.billed = billed
        self.sent = sent
        self.retry_after = retry_after
        self.limited = limited
        self.refused_form = refused_form


@dataclass(frozen=True)
class Reply:
    """What a service answered to one prompt.

    A method `_send` of a :class:`LiveJudge` returns it.

    Attributes
    ----------
    text : str
        One rating from 0 to 99 for each candidate, as JSON: an object by the numbers of the
        candidates, from 1, or a list; with ``ask="ranking"`` the list of these numbers, best first.
        Reasoning, code fences and prose around it do no harm.
    problem : str or None
        "refusal" or "truncated", if it did not finish.
    input_tokens, output_tokens : int or None
        None: the service does not say; the request then costs the worst case.
    pause : float, default=0.0
        Seconds that the service's rate limit asks to wait before the next request.

    Examples
    --------
    >>> from sklearn_selreg.judges import Reply
    >>> reply = Reply('{"1": 37, "2": 81}', problem=None, input_tokens=250, output_tokens=12)
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


def read_reply(reply, n_candidates, parse):
    """Return the ratings of a reply, and what is wrong with it (None if nothing)."""
    if reply.problem == "refusal":
        return np.full(n_candidates, np.nan), "refusal"
    ratings, problem = parse(reply.text, n_candidates)
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
    """Return the exception for a client's connection error, whose cause shows how far it got."""
    if isinstance(error.__cause__, JudgeError):  # ours, see `bound_body`
        return without_traceback(error.__cause__)
    sent = type(error.__cause__).__name__ not in _NO_CONNECTION
    return TransientError(as_sentence(hide(str(error), key)), billed=sent, sent=sent)


def without_traceback(error):
    """Return a JudgeError without its traceback, in which there may be a key."""
    failure = JudgeError(str(error))
    failure.sent, failure.billed = error.sent, error.billed
    return failure


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
        return str(error["message"] if isinstance(error, dict) else error)[:_LONGEST_MESSAGE]
    except (ValueError, KeyError, TypeError, RecursionError):
        return str(body)[:300]


def read_body(content, read):
    """Return the Reply that `read` makes of the JSON in a body, an empty one of anything else."""
    try:
        data = json.loads(content)
    except (ValueError, RecursionError):
        data = None
    return read_or_empty(data, read)


def read_or_empty(data, read):
    """Return the Reply that `read` makes of JSON data, an empty one if they are no answer."""
    try:
        return read(data)
    except (ValueError, TypeError, AttributeError, LookupError):
        return Reply("", None, None, None)


def bound_body(response):
    """Read no more of a response than a bound, unpacked: a hook for clients of httpx."""
    # There are several versions of httpx, under several names.
    httpx = import_module(type(response).__module__.partition(".")[0])
    longest = _LONGEST_RESULTS if response.url.path.endswith("/results") else _LONGEST_BODY
    encoding = response.headers.pop("content-encoding", "identity").strip().lower()
    if encoding not in ("identity", "gzip", "x-gzip"):
        raise _too_long(f"The service packs its answers by {encoding!r}, though asked for gzip.")

    class Bounded(httpx.SyncByteStream):
        def __init__(self, stream):
            self.stream = stream

        def __iter__(self):
            n_bytes = 0
            for part in _unpacked(self.stream, encoding):
                n_bytes += len(part)
                if n_bytes > longest:
                    raise _too_long(
                        f"The service's answer is longer than {longest >> 20} MiB: is base_url "
                        "right?"
                    )
                yield part

        def close(self):
            self.stream.close()

    response.stream = Bounded(response.stream)


def _too_long(message):
    failure = JudgeError(message)
    failure.billed = True  # it may well be
    return failure


def _unpacked(stream, encoding):
    """Yield the bytes of a stream in parts of at most 1 MiB if they are packed."""
    if encoding == "identity":
        yield from stream
        return
    unpack = zlib.decompressobj(31)
    for packed in stream:
        while packed:
            yield unpack.decompress(packed, 1 << 20)
            packed = unpack.unconsumed_tail
