"""A sentence encoder for similarity judges, through sentence-transformers."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING

import numpy as np
import torch

from trimtab.core.errors import ModelError
from trimtab.core.lazy import lazy
from trimtab.models.load import ResolvedModel, check_device, model_dir
from trimtab.models.quiet import quiet

if TYPE_CHECKING:
    import sentence_transformers
else:
    sentence_transformers = lazy("sentence_transformers")


class SentenceEncoder:
    """Implements ``core.types.Embedder``. Texts longer than the encoder's limit are cut there.

    Texts are encoded one at a time and remembered: in a batch the last bits of a vector depend on
    the other texts, and then a resumed run would not repeat an undisturbed one.
    """

    def __init__(self, resolved: ResolvedModel) -> None:
        """Load the encoder; raise ModelError if it can't be had or the library is missing."""
        if importlib.util.find_spec("sentence_transformers") is None:
            raise ModelError(
                f"The sentence encoder {resolved.spec.id!r} needs sentence-transformers.",
                hint="Install it: pip install 'trimtab[judges]'",
            )
        if resolved.spec.quantization is not None or resolved.spec.device_map is not None:
            raise ModelError(
                f"The sentence encoder {resolved.spec.id!r} can't be quantised or spread.",
                hint="Leave out `quantization` and `device_map`: it is small.",
            )
        self.resolved = resolved
        device = check_device(resolved.spec)
        folder = model_dir(resolved.spec)
        if not (folder / "modules.json").is_file():
            # The library would make up a mean over the states of any model.
            raise ModelError(
                f"{resolved.spec.id!r} is not a sentence encoder: it has no modules.json.",
                hint="Known to work: bundled:all-minilm-l6-v2.",
            )
        try:
            with quiet():
                self._model = sentence_transformers.SentenceTransformer(
                    str(folder),
                    device=str(device),
                    trust_remote_code=resolved.spec.trust_remote_code,
                    local_files_only=True,
                    model_kwargs={
                        "dtype": getattr(torch, resolved.spec.dtype),
                        "use_safetensors": True,
                    },
                )
        except (OSError, ValueError, KeyError) as error:
            raise ModelError(
                f"{resolved.spec.id!r} can't be loaded as a sentence encoder: {error}",
                hint="Known to work: bundled:all-minilm-l6-v2.",
            ) from error
        self._known: dict[str, np.ndarray] = {}

    @property
    def identity(self) -> str:
        """Hash of the encoder's files."""
        return self.resolved.identity

    def similarity(self, left: list[str], right: list[str]) -> list[float]:
        """Return the cosine of each pair of texts, in [-1, 1]; the lists are equally long."""
        assert len(left) == len(right), f"{len(left)} texts against {len(right)}"
        pairs = zip(left, right, strict=True)
        cosines = [float(self._vector(a) @ self._vector(b)) for a, b in pairs]
        return [min(1.0, max(-1.0, value)) for value in cosines]

    def _vector(self, text: str) -> np.ndarray:
        """Return the float64 unit vector [hidden] of ``text``."""
        if text not in self._known:
            raw = self._model.encode([text], show_progress_bar=False, convert_to_tensor=True)
            vector = raw[0].double().cpu().numpy()
            self._known[text] = vector / np.linalg.norm(vector)
        return self._known[text]
