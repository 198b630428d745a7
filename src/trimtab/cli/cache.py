"""``cache list``, ``show`` and ``prune``: activations that are kept between runs. No torch."""

from __future__ import annotations

import json
import time

from rich.table import Table

from trimtab.cli.terminal import say, wide_console
from trimtab.core.errors import ConfigError, did_you_mean
from trimtab.core.temporary import sweep
from trimtab.steering.captures.store import GB, Kept, Store

_DAY_S = 86400.0


def list_kept() -> None:
    """Print a line for each capture, what was used last first, and how much they take."""
    store = Store.here()
    kept = store.kept()[::-1]
    if kept:
        table = Table()
        for name in ("key", "model", "what", "layers", "rows", "MB", "made", "used"):
            right = name in ("rows", "MB")
            table.add_column(name, justify="right" if right else "left", no_wrap=name == "key")
        for one in kept:
            table.add_row(*_cells(one))
        wide_console().print(table)
    state = "" if store.is_on else "; nothing is added or used, it is turned off"
    say(
        f"{len(kept)} captures, {store.size() / GB:.3f} of {store.most / GB:g} GB in "
        f"{store.folder}{state}"
    )


def _cells(kept: Kept) -> list[str]:
    if not kept.about:
        return [kept.folder.name, "damaged", "", "", "", f"{kept.size / 1e6:.1f}", "", ""]
    about = kept.about
    asked = about["hashed"]["asked"]
    return [
        kept.folder.name,
        about["model"],
        f"{asked['what']} ({asked['read']})",
        _ranges(kept.layers),
        str(about["rows"]),
        f"{kept.size / 1e6:.1f}",
        _ago(kept.made),
        _ago(kept.used),
    ]


def _ranges(layers: tuple[int, ...]) -> str:
    """Return numbers with runs of them joined: 0-3, 7."""
    runs: list[list[int]] = []
    for layer in layers:
        if runs and layer == runs[-1][-1] + 1:
            runs[-1][1:] = [layer]
        else:
            runs.append([layer])
    return ", ".join("-".join(map(str, run)) for run in runs)


def _ago(moment: float) -> str:
    minutes = max(0.0, time.time() - moment) / 60
    if minutes < 60:
        return f"{minutes:.0f} min ago"
    return f"{minutes / 60:.0f} h ago" if minutes < 48 * 60 else f"{minutes / 1440:.0f} days ago"


def show_kept(key: str) -> None:
    """Print all that is hashed for a capture, as JSON; raise ConfigError if none is meant."""
    names = {one.folder.name: one for one in Store.here().kept()}
    found = [one for name, one in names.items() if name.startswith(key)]
    if len(found) != 1:
        which = did_you_mean(key, names) if names else "Nothing is kept."
        many = f"{len(found)} captures begin with {key!r}: give more of the key."
        raise ConfigError(many if found else f"No capture has the key {key!r}. {which}")
    (one,) = found
    if not one.about:
        raise ConfigError(
            f"The capture {one.folder} is damaged.", hint="It is never used; `prune` removes it."
        )
    say(json.dumps(one.about, indent=1, ensure_ascii=False))


def prune(older_than: float | None, every: bool, to: float | None) -> None:
    """Remove captures: those that were not used for some days, all, or down to a size.

    Raises:
        ConfigError: Not exactly one of these is asked for.
        StoreError: The folder can't be written.
    """
    if (older_than is not None) + every + (to is not None) != 1:
        raise ConfigError("`cache prune` wants one of --older-than, --all and --to.")
    store = Store.here()
    sweep(store.folder)
    before = store.size()
    if to is not None:
        store.prune_to(int(to * GB))
    else:
        oldest = time.time() - (older_than or 0) * _DAY_S
        for one in store.kept():
            if every or not one.about or one.used < oldest:
                store.remove(one)
    left = store.kept()
    said = f"removed {(before - store.size()) / GB:.3f} GB; {len(left)} captures are left"
    say(f"{said}, which runs read now" if every and left else said)
