"""Runs side by side: each as if alone, one that breaks by itself, and going on after a stop."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from reinforce_runs import run_of, terse_engine

from trimtab.core.errors import HeldError, StoreError
from trimtab.engine.engine import Engine
from trimtab.training.reinforce import cohort
from trimtab.training.reinforce.cohort import Cohort

RUNS = [
    {"condition": "control"},
    {"condition": "selfgrade", "unparsed": "skip"},
    {"condition": "honest", "samples": 2, "baseline": {"kind": "rloo"}, "aggregation": "sum"},
    {"condition": "honest", "batch": 4, "divergence_weight": 0.1, "order": "fixed"},
    {"condition": "honest", "grader": "base", "layers": ("dense",), "unparsed": "baseline"},
]


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    return terse_engine(tmp_path_factory.mktemp("terse"))


def runs(count: int = len(RUNS), **more):
    return [run_of(f"r{i}", seed=i, **{**kind, **more}) for i, kind in enumerate(RUNS[:count])]


def written(outcome) -> list:
    """What was sampled, without what rounding touches."""
    names = ("item", "reward", "true", "grade_state", "grade_value")
    return [
        [[e[n] for n in names] + [e["answer"]["text"], e["grade"]["text"]] for e in row["episodes"]]
        for row in outcome.rows
    ]


def weights(learner) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in learner.module.parameters()])


def test_each_run_ends_as_it_does_alone(engine: Engine, tmp_path: Path) -> None:
    together = Cohort(engine, runs(), tmp_path / "all", most_tokens=300)
    ended = together.run()
    changed = 0
    for learner, run in zip(together.learners, runs(), strict=True):
        alone = Cohort(engine, [run], tmp_path / run.name)
        start = weights(alone.learners[0])
        outcome = alone.run()[run.name].outcome
        assert written(ended[run.name].outcome) == written(outcome)
        assert (weights(learner) - weights(alone.learners[0])).abs().max() < 1e-5
        changed += not torch.equal(weights(learner), start)
        kept = learner.loop.checkpoints.kept(6)
        assert torch.equal(
            torch.cat([t.flatten() for t in kept.values()]).sort()[0], weights(learner).sort()[0]
        )
    assert changed == len(RUNS)
    rows = ended["r1"].outcome.rows
    assert any(e["grade_state"] == "unparsed" for row in rows for e in row["episodes"])
    assert any(e["grade_value"] == 1 for row in rows for e in row["episodes"])


@pytest.mark.parametrize(
    ("dtype", "found", "is_given_up"),
    [
        (torch.float32, (2e-4, 2), True),
        (torch.bfloat16, (2e-4, 2), False),
        (torch.bfloat16, (-0.3, 2), False),
        (torch.bfloat16, (-0.3, 16), True),
        (torch.bfloat16, (0.8, 1), True),
    ],
)
def test_a_run_that_learns_from_other_probabilities_than_it_sampled_with_is_given_up(
    dtype: torch.dtype,
    found: tuple[float, int],
    is_given_up: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Roundings of a short format are none: they are large for one token, and average out."""
    monkeypatch.setattr(cohort, "mismatches", lambda *_: [(0.0, 9), found])
    (ended,) = Cohort(terse_engine(tmp_path, dtype), runs(1), tmp_path / "all").run().values()
    assert (ended.failed is not None) == is_given_up
    assert not is_given_up or f"{abs(found[0]):.2g} nats per token" in str(ended.failed)


def test_an_alarm_ends_its_run_alone_where_it_should(engine: Engine, tmp_path: Path) -> None:
    bound = {"gradient_norm": 1e-9}
    some = runs(2)
    told = run_of("told", seed=1, **RUNS[0], alarms=bound)
    ended = run_of("ended", seed=1, **RUNS[0], alarms={**bound, "stop": ["gradient_norm"]})
    cohort = Cohort(engine, [*some, told, ended], tmp_path)
    found = cohort.run()
    assert [found[x.name].failed for x in (*some, told)] == [None] * 3
    assert found["ended"].failed.startswith("alarm in round ")
    rounds = {name: [r["step"] for r in one.outcome.rows] for name, one in found.items()}
    raised = [row["step"] for row in found["told"].outcome.rows if "alarms" in row]
    assert raised == rounds["ended"][-1:], "once, and the other run ends there"
    assert rounds["told"] == rounds["r0"] == list(range(1, 7))


def spoiled(cohort: Cohort, name: str, rounds: set[int]) -> Cohort:
    """Let the loss of one run be NaN in some rounds."""
    (learner,) = [x for x in cohort.learners if x.run.name == name]
    usual = learner.learn

    def learn(number, drawn):
        loss = usual(number, drawn)
        bad = learner.loop.step in rounds and loss is not None
        return loss * float("nan") if bad else loss

    learner.learn = learn
    return cohort


