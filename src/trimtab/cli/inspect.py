"""``verify``, ``list`` and ``doctor``: look, and change nothing. No torch is imported."""

from __future__ import annotations

import ast
import importlib.metadata
import importlib.util
import os
import platform
import re
import shutil
import sys
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from trimtab.cli.terminal import wide_console
from trimtab.core.counted import counted
from trimtab.core.errors import ConfigError, StoreError, did_you_mean
from trimtab.core.folder import Folder, extension_dirs
from trimtab.interventions.base import INTERVENTIONS
from trimtab.judges.base import JUDGES
from trimtab.models import bundled, presets, threads
from trimtab.models.cache import cache_dir
from trimtab.models.load import guess_device
from trimtab.models.memory import USUAL_ROWS, USUAL_TOKENS, ModelCard, estimate_bytes
from trimtab.recipes.base import RECIPES
from trimtab.reports.sections.base import SECTIONS
from trimtab.runs.store.run import Run
from trimtab.runs.store.verify import examine, nested_runs
from trimtab.runs.work.missing import missing
from trimtab.tasks.base import TASKS
from trimtab.text.escapes import printable

REGISTRIES: dict[str, Folder[Any]] = {
    "recipes": RECIPES,
    "tasks": TASKS,
    "interventions": INTERVENTIONS,
    "judges": JUDGES,
    "sections": SECTIONS,
}


def verify(run_dir: Path) -> None:
    """Print what of a run differs from what was written or is gone; raise StoreError if any is."""
    found = examine(run_dir)
    lost, later = _missing(run_dir, found.differs)
    found.differs += lost
    console = wide_console()
    for line in found.differs:
        console.print(f"differs: {line}", soft_wrap=True)
    for line in found.unknown:
        console.print(f"can't be checked: {line}", soft_wrap=True)
    checked = f"{counted(found.files, 'file')} and {counted(found.rows, 'row')}"
    console.print(f"checked: {checked} of {run_dir}")
    if later:
        said = ", ".join(counted(number, what) for what, number in later.items())
        console.print(f"not yet: {said} of the plan; see `trimtab status {run_dir}`")
    if found.differs:
        things = counted(len(found.differs), "thing")
        are = "is" if len(found.differs) == 1 else "are"
        raise StoreError(
            f"{things} in {run_dir} {are} not what was written there, or gone.",
            hint="Restore them from a copy; artifacts may be deleted and fitted again, and rows "
            "that are damaged or gone are computed again by `trimtab resume`.",
        )


def _missing(run_dir: Path, told: list[str]) -> tuple[list[str], dict[str, int]]:
    """Return what of a run is gone, a line each, and counts of what is not there yet."""
    gone, later = list[str](), dict[str, int]()
    for path in (run_dir, *nested_runs(run_dir)):
        try:
            found = missing(Run.open(path))
        except StoreError as error:
            # what is so damaged that nothing can be counted is told with what differs
            gone += [error.message] * (error.message not in told)
            continue
        place = "" if path == run_dir else f"{path.relative_to(run_dir)}/"
        gone += [place + line for line in found.gone]
        for what, number in found.not_yet.items():
            later[what] = later.get(what, 0) + number
    return gone, later


def list_members(what: str) -> None:
    """Print the names that YAML may hold, with a line each, and the files of your own members.

    For another program, where there is no terminal, they are lines of columns with tabs between.
    """
    table = Table(title=what)
    table.add_column("name", no_wrap=True)
    if what == "models":
        _fill_with_models(table)
    elif what in REGISTRIES:
        table.add_column("what", overflow="fold")
        folder = REGISTRIES[what]
        for name, path in sorted(folder.files().items()):
            yours = [] if name in folder.own_files else [f"file: {path}"]
            broken = folder.fault(name)
            said = [f"broken: {broken}"] if broken else [_in_short(path), *yours]
            table.add_row(name, Text("\n".join(said)))
    else:
        known = [*REGISTRIES, "models"]
        raise ConfigError(f"There is nothing to list as {what!r}. {did_you_mean(what, known)}")
    if sys.stdout.isatty():
        wide_console().print(table)
        return
    columns = [list(column.cells) for column in table.columns]
    for row in zip(*columns, strict=True):
        # a console would make spaces of tabs
        line = "\t".join(printable(" ".join(str(cell).split())) for cell in row)
        sys.stdout.write(f"{line}\n")


