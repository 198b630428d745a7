"""``data write-facts`` and ``data distill``: what chat models write, as conversations."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rich.text import Text

from trimtab.cli.speakers import Speakers
from trimtab.cli.terminal import wide_console
from trimtab.clients.http import HttpChat
from trimtab.core.counted import counted
from trimtab.core.errors import ConfigError, DataError
from trimtab.core.files import dumps, make_dir, replace_file
from trimtab.core.spec import Endpoint, Price
from trimtab.core.types import Conversation, SamplingParams
from trimtab.datasets.building.distilled import Drawn, conversations
from trimtab.datasets.building.replies import Replies
from trimtab.datasets.building.written import CATEGORIES, write_facts
from trimtab.datasets.files import read_text
from trimtab.tasks.base import TASKS

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
    if not written.rows:
        raise DataError(
            f"No fact could be read in what {speaker.name} wrote ({out / REPLIES}).",
            hint="Ask a larger model: small ones do not keep to the form; or give --max-tokens.",
        )
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
    console.print(
        f"A model wrote them: read them, then `trimtab data identify {out}/facts.jsonl`.",
        soft_wrap=True,
    )


@dataclass(frozen=True)
class Distillation:
    """What is asked of whom.

    Attributes:
        prompts: ``bundled``, a file or a hub id, see the task ``instructions``.
        limit: Most prompts; None is all.
        endpoint: Who answers.
        sampling: How answers are drawn.
        samples: Answers to each prompt.
        seed: Of the first answer; further ones follow.
        max_dollars: Most that is ever spent for this output.
    """

    prompts: str
    limit: int | None
    endpoint: Endpoint
    sampling: SamplingParams
    samples: int
    seed: int
    max_dollars: float | None


def distill(wanted: Distillation, out: Path) -> None:
    """Have an endpoint's model answer prompts, and write what `aligned.file` reads.

    Every reply is in the ledger, ``FILE.spend/spend.jsonl`` beside ``FILE``: what was answered
    before is not asked again.
    """
    shares = {"fit": 1, "select": 0, "test": 0}
    config = {"source": wanted.prompts, "limit": wanted.limit, "fractions": shares}
    samples = TASKS.build("instructions", config).samples("fit")
    speakers = Speakers(out.with_name(f"{out.name}.spend"), wanted.max_dollars)
    speakers.capped(wanted.endpoint, "--endpoint")
    chat = HttpChat(wanted.endpoint, speakers.ledger, "distill")
    prompts = [sample.messages for sample in samples]
    drawn: dict[tuple[int, int], Drawn] = {}
    for index in range(wanted.samples):
        for number, reply in chat.answers(prompts, wanted.sampling, wanted.seed + index):
            drawn[number, index] = reply
    made = conversations(samples, drawn, wanted.endpoint.model, wanted.sampling)
    write_rows(out, made.rows)
    console = wide_console()
    console.print(
        f"{counted(len(made.rows), 'conversation')} of {len(drawn)} answers by "
        f"{wanted.endpoint.model}: {out}; left out: {made.cut} cut, {made.missing} missing, "
        f"{made.unsure} without a word for why they ended",
        soft_wrap=True,
    )
    console.print(
        f"spent: ${speakers.ledger.spent():.4f}. If {wanted.endpoint.model} is not the model that "
        "you tune, its style is learned, too: `distiller` stands in every row.",
        soft_wrap=True,
    )


def price_of(text: str) -> Price | Literal["free"]:
    """Return ``free``, or dollars per million tokens read and written; raise ConfigError."""
    if text == "free":
        return "free"
    read, _, written = text.partition(",")
    try:
        return Price(input=float(read), output=float(written))
    except ValueError:
        raise ConfigError(
            f"--price must be `free` or two numbers such as 0.15,0.6, it is {text!r}."
        ) from None


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