def test_a_run_that_is_not_finite_is_rolled_back_alone(engine: Engine, tmp_path: Path) -> None:
    plan = runs(3, rounds=8, unparsed="zero", skipped_in_a_row=2)
    whole = Cohort(engine, plan, tmp_path / "whole")
    expected = whole.run()
    hurt = spoiled(Cohort(engine, plan, tmp_path / "hurt"), "r2", {3, 4})
    found = hurt.run()
    for i in (0, 1):
        assert written(found[f"r{i}"].outcome) == written(expected[f"r{i}"].outcome)
        assert (weights(hurt.learners[i]) - weights(whole.learners[i])).abs().max() < 1e-6
    rows = found["r2"].outcome.rows
    assert [row["loss"] is None for row in rows] == [n in (3, 4) for n in range(8)]
    assert [row.get("went_back") for row in rows[3:5]] == [False, True]
    assert found["r2"].outcome.skipped == 2 and found["r2"].failed is None
    assert weights(hurt.learners[2]).isfinite().all()


def test_an_adapter_that_is_not_finite_comes_back(engine: Engine, tmp_path: Path) -> None:
    """Whatever spoiled it, the run can't even sample; the last good state is put in its place."""
    plan = runs(3, rounds=6, unparsed="zero", skipped_in_a_row=2)

    def spoil(progress) -> None:
        if progress.round == 2:
            with torch.no_grad():
                next(cohort.learners[2].module.parameters()).fill_(float("nan"))

    cohort = Cohort(engine, plan, tmp_path / "c", progress=spoil)
    ended = cohort.run()
    rows = ended["r2"].outcome.rows
    assert [row["episodes"] is None for row in rows] == [False, False, True, True, False, False]
    assert weights(cohort.learners[2]).isfinite().all()
    assert all(ended[name].outcome.skipped == 0 for name in ("r0", "r1"))


def test_a_run_is_given_up_and_the_others_go_on(engine: Engine, tmp_path: Path) -> None:
    plan = runs(2, unparsed="zero", most_skipped=1)
    cohort = spoiled(Cohort(engine, plan, tmp_path / "c"), "r1", {2, 3, 4})
    ended = cohort.run()
    assert "after 1 that were skipped (item 's" in ended["r1"].failed
    assert (ended["r1"].outcome.steps, ended["r0"].outcome.steps) == (3, 6)
    again = Cohort(engine, plan, tmp_path / "c").run()
    assert again["r1"].failed == ended["r1"].failed and again["r1"].outcome.steps == 3


def test_a_sampler_that_is_not_finite_spoils_one_run_alone(engine: Engine, tmp_path: Path) -> None:
    plan = runs(2, rounds=3, unparsed="zero")

    def spoil(progress) -> None:
        if progress.round == 1:
            with torch.no_grad():
                for parameter in cohort.learners[1].module.parameters():
                    parameter.fill_(1e30)

    cohort = Cohort(engine, plan, tmp_path / "c", progress=spoil)
    ended = cohort.run()
    assert [row["loss"] is None for row in ended["r1"].outcome.rows] == [False, True, True]
    assert [row["loss"] is None for row in ended["r0"].outcome.rows] == [False] * 3


class Stopped(Exception):
    """Stands for the end of a process."""


@pytest.mark.parametrize("seconds", [0.0, 1e9])
def test_a_stopped_cohort_leaves_the_same_bytes(
    engine: Engine, tmp_path: Path, seconds: float
) -> None:
    plan = runs(3)
    Cohort(engine, plan, tmp_path / "whole").run()
    for at in (1, 4, 5):

        def stop(progress, at=at) -> None:
            if progress.round == at:
                raise Stopped

        with pytest.raises(Stopped):
            cohort = Cohort(
                engine, plan, tmp_path / "cut", checkpoint_seconds=seconds, progress=stop
            )
            cohort.run()
    # between the checkpoint of one run and that of another
    cohort = Cohort(engine, plan, tmp_path / "cut")

    def fails() -> None:
        raise Stopped

    cohort.learners[1].loop.save = fails
    with pytest.raises(Stopped):
        cohort.run()
    Cohort(engine, plan, tmp_path / "cut").run()
    assert_same(tmp_path / "cut", tmp_path / "whole")


def assert_same(found: Path, expected: Path) -> None:
    """Compare all but timings, and what a killed writer may leave behind."""
    names = sorted(
        p.relative_to(expected)
        for p in expected.rglob("*")
        if p.is_file() and p.name not in ("timings.jsonl", "SHA256SUMS")
    )
    assert sum(name.name == "steps.jsonl" for name in names) == 3
    for name in names:
        assert (found / name).read_bytes() == (expected / name).read_bytes(), name


