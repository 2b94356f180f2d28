"""What a run keeps of its data."""

import dataclasses

import ase
import ase.io
import numpy as np
import pytest
from ase.build import bulk

import qc_jax
from qc_jax.errors import InputError
from qc_jax.runs import building, record

NONE = "its canvas is none of a pair"


def test_a_pair_without_a_canvas_is_left_out_and_the_run_opens(small_table, tmp_path):
    """Whether the row has a part of the split or not, and packed, too."""
    populations = np.array(small_table.populations)
    gone, kept = map(str, small_table.names[[3, 4]])
    populations[3] = np.nan
    table = dataclasses.replace(small_table, populations=populations)
    task = qc_jax.prepare(table, "e_homo_ev")
    model = qc_jax.create("tabular_mlp", hidden=(8,))
    run = qc_jax.fit(model, task, qc_jax.TrainConfig(epochs=1))
    run.save(tmp_path / "run")
    run.pack(tmp_path / "run.npz")
    for path in (tmp_path / "run", tmp_path / "run.npz"):
        opened = qc_jax.load(path)
        assert len(opened.pairs.names) == len(table) - 1
        assert np.isfinite(opened.predict(kept)).all()
        assert NONE in opened.part_of(gone)
        with pytest.raises(InputError, match=f"pair '{gone}': .*was left out of it: {NONE}"):
            opened.predict(gone)


def frames(crystals: int, molecules: int, wide: int) -> list[ase.Atoms]:
    """Cu in narrow cells, Cu2 without a cell, and Cu2 in cells that no neighbour is beyond."""
    rng = np.random.default_rng(0)
    made = [bulk("Cu") for _ in range(crystals)]
    made += [ase.Atoms("Cu2", [[0, 0, 0], [0, 0, 2.2]]) for _ in range(molecules)]
    made += [
        ase.Atoms("Cu2", [[0, 0, 0], [0, 0, 2.2]], cell=[30] * 3, pbc=True) for _ in range(wide)
    ]
    for frame in made:
        frame.rattle(0.01, rng=rng)
        frame.info["energy"] = rng.normal()
    return made


@pytest.mark.parametrize(
    ("counts", "free", "periodic"),
    [
        ((20, 0, 0), False, True),
        ((0, 20, 0), True, False),
        ((20, 20, 0), True, True),
        ((10, 0, 10), False, True),
        ((0, 10, 10), True, True),
    ],
)
def test_the_domain_tells_free_from_periodic(counts, free, periodic, tmp_path):
    ase.io.write(tmp_path / "cu.xyz", frames(*counts), format="extxyz")
    run = building.from_config(
        {
            "model": {"name": "schnet"},
            "data": f"extxyz:{tmp_path / 'cu.xyz'}",
            "target": "total_energy_ev",
            "neighbor_cutoff": 3.0,
        }
    )
    domain = record.Record.of(run).domain
    assert (domain.free, domain.periodic) == (free, periodic)
