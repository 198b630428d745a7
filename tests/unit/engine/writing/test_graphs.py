"""What is recorded when, and what happens if it can't be."""

import logging

import pytest
import torch

from trimtab.engine.writing.graphs import Runner

CPU = torch.device("cpu")


def test_the_second_step_of_a_key_is_recorded_and_all_count_once() -> None:
    count = torch.zeros(1)
    recorded = []

    def record(step):
        recorded.append(step)
        return lambda: count.add_(1)

    runner = Runner(CPU, record)
    for calls in range(1, 5):
        runner.run("a", lambda: count.add_(1))
        assert len(recorded) == min(calls - 1, 1)
        assert float(count) == calls
    runner.run("b", lambda: count.add_(1))
    assert len(recorded) == 1 and float(count) == 5
    runner.forget()
    runner.run("a", lambda: count.add_(1))
    assert len(recorded) == 1 and float(count) == 6


def test_steps_that_can_not_be_recorded_run_as_they_are_and_one_line_says_so(caplog) -> None:
    count = torch.zeros(1)

    def record(step):
        raise RuntimeError("operation not permitted when stream is capturing\nand more")

    runner = Runner(CPU, record)
    with caplog.at_level(logging.WARNING, logger="trimtab"):
        for key in "aabbcc":
            runner.run(key, lambda: count.add_(1))
    assert float(count) == 6
    assert len(caplog.records) == 1
    assert "not permitted when stream is capturing" in caplog.text and "more" not in caplog.text


def test_no_room_for_a_recording_is_for_others_to_handle() -> None:
    def record(step):
        raise torch.OutOfMemoryError("out of memory")

    runner = Runner(CPU, record)
    runner.run("a", lambda: None)
    with pytest.raises(torch.OutOfMemoryError):
        runner.run("a", lambda: None)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="a CUDA device is needed")
def test_a_cuda_graph_replays_on_the_memory_it_saw(caplog) -> None:
    device = torch.device("cuda", torch.cuda.current_device())
    x = torch.zeros(8, device=device)
    y = torch.ones(8, device=device)
    runner = Runner(device)
    for i in range(6):
        y.fill_(i)
        runner.run("a", lambda: x.add_(2 * y))
    assert x.tolist() == [2 * sum(range(6))] * 8
    runner.run("waits", lambda: x.add_(float(y[0])))
    assert not caplog.text
    runner.run("waits", lambda: x.add_(float(y[0])))
    assert "not recorded" in caplog.text
    assert x.tolist() == [40] * 8
