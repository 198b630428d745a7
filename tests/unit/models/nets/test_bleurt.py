"""BLEURT checkpoints of both forms; scores that bleurt-pytorch itself gave are pinned."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import sentencepiece
import torch
import transformers
from safetensors.torch import save_file

from trimtab.core.errors import ModelError
from trimtab.core.spec import ModelSpec
from trimtab.models.load import resolve
from trimtab.models.nets.bleurt import BleurtScorer

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "bird", "sings", "stone", "falls"]
SIZES: dict[str, Any] = {
    "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32,
    "hidden_act": "gelu", "max_position_embeddings": 24, "type_vocab_size": 2,
    "layer_norm_eps": 1e-12, "pad_token_id": 0,
}  # fmt: skip
# candidate, reference; the second pair is cut
PAIRS = [("a bird sings", "a bird"), ("a stone falls", "bird " * 40), ("bird", "a stone falls")]
# bleurt-pytorch 0.0.1 under transformers 4.41.2 and torch 2.13.0 on the folders below
PUBLISHED = {
    "bert": [2.832731, 2.598180, 2.933031],
    "rembert": [3.970917, 3.918525, 3.957968],
}


def write(folder: Path, architecture: str) -> Path:
    """Write a checkpoint in the form of bleurt-pytorch, its weights numbers without a generator."""
    vocabulary = _words(folder) if architecture == "bert" else _pieces(folder)
    sizes = SIZES | {"vocab_size": vocabulary}
    own = sizes | {"model_type": "bleurt", "architectures": ["BleurtForSequenceClassification"]}
    if architecture == "bert":
        config = transformers.BertConfig(**sizes, num_labels=1)
        model = transformers.BertForSequenceClassification(config)
    else:
        none = {"bos_token_id": None, "eos_token_id": None}
        config = transformers.RemBertConfig(**sizes, **none, num_labels=1, input_embedding_size=8)
        model = transformers.RemBertForSequenceClassification(config)
        own["embedding_size"] = 8
    weights = {}
    for number, (key, tensor) in enumerate(sorted(model.state_dict().items())):
        name = key.replace(f"{architecture}.", "bleurt.", 1)
        name = name.replace("embedding_hidden_mapping_in", "embedding_projection")
        wave = (torch.arange(tensor.numel(), dtype=torch.float64) + number) ** 2 * 0.37
        weights[name] = wave.sin().float().view(tensor.shape).contiguous()
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    (folder / "config.json").write_text(json.dumps(own))
    return folder


def _words(folder: Path) -> int:
    (folder / "vocab.txt").write_text("\n".join(WORDS))
    (folder / "tokenizer_config.json").write_text(json.dumps({"do_lower_case": True}))
    return len(WORDS)


def _pieces(folder: Path, marks: str = "[CLS],[SEP],[MASK]") -> int:
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(["a bird sings", "a stone falls", "a bird falls"] * 20),
        model_prefix=str(folder / "spm"), vocab_size=20, model_type="unigram", pad_id=0,
        unk_id=1, bos_id=-1, eos_id=-1, control_symbols=marks.split(","),
        num_threads=1,
        minloglevel=2,
    )  # fmt: skip
    return sentencepiece.SentencePieceProcessor(model_file=str(folder / "spm.model")).vocab_size()


@pytest.mark.parametrize("architecture", ["bert", "rembert"])
def test_scores_are_those_of_the_published_library(tmp_path, architecture) -> None:
    write(tmp_path, architecture)
    scorer = BleurtScorer(resolve(ModelSpec(id=str(tmp_path), device="cpu")))
    left, right = map(list, zip(*PAIRS, strict=True))
    found = scorer.similarity(left, right)
    assert found == pytest.approx(PUBLISHED[architecture], abs=1e-5)
    assert scorer.similarity(left[::-1], right[::-1]) == found[::-1]


def test_weights_of_another_model_are_refused(tmp_path) -> None:
    write(tmp_path, "bert")
    config = json.loads((tmp_path / "config.json").read_text()) | {"intermediate_size": 64}
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match="can't be loaded as a BLEURT model"):
        BleurtScorer(resolve(ModelSpec(id=str(tmp_path), device="cpu")))


def test_a_vocabulary_without_marks_is_refused(tmp_path) -> None:
    write(tmp_path, "rembert")
    _pieces(tmp_path, "[BOS],[EOS],[MASK]")
    with pytest.raises(ModelError, match=r"has no \[CLS\]"):
        BleurtScorer(resolve(ModelSpec(id=str(tmp_path), device="cpu")))


def test_a_vocabulary_that_nothing_installed_can_read_names_the_extra(
    tmp_path, monkeypatch
) -> None:
    write(tmp_path, "rembert")
    monkeypatch.setitem(sys.modules, "sentencepiece", None)
    with pytest.raises(ModelError, match=r"trimtab\[bleurt\]"):
        BleurtScorer(resolve(ModelSpec(id=str(tmp_path), device="cpu")))
