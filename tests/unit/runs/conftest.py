"""A small plan with its data, and processes that work on the same run."""

import os
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from small_run import make_parts

Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def parts() -> dict[str, Any]:
    """Return the arguments of ``Run.create`` beside the folder."""
    return make_parts()


@pytest.fixture
def start() -> Iterator[Start]:
    """Return a function that starts a Python program and can talk to it; all end with the test."""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    running: list[subprocess.Popen[str]] = []

    def run(code: str, *arguments: str | Path | int) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)],
            env=env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        running.append(process)
        return process

    yield run
    for process in running:
        process.kill()
        process.communicate()
