"""Read a model's weights: each parameter has a value in the files, and each value a parameter."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trimtab.core.errors import ModelError
from trimtab.core.lazy import lazy
from trimtab.core.spec import ModelSpec
from trimtab.models.placement import compute_in_dtype, load_arguments

if TYPE_CHECKING:
    import torch
    import transformers
    from transformers import PreTrainedModel
else:
    transformers = lazy("transformers")

# What a file may hold beyond the model, for it changes no text of it: buffers that are computed
# from the configuration, encoders of pictures and sounds, heads that predict further tokens.
# Each family's own exceptions were taken out by transformers before.
_SURPLUS = re.compile(
    r"(^|\.)(inv_freq|position_ids|masked_bias|attn\.bias|attention\.bias)$"
    r"|(^|\.)(vision|visual|image|audio|speech|vpm|multi_modal_projector|mm_projector)\w*\."
    r"|(^|\.)(mtp|nextn)\w*\."
)
_SHOWN = 3


def read_weights(folder: Path, spec: ModelSpec, dtype: torch.dtype) -> PreTrainedModel:
    """Return the model in ``folder``, where ``spec`` wants it.

    Raises:
        ModelError: A parameter is in no file and would be random, or has another shape there; or
            the files hold weights that the model has no place for, so that it is not theirs.
    """
    config = transformers.AutoConfig.from_pretrained(
        folder, trust_remote_code=spec.trust_remote_code, local_files_only=True
    )
    placed = load_arguments(spec, config, dtype)
    # its table of what does not fit is several lines on the terminal; the error says it in one
    verbosity = transformers.logging.get_verbosity()
    transformers.logging.set_verbosity_error()
    try:
        loaded: Any = transformers.AutoModelForCausalLM.from_pretrained(
            folder,
            config=config,
            dtype=dtype,
            use_safetensors=True,
            trust_remote_code=spec.trust_remote_code,
            local_files_only=True,
            output_loading_info=True,
            ignore_mismatched_sizes=True,
            **placed,
        )
    finally:
        transformers.logging.set_verbosity(verbosity)
    model, report = loaded
    check_report(folder, type(model).__name__, report)
    assert isinstance(model, transformers.PreTrainedModel)
    if "device_map" not in placed:
        model.to(spec.device)  # type: ignore[arg-type]  # a decorator hides the signature
    compute_in_dtype(model)
    if getattr(model.config.get_text_config(), "attn_logit_softcapping", None):
        # torch's fused attention has no soft cap and would leave it out in silence
        model.set_attn_implementation("eager")
    return model


def check_report(folder: Path, name: str, report: dict[str, Any]) -> None:
    """Raise ModelError if the files and the model of class ``name`` are not the same weights.

    Args:
        folder: The model's.
        name: Of the model's class.
        report: What ``from_pretrained`` says of keys that are missing, unexpected or mismatched.
    """
    misfits = sorted(report["mismatched_keys"])
    if misfits:
        key, in_file, in_model = misfits[0]
        more = f" (and {len(misfits) - 1} more)" if len(misfits) > 1 else ""
        raise ModelError(
            f"{folder}: config.json and the weights disagree: {key} is {list(in_file)} in the "
            f"files and {list(in_model)} by the configuration{more}.",
            hint="Fetch config.json and the weights of one and the same model.",
        )
    missing = sorted(report["missing_keys"])
    if missing:
        raise ModelError(
            f"{folder} lacks {len(missing)} weights of {name}: {_some(missing)}.",
            hint="Fetch the whole model; a base model without its head can't generate.",
        )
    surplus = sorted(key for key in report["unexpected_keys"] if not _SURPLUS.search(key))
    if surplus:
        raise ModelError(
            f"{folder} holds weights that {name} has no place for ({len(surplus)}): "
            f"{_some(surplus)}.",
            hint="Without them it is another model: correct config.json (number of blocks, "
            "biases), or take them out of the files if they are not the model's.",
        )


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")
