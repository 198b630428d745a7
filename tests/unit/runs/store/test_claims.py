"""One holder at a time, whatever happens to the others and to their clocks."""

import errno
import json
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
from trimtab.core.records import SegmentWriter
from trimtab.core.types import Score
from trimtab.runs.store.claims import Claim, claim, holder_of

Start = Callable[..., subprocess.Popen[str]]

linux = pytest.mark.skipif(
    sys.platform != "linux", reason="only Linux tells zombies and reused process ids apart"
)

# Claims the unit at each line it reads, says how it went, and gives it back at the next line.
CONTENDER = """
    import sys
    from pathlib import Path
    from trimtab.runs.store.claims import claim
    print("ready", flush=True)
    while sys.stdin.readline():
        with claim(Path(sys.argv[1]), "part") as mine:
            if mine is None:
                print("busy", flush=True)
                continue
            print("held", mine.epoch, flush=True)
            sys.stdin.readline()
        print("released", flush=True)
"""


def tell(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def hear(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def take(run_dir: Path, unit: str = "part", **options: float) -> int | None:
    """Claim a unit and give it back; return the epoch, None if it is busy."""
    with claim(run_dir, unit, **options) as mine:
        return None if mine is None else mine.epoch


def abandon(run_dir: Path, age: float = 0.0, **fields: object) -> Path:
    """Leave a claim whose holder says no more since ``age`` seconds, with some fields changed."""
    with claim(run_dir, "part") as mine:
        assert mine is not None
    holder = json.loads(mine.path.read_text().split("\n")[0])
    holder["process"] |= fields
    mine.path.write_text(json.dumps(holder) + "\n")
    return aged(mine.path, age)


def aged(path: Path, age: float) -> Path:
    now = time.time()
    os.utime(path, (now - age, now - age))
    return path


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
        assert sorted(answers) == ["busy"] * 3 + [f"held {race}"]
        (winner,) = [p for p, a in zip(contenders, answers, strict=True) if a != "busy"]
        assert f"process {winner.pid} on" in str(holder_of(tmp_path, "part"))
        if race % 3 == 0:
            # Not waited for, so it stays a zombie: its id exists, but nobody works there.
            winner.send_signal(signal.SIGKILL)
            while Path(f"/proc/{winner.pid}/stat").read_text().split()[2] != "Z":
                time.sleep(0.001)
            assert holder_of(tmp_path, "part") is None
            contenders.remove(winner)
            contenders.append(start(CONTENDER, tmp_path))
            assert hear(contenders[-1]) == "ready"
        else:
            tell(winner)
            assert hear(winner) == "released"


HAMMER = """
    import os, sys
    from pathlib import Path
    from trimtab.runs.store.claims import claim
    folder, rounds = Path(sys.argv[1]), int(sys.argv[2])
    wins = losses = 0
    while wins < rounds:
        with claim(folder, f"part-{wins % 3}") as mine:
            if mine is None:
                losses += 1
                continue
            # making a folder succeeds for one process only
            os.mkdir(folder / f"held-{wins % 3}")
            mine.check()
            os.rmdir(folder / f"held-{wins % 3}")
        wins += 1
    print(wins, losses)
"""


def test_two_processes_that_hammer_claims_never_overlap(tmp_path: Path, start: Start) -> None:
    hammers = [start(HAMMER, tmp_path, 200) for _ in range(2)]
    heard = [hear(process) for process in hammers]
    assert [line.split()[0] for line in heard] == ["200", "200"]
    assert sum(len(os.listdir(tmp_path / "claims" / f"part-{n}")) for n in range(3)) == 400


def test_a_busy_unit_is_none_and_says_who_holds_it_and_since_when(tmp_path: Path) -> None:
    assert holder_of(tmp_path, "generate") is None
    with claim(tmp_path, "generate") as mine, claim(tmp_path, "score") as other:
        assert mine is not None and other is not None
        assert take(tmp_path, "generate") is None
        told = str(holder_of(tmp_path, "generate"))
        for part in (f"held by process {os.getpid()}", socket.gethostname(), "since 2", "UTC"):
            assert part in told
        assert "\n" not in told
        mine.check()
    assert holder_of(tmp_path, "generate") is None


def test_a_claim_is_given_back_on_return_and_on_error(tmp_path: Path) -> None:
    assert take(tmp_path) == 1
    with pytest.raises(ZeroDivisionError), claim(tmp_path, "part") as mine:
        assert mine is not None and mine.epoch == 2
        raise ZeroDivisionError
    assert take(tmp_path) == 3
    assert not [t for t in threading.enumerate() if t.name.startswith("claim-")]


@linux
def test_dead_and_silent_holders_are_replaced_and_others_are_not(tmp_path: Path) -> None:
    dead = subprocess.Popen(["true"])
    dead.wait()
    replaced: list[dict] = [
        {"pid": dead.pid},
        {"start": 1},  # the id was given to a later process
        {"boot": "another", "age": 121},
        {"host": "elsewhere", "age": 121},
        {"machine": "of the same name", "boot": "another", "age": 121},
        {"namespace": "pid:[1]", "age": 121},  # another container on this machine
        {"age": 121},  # it lives, but sleeps
        {"host": "elsewhere", "age": -121},  # the file system's clock was set back
    ]
    kept: list[dict] = [
        {},
        {"start": None},
        {"pid": 1, "start": None},
        {"age": 60},
        {"host": "elsewhere", "age": 60},
        {"boot": "another"},
        {"host": "elsewhere", "boot": "another", "pid": dead.pid},
        {"machine": "of the same name", "boot": "another"},
        {"namespace": "pid:[1]", "pid": dead.pid},
    ]
    for n, fields in enumerate(replaced):
        abandon(tmp_path / f"replaced-{n}", **fields)
        assert holder_of(tmp_path / f"replaced-{n}", "part") is None, fields
        assert take(tmp_path / f"replaced-{n}") == 2, fields
    for n, fields in enumerate(kept):
        abandon(tmp_path / f"kept-{n}", **fields)
        assert holder_of(tmp_path / f"kept-{n}", "part"), fields
        assert take(tmp_path / f"kept-{n}") is None, fields


@pytest.mark.parametrize("content", [b"", b'{"process":{"pid":1', b"\0" * 300, b'{"colour":1}\n'])
def test_a_claim_that_names_nobody_stands_for_a_moment_only(tmp_path: Path, content: bytes) -> None:
    path = abandon(tmp_path)
    path.write_bytes(content)
    assert take(tmp_path) is None
    assert "does not name" in str(holder_of(tmp_path, "part"))
    aged(path, 11)
    assert take(tmp_path) == 2
    # even one whose maker goes on learns that it lost
    with pytest.raises(HeldError):
        Claim("part", 1, path, content).check()


def row(sample: str) -> Score:
    return Score(cell="c", sample_id=sample, judge="j", values={"x": 1.0})


def test_a_holder_that_slept_writes_no_more_and_leaves_the_new_one_alone(tmp_path: Path) -> None:
    with claim(tmp_path, "part") as sleeper, SegmentWriter(tmp_path / "rows.jsonl") as writer:
        assert sleeper is not None
        writer.append([row("a")], sleeper.check)
        aged(sleeper.path, 121)
        sleeper.check()  # nobody took it
        with claim(tmp_path, "part") as taker:
            assert taker is not None and taker.epoch == 2
            with pytest.raises(HeldError, match=r"was taken over.* it is held by process"):
                writer.append([row("b")], sleeper.check)
            taker.check()
        with pytest.raises(HeldError, match="is done, or free again"):
            sleeper.check()
    assert (tmp_path / "rows.jsonl").read_bytes().count(b"\n") == 1
    # the sleeper gave back what was its own no more; nobody's claim suffered
    with claim(tmp_path, "part") as third:
        assert third is not None and third.epoch == 3
        third.path.unlink()
        with pytest.raises(HeldError, match="is gone"):
            third.check()


SLEEPER = """
    import sys
    from pathlib import Path
    from trimtab.core.errors import HeldError
    from trimtab.core.records import SegmentWriter
    from trimtab.core.types import Score
    from trimtab.runs.store.claims import claim
    folder, writer = Path(sys.argv[1]), SegmentWriter(Path(sys.argv[1]) / "rows.jsonl")
    try:
        with claim(folder, "part", ttl=0.5) as mine:
            for n in range(10_000):
                row = Score(cell="c", sample_id=str(n), judge="j", values={"x": 1.0})
                writer.append([row], mine.check)
                print(n, flush=True)
                sys.stdin.readline()
    except HeldError:
        print("lost", flush=True)
"""


@linux
def test_a_process_that_was_stopped_longer_than_a_claim_lives_is_refused(
    tmp_path: Path, start: Start
) -> None:
    sleeper = start(SLEEPER, tmp_path)
    assert hear(sleeper) == "0"
    assert take(tmp_path, ttl=0.5) is None
    sleeper.send_signal(signal.SIGSTOP)
    deadline = time.monotonic() + 30
    while take(tmp_path, ttl=0.5) is None:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    tell(sleeper)
    sleeper.send_signal(signal.SIGCONT)
    assert hear(sleeper) == "lost"
    assert (tmp_path / "rows.jsonl").read_bytes().count(b"\n") == 1


# Another machine, whose clock goes wrong by so many seconds.
ELSEWHERE = """
    import socket, sys, time
    from pathlib import Path
    from trimtab.runs.store.claims import claim
    right = time.time
    socket.gethostname = lambda: "elsewhere"
    time.time = lambda: right() + float(sys.argv[2])
    with claim(Path(sys.argv[1]), "part", ttl=2.0) as mine:
        print("busy" if mine is None else "held", flush=True)
        sys.stdin.readline()
"""


@pytest.mark.parametrize("skew", [-86400.0, 86400.0])
def test_clocks_of_machines_need_not_agree(tmp_path: Path, start: Start, skew: float) -> None:
    with claim(tmp_path, "part", ttl=2.0) as mine:
        assert mine is not None
        assert hear(start(ELSEWHERE, tmp_path, skew)) == "busy"
        mine.check()
    other = start(ELSEWHERE, tmp_path, skew)
    assert hear(other) == "held"
    assert take(tmp_path, ttl=2.0) is None
    other.kill()
    deadline = time.monotonic() + 30
    assert take(tmp_path, ttl=2.0) is None, "from here nobody sees that it ended"
    while take(tmp_path, ttl=2.0) is None:
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize("skew", [-86400.0, 86400.0])
def test_nor_need_the_clock_of_the_file_system(tmp_path: Path, monkeypatch, skew: float) -> None:
    fstat = os.fstat

    def skewed(fd):
        real = fstat(fd)
        # whole seconds: what matters here is a day
        return os.stat_result([*real[:8], real.st_mtime + skew, real.st_ctime])

    monkeypatch.setattr(os, "fstat", skewed)
    abandon(tmp_path / "silent", age=121, host="elsewhere")
    assert take(tmp_path / "silent") == 2
    abandon(tmp_path / "alive", age=60, host="elsewhere")
    assert take(tmp_path / "alive") is None


def test_the_heart_beats_until_the_claim_ends(tmp_path: Path) -> None:
    with claim(tmp_path, "part", ttl=0.04) as mine:
        assert mine is not None
        first = mine.path.stat().st_mtime_ns
        limit = time.monotonic() + 30
        while mine.path.stat().st_mtime_ns == first:
            assert time.monotonic() < limit
            time.sleep(0.005)
        mine.check()
    last = mine.path.stat().st_mtime_ns
    time.sleep(0.05)
    assert mine.path.stat().st_mtime_ns == last


def test_a_disk_that_can_not_be_written_is_an_error_and_no_busy_unit(
    tmp_path: Path, monkeypatch
) -> None:
    abandon(tmp_path)
    refused = os.open

    def read_only(path, flags, *args, **kwargs):
        if flags & (os.O_WRONLY | os.O_RDWR):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))
        return refused(path, flags, *args, **kwargs)

    monkeypatch.setattr(os, "open", read_only)
    with pytest.raises(StoreError, match="Read-only file system"), claim(tmp_path, "other"):
        pass
    with pytest.raises(StoreError, match="Read-only file system"), claim(tmp_path, "part"):
        pass
    assert f"held by process {os.getpid()}" in str(holder_of(tmp_path, "part"))
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="can't be used"), claim(tmp_path / "file", "part"):
        pass
