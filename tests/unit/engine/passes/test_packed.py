"""Packed layers give what the layers gave, follow their weights, and leave gradients alone."""

import torch
from torch.nn import functional

from trimtab.engine.passes.packed import can_pack, pack


def test_packed_layers_follow_their_weights(load_tiny) -> None:
    loaded = load_tiny("llama")
    assert can_pack(loaded)
    pack(loaded)
    layer = loaded.layout.blocks[0].mlp.gate_proj
    x, saved = torch.randn(5, layer.in_features), layer.weight.clone()
    try:
        for change in (lambda: None, lambda: layer.weight.mul_(2)):
            with torch.no_grad():
                change()
                torch.testing.assert_close(layer(x), functional.linear(x, layer.weight))
        layer.weight.data.mul_(3)
        pack(loaded)
        with torch.no_grad():
            torch.testing.assert_close(layer(x), functional.linear(x, layer.weight))
    finally:
        with torch.no_grad():
            layer.weight.copy_(saved)


def test_gradients_pass_a_packed_layer(load_tiny) -> None:
    loaded = load_tiny("llama")
    pack(loaded)
    layer = loaded.layout.blocks[0].mlp.gate_proj
    x = torch.randn(5, layer.in_features, requires_grad=True)
    layer(x).sum().backward()
    torch.testing.assert_close(x.grad, layer.weight.sum(0).expand(5, -1))
