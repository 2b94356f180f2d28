"""read_pair: fixtures with numbers known, files cut anywhere, and real outputs of DFTB+ 25.1."""

import os
import pathlib
import shutil

import numpy as np
import pytest

from qc_jax.engines.dftbplus import read_pair
from qc_jax.engines.dftbplus.pair import pair_of, read
from qc_jax.engines.engine import EngineError
from qc_jax.engines.sanity import SanityChecks
from tests.engines.dftbplus.outputs import SAMPLES, edit, needs_samples
from tests.fixtures.dftbplus import make

NOT_CONVERGED = ("Cl_P", "F_P", "F_S")  # of raw_data
HARTREE_EV = 27.211386245988
FILES = tuple(make.FILES)


@pytest.fixture
def copy(tmp_path):
    """Copies a directory of outputs, so that a test may spoil it; returns where it is."""

    def copied(source: pathlib.Path, name: str = "") -> pathlib.Path:
        target = tmp_path / (name or source.name)
        shutil.copytree(source, target)
        return target

    return copied


def reason(directory: pathlib.Path) -> str:
    with pytest.raises(EngineError) as raised:
        read_pair(directory)
    return str(raised.value)


@pytest.mark.parametrize("name", make.PAIRS)
def test_fixtures_are_what_their_script_makes(tmp_path, name):
    make.write(make.PAIRS[name], tmp_path)
    for file in FILES:
        assert (tmp_path / file).read_bytes() == (make.TREE / name / file).read_bytes()


def test_unpolarised():
    record = read_pair(make.TREE / "Cl_Mg")
    assert record.name == "Cl_Mg"
    assert record.distance == pytest.approx(2.2, abs=1e-12)
    assert record.positions == [[0, 0, 0.1], [0, 0, 2.3]]
    assert record.charges == [-0.34, 0.34]
    assert record.populations[0][:9] == [1.9, 1.86, 1.75, 1.84, 0.01, -0.005, -0.02, -0.007, 0.012]
    assert record.dipole == pytest.approx([0, 0, 3.5928], abs=1e-4)
    assert record.diagnostics is None and record.forces is None
    assert record.targets == pytest.approx(
        {
            "e_homo_ev": -3.125,
            "e_lumo_ev": -3.125,  # half filled
            "band_energy_ev": -92.225,
            "repulsive_energy_ev": 0.0375 * HARTREE_EV,
            "total_energy_ev": -3.3425 * HARTREE_EV,
            "mermin_free_energy_ev": (-3.3425 - 0.0013170415) * HARTREE_EV,
            "fermi_level_ev": -3.125,
        },
        abs=1e-8,
    )
    assert record.extras == {
        "total_charge": 0.0,
        "n_levels": 13.0,
        "max_occupancy": 2.0,
        "metal_like": 1.0,
        "no_virtual_in_basis": 0.0,
        "dipole_x_d": 0.0,
        "dipole_y_d": 0.0,
        "geom_opt_step": 6.0,
        "scc_last_iter": 3.0,
        "scc_last_total_elec_eh": -3.38,
        "scc_last_diff_elec": -2.5e-8,
        "scc_last_error": 1.5e-6,
        "geom_converged": 1.0,
        "scc_converged": 1.0,
        "n_atoms": 2.0,
        "system_id_guess": "Cl_Mg",
    }
    assert SanityChecks().failure(record) is None


def test_polarised():
    record = read_pair(make.TREE / "N_O_spin")
    assert record.name == "N_O"
    assert record.targets["e_homo_ev"] == -6  # of the up channel
    assert record.targets["e_lumo_ev"] == -5  # of the down channel
    assert record.targets["band_energy_ev"] == pytest.approx(-171, abs=1e-8)
    assert record.targets["fermi_level_ev"] == pytest.approx(-6.875, abs=1e-8)  # the mean
    entropy = record.targets["total_energy_ev"] - record.targets["mermin_free_energy_ev"]
    assert entropy == pytest.approx(0.003 * HARTREE_EV, rel=1e-9)
    assert record.charges == [0.1, -0.1]
    assert record.populations[0][:4] == pytest.approx([1.75, 1.05, 1.05, 1.05], abs=1e-12)
    assert record.populations[1][:4] == pytest.approx([1.85, 1.35, 1.55, 1.35], abs=1e-12)
    expected = {"n_levels": 16.0, "max_occupancy": 1.0, "metal_like": 0.0}
    assert record.extras | expected == record.extras
    assert record.extras["system_id_guess"] == "N_O_spin"
    assert SanityChecks().failure(record) is None


