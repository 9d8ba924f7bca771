"""Asking a paid service about many slates: concurrency, retries, budget, Ctrl-C."""

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

_log = logging.getLogger("sklearn_selreg")  # no text of an item, and never a key
_POLL = 0.05  # seconds between looks at the budget
_TICK = 0.2  # seconds between looks for Ctrl-C
_POLL_OTHERS = 0.2  # seconds between looks for answers that other processes are getting
_GIVE_UP = 3  # prompts in a row that fail for good, after which the service counts as down
_TELL_AFTER = 5.0  # seconds of waiting for a service that is not there, after which it is told
_LONGEST_TIMEOUT = 10  # times that of the judge


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
    look : callable
        Called now and then with the answers so far, by the thread that called us.
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
        self.over = False  # whether the budget, or the cache, allows nothing more
        self.trouble = None  # why the cache could not be written to, even if it now can
        self.stop = threading.Event()
        self.error = None
        self.n_unanswered = 0  # prompts that failed after all attempts
        self.last_failure = ""
        self.given_up = set()  # prompts of batches that failed too often
        self.problems = collections.Counter()  # of answers that are kept though ratings are missing
        self.too_long = []  # what the service said of prompts that are too long
        self.no_completions = []  # successes that were no answers of a model
        self.models = collections.Counter()  # of answers, by the name that the service says
        self.timeout = judge.timeout  # lengthened while answers take longer
        self.address = judge._address(client)
        self._failures_in_a_row = 0
        self._reserved = 0  # requests whose true cost is not known yet
        self._lock = threading.Lock()
        self._throttle = Throttle(judge.concurrency)
        self._outage = Outage(judge.max_wait)
        self.progress = Progress(
            f"asking {judge.model}", len(todo), unit="prompt", verbose=judge.verbose
        )

    # -- many prompts --------------------------------------------------------------------------

    def ask_live(self):
        """Ask all prompts, several at a time; wait for those that other processes ask."""
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
        """Ask those prompts that nobody else is asking; return the other ones."""
        queue = collections.deque(keys)
        taken = []
        n_threads = min(self.judge.concurrency, len(queue))
        with ThreadPoolExecutor(n_threads, thread_name_prefix="judge") as pool:
            futures = [pool.submit(self._drain, queue, taken) for _ in range(n_threads)]
            try:
                while wait(futures, timeout=_TICK).not_done:  # an endless one may not hear Ctrl-C
                    self._tell_waiting()
                    self.look(self.found)
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
        """Get an answer to a claimed prompt; a bad one is kept, and asked for once more."""
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
                if not has_one:  # there is no room to ask once more
                    self.store(key, answer)
                    return
        self._leave(key, has_one)

    def _leave(self, key, has_one):
        """Give up a prompt that gets no further answer; a bad one that there is stays in use."""
        self.cache.release([key])
        if has_one:
            self.arrived(key, self.cache.get([key])[key], "not asked again")

    def kept(self, slate, ratings, problem, model=None):
        """Return an answer as it is kept."""
        problem = problem if np.isnan(ratings).any() else None
        limit = self.judge._output_limit(slate)
        return Answer(ratings, problem, limit, model, self.address)

    def _answer(self, slate, worst):
        """Send a prompt until it is answered, shortened if it is too long.

        None if the service fails for good; raises TooLong if it cannot be shortened enough.
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
        """Call a function again while it raises TransientError.

        Attempts are counted, but for a service that is not there: it is waited for by time.
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
            if failure.refused_form:  # asked for in another form, it is no further attempt
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
        """Say once that a service is waited for, and what for."""
        if self._outage.lasts(min(_TELL_AFTER, self.judge.max_wait / 2)) and not self._outage.told:
            self._outage.told = True
            self.progress.note(f"waiting for {self.address}")
            warn(
                f"Waiting for {self.judge.model}, up to {self.judge.max_wait:g} s (max_wait): "
                f"{self._outage.failure}",
                JudgmentWarning,
            )

    def _request(self, slate, worst):
        """Send one request, which is counted before; its reservation stands if it is answered."""
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
        """Ask less at a time, and give more time, as a failure tells."""
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

    def store(self, key, answer, counts=()):
        """Keep an answer; if that fails it is not lost, but no other prompt is asked."""
        stored = self.cache.store(self.identity, key, answer, counts=counts)
        # What there was may be better, and stay.
        ratings = self.cache.get([key]).get(key, answer.ratings)
        self.arrived(key, np.asarray(ratings, dtype=np.float64), answer.problem)
        if not stored:
            self.spent(self.cache.trouble)
        return stored

    def arrived(self, key, ratings, problem=None):
        """Take note of an answer."""
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
                    f"{self.judge.model} does not answer: {_GIVE_UP} prompts failed "
                    f"{self.judge.max_retries + 1} times each, the last with: {message} "
                    "Answers so far are in the cache; try again later."
                )
                self.stop.set()
