"""What was rented: one journal per machine, begun before the provider is asked for it.

The first line of a journal says what is about to be ordered; it is on the disk before the call is
made. Whatever dies after that, the tag and the deadline are known here, and stand in the machine's
name besides. Later lines say what became of it, field by field; the newest counts.
"""

from __future__ import annotations

import json
import logging
import secrets
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from trimtab.core.errors import ConfigError, StoreError
from trimtab.core.files import (
    append_synced,
    create_whole,
    dumps,
    make_dir,
    read_bytes,
    replace_file,
)
from trimtab.core.home import home
from trimtab.runs.store.processes import Process

PREFIX = "trimtab"

_log = logging.getLogger(__name__)


class Copy(BaseModel):
    """A run that was copied to a machine.

    Attributes:
        there: Its folder on the machine.
        fetched: When everything that it has was fetched last; None if it never was.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    there: str
    fetched: float | None = None


class Record(BaseModel):
    """A machine.

    Attributes:
        tag: Its name, at the provider and here.
        provider: The provider's name and configuration; its key is not in it.
        account: Fingerprint of that and of the key that it was ordered with; None in journals of
            earlier versions.
        type: Its kind.
        region: Where it is.
        dollars_per_hour: The price that was shown.
        dollars: The most that it may cost.
        hours: The most hours that are paid for.
        start: When it was ordered, in seconds since 1970.
        deadline: When it must end.
        owner: The process that ordered it.
        id: The provider's id; None if it is not known.
        address: Where ssh finds it; None until its deadline was set on it, and verified.
        copies: Runs that were copied there, by their folders here.
        ended: When it was seen to have ended, or never to have been; None if it may be there.
        why: Why it was ended.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    tag: str
    provider: dict[str, Any]
    account: str | None = None
    type: str
    region: str
    dollars_per_hour: float
    dollars: float
    hours: float
    start: float
    deadline: float
    owner: Process
    id: str | None = None
    address: str | None = None
    copies: dict[str, Copy] = {}
    ended: float | None = None
    why: str = ""

    def is_of(self, config: dict[str, Any], account: str) -> bool:
        """Return whether it was ordered by a configuration with the key of a fingerprint."""
        return self.provider == config and self.account in (None, account)

    def cost(self, now: float) -> float:
        """Return what it has cost at most, in dollars."""
        until = now if self.ended is None else self.ended
        return self.dollars_per_hour * max(0.0, until - self.start) / 3600


class Ledger:
    """The journals of this machine's user.

    Attributes:
        folder: Where they are.
    """

    def __init__(self, folder: Path | None = None) -> None:
        """Name the folder: ``cloud`` in ``TRIMTAB_HOME`` if none is given."""
        self.folder = home() / "cloud" if folder is None else folder

    @property
    def owner(self) -> str:
        """What the tags of this ledger begin with, after ``trimtab-``; made once."""
        path = self.folder / "owner"
        make_dir(self.folder)
        create_whole(path, f"{secrets.token_hex(3)}\n".encode())
        return read_bytes(path).decode().strip()

    def new_tag(self, deadline: float) -> str:
        """Return a name that no machine ever had, and that says by when it must have ended."""
        return f"{PREFIX}-{self.owner}-{secrets.token_hex(3)}-{int(deadline):x}"

    def begin(self, record: Record) -> None:
        """Write down what is about to be ordered; raise StoreError if that can't be."""
        make_dir(self.folder)
        line = dumps(record.model_dump(mode="json"), record.tag)
        if not create_whole(self._path(record.tag), line):
            raise StoreError(f"{self._path(record.tag)} exists already.")
        self.beat(record.tag, record.start)

    def note(self, tag: str, **fields: Any) -> Record:
        """Write down what is known now, and return all that is known."""
        # the line feed ends a line that a crash tore
        append_synced(self._path(tag), b"\n" + dumps(fields, tag))
        return self.read(tag)

    def note_copy(self, tag: str, run_dir: Path, copy: Copy) -> Record:
        """Write down what is known of a run's copy on a machine."""
        copies = {**self.read(tag).copies, str(run_dir.resolve()): copy}
        return self.note(
            tag, copies={k: each.model_dump(mode="json") for k, each in copies.items()}
        )

    def beat(self, tag: str, now: float) -> None:
        """Say that somebody here uses a machine."""
        replace_file(self.folder / f"{tag}.beat", f"{now}\n".encode())

    def last_beat(self, tag: str) -> float:
        """Return when somebody here used a machine last; 0 if nobody did."""
        try:
            return float(read_bytes(self.folder / f"{tag}.beat"))
        except (StoreError, ValueError):
            return 0.0

    def end_lock(self, tag: str) -> Path:
        """Return the lock file that whoever ends a machine holds, from the last fetch on."""
        return self.folder / f"{tag}.lock"

    def known_hosts(self, tag: str) -> Path:
        """Return the file for the machine's own ssh key, trusted when it is first seen."""
        return self.folder / f"{tag}.known_hosts"

    def read(self, tag: str) -> Record:
        """Return what is known of a machine.

        Raises:
            StoreError: Its journal can't be read.
        """
        fields: dict[str, Any] = {}
        for line in read_bytes(self._path(tag)).splitlines():
            try:
                fields |= json.loads(line)
            except (ValueError, TypeError):  # torn by a crash, or damaged
                continue
        try:
            return Record.model_validate(fields)
        except ValidationError as error:
            raise StoreError(f"{self._path(tag)} can't be read: {error.errors()[0]}.") from None

    def records(self) -> list[Record]:
        """Return every machine, in the order of their launch.

        A journal that can't be read must not keep the others from being ended: it is left out, and
        its machine counts as one of another ledger, with its deadline in its name.
        """
        found = []
        for path in self.folder.glob(f"{PREFIX}-*.jsonl"):
            try:
                found.append(self.read(path.stem))
            except StoreError as error:
                _log.warning("%s", error)
        return sorted(found, key=lambda each: each.start)

    def open_records(self) -> list[Record]:
        """Return the machines that may be there."""
        return [record for record in self.records() if record.ended is None]

    def find(self, name: str | None) -> Record:
        """Return the machine whose tag holds a name; without one, the only one that is there.

        Raises:
            ConfigError: There is no such machine, or more than one.
        """
        records = self.open_records() if name is None else self.records()
        found = [each for each in records if name is None or name in each.tag]
        if len(found) == 1:
            return found[0]
        what = "machine that may be there" if name is None else f"machine {name!r}"
        have = ", ".join(each.tag for each in records) or "none"
        many = "more than one" if found else "no"
        raise ConfigError(
            f"{self.folder} knows {many} {what}; it knows: {have}.",
            hint="`trimtab cloud status` asks the provider for machines of other computers, too.",
        )

    def _path(self, tag: str) -> Path:
        return self.folder / f"{tag}.jsonl"


def deadline_of(tag: str) -> float | None:
    """Return by when a machine of this name must have ended; None for one that is not trimtab's."""
    words = tag.split("-")
    if len(words) != 4 or words[0] != PREFIX:
        return None
    try:
        return float(int(words[3], 16))
    except ValueError:
        return None
