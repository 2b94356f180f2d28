"""A table in the published format: what their loader sees, and what comes back."""

import dataclasses
import os

import numpy as np
import pytest

from qc_jax import canvas
from qc_jax.canvas.reference import encode
from qc_jax.data.table import PairTable
from qc_jax.engines import published
from qc_jax.errors import InputError
from tests.engines.published.helpers import C_O, FIXTURE, H_H, O_TI, arrays, read


@pytest.fixture(scope="module")
def table() -> PairTable:
    return published.read(FIXTURE)


@pytest.fixture(scope="module")
def again(small_table, tmp_path_factory) -> PairTable:
    path = tmp_path_factory.mktemp("published") / "dataset_combined.npz"
    published.write(small_table, path)
    assert os.listdir(path.parent) == [path.name]
    return published.read(path)


def test_a_table_comes_back(small_table, again):
    np.testing.assert_array_equal(again.names, small_table.names)
    np.testing.assert_array_equal(again.atomic_numbers, small_table.atomic_numbers)
    assert set(again.targets) == set(small_table.targets)
    for name, column in small_table.targets.items():
        np.testing.assert_array_equal(again.targets[name], column)
    np.testing.assert_array_equal(again.positions, small_table.positions.astype(np.float32))
    np.testing.assert_allclose(again.charges, small_table.charges, atol=2e-7)
    np.testing.assert_allclose(again.dipole, small_table.dipole, rtol=1e-15)
    assert again.left_out == {} and again.provenance["disagreements"] == {}


def test_canvases_come_back_to_the_bit(small_table, again):
    np.testing.assert_array_equal(again.canvases, canvas.canvases(small_table))


def test_labels_that_follow_are_filled_in(small_table, again):
    gap = small_table.targets["e_g_ev"]
    expected = {
        "total_charge": np.zeros(len(small_table)),
        "n_atoms": np.full(len(small_table), 2.0),
        "dipole_x_d": small_table.dipole[:, 0],
        "dipole_y_d": small_table.dipole[:, 1],
        "metal_like": (gap == 0).astype(float),
        "no_virtual_in_basis": np.zeros(len(small_table)),
    }
    for name, column in again.extras.items():
        if name == "system_id_guess":
            assert set(column) == {""}
        elif name in expected:
            np.testing.assert_array_equal(column, expected[name])
        else:
            assert np.isnan(column).all(), name


def test_what_was_read_is_written_and_read_the_same(table, tmp_path):
    published.write(table, tmp_path / "again.npz")
    second = published.read(tmp_path / "again.npz")
    assert second.fingerprint() == table.fingerprint()
    assert second.provenance["disagreements"] == table.provenance["disagreements"]
    assert second.left_out == {} and second.provenance["rows"] == 3
    with np.load(tmp_path / "again.npz", allow_pickle=True) as file:
        written = file["labels"]
    # None where there is nothing, as in the file that was read.
    original = arrays()["labels"]
    for row, labels in zip((C_O, H_H, O_TI), written, strict=True):
        assert labels == original[row] | {"authors_note": original[row].get("authors_note")}


def test_their_loader_reads_it(small_table, tmp_path):
    """`np.load(allow_pickle=True)`: keys, types and channel order of the published file."""
    published.write(small_table, tmp_path / "dataset_combined.npz")
    theirs = np.load(tmp_path / "dataset_combined.npz", allow_pickle=True)
    reference = arrays()
    n = len(small_table)
    assert set(theirs.files) == set(reference)
    for name, array in reference.items():
        assert theirs[name].dtype == array.dtype, name
        assert theirs[name].shape == (n, *array.shape[1:]), name
    rows = slice(0, n, 5)
    for row, pair in enumerate(small_table.names):
        labels, metadata = theirs["labels"][row], theirs["metadata"][row]
        assert type(labels) is type(metadata) is dict
        assert set(labels) == set(published.LABELS) and set(metadata) == set(
            reference["metadata"][0]
        )
        assert theirs["pair_names"][row] == metadata["pair_name"] == pair
        assert "_".join(theirs["elements"][row]) == pair
        for name, value in labels.items():
            assert value is None or type(value) is float, name
        for name, value in reference["metadata"][0].items():
            assert type(metadata[name]) is type(value), name
        assert [type(item) for item in metadata["dipole_moment"]] == [float] * 3
        assert labels["e_homo_ev"] == small_table.targets["e_homo_ev"][row]
        energy = small_table.targets["total_energy_ev"][row]
        assert metadata["total_energy"] * 27.211386245988 == pytest.approx(energy, rel=1e-14)
        z = metadata["dipole_moment"][2] * 2.541746473
        assert z == pytest.approx(small_table.dipole[row, 2], abs=1e-12)
        assert metadata["bond_length"] == pytest.approx(small_table.targets["distance_ang"][row])
    electrons = small_table.populations.sum(axis=-1)
    np.testing.assert_allclose(theirs["geometries"][..., 3], electrons, rtol=1e-6)
    np.testing.assert_allclose(theirs["geometries"][..., :3], small_table.positions, rtol=1e-6)
    for row in range(n)[rows]:
        drawn = encode(
            small_table.populations[row], small_table.charges[row], small_table.dipole[row]
        )
        image = theirs["images"][row].transpose(1, 2, 0)
        np.testing.assert_allclose(image, drawn, rtol=1e-4, atol=1e-5)


