"""The closed form, against a direct least-squares fit on the pairs it was solved for."""

import numpy as np

from qc_jax import models
from tests.models import structures


def test_is_the_least_squares_fit(small_table):
    batch = structures.pairs(small_table, slice(None))
    labels = small_table.columns(("e_homo_ev", "total_energy_ev")).astype(np.float32)
    model = models.create("pair_mean", outputs=2)
    got = models.apply(model, model.solve(batch, labels), batch)
    symbols = sorted({s for name in small_table.names for s in name.split("_")})
    counts = np.array([[n.split("_").count(s) for s in symbols] for n in small_table.names])
    mean = labels.mean(axis=0)
    fit = counts @ (np.linalg.pinv(counts) @ (labels - mean)) + mean
    np.testing.assert_allclose(got, fit, rtol=1e-4, atol=1e-4)


def test_an_element_never_seen_has_the_mean(small_table):
    batch = structures.pairs(small_table, slice(None))
    labels = small_table.columns(("e_homo_ev",)).astype(np.float32)
    model = models.create("pair_mean")
    unseen = batch.replace(atomic_numbers=np.full_like(batch.atomic_numbers, 96))
    got = models.apply(model, model.solve(batch, labels), unseen)
    np.testing.assert_allclose(got, labels.mean(), rtol=1e-6)
