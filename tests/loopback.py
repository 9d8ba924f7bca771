"""HTTP servers on loopback, in a process of their own, that speak the APIs of two LLM services.

They rate each candidate by a hash of the texts, whatever the order, and misbehave as configured.
Run as a script, this serves and prints its port; `LLMServer` starts and controls it from a test,
and opens further servers in the same process, each with its own port, settings, counts and batches.
"""

import asyncio
import functools
import gzip
import hashlib
import json
import random
import re
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone

SETTINGS = {
    "delay": 0.0,  # seconds until a live answer
    "slow": 1.0,  # seconds until a "slow" one
    "retry_after": 0.05,
    "faults": {},  # kind -> probability for each request
    "script": [],  # kinds for the next requests, None: fine
    "always": {},  # part of the question -> kind
    "seed": 0,
    "json_schema": True,  # whether /v1/chat/completions supports it
    "usage": None,  # reported instead of the numbers of tokens, or replacing some of them
    "by_position": False,  # whether ratings depend on positions only
    "prose": False,  # whether there is prose around answers
    "requests_per_second": None,
    "batch_delay": 0.0,
    "batch_faults": {},
    "batch_script": [],
    "broken_results": 0,  # how often the results of a batch break off halfway
    "batch_post_fault": None,  # a status, or "lost": accepted, but the connection breaks
    "port": 0,
    "loading": 0.0,  # seconds after the start in which it replies that its model is loading
    "model": None,  # reported, whatever model is asked for
    "bounds": "ignored",  # or "refused", or "needed": it rates by years without them
    "slots": None,  # requests processed at a time
    "context": None,  # longest prompt, in tokens of 4 characters
    "parts": False,  # whether answers are lists of parts
    "custom": {},  # kind -> (status, body, headers) of the reply
    "journal": None,  # file with a line for each request, and for each answer before it is sent
    "echo_key": False,  # whether errors repeat the key, as in careless services
}
STATUS = {
    "400": ("invalid_request_error", "That is no valid request."),
    "401": ("authentication_error", "invalid x-api-key"),
    "403": ("permission_error", "That is not permitted."),
    "404": ("not_found_error", "model: no-such-model"),
    "408": ("timeout_error", "Too slow."),
    "409": ("conflict_error", "Conflict."),
    "429": ("rate_limit_error", "Too many requests."),
    "500": ("api_error", "Internal server error."),
    "503": ("api_error", "Not available."),
    "529": ("overloaded_error", "Overloaded."),
}


@functools.cache
def bomb():
    """Return 256 MiB of zeros, compressed; not at import, as this takes half a second."""
    return gzip.compress(bytes(1 << 28))


# Replies with status 200 that are not answers: body, or a function that returns it, and headers.
ODD = {
    "garbage": ("\x00\xff<html>", {}),
    "list": ("[1, 2]", {}),
    "brackets": ("[" * 200_000, {}),
    "strings": ('{"content": "abc", "choices": "abc", "usage": [1]}', {}),
    "bomb": (bomb, {"content-encoding": "gzip"}),
    "error_200": ('{"error": {"code": 429, "message": "Rate limit exceeded upstream"}}', {}),
    "html": ("<!doctype html><title>Sign in</title>", {"content-type": "text/html"}),
    "empty": ("", {}),
    "null_choices": ('{"id": "c1", "object": "chat.completion", "choices": null}', {}),
    "packed": ("x" * 100, {"content-encoding": "br"}),
}


def rate(question):
    """Return the ratings of a question's candidates, 0 to 99, by number."""
    history = json.dumps(question["history"])
    return {
        number: int(hashlib.sha256((history + text).encode()).hexdigest(), 16) % 100
        for number, text in question["candidates"].items()
    }


