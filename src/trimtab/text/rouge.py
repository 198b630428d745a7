"""ROUGE of a text against references, by Google's library rouge-score.

Lin 2004, "ROUGE: A Package for Automatic Evaluation of Summaries". The library's words are runs of
``a-z`` and ``0-9`` in lower case, so texts in other scripts have none.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from trimtab.core.errors import ConfigError
from trimtab.core.types import Sample

_WORD = re.compile(r"[a-z0-9]", re.IGNORECASE)


def references_of(sample: Sample) -> list[str]:
    """Return target and metadata ``correct_answers``, those in which the library finds a word."""
    listed = sample.metadata.get("correct_answers")
    given = [sample.target, *(listed if isinstance(listed, list) else ())]
    return [text for text in given if isinstance(text, str) and _WORD.search(text)]


def rouge(
    text: str, references: Sequence[str], kinds: Sequence[str], *, stem: bool = True
) -> dict[str, float]:
    """Return the F of each kind against the reference that it is highest for.

    Args:
        text: What is measured; without words it has 0.
        references: At least one, with words.
        kinds: As the library names them: ``rougeL``, ``rouge1``.
        stem: Compare words without their endings (Porter).

    Raises:
        ConfigError: The library is not installed.
    """
    scorer = _scorer(tuple(kinds), stem)
    found = scorer.score_multi(references, text)
    return {kind: float(found[kind].fmeasure) for kind in kinds}


def require_rouge() -> None:
    """Raise ConfigError if the library is not installed."""
    if importlib.util.find_spec("rouge_score") is None:
        raise ConfigError(
            "ROUGE needs the package rouge-score, which is not installed.",
            hint="Install it: pip install 'trimtab[judges]'",
        )


@lru_cache(maxsize=8)
def _scorer(kinds: tuple[str, ...], stem: bool) -> Any:
    require_rouge()
    from rouge_score import rouge_scorer

    return rouge_scorer.RougeScorer(list(kinds), use_stemmer=stem)
