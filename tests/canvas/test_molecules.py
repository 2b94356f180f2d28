import dataclasses
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ase.build import molecule

from qc_jax import dftb
from qc_jax.canvas import (
    CHANNELS,
    columns_of,
    features_from,
    molecule_features,
    molecules,
    render,
    separate,
)
from qc_jax.canvas import features as features_of
from qc_jax.canvas.basis import MOLECULES
from qc_jax.canvas.features import features_of_atoms
from qc_jax.canvas.reference import encode
from qc_jax.data.splits import Split
from qc_jax.data.structures import Structures, prepare
from qc_jax.dftb.convergence import NotConverged
from qc_jax.errors import InputError
from tests.canvas.helpers import encode_all, random_pairs

_SIZES = (1, 2, 3, 8, 9, 16, 31, 32, 40)


def _random(seed=0):
    """Structures of several sizes, padded with what must not be read."""
    rng = np.random.default_rng(seed)
    present = np.arange(max(_SIZES)) < np.array(_SIZES)[:, None]
    populations = np.where(present[..., None], rng.normal(0.5, 1, (*present.shape, 16)), np.nan)
    charges = np.where(present, rng.normal(size=present.shape), np.nan)
    return populations, charges, rng.normal(size=(len(_SIZES), 3)), present


@pytest.mark.parametrize("size", [3, 32, 33])
def test_any_number_of_atoms_equals_the_formulas(size):
    populations, charges, dipole, present = _random(size)
    drawn = np.asarray(render(molecule_features(populations, charges, dipole, present), size))
    for row, count in enumerate(_SIZES):
        expected = encode(populations[row, :count], charges[row, :count], dipole[row], size)
        largest = np.abs(expected).max(axis=(0, 1))
        worst = np.abs(drawn[row] - expected).max(axis=(0, 1))
        np.testing.assert_array_less(worst, 2e-6 * largest + 1e-12)


def test_two_atoms_are_a_pair():
    given = random_pairs(5)
    ours = render(molecule_features(*given, np.ones((5, 2), bool)))
    np.testing.assert_allclose(ours, render(features_from(*given)), rtol=2e-6, atol=1e-6)
    np.testing.assert_allclose(ours, encode_all(*given, 32), rtol=2e-5, atol=1e-5)


def test_on_the_device_and_its_gradients():
    populations, charges, dipole, present = _random()
    clean = [np.nan_to_num(x).astype(np.float32) for x in (populations, charges, dipole)]
    expected = molecule_features(*clean, present)
    ours = jax.jit(molecule_features)(*map(jnp.asarray, clean), present)
    np.testing.assert_allclose(ours, expected, rtol=1e-4, atol=1e-4)
    slope = jax.grad(lambda p: molecule_features(p, *clean[1:], present).sum())(clean[0])
    assert np.isfinite(slope).all() and not slope[~present].any()


def test_separate_channels_draw_the_same():
    found = molecule_features(*_random())
    apart = np.array(separate(found))
    np.testing.assert_allclose(render(apart), render(found), rtol=1e-6, atol=1e-6)
    for channel in range(len(CHANNELS)):
        changed = apart.copy()
        changed[:, list(columns_of(channel, found.shape[-1]))] = 0
        drawn = np.asarray(render(changed))
        assert not drawn[..., channel].any()
        others = [k for k in range(len(CHANNELS)) if k != channel]
        np.testing.assert_allclose(drawn[..., others], render(apart)[..., others], atol=1e-5)


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        (((2, 3, 9), (2, 3), (2, 3)), r"canvas populations: expected shape \(2, 3, 16\)"),
        (((2, 3, 16), (2, 2), (2, 3)), r"canvas charges: expected shape \(2, 3\)"),
        (((2, 3, 16), (2, 3), (3,)), r"canvas dipole: expected shape \(2, 3\)"),
    ],
)
def test_wrong_shapes_are_told(shapes, message):
    with pytest.raises(InputError, match=message):
        molecule_features(*map(np.zeros, shapes), np.ones((2, 3), bool))


def _structures(*names, change=lambda row, record: record, **fields):
    atoms = [molecule(name) for name in names]
    return dataclasses.replace(
        Structures(
            names=np.array(names),
            source=list(enumerate(atoms)),
            read=lambda pair: change(
                pair[0], {"atomic_numbers": pair[1].numbers, "positions": pair[1].positions}
            ),
            targets={"total_energy_ev": np.arange(len(names), dtype=float)},
            sizes=np.array([len(one) for one in atoms]),
            split=lambda rows, seed: Split(
                train=np.arange(len(rows))[::-1][:-2],
                validation=np.array([0]),
                test=np.array([1]),
                description="x",
            ),
            provenance={"names": list(names)},
        ),
        **fields,
    )


