"""A judge that asks GPT, or any model behind an API of that kind."""

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
_HOST = "api.openai.com"  # OpenAI's own, also with a region before it
_HOME = f"https://{_HOST}/v1"
_NO_KEY = "none"  # the client wants one, though none is sent
# What an answer's form is forced by, the next where a server refuses one.
_BOUNDED, _PLAIN, _FREE_FORM = range(3)
_LENGTHS = ("max_tokens", "max_completion_tokens")  # what servers call the length of an answer


class OpenAIJudge(LiveJudge):
    """Judge that asks GPT or any model with an API of that kind, by the official `openai` client.

    With `base_url` it asks Llama, or any open model, on a server of your own (vLLM, Ollama,
    llama.cpp), or another provider. Needs the package `openai`:
    ``pip install openai``.

    Where the server forces answers into a JSON schema, that is used, with bounds for the ratings;
    where it refuses the bounds or the schema, they are left out, and the answer is read tolerantly
    from what the model writes.

    The key comes from the environment and is never stored. `OPENAI_API_KEY` is sent to OpenAI's own
    address alone: for any other `base_url`, name the variable with the key as `api_key_env`, if the
    server needs one.

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
    price, timeout, max_retries, max_wait
        As in :class:`AnthropicJudge`. Prices are known of some models of OpenAI; with `max_cost`
        others need `price`. With ``price=0``, for a server of your own that costs nothing, no
        budget is needed.
    base_url : str or None, default=None
        Address of the server, such as ``"http://localhost:8000/v1"``. None: the client's own, which
        is that of the environment variable `OPENAI_BASE_URL`, else OpenAI's.
    api_key_env : str or None, default=None
        Environment variable with the key. None: `OPENAI_API_KEY` for OpenAI's own address, no key
        for another one.
    verbose
        As in :class:`AnthropicJudge`.

    See Also
    --------
    AnthropicJudge : Claude.

    Examples
    --------
    >>> from sklearn_selreg.judges import OpenAIJudge, Slate
    >>> judge = OpenAIJudge("llama3.2", base_url="http://localhost:11434/v1",
    ...                     price=0, cache=None)
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
                "OpenAIJudge needs openai; install it by: pip install openai"
            ) from None
        address = self.base_url or os.environ.get("OPENAI_BASE_URL") or _HOME
        check_address(address, "base_url" if self.base_url else "OPENAI_BASE_URL")
        key, source = self._key(address)
        hooks = {"response": [bound_body]}
        http = openai.DefaultHttpxClient(event_hooks=hooks, follow_redirects=False)
        headers = {"accept-encoding": "gzip"}
        if source != _KEY:  # the client's own variables are not for others, either
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
        key = None  # tracebacks may show it
        raise failure

    def _key(self, address):
        """Return the key to send, and the variable it comes from; OpenAI's is for OpenAI only."""
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
        except TypeError as error:  # an option that the client does not know
            failure = not_sent(hide(str(error), client._selreg_key))
        except TransientError as error:
            failure = error
        except JudgeError as error:
            failure = without_traceback(error)
        if isinstance(failure, OfOnePrompt):
            return failure.reply
        raise failure

    def _failure(self, response, client, form):
        """Return the exception for an answer that is no success."""
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
        message = "The service does not know the form of the request."
        return TransientError(message, billed=False, refused_form=True)


def _simpler_form(form, status, message):
    """Return what to ask for where a server refuses a form; None if it means something else."""
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
    """Make a Reply of a completion, a dict; None if it is none."""
    choice = body["choices"][0]
    message = choice["message"]
    says_something = {"content", "refusal"} & message.keys()
    if body.get("error") or choice.get("error") or not says_something:
        return None  # of a gateway
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
