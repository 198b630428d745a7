"""Whether the search found a configuration, in plain words."""

from __future__ import annotations

from trimtab.core.counted import counted
from trimtab.reports.data.numbers import Comparison
from trimtab.reports.data.statistics import significant
from trimtab.reports.draw.format import p_equals, with_interval
from trimtab.reports.sections.effects.words import power_of
from trimtab.reports.sections.search.content import Confirmed, SearchContent
from trimtab.reports.sections.search.tables import form, told


def sentence(content: SearchContent) -> str:
    """Return what the search found; nothing is claimed that the test split doesn't carry."""
    counts = {
        state: sum(t.state == state for t in content.trials if t.number > 1)
        for state in ("complete", "pruned", "failed")
    }
    done = ", ".join(f"{count} {state}" for state, count in counts.items() if count)
    still = sum(t.unchanged for t in content.trials if t.number > 1)
    if still:
        done += f"; {still} changed no answer at all"
    winner = next((c for c in content.confirmed if c.number == content.winner), None)
    if winner is None:
        if content.confirmed:
            return f"No configuration could be confirmed ({done or 'no trial'})."
        return f"The search goes on ({done or 'no trial so far'})."
    trial = next(t for t in content.trials if t.number == winner.number)
    claim = f"On the problems it was chosen on it had {_change(trial.change, content)}"
    beaten = _beaten(content)
    confirm = f"on problems that no trial saw {_change(winner.change, content)}"
    won = f"won among {sum(counts.values())}{_tied(winner, content)}"
    subject = f"Trial {winner.number} ({told(trial)}) {won} ({done})."
    if winner.test_change is None:
        return f"{subject} {claim}; {confirm}.{beaten} The test split is not opened yet."
    if content.leak:
        return f"{subject} {_leak(trial.change, winner.test_change, content)}"
    return f"{subject} {_verdict(winner, content)} {claim}; {confirm}.{beaten}"


def _leak(leaky: Comparison | None, honest: Comparison, content: SearchContent) -> str:
    """Put the number that a leaky search tells beside the one that is left of it."""
    said = (
        "This search is leaky on purpose: its vectors were fitted on the problems by which the "
        f"winner was chosen. There {content.objective} changes by {_change(leaky, content)}, which "
        f"is what such a search reports; on {honest.n} test problems that took no part it changes "
        f"by {_change(honest, content)}."
    )
    if leaky is None:
        return said
    gap = leaky.difference - honest.difference
    size = with_interval(gap, None, form(content), sign=True)
    return f"{said} The gap between the two is {size}{_unit(content)}."


def _verdict(winner: Confirmed, content: SearchContent) -> str:
    """Return whether it helped, by the test split alone."""
    change = winner.test_change
    assert change is not None
    better = change.difference > 0 if content.high else change.difference < 0
    known = significant(change)
    verb = "helps" if known and better else "hurts" if known else "is not shown to help"
    place = f"on {change.n} test problems {content.objective} changes by"
    power = power_of(change, form(content), max(1, content.test_tests))
    tail = "" if known else f", which is no difference that this test can tell from none{power}"
    p = change.p_holm if change.p_holm is not None else change.p
    said = f"Steering {verb}: {place} {_change(change, content)} ({p_equals(p)}){tail}."
    prompt = next((c for c in content.confirmed if c.number == 1), None)
    if prompt is not None and prompt.test_change is not None:
        said += f" The prompt alone changes it by {_change(prompt.test_change, content)}."
    return said


def _tied(winner: Confirmed, content: SearchContent) -> str:
    """Say how many others did as well where the winner was chosen: a tie is no victory."""
    others = [c for c in content.confirmed if c.number > 1 and c.number != winner.number]
    alike = sum(c.confirm.mean == winner.confirm.mean for c in others)
    return f", with {counted(alike, 'other')} as good on confirm," if alike else ""


def _beaten(content: SearchContent) -> str:
    """Say so where nothing beats the baseline on the confirm problems."""
    known = [c for c in content.confirmed if c.number > 1 and _gains(c.change, content)]
    if known:
        return ""
    return " No configuration beats the baseline there."


def _gains(change: Comparison | None, content: SearchContent) -> bool:
    if change is None or not significant(change):
        return False
    return change.difference > 0 if content.high else change.difference < 0


def _change(change: Comparison | None, content: SearchContent) -> str:
    if change is None:
        return "no value"
    size = with_interval(change.difference, change.interval, form(content), sign=True)
    return f"{size}{_unit(content)}"


def _unit(content: SearchContent) -> str:
    return " points" * (form(content) == "rate")
