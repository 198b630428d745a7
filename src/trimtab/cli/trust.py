"""What a run directory makes trimtab do beyond computing: run code, and send keys and texts away.

A run that was made here names what its maker chose. One from elsewhere names what a stranger chose,
so its extension code, the code of its models and its judges' addresses are used only if they were
used from here before, or ``--trust`` is given.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from trimtab.core.errors import ConfigError, StoreError
from trimtab.core.files import create_or_append, make_dir, read_bytes, write_all
from trimtab.core.folder import add_extension, extension_dirs
from trimtab.core.home import home
from trimtab.core.plan import Cell, JudgePlan
from trimtab.judges.base import JUDGES
from trimtab.models.cache import cache_dir
from trimtab.runs.store.run import Run
from trimtab.text.escapes import one_line

_FILE = "trusted"
# A server on this machine is its user's own.
_HERE = ("localhost", "127.0.0.1", "::1")
_log = logging.getLogger(__name__)


def admit(run: Run, *, trust: bool = False) -> None:
    """Make the run's extension folders known, and check that all it names is trusted.

    Args:
        run: The run.
        trust: Whether the user trusts it; this is remembered.

    Raises:
        ConfigError: It names code or addresses that were never used from here.
    """
    admit_code(run, trust=trust)
    judges = run.judges()
    _require(run, _models(run.plan.cells, judges) + _addresses(judges), trust)


def admit_code(run: Run, *, trust: bool = False) -> None:
    """Make the run's extension folders known; raise ConfigError for one that is not trusted."""
    folders = _extensions(run.config)
    known = [folder.resolve() for folder in extension_dirs()]
    _require(run, [f"code {f}" for f in folders if f not in known], trust)
    for folder in folders:
        add_extension(folder)


def remember(config: Mapping[str, Any], cells: Sequence[Cell], judges: Sequence[JudgePlan]) -> None:
    """Remember what a run names that is made, or given a judge, from here."""
    own = [f"code {folder}" for folder in _extensions(config)]
    _remember([*own, *_models(cells, judges), *_addresses(judges)])


def _require(run: Run, named: list[str], trust: bool) -> None:
    new = [item for item in dict.fromkeys(map(one_line, named)) if item not in _known()]
    if new and not trust:
        raise ConfigError(
            f"{run.dir} names what was never used from here: {'; '.join(new)}.",
            hint="A run from elsewhere could do harm with it. If you know where it is from, give "
            "--trust (it is then remembered).",
        )
    _remember(new)


def _extensions(config: Mapping[str, Any]) -> list[Path]:
    named = config.get("extensions") or ()
    if not isinstance(named, (list, tuple)):
        raise ConfigError(f"'extensions' must be a list of folders, it is {named!r}.")
    return [Path(str(folder)).expanduser().resolve() for folder in named]


def _models(cells: Sequence[Cell], judges: Sequence[JudgePlan]) -> list[str]:
    specs = [(cell.model, cell.model_identity) for cell in cells]
    judged = [(judge.model, judge.model_identity) for judge in judges]
    specs += [(spec, identity or "") for spec, identity in judged if spec is not None]
    return [f"code of model {m.id} ({i})" for m, i in specs if m.trust_remote_code]


def _addresses(judges: Sequence[JudgePlan]) -> list[str]:
    found = []
    for plan in judges:
        # one that is not here can't send anything, and what it said can be reported without it
        if plan.component.name not in JUDGES.names():
            continue
        endpoint = JUDGES.build(plan.component.name, plan.component.config).endpoint
        if endpoint is not None and urlsplit(endpoint.base_url).hostname not in _HERE:
            key = f" with the key in {endpoint.api_key_env}" if endpoint.api_key_env else ""
            found.append(f"texts to {endpoint.base_url}{key}")
    return found


def _places() -> Iterable[Path]:
    return (home() / _FILE, cache_dir() / _FILE)


def _known() -> set[str]:
    found: set[str] = set()
    for path in _places():
        try:
            data = read_bytes(path) if os.path.lexists(path) else b""
        except (OSError, StoreError) as error:
            _log.warning("what is trusted can't be read: %s", error)
            continue
        found.update(data.decode("utf-8", "replace").split("\n"))
    return found


def _remember(items: Iterable[str]) -> None:
    new = [item for item in dict.fromkeys(map(one_line, items)) if item not in _known()]
    data = "".join(f"{item}\n" for item in new).encode()
    for path in _places() if new else ():
        try:
            make_dir(path.parent)
            fd = create_or_append(path, 0o600)
            try:
                write_all(fd, data)
            finally:
                os.close(fd)
        except (OSError, StoreError) as error:
            _log.warning("what is trusted can't be noted in %s: %s", path, error)
            continue
        return
