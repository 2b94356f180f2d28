"""The script as a user runs it, on a model trained on a curve."""

import csv
import re

import ase
import ase.io
import matplotlib.image
import numpy as np
import pytest
from ase.optimize import BFGS
from ase.vibrations import Vibrations

import qc_jax
from qc_jax.chem.units import FS
from tests.dynamics import toys

SCRIPT = ("-m", "experiments.simulate")


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    return toys.train(tmp_path_factory.mktemp("simulate"))


@pytest.mark.slow
def test_nve_in_float64(workdir, run_python, tmp_path):
    out = tmp_path / "out"
    flags = ("--system=N_N", "--steps=2000", "--dt_fs=0.25", "--temperature=300", "--every=2")
    done = run_python(*SCRIPT, f"--workdir={workdir}", *flags, "--float64", f"--out={out}")
    assert done.returncode == 0, done.stderr
    drift = float(re.search(r"drift (\S+) eV per atom per ps", done.stdout)[1])
    assert abs(drift) < 1e-5  # stated for float64 over 0.5 ps; a few periods alone would not tell
    frames = ase.io.read(out / "trajectory.xyz", ":")
    assert len(frames) == 1001 and frames[0].get_chemical_formula() == "N2"
    with open(out / "log.csv", newline="") as file:
        log = list(csv.DictReader(file))
    assert [int(row["step"]) for row in log] == list(range(0, 2001, 2))
    assert frames[7].get_potential_energy() == pytest.approx(float(log[7]["potential_ev"]))
    kelvin = float(log[7]["temperature_k"])
    assert frames[7].info["temperature_k"] == pytest.approx(kelvin, rel=1e-5)
    # Forces and velocities are those that move the atoms: v' = F/m, in Å, fs.
    dt = 2 * 0.25
    v = np.stack([frame.arrays["velocities"] for frame in frames])
    r = np.stack([frame.positions for frame in frames])
    np.testing.assert_allclose((r[2:] - r[:-2]) / (2 * dt), v[1:-1], atol=2e-4)
    force = np.stack([frame.get_forces() for frame in frames])
    expected = force[1:-1] / 14.007 * FS**2
    np.testing.assert_allclose((v[2:] - v[:-2]) / (2 * dt), expected, atol=0.02 * expected.max())
    assert matplotlib.image.imread(out / "energies.png").std() > 0.01
    again = run_python(*SCRIPT, f"--workdir={workdir}", *flags, f"--out={out}")
    assert again.returncode == 2 and "expected an empty or new directory" in again.stderr


@pytest.mark.slow
def test_a_file_with_a_cell_and_an_explosion(workdir, run_python, tmp_path):
    cell = 4.0 * np.eye(3)
    rows = np.array([[0, 0, 0], [0, 0, 1.1], [2, 2, 0], [2, 2, 1.1]], float)
    ase.io.write(tmp_path / "n.xyz", ase.Atoms("N4", rows, cell=cell, pbc=True))
    base = (*SCRIPT, f"--workdir={workdir}", f"--system={tmp_path / 'n.xyz'}", "--ensemble=nvt")
    done = run_python(*base, "--steps=20", f"--out={tmp_path / 'a'}")
    assert done.returncode == 0, done.stderr
    assert "neighbours: searched anew" in done.stdout
    assert re.search(r"WARNING: 20 of 20 steps have distances .* step 0: .*N-N at", done.stdout)
    assert ase.io.read(tmp_path / "a" / "trajectory.xyz").pbc.all()
    done = run_python(*base, "--steps=500", "--dt_fs=40", f"--out={tmp_path / 'b'}")
    assert done.returncode == 2
    step = int(re.search(r"error: step (\d+): an atom goes", done.stderr)[1])
    assert len(ase.io.read(tmp_path / "b" / "trajectory.xyz", ":")) == step


def _by_ase(workdir, tmp_path):
    """Return the wavenumber by the calculator, ASE's relaxation and its differences of forces."""
    atoms = ase.Atoms("N2", [(0, 0, 0), (0, 0, 1.1)], calculator=qc_jax.Calculator(workdir))
    BFGS(atoms, logfile=None).run(fmax=1e-5, steps=100)
    modes = Vibrations(atoms, name=f"{tmp_path}/modes", delta=0.005)
    modes.run()
    return modes.get_frequencies().real[-1]


@pytest.mark.slow
def test_frequency_beside_that_of_gfn2(workdir, run_python, tmp_path):
    done = run_python(*SCRIPT, f"--workdir={workdir}", "--system=N_N", "--frequency")
    assert done.returncode == 0, done.stderr
    numbers = {}
    for line in done.stdout.splitlines():
        words = line.split("  ")
        found = re.search(r"\s(\d+\.\d)\s+[+-]\d", line)
        if found:
            numbers[words[0].strip()] = float(found[1])
    ours, theirs = numbers.values()
    assert _by_ase(workdir, tmp_path) == pytest.approx(ours, rel=0.01)
    assert theirs == pytest.approx(2438, abs=2)  # tblite 0.8
    assert ours == pytest.approx(theirs, rel=0.15)


@pytest.mark.slow
def test_bad_input(workdir, run_python, tmp_path):
    def error(*flags):
        done = run_python(*SCRIPT, f"--workdir={workdir}", *flags)
        assert done.returncode == 2, done.stdout
        return done.stderr

    out = f"--out={tmp_path / 'x'}"
    assert "not trained on C_O" in error("--system=C_O", out)
    assert not (tmp_path / "x").exists()
