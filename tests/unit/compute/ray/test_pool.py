"""Units are handed out by what is on the disk, whatever actors answer; the cluster is pretended."""

from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from small_run import make_parts

from trimtab.compute.local.pool import WorkerError
from trimtab.compute.ray import pool as pools
from trimtab.compute.ray.answers import Answer
from trimtab.compute.ray.cluster import LostError
from trimtab.compute.ray.placement import Request
from trimtab.compute.ray.pool import Pool, Work
from trimtab.compute.ray.staff import Staff
from trimtab.core.errors import ConfigError, MemoryShortError
from trimtab.core.types import Completion
from trimtab.runs.store.run import Run
from trimtab.runs.work.units import WindowUnit, units

GIB = 2**30


class _Actor:
    """What it is asked is answered by a function of the test when the answer is looked at."""

    def __init__(self, do: Callable[[str], Answer], request: Request) -> None:
        self.request, self._do = request, do
        for name, call in (("look", lambda: Answer("done")), ("do", do), ("stop", lambda: None)):
            setattr(self, name, _Method(call))


class _Method:
    def __init__(self, call: Callable[..., Any]) -> None:
        self._call = call

    def remote(self, *args: str) -> Callable[[], Any]:
        return lambda: self._call(*args)


class _Cluster:
    name, grows = "pretended", True

    def __init__(self, do: Callable[[str], Answer], *nodes: dict[str, float]) -> None:
        self._do, self._nodes = do, list(nodes)
        self.started: list[_Actor] = []
        self.killed: list[_Actor] = []

    def nodes(self) -> list[dict[str, float]]:
        return self._nodes

    def start(self, worker: type, arguments: object, request: Request) -> _Actor:
        self.started.append(_Actor(self._do, request))
        return self.started[-1]

    def wait(self, answers: list[Any], seconds: float) -> list[Any]:
        return list(answers)

    def get(self, answer: Callable[[], Answer]) -> Answer:
        return answer()

    def tell_to_end(self, actor: _Actor) -> Callable[[], None]:
        return lambda: None

    def kill(self, actor: _Actor) -> None:
        self.killed.append(actor)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setattr(pools, "_LOOK_S", 0.0)
    monkeypatch.setattr(pools, "_POLL_S", 0.0)
    monkeypatch.setattr(pools, "_LATER_S", 0.01)
    return Run.create(tmp_path / "run", **make_parts())


def _write(run: Run, name: str, attempts: count) -> None:
    unit = next(u for u in units(run, ("generate",)) if u.name == name)
    assert isinstance(unit, WindowUnit)
    for cell in unit.cells:
        with run.completion_writer(next(attempts), cell) as writer:
            writer.append(
                [
                    Completion(
                        cell=cell, sample_id=sample, index=index, protocol="",
                        num_prompt_tokens=1, text="", finish_reason="stop",
                    )
                    for _, sample, index in unit.rows
                    if _ == cell
                ]
            )  # fmt: skip


def _work(run: Run, cluster: _Cluster, said: list[str], patience_s: float = 0.0) -> str | None:
    request = Request(1, 0, GIB)
    staff = Staff(cluster, lambda _: (object, ()), lambda _: request, None, patience_s, said.append)  # type: ignore[arg-type]
    work = Work(run, ("generate",), lambda: False, said.append, lambda: None)
    return Pool(cluster, staff, work).run()  # type: ignore[arg-type]


TWO = {"CPU": 2.0, "memory": 8.0 * GIB}


def test_what_is_lost_or_held_is_given_again_until_it_is_on_the_disk(run: Run) -> None:
    said: list[str] = []
    attempts, tries = count(1), count()

    def do(name: str) -> Answer:
        number = next(tries)
        if number == 0:
            raise LostError("its node died", of_memory=False)
        if number == 1:
            return Answer("held", "held by process 7 on n2")
        if number > 2:  # one that answers and did nothing has done nothing
            _write(run, name, attempts)
        return Answer("done", notes=("a note",))

    cluster = _Cluster(do, TWO)
    assert _work(run, cluster, said) is None
    assert not [unit for unit in units(run, ("generate",)) if run.owed(run.plan.cells[0])]
    assert any("A worker was lost with window" in line for line in said)
    assert any("held by process 7" in line for line in said) and said.count("a note") == 1
    assert set(map(id, cluster.killed)) == set(map(id, cluster.started)), "nobody is left behind"


def test_a_unit_that_ends_every_worker_is_given_up(run: Run) -> None:
    def do(name: str) -> Answer:
        raise LostError("killed by signal 9", of_memory=False)

    cluster = _Cluster(do, TWO)
    with pytest.raises(WorkerError, match=r"window.*again and again.*signal 9"):
        _work(run, cluster, [])
    assert len(cluster.killed) == len(cluster.started) >= 3


def test_memory_is_asked_for_more_of_once(run: Run) -> None:
    cluster = _Cluster(lambda _: Answer("memory", "no room", 9), TWO)
    with pytest.raises(MemoryShortError, match="twice"):
        _work(run, cluster, [])
    assert cluster.started[0].request.memory == GIB
    assert cluster.started[-1].request.memory == GIB * 3 // 2


def test_no_node_for_a_worker_is_told_and_given_up_in_time(run: Run) -> None:
    said: list[str] = []
    cluster = _Cluster(lambda _: Answer("done"), {"CPU": 4.0, "memory": GIB / 2})
    with pytest.raises(ConfigError, match=r"1 CPU and 1\.0 GiB.*most that one has is 0\.5 GiB"):
        _work(run, cluster, said, patience_s=0.05)
    assert cluster.started == [] and "waiting for one" in said[0]


def test_a_failure_has_the_words_and_the_code_of_the_worker(run: Run) -> None:
    cluster = _Cluster(lambda _: Answer("failed", "the weights changed", 3), TWO)
    with pytest.raises(WorkerError, match="the weights changed") as caught:
        _work(run, cluster, [])
    assert caught.value.exit_code == 3
    assert len(cluster.killed) == len(cluster.started)
