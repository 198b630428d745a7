"""Everyday instructions that a model answers as it likes: to see what it is like, or to keep it so.

Files such as Alpaca's and Dolly's are read as they are (``instruction`` with ``input`` or
``context``), and any with ``question`` or ``prompt``. There is no right answer.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from trimtab.core.errors import ConfigError
from trimtab.core.keys import content_key
from trimtab.core.spec import Spec, Split
from trimtab.core.types import Message, Record, Sample, SamplingParams
from trimtab.datasets.fields import text_field
from trimtab.datasets.files import DATA, read_objects, read_rows
from trimtab.datasets.hub import hub_rows, is_hub_id
from trimtab.datasets.splits import Fractions, in_split, spread
from trimtab.tasks.base import Task
from trimtab.text.overlap import normalise_question

__all__ = ["Instructions"]

_KEYS = ("instruction", "question", "prompt")
_BESIDE = ("input", "context")


class _Config(Spec):
    """Which instructions, and how they are answered.

    Attributes:
        source: ``bundled``, a ``.jsonl``, ``.csv`` or ``.json`` file, or a hub id, whose split
            ``train`` is taken.
        name: Name of the data in the protocol.
        limit: Most instructions per split, in the order of a hash; null is all.
        fractions: How they are shared out.
        max_tokens: Most new tokens.
        temperature: 0 is greedy.
        top_p: Smallest set of tokens whose probability reaches this; 1 keeps all.
    """

    source: str = Field(default="bundled", min_length=1)
    name: str = Field(default="instructions", pattern=r"^[a-z0-9][a-z0-9._-]*$")
    limit: int | None = Field(default=None, ge=1)
    fractions: Fractions = Fractions(fit=0.6, select=0.1, test=0.3)
    max_tokens: int = Field(default=128, ge=1)
    temperature: float = Field(default=0.7, ge=0)
    top_p: float = Field(default=0.9, gt=0, le=1)


class _Instruction(Record):
    id: str
    text: str

    @property
    def split_text(self) -> str:
        """The text that splits are made by."""
        return self.text

    @property
    def stratum(self) -> str:
        """The group over which splits are balanced: there is one."""
        return "all"


class Instructions(Task[_Config]):
    """Does what is asked, in the model's own way."""

    Config = _Config

    @property
    def protocol(self) -> str:
        """Data and rendering."""
        return f"{self.config.name}/generation/chat"

    def samples(self, split: Split) -> list[Sample]:
        """Return the instructions of ``split``, ordered by id.

        Raises:
            ConfigError: The split is empty.
            DataError: The file can't be read, or a row has no instruction.
        """
        usable = in_split(_read(self.config.source), split, self.config.fractions)
        if not usable:
            raise ConfigError(
                f"The split {split!r} of {self.config.source!r} is empty.",
                hint="Give it a larger fraction, or do not ask for it.",
            )
        chosen = sorted(spread(usable, self.config.limit), key=lambda each: each.id)
        return [
            Sample(id=each.id, messages=(Message(role="user", content=each.text),))
            for each in chosen
        ]

    def sampling(self) -> SamplingParams:
        """Draw as configured."""
        config = self.config
        return SamplingParams(
            max_tokens=config.max_tokens, temperature=config.temperature, top_p=config.top_p
        )


def _read(source: str) -> list[_Instruction]:
    """Return the instructions, each once, whatever its spelling."""
    path = DATA / "instructions.jsonl" if source == "bundled" else Path(source).expanduser()
    if is_hub_id(source):
        rows = hub_rows(source)
    else:
        listed = path.suffix.lower() == ".json"
        rows = read_objects(path) if listed else read_rows(path, accepted=_KEYS)
    found: dict[str, _Instruction] = {}
    for where, row in rows:
        key = next((key for key in _KEYS if row.get(key)), _KEYS[0])
        text = text_field(row, key, where, _KEYS).strip()
        beside = next((row[key] for key in _BESIDE if row.get(key)), "")
        text = f"{text}\n\n{beside}".strip()
        found.setdefault(
            normalise_question(text), _Instruction(id=f"i-{content_key(text, 12)}", text=text)
        )
    return list(found.values())
