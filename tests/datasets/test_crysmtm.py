"""The dataset crysmtm from a manual directory of small TiO2 particles, without a network."""

import re
import shutil

import ase
import ase.io
import numpy as np
import PIL.Image
import pytest
import tensorflow_datasets as tfds

from qc_jax.data.atoms import read_structure
from qc_jax.datasets import crysmtm
from qc_jax.datasets.crysmtm import Builder
from qc_jax.errors import InputError

README = Builder.pkg_dir_path / "README.md"


def _manual(folder):
    return tfds.download.DownloadConfig(manual_dir=folder)


@pytest.fixture(scope="module")
def manual(run_python, tmp_path_factory):
    pytest.importorskip("ase")
    folder = tmp_path_factory.mktemp("crysmtm")
    done = run_python(
        *("-m", "tests.fixtures.make_crysmtm", f"--out={folder}"),
        *("--kelvin=0,250,300", "--rotations=2", "--size=24", "--small"),
        OMP_NUM_THREADS="1",
    )
    assert done.returncode == 0, done.stderr
    (folder / "rutile" / "0K" / "text" / "rot_1.txt").unlink()
    picture = folder / "brookite" / "300K" / "images" / "rot_1.png"
    PIL.Image.open(picture).convert("RGBA").save(picture)  # as plotting programs write them
    return folder


@pytest.fixture(scope="module")
def prepared(manual, tmp_path_factory):
    builder = tfds.builder("crysmtm", data_dir=tmp_path_factory.mktemp("data"))
    builder.download_and_prepare(download_config=_manual(manual))
    return builder


@pytest.fixture(scope="module")
def records(prepared):
    sources = prepared.as_data_source()
    return {
        part: {record["name"].decode(): record for record in source}
        for part, source in sources.items()
    }


def test_parts_are_the_published_ones(records):
    temperatures = {"train": "300K", "test_id": "250K", "test_ood": "0K"}
    assert {part: {name.split("_")[1] for name in some} for part, some in records.items()} == {
        part: {kelvin} for part, kelvin in temperatures.items()
    }
    assert [len(records[part]) for part in temperatures] == [6, 6, 5]


def test_records_are_the_files(records, manual):
    labels, _ = crysmtm.read_labels(manual / "labels.csv")
    record = records["train"]["brookite_300K_1"]
    folder = manual / "brookite" / "300K"
    structure = read_structure(folder / "xyz" / "rot_1.xyz")
    np.testing.assert_array_equal(record["atomic_numbers"], structure.atomic_numbers)
    np.testing.assert_array_equal(record["positions"], structure.positions.astype("f4"))
    picture = np.asarray(PIL.Image.open(folder / "images" / "rot_1.png").convert("RGB"))
    assert picture.shape == (24, 24, 3) and len(np.unique(picture)) > 10
    np.testing.assert_array_equal(record["image"], picture)
    assert record["text"].decode() == (folder / "text" / "rot_1.txt").read_text()
    assert (record["phase"], record["temperature"], record["rotation"]) == (1, 300, 1)
    for name, value in labels["brookite", 300].items():
        assert record[name] == value  # every digit of it
    assert not record["cell"].any()


def test_rotations_are_of_one_structure(records):
    first, second = (records["train"][f"rutile_300K_{k}"]["positions"] for k in (0, 1))
    assert np.abs(first - second).max() > 0.1
    lengths = [np.linalg.norm(each[:, None] - each, axis=-1) for each in (first, second)]
    np.testing.assert_allclose(*lengths, atol=1e-5)


def test_what_lacks_something_is_listed(prepared):
    provenance = dict(prepared.info.metadata["provenance"])
    assert len(provenance.pop("sha256")) == 64
    assert provenance == {
        "samples": 17,
        "labelled": 9,
        "left_out": {"rutile_0K_1": "no file in text"},
        "other_parameters": {},
    }


def test_a_cell_of_the_file_is_kept(manual, tmp_path):
    shutil.copytree(manual, tmp_path / "manual")
    path = tmp_path / "manual" / "rutile" / "300K" / "xyz" / "rot_0.xyz"
    cell = np.diag([4.5, 4.5, 3.0])
    structure = read_structure(path)
    atoms = ase.Atoms(structure.atomic_numbers, structure.positions, cell=cell, pbc=True)
    ase.io.write(path, atoms)
    builder = tfds.builder("crysmtm", data_dir=tmp_path / "data")
    builder.download_and_prepare(download_config=_manual(tmp_path / "manual"))
    found = {r["name"]: r["cell"] for r in builder.as_data_source(split="train")}
    np.testing.assert_array_equal(found[b"rutile_300K_0"], cell)
    assert not found[b"rutile_300K_1"].any()


@pytest.mark.parametrize(
    ("kind", "message"), [("images", "not an image"), ("xyz", "expected text, got bytes")]
)
def test_damaged_files_are_refused(manual, tmp_path, kind, message):
    shutil.copytree(manual, tmp_path / "manual")
    end = crysmtm.KINDS[kind]
    (tmp_path / "manual" / "anatase" / "250K" / kind / f"rot_0.{end}").write_bytes(b"\x89PNG")
    builder = tfds.builder("crysmtm", data_dir=tmp_path / "data")
    with pytest.raises(InputError, match=rf"rot_0\.{end}: {message}"):
        builder.download_and_prepare(download_config=_manual(tmp_path / "manual"))
    assert not builder.is_prepared()


def test_without_the_files_is_the_manual_download_message(tmp_path):
    (tmp_path / "other").touch()
    builder = tfds.builder("crysmtm", data_dir=tmp_path / "data")
    with pytest.raises(AssertionError, match=r"(?s)has no labels\.csv.*figshare\.29497604"):
        builder.download_and_prepare(download_config=_manual(tmp_path))


@pytest.mark.slow
def test_readme(prepared, manual, run_python, tmp_path):
    text = README.read_text()
    for feature in prepared.info.features:
        assert f"`{feature}`" in text
    assert "TiO2" in prepared.info.description and "29497604" in prepared.info.citation
    (snippet,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    code = snippet.replace("folder/of/crysmtm", str(manual))
    done = run_python("-c", code, cwd=tmp_path, TFDS_DATA_DIR=str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(r"\w+_300K_\d -?[\d.]+ \(24, 24, 3\)", done.stdout.splitlines()[-1])