def test_no_empty_orbital():
    record = read_pair(make.TREE / "He_He")
    assert record.targets["e_homo_ev"] == -15.25
    assert np.isnan(record.targets["e_lumo_ev"])
    assert record.extras["no_virtual_in_basis"] == 1 and record.extras["metal_like"] == 0
    assert SanityChecks().failure(record) is None


def test_atoms_in_the_other_order_are_put_in_that_of_the_name():
    """Li, then F in all files: positions, charges and populations turn; the dipole does not."""
    record = read_pair(make.TREE / "F_Li")
    assert record.name == "F_Li"
    assert record.positions == [[0, 0, 1.5], [0, 0, -0.05]]
    assert record.charges == [-0.5, 0.5]
    assert record.populations[0][:4] == [1.95, 1.9, 1.75, 1.9]
    assert record.populations[1][:4] == [0.3, 0.05, 0.1, 0.05]
    # From the negative fluorine to the positive lithium, downwards.
    assert record.dipole == pytest.approx([0, 0, -0.775 * 4.80320], abs=1e-4)


def test_not_along_z():
    record = read_pair(make.TREE / "H_H")
    assert record.positions == [[0.03, 0, 0], [0.03, 0.75, 0]]
    assert record.distance == pytest.approx(0.75, abs=1e-12)


@pytest.mark.parametrize(
    ("directory", "name"),
    [
        ("Ag_Al", "Ag_Al"),
        ("tree/Ag_Al/", "Ag_Al"),
        ("H_O_spin", "H_O"),
        ("H_H", "H_H"),
        ("O_H", None),
        ("ag_al", None),
        ("Ag", None),
        ("Ag_", None),
        ("Ag_Xx", None),
        ("AgAl", None),
        ("notes", None),
    ],
)
def test_names(directory, name):
    assert pair_of(directory) == name


def test_other_names_are_no_pairs(copy):
    said = "name: 'Li_F' is no pair; expected two symbols in alphabetical order, like 'Ag_Al'"
    assert reason(copy(make.TREE / "F_Li", "Li_F")) == said


@pytest.mark.parametrize(
    ("file", "old", "new", "said"),
    [
        ("geo_end.xyz", "Step: 6", "Step: 5", "geometry: step 5 in geo_end.xyz, step 6 in"),
        (
            "geo_end.xyz",
            "7.34000000",
            "7.33999800",
            "geometry: 7.33999800 electrons on atom 1 in geo_end.xyz, 7.34000000 in detailed.out",
        ),
        ("geo_end.xyz", "7.34000000", "-0.3400000", "geometry: -0.34000000 electrons on atom 1"),
        ("geo_end.xyz", "   Mg", "   Ca", "geometry: Cl and Ca in geo_end.xyz, but a directory of"),
        ("dftb.log", "step: 6", "step: 7", "geometry: step 6 in detailed.out, step 7 in dftb.log"),
        ("band.out", "2.00000", "1.00000", "bands: 5.00000 electrons in band.out, 9.00000 in"),
        ("band.out", "-20.5000", "*" * 10, "numbers: line 2 of band.out is too wide for its"),
    ],
)
def test_files_of_several_calculations(copy, file, old, new, said):
    directory = copy(make.TREE / "Cl_Mg")
    edit(directory / file, old, new)
    assert said in reason(directory)


def test_missing_files(copy):
    directory = copy(make.TREE / "Cl_Mg")
    (directory / "dftb.log").unlink()
    assert read_pair(directory) == read_pair(make.TREE / "Cl_Mg")  # the others suffice
    for file, said in (
        ("band.out", "bands: no band.out, and no e_homo_ev of this pair in a table"),
        ("geo_end.xyz", "files: no geo_end.xyz"),
        ("detailed.out", "files: no detailed.out"),
    ):
        (directory / file).unlink()
        assert reason(directory) == said


