"""Sending many prompts to a paid service: concurrency, retries, budget, Ctrl-C."""

import collections
import logging
import threading
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import replace

import numpy as np

from .._utils._progress import Progress
from .._utils._warn import warn
from ..exceptions import JudgeError, JudgmentWarning
from ._answers import Answer
from ._cache import ANSWERED, GRANTED, NANO, Unwritable
from ._service import NoCompletion, TooLong, TransientError, read_reply
from ._shorten import shortened
from ._throttle import Outage, Stopped, Throttle, seconds_to_wait

_log = logging.getLogger("sklearn_selreg")  # never log item texts or keys
_POLL = 0.05  # seconds between checks of the budget
_TICK = 0.2  # seconds between checks for Ctrl-C
_POLL_OTHERS = 0.2  # seconds between checks for answers requested by other processes
_GIVE_UP = 3  # consecutive prompts that fail permanently until the service counts as down
_TELL_AFTER = 5.0  # seconds of waiting for an unavailable service before a warning
_LONGEST_TIMEOUT = 10  # as a multiple of the judge's timeout


class AskingRun:
    """State of one call: the prompts being sent, and their answers.

    Parameters
    ----------
    judge : LiveJudge
    cache : JudgmentCache
    todo : dict of str to Slate
        Prompts by key.
    client : object or None, default=None
        Client of the service.
    look : callable
        Called periodically with the answers so far, in the calling thread.
    """

    def __init__(self, judge, cache, todo, client=None, look=lambda found: None):
        self.judge = judge
        self.cache = cache
        self.todo = todo
        self.client = client
        self.look = look
        self.identity = judge._identity_hash()
        self.limits = judge._limits()
        self.found = {}
        self.over = False  # whether the budget or the cache allows no further requests
        self.trouble = None  # why the cache was not writable, even if it is by now
        self.stop = threading.Event()
        self.error = None
        self.n_unanswered = 0  # prompts that failed after all attempts
        self.last_failure = ""
        self.given_up = set()  # prompts of batches that failed too often
        self.problems = collections.Counter()  # of stored answers that lack ratings
        self.too_long = []  # errors for prompts that are too long
        self.no_completions = []  # responses with status 200 that are not completions
        self.models = collections.Counter()  # of answers, as reported by the service
        self.timeout = judge.timeout  # increased while answers time out
        self.address = judge._address(client)
        self._failures_in_a_row = 0
        self._reserved = 0  # requests whose actual cost is not known yet
        self._lock = threading.Lock()
        self._throttle = Throttle(judge.concurrency)
        self._outage = Outage(judge.max_wait)
        self._told_pause = 0.0  # longest pause that was reported, in seconds
        self.progress = Progress(
            f"asking {judge.model}", len(todo), unit="prompt", verbose=judge.verbose
        )

    # -- many prompts --------------------------------------------------------------------------

    def ask_live(self):
        """Send all prompts concurrently; wait for those claimed by other processes."""
        pending = list(self.todo)
        while pending and not self.stop.is_set():
            taken = self._ask_once(pending)
            answered = self.cache.get(taken, settled=True)
            for key, ratings in answered.items():
                self.arrived(key, ratings)
            pending = [key for key in taken if key not in answered]
            if pending:
                self.stop.wait(_POLL_OTHERS)
        if self.error is not None:
            raise self.error

    def _ask_once(self, keys):
        """Send the unclaimed prompts; return those claimed by others."""
        queue = collections.deque(keys)
        taken = []
        n_threads = min(self.judge.concurrency, len(queue))
        with ThreadPoolExecutor(n_threads, thread_name_prefix="judge") as pool:
            futures = [pool.submit(self._drain, queue, taken) for _ in range(n_threads)]
            try:
                while wait(futures, timeout=_TICK).not_done:  # without timeout, Ctrl-C may not work
                    self._tell_waiting()
                    self.look(self.found)
            except BaseException:  # Ctrl-C: requests in flight are paid, so store their answers
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
        """Stop: the budget, or trouble with the cache, allows no further requests."""
        self.trouble = self.trouble or trouble
        self.over = True
        self.stop.set()

    def fail(self, error):
        """Stop all threads, and raise the error at the end."""
        self.error = self.error or error
        self.stop.set()

    # -- one prompt ----------------------------------------------------------------------------

    def _settle(self, key, worst):
        """Get the answer to a claimed prompt; a bad one is stored and requested once more."""
        slate, has_one = self.todo[key], False
        for again in (False, True):
            try:
                reply = self._answer(slate, worst)
            except TooLong:
                nothing = np.full(len(slate.candidates), np.nan)
                self.store(key, self.kept(slate, nothing, "too long"))
                return
            except BaseException:
                self._leave(key, has_one)
                raise
            if reply is None:
                break
            ratings, problem = read_reply(reply, len(slate.candidates), self.judge._form.parse)
            counts = self.spending(reply, worst)
            if problem is not None:
                counts[problem] = 1
            answer = self.kept(slate, ratings, problem, reply.model)
            with self._settled():
                if problem is None or again:
                    self.store(key, answer, counts)
                    return
                has_one = self.cache.store(
                    self.identity, key, replace(answer, again=True), counts=counts
                )
                if not has_one:  # not writable, so do not pay for another answer
                    self.store(key, answer)
                    return
        self._leave(key, has_one)

    def _leave(self, key, has_one):
        """Give up a prompt without a further answer; an existing bad one stays in use."""
        self.cache.release([key])
        if has_one:
            self.arrived(key, self.cache.get([key])[key], "not asked again")

    def kept(self, slate, ratings, problem, model=None):
        """Return an answer for storage."""
        problem = problem if np.isnan(ratings).any() else None
        limit = self.judge._output_limit(slate)
        return Answer(ratings, problem, limit, model, self.address)

    def _answer(self, slate, worst):
        """Send a prompt until it is answered, shortened if it is too long.

        Return None if the service fails permanently; raise TooLong if it cannot be shortened
        enough.
        """
        try:
            try:
                return self._until_answered(slate, worst)
            except TooLong as error:
                failure = error
            with self._lock:
                self.too_long.append(failure)
            shorter = shortened(slate, self.judge, failure)
            if shorter is None:
                raise failure
            return self._until_answered(shorter, worst)
        except TransientError as error:
            if not self.stop.is_set():
                self._failed(str(error))
            return None

    def _until_answered(self, slate, worst):
        return self.attempts(
            lambda: self._request(slate, worst), lambda: self.cache.count({"retries": 1})
        )

    def attempts(self, f, before_retry=lambda: None):
        """Call a function, and retry while it raises TransientError.

        Retries are limited by number, or by time while the service is unavailable.
        """
        n_failures = 0
        while True:
            try:
                result = f()
            except TransientError as error:
                failure = error
            else:
                self._outage.end()
                return result
            if failure.refused_form:  # sending it in another form does not count as a retry
                continue
            if failure.unavailable and self.judge.max_retries:
                if not self._outage.goes_on(failure):
                    raise failure
                seconds = self._outage.pause
            else:
                n_failures += 1
                if n_failures > self.judge.max_retries or self.stop.is_set():
                    raise failure
                seconds = seconds_to_wait(n_failures, failure.retry_after)
            _log.info("Attempt %d failed: %s Next in %.1f s.", n_failures, failure, seconds)
            if self.stop.wait(seconds):
                raise failure
            before_retry()

    def _tell_waiting(self):
        """Warn while waiting for an unavailable service, or for one that asks for a long pause."""
        pause = self._throttle.pause_left
        if pause > max(_TELL_AFTER, 2 * self._told_pause):
            self._told_pause = pause
            warn(
                f"{self.judge.model} asks for a pause of {pause:.0f} s (Retry-After). Answers so "
                "far are stored: to stop now and resume later, interrupt and run this again.",
                JudgmentWarning,
            )
        if self._outage.lasts(min(_TELL_AFTER, self.judge.max_wait / 2)) and not self._outage.told:
            self._outage.told = True
            self.progress.note(f"waiting for {self.address}")
            warn(
                f"Waiting up to {self.judge.max_wait:g} s (max_wait) for {self.judge.model}: "
                f"{self._outage.failure}",
                JudgmentWarning,
            )

    def _request(self, slate, worst):
        """Send one request after reserving its cost; the reservation remains if it succeeds."""
        self._throttle.enter(self.stop)
        failure, timeout = None, self.timeout
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
            with self._lock:
                self.models[reply.model] += 1
            return reply
        with self._settled():
            if not failure.sent:
                self.cache.count({"cost": -worst, "requests": -1})
            elif not failure.billed:
                self.cache.count({"cost": -worst})
        if isinstance(failure, NoCompletion):
            with self._lock:
                self.no_completions.append(failure)
        if isinstance(failure, TransientError):
            self._ask_less(failure, timeout)
        raise failure

    def _ask_less(self, failure, timeout):
        """Reduce concurrency and increase the timeout, depending on the failure."""
        if failure.unavailable:
            self._throttle.one_at_a_time(self._outage.pause)
        elif failure.limited or failure.timed_out:
            self._throttle.slow_down(failure.retry_after)
        with self._lock:
            if failure.timed_out and timeout == self.timeout:
                self.timeout = min(2 * timeout, _LONGEST_TIMEOUT * self.judge.timeout)
                if hasattr(self.client, "timeout"):
                    self.client.timeout = self.timeout

    def _reserve(self, worst):
        """Reserve the maximum cost; wait while requests in flight may release some budget."""
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
        """Settle a request: its reservation is open until the body has stored the actual cost."""
        try:
            yield
        finally:
            with self._lock:
                self._reserved -= 1

    def spending(self, reply, worst):
        """Return what a reply adds to the totals, relative to the reserved maximum cost.

        If its token counts are unknown, the maximum cost remains charged.
        """
        tokens = {"input_tokens": reply.input_tokens, "output_tokens": reply.output_tokens}
        known = None not in tokens.values()
        cost = self.judge._nano_cost(*tokens.values()) if known else worst
        return {"cost": cost - worst, **{name: count or 0 for name, count in tokens.items()}}

    def store(self, key, answer, counts=()):
        """Store an answer; if that fails, keep it in memory and stop sending prompts."""
        stored = self.cache.store(self.identity, key, answer, counts=counts)
        # The cache keeps the previous ratings if they are better.
        ratings = self.cache.get([key]).get(key, answer.ratings)
        self.arrived(key, np.asarray(ratings, dtype=np.float64), answer.problem)
        if not stored:
            self.spent(self.cache.trouble)
        return stored

    def arrived(self, key, ratings, problem=None):
        """Record an answer, and update the progress bar."""
        self.found[key] = ratings
        if problem is not None:
            with self._lock:
                self.problems[problem] += 1
        n_rated = np.sum(~np.isnan(ratings))
        _log.debug("Prompt %.12s: %d of %d items rated.", key, n_rated, len(ratings))
        self.progress.update()
        if self.judge.verbose:
            spent = self.cache.totals().get("cost", 0) / NANO
            self.progress.note("" if self.judge._is_free() else f"cost=${spent:.4f}")

    def _failed(self, message):
        with self._lock:
            self.n_unanswered += 1
            self.last_failure = message
            self._failures_in_a_row += 1
            if self._failures_in_a_row >= _GIVE_UP:
                self.error = JudgeError(
                    f"{self.judge.model} does not respond: {_GIVE_UP} prompts in a row failed "
                    f"{self.judge.max_retries + 1} times each. Last failure: {message} Answers so "
                    "far are in the cache; try again later."
                )
                self.stop.set()
