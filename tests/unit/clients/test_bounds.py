"""Replies have a time and a size, and whoever interrupts the work does not wait for them."""

import gzip
import os
import signal
import socket
import subprocess
import sys
import threading
import zlib
from pathlib import Path

import pytest
from as_they_come import listed
from loopback_api import ask, raw_server, reply

from trimtab.clients import _line
from trimtab.core.errors import JudgeError

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


def drip_head(connection: socket.socket, ended: threading.Event) -> None:
    connection.sendall(HEAD)
    while not ended.wait(0.02):
        connection.sendall(b"x")


def drip_body(connection: socket.socket, ended: threading.Event) -> None:
    connection.sendall(HEAD + b"Content-Length: 100000\r\n\r\n")
    while not ended.wait(0.02):
        connection.sendall(b" ")


def drip_chunks(connection: socket.socket, ended: threading.Event) -> None:
    connection.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
    while not ended.wait(0.02):
        connection.sendall(b"1\r\n \r\n")


def drip_to_the_end(connection: socket.socket, ended: threading.Event) -> None:
    connection.sendall(HEAD + b"\r\n" + reply("yes")[2].encode())
    while not ended.wait(0.02):
        connection.sendall(b" ")


def say_nothing(connection: socket.socket, ended: threading.Event) -> None:
    ended.wait()


@pytest.mark.parametrize("talk", [drip_head, drip_body, drip_chunks, drip_to_the_end, say_nothing])
def test_a_reply_has_a_deadline_however_it_comes(client, talk) -> None:
    with raw_server(talk) as url:
        chat = client(
            url, timeout_s=0.3, max_retries=1, price={"input": 1, "output": 1}, max_dollars=1
        )
        with pytest.raises(JudgeError, match=r"no whole reply within 0\.3 s"):
            listed(chat.complete(ask("x"), 5))
    (account,) = chat.ledger.accounts()
    assert account.requests == 2 and account.unsure == account.dollars > 0, "it may be billed"


def test_a_late_reply_spoils_no_later_one(serve) -> None:
    slow = threading.Event()

    def respond(content, earlier):
        if content == "0" and earlier == 0:
            slow.wait(1.0)
        return reply("y")

    chat, _ = serve(respond, timeout_s=0.3, num_parallel=1)
    assert listed(chat.complete(ask("0", "1", "2"), 5)) == ["y", "y", "y"]


def packed(text: bytes, how: str) -> bytes:
    return gzip.compress(text) if how == "gzip" else zlib.compress(text)


@pytest.mark.parametrize("how", ["gzip", "deflate"])
def test_packed_replies_are_read_and_bombs_are_not(serve, monkeypatch, how) -> None:
    monkeypatch.setattr(_line, "MOST_BYTES", 1 << 20)
    texts = {
        "good": reply("y")[2].encode(),
        "bomb": b" " * (1 << 22),
        "torn": reply("y")[2].encode(),
    }

    def respond(content, earlier):
        data = packed(texts[content], how)
        return 200, {"Content-Encoding": how}, data[:-9] if content == "torn" else data

    chat, _ = serve(respond, max_retries=0)
    assert listed(chat.complete(ask("good"), 5)) == ["y"]
    for content, why in {"bomb": "unpacks to more than 1 MiB", "torn": "damaged"}.items():
        with pytest.raises(JudgeError, match=why):
            listed(chat.complete(ask(content), 5))


def test_a_reply_without_end_is_left(client, monkeypatch) -> None:
    monkeypatch.setattr(_line, "MOST_BYTES", 1 << 20)

    def flood(connection: socket.socket, ended: threading.Event) -> None:
        connection.sendall(HEAD + b"\r\n")
        while not ended.is_set():
            connection.sendall(b" " * 65536)

    with raw_server(flood) as url:
        chat = client(url, max_retries=0)
        with pytest.raises(JudgeError, match="more than 1 MiB"):
            listed(chat.complete(ask("x"), 5))


def test_an_encoding_that_nobody_asked_for_is_refused(serve) -> None:
    chat, _ = serve(lambda *_: (200, {"Content-Encoding": "br"}, b"x"), max_retries=0)
    with pytest.raises(JudgeError, match="compressed as 'br'"):
        listed(chat.complete(ask("x"), 5))


_ASKS = """
import signal
import sys
from pathlib import Path
from trimtab.clients.budget import Ledger
from trimtab.clients.http import HttpChat
from trimtab.core.spec import Endpoint
from trimtab.core.types import Message
endpoint = Endpoint(base_url=sys.argv[1], model="m", api_key_env=None, price="free", timeout_s=3600)
chat = HttpChat(endpoint, Ledger(Path(sys.argv[2])))
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in a shell's background
try:
    list(chat.complete([(Message(role="user", content="x"),)], 1))
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""


def test_an_interrupt_waits_for_no_server(tmp_path: Path) -> None:
    asked = threading.Event()

    def talk(connection: socket.socket, ended: threading.Event) -> None:
        asked.set()
        ended.wait()

    environment = {**os.environ, "NO_PROXY": "127.0.0.1", "PYTHONPATH": os.pathsep.join(sys.path)}
    with raw_server(talk) as url:
        command = [sys.executable, "-c", _ASKS, url, str(tmp_path / "spend.jsonl")]
        with subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, text=True
        ) as process:
            assert asked.wait(60)
            process.send_signal(signal.SIGINT)
            said, _ = process.communicate(timeout=60)  # the server would be waited for an hour
    assert (said, process.returncode) == ("interrupted\n", 0)
    assert '"kind":"settle"' in (tmp_path / "spend.jsonl").read_text()
