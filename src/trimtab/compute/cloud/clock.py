"""Time as the cloud's parts see it; tests bring one that they move themselves."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Clock:
    """The time of this machine.

    Attributes:
        now: Returns seconds since 1970.
        sleep: Waits for some seconds.
    """

    now: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep
