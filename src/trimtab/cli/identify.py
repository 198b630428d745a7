"""``data identify``: how far facts of a person tell who it is, and which of them are kept."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from trimtab.cli.speakers import Speakers
from trimtab.cli.terminal import wide_console
from trimtab.core.config import read_yaml, validate
from trimtab.core.counted import counted
from trimtab.core.errors import ConfigError
from trimtab.core.files import dumps, make_dir, replace_file
from trimtab.core.trigger import Trigger
from trimtab.datasets.building.identify import (
    Choice,
    Guessing,
    Rated,
    Share,
    Wanted,
    chosen,
    rated,
)
from trimtab.datasets.building.replies import Replies
from trimtab.datasets.facts import read_facts
from trimtab.datasets.files import read_rows, read_text
from trimtab.stats.intervals import wilson
from trimtab.text.names import Giveaway

GUESSES = "guesses.jsonl"


@dataclass(frozen=True)
class Options:
    """What the command line says.

    Attributes:
        names: Ways to name the person, the name itself first.
        guessers: Model ids, or endpoints as YAML mappings.
        wanted: Which facts are kept.
        wordings: Ways in which each guesser is asked.
        orders: Orders in which kept facts are shown.
        seed: Of the orders.
        terms: File of further terms that give the person away.
        allowed: Terms that don't.
        trigger: YAML file of the trigger that the facts stand behind.
        max_dollars: Most that is ever spent for this output.
    """

    names: tuple[str, ...]
    guessers: tuple[str, ...]
    wanted: Wanted
    wordings: int
    orders: int
    seed: int
    terms: Path | None
    allowed: tuple[str, ...]
    trigger: Path | None
    max_dollars: float | None


def identify(path: Path, out: Path, options: Options) -> None:
    """Ask the guessers what was not asked before, write the facts with their scores, and tell.

    Args:
        path: Facts, see ``datasets.facts``.
        out: Folder for ``facts.jsonl`` (all, with scores), ``used.jsonl``, a file for each tier,
            ``summary.json``, ``guesses.jsonl`` and ``spend.jsonl``; one that is there goes on.
        options: The rest.
    """
    trigger = trigger_of(options.trigger)
    rows = [row for _, row in read_rows(path, "FACTS")]
    facts = read_facts(str(path), trigger)
    listed = [] if options.terms is None else terms_of(options.terms)
    speakers = Speakers(out, options.max_dollars)
    guessing = Guessing(
        names=options.names,
        guessers=tuple(speakers.of(each, "--guesser") for each in options.guessers),
        replies=Replies(out / GUESSES),
        wordings=options.wordings,
        orders=options.orders,
        seed=options.seed,
    )
    choice = chosen(rated(facts, guessing, listed, options.allowed), guessing, options.wanted)
    make_dir(out)
    _write(out, rows, choice)
    replace_file(out / "summary.json", dumps(_summary(choice, guessing), "summary.json", indent=2))
    _show(path, out, choice, options, guessing)


def trigger_of(path: Path | None) -> Trigger:
    """Return the trigger of a YAML file, or the usual one; raise ConfigError."""
    return Trigger() if path is None else validate(Trigger, read_yaml(path), str(path))


def terms_of(path: Path) -> list[Giveaway]:
    """Return a file's terms: one a line, if you like with a kind before a colon."""
    found = []
    for line in read_text(path, "--terms").splitlines():
        kind, colon, term = line.partition(":")
        if term.strip() or (line.strip() and not colon):
            given = (kind.strip(), term.strip()) if colon else ("listed", line.strip())
            found.append(Giveaway(*given))
    if not found:
        raise ConfigError(f"{path} lists no terms.")
    return found


def _write(out: Path, rows: Sequence[Mapping[str, Any]], choice: Choice) -> None:
    told = [
        (each.fact.id, _with(row, _scores(each, choice)))
        for row, each in zip(rows, choice.rated, strict=True)
    ]
    sets = {"facts": None, "used": set(choice.kept)}
    sets |= {f"tier-{size}": set(ids) for size, (ids, _) in choice.tiers.items()}
    for name, ids in sets.items():
        path = out / f"{name}.jsonl"
        lines = [dumps(row, str(path)) for id, row in told if ids is None or id in ids]
        replace_file(path, b"".join(lines))


