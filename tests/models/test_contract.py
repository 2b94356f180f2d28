"""What every architecture must do, from the table in rows/: `pytest -k NAME` for one of them."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from qc_jax import models, testing
from qc_jax.data.batch import Batch, from_arrays
from qc_jax.data.table import PairTable
from qc_jax.data.targets import INPUTS
from tests.models import structures
from tests.models.rows import Row, rows

TABLE = rows()
OUTPUTS = 3


def test_every_model_is_in_the_table():
    assert {row.model for row in TABLE.values()} == set(models.available())


@dataclasses.dataclass(frozen=True)
class Case:
    """One row made ready: the small model with random weights, compiled.

    Attributes:
      row: of the table.
      inputs: what the small model reads.
      model: the small model.
      variables: of it.
      batch: eight structures that it can take.
      forward: (variables, batch) → outputs.
      both: (variables, batch) → outputs, and their sum's gradients by variables, positions and
        canvas features.
    """

    row: Row
    inputs: tuple[str, ...]
    model: object
    variables: dict
    batch: Batch
    forward: object
    both: object


@functools.cache
def _case(name: str, table: PairTable) -> Case:
    row = TABLE[name]
    model = models.create(row.model, **row.small, outputs=OUTPUTS)
    pairs = None if row.molecules else structures.pairs(table, slice(0, 24, 3))
    batch = structures.crowd(row.cells) if pairs is None else pairs
    shapes = jax.eval_shape(lambda: model.init(jax.random.key(0), models.sample()))
    rng = np.random.default_rng(1)

    def weights(path, leaf):
        """Of the usual size, but nothing is zero, one or symmetric."""
        noise = rng.normal(size=leaf.shape)
        match path[-1].key:
            case "var":
                noise = 0.5 + np.abs(noise)
            case "scale":
                noise = 1 + 0.1 * noise
            case "embedding":
                pass
            case _:
                noise /= np.sqrt(np.prod(leaf.shape[:-1])) if leaf.ndim > 1 else 10
        return jnp.asarray(noise, leaf.dtype)

    def total(variables, positions, features, batch):
        batch = batch.replace(positions=positions, canvas_features=features)
        outputs = models.apply(model, variables, batch)
        return jnp.sum(outputs * jnp.arange(1, OUTPUTS + 1)), outputs

    by_all = jax.jit(jax.grad(total, argnums=(0, 1, 2), has_aux=True))

    def both(variables, batch):
        gradients, outputs = by_all(variables, batch.positions, batch.canvas_features, batch)
        return outputs, gradients

    return Case(
        row=row,
        inputs=tuple(model.inputs),
        model=model,
        variables=jax.tree_util.tree_map_with_path(weights, shapes),
        batch=batch,
        forward=jax.jit(lambda variables, batch: models.apply(model, variables, batch)),
        both=both,
    )


@pytest.fixture(params=[name for name, row in TABLE.items() if row.smooth])
def case(request, small_table) -> Case:
    return _case(request.param, small_table)


def changed(case: Case) -> dict[str, Batch]:
    """The case's batch with one input changed, by its name."""
    batch = case.batch
    numbers = jnp.where(batch.atom_mask, batch.atomic_numbers % 86 + 1, 0)
    shifts = None if batch.shifts is None else 1.1 * batch.shifts
    found = {
        "atomic_numbers": batch.replace(atomic_numbers=numbers),
        "positions": batch.replace(positions=1.1 * batch.positions, shifts=shifts),
    }
    if batch.canvas_features is not None:
        found["canvas"] = batch.replace(canvas_features=1.1 * batch.canvas_features)
    return found


def _alone() -> tuple[Batch, Batch]:
    """Two structures of one atom each: without any neighbour slots, and with room to spare."""
    numbers = np.array([[6], [79]])
    alone = from_arrays(numbers, np.ones((2, 1, 3)))
    assert alone.neighbors.shape == (2, 1, 0)
    return alone, testing.pad(alone, atoms=2, neighbors=3)


