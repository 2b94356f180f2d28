"""Neighbour lists by jax-md against ASE's, free and periodic, and buffers that overflow."""

import ase
import ase.neighborlist
import numpy as np
import pytest
from ase.build import bulk

from qc_jax.data.neighbors import Neighbors
from qc_jax.errors import InputError

CUTOFF = 4.0


def _vectors(found, positions):
    """(atom, neighbour, vector) of all of them, sorted."""
    atoms, slots = found.neighbors.shape
    rows = []
    for i in range(atoms):
        for slot in range(slots):
            j = found.neighbors[i, slot]
            if j < atoms:
                shift = 0 if found.shifts is None else found.shifts[i, slot]
                rows.append((i, j, *(positions[j] + shift - positions[i])))
    return _sorted(rows)


def _sorted(rows):
    rows = np.array(rows).reshape(-1, 5)
    return rows[np.lexsort(np.round(rows, 2).T[::-1])]


def _expected(atoms):
    i, j, vectors = ase.neighborlist.neighbor_list("ijD", atoms, CUTOFF)
    return _sorted(np.column_stack([i, j, vectors]))


@pytest.fixture(scope="module")
def finder():
    return Neighbors(CUTOFF)


def _cells():
    """Small, skewed and larger ones, atoms anywhere; the last two have the size of one before."""
    rng = np.random.default_rng(0)
    yield bulk("NaCl", "rocksalt", a=5.64)  # primitive: narrower than the cutoff, four times
    yield ase.Atoms("C", cell=2.5 * np.eye(3), pbc=True)  # its neighbours are itself
    for scale in (5, 5.2):
        cell = np.diag([4.2, scale, 9]) + rng.uniform(-0.3, 0.3, (3, 3))
        yield ase.Atoms("C5", rng.uniform(-20, 20, (5, 3)), cell=cell, pbc=True)


@pytest.mark.parametrize("atoms", list(_cells()), ids=lambda atoms: str(atoms.symbols))
def test_cells_as_ase_finds_them(finder, atoms):
    found = finder.find(atoms.positions, np.array(atoms.cell))
    got, expected = _vectors(found, atoms.positions), _expected(atoms)
    assert len(got) == len(expected) > 0
    np.testing.assert_array_equal(got[:, :2], expected[:, :2])
    np.testing.assert_allclose(got[:, 2:], expected[:, 2:], atol=1e-4)


def test_an_overflow_is_seen_and_the_buffer_regrown():
    """Spread atoms first, then the same number close together: none is lost."""
    finder = Neighbors(CUTOFF)
    rng = np.random.default_rng(1)
    far = ase.Atoms("C12", 3.2 * np.arange(12)[:, None] * [1, 0, 0])
    near = ase.Atoms("C12", rng.normal(size=(12, 3)))
    for atoms, regrown in ((far, 0), (near, 1), (far, 1), (near, 1)):
        found = finder.find(atoms.positions)
        assert found.shifts is None and finder.regrown == regrown
        got, expected = _vectors(found, atoms.positions), _expected(atoms)
        np.testing.assert_array_equal(got[:, :2], expected[:, :2])
        assert found.neighbors.shape[1] == np.bincount(expected[:, 0].astype(int)).max()


def test_an_atom_alone(finder):
    assert finder.find(np.zeros((1, 3))).neighbors.shape == (1, 0)


def test_what_cannot_be_searched(finder):
    with pytest.raises(InputError, match="cutoff: expected a length above 0 Å, got 0"):
        Neighbors(0)
    with pytest.raises(InputError, match="positions: expected finite ones"):
        finder.find(np.full((2, 3), np.nan))
    with pytest.raises(InputError, match="cell: expected three vectors that span a volume"):
        finder.find(np.zeros((1, 3)), np.ones((3, 3)))
    with pytest.raises(InputError, match=r"cell: within 4.0 Å it is repeated .* at most 20000"):
        finder.find(np.zeros((1, 3)), 0.1 * np.eye(3))


@pytest.mark.slow
def test_rigid_bodies_of_jax_md_are_left_out_and_found(run_python):
    code = """
import sys
from qc_jax.ops import jax_md
jax_md().partition.neighbor_list
assert "jax_md.rigid_body" not in sys.modules and not hasattr(jax_md(), "rigid_body")
from jax_md import rigid_body
print(rigid_body.square.points.shape)
"""
    done = run_python("-c", code)
    assert done.stdout == "(4, 2)\n", done.stderr
