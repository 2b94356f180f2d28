"""The dataset quantum_canvas as TFDS users meet it, without TensorFlow."""

import pickle
import re

import numpy as np
import pytest
import tensorflow_datasets as tfds

from qc_jax import canvas
from qc_jax.data import splits, targets
from qc_jax.data.records import read_table
from qc_jax.data.table import SHIPPED, open_table
from qc_jax.datasets.quantum_canvas import Builder
from qc_jax.engines import published
from qc_jax.errors import InputError

FLOATS = ("positions", "populations", "charges", "dipole")
README = Builder.pkg_dir_path / "README.md"


@pytest.fixture(scope="module")
def table():
    return open_table("ptbp")


@pytest.fixture(scope="module")
def sources(tfds_data_dir):
    return tfds.data_source("quantum_canvas", data_dir=tfds_data_dir)


@pytest.fixture(scope="module")
def examples(sources):
    """Each split's examples by name."""
    return {
        part: {example["name"].decode(): example for example in source}
        for part, source in sources.items()
    }


@pytest.fixture(scope="module")
def everything(examples):
    return {name: example for part in examples.values() for name, example in part.items()}


def test_splits_are_the_published_rule_over_all_pairs(sources, examples, table):
    split = splits.random_split(len(table), 42)
    assert set(sources) == {"train", "validation", "test"}
    for part, rows in split.parts().items():
        assert len(sources[part]) == len(rows)
        assert set(examples[part]) == set(table.names[rows])
    assert len(split.train) == int(0.8 * len(table))


def test_rows_are_the_table_in_float32(everything, table):
    for field in FLOATS:
        got = np.array([everything[name][field] for name in table.names])
        assert got.dtype == np.float32
        np.testing.assert_array_equal(got, getattr(table, field).astype(np.float32))
    numbers = np.array([everything[name]["atomic_numbers"] for name in table.names])
    assert numbers.dtype == np.int32
    np.testing.assert_array_equal(numbers, table.atomic_numbers)


@pytest.mark.parametrize("name", targets.TARGETS)
def test_targets_are_the_table_in_float32_nan_included(everything, table, name):
    got = np.array([everything[pair][name] for pair in table.names])
    np.testing.assert_array_equal(got, table.targets[name].astype(np.float32))


def test_undefined_targets_are_nan(everything, table):
    metals = table.names[table.targets["e_g_ev"] == 0]
    assert len(metals) and np.isnan([everything[name]["softness_evinv"] for name in metals]).all()


def test_canvases_are_rendered_from_the_table(everything, table):
    expected = np.asarray(canvas.render(canvas.features(table)))
    got = np.array([everything[name]["canvas"] for name in table.names])
    assert got.dtype == np.float32 and got.shape == (len(table), 32, 32, 10)
    np.testing.assert_array_equal(got, expected)


def test_features(everything):
    info = Builder(data_dir="unused").info
    inputs = {"name", "row", "atomic_numbers", *FLOATS, "canvas"}
    # Were a target called like an input, one would hide the other.
    assert set(info.features) == inputs | set(targets.TARGETS)
    assert len(info.features) == len(inputs) + len(targets.TARGETS)
    for target in targets.TARGETS.values():
        feature = info.features[target.name]
        assert (feature.shape, feature.np_dtype) == ((), np.float32)
        assert feature.doc.desc.startswith(f"{target.unit}: ")
    assert all(set(example) == set(info.features) for example in everything.values())


def test_metadata_files_reach_the_info():
    info = Builder(config="gfn2_xtb_curves", data_dir="unused").info
    assert "2512.01519" in info.citation and "1652--1671" in info.citation
    assert info.description.startswith("Two-atom quantum systems")
    for feature in info.features:
        assert f"`{feature}`" in info.description, f"README.md says nothing of {feature}"


def test_provenance_travels_with_the_records(tfds_data_dir, table):
    metadata = tfds.builder("quantum_canvas", data_dir=tfds_data_dir).info.metadata
    assert metadata["provenance"] == table.provenance
    assert metadata["fingerprint"] == table.fingerprint()


