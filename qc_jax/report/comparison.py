"""Two tables of the same pairs beside each other: label by label, and pair by pair."""

import dataclasses

import numpy as np
import pandas as pd

from qc_jax.data.table import PairTable
from qc_jax.data.targets import TARGETS, target
from qc_jax.errors import InputError

_CHARGE = "charge of the first atom"


@dataclasses.dataclass(frozen=True)
class Comparison:
    """What two tables say of the pairs that both have.

    Attributes:
      labels: a row for each label that both have, in the order of the target table, then the
        charge of the first atom. Columns `label`, `unit`; `pairs` where both define it,
        `undefined` where only one does; `mean`, `mean_second`, `std`, `std_second` over those
        pairs; `median`, `q95` and `largest` of the absolute differences, and the pair `worst` with
        the largest, '' where all are equal.
      differences: a row for each pair of both, by name; a column for each label: second less
        first, NaN where either does not define it.
      only: names of the pairs that only the first and only the second has.
      swapped: names of the pairs whose charges agree only when the second's two atoms are
        exchanged.
      repeated: names that stand more than once in either, which are not compared.
    """

    labels: pd.DataFrame
    differences: pd.DataFrame
    only: tuple[tuple[str, ...], tuple[str, ...]]
    swapped: tuple[str, ...]
    repeated: tuple[str, ...]


def compare(first: PairTable, second: PairTable) -> Comparison:
    """Compare two tables row by row, matched by the names of the pairs.

    Raises:
      InputError: no pair stands once in both, or they share no label.
    """
    tables = (first, second)
    frames = [pd.Index(table.names) for table in tables]
    repeated = sorted({name for names in frames for name in names[names.duplicated()]})
    once = [names[~names.duplicated(keep=False)] for names in frames]
    shared = once[0][once[0].isin(once[1])]
    if not len(shared):
        raise InputError(
            f"compare: expected tables that share pairs, got {len(first)} and {len(second)} rows "
            "of which none is in both"
        )
    rows = [names.get_indexer_for(shared) for names in frames]
    names = [name for name in TARGETS if name in first.targets and name in second.targets]
    if not names:
        raise InputError("compare: expected tables that share labels, got none in both")
    charges = [table.charges[row] for table, row in zip(tables, rows, strict=True)]
    left, right = (
        pd.DataFrame(
            {**{name: table.targets[name][row] for name in names}, _CHARGE: charge[:, 0]},
            index=shared,
            dtype=np.float64,
        )
        for table, row, charge in zip(tables, rows, charges, strict=True)
    )
    known = [frame.notna() for frame in (left, right)]
    both = known[0] & known[1]
    left, right = left.where(both), right.where(both)
    differences = right - left
    sizes = differences.abs()
    largest = sizes.max()
    labels = pd.DataFrame(
        {
            "unit": ["e" if name == _CHARGE else target(name).unit for name in left],
            "pairs": both.sum(),
            "undefined": (known[0] != known[1]).sum(),
            "mean": left.mean(),
            "mean_second": right.mean(),
            "std": left.std(ddof=0),
            "std_second": right.std(ddof=0),
            "median": sizes.median(),
            "q95": sizes.quantile(0.95),
            "largest": largest,
            "worst": sizes.fillna(0.0).idxmax().where(largest > 0, ""),
        }
    )
    only = tuple(
        tuple(map(str, own[~own.isin(other)]))
        for own, other in ((frames[0], frames[1]), (frames[1], frames[0]))
    )
    return Comparison(
        labels=labels.rename_axis("label").reset_index(),
        differences=differences,
        only=(only[0], only[1]),
        swapped=tuple(map(str, shared[_exchanged(*charges)])),
        repeated=tuple(map(str, repeated)),
    )


def _exchanged(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return [N] whether charges [N, 2] agree only with the second's atoms exchanged.

    Charges of a neutral pair have opposite signs, so exchanged atoms differ by twice the charge; a
    pair counts where that is far beyond what is left after exchanging them back.
    """
    apart = np.abs(first - second).max(axis=1)
    crossed = np.abs(first - second[:, ::-1]).max(axis=1)
    return (apart > 1e-3) & (crossed < 0.1 * apart)
