"""Molecules of the tight-binding network: against pairs, a table of 1954, and differences."""

import ase
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ase.build import molecule

import qc_jax
from qc_jax import models, testing
from qc_jax.data.batch import Batch, from_arrays, from_table
from qc_jax.data.scaling import Scaler
from qc_jax.errors import InputError
from qc_jax.models import _molecular_blocks
from tests.models.structures import pack

NAMES = ("band_energy_ev", "dipole_mag_d", "total_energy_ev")
# Degenerate levels: of methane three at the HOMO; a square's are four equal atoms'.
DEGENERATE = {
    "CH4": molecule("CH4"),
    "C4": ase.Atoms("C4", [[1, 0, 0], [0, 1, 0], [-1, 0, 0], [0, -1, 0]]),
}


def batch_of(*molecules: ase.Atoms, atoms: int = 5) -> Batch:
    return pack(list(molecules), atoms, atoms - 1).replace(shifts=None)


@pytest.fixture(scope="module")
def made():
    """A small network of three targets with random weights, whose outputs are not scaled."""
    model = models.create("tight_binding", hidden=16, embedding=8).for_targets(NAMES)
    variables = jax.jit(model.init)(jax.random.key(1), batch_of(DEGENERATE["CH4"]))
    params = jax.tree.map(lambda leaf: leaf, dict(variables["params"]))
    params["band_share"] = jnp.float32(0.5)
    return model, {**variables, "params": params}


def test_two_atoms_among_others_are_the_pair():
    """All targets of the trained network, of distances up to 5.4 Å."""
    run, table = qc_jax.load("tight_binding/ptbp"), qc_jax.open_table("ptbp")
    far = np.argsort(table.targets["distance_ang"])[-20:]
    pairs = from_table(table.take(np.concatenate([np.arange(0, 2850, 150), far])))
    forward = jax.jit(lambda batch: models.apply(run.model, run.variables, batch))
    natural = jax.jit(lambda batch: run.scaler.unscale(forward(testing.rotate(batch))))
    got, expected = (np.asarray(natural(batch)) for batch in (testing.pad(pairs, 1, 2), pairs))
    for name, one, other in zip(run.targets, got.T, expected.T, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=5e-4, err_msg=name)