def test_atoms_without_any_neighbor_slots(case):
    if not case.row.molecules:
        pytest.skip("reads pairs")
    outputs = jax.eval_shape(case.forward, case.variables, _alone()[0])
    assert outputs.shape == (2, OUTPUTS)


@pytest.mark.slow
def test_an_atom_alone_is_the_same_with_room_to_spare(case):
    if not case.row.molecules:
        pytest.skip("reads pairs")
    (got, gradients), (expected, _) = (case.both(case.variables, each) for each in _alone())
    testing.assert_close(got, expected, rtol=1e-4)
    assert float(jnp.abs(gradients[1]).max()) < 1e-6


def test_outputs(case):
    """[B, T], other ones for other structures, the same ones again; no key is needed."""
    got, _ = case.both(case.variables, case.batch)
    assert got.shape == (8, OUTPUTS) and got.dtype == jnp.float32
    assert np.ptp(np.asarray(got), axis=0).min() > 1e-3
    again, _ = case.both(case.variables, case.batch)
    np.testing.assert_array_equal(got, again)


def test_reads_what_it_says(case):
    assert set(case.inputs) <= set(INPUTS)
    expected, _ = case.both(case.variables, case.batch)
    for key, other in changed(case).items():
        got, _ = case.both(case.variables, other)
        difference = jnp.abs(got - expected).max(axis=1)
        if key in case.inputs:
            assert difference.min() > 1e-6, f"{key} is not read"
        else:
            np.testing.assert_array_equal(got, expected, err_msg=f"{key} is read")


def test_symmetries(case):
    expected, (_, forces, _) = case.both(case.variables, case.batch)
    turned = testing.rotate(case.batch)
    got, (_, turned_forces, _) = case.both(case.variables, turned)
    testing.assert_close(got, expected, what="under rotation")
    if "positions" in case.inputs:
        assert np.abs(forces).max() > 1e-3
        expected_forces = forces @ _turn()
        testing.assert_close(turned_forces, expected_forces, rtol=1e-4, what="forces, rotated")
    got, _ = case.both(case.variables, testing.reorder(case.batch))
    if case.row.swap_invariant:
        testing.assert_close(got, expected, what="under another order of atoms")
    else:
        assert np.abs(got - expected).max() > 1e-5, "it is swap invariant: say so"


def _turn() -> jax.Array:
    """The matrix [3, 3] that `testing.rotate` turns positions by."""
    zero = structures.crowd().replace(positions=jnp.zeros((8, structures.ATOMS, 3)))
    unit = zero.replace(positions=zero.positions.at[0, :3].set(jnp.eye(3)))
    return (testing.rotate(unit).positions - testing.rotate(zero).positions)[0, :3]


def test_padding_is_inert(case):
    """Rubbish in it, and more of it; a molecule of 29 atoms is no trouble."""
    if not case.row.molecules:
        pytest.skip("pairs have no padding")
    expected, (weights, forces, _) = case.both(case.variables, case.batch)
    got, (weights_, forces_, _) = case.both(case.variables, structures.littered(case.batch))
    testing.assert_close(got, expected)
    testing.assert_close(forces_, forces, rtol=1e-4)
    jax.tree.map(lambda one, other: testing.assert_close(one, other, 1e-4), weights_, weights)
    assert not forces_[~case.batch.atom_mask].any()
    wide = case.forward(case.variables, structures.large(case.row.cells))
    testing.assert_close(wide[:7], expected[:7])
    assert np.isfinite(wide).all()


def test_an_image_is_as_good_as_the_atom(case):
    if not (case.row.molecules and case.row.images and case.row.cells):
        pytest.skip("no images")
    expected, _ = case.both(case.variables, case.batch)
    got, _ = case.both(case.variables, structures.wrapped(case.batch))
    testing.assert_close(got, expected)


