"""Estimates of training against memory that was published, and what they grow with."""

import pytest

from trimtab.core.spec import ModelSpec
from trimtab.models.memory import card_from_config
from trimtab.models.training_memory import estimate_cohort

LLAMA = {
    "num_hidden_layers": 32,
    "hidden_size": 4096,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "intermediate_size": 14336,
    "vocab_size": 128256,
    "tie_word_embeddings": False,
}
MISTRAL = {**LLAMA, "vocab_size": 32768}
GEMMA = {
    "num_hidden_layers": 42,
    "hidden_size": 3584,
    "num_attention_heads": 16,
    "head_dim": 256,
    "num_key_value_heads": 8,
    "intermediate_size": 14336,
    "vocab_size": 256000,
}
SPEC = ModelSpec(id="m", dtype="bfloat16", device="cuda")
DRIVER = 0.6 * 2**30


def cohort(config, parameters, runs=1, rows=1, most_tokens=4096):
    card = card_from_config(config, "config.json", parameters)
    return estimate_cohort(
        *(card, SPEC), rank=8, runs=runs, rows=rows, row_tokens=180, most_tokens=most_tokens
    )


@pytest.mark.parametrize(
    ("config", "parameters", "published"),
    [(LLAMA, 8.03e9, 22.4e9), (MISTRAL, 7.25e9, 19.6e9), (GEMMA, 9.24e9, 25.2e9)],
)
def test_one_run_takes_what_was_published_within_a_fifth(config, parameters, published) -> None:
    """One run of Africa and Ting 2025, arXiv 2511.23092: rank 8, 300 characters, 60 tokens.

    Estimates are below: that code keeps the logits of whole conversations, in float32.
    """
    total = cohort(config, int(parameters)).total + DRIVER
    assert 0.8 * published < total < published


def test_more_runs_share_the_weights_and_a_pass_is_bounded() -> None:
    one, many = cohort(LLAMA, int(8.03e9)), cohort(LLAMA, int(8.03e9), runs=12, rows=12)
    assert many.weights == one.weights and many.adapter == 12 * one.adapter
    assert many.activations > 5 * one.activations
    bounded = cohort(LLAMA, int(8.03e9), runs=12, rows=12, most_tokens=1)
    assert bounded.activations == one.activations, "a whole conversation is the least"
