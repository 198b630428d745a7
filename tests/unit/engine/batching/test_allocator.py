"""What libraries below torch keep."""

import os
import platform
import subprocess
import sys

import pytest
import torch

# Prints the MB in use that remain of products of 180 shapes.
PRODUCTS = """
import ctypes, sys, torch
from trimtab.engine.batching import allocator
from trimtab.engine.passes import packed

class Heap(ctypes.Structure):
    _fields_ = [(f"other{i}", ctypes.c_size_t) for i in range(7)] + [
        ("used", ctypes.c_size_t), ("free", ctypes.c_size_t), ("top", ctypes.c_size_t)
    ]

libc = ctypes.CDLL(None)
libc.mallinfo2.restype = Heap
if sys.argv[1] == "suited":
    allocator.suit_changing_shapes()
weight = packed.PackedWeight(torch.randn(960, 576), None)
with torch.no_grad():
    weight(torch.randn(32, 576))
    before = libc.mallinfo2().used
    for rows in range(33, 213):
        weight(torch.randn(rows, 576))
print((libc.mallinfo2().used - before) / 2**20)
"""


def kept_mb(how: str) -> float:
    code = [sys.executable, "-c", PRODUCTS, how]
    own = {"ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY"}
    environment = {k: v for k, v in os.environ.items() if k not in own}
    done = subprocess.run(code, capture_output=True, text=True, check=True, env=environment)
    return float(done.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="asks glibc what is in use")
@pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="no oneDNN")
def test_kernels_of_shapes_long_past_are_not_kept() -> None:
    kept = kept_mb("suited")
    assert kept < 0.5 * kept_mb("as it is")
