"""An OpenAI-compatible server on the loopback interface that answers as a test says."""

import json
import math
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from trimtab.core.types import Message

Answer = tuple[int, dict[str, str], str | bytes]


def prompt_of(body: dict) -> str:
    """Return what a request asks."""
    return body["prompt"] if "prompt" in body else body["messages"][-1]["content"]


def ask(*texts: str) -> list[tuple[Message, ...]]:
    """Return one prompt per text."""
    return [(Message(role="user", content=text),) for text in texts]


def reply(content: object, top: dict[str, float] | None = None, **more: object) -> Answer:
    """Return a whole reply, with log-probabilities if ``top`` gives probabilities."""
    message = {"role": "assistant", "content": content, **more}
    choice = {"index": 0, "finish_reason": "stop", "message": message}
    if top is not None:
        tokens = [{"token": t, "logprob": math.log(p), "bytes": None} for t, p in top.items()]
        choice["logprobs"] = {"content": [{**tokens[0], "top_logprobs": tokens}]}
    body = {"id": "1", "object": "chat.completion", "created": 1, "model": "judge-1"}
    return 200, {}, json.dumps({**body, "choices": [choice]})


@contextmanager
def loopback(respond: Callable[[str, int], Answer]) -> Iterator[tuple[str, list]]:
    """Yield the server's address and what it has seen: path, body and key of each request.

    ``respond`` is given the prompt, and how often it was asked before.
    """
    seen: list[tuple[str, dict, str]] = []
    lock = threading.Lock()

    def do_post(handler: BaseHTTPRequestHandler) -> None:
        body = json.loads(handler.rfile.read(int(handler.headers["Content-Length"])))
        content = prompt_of(body)
        with lock:
            seen.append((handler.path, body, handler.headers["Authorization"]))
            earlier = sum(prompt_of(b) == content for _, b, _ in seen) - 1
        status, headers, text = respond(content, earlier)
        data = text if isinstance(text, bytes) else text.encode()
        handler.send_response(status)
        for name, value in {"Content-Type": "application/json", **headers}.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        with suppress(OSError):  # the client may have read enough
            handler.wfile.write(data)

    kind = type(
        "Handler", (BaseHTTPRequestHandler,), {"do_POST": do_post, "log_message": lambda *a: 0}
    )
    server = ThreadingHTTPServer(("127.0.0.1", 0), kind)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1", seen
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def raw_server(talk: Callable[[socket.socket, threading.Event], None]) -> Iterator[str]:
    """Yield the address of a server that talks on each connection as ``talk`` does, until ended."""
    ended = threading.Event()
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while not ended.is_set():
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=run, args=(connection,), daemon=True).start()

    def run(connection: socket.socket) -> None:
        with connection, suppress(OSError):  # the client may have left
            connection.recv(65536)
            talk(connection, ended)

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
    finally:
        ended.set()
        listener.close()
