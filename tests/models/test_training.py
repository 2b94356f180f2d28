"""Every architecture learns in the training loop, from the table in rows/."""

import jax.numpy as jnp
import numpy as np
import pytest

from qc_jax import models, testing
from qc_jax.data import scaling
from qc_jax.data.dataset import Dataset, Task
from qc_jax.data.splits import Split
from qc_jax.runs.workdir import Workdir
from qc_jax.train import loop
from qc_jax.train.config import TrainConfig
from qc_jax.train.observers import Callbacks
from tests.models import structures
from tests.models.rows import rows

TABLE = rows()
TARGETS = ("e_homo_ev", "total_energy_ev", "dipole_z_d")


# One of each kind is enough for a quick look; all others are slow.
QUICK = ("pair_mean", "schnet")


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in sorted(TABLE)],
)
def test_overfits_sixteen_pairs_and_compiles_once(name, small_table, tmp_path):
    """With dropout and batch norm as they are, and a last batch that is not full."""
    row = TABLE[name]
    labels = small_table.columns(TARGETS)[:16].astype(np.float32)
    every = np.arange(16)
    task = Task(
        targets=TARGETS,
        names=small_table.names[:16],
        dataset=Dataset(structures.pairs(small_table, slice(16)), jnp.asarray(labels)),
        split=Split(every, every, every, "all rows in every part"),
        scaler=scaling.fit(labels, TARGETS),
        left_out={},
    )
    settings = {"batch_size": 6, "epochs": 300, "lr": 3e-3, "early_stopping_patience": 300}
    settings = TrainConfig(**settings | {"checkpoint_every": 1000} | row.training)
    model = models.create(row.model, **row.small, outputs=len(TARGETS))
    work = Workdir(tmp_path / "run")
    work.claim({})
    compilations = []
    with testing.count_compilations() as seconds:
        trained = loop.fit(
            model, task, settings, [work, Callbacks(lambda _: compilations.append(len(seconds)))]
        )
    assert compilations[0] == compilations[-1]
    losses = [line["validation_loss"] for line in trained.history]
    if model.closed_form:
        assert len(losses) == 1 and losses[0] < row.fits
        again = loop.fit(model, task, settings, [work])
        assert again.history == trained.history
    else:
        assert min(losses) < row.fits < losses[0] / 2, (losses[0], min(losses))
