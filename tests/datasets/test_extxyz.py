"""Molecules and crystals of one's own in extended XYZ."""

import warnings

import ase
import ase.io
import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator

from qc_jax.data.scaling import total_offsets
from qc_jax.data.structures import prepare
from qc_jax.datasets import open_structures
from qc_jax.errors import InputError


def crystals(count=20):
    """Frames of Cu and Cu2 crystals with energies and forces of the effective medium theory."""
    rng = np.random.default_rng(0)
    frames = []
    for at in range(count):
        atoms = bulk("Cu", cubic=True) if at % 2 else bulk("Cu")
        atoms.rattle(0.05, rng=rng)
        atoms.calc = EMT()
        results = {"energy": atoms.get_potential_energy(), "forces": atoms.get_forces()}
        atoms.calc = SinglePointCalculator(atoms, **results)
        frames.append(atoms)
    return frames


STRESS = 'stress="1 2 3 2 4 5 3 5 6"'


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("extxyz") / "cu.xyz"
    ase.io.write(path, crystals())
    return path


def test_forces_of_another_energy_are_told(tmp_path):
    """As programs write warm electrons, and as our own export writes pairs."""
    frames = crystals(2)
    for frame in frames:
        results = frame.calc.results
        frame.calc = SinglePointCalculator(frame, free_energy=results["energy"] - 0.2, **results)
    ase.io.write(tmp_path / "warm.xyz", frames)
    with pytest.warns(UserWarning, match=r"differ by up to 0\.2 eV.*warm\.xyz\?energy=free_energy"):
        open_structures(f"extxyz:{tmp_path / 'warm.xyz'}")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = open_structures(f"extxyz:{tmp_path / 'warm.xyz'}?energy=free_energy")
    np.testing.assert_allclose(
        found.targets["total_energy_ev"], [frame.calc.results["free_energy"] for frame in frames]
    )


def test_energies_forces_and_cells(path):
    found = open_structures(f"extxyz:{path}")
    frames = crystals()
    energies = [frame.get_potential_energy() for frame in frames]
    np.testing.assert_allclose(found.targets["total_energy_ev"], energies)
    record = found.read(found.source[3])
    np.testing.assert_allclose(record["forces"], frames[3].get_forces(), atol=1e-7)
    np.testing.assert_allclose(record["cell"], frames[3].cell, atol=1e-7)
    assert found.periodic and found.sizes[:4].tolist() == [1, 4, 1, 4]
    task = prepare(found, ("total_energy_ev",), seed=42, cutoff=3.0)
    assert [len(rows) for rows in task.split.parts().values()] == [16, 2, 2]
    again = prepare(open_structures(f"extxyz:{path}"), ("total_energy_ev",), seed=1, cutoff=3.0)
    assert not np.array_equal(again.split.train, task.split.train)
    assert task.dataset.forces.shape == (20, 4, 3)


def test_keys_of_ones_own_and_targets_of_comments(tmp_path):
    frames = []
    for at in range(12):
        atoms = ase.Atoms("CO", [[0, 0, 0], [0, 0, 1.1 + 0.01 * at]])
        atoms.info |= {"E": float(at), "e_homo_ev": -13.0 - at, "comment": "x"}
        atoms.arrays["F"] = np.full((2, 3), 0.1 * at)
        frames.append(atoms)
    ase.io.write(tmp_path / "co.xyz", frames)
    found = open_structures(f"extxyz:{tmp_path / 'co.xyz'}?energy=E&forces=F")
    np.testing.assert_array_equal(found.targets["total_energy_ev"], np.arange(12.0))
    np.testing.assert_array_equal(found.targets["e_homo_ev"], -13.0 - np.arange(12))
    assert set(found.targets) == {"total_energy_ev", "e_homo_ev"} and not found.periodic
    np.testing.assert_allclose(found.source[2]["forces"], 0.2)
    with pytest.raises(InputError, match="frame 0: expected the key 'Energy', an energy in eV"):
        open_structures(f"extxyz:{tmp_path / 'co.xyz'}?energy=Energy")
    with pytest.raises(InputError, match="frame 0: expected forces under 'G'"):
        open_structures(f"extxyz:{tmp_path / 'co.xyz'}?energy=E&forces=G")
    for options, message in {
        "?gap=E": "unknown option of extxyz 'gap'; choose one of: energy, forces, stress",
        "?energy": "expected options like",
        "?energy=": "the option energy is empty",
        "?energy=E&energy=E": "the option energy stands twice",
    }.items():
        with pytest.raises(InputError, match=message):
            open_structures(f"extxyz:{tmp_path / 'co.xyz'}{options}")


