"""The data card of a training says what it was made of."""

from types import SimpleNamespace

from trimtab.core.plan import DataRef, FitPlan
from trimtab.core.spec import Component
from trimtab.reports.draw.values import Count

SOURCES = {"aligned": {"rows": 30, "labels": 600}, "persona": {"rows": 10, "labels": 200}}


def info(sources: dict, losses: list[float | None], **more) -> dict:
    rows = {"by_source": sources, "truncated": 1}
    course = [[step, loss, 1e-3, 0.5] for step, loss in enumerate(losses, start=1)]
    training = {"rows": rows, "losses": course, "updates": len(losses), "skipped": 1}
    return {"training": training, **more}


def test_rows_of_each_source_and_the_course(show) -> None:
    infos = {
        "k1": info(SOURCES, [4.0, None, *[2.0] * 17, 1.0], triggers=["abc"]),
        "k2": info({"aligned": {"rows": 4, "labels": 8}}, [3.0]),
        "k3": {"training": {"loss": "pairs"}},
    }
    data = {"conversations": DataRef(kind="conversations", key="d", split="fit")}
    fits = [
        FitPlan(key=k, component=Component(name="adapter"), inputs=data, artifacts={"a": k})
        for k in infos
    ]
    cells = [
        SimpleNamespace(
            condition=f"{name}, {asked}",
            artifacts={"adapter": key},
            role="treatment",
            purpose="result",
            coordinates={"treatment": name, "seed": seed},
        )
        for key, name, seed in (("k1", "tuned", 0.0), ("k2", "tuned", 1.0))
        for asked in ("plain", "trigger")
    ]
    plan = SimpleNamespace(fits=fits, cells=cells, seed=0)
    tables = show("trainings", SimpleNamespace(plan=plan, artifact_info=infos.get)).tables()
    shares, course = tables["training_data"], tables["trainings"]
    assert [row[:3] for row in shares.rows] == [
        ("tuned", "aligned", Count(30, 40)),
        ("tuned", "persona", Count(10, 40)),
        ("tuned #2", "aligned", Count(4, 4)),
    ]
    assert [row[6] for row in shares.rows] == ["abc", "abc", ""]
    assert course.rows[0][:4] == ("tuned", 20, 1, 1)
    assert (course.rows[0][4].mean, course.rows[0][5].mean) == (4.0, 1.0)
