"""Uniform replies and errors of services."""

from __future__ import annotations

import json
import re
import zlib
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from importlib import import_module
from numbers import Real

import numpy as np

from ..exceptions import JudgeError

_TRANSIENT = {408, 409, 429, *range(500, 600)}
_TIMEOUTS = {408, 504}
# A gateway gave up, but the service behind it may still complete the request and charge for it.
_MAY_BE_BILLED = {408, 502, 504, 520, 522, 524}
_MOST_TOKENS = 10**9  # plausible in a reply
_LONGEST_BODY = 16 << 20  # bytes; answers have a few hundred
_LONGEST_RESULTS = 1 << 30  # bytes of the results of a batch
_LONGEST_MESSAGE = 2_000  # characters
# Errors for too long prompts, from OpenAI, vLLM, llama.cpp, Anthropic, TGI and others.
_TOO_LONG = re.compile(
    r"context_length_exceeded|exceed_context_size|context (size|length|window|limit)"
    r"|prompt is too long|max_new_tokens. must be <=",
    re.IGNORECASE,
)
# Their wordings of the context length, the tokens of the prompt, and those kept for the answer.
_LENGTHS = [
    re.compile(pattern, re.IGNORECASE | re.DOTALL)
    for pattern in (
        r"n_prompt_tokens=(?P<prompt>\d+).*n_ctx=(?P<limit>\d+)",
        r"context length is (?P<limit>\d+).*?\((?P<prompt>\d+) in the \w+, (?P<answer>\d+) in",
        r"too large: (?P<answer>\d+).*context length is (?P<limit>\d+).* has (?P<prompt>\d+) input",
        r"context length is (?P<limit>\d+).*?(?P<prompt>\d+) (input )?tokens",
        r"too long: (?P<prompt>\d+) tokens > (?P<limit>\d+)",
        r"limit: (?P<prompt>\d+) \+ (?P<answer>\d+) > (?P<limit>\d+)",
        r"must be <= (?P<limit>\d+).*?(?P<prompt>\d+) `inputs` tokens and (?P<answer>\d+)",
    )
]
# Messages of status 400 that are due to the content of one prompt or one answer.
_FILTERED = re.compile(
    r"content[ _]?(filter|policy|management)|responsible ai|safety system", re.IGNORECASE
)
_FAILED_ANSWER = re.compile(r"json_validate_failed|failed_generation", re.IGNORECASE)
# Exceptions of httpx for connections that were never established: nothing was sent.
_NO_CONNECTION = {"ConnectError", "ConnectTimeout", "PoolTimeout"}


class TransientError(Exception):
    """A temporary failure of a service, worth a retry.

    Raised by the method `_send` of a :class:`LiveJudge`.

    Parameters
    ----------
    message : str
        Description of the failure. It may be displayed and logged, so it must not contain a key.
    billed : bool
        Whether the service may charge for the request.
    sent : bool, default=True
        False if the request was certainly not sent, e.g. without a connection.
    retry_after : float or None, default=None
        Seconds to wait before the next attempt, if given by the service.
    limited : bool, default=False
        Whether the service asks for fewer requests.
    refused_form : bool, default=False
        Whether the service only rejects the form of the request. The next request has another
        form; it is sent immediately and does not count as a retry.
    timed_out : bool, default=False
        Whether the service took too long. Concurrency is then reduced and the timeout increased.
    unavailable : bool, default=False
        Whether the service is down, e.g. a server that restarts or loads its model. Retries are
        then limited by time (`max_wait` of the judge), not by number.

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
        timed_out: bool = False,
        unavailable: bool = False,
    ):
        super().__init__(message)
        self.billed = billed
        self.sent = sent
        self.retry_after = retry_after
        self.limited = limited
        self.refused_form = refused_form
        self.timed_out = timed_out
        self.unavailable = unavailable


class NoCompletion(TransientError):
    """A response with status 200 that is not a completion; its cost is unknown."""

    def __init__(self, address, body, advice=""):
        said = as_sentence(server_message(body).strip() or "an empty body")
        message = f"{address} returned status 200 and no completion: {said} {advice}"
        super().__init__(message.rstrip(), billed=True)


class TooLong(JudgeError):
    """A prompt exceeds the context length of the service; nothing was billed.

    Attributes
    ----------
    n_tokens, limit : int or None
        Length of the prompt and its maximum, in tokens, if reported by the service.
    """

    def __init__(self, message: str):
        super().__init__(message)
        self.billed = False
        self.n_tokens: int | None = None
        self.limit: int | None = None
        plain = re.sub(r"(?<=\d),(?=\d{3})", "", message)
        found = next((f for f in (pattern.search(plain) for pattern in _LENGTHS) if f), None)
        if found is not None:
            numbers = {name: int(number) for name, number in found.groupdict().items() if number}
            limit = numbers["limit"] - numbers.get("answer", 0)
            if 0 < limit < numbers["prompt"]:
                self.n_tokens, self.limit = numbers["prompt"], limit


class OfOnePrompt(JudgeError):
    """A service rejects a single prompt or answer because of its content.

    Attributes
    ----------
    reply : Reply
        Reply to use as the answer.
    """

    def __init__(self, message: str, reply: Reply):
        super().__init__(message)
        self.billed = reply.problem is None
        self.reply = reply


@dataclass(frozen=True)
class Reply:
    """Reply of a service to one prompt.

    Returned by the method `_send` of a :class:`LiveJudge`.

    Attributes
    ----------
    text : str
        One rating from 0 to 99 per candidate, as JSON: an object keyed by candidate number, from
        1, or a list; with ``ask="ranking"``, the list of candidate numbers, best first. Reasoning,
        code fences and prose around it are ignored.
    problem : str or None
        "refusal" or "truncated" if the answer is incomplete.
    input_tokens, output_tokens : int or None
        Token counts. If None, the maximum cost of the request is charged.
    pause : float, default=0.0
        Seconds to wait before the next request because of a rate limit.
    model : str or None, default=None
        Model that answered, if reported by the service.

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
    model: str | None = None


