"""Under which code and on which machine each phase of a run was done, and where they differ.

Phases may be jobs of their own, days apart and on several machines. The manifest of an attempt
holds the state that it found and the phases in which it had something to do.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from trimtab.core.records import write_json
from trimtab.core.report import Stage
from trimtab.runs.store import attempts, manifest
from trimtab.runs.store.reading import OBJECT, read_shaped

_PHASES = "phases"


def note_phase(folder: Path, phase: str) -> None:
    """Write into the manifest in ``folder`` that its attempt had something to do in ``phase``.

    Nothing happens where there is no manifest. Raises StoreError if it can't be read or written.
    """
    path = folder / attempts.MANIFEST
    if path.is_file():
        state = read_shaped(OBJECT, path)
        phases = state.get(_PHASES, [])
        if phase not in phases:
            write_json(path, {**state, _PHASES: [*phases, phase]}, sealed=True)


def stages(run_dir: Path, report: dict[str, Any] | None = None) -> list[Stage]:
    """Return the phases of a run in their order, one entry per phase and state.

    Args:
        run_dir: The run.
        report: The state under which a report is being written; it is the last entry.
    """
    found: list[Stage] = []
    for number, state in attempts.manifests(run_dir):
        for phase in state.get(_PHASES, ()):
            same = [s for s in found if s.phase == phase and not manifest.changes(s.state, state)]
            if same:
                index = found.index(same[0])
                found[index] = Stage(phase, (*same[0].attempts, number), same[0].state)
            else:
                found.append(Stage(phase, (number,), state))
    order = ("fit", "generate", "score")
    found.sort(key=lambda stage: (order.index(stage.phase), stage.attempts))
    if report is not None:
        found.append(Stage("report", (), {"code": report["code"]}))
    return found


def differences(done: Sequence[Stage]) -> list[str]:
    """Return a line for each stage whose code or machine is not that of the first one."""
    lines = []
    for stage in done[1:]:
        known = {name: found for name, found in done[0].state.items() if name in stage.state}
        changed = manifest.changes(known, stage.state)
        if changed:
            lines.append(
                f"{stage.name} was not done under the code and environment of {done[0].name}: "
                f"{', '.join(changed)}."
            )
    return lines
