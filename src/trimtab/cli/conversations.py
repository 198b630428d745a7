"""``data card``: what a file of conversations holds, and what a model would learn of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from trimtab.cli.terminal import wide_console
from trimtab.core.errors import ConfigError
from trimtab.core.keys import content_key
from trimtab.core.lazy import lazy
from trimtab.core.spec import ModelSpec
from trimtab.core.types import Conversation, Rendering
from trimtab.datasets.conversations import read_conversations
from trimtab.models.load import resolve
from trimtab.text.near import NGRAM_WORDS, THRESHOLD, can_find_near, near_duplicates

if TYPE_CHECKING:
    from trimtab.models import tokenizers
    from trimtab.training.sft import rows as sft_rows
else:
    tokenizers = lazy("trimtab.models.tokenizers")
    sft_rows = lazy("trimtab.training.sft.rows")


def card(
    path: Path,
    model: str,
    rendering: Rendering | None,
    max_tokens: int | None,
    show_labels: int | None,
) -> None:
    """Print the counts of a file, and the tokens and labels that a model sees in it.

    Args:
        path: JSON lines.
        model: Whose tokenizer and template.
        rendering: None is the model's template, or ``plain`` where it has none.
        max_tokens: Longer conversations are counted.
        show_labels: Print the first so many with their labels; None prints none.
    """
    conversations = read_conversations(path, "FILE", answered=True)
    renderer = tokenizers.read_renderer(resolve(ModelSpec(id=model)))
    made = sft_rows.make_rows(renderer, conversations, rendering=rendering, max_tokens=max_tokens)
    counts = made.counts()
    console = wide_console()
    table = Table("", "", title=f"{path.name}, as {model} reads it ({counts['rendering']})")
    lengths = sorted(len(row.tokens) for row in made.rows)
    facts = {
        "conversations": str(counts["rows"]),
        "turns": _counted(Counter(len(c.messages) for c in conversations)),
        "with a system turn": str(sum(c.messages[0].role == "system" for c in conversations)),
        "occur again": str(_copies(conversations)),
        f"nearly repeat an earlier one (Jaccard of word {NGRAM_WORDS}-grams from {THRESHOLD})": (
            _near(conversations)
        ),
        "tokens": f"{sum(lengths)} (median {lengths[len(lengths) // 2]}, longest {lengths[-1]})",
        "labels": f"{counts['labels']} ({counts['label_share']:.1%} of the tokens)",
        "lose labels beyond max-tokens": str(counts["truncated"]),
    }
    for name, value in facts.items():
        table.add_row(name, value)
    for source, share in counts["by_source"].items():
        part = f"{share['rows']} conversations, {share['labels']} labels"
        table.add_row(Text(f"source {source}"), part)
    for key in _keys(conversations):
        table.add_row(Text(f"metadata {key}"), Text(_values(conversations, key)))
    console.print(table)
    for row in made.rows[: show_labels or 0]:
        console.print(_shown(renderer, row), soft_wrap=True)


def rendering_of(name: str | None) -> Rendering | None:
    """Return a rendering by its name; raise ConfigError for another name."""
    if name in (None, "chat", "plain"):
        return name  # type: ignore[return-value]
    raise ConfigError(f"--rendering {name!r}: must be chat or plain.")


def _shown(renderer: tokenizers.Renderer, row: sft_rows.Row) -> Text:
    """Return a row as text: the labels in brackets and bold, what comes before them dim."""
    text = Text(f"\n{row.id} ({row.source})\n", style="bold")
    labels = set(row.places)
    at = 0
    while at < len(row.tokens):
        end = at
        while end < len(row.tokens) and (end in labels) == (at in labels):
            end += 1
        said = renderer.tokenizer.decode(list(row.tokens[at:end]))
        assert isinstance(said, str)
        shown = said if said.isprintable() else repr(said)[1:-1].replace("\\n", "\n")
        text.append(f"[[{shown}]]" if at in labels else shown, "green" if at in labels else "dim")
        at = end
    return text


def _copies(conversations: Sequence[Conversation]) -> int:
    return len(conversations) - len({content_key(c.messages) for c in conversations})


def _near(conversations: Sequence[Conversation]) -> str:
    """Return how many say almost what an earlier one says, beside those that say the same."""
    if not can_find_near():
        return "not counted: pip install 'trimtab[train]'"
    said = {
        content_key(c.messages): "\n".join(m.content for m in c.messages) for c in conversations
    }
    return str(sum(first is not None for first in near_duplicates(list(said.values()))))


def _keys(conversations: Sequence[Conversation]) -> list[str]:
    """Return the keys of metadata that have few values, beside the source."""
    found: dict[str, set[str]] = {}
    for conversation in conversations:
        for key, value in conversation.metadata.items():
            found.setdefault(key, set()).add(str(value))
    return sorted(key for key, some in found.items() if len(some) <= 12 and key != "source")


def _values(conversations: Sequence[Conversation], key: str) -> str:
    return _counted(Counter(str(c.metadata.get(key, "not given"))[:40] for c in conversations))


def _counted(counts: Counter[int] | Counter[str]) -> str:
    return ", ".join(f"{value}: {count}" for value, count in counts.most_common())
