"""A Ray cluster of several nodes on this machine, of a test's own, and workers that are slow."""

import importlib.util
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from trimtab.cli.ray_worker import RayWorker

ROW_S = 0.1
_STORE = 80 * 2**20


def missing() -> str | None:
    """Return what this machine lacks; None if all is there."""
    return None if importlib.util.find_spec("ray") else "Ray is not installed (extra `ray`)"


class SlowWorker(RayWorker):
    """Takes its time for every row, so that there is some to disturb it; rows stay the same."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        from trimtab.runs.work.segments import Segments

        write = Segments.write

        def slowly(self, row, fence):
            time.sleep(ROW_S)
            write(self, row, fence)

        Segments.write = slowly  # type: ignore[method-assign]


def slow_workers() -> None:
    """Have this process start slow workers."""
    from trimtab.cli import ray_jobs

    os.environ["PYTHONPATH"] = _path()
    ray_jobs.RayWorker = SlowWorker  # type: ignore[misc]


def _path() -> str:
    """Return where Python looks for modules, this one among them: workers need it, too."""
    here = str(Path(__file__).parent)
    known = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    return os.pathsep.join([here, *(each for each in known if each not in ("", here))])


@contextmanager
def cluster(nodes: int = 2, cpus: int = 1) -> Iterator[Any]:
    """Run a cluster; it ends with the block, and other clusters of this machine stay."""
    os.environ |= {
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_worker_niceness": "0",  # else they give way to all other tests
        "PYTHONPATH": _path(),
    }
    from ray.cluster_utils import Cluster

    folder = tempfile.mkdtemp(prefix="tt-ray-", dir="/tmp")  # paths of sockets must be short
    size = {"num_cpus": cpus, "object_store_memory": _STORE, "include_dashboard": False}
    some = Cluster(initialize_head=True, head_node_args={**size, "temp_dir": folder})
    try:
        for _ in range(nodes - 1):
            add_node(some, cpus)
        yield some
    finally:
        some.shutdown()
        shutil.rmtree(folder, ignore_errors=True)


def add_node(some: Any, cpus: int = 1) -> None:
    """Add a node to a cluster."""
    some.add_node(num_cpus=cpus, object_store_memory=_STORE)


def workers(run: Path) -> set[int]:
    """Return the process ids of all that hold a unit of a run now."""
    found = set()
    for path in run.glob("claims/*/*.jsonl"):
        first, _, rest = path.read_text().partition("\n")
        if first and not rest and path.parent.name not in ("submit", "grow", "report"):
            found.add(json.loads(first)["process"]["pid"])
    return {pid for pid in found if lives(pid)}


def lives(pid: int) -> bool:
    """Return whether a process is there."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False
