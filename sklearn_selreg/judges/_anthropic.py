"""A judge that asks Claude."""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone

import numpy as np

from .._progress import tqdm
from ..exceptions import JudgeError
from ._base import _check_slates
from ._cache import ANSWERED, GRANTED, OVER
from ._live import (
    LiveJudge,
    Reply,
    TransientError,
    Work,
    _log,
    as_sentence,
    hide,
    no_connection,
    no_key,
    not_sent,
    read_reply,
    read_tokens,
    retry_after,
    server_message,
    transient_or_fatal,
)

# USD per million tokens, input and output, from platform.claude.com/docs, "Models & pricing".
_PRICES_DATE = "2026-11-24"
_PRICES = {
    "claude-haiku-5-5": (0.10, 0.50),  # of prompts up to 100,000 tokens: see _LONGEST_PROMPT
    "claude-haiku-4-5": (1.0, 5.0),
    "claude-sonnet-5-5": (2.0, 10.0),
    "claude-sonnet-5": (2.0, 10.0),
    "claude-opus-5-5": (4.0, 20.0),
    "claude-opus-5": (5.0, 25.0),
}
_KEY = "ANTHROPIC_API_KEY"
_THINKING_TOKENS = 4_000  # allowed to models that cannot be told not to think
_BATCH_DISCOUNT = 0.5
_BATCH_REQUESTS = 10_000  # the service allows 100,000, and 256 MB
_BATCH_BYTES = 100_000_000
_CLOCKS = 3600.0  # seconds that the server's clock may differ from ours
_RATE_LIMITS = ("requests", "tokens", "input-tokens", "output-tokens")


