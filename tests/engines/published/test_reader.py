"""The published file as a table: values, order, what is left out, labels of every kind."""

import hashlib

import numpy as np
import pytest

from qc_jax import canvas
from qc_jax.chem.units import EBOHR_DEBYE
from qc_jax.data.table import PairTable
from qc_jax.data.targets import TARGETS
from qc_jax.engines import published
from qc_jax.engines.published import reader
from qc_jax.errors import InputError
from tests.engines.published.helpers import (
    AG_AL,
    C_O,
    FIXTURE,
    H_H,
    O_TI,
    arrays,
    label,
    meta,
    read,
)


@pytest.fixture(scope="module")
def table() -> PairTable:
    return published.read(FIXTURE)


def test_rows_are_as_they_were_made(table):
    """The numbers of make_published_numpy1.py, in file order; made by NumPy 1."""
    assert table.names.tolist() == ["C_O", "H_H", "O_Ti"]
    assert table.atomic_numbers.tolist() == [[6, 8], [1, 1], [8, 22]]
    np.testing.assert_allclose(table.positions[:, 1, 2], [1.125, 0.75, 1.65], rtol=1e-7)
    assert not table.positions[:, 0].any()
    np.testing.assert_allclose(table.charges, [[0.3, -0.3], [0, 0], [-0.7, 0.7]], atol=1e-6)
    np.testing.assert_allclose(table.dipole[:, 2], np.array([0.25, 0, -1]) * EBOHR_DEBYE)
    assert np.isnan(table.populations).all() and table.forces is None
    np.testing.assert_array_equal(table.targets["e_homo_ev"], [-9.5, -4, -6])
    np.testing.assert_array_equal(table.targets["softness_evinv"], [1 / 8.25, np.nan, 2])


def test_canvases_are_the_images_with_their_channels_last(table):
    images = arrays()["images"][[C_O, H_H, O_TI]]
    assert table.canvases.dtype == np.float32 and table.canvases.shape == (3, 32, 32, 10)
    for channel in range(10):
        np.testing.assert_array_equal(table.canvases[..., channel], images[:, channel])
    np.testing.assert_array_equal(canvas.canvases(table), table.canvases)
    populations = canvas.features(table)[:, [f.channel == 7 for f in canvas.FEATURES]]
    np.testing.assert_allclose(populations, [[3.7, 6.3], [1, 1], [6.7, 3.3]], rtol=1e-6)


def test_all_labels_are_kept(table):
    assert len(published.LABELS) == 37
    assert set(table.targets) == set(TARGETS)
    assert set(table.extras) == set(published.LABELS) - set(TARGETS) | {"authors_note"}
    assert table.extras["geom_opt_step"].tolist() == [7, 7, 7]
    assert table.extras["metal_like"].tolist() == [0, 1, 0]
    assert table.extras["system_id_guess"].tolist() == ["CO", "HH", "OTi"]
    assert table.extras["authors_note"].tolist() == ["", "hydrogen", ""]


def test_provenance_says_what_was_read(table):
    content = FIXTURE.read_bytes()
    assert table.provenance["sha256"] == hashlib.sha256(content).hexdigest()
    assert table.provenance["md5"] == hashlib.md5(content).hexdigest()
    assert table.provenance["doi"] is None
    assert table.provenance["file"] == "published_numpy1.npz" and table.provenance["rows"] == 4
    assert table.left_out == {"Ag_Al": "element: 'X', which stands for a missing geometry"}
    assert list(table.provenance["disagreements"]) == ["O_Ti"]
    assert table.provenance["missing"] == {
        "labels": dict.fromkeys(published.LABELS, 1),
        "metadata": {},
    }


def test_the_published_file_is_recognised(monkeypatch):
    monkeypatch.setattr(reader, "PUBLISHED_MD5", hashlib.md5(FIXTURE.read_bytes()).hexdigest())
    assert published.read(FIXTURE).provenance["doi"] == "10.5281/zenodo.20631934"


def test_it_is_kept_with_its_provenance(table, tmp_path):
    table.save(tmp_path / "table.npz")
    again = PairTable.load(tmp_path / "table.npz")
    assert again.provenance == table.provenance and again.fingerprint() == table.fingerprint()


def test_a_published_file_is_no_pair_table_and_says_what_to_write():
    with pytest.raises(InputError, match=r"in the published format, .* read it as published:/"):
        PairTable.load(FIXTURE)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"elements": ["X", "O"]}, "element: 'X', which stands for a missing geometry"),
        ({"elements": ["C", "Qq"]}, "element: unknown element symbol 'Qq'"),
        ({"elements": ["O", "C"]}, "name: 'C_O' with the atoms O and C, expected 'C_O'"),
        ({"elements": ["C", "N"]}, "name: 'C_O' with the atoms C and N, expected 'C_N'"),
        ({"pair_names": ""}, "name: '' with the atoms C and O"),
        ({"geometries": np.zeros((2, 4))}, "geometry: both atoms at one place"),
        ({"geometries": np.full((2, 4), np.nan)}, "geometry: a position is not finite"),
        ({"images": np.nan}, "image: a pixel of nan"),
        ({"images": np.inf}, "image: a pixel of inf"),
        ({"images": 1e30}, r"image: a pixel of 1e\+30, expected at most 1e\+06"),
    ],
)
def test_a_row_that_cannot_be_one_is_left_out(tmp_path, change, reason):
    content = arrays()
    for name, value in change.items():
        content[name][C_O] = value
    table = read(tmp_path, content)
    assert table.names.tolist() == ["H_H", "O_Ti"]
    name = str(content["pair_names"][C_O])
    assert table.left_out[name].startswith(reason.replace("\\", ""))
    assert table.extras["authors_note"].tolist() == ["hydrogen", ""]  # rows stay together