def test_a_table_that_changes_takes_another_version():
    """TFDS keeps what it has prepared of a version: other data under it would never be seen."""
    shipped = {name: open_table(name).fingerprint() for name in SHIPPED}
    of_version = {
        "1.2.0": {
            "ptbp": "5f906b529c40ce00",
            "gfn2_xtb": "ce41da9b58e28291",
            "ptbp_exact": "99fdd91b29487779",
        }
    }
    assert shipped == of_version[str(Builder.VERSION)]


def test_ptbp_is_the_default_and_array_record_the_format(tfds_data_dir):
    builder = tfds.builder("quantum_canvas", data_dir=tfds_data_dir)
    assert builder.is_prepared() and builder.builder_config.name == "ptbp"
    assert builder.info.file_format is tfds.core.FileFormat.ARRAY_RECORD


def test_part_of_a_split_is_no_alphabetical_piece(tfds_data_dir, examples):
    part = tfds.data_source("quantum_canvas", split="train[:10%]", data_dir=tfds_data_dir)
    assert len(part) == round(0.1 * len(examples["train"]))
    assert len({example["name"][:1] for example in part}) > 10  # first letters of the names


def test_source_can_be_pickled(sources):  # as Grain and PyTorch do for their workers
    source = sources["test"]
    again = pickle.loads(pickle.dumps(source))
    assert again[3]["name"] == source[3]["name"]


@pytest.mark.slow
def test_plain_data_source_builds_on_first_use(run_python, tmp_path, table):
    """Without data_dir, where TFDS asks for array_record, and without a network or TensorFlow."""
    code = f"{NO_TENSORFLOW}\n{_snippets()[0]}"
    done = run_python("-c", code, cwd=tmp_path, **_elsewhere(tmp_path / "tfds"))
    assert done.returncode == 0, done.stderr
    last = done.stdout.splitlines()[-1].split()
    assert int(last[0]) == int(0.8 * len(table))
    assert last[1] in table.names and done.stdout.rstrip().endswith("(32, 32, 10)")


@pytest.mark.slow
def test_readme_snippet_with_tensorflow(run_python, tmp_path, tfds_data_dir):
    """From the files that were prepared for tfds.data_source, as in the README."""
    pytest.importorskip("tensorflow", reason="tfds.load needs TensorFlow, which is not installed")
    (snippet,) = [code for code in _snippets() if "tfds.load" in code]
    done = run_python("-c", snippet, cwd=tmp_path, **_elsewhere(tfds_data_dir))
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "(64, 32, 32, 10) <dtype: 'int32'>"


def test_readme_has_no_snippet_that_is_not_run():
    assert len(_snippets()) == 5  # the curves': test_curves.py; densities': test_drawing.py


def test_published_without_the_file_is_the_manual_download_message(tmp_path):
    builder = tfds.builder("quantum_canvas/published", data_dir=tmp_path)
    with pytest.raises(AssertionError, match=r"(?s)Manual directory.*dataset_combined\.npz"):
        builder.download_and_prepare()
    manual = tmp_path / "downloads" / "manual"
    manual.mkdir(parents=True)
    (manual / "other.npz").touch()
    with pytest.raises(AssertionError, match=r"has no dataset_combined\.npz"):
        builder.download_and_prepare()
    assert not builder.is_prepared()


@pytest.fixture(scope="module")
def exported(small_table, tmp_path_factory):
    """A manual directory with the small table, last row first, in the published format."""
    manual = tmp_path_factory.mktemp("manual")
    rows = np.arange(len(small_table))[::-1]
    published.write(small_table.take(rows), manual / "dataset_combined.npz")
    return manual


