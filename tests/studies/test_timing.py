"""Every batch size is timed, and costs something."""

import jax
import pytest

from qc_jax import canvas, models
from qc_jax.data import dataset
from qc_jax.studies import timing
from qc_jax.studies.timing import time_batches


def test_products_are_in_float32(small_table, monkeypatch):
    """As those of predictions: on accelerators others are faster."""
    apply, precisions = models.apply, []

    def noting(*args):
        precisions.append(jax.config.jax_default_matmul_precision)
        return apply(*args)

    monkeypatch.setattr(timing.models, "apply", noting)
    task = dataset.prepare(small_table, ("e_homo_ev",), 1)
    model = models.create("geometry_only", hidden=2, layers=1)
    time_batches(model, task.dataset.structures, (2,), rounds=1)
    assert precisions == ["float32"]


@pytest.mark.slow
def test_batches_larger_than_the_data(small_table):
    task = dataset.prepare(small_table, ("e_homo_ev",), 1, canvas.features(small_table))
    for name in ("pair_mean", "gcn"):
        parameters, seconds = time_batches(
            models.create(name), task.dataset.structures, (1, 100), rounds=2
        )
        assert list(seconds) == [1, 100] and min(seconds.values()) > 0
        assert parameters == models.describe(name).parameters
