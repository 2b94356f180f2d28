"""Simulations: what they keep, by what they are known to do."""

import jax
import numpy as np
import pytest
from ase.build import molecule

from qc_jax.chem.units import FS, KELVIN_EV
from qc_jax.data.atoms import Structure, from_ase
from qc_jax.data.batch import from_arrays
from qc_jax.data.domain import TrainingDomain
from qc_jax.dynamics import md, vibration
from qc_jax.dynamics.potential import Potential
from qc_jax.errors import InputError
from qc_jax.runs.loading import load
from tests.dynamics import toys

# eV per atom per ps: what velocity Verlet in float64 keeps with steps of a fiftieth of a period.
DRIFT = 1e-6


@pytest.fixture(scope="module")
def morse():
    return Potential(toys.trained(toys.Morse()), toys.pair(toys.BOND), double=True)


def test_nve_keeps_the_energy_and_has_the_frequency(morse):
    config = md.MDConfig(steps=1200, dt_fs=0.4, temperature=50, seed=3)
    done = md.run(morse, toys.pair(toys.BOND).positions, config)
    assert done.broke == "" and done.steps[-1] == 1200 and len(done.steps) == 1201
    assert done.temperature[0] == pytest.approx(50, rel=1e-6)
    assert abs(done.drift) < DRIFT
    assert np.abs(done.total - done.total[0]).max() < 1e-3 * np.ptp(done.potential)
    # Nothing moves or turns as a whole, and what is kept fits together.
    masses = np.array([12.011, 15.999])[:, None]
    assert np.abs((masses * done.velocities).sum(axis=1)).max() < 1e-10
    kinetic = (masses * (done.velocities / FS) ** 2).sum(axis=(1, 2)) / 2
    np.testing.assert_allclose(kinetic, done.kinetic, rtol=1e-12)
    energy, forces = morse.energy_and_forces(done.positions[700])
    assert energy == pytest.approx(done.potential[700], rel=1e-9)
    np.testing.assert_allclose(forces, done.forces[700], rtol=1e-9)
    # The bond's length goes through its mean twice a period.
    length = np.linalg.norm(done.positions[:, 1] - done.positions[:, 0], axis=1)
    crossings = np.flatnonzero(np.diff(np.sign(length - length.mean())) > 0)
    period = np.diff(crossings).mean() * 0.4
    expected = vibration.of_pair(morse, 0.8, 2.0).wavenumber_cm
    assert 1 / (period * 2.99792458e-5) == pytest.approx(expected, rel=0.02)


@pytest.mark.slow
def test_langevin_holds_the_temperature(morse):
    config = md.MDConfig("nvt", 6000, 1.0, 400, seed=1, friction=50, every=2)
    done = md.run(morse, toys.pair(toys.BOND).positions, config)
    assert len(done.steps) == 3001 and done.broke == ""
    # Six degrees of freedom, correlated for 1/(2 · 50/ps).
    assert done.temperature.mean() == pytest.approx(400, rel=0.15)
    again = md.run(morse, toys.pair(toys.BOND).positions, config)
    np.testing.assert_array_equal(done.positions, again.positions)


@pytest.mark.slow
def test_lists_change_nothing():
    """Atoms that fly apart and meet: with neighbours searched anew, as if all saw all."""
    rng = np.random.default_rng(0)
    grid = np.stack(np.meshgrid(*[np.arange(3)] * 3), -1).reshape(-1, 3)
    positions = 1.6 * grid + rng.uniform(-0.1, 0.1, (27, 3))
    cell = 4.8 * np.eye(3)
    config = md.MDConfig(steps=150, dt_fs=2.0, temperature=3000, every=50)
    gas = Structure(np.full(27, 10), positions, cell)
    some = Potential(toys.trained(toys.Soft(cutoff=2.0)), gas, double=True)
    done = md.run(some, positions, config)
    assert done.broke == "" and done.rebuilt >= 3
    assert np.abs(done.total - done.total[0]).max() < 5e-3
    energies = []
    for frame, there in enumerate(done.positions):
        energy, forces = some.energy_and_forces(there)
        energies.append(energy)
        np.testing.assert_allclose(forces, done.forces[frame], atol=1e-10)
    np.testing.assert_allclose(energies, done.potential, rtol=1e-10)


