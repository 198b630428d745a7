"""From a name to a model that is ready to run. ``resolve`` works without torch, for planning."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from trimtab.core.errors import ModelError
from trimtab.core.keys import content_key
from trimtab.core.lazy import lazy
from trimtab.core.spec import ModelSpec
from trimtab.models import bundled, hub, presets, weights
from trimtab.models.cache import cached_sha256
from trimtab.models.files import check_directory, directory_identity
from trimtab.models.memory import ModelCard, available_ram, check_fits
from trimtab.models.placement import VERSION, check_placement, may_use_disk
from trimtab.models.quiet import quiet

if TYPE_CHECKING:
    import torch
    import transformers
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from trimtab.models import chat, gguf, gguf_header, layout
else:
    torch = lazy("torch")
    transformers = lazy("transformers")
    chat = lazy("trimtab.models.chat")
    gguf = lazy("trimtab.models.gguf")
    gguf_header = lazy("trimtab.models.gguf_header")
    layout = lazy("trimtab.models.layout")

_VERSION = 1
"""Part of every identity; raise it when the same files give another model."""


@dataclass(frozen=True)
class ResolvedModel:
    """Which model a specification means, before its weights are loaded.

    Attributes:
        spec: The specification with dtype, device and (on the hub) revision resolved.
        identity: Hash of weights, tokenizer, configuration, templates and quantisation; not of
            dtype, path or devices.
        card: Its numbers.
    """

    spec: ModelSpec
    identity: str
    card: ModelCard


@dataclass(frozen=True, eq=False)
class LoadedModel:
    """A model in memory: evaluation mode, no gradients.

    Attributes:
        resolved: What it was loaded from.
        model: The Hugging Face module.
        tokenizer: Its tokenizer.
        layout: Its parts.
        device: Where its first block is, and where token ids go; see ``layout`` for the others.
        dtype: Number format of its weights.
        renderer: Makes its prompts.
        eos_ids: Tokens that end an answer.
        row_length: Tokens of the rows that are computed, where the layout's rotation depends on
            it.
    """

    resolved: ResolvedModel
    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    layout: layout.Layout
    device: torch.device
    dtype: torch.dtype
    renderer: chat.Renderer
    eos_ids: frozenset[int]
    row_length: int = 0

    @property
    def blocks_in_body(self) -> str:
        """Name of the list of blocks within the model's body, ``model.base_model``."""
        first = self.layout.block_names[0].removeprefix(f"{self.model.base_model_prefix}.")
        return first.removesuffix(".0")

    @property
    def num_words(self) -> int:
        """Rows of the input embedding: tokens that the model knows."""
        weight: torch.Tensor = self.model.get_input_embeddings().weight  # type: ignore[assignment]
        return len(weight)

    @cached_property
    def num_positions(self) -> int | None:
        """Rows of a table of learned positions, beyond which no row reaches; None without one."""
        words = self.model.get_input_embeddings()
        tables = [
            module.num_embeddings
            for module in self.layout.text_model.children()
            if isinstance(module, torch.nn.Embedding) and module is not words
        ]
        return min(tables, default=None)

    @property
    def identity(self) -> str:
        """Hash of weights, tokenizer, configuration and templates."""
        return self.resolved.identity

    @cached_property
    def template_hash(self) -> str:
        """Hash of the chat template and of how it is used."""
        return self.renderer.template_hash


def resolve(spec: ModelSpec) -> ResolvedModel:
    """Find out what ``spec`` means, without torch; resolving the result again changes nothing.

    Raises:
        ModelError: It is unknown, unreachable, incomplete, damaged, or its weights are pickled.
    """
    spec = presets.expand(spec)
    device = guess_device() if spec.device == "auto" else spec.device
    dtype = spec.dtype
    if dtype == "auto":
        dtype = "float32" if device == "cpu" else "bfloat16"
    resolved = spec.model_copy(update={"device": device, "dtype": dtype})
    content, card, commit = _content(spec)
    if commit is not None:
        resolved = resolved.model_copy(update={"revision": commit})
    parts = [_VERSION, content]
    if spec.quantization is not None:
        parts.append([spec.quantization, VERSION])
    return ResolvedModel(resolved, content_key(parts), card)


def guess_device() -> Literal["cpu", "cuda", "mps"]:
    """Guess the best device of this machine without torch; loading checks it."""
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES", "unset").strip() in ("", "-1")
    if not hidden and (Path("/dev/nvidia0").exists() or shutil.which("nvidia-smi")):
        return "cuda"
    if platform.system() == "Darwin" and platform.machine() == "arm64":
        return "mps"
    return "cpu"


