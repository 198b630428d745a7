"""Where truthfulness questions come from: bundled, CSV, JSON, JSON lines, a directory, the hub.

Published forms of TruthfulQA (Lin et al. 2021, arXiv 2109.07958) that are read here: the CSV of 817
questions and the corrected one of 790, the ``mc_task.json`` of both, and the hub's
``truthfulqa/truthful_qa``. Where options are published they count as they are, except that blank
ones (22 questions of the 790-question ``mc_task.json`` have one) are left out: they have no tokens
to score. Options that have to be made from the CSV of 790 are then the published ones but for the
two questions with an answer that is listed as right and as wrong. An answer that a source lists
twice counts twice in MC2 and MC3, as in the authors' code and its ports: of the CSV files that are
three questions (``mc_task.json`` lists each option once).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from trimtab.core.errors import DataError
from trimtab.datasets.fields import list_field, text_field
from trimtab.datasets.files import DATA, read_csv, read_json, read_jsonl
from trimtab.datasets.questions import Options, Question, check_ids, make_question
from trimtab.text.overlap import normalise_question

BUNDLED = DATA / "misconceptions.jsonl"

_CSV_COLUMNS = ("Question", "Best Answer", "Correct Answers", "Incorrect Answers")
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_FILE_SUFFIXES = (".csv", ".json", ".jsonl")
_SETS = ("mc0", "mc1", "mc2")
_KEYS = (
    "id", "category", "question", "best_answer", "best_incorrect_answer", "correct_answers",
    "incorrect_answers",
)  # fmt: skip


def read_questions(source: str) -> list[Question]:
    """Return the questions of ``source`` in order of id.

    Args:
        source: ``bundled``, a ``.csv``, ``.json`` or ``.jsonl`` file, a directory that holds
            ``TruthfulQA.csv`` and ``mc_task.json``, or a hub id.

    Raises:
        DataError: It can't be found or read, lacks a column, or contradicts itself.
    """
    if source == "bundled":
        return check_ids(_read_jsonl(BUNDLED), "the bundled question set")
    path = Path(source).expanduser()
    if path.is_dir():
        texts = _read_csv(path / "TruthfulQA.csv")
        options = _read_json(path / "mc_task.json")
        return check_ids(join(texts, options, source), source)
    if path.suffix.lower() not in _FILE_SUFFIXES:
        if not path.exists() and _HUB_ID.fullmatch(source):
            return check_ids(_read_hub(source), source)
        known = ", ".join(_FILE_SUFFIXES)
        raise DataError(
            f"The source {source!r} (given as `task.source`) is neither a directory, a hub id, "
            f"nor a file that ends in {known} (looked in {str(path.absolute())!r})."
        )
    readers = {".csv": _read_csv, ".json": _read_json, ".jsonl": _read_jsonl}
    return check_ids(readers[path.suffix.lower()](path), source)


def join(texts: Iterable[Question], options: Iterable[Question], where: str) -> list[Question]:
    """Return ``texts`` with the option sets of the same question in ``options``.

    Questions are matched by normalised text, whatever the order of the rows.

    Raises:
        DataError: A question is in only one of the two.
    """
    by_text = {normalise_question(item.question): item for item in options}
    joined = []
    for item in texts:
        other = by_text.pop(normalise_question(item.question), None)
        if other is None:
            raise DataError(f"{where}: {item.question!r} has texts but no answer options.")
        joined.append(item.model_copy(update={key: getattr(other, key) for key in _SETS}))
    if by_text:
        left = next(iter(by_text.values()))
        raise DataError(f"{where}: {left.question!r} has answer options but no texts.")
    return joined


def _read_csv(path: Path) -> list[Question]:
    return [
        make_question(
            where,
            question=row["Question"],
            best_answer=row["Best Answer"],
            correct=row["Correct Answers"].split(";"),
            incorrect=row["Incorrect Answers"].split(";"),
            best_incorrect=row.get("Best Incorrect Answer"),
            category=row.get("Category"),
            keep_ambiguous=True,
        )
        for where, row in read_csv(path, _CSV_COLUMNS)
    ]


def _read_json(path: Path) -> list[Question]:
    rows = read_json(path)
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise DataError(f"{path} must hold a list of questions (the form of mc_task.json).")
    return [_from_options(row, f"{path} question {i}") for i, row in enumerate(rows, start=1)]


def _read_jsonl(path: Path) -> list[Question]:
    return [
        make_question(
            where,
            question=text_field(row, "question", where, _KEYS),
            best_answer=text_field(row, "best_answer", where, _KEYS),
            correct=list_field(row, "correct_answers", where, _KEYS),
            incorrect=list_field(row, "incorrect_answers", where, _KEYS),
            best_incorrect=_optional(row, "best_incorrect_answer", where),
            category=_optional(row, "category", where),
            id=_optional(row, "id", where),
        )
        for where, row in read_jsonl(path)
    ]


def _optional(row: Mapping[str, Any], key: str, where: str) -> str | None:
    return None if row.get(key) is None else text_field(dict(row), key, where)


def _read_hub(hub_id: str) -> list[Question]:
    try:
        import datasets
    except ImportError:
        raise DataError(
            f"The source {hub_id!r} is on the hub, and the package `datasets` is not installed.",
            hint="Run: pip install 'trimtab[hub]'",
        ) from None
    tables = []
    for config in ("generation", "multiple_choice"):
        try:
            tables.append(list(datasets.load_dataset(hub_id, config, split="validation")))
        except (OSError, ValueError) as error:
            first_line = str(error).partition("\n")[0].rstrip(".")
            raise DataError(
                f"The hub data set {hub_id!r} (given as `task.source`) can't be loaded with "
                f"config {config!r}: {first_line}.",
                hint="Check the id and the network, or give a local file or `bundled`.",
            ) from None
    return from_hub_rows(tables[0], tables[1], hub_id)


def from_hub_rows(
    generation: Iterable[dict[str, Any]], multiple_choice: Iterable[dict[str, Any]], where: str
) -> list[Question]:
    """Return the questions of the hub's two tables, joined by question."""
    texts = [
        make_question(
            f"{where} row {i}",
            question=text_field(row, "question", where, _KEYS),
            best_answer=text_field(row, "best_answer", where, _KEYS),
            correct=list_field(row, "correct_answers", where, _KEYS),
            incorrect=list_field(row, "incorrect_answers", where, _KEYS),
            category=_optional(row, "category", where),
            keep_ambiguous=True,
        )
        for i, row in enumerate(generation)
    ]
    options = [_from_options(row, f"{where} row {i}") for i, row in enumerate(multiple_choice)]
    return join(texts, options, where)


