"""What a plan will be able to find, in lines."""

from __future__ import annotations

from collections.abc import Sequence

from trimtab.core.counted import counted
from trimtab.core.plan import Plan
from trimtab.reports.data.expected import Expected, expected
from trimtab.reports.page.report import chosen_sections
from trimtab.reports.sections.base import SECTIONS
from trimtab.runs.plan.planner import PlannedRun


def power_lines(planned: PlannedRun) -> list[str]:
    """Return what each measure can find, those that can find the same together."""
    found = expected(planned.plan, planned.data.samples, _families(planned.plan))
    lines = []
    fitted = _fitted(planned)
    alike: dict[str, list[Expected]] = {}
    for item in sorted(found, key=_size):
        alike.setdefault(_effect(item, fitted if item.split == "test" else ""), []).append(item)
    lines += [f"power of {_names(items)}: {said}" for said, items in alike.items()]
    drawn: dict[str, list[Expected]] = {}
    for item in sorted(found, key=lambda each: each.directions or 0):
        if item.directions:
            drawn.setdefault(_randoms(item), []).append(item)
    return lines + [f"controls of {_names(items)}: {said}" for said, items in drawn.items()]


def _families(plan: Plan) -> dict[tuple[str, str], int]:
    """Return the differences that sections of the report will test, by section and measure."""
    return {
        (component.name, measure): tests
        for component in chosen_sections(plan)
        for measure, tests in SECTIONS.build(component.name, component.config)
        .families(plan)
        .items()
    }


def _size(item: Expected) -> tuple[int, int, int]:
    return item.questions, item.clusters, item.tests


def _names(items: Sequence[Expected]) -> str:
    return ", ".join(
        f"{item.measure} ({item.section})" if item.section else item.measure for item in items
    )


def _fitted(planned: PlannedRun) -> str:
    """Return how many questions vectors are made and chosen from: ``12 fit / 6 select / ``."""
    counts = {split: _questions(planned.plan, planned, split) for split in ("fit", "select")}
    return "".join(f"{count} {split} / " for split, count in counts.items() if count)


def _questions(plan: Plan, planned: PlannedRun, split: str) -> int:
    refs = [ref for fit in plan.fits for ref in fit.data.values() if ref.split == split]
    asked = [
        {pair.question_id for pair in planned.data.pairs[ref.key]}
        for ref in refs
        if ref.kind == "pairs"
    ]
    return max(map(len, asked), default=0)


def _effect(one: Expected, fitted: str) -> str:
    """Return what is said of a measure, behind its name."""
    text = (
        f"{fitted}{counted(one.questions, f'{one.split} question')}, "
        f"{counted(one.clusters, 'cluster')}, Holm over {counted(one.tests, 'test')}: "
    )
    take = "" if one.needed is None else "; take {} in {} clusters".format(*one.needed)
    if one.rate is None:
        few = counted(one.allowed, "test") if one.allowed else "none"
        return f"{text}no effect can be established{take}, or fewer tests (these allow {few})"
    number = ""
    if one.deviations is not None:
        number = (
            f", or a number that moves by {one.deviations:.2f} standard deviations of a question's "
            f"change or more{', where random vectors do nothing' * bool(one.directions)}"
        )
    return (
        f"{text}found 4 times in 5 is a rate that moves by {100 * one.rate:.0f} points or more "
        f"(where no answer changes the other way){number}{take}"
    )


def _randoms(one: Expected) -> str:
    directions = counted(one.directions or 0, "random direction")
    if one.times is None:
        return (
            f"{directions} of each length "
            f"{'is' if one.directions == 1 else 'are'} too few to call an effect more than theirs; "
            "take 4 or more (random_draws)"
        )
    return (
        f"{directions} of each length; an effect counts if it goes "
        f"{one.times:.1f} times as far as they do on average, and farther than each"
    )