def test_published_is_the_file_in_manual_dir(exported, run_python, tmp_path):
    """As the README's snippet prepares it; read back as a table in the file's order."""
    (snippet,) = [code for code in _snippets() if "manual_dir" in code]
    code = snippet.replace("folder/of/dataset_combined.npz", str(exported))
    assert code != snippet
    done = run_python("-c", code, cwd=tmp_path, **_elsewhere(tmp_path))
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "0 rows left out, 0 contradict themselves"

    expected = published.read(exported / "dataset_combined.npz")
    table = read_table("quantum_canvas/published", str(tmp_path))
    np.testing.assert_array_equal(table.names, expected.names)
    assert list(table.names) == sorted(table.names, reverse=True)
    np.testing.assert_array_equal(table.canvases, expected.canvases)
    np.testing.assert_array_equal(canvas.features(table), canvas.features(expected))
    for field in ("positions", "charges", "dipole"):
        wanted = getattr(expected, field).astype(np.float32)
        np.testing.assert_array_equal(getattr(table, field), wanted)
    for name in targets.TARGETS:
        wanted = expected.targets[name].astype(np.float32)
        np.testing.assert_array_equal(table.targets[name], wanted)
    assert dict(table.provenance) == {
        **expected.provenance,
        "tfds": f"quantum_canvas/published/{Builder.VERSION}",
    }

    sources = tfds.data_source("quantum_canvas/published", data_dir=tmp_path)
    split = splits.random_split(len(table), 42)
    for part, rows in split.parts().items():
        names = [example["name"].decode() for example in sources[part]]
        assert sorted(names) == sorted(table.names[rows])
    example = sources["train"][0]
    assert set(example) == set(Builder(data_dir="unused").info.features)  # those of ptbp
    assert np.isnan(example["populations"]).all()


def test_published_tells_rows_left_out_and_keeps_a_pair_that_stands_twice(exported, tmp_path):
    with np.load(exported / "dataset_combined.npz", allow_pickle=True) as file:
        content = {name: np.append(array, array[:1], axis=0) for name, array in file.items()}
    content["elements"][3] = "X"
    np.savez_compressed(tmp_path / "dataset_combined.npz", **content)
    builder = tfds.builder("quantum_canvas/published", data_dir=tmp_path / "data")
    builder.download_and_prepare(download_config=tfds.download.DownloadConfig(manual_dir=tmp_path))
    provenance = builder.info.metadata["provenance"]
    assert list(provenance["left_out"]) == [content["pair_names"][3]]
    twice = str(content["pair_names"][0])
    row = len(content["pair_names"]) - 1
    assert list(provenance["disagreements"]) == [twice, f"{twice} (row {row})"]
    names = [x["name"].decode() for part in builder.as_data_source().values() for x in part]
    assert len(names) == row and names.count(twice) == 2


def test_published_refuses_a_file_that_is_damaged(tmp_path):
    (tmp_path / "dataset_combined.npz").write_bytes(b"PK")
    builder = tfds.builder("quantum_canvas/published", data_dir=tmp_path / "data")
    config = tfds.download.DownloadConfig(manual_dir=tmp_path)
    with pytest.raises(InputError, match=r"dataset_combined\.npz: not a published file, or cut"):
        builder.download_and_prepare(download_config=config)
    assert not builder.is_prepared()


# Python that finds no TensorFlow, also where it is installed.
NO_TENSORFLOW = """\
from importlib.machinery import PathFinder

_find_spec = PathFinder.find_spec
PathFinder.find_spec = lambda name, *args: (
    None if name.split(".")[0] in ("tensorflow", "keras") else _find_spec(name, *args)
)
try:
    import tensorflow
except ModuleNotFoundError:
    pass
else:
    raise AssertionError("TensorFlow is not hidden")
"""


def _snippets() -> list[str]:
    return re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)


def _elsewhere(data_dir) -> dict[str, str]:
    """The environment of another project, with a proxy that leads nowhere: no network."""
    proxies = {f"{scheme}_proxy": "http://127.0.0.1:9" for scheme in ("http", "https", "all")}
    return {"TFDS_DATA_DIR": str(data_dir), "TF_CPP_MIN_LOG_LEVEL": "3", **proxies}
