"""The distances that a model was trained on, and which of a system lie outside."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from qc_jax.chem.elements import MAX_ATOMIC_NUMBER, element, pair_name
from qc_jax.data import splits
from qc_jax.data.batch import Batch, from_table
from qc_jax.data.table import PairTable
from qc_jax.errors import InputError
from qc_jax.models._radial import length
from qc_jax.train.restore import Trained

_ROUNDING = 1e-4  # Å: tables and positions are float32 on their way


class Seen(NamedTuple):
    """Shortest and longest distance of each two elements in the training rows.

    Attributes:
      low: [Z, Z] Å by atomic numbers, symmetric; ∞ where the elements never stood together.
      high: [Z, Z] Å; −∞ there.
    """

    low: np.ndarray
    high: np.ndarray

    def range_of(self, first: int, second: int) -> tuple[float, float]:
        """Shortest and longest distance (Å) of two elements by their atomic numbers.

        Raises:
          InputError: the model was never trained on the two together.
        """
        if not self.low[first, second] < np.inf:
            raise InputError(f"the model was not trained on {pair_name(first, second)}")
        return float(self.low[first, second]), float(self.high[first, second])

    def tell(self, numbers: np.ndarray, outside: np.ndarray, distances: np.ndarray) -> list[str]:
        """One line for each two elements that stand outside, with their worst distance.

        Args:
          numbers: [L, 2] atomic numbers of L links.
          outside: [L] bool.
          distances: [L] Å.
        """
        worst: dict[str, tuple[float, str]] = {}
        for (one, other), distance in zip(numbers[outside], distances[outside], strict=True):
            name = "-".join(sorted((element(int(one)).symbol, element(int(other)).symbol)))
            low, high = self.low[one, other], self.high[one, other]
            how = "never trained on together"
            if low < np.inf:
                how = f"trained on {low:.2f} to {high:.2f} Å"
            excess = max(low - distance, distance - high)
            if name not in worst or excess > worst[name][0]:
                worst[name] = excess, f"{name} at {distance:.2f} Å, {how}"
        return [line for _, line in sorted(worst.values(), key=lambda item: item[1])]


def of_training(trained: Trained, table: PairTable) -> Seen:
    """The distances in the rows of `table` that the model was trained on.

    Raises:
      InputError: the table is not the one that it was trained on.
    """
    config = trained.config
    if table.fingerprint() != config["data_fingerprint"]:
        raise InputError(f"{config['data']} has changed since the model was trained")
    split = splits.make_split(config["split"], table, trained.targets, trained.settings.seed)
    split = splits.with_fraction(split, config["train_fraction"], trained.settings.seed)
    return of_structures(from_table(table.take(split.train)))


def of_structures(structures: Batch) -> Seen:
    """The distances between neighbours of N structures."""
    far = np.asarray(length(structures.displacements(structures.positions)))
    there = np.asarray(structures.neighbor_mask)
    numbers = np.asarray(structures.atomic_numbers)
    rows = np.arange(len(numbers))[:, None, None]
    around = numbers[rows, np.where(there, np.asarray(structures.neighbors), 0)]
    ours = np.broadcast_to(numbers[:, :, None], there.shape)
    low = np.full((MAX_ATOMIC_NUMBER + 1,) * 2, np.inf)
    high = -low
    for one, other in ((ours, around), (around, ours)):
        np.minimum.at(low, (one[there], other[there]), far[there])
        np.maximum.at(high, (one[there], other[there]), far[there])
    return Seen(low, high)


def is_outside(seen: Seen, ours: ArrayLike, around: ArrayLike, distance: ArrayLike) -> jax.Array:
    """Which distances [n, K] Å, between elements [n, 1] and [n, K], the training rows do not span.

    Works inside jit.
    """
    low, high = (jnp.asarray(edge)[ours, around] for edge in seen)
    distance = jnp.asarray(distance)
    return (distance < low - _ROUNDING) | (distance > high + _ROUNDING)
