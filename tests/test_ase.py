"""The calculator of ASE on a model that was trained on a curve of N2."""

import warnings

import ase
import numpy as np
import pytest
from ase.calculators.fd import calculate_numerical_forces
from ase.optimize import BFGS
from ase.vibrations import Vibrations

from qc_jax.ase import Calculator
from qc_jax.data.table import open_table
from qc_jax.dynamics import seen, vibration
from qc_jax.dynamics.potential import Potential
from qc_jax.errors import InputError
from qc_jax.train.restore import open_trained
from tests.dynamics import toys


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    return toys.train(tmp_path_factory.mktemp("ase"))


def n2(distance: float) -> ase.Atoms:
    return ase.Atoms("N2", [[0, 0, 0], [0.3, 0, distance]])


def test_relaxes_and_vibrates(workdir, tmp_path):
    """As the second derivative says, at the distance where GFN2-xTB has its minimum."""
    trained, table = open_trained(workdir), toys.curve()
    potential = Potential(trained, toys.pair(1.0, (7, 7)), double=True)
    ours = vibration.of_pair(potential, *seen.of_training(trained, table).range_of(7, 7))
    atoms = n2(1.25)
    atoms.calc = Calculator(workdir)
    BFGS(atoms, logfile=None).run(fmax=1e-4, steps=50)
    assert atoms.get_distance(0, 1) == pytest.approx(ours.distance_ang, abs=1e-4)
    best = table.targets["distance_ang"][np.argmin(table.targets["total_energy_ev"])]
    assert ours.distance_ang == pytest.approx(best, abs=0.05)
    modes = Vibrations(atoms, name=str(tmp_path / "modes"), delta=0.002)
    modes.run()
    assert modes.get_frequencies().real[-1] == pytest.approx(ours.wavenumber_cm, rel=0.01)


@pytest.mark.slow
def test_forces_are_differences_of_energies_free_and_in_a_cell(workdir):
    calculator = Calculator(workdir)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for pbc in (False, True):
            atoms = ase.Atoms("N3", [[0, 0, 0], [0, 0.2, 1.3], [0.4, 1.4, 0.3]])
            atoms.set_cell([2.9, 3.2, 3.6])
            atoms.pbc = pbc
            atoms.calc = calculator
            expected = calculate_numerical_forces(atoms, eps=1e-4)
            np.testing.assert_allclose(atoms.get_forces(), expected, atol=1e-5)
            assert np.abs(expected).max() > 0.1
            assert atoms.get_potential_energy(force_consistent=True) == calculator.results["energy"]


def test_distances_that_were_not_trained_on_are_told_once(workdir):
    atoms = n2(3.2)
    atoms.calc = calculator = Calculator(workdir)
    with pytest.warns(UserWarning, match=r"outside .*: N-N at 3\.21 Å, trained on"):
        atoms.get_potential_energy()
    assert len(calculator.outside) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        atoms.positions[1, 2] = 3.3
        atoms.get_potential_energy()
        atoms.positions[1, 2] = 1.2
        atoms.get_potential_energy()
    assert calculator.outside == []


def test_bad_input(workdir, tmp_path):
    atoms = n2(1.1)
    atoms.set_cell([4, 4, 4])
    atoms.pbc = (True, True, False)
    atoms.calc = Calculator(workdir)
    with pytest.raises(InputError, match="periodic in all three directions or none"):
        atoms.get_potential_energy()
    with pytest.raises(InputError, match="is not a work directory"):
        Calculator(tmp_path)


def test_without_its_data_it_says_so(workdir):
    path = workdir.parent / "curve.npz"
    path.rename(path.with_suffix(".gone"))
    with pytest.warns(UserWarning, match=r"distances are not compared .*no such file"):
        Calculator(workdir)
    path.with_suffix(".gone").rename(path)
    assert len(open_table(str(path))) == len(toys.curve())