def _in_short(path: Path) -> str:
    """Return the first sentence of a module's docstring; nothing is imported for it."""
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    first = " ".join(text.partition("\n\n")[0].split()).replace("``", "")
    return re.split(r"(?<=[.;]) ", first)[0].rstrip(";.")


def _fill_with_models(table: Table) -> None:
    """Add the presets and the bundled models, with the block to steer and the memory it takes."""
    table.caption = (
        "dtype auto: float32 on a CPU, bfloat16 on an accelerator; block: steered where none is "
        f"named; float32, bfloat16: GiB of weights and of a cache of {USUAL_ROWS} rows of "
        f"{USUAL_TOKENS} tokens. Any hub id, folder or .gguf file works, too."
    )
    table.add_column("stands for", overflow="fold")
    for column in ("dtype", "block", "float32", "bfloat16"):
        table.add_column(column, justify="right", no_wrap=True)
    for name, preset in presets.table().items():
        about = (preset.model.id, preset.model.dtype)
        table.add_row(f"{presets.PREFIX}{name}", *about, *_figures(name, preset.card))
    for name, model in sorted(bundled.TABLE.items()):
        figures = _figures(name, model.card) if model.kind == "gguf" else ()
        package = f"{model.package}=={model.version}"
        table.add_row(f"{bundled.PREFIX}{name}", package, "auto", *figures)


def _figures(name: str, card: ModelCard) -> tuple[str, ...]:
    """Return the block to steer, and the GiB of a sweep in float32 and bfloat16."""
    sizes = [
        estimate_bytes(card, dtype, USUAL_ROWS, USUAL_TOKENS).total / 2**30
        for dtype in ("float32", "bfloat16")
    ]
    return (str(presets.layer_of(name, card.num_layers)), *(f"{size:.1f}" for size in sizes))


def doctor() -> None:
    """Print the machine, versions and folders."""
    table = Table(title="trimtab doctor")
    table.add_column("what")
    table.add_column("found", overflow="fold")
    table.add_row("python", platform.python_version())
    for package in ("trimtab", "torch", "transformers", "tokenizers", "safetensors", "numpy"):
        table.add_row(package, _version(package))
    table.add_row("device", guess_device())
    table.add_row("cores", _cores())
    table.add_row("model cache", str(cache_dir()))
    table.add_row("free disk", f"{shutil.disk_usage(Path.cwd()).free / 2**30:.0f} GiB here")
    table.add_row("extensions", ", ".join(map(str, extension_dirs())) or "none (TRIMTAB_PATH)")
    for name in sorted(bundled.TABLE):
        found = "installed" if bundled.is_installed(name) else "brought by pip when first used"
        table.add_row(f"bundled:{name}", found)
    optional = {
        "sentence_transformers": "judges",
        "rouge_score": "judges",
        "sentencepiece": "bleurt",
        "datasets": "hub",
        "datasketch": "train",
    }
    for module, extra in optional.items():
        present = importlib.util.find_spec(module) is not None
        found = "installed" if present else f"missing: pip install 'trimtab[{extra}]'"
        table.add_row(module, Text(found))
    wide_console().print(table)


def _cores() -> str:
    """Return what this process may use of the machine, and what other processes use."""
    found = threads.take_readings()
    load = "unknown" if found.other_load is None else f"{found.other_load:.1f} cores"
    return (
        f"{os.cpu_count()}, {found.allowed} for this process; other load: "
        f"{'not measured (OMP_NUM_THREADS is set)' if found.asked else load}; "
        f"threads of a new run: {threads.choose(found).count}"
    )


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "missing"
