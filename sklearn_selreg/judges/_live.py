"""What judges that ask a paid service have in common: budget, concurrency, retries, progress.

A subclass knows one service: how a question is sent to it, and what its errors mean.
"""

import collections
import json
import logging
import math
import os
import threading
import time
from abc import abstractmethod
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from numbers import Integral, Real

import numpy as np
import tenacity

from .._progress import tqdm
from .._sklearn import InvalidParameterError
from .._warn import warn
from ..exceptions import BudgetWarning, JudgeError, JudgmentWarning
from ._base import CostEstimate, LLMJudge, _sha256
from ._cache import ANSWERED, GRANTED, OVER
from ._prompt import (
    PROMPT_VERSION,
    SYSTEM,
    clean_text,
    parse_ratings,
    ratings_schema,
    slate_texts,
    user_message,
)

_log = logging.getLogger("sklearn_selreg")  # no text of an item, and never a key
_NANO = 1_000_000_000  # costs are counted in billionths of a dollar
_LONGEST_PROMPT = 90_000  # bytes, so fewer tokens than where the price of a prompt rises
_OVERHEAD_TOKENS = 1_000  # more than a service adds to a request, say to explain the schema
_CHARS_PER_TOKEN = 3.0  # of the expected cost, for English; tokens are shorter elsewhere
_TOKENS_PER_RATING = 8
_TRANSIENT = {408, 409, 429, *range(500, 600)}
# Exceptions of httpx for connections that were never made, so that nothing was sent.
_NO_CONNECTION = {"ConnectError", "ConnectTimeout", "PoolTimeout"}
_POLL = 0.05  # seconds between looks at the budget
_TICK = 0.2  # seconds between looks for Ctrl-C
_POLL_OTHERS = 0.2  # seconds between looks for answers that other processes are getting
_GIVE_UP = 3  # questions in a row that fail for good, after which the service counts as down
_LONGEST_WAIT = 60.0  # seconds between two attempts, if the service does not ask for more


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


class _Stopped(Exception):
    """The work was stopped: by the user, the budget or an error."""


class _Unaffordable(Exception):
    """The budget does not allow another attempt now; what is under way may give some back."""


