"""The connection that one thread asks an API through: whole replies, within a time and a size.

A read that waits can't be told to stop, and a server that sends a byte now and then never lets it
time out. So the connection is cut from outside: by a timer when the reply is late, and by whoever
ends the work.
"""

from __future__ import annotations

import functools
import json
import socket
import threading
import zlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from trimtab.core.errors import JudgeError
from trimtab.core.lazy import lazy

if TYPE_CHECKING:
    import httpx2
else:
    httpx2 = lazy("httpx2")

MOST_BYTES = 16 * 2**20
"""Longest reply that is read; a million tokens of text take a quarter of it."""

_LONGEST_CONNECT_S = 15.0
_WINDOW_BITS = {"gzip": 31, "x-gzip": 31, "deflate": 15}


@dataclass(frozen=True)
class Answer:
    """What a server sent: status, headers by lower-case name, and the decoded content."""

    status: int
    headers: Mapping[str, str]
    content: bytes


class NoAnswer(Exception):
    """A request brought no whole reply.

    Attributes:
        unbilled: Whether it is certain that the server did no work for it.
    """

    def __init__(self, what: str, *, unbilled: bool = False) -> None:
        """Say what happened, as the rest of a sentence about the server."""
        super().__init__(what)
        self.unbilled = unbilled


class Line:
    """A connection that is kept from one request to the next; for one thread, but for ``cut``."""

    def __init__(self, base_url: str, key: str | None, timeout_s: float) -> None:
        """Connect to nothing yet.

        Args:
            base_url: Address that paths are added to.
            key: Sent as a bearer token; None sends none.
            timeout_s: Longest wait for one whole reply, in seconds.
        """
        self._base_url, self._key, self._timeout_s = base_url, key, timeout_s
        self._client: httpx2.Client | None = None
        self._turn = threading.Lock()
        self._stream: Any = None
        self._request = 0
        self._is_late = self._is_cut = False

    def post(self, path: str, body: Mapping[str, Any]) -> Answer:
        """Send ``body`` as JSON and return the whole answer, whatever its status.

        Raises:
            NoAnswer: There is none, it is late, or it is too long.
            JudgeError: Nothing can be sent to this address.
        """
        client = self._client = self._client or new_client(self._key, self._timeout_s)
        with self._turn:
            self._request += 1
            self._is_late = False
            timer = threading.Timer(self._timeout_s, self._give_up, (self._request,))
        timer.daemon = True
        timer.start()
        try:
            answer = self._ask(client, path, json.dumps(body).encode("ascii"))
        except (httpx2.InvalidURL, httpx2.UnsupportedProtocol, httpx2.LocalProtocolError) as error:
            raise JudgeError(f"Nothing can be sent to base_url: {error}.") from None
        except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.ProxyError) as error:
            raise NoAnswer(f"can't be reached: {error}", unbilled=True) from None
        except (httpx2.HTTPError, httpx2.StreamError, OSError) as error:
            late = self._is_late or isinstance(error, httpx2.TimeoutException)
            raise NoAnswer(self._late if late else f"broke off its reply ({error})") from None
        finally:
            timer.cancel()
            with self._turn:
                self._request += 1
        if self._is_late or self._is_cut:  # what looks whole may be what came before the cut
            raise NoAnswer(self._late)
        return answer

    def cut(self) -> None:
        """End the request that is under way, and every later one; any thread may call it."""
        with self._turn:
            self._is_cut = True
            _shut(self._stream)

    def close(self) -> None:
        """Close the connection."""
        if self._client is not None:
            self._client.close()

    @property
    def _late(self) -> str:
        return f"sent no whole reply within {self._timeout_s:g} s"

    def _ask(self, client: httpx2.Client, path: str, data: bytes) -> Answer:
        with client.stream(
            "POST", self._base_url + path, content=data, extensions={"trace": self._notice}
        ) as response:
            return Answer(response.status_code, dict(response.headers), _read(response))

    def _notice(self, event: str, about: Mapping[str, Any]) -> None:
        """Keep the newest layer of the connection: TLS takes the socket from the one below."""
        stream = about.get("return_value")
        if event.endswith(".complete") and hasattr(stream, "get_extra_info"):
            with self._turn:
                self._stream = stream
                if self._is_late or self._is_cut:
                    _shut(stream)

    def _give_up(self, request: int) -> None:
        with self._turn:
            if request == self._request:
                self._is_late = True
                _shut(self._stream)


def _shut(stream: Any) -> None:
    if stream is not None and (under := stream.get_extra_info("socket")) is not None:
        with suppress(OSError, ValueError):
            under.shutdown(socket.SHUT_RDWR)


def new_client(key: str | None, timeout_s: float) -> httpx2.Client:
    """Return a connection; raise JudgeError if none can be made here."""
    headers = {"Content-Type": "application/json", "Accept-Encoding": "identity"}
    if key is not None:
        headers["Authorization"] = f"Bearer {key}"
    try:
        return httpx2.Client(
            headers=headers,
            timeout=httpx2.Timeout(timeout_s, connect=min(timeout_s, _LONGEST_CONNECT_S)),
            verify=_certificates(),
            limits=httpx2.Limits(max_connections=1),
        )
    except (ImportError, OSError, ValueError) as error:
        raise JudgeError(
            f"No connection can be made: {error}.",
            hint="Check the environment's settings of proxies and certificates.",
        ) from None


@functools.cache
def _certificates() -> Any:
    return httpx2.create_ssl_context()


def _read(response: httpx2.Response) -> bytes:
    """Return the content as it was before it was compressed; raise NoAnswer if it is too long."""
    content = bytearray()
    for chunk in response.iter_raw():
        content += chunk
        if len(content) > MOST_BYTES:
            raise NoAnswer(f"sent a reply of more than {MOST_BYTES >> 20} MiB")
    encoding = response.headers.get("content-encoding", "").strip().lower()
    if encoding in ("", "identity"):
        return bytes(content)
    if encoding not in _WINDOW_BITS:
        raise NoAnswer(f"sent its reply compressed as {encoding[:20]!r}, which was not asked for")
    unpacker = zlib.decompressobj(_WINDOW_BITS[encoding])
    try:
        unpacked = unpacker.decompress(bytes(content), MOST_BYTES)
    except zlib.error as error:
        raise NoAnswer(f"sent a damaged reply ({error})") from None
    if not unpacker.eof and not unpacker.unconsumed_tail:
        raise NoAnswer("sent a damaged reply (it ends too early)")
    if unpacker.unconsumed_tail:
        raise NoAnswer(f"sent a reply that unpacks to more than {MOST_BYTES >> 20} MiB")
    return unpacked
