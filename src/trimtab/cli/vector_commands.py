"""``trimtab vectors``: steering vectors in and out; arguments alone, as in ``cli.main``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from trimtab.cli.options import Trust

vectors = typer.Typer(help="Bring steering vectors in and out.", no_args_is_help=True)

VectorFormat = Annotated[
    str, typer.Option("--format", help="gguf, lm-eval, hotwire, persona, svec or native.")
]
FormatOfFile = Annotated[
    str | None, typer.Option("--format", help="The file's; told by its content if left out.")
]


@vectors.command("export")
def export_vectors(
    source: Annotated[Path, typer.Argument(help="Run directory or vector file.")],
    form: VectorFormat,
    out: Annotated[Path, typer.Option("--out", help="File to write.")],
    condition: Annotated[
        str | None,
        typer.Option(help="Condition of the run: what it adds, its strength multiplied in."),
    ] = None,
    num_layers: Annotated[
        int | None, typer.Option(min=1, help="Blocks of the model, if the source does not say.")
    ] = None,
    blocks: Annotated[
        str | None,
        typer.Option(help="lm-eval's name of the list of blocks, if the source does not say."),
    ] = None,
    trust: Trust = False,
) -> None:
    """Write vectors for another program; every file says how blocks are counted."""
    from trimtab.cli import vectors as files

    files.export(source, form, out, condition, num_layers, blocks, trusted=trust)


@vectors.command("import")
def import_vectors(
    file: Annotated[Path, typer.Argument(help="Vector file.", show_default=False)],
    out: Annotated[Path, typer.Option("--out", help="File of trimtab's own to write.")],
    form: FormatOfFile = None,
    layer: Annotated[
        int | None, typer.Option(min=0, help="0-based block of a hotwire file's only vector.")
    ] = None,
) -> None:
    """Bring in another program's vectors, for the intervention `vector`."""
    from trimtab.cli import vectors as files

    files.bring_in(file, form, out, layer)


@vectors.command("show")
def show_vectors(
    source: Annotated[Path, typer.Argument(help="Run directory or vector file.")],
    form: FormatOfFile = None,
    trust: Trust = False,
) -> None:
    """Show blocks, lengths and origin of a file's vectors, or the conditions of a run."""
    from trimtab.cli import vectors as files

    files.show(source, form, trusted=trust)