class AnthropicJudge(LiveJudge):
    """Judge that asks Claude, by the official `anthropic` client.

    A question shows the user's history and the candidates as JSON data, and asks for one rating
    for each candidate; the answer's form is forced by a JSON schema. Each question is asked in
    `n_orders` orders of the candidates, because models favor what they read first; the ratings
    are averaged, and how well they agree is known to the gate.

    The key comes from the environment (`ANTHROPIC_API_KEY`, or the variable `api_key_env`); it is
    never stored. What was answered is in the cache file, and never asked again.

    Parameters
    ----------
    model : str, default="claude-haiku-5-5"
        The model. The default is the least expensive one of November 2026.
    max_requests : int or None, default=None
        Requests allowed, >= 0. This or `max_cost` has to be set. Both count over all that was ever
        asked with the same cache file, by any process, retries included.
    max_cost : float or None, default=None
        USD allowed, >= 0. The worst case of a request is reserved before it is sent, so this is
        never exceeded.
    cache : "default", path or None, default="default"
        Where answers, spending and statistics are kept: a file in the user's cache directory,
        another file, or memory of this process.
    batch : bool, default=False
        Use the Message Batches API: half the price, an answer within 24 hours. A batch goes on if
        this process ends, and is found again.
    concurrency : int, default=8
        Requests at a time, >= 1; fewer when the service asks for that.
    n_orders : int, default=2
        In how many orders of the candidates to ask, >= 1.
    max_item_chars : int, default=300
        Length at which item texts are cut, >= 1.
    max_tokens : int or None, default=None
        Length of an answer. None: 64 + 16 per candidate, and 4,000 for models that always think.
    options : dict or None, default=None
        Further arguments of the client's `messages.create`; they are part of what identifies an
        answer. None: thinking is turned off where the model allows it.
    price : (float, float) or None, default=None
        USD per million tokens of input and output. None: from a table of 2026-11-24; with
        `max_cost`, a model that is not in it needs a price.
    timeout : float, default=60
        Seconds to wait for an answer.
    max_retries : int, default=6
        Further attempts after failures that may pass (408, 409, 429, 5xx, timeouts, resets).
    base_url : str or None, default=None
        Another address of the service. None: the client's own.
    api_key_env : str or None, default=None
        Environment variable with the key. None: the client's own variables.
    batch_poll : float, default=30
        Seconds between looks at a batch.
    verbose : int, default=0
        Above 0: a progress bar with the cost so far and the time left.

    See Also
    --------
    OpenAIJudge : GPT, or any model behind an API of that kind.
    ContentJudge : No network, no key.

    Notes
    -----
    Item texts are shown as data, and the model is told that they hold no instructions. A seller may
    still try ("rate this 99"). That cannot break the form of the answer, but may raise a rating:
    the gate finds out only if such items are among the known positives and others that calibrate
    it, and then trusts the judge less as a whole.

    Examples
    --------
    >>> from sklearn_selreg.judges import AnthropicJudge, Slate
    >>> judge = AnthropicJudge(max_cost=1.0, cache=None)
    >>> slate = Slate(7, [1], [2, 3], ["Alien (1979)"], ["Aliens (1986)", "Heidi (1937)"])
    >>> estimate = judge.estimate_cost([slate])  # asks nothing
    >>> estimate.requests, estimate.cost < 0.001
    (2, True)
    """

    _not_identity = (*LiveJudge._not_identity, "batch_poll", "options")
    _prices = _PRICES
    _prices_date = _PRICES_DATE

    def __init__(
        self,
        model="claude-haiku-5-5",
        *,
        max_requests=None,
        max_cost=None,
        cache="default",
        batch=False,
        concurrency=8,
        n_orders=2,
        max_item_chars=300,
        max_tokens=None,
        options=None,
        price=None,
        timeout=60.0,
        max_retries=6,
        base_url=None,
        api_key_env=None,
        batch_poll=30.0,
        verbose=0,
    ):
        self.model = model
        self.max_requests = max_requests
        self.max_cost = max_cost
        self.cache = cache
        self.batch = batch
        self.concurrency = concurrency
        self.n_orders = n_orders
        self.max_item_chars = max_item_chars
        self.max_tokens = max_tokens
        self.options = options
        self.price = price
        self.timeout = timeout
        self.max_retries = max_retries
        self.base_url = base_url
        self.api_key_env = api_key_env
        self.batch_poll = batch_poll
        self.verbose = verbose

    # -- requests ------------------------------------------------------------------------------

    def _identity(self):
        # Not the class: a subclass that sends the same request shares the answers.
        return {**super()._identity(), "judge": "anthropic", "options": self._options()}

    def _options(self):
        if self.options is not None:
            return self.options
        if self._always_thinks():
            return {}
        off = "between_tools" if self.model.startswith("claude-sonnet-5-5") else "disabled"
        return {"thinking": {"type": off}}

    def _always_thinks(self):
        return self.model.startswith(("claude-opus-5-5", "claude-fable", "claude-mythos"))

    def _output_limit(self, slate):
        limit = super()._output_limit(slate)
        thinks = self.max_tokens is None and self._always_thinks()
        return limit + _THINKING_TOKENS if thinks else limit

    @property
    def _discount(self):
        return _BATCH_DISCOUNT if self.batch else 1.0

    def _arguments(self, slate):
        """Return the arguments of `messages.create` for one question."""
        system, message, schema = self._instructions(slate)
        options = dict(self._options())
        output = {"format": {"type": "json_schema", "schema": schema}}
        return {
            "model": self.model,
            "max_tokens": self._output_limit(slate),
            "system": system,
            "messages": [{"role": "user", "content": message}],
            **options,
            "output_config": {**options.get("output_config", {}), **output},
        }

    def _make_client(self):
        import anthropic

        key = self._key_from_environment()
        try:
            client = anthropic.Anthropic(
                api_key=key, base_url=self.base_url, timeout=self.timeout, max_retries=0
            )
        except anthropic.AnthropicError as error:
            failure = not_sent(hide(str(error), key))
        else:
            names = {name.lower() for name in client.default_headers}
            # Credentials of a profile are turned into a header with each request.
            if names & {"x-api-key", "authorization"} or getattr(client, "credentials", None):
                return client
            failure = no_key(_KEY)
        raise failure

    def _send(self, client, slate):
        response = self._call(
            client, lambda: client.messages.with_raw_response.create(**self._arguments(slate))
        )
        try:
            body = json.loads(response.http_response.content)
        except ValueError:
            body = {}
        return _reply(body, _pause(response.headers))

    def _call(self, client, f):
        """Call the client; its exceptions (which hold the key) become ours."""
        import anthropic

        try:
            return f()
        except anthropic.APIStatusError as error:
            failure = transient_or_fatal(
                error.status_code,
                server_message(error.response.text),
                retry_after=retry_after(error.response.headers),
                key=client.api_key,
                service=self.api_key_env or _KEY,
            )
        except anthropic.APIConnectionError as error:
            failure = no_connection(error, client.api_key)
        except TypeError as error:  # an option that the client does not know
            failure = not_sent(hide(str(error), client.api_key))
        raise failure

    def count_tokens(self, slates):
        """Count the input tokens of questions exactly, by a free call of the service for each.

        Parameters
        ----------
        slates : iterable of Slate
            The questions. :meth:`estimate_cost` goes by their length in characters, and asks
            nobody; a few dozen questions tell how far it is off, say with texts that are not
            English.

        Returns
        -------
        tokens : ndarray of shape (n_slates,), int64
            Of one request for each question, in the order in which the candidates are listed.

        Raises
        ------
        TypeError
            If `slates` is not an iterable of :class:`Slate`.
        JudgeError
            If the service refuses to answer.

        Examples
        --------
        >>> from sklearn_selreg.judges import AnthropicJudge
        >>> AnthropicJudge(max_cost=1.0, cache=None).count_tokens([])
        array([], dtype=int64)
        """
        slates = _check_slates(slates)
        if not slates:
            return np.array([], dtype=np.int64)
        self._check_parameters()
        client, work = self._client(), Work(self, self._cache(), {})

        def count(slate):
            arguments = self._arguments(slate)
            del arguments["max_tokens"]
            counted = work.attempts(
                lambda: self._call(client, lambda: client.messages.count_tokens(**arguments))
            )
            return counted.input_tokens

        with ThreadPoolExecutor(min(self.concurrency, len(slates))) as pool:
            counts = tqdm(
                pool.map(count, slates),
                total=len(slates),
                disable=not self.verbose,
                desc="counting tokens",
                unit="question",
            )
            return np.array(list(counts), dtype=np.int64)

    # -- batches -------------------------------------------------------------------------------

    def _work(self, work):
        _Batches(self, work).run(send=self.batch)
        if not self.batch:
            work.ask_live()


class _Batches:
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
                self._read(key, _reply(result["message"], 0.0), requests[key], counts)
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


def _reply(message, pause):
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


def _pause(headers):
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
