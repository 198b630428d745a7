"""What words alone tell: logistic regression over TF-IDF, learned from labelled completions.

The classic baseline for any learned judge (Wang and Manning 2012, "Baselines and Bigrams", ACL): if
a reranker or a classifier does no better than this, it has not learned to read. Texts are seen
without their questions.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pydantic import Field, PositiveFloat

from trimtab.core.errors import DataError, JudgeError
from trimtab.core.lazy import lazy
from trimtab.core.needs import Labelled, Need
from trimtab.core.spec import Component, Metric, Spec
from trimtab.judges.base import Item, Judge, Resource, Verdict
from trimtab.steering.fitted import FitContext, Fitted
from trimtab.text.leaks import HeldOut

if TYPE_CHECKING:
    import torch
    from sklearn import linear_model
    from sklearn.feature_extraction import text as features
else:
    torch = lazy("torch")
    linear_model = lazy("sklearn.linear_model")
    features = lazy("sklearn.feature_extraction.text")

__all__ = ["Tfidf"]


class _Config(Spec):
    """What is counted, and how strongly weights are held down.

    Attributes:
        ngrams: Longest run of words that is counted.
        least_texts: Texts of the fit split in which a run of words must occur to be counted.
        c: Inverse strength of the ridge penalty, scikit-learn's ``C``.
    """

    ngrams: int = Field(default=2, ge=1, le=5)
    least_texts: int = Field(default=2, ge=1)
    c: PositiveFloat = 1.0


class Tfidf(Judge[_Config]):
    """The log-odds that a text is right, from its words."""

    Config = _Config
    resource = "fitted"
    MAKES = ("words",)

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """One number to rank by; higher is better."""
        return (Metric(name="tfidf", kind="number", role="ranking", unit="nats"),)

    @property
    def on_model(self) -> bool:
        """No language model takes part."""
        return False

    def needs(self) -> dict[str, Need]:
        """Return the fit on labelled completions of the fit split."""
        config = self.config.model_dump(mode="json", exclude_defaults=True)
        component = Component(name="tfidf", config=config)
        return {"words": Need(component, {"fit": Labelled("fit")})}

    def fit(self, context: FitContext) -> Fitted:
        """Return the weight [V] and inverse document frequency [V] of each run of words.

        Raises:
            DataError: Labels are all alike, no words are left, or a question belongs to the test
                split.
        """
        rows = [r for r in context.completions["fit"] if r.completion.text and r.reward is not None]
        _refuse_held_out([row.sample.messages[-1].content for row in rows], context)
        labels = [row.reward == 1.0 for row in rows]
        if len(set(labels)) < 2:
            raise DataError(
                f"judge 'tfidf' learns from right and wrong answers, and the labels given "
                f"({len(labels)}) are all {'right' if any(labels) else 'wrong'}.",
                hint="Sample more candidates, or of a task that is neither too easy nor too hard.",
            )
        counter = self._vectorizer()
        try:
            counted = counter.fit_transform([str(row.completion.text) for row in rows])
        except ValueError as error:
            raise DataError(f"judge 'tfidf': {error}.", hint="Lower `least_texts`.") from None
        fitted = linear_model.LogisticRegression(C=self.config.c, max_iter=1000)
        fitted.fit(counted, labels)
        words = sorted(counter.vocabulary_, key=counter.vocabulary_.__getitem__)
        tensors = {
            "weight": torch.tensor(fitted.coef_[0], dtype=torch.float64),
            "idf": torch.tensor(counter.idf_, dtype=torch.float64),
            "bias": torch.tensor(float(fitted.intercept_[0]), dtype=torch.float64),
        }
        about = {"num_answers": len(labels), "num_right": sum(labels), "words": words}
        return Fitted(tensors, about)

    def score(self, items: Sequence[Item], resource: Resource) -> Iterator[tuple[int, Verdict]]:
        """Yield the log-odds of each owed text; one without a text is unscored.

        Raises:
            JudgeError: ``resource`` is not what ``fit`` made.
        """
        if not isinstance(resource, Mapping) or "words" not in resource:
            raise JudgeError("The judge 'tfidf' was given no fitted words.")
        learned = resource["words"]
        counter = self._vectorizer(learned.info["words"])
        counter.idf_ = learned.tensors["idf"].numpy()
        weight, bias = learned.tensors["weight"].numpy(), float(learned.tensors["bias"])
        for number, item in enumerate(items):
            if item.owed:
                yield number, self._verdict(item, counter, weight, bias)

    def _verdict(self, item: Item, counter: Any, weight: Any, bias: float) -> Verdict:
        missing = self.missing(item)
        if missing is not None:
            return self.unscored(missing)
        value = float((counter.transform([str(item.completion.text)]) @ weight)[0]) + bias
        assert math.isfinite(value)
        return Verdict({"tfidf": value})

    def _vectorizer(self, words: Sequence[str] | None = None) -> Any:
        return features.TfidfVectorizer(
            ngram_range=(1, self.config.ngrams),
            min_df=1 if words is not None else self.config.least_texts,
            vocabulary=None if words is None else list(words),
            token_pattern=r"(?u)\b\w+\b",
        )


def _refuse_held_out(questions: Sequence[str], context: FitContext) -> None:
    held_out = HeldOut(sample.messages[-1].content for sample in context.held_out)
    leaked = [question for question in questions if held_out.holds(question)]
    if leaked:
        raise DataError(
            f"Answers to learn from ({len(leaked)}) are to questions of the test split, e.g. "
            f"{leaked[0][:60]!r}.",
            hint="A judge is fitted on questions that it is not tested on.",
        )
