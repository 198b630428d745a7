"""BLEURT through its library's interface; a small BERT stands in for the checkpoint."""

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import transformers

from trimtab.core.errors import ModelError
from trimtab.core.spec import ModelSpec
from trimtab.models.bleurt import BleurtScorer
from trimtab.models.load import resolve

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "bird", "sings", "stone", "falls"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=len(WORDS), hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=32, max_position_embeddings=24, num_labels=1,
    )  # fmt: skip
    transformers.BertForSequenceClassification(config).save_pretrained(tmp_path)
    (tmp_path / "vocab.txt").write_text("\n".join(WORDS))
    vocabulary = {word: i for i, word in enumerate(WORDS)}
    transformers.BertTokenizer(vocab=vocabulary).save_pretrained(tmp_path)
    return tmp_path


def test_each_pair_is_scored_as_reference_then_candidate(folder, monkeypatch) -> None:
    stand_in = SimpleNamespace(
        BleurtForSequenceClassification=transformers.BertForSequenceClassification,
        BleurtTokenizer=transformers.AutoTokenizer,
    )
    monkeypatch.setitem(sys.modules, "bleurt_pytorch", stand_in)
    scorer = BleurtScorer(resolve(ModelSpec(id=str(folder), device="cpu")))
    left, right = ["a bird sings", "a stone falls", ""], ["a bird", "bird " * 40, "a stone"]
    found = scorer.similarity(left, right)
    model = transformers.BertForSequenceClassification.from_pretrained(folder).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    for candidate, reference, value in zip(left, right, found, strict=True):
        inputs = tokenizer(
            reference, candidate, truncation=True, max_length=24, return_tensors="pt"
        )
        with torch.no_grad():
            assert value == pytest.approx(model(**inputs).logits.item(), rel=1e-5)
    assert scorer.similarity(left[::-1], right[::-1]) == found[::-1]


def test_a_library_that_is_absent_or_does_not_fit_is_named(folder, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "bleurt_pytorch", None)
    with pytest.raises(ModelError, match=r"trimtab\[bleurt\]"):
        BleurtScorer(resolve(ModelSpec(id=str(folder), device="cpu")))