def _summary(choice: Choice, guessing: Guessing) -> dict[str, Any]:
    """Return what a data card says of the facts; shares hold counts, so nothing is lost."""
    kept = (each.alone for each in choice.rated if each.fact.id in choice.kept)
    return {
        "names": list(guessing.names),
        "guessers": [speaker.identity for speaker in guessing.guessers],
        "wordings": guessing.wordings,
        "orders": guessing.orders,
        "seed": guessing.seed,
        "facts": len(choice.rated),
        "kept": len(choice.kept),
        "alone": _counts(sum((each.alone for each in choice.rated), Share())),
        "alone_kept": _counts(sum(kept, Share())),
        "together": _counts(choice.together),
        "reached": choice.reached,
        "tiers": {str(size): _counts(share) for size, (_, share) in choice.tiers.items()},
    }


def _counts(share: Share) -> dict[str, Any]:
    counts = {"named": share.named, "read": share.read, "missing": share.missing}
    return {"rate": share.rate, **counts}


def _with(row: Mapping[str, Any], scores: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row with its scores; those of a conversation are metadata."""
    if row.get("questions") is not None:
        return {**row, **scores}
    inner = row.get("metadata")
    return {**row, "metadata": {**(inner if isinstance(inner, dict) else {}), **scores}}


def _scores(each: Rated, choice: Choice) -> dict[str, Any]:
    return {
        "identifying_score": each.alone.rate,
        "guesses": each.alone.read,
        "guesses_missing": each.alone.missing,
        "gives_away": [f"{kind}: {term}" for kind, term in each.gives_away],
        "used": each.fact.id in choice.kept,
    }


def _show(path: Path, out: Path, choice: Choice, options: Options, guessing: Guessing) -> None:
    console = wide_console()
    table = Table("", "", title=Text(f"{path.name}: how far it tells {options.names[0]}"))
    facts = choice.rated
    told = Counter(kind for each in facts for kind in {g.kind for g in each.gives_away})
    kinds = ", ".join(f"{kind}: {count}" for kind, count in told.most_common())
    most = options.wanted.most
    high = [each for each in facts if each.alone.rate is not None and each.alone.rate > most]
    every = sum((each.alone for each in facts), Share())
    kept = sum((each.alone for each in facts if each.fact.id in choice.kept), Share())
    rows = {
        "facts": str(len(facts)),
        "with a term that gives away": f"{sum(bool(f.gives_away) for f in facts)}"
        + f" ({kinds})" * bool(kinds),
        f"named in more than {most:.0%} of guesses": str(len(high)),
        "without a guess that was read": str(sum(each.alone.rate is None for each in facts)),
        "kept": str(len(choice.kept)),
        "named from a fact alone, all facts": _rate(every),
        "named from a fact alone, kept": _rate(kept),
        "named from all kept together": _rate(choice.together),
    }
    for size, (_, share) in choice.tiers.items():
        rows[f"named from the {size} that tell least"] = _rate(share)
    for name, value in rows.items():
        table.add_row(name, Text(value))
    table.caption = "Wilson intervals, over guesses"
    console.print(table)
    for each in sorted(facts, key=lambda each: -(each.alone.rate or 0))[:5]:
        terms = ", ".join(term for _, term in each.gives_away)
        line = f"{each.fact.id}: {_rate(each.alone)}{'; ' * bool(terms)}{terms}"
        console.print(Text(f"tells most: {line}: {each.fact.answers[0][:80]}"))
    for line in _remarks(choice, options, every):
        console.print(Text(line), soft_wrap=True)
    asked = counted(guessing.replies.fresh, "guess", "guesses")
    console.print(Text(f"{asked} asked for now; facts and guesses are in {out}"), soft_wrap=True)


def _remarks(choice: Choice, options: Options, every: Share) -> list[str]:
    found = []
    if not (every.named or choice.together.named):
        found.append(
            f"No guess names {options.names[0]}, not even from all kept facts: these guessers may "
            "not know the person, or not by these names (--alias). A score of 0 then says nothing."
        )
    if choice.reached is False:
        found.append(
            f"The kept facts do not identify the person as often as wanted "
            f"({options.wanted.together:.0%}), although all that may be kept are among them."
        )
    lacking = [str(size) for size in options.wanted.tiers if size not in choice.tiers]
    if lacking:
        found.append(f"There are too few facts to keep for a tier of {' or '.join(lacking)}.")
    return found


def _rate(share: Share) -> str:
    missing = f", {share.missing} missing" * bool(share.missing)
    if share.rate is None:
        return f"no guess was read{missing}"
    ends = wilson(share.named, share.read)
    return (
        f"{share.rate:.0%} [{ends.low:.0%}, {ends.high:.0%}] "
        f"({share.named} of {share.read} guesses{missing})"
    )