def test_another_cohort_is_refused(engine: Engine, tmp_path: Path) -> None:
    Cohort(engine, runs(2, rounds=1), tmp_path / "c").run()
    with pytest.raises(StoreError, match="another cohort"):
        Cohort(engine, runs(3, rounds=1), tmp_path / "c").run()


PROGRAM = """
import os, signal, sys
sys.path[:0] = [{helpers!r}, {here!r}]
from pathlib import Path
from reinforce_runs import terse_engine
from test_cohort import Cohort, runs
import trimtab.training.checkpoint as checkpoint
at, folder = int(sys.argv[1]), Path(sys.argv[2])
calls, write = [0], checkpoint.write_tensors
def kill_at_round(progress):
    if at == progress.round:
        os.kill(os.getpid(), signal.SIGKILL)
def kill_in_write(path, tensors):
    calls[0] += 1
    if at < 0 and calls[0] == -at:
        os.kill(os.getpid(), signal.SIGKILL)
    write(path, tensors)
checkpoint.write_tensors = kill_in_write
engine = terse_engine(folder.parent / ("base-" + str(os.getpid())))
plan = runs(3, rounds=30)
Cohort(engine, plan, folder, checkpoint_seconds=0.2, progress=kill_at_round).run()
"""


@pytest.mark.campaign
def test_killed_at_any_round_it_leaves_the_same_bytes(tmp_path: Path) -> None:
    """At 20 rounds, and in three writes of checkpoints."""
    here = Path(__file__).parent
    program = PROGRAM.format(here=str(here), helpers=str(here.parents[2] / "helpers"))

    def run(at: int, folder: Path) -> int:
        argv = [sys.executable, "-c", program, str(at), str(folder)]
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        assert done.returncode in (0, -signal.SIGKILL), done.stderr
        return done.returncode

    assert run(0, tmp_path / "whole") == 0
    for at in (
        1,
        -4,
        2,
        3,
        5,
        6,
        8,
        -5,
        9,
        11,
        12,
        14,
        15,
        17,
        -11,
        18,
        20,
        21,
        23,
        24,
        26,
        27,
        29,
    ):
        run(at, tmp_path / "cut")
    assert run(0, tmp_path / "cut") == 0
    assert_same(tmp_path / "cut", tmp_path / "whole")


@pytest.mark.campaign
def test_after_fifty_rounds_each_run_is_what_it_is_alone(engine: Engine, tmp_path: Path) -> None:
    together = Cohort(engine, runs(rounds=50), tmp_path / "all")
    ended = together.run()
    for learner, run in zip(together.learners, runs(rounds=50), strict=True):
        alone = Cohort(engine, [run], tmp_path / run.name)
        outcome = alone.run()[run.name].outcome
        assert len(outcome.rows) == 50
        assert written(ended[run.name].outcome) == written(outcome)
        assert (weights(learner) - weights(alone.learners[0])).abs().max() < 1e-5


def test_after_fifty_rounds_of_six_runs_one_is_what_it_is_alone(
    engine: Engine, tmp_path: Path
) -> None:
    short = {"rounds": 50, "answer_tokens": 1, "grade_tokens": 1, "keep_every": 50}
    names = ["control", "selfgrade", "honest"] * 2
    plan = [run_of(f"r{i}", seed=i, condition=name, **short) for i, name in enumerate(names)]
    together = Cohort(engine, plan, tmp_path / "all")
    ended = together.run()
    alone = Cohort(engine, plan[2:3], tmp_path / "alone")
    start = weights(alone.learners[0])
    assert written(ended["r2"].outcome) == written(alone.run()["r2"].outcome)
    assert (weights(alone.learners[0]) - start).abs().max() > 1e-3
    assert (weights(together.learners[2]) - weights(alone.learners[0])).abs().max() < 1e-5


def test_a_cohort_that_another_took_over_writes_nothing(engine: Engine, tmp_path: Path) -> None:
    def lost() -> None:
        raise HeldError("It was taken over.")

    with pytest.raises(HeldError):
        Cohort(engine, runs(1), tmp_path / "begun", fence=lost).run()
    assert not (tmp_path / "begun").exists()
    left = Cohort(engine, runs(1, rounds=1), tmp_path / "left")
    left.run()
    before = {path: path.read_bytes() for path in left._folder.iterdir() if path.is_file()}
    left._fence = lost
    with pytest.raises(HeldError):
        left._save()
    assert before == {path: path.read_bytes() for path in before}
