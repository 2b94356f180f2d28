"""The domain that a model was trained on, and what of other structures lies outside of it."""

import dataclasses
import math
import warnings
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Bool, Float

from qc_jax.chem.elements import MAX_ATOMIC_NUMBER, element, pair_name
from qc_jax.data.batch import Batch
from qc_jax.errors import InputError

_ROUNDING = 1e-4  # Å: tables and positions are float32 on their way
_CHUNK = 1024  # structures at a time: neighbours of all of them at once may not fit into memory
_SIZE = MAX_ATOMIC_NUMBER + 1


@dataclasses.dataclass(frozen=True, eq=False)
class TrainingDomain:
    """Elements, distances, sizes and periodicity of the training structures.

    Attributes:
      low: Shortest distance (Å) of each two elements by atomic numbers, symmetric; ∞ where the
        elements are never neighbours.
      high: Longest distance; −∞ there.
      isolation: Longest distance (Å) from an atom of each element to its nearest neighbour; ∞ where
        such an atom had none, −∞ where the element is not there.
      atoms: Fewest and most atoms of a structure.
      free: Whether there are structures without a cell.
      periodic: Whether there are structures in a cell.
    """

    low: Float[np.ndarray, "elements elements"]
    high: Float[np.ndarray, "elements elements"]
    isolation: Float[np.ndarray, " elements"]
    atoms: tuple[int, int]
    free: bool
    periodic: bool

    @classmethod
    def of_structures(cls, structures: Batch) -> "TrainingDomain":
        """Return the domain that the structures of a batch span."""
        numbers, distance, around, there = _links(structures)
        ours = np.broadcast_to(numbers[:, :, None], there.shape)
        low = np.full((_SIZE, _SIZE), np.inf)
        high, isolation = -low, np.full(_SIZE, -np.inf)
        for one, other in ((ours, around), (around, ours)):
            np.minimum.at(low, (one[there], other[there]), distance[there])
            np.maximum.at(high, (one[there], other[there]), distance[there])
        nearest = np.where(there, distance, np.inf).min(axis=2, initial=np.inf)
        np.maximum.at(isolation, numbers[numbers > 0], nearest[numbers > 0])
        counts = (numbers > 0).sum(axis=1)
        periodic = structures.shifts is not None
        return cls(
            low, high, isolation, (int(counts.min()), int(counts.max())), not periodic, periodic
        )

    @classmethod
    def of_dataset(
        cls, dataset: Any, rows: np.ndarray, has_cell: Callable[[int], bool] | None = None
    ) -> "TrainingDomain":
        """Return the domain of some rows of a `Dataset` or a `Stream`.

        Args:
          dataset: with the structures.
          rows: of it.
          has_cell: says of a row whether it has a cell, which a batch of free and of periodic
            structures does not; all of such a batch unless given.
        """
        parts, found = [], set[bool]()
        for start in range(0, len(rows), _CHUNK):
            some = rows[start : start + _CHUNK]
            structures = dataset.take(some).structures
            parts.append(cls.of_structures(structures))
            found |= _cells(structures, some, has_cell, found)
        return cls(
            low=np.min([part.low for part in parts], axis=0),
            high=np.max([part.high for part in parts], axis=0),
            isolation=np.max([part.isolation for part in parts], axis=0),
            atoms=(min(part.atoms[0] for part in parts), max(part.atoms[1] for part in parts)),
            free=False in found,
            periodic=True in found,
        )

    @property
    def elements(self) -> tuple[str, ...]:
        """Return the symbols of the training structures' elements, by atomic number."""
        return tuple(element(int(z)).symbol for z in np.flatnonzero(self.isolation > -np.inf))

    def range_of(self, first: int, second: int) -> tuple[float, float]:
        """Return the shortest and longest distance (Å) of two elements by their atomic numbers.

        Raises:
          InputError: the model was never trained on the two together.
        """
        if not self.low[first, second] < np.inf:
            raise InputError(f"the model was not trained on {pair_name(first, second)}")
        return float(self.low[first, second]), float(self.high[first, second])

    def to_json(self) -> dict[str, Any]:
        """Return what `from_json` reads: symbols, numbers, and null for ∞."""
        pairs = np.argwhere(np.triu(self.low < np.inf))
        numbers = np.flatnonzero(self.isolation > -np.inf)
        return {
            "isolation_ang": {
                element(int(z)).symbol: _or_none(float(self.isolation[z])) for z in numbers
            },
            "distances_ang": {
                pair_name(int(one), int(other)): list(self.range_of(one, other))
                for one, other in pairs
            },
            "atoms": list(self.atoms),
            "free": self.free,
            "periodic": self.periodic,
        }

    @classmethod
    def from_json(cls, value: Any) -> "TrainingDomain":
        """Return the domain that `to_json` wrote.

        Raises:
          InputError: it is something else.
        """
        low = np.full((_SIZE, _SIZE), np.inf)
        high, isolation = -low, np.full(_SIZE, -np.inf)
        try:
            for symbol, distance in value["isolation_ang"].items():
                far = math.inf if distance is None else float(distance)
                isolation[element(symbol).atomic_number] = far
            for name, (shortest, longest) in value["distances_ang"].items():
                one, other = (element(symbol).atomic_number for symbol in name.split("_"))
                low[one, other] = low[other, one] = float(shortest)
                high[one, other] = high[other, one] = float(longest)
            fewest, most = map(int, value["atoms"])
            flags = [value[name] for name in ("free", "periodic")]
            if not all(isinstance(flag, bool) for flag in flags):
                raise TypeError(f"expected true or false, got {flags}")
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InputError(f"not a training domain: {type(error).__name__}: {error}") from error
        return cls(low, high, isolation, (fewest, most), *flags)