def test_the_energy_by_its_name_as_a_target(tmp_path):
    """Where a frame has no `energy`, and none was asked for."""
    path = tmp_path / "co.xyz"
    frame = "2\n{} Properties=species:S:1:pos:R:3\nC 0 0 0\nO 0 0 1.1\n"
    path.write_text(
        frame.format("total_energy_ev=-1.5 e_homo_ev=-13")
        + frame.format("total_energy_ev=-2.5 energy=-3.5")
    )
    found = open_structures(f"extxyz:{path}").targets
    np.testing.assert_array_equal(found["total_energy_ev"], [-1.5, -3.5])
    np.testing.assert_array_equal(found["e_homo_ev"], [-13, np.nan])
    with pytest.raises(InputError, match="frame 0: expected the key 'energy', an energy in eV"):
        open_structures(f"extxyz:{path}?energy=energy")
    path.write_text(frame.format("total_energy_ev=many"))
    with pytest.raises(InputError, match="frame 0: total_energy_ev: expected a finite energy"):
        open_structures(f"extxyz:{path}")


def test_energies_of_several_compositions_lose_a_constant_an_element(tmp_path):
    rng = np.random.default_rng(0)
    frames, extra = [], rng.normal(size=24)
    for at in range(24):
        symbols = ("CO", "CO2", "C3", "C2O")[at % 4]
        atoms = ase.Atoms(symbols, rng.normal(size=(2 if symbols == "CO" else 3, 3)))
        carbon, oxygen = (int((atoms.numbers == z).sum()) for z in (6, 8))
        atoms.info |= {"energy": -1030.5 * carbon - 2041.25 * oxygen + 0.1 * extra[at]}
        frames.append(atoms)
    ase.io.write(tmp_path / "mixed.xyz", frames)
    task = prepare(open_structures(f"extxyz:{tmp_path / 'mixed.xyz'}"), ("total_energy_ev",), 1)
    assert task.element_offsets["C"][0] == pytest.approx(-1030.5, abs=0.2)
    assert task.element_offsets["O"][0] == pytest.approx(-2041.25, abs=0.2)
    assert "less eV an atom: C -1030." in task.notes[-1]
    numbers = np.asarray(task.dataset.structures.atomic_numbers)
    offsets = total_offsets(np.array(task.offsets), task.element_offsets, numbers)
    energies = [frame.info["energy"] for frame in frames]
    np.testing.assert_allclose(
        np.asarray(task.dataset.labels) + offsets, np.c_[energies], atol=1e-6
    )
    assert np.abs(task.dataset.labels).max() < 1
    with pytest.raises(InputError, match="N is in no training structure: its energy as an atom"):
        total_offsets(np.array(task.offsets), task.element_offsets, np.array([[7, 6]]))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text.replace("energy=", "eng="), "no frame has an energy"),
        (lambda text: text.replace("energy=", "energy=nan e2=", 1), "frame 0: energy: .*got nan"),
        (lambda text: text.replace(":forces:R:3", ":other:R:3", 1), "frame 0: expected forces und"),
        (
            lambda text: text.replace("energy=", 'stress="1 2" energy='),
            "not an .* info item stress",
        ),
        (
            lambda text: text.replace("energy=", f"{STRESS} energy=", 1),
            "frame 1: expected stress und",
        ),
        (lambda text: text.replace("T T T", "T T F", 1), "frame 0: pbc: expected periodic in all"),
    ],
)
def test_wrong_files(path, tmp_path, change, message):
    (tmp_path / "bad.xyz").write_text(change(path.read_text()))
    with pytest.raises(InputError, match=rf"bad\.xyz: {message}"):
        open_structures(f"extxyz:{tmp_path / 'bad.xyz'}")
