"""Scoring for some judges: they, what they need, and nothing else."""

from trimtab.runs.store.run import Run
from trimtab.runs.usage.progress import Silent
from trimtab.runs.work.engines import EnginePool
from trimtab.runs.work.loop import work
from trimtab.runs.work.score import owed
from trimtab.runs.work.selection import needed_judges
from trimtab.runs.work.worker import Worker


def owed_of(run: Run) -> dict[str, int]:
    return {judge.component.name: owed(run, judge) for judge in run.judges()}


def test_one_judge_scores_alone(make, text_cell, probe) -> None:
    one, other = probe("one"), probe("other")
    run = make("run", text_cell("cell"), judges=(one, other))
    with Worker(run, 1, Silent(), judges=needed_judges(run, [one.key])) as worker:
        work([worker], EnginePool(), ("score",))
    assert (owed(run, one), owed(run, other)) == (0, 3)


def test_a_judge_that_learns_brings_its_fit_and_its_labels(make, learned, text_cell, probe) -> None:
    parts = learned()
    run = make("run", **{**parts, "judges": (*parts["judges"], probe())})
    (usual,) = (judge for judge in run.judges() if judge.component.name == "usual")
    keys = needed_judges(run, [usual.key])
    assert len(keys) == 2
    with Worker(run, 1, Silent(), judges=keys) as worker:
        work([worker], EnginePool(), ("score",))
    assert owed_of(run)["usual"] == owed_of(run)["even"] == 0 and owed_of(run)["probe"] > 0
