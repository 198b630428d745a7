"""Whether the answer lies nearer to the right answers than to the wrong ones, by embeddings."""

from __future__ import annotations

from trimtab.core.spec import ModelSpec, Spec
from trimtab.judges._similarity import SimilarityJudge

__all__ = ["Semantic"]


class SemanticConfig(Spec):
    """Which encoder.

    Attributes:
        model: A sentence-transformers model.
    """

    model: ModelSpec = ModelSpec(id="bundled:all-minilm-l6-v2")


class Semantic(SimilarityJudge[SemanticConfig]):
    """TruthfulQA's similarity metric with cosines of sentence embeddings, so in [-2, 2].

    The original takes BLEURT (the judge ``bleurt``), BLEU and ROUGE in place of the cosine.
    """

    Config = SemanticConfig
    NAME = "semantic"

    @property
    def model(self) -> ModelSpec:
        """The encoder."""
        return self.config.model
