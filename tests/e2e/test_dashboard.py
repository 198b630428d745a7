"""optuna-dashboard, the real one, in a real browser: it opens the study that a search exports."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from searched_run import search

from trimtab.search.mirror import export

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
_PATIENCE_S = 60


@pytest.fixture(scope="module")
def browser() -> str:
    """Return a browser that runs without a screen; skip where there is none."""
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.skip("no browser is installed: none of " + ", ".join(BROWSERS))
    return found


@contextmanager
def dashboard(storage: str) -> Iterator[str]:
    """Give the address of a dashboard that shows ``storage``."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    code = "from optuna_dashboard._cli import main; main()"
    command = [sys.executable, "-W", "ignore", "-c", code, storage]
    server = subprocess.Popen(
        [*command, "--host", "127.0.0.1", "--port", f"{port}"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        url = f"http://127.0.0.1:{port}"
        _wait_for(f"{url}/api/studies", server)
        yield url
    finally:
        server.terminate()
        server.wait(timeout=20)


def _wait_for(url: str, server: subprocess.Popen) -> None:
    end = time.monotonic() + _PATIENCE_S
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except (urllib.error.URLError, OSError):
            assert server.poll() is None and time.monotonic() < end, "no dashboard came up"
            time.sleep(0.2)


def seen(browser: str, url: str, folder: Path) -> str:
    """Return the page as it is after its scripts ran; a picture of it goes into ``folder``."""
    command = [
        browser,
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        f"--user-data-dir={folder / 'profile'}",
        "--window-size=1400,1800",
        "--virtual-time-budget=8000",
        f"--screenshot={folder / 'page.png'}",
        "--dump-dom",
        url,
    ]
    page = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    try:
        return page.communicate(timeout=120)[0]
    finally:
        if page.poll() is None:
            os.killpg(page.pid, signal.SIGKILL)


@pytest.mark.parametrize(
    ("name", "number"),
    [("study.log", 0), pytest.param("study.db", 1, marks=pytest.mark.campaign)],
)
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_a_dashboard_opens_an_exported_study(
    browser: str, tmp_path: Path, name: str, number: int
) -> None:
    pytest.importorskip("optuna_dashboard", reason="optuna-dashboard is not installed")
    storage = export(search(running=(5,)), str(tmp_path / name))
    with dashboard(storage) as url:
        page = seen(browser, f"{url}/dashboard/studies/{number}/trials", tmp_path)
    assert "made up" in page and "Trial 5" in page
    assert all(state in page for state in ("Complete", "Pruned", "Fail", "Running"))
    assert (tmp_path / "page.png").stat().st_size > 20_000