def test_what_was_not_trained_on_is_told():
    places = np.array([[[0, 0, 0], [0, 0, far]] for far in (1.15, 1.25)])
    known = TrainingDomain.of_structures(from_arrays(np.array([[6, 8]] * 2), places))
    potential = Potential(toys.trained(toys.Morse(), domain=known), toys.pair(1.2), double=True)
    config = md.MDConfig(steps=200, dt_fs=0.4, temperature=2000, seed=3)
    done = md.run(potential, toys.pair(1.2).positions, config)
    length = np.linalg.norm(done.positions[:, 1] - done.positions[:, 0], axis=1)
    outside = (length < 1.15 - 1e-4) | (length > 1.25 + 1e-4)
    np.testing.assert_array_equal(done.outside > 0, outside)
    step, lines = done.first_outside
    assert step == np.argmax(outside) and done.steps_outside == outside[1:].sum()
    assert lines == [f"C-O at {length[step]:.3f} Å, trained on 1.150 to 1.250 Å"]


def test_an_explosion_ends_it_and_keeps_what_came_before(morse, monkeypatch):
    """The last step, too, which is no third one here, and is of the block before."""
    monkeypatch.setattr(md, "_BLOCK_STEPS", 2)
    config = md.MDConfig(steps=1000, dt_fs=12.0, temperature=300, every=3)
    with jax.debug_nans(False):
        done = md.run(morse, toys.pair(1.2).positions, config)
        assert done.broke.startswith("step 5: an atom goes more than 0.5 Å")
        assert done.steps.tolist() == [0, 3, 4]
        energy, forces = morse.energy_and_forces(done.positions[-1])
        assert done.potential[-1] == pytest.approx(energy, rel=1e-9)
        np.testing.assert_allclose(done.forces[-1], forces, rtol=1e-9)
        with pytest.raises(InputError, match="not finite before the first step"):
            md.run(morse, np.full((2, 3), np.nan), config)


def test_a_draw_has_its_temperature():
    masses = np.array([1.008, 15.999, 30.0])
    drawn = md.momenta(masses, 500, seed=1)
    assert np.abs(drawn.sum(axis=0)).max() < 1e-12
    kinetic = (drawn**2 / masses[:, None]).sum() / 2
    assert kinetic == pytest.approx(6 * KELVIN_EV * 500 / 2, rel=1e-12)
    many = md.momenta(np.full(20_000, 4.0), 500, seed=1, still=False)
    assert (many**2).mean() / 4 == pytest.approx(KELVIN_EV * 500, rel=0.02)
    assert (md.momenta(masses, 0, seed=1) == 0).all()


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("ensemble", "npt", "unknown ensemble 'npt'; choose one of: nve, nvt"),
        ("steps", 0, "steps: expected at least 1"),
        ("dt_fs", 0.0, "dt_fs: expected above 0"),
        ("friction", -1.0, "friction: expected above 0"),
        ("temperature", -1.0, "temperature: expected at least 0 K"),
        ("seed", -1, "seed: expected 0 to"),
    ],
)
def test_bad_settings(field, value, message):
    with pytest.raises(InputError, match=message):
        md.MDConfig(**{field: value})


@pytest.mark.slow
def test_a_molecule_of_the_tight_binding_network_keeps_its_energy():
    """Methane, with degenerate levels; half the step leaves a quarter of the error."""
    atoms = from_ase(molecule("CH4"))
    potential = Potential(load("tight_binding/ptbp"), atoms, double=True)
    errors = []
    for step in (0.2, 0.1):
        config = md.MDConfig(steps=round(20 / step), dt_fs=step, temperature=300, seed=1)
        done = md.run(potential, atoms.positions, config)
        assert done.broke == ""
        errors.append(np.abs(done.total - done.total[0]).max())
    assert errors[0] < 5e-3 * np.ptp(done.potential)
    assert errors[0] / errors[1] == pytest.approx(4, rel=0.2)
