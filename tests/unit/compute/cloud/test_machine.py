"""What a machine is told, and who can see it; ssh is a script here that runs it on this machine."""

from pathlib import Path

import pytest

from trimtab.compute.cloud.ledger import Ledger, Record
from trimtab.compute.cloud.machine import SshReach
from trimtab.compute.cloud.settings import Machine
from trimtab.core.errors import StoreError
from trimtab.runs.store.processes import Process

_SSH = """#!/bin/sh
echo "$*" >>{folder}/words
cd {folder}
for word; do :; done
exec sh -c "$word"
"""


@pytest.fixture
def record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, config: dict) -> Record:
    ssh = tmp_path / "bin" / "ssh"
    ssh.parent.mkdir()
    ssh.write_text(_SSH.format(folder=tmp_path))
    ssh.chmod(0o755)
    monkeypatch.setenv("PATH", f"{ssh.parent}:/usr/bin:/bin")
    about = {"type": "gpu", "region": "r", "dollars_per_hour": 1.0, "dollars": 1.0, "hours": 1.0}
    times = {"start": 0.0, "deadline": 9e9, "owner": Process.current()}
    return Record(tag="trimtab-a-b-c", provider=config, **about, **times)


def _prepare(folder: Path, record: Record, *setup: str) -> None:
    machine = Machine(setup=setup, shutdown=("true",), command=("true",), folder=str(folder / "m"))
    SshReach(Ledger(folder / "cloud"), machine).prepare(record, "there", 1.0)


def test_no_process_list_shows_what_prepares_a_machine(tmp_path: Path, record: Record) -> None:
    _prepare(tmp_path, record, "export KEY=sesame", "cat >eaten", 'echo "$KEY" >prepared')
    assert (tmp_path / "prepared").read_text() == "sesame\n"
    assert (tmp_path / "eaten").read_text() == ""
    assert "sesame" not in (tmp_path / "words").read_text()


def test_a_command_that_fails_ends_the_preparation(tmp_path: Path, record: Record) -> None:
    with pytest.raises(StoreError, match="no such package"):
        _prepare(tmp_path, record, "echo no such package >&2; false", "touch prepared")
    assert not (tmp_path / "prepared").exists()
