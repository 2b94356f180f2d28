"""Energies, levels, charges and forces as DFTB+ gives them, and what is refused."""

import dataclasses
import json
import pathlib

import numpy as np
import pytest

from qc_jax.data.table import ORBITAL_L, ORBITAL_M
from qc_jax.dftb import NotConverged, convergence, solve, solve_all
from qc_jax.dftb.parameters import CONVENTIONS, covered_symbols, parameters
from qc_jax.dftb.parametrization import ptbp_shells
from qc_jax.errors import InputError
from tests.dftb import reference
from tests.engines.dftbplus import skf

_, PAIRS, MOLECULES = reference.of_fixture()
WATER = MOLECULES[0]


@pytest.fixture(scope="session")
def files(tmp_path_factory) -> str:
    """A directory with the Slater-Koster files of H and O."""
    directory = tmp_path_factory.mktemp("skf") / "published"
    reference.write(directory, reference.of_fixture()[0])
    return str(directory)


def compare(found, run: dict, energy=1e-5, level=2e-6, charge=1e-6, dipole=1e-5, force=1e-4):
    for name in ("total_energy_ev", "mermin_free_energy_ev"):
        assert getattr(found, name) == pytest.approx(run[name], abs=energy), name
    np.testing.assert_allclose(found.charges_e, run["charges_e"], atol=charge)
    np.testing.assert_allclose(found.dipole_d, run["dipole_d"], atol=dipole)
    forces = np.reshape(run["forces_ev_ang"], (-1, 3))
    np.testing.assert_allclose(found.forces_ev_ang, forces, atol=force)
    np.testing.assert_allclose(found.levels_ev, run["eigenvalues_ev"], atol=level)
    np.testing.assert_allclose(found.occupations, run["fillings"], atol=1e-8)


def compare_pair(run: dict, parameters: str, **tolerances) -> None:
    found = solve(run["pair"].split("_"), run["distance_ang"], parameters, max_l=run["max_l"])
    compare(found, run, **tolerances)
    for name in ("band_energy_ev", "repulsive_energy_ev", "fermi_level_ev"):
        assert getattr(found, name) == pytest.approx(run[name], abs=1e-5), name
    expected = np.zeros((2, 16))
    for atom, *lm, electrons in run["populations_atom_l_m"]:
        expected[atom - 1, (lm[0] == ORBITAL_L) & (lm[1] == ORBITAL_M)] = electrons
    np.testing.assert_allclose(found.populations, expected, atol=1e-6)


@pytest.mark.parametrize("run", PAIRS, ids=lambda run: f"{run['pair']} {run['distance_ang']}")
def test_pairs_as_dftbplus(files, run):
    compare_pair(run, files)


def test_a_molecule_as_dftbplus(files):
    compare(solve(WATER["symbols"], WATER["positions_ang"], files), WATER)


@pytest.mark.slow
@pytest.mark.skipif(not reference.SHARED.is_dir(), reason="needs ../shared/ptbp")
def test_all_given_tables_as_dftbplus(tmp_path):
    tables = np.load(reference.SHARED / "tables_published.npz")
    reference.write(tmp_path, {name: tables[name] for name in tables.files})
    runs = json.loads((reference.SHARED / "pairs.json").read_text())["pairs"]
    runs = [run for run in runs if run["pair"].replace("_", "-") in tables.files]
    assert len(runs) == 30
    for run in runs:
        compare_pair(run, str(tmp_path))


@pytest.mark.slow
@pytest.mark.skipif(not reference.SHARED.is_dir(), reason="needs ../shared/ptbp")
def test_molecules_on_own_tables_as_dftbplus():
    runs = json.loads((reference.SHARED / "molecules.json").read_text())["molecules"]
    answers = solve_all([(run["symbols"], run["positions_ang"]) for run in runs])
    assert len(answers) == 6
    for found, run in zip(answers, runs, strict=True):
        compare(found, run, energy=1e-5 * len(run["symbols"]), level=1e-5)


@pytest.mark.slow
def test_exact_form_has_the_recipes_distances_and_gap():
    """Of another integrator on other grids, in three digits."""
    pairs = {("H", "H"): 0.734, ("N", "N"): 1.100, ("O", "O"): 1.218, ("H", "F"): None}
    answers = solve_all([(pair, r or 0.93) for pair, r in pairs.items()], form="exact", relax=True)
    for found, expected in zip(answers[:3], pairs.values(), strict=False):
        assert found.distance_ang == pytest.approx(expected, abs=1e-3)
    levels, occupations = answers[3].levels_ev, answers[3].occupations
    gap = levels[occupations < 1].min() - levels[occupations > 1].max()
    assert gap == pytest.approx(20.26, abs=0.01)


