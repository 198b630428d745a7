"""Readings of the machine, from files as Linux writes them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from trimtab.models import machine
from trimtab.models.machine import (
    Clock,
    count_physical,
    cpu_quota,
    gpus,
    memory_quota,
    other_load,
    read_clock,
)

TICKS = os.sysconf("SC_CLK_TCK")


def stat(folder: Path, **cores: tuple[int, ...]) -> None:
    lines = [f"{name} {' '.join(map(str, ticks))}" for name, ticks in cores.items()]
    (folder / "stat").write_text("\n".join(["cpu  9 9 9 9 9 9 9 9 9 9", *lines, "intr 1 2"]))


def test_busy_seconds_are_those_of_the_cores_asked_for_without_idling(tmp_path: Path) -> None:
    #      user nice system idle iowait irq softirq steal guest guest_nice
    one = (1, 2, 3, 1000, 1000, 4, 5, 6, 1, 1)
    stat(tmp_path, cpu0=one, cpu1=(100, *one[1:]), cpu11=(7, *one[1:]))
    assert read_clock([0], tmp_path).all == 21 / TICKS
    assert read_clock([0, 1], tmp_path).all == (21 + 120) / TICKS
    assert read_clock([0, 5], tmp_path).all is None, "a core that is not told of is not idle"
    assert read_clock([0], tmp_path / "none").all is None


def test_other_load_is_what_is_left_without_our_own() -> None:
    before = Clock(time=10.0, all=100.0, own=5.0)
    assert other_load(before, Clock(14.0, 107.0, 8.0)) == 1.0
    # ticks are coarser than our own clock: a little less than nothing is nothing
    assert other_load(before, Clock(14.0, 102.99, 8.0)) == 0.0
    assert other_load(before, Clock(14.0, None, 8.0)) is None
    assert other_load(before, Clock(10.0, 100.0, 5.0)) is None


def test_hyperthreads_of_a_core_count_once(tmp_path: Path) -> None:
    for core, siblings in enumerate(["0,2", "1,3", "0,2", "1,3"]):
        folder = tmp_path / f"cpu{core}" / "topology"
        folder.mkdir(parents=True)
        (folder / "thread_siblings_list").write_text(f"{siblings}\n")
    assert count_physical([0, 1, 2, 3], tmp_path) == 2
    assert count_physical([1, 3], tmp_path) == 1
    assert count_physical([0, 1, 2, 3], tmp_path / "unknown") == 4


@pytest.mark.parametrize(
    ("cgroup", "files", "expected"),
    [
        ("0::/", {"cpu.max": "150000 100000"}, 1.5),
        ("0::/", {"cpu.max": "max 100000"}, None),
        # the parent's limit is smaller than the child's
        ("0::/a/b", {"a/cpu.max": "200000 100000", "a/b/cpu.max": "400000 100000"}, 2.0),
        # the host's path in a container
        ("0::/docker/123", {"cpu.max": "50000 100000"}, 0.5),
        (
            "4:memory:/m\n1:cpu,cpuacct:/job\n0::/",
            {
                "cpu,cpuacct/job/cpu.cfs_quota_us": "300000",
                "cpu,cpuacct/job/cpu.cfs_period_us": "100000",
                "cpu,cpuacct/cpu.cfs_quota_us": "-1",
                "cpu,cpuacct/cpu.cfs_period_us": "100000",
            },
            3.0,
        ),
        ("3:cpuset:/", {"cpuset/cpu.cfs_quota_us": "1", "cpuset/cpu.cfs_period_us": "1"}, None),
        ("", {}, None),
    ],
)
def test_quota_of_both_versions_of_control_groups(
    tmp_path: Path, cgroup: str, files: dict[str, str], expected: float | None
) -> None:
    (tmp_path / "proc" / "self").mkdir(parents=True)
    (tmp_path / "proc" / "self" / "cgroup").write_text(cgroup + "\n" if cgroup else "")
    for name, text in files.items():
        path = tmp_path / "cgroups" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text}\n")
    assert cpu_quota(tmp_path / "proc", tmp_path / "cgroups") == expected


@pytest.mark.parametrize(
    ("group", "files", "left"),
    [
        ("0::/job", {"job/memory.max": "900", "job/memory.current": "300"}, 600),
        (
            "0::/job/step",
            {
                "job/memory.max": "900",
                "job/memory.current": "800",
                "job/memory.stat": "anon 700\ninactive_file 50",
                "job/step/memory.max": "max",
                "job/step/memory.current": "10",
            },
            150,
        ),
        (
            "4:memory:/job\n0::/",
            {
                "memory/job/memory.limit_in_bytes": "500",
                "memory/job/memory.usage_in_bytes": "600",
                "memory/job/memory.stat": "total_inactive_file 20",
            },
            0,
        ),
        ("3:cpu:/job", {"cpu/job/memory.max": "900"}, None),
        ("0::/job", {"job/memory.max": "900"}, None),
    ],
)
def test_memory_that_control_groups_leave(
    group: str, files: dict[str, str], left: int | None, tmp_path: Path
) -> None:
    (tmp_path / "proc" / "self").mkdir(parents=True)
    (tmp_path / "proc" / "self" / "cgroup").write_text(f"{group}\n")
    for name, text in files.items():
        path = tmp_path / "cgroups" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text}\n")
    assert memory_quota(tmp_path / "proc", tmp_path / "cgroups") == left


def test_gpus_are_those_that_may_be_seen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3, GPU-5f,")
    assert gpus() == ("3", "GPU-5f")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    assert gpus() == ()
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert gpus() == ()
    (tmp_path / "nvidia-smi").write_text("#!/bin/sh\necho 0; echo 1; echo Unable to see one")
    (tmp_path / "nvidia-smi").chmod(0o755)
    assert gpus() == ("0", "1")


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's /proc")
def test_this_process_is_seen() -> None:
    cores = machine.usable_cores()
    before = read_clock(cores)
    while read_clock(cores).own - before.own < 0.1:
        pass
    after = read_clock(cores)
    assert after.all is not None and before.all is not None and after.all > before.all
    block = bytearray(os.urandom(1)) * (64 * 2**20)
    peak = machine.peak_memory()
    assert peak is not None and peak > len(block)


def test_memory_of_a_child_that_ended_is_known() -> None:
    code = "held = bytearray(80_000_000); held[::4096] = b'x' * len(held[::4096])"
    subprocess.run([sys.executable, "-c", code], check=True)
    assert 80_000_000 < machine.peak_memory_of_child() < 2**40


# Uses processor and memory, starts itself once more if told to, and ends with its input.
BUSY = """
import subprocess, sys, time
block = b"x" * 150_000_000
while time.process_time() < 0.5: pass
print("done", flush=True)
if sys.argv[1:]:
    subprocess.run([sys.executable, sys.argv[1]])
sys.stdin.read()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="asks /proc")
def test_what_living_children_and_theirs_use_is_our_own(tmp_path: Path) -> None:
    code = tmp_path / "busy) 1 R.py"  # a name that looks like the fields after it
    code.write_text(BUSY)
    before = read_clock([0]).own
    command, pipe = [sys.executable, str(code), str(code)], subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as child:
        assert child.stdout is not None
        assert [child.stdout.readline() for _ in range(2)] == ["done\n"] * 2
        assert 0.9 < read_clock([0]).own - before < 5.0, "two processes of 0.5 s"
        assert machine.peak_memory_of_child() > 150_000_000
