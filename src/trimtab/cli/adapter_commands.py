"""``trimtab adapters`` and ``trimtab probe``: arguments alone, as in ``cli.main``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from trimtab.cli.options import Trust, finite

adapters = typer.Typer(help="Bring adapters out.", no_args_is_help=True)
probe = typer.Typer(help="Try settings before a long training.", no_args_is_help=True)


@adapters.command("export")
def export_adapter(
    run_dir: Annotated[Path, typer.Argument(help="Run directory.", show_default=False)],
    condition: Annotated[str, typer.Option(help="Condition whose adapter is written.")],
    out: Annotated[Path, typer.Option("--out", help="Folder to make.")],
    form: Annotated[
        str, typer.Option("--as", help="peft, gguf (llama.cpp), or merged into the weights.")
    ] = "peft",
    dtype: Annotated[
        str | None, typer.Option(help="Number format of merged weights; the run's if not given.")
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="Id of its base, where the run has several models.")
    ] = None,
    trust: Trust = False,
) -> None:
    """Write the adapter of a condition for other programs."""
    from trimtab.cli import adapters as files
    from trimtab.cli.asking import check_format

    check_format(dtype)
    files.export(run_dir, condition, form, out, dtype, model=model, trusted=trust)


def push(
    run_dir: Annotated[Path, typer.Argument(help="Run directory.", show_default=False)],
    condition: Annotated[str, typer.Option(help="Condition whose adapter is pushed.")],
    repo: Annotated[str, typer.Option(help="Id on the hub: owner/name.")],
    licence: Annotated[
        str | None, typer.Option("--license", help="As the hub names it: apache-2.0.")
    ] = None,
    public: Annotated[
        bool, typer.Option("--public", help="A new repository is public; else it is private.")
    ] = False,
    model: Annotated[
        str | None, typer.Option(help="Id of its base, where the run has several models.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--dry-run", help="Write it to this folder; push nothing.")
    ] = None,
    trust: Trust = False,
) -> None:
    """Push the adapter of a condition to the Hugging Face hub, with a page that says what it is."""
    from trimtab.cli import push as pushing

    pushing.push(
        *(run_dir, condition, repo),
        licence=licence,
        public=public,
        out=out,
        model=model,
        trusted=trust,
    )


@probe.command("lr")
def probe_rates(
    config: Annotated[Path, typer.Argument(help="Experiment file (YAML).", show_default=False)],
    condition: Annotated[
        str | None, typer.Option(help="Whose training; the file's only one if none is given.")
    ] = None,
    rate: Annotated[
        list[float] | None,
        typer.Option(callback=finite, help="A learning rate; may be given several times."),
    ] = None,
    steps: Annotated[int, typer.Option(min=1, help="Updates at each rate.")] = 20,
    override: Annotated[
        list[str] | None, typer.Option("--override", "-o", help="Set a key of the file.")
    ] = None,
) -> None:
    """Train an adapter for a few updates at each learning rate: loss, and drift on other rows."""
    from trimtab.cli import probe as probing

    rates = tuple(rate or probing.RATES)
    probing.learning_rates(config, tuple(override or ()), condition, rates, steps)
