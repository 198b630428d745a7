"""Who lost a training to another worker writes nothing more into its folder."""

from pathlib import Path

import pytest
import torch
from torch import nn

from trimtab.core.errors import HeldError
from trimtab.training.checkpoint import Checkpoints


def content(folder: Path) -> dict[str, bytes]:
    """Return what readers of the folder see."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {
        str(path): path.read_bytes()
        for path in files
        if not path.relative_to(folder).parts[0].startswith(".")
    }


def test_one_that_was_taken_over_changes_nothing(tmp_path: Path) -> None:
    lost = False

    def fence() -> None:
        if lost:
            raise HeldError("It was taken over.")

    net = nn.Linear(2, 1)
    optimizer = torch.optim.AdamW(net.parameters())
    net(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    mine, state = Checkpoints(tmp_path, fence), {"identity": "a", "best_step": 1}
    mine.save_best(1, net)
    mine.save(1, net, optimizer, state, [{"step": 1}])
    before = content(tmp_path)
    lost = True
    for write in (
        lambda: mine.save(2, net, optimizer, state, [{"step": 2}]),
        lambda: mine.save_best(2, net),
        lambda: mine.keep(2, net),
        lambda: mine.tidy(2, 2),
        lambda: mine.resume(net, optimizer, "a"),
        lambda: mine.resume(net, optimizer, "a", 0),
    ):
        with pytest.raises(HeldError):
            write()
        assert content(tmp_path) == before
