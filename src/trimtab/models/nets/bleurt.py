"""BLEURT as a measure of similarity, on transformers' BERT and RemBERT."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import load_file

from trimtab.core.errors import ModelError
from trimtab.core.lazy import lazy
from trimtab.models.files import read_json
from trimtab.models.load import ResolvedModel, check_device, model_dir
from trimtab.models.quiet import quiet

if TYPE_CHECKING:
    import transformers
else:
    transformers = lazy("transformers")
sentencepiece: Any = lazy("sentencepiece")

# bleurt-pytorch's names for what both of its architectures share with transformers'
_SIZES = (
    "vocab_size",
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "intermediate_size",
    "hidden_act",
    "max_position_embeddings",
    "type_vocab_size",
    "layer_norm_eps",
    "pad_token_id",
)


class BleurtScorer:
    """Implements ``core.types.Embedder``, but for the range: a BLEURT score has no bounds.

    Checkpoints have the form of bleurt-pytorch, which itself can't be imported beside transformers
    5: its model is transformers' BERT or, with small embeddings, RemBERT, under other names.
    Scores were compared with bleurt-pytorch's for both (``tests/unit/models/test_bleurt.py``).

    Pairs are scored one at a time and remembered: in a batch the last bits of a score depend on
    the other pairs. Of texts longer than the model's limit the longer one loses its end.
    """

    def __init__(self, resolved: ResolvedModel) -> None:
        """Load the checkpoint; raise ModelError if it can't be had or a library is missing."""
        self.resolved = resolved
        self._device = check_device(resolved.spec)
        folder = model_dir(resolved.spec)
        try:
            with quiet():
                model = _model(folder)
                self._tokens = _Tokens.read(folder, model.config.max_position_embeddings)
        except ImportError as error:
            raise ModelError(
                f"{resolved.spec.id!r} has a SentencePiece vocabulary: {error}.",
                hint="Install what reads it: pip install 'trimtab[bleurt]'",
            ) from None
        except (OSError, ValueError, KeyError, RuntimeError) as error:
            raise ModelError(
                f"{resolved.spec.id!r} can't be loaded as a BLEURT model: {error}",
                hint="It must be in the form of bleurt-pytorch, with model.safetensors.",
            ) from error
        module: torch.nn.Module = model  # whose `to` has types
        self._model = module.to(self._device, getattr(torch, resolved.spec.dtype)).eval()
        self._known: dict[tuple[str, str], float] = {}

    @property
    def identity(self) -> str:
        """Hash of the checkpoint's files."""
        return self.resolved.identity

    def similarity(self, left: list[str], right: list[str]) -> list[float]:
        """Return BLEURT of each candidate (``left``) against its reference (``right``)."""
        return [self._score(pair) for pair in zip(left, right, strict=True)]

    def _score(self, pair: tuple[str, str]) -> float:
        if pair not in self._known:
            candidate, reference = pair
            ids, kinds = self._tokens.pair(reference, candidate)
            with torch.no_grad():
                logits = self._model(
                    input_ids=torch.tensor([ids], device=self._device),
                    token_type_ids=torch.tensor([kinds], device=self._device),
                ).logits
            self._known[pair] = float(logits.flatten()[0])
        return self._known[pair]


def _model(folder: Path) -> transformers.PreTrainedModel:
    config = read_json(folder / "config.json")
    sizes = {key: config[key] for key in _SIZES} | {"num_labels": 1}
    sizes |= {"bos_token_id": None, "eos_token_id": None}
    model: transformers.PreTrainedModel
    if config.get("embedding_size") is None:
        name = "bert"
        model = transformers.BertForSequenceClassification(transformers.BertConfig(**sizes))
    else:
        name = "rembert"
        sizes |= {"input_embedding_size": config["embedding_size"]}
        model = transformers.RemBertForSequenceClassification(transformers.RemBertConfig(**sizes))
    weights = {}
    for path in sorted(folder.glob("*.safetensors")):
        for key, tensor in load_file(path).items():
            known = key.replace("embedding_projection", "embedding_hidden_mapping_in")
            weights[known.replace("bleurt.", f"{name}.", 1)] = tensor
    # a table of 0, 1, 2, ..., which some versions stored
    weights.pop(f"{name}.embeddings.position_ids", None)
    model.load_state_dict(weights)
    return model


@dataclass(frozen=True)
class _Tokens:
    """Makes ``[CLS] reference [SEP] candidate [SEP]``, at most ``limit`` tokens.

    Attributes:
        encode: Token ids of a text, without special ones.
        start: The id of ``[CLS]``.
        end: The id of ``[SEP]``.
        limit: The model's positions.
    """

    encode: Callable[[str], list[int]]
    start: int
    end: int
    limit: int

    @classmethod
    def read(cls, folder: Path, limit: int) -> _Tokens:
        """Read SentencePiece's vocabulary or, if there is none, BERT's word pieces."""
        path = folder / "spm.model"
        if path.is_file():
            pieces = sentencepiece.SentencePieceProcessor(model_file=str(path))
            start, end = map(pieces.piece_to_id, ("[CLS]", "[SEP]"))
            if pieces.unk_id() in (start, end):
                raise ValueError(f"{path} has no [CLS] or no [SEP]")
            return cls(pieces.encode, start, end, limit)
        words = transformers.BertTokenizer.from_pretrained(folder)
        encode = partial(words.encode, add_special_tokens=False)
        return cls(encode, words.cls_token_id, words.sep_token_id, limit)

    def pair(self, reference: str, candidate: str) -> tuple[list[int], list[int]]:
        """Return token ids, and 0 for those of the reference, 1 for those of the candidate."""
        first, second = self.encode(reference), self.encode(candidate)
        while len(first) + len(second) + 3 > self.limit:
            (first if len(first) > len(second) else second).pop()
        ids = [self.start, *first, self.end, *second, self.end]
        return ids, [0] * (len(first) + 2) + [1] * (len(second) + 1)
