"""Read a YAML file and overrides, and check them, with one clear line for each mistake."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from trimtab.core.errors import ConfigError, did_you_mean
from trimtab.core.files import read_whole
from trimtab.core.yaml_file import MAX_BYTES, parse_yaml

M = TypeVar("M", bound=BaseModel)

# Said as YAML says it: who writes a file knows no tuples.
_MAPPING = "must be a mapping of keys to values"
_WORDS = {"dict_type": _MAPPING, "model_type": _MAPPING, "tuple_type": "must be a list"}


def read_yaml(path: Path) -> dict[str, Any]:
    """Return the mapping in a YAML file; raise ConfigError if there is none."""
    shown = str(path.absolute())
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise ConfigError(f"{shown} has {size:,} bytes; the most are {MAX_BYTES:,}.")
        text = read_whole(path).decode("utf-8")
    except FileNotFoundError:
        raise ConfigError(f"The configuration {shown!r} does not exist.") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ConfigError(f"The configuration {shown!r} can't be read: {reason}.") from None
    data = parse_yaml(text, shown)
    if not isinstance(data, dict):
        raise ConfigError(f"{shown} must hold a mapping of keys to values.")
    named = next((key for key in data if not isinstance(key, str)), None)
    if named is not None:
        raise ConfigError(f"{shown}: the key {named!r} must be a text; put it in quotes.")
    return data


def apply_overrides(data: Mapping[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """Return ``data`` with each ``dotted.key=value`` set; values are read as YAML.

    A number in the path is an index into a list; a key below a plain name (``model.dtype`` where
    the file says ``model: some-id``) is added to it. Raise ConfigError for a malformed override.
    """
    result: dict[str, Any] = _copy(data)
    for override in overrides:
        path, sep, raw = override.partition("=")
        if not sep or not path:
            raise ConfigError(f"The override {override!r} must have the form key=value.")
        value = parse_yaml(raw, f"The value of the override {override!r}")
        _set(result, path.split("."), value, override)
    return result


def _copy(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {k: _copy(v) for k, v in value.items()}
    return [_copy(v) for v in value] if isinstance(value, list) else value


def _set(target: Any, path: list[str], value: Any, override: str) -> None:
    for depth, part in enumerate(path):
        last = depth == len(path) - 1
        if isinstance(target, list):
            if not part.isdecimal() or int(part[:9]) >= len(target):
                raise ConfigError(f"The override {override!r}: {part!r} is no index into a list.")
            key: Any = int(part)
        elif isinstance(target, dict):
            key = part
        else:
            raise ConfigError(f"The override {override!r}: {part!r} lies below a plain value.")
        if last:
            target[key] = value
            return
        below = target.get(key) if isinstance(target, dict) else target[key]
        if isinstance(below, str):
            target[key] = {"id" if key == "model" else "name": below}
        elif isinstance(target, dict) and not isinstance(below, (dict, list)):
            target[key] = {}
        target = target[key]


def validate(model: type[M], data: Any, where: str) -> M:
    """Return ``data`` as ``model``; raise ConfigError that names each wrong key and value."""
    try:
        return model.model_validate(data)
    except ValidationError as error:
        lines = [_explain(model, item, where) for item in error.errors()]
        raise ConfigError(" ".join(dict.fromkeys(lines))) from None


def _explain(model: type[BaseModel], item: Any, where: str) -> str:
    path = ".".join(str(p) for p in item["loc"])
    if item["type"] == "extra_forbidden":
        known = _fields_at(model, item["loc"][:-1])
        return f"{where}: unknown key {path!r}. {did_you_mean(str(item['loc'][-1]), known)}"
    if item["type"] == "missing":
        return f"{where}: the key {path!r} is missing."
    message = item["msg"].removeprefix("Value error, ").rstrip(".")
    message = _WORDS.get(item["type"], message)
    shown = repr(item["input"])
    shown = shown if len(shown) <= 60 else shown[:57] + "..."
    return f"{where}: {path or 'value'} = {shown}: {message}."


def _fields_at(model: type[BaseModel], loc: tuple[Any, ...]) -> list[str]:
    current: Any = model
    for part in loc:
        field = getattr(current, "model_fields", {}).get(part)
        annotation = field.annotation if field else None
        current = annotation if hasattr(annotation, "model_fields") else None
    return list(getattr(current, "model_fields", {}))
