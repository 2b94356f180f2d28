"""Files of a simulation, read back."""

import csv
import types

import ase.io
import matplotlib.image
import numpy as np

from qc_jax.dynamics.md import MDConfig, Trajectory
from qc_jax.report import dynamics

FRAMES, ATOMS = 5, 3


def trajectory(**changes):
    rng = np.random.default_rng(0)
    fields = {name: rng.normal(size=FRAMES) for name in ("potential", "kinetic", "temperature")}
    for name in ("positions", "velocities", "forces"):
        fields[name] = rng.normal(size=(FRAMES, ATOMS, 3))
    fields |= {"steps": np.arange(FRAMES) * 10, "dt_fs": 0.5, "outside": np.zeros(FRAMES, int)}
    fields |= {"steps_outside": 0, "first_outside": None, "rebuilt": 0, "regrown": 0}
    return Trajectory(**fields | {"compile_seconds": 0.0, "seconds": 1.0, "broke": ""} | changes)


def test_ase_reads_what_is_written(tmp_path):
    some, numbers = trajectory(), np.array([1, 8, 79])
    cell = np.array([[4, 0, 0], [0.5, 5, 0], [0, 0.1, 6]])
    for name, lattice in (("free", None), ("cell", cell)):
        dynamics.write_extxyz(tmp_path / f"{name}.xyz", some, numbers, lattice)
        frames = ase.io.read(tmp_path / f"{name}.xyz", ":")
        assert len(frames) == FRAMES
        for index, frame in enumerate(frames):
            np.testing.assert_array_equal(frame.numbers, numbers)
            np.testing.assert_allclose(frame.positions, some.positions[index], rtol=1e-7, atol=1e-8)
            np.testing.assert_allclose(frame.get_forces(), some.forces[index], rtol=1e-7, atol=1e-8)
            for velocities in (frame.arrays["velocities"], frame.get_velocities() * ase.units.fs):
                np.testing.assert_allclose(velocities, some.velocities[index], rtol=1e-6, atol=1e-8)
            assert abs(frame.get_potential_energy() - some.potential[index]) < 1e-9
            assert frame.info["step"] == 10 * index and frame.info["time_fs"] == 5 * index
            assert frame.pbc.all() == (lattice is not None)
    np.testing.assert_allclose(frames[0].cell, cell)


def test_csv(tmp_path):
    some = trajectory()
    dynamics.write_csv(tmp_path / "log.csv", some)
    with open(tmp_path / "log.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    total = [float(row["total_ev"]) for row in rows]
    np.testing.assert_array_equal(total, some.potential + some.kinetic)
    assert [float(row["time_fs"]) for row in rows] == [0, 5, 10, 15, 20]


def test_the_picture_marks_what_was_not_trained_on(tmp_path):
    pictures = []
    for outside in (np.zeros(FRAMES, int), np.array([0, 1, 1, 1, 0])):
        dynamics.plot(tmp_path / "energies.png", trajectory(outside=outside), "title")
        pictures.append(matplotlib.image.imread(tmp_path / "energies.png"))
    assert pictures[0].shape == pictures[1].shape
    assert np.abs(pictures[0] - pictures[1]).max() > 0.1


def test_drift_is_the_slope_of_the_total_energy():
    """0.3 eV of three atoms in 20 fs."""
    rising = np.linspace(0, 0.3, FRAMES)
    some = trajectory(potential=rising, kinetic=np.ones(FRAMES))
    np.testing.assert_allclose(some.drift, 0.3 / 3 / 0.02)


def test_what_broke_on_its_first_step_has_no_drift():
    nothing = np.zeros(1)
    some = trajectory(steps=nothing.astype(int), potential=nothing, kinetic=nothing)
    told = {"double": True, "lists": False, "learned_slopes": True, "numbers": np.ones(ATOMS)}
    potential = types.SimpleNamespace(**told, describe_outside=lambda _: [])
    first, second = dynamics.describe(some, MDConfig(), potential)
    assert first.startswith("0 steps of 0.5 fs") and second.startswith("temperature: mean")