def read_tokens(count):
    """Return a reported number of tokens, or None if it is not a plausible integer >= 0."""
    if isinstance(count, str) and count.isdecimal() and len(count) < 10:
        return int(count)
    is_number = isinstance(count, Real) and not isinstance(count, bool)
    return int(count) if is_number and 0 <= count < _MOST_TOKENS and count == int(count) else None


def read_model(name):
    """Return the reported name of the model that answered, or None if there is none."""
    if not isinstance(name, str) or not name.strip():
        return None
    return name.strip()[:200].encode("utf-8", "replace").decode()


def read_reply(reply, n_candidates, parse):
    """Return the ratings of a reply and its problem, or None without one."""
    if reply.problem == "refusal":
        return np.full(n_candidates, np.nan), "refusal"
    if reply.problem == "truncated" and not reply.text.rstrip().endswith(("}", "]", "```")):
        return np.full(n_candidates, np.nan), "truncated"  # the text may be a draft
    ratings, problem = parse(reply.text, n_candidates)
    if problem is not None and reply.problem is not None:
        problem = reply.problem
    return ratings, problem


def failure_of(response, *, key, source, address):
    """Return the exception for an unsuccessful response.

    Parameters
    ----------
    response : httpx.Response
    key : str or None
        API key, to be masked if the server's message repeats it.
    source : str or None
        Environment variable of the key; None without a key.
    address : str
        Address of the service.
    """
    status, body = response.status_code, response.text
    wait = retry_after(response.headers)
    message = as_sentence(hide(server_message(body), key))
    said = f"{address} returned status {status}: {message}"
    if status == 503 and wait is None:
        return TransientError(said, billed=False, limited=True, unavailable=True)
    if status in _TRANSIENT:
        return TransientError(
            said,
            billed=status in _MAY_BE_BILLED,
            retry_after=wait,
            limited=status in (429, 503, 529),
            timed_out=status in _TIMEOUTS,
        )
    special = of_one_prompt(status, hide(body, key))
    if special is not None:
        return special
    if 300 <= status < 400:
        where = hide(response.headers.get("location", "elsewhere"), key)
        return JudgeError(f"{said} It redirects to {where}: set base_url to that address.")
    unsaid = "No key was sent: set api_key_env." if source is None else ""
    advice = {
        400: "The request is invalid for this model: check `options`, `max_tokens` and `model`.",
        401: unsaid or f"Check the key in {source}.",
        403: unsaid or "The key may lack permission for this model or service.",
        404: "Check the name of the model and base_url.",
    }.get(status, "This error is permanent, so the request is not retried.")
    return JudgeError(f"{said} {advice}")


def of_one_prompt(status, body):
    """Return the exception for an error that concerns a single prompt, None for others."""
    if status not in (400, 413, 422):
        return None
    if _TOO_LONG.search(body):
        return TooLong(_details(body))
    if _FILTERED.search(body):
        return OfOnePrompt(server_message(body), Reply("", "refusal", 0, 0))
    if _FAILED_ANSWER.search(body):
        return OfOnePrompt(server_message(body), Reply("", None, None, None))
    return None


def no_connection(error, key, address):
    """Return the exception for a client's connection error, depending on its cause."""
    cause = error.__cause__
    if isinstance(cause, JudgeError):  # raised by `bound_body`
        return without_traceback(cause)
    if isinstance(cause, TransientError):
        return cause
    sent = type(cause).__name__ not in _NO_CONNECTION
    why = "" if cause is None or not str(cause) else f" ({type(cause).__name__}: {cause})"
    return TransientError(
        as_sentence(hide(f"{address}: {str(error).rstrip('.')}{why}", key)),
        billed=sent,
        sent=sent,
        timed_out=sent and "Timeout" in type(cause).__name__,
        unavailable=_is_refused(cause),
    )


def _is_refused(error):
    """Whether the connection was refused; an unknown host, in contrast, is permanent."""
    while error is not None:
        if isinstance(error, ConnectionRefusedError):
            return True
        error = error.__cause__ or error.__context__
    return False


def without_traceback(error):
    """Return a JudgeError without its traceback, which may contain a key."""
    failure = JudgeError(str(error))
    failure.sent, failure.billed = error.sent, error.billed
    return failure


