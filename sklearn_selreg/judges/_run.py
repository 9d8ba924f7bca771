"""Asking a paid service about many slates: concurrency, retries, budget, Ctrl-C."""

import collections
import logging
import threading
import time
from concurrent.futures import ThreadPoolExecutor, wait

import numpy as np
import tenacity

from .._utils._progress import tqdm
from .._utils._warn import warn
from ..exceptions import BudgetWarning, JudgeError, JudgmentWarning
from ._cache import ANSWERED, GRANTED, OVER
from ._service import NANO, TransientError, read_reply

_log = logging.getLogger("sklearn_selreg")  # no text of an item, and never a key
_POLL = 0.05  # seconds between looks at the budget
_TICK = 0.2  # seconds between looks for Ctrl-C
_POLL_OTHERS = 0.2  # seconds between looks for answers that other processes are getting
_GIVE_UP = 3  # questions in a row that fail for good, after which the service counts as down
_LONGEST_WAIT = 60.0  # seconds between two attempts, if the service does not ask for more


class _Stopped(Exception):
    """The work was stopped: by the user, the budget or an error."""


class _Unaffordable(Exception):
    """The budget does not allow another attempt now; what is under way may give some back."""


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
            self.progress.set_postfix(cost=f"${self.cache.totals().get('cost', 0) / NANO:.4f}")

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
                f"${totals.get('cost', 0) / NANO:.4f} (max_requests={self.judge.max_requests}, "
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


_backoff = tenacity.wait_random_exponential(multiplier=0.5, max=_LONGEST_WAIT)


def _wait_as_told(retry_state):
    """Wait as long as the service asks for, else ever longer, at random."""
    told = getattr(retry_state.outcome.exception(), "retry_after", None)
    return told if told is not None else _backoff(retry_state)


def _log_retry(retry_state):
    wait, error = retry_state.next_action.sleep, retry_state.outcome.exception()
    _log.info("Attempt %d failed: %s Next in %.1f s.", retry_state.attempt_number, error, wait)
