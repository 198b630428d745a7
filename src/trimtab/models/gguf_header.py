"""Read and check the header of a GGUF file without loading weights or torch.

Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md, versions 2 and 3, little endian.
The reader of the gguf library takes seconds to build an array per token, and finds a truncated
file only when it is in the middle of it. What a header claims is believed up to bounds that no real
file comes near, since a sparse file costs nothing and reads as zeros for ever.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NamedTuple

from gguf import GGML_QUANT_SIZES, GGMLQuantizationType

from trimtab.core.errors import ModelError
from trimtab.core.files import open_regular
from trimtab.models.memory import ModelCard

CONVERTER = 1
"""Version of the conversion, part of a GGUF model's identity; raise it when the result changes."""

CONTROL_VECTOR = "controlvector"
"""Architecture of a file of steering vectors."""

_MAX_PAIRS = 100_000
_MAX_TENSORS = 100_000
_MAX_ITEMS = 2_000_000
"""Texts in arrays: a large vocabulary with its merges has under a million."""
_MAX_DIMS = 8
_MAX_NAME = 65_535
_FORMATS = {
    0: "B",
    1: "b",
    2: "H",
    3: "h",
    4: "I",
    5: "i",
    6: "f",
    7: "?",
    10: "Q",
    11: "q",
    12: "d",
}
_STRING, _ARRAY = 8, 9


class _Malformed(Exception):
    """The bytes are not a GGUF header; the message says why."""


class Length(int):
    """The length of an array that stands in the metadata, whose items are passed over."""


Scalar = int | float | bool | str | Length


class Tensor(NamedTuple):
    """One tensor: its shape, fastest axis first; its number format; its first byte in the file."""

    shape: tuple[int, ...]
    kind: GGMLQuantizationType
    start: int


