"""Data sets of the Hugging Face hub, by the library `datasets` (extra ``hub``)."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from trimtab.core.errors import DataError
from trimtab.datasets.files import SOURCE, Rows

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_FILES = (".csv", ".json", ".jsonl", ".txt", ".yaml", ".yml")
_MAIN = "main"


def is_hub_id(source: str) -> bool:
    """Return whether a text can only be the id of a data set: it is neither a file nor named so."""
    named = source.lower().endswith(_FILES)
    return not named and bool(_HUB_ID.fullmatch(source)) and not Path(source).exists()


def hub_tables(hub_id: str, config: str | None, given_as: str = SOURCE) -> Any:
    """Return the tables of a data set by the names of its splits.

    Args:
        hub_id: ``owner/name``.
        config: Which of its configurations; None is ``main`` where there is one, else its own
            choice.
        given_as: Where the id was given, for messages.

    Raises:
        DataError: The library is not installed, or the data set can't be loaded.
    """
    try:
        import datasets
    except ImportError:
        raise DataError(
            f"The source {hub_id!r} is on the hub, and the package `datasets` is not installed.",
            hint="Run: pip install 'trimtab[hub]'",
        ) from None
    try:
        if config is None and _MAIN in datasets.get_dataset_config_names(hub_id):
            config = _MAIN
        return datasets.load_dataset(hub_id, config)
    except (OSError, ValueError) as error:
        first_line = str(error).partition("\n")[0].rstrip(".")
        raise DataError(
            f"The hub data set {hub_id!r} (given as `{given_as}`) can't be loaded: {first_line}.",
            hint="Check the id and the network, or give a local file.",
        ) from None


def hub_rows(hub_id: str, given_as: str = SOURCE) -> Rows:
    """Return the rows of the split ``train``, or of the only one there is.

    Raises:
        DataError: It can't be loaded, or has several splits and none of them is ``train``.
    """
    tables = hub_tables(hub_id, None, given_as)
    names = list(tables)
    name = "train" if "train" in names or len(names) != 1 else names[0]
    if name not in names:
        raise DataError(
            f"The hub data set {hub_id!r} (given as `{given_as}`) has no split train (found: "
            f"{', '.join(names)})."
        )
    return [(f"{hub_id} {name} row {i}", dict(row)) for i, row in enumerate(tables[name])]
