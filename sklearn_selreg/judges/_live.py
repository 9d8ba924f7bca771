"""What judges that ask a paid service have in common: budget, concurrency, retries, progress.

A subclass knows one service: how a question is sent to it, and what its errors mean.
"""

import json
import logging
import math
import os
from abc import abstractmethod
from numbers import Integral, Real

import numpy as np

from .._utils._sklearn import InvalidParameterError
from ._base import LLMJudge
from ._prompt import PROMPT_VERSION, SYSTEM, clean_text, ratings_schema, slate_texts, user_message
from ._question import sha256
from ._run import Work
from ._service import NANO, not_sent
from ._slate import CostEstimate

_log = logging.getLogger("sklearn_selreg")  # no text of an item, and never a key
_LONGEST_PROMPT = 90_000  # bytes, so fewer tokens than where the price of a prompt rises
_OVERHEAD_TOKENS = 1_000  # more than a service adds to a request, say to explain the schema
_CHARS_PER_TOKEN = 3.0  # of the expected cost, for English; tokens are shorter elsewhere
_TOKENS_PER_RATING = 8


class LiveJudge(LLMJudge):
    """Base class of the judges that ask a service; see `AnthropicJudge` for the parameters."""

    _not_identity = (
        *("cache", "max_requests", "max_cost", "price", "concurrency", "batch", "verbose"),
        *("timeout", "max_retries", "base_url", "api_key_env", "n_orders", "max_tokens"),
    )
    reads_texts = True
    _prices: dict = {}  # noqa: RUF012 (of the class, never changed)
    _prices_date = ""

    # -- what a subclass says ------------------------------------------------------------------

    @abstractmethod
    def _make_client(self):
        """Return a client of the service, without retries of its own."""

    @abstractmethod
    def _send(self, client, slate):
        """Send one question.

        Returns
        -------
        reply : Reply

        Raises
        ------
        TransientError, JudgeError
        """

    # -- questions -----------------------------------------------------------------------------

    def _identity(self):
        return {**super()._identity(), "prompt": PROMPT_VERSION, "system": sha256(SYSTEM)}

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

    def _rate(self, slates):
        raise NotImplementedError("_ask answers the questions of a live judge.")

    def _check_ready(self):
        super()._check_ready()
        # With some answers in the cache, a key may not be needed.
        if not self._cache().has_answers(self._identity_hash()):
            self._client()

    def _check_parameters(self):
        if self.max_requests is None and self.max_cost is None:
            raise ValueError(
                f"max_requests or max_cost (in USD) must be set, or both, as {type(self).__name__} "
                "asks a service that may cost money; got None for both. They count over all that "
                "was ever asked with the same cache file."
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
        if self.options is not None and not isinstance(self.options, dict):
            raise InvalidParameterError(f"options must be a dict or None; got {self.options!r}.")
        if self.max_cost is not None:
            self._price()

    # -- cost ----------------------------------------------------------------------------------

    def _price(self):
        """Return the price in USD per million tokens of input and output."""
        price = self._prices.get(self.model) if self.price is None else self.price
        if price is None:
            raise ValueError(
                "price must be (input, output) in USD per million tokens, (0, 0) for a server of "
                f"your own, as that of the model {self.model!r} is not known; got None. Known are "
                f"prices of {self._prices_date} of {sorted(self._prices)}."
            )
        try:
            n_input, n_output = (float(part) for part in price)
        except (TypeError, ValueError):
            n_input = n_output = math.nan
        if not (0 <= n_input < math.inf and 0 <= n_output < math.inf):
            raise InvalidParameterError(
                "price must be (input, output), two numbers >= 0 in USD per million tokens; got "
                f"{price!r}."
            )
        return n_input, n_output

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
        if self.max_tokens is not None:
            return self.max_tokens
        return 64 + 2 * _TOKENS_PER_RATING * len(slate.candidates)

    def _request_text(self, slate):
        """Return all text of a request, for counting tokens."""
        system, message, schema = self._instructions(slate)
        return system + message + json.dumps(schema)

    def _worst_cost(self, slate):
        n_bytes = len(self._request_text(slate).encode("utf-8", "replace"))
        if n_bytes > _LONGEST_PROMPT:
            raise ValueError(
                f"A question has {n_bytes} bytes, more than {_LONGEST_PROMPT}: show fewer items, "
                f"or make max_item_chars={self.max_item_chars} smaller."
            )
        # A token is at least one byte.
        return self._nano_cost(n_bytes + _OVERHEAD_TOKENS, self._output_limit(slate))

    def _estimate(self, n_slates, n_questions, todo):
        n_input = sum(round(len(self._request_text(q)) / _CHARS_PER_TOKEN) for q in todo)
        n_output = sum(_TOKENS_PER_RATING * len(q.candidates) for q in todo)
        cost = worst = None
        if self.price is not None or self.model in self._prices:
            cost = self._nano_cost(n_input, n_output) / NANO
            worst = sum(self._worst_cost(q) for q in todo) / NANO
        n_cached = n_questions - len(todo)
        return CostEstimate(
            n_slates, n_questions, n_cached, len(todo), n_input, n_output, cost, worst
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

    def _ask(self, cache, todo):
        if not cache.read_only:
            self._client()  # without a key nothing is reserved
        work = Work(self, cache, todo)
        if cache.read_only:  # what cannot be written down is not paid for
            cache.trouble = "it is read-only"
            work.spent()
        else:
            _log.info("%s: asking %d questions.", self.model, len(todo))
            with cache.at_work(), work.progress:
                self._work(work)
        totals = cache.totals()
        _log.info(
            "%s: %d of %d questions answered. Spent with this cache: %d requests, $%.4f.",
            self.model,
            len(work.found),
            len(todo),
            totals.get("requests", 0),
            totals.get("cost", 0) / NANO,
        )
        work.report()
        return work.found

    def _work(self, work):
        work.ask_live()

    def _client(self):
        """Return the client of this process, made when it is first needed."""
        made = getattr(self, "_made_client", None)
        settings = (os.getpid(), self.base_url, self.api_key_env, self.timeout)
        if made is None or made[0] != settings:
            made = settings, self._make_client()
            self._made_client = made
        return made[1]

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

    def __getstate__(self):
        state = super().__getstate__().copy()
        state.pop("_made_client", None)
        return state

    def _instructions(self, slate):
        return (
            SYSTEM,
            user_message(slate, self.max_item_chars),
            ratings_schema(len(slate.candidates)),
        )
