"""Show a search in a storage of Optuna's: a database by its address, or a file.

Nobody reads it back: what is written there decides nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

import optuna
import sqlalchemy.exc
from optuna.exceptions import OptunaError

from trimtab.core.errors import StoreError
from trimtab.core.files import read_bytes, replace_file
from trimtab.core.secrets import redact
from trimtab.search.storage import address, full_address
from trimtab.search.study import Configured, journal, read_study, write

_PATIENCE_S = 5
"""Longest wait for a connection."""

_LONGEST_S = 60
"""Longest wait for a database that locks or a network that is gone: a search goes on without."""

_at_work: dict[str, Thread] = {}
"""Who writes to a storage, or did: two at once would double its trials."""

_WAITS = {"sqlite": "timeout", "pg8000": "timeout", "asyncpg": "timeout"}
"""What drivers call the longest wait; the others follow the usual ``connect_timeout``."""

_FAULTS = (
    OptunaError,
    sqlalchemy.exc.SQLAlchemyError,
    OSError,
    ImportError,
    RuntimeError,
    TypeError,  # an option that a driver does not know
    ValueError,
)


def mirror(run: Configured, storage: str) -> list[str]:
    """Bring the study of a run up to date in the database ``storage``; return what failed.

    A database that takes longer than a minute is left to a thread: the search goes on, and shows
    nothing more until that has ended.
    """
    study = read_study(run)
    if study is None:
        return []
    told = "the search is not shown in search.storage, and goes on"
    slow = f"{told}: {storage} has not answered for {_LONGEST_S} s"
    if storage in _at_work and _at_work[storage].is_alive():
        return [slow]
    failed: list[str] = []

    def show() -> None:
        try:
            with _opened(full_address(storage)) as opened:
                write(opened, study)
        except StoreError as error:
            failed.append(f"{told}: {error.message}")

    _at_work[storage] = Thread(target=show, daemon=True)
    _at_work[storage].start()
    _at_work[storage].join(_LONGEST_S)
    return [slow] if _at_work[storage].is_alive() else failed


def export(run: Configured, to: str) -> str:
    """Write the study of a run to a database or a file; return how a dashboard opens it.

    Args:
        run: A run with trials.
        to: An address, or a file: SQLite if it ends in ``.db``, ``.sqlite`` or ``.sqlite3``,
            else a journal.

    Raises:
        ConfigError: The address is none.
        StoreError: It can't be written, or the run searches nothing.
    """
    study = read_study(run)
    if study is None:
        raise StoreError("This run has no trials.", hint="Runs of the recipe gsm8k_search have.")
    if "://" in to:
        shown = address(to)
        with _opened(to) as opened:
            write(opened, study)
        return shown
    path = Path(to)
    if path.suffix in (".db", ".sqlite", ".sqlite3"):
        with _opened(f"sqlite:///{path}") as opened:
            write(opened, study)
        return f"sqlite:///{path}"
    if path.exists() and read_bytes(path)[:1] not in (b"", b"{"):
        raise StoreError(
            f"{path} is there and no journal of a study.", hint="Give a file that is not there."
        )
    replace_file(path, journal(study).encode())
    return str(path)


@contextmanager
def _opened(url: str) -> Iterator[optuna.storages.BaseStorage]:
    """Give the storage of an address.

    Raises:
        StoreError: It can't be reached or written; the message holds no password.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    dialect, _, driver = url.split(":", 1)[0].partition("+")
    key = _WAITS.get(driver) or _WAITS.get(dialect, "connect_timeout")
    try:
        storage = optuna.storages.RDBStorage(
            url, engine_kwargs={"connect_args": {key: _PATIENCE_S}}
        )
        try:
            yield storage
        finally:
            storage.remove_session()
            storage.engine.dispose()
    except _FAULTS as error:
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise StoreError(
            f"{address(url)} can't be written: {redact(reason[0])}",
            hint="Is the database there, its driver installed, its password known?",
        ) from None
