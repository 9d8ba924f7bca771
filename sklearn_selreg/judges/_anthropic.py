"""A judge that queries Claude."""

from __future__ import annotations

import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np

from .._utils._progress import tracked
from ..exceptions import JudgeError
from ._batches import BATCH_DISCOUNT, Batches, pause_of, read_message
from ._live import LiveJudge
from ._run import AskingRun
from ._service import (
    OfOnePrompt,
    Reply,
    TransientError,
    bound_body,
    failure_of,
    hide,
    no_connection,
    no_key,
    not_sent,
    read_body,
    without_traceback,
)
from ._slate import Slate, check_slates

# USD per million tokens of input and output, from platform.claude.com/docs, "Models & pricing".
_PRICES_DATE = "2026-11-24"
_PRICES = {
    "claude-haiku-5-5": (0.10, 0.50),  # for prompts up to 100,000 tokens: see _LONGEST_PROMPT
    "claude-haiku-4-5": (1.0, 5.0),
    "claude-sonnet-5-5": (2.0, 10.0),
    "claude-sonnet-5": (2.0, 10.0),
    "claude-opus-5-5": (4.0, 20.0),
    "claude-opus-5": (5.0, 25.0),
}
_KEY = "ANTHROPIC_API_KEY"
_THINKING_TOKENS = 4_000  # for models whose thinking cannot be turned off


