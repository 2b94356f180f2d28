"""Runs on densities: trained, saved, opened, packed and asked, like those on canvases."""

import dataclasses

import ase
import numpy as np
import pytest

import qc_jax
from qc_jax.canvas import coefficients, orbitals
from qc_jax.data.table import open_table
from qc_jax.errors import InputError
from qc_jax.runs import queries
from qc_jax.runs.ensemble import Ensemble
from tests.canvas.test_images import made_up
from tests.models.rows import rows

SMALL = {"hidden": 8, "heads": 2, "layers": 1, "patch": 8}
CHOSEN = {"images": "densities:density,homo", "canvas_size": 16}


@pytest.fixture(scope="module")
def table():
    return open_table("ptbp").take(np.arange(0, 2850, 57))


@pytest.fixture(scope="module")
def run(table):
    """Trained on numbers that need no tight binding."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(coefficients, "of_table", lambda table: made_up(len(table)))
        task = qc_jax.prepare(table, ["q_std", "e_homo_ev"], average_symmetries=True, **CHOSEN)
        settings = qc_jax.TrainConfig(epochs=2, augment="exchange,reflect,rotate")
        made = qc_jax.fit(qc_jax.create("vit", **SMALL), task, settings)
        made.score()
    return made


def test_a_saved_run_is_the_same(run, table, tmp_path, monkeypatch):
    monkeypatch.setattr(coefficients, "of_table", lambda table: made_up(len(table)))
    names = list(table.names[:3])
    opened = qc_jax.load(run.save(tmp_path / "run").path)
    assert opened.config.images == CHOSEN["images"] and opened.config.canvas_size == 16
    assert opened.config.train.augment == "exchange,reflect,rotate"
    np.testing.assert_array_equal(opened.predict(names), run.predict(names))
    run.pack(tmp_path / "run.npz")
    np.testing.assert_allclose(qc_jax.load(tmp_path / "run.npz").predict(names), run.predict(names))
    assert opened.result["leaked_by"] == {"q_std": ["densities"], "e_homo_ev": []}


def test_averaged_predictions_do_not_change_with_the_image(run, table):
    batch = run.structures(list(table.names[:3]))
    turn = np.broadcast_to(np.array([[0, 1], [-1, 0]], np.float32), (3, 2, 2))
    np.testing.assert_allclose(
        run.predict(batch.replace(turns=turn)), run.predict(batch), rtol=1e-4
    )
    alone = batch.replace(average_symmetries=False)
    turned = run.predict(alone.replace(turns=turn))
    assert not np.allclose(turned, run.predict(alone), rtol=1e-4)


def test_new_pairs_are_solved_at_their_distance(run, monkeypatch):
    asked = []

    def of_pairs(pairs, distances, method):
        assert method == "ptbp"
        asked.append((list(pairs), np.round(distances, 6).tolist()))
        return made_up(len(pairs))

    monkeypatch.setattr(coefficients, "of_pairs", of_pairs)
    with pytest.warns(UserWarning, match="outside of what the model was trained on"):
        run.predict(["O_C", "H_H"], distance=1.5)
        run.predict(ase.Atoms("OC", [[0, 0, 0], [1.0, 1.0, 0]]))
    assert asked == [(["C_O", "H_H"], [1.5, 1.5]), (["O_C"], [1.414214])]
    # The bond length is in the image: a distance that training did not see is told of.
    (row,) = queries.answer(Ensemble([run]), [queries.Asked("C_O", 1.5)])
    assert any("C-O at 1.500 Å" in line for line in row["outside"])
    assert len(asked) == 3  # solved once, for the prediction
    with pytest.raises(InputError, match="images=densities: expected two atoms without a cell"):
        run.predict(ase.Atoms("OCO", [[0, 0, 0], [1.0, 0, 0], [2, 0, 0]]))


@pytest.mark.parametrize(
    "name",
    [
        "tabular_mlp",
        *(
            pytest.param(n, marks=pytest.mark.slow)
            for n in ("film_cnn", "multimodal", "quantumshellnet")
        ),
    ],
)
def test_models_read_as_many_channels_as_there_are(name, table, monkeypatch):
    monkeypatch.setattr(coefficients, "of_table", lambda table: made_up(len(table)))
    task = qc_jax.prepare(table, "e_homo_ev", images="densities:density,s,homo,potential")
    model = qc_jax.create(name, **rows()[name].small)
    run = qc_jax.fit(model, task, qc_jax.TrainConfig(epochs=1))
    assert np.isfinite(run.predict(list(table.names[:2]))).all()


def test_data_without_eigenvectors(small_table):
    other = dataclasses.replace(small_table, provenance={"engine": "dftbplus"})
    with pytest.raises(InputError, match="images=densities: expected data that have eigenvectors"):
        qc_jax.prepare(other, "e_homo_ev", images="densities")


@pytest.mark.slow
def test_densities_of_another_method(run, small_table):
    """Those of GFN2-xTB: computed, trained on, and those of new distances are by it, too."""
    task = qc_jax.prepare(small_table, "e_homo_ev", **CHOSEN)
    other = qc_jax.fit(qc_jax.create("vit", **SMALL), task, qc_jax.TrainConfig(epochs=1))
    row = list(small_table.names).index("C_O")
    length = float(np.linalg.norm(np.diff(small_table.positions[row], axis=0)))
    at_length = other.predict("C_O", distance=length)
    np.testing.assert_allclose(at_length, other.predict("C_O"), rtol=1e-3)
    features = other.structures(["C_O"], length).canvas_features
    assert coefficients.method_of(np.asarray(features)) == "gfn2_xtb"
    words = "the model was trained on densities of ptbp; expected those, got gfn2_xtb"
    with pytest.raises(InputError, match=words):
        run.predict(other.structures(["C_O"]))
    with pytest.raises(InputError, match=words):
        run.score(data="gfn2_xtb")


def test_densities_of_pairs_that_stand_at_several_lengths(small_table):
    """Of curves no pair stands once: whose densities they are, the data's provenance says."""
    curves = small_table.take(np.repeat(np.arange(len(small_table)), 2))
    task = qc_jax.prepare(curves, "e_homo_ev", **CHOSEN)
    run = qc_jax.fit(qc_jax.create("vit", **SMALL), task, qc_jax.TrainConfig(epochs=1))
    assert not len(run.pairs.names)
    features = run.structures(["C_O"], 1.2).canvas_features
    assert coefficients.method_of(np.asarray(features)) == "gfn2_xtb"
    assert np.isfinite(run.predict(["C_O"], 1.2)).all()


@pytest.mark.slow
def test_densities_of_light_pairs():
    """With tight binding: at the table's bond length by name and by distance."""
    table = open_table("ptbp")
    light = [
        set(str(name).split("_")) <= {"H", "He", "Li", "Be", "C", "N", "O", "F"}
        for name in table.names
    ]
    some = table.take(np.flatnonzero(light))
    assert orbitals.are_of(some.provenance) and len(some) == 36
    task = qc_jax.prepare(some, "e_homo_ev", **CHOSEN)
    run = qc_jax.fit(qc_jax.create("vit", **SMALL), task, qc_jax.TrainConfig(epochs=2))
    row = list(some.names).index("C_O")
    length = float(np.linalg.norm(some.positions[row, 1] - some.positions[row, 0]))
    np.testing.assert_allclose(run.predict("C_O", distance=length), run.predict("C_O"), rtol=1e-3)
