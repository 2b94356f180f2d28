"""The engine of tight binding: records of pairs, in batches, from Slater-Koster files."""

import signal
import subprocess
import sys

import jax
import numpy as np
import pytest

from qc_jax.chem import units
from qc_jax.data.table import ORBITAL_L, ORBITAL_M
from qc_jax.dftb import relax, scan, solve
from qc_jax.dftb.convergence import kt_of, load
from qc_jax.engines.dftb import Options
from qc_jax.engines.generate import create_engine, judged, scanning
from qc_jax.engines.record import CONTINUOUS, Record
from qc_jax.errors import InputError
from tests.dftb import reference
from tests.engines.dftbplus import skf

_, PAIRS, _ = reference.of_fixture()
RELAXED = {run["pair"]: run for run in PAIRS if run["relaxed"]}


@pytest.fixture(scope="session")
def files(tmp_path_factory) -> str:
    directory = tmp_path_factory.mktemp("skf_engine") / "published"
    reference.write(directory, reference.of_fixture()[0])
    return str(directory)


@pytest.fixture(scope="session")
def answers(files) -> dict:
    seen = []
    engine = create_engine("dftb", parameters=files)
    found = dict(engine.compute_all(["H_H", "O_O"], lambda done, total: seen.append((done, total))))
    assert seen == [(1, 2), (2, 2)]
    return found


@pytest.mark.parametrize("name", ["H_H", "O_O"])
def test_records_as_dftbplus(answers, name):
    record, run = answers[name], RELAXED[name]
    assert isinstance(record, Record)
    assert Options().create().gates.failure(record) is None
    assert record.distance == pytest.approx(run["distance_ang"], abs=5e-5)
    for key in ("total_energy_ev", "mermin_free_energy_ev", "fermi_level_ev"):
        assert record.targets[key] == pytest.approx(run[key], abs=2e-4), key
    assert record.diagnostics is not None
    assert abs(record.diagnostics.gradient_ev_ang) < 1e-4
    assert min(record.diagnostics.beside_ev) > 0
    populations = np.zeros((2, 16))
    for atom, *lm, electrons in run["populations_atom_l_m"]:
        populations[atom - 1, (lm[0] == ORBITAL_L) & (lm[1] == ORBITAL_M)] = electrons
    np.testing.assert_allclose(record.populations, populations, atol=1e-4)
    homo, lumo = record.targets["e_homo_ev"], record.targets["e_lumo_ev"]
    assert record.extras == {
        "n_levels": len(run["eigenvalues_ev"]),
        "max_occupancy": pytest.approx(2.0),
        "metal_like": name == "O_O",
        "no_virtual_in_basis": 0,
        "scc_converged": 1,
        "geom_converged": 1,
    }
    levels = np.array(run["eigenvalues_ev"])
    partly = levels[{"H_H": [0, 1], "O_O": [6, 6]}[name]]
    np.testing.assert_allclose((homo, lumo), partly, atol=1e-2)


def test_what_is_not_bound_is_left_out_with_the_reason(tmp_path):
    tables = {"H-H": 1e-9 * reference.of_fixture()[0]["H-H"]}
    reference.write(tmp_path, tables)
    engine = create_engine("dftb", parameters=str(tmp_path), unbound="leave_out")
    ((name, answer),) = engine.compute_all(["H_H"], lambda done, total: None)
    records, left_out = judged(engine, name, answer)
    assert not records and left_out["H_H"].startswith(
        "no minimum: the pull outwards falls below 0.0001 "
    )


@pytest.mark.slow
def test_what_is_not_bound_is_kept_where_the_pull_is_weak(tmp_path):
    tables = {"H-H": 1e-9 * reference.of_fixture()[0]["H-H"]}
    reference.write(tmp_path, tables)
    engine = create_engine("dftb", parameters=str(tmp_path))
    ((name, answer),) = engine.compute_all(["H_H"], lambda done, total: None)
    (record,), left_out = judged(engine, name, answer)
    assert record.extras["geom_converged"] == 0 and not left_out
    parametrization = load(str(tmp_path), ["H"])
    with jax.enable_x64(True):
        distances = np.array([[record.distance]]) / units.DFTBPLUS_BOHR_ANG
        seen = scan.scan([("H", "H")], parametrization, kt_of(300.0), distances)
    assert float(seen["gradient"][0, 0]) == pytest.approx(-relax.PULL, rel=0.02)


