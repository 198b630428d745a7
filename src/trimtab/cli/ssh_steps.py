"""What hosts are asked over ssh: which files are there, to start workers, how they stand."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from trimtab.cli import phases, pool
from trimtab.cli.pool_size import Wanted
from trimtab.cli.terminal import complain
from trimtab.cli.work import parse_duration, parse_share
from trimtab.compute.ssh import state
from trimtab.compute.ssh.copies import sums
from trimtab.compute.ssh.state import State
from trimtab.core import stopping
from trimtab.core.errors import ConfigError, JudgeError, StoreError, TrimtabError
from trimtab.core.files import make_dir
from trimtab.runs.store import manifest
from trimtab.runs.store.processes import Process

_BEAT_S = 5.0
_SECONDS_TO_START = 60.0


def show_sums(run_dir: Path, *, whole: bool) -> None:
    """Print size and SHA-256 of the files of a copy; of none where there is no copy."""
    _answer(json.dumps(sums(run_dir, whole=whole) if run_dir.is_dir() else {}))


def show_standing(run_dir: Path) -> None:
    """Print how the workers of a copy stand; its folder is made where there is none."""
    make_dir(run_dir)
    _answer(state.standing(run_dir).model_dump_json())


def _answer(text: str) -> None:
    sys.stdout.write(f"{text}\n")


def start(run_dir: Path, options: Sequence[str], attempts_from: int, source: str | None) -> None:
    """Start workers that outlive the connection, unless some are there; return when they are.

    Args:
        run_dir: The copy.
        options: What ``serve`` is given.
        attempts_from: Number after which attempts count here: those of other hosts have others.
        source: Hash of the code that is to do it; None is any.

    Raises:
        ConfigError: The code is other than that.
        StoreError: They could not be started.
    """
    if source is not None and manifest.code()["source"] != source:
        raise ConfigError(
            f"Its code is not that of the run (source {manifest.code()['source']}, not {source}).",
            hint="Install the same version there; or `--other-code`, if that can't matter.",
        )
    if state.standing(run_dir).running:
        return
    make_dir(run_dir / "ssh")
    make_dir(run_dir / "attempts" / f"{attempts_from:04d}")
    state.note(run_dir, State())
    with (run_dir / "ssh" / "log.txt").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "trimtab", "ssh", "serve", str(run_dir), *options],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    end = time.monotonic() + _SECONDS_TO_START
    while state.read(run_dir).process is None:
        if process.poll() is not None or time.monotonic() > end:
            said = (run_dir / "ssh" / "log.txt").read_text(errors="replace").splitlines()
            raise StoreError(f"Workers could not be started: {said[-1] if said else 'no reason'}")
        time.sleep(0.1)


def serve(run_dir: Path, wanted: str, share: str, kinds: str, deadline: str | None) -> None:
    """Run the workers of a host until its share is done; note that they live, and how they end."""
    me, ended = Process.current(), State()
    state.note(run_dir, State(process=me, beat=time.time()))
    last = [time.monotonic()]

    def beat() -> None:
        if time.monotonic() - last[0] > _BEAT_S:
            last[0] = time.monotonic()
            state.note(run_dir, State(process=me, beat=time.time()))

    try:
        parse_share(share)
        parse_duration(deadline)
        run = phases.open_run(run_dir, trusted=True)
        options = ["--share", share, "--kinds", kinds]
        options += [] if deadline is None else ["--deadline", deadline]
        outcome, _ = pool.work_together(run, Wanted.parse(wanted), options, beat)
        code = stopping.LEFT if outcome.left else 0
        code = code if outcome.failed_judges is None else JudgeError.exit_code
        ended = State(process=me, code=code, line=outcome.failed_judges or "")
    except TrimtabError as error:
        ended = State(process=me, code=error.exit_code, line=str(error))
        raise
    except BaseException as error:
        ended = State(process=me, code=1, line=f"{type(error).__name__}: {error}"[:300])
        raise
    finally:
        state.note(run_dir, ended.model_copy(update={"beat": time.time()}))


def stop(run_dir: Path) -> None:
    """Ask the workers of a copy to end."""
    noted = state.read(run_dir)
    if noted.process is None or not state.standing(run_dir).running:
        complain("No workers are there.")
        return
    os.kill(noted.process.pid, signal.SIGTERM)
