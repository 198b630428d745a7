"""A server that speaks Lambda's API on the loopback interface, bills, and fails as a test says.

Faults are drawn from what a script says for the next calls of a kind: see ``FAULTS``. Its clock may
be a test's own. It bills each started minute of each instance, from the launch to its real end.
"""

import json
import math
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

KEY = "secret_loopback_0123456789"
FAULTS = {
    "launch": ("500", "500 done", "429", "timeout", "timeout done", "twice", "no boot", "dearer",
               "unseen"),
    "list": ("500", "429", "timeout", "garbage", "partial"),
    "terminate": ("500", "429", "timeout", "timeout done", "ok and nothing"),
}  # fmt: skip
"""What may go wrong; ``done`` says that it took effect though the client is told otherwise."""

_UNSEEN_S = 45.0


@dataclass
class Rented:
    """An instance.

    Attributes:
        id: Its id.
        name: The tag.
        cents: Its price an hour.
        start: When it was launched.
        end: When it ended; None while it is there.
        boots: Whether it ever becomes active.
        seen: From when on it is listed.
    """

    id: str
    name: str
    cents: int
    start: float
    end: float | None = None
    boots: bool = True
    seen: float = 0.0


@dataclass
class Lambda:
    """What the server has and is to do.

    Attributes:
        now: Its clock.
        faults: By kind of call, what happens to the next ones; None is nothing.
        address: What instances have for an address.
        boot_s: How long an instance boots.
        hang_s: How long a call hangs that times out; longer than the client waits.
        pass_time: Told how many seconds of its clock a call that times out takes.
        cents: Price of the one type.
        rented: Every instance that ever was.
        calls: Every call, as ``GET /instances``.
        keys: Every key that was sent.
        met: How often each fault was met.
    """

    now: Callable[[], float] = time.time
    faults: dict[str, deque] = field(default_factory=lambda: {kind: deque() for kind in FAULTS})
    address: str = "127.0.0.1"
    boot_s: float = 0.0
    hang_s: float = 0.4
    pass_time: Callable[[float], None] = lambda seconds: None
    cents: int = 75
    rented: list[Rented] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    keys: set[str] = field(default_factory=set)
    met: Counter = field(default_factory=Counter)
    url: str = ""
    turn: threading.Lock = field(default_factory=threading.Lock)

    def alive(self) -> list[Rented]:
        """Return the instances that are there."""
        return [each for each in self.rented if each.end is None]

    def dollars(self, name: str) -> float:
        """Return what the instances of a name have cost."""
        mine = [each for each in self.rented if each.name == name]
        ends = [self.now() if each.end is None else each.end for each in mine]
        minutes = [math.ceil((e - m.start) / 60) for m, e in zip(mine, ends, strict=True)]
        return sum(m.cents * n / 6000 for m, n in zip(mine, minutes, strict=True))

    def fault(self, kind: str) -> str | None:
        """Take the next fault of a kind."""
        fault = self.faults[kind].popleft() if self.faults[kind] else None
        if fault is not None:
            self.met[f"{kind}: {fault}"] += 1
        return fault

    def types(self) -> dict:
        """Return what can be rented."""
        return {
            "gpu_1x_a10": _type("gpu_1x_a10", "A10 (24 GB PCIe)", self.cents, 1, ["us-east-1"]),
            "gpu_8x_h100": _type("gpu_8x_h100", "H100 (80 GB SXM5)", 2392, 8, []),
        }

    def launch(self, body: dict, fault: str | None) -> list[str]:
        """Launch what a request asks for, and return the ids."""
        cents = 2 * self.cents if fault == "dearer" else self.cents
        ids = []
        for _ in range(2 if fault == "twice" else 1):
            ids.append(f"i-{len(self.rented):04d}")
            seen = self.now() + (_UNSEEN_S if fault in ("unseen", "timeout done") else 0)
            self.rented.append(
                Rented(ids[-1], body["name"], cents, self.now(), None, fault != "no boot", seen)
            )
        return ids

    def listed(self) -> list[dict]:
        """Return the instances as the API does."""
        return [self._shown(each) for each in self.alive() if each.seen <= self.now()]

    def _shown(self, each: Rented) -> dict:
        active = each.boots and self.now() >= each.start + self.boot_s
        kind = {"name": "gpu_1x_a10", "price_cents_per_hour": each.cents}
        shown = {"id": each.id, "name": each.name, "instance_type": kind}
        shown |= {"status": "active" if active else "booting", "region": {"name": "us-east-1"}}
        return shown | ({"ip": self.address} if active else {})


def _type(name: str, gpu: str, cents: int, gpus: int, regions: list[str]) -> dict:
    specs = {"vcpus": 30 * gpus, "memory_gib": 200 * gpus, "storage_gib": 1400, "gpus": gpus}
    about = {"name": name, "description": f"{gpus}x {gpu}", "gpu_description": gpu}
    about |= {"price_cents_per_hour": cents, "specs": specs}
    return {
        "instance_type": about,
        "regions_with_capacity_available": [{"name": each, "description": ""} for each in regions],
    }


@contextmanager
def loopback_lambda(**settings: object) -> Iterator[Lambda]:
    """Serve; ``settings`` are those of ``Lambda``."""
    state = Lambda(**settings)

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *args: object) -> None:
            pass

        def do_GET(self) -> None:
            self.note()
            if self.path == "/instance-types":
                return self.data(state.types())
            fault = state.fault("list")
            if fault == "garbage":
                return self.send(200, '{"data": [{"name"')
            if fault is not None and self.failed(fault):
                return None
            with state.turn:
                listed = state.listed()
            return self.data(listed[:-1] if fault == "partial" else listed)

        def do_POST(self) -> None:
            self.note()
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            kind = self.path.rpartition("/")[2]
            fault = state.fault(kind)
            done = fault is None or fault not in ("500", "429", "timeout", "ok and nothing")
            with state.turn:
                answer = self.do(kind, body, fault) if done else {}
            if fault is not None and self.failed(fault):
                return None
            return self.data(answer)

        def do(self, kind: str, body: dict, fault: str | None) -> dict:
            if kind == "launch":
                ids = state.launch(body, fault)
                return {"instance_ids": ids[:1]}
            for each in state.alive():
                if each.id in body["instance_ids"]:
                    each.end = state.now()
            return {"terminated_instances": []}

        def failed(self, fault: str) -> bool:
            """Answer as a fault has it; return whether that was all."""
            if fault == "429":
                self.send(429, '{"error": {"code": "global/rate-limited"}}', "1")
            elif fault == "404":  # scripted alone: no fault that is drawn
                self.send(404, '{"error": {"code": "global/object-does-not-exist"}}')
            elif fault.startswith("500"):
                self.send(500, "<html>Internal Server Error</html>")
            elif fault.startswith("timeout"):
                state.pass_time(30.0)
                time.sleep(state.hang_s)
            else:
                return False
            return True

        def note(self) -> None:
            state.calls.append(f"{self.command} {self.path}")
            state.keys.add(self.headers["Authorization"])

        def data(self, data: object) -> None:
            self.send(200, json.dumps({"data": data}))

        def send(self, status: int, text: str, wait: str | None = None) -> None:
            with suppress(OSError):  # the client gave up waiting
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(text)))
                if wait is not None:
                    self.send_header("Retry-After", wait)
                self.end_headers()
                self.wfile.write(text.encode())

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    state.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
