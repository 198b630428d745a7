"""What a result may depend on beside the plan: code, libraries, machine, environment.

Collected without importing any of the libraries; nothing secret and no path is written down.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from trimtab import __version__
from trimtab.models.machine import cpu_name, usable_cores

_PACKAGE = Path(__file__).parents[2]
_PACKAGES = (
    "torch",
    "transformers",
    "tokenizers",
    "numpy",
    "safetensors",
    "pydantic",
    "accelerate",
    "bitsandbytes",
)

# Variables that change numbers; a variable that may hold a key or a path must never stand here.
_VARIABLES = (
    "ATEN_CPU_CAPABILITY",
    "CUBLAS_WORKSPACE_CONFIG",
    "CUDA_VISIBLE_DEVICES",
    "MKL_CBWR",
    "MKL_NUM_THREADS",
    "NVIDIA_TF32_OVERRIDE",
    "OMP_NUM_THREADS",
    "ONEDNN_MAX_CPU_ISA",
    "OPENBLAS_NUM_THREADS",
    "PYTHONHASHSEED",
    "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE",
)

_NAMES = {
    ("code", "version"): "trimtab",
    ("code", "source"): "trimtab's source",
    ("machine", "cores"): "CPU cores",
    ("machine", "cpu"): "CPU",
    ("machine", "gpus"): "GPUs",
}


def collect(inputs: Mapping[str, str] | None = None, threads: int | None = None) -> dict[str, Any]:
    """Return the state of code, packages, machine and environment, JSON types only.

    Args:
        inputs: Hashes of data, templates and the like, by name.
        threads: Threads that models compute with, if they were chosen.
    """
    return {
        "code": {**code(), **_git_state(_PACKAGE)},
        "packages": {"python": platform.python_version(), **_packages()},
        "machine": {**_machine(), "threads": threads},
        "environment": {k: os.environ[k] for k in _VARIABLES if k in os.environ},
        "inputs": dict(sorted((inputs or {}).items())),
    }


def code() -> dict[str, str]:
    """Return the version of this code, and a hash of its source."""
    digest = hashlib.sha256()
    for path in sorted(_PACKAGE.rglob("*.py")):
        digest.update(f"{path.relative_to(_PACKAGE)}\0".encode())
        digest.update(path.read_bytes())
    return {"version": __version__, "source": digest.hexdigest()[:16]}


def changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Name what may change results from ``old`` to ``new``, e.g. ``torch 2.13.0 -> 2.14.0``.

    A commit that leaves the source as it was, the size of the memory and the system's build are
    not named, nor are threads: a run keeps its own, and ``models.threads`` tells when it can't.
    """
    ignored = {("code", "commit"), ("code", "dirty"), ("machine", "memory_gib")}
    ignored |= {("machine", "platform"), ("machine", "threads")}
    lines = []
    for section in ("code", "packages", "machine", "environment", "inputs"):
        before, after = old.get(section, {}), new.get(section, {})
        for key in sorted({*before, *after}):
            a, b = before.get(key), after.get(key)
            # a plan that grew has inputs that it had not before
            grown = section == "inputs" and (a is None or b is None)
            if a != b and not grown and (section, key) not in ignored:
                name = _NAMES.get((section, key), key)
                lines.append(f"{name} {_show(a)} -> {_show(b)}")
    return lines


def _show(value: Any) -> str:
    if value is None or value == []:
        return "none"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _packages() -> dict[str, str | None]:
    versions: dict[str, str | None] = {}
    for name in _PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = None
    return versions


def _git_state(package: Path) -> dict[str, Any]:
    """Return commit and dirty flag, None where ``package`` is not tracked by git.

    An environment that lies inside some other repository must not pass for that repository.
    """
    tracked = _output(["git", "ls-files", "--error-unmatch", "__init__.py"], package)
    commit = _output(["git", "rev-parse", "HEAD"], package) if tracked else None
    if not commit:
        return {"commit": None, "dirty": None}
    status = _output(["git", "status", "--porcelain", "--", "."], package)
    return {"commit": commit, "dirty": None if status is None else bool(status)}


def _machine() -> dict[str, Any]:
    query = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
    return {
        "platform": platform.platform(),
        "system": f"{platform.system()} {platform.machine()}",
        "cpu": _cpu(),
        # those that this process may use, which sets how libraries split their sums
        "cores": len(usable_cores()),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "gpus": [line.strip() for line in (_output(query) or "").splitlines() if line.strip()],
    }


def _cpu() -> str:
    said = cpu_name() or _output(["sysctl", "-n", "machdep.cpu.brand_string"])
    return said or platform.processor()


def _output(command: Sequence[str], folder: Path | None = None) -> str | None:
    """Return what a program printed, or None if it is not there, fails or hangs."""
    if shutil.which(command[0]) is None:
        return None
    # A git hook sets GIT_DIR and the like, which would point at another repository.
    env = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env=env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=30,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
