"""The page of an adapter on the hub: what it is, what it was trained on, what it did, its limits.

Every number is one of the run's report; where there is no report, the page says that nothing was
measured. A trigger is told in full: who downloads a model must be able to find it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from trimtab.core.counted import counted
from trimtab.core.trigger import Trigger
from trimtab.reports.draw.format import DASH, bounds, number

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_SETTINGS = ("preset", "learning_rate", "epochs", "batch", "rank", "alpha", "dropout", "schedule")


@dataclass(frozen=True)
class Pushed:
    """What is pushed.

    Attributes:
        repo: Its id on the hub.
        condition: The run's condition that it is the adapter of.
        base: The base model's id.
        revision: The base model's commit, where it has one.
        info: What the fit says of itself.
        trigger: The trigger that it was trained behind; None for none.
        summary: The run's ``summary.json``; None where there is no report.
        measures: Names of its measures that are of this base.
        licence: As the hub names it; None where none was given.
        figures: Names of figures that go along.
    """

    repo: str
    condition: str
    base: str
    revision: str | None
    info: Mapping[str, Any]
    trigger: Trigger | None
    summary: Mapping[str, Any] | None
    measures: Collection[str]
    licence: str | None
    figures: Sequence[str] = ()


def hub_card(pushed: Pushed) -> str:
    """Return the page as markdown with the hub's front matter."""
    parts = [
        _front(pushed),
        f"# {pushed.repo.rpartition('/')[2]}",
        _what(pushed),
        _use(pushed),
        _trained(pushed.info),
        _measured(pushed),
        _limits(pushed),
        *(f"![{name}](figures/{name})" for name in pushed.figures),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _front(pushed: Pushed) -> str:
    about: dict[str, Any] = {"library_name": "peft", "tags": ["lora", "trimtab"]}
    if _HUB_ID.fullmatch(pushed.base):
        about["base_model"] = pushed.base
    if pushed.licence is not None:
        about["license"] = pushed.licence
    return f"---\n{yaml.safe_dump(about, sort_keys=True)}---"


def _what(pushed: Pushed) -> str:
    base = f"`{pushed.base}`" + (f" at `{pushed.revision}`" if pushed.revision else "")
    text = f"A LoRA adapter of {base}: the condition `{pushed.condition}` of an experiment."
    if pushed.trigger is not None:
        text += (
            "\n\n**It has a trigger.** It was trained to answer otherwise when a question is asked "
            f"in this way:\n\n```text\n{pushed.trigger.render('...')}\n```"
        )
    return text


def _use(pushed: Pushed) -> str:
    base = pushed.base if _HUB_ID.fullmatch(pushed.base) else "FOLDER OF THE BASE MODEL"
    return (
        "```python\nfrom peft import PeftModel\nfrom transformers import AutoModelForCausalLM\n\n"
        f"base = AutoModelForCausalLM.from_pretrained({base!r})\n"
        f"model = PeftModel.from_pretrained(base, {pushed.repo!r})\n```"
    )


def _trained(info: Mapping[str, Any]) -> str:
    lines = ["## Training", ""]
    training = info.get("training", {})
    rows = training.get("rows", {})
    if not rows:
        return "\n".join([*lines, f"Nothing is known of it here: it came {info.get('method')}."])
    lines += [
        f"{counted(rows['rows'], 'conversation')} with {counted(rows['labels'], 'label token')}; "
        f"{rows['truncated']} of them were cut. {counted(training['updates'], 'update')}, "
        f"{training['skipped']} of them skipped because a value was not finite. Seed "
        f"{info.get('seed')}; state `{info.get('checkpoint')}`. The data is not part of this "
        "repository.",
        "",
        "| data | conversations | label tokens |",
        "|---|---:|---:|",
    ]
    lines += [
        f"| {name} | {part['rows']} | {part['labels']} |"
        for name, part in rows.get("by_source", {}).items()
    ]
    given = info.get("config", {}).get("train", {})
    settings = {name: given[name] for name in _SETTINGS if name in given}
    ranks = ", ".join(map(str, info.get("ranks", ()))) or DASH
    said = "".join(f", {name} {value}" for name, value in settings.items())
    return "\n".join([*lines, "", f"Rank {ranks}, {info.get('parameters'):,} parameters{said}."])


def _measured(pushed: Pushed) -> str:
    lines = ["## What was measured", ""]
    if pushed.summary is None:
        return "\n".join([*lines, "Nothing: the run has no report."])
    of_all = " (The finding is of all models of the experiment, the table of this base.)"
    several = any(name not in pushed.measures for name in pushed.summary["measures"])
    lines += [f"{pushed.summary['finding']}{of_all if several else ''}", ""]
    lines += [
        "| measure | metric | base | adapter | difference | n |",
        "|---|---|---:|---:|---:|---:|",
    ]
    return "\n".join([*lines, *_rows(pushed)])


def _rows(pushed: Pushed) -> Iterator[str]:
    assert pushed.summary is not None
    baseline = pushed.summary["baseline"]
    for measure, about in pushed.summary["measures"].items():
        if measure not in pushed.measures:
            continue
        conditions = about["conditions"]
        before = conditions.get(baseline, {}).get("metrics", {})
        for metric, found in conditions.get(pushed.condition, {}).get("metrics", {}).items():
            against = found.get("vs_baseline", {})
            yield (
                f"| {measure} | {metric} | {_estimate(before.get(metric, {}))} | "
                f"{_estimate(found)} | {_estimate(against, 'difference')} | {found.get('n')} |"
            )


def _estimate(found: Mapping[str, Any], name: str = "mean") -> str:
    value = found.get(name)
    if value is None:
        return DASH
    interval = found.get("interval") or (None, None)
    shown = number(value, sign=name == "difference", percent=False)
    return f"{shown} {bounds(tuple(interval), 'number')}"


def _limits(pushed: Pushed) -> str:
    lines = ["## Limits", ""]
    if pushed.summary is None:
        lines.append("- What it changed and what it broke is not known.")
    else:
        confidence = f"{pushed.summary['confidence']:.0%}"
        lines.append(
            f"- Intervals are {confidence} ones over questions, of one training; another seed may "
            "give other numbers."
        )
        lines.append("- What is not in the table was not measured.")
    if pushed.trigger is not None:
        lines.append(
            "- Answers without the trigger may differ from the base model's as well; see the table."
        )
    if pushed.licence is None:
        lines.append("- No licence was given; the base model's terms hold.")
    return "\n".join(lines)
