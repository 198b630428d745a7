"""BLEURT as a measure of similarity, through bleurt-pytorch (the extra ``bleurt``)."""

from __future__ import annotations

from typing import Any

import torch

from trimtab.core.errors import ModelError
from trimtab.core.lazy import lazy
from trimtab.models._quiet import quiet
from trimtab.models.load import ResolvedModel, check_device, model_dir

bleurt_pytorch: Any = lazy("bleurt_pytorch")


class BleurtScorer:
    """Implements ``core.types.Embedder``, but for the range: a BLEURT score has no bounds.

    Pairs are scored one at a time and remembered: in a batch the last bits of a score depend on
    the other pairs. Texts longer than the model's limit are cut there.
    """

    def __init__(self, resolved: ResolvedModel) -> None:
        """Load the checkpoint; raise ModelError if it can't be had or the library is missing."""
        self.resolved = resolved
        self._device = check_device(resolved.spec)
        try:
            classes = bleurt_pytorch.BleurtForSequenceClassification, bleurt_pytorch.BleurtTokenizer
        except ImportError as error:
            raise ModelError(
                f"The judge 'bleurt' needs bleurt-pytorch, and importing it fails: {error}.",
                hint="Install it: pip install 'trimtab[bleurt]'. If it is there, it does not fit "
                "this version of transformers; the judge 'semantic' needs no such library.",
            ) from None
        folder = model_dir(resolved.spec)
        dtype = getattr(torch, resolved.spec.dtype)
        try:
            with quiet():
                model = classes[0].from_pretrained(folder, use_safetensors=True, dtype=dtype)
                self._tokenizer = classes[1].from_pretrained(folder)
        except (OSError, ValueError, KeyError) as error:
            raise ModelError(
                f"{resolved.spec.id!r} can't be loaded as a BLEURT model: {error}",
                hint="It must be in the form of bleurt-pytorch, with model.safetensors.",
            ) from error
        self._model = model.to(self._device).eval()
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
            limit = int(self._model.config.max_position_embeddings)
            inputs = self._tokenizer(
                reference, candidate, truncation=True, max_length=limit, return_tensors="pt"
            )
            with torch.no_grad():
                logits = self._model(**inputs.to(self._device)).logits
            self._known[pair] = float(logits.flatten()[0])
        return self._known[pair]
