"""Settings that weaken a guarantee are named once, whoever uses them."""

from pathlib import Path
from typing import Any

import pytest

from trimtab.core.plan import Plan
from trimtab.core.spec import ModelSpec
from trimtab.runs.store.run import Run
from trimtab.runs.usage.notices import notices


@pytest.mark.parametrize(
    ("subject", "judge", "expected"),
    [
        (("float32", "cpu"), None, None),
        (("bfloat16", "cuda"), ("float32", "cpu"), None),
        (("bfloat16", "cpu"), ("bfloat16", "cpu"), "bfloat16 on a CPU"),
        (("float16", "cpu"), ("bfloat16", "cpu"), "bfloat16 and float16 on a CPU"),
        (("float32", "cpu"), ("bfloat16", "cpu"), "bfloat16 on a CPU"),
    ],
)
def test_reduced_precision_on_a_cpu(
    tmp_path: Path,
    parts: dict[str, Any],
    subject: tuple[str, str],
    judge: tuple[str, str] | None,
    expected: str | None,
) -> None:
    def spec(kind: tuple[str, str]) -> ModelSpec:
        return ModelSpec.model_validate({"id": "m", "dtype": kind[0], "device": kind[1]})

    plan = parts["plan"]
    cells = [cell.model_copy(update={"model": spec(subject)}) for cell in plan.cells]
    judges = [j.model_copy(update={"model": judge and spec(judge)}) for j in plan.judges]
    changed = Plan.single(recipe="r", name="n", cells=cells, judges=judges)
    found = notices(Run.create(tmp_path / "run", **{**parts, "plan": changed}))
    assert [line.partition(":")[0] for line in found] == ([expected] if expected else [])
