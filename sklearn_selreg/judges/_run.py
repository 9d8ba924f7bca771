"""Asking a paid service about many slates: concurrency, retries, budget, Ctrl-C."""

import collections
import logging
import threading
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager

import numpy as np

from .._utils._progress import Progress
from .._utils._warn import warn
from ..exceptions import BudgetWarning, JudgeError, JudgmentWarning
from ._cache import ANSWERED, GRANTED, NANO, Unwritable
from ._service import TransientError, read_reply
from ._throttle import Stopped, Throttle, seconds_to_wait

_log = logging.getLogger("sklearn_selreg")  # no text of an item, and never a key
_POLL = 0.05  # seconds between looks at the budget
_TICK = 0.2  # seconds between looks for Ctrl-C
_POLL_OTHERS = 0.2  # seconds between looks for answers that other processes are getting
_GIVE_UP = 3  # prompts in a row that fail for good, after which the service counts as down


class AskingRun:
    """The prompts of one call, while they are asked.

    Parameters
    ----------
    judge : LiveJudge
    cache : JudgmentCache
    todo : dict of str to Slate
        Prompts by their keys.
    client : object or None, default=None
        Of the service.
    """

    def __init__(self, judge, cache, todo, client=None):
        self.judge = judge
        self.cache = cache
        self.todo = todo
        self.client = client
        self.identity = judge._identity_hash()
        self.limits = judge._limits()
        self.found = {}
        self.over = False  # whether the budget, or the cache, allows nothing more
        self.trouble = None  # why the cache could not be written to, even if it now can
        self.stop = threading.Event()
        self.error = None
        self.n_unanswered = 0  # prompts that failed after all attempts
        self.last_failure = ""
        self._failures_in_a_row = 0
        self._reserved = 0  # requests whose true cost is not known yet
        self._lock = threading.Lock()
        self._throttle = Throttle(judge.concurrency)
        self.progress = Progress(
            f"asking {judge.model}", len(todo), unit="prompt", verbose=judge.verbose
        )

    # -- many prompts --------------------------------------------------------------------------

    def ask_live(self):
        """Ask all prompts, several at a time; wait for those that other processes ask."""
        pending = list(self.todo)
        while pending and not self.stop.is_set():
            taken = self._ask_once(pending)
            answered = self.cache.get(taken)
            for key, ratings in answered.items():
                self.arrived(key, ratings)
            pending = [key for key in taken if key not in answered]
            if pending:
                self.stop.wait(_POLL_OTHERS)
        if self.error is not None:
            raise self.error

    def _ask_once(self, keys):
        """Ask those prompts that nobody else is asking; return the other ones."""
        queue = collections.deque(keys)
        taken = []
        n_threads = min(self.judge.concurrency, len(queue))
        with ThreadPoolExecutor(n_threads, thread_name_prefix="judge") as pool:
            futures = [pool.submit(self._drain, queue, taken) for _ in range(n_threads)]
            try:
                while wait(futures, timeout=_TICK).not_done:
                    pass  # an endless wait would not hear Ctrl-C on every system
            except BaseException:  # Ctrl-C: what is under way is paid, and stored before we go
                self.stop.set()
                raise
        for future in futures:
            future.result()
        return taken

    def _drain(self, queue, taken):
        while not self.stop.is_set():
            try:
                key = queue.popleft()
            except IndexError:
                return
            try:
                self._ask_one(key, taken)
            except Stopped:
                return
            except Unwritable as error:
                self.spent(str(error))
                return
            except BaseException as error:
                self.fail(error)
                return

    def _ask_one(self, key, taken):
        worst = self.judge._worst_cost(self.todo[key])
        (state,) = self.cache.claim([key])
        if state == ANSWERED:
            self.arrived(key, self.cache.get([key])[key])
        elif state == GRANTED:
            self._settle(key, worst)
        else:
            taken.append(key)

    def spent(self, trouble=None):
        """Stop for good: the budget, or trouble with the cache, allows no other request."""
        self.trouble = self.trouble or trouble
        self.over = True
        self.stop.set()

    def fail(self, error):
        """Stop everything, and raise the error at the end."""
        self.error = self.error or error
        self.stop.set()

    # -- one prompt ----------------------------------------------------------------------------

    def _settle(self, key, worst):
        """Get an answer to a claimed prompt; a bad one is asked for once more."""
        slate, best, problem = self.todo[key], None, None
        for again in (False, True):
            try:
                reply = self._answer(slate, worst)
            except BaseException:
                if best is None:
                    self.cache.release([key])
                else:  # what there is was paid for
                    self.store(key, best, problem=problem, counts={})
                raise
            if reply is None:
                break
            ratings, problem = read_reply(reply, len(slate.candidates))
            if best is None or np.isnan(ratings).sum() < np.isnan(best).sum():
                best = ratings
            counts = self.spending(reply, worst)
            if problem is not None:
                counts[problem] = 1
            with self._settled():
                if problem is None or again:
                    problem = problem if np.isnan(best).any() else None
                    self.store(key, best, problem=problem, counts=counts)
                    return
                self.cache.count(counts)
        if best is None:
            self.cache.release([key])
        else:
            self.store(key, best, problem=problem, counts={})

    def _answer(self, slate, worst):
        """Send a prompt until it is answered; None if the service fails for good."""
        try:
            return self.attempts(
                lambda: self._request(slate, worst), lambda: self.cache.count({"retries": 1})
            )
        except TransientError as error:
            if not self.stop.is_set():
                self._failed(str(error))
            return None

    def attempts(self, f, before_retry=lambda: None):
        """Call a function again while it raises TransientError."""
        n_failures = 0
        while True:
            try:
                return f()
            except TransientError as error:
                failure = error
            if failure.refused_form:  # asked for in another form, it is no further attempt
                continue
            n_failures += 1
            if n_failures > self.judge.max_retries or self.stop.is_set():
                raise failure
            seconds = seconds_to_wait(n_failures, failure.retry_after)
            _log.info("Attempt %d failed: %s Next in %.1f s.", n_failures, failure, seconds)
            if self.stop.wait(seconds):
                raise failure
            before_retry()

    def _request(self, slate, worst):
        """Send one request, which is counted before; its reservation stands if it is answered."""
        self._throttle.enter(self.stop)
        failure = None
        try:
            self._reserve(worst)
            reply = self.judge._send(self.client, slate)
        except (TransientError, JudgeError) as error:
            failure = error
        finally:
            self._throttle.leave()
        if failure is None:
            self._failures_in_a_row = 0
            self._throttle.went_well(reply.pause)
            return reply
        with self._settled():
            if not failure.sent:
                self.cache.count({"cost": -worst, "requests": -1})
            elif not failure.billed:
                self.cache.count({"cost": -worst})
        if isinstance(failure, TransientError) and failure.limited:
            self._throttle.slow_down(failure.retry_after)
        raise failure

    def _reserve(self, worst):
        """Reserve the worst cost; wait while what is under way might give back some of it."""
        while True:
            with self._lock:
                if self.cache.reserve(worst, **self.limits):
                    self._reserved += 1
                    return
                if self._reserved == 0:
                    self.spent()
                    raise Stopped
            if self.stop.wait(_POLL):
                raise Stopped

    @contextmanager
    def _settled(self):
        """Write down the true cost of a request; until then its reservation counts as open."""
        try:
            yield
        finally:
            with self._lock:
                self._reserved -= 1

    def spending(self, reply, worst):
        """Return what a reply adds to the totals, where its worst case was reserved.

        What is not known stays charged at the worst case.
        """
        tokens = {"input_tokens": reply.input_tokens, "output_tokens": reply.output_tokens}
        known = None not in tokens.values()
        cost = self.judge._nano_cost(*tokens.values()) if known else worst
        return {"cost": cost - worst, **{name: count or 0 for name, count in tokens.items()}}

    def store(self, key, ratings, *, problem, counts):
        """Keep an answer; if that fails it is not lost, but no other prompt is asked."""
        stored = self.cache.store(self.identity, key, ratings, problem=problem, counts=counts)
        self.arrived(key, np.asarray(ratings, dtype=np.float64))
        if not stored:
            self.spent(self.cache.trouble)
        return stored

    def arrived(self, key, ratings):
        """Take note of an answer."""
        self.found[key] = ratings
        n_rated = np.sum(~np.isnan(ratings))
        _log.debug("Prompt %.12s: %d of %d items rated.", key, n_rated, len(ratings))
        self.progress.update()
        if self.judge.verbose:
            self.progress.note(cost=f"${self.cache.totals().get('cost', 0) / NANO:.4f}")

    def _failed(self, message):
        with self._lock:
            self.n_unanswered += 1
            self.last_failure = message
            self._failures_in_a_row += 1
            if self._failures_in_a_row >= _GIVE_UP:
                self.error = JudgeError(
                    f"{self.judge.model} does not answer: {_GIVE_UP} prompts failed "
                    f"{self.judge.max_retries + 1} times each, the last with: {message} "
                    "Answers so far are in the cache; try again later."
                )
                self.stop.set()

    # -- the end -------------------------------------------------------------------------------

    def report(self):
        """Say in one warning what was not asked."""
        missing = len(self.todo) - len(self.found)
        name, category = type(self.judge).__name__, JudgmentWarning
        if self.trouble and (self.over or missing):
            where = self.cache.path or "in memory"
            message = (
                f"The cache {where} cannot be written to ({self.trouble}), so {name} asks "
                f"nothing more; {missing} of {len(self.todo)} prompts are without answer. Make "
                "room or name another file as cache, and ask again."
            )
        elif self.over and missing:
            totals, category = self.cache.totals(), BudgetWarning
            message = (
                f"{name} has reached its budget: {missing} of {len(self.todo)} prompts were not "
                f"asked. Spent so far with this cache: {totals.get('requests', 0)} requests, "
                f"${totals.get('cost', 0) / NANO:.4f} (max_requests={self.judge.max_requests}, "
                f"max_cost={self.judge.max_cost}). Raise it, or ask less with a smaller max_slates."
            )
        elif self.n_unanswered:
            message = (
                f"{self.n_unanswered} of {len(self.todo)} prompts got no answer from "
                f"{self.judge.model}, the last because of: {self.last_failure} They will be asked "
                "again next time."
            )
        else:
            return
        warn(message, category)
