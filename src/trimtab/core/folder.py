"""A folder is a registry: the name in YAML is the file's name.

``tasks/``, ``judges/``, ``interventions/`` and ``recipes/`` each hold one module per member. A
member file defines one class whose name is listed in ``__all__``. Files that start with ``_`` and
``base.py`` are shared code. Members are imported when they are asked for, never to be listed.

Your own members live outside the package: a folder with ``judges/my_judge.py`` in it, named in the
environment variable ``TRIMTAB_PATH`` (several are separated as in ``PATH``) or in the YAML key
``extensions``.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType
from typing import Any, Generic, TypeVar

from trimtab.core.errors import ConfigError, did_you_mean

T = TypeVar("T")

_extensions: list[Path] = []


def add_extension(path: Path) -> None:
    """Search ``path`` for registry folders from now on; raise ConfigError if it does not exist."""
    path = path.expanduser().resolve()
    if not path.is_dir():
        raise ConfigError(
            f"The extension folder {str(path)!r} does not exist.",
            hint="Give a folder that holds judges/, tasks/ or interventions/.",
        )
    if path not in _extensions:
        _extensions.append(path)


def extension_dirs() -> list[Path]:
    """Return the extension folders: those added, then those of ``TRIMTAB_PATH``."""
    from_env = [Path(p) for p in os.environ.get("TRIMTAB_PATH", "").split(os.pathsep) if p]
    return [*_extensions, *(p for p in from_env if p.is_dir())]


class Folder(Generic[T]):
    """The members of one registry folder, e.g. ``Folder("judges", Judge)``."""

    def __init__(self, package: str, kind: str) -> None:
        """Name the subpackage of ``trimtab`` and the word for a member in messages."""
        self.package = package
        self.kind = kind
        self._home = Path(__file__).parent.parent / package

    def files(self) -> dict[str, Path]:
        """Return every member's name and file, without importing any; the package's own win."""
        found: dict[str, Path] = {}
        for folder in [self._home, *(d / self.package for d in extension_dirs())]:
            for path in sorted(folder.glob("[!_]*.py")):
                if path.stem != "base":
                    found.setdefault(path.stem, path)
        return found

    def names(self) -> list[str]:
        """Return the members' names, sorted."""
        return sorted(self.files())

    def load(self, name: str) -> type[T]:
        """Import member ``name`` and return its class; raise ConfigError with a suggestion."""
        files = self.files()
        if name not in files:
            raise ConfigError(
                f"There is no {self.kind} {name!r}. {did_you_mean(name, files)}",
                hint=f"To add one, create {self.package}/{name}.py in a TRIMTAB_PATH folder.",
            )
        module = self._import(name, files[name])
        exported: list[str] = getattr(module, "__all__", [])
        if len(exported) != 1 or not hasattr(module, exported[0]):
            raise ConfigError(
                f"{files[name]} must list exactly one class in __all__, it lists {exported}."
            )
        member: type[T] = getattr(module, exported[0])
        return member

    def _import(self, name: str, path: Path) -> ModuleType:
        if path.parent == self._home:
            return importlib.import_module(f"trimtab.{self.package}.{name}")
        tag = hashlib.sha256(str(path).encode()).hexdigest()[:8]
        module_name = f"trimtab_extension_{tag}_{self.package}_{name}"
        if module_name in sys.modules:
            return sys.modules[module_name]
        spec = importlib.util.spec_from_file_location(module_name, path)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[module_name] = module
        try:
            spec.loader.exec_module(module)
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
