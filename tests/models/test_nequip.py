"""NequIP: its couplings are e3nn-jax's tensor product, without which the model is refused."""

import functools
import sys

import e3nn_jax as e3nn
import jax
import numpy as np
import pytest

from qc_jax import models
from qc_jax.errors import InputError
from qc_jax.models.nequip import couplings


@pytest.mark.parametrize(("given", "harmonics", "kept"), [(0, 2, 2), (2, 2, 2), (1, 3, 2)])
def test_couplings_are_the_tensor_product(given, harmonics, kept):
    rng = np.random.default_rng(0)
    one, two = (
        e3nn.IrrepsArray(e3nn.s2_irreps(degree), rng.normal(size=(degree + 1) ** 2))
        for degree in (given, harmonics)
    )
    product = functools.partial(e3nn.tensor_product, filter_ir_out=e3nn.s2_irreps(kept))
    expected = jax.jit(product)(one, two)
    paths, coefficients = couplings(given, harmonics, kept)
    assert paths == tuple(count for count, _ in expected.irreps)
    got = np.einsum("i,j,ijq->q", one.array, two.array, coefficients)
    # Ours go by component, then by path.
    chunks = [np.moveaxis(np.asarray(chunk), 0, 1).ravel() for chunk in expected.chunks]
    np.testing.assert_allclose(got, np.concatenate(chunks), rtol=1e-5, atol=1e-6)


def test_without_e3nn(monkeypatch):
    """Only the model itself is refused: its name and its hyper-parameters are known."""
    monkeypatch.setitem(sys.modules, "e3nn_jax", None)
    with pytest.raises(InputError, match="model nequip needs e3nn-jax: pip install e3nn-jax"):
        models.create("nequip")
    assert "nequip" in models.available() and models.defaults("nequip")["max_degree"] == 2


def test_average_neighbors():
    with pytest.raises(InputError, match="average_neighbors of nequip: expected above 0"):
        models.create("nequip", average_neighbors=0)
