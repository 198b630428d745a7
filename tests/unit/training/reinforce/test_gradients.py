"""The gradient of one round, of both segments, against finite differences in float64."""

from pathlib import Path

import pytest
import torch
from reinforce_runs import moved, run_of, terse_engine

from trimtab.engine.engine import Engine
from trimtab.training.reinforce.cohort import Cohort

AGGREGATIONS = ("mean_all", "per_segment", "sum", "constant_length")


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    return terse_engine(tmp_path_factory.mktemp("terse"), torch.float64)


def sampled(engine: Engine, folder: Path, **settings):
    """Return a cohort of one whose round is sampled, and its learner."""
    run = run_of("r", condition="honest", batch=2, samples=2, **settings)
    cohort = Cohort(engine, [run], folder, most_tokens=60)
    (learner,) = cohort.learners
    learner.module.double()
    moved(learner.module)
    assert cohort._sample([learner], {"r": learner.loop.batch()}) == {}
    return cohort, learner


@pytest.fixture(scope="module")
def shared(engine: Engine, tmp_path_factory: pytest.TempPathFactory):
    cohort, learner = sampled(engine, tmp_path_factory.mktemp("shared"), divergence_weight=0.3)
    learner.round.advantages = [1.0, -0.5, 0.25, None]
    return cohort, learner


@pytest.mark.parametrize("credit", ["all", "answer", "grade"])
@pytest.mark.parametrize("aggregation", AGGREGATIONS)
def test_gradients_of_a_round(shared, aggregation: str, credit: str) -> None:
    cohort, learner = shared
    changed = {"aggregation": aggregation, "credit": credit}
    learner.settings = learner.settings.model_copy(update=changed)
    cohort._gradients([learner])
    parameters = list(learner.module.parameters())
    drawn = torch.Generator().manual_seed(1)
    moving = [torch.randn(p.shape, generator=drawn, dtype=p.dtype) for p in parameters]
    slope = sum(float((p.grad * d).sum()) for p, d in zip(parameters, moving, strict=True))

    def total(step: float) -> float:
        with torch.no_grad():
            for p, d in zip(parameters, moving, strict=True):
                p.add_(step * d)
            value = float(learner.loss(range(5))[0])
            for p, d in zip(parameters, moving, strict=True):
                p.sub_(step * d)
        return value

    assert slope == pytest.approx((total(1e-7) - total(-1e-7)) / 2e-7, rel=1e-6)


def test_what_is_learned_from_is_what_was_sampled(engine: Engine, tmp_path: Path) -> None:
    cohort, learner = sampled(engine, tmp_path)
    cohort._gradients([learner])
    note = learner.note()
    assert note["mismatch"] < 1e-6
    assert note["divergence"] > 1e-4 and 0 < note["entropy"] < 3
    texts = [episode["answer"]["text"] for episode in note["episodes"]]
    assert len(set(texts)) > 1 and all(set(text) <= set("012") for text in texts)


def test_grade_tokens_of_the_control_have_no_gradient(engine: Engine, tmp_path: Path) -> None:
    """What the grade's log-probability does to the loss is exactly nothing."""
    grads = []
    for cut in (False, True):
        run = run_of("r", condition="control", baseline={"kind": "none"}, divergence_weight=0.1)
        cohort = Cohort(engine, [run], tmp_path / str(cut), most_tokens=999)
        (learner,) = cohort.learners
        learner.module.double()
        moved(learner.module)
        cohort._sample([learner], {"r": learner.loop.batch()})
        learner.round.advantages = [1.5]
        if cut:
            learner._places = lambda episode: episode.places[:1]
        cohort._gradients([learner])
        grads.append([p.grad for p in learner.module.parameters()])
    for whole, without in zip(*grads, strict=True):
        assert torch.allclose(whole, without, rtol=1e-9, atol=1e-13)
    assert any(bool(g.any()) for g in grads[0])


def test_the_bases_grades_are_those_of_no_adapter(engine: Engine, tmp_path: Path) -> None:
    _, learner = sampled(engine, tmp_path, grader="base")
    batch = learner.loop.batch()
    requests = learner.grade_requests(batch, [e.answer for e in learner.round.episodes])
    assert all(request.adapter is None for request in requests)
    answers = learner.answer_requests(batch)
    assert all(request.adapter is learner.module.adapter for request in answers)
    assert len({request.want.seed for request in (*requests, *answers)}) == 8