class AnthropicJudge(LiveJudge):
    """Judge that queries Claude through the official `anthropic` client.

    A prompt contains the user's history and the candidates as JSON and asks for one rating per
    candidate; a JSON schema enforces the format of the answer. Each slate is sent in `n_orders`
    candidate orders, because models favor what they read first. The ratings are averaged, and their
    agreement is a feature of the gate.

    The API key is read from the environment (`ANTHROPIC_API_KEY`, or the variable `api_key_env`)
    and never stored. Answers are cached, so no answered prompt is paid for again.

    Parameters
    ----------
    model : str, default="claude-haiku-5-5"
        Name of the model. The default is the least expensive Claude model as of November 2026.
    ask : "ratings" or "ranking", default="ratings"
        Whether to ask for a rating of each candidate or for a ranking. A ranking takes fewer output
        tokens but is less informative: it becomes equally spaced ratings from 1 to 0. Answers are
        cached separately.
    max_requests : int or None, default=None
        Maximum number of requests, >= 0. Either this or `max_cost` is required. Both limit the
        total over all requests, including retries, ever made by any process with the same cache
        file.
    max_cost : float or None, default=None
        Maximum cost in USD, >= 0. It is never exceeded, as the maximum cost of a request is
        reserved before sending it.
    cache : "default", path or None, default="default"
        Where to store answers, spending and statistics. "default" is a file in the user's cache
        directory; None means in memory.
    batch : bool, default=False
        Whether to use the Message Batches API: half the price, answers within 24 hours. If this
        process ends, the batch continues and is collected by the next call.
    concurrency : int, default=8
        Maximum number of concurrent requests, >= 1; reduced automatically when the service asks
        for it.
    n_orders : int, default=2
        Number of candidate orders per slate, >= 1.
    max_item_chars : int, default=300
        Number of characters at which item texts are truncated, >= 1.
    max_tokens : int or None, default=None
        Maximum number of output tokens, >= 1. If None, 64 + 16 per candidate (8 with
        ``ask="ranking"``), and 4,000 more for models that always think.
    options : dict or None, default=None
        Further arguments of the client's `messages.create`; answers are cached separately for each
        value. If None, thinking is turned off where the model allows it.
    price : two floats >= 0, 0 or None, default=None
        USD per million tokens of input and output. If None, taken from a table of 2026-11-24; other
        models require a price if `max_cost` is set. 0 means that the service is free and needs no
        budget.
    timeout : float, default=60
        Seconds to wait for an answer; increased up to tenfold while answers time out.
    max_retries : int, default=6
        Number of retries after temporary failures (408, 409, 429, 5xx, timeouts, resets, responses
        that are not completions).
    max_wait : float, default=300
        Seconds to wait for a service that is down (refused connections, 503 without a retry time),
        e.g. a server that restarts or loads its model. Ignored if ``max_retries=0``.
    base_url : str or None, default=None
        Address of the service. If None, the client's default.
    api_key_env : str or None, default=None
        Environment variable with the API key. If None, the client's defaults.
    batch_poll : float, default=30
        Seconds between status checks of a batch.
    verbose : int, default=0
        If positive, show a progress bar with the cost so far and the remaining time.

    See Also
    --------
    OpenAIJudge : GPT or any model behind an OpenAI-compatible API.
    ContentJudge : Text similarity, without network or API key.

    Notes
    -----
    Item texts are passed as data, and the system prompt says that they contain no instructions. A
    seller may still try to inject some ("rate this 99"). This cannot break the answer format but
    may raise a rating. The gate can only notice this if such items are among the candidates of
    calibration slates, and then trusts the judge less overall.

    Examples
    --------
    >>> from sklearn_selreg.judges import AnthropicJudge, Slate
    >>> judge = AnthropicJudge(max_cost=1.0, cache=None)
    >>> slate = Slate(7, [1], [2, 3], ["Alien (1979)"], ["Aliens (1986)", "Heidi (1937)"])
    >>> estimate = judge.estimate_cost([slate])  # sends no request
    >>> estimate.requests, estimate.cost < 0.001
    (2, True)
    """

    _not_identity = (*LiveJudge._not_identity, "batch_poll", "options")
    _prices = _PRICES
    _prices_date = _PRICES_DATE

    def __init__(
        self,
        model: str = "claude-haiku-5-5",
        *,
        ask: str = "ratings",
        max_requests: int | None = None,
        max_cost: float | None = None,
        cache: str | os.PathLike | None = "default",
        batch: bool = False,
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
        batch_poll: float = 30.0,
        verbose: int = 0,
    ):
        super().__init__(
            model,
            ask=ask,
            max_requests=max_requests,
            max_cost=max_cost,
            cache=cache,
            concurrency=concurrency,
            n_orders=n_orders,
            max_item_chars=max_item_chars,
            max_tokens=max_tokens,
            options=options,
            price=price,
            timeout=timeout,
            max_retries=max_retries,
            max_wait=max_wait,
            base_url=base_url,
            api_key_env=api_key_env,
            verbose=verbose,
        )
        self.batch = batch
        self.batch_poll = batch_poll

    # -- requests ------------------------------------------------------------------------------

    def _identity(self):
        # Not the class name: subclasses that send the same requests share the answers.
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

    def _default_limit(self, slate):
        return super()._default_limit(slate) + (_THINKING_TOKENS if self._always_thinks() else 0)

    @property
    def _discount(self):
        return BATCH_DISCOUNT if self.batch else 1.0

    def _arguments(self, slate):
        """Return the arguments of `messages.create` for one prompt."""
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
        try:
            import anthropic
        except ImportError:
            raise ImportError(
                "AnthropicJudge requires the package anthropic: pip install anthropic"
            ) from None
        key = self._key_from_environment()
        hooks = {"response": [bound_body]}
        http = anthropic.DefaultHttpxClient(event_hooks=hooks, follow_redirects=False)
        try:
            client = anthropic.Anthropic(
                api_key=key,
                base_url=self.base_url,
                timeout=self.timeout,
                max_retries=0,
                default_headers={"accept-encoding": "gzip"},
                http_client=http,
            )
        except anthropic.AnthropicError as error:
            failure = not_sent(hide(str(error), key))
        else:
            names = {name.lower() for name in client.default_headers}
            # Credentials of a profile only become a header when a request is sent.
            if names & {"x-api-key", "authorization"} or getattr(client, "credentials", None):
                return client
            failure = no_key(_KEY)
        http.close()
        key = None  # tracebacks may display it
        raise failure

    def _send(self, client: Any, slate: Slate) -> Reply:
        try:
            response = self._call(
                client, lambda: client.messages.with_raw_response.create(**self._arguments(slate))
            )
        except OfOnePrompt as error:
            return error.reply
        content, address = response.http_response.content, self._address(client)
        reply = read_body(content, read_message, address, client.api_key)
        return replace(reply, pause=pause_of(response.headers))

    def _call(self, client, f):
        """Call the client, and replace its exceptions, which contain the key."""
        import anthropic

        try:
            return f()
        except anthropic.APIStatusError as error:
            failure = failure_of(
                error.response,
                key=client.api_key,
                source=self.api_key_env or _KEY,
                address=self._address(client),
            )
            failure.status = error.status_code
        except anthropic.APIConnectionError as error:
            failure = no_connection(error, client.api_key, self._address(client))
        except TypeError as error:  # unknown option
            failure = not_sent(hide(str(error), client.api_key))
        except TransientError as error:
            failure = error
        except JudgeError as error:
            failure = without_traceback(error)
        raise failure

    def count_tokens(self, slates: Iterable[Slate]) -> np.ndarray:
        """Count the input tokens of prompts exactly, with one free API call per slate.

        :meth:`estimate_cost` makes no calls but estimates tokens from the number of characters.
        A few dozen slates show how accurate it is, e.g. for texts in other languages than English.

        Parameters
        ----------
        slates : iterable of Slate
            Slates to count, each with its candidates in the given order.

        Returns
        -------
        tokens : ndarray of shape (n_slates,), int64
            Number of input tokens of one request per slate.

        Raises
        ------
        TypeError
            If `slates` is not an iterable of :class:`Slate`.
        JudgeError
            If the service fails or rejects a request.

        Examples
        --------
        >>> from sklearn_selreg.judges import AnthropicJudge
        >>> AnthropicJudge(max_cost=1.0, cache=None).count_tokens([])
        array([], dtype=int64)
        """
        asked = check_slates(slates)
        if not asked:
            return np.array([], dtype=np.int64)
        self._check_parameters()
        with self._client() as client:
            run = AskingRun(self, self._cache(), {}, client)

            def count(slate):
                arguments = self._arguments(slate)
                del arguments["max_tokens"]
                api = client.messages
                try:
                    return run.attempts(
                        lambda: self._call(client, lambda: api.count_tokens(**arguments))
                    ).input_tokens
                except TransientError as error:
                    failure = JudgeError(f"{self.model} does not respond: {error}")
                raise failure

            with ThreadPoolExecutor(min(self.concurrency, len(asked))) as pool:
                counts = tracked(
                    pool.map(count, asked),
                    "counting tokens",
                    len(asked),
                    unit="prompt",
                    verbose=self.verbose,
                )
                return np.array(list(counts), dtype=np.int64)

    # -- batches -------------------------------------------------------------------------------

    def _work(self, run):
        Batches(self, run).run(send=self.batch)
        if not self.batch:
            run.ask_live()
