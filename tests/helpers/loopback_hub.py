"""A server on the loopback interface that speaks the part of the hub's API that a push needs."""

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Hub:
    """What it was sent.

    Attributes:
        url: Its address.
        refuses: Status with which every request is refused; 0 for none.
        private: By repository.
        files: Content by path, of the one repository, as of its last commit.
        objects: What was uploaded by its hash, before a commit names it.
        tokens: Those that requests came with.
    """

    url: str = ""
    refuses: int = 0
    private: dict[str, bool] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    objects: dict[str, bytes] = field(default_factory=dict)
    tokens: set[str] = field(default_factory=set)


def _answer(hub: Hub, path: str, body: bytes) -> tuple[int, object]:
    """Return status and JSON of a POST."""
    if path == "/api/repos/create":
        made = json.loads(body)
        name = f"{made['organization']}/{made['name']}"
        known = name in hub.private
        hub.private.setdefault(name, made.get("private") or made.get("visibility") == "private")
        return 409 if known else 200, {"url": f"{hub.url}/{name}", "id": name, "name": name}
    if path == "/api/validate-yaml":
        return 200, {"errors": [], "warnings": []}
    if "/preupload/" in path:
        files = json.loads(body)["files"]
        return 200, {
            "files": [
                {
                    "path": file["path"],
                    "uploadMode": "lfs" if file["path"].endswith(".safetensors") else "regular",
                    "shouldIgnore": False,
                    "oid": None,
                }
                for file in files
            ]
        }
    if path.endswith("/info/lfs/objects/batch"):
        objects = json.loads(body)["objects"]
        return 200, {
            "transfer": "basic",
            "objects": [
                {**one, "actions": {"upload": {"href": f"{hub.url}/lfs/{one['oid']}"}}}
                for one in objects
            ],
        }
    if "/commit/" in path:
        repo = path.removeprefix("/api/models").partition("/commit/")[0]
        for line in map(json.loads, body.splitlines()):
            value = line["value"]
            if line["key"] == "file":
                hub.files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                hub.files[value["path"]] = hub.objects[value["oid"]]
        return 200, {
            "success": True,
            "commitOid": "a" * 40,
            "commitUrl": f"{hub.url}{repo}/commit/{'a' * 40}",
        }
    return 404, {"error": f"no {path}"}


@contextmanager
def loopback_hub() -> Iterator[Hub]:
    """Yield a hub that is empty."""
    hub = Hub()

    class Handler(BaseHTTPRequestHandler):
        def _send(self, status: int, found: object) -> None:
            data = json.dumps(found).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def _body(self) -> bytes:
            hub.tokens.add(str(self.headers["Authorization"]))
            if self.headers.get("Transfer-Encoding") == "chunked":
                found = b""
                while size := int(self.rfile.readline(), 16):
                    found += self.rfile.read(size)
                    self.rfile.readline()
                self.rfile.readline()
                return found
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))

        def do_POST(self) -> None:
            body = self._body()
            if hub.refuses:
                self._send(hub.refuses, {"error": "not for you"})
            else:
                self._send(*_answer(hub, self.path, body))

        def do_PUT(self) -> None:
            hub.objects[self.path.rpartition("/")[2]] = self._body()
            self._send(200, {})

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hub.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
