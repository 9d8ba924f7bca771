"""A judge that queries GPT or any model behind an OpenAI-compatible API."""

from __future__ import annotations

import os
from typing import Any

from ..exceptions import JudgeError
from ._address import check_address, host_of
from ._live import LiveJudge
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
    read_model,
    read_tokens,
    text_of,
    without_traceback,
)
from ._slate import Slate

# USD per million tokens of input and output, from developers.openai.com/api/docs/pricing.
_PRICES_DATE = "2026-11-24"
_PRICES = {
    "gpt-6-luna": (0.10, 0.50),
    "gpt-6-sol": (2.0, 10.0),
    "gpt-5.6-luna": (0.20, 1.20),
    "gpt-5.6-terra": (2.0, 12.0),
}
_KEY = "OPENAI_API_KEY"
_THINKING_TOKENS = 4_000  # for OpenAI's own models, which may think before they answer
_HOST = "api.openai.com"  # possibly with a regional prefix
_HOME = f"https://{_HOST}/v1"
_NO_KEY = "none"  # placeholder required by the client; it is not sent
# Schemas that enforce the answer format; each is the fallback if a server rejects the previous one.
_BOUNDED, _PLAIN, _FREE_FORM = range(3)
_LENGTHS = ("max_tokens", "max_completion_tokens")  # names of the output limit