def _cells(
    structures: Batch, rows: np.ndarray, has_cell: Callable[[int], bool] | None, known: set[bool]
) -> set[bool]:
    """Return whether some of a batch's rows have a cell, and some none, beside what is known."""
    if structures.shifts is None:
        return {False}
    if has_cell is None:
        return {True}
    # A neighbour that is an image tells a cell; without any the record is asked.
    shifted = np.any(np.asarray(structures.shifts) != 0, axis=(1, 2, 3))
    found = known | ({True} if shifted.any() else set())
    for row in rows[~shifted].tolist():
        if len(found) == 2:
            break
        found.add(has_cell(row))
    return found


def _or_none(number: float) -> float | None:
    return number if math.isfinite(number) else None


def is_outside(
    domain: TrainingDomain, ours: ArrayLike, around: ArrayLike, distance: ArrayLike
) -> Bool[Array, "atoms neighbors"]:
    """Return which distances the training structures do not span; works inside jit.

    Args:
      domain: Of the training.
      ours: [atoms, 1] atomic numbers.
      around: [atoms, neighbors] atomic numbers of the neighbours.
      distance: [atoms, neighbors] Å.
    """
    array = np if isinstance(distance, np.ndarray) else jnp
    low, high = (array.asarray(edge)[ours, around] for edge in (domain.low, domain.high))
    return (distance < low - _ROUNDING) | (distance > high + _ROUNDING)


def describe_outside(
    domain: TrainingDomain, structures: Batch, cutoff: float | None = None, positions: bool = True
) -> list[str]:
    """Return a line for each way in which structures leave the domain, none where they do not.

    Of each two elements the worst distance is named, of each element the most isolated atom.

    Args:
      domain: Of the training.
      structures: What a model is asked about.
      cutoff: Å, of the model: atoms beyond it are no neighbours; None for none.
      positions: Whether the model reads where the atoms are.
    """
    numbers, distance, around, there = _links(structures)
    if cutoff is not None:
        there = there & (distance <= cutoff)
    lines = _of_elements(domain, numbers) + _of_sizes(domain, structures, numbers)
    if not positions:
        return lines
    ours = np.broadcast_to(numbers[:, :, None], there.shape)
    outside = there & np.asarray(is_outside(domain, ours, around, distance))
    lines += _of_distances(domain, ours[outside], around[outside], distance[outside])
    nearest = np.where(there, distance, np.inf).min(axis=2, initial=np.inf)
    return lines + _of_isolation(domain, numbers, nearest, cutoff)


