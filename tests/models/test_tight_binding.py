"""The network's targets against each other and against a calculation by NumPy."""

import dataclasses
import warnings

import jax
import numpy as np
import pytest

import qc_jax
from qc_jax import models, testing
from qc_jax.chem.elements import element
from qc_jax.data import labels
from qc_jax.data.scaling import Scaler
from qc_jax.data.table import open_table
from qc_jax.data.targets import TARGETS
from qc_jax.models import _pair_blocks, _shells, tight_binding
from qc_jax.train.config import TrainConfig

NAMES = tuple(TARGETS)


@pytest.fixture(scope="module")
def made(small_table):
    """A small network of all targets with its variables, and eight pairs along z."""
    model = models.create("tight_binding", hidden=16, embedding=4).for_targets(NAMES)
    batch, _ = testing._eight_pairs()
    length = np.linalg.norm(np.asarray(batch.positions[:, 1]), axis=-1)
    positions = np.zeros((8, 2, 3), np.float32)
    positions[:, 1, 2] = length
    batch = batch.replace(positions=jax.numpy.asarray(positions))
    variables = jax.jit(model.init)(jax.random.key(0), batch)
    forward = jax.jit(lambda batch: models.apply(model, variables, batch))
    return model, variables, batch, forward


def _columns(outputs) -> dict[str, np.ndarray]:
    return dict(zip(NAMES, np.asarray(outputs, np.float64).T, strict=True))


def test_what_follows_from_others_follows_as_in_the_data(made):
    """`labels.derive` of the network's own levels, charges and dipole."""
    _, _, batch, forward = made
    got = _columns(forward(batch))
    charge = got["q_absmean"][:, None] * [1, -1]
    dipole = np.stack([0 * got["dipole_z_d"]] * 2 + [got["dipole_z_d"]], axis=1)
    expected = labels.derive(
        got["e_homo_ev"], got["e_lumo_ev"], np.asarray(batch.positions), charge, dipole
    )
    wide = got["e_g_ev"] > 2 * _pair_blocks.LEAST_GAP_EV
    assert wide.any() and (got["e_g_ev"] == 0).any()
    for name, column in expected.items():
        rows = wide if TARGETS[name].log_scale else slice(None)
        found = np.exp(got[name]) if TARGETS[name].log_scale else got[name]
        np.testing.assert_allclose(found[rows], column[rows], rtol=1e-4, atol=1e-5, err_msg=name)


def test_levels_are_filled_as_in_the_data(made):
    """HOMO, LUMO and band energy of the matrix's eigenvalues, from LAPACK and `labels`."""
    model, variables, batch, forward = made
    seen = []

    def keep(call, args, options, context):
        result = call(*args, **options)
        if context.method_name == "_levels":
            seen.append(result[0])
        return result

    @jax.jit
    def levels_of(batch):
        with tight_binding.nn.intercept_methods(keep):
            models.apply(model, variables, batch)
        return seen.pop()

    every = np.asarray(levels_of(batch), np.float64)
    got, basis = _columns(forward(batch)), _shells.of("ptbp")
    for row, numbers in enumerate(np.asarray(batch.atomic_numbers)):
        levels, electrons = every[:, row], int(basis.electrons[numbers].sum())
        held = sum(2 * n + 1 for z in numbers for n in np.flatnonzero(basis.present[z]))
        assert (levels < _pair_blocks.ABSENT_EV - 1e-3).sum() == held
        homo, lumo = labels.frontier_levels(levels, electrons)
        assert got["e_homo_ev"][row] == pytest.approx(homo, abs=1e-4)
        assert got["e_lumo_ev"][row] == pytest.approx(lumo, abs=2e-3)
        full = np.repeat(levels, 2)[:electrons].sum()
        assert got["band_energy_ev"][row] == pytest.approx(full, rel=1e-5)


def test_the_other_order_of_atoms_is_the_same_pair(made):
    _, _, batch, forward = made
    testing.assert_close(forward(testing.reorder(batch)), forward(batch), 1e-4)


def test_upside_down_the_dipole_turns(made):
    _, _, batch, forward = made
    got, turned = (
        _columns(forward(each)) for each in (batch, batch.replace(positions=-batch.positions))
    )
    np.testing.assert_allclose(turned["dipole_z_d"], -got["dipole_z_d"], rtol=1e-5)
    np.testing.assert_allclose(turned["total_energy_ev"], got["total_energy_ev"], rtol=1e-6)
    same = np.asarray(batch.atomic_numbers)
    alike = same[:, 0] == same[:, 1]
    assert alike.any()
    np.testing.assert_allclose(got["dipole_mag_d"][alike], 0, atol=1e-4)
    assert (got["dipole_mag_d"][~alike] > 1e-3).all()


