"""What a model sees: choices, symmetries of the square, and pairs as others would draw them."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from qc_jax.canvas import (
    coefficients,
    densities,
    features,
    features_from,
    images,
    molecule_features,
    orbitals,
    render,
)
from qc_jax.data.batch import Batch, from_arrays
from qc_jax.errors import InputError

NAMES = ("density", "homo_amplitude", "potential")
SIZE = 6


def made_up(count: int) -> np.ndarray:
    """Rows of oxygen and carbon, coefficients drawn by chance; HOMO and LUMO are π orbitals."""
    rows = np.random.default_rng(0).normal(size=(count, coefficients.LENGTH)).astype(np.float32)
    rows[:, :2], rows[:, 2] = (8, 6), 2.5
    amplitudes, sides = slice(241, 265), slice(265, 267)
    rows[:, amplitudes] *= np.tile(orbitals.M == 1, 2)
    rows[:, sides] = -1
    rows[:, -2:] = 0.4  # Hubbards
    return rows


@pytest.fixture(scope="module")
def batch() -> Batch:
    numbers = np.full((3, 2), (8, 6))
    positions = np.zeros((3, 2, 3))
    positions[:, 1, 2] = 1.3
    made = from_arrays(numbers, positions, jnp.asarray(made_up(3)))
    return made.replace(images=f"densities:{','.join(NAMES)}", canvas_size=SIZE)


def test_choices():
    assert images.parse("canvas").channels[0] == "O-Map radial"
    assert images.parse("densities").channels == tuple(densities.CHANNELS)
    assert images.parse("densities:homo, s").channels == ("homo", "s")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("picture", "unknown images 'picture'; choose one of: canvas, densities"),
        ("densities:rho", "unknown channel of densities 'rho'; choose one of: d, deformation"),
        ("densities:", "unknown channel of densities ''"),
        ("densities:s,s", "images: expected each channel once, got 'densities:s,s'"),
        ("canvas:0", "images: expected 'canvas' alone, whose channels a model chooses"),
    ],
)
def test_bad_choices_are_one_line(given, message):
    with pytest.raises(InputError) as error:
        images.parse(given)
    assert message in str(error.value) and "\n" not in str(error.value)


def test_sizes():
    assert images.parse("canvas").check_size(2048) == 2048
    with pytest.raises(InputError, match="canvas_size: expected at most 1024 pixels of densities"):
        images.parse("densities").check_size(1025)
    with pytest.raises(InputError, match="canvas size: expected a whole number from 3 up, got 2"):
        images.parse("densities").check_size(2)


def test_a_canvas_is_the_published_one(small_table):
    rows = images.parse("canvas").rows(small_table)
    np.testing.assert_array_equal(rows, features(small_table))
    made = from_arrays(small_table.atomic_numbers, small_table.positions, jnp.asarray(rows))
    np.testing.assert_array_equal(images.of_batch(made), render(rows))


def test_data_without_eigenvectors(small_table):
    other = dataclasses.replace(small_table, provenance={"engine": "dftbplus"})
    words = "images=densities: expected data that have eigenvectors .ptbp, gfn2_xtb, .* by dftbplus"
    with pytest.raises(InputError, match=words):
        images.parse("densities").rows(other)
    with pytest.raises(InputError, match=words):
        images.parse("densities").check(other)
    images.parse("canvas").check(other)


def test_symmetries_are_flips_and_quarter_turns(batch):
    plain = np.asarray(images.of_batch(batch))
    flips = [np.rot90(plain, k, axes=(1, 2)) for k in range(4)]
    flips += [flip[:, :, ::-1] for flip in flips]
    found = [
        np.asarray(images.of_batch(batch.replace(turns=turns)))
        for turns in images.symmetries_of(batch)
    ]
    which = [[np.allclose(one, flip, rtol=1e-5, atol=1e-5) for flip in flips] for one in found]
    assert (np.sum(which, axis=0) >= 1).all() and (np.sum(which, axis=1) >= 1).all()
    amplitudes = [one[..., 1] for one in found]
    assert not np.allclose(amplitudes[0], amplitudes[4])  # a π orbital changes its sign


def test_the_symmetries_are_a_group():
    products = np.einsum("aij,bjk->abik", images.SYMMETRIES, images.SYMMETRIES).reshape(-1, 4)
    assert len(np.unique(images.SYMMETRIES.reshape(8, 4), axis=0)) == 8
    assert len(np.unique(products, axis=0)) == 8


def test_augmented_images_are_turned_by_chance(batch):
    many = jax.tree.map(lambda leaf: jnp.repeat(leaf[:1], 64, axis=0), batch)
    turned = images.augment(many, jax.random.key(0), "rotate,reflect")
    turns = np.asarray(turned.turns)
    np.testing.assert_allclose(
        turns @ turns.swapaxes(1, 2), np.tile(np.eye(2), (64, 1, 1)), atol=1e-6
    )
    mirrored = np.linalg.det(turns) < 0
    assert 16 < mirrored.sum() < 48
    angles = np.arctan2(turns[:, 0, 1], turns[:, 0, 0])
    assert np.histogram(angles, 4, (-np.pi, np.pi))[0].min() > 4
    np.testing.assert_array_equal(turned.atomic_numbers, many.atomic_numbers)
    drawn = np.asarray(images.of_batch(turned))
    one = coefficients.draw(many.canvas_features[5:6], SIZE, NAMES, turn=jnp.asarray(turns[5:6]))
    np.testing.assert_allclose(drawn[5], one[0], rtol=1e-5, atol=1e-5)


def test_a_share_of_a_batch_is_changed_as_the_whole_is(batch, monkeypatch):
    whole = images.augment(batch, jax.random.key(3), "exchange,rotate")
    monkeypatch.setattr(Batch, "first_row", jnp.uint32(2))
    part = images.augment(
        jax.tree.map(lambda leaf: leaf[2:], batch), jax.random.key(3), "exchange,rotate"
    )
    np.testing.assert_array_equal(part.turns, whole.turns[2:])
    np.testing.assert_array_equal(part.atomic_numbers, whole.atomic_numbers[2:])


def test_exchanged_densities_are_mirrored(batch):
    many = jax.tree.map(lambda leaf: jnp.repeat(leaf[:1], 8, axis=0), batch)
    changed = images.augment(many, jax.random.key(1), "exchange")
    other = np.asarray(changed.atomic_numbers[:, 0]) == 6
    assert 0 < other.sum() < 8
    plain, drawn = np.asarray(images.of_batch(many)), np.asarray(images.of_batch(changed))
    np.testing.assert_allclose(drawn[~other], plain[~other], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(drawn[other], plain[other][:, :, ::-1], rtol=1e-5, atol=1e-5)


def _as_a_molecule(*electrons):
    return molecule_features(*electrons, np.ones(electrons[1].shape, bool))


@pytest.mark.parametrize("of_electrons", [features_from, _as_a_molecule])
def test_exchanged_canvases_are_those_of_the_pair_named_the_other_way(small_table, of_electrons):
    given = (small_table.populations, small_table.charges, small_table.dipole)
    theirs = of_electrons(*(values[:, ::-1] for values in given[:2]), -given[2])
    mine = of_electrons(*given)
    made = from_arrays(small_table.atomic_numbers, small_table.positions, jnp.asarray(mine))
    changed = images.augment(made, jax.random.key(0), "exchange")
    other = (np.asarray(changed.canvas_features) == theirs).all(axis=1)
    same = (np.asarray(changed.canvas_features) == mine).all(axis=1)
    assert (other | same).all() and 0 < other.sum() < len(mine)
    exchanged = np.where(other[:, None], made.atomic_numbers[:, ::-1], made.atomic_numbers)
    np.testing.assert_array_equal(changed.atomic_numbers, exchanged)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("spin", "unknown augment 'spin'; choose one of: exchange, reflect, rotate"),
        ("rotate,rotate", "augment: expected each word once"),
    ],
)
def test_bad_augmentations_are_one_line(text, message):
    with pytest.raises(InputError) as error:
        images.augmentations(text)
    assert message in str(error.value) and "\n" not in str(error.value)


def test_what_cannot_be_changed(small_table):
    made = from_arrays(small_table.atomic_numbers, small_table.positions)
    with pytest.raises(InputError, match="augment=rotate: expected 'exchange' of canvases"):
        images.augment(made, jax.random.key(0), "rotate")
    alone = from_arrays(np.ones((2, 3)), np.zeros((2, 3, 3)))
    with pytest.raises(InputError, match="augment=exchange: expected pairs of atoms"):
        images.augment(alone, jax.random.key(0), "exchange")
