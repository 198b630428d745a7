"""How a machine is shared out: by cores, GPUs, memory and what is owed, with the reason."""

from dataclasses import replace

import pytest

from trimtab.cli.pool_size import Machine, Wanted, share_out
from trimtab.core.errors import ConfigError

GIB = 2**30
LAPTOP = Machine(
    cores=8, asked=None, recorded=None, gpus=(), gpu=0, free=16 * GIB, need=GIB, units=100
)
AUTO = Wanted(None)


@pytest.mark.parametrize(
    ("machine", "number", "threads", "reason"),
    [
        (LAPTOP, 8, 1, "8 cores"),
        (replace(LAPTOP, need=5 * GIB), 3, 2, "memory"),
        (replace(LAPTOP, need=20 * GIB), 1, 8, "memory"),
        (replace(LAPTOP, units=2), 2, 4, "2 units owed"),
        (replace(LAPTOP, units=0), 1, 8, "0 units owed"),
        (replace(LAPTOP, asked=3), 2, 3, "8 cores"),
        (replace(LAPTOP, recorded=4), 2, 4, "8 cores"),
        (replace(LAPTOP, recorded=16), 1, 8, "8 cores"),
        (replace(LAPTOP, free=None), 8, 1, "8 cores"),
        (replace(LAPTOP, gpu=1, gpus=("0", "1")), 2, 4, "2 GPUs"),
        (replace(LAPTOP, gpu=1, gpus=("0",)), 1, 8, "1 GPU"),
        (replace(LAPTOP, gpu=2, gpus=("0", "1")), 1, 8, "a model that takes several GPUs"),
    ],
)
def test_auto_takes_what_there_is_and_says_why(
    machine: Machine, number: int, threads: int, reason: str
) -> None:
    shared = share_out(machine, AUTO)
    assert len(shared.slots) == number
    assert {slot["OMP_NUM_THREADS"] for slot in shared.slots} == {str(threads)}
    assert shared.why[0].startswith(f"workers: {number} ({reason}), {threads} thread")


def test_each_worker_has_a_gpu_of_its_own_and_a_model_over_several_has_them_all() -> None:
    machine = replace(LAPTOP, gpu=1, gpus=("3", "GPU-5f"))
    shared = share_out(machine, Wanted(5))
    assert [slot["CUDA_VISIBLE_DEVICES"] for slot in shared.slots] == ["3", "GPU-5f"]
    assert "note: 2 of 5 workers, because of 2 GPUs" in shared.why
    [alone] = share_out(replace(machine, gpu=2), Wanted(5)).slots
    assert "CUDA_VISIBLE_DEVICES" not in alone


def test_a_number_that_is_asked_for_is_had_and_what_is_amiss_is_said() -> None:
    shared = share_out(replace(LAPTOP, cores=2, need=6 * GIB), Wanted(4))
    assert len(shared.slots) == 4 and shared.slots[0]["MKL_NUM_THREADS"] == "1"
    assert shared.why == (
        "workers: 4 (asked for), 1 thread each; one needs about 6.0 GiB, 16.0 GiB may be used",
        "note: memory has room for 2 of 4 workers; the others start when it is known that they "
        "need less",
        "note: 4 workers with 1 thread each share 2 cores",
    )


@pytest.mark.parametrize("text", ["0", "-1", "two", "", "1.5", "1001", "\N{SUPERSCRIPT TWO}"])
def test_what_is_no_number_of_workers_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="--workers"):
        Wanted.parse(text)
    assert (str(Wanted.parse("auto")), str(Wanted.parse("3"))) == ("auto", "3")
