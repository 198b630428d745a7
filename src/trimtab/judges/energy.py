"""A model trained to tell right candidates from wrong ones: the lower its energy, the better.

It is fitted on completions of the fit split and another judge's labels of them. Training itself is
in ``training.rerankers``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from trimtab.core.errors import ConfigError, JudgeError
from trimtab.core.keys import file_sha256
from trimtab.core.lazy import lazy
from trimtab.core.needs import Labelled, Need
from trimtab.core.spec import Component, Metric, ModelSpec
from trimtab.core.types import Energy
from trimtab.judges.base import Item, Judge, LoadContext, Resource, Verdict
from trimtab.steering.fitted import FitContext
from trimtab.training.rerankers.config import EnergyConfig, asked_of, problem_of

if TYPE_CHECKING:
    from trimtab.training.rerankers import ablated, candidates, fitting, groups, uncertainty
else:
    candidates = lazy("trimtab.training.rerankers.candidates")
    ablated = lazy("trimtab.training.rerankers.ablated")
    fitting = lazy("trimtab.training.rerankers.fitting")
    uncertainty = lazy("trimtab.training.rerankers.uncertainty")

__all__ = ["EnergyJudge"]


class EnergyJudge(Judge[EnergyConfig]):
    """The energy of a completion as an answer to its sample's question."""

    Config = EnergyConfig
    resource = "fitted"

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

    def needs(self) -> dict[str, Need]:
        """Return the fit that ablations of one energy share; nothing if it was fitted before."""
        if self.config.trained is not None or self.config.kind == "uncertainty":
            return {}
        config = self.config.fitted_as().model_dump(mode="json", exclude_defaults=True)
        component = Component(name="energy", config=config)
        return {"energy": Need(component, {"fit": Labelled("fit"), "select": Labelled("select")})}

    def fit(self, context: FitContext) -> None:
        """Train on labelled completions of the fit split; those of the select split stop it.

        Raises:
            DataError: A problem is of a test split too; or none has both right and wrong
                candidates.
        """
        assert context.folder is not None
        rows = [context.completions[split] for split in ("fit", "select")]
        learned, chosen = (candidates.labelled(some) for some in rows)
        samples: list[groups.Group] = []
        if self.config.candidates == "synthetic":
            samples = chosen
            learned, chosen = (candidates.synthetic(some, context.run_seed) for some in rows)
        held_out = candidates.problems(context.held_out)
        data = fitting.Data(learned, chosen, held_out, samples)
        fitting.fit_energy(
            self.config,
            data,
            folder=context.folder,
            seed=context.seed,
            subject=context.model,
            fence=context.fence,
        )

    def load(self, context: LoadContext) -> Energy:
        """Return the energy model, shown less if this is an ablation.

        Raises:
            DataError: It was fitted on a problem of a test split.
            ModelError: A named model reads pairs in another layout, or needs another model.
        """
        config = self.config
        if config.kind == "uncertainty":
            assert context.model is not None, "planning resolves its model"
            return uncertainty.Uncertainty(context.model.engine())
        folder = context.folders["energy"] if config.trained is None else Path(config.trained)
        model = fitting.load_energy(folder, context.model)
        fitting.refuse_fitted_on(folder, candidates.problems(context.held_out))
        if config.ablation == "none":
            return model
        return ablated.Ablated(model, config.ablation, model.others)

    @property
    def on_model(self) -> bool:
        """Whether it runs on a language model."""
        return self.config.on_model

    @property
    def model(self) -> ModelSpec | None:
        """The language model of a head or verifier; None is the subject."""
        return self.config.model

    @property
    def determining(self) -> EnergyConfig:
        """The configuration without the folder of what was fitted before: its weights count."""
        return self.config.model_copy(update={"trained": None})

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

    def score(self, items: Sequence[Item], resource: Resource) -> Iterator[tuple[int, Verdict]]:
        """Score all items in batches; one without a text is unscored.

        Raises:
            JudgeError: ``resource`` is no energy model.
        """
        if not isinstance(resource, Energy):
            raise JudgeError("The judge 'energy' was given no energy model.")
        # What a model was sure of, it was sure of after the whole prompt.
        problem = asked_of if self.config.kind == "uncertainty" else problem_of
        numbers: list[int] = []
        for number, item in enumerate(items):
            if (missing := self.missing(item)) is None:
                numbers.append(number)
            elif item.owed:
                yield number, self.unscored(missing)
        pairs = [(problem(items[n].sample), items[n].completion.text or "") for n in numbers]
        (metric,) = self.metrics
        for i, value in resource.energies(pairs, [items[n].owed for n in numbers]):
            yield numbers[i], Verdict({metric.name: value})
