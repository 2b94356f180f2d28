"""HOMO, LUMO and what follows from them, against hand-computed numbers."""

import numpy as np
import pytest

from qc_jax.data import targets
from qc_jax.data.labels import (
    DEGENERATE_EV,
    derive,
    frontier_levels,
    frontier_of_occupations,
    metal_like,
)
from qc_jax.data.table import SHIPPED, open_table


@pytest.mark.parametrize(
    ("energies", "electrons", "homo", "lumo"),
    [
        ([-10.0, -5.0, 1.0, 2.0], 4, -5, 1),  # closed shell
        ([2.0, -5.0, 1.0, -10.0], 4, -5, 1),  # any order
        ([-10.0, -5.0, 1.0], 3, -5, -5),  # an odd electron: half filled, both
        ([-10.0, -5.0], 1, -10, -10),  # one electron
        ([-10.0, -5.0, -5.0, 3.0], 4, -5, -5),  # degenerate pair, half filled (a triplet O2)
        ([-10.0, -5.0, -5.0 + 0.9 * DEGENERATE_EV, 3.0], 4, -5, -5),  # degenerate but for rounding
        ([-10.0, -5.0, -5.0 + 2 * DEGENERATE_EV], 4, -5, -5 + 2 * DEGENERATE_EV),  # a small gap
        ([-10.0, -5.0, -5.0, 3.0], 6, -5, 3),  # degenerate pair, full
        ([-10.0, -5.0, -5.0, 3.0], 5, -5, -5),  # degenerate pair, three electrons
        ([-10.0, -5.0, 1.0], 4 - 1e-9, -5, 1),  # a number of electrons with rounding
        ([-10.0, -5.0, 1.0], 4 + 1e-9, -5, 1),
    ],
)
def test_frontier_levels(energies, electrons, homo, lumo):
    assert frontier_levels(np.array(energies), electrons) == (homo, lumo)


def test_a_full_basis_has_no_lumo():
    levels = np.array([-24.0, -23.0])  # He2 in a minimal basis
    for homo, lumo in (
        frontier_levels(levels, 4),
        frontier_of_occupations(levels, np.array([2.0, 2.0])),
    ):
        assert homo == -23 and np.isnan(lumo)


@pytest.mark.parametrize(
    ("occupations", "homo", "lumo"),
    [
        ([2.0, 2.0, 0.0, 0.0], -5, -4.8),
        ([2.0, 1.9995, 0.0005, 0.0], -5, -4.8),
        ([2.0, 1.959, 0.041, 0.0], -4.8, -4.8),  # both in part: the highest one is both
        ([2.0, 1.0, 0.0, 0.0], -5, -5),
    ],
)
def test_frontier_levels_at_a_temperature(occupations, homo, lumo):
    levels, held = np.array([-9.0, -5.0, -4.8, 1.0]), np.array(occupations)
    assert frontier_of_occupations(levels, held) == (homo, lumo)
    assert frontier_of_occupations(levels[::-1], held[::-1]) == (homo, lumo)
    # Of two equal channels each has half of them.
    assert frontier_of_occupations(np.stack([levels] * 2), np.stack([held / 2] * 2)) == (homo, lumo)


@pytest.mark.parametrize(
    ("up", "down", "electrons", "homo", "lumo"),
    [
        ([-10, -6, -4], [-9, -5, -3], (2, 1), -6, -5),  # the highest and the lowest of both
        ([-3, -9, -5], [-4, -6, -10], (1, 2), -6, -5),  # any order, the other way round
        ([-10, -6, -6, 3], [-9, -5, -5, 4], (3, 1), -6, -5),  # a triplet: a gap, unlike restricted
        ([-10, -6, -6, 3], [-9, -5, -5, 4], (3, 2), -5, -5),  # a degenerate level half filled
        (
            [-10, -6, 3],
            [-9, -5, 4],
            (1.75, 1.25),
            -5,
            -6,
        ),  # two levels filled in part
        ([-10, -6], [-9, -5], (2, 1), -6, -5),  # one channel is full
        ([-10, -5], [-9, -4], (1, 0), -10, -9),  # one channel is empty
        ([-10, -5], [-9, -8], (2, 0), -5, -9),  # excited: LUMO below HOMO
        ([-10, -5, 2], [-9, -5 + 0.9 * DEGENERATE_EV, 3], (2, 1), -5, -5),  # the same level
        ([-10, -5, 2], [-9, -5 + 2e-9, 3], (2 - 1e-9, 1 + 1e-9), -5, -5),
    ],
)
def test_frontier_levels_of_spin_channels(up, down, electrons, homo, lumo):
    levels = np.array([up, down], dtype=float)
    assert frontier_levels(levels, electrons) == (homo, lumo)
    assert frontier_levels(levels[::-1], electrons[::-1]) == (homo, lumo)


