"""Fit an adapter on conversations, from the first draw to the states that are kept."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from trimtab.core.errors import ConfigError
from trimtab.core.fences import Fence, unfenced
from trimtab.core.keys import content_key, derive_seed
from trimtab.core.types import Conversation
from trimtab.engine.batching.allocator import give_back
from trimtab.engine.request import Edit
from trimtab.models import labels
from trimtab.models.lora import factors_identity
from trimtab.models.lowrank import Adapter, LowRank, linear_layers
from trimtab.models.nets.factors import TrainedAdapter
from trimtab.training.checkpoint import Checkpoints, restore
from trimtab.training.course import Course, Outcome, unheard
from trimtab.training.loop import Loop
from trimtab.training.parts import parts_of
from trimtab.training.sft.config import AdapterTraining
from trimtab.training.sft.objective import Likelihood, mean_losses
from trimtab.training.sft.rows import Rows, make_rows

if TYPE_CHECKING:
    from trimtab.engine.engine import Engine
    from trimtab.models.layout import Layout


@dataclass(frozen=True)
class Data:
    """What an adapter is fitted on.

    Attributes:
        fit: Conversations to learn from.
        held_out: Those on which the loss is watched.
    """

    fit: Sequence[Conversation]
    held_out: Sequence[Conversation] = ()


@dataclass(frozen=True, eq=False)
class Kept:
    """A state of an adapter that was kept.

    Attributes:
        adapter: Its factors.
        about: What is known of it and of the training.
    """

    adapter: Adapter
    about: dict[str, Any]


def tune(
    engine: Engine,
    settings: AdapterTraining,
    data: Data,
    *,
    folder: Path,
    seed: int,
    edits: tuple[Edit, ...] = (),
    checkpoint_seconds: float = 30.0,
    tell: Callable[[str], None] = unheard,
    fence: Fence = unfenced,
) -> dict[str, Kept]:
    """Return the kept states of an adapter that is trained on ``data``, by their names.

    Killed and called again, it goes on from its last checkpoint and ends with the same bytes (CPU,
    the same number of threads).

    Args:
        engine: Of the base model, which stays as it is and may be used for other things beside.
        settings: How.
        data: On what.
        folder: Where checkpoints go; used by this fit alone.
        seed: Everything random depends on it.
        edits: What is added to activations while the adapter learns (``steer_while_training``).
        checkpoint_seconds: Time between two checkpoints; changes no result.
        tell: Told now and then how far it is.
        fence: Called before each write to ``folder``; raises if another worker has taken over.

    Raises:
        ConfigError: ``settings.layers`` names no layer of the model.
        DataError: A conversation can't be learned from, or too many are cut.
        NonFiniteError: Losses stay NaN or infinite; names the update and the rows.
    """
    fit = _rows(engine, settings, data.fit)
    held_out = _rows(engine, settings, data.held_out) if data.held_out else None
    module = new_adapter(engine, settings, seed)
    loop = make_loop(
        engine,
        settings,
        module,
        fit,
        held_out,
        Course(
            settings=settings.loop(),
            folder=folder,
            seed=seed,
            identity=_identity(engine, settings, fit, seed, edits),
            checkpoint_seconds=checkpoint_seconds,
            tell=tell,
            fence=fence,
            keep=frozenset(settings.kept(len(fit.rows)).values()),
        ),
        edits,
    )
    outcome = _trained(loop)
    about = {**_about(module, fit, held_out, outcome), **_steered(edits)}
    return {
        name: _kept(loop.checkpoints, module, name, step, about)
        for name, step in settings.kept(len(fit.rows)).items()
    }


def _kept(
    checkpoints: Checkpoints, module: TrainedAdapter, name: str, step: int, about: dict[str, Any]
) -> Kept:
    restore(module, checkpoints.kept(step), name)
    adapter = _frozen(module.adapter)
    more = {"checkpoint": name, "update": step, "change": changes(adapter)}
    return Kept(adapter, {**about, **more})


def _trained(loop: Loop) -> Outcome:
    """Run a training between two kinds of work, whose memory it does not share."""
    give_back()
    outcome = loop.run()
    give_back()
    return outcome


def new_adapter(engine: Engine, settings: AdapterTraining, seed: int) -> TrainedAdapter:
    """Return an adapter that changes nothing yet; raise ConfigError if it has no layer."""
    layers = layers_of(engine.loaded.layout, settings.layers)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(seed, "weights"))
        return TrainedAdapter(
            engine.loaded, layers, settings.rank, settings.scaling, settings.dropout
        )


def make_loop(
    engine: Engine,
    settings: AdapterTraining,
    module: TrainedAdapter,
    fit: Rows,
    held_out: Rows | None,
    course: Course,
    edits: tuple[Edit, ...] = (),
) -> Loop:
    """Return the training of ``module`` on ``fit``; losses on ``held_out`` are noted, unedited."""
    objective = Likelihood(
        engine, module.adapter, fit.rows, recompute=settings.recompute, edits=edits
    )

    def watch() -> dict[str, Any]:
        if held_out is None:
            return {}
        watched = Likelihood(engine, module.adapter, held_out.rows)
        return {"held_out": mean_losses(watched, settings.most_tokens)}

    return Loop(
        module,
        objective,
        course,
        num_items=len(fit.rows),
        watch=watch,
        parts=lambda items: list(parts_of(fit.rows, items, settings.most_tokens)),
        name_of=lambda item: f"row {fit.rows[item].id!r}",
    )


def layers_of(layout: Layout, wanted: str | Sequence[str]) -> list[str]:
    """Return the names of the linear layers whose names end with one of ``wanted``.

    Raises:
        ConfigError: One of them is the end of none.
    """
    names = [name for name, _ in linear_layers(layout)]
    if wanted == "all":
        return names
    for end in wanted:
        if not any(f".{name}".endswith(f".{end}") for name in names):
            inner = sorted({name.rpartition(".")[2] for name in names})
            raise ConfigError(
                f"train.layers names {end!r}, and no linear layer of the model's blocks ends so.",
                hint=f"They end in {', '.join(inner)}.",
            )
    return [n for n in names if any(f".{n}".endswith(f".{end}") for end in wanted)]


def changes(adapter: Adapter) -> dict[str, float]:
    """Return the Frobenius norm of what an adapter adds to each weight, without making it."""
    found = {}
    for name, factor in adapter.factors.items():
        down, up = factor.down.double(), factor.up.double()
        square = ((up.T @ up) * (down @ down.T)).sum()
        found[name] = factor.scaling * math.sqrt(max(float(square), 0.0))
    return found


def _rows(engine: Engine, settings: AdapterTraining, rows: Sequence[Conversation]) -> Rows:
    limit = engine.max_positions
    return make_rows(
        engine.renderer,
        rows,
        rendering=settings.rendering,
        max_tokens=min(settings.max_tokens, limit or settings.max_tokens),
        most_truncated=settings.most_truncated,
    )


def _identity(
    engine: Engine,
    settings: AdapterTraining,
    fit: Rows,
    seed: int,
    edits: tuple[Edit, ...],
) -> str:
    rows = [[row.id, row.tokens, row.places] for row in fit.rows]
    steered = [[edit.layer, edit.strength, edit.vector.tolist()] for edit in edits]
    hashed = [engine.identity, labels.VERSION, settings, rows, seed]
    return content_key(hashed + ([steered] if steered else []))


def _steered(edits: tuple[Edit, ...]) -> dict[str, Any]:
    """Return what is told of a vector that acted while training: where, and how long it was."""
    told = [
        {
            "layer": edit.layer,
            "length": abs(edit.strength) * float(edit.vector.norm()),
            "positions": edit.positions,
        }
        for edit in edits
    ]
    return {"steered_while_training": told} if told else {}


def _frozen(adapter: Adapter) -> Adapter:
    """Return a copy of the present factors, with an identity."""
    factors = {
        name: LowRank(f.down.detach().cpu().clone(), f.up.detach().cpu().clone(), f.scaling)
        for name, f in adapter.factors.items()
    }
    return Adapter(factors, factors_identity(factors))


def _about(
    module: TrainedAdapter,
    fit: Rows,
    held_out: Rows | None,
    outcome: Outcome,
) -> dict[str, Any]:
    ranks = sorted({len(factor.down) for factor in module.adapter.factors.values()})
    return {
        "method": "trained on conversations",
        "ranks": ranks,
        "blocks": sorted(module.adapter.by_block),
        "parameters": sum(p.numel() for p in module.parameters()),
        "training": {
            "updates": outcome.steps,
            "skipped": outcome.skipped,
            "rows": fit.counts(),
            "held_out_rows": None if held_out is None else held_out.counts(),
            "losses": [_loss(row) for row in outcome.rows if "watched" not in row],
            "held_out": [
                {"update": row["step"], **row["watched"]}
                for row in outcome.rows
                if row.get("watched")
            ],
        },
    }


def _loss(row: Mapping[str, Any]) -> list[Any]:
    """Return update, loss, rate and gradient norm of an update; None of what was skipped."""
    return [row["step"], row["loss"], row["rate"], row.get("gradient_norm")]
