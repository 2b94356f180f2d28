"""Bond-length scans through Beam's direct runner, on a small configuration."""

import json
import pathlib
import re

import numpy as np
import pytest

from qc_jax import canvas
from qc_jax.datasets.curves import Answers, CurvesConfig
from qc_jax.datasets.quantum_canvas import Builder
from qc_jax.engines import generate
from qc_jax.engines.engine import Failure, FailureKind
from qc_jax.engines.tblite import TbliteEngine
from qc_jax.errors import InputError

pytest.importorskip("apache_beam", reason="apache-beam is not installed: no pipelines")

README = pathlib.Path(__file__).parents[2] / "qc_jax/datasets/metadata/quantum_canvas/README.md"
README_SNIPPETS = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
CONFIG = CurvesConfig(name="small", symbols=("H", "C", "N", "O"), curve="0.8:1.6:3")
SKIPPED = "C_N"  # an earlier run is made to have said that this pair has no solution


@pytest.fixture(scope="module")
def answers(tmp_path_factory) -> Answers:
    """What an earlier run, that was stopped, had ready."""
    ready = Answers(tmp_path_factory.mktemp("tfds") / "downloads", CONFIG)
    ready.get("C_O")
    with ready.open() as store:
        store.add(SKIPPED, Failure(FailureKind.SCF, "an earlier run said so"))
    return ready


@pytest.fixture(scope="module")
def built(answers) -> Builder:
    builder = Builder(config=CONFIG, data_dir=str(answers.path.parent.parent))
    builder.download_and_prepare()
    return builder


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """What the engine itself gives for the same pairs and distances."""
    engine = generate.scanning(TbliteEngine(workers=2), CONFIG.curve)
    out = str(tmp_path_factory.mktemp("table") / "curves.npz")
    return generate.generate(engine, CONFIG.symbols, out)


def test_records_are_what_the_engine_gives(built, table):
    records = {}
    for source in built.as_data_source().values():
        records |= {int(record["row"]): record for record in source}
    expected = table.take(table.names != SKIPPED)
    rows = sorted(records)
    assert [records[row]["name"].decode() for row in rows] == expected.names.tolist()
    images = canvas.canvases(expected)
    for place, row in enumerate(rows):
        record = records[row]
        assert table.names[row] == expected.names[place]  # a gap where the pair is left out
        for key in ("positions", "populations", "charges", "dipole", "forces"):
            np.testing.assert_allclose(
                record[key], getattr(expected, key)[place], rtol=1e-6, atol=1e-6
            )
        for key in ("bond_ratio", "continuous"):
            assert record[key] == np.float32(expected.extras[key][place])
        for key in ("mermin_free_energy_ev", "e_homo_ev", "distance_ang"):
            np.testing.assert_allclose(record[key], expected.targets[key][place], rtol=1e-6)
        np.testing.assert_allclose(record["canvas"], images[place], rtol=1e-5, atol=1e-6)


def test_all_points_of_a_pair_stand_in_one_part(built):
    parts = {
        part: {record["name"].decode() for record in source}
        for part, source in built.as_data_source().items()
    }
    names = sorted(name for part in parts.values() for name in part)
    assert len(names) == len(set(names)) == 9  # of 10 pairs one is left out
    assert {part: len(pairs) for part, pairs in CONFIG.split(42).items()} == {
        "train": 8,
        "validation": 1,
        "test": 1,
    }
    for part, pairs in CONFIG.split(42).items():
        assert parts[part] == set(pairs) - {SKIPPED}


def test_what_is_left_out_travels_with_the_records(built, answers):
    again = Builder(config=CONFIG, data_dir=str(answers.path.parent.parent))
    provenance = again.info.metadata["provenance"]
    assert provenance["left_out"] == {SKIPPED: "SCF: an earlier run said so"}
    assert provenance["curve"] == "0.8:1.6:3" and provenance["engine"] == "tblite"
    assert provenance["elements"] == ["C", "H", "N", "O"]


def test_what_was_ready_is_not_computed_again(answers, monkeypatch):
    monkeypatch.setattr("qc_jax.engines.pool.answer_of", lambda compute, name: pytest.fail(name))
    middle = answers.get("C_O").points[1]
    assert middle.distance == pytest.approx(1.2 * 1.127, abs=0.01)


def test_another_grid_has_answers_of_its_own(answers):
    other = CurvesConfig(name="other", symbols=CONFIG.symbols, curve="0.8:1.6:4")
    same = CurvesConfig(name="same", symbols=("H",), curve=CONFIG.curve)
    parent = answers.path.parent
    assert Answers(parent, other).path != answers.path
    assert Answers(parent, same).path == answers.path


def test_a_damaged_answer_is_named(answers):
    before = answers.path.read_bytes()
    answers.path.write_bytes(before[:100] + b"?" * (len(before) - 100))
    with pytest.raises(InputError, match=r"\.answers: damaged .*; delete the file"):
        answers.get("H_H")
    answers.path.write_bytes(before)


def test_tf_data_reads_it(built):
    pytest.importorskip("tensorflow", reason="TensorFlow is not installed")
    batch = next(iter(built.as_dataset(split="train").batch(24)))
    forces = batch["forces"].numpy()
    assert forces.shape == (21, 2, 3)  # 8 pairs less one, at 3 distances
    np.testing.assert_array_equal(forces[:, 0], -forces[:, 1])


@pytest.mark.slow
def test_readme_snippet(run_python, tmp_path):
    """Several processes, from the script that the README shows."""
    (snippet,) = [code for code in README_SNIPPETS if "apache_beam" in code]
    script = tmp_path / "curves.py"
    script.write_text(snippet)
    done = run_python(script, cwd=tmp_path, TFDS_DATA_DIR=str(tmp_path / "data"))
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "data" / "quantum_canvas" / "gfn2_xtb_curves_hcnof"
    info = json.loads(next(folder.glob("*/dataset_info.json")).read_text())
    lengths = [sum(map(int, split["shardLengths"])) for split in info["splits"]]
    assert sorted(lengths) == [40, 80, 480]  # 15 pairs, each at 40 distances


@pytest.mark.slow
def test_curves_by_tight_binding(tmp_path):
    """Computed many at once before the pipeline begins, which then computes nothing."""
    config = CurvesConfig(
        name="tight", symbols=CONFIG.symbols, curve="0.8:1.6:5", engine_name="dftb", together=True
    )
    builder = Builder(config=config, data_dir=str(tmp_path))
    builder.download_and_prepare()
    rows = [row for source in builder.as_data_source().values() for row in source]
    assert len({row["name"] for row in rows}) == 10 and len(rows) == 50
    for row in rows:
        assert row["continuous"] == 1
        np.testing.assert_array_equal(row["forces"][0], -row["forces"][1])
    hydrogen = sorted((row for row in rows if row["name"] == b"H_H"), key=lambda r: r["bond_ratio"])
    pushed = [row["forces"][1, 2] for row in hydrogen]
    assert pushed[0] > 0 > pushed[-1]
    provenance = builder.info.metadata["provenance"]
    assert provenance["engine"] == "dftb" and not provenance["left_out"]
