"""Every format that vectors are written to and read from, and how each counts blocks.

Exact in float32: what is read is what was written, to the last bit. Formats of other programs lose
the residual norms, and a block whose vector is zero is as good as absent in all of them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from trimtab.core.errors import ConfigError, did_you_mean
from trimtab.core.files import replace_file
from trimtab.core.keys import file_sha256
from trimtab.vectors import _gguf, _svec, _torch_files, file
from trimtab.vectors._torch_files import UnknownBlock
from trimtab.vectors.file import Vectors

__all__ = ["FORMATS", "Format", "UnknownBlock", "bring_in", "export", "the_format"]


@dataclass(frozen=True)
class Format:
    """One kind of file.

    Attributes:
        index: How it counts, in one line; L0 is the output of the first block.
        adds: At which positions its program adds the vectors.
        dump: Returns a file's bytes.
        load: Reads a file; the block is that of a file with one vector, which may not say.
    """

    index: str
    adds: str
    dump: Callable[[Vectors], bytes]
    load: Callable[[Path, int | None], Vectors]


FORMATS: dict[str, Format] = {
    "native": Format(
        "l<l>.direction is added to the output of block l, counted from 0",
        "where the recipe says",
        file.dump,
        lambda path, _block: file.read(path),
    ),
    "gguf": Format(
        "direction.<l> is added to the output of block l, counted from 0; there is none for block "
        "0",
        "at all positions",
        _gguf.dump_gguf,
        _gguf.read_gguf,
    ),
    "lm-eval": Format(
        "hookpoint layers.<l> is the output of block l, counted from 0",
        "at all positions",
        _torch_files.dump_lm_eval,
        _torch_files.read_lm_eval,
    ),
    "hotwire": Format(
        "row l of [blocks, hidden] is added to the output of block l, counted from 0",
        "at all positions, or at those after the prompt (decode_only)",
        _torch_files.dump_hotwire,
        _torch_files.read_hotwire,
    ),
    "persona": Format(
        "row l + 1 of [blocks + 1, hidden] is added to the output of block l, counted from 0; row "
        "0 is of the embedding",
        "at all positions, those of the prompt, or those that choose a token (response)",
        _torch_files.dump_persona,
        _torch_files.read_persona,
    ),
    "svec": Format(
        "key l is added to the output of block l, counted from 0",
        "where the method says that uses it",
        _svec.dump_svec,
        _svec.read_svec,
    ),
}


def the_format(name: str) -> Format:
    """Return a format by name; raise ConfigError with a suggestion if there is none."""
    if name not in FORMATS:
        raise ConfigError(f"There is no format {name!r}. {did_you_mean(name, FORMATS)}")
    return FORMATS[name]


def export(vectors: Vectors, name: str, path: Path) -> None:
    """Write vectors to ``path``, whole or not at all.

    Raises:
        ConfigError: There is no such format.
        DataError: The format can't hold them; the message says what is in the way.
        StoreError: The file can't be written.
    """
    replace_file(path, the_format(name).dump(vectors))


def bring_in(path: Path, name: str, block: int | None = None) -> Vectors:
    """Return the vectors of a file in a format; ``about["imported"]`` says which file it was.

    Args:
        path: The file.
        name: Its format.
        block: 0-based block of the vector in a ``hotwire`` file that holds one and no more.

    Raises:
        ConfigError: There is no such format, or the file says itself of which blocks it is.
        DataError: The file is missing, malformed, or does something else than to add vectors.
        NonFiniteError: A vector holds NaN or infinity.
    """
    vectors = the_format(name).load(path, block)
    if block is not None and list(vectors.directions) != [block]:
        own = ", ".join(map(str, list(vectors.directions)[:4]))
        raise ConfigError(
            f"--layer {block} does not fit {path}: in the format {name} its vectors are those of "
            f"block {own}{', ...' * (len(vectors.directions) > 4)}.",
            hint="Leave it out; it is for files with one vector and no block.",
        )
    if name == "native":
        return vectors
    source = {"format": name, "file": path.name, "sha256": file_sha256(path)}
    about = {key: value for key, value in vectors.about.items() if value is not None}
    return replace(vectors, about={**about, "imported": source})
