"""A TFDS dataset read back into a table."""

import dataclasses
import os
import shutil

import numpy as np
import pytest
import tensorflow_datasets as tfds

import qc_jax.datasets  # noqa: F401  (registers the dataset)
from qc_jax import canvas
from qc_jax.data.records import read_canvases, read_table
from qc_jax.data.table import open_table
from qc_jax.datasets.array_record import ArrayRecordBuilder
from qc_jax.datasets.features import examples, features
from qc_jax.errors import InputError

NAME = "quantum_canvas/ptbp"
FIELDS = ("atomic_numbers", "positions", "populations", "charges", "dipole")


@pytest.fixture(scope="module")
def shipped():
    return open_table("ptbp")


@pytest.fixture(scope="module")
def read(tfds_data_dir):
    return read_table(NAME, tfds_data_dir)


def test_rows_are_the_shipped_table_in_its_order(read, shipped):
    np.testing.assert_array_equal(read.names, shipped.names)
    for field in FIELDS:
        expected = getattr(shipped, field)
        got = getattr(read, field)
        assert got.dtype == (np.int32 if field == "atomic_numbers" else np.float32)
        np.testing.assert_array_equal(got, expected.astype(got.dtype))
    assert set(read.targets) == set(shipped.targets)
    for name, column in read.targets.items():
        assert column.dtype == np.float32
        np.testing.assert_array_equal(column, shipped.targets[name].astype(np.float32))


def test_provenance_is_that_of_the_table_and_names_the_dataset(read, shipped):
    assert dict(read.provenance) == {**shipped.provenance, "tfds": f"{NAME}/1.2.0"}
    assert read.left_out == shipped.left_out
    assert read.canvases is read.forces is None and read.extras == {}


def test_canvases_stand_in_the_order_of_the_table(small_table, small_prepared):
    canvases = read_canvases(NAME, str(small_prepared))
    assert canvases.dtype == np.float32
    expected = np.asarray(canvas.render(canvas.features(small_table)))
    np.testing.assert_array_equal(canvases, expected)


@pytest.fixture
def backwards(small_table, tmp_path, monkeypatch):
    """A table whose rows are in no alphabetical order, one of them twice, as a file may have it."""
    from qc_jax.datasets import quantum_canvas

    rows = np.append(np.arange(len(small_table))[::-1], 5)
    table = small_table.take(rows)
    monkeypatch.setattr(quantum_canvas, "open_table", lambda name: table)
    return table


def test_rows_are_in_the_order_of_the_table_also_where_names_are_not(backwards, tmp_path):
    read = read_table(NAME, str(tmp_path))
    np.testing.assert_array_equal(read.names, backwards.names)
    np.testing.assert_array_equal(read.charges, backwards.charges.astype(np.float32))
    np.testing.assert_array_equal(read_canvases(NAME, str(tmp_path)), canvas.canvases(backwards))
    assert read.canvases is None  # populations draw them


def test_stored_canvases_come_back_where_populations_are_not_known(
    small_table, tmp_path, monkeypatch
):
    from qc_jax.datasets import quantum_canvas

    table = dataclasses.replace(
        small_table,
        populations=np.full_like(small_table.populations, np.nan),
        canvases=canvas.canvases(small_table) * np.float32(1.5),
    )
    monkeypatch.setattr(quantum_canvas, "open_table", lambda name: table)
    read = read_table(NAME, str(tmp_path))
    np.testing.assert_array_equal(read.canvases, table.canvases)
    assert np.isnan(read.populations).all()


class Scans(ArrayRecordBuilder):
    """Records as those of bond-length scans, one part."""

    VERSION = tfds.core.Version("1.0.0")
    table = None

    def _info(self):
        return tfds.core.DatasetInfo(
            builder=self, features=features(curves=True), metadata=tfds.core.MetadataDict()
        )

    def _split_generators(self, dl_manager):
        self.info.metadata.update(provenance={})
        return {"train": self._generate_examples()}

    def _generate_examples(self):
        # As where a pair in front was left out.
        for record in examples(self.table, first_row=7):
            yield record["row"], record