class OpenAIJudge(LiveJudge):
    """Judge that queries GPT or any OpenAI-compatible API through the official `openai` client.

    Set `base_url` to use another provider or an open model on a server of your own (vLLM, Ollama,
    llama.cpp). Requires the package `openai`: ``pip install openai``.

    Answers are constrained by a JSON schema with bounded ratings. If the server rejects the bounds
    or the schema, they are dropped and the model's text is parsed leniently.

    The API key is read from the environment and never stored. `OPENAI_API_KEY` is only sent to
    OpenAI's own address: if another `base_url` requires a key, name its environment variable as
    `api_key_env`.

    Parameters
    ----------
    model : str
        Name of the model in the server's API.
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
        ``ask="ranking"``), and 4,000 more for OpenAI's own models, which may think first. Thinking
        models on other servers need a larger value.
    options : dict or None, default=None
        Further arguments of the client's `chat.completions.create`, such as
        ``{"temperature": 0}``; answers are cached separately for each value.
    json_schema : bool, default=True
        Whether to constrain answers by a JSON schema. Dropped automatically if the server does not
        support it.
    price : two floats >= 0, 0 or None, default=None
        USD per million tokens of input and output. If None, prices of some OpenAI models are known;
        for others, `max_cost` requires `price`. A free server of your own needs no budget with
        ``price=0``.
    timeout : float, default=60
        Seconds to wait for an answer, >= 0.
    max_retries : int, default=6
        Number of retries after temporary failures, >= 0.
    max_wait : float, default=300
        Seconds to wait for a service that is down, >= 0.
    base_url : str or None, default=None
        Address of the server, such as ``"http://localhost:8000/v1"``. If None, the environment
        variable `OPENAI_BASE_URL`, else OpenAI's own.
    api_key_env : str or None, default=None
        Environment variable with the API key. If None, `OPENAI_API_KEY` for OpenAI's own address
        and no key for others.
    verbose : int, default=0
        If positive, show a progress bar with the cost so far and the remaining time.

    See Also
    --------
    AnthropicJudge : Queries Claude.

    Examples
    --------
    >>> from sklearn_selreg.judges import OpenAIJudge, Slate
    >>> judge = OpenAIJudge("llama3.2", base_url="http://localhost:11434/v1",
    ...                     price=0, cache=None)
    >>> slate = Slate(7, [1], [2, 3], ["Alien (1979)"], ["Aliens (1986)", "Heidi (1937)"])
    >>> judge.estimate_cost([slate]).cost  # sends no request
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
        price: float | tuple[float, float] | None = None,
        timeout: float = 60.0,
        max_retries: int = 6,
        max_wait: float = 300.0,
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
            max_wait=max_wait,
            base_url=base_url,
            api_key_env=api_key_env,
            verbose=verbose,
        )
        self.json_schema = json_schema

    def _identity(self):
        return {**super()._identity(), "judge": "openai"}

    def _default_limit(self, slate):
        return super()._default_limit(slate) + (_THINKING_TOKENS if self.base_url is None else 0)

    def _make_client(self):
        try:
            import openai
        except ImportError:
            raise ImportError(
                "OpenAIJudge requires the package openai: pip install openai"
            ) from None
        address = self.base_url or os.environ.get("OPENAI_BASE_URL") or _HOME
        check_address(address, "base_url" if self.base_url else "OPENAI_BASE_URL")
        key, source = self._key(address)
        hooks = {"response": [bound_body]}
        http = openai.DefaultHttpxClient(event_hooks=hooks, follow_redirects=False)
        headers = {"accept-encoding": "gzip"}
        if source != _KEY:  # the client's other variables are only for OpenAI, too
            headers |= dict.fromkeys(("OpenAI-Organization", "OpenAI-Project"), openai.Omit())
        try:
            client = openai.OpenAI(
                api_key=key or _NO_KEY,
                base_url=address,
                timeout=self.timeout,
                max_retries=0,
                default_headers=headers,
                http_client=http,
            )
        except openai.OpenAIError as error:
            failure = not_sent(hide(str(error), key))
        else:
            client._selreg_key, client._selreg_source = key, source
            client._selreg_form, client._selreg_length = _BOUNDED, _LENGTHS[address == _HOME]
            return client
        http.close()
        key = None  # tracebacks may display it
        raise failure

    def _key(self, address):
        """Return the key and its environment variable; OpenAI's key is only for OpenAI."""
        key = self._key_from_environment()
        if key is not None:
            return key, self.api_key_env
        host = host_of(address)
        if host != _HOST and not host.endswith(f".{_HOST}"):
            return None, None
        key = os.environ.get(_KEY)
        if not key:
            raise no_key(_KEY)
        return key, _KEY

    def _arguments(self, slate, form, length="max_tokens"):
        system, message, schema = self._instructions(slate, bounded=form == _BOUNDED)
        arguments = {
            "model": self.model,
            length: self._output_limit(slate),
            "messages": [
                {"role": "system", "content": system},
                {"role": "user", "content": message},
            ],
        }
        if form != _FREE_FORM:
            named = {"name": self.ask, "strict": True, "schema": schema}
            arguments["response_format"] = {"type": "json_schema", "json_schema": named}
        return arguments | (self.options or {})

    def _send(self, client: Any, slate: Slate) -> Reply:
        import openai

        form = client._selreg_form if self.json_schema else _FREE_FORM
        address = self._address(client)
        try:
            arguments = self._arguments(slate, form, client._selreg_length)
            if client._selreg_key is None:
                more = arguments.get("extra_headers") or {}
                arguments["extra_headers"] = {"Authorization": openai.Omit(), **more}
            response = client.chat.completions.with_raw_response.create(**arguments)
            content = response.http_response.content
            return read_body(content, _read_completion, address, client._selreg_key)
        except openai.APIStatusError as error:
            failure = self._failure(error.response, client, form)
        except openai.APIConnectionError as error:
            failure = no_connection(error, client._selreg_key, address)
        except TypeError as error:  # unknown option
            failure = not_sent(hide(str(error), client._selreg_key))
        except TransientError as error:
            failure = error
        except JudgeError as error:
            failure = without_traceback(error)
        if isinstance(failure, OfOnePrompt):
            return failure.reply
        raise failure

    def _failure(self, response, client, form):
        """Return the exception for an unsuccessful response; adapt the form of later requests."""
        status, text = response.status_code, response.text.lower()
        simpler = _simpler_form(form, status, text)
        other = _LENGTHS[client._selreg_length == _LENGTHS[0]]
        if simpler is not None:
            client._selreg_form = max(client._selreg_form, simpler)
        elif status == 400 and "unsupported" in text and f"use '{other}'" in text:
            client._selreg_length = other
        else:
            key, source = client._selreg_key, client._selreg_source
            address = self._address(client)
            return failure_of(response, key=key, source=source, address=address)
        message = "The service does not support the form of the request."
        return TransientError(message, billed=False, refused_form=True)


def _simpler_form(form, status, message):
    """Return the fallback if the server rejected a form; None if the error has another cause."""
    if status == 404:
        refused = "requested parameters" in message
    else:
        words = ("schema", "response_format", "structured output", "grammar")
        refused = status in (400, 422, 501) and any(word in message for word in words)
        if (
            form == _BOUNDED
            and status in (400, 422)
            and ("minimum" in message or "invalid schema" in message)
        ):
            return _PLAIN
    return _FREE_FORM if refused and form != _FREE_FORM else None


def _read_completion(body):
    """Return the Reply for a completion given as a dict; None if it is not a completion."""
    choice = body["choices"][0]
    message = choice["message"]
    says_something = {"content", "refusal"} & message.keys()
    if body.get("error") or choice.get("error") or not says_something:
        return None  # error of a gateway
    usage = body.get("usage")
    usage = usage if isinstance(usage, dict) else {}
    problem = {"length": "truncated", "content_filter": "refusal"}.get(choice.get("finish_reason"))
    return Reply(
        text=text_of(message.get("content")),
        problem="refusal" if message.get("refusal") else problem,
        input_tokens=read_tokens(usage.get("prompt_tokens")),
        output_tokens=read_tokens(usage.get("completion_tokens")),
        model=read_model(body.get("model")),
    )
