"""The task made from a table: rows, split, scaling, and what is left out."""

import dataclasses

import jax
import numpy as np
import pytest

from qc_jax import canvas
from qc_jax.data import splits
from qc_jax.data.dataset import prepare
from qc_jax.data.table import open_table
from qc_jax.errors import InputError


@pytest.fixture(scope="module")
def table():
    return open_table("gfn2_xtb")


def test_rows_without_a_label_are_left_out_and_listed(table):
    """Softness is undefined at zero gap; the split is drawn over the rows that are left."""
    task = prepare(table, ("e_homo_ev", "softness_evinv"), seed=42)
    finite = np.isfinite(table.targets["softness_evinv"])
    assert 0 < finite.sum() < len(table)
    np.testing.assert_array_equal(task.names, table.names[finite])
    assert set(task.left_out) == set(table.names[~finite])
    assert set(task.left_out.values()) == {"softness_evinv is undefined"}
    expected = splits.random_split(int(finite.sum()), 42)
    for part, rows in expected.parts().items():
        np.testing.assert_array_equal(task.split.parts()[part], rows)


def test_parts_are_those_of_the_split_that_is_asked_for(table):
    task = prepare(table, ("softness_evinv",), seed=42, split="by_period")
    expected = splits.make_split("by_period", table, ("softness_evinv",), 42)
    for part, rows in expected.parts().items():
        np.testing.assert_array_equal(task.names[task.split.parts()[part]], table.names[rows])
    assert task.split.description == expected.description
    numbers = np.asarray(task.dataset.structures.atomic_numbers)[task.split.train]
    assert numbers.max() == 36


def test_rows_in_no_part_are_left_out_and_listed(table):
    task = prepare(table, ("softness_evinv",), seed=42, split="held_out_elements")
    expected = splits.make_split("held_out_elements", table, ("softness_evinv",), 42)
    unused = set(table.names[expected.unused])
    reasons = {}
    for name, reason in task.left_out.items():
        reasons.setdefault(reason, set()).add(name)
    undefined = set(table.names[~np.isfinite(table.targets["softness_evinv"])])
    assert reasons == {
        "in no part of the split held_out_elements": unused,
        "softness_evinv is undefined": undefined,
    }
    # A label that is missing is no reason where it is masked and others are there.
    targets = ("e_homo_ev", "softness_evinv")
    with jax.debug_nans(False):
        masked = prepare(table, targets, 42, split="held_out_elements", missing_labels="mask")
    assert set(masked.left_out.values()) == {"in no part of the split held_out_elements"}
    assert len(task.names) + len(unused) + len(undefined) == len(table)
    assert sum(map(len, task.split.parts().values())) == len(task.names) == len(task.dataset)


def test_curves_of_training_pairs_train_too(table):
    """And of no other pair: validation, test rows and scaling are as without."""
    some = table.take(np.arange(300))
    longer = dataclasses.replace(
        some.take(np.arange(200)),
        positions=some.positions[:200] * 1.2,
        targets={"e_homo_ev": some.targets["e_homo_ev"][:200] + 50},
    )
    curves = longer.take(np.repeat(np.arange(200), 2))
    curves.targets["e_homo_ev"][0] = np.nan
    alone = prepare(some, ("e_homo_ev",), seed=42)
    task = prepare(some, ("e_homo_ev",), seed=42, curves=curves)
    trained = set(alone.names[alone.split.train])
    added = [name for name in curves.names[1:] if name in trained]
    assert added and len(added) < 398
    new = task.split.train[len(alone.split.train) :]
    assert task.names[new].tolist() == added
    for part in ("validation", "test"):
        np.testing.assert_array_equal(task.split.parts()[part], alone.split.parts()[part])
    np.testing.assert_array_equal(task.own_train, alone.split.train)
    np.testing.assert_array_equal(task.scaler.low, alone.scaler.low)
    rows, old = task.dataset.take(new), [int(some.row(name)) for name in added]
    np.testing.assert_allclose(rows.labels[:, 0], some.targets["e_homo_ev"][old] + 50, rtol=1e-6)
    np.testing.assert_allclose(rows.structures.positions, some.positions[old] * 1.2, rtol=1e-6)
    unseen = sum(name not in trained for name in curves.names)
    nowhere = int(curves.names[0] in trained)
    assert task.notes[-1].endswith(
        f"{unseen} are of pairs that do not train, and {nowhere} have no label"
    )
    strange = curves.take(np.flatnonzero(~np.isin(curves.names, list(trained))))
    with pytest.raises(InputError, match="curves: expected rows of training pairs"):
        prepare(some, ("e_homo_ev",), seed=42, curves=strange)


@pytest.mark.parametrize("split", ["random", "by_bond_distance"])
def test_scaling_never_sees_other_rows(table, split):
    """Wild labels outside the training rows leave the scaler as it is."""
    task = prepare(table, ("total_energy_ev",), seed=123, split=split)
    wild = table.targets["total_energy_ev"].copy()
    assert len(task.names) == len(table)
    wild[np.concatenate([task.split.validation, task.split.test])] = 1e6
    changed = dataclasses.replace(table, targets={**table.targets, "total_energy_ev": wild})
    again = prepare(changed, ("total_energy_ev",), seed=123, split=split)
    assert float(again.scaler.high[0]) == float(task.scaler.high[0]) < 0


