"""What libraries below torch do with memory: keep what is freed, give back what is not needed."""

from __future__ import annotations

import ctypes
import math
import mmap
import os
import platform
from collections.abc import Sequence

import torch

_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
_M_ARENA_MAX = -8
_LARGEST_FROM_HEAP = 32 * 2**20
_LEAST_MAPPED = 2**20
_MADV_PAGEOUT = 21


_MOST_KERNELS = 64
"""Some ten numbers of tokens, for each of which a block has five to eight shapes."""


def suit_changing_shapes() -> None:
    """Set this process up for batches whose shapes change from step to step."""
    _keep_freed_memory()
    _keep_few_kernels()


def _keep_freed_memory() -> None:
    """Let the C library reuse blocks of up to 32 MB instead of mapping fresh pages every time.

    Handing some megabytes back after every step costs more than the step. Only glibc needs this
    (and has the call); elsewhere nothing happens.
    """
    if platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        libc.mallopt(_M_MMAP_THRESHOLD, _LARGEST_FROM_HEAP)
        libc.mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)
        # a thread's own heap is small and handed back
        libc.mallopt(_M_ARENA_MAX, 1)


def give_back() -> None:
    """Hand what is free to the system, before work of another kind, whose blocks fit no hole.

    Backward passes leave gigabytes of holes, which generation would keep beside its own blocks.
    """
    if platform.libc_ver()[0] == "glibc":
        ctypes.CDLL(None).malloc_trim(0)


def _keep_few_kernels() -> None:
    """Let oneDNN, and torch above it, keep the kernels of few shapes.

    They compile one for each shape of a product, 0.3 to 0.6 MB, and keep 1024 of them. They read
    this when they first compile one; what the environment says already stands.
    """
    for name in ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY"):
        os.environ.setdefault(name, str(_MOST_KERNELS))


def page_out(tensor: torch.Tensor) -> None:
    """Tell Linux that ``tensor`` is not needed for now.

    Weights that were mapped from their file leave memory and come back from it when they are read;
    what lies nowhere else stays. Never changes a value.
    """
    _advise(tensor, _MADV_PAGEOUT)


def new_zeros(like: torch.Tensor, shape: Sequence[int]) -> torch.Tensor:
    """Return zeros for a cache, in the dtype and on the device of ``like``.

    On Linux a large one gets a mapping of its own, in huge pages: memory is given back when it
    dies, wherever the heap has holes, and writing one column touches fewer pages.
    """
    num_bytes = math.prod(shape) * like.element_size()
    if platform.system() != "Linux" or like.device.type != "cpu" or num_bytes < _LEAST_MAPPED:
        return like.new_zeros(tuple(shape))
    block = mmap.mmap(-1, num_bytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    block.madvise(mmap.MADV_HUGEPAGE)
    return torch.frombuffer(block, dtype=like.dtype).view(tuple(shape))


def _advise(tensor: torch.Tensor, advice: int) -> None:
    """Pass advice on a CPU tensor's whole pages to Linux; elsewhere nothing happens."""
    if platform.system() != "Linux" or tensor.device.type != "cpu":
        return
    first = -(-tensor.data_ptr() // mmap.PAGESIZE) * mmap.PAGESIZE
    last = (tensor.data_ptr() + tensor.nbytes) // mmap.PAGESIZE * mmap.PAGESIZE
    if last > first:
        libc = ctypes.CDLL(None)
        libc.madvise(ctypes.c_void_p(first), ctypes.c_size_t(last - first), advice)
