"""What a host notes of the workers that were started there: who they are, and how they ended."""

from __future__ import annotations

import time
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from trimtab.core.errors import StoreError
from trimtab.core.files import make_dir
from trimtab.core.records import read_json, write_json
from trimtab.runs.store.processes import Process


class State(BaseModel):
    """What stands in ``ssh/state.json`` of a copy.

    Attributes:
        process: The process that started the workers, and waits for them; None if there was none.
        beat: When it last gave a sign of life, by the clock of the host.
        code: How it ended; None while it works.
        line: What it said in the end.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    process: Process | None = None
    beat: float = 0.0
    code: int | None = None
    line: str = ""


class Standing(BaseModel):
    """What a host answers.

    Attributes:
        running: Whether workers are there now.
        silence: Seconds since their last sign of life, by the clock of the host.
        code: How they ended; None if they run, never did, or were killed.
        line: What they said in the end.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    running: bool
    silence: float
    code: int | None
    line: str


def note(run_dir: Path, state: State) -> None:
    """Write a state down; raise StoreError if that can't be."""
    make_dir(run_dir / "ssh")
    write_json(run_dir / "ssh" / "state.json", state)


def read(run_dir: Path) -> State:
    """Return the state of a copy; an empty one if none was noted, or nobody can read it."""
    try:
        return State.model_validate(read_json(run_dir / "ssh" / "state.json"))
    except (StoreError, ValidationError):
        return State()


def standing(run_dir: Path) -> Standing:
    """Return how the workers of a copy stand, asked on its host."""
    state = read(run_dir)
    running = state.code is None and state.process is not None and bool(state.process.is_alive())
    line = state.line
    if state.process is not None and state.code is None and not running:
        line = "it was killed"
    return Standing(
        running=running, silence=max(0.0, time.time() - state.beat), code=state.code, line=line
    )
