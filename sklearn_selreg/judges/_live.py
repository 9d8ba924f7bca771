"""What judges that ask a paid service have in common: budget, concurrency, retries, progress.

A subclass knows one service: how a prompt is sent to it, and what its errors mean.
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

_log = logging.getLogger("sklearn_selreg")  # no text of an item, and never a key
_LONGEST_PROMPT = 90_000  # bytes, so fewer tokens than where the price of a prompt rises
_OVERHEAD_TOKENS = 1_000  # more than a service adds to a request, say to explain the schema
_CHARS_PER_TOKEN = 3.0  # of the expected cost, for English; tokens are shorter elsewhere
_FREE = (0.0, 0.0)
# Options by which the length of an answer is limited, under the names of several services.
_LENGTHS = ("max_tokens", "max_completion_tokens", "max_output_tokens")
# Why ratings may be missing though the model did not refuse; older versions kept pages of gateways
# as "broken JSON".
_FAILURES = (
    *("broken JSON", "missing rating", "rating out of range", "ranking", "truncated", "too long"),
    *("incomplete ranking", "number out of range"),
)


class LiveJudge(CachedJudge):
    """Base class of judges that ask a paid service.

    It brings the prompt, the budget, the cache, concurrency, retries and progress. A subclass
    knows one service, and writes two methods: `_make_client` and `_send`.

    ``_make_client(self)`` returns a client of the service: any object with a method `close`. It is
    made when the first request of a call is due, used by several threads, and closed at the end of
    the call. The client must not try again by itself. Its attribute `timeout`, in seconds, is set
    to more while answers time out, if it has one. The key is looked up here,
    ``self._key_from_environment()`` returns the one that `api_key_env` names.

    ``_send(self, client, slate)`` sends one request with the prompt of a slate, and returns a
    :class:`Reply`. ``self._instructions(slate)`` are the system prompt, the user message and the
    JSON schema of the answer; ``self._output_limit(slate)`` is the number of output tokens to
    allow. It raises :class:`TransientError` for what may pass, which is tried again, and
    :class:`JudgeError` for what will not. Each call is counted against the budget before it is
    made, so it must not send more than one request.

    Two class attributes may be set: `_prices`, a dict of (input, output) in USD per million tokens
    by model, and `_prices_date`, a string.

    Parameters
    ----------
    model : str
        The model, as the service calls it.
    ask, max_requests, max_cost, cache, concurrency, n_orders, max_item_chars, max_tokens, \
options, price, timeout, max_retries, max_wait, base_url, api_key_env, verbose
        As in :class:`AnthropicJudge`.

    See Also
    --------
    LLMJudge : Base class of judges that need no budget.
    sklearn_selreg.judges.testing.JudgeContract : Tests that any judge should pass.

    Examples
    --------
    A service that is asked by HTTP:

    >>> import json, urllib.error, urllib.request
    >>> from contextlib import nullcontext
    >>> from sklearn_selreg.judges import LiveJudge, Reply, Slate, TransientError
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
    ...         except urllib.error.URLError as error:
    ...             raise TransientError(str(error), billed=True) from None
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
        if lacks_scheme(base_url):  # said at once, as a wrong address may cost a wait of minutes
            check_address(base_url)

    # -- what a subclass says ------------------------------------------------------------------

    @abstractmethod
    def _make_client(self):
        """Return a client of the service, with a method `close`, without retries of its own."""

    @abstractmethod
    def _send(self, client: Any, slate: Slate) -> Reply:
        """Send one request with the prompt of a slate; raise TransientError or JudgeError."""

    # -- prompts -----------------------------------------------------------------------------

    def _identity(self):
        # Not `ask`, which the version tells: the keys of ratings are those of before rankings.
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
        """Return up to `n_orders` orders, fixed by the set of candidates and the history.

        Each second order is the reverse of the one before: an item shown early is then shown late.
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
        # With some answers in the cache, a key may not be needed.
        if not self._cache().has_answers(self._identity_hash()):
            with self._client():
                pass

    def _check_parameters(self):
        check_address(self.base_url)
        if self.max_requests is None and self.max_cost is None and not self._is_free():
            raise ValueError(
                f"max_requests or max_cost (in USD) must be set, or both, as {type(self).__name__} "
                "asks a service that may cost money; got None for both. They count over all that "
                "was ever asked with the same cache file. A server of your own that costs nothing "
                "needs no budget: say so with price=0."
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
                "price must be (input, output) in USD per million tokens, 0 for a server of your "
                f"own that costs nothing, as that of the model {self.model!r} is not known; got "
                f"None. Known are prices of {self._prices_date} of {sorted(self._prices)}."
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
        """Whether the user has said that asking costs nothing."""
        return _is_zero(self.price) or (
            isinstance(self.price, tuple | list) and tuple(self.price) == _FREE
        )

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
        return self._default_limit(slate) if self.max_tokens is None else self.max_tokens

    def _default_limit(self, slate):
        """Return the number of output tokens that a request allows if `max_tokens` is None."""
        return 64 + 2 * self._form.tokens * len(slate.candidates)

    def _limits_of(self, prompt):
        return self._output_limit(prompt), self._default_limit(prompt)

    def _request_text(self, slate):
        """Return all text of a request, for counting tokens."""
        system, message, schema = self._instructions(slate)
        return system + message + json.dumps(schema)

    def _worst_cost(self, slate):
        n_bytes = len(self._request_text(slate).encode("utf-8", "replace"))
        if n_bytes > _LONGEST_PROMPT:
            raise ValueError(
                f"A prompt has {n_bytes} bytes, more than {_LONGEST_PROMPT}: show fewer items, "
                f"or make max_item_chars={self.max_item_chars} smaller."
            )
        # A token is at least one byte.
        return self._nano_cost(n_bytes + _OVERHEAD_TOKENS, self._most_output(slate))

    def _most_output(self, slate):
        """Return the number of output tokens that a request may take, by its options, too."""
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
        if cache.read_only:  # what cannot be written down is not paid for
            run = AskingRun(self, cache, todo)
            run.spent("it is read-only")
        else:
            with self._client() as client:  # without a key nothing is reserved
                run = AskingRun(self, cache, todo, client, look)
                _log.info("%s: asking %d prompts.", self.model, len(todo))
                with cache.at_work(), run.progress:
                    self._work(run)
        totals = cache.totals()
        _log.info(
            "%s: %d of %d prompts answered. Spent with this cache: %d requests%s.",
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
        """Have failed answers asked again when they are next needed; nothing is asked now.

        Failed are answers that could not be read, that lack ratings or were cut off, and prompts
        that were too long. What the model refused to answer stays. Until there are better ones
        the answers that there are stay in use.

        Returns
        -------
        n_answers : int
            How many of the cached answers of this judge will be asked again.

        Raises
        ------
        CacheError
            If the cache cannot be written to.

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
            failure = CacheError(f"The cache {cache.path} cannot be written to: {error}.")
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
        """Return the address that is asked, for messages, without a password in it."""
        address = getattr(client, "base_url", None) or self.base_url or type(self).__name__
        return without_password(str(address).rstrip("/"))

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

    def _instructions(self, slate, bounded=False):
        """Return the system prompt, the user message and the JSON schema of the answer.

        With `bounded` the schema has bounds of numbers and lengths, which some services refuse.
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
