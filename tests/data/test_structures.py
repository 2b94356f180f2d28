"""The task made of larger structures: rows, splits, offsets of labels, neighbours, forces."""

import jax
import numpy as np
import pytest

from qc_jax.data.structures import Structures, prepare
from qc_jax.datasets import crysmtm, md17
from qc_jax.errors import InputError

N = 80


def _made(read=dict, split=md17.split, **targets):
    rng = np.random.default_rng(0)
    records = [
        {
            "atomic_numbers": rng.integers(1, 9, 2 + row % 3),
            "positions": rng.normal(size=(2 + row % 3, 3)),
        }
        for row in range(N)
    ]
    return Structures(
        names=np.array([f"frame_{row}" for row in range(N)]),
        source=records,
        read=read,
        targets={"e_homo_ev": rng.normal(size=N), **targets},
        sizes=np.array([len(each["atomic_numbers"]) for each in records]),
        split=split,
        provenance={},
    )


def test_rows_without_a_label_are_left_out_and_listed():
    gap = np.arange(N, dtype=float)
    gap[[3, 7]] = np.nan
    made = _made(e_g_ev=gap)
    task = prepare(made, ("e_homo_ev", "e_g_ev"), seed=1)
    assert task.left_out == {name: "e_g_ev is undefined" for name in ("frame_3", "frame_7")}
    assert len(task.dataset) == N - 2 and "frame_3" not in task.names
    row = list(task.names).index("frame_20")
    np.testing.assert_allclose(task.dataset.labels[row], [made.targets["e_homo_ev"][20], 20])
    numbers = np.asarray(task.dataset.structures.atomic_numbers[row])
    np.testing.assert_array_equal(numbers[numbers > 0], made.source[20]["atomic_numbers"])
    parts = task.split.parts()
    assert sorted(np.concatenate(list(parts.values()))) == list(range(N - 2))


def test_streams_hold_the_same():
    made = _made()
    whole = prepare(made, ("e_homo_ev",), seed=1)
    task = prepare(made, ("e_homo_ev",), seed=1, stream=True)
    jax.tree.map(np.testing.assert_array_equal, task.dataset.take(np.arange(N)), whole.dataset)
    (batch,) = task.dataset.batches(np.array([[5, 4]]))
    np.testing.assert_array_equal(
        batch.positions, whole.dataset.structures.positions[np.array([5, 4])]
    )


@pytest.mark.parametrize("cutoff", [None, 2.0])
def test_streams_draw_canvases_of_the_size_asked_for(cutoff):
    task = prepare(
        _made(),
        ("e_homo_ev",),
        seed=1,
        cutoff=cutoff,
        stream=True,
        draw=lambda rows: np.ones((len(rows), 3)),
        canvas_size=64,
    )
    (batch,) = task.dataset.batches(np.array([[5, 4]]))
    assert batch.canvas_size == task.dataset.take(np.array([5])).structures.canvas_size == 64


def test_fewer_training_rows_are_the_first_of_more():
    made = _made()
    whole, few, fewer = (prepare(made, ("e_homo_ev",), 1, train=n) for n in (None, 10, 5))
    np.testing.assert_array_equal(few.split.train, whole.split.train[:10])
    np.testing.assert_array_equal(fewer.split.train, whole.split.train[:5])
    np.testing.assert_array_equal(few.split.test, whole.split.test)
    np.testing.assert_array_equal(few.split.unused, whole.split.train[10:])
    assert "10 of 38 training rows are used" in few.split.description
    labels = np.asarray(fewer.dataset.labels)[fewer.split.train]
    assert float(fewer.scaler.high[0]) == labels.max()  # fitted on those alone
    with pytest.raises(InputError, match="expected 1 to 38 training rows, got 39"):
        prepare(made, ("e_homo_ev",), 1, train=39)


def test_energies_that_float32_would_blur_are_told_as_differences():
    energies = -17_633.0 + 0.002 * np.random.default_rng(3).normal(size=N)
    task = prepare(_made(total_energy_ev=energies), ("e_homo_ev", "total_energy_ev"), 1)
    assert task.offsets[0] == 0
    assert task.offsets[1] == pytest.approx(energies[task.split.train].mean(), abs=1e-9)
    assert task.notes == (f"total_energy_ev: differences from {task.offsets[1]:.6f} eV",)
    again = np.asarray(task.dataset.labels, np.float64)[:, 1] + task.offsets[1]
    np.testing.assert_allclose(again, energies, atol=1e-9)  # float32 alone: 1e-3


