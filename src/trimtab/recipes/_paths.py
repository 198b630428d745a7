"""Paths in an experiment file are relative to the file, not to where a command is given."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

# What names a file or folder, always and perhaps, in recipes and in members' configurations.
_ALWAYS = {"file", "trained", "extensions", "offload_folder"}
_PERHAPS = {
    "source", "rubric", "rubrics", "model", "models", "id", "data", "held_out", "facts", "questions"
}  # fmt: skip
_SUFFIXES = (".csv", ".json", ".jsonl", ".txt", ".md", ".gguf", ".safetensors")
_NO_PATHS = ("bundled", "corrupted")
"""What stands in the place of a file, whatever lies beside the experiment file."""
_SQLITE = "sqlite:///"
"""What stands before the path of a database, relative where no slash follows."""
_SERVICE = "endpoint"
"""A mapping whose names are those of a service, never of files here."""


def anchored(data: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Return ``data`` with relative paths made absolute, as seen from ``folder``.

    A text under a key that may name a file is a path if it begins with ``./`` or ``../``, ends as
    data files do, or is there in ``folder``; other texts (``bundled``, hub ids, names) stay.
    """
    return {key: _anchor(value, key, folder.absolute()) for key, value in data.items()}


def _anchor(value: Any, key: Any, folder: Path) -> Any:
    if isinstance(value, Mapping):
        within = {name: _anchor(item, name, folder) for name, item in value.items()}
        return value if key == _SERVICE else within
    if isinstance(value, list):
        return [_anchor(item, key, folder) for item in value]
    if isinstance(value, str) and key == "storage" and value.startswith(_SQLITE):
        return f"{_SQLITE}{folder / value.removeprefix(_SQLITE)}"
    if not isinstance(value, str) or not _is_path(value, key, folder):
        return value
    return os.path.normpath(folder / value)


def _is_path(text: str, key: Any, folder: Path) -> bool:
    if key not in _ALWAYS | _PERHAPS or not text.strip() or text.startswith(("/", "~")):
        return False
    if any(char in text for char in ":\n\0") or len(text) > 1000 or text in _NO_PATHS:
        return False
    if key in _ALWAYS or text.startswith(("./", "../")) or text.lower().endswith(_SUFFIXES):
        return True
    return key not in ("rubric", "rubrics") and (folder / text).exists()
