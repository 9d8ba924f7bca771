"""Base class of judges for paid services: budget, concurrency, retries, progress.

A subclass implements one service: how to send a prompt, and how to interpret errors.
"""

from __future__ import annotations

import json
import logging
import math
import os
from abc import abstractmethod
from collections.abc import Mapping
from contextlib import contextmanager
from numbers import Integral, Real
from types import MappingProxyType
from typing import Any

import numpy as np

from .._utils._sklearn import InvalidParameterError
from ..exceptions import CacheError
from ._address import check_address, lacks_scheme, without_password
from ._cache import NANO, Unwritable
from ._cached import CachedJudge
from ._form import FORMS
from ._orders import sha256
from ._prompt import clean_text, slate_texts, user_message
from ._report import report, warn_of_several_models
from ._run import AskingRun
from ._service import Reply, not_sent
from ._slate import CostEstimate, Slate

_log = logging.getLogger("sklearn_selreg")  # never log item texts or keys
_LONGEST_PROMPT = 90_000  # bytes; in tokens this stays below the threshold of higher prices
_OVERHEAD_TOKENS = 1_000  # upper bound on what a service adds to a request, e.g. for the schema
_CHARS_PER_TOKEN = 3.0  # for the expected cost; English, other languages have shorter tokens
_FREE = (0.0, 0.0)
# Options of several services that limit the length of an answer.
_LENGTHS = ("max_tokens", "max_completion_tokens", "max_output_tokens")
# Reasons for missing ratings other than refusals. Older versions also stored error pages of
# gateways as "broken JSON".
_FAILURES = (
    *("broken JSON", "missing rating", "rating out of range", "ranking", "truncated", "too long"),
    *("incomplete ranking", "number out of range"),
)


