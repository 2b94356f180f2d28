"""Predictions do not depend on how rows are batched."""

import jax
import numpy as np

from qc_jax import models
from qc_jax.data import scaling
from qc_jax.data.batch import from_table
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
