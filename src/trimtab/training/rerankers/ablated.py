"""An energy model that is shown less than the pair, to see what it reads."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

from trimtab.core.errors import DataError
from trimtab.core.keys import derive_seed
from trimtab.core.streams import Owed, in_order
from trimtab.core.types import Energy
from trimtab.training.rerankers.config import Ablation
from trimtab.training.rerankers.energies import PairText


class Ablated:
    """An energy model that is shown something else than the pair. Implements ``Energy``."""

    def __init__(self, model: Energy, ablation: Ablation, others: Sequence[str]) -> None:
        """Wrap ``model``; ``others`` are problems to put in the place of the right one."""
        self._model = model
        self._ablation = ablation
        self._others = others

    @property
    def identity(self) -> str:
        """The model's, and the ablation."""
        return f"{self._model.identity}:{self._ablation}"

    def energies(self, pairs: Sequence[PairText], owed: Owed = None) -> Iterator[tuple[int, float]]:
        """Yield the energies of the changed pairs."""
        return self._model.energies([self._changed(*pair) for pair in pairs], owed)

    def score(self, problem: str, texts: Sequence[str]) -> list[float]:
        """Return the energies of the changed texts or problem."""
        return in_order(self.energies([(problem, text) for text in texts]), len(texts))

    def _changed(self, problem: str, text: str) -> PairText:
        """Return the changed pair, which depends on the pair alone."""
        if self._ablation == "question_removed":
            return "", text
        if self._ablation == "question_shuffled":
            others = [other for other in self._others if other != problem]
            if not others:
                raise DataError("question_shuffled needs a second problem in the select split.")
            return others[derive_seed("other", problem) % len(others)], text
        if self._ablation == "answer_permuted":
            parts = text.split()
            random.Random(derive_seed("permuted", text)).shuffle(parts)
            return problem, " ".join(parts)
        return problem, text
