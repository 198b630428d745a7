"""Behaviours side by side: a null is called null, and side effects stand beside effects."""

import csv

import pytest

from trimtab.reports.data.numbers import (
    Comparison,
    Condition,
    ConditionNumbers,
    Counts,
    Family,
    Measure,
    MetricInfo,
    MetricNumbers,
    Numbers,
)
from trimtab.reports.sections.behaviours.content import read_behaviours
from trimtab.reports.sections.behaviours.figures import behaviour_figure
from trimtab.reports.sections.behaviours.tables import (
    behaviour_cards,
    behaviour_finding,
    behaviour_table,
)

PLAIN = str.maketrans({"\N{MINUS SIGN}": "-", "\N{EN DASH}": "."})
NAMES = ("kind", "brave", "calm")
COUNTS = Counts(
    planned=50, present=50, missing=0, errors=0, truncated=0, error_rate=0, truncated_rate=0
)


def effect(difference, low, high, p=None):
    return Comparison(
        n=50, num_clusters=50, difference=difference, interval=None if low is None else (low, high),
        p=p, p_holm=p, test="sign flips", wins=0, losses=0, ties=0, mde=0.07,
    )  # fmt: skip


def numbers(found):
    return MetricNumbers(
        n_planned=50, n=50, n_unscored=0, unscored_rate=0, units=50, mean=0.6,
        interval=(0.5, 0.7), method="bootstrap", vs_baseline=found,
    )  # fmt: skip


def measure(name, metric, role, entries):
    return Measure(
        measure=name, task="caa_ab", split="test", output="options", protocols=(), samples=50,
        units=50, clusters=50,
        metrics=(MetricInfo(id=metric, name=metric, kind="fraction", role=role),),
        conditions={
            label: ConditionNumbers(counts=COUNTS, metrics={metric: numbers(found)})
            for label, found in entries.items()
        },
    )  # fmt: skip


def condition(label, role, group, **coordinates):
    return Condition(
        condition=label, role=role, group=group, intervention="caa", coordinates=coordinates
    )


@pytest.fixture
def run():
    """Three behaviours at -1 and +1: one works, one fails Holm's correction, one does nothing."""
    found = {
        "kind": (effect(-0.2, -0.3, -0.1, 0.001), effect(0.21, 0.1, 0.3, 0.01)),
        "brave": (effect(-0.01, -0.05, 0.03, 0.9), effect(0.05, 0.01, 0.09, 0.2)),
        "calm": (effect(0.0, -0.02, 0.02, 1.0), effect(0.0, None, None, 1.0)),
    }
    side = {"kind -1": effect(-0.06, -0.1, -0.02), "kind +1": effect(0.0, -0.02, 0.02)}
    conditions = [condition("baseline", "baseline", "baseline")]
    measures = {}
    for name in NAMES:
        labels = [f"{name} -1", f"{name} +1"]
        for label, strength in zip(labels, (-1.0, 1.0), strict=True):
            conditions.append(condition(label, "treatment", "treatment", strength=strength))
        conditions.append(condition(f"random for {name}", "control", "random", strength=1.0))
        entries = {"baseline": None, f"random for {name}": effect(0.01, -0.01, 0.03)}
        entries |= dict(zip(labels, found[name], strict=True))
        measures[name] = measure(name, "matching", "effect", entries)
    measures["mmlu"] = measure("mmlu", "right_letter", "damage", {"baseline": None, **side})
    family = Family(tests=6, method="holm")
    families = dict.fromkeys(("baseline", "prompt", "random"), family)
    return Numbers(conditions=tuple(conditions), measures=measures, families=families)


def without(run, *names):
    measures = {name: m for name, m in run.measures.items() if name not in names}
    return run.model_copy(update={"measures": measures})


def test_a_row_holds_both_strengths_the_verdict_and_the_side_effect(run) -> None:
    content = read_behaviours(run, "baseline")
    table = behaviour_table(content, 6)
    rows = {row[0]: tuple(x.translate(PLAIN) for x in row[1:]) for row in table.texts}
    assert rows["kind"] == (
        "50", "60.0 [50.0, 70.0]", "-20.0 [-30.0, -10.0]*", "+21.0 [10.0, 30.0]*",
        "-1 lower, +1 higher", "-6.0 [-10.0, -2.0]", "0.0 [-2.0, 2.0]", "-1 lower, +1 null",
    )  # fmt: skip
    assert rows["brave"][4] == "-1 null, +1 not established"
    assert rows["calm"][2] == "0.0 [-2.0, 2.0]"
    assert rows["calm"][3:] == ("0.0", "null", ".", ".", ".")
    assert behaviour_table(content, 6, compact=True).texts[0][2] == "60.0"


def test_the_finding_claims_what_survives_correction_and_counts_the_rest(run) -> None:
    content = read_behaviours(run, "baseline")
    assert behaviour_finding(content, 6).translate(PLAIN) == (
        "Probability of the matching letter (points), 3 behaviours: at -1 lower for kind (-20.0); "
        "at +1 higher for kind (+21.0); 4 of 6 effects null or not established (Holm, 6 tests; "
        "this run would miss a true difference below 7.0 points more than one time in five). "
        "mmlu changed under kind -1 (uncorrected)."
    )
    content = read_behaviours(without(run, "kind", "mmlu"), "baseline")
    assert behaviour_finding(content, 6).translate(PLAIN) == (
        "No effect on the matching letter was established in any of 2 behaviours (Holm, 6 tests; "
        "this run would miss a true difference below 7.0 points more than one time in five)."
    )


def test_that_nothing_was_found_is_said_with_what_could_have_been(run) -> None:
    few = {"num_clusters": 4, "mde": None}
    for one in run.measures.values():
        for found in one.conditions.values():
            for numbers in found.metrics.values():
                if numbers.vs_baseline is not None:
                    change = numbers.vs_baseline.model_copy(update={**few, "p_holm": 1.0})
                    change = change.model_copy(update={"interval": (-0.1, 0.1)})
                    object.__setattr__(numbers, "vs_baseline", change)
    content = read_behaviours(run, "baseline")
    assert behaviour_finding(content, 6) == (
        "No effect on the matching letter was established in any of 3 behaviours (Holm, 6 tests; "
        "with 4 clusters and 6 tests no difference of any size could be established). No side "
        "effect on mmlu was found (uncorrected; with 4 clusters and 1 test no difference of any "
        "size could be established)."
    )


def test_other_runs_have_no_such_section(run) -> None:
    assert read_behaviours(without(run, *NAMES), "baseline") is None


def test_the_figure_shows_every_difference_in_points(run, tmp_path) -> None:
    content = read_behaviours(run, "baseline")
    (figure,) = behaviour_figure(content, run)
    files = {path.name for path in figure.write(tmp_path)}
    assert files == {"behaviours.png", "behaviours.svg", "behaviours.csv"}
    with (tmp_path / "behaviours.csv").open() as file:
        points = {(p["panel"][:7], p["condition"]): p for p in csv.DictReader(file)}
    assert len(points) == 6 + 3 + 2
    kind = points["Δ proba", "kind +1"]
    assert [float(kind[k]) for k in ("y", "low", "high")] == pytest.approx([21, 10, 30])
    assert points["Δ proba", "calm +1"]["low"] == ""
    assert float(points["Δ right", "kind -1"]["y"]) == pytest.approx(-6)
    assert behaviour_cards(content)[0] == ("kind +1", "Δ +21.0 [10.0, 30.0]*", "higher")
