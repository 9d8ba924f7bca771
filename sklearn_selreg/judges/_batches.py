"""Anthropic's message batches: sending, recovery and collection."""

import logging
from dataclasses import dataclass
from datetime import datetime, timezone

import numpy as np

from .._utils._warn import warn
from ..exceptions import JudgeError, JudgmentWarning
from ._answers import Answer
from ._batch_table import BatchTable
from ._cache import ANSWERED, TAKEN, Unwritable
from ._service import (
    Reply,
    TooLong,
    TransientError,
    as_sentence,
    hide,
    of_one_prompt,
    read_model,
    read_reply,
    read_tokens,
    text_of,
)

_log = logging.getLogger("sklearn_selreg")
BATCH_DISCOUNT = 0.5
_BATCH_REQUESTS = 10_000  # the service allows 100,000, and 256 MB
_BATCH_BYTES = 100_000_000
_RATE_LIMITS = ("requests", "tokens", "input-tokens", "output-tokens")


@dataclass
class Batch:
    """A batch in progress.

    Attributes
    ----------
    intent : str
        Id of the batch in the cache.
    id : str or None
        Id of the batch at the service; None if it is unknown whether it was sent.
    prompts : dict of str to (int, int or None)
        Reserved cost and number of candidates (None in caches of older versions) by key.
    newest : str or None
        Newest batch at the service before this one was sent.
    """

    intent: str
    id: str | None
    prompts: dict[str, tuple[int, int | None]]
    newest: str | None


