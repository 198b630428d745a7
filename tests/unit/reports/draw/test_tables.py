"""Tables: rectangular, read back from CSV, and nothing in them is markup."""

import csv
import io

import pytest
import rich.console

from trimtab.reports.draw.tables import Table
from trimtab.reports.draw.values import Value


def test_csv_reads_back():
    rows = (("a, b", 1, Value(0.5, 0.4, 0.6, "rate")), ('"', None, Value(None)))
    table = Table("t", "T", ("x", "y", "z"), rows)
    read = list(csv.reader(io.StringIO(table.to_csv())))
    assert tuple(read[0]) == table.columns
    assert [tuple(row) for row in read[1:]] == table.texts


def test_a_row_of_another_length_is_refused():
    with pytest.raises(ValueError, match="'t' has 2 columns and a row of 1 cells"):
        Table("t", "T", ("x", "y"), (("a",),))


def test_columns_can_be_left_out():
    table = Table("t", "T", ("x", "y", "z"), (("a", 1, 2),), "note", "folded")
    assert table.keep([0, 2]) == Table("t", "T", ("x", "z"), (("a", 2),), "note", "folded")


def test_the_name_of_a_hub_model_makes_one_file():
    assert Table("org/model_effects", "T", (), ()).stem == "org_model_effects"


def test_labels_are_never_markup():
    table = Table("t", "a [red]title", ("condition", "n"), (("[bold]x[/bold] | y", "1"),), "[/]")
    console = rich.console.Console(width=80, record=True, file=io.StringIO())
    console.print(table.to_rich())
    text = console.export_text()
    assert "[bold]x[/bold] | y" in text and "a [red]title" in text and "[/]" in text
    assert "[bold]x[/bold] \\| y" in table.to_markdown()
