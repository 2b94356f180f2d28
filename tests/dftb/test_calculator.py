"""Tight binding through ASE and jax-md's kind of energy function."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ase import Atoms

from qc_jax.dftb import Calculator, convergence, energy_function
from qc_jax.errors import InputError
from tests.dftb import reference

WATER = reference.of_fixture()[2][0]


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> str:
    directory = tmp_path_factory.mktemp("skf_ase") / "published"
    reference.write(directory, reference.of_fixture()[0])
    return str(directory)


def test_ase(files):
    atoms = Atoms(WATER["symbols"], WATER["positions_ang"], calculator=Calculator(files))
    assert atoms.get_potential_energy() == pytest.approx(WATER["mermin_free_energy_ev"], abs=1e-5)
    np.testing.assert_allclose(atoms.get_forces(), WATER["forces_ev_ang"], atol=1e-4)
    np.testing.assert_allclose(atoms.get_charges(), WATER["charges_e"], atol=1e-6)
    np.testing.assert_allclose(atoms.get_dipole_moment() / 0.2081943, WATER["dipole_d"], atol=1e-5)
    for change, message in (
        (lambda: atoms.set_initial_charges([1, 0, 0]), "initial charges: only 0 is supported"),
        (lambda: atoms.set_initial_charges([0, 0, 0]), None),
        (lambda: atoms.set_initial_magnetic_moments([2, 0, 0]), "initial magnetic moments: only 0"),
        (lambda: atoms.set_pbc(True), "pbc: expected atoms without a cell"),
    ):
        change()
        if message:
            with pytest.raises(InputError, match=message):
                atoms.get_potential_energy()


@pytest.mark.parametrize("name", ["shell_resolved", "charge", "temprature"])
def test_unknown_keywords_are_refused(name):
    words = f"^{name}: cannot be set; a calculator is made with parameters, form, max_l, temper"
    with pytest.raises(InputError, match=words):
        Calculator(**{name: 1})
    with pytest.raises(InputError, match=words):
        Calculator().set(**{name: 1})
    assert Calculator(label="water", directory="of", atoms=Atoms("H")).label == "of/water"


def test_an_energy_of_whole_numbers_is_none(files, monkeypatch):
    def free_energy(molecule, tables, repulsion, places, kt, start):
        return jnp.sum(places) / 7, {"residual": 0.0}

    monkeypatch.setattr(convergence, "free_energy", free_energy)
    energy = energy_function(["H", "H"], files)
    whole = energy(np.array([[0, 0, 0], [0, 0, 1]]))
    assert whole == energy(np.array([[0.0, 0, 0], [0, 0, 1]])) and whole % 1 > 0.1


@pytest.mark.slow
def test_an_energy_function_in_single_precision(files):
    energy = energy_function(WATER["symbols"], files)
    places = jnp.asarray(WATER["positions_ang"], dtype=jnp.float32)
    value = jax.jit(energy)(places, neighbor=None)
    assert value.dtype == jnp.float32
    assert value == pytest.approx(WATER["mermin_free_energy_ev"], abs=3e-5)
    forces = -jax.jit(jax.grad(energy))(places)
    np.testing.assert_allclose(forces, WATER["forces_ev_ang"], atol=1e-4)
    both = jax.jit(jax.vmap(energy))(jnp.stack([places, 1.01 * places]))
    longer = float(jax.jit(energy)(1.01 * places))
    assert both.tolist() == pytest.approx([float(value), longer], abs=1e-4)
    assert abs(longer - float(value)) > 5e-3  # two energies