class Batches:
    """The batches of one call.

    A batch is recorded in the cache before it is sent (the intent), receives its id afterwards, and
    is removed when its results are stored. If this process is killed, another one can recover it.
    """

    def __init__(self, judge, run):
        self.judge = judge
        self.asking = run
        self.cache = run.cache
        self.table = BatchTable(run.cache)
        self.attempts = {}  # number of failures by key
        self.bad = set()  # keys with a bad answer, which are sent once more
        self.active = []

    def run(self, send):
        """Collect batches of ended processes; with `send`, send and collect the rest."""
        try:
            self._run(send)
            self._take_bad()
            return
        except Unwritable as error:
            self.asking.spent(str(error))
            return
        except TransientError as error:
            failure = JudgeError(f"{self.judge.model} does not respond: {error} Try again later.")
        raise failure

    def _run(self, send):
        run = self.asking
        while not run.stop.is_set():
            waiting = [k for k in run.todo if k not in run.found and k not in run.given_up]
            for intent, batch, prompts, newest in self.table.adopt(run.identity, waiting):
                sizes = {k: v if isinstance(v, list) else (v, None) for k, v in prompts.items()}
                self.active.append(Batch(intent, batch, sizes, newest))
            n_taken = 0
            if send and not self.active and waiting:
                n_taken = self._send(waiting)
            if self.active:
                self._collect(self.active.pop())
            elif n_taken:
                run.stop.wait(min(1.0, self.judge.batch_poll))
            else:
                return

    def _take_bad(self):
        """Use bad answers that could not be requested again; the next call does so."""
        waiting = self.bad.difference(self.asking.found) & self.asking.todo.keys()
        for key, ratings in self.cache.get(waiting).items():
            self.asking.arrived(key, ratings, "not asked again")

    # -- sending -------------------------------------------------------------------------------

    def _send(self, keys):
        """Send batches of unclaimed prompts; return the number of prompts claimed by others."""
        run, n_taken = self.asking, 0
        newest = self._newest()
        for prompts in self._split(keys):
            intent, granted, states = self.table.intend(run.identity, prompts, newest, **run.limits)
            answered = [k for k, s in zip(prompts, states, strict=True) if s == ANSWERED]
            for key, ratings in self.cache.get(answered, settled=True).items():
                run.arrived(key, ratings)
            n_taken += states.count(TAKEN)
            if intent is not None:
                batch = self._post(intent, granted, newest)
                self.active.append(Batch(intent, batch, granted, newest))
        # Batches in progress may still release part of their budget.
        if not self.active and not n_taken and len(run.found) < len(run.todo):
            run.spent()
        return n_taken

    def _split(self, keys):
        """Split prompts at the size limits of a batch."""
        part, n_bytes = {}, 0
        for key in keys:
            slate = self.asking.todo[key]
            size = len(self.judge._request_text(slate).encode()) * 2 + 1_000
            if part and (len(part) == _BATCH_REQUESTS or n_bytes + size > _BATCH_BYTES):
                yield part
                part, n_bytes = {}, 0
            part[key] = self.judge._worst_cost(slate), len(slate.candidates)
            n_bytes += size
        if part:
            yield part

    def _post(self, intent, prompts, newest):
        """Send a batch, at most once, and return its id."""
        items = [
            {"custom_id": key, "params": self.judge._arguments(self.asking.todo[key])}
            for key in prompts
        ]
        api = self.asking.client.messages.batches

        def post():
            try:
                return self._call(lambda: api.create(requests=items)).id
            except TransientError as error:
                if not error.billed:
                    raise
                failure = error  # it is unknown whether the batch was received
            found = self._find(prompts, newest)
            if found is None:
                raise failure
            return found

        try:
            batch = self.asking.attempts(post)
        except (TransientError, JudgeError) as error:
            self._give_back(intent, prompts)
            failure = JudgeError(f"The batch was not accepted: {error}")
        else:
            self.table.sent(intent, batch)
            _log.info("Sent batch %s of %d requests.", batch, len(prompts))
            return batch
        raise failure

    def _give_back(self, intent, prompts):
        """Remove a batch that was never accepted, and release its budget."""
        unused = {"cost": -sum(cost for cost, _ in prompts.values()), "requests": -len(prompts)}
        self.table.end(intent, self.asking.identity, counts=unused)

    def _newest(self):
        """Return the newest batch of the service, or None."""
        listing = self._patiently(lambda: self.asking.client.messages.batches.list(limit=1))
        return listing.data[0].id if listing.data else None

    def _find(self, prompts, newest):
        """Find the id of a batch that may have been sent; None if it was not."""
        api = self.asking.client.messages.batches
        known = self.table.known()
        listing = self._patiently(lambda: api.list(limit=100))
        for batch in self._patiently(lambda: _until(listing, newest)):
            n_prompts = sum(batch.request_counts.to_dict().values())
            if batch.id in known or n_prompts != len(prompts):
                continue
            self._wait(batch.id)
            if any(key in prompts for key, _, _ in self._results(batch.id)[:1]):
                return batch.id
        return None

    # -- collecting ----------------------------------------------------------------------------

    def _wait(self, batch):
        """Wait until a batch has ended."""
        while not self.asking.stop.is_set():
            state = self._patiently(lambda: self.asking.client.messages.batches.retrieve(batch))
            if state.processing_status == "ended":
                return
            self.asking.stop.wait(self.judge.batch_poll)

    def _results(self, batch):
        """Return the results of a batch, a list of (key, type, Reply or error message)."""
        client = self.asking.client

        def read():
            try:
                entries = self._call(lambda: client.messages.batches.results(batch))
                return [_read_entry(entry.to_dict(warnings=False)) for entry in entries]
            except (TransientError, JudgeError):
                raise
            except Exception as error:  # an interrupted stream raises many kinds of exceptions
                failure = TransientError(
                    as_sentence(hide(str(error), client.api_key)), billed=False
                )
            raise failure

        return self.asking.attempts(read)

    def _call(self, f):
        return self.judge._call(self.asking.client, f)

    def _patiently(self, f):
        return self.asking.attempts(lambda: self._call(f))

    def _collect(self, batch):
        """Wait for a batch and store its answers, exactly once."""
        run = self.asking
        if batch.id is None:
            batch.id = self._find(batch.prompts, batch.newest)
            if batch.id is None:  # it was never sent
                self._give_back(batch.intent, batch.prompts)
                return
            self.table.sent(batch.intent, batch.id)
        try:
            self._wait(batch.id)
            results = self._results(batch.id)
        except JudgeError as error:
            if getattr(error, "status", None) != 404:
                raise
            self._is_gone(batch)
            return
        answers, counts, left, fatal = {}, {}, {}, None
        for key, kind, reply in results:
            reserved, n_candidates = batch.prompts.get(key, (0, None))
            if key in run.todo:
                n_candidates = len(run.todo[key].candidates)
            if key not in batch.prompts:
                continue
            if isinstance(kind, JudgeError):  # concerns this prompt only
                _add(counts, {"cost": -reserved})
                self._refused(key, kind, n_candidates, answers)
            elif kind != "succeeded":
                cost = 0 if kind == "no message" else -reserved  # "no message": cost unknown
                _add(counts, {"cost": cost, f"batch {kind}": 1})
                if kind == "invalid":
                    fatal = JudgeError(f"The service returned status 400: {reply}")
                self._failed(key, f"batch item {kind}")
            elif n_candidates is None:  # sent by another call of an older version
                left[key] = reserved
            else:
                self._read(key, reply, reserved, n_candidates, answers, counts)
        try:
            self.table.end(batch.intent, run.identity, answers, counts, left)
        except Unwritable:  # it will be collected again
            for key in answers.keys() & run.todo.keys():
                run.arrived(key, answers[key].ratings)
            raise
        _log.info("Batch %s has ended.", batch.id)
        for key, ratings in self.cache.get(batch.prompts, settled=True).items():
            if key in run.todo and key not in run.found:
                run.arrived(key, ratings, answers[key].problem if key in answers else None)
        if fatal is not None:
            raise fatal

    def _is_gone(self, batch):
        """Give up a batch that the service no longer has; its reserved cost remains charged."""
        self.table.end(batch.intent, self.asking.identity)
        warn(
            f"The service no longer has the batch {batch.id} of {len(batch.prompts)} prompts; "
            "perhaps it was sent with another API key or base_url. Its reserved cost remains "
            "charged to the budget, and its prompts are sent again.",
            JudgmentWarning,
        )

    def _read(self, key, reply, reserved, n_candidates, answers, counts):
        """Parse an answer; a bad one is requested once more."""
        ratings, problem = read_reply(reply, n_candidates, self.judge._form.parse)
        _add(counts, self.asking.spending(reply, reserved))
        again = False
        if problem is not None:
            _add(counts, {problem: 1})
            again = key in self.asking.todo and key not in self.bad
            self.bad.add(key)
        limit = None
        if key in self.asking.todo:
            limit = self.judge._output_limit(self.asking.todo[key])
        self.asking.models[reply.model] += 1
        answers[key] = Answer(ratings, problem, limit, reply.model, self.asking.address, again)

    def _refused(self, key, failure, n_candidates, answers):
        """Store that a prompt is not answered because of its content."""
        if n_candidates is None:
            return
        problem = "refusal"
        if isinstance(failure, TooLong):
            problem = "too long"
            self.asking.too_long.append(failure)
        nothing = np.full(n_candidates, np.nan)
        answers[key] = Answer(nothing, problem, address=self.asking.address)

    def _failed(self, key, message):
        """Count a failed attempt, and give up the prompt after too many."""
        self.attempts[key] = self.attempts.get(key, 0) + 1
        if self.attempts[key] > self.judge.max_retries:
            self.asking.n_unanswered += 1
            self.asking.last_failure = message
            self.asking.given_up.add(key)


