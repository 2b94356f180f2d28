"""Predictions do not depend on how rows are batched."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from qc_jax import models
from qc_jax.data import scaling
from qc_jax.data.batch import from_arrays, from_table
from qc_jax.evaluate import predict as predicting
from qc_jax.evaluate.predict import predict


def test_batches_change_nothing(small_table):
    structures = from_table(small_table)
    model = models.create("egnn", hidden=8, layers=1, outputs=2)
    variables = jax.jit(lambda: model.init(jax.random.key(0), structures))()
    names = ("total_energy_ev", "e_homo_ev")
    scaler = scaling.fit(small_table.columns(names), names)
    whole = predict(model, variables, scaler, structures)
    assert whole.shape == (len(small_table), 2)
    outputs = models.apply(model, variables, structures)
    np.testing.assert_allclose(whole, scaler.unscale(outputs), rtol=1e-5)
    np.testing.assert_allclose(
        predict(model, variables, scaler, structures, batch_size=7), whole, rtol=1e-5
    )


@pytest.mark.parametrize(
    ("count", "atoms", "expected"), [(1, 3, [1]), (5, 3, [8]), (300, 3, [256, 256]), (5, 2, [256])]
)
def test_few_larger_structures_are_not_filled_up(count, atoms, expected, monkeypatch):
    """But pairs are, of which one compilation serves any number."""
    sizes = []

    def forward(model, variables, scaler, rows):
        sizes.append(len(rows.positions))
        return jnp.arange(len(rows.positions))[:, None]

    monkeypatch.setattr(predicting, "_forward", forward)
    places = np.arange(3.0 * atoms).reshape(atoms, 3)
    some = from_arrays(np.full((count, atoms), 6), np.broadcast_to(places, (count, atoms, 3)))
    found = predict(models.create("schnet"), {}, None, some)
    assert sizes == expected and found.shape == (count, 1)
