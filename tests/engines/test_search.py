"""The search on curves in closed form, where the answer is known."""

import numpy as np
import pytest

from qc_jax.engines import search
from qc_jax.engines.search import SCFSolution

SETTINGS = search.SearchConfig()


class Branch:
    """A Morse curve, shifted, that exists between two distances, with a fixed charge."""

    def __init__(self, well, depth, shift=0.0, charge=0.1, exists=(0.0, 99.0)):
        self.well, self.depth, self.shift, self.charge = well, depth, shift, charge
        self.exists = exists

    def at(self, distance):
        if not self.exists[0] <= distance <= self.exists[1]:
            return None
        x = np.exp(-1.5 * (distance - self.well))
        energy = self.depth * ((1 - x) ** 2 - 1) + self.shift
        gradient = self.depth * 2 * (1 - x) * 1.5 * x
        return SCFSolution(distance, float(energy), float(gradient), self.charge, self)


class Branches:
    """Several solutions: it starts on the first that exists, and follows the one it is on."""

    def __init__(self, *branches):
        self.branches = branches
        self.calls = 0

    def solve(self, distance, near=None, fine=False):
        self.calls += 1
        order = [near.solution, *self.branches] if near else self.branches
        return next(filter(None, (branch.at(distance) for branch in order)), None)

    def others(self, distance):
        self.calls += 1
        return [state for state in (b.at(distance) for b in self.branches) if state]


def sound(state):
    return state.charge <= 1


def found(*branches, covalent=2.0):
    return list(search.minima(Branches(*branches), covalent, sound, SETTINGS))


def test_one_well():
    (minimum,) = found(Branch(2.2, 3.0))
    assert minimum.state.distance == pytest.approx(2.2, abs=1e-7)
    assert minimum.state.energy == pytest.approx(-3.0)
    assert minimum.beside == pytest.approx((3 * 1.5**2 * 0.02**2,) * 2, rel=0.05)
    assert minimum.searched == pytest.approx((1.1, 6.9), abs=0.1)


def test_shallow_well_far_out():
    (minimum,) = found(Branch(5.7, 1e-4))
    assert minimum.state.distance == pytest.approx(5.7, abs=1e-5)


def test_absurd_solution_is_dropped():
    absurd = Branch(2.5, 300.0, charge=6.0)
    (minimum,) = found(absurd, Branch(2.2, 3.0, exists=(0.0, 5.0)), absurd)
    assert minimum.state.distance == pytest.approx(2.2, abs=1e-7)


def test_solution_that_ends_is_no_minimum():
    """It falls inwards until it ends; the one that takes over has its minimum elsewhere."""
    falling = Branch(1.5, 5.0, exists=(3.1, 99.0))
    (minimum,) = found(falling, Branch(2.4, 3.0))
    assert minimum.state.distance == pytest.approx(2.4, abs=1e-7)


def test_lowest_of_two_solutions_comes_first():
    upper = Branch(3.4, 3.0, exists=(2.6, 99.0))
    minima = found(upper, Branch(1.8, 4.0, exists=(0.0, 2.6)))
    assert [m.state.distance for m in minima] == pytest.approx([1.8, 3.4], abs=1e-6)


def test_lower_solution_at_the_minimum_alone_is_found():
    """No point of the grid starts afresh there; the check of the lowest minimum does."""
    lower = Branch(2.21, 1.0, shift=-3.0, exists=(2.15, 2.4))
    first = found(Branch(2.2, 3.0), lower)[0]
    assert first.state.energy == pytest.approx(-4.0)
    assert first.state.distance == pytest.approx(2.21, abs=1e-7)


def test_nothing_to_find():
    for branches in ([Branch(0.4, 3.0)], [Branch(2.2, 3.0, charge=2.0)], [Branch(9.0, 3.0)], []):
        with pytest.raises(
            search.NoMinimum, match=r"none on a sound solution from 1\.\d\d to 6\.90 Å"
        ) as error:
            found(*branches)
        assert error.value.dropped is None
    absurd = Branch(1.8, 30.0, charge=3.5, exists=(0.0, 2.6))
    with pytest.raises(search.NoMinimum) as error:
        found(Branch(1.9, 3.0, exists=(2.6, 99.0)), absurd)
    assert error.value.dropped.charge == 3.5
    assert error.value.dropped.distance == pytest.approx(2.5, abs=0.11)


def test_grid_ends_where_the_radii_say():
    assert SETTINGS.grid(3.0)[-1] == pytest.approx(0.55 * 3.0, abs=0.1)
    assert SETTINGS.grid(0.5)[-1] == pytest.approx(0.5, abs=0.1)
    assert (np.diff(SETTINGS.grid(3.0)) < 0).all()