@pytest.mark.slow
@pytest.mark.skipif(not reference.SHARED.is_dir(), reason="needs ../shared/ptbp")
def test_exact_form_is_near_the_given_tables(tmp_path):
    """Those are of atoms and points of the published program: off by up to 3e-4 hartree."""
    tables = np.load(reference.SHARED / "tables_exact.npz")
    names = ("H-H", "O-H", "H-O", "O-O")
    reference.write(tmp_path, {name: tables[name] for name in names})
    pairs = [(("H", "H"), 0.75), (("O", "H"), 1.0), (("O", "O"), 1.2)]
    ours = solve_all(pairs, form="exact")
    for found, given in zip(ours, solve_all(pairs, str(tmp_path)), strict=True):
        np.testing.assert_allclose(found.levels_ev, given.levels_ev, atol=5e-3)
        np.testing.assert_allclose(found.charges_e, given.charges_e, atol=1e-4)
        np.testing.assert_allclose(found.total_energy_ev, given.total_energy_ev, atol=1e-2)


@pytest.mark.slow
@pytest.mark.parametrize("run", [run for run in PAIRS if run["relaxed"]], ids=lambda r: r["pair"])
def test_pairs_relax_as_in_dftbplus(files, run):
    found = solve(run["pair"].split("_"), run["distance_ang"] * 1.1, files, relax=True)
    assert found.distance_ang == pytest.approx(run["distance_ang"], abs=5e-5)
    assert np.abs(found.forces_ev_ang).max() < 1e-4
    along = np.array([1.0, -2.0, 0.5]) / np.sqrt(5.25)
    tilted = solve(run["pair"].split("_"), [[1, 1, 1], 1 + 1.3 * along], files, relax="global")
    assert tilted.distance_ang == pytest.approx(found.distance_ang, abs=1e-5)
    assert tilted.total_energy_ev == pytest.approx(found.total_energy_ev, abs=1e-7)


def test_forces_are_the_gradient(files):
    places, step = np.array(WATER["positions_ang"]), 1e-3
    forces = solve(WATER["symbols"], places, files).forces_ev_ang
    for atom, axis in ((0, 1), (2, 2)):
        energies = []
        for k in (-2, -1, 1, 2):
            moved = places.copy()
            moved[atom, axis] += k * step
            energies.append(solve(WATER["symbols"], moved, files).mermin_free_energy_ev)
        slope = np.dot([1, -8, 8, -1], energies) / (12 * step)
        assert forces[atom, axis] == pytest.approx(-slope, abs=1e-6)


def test_a_molecule_relaxes(files):
    found = solve(WATER["symbols"], WATER["positions_ang"], files, relax=True)
    assert np.abs(found.forces_ev_ang).max() < 1e-3
    assert found.total_energy_ev < WATER["total_energy_ev"]


def test_shells_with_charges_of_their_own(files):
    found = solve(WATER["symbols"], WATER["positions_ang"], files, shell_resolved=True)
    atoms = solve(WATER["symbols"], WATER["positions_ang"], files)
    assert 0.01 < abs(found.charges_e[0] - atoms.charges_e[0]) < 0.3
    np.testing.assert_allclose(found.populations.sum(1) + found.charges_e, [6, 1, 1], atol=1e-8)


@pytest.mark.parametrize("temperature", [0, 5000])
def test_temperatures(files, temperature):
    found = solve(["O", "H"], 1.0, files, temperature=temperature)
    entropy = found.total_energy_ev - found.mermin_free_energy_ev
    assert entropy == pytest.approx(2.2493 * 8.617333e-5 * temperature, rel=0.01, abs=1e-4)


