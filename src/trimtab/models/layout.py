"""Where a decoder keeps its blocks, its body and its head. Unknown shapes are refused, not guessed.

``h_BTD`` is a residual stream of B rows, T positions, D hidden units; ``logits_BTV`` has V words.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import nn
from transformers import PreTrainedModel

from trimtab.core.errors import ModelError
from trimtab.models.placement import device_of
from trimtab.models.rotation import Rotation, find_rotation

LayerType = Literal["full_attention", "sliding_attention"]

# Text families whose source was read: does the body take one mask per layer type in a dict?
# A test compares head(body(x)) with the model's own logits for each of them.
_MASK_AS_DICT = {
    "gemma2": True,
    "gemma3_text": True,
    "gpt2": False,
    "gpt_neo": False,
    "gpt_neox": False,
    "llama": False,
    "mistral": False,
    "qwen2": True,
    "qwen3": True,
}
_HEAD_MIXERS = ("self_attn.o_proj", "attn.c_proj", "attention.dense", "attn.attention.out_proj")
_NORMS = ("norm", "ln_f", "final_layer_norm")
# Bodies that force their output into the shape of their input.
_FIXED_LENGTH = ("gpt2", "gpt_neo")
_SOFT_CAPPED = ("gemma2", "gemma3_text")
_OTHER_TOWERS = ("vision", "visual", "image", "audio", "speech")


@dataclass(frozen=True, eq=False)
class Layout:
    """The parts of a causal language model that the engine drives.

    Attributes:
        blocks: The decoder blocks in order; the output of block l is the residual stream after it,
            a tensor or a tuple that begins with it. It equals ``hidden_states[l + 1]`` of
            ``output_hidden_states`` except for the last block, where that is after the final norm.
        block_names: Their names in ``model.named_modules()``.
        num_layers: How many blocks there are.
        hidden_size: D.
        text_model: Body; called with input_ids [B, T], attention_mask (4-D additive float mask, or
            a dict of them by layer type), position_ids [B, T], past_key_values and use_cache;
            its ``last_hidden_state`` h_BTD is after the final norm.
        lm_head: Maps that h_BTD to logits_BTV, before ``final_logit_softcap``.
        sliding_window: Keys a sliding layer sees, its own included: 0 <= query - key < window.
        layer_types: Kind of attention of each block.
        mask_as_dict: The body takes ``{layer type: mask}``; otherwise one mask for all blocks.
        final_logit_softcap: c of ``c * tanh(logits / c)``, or None.
        head_mixers: The module of each block that maps its attention heads' outputs, one after
            the other, to the residual stream.
        may_expand: A block may return more tokens than it was given.
        devices: Where each block computes.
        head_device: Where the head computes.
        rotation: What of the model depends on a row's length; None if nothing does.
    """

    blocks: list[nn.Module]
    block_names: list[str]
    num_layers: int
    hidden_size: int
    text_model: nn.Module
    lm_head: nn.Module
    sliding_window: int | None
    layer_types: list[LayerType]
    mask_as_dict: bool
    final_logit_softcap: float | None
    head_mixers: list[nn.Module]
    may_expand: bool
    devices: list[torch.device]
    head_device: torch.device
    rotation: Rotation | None = None

    @property
    def head_width(self) -> int:
        """Width of all attention heads' outputs together, before the head mixer."""
        mixer = self.head_mixers[0]
        # a quantised weight does not have the shape of what it stands for
        if isinstance(mixer, nn.Linear):
            return mixer.in_features
        weight: torch.Tensor = mixer.weight  # type: ignore[assignment]
        return weight.numel() // self.hidden_size

    def window_of(self, layer: int) -> int | None:
        """Return the sliding window of a block; None if it attends to everything."""
        return self.sliding_window if self.layer_types[layer] == "sliding_attention" else None

    def logits(self, h_BTD: torch.Tensor) -> torch.Tensor:
        """Return logits_BTV of the body's output: the head, and the soft cap where there is one."""
        logits: torch.Tensor = self.lm_head(h_BTD)
        cap = self.final_logit_softcap
        return logits if cap is None else cap * torch.tanh(logits / cap)

    @torch.no_grad()
    def lens(self, h_BTD: torch.Tensor) -> torch.Tensor:
        """Return logits_BTV of a block's output: final norm and head (a logit lens).

        Raises:
            ModelError: The body has no final norm by a name that is known.
        """
        norms = [
            norm
            for name in _NORMS
            if isinstance(norm := getattr(self.text_model, name, None), nn.Module)
        ]
        if len(norms) != 1:
            raise ModelError(
                f"{type(self.text_model).__name__} has no final norm by a known name "
                f"({', '.join(_NORMS)}).",
                hint="Name the layer in place of `layer: auto`.",
            )
        normed: torch.Tensor = norms[0](h_BTD.to(device_of(norms[0], "the final norm")))
        return self.logits(normed.to(self.head_device))