class LiveJudge(LLMJudge):
    """Base class of the judges that ask a service; see `AnthropicJudge` for the parameters."""

    _not_identity = (
        *("cache", "max_requests", "max_cost", "price", "concurrency", "batch", "verbose"),
        *("timeout", "max_retries", "base_url", "api_key_env", "n_orders", "max_tokens"),
    )
    reads_texts = True
    _prices: dict = {}  # noqa: RUF012 (of the class, never changed)
    _prices_date = ""

    # -- what a subclass says ------------------------------------------------------------------

    @abstractmethod
    def _make_client(self):
        """Return a client of the service, without retries of its own."""

    @abstractmethod
    def _send(self, client, slate):
        """Send one question.

        Returns
        -------
        reply : Reply

        Raises
        ------
        TransientError, JudgeError
        """

    # -- questions -----------------------------------------------------------------------------

    def _identity(self):
        return {**super()._identity(), "prompt": PROMPT_VERSION, "system": _sha256(SYSTEM)}

    def _content(self, slate):
        history, candidates = slate_texts(slate)
        return [
            [clean_text(t, self.max_item_chars) for t in part] for part in (history, candidates)
        ]

    def _orders(self, slate):
        """Return up to `n_orders` orders, fixed by the set of candidates and the history.

        Each second order is the reverse of the one before: an item shown early is then shown late.
        """
        history, candidates = self._content(slate)
        by_text = np.array(sorted(range(len(candidates)), key=lambda i: (candidates[i], i)))
        seed = int(_sha256([history, sorted(candidates)]), 16)
        random = np.random.default_rng(seed)
        orders, seen = [], set()
        n_orders = min(self.n_orders, math.factorial(min(len(candidates), 10)))
        while len(orders) < n_orders:
            shuffled = by_text[random.permutation(len(by_text))]
            for order in (shuffled, shuffled[::-1]):
                if len(orders) < n_orders and tuple(order) not in seen:
                    seen.add(tuple(order))
                    orders.append(order)
        return orders

    def _rate(self, slates):
        raise NotImplementedError("_ask answers the questions of a live judge.")

    def _check_ready(self):
        super()._check_ready()
        # With some answers in the cache, a key may not be needed.
        if not self._cache().has_answers(self._identity_hash()):
            self._client()

    def _check_parameters(self):
        if self.max_requests is None and self.max_cost is None:
            raise ValueError(
                f"max_requests or max_cost (in USD) must be set, or both, as {type(self).__name__} "
                "asks a service that may cost money; got None for both. They count over all that "
                "was ever asked with the same cache file."
            )
        for name, kind, least in (
            ("max_requests", Integral, 0),
            ("max_cost", Real, 0),
            ("concurrency", Integral, 1),
            ("n_orders", Integral, 1),
            ("max_item_chars", Integral, 1),
            ("max_retries", Integral, 0),
            ("max_tokens", Integral, 1),
            ("timeout", Real, 0),
            ("batch_poll", Real, 0),
        ):
            value = getattr(self, name, least)  # batches are not for all
            optional = name in ("max_requests", "max_cost", "max_tokens")
            if value is None and optional:
                continue
            if isinstance(value, bool) or not isinstance(value, kind) or not value >= least:
                what = "an integer" if kind is Integral else "a number"
                raise InvalidParameterError(
                    f"{name} must be {what} >= {least}{' or None' if optional else ''}; "
                    f"got {value!r}."
                )
        if not isinstance(self.model, str) or not self.model:
            raise InvalidParameterError(f"model must be the name of a model; got {self.model!r}.")
        if self.options is not None and not isinstance(self.options, dict):
            raise InvalidParameterError(f"options must be a dict or None; got {self.options!r}.")
        if self.max_cost is not None:
            self._price()

    # -- cost ----------------------------------------------------------------------------------

    def _price(self):
        """Return the price in USD per million tokens of input and output."""
        price = self._prices.get(self.model) if self.price is None else self.price
        if price is None:
            raise ValueError(
                "price must be (input, output) in USD per million tokens, (0, 0) for a server of "
                f"your own, as that of the model {self.model!r} is not known; got None. Known are "
                f"prices of {self._prices_date} of {sorted(self._prices)}."
            )
        try:
            n_input, n_output = (float(part) for part in price)
        except (TypeError, ValueError):
            n_input = n_output = math.nan
        if not (0 <= n_input < math.inf and 0 <= n_output < math.inf):
            raise InvalidParameterError(
                "price must be (input, output), two numbers >= 0 in USD per million tokens; got "
                f"{price!r}."
            )
        return n_input, n_output

    def _nano_cost(self, input_tokens, output_tokens):
        """Return a cost in billionths of a dollar, rounded up; 0 if the price is not known."""
        if self.max_cost is None and self.price is None and self.model not in self._prices:
            return 0
        n_input, n_output = self._price()
        return math.ceil((input_tokens * n_input + output_tokens * n_output) * self._discount * 1e3)

    @property
    def _discount(self):
        return 1.0

    def _output_limit(self, slate):
        """Return the number of output tokens that a request allows."""
        if self.max_tokens is not None:
            return self.max_tokens
        return 64 + 2 * _TOKENS_PER_RATING * len(slate.candidates)

    def _request_text(self, slate):
        """Return all text of a request, for counting tokens."""
        system, message, schema = self._instructions(slate)
        return system + message + json.dumps(schema)

    def _worst_cost(self, slate):
        n_bytes = len(self._request_text(slate).encode("utf-8", "replace"))
        if n_bytes > _LONGEST_PROMPT:
            raise ValueError(
                f"A question has {n_bytes} bytes, more than {_LONGEST_PROMPT}: show fewer items, "
                f"or make max_item_chars={self.max_item_chars} smaller."
            )
        # A token is at least one byte.
        return self._nano_cost(n_bytes + _OVERHEAD_TOKENS, self._output_limit(slate))

    def _estimate(self, n_slates, n_questions, todo):
        n_input = sum(round(len(self._request_text(q)) / _CHARS_PER_TOKEN) for q in todo)
        n_output = sum(_TOKENS_PER_RATING * len(q.candidates) for q in todo)
        cost = worst = None
        if self.price is not None or self.model in self._prices:
            cost = self._nano_cost(n_input, n_output) / _NANO
            worst = sum(self._worst_cost(q) for q in todo) / _NANO
        n_cached = n_questions - len(todo)
        return CostEstimate(
            n_slates, n_questions, n_cached, len(todo), n_input, n_output, cost, worst
        )

    def _limits(self):
        cost = None if self.max_cost is None else math.floor(self.max_cost * _NANO)
        return {"max_requests": self.max_requests, "max_cost": cost}

    def _budget_left(self):
        totals, left = self._cache().totals(), {}
        if self.max_requests is not None:
            left["max_requests"] = max(0, self.max_requests - totals.get("requests", 0))
        if self.max_cost is not None:
            left["max_cost"] = max(0.0, self.max_cost - totals.get("cost", 0) / _NANO)
        return left

    # -- asking --------------------------------------------------------------------------------

    def _ask(self, cache, todo):
        if not cache.read_only:
            self._client()  # without a key nothing is reserved
        work = Work(self, cache, todo)
        if cache.read_only:  # what cannot be written down is not paid for
            cache.trouble = "it is read-only"
            work.spent()
        else:
            _log.info("%s: asking %d questions.", self.model, len(todo))
            with cache.at_work(), work.progress:
                self._work(work)
        totals = cache.totals()
        _log.info(
            "%s: %d of %d questions answered. Spent with this cache: %d requests, $%.4f.",
            self.model,
            len(work.found),
            len(todo),
            totals.get("requests", 0),
            totals.get("cost", 0) / _NANO,
        )
        work.report()
        return work.found

    def _work(self, work):
        work.ask_live()

    def _client(self):
        """Return the client of this process, made when it is first needed."""
        made = getattr(self, "_made_client", None)
        settings = (os.getpid(), self.base_url, self.api_key_env, self.timeout)
        if made is None or made[0] != settings:
            made = settings, self._make_client()
            self._made_client = made
        return made[1]

    def _key_from_environment(self):
        """Return the key in the variable that `api_key_env` names, None if it names none."""
        if self.api_key_env is None:
            return None
        key = os.environ.get(self.api_key_env)
        if not key:
            raise not_sent(
                f"api_key_env names the environment variable {self.api_key_env!r}, which is not "
                "set."
            )
        return key

    def __getstate__(self):
        state = super().__getstate__().copy()
        state.pop("_made_client", None)
        return state

    def _instructions(self, slate):
        return (
            SYSTEM,
            user_message(slate, self.max_item_chars),
            ratings_schema(len(slate.candidates)),
        )


