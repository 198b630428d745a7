"""Whether the answer lies nearer to the right answers than to the wrong ones, by BLEURT."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trimtab.core.lazy import lazy
from trimtab.core.spec import ModelSpec, Spec
from trimtab.core.types import Embedder
from trimtab.judges._similarity import SimilarityJudge
from trimtab.models.load import ResolvedModel

if TYPE_CHECKING:
    from trimtab.models.nets import bleurt
else:
    bleurt = lazy("trimtab.models.nets.bleurt")

__all__ = ["Bleurt"]


class BleurtConfig(Spec):
    """Which checkpoint.

    Attributes:
        model: A BLEURT model in the form of ``bleurt-pytorch``, with safetensors weights.
    """

    model: ModelSpec = ModelSpec(id="lucadiliello/BLEURT-20-D12")


class Bleurt(SimilarityJudge[BleurtConfig]):
    """TruthfulQA's similarity metric with BLEURT (Sellam et al. 2020), its authors' first choice.

    The right or wrong answer is BLEURT's reference and the answer its candidate. SentencePiece
    vocabularies need the extra ``bleurt``. The original used ``bleurt-base-128`` through
    TensorFlow, so its figures differ.
    """

    Config = BleurtConfig
    NAME = "bleurt"

    def encoder(self, resolved: ResolvedModel) -> Embedder:
        """Load the checkpoint as a scorer."""
        return bleurt.BleurtScorer(resolved)

    @property
    def model(self) -> ModelSpec:
        """The checkpoint."""
        return self.config.model
