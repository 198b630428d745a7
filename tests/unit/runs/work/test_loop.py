"""One loop for every worker: it waits for others, outlives failed judges, and lets plans grow."""

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from probe_judges import asked_of, write_texts

from trimtab.core.errors import JudgeError, StoreError
from trimtab.core.plan import Cell, Fragment, JudgePlan
from trimtab.runs.plan.data import PlanData
from trimtab.runs.plan.planner import PlannedFragment
from trimtab.runs.store.claims import claim
from trimtab.runs.store.run import Run
from trimtab.runs.usage.progress import Silent
from trimtab.runs.work import loop
from trimtab.runs.work.engines import EnginePool
from trimtab.runs.work.loop import work
from trimtab.runs.work.score import owed
from trimtab.runs.work.state import State
from trimtab.runs.work.units import KINDS, WindowUnit, units
from trimtab.runs.work.worker import Worker

Make = Callable[..., Run]
Plan = Callable[[str], JudgePlan]


class Notes(Silent):
    """Keeps what is said."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, line: str) -> None:
        self.lines.append(line)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "_POLL_S", 0.01)


def do(*runs: Run, kinds: Any = ("score",), **options: Any) -> Notes:
    notes = Notes()
    workers = [Worker(run, attempt, notes) for attempt, run in enumerate(runs, start=1)]
    try:
        work(workers, EnginePool(), kinds, **options)
    finally:
        for worker in workers:
            worker.__exit__(None, None, None)
    return notes


class Thread(threading.Thread):
    """Works on a run beside the test; a thread of its own claims are held by."""

    def __init__(self, run: Run, kinds: Any, **options: Any) -> None:
        super().__init__(daemon=True)
        self.notes = Notes()
        self.error: Exception | None = None
        self._arguments = (Run.open(run.dir), kinds, options)
        self.start()

    def run(self) -> None:
        run, kinds, options = self._arguments
        try:
            with Worker(run, 9, self.notes) as worker:
                work([worker], EnginePool(), kinds, **options)
        except Exception as error:
            self.error = error

    def ends(self, within: float = 20.0) -> bool:
        self.join(within)
        return not self.is_alive()


def until(condition: Callable[[], object]) -> None:
    limit = time.monotonic() + 60  # of a machine that does other things too
    while not condition():
        assert time.monotonic() < limit
        time.sleep(0.005)


def lengths(run: Run, judge: JudgePlan) -> dict[str, float | None]:
    return {
        f"{cell.key} {key[1]}": row.values["length"]
        for cell in run.plan.cells
        for key, row in run.scores(judge.key, cell.key).items()
    }


# ------------------------------------------------------------------------------- judges that fail


def test_a_judge_that_fails_stops_no_other_and_is_asked_once(
    make: Make, text_cell: Callable[..., Cell], probe: Plan, members: Path
) -> None:
    bad, good = probe("bad"), probe("good")
    (members / "bad.order").write_text("raise LookupError('no word')")
    run = make("run", text_cell("a"), text_cell("b"), judges=(bad, good))
    with pytest.raises(JudgeError, match=rf"{bad.key}: LookupError\('no word'\)") as caught:
        do(run)
    assert f"trimtab score {run.dir}" in str(caught.value)
    assert (owed(run, bad), owed(run, good)) == (6, 0)
    assert len(asked_of(members, "bad")) == 1, "its other windows are not tried"
    (members / "bad.order").unlink()
    do(run)
    assert lengths(run, bad) == lengths(run, good)


def test_a_disk_that_fails_stops_all(
    make: Make, text_cell: Callable[..., Cell], probe: Plan, members: Path
) -> None:
    bad, good = sorted([probe("bad"), probe("good")], key=lambda judge: judge.key)
    (members / f"{bad.component.config['name']}.order").write_text("raise StoreError('full')")
    run = make("run", text_cell("a"), judges=(bad, good))
    with pytest.raises(StoreError, match="full"):
        do(run)
    assert owed(run, good) == 3, "nothing is tried on a broken disk"


def test_what_learns_from_a_judge_that_failed_waits_and_others_score(
    make: Make, learned: Callable[..., dict[str, Any]], probe: Plan
) -> None:
    parts = learned(broken=True)
    usual, labels = parts["judges"]
    good = probe("good")
    run = make("run", **{**parts, "judges": (usual, labels, good)})
    with pytest.raises(JudgeError, match="no labels today"):
        do(run)
    assert [owed(run, judge) for judge in (usual, labels, good)] == [6, 6, 0]
    assert not run.has_artifact(usual.artifacts["length"])


def test_a_judge_without_the_texts_that_its_fit_reads_says_what_it_waits_for(
    make: Make, learned: Callable[..., dict[str, Any]]
) -> None:
    parts = learned()
    usual, labels = parts["judges"]
    run = make("run", **parts, texts="ab")
    notes = do(run)
    assert notes.lines == [f"note: fit-{usual.artifacts['length']} waits for 1 completion of fit"]
    assert (owed(run, labels), owed(run, usual)) == (0, 4), "an early score is no mistake"
    for cell in run.plan.cells:
        write_texts(run, cell, "c")
    assert do(run).lines == []
    assert (owed(run, labels), owed(run, usual)) == (0, 0)
    info = run.artifact_info(usual.artifacts["length"])
    assert info is not None and info["num_answers"] == 2, "of three texts one has an odd length"


# ---------------------------------------------------------------------------------- other workers


def test_a_unit_that_another_worker_holds_is_waited_for_and_told_once(
    make: Make, text_cell: Callable[..., Cell], probe: Plan
) -> None:
    judge = probe("probe")
    run = make("run", text_cell("a"), judges=(judge,))
    held, free = [unit.name for unit in units(run, ("score",))]
    with claim(run.dir, held) as mine:
        assert mine is not None
        other = Thread(run, ("score",))
        until(lambda: other.notes.lines)
        assert list(lengths(run, judge)) == ["a c"], "what is free is done first"
        time.sleep(0.1)
        assert other.is_alive()
    assert other.ends() and other.error is None
    assert len(lengths(run, judge)) == 3
    (line,) = other.notes.lines
    assert line.startswith(f"waiting: {held} is held by process ")
    assert free not in line


def test_scores_wait_for_windows_that_another_worker_generates(
    make: Make, text_cell: Callable[..., Cell], probe: Plan, members: Path
) -> None:
    judge, cell = probe("probe"), text_cell("a")
    run = make("run", cell, texts="a", judges=(judge,))
    first, second = (unit for unit in units(run) if isinstance(unit, WindowUnit))
    with claim(run.dir, first.name):
        other = Thread(run, ("score",))
        time.sleep(0.2)
        assert other.is_alive() and asked_of(members) == [], "half a window is not scored"
        write_texts(run, cell, "b")
        until(lambda: asked_of(members))
    assert other.ends() and other.error is None
    assert asked_of(members) == [[["a", "a", 0, True], ["a", "b", 0, True]]]
    assert State(run).owed(second), "nobody generates it: that is no reason to wait"


def test_a_fit_does_not_wait_for_windows_that_another_worker_generates(
    make: Make, text_cell: Callable[..., Cell]
) -> None:
    run = make("run", text_cell("a"), texts="a")
    (window, *_) = units(run, ("generate",))
    with claim(run.dir, window.name):
        other = Thread(run, ("fit",))
        assert other.ends(5.0), "nothing is left to fit"
    assert other.error is None


def test_a_claim_that_is_lost_while_a_judge_works_costs_its_rows_and_no_error(
    make: Make, text_cell: Callable[..., Cell], probe: Plan, members: Path
) -> None:
    judge = probe("probe")
    run = make("run", text_cell("a"), judges=(judge,), window=3)
    (unit,) = units(run, ("score",))
    folder = run.dir / "claims" / unit.name
    # after the first row another worker takes the unit over, and gives it back
    (members / "probe.order").write_text(
        f"""
