"""A pool starts, retries and stops its workers; the workers here are scripts of a line or two."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from trimtab.compute.local import pool
from trimtab.compute.local.pool import Pool, WorkerError
from trimtab.core import lifelines
from trimtab.core.errors import MemoryShortError

SRC = Path(__file__).parents[4] / "src"


class Workers:
    """A pool whose workers run a script; each appends its arguments to a file."""

    def __init__(self, folder: Path, script: str, number: int = 2, free: int | None = None) -> None:
        self.folder, self.said = folder, []
        self.file = folder / "worker.py"
        head = "import os, signal, sys, time\nfrom pathlib import Path\n"
        head += f"home = Path({str(folder)!r})\n"
        head += "open(home / 'starts', 'a').write(' '.join(sys.argv[1:-2]) + '|')\n"
        head += "nth = (home / 'starts').read_text().count('|')\n"
        self.file.write_text(head + textwrap.dedent(script))
        slots = [{"SLOT": str(i)} for i in range(number)]
        self.pool = Pool(
            [sys.executable, "-S", str(self.file)],
            slots,
            lambda: 100,
            free,
            self.said.append,
            lambda: None,
        )

    @property
    def starts(self) -> list[str]:
        return (self.folder / "starts").read_text().split("|")[:-1]


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait less than a person would."""
    monkeypatch.setattr(pool, "_POLL_S", 0.02)
    monkeypatch.setattr(pool, "STOP_S", 1.0)
    monkeypatch.setattr(pool, "DRAIN_S", 1.0)


def test_each_worker_has_its_slot_and_what_all_say_is_said_once(tmp_path: Path) -> None:
    script = """
    (home / os.environ["SLOT"]).touch()
    while not ((home / "0").exists() and (home / "1").exists()): time.sleep(0.01)
    print("warning: torch 1 -> torch 2")
    """
    workers = Workers(tmp_path, script)
    outcome = workers.pool.run()
    assert (outcome.failed_judges, outcome.left) == (None, False)
    assert workers.said == ["warning: torch 1 -> torch 2"]


def test_no_more_start_than_memory_has_room_for(tmp_path: Path) -> None:
    workers = Workers(tmp_path, "time.sleep(0.1)", number=5, free=250)
    assert workers.pool.allowed() == 2
    workers.pool.run()
    assert len(workers.starts) == 2, "whoever ends well has found that nothing is owed"


def test_one_that_fails_stops_the_others_and_its_line_and_code_count(tmp_path: Path) -> None:
    script = """
    if os.environ["SLOT"] == "0":
        while not (home / "slept").exists(): time.sleep(0.01)
        print("error: The disk is full.")
        sys.exit(6)
    signal.signal(signal.SIGTERM, lambda *_: ((home / "told").touch(), os._exit(75)))
    (home / "slept").touch()
    time.sleep(60)
    """
    workers, began = Workers(tmp_path, script), time.monotonic()
    with pytest.raises(WorkerError, match=r"^The disk is full\.$") as caught:
        workers.pool.run()
    assert caught.value.exit_code == 6 and (tmp_path / "told").exists()
    assert time.monotonic() - began < 10


@pytest.mark.parametrize("end", ["os.kill(os.getpid(), signal.SIGKILL)", "sys.exit(9)"])
def test_what_had_no_memory_is_tried_alone_and_then_fewer_go_on(tmp_path: Path, end: str) -> None:
    script = f"""
    signal.signal(signal.SIGTERM, lambda *_: os._exit(75))
    if nth < 3:
        while (home / "starts").read_text().count("|") < 3: time.sleep(0.01)
        time.sleep(60)
    if nth == 3:
        time.sleep(0.1)
        {end}
    sys.exit(75 if "--max-units" in sys.argv else 0)
    """
    workers = Workers(tmp_path, script, number=3, free=290)
    workers.pool._free = None  # three start, whatever they are taken to need
    workers.pool.run()
    assert workers.starts[3] == "--max-units 3", "the units that three had in hand"
    assert len(workers.starts) in (5, 6) and set(workers.starts[4:]) == {""}
    assert "ran out of memory" in workers.said[0] and "alone" in workers.said[0]


def test_what_has_no_memory_alone_either_is_told(tmp_path: Path) -> None:
    script = """
    print("error: 'big' needs about 9 GiB.")
    sys.exit(9)
    """
    workers = Workers(tmp_path, script, number=1)
    with pytest.raises(
        MemoryShortError, match=r"twice, the second time alone: 'big' needs about 9"
    ):
        workers.pool.run()
    assert len(workers.starts) == 2


@pytest.fixture
def default_sigint() -> Iterator[None]:
    """Let Ctrl-C raise, whatever a test before this one made of it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_workers_that_do_not_end_when_told_are_ended(tmp_path: Path, default_sigint) -> None:
    script = """
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    (home / f"{os.getpid()}.pid").touch()
    time.sleep(60)
    """
    workers, began = Workers(tmp_path, script), time.monotonic()

    def interrupt() -> None:
        while len(list(tmp_path.glob("*.pid"))) < 2:
            time.sleep(0.01)
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

    threading.Thread(target=interrupt).start()
    with pytest.raises(KeyboardInterrupt):
        workers.pool.run()
    assert time.monotonic() - began < 10
    for file in tmp_path.glob("*.pid"):
        with pytest.raises(ProcessLookupError):
            os.kill(int(file.stem), 0)


@pytest.mark.parametrize("asks_kernel", [True, False])
def test_no_worker_outlives_a_parent_that_was_killed(tmp_path: Path, asks_kernel: bool) -> None:
    worker = tmp_path / "worker.py"
    worker.write_text(
        f"import os, sys, time; sys.path.insert(0, {str(SRC)!r})\n"
        "from trimtab.core import lifelines\n"
        f"lifelines._PR_SET_PDEATHSIG = {lifelines._PR_SET_PDEATHSIG if asks_kernel else 0}\n"
        "lifelines.hold(int(sys.argv[-1]))\n"
        # an engine's forks see for themselves that their parent is gone; others end with the pipe
        f"{asks_kernel} or os.fork()\n"
        f"open(os.path.join({str(tmp_path)!r}, f'{{os.getpid()}}.pid'), 'w')\n"
        "time.sleep(60)\n"
    )
    code = (
        f"import sys; sys.path.insert(0, {str(SRC)!r})\n"
        "from trimtab.compute.local.pool import Pool\n"
        f"Pool([sys.executable, '-S', {str(worker)!r}], [{{}}, {{}}], lambda: 1, None, print,"
        " lambda: None).run()\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", code])
    _until(lambda: len(list(tmp_path.glob("*.pid"))) == (2 if asks_kernel else 4))
    parent.kill()
    parent.wait()
    pids = [int(file.stem) for file in tmp_path.glob("*.pid")]
    _until(lambda: not any(map(_lives, pids)))


def _until(condition) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False