def _until(listing, newest):
    """Return the batches of a listing, newest first, down to the one with the id `newest`."""
    batches = []
    for batch in listing:
        if batch.id == newest:
            break
        batches.append(batch)
    return batches


def _read_entry(entry):
    """Return (key, type, Reply or error message) of one result of a batch."""
    key, result = entry["custom_id"], entry["result"]
    if result["type"] == "succeeded":
        try:
            return key, "succeeded", read_message(result["message"])
        except (ValueError, TypeError, AttributeError, LookupError):
            return key, "no message", None
    error = (result.get("error") or {}).get("error") or {}
    special = of_one_prompt(400, str(error.get("message")))
    if special is not None:
        return key, special, None
    invalid = error.get("type") == "invalid_request_error"
    return key, "invalid" if invalid else result["type"], error.get("message")


def _add(counts, more):
    for name, value in more.items():
        counts[name] = counts.get(name, 0) + value


def read_message(message):
    """Return the Reply for a message given as a dict; raise if it is malformed."""
    if message.get("type") == "error" or not isinstance(message["content"], list):
        raise TypeError
    usage = message.get("usage")
    usage = usage if isinstance(usage, dict) else {}
    # The counts of cached tokens may be missing or null.
    names = ("cache_creation_input_tokens", "cache_read_input_tokens")
    read = [
        read_tokens(usage.get("input_tokens")),
        *(read_tokens(usage.get(n) or 0) for n in names),
    ]
    problems = {
        "refusal": "refusal",
        "max_tokens": "truncated",
        "model_context_window_exceeded": "truncated",
    }
    return Reply(
        text=text_of(message["content"]),
        problem=problems.get(message.get("stop_reason")),
        input_tokens=None if None in read else sum(read),
        output_tokens=read_tokens(usage.get("output_tokens")),
        model=read_model(message.get("model")),
    )


def pause_of(headers):
    """Return the seconds until an exhausted rate limit is reset, at most 60."""
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
