"""An HTTP server on loopback, in a process of its own, that speaks the APIs of two LLM services.

It rates each candidate by a hash of the texts, whatever the order, and misbehaves as told. Run as a
script it serves, and prints its port; `LLMServer` starts and asks it from a test.
"""

import asyncio
import hashlib
import json
import os
import random
import re
import socket
import struct
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections import deque
from datetime import datetime, timedelta, timezone

SETTINGS = {
    "delay": 0.0,  # seconds until a live answer
    "slow": 1.0,  # seconds until a "slow" one
    "retry_after": 0.05,
    "faults": {},  # kind -> probability for each request
    "script": [],  # kinds for the next requests, None: fine
    "always": {},  # part of the question -> kind
    "seed": 0,
    "json_schema": True,  # whether /v1/chat/completions knows it
    "prose": False,  # whether it writes prose around its answer
    "requests_per_second": None,
    "batch_delay": 0.0,
    "batch_faults": {},  # kind -> probability for each item
    "batch_script": [],  # kinds for the next items
    "batch_post_fault": None,  # "lost": accepted, but the connection breaks; or a status; once
    "batch_max_requests": 100_000,
    "batch_max_bytes": 256 * 2**20,
    "max_page": 2,  # batches on a page of the listing at most: few, so that clients must page
    "echo_key": False,  # whether errors repeat the key, as careless services do
}
STATUS = {
    "400": ("invalid_request_error", "That is no valid request."),
    "401": ("authentication_error", "invalid x-api-key"),
    "403": ("permission_error", "That is not permitted."),
    "404": ("not_found_error", "model: no-such-model"),
    "408": ("timeout_error", "Too slow."),
    "409": ("conflict_error", "Conflict."),
    "413": ("request_too_large", "Request exceeds the maximum size."),
    "429": ("rate_limit_error", "Too many requests."),
    "500": ("api_error", "Internal server error."),
    "503": ("api_error", "Not available."),
    "529": ("overloaded_error", "Overloaded."),
}
ANSWERS = {"truncated", "broken", "refusal", "missing", "out_of_range"}  # status 200, of no use
LIVE_KINDS = {*STATUS, *ANSWERS, "reset", "reset_before", "slow"}
ITEM_KINDS = {*ANSWERS, "errored", "invalid", "expired", "canceled"}
BATCHES = "/v1/messages/batches"
CHAT = "/v1/chat/completions"
_CANCELING = 0.05  # seconds from the request to cancel a batch to its end


def rate(question):
    """Return the ratings of a question's candidates, 0 to 99, by number."""
    history = json.dumps(question["history"])
    ratings = {}
    for number, text in question["candidates"].items():
        data = (history + text).encode("utf-8", "surrogatepass")
        ratings[number] = int(hashlib.sha256(data).hexdigest(), 16) % 100
    return ratings


def check_settings(settings):
    """Raise for settings and kinds of faults that do not exist: a test would test nothing."""
    unknown = set(settings) - set(SETTINGS)
    if unknown:
        raise TypeError(f"settings must be of {sorted(SETTINGS)}; got {sorted(unknown)}.")
    post_fault = settings.get("batch_post_fault")
    asked = {
        "faults": (settings.get("faults", ()), LIVE_KINDS),
        "script": (settings.get("script", ()), LIVE_KINDS | {None}),
        "always": (settings.get("always", {}).values(), LIVE_KINDS),
        "batch_faults": (settings.get("batch_faults", ()), ITEM_KINDS),
        "batch_script": (settings.get("batch_script", ()), ITEM_KINDS | {None}),
        "batch_post_fault": ([post_fault], {*STATUS, "lost", None}),
    }
    for name, (kinds, known) in asked.items():
        wrong = [kind for kind in kinds if kind not in known]
        if wrong:
            known = sorted(map(str, known))
            raise ValueError(f"{name} must hold kinds of {known}; got {wrong[0]!r}.")


