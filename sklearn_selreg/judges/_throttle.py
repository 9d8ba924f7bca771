"""Concurrency limits and waiting times between attempts."""

import random
import threading
import time

_LONGEST_WAIT = 60.0  # seconds between attempts, unless the service asks for more
_LONGEST_PAUSE = 5.0  # seconds between attempts while the service is unavailable


class Stopped(Exception):
    """Work was stopped by the user, the budget or an error."""


class Throttle:
    """Adaptive limit on the number of concurrent requests.

    Starts at the limit, halves when the service asks for less, and grows by one per successful
    round.
    """

    def __init__(self, limit):
        self._limit = limit
        self._allowed = float(limit)
        self._in_flight = 0
        self._not_before = 0.0
        self._condition = threading.Condition()

    @property
    def pause_left(self):
        """Seconds until the service accepts requests again."""
        return max(0.0, self._not_before - time.monotonic())

    def enter(self, stop):
        """Wait until a request may be sent."""
        with self._condition:
            while True:
                if stop.is_set():
                    raise Stopped
                pause = self._not_before - time.monotonic()
                if pause <= 0 and self._in_flight < max(1, int(self._allowed)):
                    self._in_flight += 1
                    return
                self._condition.wait(min(pause, 0.5) if pause > 0 else 0.5)

    def leave(self):
        """Note the end of a request."""
        with self._condition:
            self._in_flight -= 1
            self._condition.notify()

    def went_well(self, pause):
        """Raise the limit slightly, and pause as the service asks."""
        with self._condition:
            self._allowed = min(self._limit, self._allowed + 1 / max(1.0, self._allowed))
            self._not_before = max(self._not_before, time.monotonic() + pause)

    def slow_down(self, retry_after):
        """Halve the limit, and pause as the service asks."""
        with self._condition:
            self._allowed = max(1.0, self._allowed / 2)
            if retry_after:
                self._not_before = max(self._not_before, time.monotonic() + retry_after)

    def one_at_a_time(self, pause):
        """Allow one request at a time, the next after a pause (in seconds)."""
        with self._condition:
            self._allowed = 1.0
            self._not_before = max(self._not_before, time.monotonic() + pause)


class Outage:
    """Start and time limit of an outage, e.g. while a server restarts.

    Parameters
    ----------
    longest : float
        Seconds after which the service counts as down.
    """

    def __init__(self, longest):
        self.longest = longest
        self.failure = None  # last failure
        self.told = False  # whether a warning was issued
        self._since = None
        self._n_failures = 0
        self._lock = threading.Lock()

    def goes_on(self, failure):
        """Record a failure, and return whether to keep waiting."""
        with self._lock:
            now = time.monotonic()
            self._since = now if self._since is None else self._since
            self._n_failures += 1
            self.failure = failure
        return self._is_short()

    def end(self):
        """Record that the service has answered."""
        with self._lock:
            self._since, self._n_failures, self.told = None, 0, False

    def lasts(self, seconds):
        """Whether the outage has lasted for `seconds` and is still being waited for."""
        since = self._since
        waited = since is not None and time.monotonic() - since >= seconds
        return waited and self._is_short()

    @property
    def pause(self):
        """Seconds until the next attempt."""
        if not self._is_short():
            return 0.0
        return min(_LONGEST_PAUSE, 0.25 * 2 ** min(self._n_failures, 10))

    def _is_short(self):
        since = self._since
        return self.longest > 0 if since is None else time.monotonic() - since < self.longest


def seconds_to_wait(n_failures, retry_after):
    """Return the seconds until the next attempt: `retry_after`, or randomized backoff."""
    if retry_after is not None:
        return retry_after
    return random.uniform(0, min(_LONGEST_WAIT, 0.5 * 2 ** min(n_failures, 10)))
