#!/usr/bin/env bash
# anthropic 2.14.0 sends API keys as "Authorization: Bearer KEY" without an x-api-key header, both for
# the argument api_key and for the environment variable ANTHROPIC_API_KEY. Gateways, proxies and mock
# servers that expect x-api-key, as sent by older clients, answer 401 to a valid key.
# Seen: {'api_key=': ('Bearer sk-mine', None), 'ANTHROPIC_API_KEY': ('Bearer sk-mine', None)}
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check anthropic==2.14.0
"$folder/venv/bin/python" - <<'PYTHON'
import json
import os
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import anthropic

seen = []


class Service(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        seen.append((self.headers.get("authorization"), self.headers.get("x-api-key")))
        answer = {
            "id": "msg_1", "type": "message", "role": "assistant", "model": "m",
            "content": [{"type": "text", "text": "Hello."}], "stop_reason": "end_turn",
            "stop_sequence": None, "usage": {"input_tokens": 1, "output_tokens": 1},
        }
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


server = HTTPServer(("127.0.0.1", 0), Service)
threading.Thread(target=server.serve_forever, daemon=True).start()
address = f"http://127.0.0.1:{server.server_address[1]}"


def ask(**settings):
    client = anthropic.Anthropic(base_url=address, max_retries=0, **settings)
    client.messages.create(
        model="m", max_tokens=5, messages=[{"role": "user", "content": "Hello?"}]
    )
    return seen[-1]


os.environ.pop("ANTHROPIC_API_KEY", None)
found = {"api_key=": ask(api_key="sk-mine")}
os.environ["ANTHROPIC_API_KEY"] = "sk-mine"
found["ANTHROPIC_API_KEY"] = ask()
print(anthropic.__version__, found)
assert set(found.values()) == {("Bearer sk-mine", None)}, found
PYTHON