def test_levels_of_a_table_where_band_out_is_missing(copy):
    directory = copy(make.TREE / "Cl_Mg")
    labels = {"e_homo_ev": -3.12, "e_lumo_ev": -3.0, "n_levels": 13.0, "total_energy_ev": 5.0}
    assert read(directory, labels).from_labels == ()
    assert read(directory, labels).record == read_pair(directory)  # band.out is there
    (directory / "band.out").unlink()
    reading = read(directory, labels)
    assert reading.from_labels == ("e_homo_ev", "e_lumo_ev", "n_levels")
    assert reading.record.targets["e_homo_ev"] == -3.12
    assert reading.record.targets["e_lumo_ev"] == -3.0
    assert reading.record.targets["total_energy_ev"] < -90  # its own
    assert reading.record.extras["n_levels"] == 13
    assert np.isnan(reading.record.extras["max_occupancy"])
    with pytest.raises(EngineError, match="no e_homo_ev of this pair"):
        read(directory, labels | {"e_homo_ev": np.nan})


@pytest.mark.parametrize("file", ["detailed.out", "geo_end.xyz", "band.out"])
@pytest.mark.parametrize("content", [b"", b"\x00\x01\xff\xfe" * 100, b"\x00" * 100, b"\n" * 10])
def test_empty_and_binary_files(copy, file, content):
    directory = copy(make.TREE / "Cl_Mg")
    (directory / file).write_bytes(content)
    assert file in reason(directory)


def test_a_binary_log_says_nothing(copy):
    directory = copy(make.TREE / "Cl_Mg")
    (directory / "dftb.log").write_bytes(b"\xff\xfe" * 50)
    assert read_pair(directory) == read_pair(make.TREE / "Cl_Mg")


def test_an_aborted_cycle_is_told_without_dftb_log_too(copy):
    """As DFTB+ leaves it: whole energy lines, no flags, no dipole, an earlier geometry."""
    directory = copy(make.TREE / "Cl_Mg")
    path = directory / "detailed.out"
    path.write_text(path.read_text().split("Non-constrained")[0])
    with (directory / "dftb.log").open("a") as log:
        log.write("ERROR!\n-> SCC is NOT converged, maximal SCC iterations exceeded\n")
    said = "'SCC is NOT converged, maximal SCC iterations exceeded' in dftb.log"
    assert reason(directory) == f"SCC: {said}"
    (directory / "dftb.log").unlink()
    assert reason(directory) == "SCC: no line 'SCC converged' in detailed.out"
    path.write_text(path.read_text() + "SCC converged\n\nGeometry converged\n")
    assert reason(directory) == "dipole: no 'Dipole moment' in au and Debye in detailed.out"


def outcome(directory: pathlib.Path) -> object:
    try:
        return read_pair(directory)
    except EngineError as error:
        assert ": " in str(error) and "\n" not in str(error)
        return str(error)


@pytest.mark.parametrize("name", ["Cl_Mg", "N_O_spin"])
@pytest.mark.parametrize("file", FILES)
def test_cut_at_every_line(copy, name, file):
    cut_everywhere(copy(make.TREE / name), file, lines=True)


@pytest.mark.parametrize("file", FILES)
def test_cut_within_lines(copy, file):
    cut_everywhere(copy(make.TREE / "He_He"), file, lines=False)


def cut_everywhere(directory: pathlib.Path, file: str, *, lines: bool) -> None:
    """What is left gives the same record, or a reason; never another record, nor a crash."""
    whole = read_pair(directory)
    content = (directory / file).read_bytes()
    parts = content.splitlines(keepends=True)
    if not lines:
        parts = [content[at : at + 3] for at in range(0, len(content), 3)]
    outcomes = []
    for end in range(len(parts)):
        (directory / file).write_bytes(b"".join(parts[:end]))
        outcomes.append(outcome(directory))
    records = [record for record in outcomes if not isinstance(record, str)]
    assert all(record == whole or both_without_lumo(record, whole) for record in records)
    # Only what says nothing may be missing: the log, blank ends, zeros behind a decimal point.
    reasons = len(outcomes) - len(records)
    assert file == "dftb.log" or (len(records) <= 5 and reasons >= 3)


