"""The table of behaviours, their cards, and what was found on all of them."""

from __future__ import annotations

from dataclasses import replace

from trimtab.core.counted import counted
from trimtab.reports.data.numbers import Comparison
from trimtab.reports.data.statistics import detectable
from trimtab.reports.draw.format import DASH, strength
from trimtab.reports.draw.tables import Table
from trimtab.reports.draw.values import Cell, Value, changed, measured, write_cell
from trimtab.reports.sections.base import Card
from trimtab.reports.sections.behaviours.content import (
    Behaviour,
    BehavioursContent,
    StrengthEffect,
)
from trimtab.reports.sections.effects.words import power_among

_UNSEEN = ("null", "not established")
_NULLS = (*_UNSEEN, "as random", "no data")


def behaviour_table(content: BehavioursContent, tests: int, *, compact: bool = False) -> Table:
    """Return a row per behaviour with its effects and side effects.

    Args:
        content: The behaviours.
        tests: How many tests are corrected together.
        compact: Leave out the interval of the baseline, for a terminal.
    """
    sizes, sides = content.strengths, content.sides
    columns = ["behaviour", "n", "baseline %", *(f"Δ at {strength(size)}" for size in sizes)]
    columns += ["effect"]
    columns += [f"{side}, Δ at {strength(size)}" for side in sides for size in sizes]
    columns += ["side effect"] if sides else []
    note = (
        "Baseline: mean probability of the letter whose answer shows the behaviour, over both "
        "letters; each question in every order that was asked, averaged first. Δ: paired "
        "difference in points [95 % interval]. Effect: null where the interval contains 0, not "
        f"established where only Holm's correction over {counted(tests, 'test')} fails; * survives "
        "it; as random where it does, but random vectors of equal length go as far or may do so. "
        "Side effect: the probability of the right letter, null where the interval contains 0, "
        "uncorrected."
    )
    rows = tuple(_cells(content, row, compact=compact) for row in content.behaviours)
    return Table("behaviours", "Behaviours", tuple(columns), rows, note)


def _cells(content: BehavioursContent, row: Behaviour, *, compact: bool) -> tuple[Cell, ...]:
    sizes, sides = content.strengths, content.sides
    at = {effect.strength: effect for effect in row.strengths}
    beside = {(s.measure, size): s for size in at for s in at[size].side_effects}
    words = {size: at[size].verdict for size in sizes if size in at}
    side_words = [
        _joined({d: beside[side, d].verdict for d in sizes if (side, d) in beside})
        for side in sides
    ]
    return (
        *(row.measure, row.n),
        measured(row.mean, None if compact else row.interval, "rate", clusters=row.num_clusters),
        *(_change(at[size].effect) if size in at else DASH for size in sizes),
        _joined(words),
        *(
            _change(beside[side, size].effect) if (side, size) in beside else DASH
            for side in sides
            for size in sizes
        ),
        *([", ".join(dict.fromkeys(side_words))] if sides else []),
    )


def _change(effect: Comparison | None) -> Cell:
    """Return a difference in points."""
    return changed(effect, "rate") or DASH


def _joined(words: dict[float, str]) -> str:
    """Return the verdicts by strength; one word if they agree."""
    if len(set(words.values())) == 1:
        return next(iter(words.values()))
    return ", ".join(f"{strength(size)} {word}" for size, word in words.items()) or DASH


def behaviour_finding(content: BehavioursContent, tests: int) -> str:
    """Return what was found on all behaviours in one or two sentences."""
    rows = content.behaviours
    parts = _changes(content)
    words = [effect.verdict for effect in _effects(content)]
    rest = sum(word in _NULLS for word in words)
    power = power_among(_unestablished(content), "rate", tests)
    shared = sum(word == "as random" for word in words)
    family = counted(tests, "test")
    beside = f" {shared} differ from the baseline, but not beyond random vectors." * bool(shared)
    effects = (
        f"Probability of the matching letter (points), {counted(len(rows), 'behaviour')}: "
        f"{'; '.join(parts)}; "
        f"{rest} of {counted(len(words), 'effect')} null or not established (Holm, {family}"
        f"{power * bool(rest)})."
        if parts
        else "No effect on the matching letter was established in any of "
        f"{counted(len(rows), 'behaviour')} (Holm, {family}{power})."
    ) + beside
    if not content.sides:
        return effects
    sides, hurt = ", ".join(content.sides), _with_side_effects(content)
    if not hurt:
        # a side effect is told by its own interval: its test stands alone
        beside_them = [_alone(side.effect) for x in _effects(content) for side in x.side_effects]
        could = power_among(beside_them, "rate", 1)
        return f"{effects} No side effect on {sides} was found (uncorrected{could})."
    return f"{effects} {sides} changed under {', '.join(hurt)} (uncorrected)."


def _effects(content: BehavioursContent) -> list[StrengthEffect]:
    return [effect for row in content.behaviours for effect in row.strengths]


def _unestablished(content: BehavioursContent) -> list[Comparison]:
    return [x.effect for x in _effects(content) if x.verdict in _UNSEEN and x.effect is not None]


def _alone(comparison: Comparison) -> Comparison:
    """Return a comparison with what it can find as the only test."""
    return comparison.model_copy(update={"mde": detectable(comparison)})


def _at(content: BehavioursContent, size: float) -> list[tuple[str, StrengthEffect]]:
    return [
        (row.measure, effect)
        for row in content.behaviours
        for effect in row.strengths
        if effect.strength == size
    ]


def _changes(content: BehavioursContent) -> list[str]:
    parts = []
    for size in content.strengths:
        for word in ("higher", "lower"):
            names = [
                f"{name} ({_plain(effect.effect)})"
                for name, effect in _at(content, size)
                if effect.verdict == word
            ]
            if names:
                parts.append(f"at {strength(size)} {word} for {', '.join(names)}")
    return parts


def _plain(effect: Comparison | None) -> str:
    """Return a difference without its interval and its star."""
    bare = None if effect is None else effect.model_copy(update={"interval": None})
    cell = _change(bare)
    return write_cell(replace(cell, significant=False) if isinstance(cell, Value) else cell).text


def _with_side_effects(content: BehavioursContent) -> list[str]:
    return [
        effect.condition
        for size in content.strengths
        for _, effect in _at(content, size)
        if any(side.verdict not in ("null", "no data") for side in effect.side_effects)
    ]


def behaviour_cards(content: BehavioursContent) -> list[Card]:
    """Return each behaviour at its largest strength."""
    return [
        Card(
            f"{row.measure} {strength(last.strength)}",
            f"Δ {write_cell(_change(last.effect)).text}",
            last.verdict,
        )
        for row in content.behaviours
        if row.strengths
        for last in [row.strengths[-1]]
    ]