def find_layout(model: PreTrainedModel) -> Layout:
    """Find the parts of ``model``; raise ModelError if they are not unmistakable.

    Blocks are the one ``ModuleList`` whose length is the text configuration's
    ``num_hidden_layers`` outside vision and audio towers. A family that is not in our table is
    taken only if all its attention is full and its head on its body gives its own logits.
    """
    config = model.config.get_text_config()
    family = config.model_type
    names = _block_lists(model, config.num_hidden_layers)
    if len(names) != 1:
        raise _refusal(
            model,
            f"has {len(names)} module lists of num_hidden_layers={config.num_hidden_layers} "
            f"({', '.join(names) or 'none'}) where exactly one is expected",
        )
    head = model.get_output_embeddings()
    if head is None:
        raise _refusal(model, "has no output head (get_output_embeddings() is None)")
    blocks = list(model.get_submodule(names[0]).children())
    sliding_window, layer_types = _attention(model, config)
    layout = Layout(
        blocks=blocks,
        block_names=[f"{names[0]}.{i}" for i in range(len(blocks))],
        num_layers=len(blocks),
        hidden_size=config.hidden_size,
        text_model=model.get_submodule(names[0].rpartition(".")[0]),
        lm_head=head,
        sliding_window=sliding_window,
        layer_types=layer_types,
        mask_as_dict=_MASK_AS_DICT.get(family, False),
        final_logit_softcap=config.final_logit_softcapping if family in _SOFT_CAPPED else None,
        head_mixers=[_head_mixer(model, block) for block in blocks],
        may_expand=family in _MASK_AS_DICT and family not in _FIXED_LENGTH,
        devices=[device_of(block, f"{names[0]}.{i}") for i, block in enumerate(blocks)],
        head_device=device_of(head, "the output head"),
        rotation=find_rotation(model),
    )
    if family not in _MASK_AS_DICT:
        _check_logits(model, layout)
    return layout


def _block_lists(model: nn.Module, length: int) -> list[str]:
    """Return the names of the outermost module lists of ``length`` outside other towers."""
    names: list[str] = []
    for name, module in model.named_modules():
        if not isinstance(module, nn.ModuleList) or len(module) != length:
            continue
        if any(tower in name for tower in _OTHER_TOWERS):
            continue
        # A list of experts may happen to be as long as the list of blocks that holds it.
        if not any(name.startswith(outer + ".") for outer in names):
            names.append(name)
    return names


def _head_mixer(model: nn.Module, block: nn.Module) -> nn.Module:
    """Return the module of ``block`` that mixes its heads' outputs."""
    modules: dict[str, nn.Module] = dict(block.named_modules())
    found = [modules[name] for name in _HEAD_MIXERS if name in modules]
    if len(found) != 1:
        raise _refusal(model, f"has blocks with {len(found)} output projections of their attention")
    return found[0]


def _attention(model: PreTrainedModel, config: Any) -> tuple[int | None, list[LayerType]]:
    """Return the sliding window and each block's kind of attention."""
    number = config.num_hidden_layers
    if config.model_type == "gpt_neo":
        kinds: list[LayerType] = [
            "sliding_attention" if kind == "local" else "full_attention"
            for kind in config.attention_layers
        ]
        return config.window_size, kinds
    window = getattr(config, "sliding_window", None)
    found = getattr(config, "layer_types", None)
    if config.model_type == "mistral":
        # The body applies one mask to all blocks and ignores a `layer_types` entry.
        return window, ["full_attention" if window is None else "sliding_attention"] * number
    if found is None:
        found = ["full_attention" if window is None else "sliding_attention"] * number
    known = {"full_attention", "sliding_attention"}
    if config.model_type not in _MASK_AS_DICT:
        known = {"full_attention"}
    if not set(found) <= known:
        raise _refusal(model, f"has layers of kind {', '.join(sorted(set(found) - known))}")
    if getattr(config, "use_bidirectional_attention", None):
        raise _refusal(model, "attends in both directions (use_bidirectional_attention)")
    return (window if "sliding_attention" in found else None), list(found)


@torch.no_grad()
def _check_logits(model: PreTrainedModel, layout: Layout) -> None:
    """Compare head(body(x)) with the model's logits on a few tokens, for families we don't know."""
    ids = torch.arange(1, 5, device=layout.devices[0])[None]
    try:
        wanted = model(input_ids=ids, use_cache=False).logits
        body = layout.text_model(input_ids=ids, use_cache=False).last_hidden_state
    except (RuntimeError, TypeError, ValueError, AttributeError, LookupError) as error:
        reason = " ".join(str(error).split())[:200]
        found = f"can't be run on four tokens ({type(error).__name__}: {reason})"
        raise _refusal(model, found) from error
    if not torch.allclose(layout.logits(body).float(), wanted.float(), rtol=1e-2, atol=1e-3):
        raise _refusal(model, "does more to its logits than its head does (a scale or a soft cap)")


def _refusal(model: nn.Module, found: str) -> ModelError:
    return ModelError(
        f"The layout of {type(model).__name__} is not recognised: it {found}.",
        hint=f"Known families: {', '.join(sorted(_MASK_AS_DICT))}; "
        "another one needs an entry in trimtab/models/layout.py.",
    )
