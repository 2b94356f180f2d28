"""The minima of a pair's energy, where the energy has more than one solution.

At one distance a self-consistent method can converge to several solutions, some of them absurd.
The search comes inward from a large distance, follows the solution from point to point, looks now
and then for a lower one, and drops what is not sound. Where the gradient changes its sign on one
solution there is a minimum, which is then refined with the analytic gradient.
"""

import dataclasses
import itertools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, Protocol

import numpy as np
from scipy import optimize

from qc_jax.engines.engine import EngineError, FailureKind


class SCFSolution(NamedTuple):
    """A solution of the self-consistent equations at one distance.

    Attributes:
      distance: Å.
      energy: eV.
      gradient: its derivative with the distance, eV/Å.
      charge: the largest |charge| of an atom, e.
      solution: the engine's own, from which it can go on.
    """

    distance: float
    energy: float
    gradient: float
    charge: float
    solution: Any


class Minimum(NamedTuple):
    """A refined minimum, the energies beside it less its own (eV), and the range looked at (Å)."""

    state: SCFSolution
    beside: tuple[float, float]
    searched: tuple[float, float]


class NoMinimum(EngineError):
    """No minimum stands on a sound solution.

    Attributes:
      dropped: the solution inside of sound ones that the search dropped first, None where none was
        dropped or none converged.
    """

    def __init__(self, searched: tuple[float, float], dropped: SCFSolution | None):
        super().__init__(
            FailureKind.NO_MINIMUM,
            f"none on a sound solution from {searched[0]:.2f} to {searched[1]:.2f} Å",
        )
        self.dropped = dropped


class SCFSolver(Protocol):
    """What the search needs of an engine: its solutions for one pair."""

    def solve(
        self, distance: float, near: SCFSolution | None = None, fine: bool = False
    ) -> SCFSolution | None:
        """Return the solution at `distance` (Å), started from that of `near` where given."""
        ...

    def others(self, distance: float) -> list[SCFSolution]:
        """Return whatever solutions other guesses lead to at `distance`, in a fixed order."""
        ...


@dataclasses.dataclass(frozen=True)
class SearchConfig:
    """Where and how finely the search looks.

    Attributes:
      far_ang: where it starts, 13 bohr; the longest bond found, that of Cs_Xe, has 5.5 Å.
      near_ang: from here, 9 bohr, it takes fine steps.
      far_step_ang: step from far to near.
      step_ang: step from near inwards, and where a minimum is chased.
      least_ratio: it ends at this multiple of the sum of the covalent radii, below what the gates
        let pass,
      least_ang: but not below this; the shortest bond there is, that of H2, has 0.74 Å.
      fresh_every: at every so many points it also starts afresh and takes the lower solution.
      lower_ev: a solution is lower by at least this much.
      beside_ang: how far beside a minimum the energies are taken for the gates.
      tolerance_ang: of a minimum's distance.
    """

    far_ang: float = 6.9
    near_ang: float = 4.8
    far_step_ang: float = 0.3
    step_ang: float = 0.1
    least_ratio: float = 0.55
    least_ang: float = 0.5
    fresh_every: int = 3
    lower_ev: float = 1e-3
    beside_ang: float = 0.02
    tolerance_ang: float = 1e-8

    def grid(self, covalent: float) -> np.ndarray:
        """Return the distances from far to near, Å."""
        least = max(self.least_ratio * covalent, self.least_ang)
        return np.concatenate(
            [
                np.arange(self.far_ang, self.near_ang + self.far_step_ang / 2, -self.far_step_ang),
                np.arange(self.near_ang, least - self.step_ang / 2, -self.step_ang),
            ]
        )