class Refused(Exception):
    """A request that is answered by an error."""

    def __init__(self, kind, text=None, headers=None):
        super().__init__(kind)
        self.kind, self.text, self.headers = kind, text, headers or {}


class State:
    def __init__(self, settings):
        self.settings = {**SETTINGS, **settings}
        self.batches = {}
        self.in_flight = self.n_ids = 0
        self.reset()

    def reset(self):
        self.requests = {}  # number of requests by path
        self.questions = {}  # number of times that each was asked
        self.statuses = {}  # number of live requests by kind of fault
        self.items = self.n_live = 0
        self.keys = []
        self.authorization = []
        self.max_in_flight = self.in_flight
        self.last = None
        self.log = deque(maxlen=10_000)
        self.window = deque()

    def new_id(self, prefix):
        self.n_ids += 1
        return f"{prefix}_{self.n_ids:08}"

    def count(self, text):
        self.questions[text] = self.questions.get(text, 0) + 1

    def fault(self, text):
        """Return the kind of fault of the next live request, None for none."""
        self.n_live += 1
        for part, kind in self.settings["always"].items():
            if part in text:
                return kind
        if self.settings["script"]:
            return self.settings["script"].pop(0)
        return self.draw(self.settings["faults"], f"live {self.n_live}")

    def item_fault(self):
        self.items += 1
        if self.settings["batch_script"]:
            return self.settings["batch_script"].pop(0)
        return self.draw(self.settings["batch_faults"], f"item {self.items}")

    def draw(self, faults, name):
        """Draw a kind; by the request's number, so that it depends on no other request."""
        if not faults:
            return None
        drawn = random.Random(f"{self.settings['seed']} {name}").random()
        for kind, share in faults.items():
            drawn -= share
            if drawn < 0:
                return kind
        return None

    def rate_limit(self):
        """Count a live request; return the headers that tell what remains of the limit."""
        limit = self.settings["requests_per_second"]
        if not limit:
            return {}
        now, window = time.time(), self.window
        while window and window[0] <= now - 1:
            window.popleft()
        allowed = len(window) < limit
        if allowed:
            window.append(now)
        headers = {
            "anthropic-ratelimit-requests-limit": limit,
            "anthropic-ratelimit-requests-remaining": int(limit - len(window)),
            "anthropic-ratelimit-requests-reset": rfc3339(window[-1] + 1),
        }
        if not allowed:
            raise Refused("429", None, {**headers, "retry-after": f"{window[0] + 1 - now:.3f}"})
        return headers

    def stats(self):
        names = ("requests", "questions", "statuses", "items", "keys", "authorization", "last")
        return {name: getattr(self, name) for name in names} | {
            "questions_sha1": {
                hashlib.sha1(text.encode("utf-8", "surrogatepass")).hexdigest(): n
                for text, n in self.questions.items()
            },
            "batches": len(self.batches),
            "max_in_flight": self.max_in_flight,
            "log": list(self.log),
        }


# What is answered


def rfc3339(seconds):
    return datetime.fromtimestamp(seconds, timezone.utc).isoformat().replace("+00:00", "Z")


def text_of(content):
    """Return the text of a message's content, a str or a list of blocks."""
    if isinstance(content, str):
        return content
    return "".join(part["text"] for part in content)


def question_of(body):
    """Return the user message's text and what it asks."""
    try:
        text = text_of(body["messages"][-1]["content"])
        question = json.loads(text)
        texts = [*question["history"], *question["candidates"].values()]
        if not question["candidates"] or not all(isinstance(t, str) for t in texts):
            raise ValueError
    except (LookupError, TypeError, ValueError, AttributeError):
        raise Refused(
            "400", 'messages: the last must be JSON, {"history": [...], "candidates": {...}}'
        ) from None
    return text, question


def n_input_tokens(body):
    """Return the number of input tokens, the same for one text everywhere."""
    texts = [text_of(message["content"]) for message in body["messages"]]
    return len(text_of(body.get("system") or "") + "".join(texts)) // 4 + 20