def test_scans(files):
    engine = scanning(create_engine("dftb", parameters=files), "0.05:2.0:14")
    scan = engine.compute("H_H")
    assert len(scan.points) + len(scan.left_out) == 14
    assert scan.points[0].extras[CONTINUOUS] == 1
    assert any("closer than the tables reach" in why for why in scan.left_out.values())
    energies = [point.targets["mermin_free_energy_ev"] for point in scan.points]
    forces = [point.forces[0][2] for point in scan.points]
    assert np.argmin(energies) == np.argmin(np.abs(forces))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"form": "best"}, "unknown form 'best'; choose one of: exact, published"),
        ({"minimum": "any"}, "unknown minimum 'any'"),
        ({"temperature": -1.0}, "temperature: expected 0 or more kelvin"),
        (
            {"max_l": ("Al",)},
            "unknown max_l: convention, or shell like Al:p, 'Al'; choose one of: all, main",
        ),
        ({"max_l": ("Al:f",)}, "unknown max_l of Al 'f'; choose one of: d, p, s"),
        ({"max_l": ("Fm:p",)}, "unknown element of max_l 'Fm'"),
        (
            {"max_l": ("Al:p", " Al:d")},
            "max_l: expected each element once, like S:d,O:p, got ' Al:d'",
        ),
        ({"max_l": ("O:s",)}, "max_l of O: expected at least 'p', where its free atom has 4 elec"),
        ({"max_l": ("all", "published")}, "max_l: expected one convention, got all, published"),
        ({"parameters": "/nowhere"}, "/nowhere: expected a directory of Slater-Koster files"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(InputError, match=message):
        create_engine("dftb", **options)


def test_provenance(files):
    ours, theirs = create_engine("dftb"), create_engine("dftb", parameters=files)
    assert ours.provenance()["max_l"]["Al"] == "p" and ours.provenance()["form"] == "published"
    assert len(theirs.provenance()["parameters"]["slater_koster_sha256"]) == 64
    assert create_engine("dftb", max_l=("all",)).provenance()["max_l"] == {}
    assert len(ours.symbols) == 75


def test_shells_of_elements_go_before_the_convention():
    for given in (("S:d", "main_group_p"), ("main_group_p", " S:d")):
        found = create_engine("dftb", max_l=given).provenance()["max_l"]
        assert (found["S"], found["P"], found["Te"]) == ("d", "p", "p")


def test_shells_of_a_directory_are_said_by_the_engines_own_option(tmp_path):
    skf.write(tmp_path / "set", {"H": "s", "O": "p"})
    path = tmp_path / "set" / "O-O.skf"
    given = {"parameters": str(path.parent)}
    with pytest.raises(InputError, match=r"expected them for H .* O up to d; --max_l=O:d says"):
        create_engine("dftb", max_l=("O:d",), **given)
    path.write_text(path.read_text().replace("0.0 0.0 1.0\n", "1.0 0.0 1.0\n"))  # electrons of d
    for function, option in (
        (lambda: create_engine("dftb", **given), "--max_l=O:p"),
        (lambda: solve(["O", "O"], 1.2, **given), "max_l={'O': 'p'}"),
    ):
        with pytest.raises(InputError, match="does not tell which shells O has") as caught:
            function()
        assert str(caught.value).endswith(f"say it, like {option}")


def test_options_of_ptbp_alone(files):
    for options, message in (
        ({"max_l": ("main_group_p",)}, "max_l=main_group_p: expected parameters=ptbp, got /"),
        ({"form": "exact"}, "form=exact: expected parameters=ptbp, got /"),
    ):
        with pytest.raises(InputError, match=message):
            create_engine("dftb", parameters=files, **options)
    assert create_engine("dftb", parameters=files, max_l=("O:p",)).max_l == {"O": "p"}


_KILLED = """
import os, signal, sys
from qc_jax.engines import dftb
from qc_jax.engines.generate import create_engine, generate
dftb.BATCH = 1  # rounding depends on how many lanes a batch has
files, *paths = sys.argv[1:]
def kill(done, total):
    if done == 2 and len(paths) == 2 and path == paths[1]:
        os.kill(os.getpid(), signal.SIGKILL)
for path in paths:
    generate(create_engine("dftb", parameters=files), ["H", "O"], path, progress=kill)
"""


@pytest.mark.slow
def test_after_a_kill_the_table_is_the_same(files, tmp_path):
    whole, killed = tmp_path / "whole.npz", tmp_path / "killed.npz"
    run = [sys.executable, "-c", _KILLED, files]
    assert subprocess.run([*run, str(whole), str(killed)]).returncode == -signal.SIGKILL
    assert (tmp_path / "killed.npz.answers").exists() and not killed.exists()
    subprocess.run([*run, str(killed)], check=True)
    assert whole.read_bytes() == killed.read_bytes()
