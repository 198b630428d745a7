"""A fit of energies that is killed at any write goes on and leaves the same bytes."""

import pytest
from killed_writes import check_same_bytes

PROGRAM = """
from trimtab.core.training import Training
from trimtab.training.rerankers.config import EnergyConfig
from trimtab.training.rerankers.fitting import Data, fit_energy
from trimtab.training.rerankers.groups import Group

def groups(start, stop):
    return [
        Group(f"take {i} from {i + 3}", (f"{i + 3} - {i}", f"{i} - {i + 3}"), (True, False))
        for i in range(start, stop)
    ]

training = Training(epochs=3, batch=5, micro_batch=2, learning_rate=1e-3, evaluate_every=4)
config = EnergyConfig(training=training, mining=1)
data = Data(groups(0, 20), groups(20, 28))
fit_energy(config, data, folder=folder, checkpoint_seconds=0.0)
"""


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("kills", [1, pytest.param(4, marks=pytest.mark.campaign)])
def test_killed_at_random_writes_leaves_the_same_bytes(tmp_path, kills: int) -> None:
    check_same_bytes(PROGRAM, tmp_path, kills=kills)
