"""A run's copy on a host: given what the run has, and brought back, verified both ways."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter

from trimtab.compute.ssh.copies import LEFT_OUT, Sums, differing, merge, sums
from trimtab.compute.ssh.hosts import Host
from trimtab.compute.ssh.link import Link
from trimtab.compute.ssh.state import Standing
from trimtab.core.errors import StoreError
from trimtab.core.files import make_dir

_SUMS = TypeAdapter(dict[str, tuple[int, str]])
_TRIES = 3


@dataclass(frozen=True)
class RemoteCopy:
    """One copy.

    Attributes:
        host: Its host.
        there: Its folder on the host.
        mirror: Where what the host has done is kept here, until it is merged.
    """

    host: Host
    there: str
    mirror: Path

    @classmethod
    def of(cls, run_dir: Path, host: Host) -> RemoteCopy:
        """Return where the copy of a run is; nothing is asked or copied yet."""
        name = hashlib.sha256(f"{host.address} {host.port} {host.folder}".encode()).hexdigest()[:8]
        path = hashlib.sha256(str(run_dir.resolve()).encode()).hexdigest()[:8]
        return cls(host, f"{host.folder}/{run_dir.name}-{path}", run_dir / "ssh" / name)

    def ask(self, what: str, *words: str) -> str:
        """Call ``trimtab ssh`` for the copy, and return what it says; errors as ``Link.ask``."""
        return Link(self.host).ask("ssh", what, self.there, *words)

    def look(self) -> Standing:
        """Return how the workers stand; errors as ``Link.ask``."""
        return Standing.model_validate_json(self.ask("look"))

    def push(self, run_dir: Path) -> None:
        """Copy the run to the host, and verify it.

        Raises:
            LostError: The connection could not be made, or broke.
            StoreError: Files differ however often they are copied.
        """
        for _ in range(_TRIES):
            Link(self.host).push(run_dir, self.there, LEFT_OUT)
            there = self._sums("--whole")
            here = sums(run_dir, whole=True)
            wrong = [name for name, has in here.items() if there.get(name) != has]
            if not wrong:
                return
        raise StoreError(
            f"{self.host.address}: {len(wrong)} files differ after {_TRIES} copies, such as "
            f"{wrong[0]}.",
            hint="Is its disk full, or does another process write there?",
        )

    def fetch(self, run_dir: Path) -> int:
        """Fetch what the host has done, verify and merge it; return how many files had news.

        Raises:
            LostError: The connection could not be made, or broke.
            StoreError: Files differ however often they are copied, or the run can't be written.
        """
        make_dir(self.mirror)
        for _ in range(_TRIES):
            expected = self._sums()
            Link(self.host).fetch(self.there, self.mirror, LEFT_OUT)
            wrong = differing(self.mirror, expected)
            # what a fit is about to replace may be gone; what is complete never changes
            made = {name.rpartition("/")[0] for name in expected if name.endswith("/artifact.json")}
            bad = [
                n for n in wrong if not n.startswith("artifacts/") or n.rpartition("/")[0] in made
            ]
            if not bad:
                whole = {name: has for name, has in expected.items() if name not in wrong}
                return merge(self.mirror, run_dir, whole)
        raise StoreError(
            f"{self.host.address}: {len(wrong)} files differ after {_TRIES} copies, such as "
            f"{wrong[0]}.",
            hint=f"They are in {self.mirror}; nothing of them was merged.",
        )

    def _sums(self, *words: str) -> Sums:
        return _SUMS.validate_python(json.loads(self.ask("sums", *words)))
