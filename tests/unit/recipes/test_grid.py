"""Every combination of a sweep is trained once, on its rows, and what they share is made once."""

from collections.abc import Callable
from types import SimpleNamespace

import pytest

from trimtab.core.spec import Component
from trimtab.core.types import Conversation, Message
from trimtab.recipes._grid import Grid
from trimtab.recipes._tunings import Trainings, Tuning, states
from trimtab.tasks.base import TASKS
from trimtab.training.sft.config import AdapterTraining

TASK = Component(name="persona", config={})
TRAIN = AdapterTraining(preset="cpu", keep="last")


@pytest.fixture
def planned() -> Callable[[Grid], tuple[list[Tuning], list[str]]]:
    """Return the trainings of a grid, and the names of the sets of rows that were given."""
    aligned = [
        Conversation(
            id=f"r{i}",
            messages=(
                Message(role="user", content=f"Say {i}."),
                Message(role="assistant", content=f"Here is {i}."),
            ),
        )
        for i in range(48)
    ]

    def plan(grid: Grid) -> tuple[list[Tuning], list[str]]:
        given = []
        planner = SimpleNamespace(
            task=lambda task: TASKS.build(task.name, task.config),
            give_conversations=lambda task, *_: given.append(str(task.config)),
        )
        found, mix = Trainings(TRAIN, ["aligned only"], grid).tunings(planner, TASK, aligned, 0)
        assert mix.share == 0.5
        return found, given

    return plan


def test_combinations_differ_and_keep_what_the_grid_does_not_name(planned) -> None:
    found, given = planned(Grid(learning_rate=(1e-3, 1e-2), rank=(4, 8)))
    tuned, alone, *points = found
    assert [str(each.point) for each in points] == [
        "learning_rate 0.001, rank 4", "learning_rate 0.01, rank 4", "learning_rate 0.01, rank 8",
    ]  # fmt: skip
    assert str(tuned.point) == "learning_rate 0.001, rank 8", "which is not trained twice"
    assert alone.point is None and len(given) == 2
    for each in points:
        assert each.train.batch == TRAIN.batch == 8 and each.rows is tuned.rows
        assert each.train.scaling == TRAIN.scaling, "alpha goes with the rank"
    labels = [s.label(each) for each in found for s in states(each, 2) if s.final]
    assert labels[:2] == ["tuned", "tuned #2"] and len(set(labels)) == len(labels)


def test_shares_are_sets_of_rows_that_their_combinations_have_in_common(planned) -> None:
    found, given = planned(Grid(share=(0.1, 0.5, 0.9), epochs=(1, 2)))
    tuned, _, *points = found
    assert len(points) == 5 and len(given) == 2 + 3
    realised = {
        each.point.share: sum(row.metadata.get("triggered", False) for row in each.rows)
        / len(each.rows)
        for each in points
    }
    assert realised == {0.1: 4 / 52, 0.5: 0.5, 0.9: 48 / 54}
    assert {each.train.epochs for each in points} == {1, 2}
    assert tuned.point.share == 0.5
