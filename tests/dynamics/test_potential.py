"""Energies and forces of potentials, their lists of neighbours, and what has none."""

import dataclasses

import ase
import ase.neighborlist
import numpy as np
import pytest

from qc_jax import models
from qc_jax.data.atoms import Structure
from qc_jax.dynamics.potential import SKIN, Potential
from qc_jax.errors import InputError
from qc_jax.runs.config import ModelConfig
from qc_jax.runs.record import Pairs
from qc_jax.runs.saved import energy_column
from tests.dynamics import toys

CELL = np.diag([3.1, 3.4, 3.9]) + np.array([[0, 0, 0], [0.4, 0, 0], [0.2, -0.5, 0]])


def crystal(cell=CELL):
    rng = np.random.default_rng(1)
    return Structure(np.array([6, 8, 14]), rng.uniform(0, 1, (3, 3)) @ cell, cell)


def forces_by_differences(potential, positions, step=1e-4):
    forces = np.zeros_like(positions)
    for at in np.ndindex(positions.shape):
        sides = []
        for sign in (1, -1):
            moved = positions.copy()
            moved[at] += sign * step
            sides.append(potential.energy_and_forces(moved)[0])
        forces[at] = (sides[1] - sides[0]) / (2 * step)
    return forces


def test_energy_and_forces_of_a_pair_are_those_of_its_formula():
    potential = Potential(toys.trained(toys.Morse()), toys.pair(1.0), double=True)
    energy, forces = potential.energy_and_forces(toys.pair(1.0).positions)
    left = 1 - np.exp(-toys.STEEPNESS * (1.0 - toys.BOND))
    assert energy == pytest.approx(toys.DEPTH * left**2, rel=1e-12)
    slope = 2 * toys.DEPTH * left * toys.STEEPNESS * (1 - left)
    np.testing.assert_allclose(forces[:, 2], [slope, -slope], rtol=1e-12)
    single = Potential(toys.trained(toys.Morse()), toys.pair(1.0))
    assert single.energy_and_forces(toys.pair(1.0).positions)[0] == pytest.approx(energy, rel=1e-5)
    run = toys.trained(toys.Morse(), offset=-4000.0)
    higher = Potential(run, toys.pair(1.0), double=True)
    assert higher.energy_and_forces(toys.pair(1.0).positions)[0] == energy - 4000.0


@pytest.mark.slow
def test_a_small_cell_is_seen_with_all_its_images():
    """Against ASE's neighbour lists; the cell is narrower than the cutoff."""
    structure = crystal()
    potential = Potential(toys.trained(toys.Soft(cutoff=4.0)), structure, double=True)
    atoms = ase.Atoms(structure.atomic_numbers, structure.positions, cell=CELL, pbc=True)
    far = ase.neighborlist.neighbor_list("d", atoms, 4.0)
    energy, forces = potential.energy_and_forces(structure.positions)
    assert energy == pytest.approx(((1 - far / 4.0) ** 3).sum() / 2, rel=1e-12)
    expected = forces_by_differences(potential, structure.positions)
    np.testing.assert_allclose(forces, expected, atol=1e-7)
    # An atom that has left through a face is the same atom.
    moved = structure.positions.copy()
    moved[1] += CELL[2] - CELL[0]
    assert potential.energy_and_forces(moved)[0] == pytest.approx(energy, rel=1e-12)


@pytest.mark.slow
def test_forces_of_a_real_model_are_differences_of_its_energy():
    model = models.create("schnet", hidden=8, filters=8, interactions=1, gaussians=8, cutoff=2.5)
    structure = crystal(CELL * 1.2)
    potential = Potential(toys.trained(model), structure, double=True)
    _, forces = potential.energy_and_forces(structure.positions)
    expected = forces_by_differences(potential, structure.positions)
    np.testing.assert_allclose(forces, expected, atol=1e-6 * np.abs(expected).max())


def test_lists_grow_and_reach_beyond_the_cutoff():
    wide = Structure(np.full(40, 18), np.arange(40)[:, None] * np.array([[3.5, 0, 0]]))
    potential = Potential(toys.trained(toys.Soft(cutoff=3.0)), wide)
    assert potential.lists and potential.links(wide.positions).neighbors.shape == (40, 3)
    near = potential.links(wide.positions * 0.4)
    assert potential.regrown == 1
    assert (near.neighbors < 40).sum(axis=1).max() == 2 * int((3.0 + SKIN) / 1.4)
    assert potential.energy_and_forces(wide.positions)[0] == 0
    assert potential.regrown == 1  # the room stays


def test_of_two_energies_the_one_with_the_forces_is_taken():
    """Of pairs the free energy; who computed a table of one's own, only its owner knows."""
    model, both = toys.Morse(), ("e_g_ev", "total_energy_ev", "mermin_free_energy_ev")
    assert energy_column(toys.trained(model)) == 0
    assert energy_column(toys.trained(model, both)) == 1

    def of_pairs(names, engine):
        some = toys.trained(model, names)
        kept = dataclasses.replace(some.record, provenance={"engine": engine})
        pairs = Pairs(np.zeros(0, "U5"), np.zeros((0, 2, 3)), None, np.zeros((0, len(names))))
        return dataclasses.replace(some, record=kept, pairs=pairs)

    assert energy_column(of_pairs(both, "tblite")) == energy_column(of_pairs(both, "file")) == 2
    assert energy_column(of_pairs(both[:2], "file")) == 1
    with pytest.raises(InputError, match=r"predicts e_g_ev, total.*target=mermin_free_energy_ev$"):
        energy_column(of_pairs(both[:2], "tblite"))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("pair_mean", "pair_mean reads no positions, so it has no forces"),
        ("gcn", "gcn reads no positions"),
        ("vit", "vit reads no positions"),
        ("tabular_mlp", "reads the canvas too, which is not known where atoms move"),
        ("gradient_boosting", "no smooth function of positions: trees are piecewise constant"),
        ("faenet", "no smooth function"),
        ("gotennet", "no smooth function"),
        ("geometry_only", "no smooth function"),
    ],
)
def test_models_without_forces_are_refused(name, message):
    some = toys.trained(toys.Morse())
    config = dataclasses.replace(some.config, model=ModelConfig(name))
    some = dataclasses.replace(some, model=models.create(name), config=config)
    with pytest.raises(InputError, match=message):
        energy_column(some)


def test_what_else_is_refused():
    other = toys.trained(toys.Morse(), ("e_homo_ev",))
    with pytest.raises(InputError, match="predicts e_homo_ev; dynamics needs an energy"):
        Potential(other, toys.pair(1.0))
    with pytest.raises(InputError, match="Morse has no cutoff and sees all atoms"):
        Potential(toys.trained(toys.Morse()), crystal())
    with pytest.raises(InputError, match=r"expected atomic numbers up to 90, got 92 \(U\)"):
        Potential(toys.trained(toys.Morse()), toys.pair(1.0, (1, 92)))


@pytest.mark.parametrize(
    ("numbers", "message"),
    [([6, 0], "atom 1: expected an element"), ([], "expected at least one atom, got none")],
)
def test_atoms_that_are_none(numbers, message):
    structure = Structure(np.array(numbers, int), np.eye(3)[: len(numbers)])
    with pytest.raises(InputError, match=message):
        Potential(toys.trained(toys.Morse()), structure)