def test_undefined_labels_are_none(small_table, tmp_path):
    lumo = small_table.targets["e_lumo_ev"].copy()
    lumo[3] = np.nan
    targets = {"e_homo_ev": small_table.targets["e_homo_ev"], "e_lumo_ev": lumo}
    targets["e_g_ev"] = lumo - targets["e_homo_ev"]
    fields = {f: getattr(small_table, f) for f in ("names", "atomic_numbers", "positions")}
    fields |= {f: getattr(small_table, f) for f in ("populations", "charges", "dipole")}
    published.write(PairTable(**fields, targets=targets, provenance={}), tmp_path / "a.npz")
    labels = np.load(tmp_path / "a.npz", allow_pickle=True)["labels"]
    assert labels[3]["e_lumo_ev"] is labels[3]["e_g_ev"] is labels[3]["a_ev"] is None
    assert labels[3]["no_virtual_in_basis"] == 1.0 and labels[3]["metal_like"] == 0.0
    assert labels[4]["no_virtual_in_basis"] == 0.0
    metadata = np.load(tmp_path / "a.npz", allow_pickle=True)["metadata"]
    assert np.isnan(metadata[3]["fermi_level"])  # not in this table; 0 would be a number
    table = published.read(tmp_path / "a.npz")
    assert np.isnan(table.targets["fermi_level_ev"]).all()
    assert table.provenance["disagreements"] == {}


def test_what_cannot_be_written_is_refused(small_table, tmp_path):
    path = tmp_path / "out.npz"
    with pytest.raises(InputError, match=r"out\.npz: Ag_Al stands in 2 rows .* one row a pair"):
        published.write(small_table.take(np.array([0, 1, 0])), path)
    with pytest.raises(InputError, match=r"out\.npz: the table has no rows"):
        published.write(small_table.take(np.array([], int)), path)
    populations = small_table.populations.copy()
    populations[2] = np.nan
    unknown = dataclasses.replace(small_table, populations=populations)
    with pytest.raises(InputError, match=rf"the canvas of {small_table.names[2]} is not known"):
        published.write(unknown, path)
    with pytest.raises(InputError, match="cannot be written"):
        published.write(small_table, tmp_path / "nowhere" / "out.npz")
    assert os.listdir(tmp_path) == []


def test_rounding_in_the_angular_channel_loses_no_electrons(tmp_path):
    """A sound row of which the angular channel holds 1e-34, the size of rounding."""
    content = arrays()
    sigma = np.exp(-((np.arange(32) - 16.0) ** 2) / 18)
    content["images"][C_O, 1] = 1e-34 * sigma[:, None] * np.exp(-((np.arange(32) - 11.0) ** 2) / 18)
    table = read(tmp_path, content)
    row = table.row("C_O")
    assert np.isfinite(canvas.features(table)[row]).all()
    published.write(table, tmp_path / "again.npz")
    with np.load(tmp_path / "again.npz", allow_pickle=True) as file:
        electrons = file["geometries"][row, :, 3]
    np.testing.assert_allclose(electrons, arrays()["geometries"][C_O, :, 3], atol=1e-5)


def test_electrons_that_nobody_knows_are_not_written(table, tmp_path):
    table = table.take(np.arange(len(table)))
    table.canvases[0, ..., 2] = np.random.default_rng(0).random((32, 32))
    with pytest.raises(InputError, match=f"the electrons of {table.names[0]} are not known"):
        published.write(table, tmp_path / "bad.npz")
    assert list(tmp_path.iterdir()) == []
