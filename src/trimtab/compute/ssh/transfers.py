"""A run's copy on a host: given what the run has, and brought back, verified both ways."""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pydantic import TypeAdapter

from trimtab.compute.ssh import noted
from trimtab.compute.ssh.artifacts import artifact_of, complete
from trimtab.compute.ssh.copies import LEFT_OUT, Sums, differing, merge, sums
from trimtab.compute.ssh.hosts import Host
from trimtab.compute.ssh.link import Link
from trimtab.compute.ssh.state import Standing
from trimtab.core.errors import HeldError, StoreError
from trimtab.core.files import make_dir, read_bytes
from trimtab.core.locks import locked
from trimtab.runs.store.create import HEAD, OLD_PLAN, fragment_file, is_run, not_a_run

_SUMS = TypeAdapter(dict[str, tuple[int, str]])
_TRIES = 3
_log = logging.getLogger(__name__)


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
        """Return where the copy of a run is; nothing is asked or copied yet.

        Another run in the folder of this one has another copy.

        Raises:
            StoreError: There is no run.
        """
        return cls.at(run_dir, host, f"{host.folder}/{_copy_name(run_dir)}")

    @classmethod
    def at(cls, run_dir: Path, host: Host, there: str) -> RemoteCopy:
        """Return the copy that was made in a folder of a host before; the run may be gone."""
        name = hashlib.sha256(f"{host.address} {host.port} {host.folder}".encode()).hexdigest()[:8]
        return cls(host, there, run_dir / "ssh" / name)

    def ask(self, what: str, *words: str) -> str:
        """Call ``trimtab ssh`` for the copy, and return what it says; errors as ``Link.ask``."""
        return Link(self.host).ask("ssh", what, self.there, *words)

    def look(self) -> Standing:
        """Return how the workers stand; errors as ``Link.ask``."""
        standing = Standing.model_validate_json(self.ask("look"))
        self._note(working=standing.running, asked=time.time())
        return standing

    def start(self, *words: str) -> None:
        """Start workers that outlive the connection; errors as ``Link.ask``."""
        self.ask("start", *words)
        self._note(working=True, asked=time.time())

    def push(self, run_dir: Path) -> int:
        """Copy the run to the host, and verify it; return how many files of the host had news.

        What the host has is fetched first: what nobody fetched before would be replaced.

        Raises:
            HeldError: Workers are there.
            LostError: The connection could not be made, or broke.
            StoreError: Files differ however often they are copied, or the run can't be written.
        """
        with self._alone():
            if self.look().running:
                raise HeldError(
                    f"Workers are at work on {self.host.address}, in {self.there}.",
                    hint=f"Wait for their end; `trimtab ssh stop {self.there}` there ends them.",
                )
            taken = self._bring(run_dir, at_rest=True)
            for _ in range(_TRIES):
                Link(self.host).push(run_dir, self.there, LEFT_OUT)
                there = self._sums("--whole")
                here = sums(run_dir, whole=True)
                wrong = [name for name, has in here.items() if there.get(name) != has]
                if not wrong:
                    return taken
        raise StoreError(
            f"{self.host.address}: {len(wrong)} files differ after {_TRIES} copies, such as "
            f"{wrong[0]}.",
            hint="Is its disk full, or does another process write there?",
        )

    def fetch(self, run_dir: Path) -> int:
        """Fetch what the host has done, verify and merge it; return how many files had news.

        Raises:
            LostError: The connection could not be made, or broke.
            StoreError: There is no run, the copy is of another one, the run can't be written, or
                files differ however often they are copied.
        """
        if not is_run(run_dir):
            raise not_a_run(run_dir, f"What {self.host.address} has stays in {self.there} there.")
        with self._alone():
            return self._bring(run_dir, at_rest=False)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep other processes of this machine from copying and merging meanwhile."""
        lock = self.mirror.parent / ".copies.lock"
        with ExitStack() as held:
            try:
                held.enter_context(locked(lock, wait=False))
            except HeldError:
                _log.warning("Another process copies %s now; it is waited for.", lock.parent.parent)
                held.enter_context(locked(lock))
            yield

    def _bring(self, run_dir: Path, *, at_rest: bool) -> int:
        """Fetch, verify and merge; ``at_rest`` says that nobody changes the copy meanwhile."""
        make_dir(self.mirror)
        for _ in range(_TRIES):
            expected = self._sums()
            self._check_same_run(run_dir, expected)
            if not expected:
                return 0
            Link(self.host).fetch(self.there, self.mirror, LEFT_OUT)
            wrong = differing(self.mirror, expected)
            # a training that goes on replaces its checkpoints; it is fetched at another time
            moving = {artifact_of(name) for name in wrong} - {None, *complete(expected)}
            moving = set() if at_rest else moving
            bad = [name for name in wrong if artifact_of(name) not in moving]
            if not bad:
                whole = {n: has for n, has in expected.items() if artifact_of(n) not in moving}
                taken = merge(self.mirror, run_dir, whole)
                self._drop_gone(expected)
                self._note(fetched=time.time())
                return taken
        raise StoreError(
            f"{self.host.address}: {len(bad)} files differ after {_TRIES} copies, such as "
            f"{bad[0]}.",
            hint=f"They are in {self.mirror}; nothing of them was merged.",
        )

    def _drop_gone(self, expected: Sums) -> None:
        """Drop old checkpoints from the mirror, which are large: what the host has no more."""
        for path in (self.mirror / "artifacts").rglob("*"):
            if path.is_file() and path.relative_to(self.mirror).as_posix() not in expected:
                path.unlink()

    def _note(self, **known: bool | float) -> None:
        """Write down what is known, unless another run has taken the place of this one here."""
        with suppress(StoreError):
            if PurePosixPath(self.there).name == _copy_name(self.mirror.parent.parent):
                noted.note(self.mirror, self.host.address, self.there, **known)

    def _check_same_run(self, run_dir: Path, expected: Sums) -> None:
        names = [name for name in (HEAD, fragment_file(0)) if name in expected]
        if differing(run_dir, {name: expected[name] for name in names}):
            raise StoreError(
                f"{self.there} on {self.host.address} is a copy of another run than {run_dir} is "
                "now.",
                hint="Take what you need of it by hand, and remove it there; nothing of it was "
                "merged.",
            )

    def _sums(self, *words: str) -> Sums:
        return _SUMS.validate_python(json.loads(self.ask("sums", *words)))


def _copy_name(run_dir: Path) -> str:
    """Return what copies of a run are called; raise StoreError if there is none."""
    path = hashlib.sha256(str(run_dir.resolve()).encode())
    for name in _begins_with(run_dir):
        path.update(read_bytes(run_dir / name))
    return f"{run_dir.name}-{path.hexdigest()[:8]}"


def _begins_with(run_dir: Path) -> tuple[str, ...]:
    """Return the files of a run that are made with it, and never change."""
    return (OLD_PLAN,) if (run_dir / OLD_PLAN).is_file() else (HEAD, fragment_file(0))