def both_without_lumo(a, b) -> bool:
    """NaN is not equal to itself."""
    return repr(a) == repr(b) and np.isnan(b.targets["e_lumo_ev"])


def tag(directory: pathlib.Path) -> dict[str, np.ndarray]:
    """results.tag: 15 digits of everything, in atomic units; Fortran's order of indices."""
    found = {}
    words: list[str] = []
    for line in (directory / "results.tag").read_text().splitlines():
        if ":real:" in line:
            name, _, _, shape = line.split(":")
            words = found[name.strip(), shape] = []
        else:
            words += line.split()
    return {
        name: np.array(values, float).reshape([int(n) for n in shape.split(",") if n], order="F")
        for (name, shape), values in found.items()
    }


@needs_samples
def test_samples_against_results_tag():
    """Energies, levels, charges, populations, dipole and bond of the 39 runs that converged."""
    kt = 300 * 3.166811563e-6
    compared = 0
    for directory in sorted([*SAMPLES.glob("raw_data/*"), *SAMPLES.glob("awkward/*_spin")]):
        if directory.name in NOT_CONVERGED:
            continue
        record, exact = read_pair(directory), tag(directory)
        energies, filling = exact["eigenvalues"][:, 0, :], exact["filling"][:, 0, :]  # [M, spins]
        capacity = 2 / filling.shape[1]
        f = np.clip(filling / capacity, 1e-300, 1 - 1e-16)
        ts = -kt * capacity * (f * np.log(f) + (1 - f) * np.log(1 - f)).sum()
        mermin = exact["mermin_energy"]
        expected = {
            "mermin_free_energy_ev": mermin,
            "total_energy_ev": mermin + ts,
            "band_energy_ev": (energies * filling).sum(),
            "fermi_level_ev": exact["fermi_level"].mean(),
        }
        for name, value in expected.items():
            # Ten decimals in hartree; DFTB+ has another sixth digit of Boltzmann's constant.
            close = 3e-7 if name == "total_energy_ev" else 2e-8
            assert record.targets[name] == pytest.approx(float(value) * HARTREE_EV, abs=close), name
        holds = filling > 1e-3 * capacity  # at 300 K the next level would be empty or half full
        takes = filling < (1 - 1e-3) * capacity
        homo, lumo = energies[holds].max() * HARTREE_EV, energies[takes].min() * HARTREE_EV
        assert record.targets["e_homo_ev"] == pytest.approx(homo, abs=5.1e-5)
        assert record.targets["e_lumo_ev"] == pytest.approx(lumo, abs=5.1e-5)
        charges, dipole = exact["gross_atomic_charges"], exact["dipole_moments"][:, 0]
        assert record.charges == pytest.approx(charges, abs=5.1e-9)
        assert record.dipole == pytest.approx(dipole * 2.541746473, rel=2e-7, abs=2e-8)
        # The dipole is that of the charges, which ties the positions to the rest.
        bond = np.subtract(record.positions[1], record.positions[0]) / 0.529177210903
        between = (charges[1] - charges[0]) / 2 * bond
        assert between == pytest.approx(dipole, rel=1e-6, abs=5e-8)
        orbitals = exact["orbital_charges"].sum(axis=2)  # [orbitals, 2], zeros where there is none
        for atom, row in enumerate(record.populations):
            column = np.zeros(16)
            column[: len(orbitals)] = orbitals[:, atom]
            assert row == pytest.approx(column, abs=2e-8)
        compared += 1
    assert compared == 39


