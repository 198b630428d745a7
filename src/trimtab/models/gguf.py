"""Convert a GGUF file once to float32 safetensors in the cache.

transformers reads the configuration and the tokenizer; the weights we map ourselves with the gguf
library, because transformers wants ``accelerate`` for that, takes 15-45 s at every load, and says
nothing of tensors it can't place. It also drops the digit splitting of SmolLM's tokenizer, which
is put back, and scaled rotary frequencies, which are refused, as is every kind of file whose
conversion was not compared with the one of transformers, tensor by tensor.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from gguf import MODEL_ARCH_NAMES, GGUFReader, dequantize, get_tensor_name_map
from tokenizers import pre_tokenizers
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, PreTrainedModel

from trimtab.core.errors import ModelError
from trimtab.models.bundled import BundledModel, check_sha256, locate
from trimtab.models.cache import building, cache_dir
from trimtab.models.gguf_header import CONVERTER, Header, read_header
from trimtab.models.quiet import quiet

# Architecture, tokenizer and way of cutting text of the files whose conversion was compared.
_COMPARED = {
    ("llama", "gpt2", "smollm"),
    ("gemma3", "llama", "default"),
}
_SMOLLM_CUT = pre_tokenizers.Sequence(
    [
        pre_tokenizers.Digits(individual_digits=True),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),
    ]
)


def convert_bundled(model: BundledModel) -> Path:
    """Return the folder of a converted bundled model; its package is only needed the first time."""
    sha256 = model.sha256[""]
    target = _target(sha256)
    return target if target.is_dir() else convert(locate(model), sha256)


def convert(parts: Sequence[Path], sha256: str) -> Path:
    """Return the folder with the converted model, made if it is not in the cache yet.

    Args:
        parts: The GGUF file, or the pieces that it was cut into, in order.
        sha256: Of the whole; names the folder, and is checked before anything is read.

    Raises:
        ModelError: The file is damaged, or of a kind that can't be converted faithfully.
    """
    target = _target(sha256)
    with building(target) as folder:
        if folder is not None:
            whole = parts[0]
            if len(parts) > 1:
                whole = folder.parent / "whole.gguf"
                with whole.open("wb") as out:
                    for part in parts:
                        with part.open("rb") as piece:
                            shutil.copyfileobj(piece, out, 1 << 20)
            check_sha256(whole, sha256)
            with quiet():
                _write(whole, folder)
    return target


def _target(sha256: str) -> Path:
    return cache_dir() / "converted" / f"{sha256[:16]}-v{CONVERTER}"


def _write(path: Path, folder: Path) -> None:
    header = read_header(path)
    _refuse_unfaithful(path, header)
    where: dict[str, Any] = {"gguf_file": path.name, "local_files_only": True}
    try:
        config = AutoConfig.from_pretrained(path.parent, **where)
        tokenizer = AutoTokenizer.from_pretrained(path.parent, **where)
    except (ValueError, KeyError, OSError) as error:
        raise ModelError(f"transformers can't read {path}: {error}.") from error
    if header.metadata.get("tokenizer.ggml.pre") == "smollm":
        tokenizer.backend_tokenizer.pre_tokenizer = _SMOLLM_CUT
    config.name_or_path = ""
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    _fill(model, path, str(header.metadata["general.architecture"]))
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _refuse_unfaithful(path: Path, header: Header) -> None:
    arch = str(header.metadata.get("general.architecture"))
    kind = (
        arch,
        str(header.metadata.get("tokenizer.ggml.model")),
        str(header.metadata.get("tokenizer.ggml.pre", "default")),
    )
    problem = None
    if kind not in _COMPARED:
        known = "; ".join(", ".join(k) for k in sorted(_COMPARED))
        problem = f"its architecture and tokenizer are {', '.join(kind)} (known: {known})"
    elif "rope_freqs.weight" in header.tensors or any(
        name.startswith(f"{arch}.rope.scaling.") for name in header.metadata
    ):
        problem = "its rotary frequencies are scaled, which the conversion would lose"
    if problem:
        raise ModelError(
            f"{path} can't be converted: {problem}.",
            hint="Use the original safetensors of this model.",
        )


@torch.no_grad()
def _fill(model: PreTrainedModel, path: Path, arch: str) -> None:
    """Copy the file's tensors into ``model``; every tensor and every parameter must have a mate."""
    number = next(k for k, name in MODEL_ARCH_NAMES.items() if name == arch)
    names = get_tensor_name_map(number, model.config.num_hidden_layers)
    wanted = {
        str(names.get_name(name, try_suffixes=(".weight", ".bias"))): (name, parameter)
        for name, parameter in model.named_parameters()
    }
    tensors = {tensor.name: tensor for tensor in GGUFReader(path).tensors}
    odd = sorted(set(wanted) ^ set(tensors))
    if odd:
        raise ModelError(f"{path} and {type(model).__name__} differ in tensors: {', '.join(odd)}.")
    for gguf_name, (name, parameter) in wanted.items():
        tensor = tensors[gguf_name]
        values = torch.from_numpy(dequantize(tensor.data, tensor.tensor_type).copy())
        values = _as_in_transformers(values, name, arch, model.config)
        if values.shape != parameter.shape:
            raise ModelError(
                f"{path}: {gguf_name} has shape {tuple(values.shape)}, "
                f"{type(model).__name__} wants {tuple(parameter.shape)}."
            )
        parameter.copy_(values)


def _as_in_transformers(values: torch.Tensor, name: str, arch: str, config: Any) -> torch.Tensor:
    """Undo what llama.cpp does to weights on their way into a GGUF file."""
    if arch.startswith("gemma") and "norm" in name:
        # llama.cpp stores 1 + w; Gemma's own norms add the 1 when they run.
        return values - 1.0
    if arch == "llama" and (".q_proj." in name or ".k_proj." in name):
        # llama.cpp interleaves the two halves that are rotated against one another.
        heads = config.num_attention_heads if ".q_proj." in name else config.num_key_value_heads
        halves = values.reshape(heads, -1, 2, values.shape[-1])
        return halves.transpose(1, 2).reshape(values.shape)
    return values
