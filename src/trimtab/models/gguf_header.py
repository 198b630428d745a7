"""Read and check the header of a GGUF file without loading weights or torch.

Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md, versions 2 and 3, little endian.
The reader of the gguf library takes seconds to build an array per token, and finds a truncated
file only when it is in the middle of it.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from gguf import GGML_QUANT_SIZES, GGMLQuantizationType

from trimtab.core.errors import ModelError
from trimtab.models.memory import ModelCard

CONVERTER = 1
"""Version of the conversion, part of a GGUF model's identity; raise it when the result changes."""

Scalar = int | float | bool | str
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


@dataclass(frozen=True)
class Header:
    """What stands in front of the weights.

    Attributes:
        metadata: Scalar values; an array is represented by its length.
        tensors: Shape of each tensor, fastest axis first.
    """

    metadata: dict[str, Scalar]
    tensors: dict[str, tuple[int, ...]]

    def card(self) -> ModelCard:
        """Return the model's numbers; raise KeyError for one that is not there."""
        arch = str(self.metadata["general.architecture"])

        def number(name: str) -> int:
            return int(self.metadata[f"{arch}.{name}"])

        hidden, heads = number("embedding_length"), number("attention.head_count")
        key_length = self.metadata.get(f"{arch}.attention.key_length")
        return ModelCard(
            num_parameters=sum(math.prod(shape) for shape in self.tensors.values()),
            num_layers=number("block_count"),
            hidden_size=hidden,
            num_kv_heads=int(self.metadata.get(f"{arch}.attention.head_count_kv", heads)),
            head_dim=hidden // heads if key_length is None else int(key_length),
            vocab_size=int(self.metadata["tokenizer.ggml.tokens"]),
            architecture=arch,
            tied="output.weight" not in self.tensors,
        )


def read_header(path: Path) -> Header:
    """Read the header of ``path`` and check that the file is as long as it says.

    Raises:
        ModelError: The file is not GGUF, is damaged, or is cut short.
    """
    try:
        with path.open("rb") as file:
            return _read(file, path.stat().st_size)
    except (_Malformed, struct.error, UnicodeDecodeError, KeyError, ValueError) as error:
        raise ModelError(
            f"{path} is not a readable GGUF file: {error}.", hint="Fetch it again."
        ) from error


def _read(file: BinaryIO, size: int) -> Header:
    if file.read(4) != b"GGUF":
        raise _Malformed("it does not begin with 'GGUF'")
    (version,) = _unpack(file, "I")
    if version not in (2, 3):
        raise _Malformed(f"version {version} is not 2 or 3")
    num_tensors, num_pairs = _unpack(file, "QQ")
    metadata = {}
    for _ in range(num_pairs):
        name = _string(file, size)
        metadata[name] = _value(file, _unpack(file, "I")[0], size)
    tensors: dict[str, tuple[int, ...]] = {}
    end = 0
    for _ in range(num_tensors):
        name = _string(file, size)
        (num_dims,) = _unpack(file, "I")
        tensors[name] = tuple(int(n) for n in _unpack(file, f"{num_dims}Q"))
        kind, offset = _unpack(file, "IQ")
        block, width = GGML_QUANT_SIZES[GGMLQuantizationType(kind)]
        end = max(end, offset + math.prod(tensors[name]) // block * width)
    alignment = int(metadata.get("general.alignment", 32))
    start = math.ceil(file.tell() / alignment) * alignment
    if size < start + end:
        raise _Malformed(f"it is cut short: {size} bytes of {start + end}")
    return Header(metadata, tensors)


def _unpack(file: BinaryIO, form: str) -> Sequence[int]:
    form = "<" + form
    return struct.unpack(form, file.read(struct.calcsize(form)))


def _string(file: BinaryIO, size: int) -> str:
    (length,) = _unpack(file, "Q")
    if length > size:
        raise _Malformed(f"a text of {length} bytes is longer than the file")
    return file.read(length).decode()


def _value(file: BinaryIO, kind: int, size: int) -> Scalar:
    if kind == _STRING:
        return _string(file, size)
    if kind != _ARRAY:
        return _unpack(file, _FORMATS[kind])[0]
    item, length = _unpack(file, "IQ")
    if length > size:
        raise _Malformed(f"an array of {length} values is longer than the file")
    if item in _FORMATS:
        file.seek(length * struct.calcsize("<" + _FORMATS[item]), 1)
    else:
        for _ in range(length):
            _value(file, item, size)
    return length
