"""Which rows train, validate and test: the published rule, without torch."""

import dataclasses

import numpy as np

from qc_jax.errors import InputError


@dataclasses.dataclass(frozen=True, eq=False)
class Split:
    """Disjoint row indices, int64, and what they are.

    Attributes:
      train: rows to learn from.
      validation: rows that choose the epoch.
      test: rows to score on.
      description: one sentence on how the parts were made.
    """

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray
    description: str

    def parts(self) -> dict[str, np.ndarray]:
        """The row indices by the name of their part."""
        return {"train": self.train, "validation": self.validation, "test": self.test}


def torch_permutation(n: int, seed: int) -> np.ndarray:
    """What `torch.randperm(n, generator=Generator().manual_seed(seed))` gives on a CPU.

    MT19937 seeded with the seed; then for i = 0 … n−2, swap a[i] and a[i + r_i mod (n − i)] with
    r_i the successive 32-bit outputs.

    Args:
      n: length, below 2³² / 20 (PyTorch draws 64-bit numbers above).
      seed: 0 to 2³² − 1.

    Returns:
      [n] int64, a permutation of 0 … n−1.
    """
    if not 0 <= seed < 2**32:
        raise InputError(f"seed {seed} is out of range; expected 0 to 2**32 - 1")
    draws = np.random.RandomState(seed).randint(0, 2**32, size=max(n - 1, 0), dtype=np.uint32)
    order = np.arange(n)
    for i, draw in enumerate(draws.tolist()):
        j = i + draw % (n - i)
        order[i], order[j] = order[j], order[i]
    return order


def random_split(n: int, seed: int) -> Split:
    """The published random split of n rows: first int(0.8 n) train, next int(0.1 n) validate.

    Args:
      n: number of rows, in file order.
      seed: of the permutation; the published ones are 42, 123 and 456.

    Raises:
      InputError: a part would be empty.
    """
    order = torch_permutation(n, seed)
    train, validation = int(0.8 * n), int(0.1 * n)
    if train == 0 or validation == 0:
        raise InputError(f"{n} rows are too few to split into train, validation and test")
    return Split(
        train=order[:train],
        validation=order[train : train + validation],
        test=order[train + validation :],
        description="a random 80 % of the rows train, 10 % validate, 10 % test",
    )
