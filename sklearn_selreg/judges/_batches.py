"""Anthropic's batches: sent, found again and collected."""

import json
import logging
import time
from datetime import datetime, timezone

import numpy as np

from ..exceptions import JudgeError
from ._cache import ANSWERED, GRANTED, OVER
from ._service import Reply, TransientError, as_sentence, hide, read_reply, read_tokens

_log = logging.getLogger("sklearn_selreg")
BATCH_DISCOUNT = 0.5
_BATCH_REQUESTS = 10_000  # the service allows 100,000, and 256 MB
_BATCH_BYTES = 100_000_000
_CLOCKS = 3600.0  # seconds that the server's clock may differ from ours
_RATE_LIMITS = ("requests", "tokens", "input-tokens", "output-tokens")


class Batches:
    """The batches of one call.

    A batch is written into the cache before it is sent (the intent), with its id after that, and
    taken out when its results are stored. So whatever kills this process, another one finds it.
    """

    def __init__(self, judge, work):
        self.judge = judge
        self.work = work
        self.cache = work.cache
        self.attempts = {}  # of each key
        self.best = {}  # bad answers of keys that are asked once more
        self.active = []  # (intent, id or None, {key: reserved cost}, time)

    def run(self, send):
        """Collect batches that others have left; with `send`, send what remains, and collect."""
        work = self.work
        while not work.stop.is_set():
            waiting = self._pending()
            self.active += self.cache.adopt_batches(work.identity, waiting)
            n_taken = 0
            if send and not self.active and waiting:
                n_taken = self._send(waiting)
            if self.active:
                self._collect(self.active.pop())
            elif n_taken:
                work.stop.wait(min(1.0, self.judge.batch_poll))
            else:
                return

    def _pending(self):
        return [key for key in self.work.todo if key not in self.work.found]

    def _send(self, keys):
        """Send batches of what is free; return how many questions others are asking."""
        work, judge = self.work, self.judge
        # What failed too often, or was answered badly twice, is left alone.
        costs = [judge._worst_cost(work.todo[key]) for key in keys]
        states = dict(zip(keys, self.cache.begin(keys, costs, **work.limits), strict=True))
        answered = [key for key, state in states.items() if state == ANSWERED]
        for key, ratings in self.cache.get(answered).items():
            work._arrived(key, ratings)
        cost_of = dict(zip(keys, costs, strict=True))
        granted = {key: cost_of[key] for key, state in states.items() if state == GRANTED}
        n_taken = sum(state not in (ANSWERED, GRANTED, OVER) for state in states.values())
        if not granted and not n_taken and OVER in states.values():
            work.spent()
        for requests in self._split(granted):
            intent = self.cache.intend_batch(work.identity, requests)
            self.active.append((intent, self._post(intent, requests), requests, time.time()))
        return n_taken

    def _split(self, requests):
        """Split requests at the size limits of a batch."""
        part, n_bytes = {}, 0
        for key, cost in requests.items():
            size = len(self.judge._request_text(self.work.todo[key]).encode()) * 2 + 1_000
            if part and (len(part) == _BATCH_REQUESTS or n_bytes + size > _BATCH_BYTES):
                yield part
                part, n_bytes = {}, 0
            part[key] = cost
            n_bytes += size
        if part:
            yield part

    def _post(self, intent, requests):
        """Send a batch, at most once, and return its id."""
        client = self.judge._client()
        items = [
            {"custom_id": key, "params": self.judge._arguments(self.work.todo[key])}
            for key in requests
        ]
        since = time.time()

        def post():
            try:
                return self.judge._call(
                    client, lambda: client.messages.batches.create(requests=items)
                ).id
            except TransientError as error:
                if not error.billed:
                    raise
                # Nobody knows whether it got there.
                failure = error
            found = self._find(since, requests)
            if found is None:
                raise failure
            return found

        try:
            batch = self.work.attempts(post)
        except (TransientError, JudgeError) as error:
            unused = {"cost": -sum(requests.values()), "requests": -len(requests)}
            self.cache.end_batch(intent, unused)
            failure = JudgeError(f"The batch was not accepted: {error}")
        else:
            self.cache.sent_batch(intent, batch)
            _log.info("Sent batch %s of %d requests.", batch, len(requests))
            return batch
        raise failure

    def _find(self, since, requests):
        """Look for a batch that was sent, but whose id is not known; None if there is none."""
        client = self.judge._client()
        known = self.cache.known_batches()
        listing = self._patiently(lambda: client.messages.batches.list(limit=100))
        n_wanted = len(requests)
        candidates = []
        for batch in self._patiently(lambda: _until(listing, since - _CLOCKS)):
            n_requests = sum(batch.request_counts.to_dict().values())
            if batch.id not in known and n_requests == n_wanted:
                candidates.append(batch.id)
        for batch in candidates:
            self._wait(batch)
            if any(entry["custom_id"] in requests for entry in self._results(batch)[:1]):
                return batch
        return None

    def _wait(self, batch):
        """Wait until a batch has ended."""
        client = self.judge._client()
        while not self.work.stop.is_set():
            state = self._patiently(lambda: client.messages.batches.retrieve(batch))
            if state.processing_status == "ended":
                return
            self.work.stop.wait(self.judge.batch_poll)

    def _results(self, batch):
        """Return all results of a batch, a list of dict."""
        client = self.judge._client()

        def read():
            try:
                entries = self.judge._call(client, lambda: client.messages.batches.results(batch))
                return [entry.to_dict(warnings=False) for entry in entries]
            except (TransientError, JudgeError):
                raise
            except Exception as error:  # the stream breaks off, as one of many exceptions
                failure = TransientError(
                    as_sentence(hide(str(error), client.api_key)), billed=False
                )
            raise failure

        return self.work.attempts(read)

    def _patiently(self, f):
        return self.work.attempts(lambda: self.judge._call(self.judge._client(), f))

    def _collect(self, sent):
        """Wait for a batch and store its answers."""
        intent, batch, requests, since = sent
        work = self.work
        if batch is None:
            batch = self._find(since, requests)
            if batch is None:  # it was never sent
                self.cache.end_batch(
                    intent, {"cost": -sum(requests.values()), "requests": -len(requests)}
                )
                return
            self.cache.sent_batch(intent, batch)
        self._wait(batch)
        stored = self.cache.get(requests)
        counts, fatal = {}, None
        for entry in self._results(batch):
            key, result = entry["custom_id"], entry["result"]
            if key not in requests or key in stored:
                continue
            if result["type"] == "succeeded":
                self._read(key, read_message(result["message"], 0.0), requests[key], counts)
                continue
            _add(counts, {"cost": -requests[key], f"batch {result['type']}": 1})
            error = result.get("error", {}).get("error", {})
            if error.get("type") == "invalid_request_error":
                fatal = JudgeError(f"The service answered 400: {error.get('message')}")
            self._failed(key, f"batch item {result['type']}")
        self.cache.end_batch(intent, counts)
        _log.info("Batch %s has ended.", batch)
        for key, ratings in self.cache.get(requests).items():
            if key in work.todo and key not in work.found:
                work._arrived(key, ratings)
        if fatal is not None:
            raise fatal

    def _read(self, key, reply, reserved, counts):
        """Store an answer, or ask once more."""
        work = self.work
        n_candidates = len(work.todo[key].candidates) if key in work.todo else None
        if n_candidates is None:  # of another call: its number of candidates is that of its answer
            try:
                n_candidates = max(len(json.loads(reply.text)), 1)
            except (ValueError, TypeError):
                _add(counts, work.spending(reply, reserved))
                return
        ratings, problem = read_reply(reply, n_candidates)
        spent = work.spending(reply, reserved)
        if problem is not None:
            spent[problem] = 1
            if key in work.todo and key not in self.best:
                self.best[key] = ratings
                _add(counts, spent)
                return
            before = self.best.get(key)
            if before is not None and np.isnan(before).sum() < np.isnan(ratings).sum():
                ratings = before
        work.store(key, ratings, problem=problem, counts=spent)

    def _failed(self, key, message):
        """Count a failed attempt of the service."""
        self.attempts[key] = self.attempts.get(key, 0) + 1
        if self.attempts[key] > self.judge.max_retries:
            self.work.n_unanswered += 1
            self.work.last_failure = message
            self.work.todo.pop(key, None)