class Work:
    """The questions of one call, while they are asked.

    Parameters
    ----------
    judge : LiveJudge
    cache : JudgmentCache
    todo : dict of str to Slate
    """

    def __init__(self, judge, cache, todo):
        self.judge = judge
        self.cache = cache
        self.todo = todo
        self.identity = judge._identity_hash()
        self.limits = judge._limits()
        self.found = {}
        self.over = False
        self.trouble = None  # why the cache could not be written to, even if it now can
        self.stop = threading.Event()
        self.error = None
        self.n_unanswered = 0  # questions that failed after all attempts
        self.last_failure = ""
        self._failures_in_a_row = 0
        self._under_way = 0
        self._lock = threading.Lock()
        self.throttle = Throttle(judge.concurrency)
        self.progress = tqdm(
            total=len(todo),
            disable=not judge.verbose,
            desc=f"asking {judge.model}",
            unit="question",
        )

    # -- live ----------------------------------------------------------------------------------

    def ask_live(self):
        """Ask all questions, several at a time; wait for those that other processes ask."""
        pending = list(self.todo)
        while pending and not self.stop.is_set():
            taken = self._ask_once(pending)
            answered = self.cache.get(taken)
            for key, ratings in answered.items():
                self._arrived(key, ratings)
            pending = [key for key in taken if key not in answered]
            if pending:
                self.stop.wait(_POLL_OTHERS)
        if self.error is not None:
            raise self.error

    def _ask_once(self, keys):
        """Ask those questions that nobody else is asking; return the other ones."""
        queue = collections.deque(keys)
        taken = []
        n_threads = min(self.judge.concurrency, len(queue))
        client = self.judge._client()
        with ThreadPoolExecutor(n_threads, thread_name_prefix="judge") as pool:
            futures = [pool.submit(self._drain, client, queue, taken) for _ in range(n_threads)]
            try:
                while wait(futures, timeout=_TICK).not_done:
                    pass  # an endless wait would not hear Ctrl-C on every system
            except BaseException:  # Ctrl-C: what is under way is paid, and stored before we go
                self.stop.set()
                raise
        for future in futures:
            future.result()
        return taken

    def _drain(self, client, queue, taken):
        while not self.stop.is_set():
            try:
                key = queue.popleft()
            except IndexError:
                return
            try:
                self._ask_one(client, key, taken)
            except _Unaffordable:
                continue
            except _Stopped:
                return
            except BaseException as error:
                self.fail(error)
                return

    def _ask_one(self, client, key, taken):
        slate = self.todo[key]
        worst = self.judge._worst_cost(slate)
        state = self._begin(key, worst)
        if state == ANSWERED:
            self._arrived(key, self.cache.get([key])[key])
        elif state != GRANTED:
            taken.append(key)
        else:
            try:
                self._settle(client, key, slate, worst)
            finally:
                with self._lock:
                    self._under_way -= 1

    def _begin(self, key, worst):
        """Claim a question; wait while what is under way might free some of the budget."""
        while True:
            with self._lock:
                state = self.cache.begin([key], worst, **self.limits)[0]
                self._under_way += state == GRANTED
                if state != OVER:
                    return state
                if self._under_way == 0 or self.cache.trouble:
                    self.spent()
                    raise _Stopped
            if self.stop.wait(_POLL):
                raise _Stopped

    def spent(self, trouble=None):
        """Stop for good: the budget, or trouble with the cache, allows no other request."""
        self.trouble = self.trouble or trouble or self.cache.trouble
        self.over = True
        self.stop.set()

    def _settle(self, client, key, slate, worst):
        """Get an answer to a claimed question; a bad one is asked for once more."""
        best, problem = None, None
        for again in (False, True):
            if again and not self.cache.reserve(worst, **self.limits):
                break  # what there is will do
            reply = self._attempts(client, key, slate, worst)
            if reply is None:
                if best is None:
                    self.cache.release([key])
                    return
                break
            ratings, problem = read_reply(reply, len(slate.candidates))
            counts = self.spending(reply, worst)
            if best is None or np.isnan(ratings).sum() < np.isnan(best).sum():
                best = ratings
            if problem is None:
                break
            counts[problem] = 1
            if not again:
                self.cache.count(counts)
                counts = {}
        else:
            problem = problem if np.isnan(best).any() else None
        if self.store(key, best, problem=problem, counts=counts):
            self._failures_in_a_row = 0

    def spending(self, reply, worst):
        """Return what a reply adds to the totals, where its worst case was reserved.

        What is not known stays charged at the worst case.
        """
        tokens = {"input_tokens": reply.input_tokens, "output_tokens": reply.output_tokens}
        known = None not in tokens.values()
        cost = self.judge._nano_cost(*tokens.values()) if known else worst
        return {"cost": cost - worst, **{name: count or 0 for name, count in tokens.items()}}

    def store(self, key, ratings, *, problem, counts):
        """Keep an answer; if that fails it is not lost, but no other question is asked."""
        stored = self.cache.store(self.identity, key, ratings, problem=problem, counts=counts)
        self._arrived(key, np.asarray(ratings, dtype=np.float64))
        if not stored:
            self.spent(self.cache.trouble or "an answer was not stored")
        return stored

    def _arrived(self, key, ratings):
        self.found[key] = ratings
        n_rated = np.sum(~np.isnan(ratings))
        _log.debug("Question %.12s: %d of %d items rated.", key, n_rated, len(ratings))
        self.progress.update()
        if self.judge.verbose:
            self.progress.set_postfix(cost=f"${self.cache.totals().get('cost', 0) / _NANO:.4f}")

    def _attempts(self, client, key, slate, worst):
        """Send a question until it is answered; None if the service fails for good."""
        try:
            return self.attempts(
                lambda: self._send(client, slate, worst),
                before=lambda: self._reserve_retry(worst),
            )
        except TransientError as error:
            if not self.stop.is_set():
                self._failed(str(error))
            return None

    def attempts(self, f, before=lambda: None):
        """Call a function again while it raises TransientError; `before` each further attempt."""
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(TransientError),
            wait=_wait_as_told,
            stop=tenacity.stop_after_attempt(self.judge.max_retries + 1)
            | tenacity.stop_when_event_set(self.stop),
            sleep=tenacity.sleep_using_event(self.stop),
            before=lambda state: state.attempt_number > 1 and before(),
            before_sleep=_log_retry,
            reraise=True,
        )
        return retrying(f)

    def _failed(self, message):
        with self._lock:
            self.n_unanswered += 1
            self.last_failure = message
            self._failures_in_a_row += 1
            if self._failures_in_a_row >= _GIVE_UP:
                self.error = JudgeError(
                    f"{self.judge.model} does not answer: {_GIVE_UP} questions failed "
                    f"{self.judge.max_retries + 1} times each, the last with: {message} "
                    "Answers so far are in the cache; try again later."
                )
                self.stop.set()

    def _reserve_retry(self, worst):
        if self.stop.is_set():
            raise _Stopped
        if not self.cache.reserve(worst, **self.limits):
            self.over = True
            raise _Unaffordable
        self.cache.count({"retries": 1})

    def _send(self, client, slate, worst):
        try:
            self.throttle.enter(self.stop)
        except _Stopped:  # while it waited: it was never sent
            self.cache.count({"cost": -worst, "requests": -1})
            raise
        failure = None
        try:
            reply = self.judge._send(client, slate)
        except (TransientError, JudgeError) as error:
            failure = error
        finally:
            self.throttle.leave()
        if failure is None:
            self.throttle.went_well(reply.pause)
            return reply
        if not failure.sent:
            self.cache.count({"cost": -worst, "requests": -1})
        elif not failure.billed:
            self.cache.count({"cost": -worst})
        if isinstance(failure, JudgeError):
            raise failure
        if failure.limited:
            self.throttle.slow_down(failure.retry_after)
        raise failure

    def fail(self, error):
        """Stop everything, and raise the error at the end."""
        with self._lock:
            if self.error is None:
                self.error = error
        self.stop.set()

    def report(self):
        """Say in one warning what was not asked."""
        missing = len(self.todo) - len(self.found)
        name, category = type(self.judge).__name__, JudgmentWarning
        trouble = self.trouble or self.cache.trouble
        if trouble and (self.over or missing):
            where = self.cache.path or "in memory"
            message = (
                f"The cache {where} cannot be written to ({trouble}), so {name} asks "
                f"nothing more; {missing} of {len(self.todo)} questions are without answer. Make "
                "room or name another file as cache, and ask again."
            )
        elif self.over and missing:
            totals, category = self.cache.totals(), BudgetWarning
            message = (
                f"{name} has reached its budget: {missing} of {len(self.todo)} questions were not "
                f"asked. Spent so far with this cache: {totals.get('requests', 0)} requests, "
                f"${totals.get('cost', 0) / _NANO:.4f} (max_requests={self.judge.max_requests}, "
                f"max_cost={self.judge.max_cost}). Raise it, or ask less with a smaller max_slates."
            )
        elif self.n_unanswered:
            message = (
                f"{self.n_unanswered} of {len(self.todo)} questions got no answer from "
                f"{self.judge.model}, the last because of: {self.last_failure} They will be asked "
                "again next time."
            )
        else:
            return
        warn(message, category)


