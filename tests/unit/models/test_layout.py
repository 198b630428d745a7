import pytest
import torch
from transformers import AutoConfig, AutoModel, AutoModelForCausalLM

from trimtab.core.errors import ModelError
from trimtab.models.layout import find_layout
from trimtab.models.tiny import TINY_LAYOUTS, tiny_model

IDS = torch.randint(0, 256, (2, 40), generator=torch.Generator().manual_seed(0))


class OwnCache:
    """The least a cache must offer when masks and positions are given."""

    def __init__(self):
        self.keys, self.values = {}, {}

    def get_seq_length(self, layer_idx=0):
        return self.keys[layer_idx].shape[2] if layer_idx in self.keys else 0

    def update(self, key, value, layer_idx, *args, **kwargs):
        if layer_idx in self.keys:
            key = torch.cat([self.keys[layer_idx], key], dim=2)
            value = torch.cat([self.values[layer_idx], value], dim=2)
        self.keys[layer_idx], self.values[layer_idx] = key, value
        return key, value


def _masks(layout, queries, num_keys):
    """Additive float masks [1, 1, queries, keys] as the layout wants them."""
    distance = queries[:, None] - torch.arange(num_keys)[None]
    masks = {}
    for kind in dict.fromkeys(layout.layer_types):
        seen = distance >= 0
        if kind == "sliding_attention":
            seen &= distance < layout.sliding_window
        mask = torch.zeros(seen.shape).masked_fill(~seen, torch.finfo(torch.float32).min)
        masks[kind] = mask[None, None]
    # a single mask for all blocks is full, unless every block has a window
    return masks if layout.mask_as_dict else masks.get("full_attention", next(iter(masks.values())))


@pytest.mark.parametrize("name", TINY_LAYOUTS)
@torch.no_grad()
def test_head_on_body_gives_the_models_logits(name):
    model = tiny_model(name)
    layout = find_layout(model)
    body = layout.text_model(input_ids=IDS, use_cache=False).last_hidden_state
    torch.testing.assert_close(layout.logits(body), model(IDS).logits, atol=1e-6, rtol=0)
    assert layout.num_layers == len(layout.blocks) == len(layout.layer_types) == 4
    assert body.shape[-1] == layout.hidden_size
    assert [model.get_submodule(n) for n in layout.block_names] == layout.blocks


@pytest.mark.parametrize("name", TINY_LAYOUTS)
@torch.no_grad()
def test_lens_on_the_last_blocks_output_gives_the_models_logits(name):
    model = tiny_model(name)
    layout = find_layout(model)
    seen = []
    handle = layout.blocks[-1].register_forward_hook(
        lambda _m, _a, out: seen.append(out[0] if isinstance(out, tuple) else out)
    )
    wanted = model(IDS).logits
    handle.remove()
    torch.testing.assert_close(layout.lens(seen[0]), wanted, atol=1e-6, rtol=0)


@pytest.mark.parametrize("name", TINY_LAYOUTS)
@torch.no_grad()
def test_own_masks_positions_and_cache_give_the_models_logits(name):
    # Two pieces through a bare cache, longer than the sliding window of 16.
    model = tiny_model(name)
    layout = find_layout(model)
    cache, pieces = OwnCache(), []
    for positions in (torch.arange(25), torch.arange(25, 40)):
        out = layout.text_model(
            input_ids=IDS[:, positions],
            attention_mask=_masks(layout, positions, int(positions[-1]) + 1),
            position_ids=positions[None].expand(2, -1),
            past_key_values=cache,
            use_cache=True,
        )
        pieces.append(layout.logits(out.last_hidden_state))
    torch.testing.assert_close(torch.cat(pieces, 1), model(IDS).logits, atol=2e-5, rtol=0)


@pytest.mark.parametrize("name", TINY_LAYOUTS)
@torch.no_grad()
def test_block_l_gives_hidden_state_l_plus_1(name):
    model = tiny_model(name)
    layout = find_layout(model)
    seen = []
    handles = [
        block.register_forward_hook(
            lambda _m, _a, out: seen.append(out[0] if isinstance(out, tuple) else out)
        )
        for block in layout.blocks
    ]
    states = model(IDS, output_hidden_states=True).hidden_states
    for handle in handles:
        handle.remove()
    assert len(seen) == 4
    for block, wanted in zip(seen[:-1], states[1:-1], strict=True):
        assert torch.equal(block, wanted)
    assert not torch.equal(seen[-1], states[-1])


def test_gemma2_cap_matters():
    layout = find_layout(tiny_model("gemma2", final_logit_softcapping=2.0))
    assert layout.final_logit_softcap == 2.0
    assert layout.logits(torch.ones(1, 1, 32)).abs().max() <= 2.0


def test_scaled_logits_and_headless_models_are_refused():
    config = AutoConfig.for_model(
        "granite", vocab_size=64, hidden_size=32, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=4, intermediate_size=32, logits_scaling=8.0,
    )  # fmt: skip
    with pytest.raises(ModelError, match=r"GraniteForCausalLM .*logits"):
        find_layout(AutoModelForCausalLM.from_config(config))
    config.logits_scaling = 1.0
    assert find_layout(AutoModelForCausalLM.from_config(config)).num_layers == 2
    with pytest.raises(ModelError, match="no output head"):
        find_layout(AutoModel.from_config(tiny_model("llama").config))


def test_unknown_attention_is_refused():
    config = AutoConfig.for_model(
        "phi3", vocab_size=64, hidden_size=32, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=4, intermediate_size=32, sliding_window=8, pad_token_id=0,
    )  # fmt: skip
    with pytest.raises(ModelError, match="sliding_attention"):
        find_layout(AutoModelForCausalLM.from_config(config))