if number == 1:
    from pathlib import Path
    path = Path({str(folder)!r}) / "0002.jsonl"
    path.write_text((path.parent / "0001.jsonl").read_text() + '{{"released":true}}\\n')
    order.unlink()
"""
    )
    (said,) = do(run).lines
    assert said.startswith("stopped: score-probe-") and "was taken over" in said
    assert [[row[3] for row in window] for window in asked_of(members)] == [
        [True, True, True],
        [False, True, True],
    ]
    lines = [
        line
        for path in run.dir.glob("scores/*/*/*.jsonl")
        for line in path.read_text().splitlines()
    ]
    assert len(lines) == 3 == len(lengths(run, judge)), "no row is lost, none is written twice"
    assert [path.name for path in sorted(folder.iterdir())][-1] == "0003.jsonl"


# --------------------------------------------------------------------------------- what is missing


def test_rows_that_wait_for_a_fit_say_what_to_run(
    make: Make, text_cell: Callable[..., Cell]
) -> None:
    run = make("run", text_cell("a", artifacts={"vector": "k"}), texts="")
    with pytest.raises(StoreError, match=r"2 windows.* 1 of 1 artifacts") as caught:
        do(run, kinds=("generate",))
    assert f"trimtab fit {run.dir}" in str(caught.value)


def test_a_panel_whose_member_is_gone_is_told(
    make: Make, text_cell: Callable[..., Cell], probe: Plan
) -> None:
    judge = probe("probe").model_copy(update={"members": ("rubric-gone",)})
    run = make("run", text_cell("a"), judges=(judge,))
    with pytest.raises(JudgeError, match=r"probe-\w+ waits for 2 scores by rubric-gone"):
        do(run)


# ---------------------------------------------------------------------------------- plans that grow


@pytest.fixture
def grow(text_cell: Callable[..., Cell]) -> Callable[[Run], PlannedFragment | None]:
    """Return what adds two fragments of one cell each, with an added judge in the first."""

    def grow(run: Run) -> PlannedFragment | None:
        number = len(run.plan.fragments)
        assert all(owed(run, judge) == 0 for judge in run.judges()), "asked when all is done"
        if number > 2:
            return None
        data = PlanData()
        asked = run.samples(run.plan.cells[0].samples)
        key = data.add_samples(list(asked.values()))
        cell = text_cell(f"grown-{number}", samples=key)
        write_texts(run, cell, *"abc")  # no model is at hand to write them
        return PlannedFragment(Fragment(number=number, reason=f"r{number}", cells=(cell,)), data)

    return grow


def test_a_plan_grows_until_its_recipe_is_content(
    make: Make, text_cell: Callable[..., Cell], probe: Plan, grow: Any
) -> None:
    judge = probe("probe")
    run = make("run", text_cell("a"), judges=(judge,))
    notes = do(run, kinds=KINDS, grow=grow)
    assert notes.lines == ["The plan grows: r1", "The plan grows: r2"]
    assert [part.reason for part in Run.open(run.dir).plan.fragments[1:]] == ["r1", "r2"]
    assert len(lengths(run, judge)) == 9, "judges score the cells of every fragment"
    assert do(run, kinds=KINDS, grow=grow).lines == []


def test_two_workers_grow_one_plan_together(
    make: Make, text_cell: Callable[..., Cell], probe: Plan, grow: Any
) -> None:
    judge = probe("probe")
    run = make("run", text_cell("a"), judges=(judge,))
    others = [Thread(run, KINDS, grow=grow) for _ in range(2)]
    assert all(other.ends() for other in others)
    assert [other.error for other in others] == [None, None]
    run = Run.open(run.dir)
    assert [part.reason for part in run.plan.fragments[1:]] == ["r1", "r2"]
    assert len(lengths(run, judge)) == 9
    said = [line for other in others for line in other.notes.lines if "grows" in line]
    assert sorted(said) == ["The plan grows: r1", "The plan grows: r2"]


def test_what_another_worker_adds_while_nothing_is_ready_is_done_and_not_taken_for_the_end(
    make: Make,
    text_cell: Callable[..., Cell],
    probe: Plan,
    grow: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    judge = probe("probe")
    run = make("run", text_cell("a"), judges=(judge,))
    do(run)
    refresh, added = Run.refresh, []

    def meanwhile(mine: Run) -> bool:
        if mine is run and not added:
            added.append(grow(Run.open(run.dir)))
            Run.open(run.dir).extend(added[0].fragment, added[0].data.folders())
        return refresh(mine)

    monkeypatch.setattr(Run, "refresh", meanwhile)
    do(run, kinds=KINDS)
    assert added and owed(run, judge) == 0 and len(lengths(run, judge)) == 6


def test_a_plan_does_not_grow_from_scores_that_are_owed_or_in_one_phase_alone(
    make: Make, text_cell: Callable[..., Cell], probe: Plan, members: Path, grow: Any
) -> None:
    judge = probe("probe")
    run = make("run", text_cell("a"), judges=(judge,))
    do(run, grow=grow)
    assert owed(run, judge) == 0 and len(run.plan.fragments) == 1
    run.add_judge(probe("bad"))
    (members / "bad.order").write_text("raise LookupError")
    with pytest.raises(JudgeError):
        do(run, kinds=KINDS, grow=grow)
    assert len(Run.open(run.dir).plan.fragments) == 1


# ------------------------------------------------------------------------------------- several runs


def test_several_runs_are_done_together_and_failures_name_their_run(
    make: Make, text_cell: Callable[..., Cell], probe: Plan, members: Path
) -> None:
    bad, good = probe("bad"), probe("good")
    (members / "bad.order").write_text("raise LookupError")
    one = make("one", text_cell("a"), judges=(bad, good))
    two = make("two", text_cell("a"), judges=(good,))
    with pytest.raises(JudgeError) as caught:
        do(one, two)
    assert str(one.dir) in str(caught.value) and str(two.dir) not in str(caught.value)
    assert [owed(one, good), owed(two, good), owed(one, bad)] == [0, 0, 3]
