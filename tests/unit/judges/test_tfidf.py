"""TF-IDF: scikit-learn's own pipeline gives the same log-odds, on disk and back."""

from pathlib import Path

import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from trimtab.core.errors import DataError, JudgeError
from trimtab.core.types import Completion, Message, Sample
from trimtab.judges.base import JUDGES, Item
from trimtab.runs.store import artifacts
from trimtab.steering.fitted import FitContext, ScoredCompletion

TEXTS = {
    "the answer is four": 1.0,
    "so the answer is 7": 1.0,
    "it must be five the answer": 1.0,
    "i do not know": 0.0,
    "perhaps it is nine i guess": 0.0,
    "i guess i do not": 0.0,
}


def _row(text: str | None, reward: float | None, number: int) -> ScoredCompletion:
    sample = Sample(id=f"s{number}", messages=(Message(role="user", content=f"Sum {number}?"),))
    completion = Completion(
        cell="c", sample_id=sample.id, protocol="p", num_prompt_tokens=1, text=text,
        finish_reason="eos" if text is not None else "error",
        error=None if text is not None else "gone",
    )  # fmt: skip
    return ScoredCompletion(sample, completion, reward)


def _context(rows: list[ScoredCompletion], held_out: tuple[Sample, ...] = ()) -> FitContext:
    return FitContext(None, 0, completions={"fit": rows}, held_out=held_out)


def test_log_odds_are_those_of_the_usual_pipeline(tmp_path: Path) -> None:
    rows = [_row(text, reward, i) for i, (text, reward) in enumerate(TEXTS.items())]
    judge = JUDGES.build("tfidf", {"ngrams": 2, "least_texts": 1})
    made = judge.fit(_context([*rows, _row(None, None, 99)]))
    artifacts.save(tmp_path, made, {})
    items = [Item(row.sample, row.completion) for row in [*rows, _row(None, None, 99)]]
    verdicts = judge.verdicts(items, {"words": artifacts.load(tmp_path)})

    counter = TfidfVectorizer(ngram_range=(1, 2), token_pattern=r"(?u)\b\w+\b")
    counted = counter.fit_transform(list(TEXTS))
    model = LogisticRegression(max_iter=1000).fit(counted, [v == 1.0 for v in TEXTS.values()])
    expected = model.decision_function(counter.transform(list(TEXTS)))
    assert [v.values["tfidf"] for v in verdicts[:-1]] == pytest.approx(expected.tolist(), abs=1e-9)
    assert verdicts[-1].values == {"tfidf": None} and verdicts[-1].error
    assert min(v.values["tfidf"] for v in verdicts[:3]) > max(
        v.values["tfidf"] for v in verdicts[3:6]
    )


def test_what_can_not_be_learned_is_refused() -> None:
    judge = JUDGES.build("tfidf", {})
    alike = [_row(text, 1.0, i) for i, text in enumerate(TEXTS)]
    with pytest.raises(DataError, match=r"the labels given \(6\) are all right"):
        judge.fit(_context(alike))
    rows = [_row(text, reward, i) for i, (text, reward) in enumerate(TEXTS.items())]
    with pytest.raises(DataError, match=r"learn from \(1\) are to questions of the test"):
        judge.fit(_context(rows, held_out=(rows[0].sample,)))
    rare = JUDGES.build("tfidf", {"least_texts": 5})
    with pytest.raises(DataError, match="Lower `least_texts`"):
        rare.fit(_context(rows))
    with pytest.raises(JudgeError, match="no fitted words"):
        list(judge.score([], None))
