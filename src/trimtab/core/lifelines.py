"""A process that ends with the one that started it, even where that is killed.

Whoever starts others keeps the writing end of a pipe and writes nothing to it. The kernel closes it
when that process ends, however it ends, and the others read the end of the file.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading

_PR_SET_PDEATHSIG = 1


def hold(reader: int) -> None:
    """End this process, and those of its group, by SIGKILL as soon as the pipe's writer is gone.

    On Linux the kernel is asked to do so as well: a thread can't run where a library holds Python.

    Args:
        reader: The reading end of a pipe of which no other process but the starter has the other.
    """
    if sys.platform == "linux":
        # refused in some sandboxes: then the pipe alone decides
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    threading.Thread(target=_wait, args=(reader,), name="lifeline", daemon=True).start()


def _wait(reader: int) -> None:
    try:
        while os.read(reader, 1):
            pass
    except OSError:  # it is no pipe any more: nobody can be waited for
        pass
    if os.getpgrp() == os.getpid():
        os.killpg(os.getpid(), signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)
