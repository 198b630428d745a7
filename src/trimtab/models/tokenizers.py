"""A model's tokenizer and template, without its weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import transformers

from trimtab.core.errors import ModelError
from trimtab.models.chat import Renderer
from trimtab.models.files import read_json
from trimtab.models.load import ResolvedModel, model_dir
from trimtab.models.quiet import quiet

__all__ = ["Renderer", "read_renderer"]


def read_renderer(resolved: ResolvedModel) -> Renderer:
    """Return the renderer of a model whose weights are not loaded; raise ModelError."""
    folder = model_dir(resolved.spec)
    try:
        with quiet():
            tokenizer = transformers.AutoTokenizer.from_pretrained(
                folder,
                trust_remote_code=resolved.spec.trust_remote_code,
                local_files_only=True,
            )
    except Exception as error:  # tokenizers raises the bare class
        reason = " ".join(str(error).split())[:300]
        raise ModelError(
            f"The tokenizer of {resolved.spec.id!r} can't be read from {folder}: {reason}",
            hint="Check its files.",
        ) from error
    return Renderer(tokenizer, _eos_ids(folder))


def _eos_ids(folder: Path) -> list[int]:
    """Return the end tokens of the generation configuration and of the configuration."""
    found: list[int] = []
    for name in ("generation_config.json", "config.json"):
        path = folder / name
        settings: dict[str, Any] = read_json(path) if path.is_file() else {}
        value = settings.get("text_config", settings).get("eos_token_id")
        found += [value] if isinstance(value, int) else value or []
    return found
