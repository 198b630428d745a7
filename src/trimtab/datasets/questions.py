"""The one form in which a truthfulness question is held, wherever it was read from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from trimtab.core.errors import DataError
from trimtab.core.keys import content_key
from trimtab.core.types import Record
from trimtab.text.overlap import normalise_question

Options = tuple[tuple[str, bool], ...]
"""Answer options: (text, whether it is right)."""

NO_CATEGORY = "all"


class Question(Record):
    """One question with right and wrong answers.

    Attributes:
        id: The source's own id, else a hash of the question's text: stable under reordering.
        category: Topic; ``all`` where the source has none.
        question: The question.
        best_answer: The answer that counts as the reference; one of ``correct_answers``.
        best_incorrect_answer: The wrong answer that it is paired with, if the source names one.
        correct_answers: Right answers, no duplicates.
        incorrect_answers: Wrong answers, no duplicates, none of them in ``correct_answers``.
        mc0: Options of the binary task as the source gives them, if it does.
        mc1: Options of MC1 as the source gives them, if it does.
        mc2: Options of MC2 as the source gives them, if it does or if it lists an answer twice.
        ambiguous: Answers that the source lists both as right and as wrong; held as wrong.
    """

    id: str
    category: str
    question: str
    best_answer: str
    best_incorrect_answer: str | None = None
    correct_answers: tuple[str, ...]
    incorrect_answers: tuple[str, ...]
    mc0: Options | None = None
    mc1: Options | None = None
    mc2: Options | None = None
    ambiguous: tuple[str, ...] = ()

    @property
    def split_text(self) -> str:
        """The text that splits are made by."""
        return self.question

    @property
    def stratum(self) -> str:
        """The group over which splits are balanced."""
        return self.category

    @property
    def cluster(self) -> str | None:
        """The category; None without one: such a question is a cluster of its own."""
        return None if self.category == NO_CATEGORY else self.category

    def option_sets(self) -> dict[str, Options]:
        """Return the options of ``mc1``, ``mc2`` and, where there is one, ``binary``.

        What the source gives counts, repeats included (see ``sources``); else MC1 is the best
        answer against all wrong ones, MC2 all right against all wrong ones, binary the best answer
        against the best wrong one.
        """
        wrong = tuple((text, False) for text in self.incorrect_answers)
        right = tuple((text, True) for text in self.correct_answers)
        best = (self.best_answer, True)
        sets = {"mc1": self.mc1 or (best, *wrong), "mc2": self.mc2 or (*right, *wrong)}
        if self.mc0:
            sets["binary"] = self.mc0
        elif self.best_incorrect_answer:
            sets["binary"] = (best, (self.best_incorrect_answer, False))
        return sets


def make_question(
    where: str,
    *,
    question: str,
    best_answer: str,
    correct: Iterable[str],
    incorrect: Iterable[str],
    best_incorrect: str | None = None,
    category: str | None = None,
    id: str | None = None,
    keep_ambiguous: bool = False,
) -> Question:
    """Return a checked question; ``where`` names file and row in messages.

    The best answer is added in front of the right answers if it is missing there. An answer that is
    right and wrong at once is refused, or with ``keep_ambiguous`` held as wrong, as the published
    ``mc_task.json`` does for the two such questions of TruthfulQA ("Unknown").

    Raises:
        DataError: There is no question, no best answer, no wrong answer, or a contradiction.
    """
    text, best = question.strip(), best_answer.strip()
    if not text or not best:
        raise DataError(f"{where}: the {'best answer' if text else 'question'} is empty.")
    listed = [_stripped(answers) for answers in (correct, incorrect)]
    right, wrong = map(unique, listed)
    if best not in right:
        right = (best, *right)
        listed[0].insert(0, best)
    both = tuple(answer for answer in right if answer in wrong)
    if both and (not keep_ambiguous or best in both):
        raise DataError(
            f"{where}: the answer {both[0]!r} to {text!r} is both correct and incorrect.",
            hint="Remove it from one of the two lists.",
        )
    if not wrong:
        raise DataError(f"{where}: {text!r} has no incorrect answer.")
    return Question(
        id=id or f"q-{content_key(text, 12)}",
        category=(category or "").strip() or NO_CATEGORY,
        question=text,
        best_answer=best,
        best_incorrect_answer=(best_incorrect or "").strip() or None,
        correct_answers=tuple(answer for answer in right if answer not in both),
        incorrect_answers=wrong,
        mc2=_with_repeats(listed[0], listed[1], both),
        ambiguous=both,
    )


def _stripped(answers: Iterable[str]) -> list[str]:
    return [text for answer in answers if (text := answer.strip())]


def _with_repeats(
    right: Sequence[str], wrong: Sequence[str], ambiguous: Sequence[str]
) -> Options | None:
    """Return the options of MC2 where an answer is listed more than once; None where none is."""
    if len(set(right)) == len(right) and len(set(wrong)) == len(wrong):
        return None
    true = [(text, True) for text in right if text not in ambiguous]
    return (*true, *((text, False) for text in wrong))


def unique(answers: Iterable[str]) -> tuple[str, ...]:
    """Return the stripped, non-empty answers without duplicates, in order."""
    return tuple(dict.fromkeys(text for answer in answers if (text := answer.strip())))


def check_ids(questions: Sequence[Question], where: str) -> list[Question]:
    """Return the questions in order of id; raise DataError if there are none or an id is double."""
    if not questions:
        raise DataError(f"{where} holds no questions.")
    seen: dict[str, str] = {}
    texts: dict[str, str] = {}
    for item in questions:
        text = normalise_question(item.question)
        if item.id in seen or text in texts:
            other, what = (
                (seen[item.id], "share the id")
                if item.id in seen
                else (texts[text], "are one question, the second with the id")
            )
            raise DataError(
                f"{where}: {item.question!r} and {other!r} {what} {item.id!r}.",
                hint="Every question must appear once, under an id of its own.",
            )
        seen[item.id] = texts[text] = item.question
    return sorted(questions, key=lambda item: item.id)


def data_key(questions: Iterable[Question]) -> str:
    """Return the content hash of the questions, whatever their order or the file's form."""
    return content_key(sorted(questions, key=lambda item: item.id))
