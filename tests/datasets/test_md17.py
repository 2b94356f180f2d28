"""The dataset md17 from a manual directory, without a network."""

import hashlib
import pathlib
import re
import shutil

import numpy as np
import pytest
import tensorflow_datasets as tfds

from qc_jax.datasets import md17
from qc_jax.datasets.md17 import MOLECULES, Builder, TrajectoryConfig
from qc_jax.errors import InputError

FIXTURES = pathlib.Path(__file__).parents[1] / "fixtures"
FIXTURE = FIXTURES / "md17_ethanol.npz"
README = Builder.pkg_dir_path / "README.md"


def _manual(folder):
    return tfds.download.DownloadConfig(manual_dir=folder)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    manual = tmp_path_factory.mktemp("manual")
    shutil.copy(FIXTURE, manual)
    builder = tfds.builder("md17/ethanol", data_dir=tmp_path_factory.mktemp("data"))
    builder.download_and_prepare(download_config=_manual(manual))
    return builder


def test_records_are_the_frames_in_their_order(prepared):
    frames = md17.read(FIXTURE)
    source = prepared.as_data_source(split="train")
    assert len(source) == len(frames)
    for row in (0, 1, 57, 99):
        record = source[row]
        assert record["row"] == row
        np.testing.assert_array_equal(record["atomic_numbers"], frames.atomic_numbers)
        np.testing.assert_array_equal(record["positions"], frames.positions[row].astype("f4"))
        np.testing.assert_array_equal(record["forces"], frames.forces[row].astype("f4"))
        assert record["total_energy_ev"] == frames.energies[row]  # every digit of it


def test_metadata(prepared):
    found = tfds.builder(
        "md17/ethanol", data_dir=pathlib.Path(prepared.data_dir).parents[2]
    ).info.metadata
    assert found["provenance"] == {
        "file": "md17_ethanol.npz",
        "bytes": FIXTURE.stat().st_size,
        "sha256": hashlib.sha256(FIXTURE.read_bytes()).hexdigest(),
        "layout": "original",
        "frames": 100,
    }


def test_readme_has_every_file_and_feature(prepared):
    text = README.read_text()
    for config in Builder.BUILDER_CONFIGS:
        assert f"`{config.file}.npz`" in text
    assert len(Builder.BUILDER_CONFIGS) == 2 * len(MOLECULES)
    for feature in prepared.info.features:
        assert f"`{feature}`" in text
    assert "Trajectories of small molecules" in prepared.info.description
    assert "e1603015" in prepared.info.citation


@pytest.mark.slow
def test_readme_snippet(run_python, tmp_path):
    (snippet,) = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    code = snippet.replace("folder/of/the/npz", str(FIXTURES))
    done = run_python("-c", code, cwd=tmp_path, TFDS_DATA_DIR=str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(r"\(9, 3\) -30\d\.\d+ \(9, 3\)", done.stdout.splitlines()[-1])


def test_revised_and_a_config_of_ones_own(tmp_path):
    frames = md17.read(FIXTURE)
    revised = md17.Trajectory(**{**vars(frames), "layout": "revised"})
    md17.write(tmp_path / "rmd17_ethanol.npz", revised)
    builder = tfds.builder("md17/revised_ethanol", data_dir=tmp_path / "data")
    builder.download_and_prepare(download_config=_manual(tmp_path))
    assert builder.as_data_source(split="train")[3]["total_energy_ev"] == pytest.approx(
        frames.energies[3], rel=1e-14
    )
    mine = TrajectoryConfig(name="mine", file="rmd17_ethanol", layout="revised")
    builder = Builder(config=mine, data_dir=tmp_path / "data")
    builder.download_and_prepare(download_config=_manual(tmp_path))
    assert builder.info.splits["train"].num_examples == 100


def test_wrong_files_are_refused(tmp_path):
    shutil.copy(FIXTURE, tmp_path / "md17_uracil.npz")
    shutil.copy(FIXTURE, tmp_path / "rmd17_ethanol.npz")
    for config, message in {
        "uracil": r"md17_uracil\.npz: expected uracil, C4H4N2O2, got C2H6O",
        "revised_ethanol": r"rmd17_ethanol\.npz: expected arrays energies, forces, .* \(revised\)",
    }.items():
        builder = tfds.builder(f"md17/{config}", data_dir=tmp_path / "data")
        with pytest.raises(InputError, match=message):
            builder.download_and_prepare(download_config=_manual(tmp_path))
        assert not builder.is_prepared()
    builder = tfds.builder("md17/aspirin", data_dir=tmp_path / "data")
    with pytest.raises(AssertionError, match=r"(?s)has no md17_aspirin\.npz.*quantum-machine\.org"):
        builder.download_and_prepare(download_config=_manual(tmp_path))


@pytest.mark.slow  # importing TensorFlow
def test_tensorflow_reads_the_same(prepared):
    pytest.importorskip("tensorflow", reason="tfds.load needs TensorFlow, which is not installed")
    rows = tfds.as_numpy(prepared.as_dataset(split="train[:3]"))
    source = prepared.as_data_source(split="train")
    for row, expected in zip(rows, source, strict=False):
        np.testing.assert_array_equal(row["forces"], expected["forces"])
