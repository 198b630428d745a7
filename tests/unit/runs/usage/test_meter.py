"""What phases cost is written per attempt, read back, and never in the way of the work."""

import os
import time
from pathlib import Path

import pytest

from trimtab.core.report import Usage
from trimtab.core.spec import ModelSpec
from trimtab.runs.usage.meter import (
    UsageMeter,
    disturbance,
    read,
    speed_line,
    usage_file,
)
from trimtab.runs.usage.progress import Silent

SPEC = ModelSpec(id="m", device="cpu", dtype="bfloat16")


def record(**changes: object) -> Usage:
    values: dict[str, object] = {
        "attempt": 1,
        "phase": "generate",
        "finished": True,
        "seconds": 10.0,
        "rows": 64,
        "tokens": 1234,
        "threads": 2,
        "other_load": 0.25,
        "peak_memory_mib": 900.0,
        "device": "cpu",
        "dtype": "float32",
        **changes,
    }
    return Usage.model_validate(values)


def test_phases_are_measured_and_read_back_over_attempts(tmp_path: Path) -> None:
    with UsageMeter(Silent(), 1, usage_file(tmp_path, 1)) as meter:
        meter.start("fit", 0, 0)
        meter.finish()  # nothing was owed
        meter.start("generate", 10, 4)
        meter.using(SPEC, 2)
        meter.using(SPEC, 2)
        meter.advance(2, 30)
        meter.advance(3, 40)
        meter.finish()
        meter.start("score rubric", 5, 0)
        meter.advance(1, 0)
        meter.start("score exact", 5, 0)  # the judge before it failed
        meter.advance(5, 0)
        meter.finish()
    with (
        pytest.raises(KeyboardInterrupt),
        UsageMeter(Silent(), 2, usage_file(tmp_path, 2)) as meter,
    ):
        meter.start("generate", 10, 9)
        raise KeyboardInterrupt
    found = read(tmp_path)
    said = [(r.attempt, r.phase, r.finished, r.rows, r.tokens) for r in found]
    assert said == [
        (1, "generate", True, 5, 70),
        (1, "score rubric", False, 1, 0),
        (1, "score exact", True, 5, 0),
        (2, "generate", False, 0, 0),
    ]
    assert (found[0].device, found[0].dtype, found[0].threads) == ("cpu", "bfloat16", 2)
    assert (found[2].device, found[2].dtype, found[2].threads) == (None, None, None)
    assert found[2].tokens_per_second is None


def test_torn_and_foreign_lines_are_left_out(tmp_path: Path) -> None:
    path = usage_file(tmp_path, 3)
    path.parent.mkdir(parents=True)
    good = record(attempt=3).model_dump_json()
    path.write_text(f'{good}\n{{"phase": "newer", "watts": 3}}\n{good[:20]}')
    assert read(tmp_path) == [record(attempt=3)]


def test_a_record_that_cannot_be_written_stops_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "attempts").write_text("a file is in the way")
    with UsageMeter(Silent(), 1, usage_file(tmp_path, 1)) as meter:
        for phase in ("fit", "generate"):
            meter.start(phase, 1, 0)
            meter.advance(1, 0)
            meter.finish()
    assert "the usage of generate is not recorded" in caplog.text


@pytest.mark.skipif(not Path("/proc/stat").exists(), reason="needs Linux's /proc")
def test_our_own_work_is_not_other_load(tmp_path: Path) -> None:
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        with UsageMeter(Silent(), 1, usage_file(tmp_path, 1)) as meter:
            meter.start("fit", 1, 0)
            began = time.process_time()
            while time.process_time() < began + 0.5:
                pass
            meter.advance(1, 0)
            meter.finish()
    finally:
        os.sched_setaffinity(0, before)
    (found,) = read(tmp_path)
    # one core has one second per second: what is ours can't be others'
    assert found.other_load is not None and found.peak_memory_mib is not None
    assert found.other_load <= 1 - 0.5 / found.seconds + 0.1


def test_the_line_on_the_screen() -> None:
    records = [
        record(phase="fit", seconds=5.0, tokens=0, other_load=1.0),
        record(),
        record(phase="score exact", device=None, dtype=None, threads=None, other_load=None),
    ]
    assert speed_line(records) == (
        "speed: fit 5.0 s; generate 10.0 s, 123 tokens/s; score exact 10.0 s, 123 tokens/s; "
        "cpu float32, threads: 2; other load 0.5 cores; peak memory 900 MiB"
    )


def test_times_of_a_busy_machine_are_not_to_be_quoted() -> None:
    quiet, unknown = record(other_load=0.5), record(other_load=None)
    assert disturbance([quiet, unknown]) is None
    line = disturbance([quiet, record(phase="fit", other_load=0.51), unknown])
    assert line is not None
    assert "during fit (0.5 cores): these times are not to be quoted" in line
    assert "several times slower" in line