def answer_text(question, kind):
    ratings = rate(question)
    if kind == "missing":
        ratings.popitem()
    elif kind == "out_of_range":
        ratings[next(iter(ratings))] = 1000
    text = json.dumps(ratings)
    if kind == "truncated":
        text = text[: len(text) // 2]
    elif kind == "broken":
        text = "I would rather talk about something else."
    return text


def check_message(body):
    """Refuse what the Messages API refuses."""
    for name, kind in (("model", str), ("max_tokens", int), ("messages", list)):
        if not isinstance(body.get(name), kind):
            raise Refused("400", f"{name}: Field required")
    form = (body.get("output_config") or {}).get("format")
    if form and (form.get("type") != "json_schema" or not isinstance(form.get("schema"), dict)):
        raise Refused("400", "output_config.format: must be a json_schema with its schema")


def check_completion(body, settings):
    """Refuse what the chat completions API, or a server that knows less of it, refuses."""
    for name, kind in (("model", str), ("messages", list)):
        if not isinstance(body.get(name), kind):
            raise Refused("400", f"you must provide a {name} parameter")
    form = (body.get("response_format") or {}).get("type")
    if form == "json_schema" and not settings["json_schema"]:
        raise Refused("400", "response_format json_schema is not supported")


def message(state, body, kind):
    """Return a message of the Messages API."""
    _, question = question_of(body)
    refused = kind == "refusal"
    content = [] if refused else [{"type": "text", "text": answer_text(question, kind)}]
    return {
        "id": state.new_id("msg"),
        "type": "message",
        "role": "assistant",
        "model": body["model"],
        "content": content,
        "stop_reason": {"refusal": "refusal", "truncated": "max_tokens"}.get(kind, "end_turn"),
        "stop_sequence": None,
        "stop_details": {"type": "refusal", "category": None} if refused else None,
        "usage": {
            "input_tokens": n_input_tokens(body),
            "output_tokens": 6 * len(question["candidates"]),
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "service_tier": "standard",
        },
    }


def completion(state, body, kind):
    """Return a completion of the chat completions API."""
    _, question = question_of(body)
    answer = answer_text(question, kind)
    if state.settings["prose"]:
        answer = f"Let me think {{about}} it.\n```json\n{answer}\n```\nAnything else?"
    refused = kind == "refusal"
    reply = {"role": "assistant", "content": None if refused else answer}
    reply["refusal"] = "I cannot help with that." if refused else None
    used = {
        "prompt_tokens": n_input_tokens(body),
        "completion_tokens": 6 * len(question["candidates"]),
    }
    return {
        "id": state.new_id("chatcmpl"),
        "object": "chat.completion",
        "created": int(time.time()),
        "model": body["model"],
        "choices": [
            {
                "index": 0,
                "message": reply,
                "logprobs": None,
                "finish_reason": "length" if kind == "truncated" else "stop",
            }
        ],
        "usage": {**used, "total_tokens": sum(used.values())},
    }


def errored(name, text):
    error = {"type": name, "message": text}
    return {"type": "errored", "error": {"type": "error", "error": error, "request_id": None}}


def batch_item(state, params):
    """Return the result of one item of a batch."""
    kind = state.item_fault()
    try:
        check_message(params)
        state.count(question_of(params)[0])
        if kind in ("expired", "canceled"):
            return {"type": kind}
        if kind in ("errored", "invalid"):
            return errored(*STATUS["500" if kind == "errored" else "400"])
        return {"type": "succeeded", "message": message(state, params, kind)}
    except Refused as refused:
        return errored(STATUS[refused.kind][0], refused.text)


def make_batch(state, body):
    """Accept a batch and return it, with all its results."""
    items = body.get("requests")
    if not isinstance(items, list) or not items:
        raise Refused("400", "requests: Field required")
    if len(items) > state.settings["batch_max_requests"]:
        raise Refused("400", f"requests: at most {state.settings['batch_max_requests']} items")
    names = [item.get("custom_id") for item in items]
    for name in names:
        if not isinstance(name, str) or not re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", name):
            raise Refused("400", f"custom_id: {name!r} does not match ^[a-zA-Z0-9_-]{{1,64}}$")
    if len(set(names)) < len(names):
        raise Refused("400", "custom_id: must be unique within a batch")
    now = time.time()
    batch = {
        "id": state.new_id("msgbatch"),
        "created": now,
        "ends": now + state.settings["batch_delay"],
        "canceled": None,
        "results": {
            name: batch_item(state, item.get("params") or {})
            for name, item in zip(names, items, strict=True)
        },
    }
    state.batches[batch["id"]] = batch
    return batch


def cancel(batch):
    """Cancel a batch; one that has ended stays as it is."""
    now = time.time()
    if batch["canceled"] is None and now < batch["ends"]:
        batch["canceled"] = now
        batch["ends"] = min(batch["ends"], now + _CANCELING)
        batch["results"] = {name: {"type": "canceled"} for name in batch["results"]}


def describe(batch, host):
    """Return a batch as the API shows it."""
    ended = time.time() >= batch["ends"]
    canceled = batch["canceled"]
    counts = dict.fromkeys(("processing", "succeeded", "errored", "canceled", "expired"), 0)
    for result in batch["results"].values():
        counts[result["type"] if ended else "processing"] += 1
    return {
        "id": batch["id"],
        "type": "message_batch",
        "processing_status": "ended" if ended else "canceling" if canceled else "in_progress",
        "request_counts": counts,
        "created_at": rfc3339(batch["created"]),
        "expires_at": rfc3339(batch["created"] + timedelta(days=1).total_seconds()),
        "ended_at": rfc3339(batch["ends"]) if ended else None,
        "archived_at": None,
        "cancel_initiated_at": rfc3339(canceled) if canceled else None,
        "results_url": f"http://{host}{BATCHES}/{batch['id']}/results" if ended else None,
    }


def results(batch):
    """Return a batch's results as JSON Lines, in an order of their own."""
    if time.time() < batch["ends"]:
        raise Refused("400", f"{batch['id']} has not ended")
    entries = [{"custom_id": name, "result": r} for name, r in batch["results"].items()]
    random.Random(batch["id"]).shuffle(entries)
    return "".join(json.dumps(entry) + "\n" for entry in entries)


def list_batches(state, query, host):
    """Return a page of the listing, newest first."""
    asked = dict(urllib.parse.parse_qsl(query))
    listed = list(state.batches.values())[::-1]
    after = asked.get("after_id")
    if after is not None:
        if after not in state.batches:
            raise Refused("400", f"after_id: no batch {after!r}")
        listed = listed[[batch["id"] for batch in listed].index(after) + 1 :]
    limit = asked.get("limit", "20")
    if not limit.isdecimal() or not 1 <= int(limit) <= 1000:
        raise Refused("400", f"limit: must be 1 to 1000, got {limit!r}")
    n_shown = min(int(limit), state.settings["max_page"])
    page = listed[:n_shown]
    return {
        "data": [describe(batch, host) for batch in page],
        "has_more": len(listed) > n_shown,
        "first_id": page[0]["id"] if page else None,
        "last_id": page[-1]["id"] if page else None,
    }


# HTTP


class Request:
    """A request, and the connection to answer it on."""

    def __init__(self, state, writer, verb, target, headers, data):
        self.state, self.writer, self.verb = state, writer, verb
        self.path, _, self.query = target.partition("?")
        self.headers, self.data = headers, data
        self.body = {}

    @property
    def host(self):
        return self.headers.get("host", "127.0.0.1")

    def key(self):
        """Return the key, "" if it is in no header that the API reads."""
        # Clients of the Messages API send either, by their version.
        kind, _, given = self.headers.get("authorization", "").partition(" ")
        bearer = given if kind == "Bearer" else ""
        return bearer if self.path == CHAT else self.headers.get("x-api-key") or bearer

    def write(self, status, body, headers=None, *, kind="application/json", broken=False):
        """Answer; `broken` resets the connection after half of the answer."""
        data = (body if isinstance(body, str) else json.dumps(body)).encode()
        fields = {"content-type": kind, "content-length": len(data), **(headers or {})}
        lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        head = f"HTTP/1.1 {status} X\r\n{lines}\r\n".encode()
        self.note(status)
        if broken:
            self.writer.write(head + data[: len(data) // 2])
            self.abort()
        self.writer.write(head + data)

    def note(self, status):
        if not self.path.startswith("/control/"):
            self.state.log.append((time.time(), self.path, status))

    def abort(self):
        """Reset the connection: what was sent arrives, then RST instead of FIN."""
        linger = struct.pack("ii", 1, 0)
        connection = self.writer.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.writer.transport.abort()
        raise ConnectionAbortedError

    def error(self, refused):
        name, default = STATUS[refused.kind]
        text = refused.text or default
        if self.state.settings["echo_key"]:
            text += f" The key was {self.key()}."
        error = {"type": name, "message": text}
        number = self.state.new_id("req")
        if self.path == CHAT:
            body = {"error": {**error, "param": None, "code": None}}
            headers = {"x-request-id": number}
        else:
            body = {"type": "error", "error": error, "request_id": number}
            headers = {"request-id": number}
        if refused.kind == "429":
            headers["retry-after"] = self.state.settings["retry_after"]
        self.write(int(refused.kind), body, headers | refused.headers)

    # -- endpoints -----------------------------------------------------------------------------

    async def respond(self):
        try:
            if len(self.data) > self.state.settings["batch_max_bytes"]:
                raise Refused("413")
            self.parse()
            if self.path.startswith("/control/"):
                self.control()
                return
            self.register()
            if self.path == BATCHES or self.path.startswith(BATCHES + "/"):
                self.batches()
            elif self.verb != "POST":
                raise Refused("404", f"no {self.verb} {self.path}")
            elif self.path == "/v1/messages/count_tokens":
                self.write(200, {"input_tokens": n_input_tokens(self.body)})
            elif self.path in ("/v1/messages", CHAT):
                await self.live()
            else:
                raise Refused("404", f"no {self.verb} {self.path}")
        except Refused as refused:
            self.error(refused)
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            self.error(Refused("400", f"{type(error).__name__}: {error}"))

    def parse(self):
        if self.data:
            self.body = json.loads(self.data)
            if not isinstance(self.body, dict):
                raise Refused("400", "The body must be a JSON object.")

    def register(self):
        """Count a request, and refuse it without key."""
        state, key = self.state, self.key()
        state.requests[self.path] = state.requests.get(self.path, 0) + 1
        state.last = {"headers": self.headers, "body": self.body or None}
        if key not in state.keys:
            state.keys.append(key)
        for name in ("x-api-key", "authorization"):
            given = self.headers.get(name)
            if given is not None and given not in state.authorization:
                state.authorization.append(given)
        if key in ("", "wrong-key"):
            raise Refused("401")

    async def live(self):
        state = self.state
        state.in_flight += 1
        state.max_in_flight = max(state.max_in_flight, state.in_flight)
        try:
            await self.answer()
        finally:
            state.in_flight -= 1

    async def answer(self):
        state, settings = self.state, self.state.settings
        if self.path == CHAT:
            check_completion(self.body, settings)
        else:
            check_message(self.body)
        text, _ = question_of(self.body)
        state.count(text)
        hints = state.rate_limit()
        kind = state.fault(text)
        state.statuses[str(kind)] = state.statuses.get(str(kind), 0) + 1
        delay = settings["slow"] if kind == "slow" else settings["delay"]
        if delay:
            await asyncio.sleep(delay)
        if kind in STATUS:
            raise Refused(kind, None, hints)
        if kind == "reset_before":
            self.note(0)
            self.abort()
        make = completion if self.path == CHAT else message
        headers = {"request-id": state.new_id("req"), **hints}
        self.write(200, make(state, self.body, kind), headers, broken=kind == "reset")

    def batches(self):
        state, verb, host = self.state, self.verb, self.host
        name, _, part = self.path.removeprefix(BATCHES).removeprefix("/").partition("/")
        if name and name not in state.batches:
            raise Refused("404", f"no batch {name!r}")
        batch = state.batches.get(name)
        match verb, bool(name), part:
            case "POST", False, _:
                fault, state.settings["batch_post_fault"] = state.settings["batch_post_fault"], None
                if fault in STATUS:
                    raise Refused(fault)
                batch = make_batch(state, self.body)
                if fault == "lost":
                    self.note(0)
                    self.abort()
                self.write(200, describe(batch, host))
            case "GET", False, _:
                self.write(200, list_batches(state, self.query, host))
            case "GET", True, "":
                self.write(200, describe(batch, host))
            case "GET", True, "results":
                self.write(200, results(batch), kind="application/x-jsonl")
            case "POST", True, "cancel":
                cancel(batch)
                self.write(200, describe(batch, host))
            case _:
                raise Refused("404", f"no {verb} {self.path}")

    def control(self):
        match self.path:
            case "/control/config":
                check_settings(self.body)
                self.state.settings.update(self.body)
                self.write(200, {})
            case "/control/reset":
                self.state.reset()
                self.write(200, {})
            case "/control/stats":
                self.write(200, self.state.stats())
            case _:
                raise Refused("404", f"no {self.path}")


async def connection(state, reader, writer):
    """Answer the requests of one connection, one after the other."""
    try:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            line, *fields = head[:-4].split("\r\n")
            verb, target, _ = line.split(" ")
            headers = {}
            for field in fields:
                name, _, value = field.partition(":")
                headers[name.lower()] = value.strip()
            n_bytes = int(headers.get("content-length", 0))
            data = await reader.readexactly(n_bytes) if n_bytes else b""
            await Request(state, writer, verb, target, headers, data).respond()
            await writer.drain()
            if headers.get("connection", "").lower() == "close":
                break
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


async def serve(settings):
    """Print the port and serve until the process that started this one is gone."""
    state, parent = State(settings), os.getppid()
    server = await asyncio.start_server(
        lambda reader, writer: connection(state, reader, writer), "127.0.0.1", 0, backlog=512
    )
    print(server.sockets[0].getsockname()[1], flush=True)
    while os.getppid() == parent:
        await asyncio.sleep(0.5)


class LLMServer:
    """The server, from outside; a context manager."""

    def __init__(self, **settings):
        check_settings(settings)
        command = [sys.executable, __file__, json.dumps(settings)]
        # In a session of its own: Ctrl-C in a terminal is for the tests alone.
        self._process = subprocess.Popen(
            command, stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        port = self._process.stdout.readline()
        if not port:
            self.kill()
            raise RuntimeError(f"The server did not start: {command}.")
        self.url = f"http://127.0.0.1:{int(port)}"

    def _control(self, name, settings=None):
        data = None if settings is None else json.dumps(settings).encode()
        request = urllib.request.Request(f"{self.url}/control/{name}", data)
        with urllib.request.urlopen(request, timeout=60) as response:
            return json.load(response)

    def stats(self):
        """Return what was asked.

        Counts of `requests` by path, of `questions` by text and by SHA-1 (`questions_sha1`), live
        or in a batch, of `statuses` by kind of fault, of `items` and `batches`; `max_in_flight`;
        the `keys` and the headers with them (`authorization`); headers and body of the `last`
        request; and the `log` of the latest: (time, path, status), 0 for a connection that broke.
        """
        return self._control("stats")

    def configure(self, **settings):
        """Change settings."""
        check_settings(settings)
        self._control("config", settings)

    def reset(self):
        """Count from 0 again; settings and batches stay."""
        self._control("reset", {})

    def kill(self):
        """End the server at once."""
        self._process.kill()
        self._process.wait()
        self._process.stdout.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()


if __name__ == "__main__":
    asyncio.run(serve(json.loads(sys.argv[1]) if len(sys.argv) > 1 else {}))
