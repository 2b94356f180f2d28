"""Bond-length scans: one pair at many distances, followed from its minimum on one solution.

A self-consistent calculation that starts afresh at each distance may land on another solution at
any of them, and the curve then jumps. Here every point starts from its neighbour's solution; where
energy, gradient and charge do not fit together the step is halved, and where halving does not help
other mixers are tried. What still jumps is marked (`CONTINUOUS`), not hidden.
"""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

from qc_jax.engines.engine import (
    Answer,
    EngineError,
    Failure,
    FailureKind,
    Progress,
    Scanner,
)
from qc_jax.engines.record import CONTINUOUS, RATIO, Record, Scan
from qc_jax.engines.sanity import SanityChecks
from qc_jax.engines.search import SCFSolution
from qc_jax.errors import InputError

_MOST = 10_000  # distances of a pair


@dataclasses.dataclass(frozen=True)
class Grid:
    """Distances as multiples of the relaxed one: `count` of them from `low` to `high`, equidistant.

    Raises:
      InputError: it is none: `low` must lie in (0, 1), `high` above 1, `count` in 2 … 10,000.
    """

    low: float
    high: float
    count: int

    def __post_init__(self):
        if not (0 < self.low < 1 < self.high < np.inf and 2 <= self.count <= _MOST):
            raise InputError(
                f"curve {self}: expected LOW:HIGH:COUNT with 0 < LOW < 1 < HIGH, multiples of the "
                f"relaxed bond length, and COUNT from 2 to {_MOST}, like 0.7:2.5:40"
            )

    def __str__(self) -> str:
        low, high = (repr(float(x)).removesuffix(".0") for x in (self.low, self.high))
        return f"{low}:{high}:{self.count}"

    @classmethod
    def parse(cls, text: str) -> "Grid":
        """Return the grid written like '0.7:2.5:40'.

        Raises:
          InputError: it is not.
        """
        try:
            low, high, count = text.split(":")
            numbers = float(low), float(high), int(count)
        except ValueError as error:
            raise InputError(f"curve {text!r}: expected LOW:HIGH:COUNT, like 0.7:2.5:40") from error
        return cls(*numbers)

    @property
    def ratios(self) -> np.ndarray:
        """Return [count], rising."""
        return np.linspace(self.low, self.high, self.count)


@dataclasses.dataclass(frozen=True)
class ScanConfig:
    """When two neighbours count as one curve.

    Attributes:
      energy_ev: how far the energy difference may be from what the two gradients say; halving a
        step cuts this eightfold on a smooth curve and not at all at a jump.
      charge_e: how much a charge may change from one neighbour to the next.
      halvings: how often a step is halved before a jump is one; 6 of them make steps of about
        a thousandth of the bond length.
    """

    energy_ev: float = 5e-3
    charge_e: float = 0.02
    halvings: int = 6

    def continuous(self, one: SCFSolution, two: SCFSolution) -> bool:
        """Return whether two neighbours lie on one solution."""
        expected = (one.gradient + two.gradient) / 2 * (two.distance - one.distance)
        return (
            abs(two.energy - one.energy - expected) <= self.energy_ev
            and abs(two.charge - one.charge) <= self.charge_e
        )


class FollowingSolver(Protocol):
    """What a scan needs of an engine beside `search.SCFSolver`."""

    def solve(
        self, distance: float, near: SCFSolution | None = None, fine: bool = False
    ) -> SCFSolution | None:
        """Return the solution at `distance` (Å), started from that of `near`."""
        ...

    def alternatives(self, distance: float, near: SCFSolution) -> list[SCFSolution]:
        """Return whatever else converges at `distance` from that of `near`, in a fixed order."""
        ...


class Point(NamedTuple):
    """A state of a scan, and whether a continuous curve leads from it to the minimum."""

    state: SCFSolution
    continuous: bool


