"""``chat``: who is talked to, and a terminal or a pipe for the conversation."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from trimtab.chat.api import ApiPartner
from trimtab.chat.commands import Settings
from trimtab.chat.local import LocalPartner
from trimtab.chat.partner import BASE, Partner
from trimtab.chat.session import Output, Session
from trimtab.chat.treatments import TREATED, OfRun, of_files, of_run
from trimtab.cli import phases
from trimtab.cli.terminal import complain, say
from trimtab.core.config import read_yaml, validate
from trimtab.core.errors import ConfigError, StoreError
from trimtab.core.lazy import lazy
from trimtab.core.spec import Endpoint, ModelSpec
from trimtab.core.trigger import Trigger
from trimtab.models import threads
from trimtab.models.load import load_model, resolve
from trimtab.models.lora import adapter_identity
from trimtab.text.escapes import printable
from trimtab.vectors.file import read_header

if TYPE_CHECKING:
    import torch

    from trimtab.engine import engine as engines
else:
    torch = lazy("torch")
    engines = lazy("trimtab.engine.engine")


@dataclass(frozen=True)
class Who:
    """Who is talked to; see ``chat_commands.chat``."""

    model: str | None
    run: Path | None
    conditions: tuple[str, ...]
    adapter: Path | None
    vector: Path | None
    endpoint: str | None
    api_key_env: str | None
    trusted: bool


def talk(who: Who, settings: Settings, trigger_file: Path | None, save: Path | None) -> int:
    """Hold a conversation on standard input and output; return an exit code.

    In a pipe nothing but answers is printed, and the code is that of the first error on the way.

    Raises:
        ConfigError: Options contradict one another, or ask for what is not there.
        ModelError: The model can't be loaded.
        StoreError: ``save`` is there already or can't be written.
    """
    _check(who, save)
    found = None if who.run is None else _of_run(who)
    trigger = found.trigger if found is not None else None
    if trigger_file is not None:
        trigger = validate(Trigger, read_yaml(trigger_file), str(trigger_file))
    if settings.triggered and trigger is None:
        raise ConfigError(
            "--trigger on, and there is no trigger.",
            hint="Give --run of a run that has one, or --trigger-file.",
        )
    partner = _partner(who, found)
    settings = replace(settings, voices=partner.voices[:1])
    session = Session(partner, settings, _output(), trigger, save)
    interactive = sys.stdin.isatty()
    if interactive:
        say(f"{', '.join(partner.voices)}; /help shows commands, /quit leaves.")
    first = session.run(_typed() if interactive else sys.stdin)
    return 0 if first is None or interactive else first.exit_code


def _check(who: Who, save: Path | None) -> None:
    """Raise for options that contradict one another, before anything is loaded."""
    treated = [who.run, who.adapter, who.vector]
    if who.endpoint is not None and any(treated):
        raise ConfigError(
            "A model behind --endpoint can't be treated.",
            hint="Leave --run, --adapter and --vector out, or load the model here.",
        )
    if who.run is not None and (who.adapter or who.vector or who.model):
        raise ConfigError("--run has its own model and treatments.", hint="Leave the others out.")
    if who.conditions and who.run is None:
        raise ConfigError("--condition is one of a run.", hint="Give --run as well.")
    if who.run is None and who.model is None:
        raise ConfigError("Nobody to talk to.", hint="Name a model, or a run with --run.")
    if BASE in who.conditions:
        raise ConfigError(f"{BASE!r} is always there.", hint="Leave that condition out.")
    if who.api_key_env is not None and who.endpoint is None:
        raise ConfigError("--api-key-env is for --endpoint.")
    if save is not None and save.exists():
        raise StoreError(f"{save} is there already.", hint="Name a new file.")
    if who.adapter is not None:
        adapter_identity(who.adapter)
    if who.vector is not None:
        read_header(who.vector)


def _of_run(who: Who) -> OfRun:
    assert who.run is not None
    return of_run(phases.open_to_read(who.run, trusted=who.trusted), who.conditions)


def _partner(who: Who, found: OfRun | None) -> Partner:
    if who.endpoint is not None:
        assert who.model is not None
        return ApiPartner(
            Endpoint(
                base_url=who.endpoint, model=who.model, api_key_env=who.api_key_env, price="free"
            )
        )
    spec = found.model if found is not None else ModelSpec(id=who.model or "")
    resolved = resolve(spec)
    torch.set_num_threads(threads.choose(threads.take_readings()).count)
    engine = engines.Engine(load_model(resolved))
    if found is not None:
        return LocalPartner(engine, found.treatments)
    treated = who.adapter is not None or who.vector is not None
    files = {TREATED: of_files(engine, who.adapter, who.vector)} if treated else {}
    return LocalPartner(engine, files)


def _typed() -> Iterator[str]:
    """Yield what is typed; the arrow keys bring earlier lines back where Python has readline."""
    with suppress(ImportError):
        import readline  # noqa: F401
    while True:
        try:
            yield input("> ")
        except EOFError:
            sys.stdout.write("\n")
            return


def _output() -> Output:
    def piece(text: str) -> None:
        sys.stdout.write(printable(text))
        sys.stdout.flush()

    return Output(piece, say, lambda error: complain(f"error: {error}"))
