"""The calculator of ASE on a model that was trained on a curve of N2."""

import warnings

import ase
import numpy as np
import pytest
from ase.build import molecule
from ase.calculators.calculator import PropertyNotImplementedError
from ase.calculators.fd import calculate_numerical_forces, calculate_numerical_stress
from ase.optimize import BFGS
from ase.vibrations import Vibrations

from qc_jax.ase import Calculator
from qc_jax.data.batch import from_arrays
from qc_jax.data.domain import TrainingDomain
from qc_jax.dynamics import vibration
from qc_jax.dynamics.potential import Potential
from qc_jax.errors import InputError
from qc_jax.runs.loading import load
from tests.dynamics import toys


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    return toys.train(tmp_path_factory.mktemp("ase"))


def n2(distance: float) -> ase.Atoms:
    return ase.Atoms("N2", [[0, 0, 0], [0.3, 0, distance]])


@pytest.fixture(scope="module")
def morse():
    """Of a curve whose answers are known."""
    return Calculator(toys.trained(toys.Morse(), offset=-300.0))


def vibrate(atoms: ase.Atoms, calculator: Calculator, folder) -> float:
    """Relaxed, and then its wavenumber in 1/cm."""
    atoms.calc = calculator
    assert BFGS(atoms, logfile=None).run(fmax=1e-5, steps=50)
    modes = Vibrations(atoms, name=str(folder / "modes"), delta=0.002)
    modes.run()
    return modes.get_frequencies().real[-1]


def test_relaxes_and_vibrates(morse, tmp_path):
    """k = 2 D a² at the bond's length."""
    atoms = n2(1.4)
    wavenumber = vibrate(atoms, morse, tmp_path)
    assert atoms.get_distance(0, 1) == pytest.approx(toys.BOND, abs=1e-6)
    constant = 2 * toys.DEPTH * toys.STEEPNESS**2
    expected = vibration.of_force_constant(atoms.numbers, toys.BOND, constant)
    assert wavenumber == pytest.approx(expected.wavenumber_cm, rel=1e-4)


def test_forces_are_differences_of_energies(morse):
    atoms = ase.Atoms("N2O", [[0, 0, 0], [0, 0.2, 1.3], [0.4, 1.4, 0.3]], calculator=morse)
    expected = calculate_numerical_forces(atoms, eps=1e-4)
    np.testing.assert_allclose(atoms.get_forces(), expected, atol=1e-6)
    assert np.abs(expected).max() > 0.1
    assert atoms.get_potential_energy(force_consistent=True) == morse.results["energy"]
    with pytest.raises(PropertyNotImplementedError):
        atoms.get_stress()


@pytest.mark.parametrize(
    "cell", [np.diag([2.9, 3.2, 3.6]), [[3.1, 0, 0], [0.4, 3.4, 0], [1, 1, 4]]]
)
def test_stress_is_the_derivative_by_strain(cell):
    """Against differences of energies, by ASE; in cells narrower than twice the cutoff."""
    run = toys.trained(toys.Soft(cutoff=2.8), offset=-40.0)
    atoms = ase.Atoms("N3", [[0, 0, 0], [0, 0.2, 1.3], [0.4, 1.4, 0.3]], cell=cell, pbc=True)
    atoms.calc = Calculator(run)
    expected = calculate_numerical_stress(atoms, eps=1e-5)
    np.testing.assert_allclose(atoms.get_stress(), expected, atol=1e-7)
    assert np.abs(expected).max() > 0.01 and np.abs(expected[3:]).max() > 1e-4
    assert atoms.get_potential_energy() == pytest.approx(run.predict(atoms)[0, 0], abs=1e-4)


class OneOrNone:
    """Stands for a potential: its energy is 1 eV in a cell, and 0 of free atoms."""

    learned_slopes = True

    def __init__(self, run, structure, double):
        self.energy = 0.0 if structure.cell is None else 1.0

    def energy_forces_virial(self, positions):
        return self.energy, np.zeros_like(positions), np.zeros((3, 3))

    def describe_outside(self, positions):
        return []


def test_after_an_error_the_energy_is_of_the_atoms_that_are_asked(morse, monkeypatch):
    """ASE has noted the new atoms by then, and tells of no change when they come again."""
    monkeypatch.setattr("qc_jax.ase.Potential", OneOrNone)
    calculator = Calculator(morse._run)
    crystal = ase.Atoms("N2", [[0, 0, 0], [0, 0, 1.3]], cell=[3, 3, 3], pbc=True)
    crystal.calc = calculator
    free = ase.Atoms("N2", crystal.positions, calculator=calculator)
    assert crystal.get_potential_energy() == 1
    with pytest.raises(PropertyNotImplementedError):
        free.get_stress()
    assert free.get_potential_energy() == 0


def test_the_same_energy_as_predict(morse):
    atoms = n2(1.3)
    atoms.calc = morse
    energy = atoms.get_potential_energy()
    assert energy == pytest.approx(morse._run.predict(atoms)[0, 0], abs=1e-4) and energy < -290