def test_canvases_of_molecules_are_those_of_their_electrons():
    table = _structures("H2O", "CH4", "H2O", "CO")
    told = []
    found = features_of(table, progress=lambda *at: told.append(at))
    assert found.shape == (4, len(MOLECULES.features)) and found.dtype == np.float32
    assert told == [(4, 4)]
    np.testing.assert_allclose(found[2], found[0], atol=1e-6)
    np.testing.assert_array_equal(features_of(table, rows=[3, 1]), found[[3, 1]])
    mask = np.array([False, True, False, True])
    np.testing.assert_array_equal(features_of(table, rows=mask), found[mask])
    for rows in ([4], [0.5], mask[:2]):
        with pytest.raises(InputError, match="rows: expected numbers of 4 rows, or a mask"):
            features_of(table, rows=rows)
    water = molecule("H2O")
    atoms = [molecule(name) for name in ("H2O", "CH4", "H2O", "CO")]
    np.testing.assert_array_equal(features_of(atoms), found)
    with pytest.raises(InputError, match=r"atoms: expected ase\.Atoms, got 'C_O'"):
        features_of(["C_O"])
    solved = dftb.solve(water.get_chemical_symbols(), water.positions)
    expected = encode(solved.populations, solved.charges_e, solved.dipole_d)
    np.testing.assert_allclose(render(found[0]), expected, atol=2e-5)


def test_electrons_are_kept(monkeypatch, tmp_path):
    monkeypatch.setenv("QC_JAX_CACHE", str(tmp_path))
    asked = []

    def compute(batch):
        asked.append([one.name for one in batch])
        populations, charges, dipole, present = _random()
        return molecules.Electrons(*(x[:2] for x in (populations, charges, dipole, present)))

    monkeypatch.setattr(molecules, "_of_batch", compute)
    monkeypatch.setattr(molecules, "BATCH", 2)
    atoms = [molecules.Atoms(f"{k}", ("H", "H"), np.eye(3)[:2] * (1 + k)) for k in range(3)]
    first = list(molecules.electrons(atoms, 3))
    assert asked == [["0", "1"], ["2"]]
    again = list(molecules.electrons(atoms, 3))
    assert len(asked) == 2 and len(list(tmp_path.rglob("canvas-*.npz"))) == 2
    for one, other in zip(first, again, strict=True):
        for ours, theirs in zip(one, other, strict=True):
            np.testing.assert_array_equal(ours, theirs)
    list(molecules.electrons([atoms[0], atoms[2]], 2))
    assert asked[2:] == [["0", "2"]]


def test_electrons_of_charges_that_do_not_settle_are_nan(monkeypatch, tmp_path):
    monkeypatch.setenv("QC_JAX_CACHE", str(tmp_path))
    settled = types.SimpleNamespace(
        populations=np.ones((2, 16)), charges_e=np.array([0.1, -0.1]), dipole_d=np.ones(3)
    )
    solved = [settled, NotConverged("no charges settle")]
    monkeypatch.setattr(molecules.solver, "solve_all", lambda *given, **options: solved)
    atoms = [
        molecules.Atoms("a", ("H", "H"), np.eye(3)[:2]),
        molecules.Atoms("b", ("H",), np.eye(3)[:1]),
    ]
    (found,) = molecules.electrons(atoms, 2)
    assert found.present.sum(axis=1).tolist() == [2, 1]
    for values in (found.populations, found.charges):
        np.testing.assert_array_equal(np.isnan(values[1, 0]), True)
        assert np.isfinite(values[0]).all()
    assert np.isnan(found.dipole[1]).all() and np.isfinite(found.dipole[0]).all()
    drawn = features_of_atoms(atoms, 2)
    assert np.isfinite(drawn[0]).all() and np.isnan(drawn[1]).all()


def test_structures_are_made_ready_with_canvases():
    table = _structures("H2O", "CH4", "NH3", "CO", "HCN", "H2CO")

    def draw(rows):
        drawn = np.tile(rows[:, None].astype(np.float32), (1, 3))
        drawn[rows == 4] = np.nan
        return drawn

    task = prepare(table, ("total_energy_ev",), 0, draw=draw, canvas_size=16, train=3)
    batch = task.dataset.structures
    assert batch.canvas_size == 16
    assert task.names.tolist() == ["H2O", "CH4", "CO", "H2CO"]  # NH3 was not asked for
    assert task.left_out == {"HCN": "the charges of its canvas do not settle"}
    np.testing.assert_array_equal(batch.canvas_features[:, 0], [0, 1, 3, 5])
    assert task.names[task.split.train].tolist() == ["H2CO", "CO"]
    assert task.names[task.split.validation].tolist() == ["H2O"]
    streamed = prepare(table, ("total_energy_ev",), 0, draw=draw, train=3, stream=True)
    taken = streamed.dataset.take(np.arange(4))
    np.testing.assert_array_equal(taken.structures.canvas_features, batch.canvas_features)
    np.testing.assert_array_equal(taken.labels, task.dataset.labels)
    with pytest.raises(InputError, match="none of 6 structures has a canvas"):
        prepare(table, ("total_energy_ev",), 0, draw=lambda rows: np.full((len(rows), 3), np.nan))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda record: record | {"cell": np.eye(3)}, "CH4: expected a structure without a cell"),
        (
            lambda record: record | {"atomic_numbers": [92, *record["atomic_numbers"][1:]]},
            "CH4: its canvas needs parameters of PTBP, which lacks U",
        ),
        (
            lambda record: record | {"positions": 0.1 * record["positions"]},
            r"CH4: positions: atoms 0 \(C\) and 1 \(H\) are 0.109 Å apart",
        ),
    ],
)
def test_structures_without_canvases_are_named(change, message):
    table = _structures(
        "H2O", "CH4", change=lambda row, record: change(record) if row == 1 else record
    )
    with pytest.raises(InputError, match=message):
        features_of(table)