def follow(
    curve: FollowingSolver, minimum: SCFSolution, ratios: np.ndarray, config: ScanConfig
) -> list[Point | None]:
    """Return the states at `ratios` times the minimum's distance; None where nothing converges.

    Args:
      curve: the pair's.
      minimum: where to start; from there outwards and inwards.
      ratios: [P], any order.
      config: when a curve is continuous.
    """
    points: list[Point | None] = [None] * len(ratios)
    order = np.argsort(np.abs(ratios - 1), kind="stable")
    for side in (order[ratios[order] >= 1], order[ratios[order] < 1]):
        last = Point(minimum, True)
        for index in side:
            reached = _step(curve, last.state, ratios[index] * minimum.distance, config)
            if reached is not None:
                last = Point(reached.state, last.continuous and reached.continuous)
                points[index] = last
    return points


def _step(
    curve: FollowingSolver, near: SCFSolution, distance: float, config: ScanConfig, halved: int = 0
) -> Point | None:
    """Go from `near` to `distance`, on the same solution where that can be."""
    state = curve.solve(distance, near, fine=True)
    if state is not None and config.continuous(near, state):
        return Point(state, True)
    if halved == config.halvings:
        for other in curve.alternatives(distance, near):
            if config.continuous(near, other):
                return Point(other, True)
        return None if state is None else Point(state, False)
    middle = _step(curve, near, (near.distance + distance) / 2, config, halved + 1)
    if middle is None:
        return None if state is None else Point(state, False)
    end = _step(curve, middle.state, distance, config, halved + 1)
    return end and Point(end.state, middle.continuous and end.continuous)


def place_of(name: str, length: float) -> str:
    """Return how reasons name a point of a scan, by its length in Å, whatever its neighbours."""
    return f"{name} at {length:.6f} Å"


def judge(
    name: str,
    relaxed: float,
    ratios: np.ndarray,
    points: list[Point | None],
    record_of: Callable[[SCFSolution], Record],
    failure: Callable[[Record], Failure | None],
) -> Scan:
    """Return the scan of the points that pass the gates; each of the others with its reason.

    Args:
      name: of the pair.
      relaxed: its bond length, Å.
      ratios: [P], rising.
      points: what `follow` gave for them.
      record_of: the record of a state; raises EngineError where there is none.
      failure: which gate a record fails, or None.
    """
    kept = []
    left_out = {}
    for ratio, point in zip(ratios, points, strict=True):
        place = place_of(name, ratio * relaxed)
        if point is None:
            left_out[place] = str(Failure(FailureKind.SCF, "nothing converges"))
            continue
        try:
            record = record_of(point.state)
        except EngineError as error:
            left_out[place] = str(error)
            continue
        reason = failure(record)
        if reason is not None:
            left_out[place] = str(reason)
            continue
        record.extras[RATIO] = float(ratio)
        record.extras[CONTINUOUS] = float(point.continuous)
        kept.append(record)
    return Scan(name, kept, left_out)


@dataclasses.dataclass(frozen=True)
class ScanEngine:
    """An engine whose answer is the scan of a pair instead of its minimum."""

    engine: Scanner
    grid: Grid
    config: ScanConfig = dataclasses.field(default_factory=ScanConfig)

    @property
    def name(self) -> str:
        """Return That of the engine."""
        return self.engine.name

    @property
    def symbols(self) -> tuple[str, ...]:
        """Return those of the engine."""
        return self.engine.symbols

    @property
    def gates(self) -> SanityChecks:
        """Return those of the engine."""
        return self.engine.gates

    def provenance(self) -> dict[str, Any]:
        """Return that of the engine, and the grid."""
        return {
            **self.engine.provenance(),
            "curve": str(self.grid),
            "continuity": dataclasses.asdict(self.config),
        }

    def compute(self, name: str) -> Scan:
        """Return the scan of the pair.

        Raises:
          EngineError: there is no minimum to start from.
        """
        return self.engine.scan(name, self.grid, self.config)

    def compute_all(self, names: Sequence[str], progress: Progress) -> Iterator[tuple[str, Answer]]:
        """Yield each pair with its scan."""
        return self.engine.scan_all(names, self.grid, self.config, progress)