@dataclass(frozen=True)
class Header:
    """What stands in front of the weights.

    Attributes:
        path: The file.
        metadata: Scalar values; an array is represented by its ``Length``.
        tensors: By name.
    """

    path: Path
    metadata: dict[str, Scalar]
    tensors: dict[str, Tensor]

    def card(self) -> ModelCard:
        """Return the model's numbers; raise ModelError if one is missing, or it is no model."""
        arch = self.metadata.get("general.architecture")
        if arch == CONTROL_VECTOR:
            raise ModelError(
                f"{self.path} holds control vectors, and no model.",
                hint="Bring them in with `trimtab vectors import`, and name the model here.",
            )
        if not isinstance(arch, str):
            raise ModelError(f"{self.path} does not say of which architecture it is.")
        hidden = self._number(f"{arch}.embedding_length")
        heads = self._number(f"{arch}.attention.head_count")
        return ModelCard(
            num_parameters=sum(math.prod(tensor.shape) for tensor in self.tensors.values()),
            num_layers=self._number(f"{arch}.block_count"),
            hidden_size=hidden,
            num_kv_heads=self._number(f"{arch}.attention.head_count_kv", heads),
            head_dim=self._number(f"{arch}.attention.key_length", max(1, hidden // heads)),
            vocab_size=self._number("tokenizer.ggml.tokens", array=True),
            architecture=arch,
            tied="output.weight" not in self.tensors,
        )

    def _number(self, name: str, otherwise: int | None = None, *, array: bool = False) -> int:
        """Return a whole number above 0, or how many items an array has."""
        value = self.metadata.get(name, otherwise)
        if value is None:
            raise ModelError(f"{self.path} lacks {name}: it is no language model that is known.")
        if type(value) is not (Length if array else int) or value < 1:
            said = "a list" if isinstance(value, Length) else repr(value)[:40]
            wanted = "a list" if array else "a number above 0"
            raise ModelError(f"{self.path} has {said} for {name}, not {wanted}.")
        return int(value)


def read_header(path: Path) -> Header:
    """Read the header of ``path`` and check that the file is as long as it says.

    Raises:
        ModelError: The file is not GGUF, is damaged, or is cut short.
    """
    try:
        with open_regular(path) as file:
            return _Reader(file, path).header()
    except (_Malformed, struct.error, UnicodeDecodeError, OSError, ValueError) as error:
        raise ModelError(
            f"{path} is not a readable GGUF file: {error}.", hint="Fetch it again."
        ) from error


class _Reader:
    """Reads one header, and counts what it has read."""

    def __init__(self, file: BinaryIO, path: Path) -> None:
        self._file = file
        self._path = path
        self._size = path.stat().st_size
        self._items = 0

    def header(self) -> Header:
        """Return everything, checked."""
        if self._file.read(4) != b"GGUF":
            raise _Malformed("it does not begin with 'GGUF'")
        (version,) = self._unpack("I")
        if version not in (2, 3):
            raise _Malformed(f"version {version} is not 2 or 3")
        num_tensors, num_pairs = self._unpack("QQ")
        if num_tensors > _MAX_TENSORS or num_pairs > _MAX_PAIRS:
            raise _Malformed(f"it claims {num_tensors} tensors and {num_pairs} keys")
        metadata: dict[str, Scalar] = {}
        for _ in range(num_pairs):
            name = self._name(metadata)
            metadata[name] = self._value(self._unpack("I")[0])
        alignment = metadata.get("general.alignment", 32)
        if type(alignment) is not int or not 0 < alignment <= 1 << 20:
            raise _Malformed(f"it has an alignment of {alignment!r}")
        found: dict[str, Tensor] = {}
        for _ in range(num_tensors):
            name = self._name(found)
            found[name] = self._tensor(name)
        start = math.ceil(self._file.tell() / alignment) * alignment
        ends = [tensor.start + _num_bytes(tensor) for tensor in found.values()]
        if self._size < start + max(ends, default=0):
            raise _Malformed(f"it is cut short: {self._size} bytes of {start + max(ends)}")
        placed = {name: t._replace(start=start + t.start) for name, t in found.items()}
        return Header(self._path, metadata, placed)

    def _tensor(self, name: str) -> Tensor:
        """Return a tensor; it starts so many bytes after the header."""
        (num_dims,) = self._unpack("I")
        if num_dims > _MAX_DIMS:
            raise _Malformed(f"{name!r} has {num_dims} axes")
        shape = tuple(self._unpack(f"{num_dims}Q"))
        kind, offset = self._unpack("IQ")
        tensor = Tensor(shape, GGMLQuantizationType(kind), offset)
        block, _ = GGML_QUANT_SIZES[tensor.kind]
        if not shape or 0 in shape or shape[0] % block:
            raise _Malformed(f"{name!r} has the shape {list(shape)}, in blocks of {block}")
        return tensor

    def _name(self, known: dict[str, Scalar] | dict[str, Tensor]) -> str:
        name = self._string(_MAX_NAME)
        if name in known:
            raise _Malformed(f"it has {name[:80]!r} twice")
        return name

    def _unpack(self, form: str) -> Sequence[int]:
        form = "<" + form
        return struct.unpack(form, self._file.read(struct.calcsize(form)))

    def _string(self, most: int) -> str:
        (length,) = self._unpack("Q")
        if length > min(most, self._size):
            raise _Malformed(f"it has a text of {length} bytes")
        return self._file.read(length).decode()

    def _value(self, kind: int, depth: int = 0) -> Scalar:
        if kind == _STRING:
            return self._string(1 << 26)
        if kind in _FORMATS:
            return self._unpack(_FORMATS[kind])[0]
        if kind != _ARRAY or depth > 2:
            raise _Malformed(f"it has a value of the unknown kind {kind}")
        item, length = self._unpack("IQ")
        if length > self._size:
            raise _Malformed(f"an array of {length} values is longer than the file")
        if item in _FORMATS:
            self._file.seek(length * struct.calcsize("<" + _FORMATS[item]), 1)
            return Length(length)
        self._items += length
        if self._items > _MAX_ITEMS:
            raise _Malformed(f"it claims {self._items} texts")
        for _ in range(length):
            self._value(item, depth + 1)
        return Length(length)


def _num_bytes(tensor: Tensor) -> int:
    block, width = GGML_QUANT_SIZES[tensor.kind]
    return math.prod(tensor.shape) // block * width
