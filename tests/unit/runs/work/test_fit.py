"""An artifact that is there stays as it is, and who lost a fit writes nothing."""

from collections.abc import Callable
from typing import Any

import pytest

from trimtab.core.errors import HeldError
from trimtab.core.fences import unfenced
from trimtab.runs.store.run import Run
from trimtab.runs.usage.progress import Silent
from trimtab.runs.work.engines import EnginePool
from trimtab.runs.work.fit import make_artifacts
from trimtab.runs.work.loop import work
from trimtab.runs.work.worker import Worker


def test_artifacts_are_made_once_and_by_the_holder(
    make: Callable[..., Run], learned: Callable[..., dict[str, Any]]
) -> None:
    parts = learned()
    run = make("run", **parts, texts="abc")
    (fit,) = run.plan.fits
    (key,) = fit.artifacts.values()
    with Worker(run, 1, Silent()) as worker:
        work([worker], EnginePool(), ("score",))
    file = run.artifact_dir(key) / "tensors.safetensors"
    made = file.stat().st_ino
    make_artifacts(run, fit, EnginePool(), unfenced)
    assert file.stat().st_ino == made, "scores were made with it"

    def lost() -> None:
        raise HeldError("It was taken over.")

    (run.artifact_dir(key) / "artifact.json").unlink()
    with pytest.raises(HeldError):
        make_artifacts(run, fit, EnginePool(), lost)
    assert file.stat().st_ino == made and not run.has_artifact(key)
