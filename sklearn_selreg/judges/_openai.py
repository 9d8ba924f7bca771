"""A judge that asks GPT, or any model behind an API of that kind."""

from __future__ import annotations

import os
from typing import Any

from ..exceptions import JudgeError
from ._live import LiveJudge
from ._service import (
    Reply,
    TransientError,
    bound_body,
    hide,
    no_connection,
    no_key,
    not_sent,
    read_body,
    read_tokens,
    retry_after,
    server_message,
    transient_or_fatal,
    without_traceback,
)
from ._slate import Slate

# USD per million tokens, input and output, from developers.openai.com/api/docs/pricing.
_PRICES_DATE = "2026-11-24"
_PRICES = {
    "gpt-6-luna": (0.10, 0.50),
    "gpt-6-sol": (2.0, 10.0),
    "gpt-5.6-luna": (0.20, 1.20),
    "gpt-5.6-terra": (2.0, 12.0),
}
_KEY = "OPENAI_API_KEY"
_THINKING_TOKENS = 4_000  # allowed to OpenAI's own models, which may think before they answer
_NO_KEY = "none"  # the client wants one, servers of one's own do not


class OpenAIJudge(LiveJudge):
    """Judge that asks GPT or any model with an API of that kind, by the official `openai` client.

    With `base_url` it asks Llama, or any open model, on a server of your own (vLLM, Ollama,
    llama.cpp), or another provider. Needs the package `openai`:
    ``pip install "sklearn_selreg[openai]"``.

    Where the server forces answers into a JSON schema, that is used; where it refuses the schema,
    the answer is read tolerantly from what the model writes.

    The key comes from the environment (`OPENAI_API_KEY`, or the variable `api_key_env`); with
    `base_url` it may be missing. It is never stored.

    Parameters
    ----------
    model : str
        The model, as the server calls it.
    ask, max_requests, max_cost, cache, concurrency, n_orders, max_item_chars
        As in :class:`AnthropicJudge`.
    max_tokens : int or None, default=None
        Length of an answer. None: 64 + 16 per candidate, and 4,000 more for OpenAI's own models,
        which may think first; on a server of your own, models that think need more, too.
    options : dict or None, default=None
        Further arguments of the client's `chat.completions.create`, such as
        ``{"temperature": 0}``; they are part of what identifies an answer.
    json_schema : bool, default=True
        Whether to ask for an answer of a given JSON schema. If the server does not know that, it is
        not asked for again.
    price, timeout, max_retries
        As in :class:`AnthropicJudge`. Prices are known of some models of OpenAI; with `max_cost`
        others need `price`, which is (0, 0) for a server of your own.
    base_url : str or None, default=None
        Address of the server, such as ``"http://localhost:8000/v1"``. None: the client's own, which
        is that of the environment variable `OPENAI_BASE_URL`, else OpenAI's.
    api_key_env, verbose
        As in :class:`AnthropicJudge`.

    See Also
    --------
    AnthropicJudge : Claude.

    Examples
    --------
    >>> from sklearn_selreg.judges import OpenAIJudge, Slate
    >>> judge = OpenAIJudge("llama3.2", base_url="http://localhost:11434/v1",
    ...                     max_requests=100, price=(0, 0), cache=None)
    >>> slate = Slate(7, [1], [2, 3], ["Alien (1979)"], ["Aliens (1986)", "Heidi (1937)"])
    >>> judge.estimate_cost([slate]).cost  # asks nothing
    0.0
    """

    _not_identity = (*LiveJudge._not_identity, "json_schema")
    _prices = _PRICES
    _prices_date = _PRICES_DATE

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
        json_schema: bool = True,
        price: tuple[float, float] | None = None,
        timeout: float = 60.0,
        max_retries: int = 6,
        base_url: str | None = None,
        api_key_env: str | None = None,
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
            base_url=base_url,
            api_key_env=api_key_env,
            verbose=verbose,
        )
        self.json_schema = json_schema

    def _identity(self):
        return {**super()._identity(), "judge": "openai"}

    def _output_limit(self, slate):
        thinks = self.max_tokens is None and self.base_url is None
        return super()._output_limit(slate) + (_THINKING_TOKENS if thinks else 0)

    def _make_client(self):
        try:
            import openai
        except ImportError:
            raise ImportError(
                "OpenAIJudge needs openai; install it by: pip install openai"
            ) from None
        key = self._key_from_environment()
        http = openai.DefaultHttpxClient(event_hooks={"response": [bound_body]})
        settings = {
            "base_url": self.base_url,
            "timeout": self.timeout,
            "max_retries": 0,
            "default_headers": {"accept-encoding": "gzip"},
            "http_client": http,
        }
        try:
            return openai.OpenAI(api_key=key, **settings)
        except openai.OpenAIError as error:
            failure = not_sent(hide(str(error), key)) if key else self._no_key()
        key = None  # tracebacks may show it
        if self.base_url is not None:
            return openai.OpenAI(api_key=_NO_KEY, **settings)
        http.close()
        raise failure

    @staticmethod
    def _no_key():
        """Return the exception for a missing key; a server of one's own may need none."""
        address = os.environ.get("OPENAI_BASE_URL")
        hint = (
            f" If the server of the environment variable OPENAI_BASE_URL, {address}, needs no key, "
            "name it as base_url."
        )
        return no_key(_KEY, hint * bool(address))

    def _arguments(self, slate, json_schema):
        system, message, schema = self._instructions(slate)
        form = {"name": self.ask, "strict": True, "schema": schema}
        return {
            "model": self.model,
            "max_completion_tokens" if self.base_url is None else "max_tokens": self._output_limit(
                slate
            ),
            "messages": [
                {"role": "system", "content": system},
                {"role": "user", "content": message},
            ],
            **(
                {"response_format": {"type": "json_schema", "json_schema": form}}
                if json_schema
                else {}
            ),
            **(self.options or {}),
        }

    def _send(self, client: Any, slate: Slate) -> Reply:
        import openai

        schema = self.json_schema and not getattr(client, "_selreg_no_schema", False)
        try:
            response = client.chat.completions.with_raw_response.create(
                **self._arguments(slate, schema)
            )
            return read_body(response.http_response.content, _read_completion)
        except openai.APIStatusError as error:
            failure = self._failure(error.status_code, error.response, client.api_key, schema)
        except openai.APIConnectionError as error:
            failure = no_connection(error, client.api_key)
        except TypeError as error:  # an option that the client does not know
            failure = not_sent(hide(str(error), client.api_key))
        except JudgeError as error:
            failure = without_traceback(error)
        if isinstance(failure, TransientError) and failure.refused_form:
            client._selreg_no_schema = True
        raise failure

    def _failure(self, status, response, key, json_schema):
        """Return the exception for an answer that is no success."""
        message = server_message(response.text)
        if json_schema and status in (400, 422, 501) and _is_about_schema(message):
            return TransientError(
                "The service knows no JSON schema.", billed=False, refused_form=True
            )
        return transient_or_fatal(
            status,
            message,
            retry_after=retry_after(response.headers),
            key=key,
            service=self.api_key_env or _KEY,
        )


def _is_about_schema(message):
    return any(word in message.lower() for word in ("schema", "response_format"))


def _read_completion(body):
    """Make a Reply of a completion, a dict."""
    choice = (body.get("choices") or [{}])[0]
    message = choice.get("message") or {}
    usage = body.get("usage")
    usage = usage if isinstance(usage, dict) else {}
    problem = {"length": "truncated", "content_filter": "refusal"}.get(choice.get("finish_reason"))
    return Reply(
        text=message.get("content") or "",
        problem="refusal" if message.get("refusal") else problem,
        input_tokens=read_tokens(usage.get("prompt_tokens")),
        output_tokens=read_tokens(usage.get("completion_tokens")),
    )