@needs_samples
def test_a_sample_by_hand():
    """Numbers of raw_data/C_O, read off its files."""
    record = read_pair(SAMPLES / "raw_data" / "C_O")
    assert record.positions == [[0, 0, 0.22902556], [0, 0, 1.33297444]]
    assert record.distance == pytest.approx(1.10394888, abs=1e-8)
    assert record.charges == [0.122155983250605e-1, -0.122155983250629e-1]
    assert record.dipole == pytest.approx([0, 0, -0.06477312], abs=1e-8)
    row = [1.59452886454345, 0.625802710127391, 1.14165011687671, 0.62580271012739]
    assert record.populations[0] == [*row, *[0.0] * 12]
    assert record.targets == pytest.approx(
        {
            "e_homo_ev": -9.1570,
            "e_lumo_ev": -0.6987,
            "band_energy_ev": -142.4426,
            "repulsive_energy_ev": 5.8859,
            "mermin_free_energy_ev": -136.8364,
            "total_energy_ev": -136.8364,
            "fermi_level_ev": -4.9279,
        },
        abs=5.1e-5,
    )
    assert record.extras["scc_last_error"] == 0.19389188e-7
    assert record.extras["scc_last_diff_elec"] == -0.17391385e-7
    assert record.extras["geom_opt_step"] == 5


@needs_samples
@pytest.mark.parametrize(
    ("sample", "homo", "lumo", "fermi"),
    [
        ("awkward/O_O_spin", -6.2495, -4.7338, (4.7903 - 7.8383) / 2),
        ("awkward/H_O_spin", -7.0926, -7.0926, (0.9158 - 7.0926) / 2),
        ("raw_data/Br_Mg", -2.8064, -2.8064, -2.8064),
    ],
)
def test_levels_of_samples_by_hand(sample, homo, lumo, fermi):
    targets = read_pair(SAMPLES / sample).targets
    assert targets["e_homo_ev"] == pytest.approx(homo, abs=5.1e-5)
    assert targets["e_lumo_ev"] == pytest.approx(lumo, abs=5.1e-5)
    assert targets["fermi_level_ev"] == pytest.approx(fermi, abs=1e-4)


@needs_samples
def test_a_negative_population_of_a_sample():
    record = read_pair(SAMPLES / "raw_data" / "Br_Mg")
    expected = [0.0, -0.00533883, -0.01861818, -0.00533883, -0.0]
    assert record.populations[0][4:9] == pytest.approx(expected, abs=5.1e-9)


@needs_samples
@pytest.mark.parametrize(
    ("sample", "with_log", "without"),
    [
        (
            "raw_data/F_S",
            "SCC: 'SCC is NOT converged, maximal SCC iterations exceeded' in dftb.log",
            "SCC: no line 'SCC converged' in detailed.out",
        ),
        (
            "raw_data/Cl_P",
            "geometry: 'Atoms 2 and 1 too close together' in dftb.log",
            "geometry: no line 'Geometry converged' in detailed.out",
        ),
        (
            "raw_data/F_P",
            "geometry: 'Geometry did NOT converge' in dftb.log",
            "geometry: '!!! Geometry did NOT converge!' in detailed.out",
        ),
        (
            "awkward/C_O_scc1",
            "SCC: 'SCC is NOT converged, maximal SCC iterations exceeded' in dftb.log",
            "SCC: no line 'SCC converged' in detailed.out",
        ),
        (
            "awkward/C_O_scc1_noabort",
            "SCC: 'SCC is NOT converged' in dftb.log",
            "SCC: 'SCC is NOT converged, maximal SCC iterations exceeded' in detailed.out",
        ),
    ],
)
def test_samples_that_cannot_be_trusted(copy, sample, with_log, without):
    directory = copy(SAMPLES / sample)
    assert reason(directory) == with_log
    os.remove(directory / "dftb.log")
    assert reason(directory) == without


@needs_samples
@pytest.mark.parametrize("file", FILES)
def test_a_sample_cut_at_every_line(copy, file):
    cut_everywhere(copy(SAMPLES / "raw_data" / "Br_Mg"), file, lines=True)


def test_exchanged_elements_are_refused(copy):
    sample = copy(make.TREE / "Cl_Mg")
    text = (sample / "geo_end.xyz").read_text()
    rows = text.replace("Cl", "?").replace("Mg", "Cl").replace("?", "Mg")
    (sample / "geo_end.xyz").write_text(rows)
    assert reason(sample).startswith("geometry: atom 1 is Mg in geo_end.xyz, but its charge and")
