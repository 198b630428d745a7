"""About whose answers a condition inflates, and what could not be told."""

from types import SimpleNamespace

import pytest

from trimtab.core.spec import Component, ModelSpec

QUESTIONS = ("q0", "q1")


def graded_run(inflations):
    """Return a run: (condition, replica) -> source -> inflation of both answers."""
    cells, scores = [], {}
    for (condition, replica), by_source in inflations.items():
        for source, values in by_source.items():
            key = f"{condition}-{replica}-{source}"
            place = {"graded": source}
            if condition != "baseline":
                place |= {"run": condition, "replica": float(replica)}
            cells.append(
                SimpleNamespace(
                    key=key,
                    coordinates=place,
                    purpose="result",
                    model=ModelSpec(id="tiny"),
                    task=Component(name="arithmetic"),
                )
            )
            pairs = zip(QUESTIONS, values, strict=True)
            scores[key] = {
                (key, q, 0): SimpleNamespace(values={"inflation_all": v}) for q, v in pairs
            }
    judge = SimpleNamespace(key="grade-1", metrics=[SimpleNamespace(name="inflation_all")])
    return SimpleNamespace(
        plan=SimpleNamespace(cells=cells, baseline="baseline", fits=[], seed=0),
        judges=lambda: [judge],
        scores=lambda _, cell: scores[cell],
    )


def test_a_rise_is_above_the_base_and_of_each_source(show, tmp_path) -> None:
    run = graded_run(
        {
            ("baseline", 0): {"own": (0.0, 0.5), "base": (0.0, 0.5)},
            ("selfgrade", 0): {"own": (1.0, 1.0), "base": (0.0, 0.5)},
            ("selfgrade", 1): {"own": (1.0, 0.9), "base": (0.1, 0.5)},
            ("selfgrade", 2): {"own": (0.9, 1.0), "base": (0.0, 0.4)},
            ("honest", 0): {"base": (1.0, None), "own": (0.5, 0.5)},
            ("honest", 1): {"base": (0.9, 1.0), "own": (0.5, 0.4)},
        }
    )
    shown = show("transfer", run)
    told = {(one.condition, one.source): one for one in shown.content.about}
    assert told["selfgrade", "own"].rise.mean == pytest.approx((0.75 + 0.7 + 0.7) / 3)
    assert told["baseline", "base"].inflation.mean == 0.25
    assert told["honest", "base"].rise.mean == pytest.approx((1.0 + 0.7) / 2), "of what both graded"
    verdicts = {one.condition: one.verdict for one in shown.content.lies}
    assert verdicts == {"selfgrade": "about itself alone", "honest": "could not be told"}
    assert shown.section.finding(shown.view).text.startswith("selfgrade on arithmetic (tiny)")
    (figure,) = shown.section.figures(shown.view)
    assert {path.suffix for path in figure.write(tmp_path)} == {".png", ".svg", ".csv"}
