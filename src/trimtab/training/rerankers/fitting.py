"""Fit an energy model on labelled candidates, and load it again.

The fit split trains, the select split says when to stop (and which layer a head reads); problems of
the test split are refused. The folder of a fit holds ``artifact.json`` (written last),
``model.safetensors``, an encoder's ``tokenizer.json``, and the checkpoints of its trainings.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from trimtab.core.counted import counted
from trimtab.core.errors import DataError, ModelError
from trimtab.core.fences import Fence, unfenced
from trimtab.core.files import make_dir, remove_half_written
from trimtab.core.keys import content_key, file_sha256
from trimtab.core.records import read_json, write_json
from trimtab.core.seals import check_files, seal_files
from trimtab.models.nets.networks import Head
from trimtab.models.pairs import pair_hash
from trimtab.steering.fitted import ModelAccess
from trimtab.text.leaks import HeldOut, problem_hash
from trimtab.training.checkpoint import read_tensors, restore, trained, write_tensors
from trimtab.training.rerankers.config import EnergyConfig
from trimtab.training.rerankers.energies import EnergyModel
from trimtab.training.rerankers.groups import Group, Usable, pair_accuracy, usable
from trimtab.training.rerankers.jobs import Job
from trimtab.training.rerankers.kinds import KINDS, second_round
from trimtab.training.rerankers.ranking import of_groups

__all__ = ["Data", "fit_energy", "load_energy", "refuse_fitted_on"]

_VERSION = 1
_OTHERS = 64


@dataclass(frozen=True)
class Data:
    """What an energy model is fitted on.

    Attributes:
        fit: Groups to learn from.
        select: Groups to stop by, of other problems.
        held_out: Problems of the test split.
        samples: Sampled candidates of the select split, if ``select`` is synthetic: how the fit
            does on them is noted, and changes nothing.
    """

    fit: Sequence[Group]
    select: Sequence[Group]
    held_out: Sequence[str] = ()
    samples: Sequence[Group] = ()


def fit_energy(
    config: EnergyConfig,
    data: Data,
    *,
    folder: Path,
    seed: int = 0,
    subject: ModelAccess | None = None,
    checkpoint_seconds: float = 30.0,
    fence: Fence = unfenced,
) -> EnergyModel:
    """Return an energy model fitted on ``data``; one that is in ``folder`` already is loaded.

    Killed and called again, it goes on from its last checkpoint and ends with the same bytes (CPU,
    float32, same number of threads).

    Args:
        config: What to train; ``trained`` and ``ablation`` don't matter here.
        data: Labelled candidates.
        folder: Where the artifact goes; used by this fit alone.
        seed: Everything random depends on it.
        subject: The language model of a head or verifier.
        checkpoint_seconds: Time between two checkpoints; changes no result.
        fence: Called before each write to ``folder``; raises if another worker has taken over.

    Raises:
        DataError: A fit or select problem is held out, or occurs in both; or no problem of a split
            has both right and wrong candidates.
        NonFiniteError: A loss is NaN or infinite.
    """
    if (folder / "artifact.json").is_file():
        return load_energy(folder, subject)
    fence()
    make_dir(folder)
    remove_half_written(folder)
    fit, select, overlapping = _guarded(config, data)
    identity = content_key([_VERSION, config.fitted_as(), _content(fit), _content(select), seed])
    kind = KINDS[config.kind]
    job = Job(config, fit, select, folder, seed, identity, checkpoint_seconds, kind.defaults, fence)
    model, about = kind.fit(job, subject)
    about |= second_round(job, model)
    model.cut = 0
    energies = of_groups(model, fit.groups)
    info = {
        "version": _VERSION,
        "kind": config.kind,
        "config": config.fitted_as().model_dump(mode="json", exclude_defaults=True),
        "pair_hash": pair_hash(),
        "seed": seed,
        "parameters": sum(p.numel() for p in model.module.parameters() if p.requires_grad),
        "fit": {**_counts(fit), "overlapping": overlapping[0], "pairs_cut": model.cut},
        "select": {**_counts(select), "overlapping": overlapping[1]},
        "fit_pair_accuracy": pair_accuracy(energies, fit.groups)[0],
        "samples_pair_accuracy": _on_samples(model, data.samples),
        "fitted_on": sorted({problem_hash(g.problem) for g in (*data.fit, *data.select)}),
        "others": sorted({group.problem for group in data.select})[:_OTHERS],
        **about,
    }
    fence()
    _save(folder, model, info)
    return _named(model, info, folder)


def _save(folder: Path, model: EnergyModel, info: dict[str, Any]) -> None:
    write_tensors(folder / "model.safetensors", _tensors(model))
    seal_files(folder)
    write_json(folder / "artifact.json", info, sealed=True)


def load_energy(folder: Path, subject: ModelAccess | None = None) -> EnergyModel:
    """Return a fitted energy model.

    Raises:
        StoreError: A file is missing, damaged or was changed.
        ModelError: It was trained on another rendering of pairs, or on another language model.
    """
    check_files(folder)
    info = read_json(folder / "artifact.json")
    if info["pair_hash"] != pair_hash():
        raise ModelError(
            f"The energy model in {folder} reads pairs in another layout ({info['pair_hash']}, "
            f"here {pair_hash()}).",
            hint="Fit it again with this version, or use the version that fitted it.",
        )
    if subject is not None and info.get("model", subject.identity) != subject.identity:
        raise ModelError(
            f"The energy model in {folder} was fitted on the model {info['model']}, not on "
            f"{subject.identity}.",
            hint="Name that model in the judge's key `model`.",
        )
    config = EnergyConfig.model_validate(info["config"])
    model = KINDS[config.kind].load(config, info, folder, subject)
    tensors = read_tensors(folder / "model.safetensors")
    if isinstance(model.module, Head):
        model.module.shift.copy_(tensors.pop("shift"))
        model.module.scale.copy_(tensors.pop("scale"))
    restore(model.module, tensors, str(folder))
    model.module.eval()
    return _named(model, info, folder)


def refuse_fitted_on(folder: Path, problems: Sequence[str]) -> None:
    """Raise DataError if the energy model in ``folder`` was fitted on any of ``problems``."""
    known = set(read_json(folder / "artifact.json")["fitted_on"])
    both = [problem for problem in problems if problem_hash(problem) in known]
    if both:
        raise DataError(
            f"The energy model in {folder} was fitted on {counted(len(both), 'problem')} that it "
            f"is to be tested on, e.g. {both[0][:60]!r}.",
            hint="Fit it on other problems: what it learned by heart says nothing.",
        )


def _guarded(config: EnergyConfig, data: Data) -> tuple[Usable, Usable, tuple[int, int]]:
    """Return usable groups of problems that are not held out, and how many overlap with one."""
    held = HeldOut(data.held_out)
    chosen = HeldOut(group.problem for group in data.select)
    for name, groups in (("fit", data.fit), ("select", data.select)):
        leaked = [group.problem for group in groups if held.holds(group.problem)]
        if leaked:
            raise DataError(
                f"Problems of the split {name} ({len(leaked)}) belong to the test split, e.g. "
                f"{leaked[0][:60]!r}.",
                hint="A reranker is fitted on problems that it is not tested on.",
            )
    twice = [group.problem for group in data.fit if chosen.holds(group.problem)]
    if twice:
        raise DataError(
            f"Problems ({len(twice)}) are in fit and select, e.g. {twice[0][:60]!r}.",
            hint="Keep each in one of them.",
        )
    apart = [g for g in data.fit if not (held.overlaps(g.problem) or chosen.overlaps(g.problem))]
    clear = [g for g in data.select if not held.overlaps(g.problem)]
    overlapping = (len(data.fit) - len(apart), len(data.select) - len(clear))
    keep = config.overlaps == "keep"
    fit, select = usable(data.fit if keep else apart), usable(data.select if keep else clear)
    for name, found in (("fit", fit), ("select", select)):
        if not found.groups:
            raise DataError(
                f"No problem of the {name} split has both right and wrong candidates "
                f"({found.all_right} all right, {found.all_wrong} all wrong; {overlapping[0]} fit "
                f"and {overlapping[1]} select problems overlap with held-out ones).",
                hint="Sample more candidates per problem, at a higher temperature, or of a task "
                "that is neither too easy nor too hard.",
            )
    return fit, select, overlapping


def _tensors(model: EnergyModel) -> dict[str, torch.Tensor]:
    """Return the trained tensors, and the constants that a head was given."""
    constants = dict(model.module.named_buffers()) if isinstance(model.module, Head) else {}
    return trained(model.module) | constants


def _named(model: EnergyModel, info: dict[str, Any], folder: Path) -> EnergyModel:
    model.identity = f"{info['kind']}:{file_sha256(folder / 'model.safetensors')[:16]}"
    model.others = info["others"]
    return model


def _content(found: Usable) -> list[Any]:
    return [[group.problem, group.texts, group.correct] for group in found.groups]


def _counts(found: Usable) -> dict[str, Any]:
    return {
        "problems": len(found.groups),
        "candidates": sum(len(group.texts) for group in found.groups),
        "right": sum(sum(group.correct) for group in found.groups),
        "dropped_all_right": found.all_right,
        "dropped_all_wrong": found.all_wrong,
    }


def _on_samples(model: EnergyModel, samples: Sequence[Group]) -> float | None:
    groups = usable(samples).groups
    return pair_accuracy(of_groups(model, groups), groups)[0]