def not_sent(message):
    """Return the exception for a request that the client did not send."""
    failure = JudgeError(message)
    failure.sent = False
    return failure


def no_key(variable, hint=""):
    """Return the exception for a missing key; `hint` is appended to the message."""
    return not_sent(
        f"No API key found: set the environment variable {variable}, or name another one as "
        f"api_key_env.{hint}"
    )


def hide(message, key):
    """Mask a key in a message."""
    return message.replace(key, "***") if key else message


def as_sentence(message):
    """End a message with a period, as more text follows."""
    message = message.strip()
    return message if message.endswith((".", "!", "?", "。")) else f"{message}."


def retry_after(headers):
    """Return the waiting time in the headers, in seconds, or None."""
    for name, unit in (("retry-after-ms", 1e-3), ("retry-after", 1.0)):
        try:
            seconds = float(headers.get(name, "")) * unit
        except ValueError:
            continue
        if 0 < seconds < 3600:
            return seconds
    with suppress(TypeError, ValueError):  # a date
        due = parsedate_to_datetime(headers.get("retry-after"))
        seconds = (due - datetime.now(timezone.utc)).total_seconds()
        if 0 < seconds < 3600:
            return seconds
    return None


def server_message(body):
    """Return the message in the body of an error, which may have any format."""
    try:
        error = json.loads(body)["error"]
        return str(error["message"] if isinstance(error, dict) else error)[:_LONGEST_MESSAGE]
    except (ValueError, KeyError, TypeError, RecursionError):
        return str(body)[:300]


def _details(body):
    """Return the message of an error, with the token counts in its body, if any."""
    message = server_message(body)
    try:
        error = json.loads(body)["error"]
        counts = [f"{name}={error[name]}" for name in ("n_prompt_tokens", "n_ctx") if name in error]
    except (ValueError, KeyError, TypeError, RecursionError):
        counts = []
    return as_sentence(f"{message} ({', '.join(counts)})" if counts else message)


def read_body(content, read, address, key):
    """Return the Reply that `read` creates from the JSON body of a response with status 200.

    Gateways also return status 200 with an error, an HTML page or an empty body. Such responses
    are retried and never stored; their cost is unknown.

    Raises
    ------
    TransientError
    """
    try:
        data = json.loads(content)
    except (ValueError, RecursionError):
        body = hide(content.decode("utf-8", "replace"), key)
        raise NoCompletion(address, body, "Check base_url.") from None
    try:
        reply = read(data)
    except (ValueError, TypeError, AttributeError, LookupError):
        reply = None
    if reply is None:
        failure = NoCompletion(address, hide(content.decode("utf-8", "replace"), key))
        with suppress(TypeError, KeyError):
            failure.limited = str(data["error"]["code"]) in ("429", "503")
        raise failure
    return reply


def text_of(content):
    """Return the text of a message's content, which is a string or a list of parts.

    Raises
    ------
    TypeError
        If it is neither.
    """
    if content is None or isinstance(content, str):
        return content or ""
    if not isinstance(content, list):
        raise TypeError(f"content must be text or a list of parts; got {type(content).__name__}")
    parts = [p if isinstance(p, dict) else {"type": "text", "text": str(p)} for p in content]
    return "".join(str(p.get("text") or "") for p in parts if p.get("type") == "text")


def bound_body(response):
    """Limit the decompressed size of a response: an event hook for httpx clients."""
    # httpx is distributed under several names.
    httpx = import_module(type(response).__module__.partition(".")[0])
    longest = _LONGEST_RESULTS if response.url.path.endswith("/results") else _LONGEST_BODY
    encoding = response.headers.pop("content-encoding", "identity").strip().lower()
    if encoding in ("", "none", "utf-8"):  # sent by some servers for uncompressed bodies
        encoding = "identity"
    if encoding not in ("identity", "gzip", "x-gzip"):
        raise _too_long(f"The service compressed its answer with {encoding!r} instead of gzip.")

    class Bounded(httpx.SyncByteStream):
        def __init__(self, stream):
            self.stream = stream

        def __iter__(self):
            n_bytes = 0
            for part in _unpacked(self.stream, encoding):
                n_bytes += len(part)
                if n_bytes > longest:
                    raise _too_long(
                        f"The service's answer is longer than {longest >> 20} MiB: check base_url."
                    )
                yield part

        def close(self):
            self.stream.close()

    response.stream = Bounded(response.stream)


def _too_long(message):
    failure = JudgeError(message)
    failure.billed = True  # possibly
    return failure


def _unpacked(stream, encoding):
    """Yield the decompressed bytes of a stream, in parts of at most 1 MiB if compressed."""
    if encoding == "identity":
        yield from stream
        return
    unpack = zlib.decompressobj(31)
    for packed in stream:
        while packed:
            try:
                part = unpack.decompress(packed, 1 << 20)
            except zlib.error:
                message = "The service declared its answer as gzip, but it cannot be decompressed."
                raise TransientError(message, billed=True) from None
            yield part
            packed = unpack.unconsumed_tail
