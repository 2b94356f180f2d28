"""The folder for the Hugging Face hub: the rows of TFDS, and metadata that others' readers take."""

import os

import numpy as np
import pyarrow.parquet as parquet
import pytest
import yaml

from qc_jax.data import files, splits
from qc_jax.data.table import open_table
from qc_jax.data.targets import TARGETS
from qc_jax.datasets import huggingface
from qc_jax.engines import published
from qc_jax.errors import InputError

os.environ["HF_HUB_OFFLINE"] = "1"  # read when `datasets` is imported
datasets = pytest.importorskip("datasets", reason="the package datasets is not installed")
tfds = pytest.importorskip("tensorflow_datasets")


@pytest.fixture
def folder(small_table, tmp_path):
    huggingface.write(small_table, tmp_path)
    return tmp_path


def load(folder, cache):
    return datasets.load_dataset(str(folder), cache_dir=str(cache))


def assert_the_same_rows(found, builder):
    """Every feature of every row, bit for bit; the order within a split is TFDS's own."""
    assert set(found) == {"train", "validation", "test"} == set(builder.info.splits)
    for part, rows in found.items():
        source = builder.as_data_source(split=part)
        theirs = {int(row["row"]): row for row in source}
        ours = rows.with_format("numpy")
        assert len(ours) == len(theirs) == len(source)
        assert set(ours.features) == set(builder.info.features)
        for name, feature in builder.info.features.items():
            if feature.shape == () and name != "name":
                assert rows.features[name].dtype == np.dtype(feature.np_dtype).name
        columns = {name: ours[:][name] for name in ours.features}
        for place, row in enumerate(columns["row"]):
            for name, expected in theirs[int(row)].items():
                got = columns[name][place]
                if name == "name":
                    assert str(got) == expected.decode()
                    continue
                kind = np.dtype(builder.info.features[name].np_dtype)
                np.testing.assert_array_equal(np.asarray(got, kind), np.asarray(expected, kind))


def test_the_rows_are_those_of_tfds(tfds_of_small_table, tmp_path):
    import qc_jax.datasets  # noqa: F401  (registers the dataset)

    (tmp_path / "hub").mkdir()
    huggingface.write(tfds_of_small_table, tmp_path / "hub")
    builder = tfds.builder("quantum_canvas/ptbp", data_dir=str(tmp_path / "tfds"))
    builder.download_and_prepare()
    assert_the_same_rows(load(tmp_path / "hub", tmp_path / "cache"), builder)


@pytest.mark.slow
def test_all_rows_are_those_of_tfds(tfds_data_dir, tmp_path):
    (tmp_path / "hub").mkdir()
    huggingface.write(open_table("ptbp"), tmp_path / "hub")
    builder = tfds.builder("quantum_canvas/ptbp", data_dir=tfds_data_dir)
    assert_the_same_rows(load(tmp_path / "hub", tmp_path / "cache"), builder)


def test_the_card_says_what_the_files_hold(folder, small_table, tmp_path):
    text = (folder / "README.md").read_text(encoding="utf-8")
    head = yaml.safe_load(text.split("---\n")[1])
    found = load(folder, tmp_path / "cache")
    about = head["dataset_info"]
    assert datasets.Features._from_yaml_list(about["features"]) == found["train"].features
    told = {one["name"]: one["num_examples"] for one in about["splits"]}
    assert told == {part: len(rows) for part, rows in found.items()}
    sizes = [path.stat().st_size for path in (folder / "data").iterdir()]
    assert about["download_size"] == sum(sizes)
    assert head["license"] == "unknown" and head["size_categories"] == ["n<1K"]
    for target in TARGETS.values():
        assert f"| `{target.name}` | {target.unit} |" in text
    assert (
        "| canvas, densities, populations, charges |" in text and small_table.fingerprint() in text
    )
    assert "@article{polat2025quantumcanvas" in text


def test_all_rows_of_a_pair_stand_in_one_part(small_table, tmp_path):
    """Of curves pairs are split, as TFDS does, and the card says so."""
    curves = small_table.take(np.tile(np.arange(len(small_table)), 3))
    huggingface.write(curves, tmp_path)
    parts = splits.random_split(len(small_table), 42).parts()
    for part, rows in parts.items():
        found = parquet.read_table(tmp_path / "data" / f"{part}-00000-of-00001.parquet")
        names, expected = found["name"].to_pylist(), set(small_table.names[rows].tolist())
        assert len(names) == 3 * len(rows) and set(names) == expected
        np.testing.assert_array_equal(curves.names[found["row"].to_numpy()], names)
    text = " ".join((tmp_path / "README.md").read_text(encoding="utf-8").split())
    assert f"of the {len(small_table)} pairs, each with all of its rows, whether" in text


def test_croissant_is_valid_and_reads_the_rows(folder, small_table):
    mlcroissant = pytest.importorskip("mlcroissant", reason="mlcroissant is not installed")
    dataset = mlcroissant.Dataset(str(folder / huggingface.CROISSANT))
    assert not dataset.metadata.ctx.issues.errors
    about = files.read_json(folder / huggingface.CROISSANT)
    assert {one["@id"] for one in about["recordSet"]} == {"train", "validation", "test"}
    rows = list(dataset.records("test"))
    for row in rows:
        place = int(row["test/row"])
        assert row["test/name"].decode() == small_table.names[place]
        expected = np.float32(small_table.targets["e_homo_ev"][place])
        assert np.float32(row["test/e_homo_ev"]) == expected
        expected = small_table.positions[place].astype(np.float32)
        np.testing.assert_array_equal(np.array(row["test/positions"], np.float32), expected)
        assert np.shape(row["test/canvas"]) == (32, 32, 10)
    assert rows


def test_the_authors_licence_is_of_their_file_alone(small_table):
    import dataclasses

    theirs = {"md5": published.PUBLISHED_MD5, "doi": published.PUBLISHED_DOI}
    for name, provenance, expected in (
        ("published:dataset_combined.npz", theirs, "cc-by-4.0"),
        ("tfds:quantum_canvas/published", theirs, "cc-by-4.0"),
        ("published:mine.npz", {"md5": "0", "doi": None}, "unknown"),
        ("mine.csv", {}, "unknown"),
        ("ptbp", {}, "apache-2.0"),
    ):
        table = dataclasses.replace(small_table, opened_as=name, provenance=provenance)
        assert huggingface._license_of(table) == expected


def test_a_table_without_a_label_is_refused(small_table, tmp_path):
    import dataclasses

    fewer = {name: column for name, column in small_table.targets.items() if name != "e_g_ev"}
    with pytest.raises(InputError, match="expected all labels, got no e_g_ev"):
        huggingface.write(dataclasses.replace(small_table, targets=fewer), tmp_path)
    assert list(tmp_path.iterdir()) == []
