"""Everything that determines what a capture reads, to the last bit: what its key hashes.

Not only what is read of what: sums are rounded otherwise by another processor, other libraries,
other threads or batches of another size, and a fit must not depend on whether its activations were
kept. The layers stand apart: a capture of several serves each of them.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import platform
from array import array
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

from trimtab.core.lazy import lazy
from trimtab.engine import version
from trimtab.models.machine import cpu_name

if TYPE_CHECKING:
    import torch

    from trimtab.engine import request as rq
    from trimtab.engine.engine import Engine
else:
    torch = lazy("torch")
    rq = lazy("trimtab.engine.request")

_VARIABLES = ("CUBLAS_WORKSPACE_CONFIG", "MKL_CBWR", "NVIDIA_TF32_OVERRIDE", "ONEDNN_MAX_CPU_ISA")
"""Of the environment: what libraries choose their sums by."""


def determining(
    engine: Engine, requests: Sequence[rq.Request], asked: Mapping[str, Any]
) -> dict[str, Any]:
    """Return what determines the activations of ``requests``, but for the layers; JSON types.

    Args:
        engine: The model.
        requests: Reads of the same layers at one site, in their order, without edits, and under
            one adapter or none.
        asked: What whoever reads knows of them: the data's key, how it is rendered, what is read.
    """
    return {
        "asked": dict(asked),
        "rows": _rows(requests),
        "model": _model(engine),
        "computed": _computed(engine),
        "code": _code(engine),
        **_adapter(requests),
    }


def _rows(requests: Sequence[rq.Request]) -> dict[str, Any]:
    first = requests[0].want
    assert isinstance(first, rq.Activations)
    kind = (first.layers, first.site, first.each, first.allow_nonfinite)
    digest = hashlib.sha256()
    for request in requests:
        want = request.want
        assert isinstance(want, rq.Activations) and request.owed
        assert (want.layers, want.site, want.each, want.allow_nonfinite) == kind
        assert not request.edits and request.adapter is requests[0].adapter
        for numbers in (request.prompt, want.continuation, (want.start, want.stop)):
            digest.update(array("q", [len(numbers), *numbers]).tobytes())
    return {
        "count": len(requests),
        "tokens_and_positions": digest.hexdigest(),
        "site": first.site,
        "each_position": first.each,
        "allow_nonfinite": first.allow_nonfinite,
    }


def _adapter(requests: Sequence[rq.Request]) -> dict[str, Any]:
    adapter = requests[0].adapter
    if adapter is None:
        return {}
    assert adapter.identity is not None, "an adapter in training changes"
    return {"adapter": adapter.identity}


def _model(engine: Engine) -> dict[str, Any]:
    spec = engine.loaded.resolved.spec
    return {
        "identity": engine.identity,
        "revision": spec.revision,
        "dtype": spec.dtype,
        "quantization": spec.quantization,
        "template": engine.renderer.template_hash,
    }


def _computed(engine: Engine) -> dict[str, Any]:
    devices = engine.loaded.layout.devices
    on_cpu = any(device.type == "cpu" for device in devices)
    return {
        "blocks_on": [[name, len(list(some))] for name, some in groupby(map(_device, devices))],
        "threads": torch.get_num_threads() if on_cpu else None,
        "workers": engine.num_workers,
        "tokens_together": engine.limits.tokens,
        "float32_products": torch.get_float32_matmul_precision(),
        "environment": {name: os.environ[name] for name in _VARIABLES if name in os.environ},
    }


def _device(device: torch.device) -> str:
    """Return the kind of a device that computes: two of a kind give the same sums."""
    if device.type == "cuda":
        return f"cuda {torch.cuda.get_device_name(device)}"
    if device.type == "cpu":
        name = cpu_name() or platform.machine()
        return f"cpu {name} {torch.backends.cpu.get_cpu_capability()}"
    return device.type


def _code(engine: Engine) -> dict[str, Any]:
    packages = ["torch", "transformers"]
    if engine.loaded.resolved.spec.quantization is not None:
        packages.append("bitsandbytes")
    return {
        "engine": version.ENGINE_VERSION,
        "source": version.code_hash(),
        **{name: importlib.metadata.version(name) for name in packages},
    }