def test_forces_and_further_numbers_come_back(small_table, tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    n = len(small_table)
    table = dataclasses.replace(
        small_table,
        forces=rng.normal(size=(n, 2, 3)),
        extras={"bond_ratio": np.linspace(0.7, 2.5, n), "continuous": np.ones(n)},
    )
    monkeypatch.setattr(Scans, "table", table)
    read = read_table("scans", str(tmp_path))
    np.testing.assert_array_equal(read.names, table.names)
    np.testing.assert_array_equal(read.forces, table.forces.astype(np.float32))
    assert set(read.extras) == {"bond_ratio", "continuous"}
    for name, column in table.extras.items():
        np.testing.assert_array_equal(read.extras[name], column.astype(np.float32))


def test_builds_on_first_use(tfds_of_small_table, tmp_path):
    read = read_table("quantum_canvas", str(tmp_path))  # the default configuration
    np.testing.assert_array_equal(read.names, tfds_of_small_table.names)
    assert os.listdir(tmp_path / NAME) == ["1.2.0"]


def test_another_process_builds_it_meanwhile(tfds_of_small_table, tmp_path, monkeypatch):
    plain = tfds.builder
    raced = []

    def builder(name, data_dir):
        mine = plain(name, data_dir=data_dir)
        if not raced:  # after ours has looked and found nothing
            raced.append(plain(name, data_dir=data_dir))
            raced[0].download_and_prepare()
        return mine

    monkeypatch.setattr(tfds, "builder", builder)
    assert len(read_table(NAME, str(tmp_path))) == len(tfds_of_small_table)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("no_such_data", "unknown TFDS dataset 'no_such_data'; expected one whose builder"),
        ("quantum_canvas/gfn1", "unknown configuration of quantum_canvas 'gfn1'; choose one of: "),
        ("mnist", "TFDS dataset 'mnist' is not one of pairs: it has no feature 'name'"),
        ("quantum_canvas:9.9.9", r"cannot be opened: .* only: 1\.2\.0"),
        ("quantum canvas", r"expected dataset\[/config\]\[:version\]"),
        ("", r"expected dataset\[/config\]\[:version\]"),
        (
            "quantum_canvas/published",
            r"(?s)cannot be built: Manual directory .*dataset_combined\.npz",
        ),
    ],
)
def test_wrong_names(name, message, tmp_path):
    with pytest.raises(InputError, match=message):
        read_table(name, str(tmp_path))


def test_data_dir_that_cannot_be_written(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"cannot be built: .*Not a directory"):
        read_table(NAME, str(tmp_path / "file"))


def _path(data_dir, pattern):
    (path,) = (data_dir / NAME / "1.2.0").glob(pattern)
    return path


def _cut(data_dir):
    path = _path(data_dir, "*train*")
    os.truncate(path, path.stat().st_size // 2)


def _flip(data_dir):
    path = _path(data_dir, "*train*")
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 64] = bytes(byte ^ 255 for byte in content[middle : middle + 64])
    path.write_bytes(content)


def _same_split_twice(data_dir):
    shutil.copy(_path(data_dir, "*validation*"), _path(data_dir, "*test*"))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_cut, "is damaged .*; delete that folder to have it built again"),
        (_flip, "is damaged .*Corrupted"),
        (lambda data_dir: _path(data_dir, "*test*").unlink(), "is damaged .*No such file"),
        (lambda data_dir: _path(data_dir, "*test*").write_bytes(b""), "is damaged"),
        (_same_split_twice, "is damaged"),
        (lambda data_dir: _path(data_dir, "dataset_info.json").unlink(), "dataset_info.json is"),
        (lambda data_dir: _path(data_dir, "dataset_info.json").write_text("{"), "cannot be opened"),
        (lambda data_dir: _path(data_dir, "metadata.json").unlink(), "metadata.json is missing"),
    ],
)
def test_damage_is_told_with_the_folder(damage, message, small_prepared, tmp_path):
    shutil.copytree(small_prepared, tmp_path, dirs_exist_ok=True)
    damage(tmp_path)
    with pytest.raises(InputError, match=f"{tmp_path}.*{message}"):
        read_table(NAME, str(tmp_path))


@pytest.fixture(scope="module")
def small_prepared(small_table, tmp_path_factory):
    from qc_jax.datasets import quantum_canvas

    data_dir = tmp_path_factory.mktemp("small")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(quantum_canvas, "open_table", lambda name: small_table)
        tfds.builder(NAME, data_dir=data_dir).download_and_prepare()
    return data_dir
