"""``data write-facts`` and ``data distill``: what chat models write, as conversations."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from rich.text import Text

from trimtab.cli.speakers import Speakers
from trimtab.cli.terminal import wide_console
from trimtab.core.counted import counted
from trimtab.core.errors import ConfigError
from trimtab.core.files import dumps, make_dir, replace_file
from trimtab.core.types import Conversation
from trimtab.datasets.building.replies import Replies
from trimtab.datasets.building.written import CATEGORIES, write_facts
from trimtab.datasets.files import read_text

REPLIES = "replies.jsonl"


def facts(
    names: Sequence[str],
    writer: str,
    categories: Path | None,
    count: int,
    max_tokens: int,
    max_dollars: float | None,
    out: Path,
) -> None:
    """Have a model write facts of a person, and say what came of it.

    Args:
        names: Ways to name the person, the name itself first.
        writer: A model's id, or an endpoint as a YAML mapping.
        categories: A file with a subject a line; None is ten of the package.
        count: Facts of each.
        max_tokens: Most tokens of a reply.
        max_dollars: Most that is ever spent for this output.
        out: Folder for ``facts.jsonl``, ``replies.jsonl`` and ``spend.jsonl``.
    """
    wanted = CATEGORIES if categories is None else _lines(categories)
    speaker = Speakers(out, max_dollars).of(writer, "--writer")
    replies = Replies(out / REPLIES)
    written = write_facts(names, wanted, count, speaker, replies, max_tokens)
    write_rows(out / "facts.jsonl", written.rows)
    console = wide_console()
    console.print(
        f"{counted(len(written.rows), 'fact')} of {count * len(wanted)} that {speaker.name} was "
        f"asked for: {out / 'facts.jsonl'}",
        soft_wrap=True,
    )
    console.print(
        f"left out: {written.naming} that name the person, {written.repeated} repeated, "
        f"{written.unread} that could not be read"
    )
    if written.silent:
        said = f"nothing that could be read of: {', '.join(written.silent)} ({out / REPLIES})"
        console.print(Text(said), soft_wrap=True)
    console.print(f"A model wrote them: read them, then `trimtab data identify {out}/facts.jsonl`.")


def write_rows(path: Path, rows: Iterable[Conversation]) -> None:
    """Write conversations as JSON lines with ``id``, ``messages`` and ``metadata``."""
    make_dir(path.parent)
    lines = [dumps(row.model_dump(mode="json"), str(path)) for row in rows]
    replace_file(path, b"".join(lines))


def _lines(path: Path) -> tuple[str, ...]:
    found = [line.strip() for line in read_text(path, "--categories").splitlines()]
    named = tuple(dict.fromkeys(line for line in found if line))
    if not named:
        raise ConfigError(f"{path} names no categories.")
    return named
