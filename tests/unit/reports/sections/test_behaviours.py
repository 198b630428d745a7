"""Behaviours side by side: a null is called null, and side effects stand beside effects."""

import csv

import pytest
from trimtab.reports.sections.behaviours.figure import behaviour_figure
from trimtab.reports.sections.behaviours.table import (
    behaviour_cards,
    behaviour_table,
    behaviours_finding,
    summarise_behaviours,
)

PLAIN = str.maketrans({"\N{MINUS SIGN}": "-", "\N{EN DASH}": "."})
NAMES = ("kind", "brave", "calm")


def metric(name, role):
    return {"id": name, "name": name, "kind": "fraction", "role": role}


def effect(difference, low, high, p=None):
    interval = None if low is None else [low, high]
    return {"difference": difference, "interval": interval, "p_holm": p, "n": 50}


def block(name, role, entries):
    return {
        "units": 50,
        "metrics": [metric(name, role)],
        "conditions": {
            label: {"metrics": {name: {"mean": 0.6, "interval": [0.5, 0.7], "vs_baseline": found}}}
            for label, found in entries.items()
        },
    }


@pytest.fixture
def summary():
    """Three behaviours at -1 and +1: one works, one fails Holm's correction, one does nothing."""
    found = {
        "kind": (effect(-0.2, -0.3, -0.1, 0.001), effect(0.21, 0.1, 0.3, 0.01)),
        "brave": (effect(-0.01, -0.05, 0.03, 0.9), effect(0.05, 0.01, 0.09, 0.2)),
        "calm": (effect(0.0, -0.02, 0.02, 1.0), effect(0.0, None, None, 1.0)),
    }
    side = {"kind -1": effect(-0.06, -0.1, -0.02), "kind +1": effect(0.0, -0.02, 0.02)}
    conditions = [{"condition": "baseline", "group": "baseline", "coordinates": {}}]
    measures = {}
    for name in NAMES:
        labels = [f"{name} -1", f"{name} +1"]
        places = zip(labels, (-1.0, 1.0), strict=True)
        conditions += [
            {"condition": label, "group": "treatment", "coordinates": {"dose": dose}}
            for label, dose in places
        ]
        random = {"condition": f"random for {name}", "group": "random", "coordinates": {"dose": 1}}
        conditions.append(random)
        entries = {"baseline": None, f"random for {name}": effect(0.01, -0.01, 0.03)}
        entries |= dict(zip(labels, found[name], strict=True))
        measures[name] = block("matching", "effect", entries)
    measures["mmlu"] = block("right_letter", "damage", {"baseline": None, **side})
    summary = {
        "baseline": "baseline",
        "conditions": conditions,
        "measures": measures,
        "families": {"baseline": {"tests": 6}},
    }
    summary["behaviours"] = summarise_behaviours(summary)
    return summary


def test_a_row_holds_both_strengths_the_verdict_and_the_side_effect(summary) -> None:
    table = behaviour_table(summary)
    rows = {row[0]: tuple(x.translate(PLAIN) for x in row[1:]) for row in table.rows}
    assert rows["kind"] == (
        "50", "60.0 [50.0, 70.0]", "-20.0 [-30.0, -10.0]*", "+21.0 [10.0, 30.0]*",
        "-1 lower, +1 higher", "-6.0 [-10.0, -2.0]", "0.0 [-2.0, 2.0]", "-1 lower, +1 null",
    )  # fmt: skip
    assert rows["brave"][4] == "-1 null, +1 not established"
    assert rows["calm"][2] == "0.0 [-2.0, 2.0]"
    assert rows["calm"][3:] == ("0.000", "null", ".", ".", ".")
    assert behaviour_table(summary, compact=True).rows[0][2] == "60.0"


def test_the_finding_claims_what_survives_correction_and_counts_the_rest(summary) -> None:
    assert behaviours_finding(summary).translate(PLAIN) == (
        "Probability of the matching letter (points), 3 behaviours: at -1 lower for kind (-20.0); "
        "at +1 higher for kind (+21.0); 4 of 6 effects null or not established (Holm, 6 tests). "
        "mmlu changed under kind -1 (uncorrected)."
    )
    del summary["measures"]["kind"], summary["measures"]["mmlu"]
    summary["behaviours"] = summarise_behaviours(summary)
    assert behaviours_finding(summary).translate(PLAIN) == (
        "No effect on the matching letter was established in any of 2 behaviours (Holm, 6 tests)."
    )


def test_other_runs_have_no_such_table(summary) -> None:
    for name in NAMES:
        del summary["measures"][name]
    summary["behaviours"] = summarise_behaviours(summary)
    assert summary["behaviours"] == [] and behaviour_table(summary) is None
    assert behaviour_cards(summary) == []


def test_the_figure_shows_every_difference_in_points(summary, tmp_path) -> None:
    files = {path.name for path in behaviour_figure(summary, tmp_path)}
    assert files == {"behaviours.png", "behaviours.svg", "behaviours.csv"}
    with (tmp_path / "behaviours.csv").open() as file:
        points = {(p["panel"][:7], p["condition"]): p for p in csv.DictReader(file)}
    assert len(points) == 6 + 3 + 2
    kind = points["Δ proba", "kind +1"]
    assert [float(kind[k]) for k in ("y", "low", "high")] == pytest.approx([21, 10, 30])
    assert points["Δ proba", "calm +1"]["low"] == ""
    assert float(points["Δ right", "kind -1"]["y"]) == pytest.approx(-6)
    assert behaviour_cards(summary)[0] == ("kind +1", "Δ +21.0 [10.0, 30.0]*", "higher")
