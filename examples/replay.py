"""A local server that implements the Messages API and replays recorded ratings."""

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread


def start_replay_server(slates, ratings):
    """Serve the recorded ratings of slates, live and in batches; return the URL."""
    recorded = {
        (slate.history_texts, text): round(99 * rating)
        for slate, rated in zip(slates, ratings, strict=True)
        for text, rating in zip(slate.candidate_texts, rated, strict=True)
    }
    batches = {}

    def message(question):
        asked = json.loads(question["messages"][-1]["content"])
        answer = {
            n: recorded[(*asked["history"],), t] for n, t in asked["candidates"].items()
        }
        text = json.dumps(answer)
        usage = {
            "input_tokens": len(json.dumps(question)) // 4,
            "output_tokens": len(text) // 3,
        }
        content = [{"type": "text", "text": text}]
        return {
            **{
                "id": "msg_0",
                "type": "message",
                "role": "assistant",
                "model": question["model"],
            },
            **{"content": content, "stop_reason": "end_turn", "usage": usage},
        }

    class Replay(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            if not self.path.startswith("/v1/messages/batches"):
                return self.reply(message(body))
            batches[f"msgbatch_{len(batches)}"] = [
                {
                    "custom_id": request["custom_id"],
                    "result": {"type": "succeeded", "message": message(request["params"])},
                }
                for request in body["requests"]
            ]
            self.reply(self.describe(list(batches)[-1]))

        def do_GET(self):
            name, _, part = (
                self.path.partition("?")[0]
                .removeprefix("/v1/messages/batches/")
                .partition("/")
            )
            if part == "results":
                self.reply("".join(json.dumps(entry) + "\n" for entry in batches[name]))
            elif name in batches:
                self.reply(self.describe(name))
            else:
                self.reply(
                    {"data": [], "has_more": False, "first_id": None, "last_id": None}
                )

        def describe(self, name):
            counts = dict.fromkeys(("processing", "errored", "canceled", "expired"), 0)
            when = "2026-01-01T00:00:00Z"
            return {
                **{"id": name, "type": "message_batch", "processing_status": "ended"},
                **{"created_at": when, "expires_at": when, "ended_at": when},
                "request_counts": {**counts, "succeeded": len(batches[name])},
                "results_url": f"/v1/messages/batches/{name}/results",
            }

        def reply(self, content):
            data = (content if isinstance(content, str) else json.dumps(content)).encode()
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Replay)
    Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}"
