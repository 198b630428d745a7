"""Tables: what is significant is starred, what is missing is a dash, and nothing is markup."""

import csv
import io

import pytest
import rich.console
from trimtab.reports.page.summary import summarise

from trimtab.reports.draw.format import DASH, MINUS, number, p_value, with_interval
from trimtab.reports.draw.tables import (
    Table,
    all_tables,
    condition_table,
    damage_table,
    numbers_table,
    verdict_table,
)

RATE = {"kind": "binary", "id": "truth", "unit": ""}


@pytest.fixture(scope="module")
def gappy(build):
    return summarise(build(no_completions=("caa -0.3",)))


@pytest.mark.parametrize(
    ("value", "percent", "text"),
    [(62.46, True, "62.5"), (-0.04, True, "0.0"), (None, True, DASH),
     (-0.0591, False, f"{MINUS}0.059"), (0.4567, False, "0.46"), (0.0, False, "0.000"),
     (123.456, False, "123.5"), (99_949.0, False, "99949.0"), (510_054_361_400.0, False, "5.1e11"),
     (-3e5, False, f"{MINUS}3.0e5")],
)  # fmt: skip
def test_numbers_are_short_and_a_missing_one_is_a_dash(value, percent, text):
    assert number(value, percent=percent) == text


def test_intervals_and_signs():
    assert with_interval(0.625, [0.551, 0.693], RATE) == "62.5 [55.1, 69.3]"
    assert with_interval(0.042, [-0.01, 0.094], RATE, sign=True) == f"+4.2 [{MINUS}1.0, 9.4]"
    assert with_interval(None, None, RATE) == DASH
    assert p_value(0.00004) == "<0.001" and p_value(None) == DASH


def test_a_star_means_holm(summary):
    table = condition_table(summary, "options")
    header = table.columns.index("mc2 %") + 1
    for row in table.rows:
        found = summary["measures"]["options"]["conditions"][row[0]]["metrics"]["mc2"]
        against = found.get("vs_baseline")
        holm = against and against["p_holm"]
        assert row[header].endswith("*") == (holm is not None and holm < 0.05)
    assert any(row[header].endswith("*") for row in table.rows)


def test_a_condition_without_completions_is_a_row_of_dashes(gappy):
    row = next(r for r in condition_table(gappy, "generation").rows if r[0] == "caa -0.3")
    assert row[1] == "0/30"
    assert set(row[2:]) == {DASH, ""}
    damage = damage_table(gappy)
    cells = dict(
        zip(damage.columns, next(r for r in damage.rows if r[0] == "caa -0.3"), strict=True)
    )
    assert cells["perplexity ratio"] == cells["repetition %"] == DASH
    assert cells["missing"] == "150/150" and cells["unscored"] == "100.0 %"


def test_the_joint_metric_leads_and_probabilities_stay_out(summary):
    columns = condition_table(summary, "generation").columns
    assert columns[2] == "truth·info %" and "truth_p %" not in columns


def test_verdicts_show_what_could_have_been_found(summary):
    table = verdict_table(summary)
    index = table.columns.index("detectable")
    row = next(r for r in table.rows if r[0] == "caa +0.3" and r[2] == "mc1 %")
    assert float(row[index]) > 0


def test_csv_reads_back(gappy):
    for table in (*all_tables(gappy), numbers_table(gappy)):
        rows = list(csv.reader(io.StringIO(table.to_csv())))
        assert tuple(rows[0]) == table.columns
        assert [tuple(row) for row in rows[1:]] == list(table.rows)


def test_labels_are_never_markup():
    table = Table("t", "a [red]title", ("condition", "n"), (("[bold]x[/bold] | y", "1"),), "[/]")
    console = rich.console.Console(width=80, record=True, file=io.StringIO())
    console.print(table.to_rich())
    text = console.export_text()
    assert "[bold]x[/bold] | y" in text and "a [red]title" in text and "[/]" in text
    assert "[bold]x[/bold] \\| y" in table.to_markdown()