def test_labels_belong_to_their_structures(table):
    task = prepare(table, ("distance_ang",), seed=42)
    positions = np.asarray(task.dataset.structures.positions)
    np.testing.assert_allclose(
        np.linalg.norm(positions[:, 1] - positions[:, 0], axis=-1),
        np.asarray(task.dataset.labels)[:, 0],
        rtol=1e-6,
    )


def test_too_few_rows(table):
    with pytest.raises(InputError, match="9 of 9 rows have finite labels for e_homo_ev; expected"):
        prepare(table.take(np.arange(9)), ("e_homo_ev",), seed=42)


def test_a_row_without_a_canvas_is_left_out_of_its_part(small_table):
    features = np.array(canvas.features(small_table))
    whole = prepare(small_table, ("e_homo_ev",), 42, features)
    row = int(whole.split.train[0])
    name = str(whole.names[row])
    features[small_table.names == name] = np.nan
    task = prepare(small_table, ("e_homo_ev",), 42, features)
    assert task.left_out == {name: "its canvas is none of a pair"}
    for part, rows in whole.split.parts().items():
        expected = [n for n in whole.names[rows] if n != name]
        assert task.names[task.split.parts()[part]].tolist() == expected
    assert np.isfinite(task.dataset.structures.canvas_features).all()
    # Who does not read canvases has the same split, with the row.
    assert len(prepare(small_table, ("e_homo_ev",), 42).names) == len(small_table)


def test_pairs_without_any_canvas(small_table):
    features = np.full_like(canvas.features(small_table), np.nan)
    with pytest.raises(InputError, match=r"none of \d+ pairs has a canvas: their populations"):
        prepare(small_table, ("e_homo_ev",), 42, features)


def test_a_part_of_the_training_rows(table):
    """The dataset is the same, so that trainings on parts of it can be stacked."""
    whole = prepare(table, ("softness_evinv",), 42)
    part = prepare(table, ("softness_evinv",), 42, train_fraction=0.1, canvas_size=8)
    assert len(part.split.train) == round(0.1 * len(whole.split.train))
    assert set(part.split.train) < set(whole.split.train)
    np.testing.assert_array_equal(part.split.test, whole.split.test)
    np.testing.assert_array_equal(part.names, whole.names)
    assert part.left_out == whole.left_out
    assert part.dataset.take(np.arange(3)).structures.canvas_size == 8
    labels = np.log(np.asarray(part.dataset.labels[part.split.train]))
    np.testing.assert_allclose(part.scaler.low, labels.min(axis=0), rtol=1e-6)


def test_the_published_scaling_sees_all_rows(table):
    task = prepare(table, ("total_energy_ev",), 42, scale_on="all", train_fraction=0.1)
    labels = np.asarray(task.dataset.labels)
    assert float(task.scaler.low[0]) == labels.min() < labels[task.split.train].min()
    with pytest.raises(InputError, match="unknown scale_on 'test'; choose one of: all, train"):
        prepare(table, ("total_energy_ev",), 42, scale_on="test")


def test_forces_come_with_their_rows(table):
    """Those that are left out have none."""
    forces = np.arange(len(table) * 6, dtype=float).reshape(-1, 2, 3)
    task = prepare(dataclasses.replace(table, forces=forces), ("softness_evinv",), seed=42)
    kept = np.isin(table.names, task.names)
    np.testing.assert_array_equal(task.dataset.forces, forces[kept])
    assert prepare(table, ("softness_evinv",), seed=42).dataset.forces is None


def test_labels_may_be_missing_where_they_are_masked(table):
    targets = ("e_homo_ev", "softness_evinv")
    with jax.debug_nans(False):
        task = prepare(table, targets, seed=42, missing_labels="mask", scale_by="residual")
    alone = prepare(table, ("e_homo_ev",), seed=42)
    assert list(task.names) == list(alone.names)
    np.testing.assert_array_equal(task.split.test, alone.split.test)
    known = np.isfinite(table.targets["softness_evinv"])
    np.testing.assert_array_equal(np.isfinite(np.asarray(task.dataset.labels))[:, 1], known)

    # What one constant an element leaves is 1 in the mean.
    train = task.split.train
    with jax.debug_nans(False):
        scaled = np.asarray(task.scaler.scale(task.dataset.labels[train]), np.float64)
    numbers = np.asarray(task.dataset.structures.atomic_numbers)[train]
    for column, rows in enumerate(np.isfinite(scaled).T):
        counts = (numbers[rows, :, None] == np.arange(100)).sum(axis=1)
        counts = np.column_stack([counts, np.ones(len(counts))])
        fit, *_ = np.linalg.lstsq(counts, scaled[rows, column], rcond=None)
        left = np.abs(scaled[rows, column] - counts @ fit).mean()
        assert left == pytest.approx(1, rel=1e-3), targets[column]