def test_atoms_outside_of_the_domain_are_refused_or_told():
    places = np.array([[[0, 0, 0], [0, 0, far]] for far in (1.10, 1.15)])
    known = TrainingDomain.of_structures(from_arrays(np.array([[6, 8]] * 2), places))
    calculator = Calculator(toys.trained(toys.Soft(cutoff=5.0), domain=known))
    for atoms, message in (
        (ase.Atoms(), "expected at least one atom, got none"),
        (ase.Atoms("CX", [[0, 0, 0], [0, 0, 1.1]]), "atom 1: expected an element"),
        (ase.Atoms("CO", [[0, 0, 0], [0, np.nan, 1.1]]), "atom 1: expected finite coordinates"),
    ):
        atoms.calc = calculator
        with pytest.raises(InputError, match=message):
            atoms.get_potential_energy()
    for atoms, message in (
        (ase.Atoms("O"), "1 atom, trained on structures of 2"),
        (ase.Atoms("CO", [[0, 0, 0], [0, 0, 9.9]]), "C without a neighbour within the model's"),
        (ase.Atoms("CO", [[0, 0, 0], [0, 0, 2.0]]), "C-O at 2.000 Å, trained on 1.100 to 1.150 Å"),
        (ase.Atoms("CN", [[0, 0, 0], [0, 0, 1.1]]), "N is in no training structure"),
    ):
        atoms.calc = calculator
        with pytest.warns(UserWarning, match=f"outside of what the model was .*: {message}"):
            atoms.get_potential_energy()


def test_bad_input(morse, tmp_path):
    atoms = n2(1.1)
    atoms.set_cell([4, 4, 4])
    atoms.pbc = (True, True, False)
    atoms.calc = morse
    with pytest.raises(InputError, match="periodic in all three directions or none"):
        atoms.get_potential_energy()
    for given in ({"precision": "float32"}, {"run": "runs/other"}):
        with pytest.raises(InputError, match="cannot be set; a calculator is made with run, doub"):
            morse.set(**given)
    with pytest.raises(InputError, match="charge: cannot be set"):
        Calculator(morse._run, charge=1)
    with pytest.raises(InputError, match="is not the directory of a training"):
        Calculator(tmp_path)
    with pytest.raises(InputError, match="predicts e_g_ev; dynamics needs an energy"):
        Calculator(toys.trained(toys.Morse(), ("e_g_ev",)))


@pytest.mark.slow
def test_a_trained_model_vibrates(workdir, tmp_path):
    """As the second derivative says, at the distance where GFN2-xTB has its minimum."""
    trained, table = load(workdir), toys.curve()
    potential = Potential(trained, toys.pair(1.0, (7, 7)), double=True)
    ours = vibration.of_pair(potential, *trained.domain.range_of(7, 7))
    atoms = n2(1.25)
    wavenumber = vibrate(atoms, Calculator(workdir), tmp_path)
    assert atoms.get_distance(0, 1) == pytest.approx(ours.distance_ang, abs=1e-4)
    best = table.targets["distance_ang"][np.argmin(table.targets["mermin_free_energy_ev"])]
    assert ours.distance_ang == pytest.approx(best, abs=0.05)
    assert wavenumber == pytest.approx(ours.wavenumber_cm, rel=0.01)


@pytest.mark.slow
def test_a_cell_and_free_atoms_by_one_calculator(workdir):
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


@pytest.mark.slow
def test_distances_that_were_not_trained_on_are_told_once(workdir):
    atoms = n2(3.2)
    atoms.calc = calculator = Calculator(workdir)
    with pytest.warns(UserWarning, match=r"outside .*: N-N at 3\.21\d Å, trained on"):
        atoms.get_potential_energy()
    assert len(calculator.outside) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        atoms.positions[1, 2] = 3.3
        atoms.get_potential_energy()
        atoms.positions[1, 2] = 1.2
        atoms.get_potential_energy()
    assert calculator.outside == []


@pytest.mark.slow
def test_forces_of_a_molecule_by_the_packed_tight_binding_network():
    """It is of pairs, and says so."""
    atoms = molecule("NH3")
    atoms.calc = Calculator("tight_binding/ptbp")
    with pytest.warns(UserWarning, match="4 atoms, trained on structures of 2"):
        forces = atoms.get_forces()
    expected = calculate_numerical_forces(atoms, eps=1e-4)
    np.testing.assert_allclose(forces, expected, atol=1e-5)
    assert np.abs(expected).max() > 0.1


def test_forces_that_no_training_has_seen_are_told_once(recwarn):
    """Of relaxed pairs: not where the energy of one at its bond length is asked."""
    calculator = Calculator("tight_binding/ptbp")
    pairs = calculator._run.pairs
    name = calculator._run.split["train"][0]
    row = list(pairs.names).index(name)
    atoms = ase.Atoms(name.replace("_", ""), pairs.positions[row], calculator=calculator)
    atoms.get_potential_energy()
    assert not recwarn.list
    for _ in range(2):
        atoms.get_forces()
        atoms.positions[0, 0] += 1e-5
    (told,) = recwarn.list
    assert "on no forces and on each pair at one distance" in str(told.message)
    learned = n2(1.2)
    learned.calc = Calculator(toys.trained(toys.Soft(cutoff=5.0)))
    learned.get_forces()
    assert len(recwarn.list) == 1