class _Search:
    def __init__(
        self, curve: SCFSolver, sound: Callable[[SCFSolution], bool], config: SearchConfig
    ):
        self.curve = curve
        self.sound = sound
        self.config = config
        self.dropped: SCFSolution | None = None  # the first unsound solution inside of sound ones

    def _if_sound(self, state: SCFSolution | None) -> SCFSolution | None:
        return state if state is not None and self.sound(state) else None

    def solve_near(self, distance: float, near: SCFSolution | None) -> SCFSolution | None:
        """Return the solution of `near`, followed to `distance`; None where that is not sound."""
        return None if near is None else self._if_sound(self.curve.solve(distance, near))

    def scan(self, grid: np.ndarray) -> list[SCFSolution]:
        """Return the lowest sound solution found at each distance; none where there is none."""
        states: list[SCFSolution] = []
        current: SCFSolution | None = None
        for index, distance in enumerate(grid):
            followed = self.solve_near(distance, current)
            fresh = None
            if followed is None or index % self.config.fresh_every == 0:
                fresh = self._if_sound(self.curve.solve(distance))
            if followed is None and fresh is None:
                others = self.curve.others(distance)
                fresh = self.lowest(others)
                if fresh is None and self.dropped is None and states:
                    self.dropped = min(others, key=_energy, default=None)
            current = _lower(followed, fresh, self.config.lower_ev)
            if current is not None:
                states.append(current)
        return states

    def lowest(self, states: list[SCFSolution]) -> SCFSolution | None:
        """Return the lowest sound one."""
        return min(filter(self.sound, states), key=_energy, default=None)

    def starts(self, states: list[SCFSolution]) -> Iterator[SCFSolution]:
        """Yield solutions on the slope of a minimum: outside going down, inside going up."""
        for outer, inner in itertools.pairwise(states):
            if outer.gradient > 0 > inner.gradient:
                yield outer
                if not _continuous(outer, inner):
                    yield inner

    def descend(self, start: SCFSolution) -> SCFSolution | None:
        """Return the minimum downhill of `start` on its own solution, or None where that ends."""
        step = self.config.step_ang
        state = self.curve.solve(start.distance, start, fine=True)
        for _ in range(40):
            if state is None or not self.sound(state):
                return None
            distance = state.distance - np.copysign(step, state.gradient)
            beyond = self.curve.solve(distance, state, fine=True)
            if beyond is None or not self.sound(beyond):
                return None
            if beyond.gradient * state.gradient <= 0:
                return self._refine(state, beyond)
            if beyond.energy > state.energy:  # uphill though the slope is down: another solution
                return None
            state = beyond
        return None

    def _refine(self, one: SCFSolution, two: SCFSolution) -> SCFSolution | None:
        seen = {one.distance: one, two.distance: two}

        def gradient(distance: float) -> float:
            if distance not in seen:
                near = min(seen.values(), key=lambda state: abs(state.distance - distance))
                state = self.curve.solve(distance, near, fine=True)
                if state is None:
                    raise FailureKind.SCF.error(f"no solution at {distance:.4f} Å")
                seen[distance] = state
            return seen[distance].gradient

        try:
            root = optimize.brentq(
                gradient, one.distance, two.distance, xtol=self.config.tolerance_ang
            )
            gradient(root)
        except EngineError:
            return None
        return self._if_sound(seen[root])

    def beside(self, state: SCFSolution) -> tuple[float, float]:
        """Return the energies beside a minimum, less its own; infinite where there is none."""
        energies = []
        for side in (-1, 1):
            other = self.curve.solve(
                state.distance + side * self.config.beside_ang, state, fine=True
            )
            energies.append(np.inf if other is None else other.energy - state.energy)
        return energies[0], energies[1]


def _energy(state: SCFSolution) -> float:
    return state.energy


def _lower(one: SCFSolution | None, two: SCFSolution | None, by: float) -> SCFSolution | None:
    if one is None or two is None:
        return one or two
    return two if two.energy < one.energy - by else one


def _continuous(outer: SCFSolution, inner: SCFSolution) -> bool:
    """Whether two neighbours lie on one solution: the energy differs as the gradients say."""
    width = outer.distance - inner.distance
    expected = (outer.gradient + inner.gradient) / 2 * width
    scale = max(abs(outer.gradient), abs(inner.gradient)) * width
    return abs(outer.energy - inner.energy - expected) < 0.01 + 0.5 * scale


def minima(
    curve: SCFSolver, covalent: float, sound: Callable[[SCFSolution], bool], config: SearchConfig
) -> Iterator[Minimum]:
    """Yield the minima of sound solutions, lowest first.

    Args:
      curve: the pair's energy.
      covalent: sum of its covalent radii, Å.
      sound: whether a solution is to be followed at all.
      config: of the search.

    Raises:
      NoMinimum: there is none.
    """
    search = _Search(curve, sound, config)
    grid = config.grid(covalent)
    found: list[SCFSolution] = []

    def add(start: SCFSolution) -> bool:
        state = search.descend(start)
        if state is None or any(_same(state, other, config) for other in found):
            return False
        found.append(state)
        return True

    for start in search.starts(search.scan(grid)):
        add(start)
    if not found:
        raise NoMinimum((float(grid[-1]), float(grid[0])), search.dropped)
    tried: set[float] = set()
    while True:  # a lower solution where the lowest minimum is leads to a lower minimum
        lowest = min(found, key=_energy)
        if lowest.distance in tried:
            break
        tried.add(lowest.distance)
        other = search.lowest(curve.others(lowest.distance))
        if other is not None and other.energy < lowest.energy - config.lower_ev:
            add(other)
    for state in sorted(found, key=_energy):
        yield Minimum(state, search.beside(state), (float(grid[-1]), float(grid[0])))


def _same(one: SCFSolution, two: SCFSolution, config: SearchConfig) -> bool:
    return (
        abs(one.distance - two.distance) < 1e-4 and abs(one.energy - two.energy) < config.lower_ev
    )
