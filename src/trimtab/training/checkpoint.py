"""Checkpoints: safetensors and JSON in folders that appear whole or not at all.

A folder of a training holds ``steps.jsonl`` (one line per update and per evaluation), the newest
``step-NNNNNN/`` (weights, optimiser, cursor), ``best-NNNNNN.safetensors``, and each
``kept-NNNNNN.safetensors`` that was asked for. Equal trainings leave equal bytes, however often
they were killed. What it goes on from is checked: a line of the log by its ``crc``, the files by
their seals.
"""

from __future__ import annotations

import json
import os
import shutil
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch as st
import torch
from torch import nn

from trimtab.core.checksums import ChangedError, checked, with_checksum
from trimtab.core.errors import StoreError
from trimtab.core.fences import Fence, unfenced
from trimtab.core.files import (
    append_synced,
    dumps,
    make_dir,
    read_bytes,
    replace_file,
    sync_dir,
)
from trimtab.core.records import read_json, write_json
from trimtab.core.seals import check_data, check_files, seal, seal_files
from trimtab.core.temporary import temporary

_LOG = "steps.jsonl"
_GOOD = "good.safetensors"
_AGAIN = "Delete its folder to train again."


def trained(module: nn.Module) -> dict[str, torch.Tensor]:
    """Return what a checkpoint of ``module`` holds: its trainable parameters, on the CPU."""
    return {
        name: parameter.detach().cpu().contiguous().clone()
        for name, parameter in module.named_parameters()
        if parameter.requires_grad
    }


def restore(module: nn.Module, tensors: dict[str, torch.Tensor], where: str) -> None:
    """Put the tensors of ``trained`` back; raise StoreError if they are of another module."""
    own = {name: p for name, p in module.named_parameters() if p.requires_grad}
    wrong = {n for n in own.keys() & tensors.keys() if own[n].shape != tensors[n].shape}
    wrong |= own.keys() ^ tensors.keys()
    if wrong:
        raise StoreError(
            f"{where} does not fit this network: {', '.join(sorted(wrong)[:3])}.",
            hint="It was trained with other settings; delete it to train again.",
        )
    with torch.no_grad():
        for name, parameter in own.items():
            parameter.copy_(tensors[name])


def write_tensors(path: Path, tensors: dict[str, torch.Tensor]) -> None:
    """Write a safetensors file, whole or not at all."""
    make_dir(path.parent)
    replace_file(path, _packed(tensors))


def _packed(tensors: dict[str, torch.Tensor]) -> bytes:
    return st.save({k: v.contiguous() for k, v in sorted(tensors.items())})


def read_tensors(path: Path) -> dict[str, torch.Tensor]:
    """Return the tensors of a file; raise StoreError if it is missing or damaged."""
    try:
        return st.load(read_bytes(path))
    except safetensors.SafetensorError as error:
        raise StoreError(f"{path} can't be read: {error}.", hint=_AGAIN) from None


