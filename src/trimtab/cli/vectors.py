"""``vectors``: files of steering vectors, and what a run's conditions add."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from trimtab.cli.phases import open_to_read
from trimtab.cli.terminal import wide_console
from trimtab.core.errors import ConfigError
from trimtab.core.lazy import lazy
from trimtab.runs.vectors import of_condition, steered
from trimtab.vectors.file import Vectors, read

if TYPE_CHECKING:
    from trimtab.vectors import formats, recognise
else:
    formats = lazy("trimtab.vectors.formats")
    recognise = lazy("trimtab.vectors.recognise")


def export(
    source: Path,
    form: str,
    out: Path,
    condition: str | None,
    num_layers: int | None,
    blocks: str | None,
    *,
    trusted: bool = False,
) -> None:
    """Write the vectors of a file, or what a run's condition adds, in a format.

    Args:
        source: A run directory, or a file of trimtab's own, whose vectors are taken as they are.
        form: The format.
        out: The file.
        condition: The run's condition.
        num_layers: What ``about["num_layers"]`` is to be.
        blocks: What ``about["blocks"]`` is to be.
        trusted: Whether the user trusts the run.

    Raises:
        ConfigError: There is no such format or condition, or ``out`` is there already.
        DataError: The source has no such vectors, or the format can't hold them.
    """
    found = formats.the_format(form)
    vectors = _source(source, condition, trusted)
    _require_free(out)
    said: dict[str, Any] = {"num_layers": num_layers, "blocks": blocks}
    given = {key: value for key, value in said.items() if value is not None}
    vectors = replace(vectors, about={**vectors.about, **given})
    formats.export(vectors, form, out)
    _say(f"{out}: {form}, {_blocks(vectors)}; {found.index}")
    positions = vectors.about.get("positions")
    if form != "native" and positions not in (None, ["all"]):
        _say(f"note: this run added it at {', '.join(positions)}; this format adds {found.adds}")


def bring_in(path: Path, form: str | None, out: Path, layer: int | None) -> None:
    """Write another program's vectors as a file of trimtab's own.

    Args:
        path: The file.
        form: Its format; None tells by what is in it.
        out: What to write.
        layer: 0-based block of a file with one vector that does not say.

    Raises:
        ConfigError: There is no such format, what is in the file may be of two, or ``out`` is there
            already.
        DataError: The file can't be read.
    """
    form = _told(path) if form is None else form
    vectors = formats.bring_in(path, form, layer)
    _require_free(out)
    formats.export(vectors, "native", out)
    _say(f"{out}: {_blocks(vectors)} of {path}; {formats.FORMATS[form].index}")
    if vectors.about.get("embedding_row_left_out"):
        _say("note: row 0 is of the embedding, which no block puts out, and was left out")


def _require_free(out: Path) -> None:
    """Raise ConfigError where something is that a new file would replace."""
    if os.path.lexists(out):
        raise ConfigError(
            f"{out} is there already, and is not replaced.", hint="Name another file with --out."
        )


def _told(path: Path) -> str:
    """Return the format of a file; raise ConfigError where its content is that of two."""
    form, alike = recognise.recognise(path)
    if alike is not None:
        raise ConfigError(
            f"{path} may be of the format {form} (row l of block l) or {alike} (row l of block "
            "l - 1), and does not say which.",
            hint=f"Give --format {form} or --format {alike}.",
        )
    return form


def show(source: Path, form: str | None, *, trusted: bool = False) -> None:
    """Print what a file holds, or which conditions of a run have vectors.

    Args:
        source: A run directory or a file.
        form: The file's format; None tells by what is in it.
        trusted: Whether the user trusts the run.
    """
    if source.is_dir():
        run = open_to_read(source, trusted=trusted)
        table = Table(title=Text(f"steered conditions of {source}"))
        table.add_column("condition")
        table.add_column("intervention")
        for label, cell in steered(run).items():
            table.add_row(label, cell.intervention.name)
        wide_console().print(table)
        return
    if form is None:
        form, alike = recognise.recognise(source)
    else:
        formats.the_format(form)
        alike = None
    vectors, said = _with_or_without_block(source, form)
    numbered = "block" if alike is None and said else "row"
    table = Table(title=Text(str(source)), caption=formats.FORMATS[form].index)
    for column in (numbered, "length", "residual norm"):
        table.add_column(column, justify="right")
    for block, direction in vectors.directions.items():
        norm = vectors.residual_norms.get(block)
        shown = "" if norm is None else f"{norm:.4g}"
        table.add_row(str(block), f"{float(direction.norm()):.4g}", shown)
    wide_console().print(table)
    for key, value in {"format": form, **_facts(vectors)}.items():
        _say(f"{key}: {value}")
    if alike is not None:
        _say(
            f"note: row l is of block l in the format {form}, and of block l - 1 in the format "
            f"{alike}; the file does not say which it is: give it with --format"
        )
    if not said:
        _say("note: the file does not say of which block it is: `vectors import` wants --layer")


def _with_or_without_block(source: Path, form: str) -> tuple[Vectors, bool]:
    """Return a file's vectors, and whether it says of which blocks they are."""
    try:
        return formats.bring_in(source, form), True
    except formats.UnknownBlock:
        return formats.bring_in(source, form, 0), False


def _facts(vectors: Vectors) -> dict[str, Any]:
    first = next(iter(vectors.directions.values()))
    known = ("index", "model", "num_layers", "method", "positions", "condition", "imported")
    return {
        "numbers per vector": f"{len(first)}, {str(first.dtype).removeprefix('torch.')}",
        **{key: vectors.about[key] for key in known if vectors.about.get(key) is not None},
    }


def _source(source: Path, condition: str | None, trusted: bool) -> Vectors:
    if source.is_dir():
        return of_condition(open_to_read(source, trusted=trusted), condition)
    if condition is not None:
        raise ConfigError(f"--condition is for a run directory, and {source} is none.")
    return read(source)


def _blocks(vectors: Vectors) -> str:
    numbers = list(vectors.directions)
    return f"block{'s' if len(numbers) > 1 else ''} {', '.join(map(str, numbers))}"


def _say(line: str) -> None:
    wide_console().print(line, soft_wrap=True)
