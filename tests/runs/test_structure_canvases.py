"""Models of images on larger structures, whose canvases tight binding tells."""

import numpy as np
import pytest
from ase.build import molecule
from ase.io import write

import qc_jax
from qc_jax import canvas
from qc_jax.data.targets import leaking_inputs
from qc_jax.errors import InputError
from qc_jax.runs import building
from qc_jax.runs.loading import load


@pytest.fixture(scope="module")
def waters(tmp_path_factory):
    """The name of 20 bent and stretched waters and hydrogens."""
    rng = np.random.default_rng(0)
    frames = []
    for row in range(20):
        atoms = molecule("H2" if row % 5 == 4 else "H2O")
        atoms.positions += rng.normal(0, 0.05, atoms.positions.shape)
        atoms.info["dipole_mag_d"] = float(rng.uniform(1, 2))
        frames.append(atoms)
    path = tmp_path_factory.mktemp("waters") / "waters.xyz"
    write(path, frames)
    return f"extxyz:{path}"


def _config(data, **changes):
    model = {"name": "vit", "hidden": 8, "layers": 1, "heads": 1, "patch": 8}
    return {
        "data": data,
        "target": "dipole_mag_d",
        "epochs": 2,
        "canvas_size": 16,
        "batch_size": 8,
        "model": model,
        **changes,
    }


def test_images_of_molecules_train_and_predict(waters, tmp_path):
    run = building.from_config(_config(waters))
    batch = run.task.dataset.structures
    assert batch.canvas_size == 16 and len(batch.canvas_features) == 20
    np.testing.assert_array_equal(batch.canvas_features, canvas.features(run.table))
    assert leaking_inputs("dipole_mag_d", run.model.inputs) == ("canvas",)
    saved = qc_jax.fit(run.model, run.task, run.settings).save(tmp_path / "run")
    atoms = molecule("H2O")
    value = saved.predict([atoms])
    assert np.isfinite(value).all()
    again = load(tmp_path / "run").predict([atoms, molecule("H2")])
    np.testing.assert_allclose(again[0], value[0], rtol=1e-5)
    heavy = molecule("H2O")
    heavy.numbers[0] = 92
    with pytest.raises(InputError, match="structure 1: its canvas needs parameters of PTBP"):
        saved.predict([heavy])
    heavy.numbers[0] = 8
    heavy.cell, heavy.pbc = np.eye(3) * 9, True
    with pytest.raises(InputError, match="cell"):
        saved.predict([heavy])


@pytest.mark.slow
def test_fusion_models_see_atoms_and_images(waters):
    small = {"hidden": 8, "filters": 8, "interactions": 1, "widths": (4, 4, 4, 4), "fusion": (4,)}
    config = _config(waters, epochs=1, model={"name": "multimodal", **small})
    run = building.from_config(config)
    saved = qc_jax.fit(run.model, run.task, run.settings)
    assert np.isfinite(saved.predict([molecule("H2O")])).all()


def test_a_task_gets_canvases_for_the_model_that_reads_them(waters):
    table = qc_jax.open_data(waters)
    task = building.prepare(table, "dipole_mag_d", canvas_size=8)
    assert task.dataset.structures.canvas_features is None
    made = building.for_model(task, building.from_config(_config(waters)).model)
    assert made.dataset.structures.canvas_features.shape == (20, 309)
    assert made.dataset.structures.canvas_size == 8
    streamed = building.prepare(table, "dipole_mag_d", canvas_size=8, stream=True)
    made = building.for_model(streamed, building.from_config(_config(waters)).model)
    assert made.dataset.take(np.arange(2)).structures.canvas_features.shape == (2, 309)


def test_models_of_pairs_refuse_molecules(waters):
    run = building.from_config(_config(waters, model={"name": "tabular_mlp"}, epochs=1))
    with pytest.raises(InputError, match="the model reads pairs: expected 2 atoms"):
        qc_jax.fit(run.model, run.task, run.settings)


def test_images_of_crystals_need_no_neighbours():
    config = building.RunConfig.from_dict(_config("crysmtm:."))
    assert building.neighbor_cutoff(config, config.architecture(), periodic=True) is None
    # Other models see neighbours, also those that read no positions.
    for model in (None, qc_jax.create("pair_mean")):
        with pytest.raises(InputError, match="neighbor_cutoff: expected a length"):
            building.neighbor_cutoff(config, model, periodic=True)
