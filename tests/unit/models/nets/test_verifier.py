"""The verifier on the shared base is the one that peft makes of a copy of its own."""

import pytest
import torch
from random_adapters import random_adapter
from torch import nn

from trimtab.core.spec import ModelSpec
from trimtab.core.types import SamplingParams
from trimtab.engine.engine import Engine
from trimtab.engine.request import Request, Text
from trimtab.models.load import LoadedModel, load_model, resolve
from trimtab.models.nets.verifier import Verifier
from trimtab.models.tiny import save_tiny, tiny_model
from trimtab.training.checkpoint import trained
from trimtab.training.rerankers.lora import LoraEnergy

ROWS = [(5, 6, 7, 8), (9, 10), (5, 6, 11, 12, 13, 14, 15)]

pytestmark = [
    pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning"),
    pytest.mark.filterwarnings("ignore:fan_in_fan_out is set to False:UserWarning"),
]


class OnItsOwnCopy(nn.Module):
    """As it was before the engine had adapters: peft around a model that nobody else may use."""

    def __init__(self, model, rank: int) -> None:
        super().__init__()
        peft = pytest.importorskip("peft", reason="peft is not installed")
        settings = peft.LoraConfig(r=rank, lora_alpha=2 * rank, target_modules="all-linear")
        self.backbone = peft.PeftModel(model.base_model, settings)
        width = model.config.get_text_config().hidden_size
        self.norm = nn.LayerNorm(width)
        self.energy = nn.Linear(width, 1)
        nn.init.zeros_(self.energy.bias)

    def forward(self, row: tuple[int, ...]) -> torch.Tensor:
        hidden = self.backbone(input_ids=torch.tensor([row])).last_hidden_state
        return self.energy(self.norm(hidden[0, -1]))[0]


@pytest.fixture(params=["llama", "gemma3", "gpt2"])
def loaded(request: pytest.FixtureRequest, tmp_path) -> LoadedModel:
    save_tiny(tmp_path, request.param)
    return load_model(resolve(ModelSpec(id=str(tmp_path), device="cpu")))


@pytest.fixture
def both(loaded: LoadedModel) -> tuple[Verifier, OnItsOwnCopy]:
    layout = loaded.model.config.model_type.removesuffix("_text")
    torch.manual_seed(3)
    ours = Verifier(loaded, 4)
    torch.manual_seed(3)
    return ours, OnItsOwnCopy(tiny_model(layout), 4)


def test_it_begins_with_the_weights_that_peft_draws_under_the_same_names(both) -> None:
    ours, theirs = (trained(module) for module in both)
    assert list(ours) == list(theirs)
    for name, tensor in ours.items():
        assert torch.equal(tensor, theirs[name]), name


def test_energies_and_gradients_are_the_same(loaded, both) -> None:
    ours, theirs = both
    with torch.no_grad():
        for name, factor in random_adapter(loaded, rank=4, seed=1).factors.items():
            ours.adapter.factors[name].up.copy_(factor.up)
        values = dict(ours.named_parameters())
        for name, parameter in theirs.named_parameters():
            if parameter.requires_grad:
                parameter.copy_(values[name])
    energy_B = LoraEnergy(ours, Engine(loaded)).forward(ROWS)
    expected_B = torch.stack([theirs(row) for row in ROWS])
    torch.testing.assert_close(energy_B, expected_B, atol=1e-5, rtol=0)
    for energies in (energy_B, expected_B):
        (energies * torch.tensor([0.3, -0.5, 0.2])).sum().backward()
    wanted = {n: p.grad for n, p in theirs.named_parameters() if p.requires_grad}
    for name, parameter in ours.named_parameters():
        assert float(parameter.grad.abs().max()) > 0, name
        torch.testing.assert_close(parameter.grad, wanted[name], atol=1e-5, rtol=0)


def test_the_base_stays_what_it_is_for_others(loaded) -> None:
    engine = Engine(loaded)
    request = Request(0, (5, 6, 7), Text(SamplingParams(max_tokens=8)))
    (before,) = engine.run([request])
    model = LoraEnergy(Verifier(loaded, 2), engine)
    model.forward(ROWS).sum().backward()
    with torch.no_grad():
        for parameter in model.module.parameters():
            parameter.add_(0.1)
    assert len(model.of_prepared(ROWS)) == 3
    (after,) = engine.run([request])
    assert (after.tokens, after.logprob) == (before.tokens, before.logprob)
