"""A judge's server on the loopback interface that fails in every way a server can."""

import gzip
import hashlib
import json
import random
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

INPUT, OUTPUT = 1.0, 5.0  # dollars per million tokens

Talk = Callable[[socket.socket, bytes, random.Random], None]


class Server:
    """Answers each prompt, but for the faults that are drawn for its first tries.

    Attributes:
        fault: How it fails; None does not.
        share: Of the requests that fail.
        delivered: Whole replies by prompt.
        dollars: What a provider would bill for them, and for work that broke off.
    """

    def __init__(self, rng: random.Random) -> None:
        self.rng, self.lock = rng, threading.Lock()
        self.fault: str | None = None
        self.share = 0.0
        self.delivered: Counter[str] = Counter()
        self.dollars = 0.0
        self.url = ""

    def talk(self, connection: socket.socket) -> None:
        """Answer one request and hang up."""
        body = _request(connection)
        if body is None:
            return
        prompt = json.loads(body)["messages"][-1]["content"]
        with self.lock:
            failing = self.fault is not None and self.rng.random() < self.share
            fault = FAULTS[self.fault] if failing and self.fault is not None else None
            tokens = len(prompt) // 4 + 12
            if fault is None or self.fault in BILLED:
                self.dollars += (tokens * INPUT + OUTPUT) / 1e6
        good = _good(prompt, tokens)
        if fault is not None:
            fault(connection, good, self.rng)
            return
        with self.lock:
            self.delivered[prompt] += 1
        _send(connection, good)


def _request(connection: socket.socket) -> bytes | None:
    data = b""
    while b"\r\n\r\n" not in data:
        got = connection.recv(65536)
        if not got:
            return None
        data += got
    head, _, body = data.partition(b"\r\n\r\n")
    length = next(
        int(line.split(b":")[1])
        for line in head.split(b"\r\n")
        if b"content-length" in line.lower()
    )
    while len(body) < length:
        body += connection.recv(65536)
    return body


def _good(prompt: str, tokens: int) -> bytes:
    said = "Yes" if hashlib.sha256(prompt.encode()).digest()[0] % 2 else "No"
    message = {"role": "assistant", "content": said}
    usage = {"prompt_tokens": tokens, "completion_tokens": 1, "total_tokens": tokens + 1}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return json.dumps({"choices": [choice], "usage": usage}).encode()


def _send(connection: socket.socket, body: bytes, status: str = "200 OK", **headers: str) -> None:
    lines = {
        "Content-Type": "application/json",
        "Content-Length": str(len(body)),
        "Connection": "close",
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    connection.sendall(f"HTTP/1.1 {status}\r\n{head}\r\n".encode("latin-1") + body)


def _drip(connection: socket.socket, good: bytes, _: random.Random) -> None:
    for byte in b"HTTP/1.1 200 OK\r\nContent-Length: 400\r\n\r\n" + good:
        connection.sendall(bytes([byte]))
        time.sleep(0.15)


def _reset(connection: socket.socket, good: bytes, rng: random.Random) -> None:
    if rng.random() < 0.5:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n" + good[:40])
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def _status(*statuses: str, body: bytes = b"{}") -> Talk:
    return lambda c, _, rng: _send(c, body, rng.choice(statuses))


def _limited(connection: socket.socket, _: bytes, rng: random.Random) -> None:
    odd = ("nan", "-1", "inf", "1e9", "soon", "", "0.01", "Wed, 21 Oct 2015 07:28:00 GMT",
           "Fri, 99 Foo 99999 99:99:99", "1,5", "0x10", "9" * 400)  # fmt: skip
    _send(connection, b"{}", "429 Too Many Requests", Retry_After=rng.choice(odd))


def _bodies(*bodies: bytes, **headers: str) -> Talk:
    return lambda c, _, rng: _send(c, rng.choice(bodies), **headers)


def _cut(connection: socket.socket, good: bytes, rng: random.Random) -> None:
    _send(connection, good[: rng.randrange(len(good))])


def _bomb(connection: socket.socket, _: bytes, rng: random.Random) -> None:
    packed = gzip.compress(bytes(2**28), 9)
    if rng.random() < 0.5:
        packed = packed[: len(packed) // 2]
    _send(connection, packed, Content_Encoding="gzip")


def _encoded(connection: socket.socket, good: bytes, rng: random.Random) -> None:
    names = ("br", "zstd", "gzip", "deflate", "gzip, gzip", "x-unknown", "identity, gzip")
    if rng.random() < 0.7:
        _send(connection, good, Content_Encoding=rng.choice(names))
    else:  # not what the header says, or cut in the middle of a character
        data = good.decode().replace("Yes", "é€").replace("No", "é€")
        _send(connection, data.encode(rng.choice(("utf-16", "utf-32", "utf-8")))[:-3])


def _flood(connection: socket.socket, _: bytes, __: random.Random) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    for _ in range(40):
        connection.sendall(b"100000\r\n" + b" " * 2**20 + b"\r\n")


def _garbage(connection: socket.socket, _: bytes, rng: random.Random) -> None:
    connection.sendall(
        rng.choice(
            (b"", b"\0" * 99, b"HTTP/9.9 ??\r\n\r\n", b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 99999,
             b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", b"SSH-2.0-x\r\n",
             b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n", b"HTTP/1.1 204 No Content\r\n\r\n")
        )
    )  # fmt: skip


_ERRORS = tuple(
    json.dumps(body).encode()
    for body in (
        {"error": {"message": "overloaded", "code": 429}},
        {"error": "upstream is unavailable"},
        {"message": "internal server error"},
        {"choices": [], "error": {"code": "server_error"}},
        {"choices": [{"message": {"content": None}, "error": {"code": 503}}]},
    )
)
_NO_REPLY = (b"", b"null", b"[]", b"{}", b'{"choices": []}', b'{"choices": [{}]}', b'"Yes"',
             b"[" * 200_000, b'{"choices": ' + b"9" * 5000 + b"}", b'{"choices": [{"message": 3}]}',
             b"<html><body>Sign in</body></html>", b'{"choices": [{"message": {"con')  # fmt: skip

FAULTS: dict[str, Talk] = {
    "hang": lambda *_: time.sleep(4.0),
    "drip": _drip,
    "reset": _reset,
    "500s": _status("500 Error", "502 Bad", "503 No", "504 Late", "529 Over", body=b"<html>"),
    "429, odd Retry-After": _limited,
    "200 with an error": _bodies(*_ERRORS),
    "no reply in it": _bodies(*_NO_REPLY),
    "gzip bombs": _bomb,
    "cut JSON": _cut,
    "wrong encodings": _encoded,
    "floods": _flood,
    "garbage": _garbage,
}
BILLED = frozenset({"hang", "drip", "reset", "cut JSON", "wrong encodings"})
"""Where the model did its work before something broke."""


@contextmanager
def serving(rng: random.Random) -> Iterator[Server]:
    """Serve until the block ends."""
    server, over = Server(rng), threading.Event()
    listener = socket.create_server(("127.0.0.1", 0))

    def one(connection: socket.socket) -> None:
        with connection, suppress(OSError):  # who asked may have left
            connection.settimeout(10)
            server.talk(connection)

    def serve() -> None:
        while not over.is_set():
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=one, args=(connection,), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    server.url = f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
    try:
        yield server
    finally:
        over.set()
        listener.close()
