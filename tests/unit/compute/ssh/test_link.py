"""What becomes of ssh and rsync that fail; both are scripts here."""

from pathlib import Path

import pytest

from trimtab.compute.ssh.hosts import Host, read_hosts
from trimtab.compute.ssh.link import Link, LostError
from trimtab.core.errors import ConfigError, StoreError


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder whose programs are found first."""
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return tmp_path


def _program(folder: Path, name: str, script: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


@pytest.mark.parametrize(
    ("code", "error"), [(255, LostError), (127, ConfigError), (2, StoreError), (6, StoreError)]
)
def test_a_broken_connection_is_told_from_a_command_that_fails(
    programs: Path, code: int, error: type[Exception]
) -> None:
    _program(programs, "ssh", f"echo 'error: the reason' >&2; exit {code}")
    with pytest.raises(error, match=r"there.*the reason") as caught:
        Link(Host(address="there")).ask("ssh", "look", "run")
    assert isinstance(caught.value, LostError) == (code == 255)


@pytest.mark.parametrize(("code", "lost"), [(12, True), (30, True), (255, True), (11, False)])
def test_copies_that_broke_off_are_told_from_full_disks(
    programs: Path, tmp_path: Path, code: int, lost: bool
) -> None:
    _program(programs, "rsync", f"echo reason >&2; exit {code}")
    with pytest.raises(StoreError) as caught:
        Link(Host(address="there")).fetch("run", tmp_path, ())
    assert isinstance(caught.value, LostError) == lost


def test_paths_of_this_machine_are_no_hosts_and_no_options(
    programs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _program(programs, "rsync", f'echo "$*" >>{tmp_path}/seen')
    monkeypatch.chdir(tmp_path)
    link = Link(Host(address="there"))
    link.push(Path("runs:1"), "a:b", ())
    link.fetch("a:b", Path("-x"), ())
    pushed, fetched = (tmp_path / "seen").read_text().splitlines()
    assert pushed.endswith(f" {tmp_path}/runs:1/ there:a:b/")
    assert "--delay-updates" in pushed, "rows before their scores would stay if it broke between"
    assert fetched.endswith(f" there:a:b/ {tmp_path}/-x/")


def test_words_reach_the_host_as_they_are(programs: Path) -> None:
    _program(programs, "ssh", 'for word; do echo "$word"; done')
    host = Host(address="me@there", port=2222, options=("-i", "key"), command=("env", "A=b c", "t"))
    said = Link(host).ask("ssh", "look", "it's $(here)").splitlines()
    assert said[-2:] == ["me@there", "env 'A=b c' t ssh look 'it'\"'\"'s $(here)'"]
    assert said[said.index("-p") + 1] == "2222" and said[said.index("-i") + 1] == "key"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("hosts: []", "hosts"),
        ("hosts: [{address: '-oProxyCommand=x'}]", "address"),
        ("hosts: [{address: a}, {address: a}]", "named twice"),
        ("hosts: [{address: a, workers: many}]", "workers"),
        ("hosts: [{address: a, gpus: 2}]", "gpus"),
    ],
)
def test_what_a_file_of_hosts_can_not_say_is_refused(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "hosts.yaml").write_text(text)
    with pytest.raises(ConfigError, match=words):
        read_hosts(tmp_path / "hosts.yaml")
