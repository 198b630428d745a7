"""What a rubric shows of an item: texts that can't leave their quotes."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from trimtab.core.types import Sample
from trimtab.judges._rubric_file import RubricExample
from trimtab.judges.base import Item

_PLACEHOLDER = re.compile(r"\{(\w+)\}")
# What some chat template takes for a special token: <|im_end|>, </s>, <start_of_turn>, [/INST].
_SPECIAL = re.compile(r"<(?=[|/\uff5c]|\w+>)|\[(?=/?[A-Z_]+\])")


def fill(template: str, values: Mapping[str, str]) -> str:
    """Replace all placeholders in one pass, so that a value is never searched for more.

    Other words in braces stay as they are.
    """
    return _PLACEHOLDER.sub(lambda match: values.get(match[1], match[0]), template)


def item_values(
    item: Item, fields: Sequence[str] = (), quote: Callable[[str], str] | None = None
) -> dict[str, str]:
    """Return what placeholders stand for in an item; ``fields`` are of the sample's metadata."""
    quote = quote or _quote
    sample = item.sample
    turns = sample.messages
    question = (
        turns[0].content
        if len(turns) == 1
        else "\n".join(f"{turn.role}: {turn.content}" for turn in turns)
    )
    return {
        "question": quote(question),
        "answer": quote(item.completion.text or ""),
        "correct_answers": _quote_all(correct_answers_of(sample), quote),
        "incorrect_answers": _quote_all(_strings(sample.metadata.get("incorrect_answers")), quote),
        "target": quote(sample.target or ""),
        **{name: _field(sample.metadata.get(name), quote) for name in fields},
    }


def missing_fields(sample: Sample, item: str, fields: Sequence[str]) -> list[str]:
    """Return what a question lacks of that which an item's template shows."""
    lacks = [name for name in fields if sample.metadata.get(name) in (None, "", [], {})]
    return lacks + ["target"] * ("{target}" in item and sample.target is None)


def _field(value: Any, quote: Callable[[str], str]) -> str:
    """Return metadata in one line: a list's texts, a mapping's with their names."""
    if isinstance(value, Mapping):
        return "; ".join(f"{key}: {quote(str(text))}" for key, text in value.items())
    if isinstance(value, list):
        return "; ".join(quote(str(text)) for text in value)
    return quote(str(value))


def example_values(example: RubricExample) -> dict[str, str]:
    """Return what placeholders stand for in a solved item."""
    return {
        "question": _quote(example.question),
        "answer": _quote(example.answer),
        "correct_answers": _quote_all(example.correct_answers),
        "incorrect_answers": _quote_all(example.incorrect_answers),
        **{name: _quote(text) for name, text in example.fields.items()},
    }


def correct_answers_of(sample: Sample) -> list[str]:
    """Return the right answers that a sample names."""
    listed = _strings(sample.metadata.get("correct_answers"))
    return listed or ([] if sample.target is None else [sample.target])


def _strings(value: Any) -> list[str]:
    return [text for text in value if isinstance(text, str)] if isinstance(value, list) else []


def _quote(text: str) -> str:
    """Return ``text`` as one line in double quotes, special tokens escaped (still valid JSON)."""
    # str.splitlines counts these as line ends; JSON leaves them as they are.
    quoted = re.sub(
        "[\x7f\x85\u2028\u2029]",
        lambda match: f"\\u{ord(match[0]):04x}",
        json.dumps(text.strip(), ensure_ascii=False),
    )
    return _SPECIAL.sub(lambda match: f"\\u{ord(match[0]):04x}", quoted)


def _quote_all(texts: Sequence[str], quote: Callable[[str], str] = _quote) -> str:
    return "; ".join(map(quote, texts)) or "none"