def _until(listing, oldest):
    """Return the batches of a listing, newest first, that are not older."""
    batches = []
    for batch in listing:
        if batch.created_at.timestamp() < oldest:
            break
        batches.append(batch)
    return batches


def _add(counts, more):
    for name, value in more.items():
        counts[name] = counts.get(name, 0) + value


def read_message(message, pause):
    """Make a Reply of a message of the service, a dict."""
    usage = message.get("usage")
    usage = usage if isinstance(usage, dict) else {}
    # Those of the cache may be left out, or be null.
    names = ("cache_creation_input_tokens", "cache_read_input_tokens")
    read = [
        read_tokens(usage.get("input_tokens")),
        *(read_tokens(usage.get(n) or 0) for n in names),
    ]
    blocks = message.get("content") or []
    text = "".join(block.get("text") or "" for block in blocks if block.get("type") == "text")
    problems = {
        "refusal": "refusal",
        "max_tokens": "truncated",
        "model_context_window_exceeded": "truncated",
    }
    return Reply(
        text=text,
        problem=problems.get(message.get("stop_reason")),
        input_tokens=None if None in read else sum(read),
        output_tokens=read_tokens(usage.get("output_tokens")),
        pause=pause,
    )


def pause_of(headers):
    """Return the seconds until a rate limit that is used up allows more."""
    pause = 0.0
    for name in _RATE_LIMITS:
        if headers.get(f"anthropic-ratelimit-{name}-remaining") == "0":
            try:
                reset = datetime.fromisoformat(
                    headers[f"anthropic-ratelimit-{name}-reset"].replace("Z", "+00:00")
                )
                seconds = (reset - datetime.now(timezone.utc)).total_seconds()
            except (KeyError, ValueError, TypeError):
                continue
            pause = max(pause, min(seconds, 60.0))
    return pause