def load_model(resolved: ResolvedModel) -> LoadedModel:
    """Load the weights, the tokenizer and the layout.

    Raises:
        ModelError: A device or a library is not there, memory is short, a file is damaged, a
            weight is missing, or the layout is not recognised.
    """
    spec = resolved.spec
    if spec.id.startswith(bundled.PREFIX) and bundled.entry(spec.id).kind == "encoder":
        raise ModelError(
            f"{spec.id!r} is a sentence encoder and can't write text.",
            hint="Use bundled:smollm2-135m-instruct, or another language model.",
        )
    device = check_device(spec)
    check_placement(spec)
    if spec.device_map is None:
        check_fits(resolved.card, spec, available_on(device))
    elif not may_use_disk(spec):
        check_fits(resolved.card, spec, _available_in_all(), "the machine")
    folder = model_dir(spec)
    dtype: torch.dtype = getattr(torch, spec.dtype)
    try:
        with quiet():
            model = weights.read_weights(folder, spec, dtype)
            tokenizer = transformers.AutoTokenizer.from_pretrained(
                folder, trust_remote_code=spec.trust_remote_code, local_files_only=True
            )
    except ModelError:
        raise
    except Exception as error:  # tokenizers raises the bare class, configurations any other
        reason = " ".join(str(error).split())[:300]
        raise ModelError(
            f"{spec.id!r} can't be loaded from {folder}: {type(error).__name__}: {reason}",
            hint="Check its files; models with code of their own need `trust_remote_code: true`.",
        ) from error
    model.eval().requires_grad_(False)
    renderer = chat.Renderer(tokenizer, _eos_ids(model))
    found = layout.find_layout(model)
    return LoadedModel(
        resolved=resolved,
        model=model,
        tokenizer=tokenizer,
        layout=found,
        device=found.devices[0],
        dtype=dtype,
        renderer=renderer,
        eos_ids=frozenset(renderer.end_of_turn_ids()),
    )


def model_dir(spec: ModelSpec) -> Path:
    """Return the folder with the model's safetensors, fetched or converted if need be."""
    path = Path(spec.id).expanduser()
    if spec.id.startswith(bundled.PREFIX):
        model = bundled.entry(spec.id)
        if model.kind == "encoder":
            return bundled.encoder_dir(model)
        return gguf.convert_bundled(model)
    if path.is_dir():
        return path
    if path.is_file():
        return gguf.convert([path], cached_sha256(path))
    assert spec.revision is not None, "the spec of a resolved hub model names a commit"
    return hub.download(spec.id, spec.revision, spec.trust_remote_code)


def _content(spec: ModelSpec) -> tuple[Any, ModelCard, str | None]:
    """Return what determines the model's output, its card, and its commit on the hub."""
    path = Path(spec.id).expanduser()
    if spec.id.startswith(bundled.PREFIX):
        model = bundled.entry(spec.id)
        kind = ["gguf", gguf_header.CONVERTER] if model.kind == "gguf" else ["files"]
        return [*kind, model.content_hash], model.card, None
    if path.is_dir():
        card = check_directory(path)
        return ["files", directory_identity(path, spec.trust_remote_code)], card, None
    if path.is_file():
        card = gguf_header.read_header(path).card()
        return ["gguf", gguf_header.CONVERTER, cached_sha256(path)], card, None
    if spec.id.startswith((".", "/", "~")) or spec.id.endswith(".gguf"):
        raise ModelError(
            f"The model {spec.id!r} does not exist (looked in {Path.cwd()}).",
            hint="Give a directory, a .gguf file, a hub id (owner/name), preset:<name> or "
            "bundled:<name>.",
        )
    commit = hub.resolve_commit(spec.id, spec.revision)
    return ["hub", spec.id, commit], hub.hub_card(spec.id, commit), commit


def check_device(spec: ModelSpec) -> torch.device:
    """Return the device of a resolved spec; raise ModelError if torch does not see it."""
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": _has_mps()}
    if not there[spec.device]:
        raise ModelError(
            f"{spec.id!r} is to run on {spec.device!r}, and torch {torch.__version__} sees no such "
            "device.",
            hint="Give `device: cpu`, or install a torch build for this accelerator.",
        )
    return torch.device(spec.device)


def _has_mps() -> bool:
    return bool(torch.backends.mps.is_available())


def available_on(device: torch.device) -> int | None:
    """Return the free bytes of a device; None if unknown."""
    return int(torch.cuda.mem_get_info()[0]) if device.type == "cuda" else available_ram()


def _available_in_all() -> int | None:
    """Return the free memory of the machine and its GPUs together."""
    ram = available_ram()
    if ram is None:
        return None
    return ram + sum(int(torch.cuda.mem_get_info(i)[0]) for i in range(torch.cuda.device_count()))


def _eos_ids(model: PreTrainedModel) -> Iterable[int]:
    """Return the end tokens of the generation configuration and of the configuration."""
    found: set[int] = set()
    for holder in (model.generation_config, model.config.get_text_config()):
        value = getattr(holder, "eos_token_id", None)
        found.update([value] if isinstance(value, int) else value or [])
    return found
