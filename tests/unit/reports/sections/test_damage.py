"""Damage: missing numbers are dashes, and a column without damage is left out of a terminal."""

from trimtab.reports.draw.format import DASH


def test_a_condition_without_completions_has_dashes_and_counts(show, build):
    table = show("damage", build(no_completions=("caa -0.3",))).tables()["damage"]
    row = next(r for r in table.texts if r[0] == "caa -0.3")
    cells = dict(zip(table.columns, row, strict=True))
    assert cells["perplexity ratio"] == cells["repetition %"] == DASH
    assert cells["missing"] == "150/150" and cells["unscored"] == "100.0 %"


def test_a_terminal_shows_no_column_that_is_zero_throughout(show, data, build):
    full = show("damage", data)
    (compact,) = full.section.headline(full.view)
    whole = full.tables()["damage"]
    gone = {
        column
        for index, column in enumerate(whole.columns)
        if index and {row[index].split(" [")[0] for row in whole.texts} <= {"0", "0.0", "0.000"}
    }
    assert gone and gone == set(whole.columns) - set(compact.columns)
    assert "perplexity ratio" in compact.columns
    assert not any("[" in cell for row in compact.texts for cell in row)


def test_what_became_of_completions_is_counted_over_all_measures(show, build):
    content = show("damage", build(no_completions=("caa -0.3",))).content
    assert content.completions["caa -0.3"].missing == 150
    assert content.completions["baseline"].missing == 0