class State:
    def __init__(self, settings):
        self.settings = dict(SETTINGS)
        self.configure({"slots": None, **settings})
        self.batches = {}
        self.started = time.monotonic()
        self.reset()

    def configure(self, settings):
        self.settings |= settings
        if "slots" in settings:
            self.slots = asyncio.Semaphore(settings["slots"] or 1_000_000)

    def reset(self):
        self.requests = {}  # number of requests by path
        self.questions = {}  # number of requests by text
        self.statuses = {}
        self.items = 0
        self.tokens = [0, 0]  # of all answers, including those that never arrive
        self.keys = []
        self.in_flight = self.max_in_flight = 0
        self.last = None
        self.random = random.Random(self.settings["seed"])
        self.window = []

    def fault(self, text):
        for part, kind in self.settings["always"].items():
            if part in text:
                return kind
        if self.settings["script"]:
            return self.settings["script"].pop(0)
        return self.draw(self.settings["faults"])

    def draw(self, faults):
        drawn = self.random.random()
        for kind, share in faults.items():
            drawn -= share
            if drawn < 0:
                return kind
        return None

    def stats(self):
        names = ("requests", "questions", "statuses", "items", "keys", "max_in_flight", "last")
        names += ("tokens",)
        return {name: getattr(self, name) for name in names} | {"batches": len(self.batches)}


def question_of(body):
    content = body["messages"][-1]["content"]
    text = content if isinstance(content, str) else "".join(part["text"] for part in content)
    return text, json.loads(text)


