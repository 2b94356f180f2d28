"""The same dataset through TensorFlow: tfds.load, and TFDS's own test of a builder."""

import os

import numpy as np
import pytest
import tensorflow_datasets as tfds

from qc_jax import canvas
from qc_jax.data.records import read_table
from qc_jax.data.splits import random_split
from qc_jax.datasets import quantum_canvas
from qc_jax.datasets.array_record import ArrayRecordTfDataAdapter, teach_tfds
from qc_jax.datasets.quantum_canvas import Builder
from qc_jax.engines import published
from qc_jax.errors import InputError

tf = pytest.importorskip("tensorflow", reason="tfds.load needs TensorFlow, which is not installed")
pytest.importorskip("dill", reason="tfds.testing needs dill, which is not installed")


def _load(data_dir, **kwargs):
    return tfds.as_numpy(
        tfds.load("quantum_canvas", data_dir=str(data_dir), batch_size=-1, **kwargs)
    )


@pytest.mark.parametrize(
    "part",
    [
        pytest.param("train", marks=pytest.mark.slow),
        "validation",
        "test",
        "train[10:25%]+test[3:-1]",
    ],
)
def test_load_reads_what_data_source_reads(tfds_data_dir, part):
    loaded = _load(tfds_data_dir, split=part)
    rows = list(tfds.data_source("quantum_canvas", split=part, data_dir=tfds_data_dir))
    if "+" in part:  # tf.data takes turns between files
        loaded = {key: values[np.argsort(loaded["name"])] for key, values in loaded.items()}
        rows.sort(key=lambda row: row["name"])
    for key, values in loaded.items():
        expected = np.array([row[key] for row in rows], dtype=values.dtype)
        np.testing.assert_array_equal(values, expected, err_msg=key)


def test_shuffling_batches_and_ids(tfds_data_dir):
    config = tfds.ReadConfig(shuffle_seed=1, add_tfds_id=True)
    split = tfds.load(
        "quantum_canvas",
        split="test",
        data_dir=tfds_data_dir,
        shuffle_files=True,
        batch_size=7,
        read_config=config,
    )
    batches = list(tfds.as_numpy(split))
    source = tfds.data_source("quantum_canvas", split="test", data_dir=tfds_data_dir)
    assert {len(batch["name"]) for batch in batches[:-1]} == {7}
    names = [name for batch in batches for name in batch["name"]]
    assert sorted(names) == sorted(row["name"] for row in source)
    ids = [row for batch in batches for row in batch["tfds_id"]]
    assert len(set(ids)) == len(source)


def test_a_version_by_name_reads_the_same_files(tfds_data_dir):
    """With a version TFDS leaves our builder aside and reads the files by itself."""
    split = tfds.load("quantum_canvas/ptbp:1.2.0", split="test", data_dir=tfds_data_dir)
    names = [row["name"] for row in tfds.as_numpy(split)]
    source = tfds.data_source("quantum_canvas", split="test", data_dir=tfds_data_dir)
    assert names == [row["name"] for row in source]


def test_load_first_then_data_source(tfds_of_small_table, tmp_path):
    parts = _load(tmp_path)
    # As data_source asks for it where no data_dir is given.
    kwargs = {"file_format": "array_record"}
    sources = tfds.data_source("quantum_canvas", data_dir=tmp_path, builder_kwargs=kwargs)
    for part, source in sources.items():
        assert list(parts[part]["name"]) == [row["name"] for row in source]


def test_published_loads_like_the_others(small_table, tmp_path):
    """`tfds.load` from an exported file in the manual directory, in one call."""
    published.write(small_table, tmp_path / "dataset_combined.npz")
    config = tfds.download.DownloadConfig(manual_dir=tmp_path)
    loaded = tfds.load(
        "quantum_canvas/published",
        data_dir=tmp_path / "data",
        batch_size=-1,
        download_and_prepare_kwargs={"download_config": config},
    )
    rows = {name: i for i, name in enumerate(small_table.names)}
    images = canvas.canvases(small_table)
    seen = 0
    for part in tfds.as_numpy(loaded).values():
        for name, image, number in zip(part["name"], part["canvas"], part["row"], strict=True):
            np.testing.assert_array_equal(image, images[rows[name.decode()]])
            assert number == rows[name.decode()]
            seen += 1
    assert seen == len(small_table)


def test_tfrecord_on_request(tfds_of_small_table, tmp_path):
    builder = tfds.builder("quantum_canvas", data_dir=tmp_path)
    builder.download_and_prepare(file_format="tfrecord")
    assert list(builder.data_path.glob("*.tfrecord*"))
    names = [name.decode() for part in _load(tmp_path).values() for name in part["name"]]
    assert sorted(names) == list(tfds_of_small_table.names)
    with pytest.raises(InputError, match=r"prepared as tfrecord, which cannot be read at random"):
        read_table("quantum_canvas", str(tmp_path))


def test_teaching_tfds_leaves_a_tfds_alone_that_can(monkeypatch):
    class Able(ArrayRecordTfDataAdapter):
        pass

    formats = tfds.core.file_adapters.ADAPTER_FOR_FORMAT
    monkeypatch.setitem(formats, tfds.core.FileFormat.ARRAY_RECORD, Able)
    teach_tfds()
    assert formats[tfds.core.FileFormat.ARRAY_RECORD] is Able


class TestWithTfdsTesting(tfds.testing.DatasetBuilderTestCase):
    """TFDS's checks of a builder, on the small table: they read it all several times."""

    DATASET_CLASS = Builder
    BUILDER_CONFIG_NAMES_TO_TEST = ["ptbp"]  # noqa: RUF012
    EXAMPLE_DIR = os.path.dirname(__file__)  # nothing is read there

    @pytest.fixture(autouse=True, scope="class")
    @classmethod
    def _small(cls, small_table):
        split = random_split(len(small_table), 42)
        cls.SPLITS = {part: len(rows) for part, rows in split.parts().items()}
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(quantum_canvas, "open_table", lambda name: small_table)
            yield
