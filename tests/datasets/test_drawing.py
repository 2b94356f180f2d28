"""Density images of TFDS records, drawn when read."""

import re

import jax.numpy as jnp
import numpy as np
import pytest
import tensorflow_datasets as tfds

from qc_jax.canvas import coefficients
from qc_jax.data.records import read_table
from qc_jax.data.table import open_table
from qc_jax.datasets import features, quantum_canvas
from qc_jax.datasets.drawing import DrawDensities
from qc_jax.errors import InputError
from tests.canvas.test_images import made_up

NAME = "quantum_canvas/ptbp_densities"
README = quantum_canvas.Builder.pkg_dir_path / "README.md"


@pytest.fixture(scope="module")
def table():
    return open_table("ptbp").take(np.arange(0, 2850, 95))


@pytest.fixture(scope="module")
def data_dir(table, tmp_path_factory):
    """The dataset of some pairs, with numbers that need no tight binding."""
    where = tmp_path_factory.mktemp("tfds")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(quantum_canvas, "open_table", lambda name: {"ptbp": table}[name])
        patch.setattr(features.coefficients, "of_table", lambda table: made_up(len(table)))
        tfds.builder(NAME, data_dir=where).download_and_prepare()
    return where


def test_numbers_are_stored_and_images_drawn(data_dir, table):
    plain = tfds.data_source(NAME, split="train", data_dir=data_dir)
    rows = made_up(len(table))
    for example in plain:
        np.testing.assert_array_equal(example["densities"], rows[example["row"]])
    draw = DrawDensities(8, ["density", "homo"])
    drawn = tfds.data_source(NAME, split="train", data_dir=data_dir, decoders={"densities": draw})
    for row in (0, 3):
        row_of = jnp.asarray(rows[drawn[row]["row"]])[None]
        expected = coefficients.draw(row_of, 8, ["density", "homo"])[0]
        np.testing.assert_allclose(drawn[row]["densities"], expected, rtol=1e-6)
    assert drawn[0]["canvas"].shape == (32, 32, 10)


def test_tfds_load_draws_the_same(data_dir):
    pytest.importorskip("tensorflow", reason="tfds.load needs TensorFlow, which is not installed")
    draw = {"densities": DrawDensities(8, ["density"], scale="linear")}
    source = tfds.data_source(NAME, split="test", data_dir=data_dir, decoders=draw)
    loaded = tfds.load(NAME, split="test", data_dir=str(data_dir), decoders=draw)
    assert loaded.element_spec["densities"].shape == (8, 8, 1)
    (batch,) = tfds.as_numpy(loaded.batch(len(source)))
    by_row = {example["row"]: example["densities"] for example in source}
    for row, image in zip(batch["row"], batch["densities"], strict=True):
        np.testing.assert_allclose(image, by_row[row], rtol=1e-6)


def test_a_table_is_read_from_it(data_dir, table):
    read = read_table(NAME, str(data_dir))
    np.testing.assert_array_equal(read.names, table.names)
    assert "densities" not in read.extras


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"size": 2}, "canvas size: expected a whole number from 3 up, got 2"),
        ({"size": 4096}, "expected at most 1024 pixels of densities, got 4096"),
        ({"channels": ["rho"]}, "unknown channel of densities 'rho'"),
        ({"scale": "root"}, "unknown scale 'root'; choose one of: linear, log"),
    ],
)
def test_bad_input_is_one_line(given, message):
    with pytest.raises(InputError) as error:
        DrawDensities(**given)
    assert message in str(error.value) and "\n" not in str(error.value)


@pytest.mark.slow
def test_readme(data_dir, run_python, tmp_path):
    snippets = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    (code,) = [snippet for snippet in snippets if "DrawDensities" in snippet]
    done = run_python("-c", code, cwd=tmp_path, TFDS_DATA_DIR=str(data_dir))
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "(64, 64, 3) (32, 32, 10)"
