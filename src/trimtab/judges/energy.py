"""A model trained to tell right candidates from wrong ones: the lower its energy, the better.

It is fitted in the score phase, on completions of the fit split and another judge's labels of them;
see ``runs.work.rerankers``. Nothing is loaded or trained here.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from trimtab.core.errors import ConfigError, JudgeError
from trimtab.core.keys import file_sha256
from trimtab.core.spec import Metric, ModelSpec
from trimtab.core.types import Energy
from trimtab.judges.base import Item, Judge, Resource, Verdict
from trimtab.training.rerankers.config import EnergyConfig, asked_of, problem_of

__all__ = ["EnergyJudge"]


class EnergyJudge(Judge[EnergyConfig]):
    """The energy of a completion as an answer to its sample's question."""

    Config = EnergyConfig
    need = "energy"

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """One number, lower is better, named after what it is not shown."""
        config = self.config
        hidden = "" if config.ablation == "none" else f"_{config.ablation}"
        only = f"_{config.kind}_only" if config.kind in ("length", "format") else ""
        name = "uncertainty" if config.kind == "uncertainty" else "energy"
        return (
            Metric(
                name=f"{name}{only}{hidden}",
                kind="number",
                role="ablation" if hidden or only else "ranking",
                higher_is_better=False,
            ),
        )

    @property
    def fit_config(self) -> EnergyConfig | None:
        """What determines the fit; None if nothing is fitted, or was before."""
        unfitted = self.config.trained is not None or self.config.kind == "uncertainty"
        return None if unfitted else self.config.fitted_as()

    @property
    def on_model(self) -> bool:
        """Whether it runs on a language model."""
        return self.config.on_model

    @property
    def model(self) -> ModelSpec | None:
        """The language model of a head or verifier; None is the subject."""
        return self.config.model

    @property
    def fingerprint(self) -> dict[str, str]:
        """The weights of an energy model that was fitted before."""
        if self.config.trained is None:
            return {}
        path = Path(self.config.trained) / "model.safetensors"
        if not path.is_file():
            raise ConfigError(
                f"judge 'energy': trained = {self.config.trained!r} holds no model.safetensors.",
                hint="Name the folder artifacts/energy-... of a run.",
            )
        return {"model": file_sha256(path)}

    def score(self, items: Sequence[Item], resource: Resource) -> list[Verdict]:
        """Score all items in batches; one without a text is unscored.

        Raises:
            JudgeError: ``resource`` is no energy model, or gives the wrong number of energies.
        """
        if not isinstance(resource, Energy):
            raise JudgeError("The judge 'energy' was given no energy model.")
        missing = [self.missing(item) for item in items]
        # What a model was sure of, it was sure of after the whole prompt.
        problem = asked_of if self.config.kind == "uncertainty" else problem_of
        asked = [
            (problem(item.sample), item.completion.text or "")
            for item, error in zip(items, missing, strict=True)
            if error is None
        ]
        values = resource.energies(asked) if asked else []
        if len(values) != len(asked):
            raise JudgeError(f"{resource.identity} gave {len(values)} of {len(asked)} energies.")
        left = iter(values)
        (metric,) = self.metrics
        return [
            Verdict({metric.name: next(left)}) if error is None else self.unscored(error)
            for error in missing
        ]