def _from_options(row: dict[str, Any], where: str) -> Question:
    """Return the question of one ``mc_task.json`` entry; its texts are its options."""
    question = text_field(row, "question", where)
    sets = {key: _options(row, f"{key}_targets", where) for key in _SETS}
    mc1, mc2 = sets["mc1"], sets["mc2"]
    if mc1 is None or mc2 is None:
        missing = "mc1_targets" if mc1 is None else "mc2_targets"
        raise DataError(
            f"{where}: {missing!r} is missing (found: {', '.join(row)}; accepted: question, "
            f"category, {', '.join(f'{name}_targets' for name in _SETS)})."
        )
    if sum(correct for _, correct in mc1) != 1:
        raise DataError(f"{where}: mc1_targets of {question!r} must have one correct option.")
    wrong_binary = [text for text, correct in sets["mc0"] or () if not correct]
    item = make_question(
        where,
        question=question,
        best_answer=next(text for text, correct in mc1 if correct),
        correct=[text for text, correct in mc2 if correct],
        incorrect=[text for text, correct in mc2 if not correct],
        best_incorrect=wrong_binary[0] if wrong_binary else None,
        category=_optional(row, "category", where),
    )
    return item.model_copy(update=sets)


def _options(row: Mapping[str, Any], key: str, where: str) -> Options | None:
    """Return one option set, given as {text: 0 or 1} or as {choices: [...], labels: [...]}."""
    given = row.get(key)
    if given is None:
        return None
    pairs: list[tuple[Any, Any]] = []
    if isinstance(given, dict) and set(given) == {"choices", "labels"}:
        if len(given["choices"]) != len(given["labels"]):
            raise DataError(f"{where}: {key!r} must have as many labels as choices.")
        pairs = list(zip(given["choices"], given["labels"], strict=True))
    elif isinstance(given, dict):
        pairs = list(given.items())
    if not pairs or not all(isinstance(t, str) and label in (0, 1) for t, label in pairs):
        raise DataError(f"{where}: {key!r} must map each option to 0 or 1.")
    return tuple((text.strip(), bool(label)) for text, label in pairs if text.strip())