class Checkpoints:
    """The folder of one training."""

    def __init__(self, folder: Path, fence: Fence = unfenced) -> None:
        """Name the folder, which is made by the first write, and what is asked before each."""
        self.folder = folder
        self._fence = fence

    def save(
        self,
        step: int,
        module: nn.Module,
        optimizer: torch.optim.Optimizer,
        state: dict[str, Any],
        rows: Sequence[dict[str, Any]],
        good: dict[str, torch.Tensor] | None = None,
    ) -> None:
        """Add a checkpoint after ``step`` updates, with the log's new rows.

        The log comes first: a row that a crash left without its checkpoint is cut by ``resume``.
        ``good`` is what ``LastGood`` holds.
        """
        final = self._step(step)
        # a name of its own: one that slept may be at work on this checkpoint still
        part = temporary(final).with_suffix(".part")
        make_dir(part)
        write_tensors(part / "model.safetensors", trained(module))
        write_tensors(part / "optimizer.safetensors", optimizer_tensors(module, optimizer))
        if good:
            write_tensors(part / _GOOD, good)
        write_json(part / "state.json", {**state, "step": step})
        seal_files(part)
        self._fence()
        self._append(rows)
        shutil.rmtree(final, ignore_errors=True)
        os.replace(part, final)
        sync_dir(self.folder)

    def save_best(self, step: int, module: nn.Module) -> None:
        """Keep the weights after ``step`` updates as the best so far."""
        self._write(self._best(step), module)

    def load_best(self, step: int, module: nn.Module) -> None:
        """Give ``module`` the best weights."""
        path = self._best(step)
        check_data(path, read_bytes(path), _AGAIN)
        restore(module, read_tensors(path), str(path))

    def keep(self, step: int, module: nn.Module) -> None:
        """Keep the weights after ``step`` updates for good."""
        self._write(self._kept(step), module)

    def kept(self, step: int) -> dict[str, torch.Tensor]:
        """Return the weights that ``keep`` kept; raise StoreError if they are gone or changed."""
        path = self._kept(step)
        check_data(path, read_bytes(path), _AGAIN)
        return read_tensors(path)

    def good(self, step: int) -> dict[str, torch.Tensor]:
        """Return what ``LastGood`` held at the checkpoint after ``step`` updates."""
        path = self._step(step) / _GOOD
        return read_tensors(path) if path.is_file() else {}

    def resume(
        self,
        module: nn.Module,
        optimizer: torch.optim.Optimizer,
        identity: str,
        at: int | None = None,
    ) -> dict[str, Any] | None:
        """Load a checkpoint and cut the log back to it; None if there is none.

        Args:
            module: Gets the weights.
            optimizer: Gets its state.
            identity: Of the training.
            at: Updates before the checkpoint; 0 is none. None is the newest one.

        Raises:
            StoreError: It is gone, damaged, or another training's (``identity`` differs).
        """
        newest = max(self.folder.glob("step-*"), default=None)
        if at is not None:
            newest = self._step(at) if at else None
        if newest is None:
            self._fence()
            (self.folder / _LOG).unlink(missing_ok=True)
            return None
        check_files(newest, _AGAIN)
        state: dict[str, Any] = read_json(newest / "state.json")
        if state["identity"] != identity:
            raise StoreError(
                f"{newest} belongs to another training: its data, settings or seed differ.",
                hint="Give this training a folder of its own, or delete that one.",
            )
        restore(module, read_tensors(newest / "model.safetensors"), str(newest))
        load_optimizer(module, optimizer, read_tensors(newest / "optimizer.safetensors"))
        rows = [row for row in self.rows() if row["step"] <= state["step"]]
        self._fence()
        replace_file(self.folder / _LOG, b"".join(_line(row) for row in rows))
        self.tidy(state["step"], state["best_step"])
        return state

    def rows(self) -> list[dict[str, Any]]:
        """Return the rows of the log; a line that a crash left unfinished is dropped.

        Raises:
            StoreError: A line was changed.
        """
        path = self.folder / _LOG
        if not path.is_file():
            return []
        *lines, _ = read_bytes(path).split(b"\n")
        try:
            return [json.loads(checked(line)) for line in lines]
        except (ValueError, ChangedError):
            raise StoreError(f"{path} was changed after it was written.", hint=_AGAIN) from None

    def _step(self, step: int) -> Path:
        return self.folder / f"step-{step:06d}"

    def _kept(self, step: int) -> Path:
        return self.folder / f"kept-{step:06d}.safetensors"

    def _best(self, step: int) -> Path:
        return self.folder / f"best-{step:06d}.safetensors"

    def _write(self, path: Path, module: nn.Module) -> None:
        data = _packed(trained(module))
        self._fence()
        seal(path, data)
        replace_file(path, data)

    def _append(self, rows: Sequence[dict[str, Any]]) -> None:
        append_synced(self.folder / _LOG, b"".join(map(_line, rows)))

    def tidy(self, step: int, best_step: int | None) -> None:
        """Drop all checkpoints but the one after ``step`` updates, and all but the best weights."""
        newest = self._step(step).name
        best = None if best_step is None else self._best(best_step).name
        self._fence()
        for path in [*self.folder.glob("step-*"), *self.folder.glob(".step-*")]:
            if path.name != newest:
                shutil.rmtree(path, ignore_errors=True)
        for path in [*self.folder.glob("best-*"), *self.folder.glob(".*.tmp")]:
            if path.name != best:
                path.unlink(missing_ok=True)


def _line(row: dict[str, Any]) -> bytes:
    return with_checksum(dumps(row, "a row of steps.jsonl", separators=(",", ":")))


def optimizer_tensors(
    module: nn.Module, optimizer: torch.optim.Optimizer
) -> dict[str, torch.Tensor]:
    """Return what an optimiser holds for each parameter, by its name, on the CPU."""
    return {
        f"{name}/{key}": value.detach().cpu()
        for name, parameter in module.named_parameters()
        for key, value in optimizer.state.get(parameter, {}).items()
    }


def load_optimizer(
    module: nn.Module, optimizer: torch.optim.Optimizer, tensors: dict[str, torch.Tensor]
) -> None:
    """Give an optimiser what ``optimizer_tensors`` returned."""
    states: dict[str, dict[str, torch.Tensor]] = defaultdict(dict)
    for key, value in tensors.items():
        name, _, of = key.rpartition("/")
        states[name][of] = value
    for name, parameter in module.named_parameters():
        if name in states:
            optimizer.state[parameter] = {
                key: value.to(parameter.device) for key, value in states[name].items()
            }