def warn_outside(
    domain: TrainingDomain, structures: Batch, cutoff: float | None = None, positions: bool = True
) -> list[str]:
    """Warn of each line of `describe_outside`, and return them."""
    lines = describe_outside(domain, structures, cutoff, positions)
    for line in lines:
        warnings.warn(f"outside of what the model was trained on: {line}", stacklevel=3)
    return lines


def _links(structures: Batch) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return numbers [B, A]; distance, neighbour's number and whether it is there, [B, A, K]."""
    numbers = np.asarray(structures.atomic_numbers)
    positions = np.asarray(structures.positions)
    there = np.asarray(structures.neighbor_mask)
    rows = np.arange(len(numbers))[:, None, None]
    index = np.where(there, np.asarray(structures.neighbors), 0)
    vectors = positions[rows, index] - positions[:, :, None]
    if structures.shifts is not None:
        vectors = vectors + np.asarray(structures.shifts)
    return numbers, np.linalg.norm(vectors, axis=-1), numbers[rows, index], there


def _of_elements(domain: TrainingDomain, numbers: np.ndarray) -> list[str]:
    found = np.unique(numbers[numbers > 0])
    unknown = found[domain.isolation[found] == -np.inf]
    return [f"{element(int(z)).symbol} is in no training structure" for z in unknown]


def _of_sizes(domain: TrainingDomain, structures: Batch, numbers: np.ndarray) -> list[str]:
    lines = []
    fewest, most = domain.atoms
    counts = (numbers > 0).sum(axis=1)
    expected = f"{fewest}" if fewest == most else f"{fewest} to {most}"
    for count in np.unique(counts[(counts < fewest) | (counts > most)]):
        lines.append(
            f"{count} atom{'' if count == 1 else 's'}, trained on structures of {expected}"
        )
    periodic = structures.shifts is not None
    if periodic and not domain.periodic:
        lines.append("a cell, trained on structures without")
    if not periodic and not domain.free:
        lines.append("no cell, trained on periodic structures")
    return lines


def _of_distances(
    domain: TrainingDomain, ours: np.ndarray, around: np.ndarray, distance: np.ndarray
) -> list[str]:
    worst: dict[str, tuple[float, str]] = {}
    for one, other, far in zip(ours, around, distance, strict=True):
        if -np.inf in (domain.isolation[one], domain.isolation[other]):
            continue  # told of the element
        name = pair_name(int(one), int(other)).replace("_", "-")
        low, high = domain.low[one, other], domain.high[one, other]
        how = "never trained on together"
        if low < np.inf:
            how = f"trained on {_length(low, high)}"
        excess = max(low - far, far - high)
        if name not in worst or excess > worst[name][0]:
            worst[name] = excess, f"{name} at {far:.3f} Å, {how}"
    return [line for _, line in sorted(worst.values(), key=lambda item: item[1])]


def _length(low: float, high: float) -> str:
    """Return the range in words, in Å."""
    same = f"{low:.3f}" == f"{high:.3f}"
    return f"{low:.3f} Å alone" if same else f"{low:.3f} to {high:.3f} Å"


def _of_isolation(
    domain: TrainingDomain, numbers: np.ndarray, nearest: np.ndarray, cutoff: float | None
) -> list[str]:
    """Return lines on atoms farther from all others than the training structures' ever were.

    A neighbour that is there has been told of with its distance; here are those without any.
    """
    lines = []
    alone = (numbers > 0) & ~np.isfinite(nearest)
    for z in np.unique(numbers[alone]):
        known = domain.isolation[z]
        if -np.inf < known < np.inf:
            within = "" if cutoff is None else f" within the model's cutoff of {cutoff:g} Å"
            lines.append(
                f"{element(int(z)).symbol} without a neighbour{within}, trained with one "
                f"at {known:.2f} Å at most"
            )
    return lines
