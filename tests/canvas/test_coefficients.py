"""Rows that densities are drawn from: as `densities.render` draws them."""

import jax.numpy as jnp
import numpy as np
import pytest

from qc_jax.canvas import coefficients, densities
from qc_jax.canvas.radial import through_knots
from qc_jax.data.table import open_table
from qc_jax.errors import InputError

PAIRS = ["C_O", "H_H"]


def test_shipped_radial_functions_are_those_of_the_pseudo_atoms():
    radial, place = coefficients._radial()
    made = coefficients.tabulate(["H", "O"])
    for number, values in zip(made["numbers"], made["values"], strict=True):
        table = through_knots(values)
        np.testing.assert_allclose(radial[place[number]], table, atol=2e-6 * np.abs(table).max())


def test_rows_of_another_length():
    with pytest.raises(InputError, match=r"coefficients: expected shape \(N, 271\), got \(2, 14\)"):
        coefficients.draw(jnp.zeros((2, 14)), 8)


def test_data_of_other_options_have_none():
    with pytest.raises(InputError, match="got data made by dftb with other options"):
        coefficients.check(open_table("ptbp_exact"))


@pytest.mark.slow
def test_images_are_those_of_render():
    rows = coefficients.of_pairs(PAIRS, [1.2, 0.8])
    assert rows.shape == (2, coefficients.LENGTH) and rows.dtype == np.float32
    drawn = np.asarray(coefficients.draw(rows, 16, scale="linear"))
    direct = np.asarray(densities.render(PAIRS, [1.2, 0.8], 16))
    largest = np.abs(direct).max(axis=(0, 1, 2))
    assert (np.abs(drawn - direct).max(axis=(0, 1, 2)) <= 1e-5 * largest).all()


@pytest.mark.slow
def test_rows_of_a_table_are_at_its_bond_lengths():
    table = open_table("ptbp")
    some = table.take(np.flatnonzero(np.isin(table.names, PAIRS)))
    rows = coefficients.of_table(some)
    np.testing.assert_array_equal(rows[:, :2], some.atomic_numbers)
    charges = rows[:, -4:-2]
    np.testing.assert_allclose(charges, some.charges, atol=1e-3)
