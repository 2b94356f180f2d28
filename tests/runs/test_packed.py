"""Models in one file, and those that come with the package."""

import dataclasses
import json
import shutil

import jax
import numpy as np
import pytest

import qc_jax
from qc_jax.errors import InputError
from qc_jax.runs import loading, packed


@pytest.fixture(scope="module")
def run(small_table):
    task = qc_jax.prepare(small_table, "e_homo_ev")
    return qc_jax.fit(qc_jax.create("egnn", hidden=8, layers=1), task, qc_jax.TrainConfig(epochs=1))


@pytest.fixture(scope="module")
def path(run, tmp_path_factory):
    path = tmp_path_factory.mktemp("packed") / "model.npz"
    run.pack(path)
    return path


def test_it_predicts_the_same_bits(run, path):
    opened = qc_jax.load(path)
    names = ["Ag_Al", "C_O", "H_H"]
    assert np.array_equal(opened.predict(names), run.predict(names))
    apart = run.predict(names, distance=2.0)
    assert np.array_equal(opened.predict(names, distance=[2.0] * 3), apart)
    assert opened.part_of("C_O") == run.part_of("C_O")
    assert opened.result["test"] == run.score().result["test"]


def test_half_precision_halves_the_file_and_scores_what_is_in_it(run, path, tmp_path):
    half = tmp_path / "half.npz"
    run.pack(half, weights="float16")
    opened = qc_jax.load(half)
    for kept, own in zip(*map(jax.tree.leaves, (opened.variables, run.variables)), strict=True):
        assert np.array_equal(kept, np.float32(np.float16(own)))
    names = list(opened.split["test"])
    labels = opened.pairs.labels[[opened.pairs.row(name, {}) for name in names], 0]
    off = np.abs(opened.predict(names)[:, 0] - labels).mean()
    assert opened.result["test"]["e_homo_ev"]["mae"] == pytest.approx(off, rel=1e-5)
    assert opened.result["test"] != qc_jax.load(path).result["test"]
    sizes = [
        sum(v.nbytes for k, v in np.load(file).items() if "weights" in k) for file in (half, path)
    ]
    assert 2 * sizes[0] == sizes[1]
    with pytest.raises(InputError, match="unknown weights 'float8'"):
        run.pack(half, weights="float8")
    large = jax.tree.map(lambda leaf: leaf + 1e5, run.state.best_params)
    with pytest.raises(InputError, match="expected at most 65504 for float16"):
        dataclasses.replace(run, state=run.state.replace(best_params=large)).pack(half, "float16")


def test_half_precision_is_of_what_was_learned(run, tmp_path):
    """Constants, like energies of atoms, are too large for it."""
    state = run.state.replace(best_statistics={"constants": {"energy": np.float32([151.234])}})
    kept = dataclasses.replace(run, state=state, result={})
    kept.pack(tmp_path / "half.npz", weights="float16")
    found = packed.read(tmp_path / "half.npz").variables
    assert found["constants"]["energy"] == np.float32(151.234)
    assert kept._rounded("float16").variables["constants"]["energy"] == np.float32(151.234)


@pytest.mark.parametrize(("images", "stored"), [("canvas", False), ("densities", True)])
def test_pairs_of_a_shipped_table_are_stored_where_images_take_long(images, stored, tmp_path):
    task = qc_jax.prepare(qc_jax.open_table("ptbp"), "e_homo_ev")
    run = qc_jax.fit(qc_jax.create("pair_mean"), task)
    told = dataclasses.replace(run, config=run.config.replace(images=images))
    told.pack(tmp_path / "model.npz")
    assert ("pairs/names" in np.load(tmp_path / "model.npz")) == stored
    opened = qc_jax.load(tmp_path / "model.npz")
    assert opened.pairs.names.tolist() == run.pairs.names.tolist()


def changed(path, folder, **changes):
    """A copy of the file with other arrays; None takes one out."""
    arrays = {**dict(np.load(path)), **changes}
    other = folder / "other.npz"
    np.savez(other, **{key: value for key, value in arrays.items() if value is not None})
    return other


def test_damage_is_one_clear_error(path, tmp_path):
    about = json.loads(str(np.load(path)["about"]))
    weight = next(key for key in np.load(path) if key.startswith("weights/params"))
    for changes, expected in (
        ({"about": None}, "without 'about'"),
        ({"about": np.array("{}")}, "not a packed model: without 'format'"),
        (
            {"about": np.array(json.dumps({**about, "schema": 99}))},
            "got 99: of a newer qc_jax",
        ),
        ({"about": np.array(json.dumps({**about, "record": {}}))}, "expected the fields"),
        ({weight: None}, "expected weights of egnn"),
        ({weight: np.zeros(3)}, "expected weights of egnn"),
        ({weight: np.full_like(np.load(path)[weight], np.nan)}, "is not finite"),
        ({"scaler/low": None}, "the labels' scale is not whole"),
    ):
        with pytest.raises(InputError, match=expected):
            qc_jax.load(changed(path, tmp_path, **changes))
    cut = tmp_path / "cut.npz"
    cut.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(InputError, match="cut short or damaged"):
        qc_jax.load(cut)
    with pytest.raises(InputError, match=r"ends in \.npz"):
        qc_jax.load(path).pack(tmp_path / "model.bin")


@pytest.mark.parametrize("name", packed.index())
def test_shipped_models(name):
    """Each is what its scores say: on its test rows it errs as much."""
    run = qc_jax.load(name)
    expected = loading._expected(run.model, run.config.canvas_size, run.config.images)
    assert loading._shapes(run.variables) == expected
    assert run.config.data in packed.SHIPPED
    names = list(run.split["test"])
    table = qc_jax.open_table(run.config.data)
    rows = [table.row(pair) for pair in names]
    predicted = run.predict(names)
    for column, target in enumerate(run.targets):
        off = np.abs(predicted[:, column] - table.targets[target][rows])
        expected = run.result["test"][target]["mae"]
        assert np.nanmean(off) == pytest.approx(expected, rel=1e-3, abs=1e-6), target


def test_a_shipped_file_that_differs_is_refused(tmp_path, monkeypatch):
    folder = tmp_path / "trained"
    shutil.copytree(packed._FOLDER, folder)
    monkeypatch.setattr(packed, "_FOLDER", folder)
    file = folder / f"{packed.DEFAULT[0]}.npz"
    file.write_bytes(file.read_bytes() + b"x")
    with pytest.raises(InputError, match="expected the model that was shipped"):
        qc_jax.load(packed.DEFAULT[0])


def test_what_predicts_by_default():
    """Members of one split; the mean errs less than each, and intervals hold their share."""
    scored = qc_jax.Ensemble(packed.DEFAULT).score()
    assert scored["members"] == len(packed.DEFAULT)
    for name, of in scored["test"].items():
        assert of["mae"] <= of["mae_member"] * (1 + 1e-6), name
        if name not in ("softness_evinv", "electrophilicity_ev"):  # few pairs dominate them
            assert abs(of["coverage_80"] - 0.8) < 0.07, name
