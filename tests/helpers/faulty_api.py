"""An OpenAI-compatible server that fails in every way that costs money, and keeps the bill.

It bills what a provider might: every request that it began to answer, whether or not the client
could read the answer. Each prompt fails once, in a way that its number decides, then succeeds.
"""

import json
import re
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

INPUT, OUTPUT = 1.0, 5.0  # dollars per million tokens
FAULTS = (
    "429", "error body", "500", "timeout", "malformed", "no choices", "no usage", "no text", None,
)  # fmt: skip


def number_in(content: str) -> int:
    """Return the last number of a prompt, which decides its fate."""
    return int(re.findall(r"\d+", content)[-1])


class FaultyApi:
    """What the server saw."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.tries: Counter[str] = Counter()
        self.delivered: Counter[str] = Counter()
        self.dollars = 0.0
        self.url = ""

    def fault(self, content: str) -> str | None:
        """Return how this try fails; ``content`` holds a number."""
        with self.lock:
            self.tries[content] += 1
            first = self.tries[content] == 1
        number = number_in(content)
        fault = FAULTS[number % len(FAULTS)]
        return fault if first or fault in ("no usage", "no text") else None

    def bill(self, content: str) -> dict:
        """Charge a request and return its usage."""
        tokens = len(content) // 4 + 12
        with self.lock:
            self.dollars += (tokens * INPUT + OUTPUT) / 1e6
        return {"prompt_tokens": tokens, "completion_tokens": 1, "total_tokens": tokens + 1}


def verdict(content: str) -> str:
    """What the judge behind the server says."""
    return "yes" if number_in(content) % 2 else "no"


@contextmanager
def faulty_api() -> Iterator[FaultyApi]:
    """Serve on the loopback interface."""
    api = FaultyApi()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *args: object) -> None:
            pass

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            content = body["messages"][-1]["content"]
            fault = api.fault(content)
            if fault == "429":
                return self.send(429, "{}", {"Retry-After": "0.05"})
            if fault == "error body":
                return self.send(200, '{"error": {"message": "overloaded", "code": 429}}')
            usage = api.bill(content)
            if fault == "500":
                return self.send(500, "{}", {"Retry-After": "0.05"})
            if fault == "timeout":
                time.sleep(1.5)
            if fault == "malformed":
                return self.send(200, '{"choices": [{"mess')
            if fault == "no choices":
                return self.send(200, json.dumps({"choices": [], "usage": usage}))
            with api.lock:
                api.delivered[content] += fault != "timeout"
            text = None if fault == "no text" else verdict(content)
            message = {"role": "assistant", "content": text}
            reply = {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}
            if fault != "no usage":
                reply["usage"] = usage
            return self.send(200, json.dumps(reply))

        def send(self, status: int, text: str, headers: dict[str, str] | None = None) -> None:
            try:
                self.send_response(status)
                for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text.encode())
            except OSError:
                pass  # the client gave up waiting

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    api.url = f"http://127.0.0.1:{server.server_port}/v1"
    try:
        yield api
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
