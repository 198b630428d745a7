import pytest

from trimtab.core.errors import ModelError
from trimtab.core.spec import ModelSpec
from trimtab.models import bundled
from trimtab.models.memory import (
    available_ram,
    card_from_config,
    check_fits,
    estimate_bytes,
)
from trimtab.models.tiny import TINY_LAYOUTS, tiny_model


@pytest.mark.parametrize("name", TINY_LAYOUTS)
def test_card_of_every_family(name):
    model = tiny_model(name)
    card = card_from_config(model.config.to_dict(), "test", 1)
    text = model.config.get_text_config()
    kv_heads = getattr(text, "num_key_value_heads", None) or text.num_attention_heads
    assert (card.num_layers, card.hidden_size, card.num_kv_heads) == (4, 32, kv_heads)
    assert (card.head_dim, card.vocab_size) == (8, text.vocab_size)


def test_estimate_without_weights_is_near_the_truth():
    # SmolLM2-135M's configuration, tied embeddings.
    config = {
        "num_hidden_layers": 30, "hidden_size": 576, "num_attention_heads": 9, "vocab_size": 49152,
        "num_key_value_heads": 3, "intermediate_size": 1536, "tie_word_embeddings": True,
    }  # fmt: skip
    assert card_from_config(config, "test").num_parameters == pytest.approx(134_515_008, rel=0.001)


def test_estimate_in_bytes():
    card = bundled.TABLE["smollm2-135m-instruct"].card
    estimate = estimate_bytes(card, "bfloat16", rows=2, tokens=10)
    assert estimate.weights == 134_515_008 * 2
    assert estimate.cache == 2 * 30 * 3 * 64 * 2 * 10 * 2
    assert estimate.logits == 2 * 2 * 49_152 * 4
    assert estimate.total == estimate.weights + estimate.cache + estimate.logits


def test_too_large_a_model_is_refused_before_loading():
    card = bundled.TABLE["smollm2-135m-instruct"].card
    spec = ModelSpec(id="m", dtype="float32", device="cpu")
    check_fits(card, spec, None)
    check_fits(card, spec, 2**30)
    with pytest.raises(ModelError, match=r"'m' needs about 0.5 GiB in float32, and cpu has 0.2"):
        check_fits(card, spec, 2**28)
    check_fits(card, spec.model_copy(update={"quantization": "4bit"}), 2**28)
    assert available_ram() is None or available_ram() > 0


def test_configuration_of_something_else_names_what_is_missing():
    with pytest.raises(ModelError, match=r"unet.json has none of num_hidden_layers"):
        card_from_config({"sample_size": 64}, "unet.json")