def test_blocks_are_those_of_slater_and_koster():
    """A triangle's s and p blocks by their table I; on-site parts add up over neighbours."""
    rng = np.random.default_rng(0)
    atoms = ase.Atoms("C3", [[0, 0, 0], [1.1, 0.3, -0.2], [0.2, 1.2, 0.5]])
    seen = _molecular_blocks.geometry(batch_of(atoms, atoms=3), 6.0)
    seen = seen._replace(weight=jnp.asarray(1 - np.eye(3))[None])
    own, between = [], []
    for n in (3, 2, 1):
        one, two = rng.normal(size=(2, 1, 3, 3, n, n)).astype(np.float32)
        own.append(one + one.swapaxes(-1, -2))
        between.append(two + two.swapaxes(1, 2).swapaxes(-1, -2))
    onsite, present = jnp.zeros((1, 3, 3)), jnp.array([[[True, True, False]] * 3])
    found = _molecular_blocks.matrices(seen, own, between, onsite, present)
    found = np.asarray(found).reshape(3, 9, 3, 9)
    np.testing.assert_allclose(found, found.transpose(2, 3, 0, 1), atol=1e-6)
    axes = [3, 1, 2]  # p_x, p_y, p_z
    for a in range(3):
        shift = np.zeros((4, 4))
        for b in {0, 1, 2} - {a}:
            u = atoms.positions[b] - atoms.positions[a]
            u /= np.linalg.norm(u)
            along, across = np.outer(u, u), np.eye(3) - np.outer(u, u)
            (ss, sp), (ps, pp) = between[0][0, a, b, :2, :2]
            block = found[a][:, b]
            # p of the second atom is oriented to the first one.
            assert block[0, 0] == pytest.approx(ss, abs=1e-5)
            np.testing.assert_allclose(block[0, axes], -sp * u, atol=1e-5)
            np.testing.assert_allclose(block[axes, 0], ps * u, atol=1e-5)
            expected = -pp * along + between[1][0, a, b, 0, 0] * across
            np.testing.assert_allclose(block[np.ix_(axes, axes)], expected, atol=1e-5)
            (ss, sp), (_, pp) = own[0][0, a, b, :2, :2]
            shift[0, 0] += ss
            shift[0, 1:] += sp * u
            shift[1:, 1:] += pp * along + own[1][0, a, b, 0, 0] * across
        shift[1:, 0] = shift[0, 1:]
        order = [0, *axes]
        np.testing.assert_allclose(found[a][:, a][np.ix_(order, order)], shift, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name", DEGENERATE)
def test_slopes_where_levels_are_degenerate(made, name):
    """Of band energy, dipole and total energy, in float64."""
    model, variables = made
    atoms = DEGENERATE[name].copy()
    rng = np.random.default_rng(3)
    with jax.enable_x64(True):
        double = jax.tree.map(lambda leaf: leaf.astype(jnp.float64), variables)
        one = batch_of(atoms)

        @jax.jit
        def outputs(positions):
            return models.apply(model, double, one.replace(positions=positions))[0]

        positions = jnp.asarray(one.positions, jnp.float64)
        slopes = np.asarray(jax.jit(jax.jacrev(outputs))(positions))
        assert np.isfinite(slopes).all()
        for _ in range(3):
            way = rng.normal(size=positions.shape) * np.asarray(one.atom_mask)[..., None]
            step = 1e-4 * way
            difference = (outputs(positions + step) - outputs(positions - step)) / 2e-4
            expected = np.einsum("tbax,bax->t", slopes, way)
            # The dipole is at a minimum of its size, where symmetry makes it zero.
            np.testing.assert_allclose(difference[::2], expected[::2], rtol=2e-5, atol=1e-6)


def test_molecules_far_apart_add_up(made):
    """And a third atom screens a pair, and leaves the cutoff, without a jump or a kink."""
    model, variables = made
    energy = jax.jit(lambda batch: models.apply(model, variables, batch)[:, [0, 2]])
    water = molecule("H2O")
    away = water.copy()
    away.translate([60, 0, 0])
    one, two = (np.asarray(energy(batch_of(each, atoms=6))) for each in (water, water + away))
    np.testing.assert_allclose(two, 2 * one, rtol=1e-5)

    with jax.enable_x64(True):
        numbers = np.array([[6, 6, 6]])
        double = jax.tree.map(lambda leaf: leaf.astype(jnp.float64), variables)

        def along(x):
            positions = jnp.array([[0, 0, 0], [1.3, 0, 0], [0.65, 0, 0]]) + x * jnp.array(
                [[0, 0, 0], [0, 0, 0], [0, 1, 0]]
            )
            one = from_arrays(numbers, np.zeros((1, 3, 3))).replace(positions=positions[None])
            return models.apply(model, double, one)[0, 2]

        slope = jax.jit(jax.grad(along))
        # Where (r_ac + r_bc)/r_ab is 2, and where the farthest is 5.5 and 6 Å away.
        for at in (0.65 * np.sqrt(3), np.sqrt(5.5**2 - 0.65**2), np.sqrt(36 - 0.65**2)):
            before, after = slope(at - 1e-6), slope(at + 1e-6)
            assert float(after - before) == pytest.approx(0, abs=1e-4)
        assert abs(slope(7.0)) < 1e-12 < abs(slope(5.7))


@pytest.mark.slow
def test_constants_of_elements_make_energies_right_on_average(made):
    model, variables = made
    some = batch_of(molecule("CH4"), molecule("H2O"), molecule("NH3"), molecule("CO2"))
    low = jnp.zeros(3)
    scaler = Scaler(low - 1, low + 1, low.astype(bool))
    labels = np.stack([np.full(4, np.nan), np.zeros(4), [-1.0, 2.0, 30.0, 4.0]], axis=1)
    found = model.calibrate(variables, some, labels, scaler)
    got = models.apply(model, {**variables, **found}, some)[:, 2]
    np.testing.assert_allclose(got, labels[:, 2], atol=1e-3)  # four elements, four molecules
    assert model.calibrate(variables, models.sample(), labels[:1], scaler) == {}


def test_what_it_cannot_take_is_told(made):
    model, variables = made
    cell = pack([ase.Atoms("C3", np.eye(3))])
    with pytest.raises(InputError, match="expected structures without a cell"):
        models.apply(model, variables, cell)
    many = from_arrays(np.ones((1, 129), int), np.zeros((1, 129, 3)))
    with pytest.raises(InputError, match="expected at most 128 atoms a structure, got 129"):
        jax.eval_shape(lambda: models.apply(model, variables, many))
    alone = models.create("tight_binding", reads_positions=False)
    with pytest.raises(InputError, match="expected 2 atoms a structure, got 5"):
        jax.eval_shape(lambda: alone.init(jax.random.key(0), batch_of(molecule("CH4"))))
    cerium = batch_of(ase.Atoms("CeO2", np.eye(3)))
    with pytest.raises(InputError, match=r"row 0: expected elements .* got 58 \(Ce\)"):
        models.check(model, cerium)