def test_a_row_without_any_dipole_is_left_out(tmp_path):
    content = arrays()
    for axis in "xyz":
        content["labels"][C_O][f"dipole_{axis}_d"] = None
    table = read(tmp_path, content)
    np.testing.assert_allclose(table.dipole[0], [0, 0, 0.25 * EBOHR_DEBYE])  # the metadata's
    del content["metadata"][C_O]["dipole_moment"]
    table = read(tmp_path, content)
    assert table.left_out["C_O"] == "dipole: neither in the labels nor in the metadata"
    assert table.provenance["missing"]["metadata"] == {"dipole_moment": 1}


def test_no_row_left_is_an_error(tmp_path):
    content = arrays()
    content["elements"][:] = "X"
    with pytest.raises(InputError, match=r"none of its 4 rows can be read; element: 'X'"):
        read(tmp_path, content)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (label(O_TI, "e_g_ev", "0.5"), r"row 3 \(O_Ti\): label 'e_g_ev': .* number, got '0\.5'"),
        (label(O_TI, "e_g_ev", [0.5]), r"label 'e_g_ev': expected a number, got list"),
        (label(O_TI, "e_g_ev", 10**400), r"label 'e_g_ev': .*too large"),
        (label(C_O, "system_id_guess", 5.0), r"row 0 \(C_O\): label 'system_id_guess': .*text"),
        (label(C_O, "system_id_guess", "x" * 10**4), r"at most 200 printable .*'xxxxxx"),
        (label(C_O, "system_id_guess", "a\nb"), r"printable characters, got 'a\\nb'"),
        (label(C_O, "authors_note", 5.0), r"row 0 \(C_O\): label 'authors_note': expected text"),
        (label(C_O, "a/../b", 5.0), r"row 0 \(C_O\): label 'a/\.\./b': not a name"),
        (meta(H_H, "total_energy", "low"), r"row 1 \(H_H\): metadata 'total_energy': .*'low'"),
        (meta(H_H, "dipole_moment", 0.0), r"'dipole_moment': expected 3 numbers, got 0\.0"),
        (meta(H_H, "dipole_moment", (0, 1)), r"'dipole_moment': expected 3 numbers, got 2"),
        (meta(H_H, "pair_name", 1), r"'pair_name': expected text, got 1"),
        (
            lambda content: content["labels"].__setitem__(C_O, None),
            r"row 0 \(C_O\): labels: expected a dict, got NoneType",
        ),
        (
            lambda content: content["labels"][C_O].update({f"l{i}": 0.0 for i in range(300)}),
            "more than 200 labels",
        ),
    ],
)
def test_labels_of_another_kind(tmp_path, change, message):
    content = arrays()
    change(content)
    with pytest.raises(InputError, match=rf"some\.npz: .*{message}") as caught:
        read(tmp_path, content)
    assert len(str(caught.value)) < 400 and "\n" not in str(caught.value)


def test_numbers_of_every_kind_and_missing_ones(tmp_path):
    content = arrays()
    content["labels"][C_O] |= {"n_levels": 8, "geom_converged": True, "scc_last_iter": None}
    content["labels"][C_O]["fermi_level_ev"] = np.float64(-3.25)
    content["metadata"][C_O]["dipole_moment"] = np.array([0, 0, 0.25])
    del content["labels"][C_O]["max_occupancy"]
    table = read(tmp_path, content)
    extras = {name: column[0] for name, column in table.extras.items()}
    assert (extras["n_levels"], extras["geom_converged"]) == (8.0, 1.0)
    assert np.isnan(extras["scc_last_iter"]) and np.isnan(extras["max_occupancy"])
    assert table.provenance["missing"]["labels"]["max_occupancy"] == 2  # Ag_Al has none either
    assert table.provenance["missing"]["labels"]["scc_last_iter"] == 1
    assert "C_O" not in table.provenance["disagreements"]


def test_names_that_stand_twice_stay_and_are_told(tmp_path):
    content = {name: array[[C_O, H_H, C_O, AG_AL, AG_AL]] for name, array in arrays().items()}
    table = read(tmp_path, content)
    assert table.names.tolist() == ["C_O", "H_H", "C_O"]
    found = table.provenance["disagreements"]
    assert found["C_O"] == found["C_O (row 2)"] == ["name: stands in 2 rows"]
    assert set(table.left_out) == {"Ag_Al", "Ag_Al (row 4)"}
    with pytest.raises(InputError, match="'C_O' stands in 2 rows"):
        table.row("C_O")
