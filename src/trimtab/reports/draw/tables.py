"""Tables of values, and the forms they are written in: terminal, Markdown, CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from trimtab.reports.draw.values import Cell, Written, write_cell
from trimtab.text.escapes import csv_field, markdown

if TYPE_CHECKING:
    import rich.table

Display = Literal["open", "folded", "file"]


@dataclass(frozen=True)
class Table:
    """A titled table; the first column names the row.

    Attributes:
        name: File name without ending.
        title: Heading.
        columns: Column headings.
        rows: Cells, one tuple per row, each as long as ``columns``.
        note: What a reader must know to read it.
        display: Whether a page shows it, shows it only when asked for, or leaves it to its file.
    """

    name: str
    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str = ""
    display: Display = "open"

    def __post_init__(self) -> None:
        """Raise ValueError for a row that is not as long as the header."""
        for row in self.rows:
            if len(row) != len(self.columns):
                raise ValueError(
                    f"The table {self.name!r} has {len(self.columns)} columns and a row of "
                    f"{len(row)} cells: {row}."
                )

    @property
    def written(self) -> list[list[Written]]:
        """The rows as they are read."""
        return [[write_cell(cell) for cell in row] for row in self.rows]

    @property
    def texts(self) -> list[tuple[str, ...]]:
        """The rows as plain text."""
        return [tuple(cell.text for cell in row) for row in self.written]

    @property
    def stem(self) -> str:
        """The file's name; a measure may be named after a hub id, which has a slash."""
        return "".join(c if c.isalnum() or c in "-_." else "_" for c in self.name)

    def to_markdown(self) -> str:
        """Return the table as a Markdown table with its title and note."""
        lines = [self.columns, ("---", *("---:" for _ in self.columns[1:])), *self.texts]
        body = "\n".join(
            "| " + " | ".join(markdown(cell).replace("|", "\\|") for cell in line) + " |"
            for line in lines
        )
        note = f"\n{markdown(self.note)}\n" if self.note else ""
        return f"### {markdown(self.title)}\n\n{body}\n{note}"

    def to_csv(self) -> str:
        """Return the table as CSV, numbers as they are read."""
        return to_csv(self.columns, self.texts)

    def to_rich(self) -> rich.table.Table:
        """Return the table for a terminal; labels are text, never markup."""
        import rich.table
        import rich.text

        table = rich.table.Table(
            title=rich.text.Text(self.title, "bold"),
            caption=rich.text.Text(self.note) if self.note else None,
            title_justify="left",
            caption_justify="left",
        )
        for index, column in enumerate(self.columns):
            table.add_column(rich.text.Text(column), justify="right" if index else "left")
        for row in self.texts:
            table.add_row(*(rich.text.Text(cell) for cell in row))
        return table

    def keep(self, columns: Iterable[int]) -> Table:
        """Return the table with these columns alone."""
        kept = list(columns)
        return Table(
            self.name,
            self.title,
            tuple(self.columns[i] for i in kept),
            tuple(tuple(row[i] for i in kept) for row in self.rows),
            self.note,
            self.display,
        )


def to_csv(columns: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """Return CSV with a header row and Unix line ends; None is an empty cell.

    A text that a spreadsheet would take for a formula begins with an apostrophe.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([csv_field(column) for column in columns])
    for row in rows:
        writer.writerow([csv_field(cell) if isinstance(cell, str) else cell for cell in row])
    return out.getvalue()