def test_forces_go_along():
    def read(record):
        return {**record, "forces": 2 * record["positions"]}

    task = prepare(_made(read), ("e_homo_ev",), 1)
    mask = np.asarray(task.dataset.structures.atom_mask)
    forces = np.asarray(task.dataset.forces)
    assert forces.shape == (N, 4, 3) and not forces[~mask].any()
    np.testing.assert_allclose(forces, 2 * task.dataset.structures.positions, rtol=1e-6)
    assert task.dataset.take(np.array([3, 1])).forces.shape == (2, 4, 3)
    few = prepare(_made(), ("e_homo_ev",), 1).dataset
    assert few.forces is None

    def some(record):
        return read(record) if len(record["positions"]) > 2 else record

    with pytest.raises(InputError, match="row 1: expected a record without forces, got with"):
        prepare(_made(some), ("e_homo_ev",), 1)


@pytest.mark.slow  # importing jax-md
def test_neighbors_within_a_cutoff_and_cells():
    """Batches have room for the most; a structure without a cell beside one with."""

    def read(record):
        cell = {"cell": 3 * np.eye(3)} if len(record["positions"]) == 4 else {}
        return {**record, **cell}

    with pytest.raises(InputError, match="row 2: expected a cutoff for a structure with a cell"):
        prepare(_made(read), ("e_homo_ev",), 1)
    task = prepare(_made(read), ("e_homo_ev",), 1, cutoff=2.5)
    batch = task.dataset.structures
    slots = batch.neighbors.shape[2]
    (note,) = task.notes
    assert note.startswith(f"neighbours within 2.5 Å: at most {slots} of an atom; buffers grew ")
    mask = np.asarray(batch.neighbor_mask)
    assert mask.sum(axis=2).max() == mask.shape[2] > 3  # images too
    lengths = np.linalg.norm(batch.displacements(batch.positions), axis=-1)
    assert lengths[mask].max() < 2.5 and not np.asarray(batch.shifts)[~mask].any()
    crystal = np.asarray(batch.atom_mask).all(axis=1)
    assert np.abs(np.asarray(batch.shifts)[crystal]).max() >= 3
    assert not np.asarray(batch.shifts)[~crystal].any()
    streamed = prepare(_made(read), ("e_homo_ev",), 1, cutoff=2.5, stream=True).dataset
    for part in streamed.batches(np.array([[0, 1], [3, 4]])):  # none has a cell: same shape
        assert part.neighbors.shape == (2, *mask.shape[1:]) and part.shifts is not None


def test_md17_sizes():
    split = md17.split(np.arange(5000), 42)
    assert [len(rows) for rows in split.parts().values()] == [950, 50, 4000]
    again = md17.split(np.arange(5000), 43)
    assert not np.array_equal(split.train, again.train)
    split = md17.split(np.arange(100), 42)
    assert [len(rows) for rows in split.parts().values()] == [47, 2, 51]


def test_crysmtm_temperatures():
    temperatures = np.repeat([0, 150, 200, 250, 300, 1000], 10)
    rows = np.arange(60)[1:]
    split = crysmtm.split_by_temperature(temperatures)(rows, 42)
    assert [len(part) for part in split.parts().values()] == [24, 6, 29]
    kelvin = temperatures[rows]
    assert set(kelvin[split.test]) == {0, 250, 1000}
    assert set(kelvin[split.train]) | set(kelvin[split.validation]) == {150, 200, 300}
    assert set(kelvin[split.test]) <= {*crysmtm.TEST_ID, *crysmtm.TEST_OOD}


def test_what_cannot_be_prepared():
    with pytest.raises(InputError, match="unknown target of these structures 'gap'; choose one"):
        prepare(_made(), ("gap",), 1)
    with pytest.raises(InputError, match="none of 80 structures has finite labels"):
        prepare(_made(e_g_ev=np.full(N, np.nan)), ("e_g_ev",), 1)
