"""What the explorer's page holds."""

import json

import numpy as np
import pytest

import qc_jax
from qc_jax.canvas import densities
from qc_jax.data.targets import TARGETS
from qc_jax.errors import InputError
from qc_jax.report.explorer import contents, packing
from qc_jax.runs import sources
from tests.report.explorer import made


@pytest.fixture(scope="module")
def few():
    return made.of(symbols=["H", "C", "O"])


def base(found):
    return packing.unpack(found.blobs["base"], found.about["places"]["base"])


def test_all_labels_and_numbers_of_the_canvas_are_there(few):
    arrays = base(few)
    table = sources.open_table("ptbp")
    names = ["C_C", "C_H", "C_O", "H_H", "H_O", "O_O"]
    rows = np.array([table.row(name) for name in names])
    assert [one["name"] for one in few.about["targets"]] == list(TARGETS)
    for column, name in enumerate(TARGETS):
        np.testing.assert_allclose(arrays["targets"][column], table.targets[name][rows], rtol=1e-6)
    np.testing.assert_array_equal(arrays["features"], qc_jax.features(table)[rows])
    np.testing.assert_array_equal(arrays["atoms"], table.atomic_numbers[rows])
    canvas = arrays["picture"] * np.einsum("f,fxc->xc", arrays["features"][2], arrays["line"])
    np.testing.assert_allclose(canvas, qc_jax.render(qc_jax.features(table)[rows[2]]), atol=1e-5)
    json.dumps(few.about, allow_nan=False)


def test_what_a_reader_must_know_is_there(few):
    about = few.about
    assert about["data"] == "ptbp"  # of some of its pairs, too
    covered = [one["symbol"] for one in about["elements"] if one["row"] >= 0]
    assert covered == ["H", "C", "O"] and len(about["elements"]) == 96
    assert [one["name"] for one in about["models"]] == ["tight_binding/ptbp", "element constants"]
    assert about["models"][0]["leaked_by"]["repulsive_energy_ev"] == ["positions"]
    assert "--nolevels" in about["orbitals"]["reason"] and "orbitals" not in few.blobs
    assert [one["name"] for one in about["orbitals"]["channels"]] == list(densities.CHANNELS)


def test_other_tables_say_why_they_have_no_levels():
    found = made.of("gfn2_xtb", levels=True)
    assert "tblite" in found.about["orbitals"]["reason"] and set(found.blobs) == {"base"}
    assert len(found.about["left_out"]) == 30
    assert base(found)["atoms"].shape == (2671, 2)


def test_the_metric_is_that_of_the_pictures():
    table = sources.open_table("ptbp").take(np.arange(0, 2850, 97))
    held = qc_jax.features(table)
    images = np.asarray(qc_jax.render(held), np.float64)
    size = np.sqrt((images**2).mean(axis=(0, 1, 2)))
    images = images[..., size > 1e-6] / size[size > 1e-6]
    expected = np.sqrt(((images[3] - images[11]) ** 2).sum(-1).mean() / 10)
    delta = held[3].astype(np.float64) - held[11]
    found = np.sqrt(delta @ contents.canvas_metric(held) @ delta)
    assert found == pytest.approx(expected, rel=1e-4)
    unknown = np.full_like(held[:2], np.nan)
    assert not contents.canvas_metric(unknown).any()


def test_bad_input():
    with pytest.raises(InputError, match="unknown element of ptbp 'Ce'; choose one of: Ag"):
        made.of(symbols=["H", "Ce"])
    with pytest.raises(InputError, match="expected different symbols, got H,H"):
        made.of(symbols=["H", "H"])
    table = sources.open_table("ptbp")
    twice = table.take(np.array([0, 1, 1]))
    with pytest.raises(InputError, match="expected each pair once, got 2 rows of Ag_Al"):
        contents.build(twice, made.silent, levels=False)
