"""A folder is a registry: the name in YAML is the file's name.

``tasks/``, ``judges/``, ``interventions/``, ``recipes/`` and ``reports/sections/`` each hold one
module or package per member. A member defines one class whose name is listed in ``__all__`` of the
file, or of the package's ``__init__.py``. Names that start with ``_`` and ``base.py`` are shared
code. Members are imported when they are asked for; to be listed none of trimtab's own is.

Your own members live outside the package: a folder with ``judges/my_judge.py`` or
``sections/my_section.py`` in it, named in the environment variable ``TRIMTAB_PATH`` (several are
separated as in ``PATH``) or in the YAML key ``extensions``.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import os
import sys
import traceback
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any, Generic, TypeVar

from trimtab.core.errors import ConfigError, did_you_mean

T = TypeVar("T")
_INIT = "__init__.py"

_extensions: list[Path] = []


def add_extension(path: Path) -> None:
    """Search ``path`` for registry folders from now on; raise ConfigError if it does not exist."""
    path = path.expanduser().resolve()
    if not path.is_dir():
        raise ConfigError(
            f"The extension folder {str(path)!r} does not exist.",
            hint="Give a folder that holds judges/, tasks/, interventions/ or sections/.",
        )
    if path not in _extensions:
        _extensions.append(path)


def extension_dirs() -> list[Path]:
    """Return the extension folders: those added, then those of ``TRIMTAB_PATH``."""
    return [*_extensions, *(path for path in _named() if path.is_dir())]


def _named() -> list[Path]:
    """Return what ``TRIMTAB_PATH`` names, whether it is there or not."""
    return [Path(p) for p in os.environ.get("TRIMTAB_PATH", "").split(os.pathsep) if p]


class Folder(Generic[T]):
    """The members of one registry folder, e.g. ``Folder("judges", Judge)``.

    Attributes:
        package: The package of the members below ``trimtab``, e.g. ``reports/sections``.
        kind: The word for a member in messages.
        name: What the folder is called in somebody's extension folder: the end of ``package``.
    """

    def __init__(self, package: str, kind: str) -> None:
        """Name the subpackage of ``trimtab`` and the word for a member in messages."""
        self.package = package
        self.kind = kind
        self.name = package.rpartition("/")[2]
        self._home = Path(__file__).parent.parent / package

    def files(self) -> dict[str, Path]:
        """Return every member's name and file, without importing any; the package's own win.

        The file of a member that is a package is its ``__init__.py``.
        """
        found = dict(self.own_files)
        for folder in extension_dirs():
            for name, path in _members(folder / self.name).items():
                found.setdefault(name, path)
        return found

    @cached_property
    def own_files(self) -> dict[str, Path]:
        """The name and file of every member that trimtab brings."""
        return _members(self._home)

    def names(self) -> list[str]:
        """Return the members' names, sorted."""
        return sorted(self.files())

    def load(self, name: str) -> type[T]:
        """Import member ``name`` and return its class; raise ConfigError with a suggestion."""
        files = self.files()
        if name not in files:
            absent = ", ".join(str(path) for path in _named() if not path.is_dir())
            raise ConfigError(
                f"There is no {self.kind} {name!r}. {did_you_mean(name, files)}",
                hint=f"To add one, create {self.name}/{name}.py in a TRIMTAB_PATH folder"
                + (f" (it names what is no folder: {absent})." if absent else "."),
            )
        module = self._import(name, files[name])
        exported: list[str] = list(getattr(module, "__all__", []))
        if len(exported) != 1 or not isinstance(getattr(module, exported[0], None), type):
            raise ConfigError(
                f"{files[name]} must list exactly one class in __all__, it lists {exported}."
            )
        member: type[T] = getattr(module, exported[0])
        missing = sorted(getattr(member, "__abstractmethods__", ()))
        if missing or not hasattr(member, "Config"):
            raise ConfigError(
                f"{files[name]}: the class {exported[0]} is no whole {self.kind}: it lacks "
                f"{', '.join(missing or ['Config'])}."
            )
        return member

    def fault(self, name: str) -> str | None:
        """Return what is wrong with a member that somebody added; None for all others."""
        if name in self.own_files:
            return None
        try:
            self.load(name)
        except ConfigError as error:
            return error.message
        return None

    def _import(self, name: str, path: Path) -> ModuleType:
        if path.is_relative_to(self._home):
            return importlib.import_module(f"trimtab.{self.package.replace('/', '.')}.{name}")
        tag = hashlib.sha256(str(path).encode()).hexdigest()[:8]
        module_name = f"trimtab_extension_{tag}_{self.name}_{name}"
        if module_name in sys.modules:
            return sys.modules[module_name]
        inside = [str(path.parent)] if path.name == _INIT else None
        spec = importlib.util.spec_from_file_location(
            module_name, path, submodule_search_locations=inside
        )
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[module_name] = module
        try:
            spec.loader.exec_module(module)
        except (Exception, SystemExit) as error:
            del sys.modules[module_name]
            raise ConfigError(f"{path} can't be imported: {_told(error, path)}.") from error
        except BaseException:
            del sys.modules[module_name]
            raise
        return module

    def build(self, name: str, config: dict[str, Any]) -> T:
        """Return member ``name`` made from ``config``, which is checked against its ``Config``."""
        from trimtab.core.config import validate

        member: Any = self.load(name)
        where = f"{self.kind} {name!r}"
        built: T = member(validate(member.Config, config, where))
        return built


def _members(folder: Path) -> dict[str, Path]:
    """Return the names and files of the modules and packages in ``folder``."""
    modules = {path.stem: path for path in folder.glob("[!_]*.py") if path.stem != "base"}
    packages = {path.parent.name: path for path in folder.glob(f"[!_]*/{_INIT}")}
    found = {name: path for name, path in {**packages, **modules}.items() if path.is_file()}
    return dict(sorted(found.items()))


def _told(error: BaseException, path: Path) -> str:
    """Return what an import failed with, and at which line of the file."""
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if frame.filename == str(path)]
    line = error.lineno if isinstance(error, SyntaxError) else next(reversed(lines), None)
    where = "" if line is None else f"line {line}: "
    what = error.msg if isinstance(error, SyntaxError) else " ".join(str(error).split())
    return f"{where}{type(error).__name__}{f': {what}' if what else ''}"
