"""``trimtab chat``: arguments alone, as in ``cli.main``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from trimtab.cli.options import Trust, finite


def chat(
    model: Annotated[
        str | None,
        typer.Argument(help="As in an experiment file; of --run its own.", show_default=False),
    ] = None,
    run: Annotated[Path | None, typer.Option(help="Run whose conditions are talked to.")] = None,
    condition: Annotated[
        list[str] | None, typer.Option(help="With --run: a condition; may be given again.")
    ] = None,
    adapter: Annotated[Path | None, typer.Option(help="Folder of a LoRA adapter.")] = None,
    vector: Annotated[Path | None, typer.Option(help="File of vectors, added as they are.")] = None,
    strength: Annotated[
        float, typer.Option(callback=finite, help="Multiplies what a treatment does.")
    ] = 1.0,
    trigger: Annotated[str, typer.Option(help="on or off: ask behind the run's trigger.")] = "off",
    trigger_file: Annotated[
        Path | None, typer.Option(help="YAML of a trigger, in place of the run's.")
    ] = None,
    endpoint: Annotated[
        str | None, typer.Option(help="Address of an OpenAI-compatible API that has MODEL.")
    ] = None,
    api_key_env: Annotated[
        str | None, typer.Option(help="With --endpoint: environment variable that holds its key.")
    ] = None,
    system: Annotated[str, typer.Option(help="System turn.")] = "",
    temperature: Annotated[
        float, typer.Option(callback=finite, help="0 takes the most probable token.")
    ] = 0.7,
    top_p: Annotated[
        float, typer.Option(callback=finite, help="Of the most probable tokens.")
    ] = 0.95,
    max_tokens: Annotated[int, typer.Option(help="Most tokens of an answer.")] = 256,
    seed: Annotated[int, typer.Option(min=0, help="Of the random numbers.")] = 0,
    save: Annotated[Path | None, typer.Option(help="JSON lines of all that is said.")] = None,
    trust: Trust = False,
) -> None:
    """Talk to a model and to what was made of it; /help in the conversation shows commands."""
    from trimtab.chat.commands import Settings
    from trimtab.cli import chat as talking
    from trimtab.core.errors import ConfigError
    from trimtab.core.types import SamplingParams

    if trigger not in ("on", "off"):
        raise ConfigError(f"--trigger is on or off, not {trigger!r}.")
    sampling = SamplingParams(max_tokens=max_tokens, temperature=temperature, top_p=top_p)
    code = talking.talk(
        talking.Who(
            model, run, tuple(condition or ()), adapter, vector, endpoint, api_key_env, trust
        ),
        Settings((), sampling, system, strength, trigger == "on", seed),
        trigger_file,
        save,
    )
    raise typer.Exit(code)