def test_equal_channels_are_as_restricted_ones():
    levels = np.array([-10.0, -5.0, 1.0, 2.0])
    assert frontier_levels(np.stack([levels, levels]), (2, 2)) == frontier_levels(levels, 4)
    assert frontier_levels(levels[None], [4]) == frontier_levels(levels, 4)


def test_full_channels_have_no_lumo():
    homo, lumo = frontier_levels(np.array([[-24.0, -23.0], [-22.0, -21.0]]), (2, 2))
    assert homo == -21 and np.isnan(lumo)


@pytest.fixture
def derived():
    """Two pairs: one with a gap, one metal-like; and one without a LUMO."""
    return derive(
        homo=np.array([-10.0, -4.0, -23.0]),
        lumo=np.array([-2.0, -4.0, np.nan]),
        positions=np.array(
            [
                [[0, 0, 0], [0, 0, 1.5]],
                [[1, 2, 3], [1, 2, 5.5]],
                [[0, 0, 0], [0, 3, 4]],
            ]
        ),
        charges=np.array([[0.25, -0.25], [0, 0], [0.5, -0.1]]),
        dipole=np.array([[0, 0, -2.0], [3, 0, 4], [0, 0, 0]]),
    )


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("e_g_ev", [8, 0, np.nan]),
        ("e_homo_ev", [-10, -4, -23]),
        ("e_lumo_ev", [-2, -4, np.nan]),
        ("i_ev", [10, 4, 23]),
        ("a_ev", [2, 4, np.nan]),
        ("chi_ev", [6, 4, np.nan]),
        ("mu_ev", [-6, -4, np.nan]),
        ("eta_ev", [4, 0, np.nan]),
        ("softness_evinv", [0.125, np.nan, np.nan]),
        ("electrophilicity_ev", [4.5, np.nan, np.nan]),  # 6² / (2·4)
        ("dipole_mag_d", [2, 5, 0]),
        ("dipole_z_d", [-2, 4, 0]),
        ("distance_ang", [1.5, 2.5, 5]),
        ("q_maxabs", [0.25, 0, 0.5]),
        ("q_absmean", [0.25, 0, 0.3]),
        ("q_std", [0.25, 0, 0.3]),
    ],
)
def test_derived_targets(derived, name, expected):
    np.testing.assert_allclose(derived[name], expected, rtol=1e-14)


def test_nothing_else_is_derived_and_all_of_it_is_known(derived):
    energies = {"band_energy_ev", "repulsive_energy_ev", "mermin_free_energy_ev"}
    energies |= {"total_energy_ev", "fermi_level_ev"}
    assert set(derived) == set(targets.TARGETS) - energies


def test_shipped_targets_follow_from_their_levels(small_table):
    columns = derive(
        small_table.targets["e_homo_ev"],
        small_table.targets["e_lumo_ev"],
        small_table.positions,
        small_table.charges,
        small_table.dipole,
    )
    for name, column in columns.items():
        np.testing.assert_allclose(small_table.targets[name], column, atol=1e-5, err_msg=name)


@pytest.mark.parametrize("name", SHIPPED)
def test_labels_of_the_shipped_tables_follow_from_each_other(name):
    table = open_table(name)
    homo, lumo = (table.targets[level] for level in ("e_homo_ev", "e_lumo_ev"))
    derived = derive(homo, lumo, table.positions, table.charges, table.dipole)
    for target, column in derived.items():
        assert np.array_equal(column, table.targets[target], equal_nan=True), target


def test_a_zero_gap_is_metal_like_and_no_lumo_is_not():
    homo = np.array([-5.0, -5.0, -20.0, np.nan])
    gap = np.array([0.0, 1e-3, np.nan, 0.0])
    no_lumo = np.array([False, False, True, False])
    np.testing.assert_array_equal(metal_like(homo, gap, no_lumo), [1, 0, 0, np.nan])
    # A gap that is merely not known gives no class.
    np.testing.assert_array_equal(metal_like(homo, gap, False), [1, 0, np.nan, np.nan])
    table = open_table("ptbp")  # whose engine told it
    engine = table.extras["metal_like"]
    homo, gap, lumo = (table.targets[name] for name in ("e_homo_ev", "e_g_ev", "e_lumo_ev"))
    derived = metal_like(homo, gap, np.isnan(lumo))
    np.testing.assert_array_equal(derived, engine)
    assert derived.mean() == pytest.approx(0.74, abs=0.02)  # as published
