"""How long a worker stays that joins others: limits of units and time, and patience with others."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from probe_judges import asked_of

from trimtab.core.plan import Cell, JudgePlan
from trimtab.runs.store.claims import claim
from trimtab.runs.store.run import Run
from trimtab.runs.usage.progress import Silent
from trimtab.runs.work import loop, stay
from trimtab.runs.work.engines import EnginePool
from trimtab.runs.work.stay import PATIENCE_S, POLL_S, Stay, left
from trimtab.runs.work.units import KINDS, units
from trimtab.runs.work.worker import Worker

Make = Callable[..., Run]


class Clock:
    """A clock that goes on by sleeping alone."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    one = Clock()
    monkeypatch.setattr(stay, "time", one)
    monkeypatch.setattr(loop, "time", one)
    return one


@pytest.fixture
def scored(make: Make, text_cell: Callable[..., Cell], probe: Callable[[str], JudgePlan]) -> Run:
    """Return a run whose three texts are there, to be scored in two units."""
    return make("run", text_cell("a"), judges=(probe("probe"),))


def _work(run: Run, limits: Stay, kinds: Any = KINDS) -> str | None:
    with Worker(run, 1, Silent()) as worker:
        return loop.work([worker], EnginePool(), kinds, stay=limits)


def test_limits_end_a_stay_and_say_which(clock: Clock) -> None:
    assert Stay().end is None
    limited = Stay(max_units=2)
    limited.num_units = 1
    assert limited.end is None
    limited.num_units = 2
    assert limited.end == "2 units of at most 2 done"
    timed = Stay(seconds=60)
    clock.sleep(59.9)
    assert timed.end is None
    clock.sleep(0.1)
    assert timed.end == "the deadline after 60 s is reached"


def test_no_unit_is_begun_beyond_the_limit_and_the_next_worker_goes_on(
    scored: Run, members: Path, clock: Clock
) -> None:
    assert _work(scored, Stay(max_units=1)) == "1 unit of at most 1 done"
    assert len(asked_of(members)) == 1 and left(scored) == "1 score"
    late = Stay(seconds=5)
    clock.sleep(5)
    assert _work(scored, late) == "the deadline after 5 s is reached"
    assert len(asked_of(members)) == 1
    assert _work(scored, Stay(max_units=1)) is None, "the limit is met, and nothing is owed"
    assert left(scored) == "no row, but the report"


def test_a_unit_that_was_done_meanwhile_is_not_counted(scored: Run, members: Path) -> None:
    limits = Stay(max_units=2)
    assert _work(scored, Stay(max_units=1)) is not None
    assert _work(scored, limits) is None and limits.num_units == 1


def test_patience_ends_unless_somebody_works(scored: Run, clock: Clock) -> None:
    waiting = Stay()
    first = units(scored, ("score",))[0].name
    with claim(scored.dir, first):
        while clock.now < 1000 + 3 * PATIENCE_S:
            assert waiting.waits_for_others([scored])
    assert clock.slept[:3] == [POLL_S[0], 2 * POLL_S[0], 4 * POLL_S[0]]
    assert max(clock.slept) == POLL_S[1], "a file system is not asked all the time"
    since = clock.now
    while waiting.waits_for_others([scored]):
        assert clock.now < since + 2 * PATIENCE_S
    assert clock.now > since + PATIENCE_S / 2
    waiting.sees_work()
    clock.slept.clear()
    assert waiting.waits_for_others([scored]) and clock.slept == [POLL_S[0]]


def test_work_of_other_kinds_that_nobody_does_is_left(
    make: Make, text_cell: Callable[..., Cell], probe: Callable[[str], JudgePlan], clock: Clock
) -> None:
    run = make("run", text_cell("a"), judges=(probe("probe"),), texts="ab")
    reason = _work(run, Stay(), ("score",))
    assert reason == "what is owed is not of its kinds, and nobody works on it"
    assert left(run) == "1 completion, 1 score", "whole windows are scored"
    since = clock.now
    assert _work(run, Stay(patience=5), ("score",)) == reason
    assert 5 < clock.now - since < 12