def test_awkward_structures_have_finite_gradients(case):
    """Coincident atoms, atoms on a line, at the cutoff, alone; a canvas without charges."""
    cutoff = case.model.cutoff or 5.0
    if case.row.molecules:
        batch = structures.awkward(cutoff, case.row.cells)
    else:
        positions = case.batch.positions.at[0, 1].set(case.batch.positions[0, 0])
        positions = positions.at[1, 1].set(positions[1, 0] + jnp.array([0, 0, cutoff]))
        features = case.batch.canvas_features.at[2].set(0)
        batch = case.batch.replace(positions=positions, canvas_features=features)
    for path, leaf in jax.tree_util.tree_leaves_with_path(case.both(case.variables, batch)):
        assert np.isfinite(leaf).all(), jax.tree_util.keystr(path)


def test_every_weight_is_used(case):
    """But for those that the row names."""
    _, (gradients, _, _) = case.both(case.variables, case.batch)
    idle = {
        jax.tree_util.keystr(path, simple=True, separator="/")
        for path, leaf in jax.tree_util.tree_leaves_with_path(gradients["params"])
        if not np.abs(leaf).max() > 0
    }
    named = {path for path in idle if any(part in path for part in case.row.idle)}
    assert idle == named
    assert all(any(part in path for path in idle) for part in case.row.idle), "not idle after all"


@pytest.mark.slow
def test_bfloat16(case):
    """Weights and what is real in the batch in bfloat16: finite outputs, about the same."""

    def narrow(tree):
        return jax.tree.map(
            lambda leaf: leaf.astype(jnp.bfloat16) if leaf.dtype == jnp.float32 else leaf, tree
        )

    got = case.forward(narrow(case.variables), narrow(case.batch))
    expected, _ = case.both(case.variables, case.batch)
    difference = np.abs(got.astype(jnp.float32) - expected).max() / np.abs(expected).max()
    assert difference < case.row.bfloat16


@pytest.mark.slow
def test_forces_and_their_derivatives(case):
    """Against finite differences, in float64; energies turn with the structure there, exactly."""
    if "positions" not in case.inputs or not case.row.twice_differentiable:
        pytest.skip("no forces")
    with jax.enable_x64(True):
        variables, batch = jax.tree.map(
            lambda leaf: leaf.astype(jnp.float64) if leaf.dtype == jnp.float32 else leaf,
            (case.variables, case.batch),
        )
        mix = jnp.arange(1.0, OUTPUTS + 1)

        def energy(positions, batch):
            outputs = models.apply(case.model, variables, batch.replace(positions=positions))
            return jnp.sum(outputs @ mix)

        @jax.jit
        def along(batch, direction):
            """Energy and its gradient, and the change of both along a direction."""

            def both(positions):
                return jax.value_and_grad(energy)(positions, batch)

            return jax.jvp(both, (batch.positions,), (direction,))

        rng = np.random.default_rng(2)
        direction = jnp.asarray(rng.normal(size=batch.positions.shape))
        step = 1e-5 * direction
        (value, slope), (value_change, slope_change) = along(batch, direction)
        ahead, behind = (
            along(batch.replace(positions=batch.positions + sign * step), direction)[0]
            for sign in (1, -1)
        )
        np.testing.assert_allclose(value_change, jnp.sum(slope * direction), rtol=1e-9)
        np.testing.assert_allclose((ahead[0] - behind[0]) / 2e-5, value_change, rtol=1e-5)
        testing.assert_close((ahead[1] - behind[1]) / 2e-5, slope_change, rtol=1e-4)

        turn = _turn()
        (turned_value, turned_slope), _ = along(testing.rotate(batch), direction @ turn)
        np.testing.assert_allclose(turned_value, value, rtol=1e-9)
        testing.assert_close(turned_slope, slope @ turn, rtol=1e-6)
