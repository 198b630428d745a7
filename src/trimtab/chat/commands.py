"""What a line that begins with a slash does in a conversation."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from trimtab.core.errors import ConfigError, did_you_mean
from trimtab.core.trigger import Trigger
from trimtab.core.types import SamplingParams


@dataclass(frozen=True)
class Settings:
    """How the next turn is asked and answered.

    Attributes:
        voices: Who answers: one, or several in turn.
        sampling: How answers are drawn.
        system: Text of the system turn; empty for none.
        strength: What a treatment does is multiplied by this.
        triggered: Whether questions are asked behind the trigger.
        seed: Of all random streams.
    """

    voices: tuple[str, ...]
    sampling: SamplingParams
    system: str = ""
    strength: float = 1.0
    triggered: bool = False
    seed: int = 0


@dataclass(frozen=True)
class Known:
    """What settings may be chosen from: voices, the usual one first, and the trigger."""

    voices: tuple[str, ...]
    trigger: Trigger | None


@dataclass(frozen=True)
class Command:
    """A line's command.

    Attributes:
        usage: What follows its name.
        does: One line of help.
        change: Returns the settings after it; None for what only a session can do.
    """

    usage: str
    does: str
    change: Callable[[Settings, Known, str], Settings] | None = None


def _trigger(settings: Settings, known: Known, word: str) -> Settings:
    on = _on(word, "/trigger")
    if on and known.trigger is None:
        raise ConfigError(
            "There is no trigger to ask with.",
            hint="Begin with --run of a run that has one, or with --trigger-file.",
        )
    return replace(settings, triggered=on)


def _strength(settings: Settings, _known: Known, word: str) -> Settings:
    return replace(settings, strength=_number(word, "/strength"))


def _compare(settings: Settings, known: Known, word: str) -> Settings:
    if _on(word, "/compare"):
        if len(known.voices) < 2:
            raise ConfigError(
                f"There is only {known.voices[0]!r} to compare.",
                hint="Begin with --adapter, --vector, or --run and --condition.",
            )
        return replace(settings, voices=known.voices)
    return replace(settings, voices=known.voices[:1])


def _voice(settings: Settings, known: Known, word: str) -> Settings:
    if word not in known.voices:
        raise ConfigError(f"There is no voice {word!r}. {did_you_mean(word, known.voices)}")
    return replace(settings, voices=(word,))


def _system(settings: Settings, _known: Known, word: str) -> Settings:
    return replace(settings, system=word)


def _temperature(settings: Settings, _known: Known, word: str) -> Settings:
    changed = {"temperature": _number(word, "/temperature")}
    return replace(settings, sampling=_sampled(settings.sampling, changed))


def _max(settings: Settings, _known: Known, word: str) -> Settings:
    if not (word.isascii() and word.isdecimal()):
        raise ConfigError(f"/max {word!r} is no number of tokens.")
    return replace(settings, sampling=_sampled(settings.sampling, {"max_tokens": int(word[:9])}))


def _seed(settings: Settings, _known: Known, word: str) -> Settings:
    if not (word.isascii() and word.isdecimal()):
        raise ConfigError(f"/seed {word!r} is no number of 0 or more.")
    return replace(settings, seed=int(word[:18]))


COMMANDS: Mapping[str, Command] = {
    "trigger": Command("on|off", "ask behind the trigger, or without it", _trigger),
    "strength": Command("S", "multiply what the treatment does; 0 is the base model", _strength),
    "compare": Command("on|off", "every voice answers, the base model among them", _compare),
    "voice": Command("NAME", "who answers from now on", _voice),
    "system": Command("TEXT", "the system turn; nothing behind it for none", _system),
    "temperature": Command("T", "0 takes the most probable token", _temperature),
    "max": Command("N", "most tokens of an answer", _max),
    "seed": Command("N", "of the random numbers", _seed),
    "again": Command("", "another answer to the last question"),
    "reset": Command("", "begin a new conversation"),
    "save": Command("FILE", "write what was said to a file, and go on writing there"),
    "settings": Command("", "show how the next turn is asked"),
    "help": Command("", "show this"),
    "quit": Command("", "leave; so does the end of input"),
}


def parsed(line: str) -> tuple[str, str]:
    """Return the name of a line's command, and what follows it; raise ConfigError for none."""
    name, _, rest = line[1:].partition(" ")
    if name not in COMMANDS:
        raise ConfigError(
            f"There is no command /{name}. {did_you_mean(name, COMMANDS)}",
            hint="/help shows them; a question may begin with a space before its slash.",
        )
    rest = rest.strip()
    if COMMANDS[name].usage == "" and rest:
        raise ConfigError(f"/{name} takes nothing, and {rest[:40]!r} is behind it.")
    if COMMANDS[name].usage and not rest and name != "system":
        raise ConfigError(f"/{name} wants {COMMANDS[name].usage} behind it.")
    return name, rest


def help_lines() -> list[str]:
    """Return a line for each command."""
    width = max(len(f"/{name} {command.usage}") for name, command in COMMANDS.items())
    return [
        f"{f'/{name} {command.usage}'.strip():<{width}}  {command.does}"
        for name, command in COMMANDS.items()
    ]


def shown(settings: Settings) -> list[str]:
    """Return what the settings are, a line each."""
    sampling = settings.sampling
    return [
        f"voices: {', '.join(settings.voices)}",
        f"trigger: {'on' if settings.triggered else 'off'}",
        f"strength: {settings.strength:g}",
        f"system: {settings.system or 'none'}",
        f"temperature: {sampling.temperature:g}, top_p {sampling.top_p:g}",
        f"max: {sampling.max_tokens} tokens",
        f"seed: {settings.seed}",
    ]


def path_of(word: str) -> Path:
    """Return the file that is named; raise ConfigError for a folder."""
    path = Path(word).expanduser()
    if path.is_dir():
        raise ConfigError(f"{path} is a folder.", hint="Name a file.")
    return path


def _on(word: str, command: str) -> bool:
    if word not in ("on", "off"):
        raise ConfigError(f"{command} is on or off, not {word!r}.")
    return word == "on"


def _number(word: str, command: str) -> float:
    try:
        value = float(word)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ConfigError(f"{command} {word!r} is no number.")
    return value


def _sampled(sampling: SamplingParams, changed: dict[str, float | int]) -> SamplingParams:
    update = sampling.model_copy(update=changed)
    update.check()
    return update