class Throttle:
    """How many requests are sent at a time.

    Starts at the limit; halves when the service asks for less, and grows again by one for each
    round that goes well.
    """

    def __init__(self, limit):
        self._limit = limit
        self._allowed = float(limit)
        self._in_flight = 0
        self._not_before = 0.0
        self._condition = threading.Condition()

    def enter(self, stop):
        """Wait until a request may be sent."""
        with self._condition:
            while True:
                if stop.is_set():
                    raise _Stopped
                pause = self._not_before - time.monotonic()
                if pause <= 0 and self._in_flight < max(1, int(self._allowed)):
                    self._in_flight += 1
                    return
                self._condition.wait(min(pause, 0.5) if pause > 0 else 0.5)

    def leave(self):
        """Count a request that was answered, or has failed."""
        with self._condition:
            self._in_flight -= 1
            self._condition.notify()

    def went_well(self, pause):
        """Allow a little more; heed the pause that the service asks for."""
        with self._condition:
            self._allowed = min(self._limit, self._allowed + 1 / max(1.0, self._allowed))
            self._not_before = max(self._not_before, time.monotonic() + pause)

    def slow_down(self, retry_after):
        """Allow half as many; heed the pause that the service asks for."""
        with self._condition:
            self._allowed = max(1.0, self._allowed / 2)
            if retry_after:
                self._not_before = max(self._not_before, time.monotonic() + retry_after)


def read_reply(reply, n_candidates):
    """Return the ratings of a reply, and what is wrong with it (None if nothing)."""
    if reply.problem == "refusal":
        return np.full(n_candidates, np.nan), "refusal"
    ratings, problem = parse_ratings(reply.text, n_candidates)
    if problem is not None and reply.problem is not None:
        problem = reply.problem
    return ratings, problem


_backoff = tenacity.wait_random_exponential(multiplier=0.5, max=_LONGEST_WAIT)


def _wait_as_told(retry_state):
    """Wait as long as the service asks for, else ever longer, at random."""
    told = getattr(retry_state.outcome.exception(), "retry_after", None)
    return told if told is not None else _backoff(retry_state)


def _log_retry(retry_state):
    wait, error = retry_state.next_action.sleep, retry_state.outcome.exception()
    _log.info("Attempt %d failed: %s Next in %.1f s.", retry_state.attempt_number, error, wait)


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
