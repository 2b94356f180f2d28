"""Which data's orbitals can be drawn by tight binding with PTBP, and their potential."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from qc_jax.canvas import orbitals
from qc_jax.chem.units import HARTREE_EV
from qc_jax.data.table import open_table
from qc_jax.engines.generate import create_engine


@pytest.mark.parametrize(
    ("options", "same"),
    [
        ({}, True),
        ({"max_l": ("published",)}, True),
        ({"form": "exact"}, False),
        ({"max_l": ("main_group_p",)}, False),
        ({"max_l": ("all",)}, False),
        ({"max_l": ("S:d",)}, False),
        ({"temperature": 1000.0}, False),
        ({"minimum": "global"}, False),
    ],
)
def test_tables_of_the_engines_defaults_alone(options, same):
    assert orbitals.are_of(create_engine("dftb", **options).provenance()) == same


def test_shipped_tables():
    found = [
        name
        for name in ("ptbp", "ptbp_exact", "gfn2_xtb")
        if orbitals.are_of(open_table(name).provenance)
    ]
    assert found == ["ptbp"]


def test_the_potential_has_its_limit_at_a_nucleus():
    charges, hubbards = jnp.array([-0.6]), jnp.array([0.49])
    r = jnp.array([[0.0, 1e-8, 1e-5, 1.0]])

    def at(r):
        return orbitals.potential_at(charges, hubbards, r)

    found, slopes = jax.jit(lambda r: jax.jvp(at, (r,), (jnp.ones_like(r),)))(r)
    limit = -0.6 * 3.2 * 0.49 / 2 * HARTREE_EV
    np.testing.assert_allclose(found[:3], limit, rtol=1e-4)
    decay = 3.2 * 0.49
    far = -0.6 * ((1 - np.exp(-decay)) - decay / 2 * np.exp(-decay)) * HARTREE_EV
    np.testing.assert_allclose(found[3], far, rtol=1e-5)
    assert np.isfinite(slopes).all() and slopes[0] == 0
