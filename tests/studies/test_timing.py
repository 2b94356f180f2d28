"""Every batch size is timed, and costs something."""

import pytest

from qc_jax import canvas, models
from qc_jax.data import dataset
from qc_jax.studies.timing import time_batches


@pytest.mark.slow
def test_batches_larger_than_the_data(small_table):
    task = dataset.prepare(small_table, ("e_homo_ev",), 1, canvas.features(small_table))
    for name in ("pair_mean", "gcn"):
        parameters, seconds = time_batches(
            models.create(name), task.dataset.structures, (1, 100), rounds=2
        )
        assert list(seconds) == [1, 100] and min(seconds.values()) > 0
        assert parameters == models.describe(name).parameters