class LiveJudge(CachedJudge):
    """Base class of judges for paid services.

    It provides the prompt, budget, cache, concurrency, retries and progress bar. A subclass
    implements one service in two methods, `_make_client` and `_send`.

    ``_make_client(self)`` returns a client of the service: any object with a method `close`. The
    client is created for the first request of a call, shared by several threads, and closed at the
    end of the call. It must not retry by itself. If it has an attribute `timeout`, in seconds, this
    is increased while answers time out. ``self._key_from_environment()`` returns the API key in
    the environment variable `api_key_env`.

    ``_send(self, client, slate)`` sends one request with the prompt of a slate and returns a
    :class:`Reply`. ``self._instructions(slate)`` returns the system prompt, the user message and
    the JSON schema of the answer; ``self._output_limit(slate)`` is the maximum number of output
    tokens. The method raises :class:`TransientError` for failures worth a retry and
    :class:`JudgeError` for permanent ones. Each call is charged to the budget in advance, so it
    must not send more than one request.

    Two class attributes are optional: `_prices`, a dict of (input, output) in USD per million
    tokens by model, and `_prices_date`, a string.

    Parameters
    ----------
    model : str
        Name of the model in the service's API.
    ask : "ratings" or "ranking", default="ratings"
        See :class:`AnthropicJudge`, as for the following parameters.
    max_requests : int or None, default=None
        Maximum number of requests, >= 0. Either this or `max_cost` is required, except with
        ``price=0``.
    max_cost : float or None, default=None
        Maximum cost in USD, >= 0.
    cache : "default", path or None, default="default"
        Where to store answers, spending and statistics; None means in memory.
    concurrency : int, default=8
        Maximum number of concurrent requests, >= 1.
    n_orders : int, default=2
        Number of candidate orders per slate, >= 1.
    max_item_chars : int, default=300
        Number of characters at which item texts are truncated, >= 1.
    max_tokens : int or None, default=None
        Maximum number of output tokens, >= 1. If None, 64 + 16 per candidate (8 with
        ``ask="ranking"``).
    options : dict or None, default=None
        Further arguments of a request, for use by `_send`.
    price : two floats >= 0, 0 or None, default=None
        USD per million tokens of input and output. If None, taken from `_prices`.
    timeout : float, default=60
        Seconds to wait for an answer, >= 0.
    max_retries : int, default=6
        Number of retries after temporary failures, >= 0.
    max_wait : float, default=300
        Seconds to wait for a service that is down, >= 0.
    base_url : str or None, default=None
        Address of the service, for use by `_make_client`.
    api_key_env : str or None, default=None
        Environment variable with the API key.
    verbose : int, default=0
        If positive, show a progress bar.

    See Also
    --------
    LLMJudge : Base class of judges without a budget.
    sklearn_selreg.judges.testing.JudgeContract : Tests that every judge should pass.

    Examples
    --------
    A judge that queries a service over HTTP:

    >>> import json, urllib.error, urllib.request
    >>> from contextlib import nullcontext
    >>> from sklearn_selreg.judges import JudgeError, LiveJudge, Reply, Slate, TransientError
    >>> class MyService:
    ...     def __init__(self, key):
    ...         self.headers = {"authorization": f"Bearer {key}"}
    ...     def close(self):
    ...         pass
    >>> class MyJudge(LiveJudge):
    ...     _prices = {"small": (0.1, 0.5)}
    ...     def _make_client(self):
    ...         return MyService(self._key_from_environment())
    ...     def _send(self, client, slate):
    ...         system, message, schema = self._instructions(slate)
    ...         body = json.dumps({"system": system, "text": message, "schema": schema})
    ...         request = urllib.request.Request(self.base_url, body.encode(), client.headers)
    ...         try:
    ...             with urllib.request.urlopen(request, timeout=self.timeout) as response:
    ...                 answer = json.load(response)
    ...         except urllib.error.HTTPError as error:
    ...             if error.code < 500 and error.code not in (408, 429):  # e.g. a wrong key
    ...                 raise JudgeError(f"{error}.") from None
    ...             raise TransientError(f"{error}.", billed=True) from None
    ...         except OSError as error:  # no connection, or no answer in time
    ...             raise TransientError(f"{error}.", billed=True) from None
    ...         return Reply(answer["text"], None, answer["tokens_in"], answer["tokens_out"])
    >>> judge = MyJudge("small", max_cost=1.0, cache=None, base_url="http://localhost:8000")
    >>> judge.estimate_cost([Slate(7, ["Alien"], ["Aliens", "Heidi"])]).requests
    2
    """

    _not_identity: tuple[str, ...] = (
        *("cache", "max_requests", "max_cost", "price", "concurrency", "batch", "verbose"),
        *("timeout", "max_retries", "max_wait", "base_url", "api_key_env"),
        *("n_orders", "max_tokens", "ask"),
    )
    _shuffles = True
    reads_texts = True
    _prices: Mapping[str, tuple[float, float]] = MappingProxyType({})
    _prices_date: str = ""

    def __init__(
        self,
        model: str,
        *,
        ask: str = "ratings",
        max_requests: int | None = None,
        max_cost: float | None = None,
        cache: str | os.PathLike | None = "default",
        concurrency: int = 8,
        n_orders: int = 2,
        max_item_chars: int = 300,
        max_tokens: int | None = None,
        options: dict | None = None,
        price: float | tuple[float, float] | None = None,
        timeout: float = 60.0,
        max_retries: int = 6,
        max_wait: float = 300.0,
        base_url: str | None = None,
        api_key_env: str | None = None,
        verbose: int = 0,
    ):
        self.model = model
        self.ask = ask
        self.max_requests = max_requests
        self.max_cost = max_cost
        self.cache = cache
        self.concurrency = concurrency
        self.n_orders = n_orders
        self.max_item_chars = max_item_chars
        self.max_tokens = max_tokens
        self.options = options
        self.price = price
        self.timeout = timeout
        self.max_retries = max_retries
        self.max_wait = max_wait
        self.base_url = base_url
        self.api_key_env = api_key_env
        self.verbose = verbose
        if lacks_scheme(base_url):  # fail early: a wrong address may otherwise mean a long wait
            check_address(base_url)

    # -- implemented by subclasses -------------------------------------------------------------

    @abstractmethod
    def _make_client(self):
        """Return a client of the service with a method `close` and without automatic retries."""

    @abstractmethod
    def _send(self, client: Any, slate: Slate) -> Reply:
        """Send one request with the prompt of a slate; raise TransientError or JudgeError."""

    # -- prompts -----------------------------------------------------------------------------

    def _identity(self):
        # `ask` is left out (the version implies it), so that older cache keys of ratings are valid.
        form = self._form
        return {**super()._identity(), "prompt": form.version, "system": form.identity}

    @property
    def _form(self):
        return FORMS[self.ask]

    def _content(self, slate):
        history, candidates = slate_texts(slate)
        return [
            [clean_text(t, self.max_item_chars) for t in part] for part in (history, candidates)
        ]

    def _orders(self, slate):
        """Return up to `n_orders` orders, determined by the set of candidates and the history.

        Every second order is the reverse of the previous one, so an item shown early is shown late.
        """
        history, candidates = self._content(slate)
        by_text = np.array(sorted(range(len(candidates)), key=lambda i: (candidates[i], i)))
        seed = int(sha256([history, sorted(candidates)]), 16)
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

    def _check_ready(self):
        super()._check_ready()
        # If the cache has answers, an API key may not be needed.
        if not self._cache().has_answers(self._identity_hash()):
            with self._client():
                pass

    def _check_parameters(self):
        check_address(self.base_url)
        if self.max_requests is None and self.max_cost is None and not self._is_free():
            raise ValueError(
                f"max_requests or max_cost (in USD) must be set, as {type(self).__name__} queries "
                "a service that may cost money; got None for both. They limit the total over all "
                "requests ever made with the same cache file. For a free server of your own, set "
                "price=0 instead."
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
            ("max_wait", Real, 0),
            ("batch_poll", Real, 0),
        ):
            value = getattr(self, name, least)  # not all judges support batches
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
        if not isinstance(self.ask, str) or self.ask not in FORMS:
            raise InvalidParameterError(f"ask must be one of {[*FORMS]}; got {self.ask!r}.")
        if self.options is not None and not isinstance(self.options, dict):
            raise InvalidParameterError(f"options must be a dict or None; got {self.options!r}.")
        if self.max_cost is not None or self.price is not None:
            self._price()

    # -- cost ----------------------------------------------------------------------------------

    def _price(self):
        """Return the price in USD per million tokens of input and output."""
        price = self._prices.get(self.model) if self.price is None else self.price
        if price is None:
            raise ValueError(
                f"The price of the model {self.model!r} is unknown: set price to (input, output) "
                "in USD per million tokens, or to 0 for a free server of your own. Models with "
                f"known prices, as of {self._prices_date}: {sorted(self._prices)}."
            )
        try:
            n_input, n_output = (float(part) for part in (_FREE if _is_zero(price) else price))
        except (TypeError, ValueError):
            n_input = n_output = math.nan
        if not (0 <= n_input < math.inf and 0 <= n_output < math.inf):
            raise InvalidParameterError(
                "price must be (input, output), two numbers >= 0 in USD per million tokens, or 0; "
                f"got {price!r}."
            )
        return n_input, n_output

    def _is_free(self):
        """Whether the price is set to 0."""
        return _is_zero(self.price) or (
            isinstance(self.price, tuple | list) and tuple(self.price) == _FREE
        )

    def _nano_cost(self, input_tokens, output_tokens):
        """Return a cost in billionths of a dollar, rounded up; 0 if the price is unknown."""
        if self.max_cost is None and self.price is None and self.model not in self._prices:
            return 0
        n_input, n_output = self._price()
        return math.ceil((input_tokens * n_input + output_tokens * n_output) * self._discount * 1e3)

    @property
    def _discount(self):
        return 1.0

    def _output_limit(self, slate):
        """Return the maximum number of output tokens of a request."""
        return self._default_limit(slate) if self.max_tokens is None else self.max_tokens

    def _default_limit(self, slate):
        """Return the maximum number of output tokens if `max_tokens` is None."""
        return 64 + 2 * self._form.tokens * len(slate.candidates)

    def _limits_of(self, prompt):
        return self._output_limit(prompt), self._default_limit(prompt)

    def _request_text(self, slate):
        """Return the whole text of a request, for counting tokens."""
        system, message, schema = self._instructions(slate)
        return system + message + json.dumps(schema)

    def _worst_cost(self, slate):
        n_bytes = len(self._request_text(slate).encode("utf-8", "replace"))
        if n_bytes > _LONGEST_PROMPT:
            raise ValueError(
                f"A prompt has {n_bytes} bytes, more than the maximum of {_LONGEST_PROMPT}: reduce "
                "the number of candidates (slates__size) or "
                f"max_item_chars={self.max_item_chars}."
            )
        # A token is at least one byte.
        return self._nano_cost(n_bytes + _OVERHEAD_TOKENS, self._most_output(slate))

    def _most_output(self, slate):
        """Return the number of output tokens that a request may use, considering `options`."""
        options = self.options or {}
        more = options.get("extra_body")
        most, n_answers = self._output_limit(slate), 1
        for given in (options, more if isinstance(more, dict) else {}):
            most = max([most, *(given[name] for name in _LENGTHS if _is_count(given.get(name)))])
            n_answers = max([n_answers, *(given[n] for n in ("n",) if _is_count(given.get(n)))])
        return most * n_answers

    def _estimate(self, n_slates, n_prompts, todo):
        n_input = sum(round(len(self._request_text(q)) / _CHARS_PER_TOKEN) for q in todo)
        n_output = sum(self._form.tokens * len(q.candidates) for q in todo)
        cost = worst = None
        if self.price is not None or self.model in self._prices:
            cost = self._nano_cost(n_input, n_output) / NANO
            worst = sum(self._worst_cost(q) for q in todo) / NANO
        n_cached = n_prompts - len(todo)
        return CostEstimate(
            n_slates, n_prompts, n_cached, len(todo), n_input, n_output, cost, worst
        )

    def _limits(self):
        cost = None if self.max_cost is None else math.floor(self.max_cost * NANO)
        return {"max_requests": self.max_requests, "max_cost": cost}

    def _budget_left(self):
        totals, left = self._cache().totals(), {}
        if self.max_requests is not None:
            left["max_requests"] = max(0, self.max_requests - totals.get("requests", 0))
        if self.max_cost is not None:
            left["max_cost"] = max(0.0, self.max_cost - totals.get("cost", 0) / NANO)
        return left

    # -- asking --------------------------------------------------------------------------------

    def _ask(self, cache, todo, look):
        if cache.read_only:  # do not pay for answers that cannot be stored
            run = AskingRun(self, cache, todo)
            run.spent("it is read-only")
        else:
            with self._client() as client:  # fails without a key, before anything is reserved
                run = AskingRun(self, cache, todo, client, look)
                _log.info("%s: sending %d prompts.", self.model, len(todo))
                with cache.at_work(), run.progress:
                    self._work(run)
        totals = cache.totals()
        _log.info(
            "%s: %d of %d prompts answered. Total with this cache: %d requests%s.",
            self.model,
            len(run.found),
            len(todo),
            totals.get("requests", 0),
            "" if self._is_free() else f", ${totals.get('cost', 0) / NANO:.4f}",
        )
        report(run)
        return run.found

    def _check_models(self, cache, keys):
        warn_of_several_models(self, cache.models(keys))

    def retry_failed(self) -> int:
        """Mark failed answers, so that they are requested again when next needed.

        Failed answers are those that could not be parsed, lack ratings or were truncated, and
        those to prompts that were too long. Refusals are kept. Existing answers stay in use until
        better ones arrive. This method does not send requests.

        Returns
        -------
        n_answers : int
            Number of cached answers of this judge that will be requested again.

        Raises
        ------
        CacheError
            If the cache is not writable.

        Examples
        --------
        >>> from sklearn_selreg.judges import AnthropicJudge
        >>> AnthropicJudge(max_cost=1.0, cache=None).retry_failed()
        0
        """
        cache = self._cache()
        try:
            return cache.ask_again(self._identity_hash(), _FAILURES)
        except Unwritable as error:
            failure = CacheError(f"The cache {cache.path} is not writable: {error}.")
        raise failure

    def _work(self, run):
        run.ask_live()

    @contextmanager
    def _client(self):
        client = self._make_client()
        try:
            yield client
        finally:
            client.close()

    def _address(self, client):
        """Return the address of the service for messages, without a password."""
        address = getattr(client, "base_url", None) or self.base_url or type(self).__name__
        return without_password(str(address).rstrip("/"))

    def _key_from_environment(self):
        """Return the key in the variable `api_key_env`, or None if that is None."""
        if self.api_key_env is None:
            return None
        key = os.environ.get(self.api_key_env)
        if not key:
            raise not_sent(
                f"The environment variable {self.api_key_env!r}, named by api_key_env, is not set."
            )
        return key

    def _instructions(self, slate, bounded=False):
        """Return the system prompt, the user message and the JSON schema of the answer.

        With `bounded`, the schema bounds numbers and lengths, which some services reject.
        """
        form = self._form
        return (
            form.system,
            user_message(slate, self.max_item_chars),
            form.schema(len(slate.candidates), bounded),
        )


def _is_count(value):
    return isinstance(value, Integral) and not isinstance(value, bool)


def _is_zero(price):
    return isinstance(price, Real) and not isinstance(price, bool) and price == 0