@pytest.mark.slow
def test_trained_on_all_targets_it_starts_from_constants_of_elements():
    """By `fit`, some labels missing: total energies are near from the first epoch on."""
    table = qc_jax.open_table("ptbp").take(np.arange(0, 2850, 5))
    with jax.debug_nans(False):
        task = qc_jax.prepare(table, [*NAMES], seed=1, missing_labels="mask", scale_by="residual")
        model = models.create("tight_binding", hidden=16, embedding=4)
        config = TrainConfig(epochs=1, lr=1e-3, optimizer="adamw", embedding_noise=0.1)
        config = dataclasses.replace(config, average_decay=0.9)
        run = qc_jax.fit(model, task, config)
    (line,) = run.history
    assert line["validation_mae"]["distance_ang"] < 1e-5
    energies = table.targets["total_energy_ev"]
    assert line["validation_mae"]["total_energy_ev"] < 0.1 * energies.std()
    assert run.model.targets == NAMES


def test_described_elements_need_no_weights_of_their_own():
    """No array counts elements but the constants; elements without properties are refused."""
    model = models.create("tight_binding", hidden=16, embedding=4, described=True)
    batch, _ = testing._eight_pairs()
    variables = jax.eval_shape(model.init, jax.random.key(0), batch)
    rows = model.max_atomic_number + 1
    assert all(rows not in leaf.shape for leaf in jax.tree.leaves(variables["params"]))


def test_described_energies_are_the_free_atoms_or_fitted_where_no_basis_says_them():
    structures = models.sample()
    energy, found = np.array([[-100.0]]), {}
    scaler = Scaler(energy[0] - 1, energy[0] + 1, np.zeros(1, bool))
    for basis in ("ptbp", "gfn2_xtb"):
        model = models.create("tight_binding", described=True, basis=basis)
        model = model.for_targets(("total_energy_ev",))
        started = model.start(structures, energy, scaler)
        found[basis] = started["constants"]["atomic_energy"][[1, 8]]
    np.testing.assert_allclose(found["ptbp"], _shells.of("ptbp").energy[[1, 8]], rtol=1e-6)
    assert found["gfn2_xtb"].sum() == pytest.approx(-100, abs=1)


@pytest.mark.slow
def test_described_energies_of_an_unseen_element_are_near_from_the_start():
    """Caesium is in no training pair; the free atoms' energies are what the table's differ little
    from (by bonds, repulsion and what self-consistency takes)."""
    table = qc_jax.open_table("ptbp").take(np.arange(0, 2850, 5))
    with_it = (table.atomic_numbers == 55).any(axis=1)
    with jax.debug_nans(False):
        options = {"missing_labels": "mask", "scale_by": "residual"}
        task = qc_jax.prepare(table.take(~with_it), [*NAMES], seed=1, **options)
        model = models.create("tight_binding", hidden=16, embedding=4, described=True)
        run = qc_jax.fit(model, task, TrainConfig(epochs=3, lr=1e-3, optimizer="adamw"))
    rows = np.flatnonzero(with_it)
    names = table.names[rows].tolist()
    lengths = table.targets["distance_ang"][rows]
    column = run.targets.index("total_energy_ev")
    with pytest.warns(UserWarning, match="Cs is in no training structure"):
        predicted = [
            run.predict(name, distance=length)[0, column]
            for name, length in zip(names, lengths, strict=True)
        ]
    off = np.abs(np.array(predicted) - table.targets["total_energy_ev"][rows])
    assert off.mean() < 6 < 0.5 * table.targets["total_energy_ev"].std()


def test_of_elements_alone_it_reads_no_positions(made):
    model = models.create("tight_binding", hidden=16, embedding=4, reads_positions=False)
    assert model.inputs == ("atomic_numbers",)
    model, batch = model.for_targets(NAMES), made[2]
    variables = jax.jit(model.init)(jax.random.key(0), batch)
    forward = jax.jit(lambda batch: models.apply(model, variables, batch))
    got = forward(batch)
    moved = forward(batch.replace(positions=1.7 * batch.positions))
    np.testing.assert_array_equal(got, moved)
    length = _columns(got)["distance_ang"]
    radii = [element(int(z)).covalent_radius_ang for z in np.ravel(batch.atomic_numbers)]
    np.testing.assert_allclose(length, np.reshape(radii, (-1, 2)).sum(axis=1), rtol=1e-6)


def test_data_of_another_basis_are_told():
    table = open_table("gfn2_xtb")
    with pytest.warns(UserWarning, match="in that of 'gfn2_xtb', the network has that of 'ptbp'"):
        models.create("tight_binding").check_data(table.provenance)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        models.create("tight_binding", basis="gfn2_xtb").check_data(table.provenance)
        models.create("tight_binding").check_data(open_table("ptbp").provenance)
        models.create("tight_binding").check_data({})
