"""One holder at a time, whatever happens to the others."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from trimtab.core.errors import HeldError, StoreError
from trimtab.core.records import read_json, write_json
from trimtab.runs.store.claims import Lease

Start = Callable[..., subprocess.Popen[str]]

linux = pytest.mark.skipif(
    sys.platform != "linux", reason="only Linux tells zombies and reused process ids apart"
)

# Takes the lease at each line it reads, says how it went, and gives it back at the next line.
CONTENDER = """
    import sys
    from pathlib import Path
    from trimtab.core.errors import HeldError
    from trimtab.runs.store.claims import Lease
    print("ready", flush=True)
    while sys.stdin.readline():
        try:
            with Lease(Path(sys.argv[1]), "part") as lease:
                print("held", lease.epoch, flush=True)
                sys.stdin.readline()
        except HeldError as error:
            print("refused", error, flush=True)
"""


def tell(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def hear(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def change(lease: Lease, **fields: object) -> None:
    write_json(lease.path, {**read_json(lease.path), **fields})


def abandon(run_dir: Path, **fields: object) -> Lease:
    """Leave a lease as a holder would that is gone, then change it."""
    lease = Lease(run_dir, "part")
    with lease:
        pass
    change(lease, **{"released": False, **fields})
    return lease


@linux
def test_exactly_one_of_several_processes_wins_even_when_winners_are_killed(
    tmp_path: Path, start: Start
) -> None:
    contenders = [start(CONTENDER, tmp_path) for _ in range(4)]
    assert [hear(process) for process in contenders] == ["ready"] * 4
    for race in range(1, 13):
        for process in contenders:
            tell(process)
        answers = [hear(process) for process in contenders]
        winners = [p for p, a in zip(contenders, answers, strict=True) if a == f"held {race}"]
        assert len(winners) == 1, answers
        assert sum(f"process {winners[0].pid}" in answer for answer in answers) == 3
        if race % 3 == 0:
            # Not waited for, so it stays a zombie: its id exists, but nobody works there.
            winners[0].send_signal(signal.SIGKILL)
            while Path(f"/proc/{winners[0].pid}/stat").read_text().split()[2] != "Z":
                time.sleep(0.001)
            contenders.remove(winners[0])
            contenders.append(start(CONTENDER, tmp_path))
            assert hear(contenders[-1]) == "ready"
        else:
            tell(winners[0])
            # Its next turn must find the lease given back, so wait until it has been.
            while not read_json(tmp_path / "leases" / "part.json")["released"]:
                time.sleep(0.001)


def test_a_held_lease_says_by_whom_since_when_and_what_to_do(tmp_path: Path) -> None:
    with Lease(tmp_path, "generate") as lease, Lease(tmp_path, "score"):
        with pytest.raises(HeldError) as caught, Lease(tmp_path, "generate"):
            pass
        message = str(caught.value)
        for part in ("generate", f"process {os.getpid()}", socket.gethostname(), "since 2", "stop"):
            assert part in message
        lease.check()


def test_a_lease_is_given_back_on_return_and_on_error(tmp_path: Path) -> None:
    with Lease(tmp_path, "part") as lease:
        assert lease.epoch == 1
    with pytest.raises(ZeroDivisionError), Lease(tmp_path, "part") as lease:
        assert lease.epoch == 2
        raise ZeroDivisionError
    with Lease(tmp_path, "part") as lease:
        assert lease.epoch == 3
    assert not [t for t in threading.enumerate() if t.name.startswith("lease-")]


@linux
def test_stale_leases_are_taken_over_and_live_ones_are_not(tmp_path: Path) -> None:
    now = time.time()
    dead = subprocess.Popen(["true"])
    dead.wait()
    stale = [
        {"pid": dead.pid},
        {"start": 1},  # the id was given to a later process
        {"boot": "another"},
        {"host": "elsewhere", "heartbeat": now - 121},
        {"namespace": "pid:[1]", "heartbeat": now - 121},  # another container on this machine
    ]
    live: list[dict[str, object]] = [
        {},
        {"heartbeat": now - 1e6},  # alive on this machine, however slow
        {"start": None},
        {"pid": 1, "start": None},
        {"host": "elsewhere", "heartbeat": now - 60},
        {"host": "elsewhere", "boot": "another", "pid": dead.pid},
        {"namespace": "pid:[1]", "pid": dead.pid},
    ]
    for n, fields in enumerate(stale):
        abandon(tmp_path / f"stale-{n}", **fields)
        with Lease(tmp_path / f"stale-{n}", "part") as lease:
            assert lease.epoch == 2
    for n, fields in enumerate(live):
        abandon(tmp_path / f"live-{n}", **fields)
        with pytest.raises(HeldError), Lease(tmp_path / f"live-{n}", "part"):
            pass


def test_a_holder_that_was_asleep_learns_that_it_lost_and_leaves_the_new_one_alone(
    tmp_path: Path,
) -> None:
    with Lease(tmp_path, "part") as sleeper:
        change(sleeper, host="elsewhere", heartbeat=0.0)
        with Lease(tmp_path, "part") as taker:
            assert taker.epoch == 2
            with pytest.raises(HeldError, match="is held by"):
                sleeper.check()
            taker.check()
            sleeper.__exit__()
            taker.check()
            assert read_json(taker.path)["released"] is False
    (tmp_path / "leases" / "part.json").unlink()
    with pytest.raises(HeldError, match="is gone"):
        sleeper.check()


def test_the_heart_beats_until_the_lease_ends(tmp_path: Path) -> None:
    with Lease(tmp_path, "part", ttl=0.04) as lease:
        first = read_json(lease.path)["heartbeat"]
        limit = time.monotonic() + 30
        while read_json(lease.path)["heartbeat"] == first:
            assert time.monotonic() < limit
            time.sleep(0.005)
        lease.check()
    last = read_json(lease.path)
    time.sleep(0.05)
    assert read_json(lease.path) == last


def test_a_lease_file_of_another_version_is_an_error_not_a_free_lease(tmp_path: Path) -> None:
    lease = abandon(tmp_path, colour="blue")
    with pytest.raises(StoreError, match="no lease of this version"), lease:
        pass