@pytest.mark.slow
def test_no_minimum(files):
    found = convergence.load(files, ["H"])
    apart = found.tables._replace(values=np.zeros_like(found.tables.values))
    repelling = dataclasses.replace(found, tables=apart)
    with pytest.raises(NotConverged, match=r"no minimum: the energy falls out to 8.0 Å"):
        solve(["H", "H"], 0.6, repelling, relax=True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"symbols": ["H", "Xx"]}, "unknown element symbol 'Xx'"),
        ({"symbols": ["H", "C"]}, "unknown element of the Slater-Koster files .*: H, O"),
        ({"symbols": ["H", "C", "O"]}, "unknown element of the Slater-Koster files"),
        ({"symbols": []}, "expected one atom or more"),
        ({"positions": [[0, 0, 0]]}, r"expected shape \(2, 3\) for 2 atoms, got \(1, 3\)"),
        ({"positions": [[0, 0, 0], [0, 0, np.nan]]}, "atom 1 is not finite"),
        (
            {"positions": 0.1},
            r"atoms 0 \(O\) and 1 \(H\) are 0.100 Å apart, closer than",
        ),
        ({"positions": "near"}, "positions: expected"),
        ({"max_l": {"O": "d"}}, "max_l of O: expected at most 'p', .* got 'd'"),
        ({"max_l": {"O": 7}}, "max_l of O: expected 0, 1, 2 or 's', 'p', 'd', got 7"),
        ({"max_l": {"O": "s"}}, "max_l of O: expected at least 'p', .* has 4 electrons, got 's'"),
        ({"max_l": {"Xx": 1}}, "unknown element symbol 'Xx'"),
        ({"temperature": -1}, "temperature: expected 0 or more kelvin, got -1"),
        ({"temperature": np.nan}, "temperature: expected 0 or more"),
        ({"charge": 1}, "charge: only 0 is supported"),
        ({"spin": 1}, "spin: only 0 is supported"),
        ({"relax": "up"}, "relax: expected False, True"),
        ({"parameters": "/nowhere"}, "/nowhere: expected a directory of Slater-Koster files"),
        (
            {"symbols": ["U", "H"], "parameters": "ptbp"},
            "no PTBP parameters for element 'U'; expected one of: H, He, .*, Th",
        ),
        ({"parameters": "ptbp", "form": "best"}, "unknown form 'best'; choose one of: exact"),
        ({"form": "best"}, "unknown form 'best'; choose one of: exact"),
        ({"form": "exact"}, "form=exact: expected parameters=ptbp, got /"),
        (
            {"parameters": "ptbp", "max_l": {"H": "p"}},
            "max_l of H: expected at most 's', the highest shell that it has parameters for, got",
        ),
        (
            {"symbols": ["Fe", "Fe"], "positions": 2.0, "parameters": "ptbp", "max_l": "p"},
            "max_l of Fe: expected at least 'd', where its free atom has .* electrons, got 'p'",
        ),
        ({"relax": "global", "symbols": ["O"] * 3}, "relax: 'global' is for two atoms"),
    ],
)
def test_bad_input(files, arguments, message):
    with pytest.raises(InputError, match=message):
        solve(**{"symbols": ["O", "H"], "positions": 1.0, "parameters": files} | arguments)


def test_parameters_that_are_loaded_have_form_and_shells(files):
    found = convergence.load(files, ["H"])
    assert convergence.load(found, ["H"]) is found
    for given in ({"form": "exact"}, {"max_l": {"H": "s"}}):
        (name,) = given
        with pytest.raises(InputError, match=f"{name}: .*published is loaded already, got"):
            solve(["H", "H"], 0.8, found, **given)


def test_temperatures_of_numpy():
    assert convergence.kt_of(np.float32(300)) == convergence.kt_of(np.int32(300))
    with pytest.raises(InputError, match="temperature: expected 0 or more kelvin, got '300'"):
        convergence.kt_of("300")


def test_published_shells_hold_all_electrons():
    for convention, symbols in CONVENTIONS.items():
        shells = ptbp_shells(covered_symbols(), max_l=dict.fromkeys(symbols, "p"))
        for symbol, found in shells.items():
            expected = parameters(symbol).valence_electrons
            assert sum(found.electrons) == pytest.approx(expected), (convention, symbol)


def test_no_molecules():
    assert solve_all([]) == []


def test_damaged_files_are_refused(files, tmp_path):
    """Each is named; the file's other troubles are in `test_skf`."""
    original = {path.name: path.read_text() for path in pathlib.Path(files).iterdir()}
    lines = original["O-H.skf"].splitlines()
    for text, message in (
        ("\n".join(lines[:300]), "O-H.skf: the file ends within the integrals; expected 719 lines"),
        (
            "@ extended\n" + original["O-H.skf"],
            "O-H.skf: the integrals cannot be read: .*lines of 40",
        ),
        ("\n".join([*lines[:9], "nan " * 20, *lines[10:]]), "no number among the integrals"),
        (original["O-O.skf"], "O-H.skf: line 2: holds an atom's energies"),
    ):
        for name, content in (original | {"O-H.skf": text}).items():
            (tmp_path / name).write_text(content)
        with pytest.raises(InputError, match=message):
            solve(["O", "H"], 1.0, str(tmp_path))


def test_files_with_f_shells_are_refused(tmp_path):
    (tmp_path / "La-La.skf").write_text(skf.text("La", "La", "f", "f", extended=True))
    with pytest.raises(InputError, match=r"La-La.skf: is of the extended format, with f shells"):
        solve(["La", "La"], 2.0, str(tmp_path))
