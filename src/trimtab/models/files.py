"""What a model directory must hold, and what of it determines a model's output. No torch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from trimtab.core.errors import ModelError
from trimtab.core.files import read_whole
from trimtab.core.keys import content_key
from trimtab.models.cache import cached_sha256
from trimtab.models.memory import ModelCard, card_from_config
from trimtab.models.safetensors_header import count_parameters

# Weights, configuration, tokenizer and templates; not READMEs, logs or optimizer states.
_SUFFIXES = {".safetensors", ".json", ".jinja", ".model", ".txt", ".tiktoken"}
_PICKLES = ("pytorch_model*.bin", "*.pt", "*.pth", "*.ckpt")


def read_json(path: Path) -> dict[str, Any]:
    """Return the object in a JSON file; raise ModelError if it holds none."""
    try:
        value = json.loads(read_whole(path).decode("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"{path} can't be read: {error}.", hint="Fetch it again.") from error
    if not isinstance(value, dict):
        raise ModelError(f"{path} holds no JSON object.", hint="Fetch it again.")
    return value


def check_directory(folder: Path) -> ModelCard:
    """Return the card of the model in ``folder`` after a look at every weight file's header.

    Raises:
        ModelError: A file is missing, damaged or cut short, or the weights are pickled.
    """
    config = folder / "config.json"
    if not config.is_file():
        adapter = (folder / "adapter_config.json").is_file()
        raise ModelError(
            f"{folder} has no config.json.",
            hint="It is an adapter; name its base model here."
            if adapter
            else "Name the folder that `save_pretrained` wrote.",
        )
    weights = _weight_files(folder)
    count = sum(count_parameters(path) for path in weights)
    return card_from_config(read_json(config), str(config), count)


def directory_identity(folder: Path, with_code: bool) -> str:
    """Return a hash of the names and contents of the files that determine a model's output.

    Args:
        folder: The model's folder; ``1_Pooling`` and the like belong to sentence encoders.
        with_code: Python files count as well (``trust_remote_code``).
    """
    suffixes = _SUFFIXES | ({".py"} if with_code else set())
    found = [*folder.glob("*"), *folder.glob("[0-9]_*/*")]
    files = sorted(p for p in found if p.is_file() and p.suffix in suffixes)
    # The names of the shards, not of the folder: a moved model is the same model.
    return content_key([[p.relative_to(folder).as_posix(), cached_sha256(p)] for p in files], 32)


def _weight_files(folder: Path) -> list[Path]:
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        names = _shard_names(index)
        missing = [name for name in names if not (folder / name).is_file()]
        if missing or not names:
            raise ModelError(
                f"{folder} lacks {', '.join(missing) or 'weights'} that {index.name} lists.",
                hint="Fetch the missing files.",
            )
        return [folder / name for name in names]
    single = folder / "model.safetensors"
    if single.is_file():
        return [single]
    pickled = sorted(p.name for pattern in _PICKLES for p in folder.glob(pattern))
    if pickled:
        raise ModelError(
            f"{folder} has only pickled weights ({', '.join(pickled[:3])}), which can run code.",
            hint="Convert them where you trust them: AutoModelForCausalLM.from_pretrained(DIR)"
            ".save_pretrained(NEW_DIR).",
        )
    raise ModelError(f"{folder} has no model.safetensors.", hint="Fetch the weights.")


def _shard_names(index: Path) -> list[str]:
    """Return the files that an index lists; raise ModelError if it lists none of its folder."""
    mapping = read_json(index).get("weight_map")
    names = list(mapping.values()) if isinstance(mapping, dict) else [None]
    if not all(isinstance(name, str) and Path(name).name == name for name in names):
        raise ModelError(
            f"{index}: its weight_map does not give a file of the same folder for every weight.",
            hint="Fetch it again.",
        )
    return sorted({str(name) for name in names})
