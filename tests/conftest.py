"""What every test shares: a private home, no network, and the data beside the repository."""

import os
import tempfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import loopback_sshd
import pytest
import slurm_cluster
from hypothesis import settings

REPO = Path(__file__).parent.parent

# The same examples on every machine and no time limit per example: a failure is never a flake.
settings.register_profile("trimtab", deadline=None, derandomize=True)
settings.load_profile("trimtab")


def pytest_configure(config: pytest.Config) -> None:
    """Redirect what the package writes, before any test module is imported."""
    home = tempfile.TemporaryDirectory(prefix="trimtab-tests-")
    config.add_cleanup(home.cleanup)
    os.environ["TRIMTAB_HOME"] = home.name
    # Converted models are kept between runs: making one takes half a minute.
    os.environ.setdefault("TRIMTAB_CACHE", str(Path.home() / ".cache" / "trimtab"))
    # Activations are not: a test that counts what is computed must not find another run's.
    os.environ["TRIMTAB_CACHE_GB"] = "0"
    os.environ.pop("TRIMTAB_PATH", None)
    os.environ["HF_HUB_OFFLINE"] = "1"
    os.environ["MPLBACKEND"] = "Agg"
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    # Tiny models gain nothing from threads, and test processes side by side fight over cores.
    os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_sessionstart() -> None:
    """Fail where SLURM and an sshd are said to be here and their tests would skip."""
    if os.environ.get("WITH_SLURM"):
        lacking = [found for found in (slurm_cluster.missing(), loopback_sshd.missing()) if found]
        if lacking:
            pytest.exit(f"WITH_SLURM is set, and {'; '.join(lacking)}", returncode=1)


def pytest_report_header() -> str:
    """Name the versions that numbers depend on, without importing them."""
    found = []
    for package in ("torch", "transformers", "numpy"):
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            found.append(f"{package} absent")
    threads = os.environ.get("OMP_NUM_THREADS", "default")
    return f"trimtab: {', '.join(found)}; cores {os.cpu_count()}, OMP_NUM_THREADS {threads}"


@pytest.fixture(scope="session")
def repo() -> Path:
    """Return the root of the repository."""
    return REPO


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Return the folder of real data sets beside the repository; skip where there is none."""
    path = REPO.parent / "shared" / "data"
    if not path.is_dir():
        pytest.skip("real data sets are absent: no folder shared/data beside the repository")
    return path