def answer_text(state, body, question, kind):
    ratings = rate(question)
    if kind == "years":
        ratings = dict.fromkeys(ratings, 1994)
    if state.settings["by_position"]:
        ratings = {number: min(4 * place, 99) for place, number in enumerate(ratings)}
    if "`ranking`" in json.dumps(body):  # the system prompt asks for one
        ranking = sorted(ratings, key=ratings.get, reverse=True)
        ratings = {"ranking": [int(number) for number in ranking]}
        if kind == "missing":
            ratings["ranking"].pop()
        elif kind == "out_of_range":
            ratings["ranking"][0] = 1000
    elif kind == "missing":
        ratings.popitem()
    elif kind == "out_of_range":
        ratings[next(iter(ratings))] = 1000
    text = json.dumps(ratings)
    if kind == "truncated":
        text = text[: len(text) // 2]
    elif kind == "broken":
        text = "I would rather talk about something else."
    return text


def message(state, body, kind):
    """Return a message of the Messages API."""
    text, question = question_of(body)
    count(state, text, question)
    refused = kind == "refusal"
    answer = "" if refused else answer_text(state, body, question, kind)
    stop = {"refusal": "refusal", "truncated": "max_tokens"}.get(kind, "end_turn")
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": state.settings["model"] or body["model"],
        "content": [{"type": "text", "text": answer}],
        "stop_reason": stop,
        "stop_sequence": None,
        "usage": told(
            state, {"input_tokens": len(text) // 4 + 20, "output_tokens": 6 * len(rate(question))}
        ),
    }


def count(state, text, question):
    """Bill an answer."""
    state.tokens[0] += len(text) // 4 + 20
    state.tokens[1] += 6 * len(rate(question))


def told(state, usage):
    """Return the reported usage: a dict in the settings replaces some of the numbers."""
    wrong = state.settings["usage"]
    return usage | wrong if isinstance(wrong, dict) else usage if wrong is None else wrong


def completion(state, body, kind):
    """Return a completion of the chat completions API."""
    text, question = question_of(body)
    count(state, text, question)
    answer = answer_text(state, body, question, kind)
    if state.settings["prose"]:
        answer = f"Let me think {{about}} it.\n```json\n{answer}\n```\nAnything else?"
    refused = kind == "refusal"
    if state.settings["parts"]:
        thoughts = {"type": "thinking", "thinking": [{"type": "text", "text": '{"1": 5}'}]}
        answer = [thoughts, {"type": "text", "text": answer}]
    reply = {"role": "assistant", "content": None if refused else answer}
    reply["refusal"] = "No." if refused else None
    used = {"prompt_tokens": len(text) // 4 + 20, "completion_tokens": 6 * len(rate(question))}
    return {
        "id": "c1",
        "object": "chat.completion",
        "created": 0,
        "model": state.settings["model"] or body["model"],
        "choices": [
            {
                "index": 0,
                "message": reply,
                "finish_reason": "length" if kind == "truncated" else "stop",
            }
        ],
        "usage": told(state, {**used, "total_tokens": sum(used.values())}),
    }


def batch_item(state, params):
    text, _ = question_of(params)
    state.questions[text] = state.questions.get(text, 0) + 1
    state.items += 1
    script = state.settings["batch_script"]
    kind = script.pop(0) if script else state.draw(state.settings["batch_faults"])
    if kind in ("expired", "canceled"):
        return {"type": kind}
    if kind in ("errored", "invalid"):
        name = "api_error" if kind == "errored" else "invalid_request_error"
        error = {"type": name, "message": "It went wrong."}
        return {"type": "errored", "error": {"type": "error", "error": error, "request_id": None}}
    return {"type": "succeeded", "message": message(state, params, kind)}


def describe(batch):
    now = time.time()
    ended = now >= batch["ends"]
    counts = dict.fromkeys(("processing", "succeeded", "errored", "canceled", "expired"), 0)
    for result in batch["results"].values():
        counts[result["type"] if ended else "processing"] += 1
    created = datetime.fromtimestamp(batch["created"], timezone.utc)
    stamp = created.isoformat().replace("+00:00", "Z")
    expires = (created + timedelta(days=1)).isoformat().replace("+00:00", "Z")
    return {
        "id": batch["id"],
        "type": "message_batch",
        "processing_status": "ended" if ended else "in_progress",
        "request_counts": counts,
        "created_at": stamp,
        "expires_at": expires,
        "ended_at": stamp if ended else None,
        "archived_at": None,
        "cancel_initiated_at": None,
        "results_url": f"/v1/messages/batches/{batch['id']}/results" if ended else None,
    }


class Server:
    """A server on one port, which can open others in the same process."""

    def __init__(self, settings):
        self.state = State(settings)
        self.others = {}  # by port
        self.connections = set()

    async def open(self):
        """Start listening; return the port."""
        port = self.state.settings["port"]
        self.server = await asyncio.start_server(self.connect, "127.0.0.1", port, limit=2**29)
        return self.server.sockets[0].getsockname()[1]

    def close(self):
        """Stop listening and break all connections."""
        self.server.close()
        for connection in self.connections:
            connection.cancel()

    async def open_another(self, settings):
        other = Server(settings)
        port = await other.open()
        self.others[port] = other
        return port

    async def connect(self, reader, writer):
        connection = asyncio.current_task()
        self.connections.add(connection)
        try:
            await self.serve(reader, writer)
        finally:
            self.connections.discard(connection)

    async def serve(self, reader, writer):
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                line, *fields = head.split("\r\n")
                headers = {
                    name.lower(): value.strip()
                    for name, _, value in (field.partition(":") for field in fields)
                }
                data = await reader.readexactly(int(headers.get("content-length", 0)))
                verb, target, _ = line.split(" ")
                body = json.loads(data) if data else None
                await self.respond(writer, verb, target, headers, body)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def respond(self, writer, verb, target, headers, body):
        state, (path, _, query) = self.state, target.partition("?")
        if path.startswith("/control/"):
            return self.write(writer, 200, await self.control(path, body))
        state.requests[path] = state.requests.get(path, 0) + 1
        state.last = {"headers": headers, "body": body}
        key = headers.get("x-api-key") or headers.get("authorization", "").removeprefix("Bearer ")
        if key not in state.keys:
            state.keys.append(key)
        if key == "wrong-key" or not (key or path.endswith("completions")):
            return self.error(writer, path, "401", key)
        if path == "/v1/messages/batches" or path.startswith("/v1/messages/batches/"):
            return self.batches(writer, verb, path, query, body)
        if path == "/v1/messages/count_tokens":
            kind = state.fault(json.dumps(body))
            if kind in STATUS:
                return self.error(writer, path, kind, key)
            n_tokens = len(json.dumps(body)) // 4
            return self.write(writer, 200, {"input_tokens": n_tokens})
        if path not in ("/v1/messages", "/v1/chat/completions"):
            return self.error(writer, path, "404", key)
        self.note("asked", question_of(body)[0])
        if time.monotonic() - state.started < state.settings["loading"]:
            error = {"code": 503, "message": "Loading model", "type": "unavailable_error"}
            return self.write(writer, 503, {"error": error})
        state.in_flight += 1
        state.max_in_flight = max(state.max_in_flight, state.in_flight)
        try:
            await self.live(writer, path, body, key)
        finally:
            state.in_flight -= 1

    async def live(self, writer, path, body, key):
        state, settings = self.state, self.state.settings
        if path.endswith("completions") and "response_format" in body:
            if not settings["json_schema"]:
                return self.error(writer, path, "400", key, "response_format is not supported")
            bounded = "minimum" in json.dumps(body["response_format"])
            if bounded and settings["bounds"] == "refused":
                return self.error(writer, path, "400", key, "'minimum' is not permitted")
            years = not bounded and settings["bounds"] == "needed"
        elif path == "/v1/messages" and "schema" not in body["output_config"]["format"]:
            return self.error(writer, path, "400", key)
        else:
            years = False
        text, _ = question_of(body)
        n_tokens = len(json.dumps(body["messages"])) // 4
        if settings["context"] and n_tokens > settings["context"]:
            error = {
                "code": 400,
                "message": "the request exceeds the available context size, try increasing it",
                "type": "exceed_context_size_error",
                "n_prompt_tokens": n_tokens,
                "n_ctx": settings["context"],
            }
            return self.write(writer, 400, {"error": error})
        state.questions[text] = state.questions.get(text, 0) + 1
        kind = state.fault(text) or ("years" if years else None)
        if settings["requests_per_second"]:
            now = time.time()
            state.window = [t for t in state.window if t > now - 1]
            if len(state.window) >= settings["requests_per_second"]:
                kind = "429"
            else:
                state.window.append(now)
        async with state.slots:
            await asyncio.sleep(settings["slow"] if kind == "slow" else settings["delay"])
        state.statuses[str(kind)] = state.statuses.get(str(kind), 0) + 1
        if kind in settings["custom"]:
            count(state, text, question_of(body)[1])
            return self.write(writer, *settings["custom"][kind])
        if kind in STATUS:
            return self.error(writer, path, kind, key)
        if kind == "reset_before":
            writer.transport.abort()
            raise ConnectionError
        make = message if path == "/v1/messages" else completion
        if kind in ODD:
            make(state, body, None)
            odd, headers = ODD[kind]
            return self.write(writer, 200, odd() if callable(odd) else odd, headers)
        answer = make(state, body, kind)
        self.note("answered", text)
        self.write(writer, 200, answer, broken=kind == "reset")

    def note(self, what, text):
        """Write an event to the journal, which is read after this process is killed."""
        if self.state.settings["journal"]:
            with open(self.state.settings["journal"], "a", encoding="utf-8") as journal:
                journal.write(json.dumps([what, text]) + "\n")

    def batches(self, writer, verb, path, query, body):
        state = self.state
        if verb == "POST" and path == "/v1/messages/batches":
            fault, state.settings["batch_post_fault"] = state.settings["batch_post_fault"], None
            if fault in STATUS:
                return self.error(writer, path, fault, "")
            names = [item["custom_id"] for item in body["requests"]]
            wrong = [name for name in names if not re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", name)]
            if wrong or len(set(names)) < len(names):
                return self.error(writer, path, "400", "")
            results = {i["custom_id"]: batch_item(state, i["params"]) for i in body["requests"]}
            now = time.time()
            batch = {
                "id": f"msgbatch_{len(state.batches)}",
                "created": now,
                "ends": now + state.settings["batch_delay"],
                "results": results,
            }
            state.batches[batch["id"]] = batch
            return self.write(writer, 200, describe(batch), broken=fault == "lost")
        if path == "/v1/messages/batches":
            after = re.search(r"after_id=([^&]*)", query)
            listed = list(state.batches.values())[::-1]
            if after:
                names = [batch["id"] for batch in listed]
                listed = listed[names.index(after[1]) + 1 :]
            page, more = listed[:2], len(listed) > 2
            return self.write(
                writer,
                200,
                {
                    "data": [describe(batch) for batch in page],
                    "has_more": more,
                    "first_id": page[0]["id"] if page else None,
                    "last_id": page[-1]["id"] if page else None,
                },
            )
        name, _, part = path.removeprefix("/v1/messages/batches/").partition("/")
        batch = state.batches.get(name)
        if batch is None:
            return self.error(writer, path, "404", "")
        if part == "results":
            entries = [{"custom_id": k, "result": r} for k, r in batch["results"].items()]
            random.Random(name).shuffle(entries)
            lines = "".join(json.dumps(entry) + "\n" for entry in entries)
            broken = state.settings["broken_results"] > 0
            state.settings["broken_results"] -= broken
            return self.write(writer, 200, lines, broken=broken)
        return self.write(writer, 200, describe(batch))

    async def control(self, path, body):
        if path == "/control/open":
            return await self.open_another(body)
        if path == "/control/close":
            return self.others.pop(body["port"]).close()
        if path == "/control/config":
            self.state.configure(body)
        elif path == "/control/forget":
            self.state.batches.clear()
        elif path == "/control/reset":
            self.state.reset()
        return self.state.stats()

    def error(self, writer, path, kind, key, text=None):
        name, default = STATUS[kind]
        text = text or default
        if self.state.settings["echo_key"]:
            text += f" The key was {key}."
        error = {"type": name, "message": text}
        if path.endswith("completions"):
            body = {"error": {**error, "param": None, "code": None}}
        else:
            body = {"type": "error", "error": error, "request_id": "req_1"}
        hint = {"retry-after": str(self.state.settings["retry_after"])} if kind == "429" else {}
        self.write(writer, int(kind), body, hint)

    def write(self, writer, status, body, headers=None, *, broken=False):
        data = body
        if not isinstance(body, bytes):
            data = (body if isinstance(body, str) else json.dumps(body)).encode()
        fields = {"content-type": "application/json", "content-length": len(data)}
        fields |= headers or {}
        head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        writer.write(f"HTTP/1.1 {status} X\r\n{head}\r\n".encode())
        if broken:
            writer.write(data[: len(data) // 2])
            writer.close()
            raise ConnectionError
        writer.write(data)


class Service:
    """A server as seen from a test."""

    def __init__(self, port):
        self.port = port

    @property
    def url(self):
        """The address of the server."""
        return f"http://127.0.0.1:{self.port}"

    def _control(self, name, settings=None):
        data = json.dumps(settings or {}).encode()
        request = urllib.request.Request(f"{self.url}/control/{name}", data, method="POST")
        with urllib.request.urlopen(request, timeout=30) as response:
            return json.load(response)

    def stats(self):
        """Return counts of requests, prompts, tokens and so on."""
        return self._control("stats")

    def configure(self, **settings):
        """Change settings."""
        self._control("config", settings)

    def reset(self):
        """Reset all counts; batches are kept."""
        self._control("reset")

    def forget_batches(self):
        """Forget all batches, as a service does after some weeks."""
        self._control("forget")


class LLMServer(Service):
    """A server in a process of its own; a context manager."""

    def __init__(self, **settings):
        self._settings = settings
        self.start()

    def start(self, **settings):
        """Start the process; after `kill`, again on the same port."""
        self._settings |= settings
        command = [sys.executable, __file__, json.dumps(self._settings)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        super().__init__(int(self._process.stdout.readline()))
        self._settings["port"] = self.port

    def kill(self):
        """Kill the process, as by `kill -9`: requests in flight are never answered."""
        self._process.kill()
        self._process.wait()
        self._process.stdout.close()

    @contextmanager
    def another(self, **settings):
        """Open another server in the same process, with settings and counts of its own."""
        service = Service(self._control("open", settings))
        try:
            yield service
        finally:
            self._control("close", {"port": service.port})

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()


async def main(settings):
    """Serve until the process is killed."""
    server = Server(settings)
    print(await server.open(), flush=True)
    await server.server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.argv[1])))
